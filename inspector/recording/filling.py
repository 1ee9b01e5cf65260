"""Parts of any size go in, whole stretches come out. Knows rows and positions; nothing of files or threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from inspector.recording.folder import Standstill
from inspector.recording.header import Header
from inspector.recording.store import StretchStore
from inspector.recording.stretch import LOSS, STATES, STRETCH, Array, Key
from inspector.recording.words import InspectorError

_COPIED_AT_ONCE = 64  # characters: so many of them and some rows fit into the processor's nearest cache


class Sink(Protocol):
    """Takes whole stretches, in order."""

    reached: int
    standstill: Standstill

    def add(self, stretch: dict[Key, Array], standstill: Standstill | None = None) -> None:
        """Keep a stretch, which belongs to the sink from now on, and where a writer could go on after it."""

    def finish(self) -> StretchStore:
        """Everything that was kept."""

    def close(self) -> None:
        """Take no more."""


class Filler:
    """Fills stretches from what is appended, and hands each full one to its sink.

    After an error it takes nothing more: what comes later must not lie where something else was due.
    """

    def __init__(self, header: Header, sink: Sink) -> None:
        self._header, self._sink = header, sink
        self._standstills = [sink.standstill]  # where a writer could go on, ascending
        self._at = sink.standstill[0]  # the character that is appended next
        self._filled = sink.reached  # up to where stretches are filled; what comes before is safe already
        self._failed = False
        self._begin_stretch()

    def add(self, blocks: Mapping[Key, Array], state: bytes | None, *, is_given: bool = False) -> None:
        """Take the next characters, and the state (if there is one) from which to go on after them.

        is_given : whether the caller will not touch the blocks again: then a whole stretch is kept as it is.
        """
        self._check()
        self._failed = True
        start = self._at
        stop = self._at = start + blocks[LOSS].shape[1]
        if state is not None:
            self._standstills.append((stop, state))
        while self._filled < stop:
            end = min(stop, self._end)
            if is_given and (start, end) == (self._begin, stop) == (self._filled, self._end):
                whole = {key: block for key, block in blocks.items() if _has_place_of(block, self._stretch[key])}
                self._stretch |= whole
                self._copy({key: block for key, block in blocks.items() if key not in whole}, start, end)
            else:
                self._copy(blocks, start, end)
            self._filled = end
            if end == self._end:
                self._hand_on()
        self._failed = False

    def finish(self) -> StretchStore:
        """Everything, once all of the text was added."""
        self._check()
        return self._sink.finish()

    def _check(self) -> None:
        if self._failed:
            raise InspectorError("The recording failed before, so nothing can be added to it: begin it again.")

    def _begin_stretch(self) -> None:
        self._begin = self._filled
        self._end = min(self._begin + STRETCH, len(self._header.text))
        self._stretch = self._header.layout.empty(self._end - self._begin)

    def _copy(self, blocks: Mapping[Key, Array], start: int, end: int) -> None:
        """Copy the characters `filled` to `end` out of blocks that begin at `start`."""
        for key, block in blocks.items():
            if key == STATES:
                every = self._header.layout.blocks[key].every or 1
                first, last = -(-self._filled // every), -(-end // every)
                due, given = self._begin // every, -(-start // every)
                self._stretch[key][first - due : last - due] = block[first - given : last - given]
                continue
            try:
                target = self._stretch[key][:, self._filled - self._begin : end - self._begin]
                copy_rows(target, block[:, self._filled - start : end - start])
            except FloatingPointError as error:
                raise does_not_fit(key, self._header.dtype) from error

    def _hand_on(self) -> None:
        while len(self._standstills) > 1 and self._standstills[1][0] <= self._filled:
            del self._standstills[0]
        try:
            stored = {key: self._header.layout.stored(key, values) for key, values in self._stretch.items()}
        except FloatingPointError as error:
            raise InspectorError(
                f'A value before character {self._filled} does not fit, as {error}: record with dtype="float32".'
            ) from error
        self._sink.add(stored, self._standstills[0])
        self._begin_stretch()


def does_not_fit(key: Key, dtype: str) -> InspectorError:
    """What a reader is told of a value that would become infinite."""
    return InspectorError(
        f'A value of {key[1]} in layer {key[0]} is too large for {dtype}: record with dtype="float32".'
    )


def _has_place_of(block: Array, other: Array) -> bool:
    return block.shape == other.shape and block.dtype == other.dtype and block.flags.c_contiguous


def copy_rows(target: Array, source: Array) -> None:
    """`target[:] = source`, quick where one lies characters first in memory and the other neurons first.

    Converted as it lies, then turned round a few characters at a time: three times as fast as numpy's own way, which
    misses the cache at every value. A value too large for the target's dtype is a FloatingPointError.
    """
    with np.errstate(over="raise"):
        source = source.astype(target.dtype, order="K", copy=False)
    at_once = _COPIED_AT_ONCE if abs(source.strides[0]) < abs(source.strides[1]) else max(source.shape[1], 1)
    for begin in range(0, source.shape[1], at_once):
        end = begin + at_once
        target[:, begin:end] = source[:, begin:end]
