"""Values that were not kept, computed again from kept states. How to compute is handed in; this room knows where from.

    text      ....|....|....|....|....|....|....        a segment runs from one snapshot (|), or from a document's
              [      piece      ][      piece            start, up to the next; a piece is the segments of which none
                                                         may be computed without the others

So a value depends on its place alone: every reader, whatever it asks for and in whichever order, sees the same numbers.
Pieces that were not computed yet are computed many at a time, as one group.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from inspector.recording.header import Header
from inspector.recording.store import StretchStore, split
from inspector.recording.stretch import STATES, STRETCH, Array, Key, Snapshots
from inspector.recording.words import InspectorError, Progress

_GROUP = 2**20  # neurons x characters computed together: an LSTM's take 25 MB, and as much on the way
_LONGEST_GROUP = 2**15  # characters
_GROUPS_KEPT = 6  # or as many characters in smaller ones
_TRACES_AT_ONCE = 2**25  # bytes of traces that one pass over the text keeps, those of neighbours among them
_PASSES_KEPT = 2
T = TypeVar("T")


class Segment(NamedTuple):
    """A passage to be read again. state : as it was before its first character, b"" for zero."""

    state: bytes
    text: str


class Computed(Protocol):
    """All signals of segments that were read together."""

    def put(self, target: Array, layer: int, signal: str, first: int, spans: Array) -> None:
        """target[i, at : at + n] = the values of neuron `first` + i at n steps of a segment, for every i.

        target : float32 (units, chars). spans : int64, rows of (segment, the step at which to begin, at, n).
        """


class Replay(Protocol):
    """How a network reads passages again. reads_apart : whether what comes of one depends on nothing beside it."""

    @property
    def reads_apart(self) -> bool: ...

    def __call__(self, segments: Sequence[Segment]) -> Computed: ...


class _Group(NamedTuple):
    pieces: frozenset[int]
    computed: Computed
    edges: Array  # (n_segments, 2), where each begins and ends

    def put(self, target: Array, key: Key, first: int, start: int, low: int, high: int) -> None:
        """What it has of characters `low` to `high`, into a target that begins at `start`."""
        begins, ends = self.edges.T
        begin, n = np.maximum(begins, low), np.minimum(ends, high) - np.maximum(begins, low)
        spans = np.stack([np.arange(len(n)), begin - begins, begin - start, n], axis=1)[n > 0]
        self.computed.put(target, *key, first, spans)


class Replayed:
    """A store that keeps snapshots and computes the values of layers when they are asked for."""

    def __init__(self, header: Header, snapshots: Snapshots, kept: StretchStore, replay: Replay | None) -> None:
        self._header, self._snapshots, self._kept, self._replay = header, snapshots, kept, replay
        self._starts = [document.start for document in header.documents]
        n_units = sum(layer.n_units for layer in header.layers)
        self._at_once = group_length(snapshots.every, n_units)
        self._piece_length = snapshots.every if replay is not None and replay.reads_apart else self._at_once
        self._groups: list[_Group] = []  # the one that was used last comes last
        self._passes: _Recent[Array] = _Recent(_PASSES_KEPT)
        self._turn = RLock()  # one thread computes; others wait, and then find what it found

    @property
    def nbytes(self) -> int:
        return self._kept.nbytes

    @property
    def folder(self) -> Path | None:
        return self._kept.folder

    def stretch(self, number: int) -> dict[Key, Array]:
        return self._kept.stretch(number)

    def verify(self, progress: Progress | None = None) -> None:
        self._kept.verify(progress)

    def error_bound(self, key: Key) -> float:
        """Nothing was given up: states are exact, and what is computed from them is what contract 5 says."""
        return 0.0

    def fill(self, values: Array, key: Key, first: int, start: int, progress: Progress | None = None) -> None:
        if key in self._header.layout.blocks:
            self._kept.fill(values, key, first, start, progress)
        elif values.shape == (1, len(self._header.text)):
            values[:] = self._trace(key, first, progress)
        else:
            self._fill_pieces(values, key, first, start, progress)

    def _trace(self, key: Key, unit: int, progress: Progress | None) -> Array:
        """One neuron over the whole text. The pass that this takes keeps as many of its neighbours as there is room."""
        n_units, n_chars = self._header.layers[key[0]].n_units, len(self._header.text)
        size = max(min(_TRACES_AT_ONCE // (4 * max(n_chars, 1)), n_units), 1)
        first = unit // size * size

        def read_all() -> Array:
            rows = np.empty((min(size, n_units - first), n_chars), np.float32)
            self._fill_pieces(rows, key, first, 0, progress)
            return rows

        with self._turn:
            row: Array = self._passes.get((key, first), read_all)[unit - first]
        return row

    def _fill_pieces(self, values: Array, key: Key, first: int, start: int, progress: Progress | None) -> None:
        stop, length = start + values.shape[1], self._piece_length
        pieces = range(start // length, -(-stop // length)) if start < stop else range(0)
        for at in range(0, len(pieces), self._at_once // length):
            asked = pieces[at : at + self._at_once // length]
            begin, end = max(asked.start * length, start), min(asked.stop * length, stop)
            with self._turn:
                for group in self._groups_of(asked):
                    group.put(values, key, first, start, begin, end)
            if progress is not None:
                progress(end - start, stop - start)

    def _groups_of(self, asked: range) -> Iterator[_Group]:
        """Groups that together have all of these pieces; what is missing is computed at the end, as one."""
        found = [group for group in self._groups if not group.pieces.isdisjoint(asked)]
        self._groups = [group for group in self._groups if group not in found] + found
        yield from found
        missing = sorted(frozenset(asked).difference(*(group.pieces for group in found)))
        if missing:
            n_kept = sum(len(group.pieces) for group in self._groups)
            while n_kept + len(missing) > _GROUPS_KEPT * self._at_once // self._piece_length:
                n_kept -= len(self._groups.pop(0).pieces)  # before the others are made: so many are alive at most
            self._groups.append(self._compute(missing))
            yield self._groups[-1]

    def _compute(self, numbers: Sequence[int]) -> _Group:
        if self._replay is None:
            network, network_hash = self._header.network or "without a name", (self._header.network_hash or "")[:12]
            raise InspectorError(
                "This recording keeps snapshots, from which its network computes the values: give it the checkpoint of "
                f"{network} ({network_hash}), as in open_recording(folder, model=load_checkpoint(...)) or by --network."
            )
        segments, edges = list[Segment](), list[tuple[int, int]]()
        for number in numbers:
            for begin, end, state in self._segments(number):
                segments.append(Segment(state, self._header.text[begin:end]))
                edges.append((begin, end))
        return _Group(frozenset(numbers), self._replay(segments), np.array(edges))

    def _segments(self, number: int) -> Iterator[tuple[int, int, bytes]]:
        """Where each segment of a piece begins and ends, and the state before it."""
        every, begin = self._snapshots.every, number * self._piece_length
        end = min(begin + self._piece_length, len(self._header.text))
        inside = self._starts[bisect_left(self._starts, begin) : bisect_left(self._starts, end)]
        states = self._states(begin, end)
        for left, right in pairwise(sorted({*range(begin, end, every), *inside, end})):
            yield left, right, b"" if left in inside else states[(left - begin) // every].tobytes()

    def _states(self, begin: int, end: int) -> Array:
        """The snapshots of characters `begin` to `end`, (n_snapshots, bytes)."""
        every = self._snapshots.every
        rows = [
            self._kept.rows(stretch, STATES, (low - stretch * STRETCH) // every, -(-(high - low) // every))
            for stretch, low, high in split(begin, end, STRETCH)
        ]
        return np.concatenate(rows)


def group_length(every: int, n_units: int) -> int:
    """Characters that are computed together: a power of two, so that groups and segments fit into stretches."""
    length = every
    while length < _LONGEST_GROUP and 2 * length * n_units <= _GROUP:
        length *= 2
    return length


class _Recent(Generic[T]):
    """What was made last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._made: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._made:
            while len(self._made) >= self._size:  # before the next is made: so many are alive at most
                self._made.popitem(last=False)
            self._made[key] = make()
        self._made.move_to_end(key)
        return self._made[key]
