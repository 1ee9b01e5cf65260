"""Values that were not kept, computed again from kept states. How to compute is handed in; this room knows where from.

    text      ....|....|....|....|....|....|....        a segment runs from one snapshot (|), or from a document's
              [      piece      ][      piece            start, up to the next; a piece is the segments that are
                                                         computed together, and always the same ones

So a value depends on its place alone: every reader, whatever it asks for and in whichever order, sees the same numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from inspector.recording.filling import copy_rows
from inspector.recording.header import Header
from inspector.recording.store import StretchStore, split
from inspector.recording.stretch import STATES, STRETCH, Array, Key, Snapshots
from inspector.recording.words import InspectorError, Progress

_PIECE = 2**20  # neurons x characters computed together: an LSTM's take 64 MB
_LONGEST_PIECE = 2**15  # characters
_PIECES_KEPT = 6
_TRACES_AT_ONCE = 2**25  # bytes of traces that one pass over the text keeps, those of neighbours among them
_PASSES_KEPT = 2
T = TypeVar("T")


class Segment(NamedTuple):
    """A passage to be read again. state : as it was before its first character, b"" for zero."""

    state: bytes
    text: str


class Replay(Protocol):
    """How a network reads passages again."""

    def __call__(self, segments: Sequence[Segment]) -> Sequence[Mapping[str, Array]]:
        """Read all of them; by layer and signal, float32 (at least the longest's length, n_segments, n_units)."""


class _Piece(NamedTuple):
    values: Sequence[Mapping[str, Array]]
    edges: list[int]  # of its segments, one after the other


class Replayed:
    """A store that keeps snapshots and computes the values of layers when they are asked for."""

    def __init__(self, header: Header, snapshots: Snapshots, kept: StretchStore, replay: Replay | None) -> None:
        self._header, self._snapshots, self._kept, self._replay = header, snapshots, kept, replay
        self._starts = [document.start for document in header.documents]
        self._piece_length = piece_length(snapshots.every, sum(layer.n_units for layer in header.layers))
        self._pieces: _Recent[_Piece] = _Recent(_PIECES_KEPT)
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
        layer, signal = key
        stop = start + values.shape[1]
        for number, begin, end in split(start, stop, self._piece_length):
            piece = self._piece(number)
            computed = piece.values[layer][signal][..., first : first + len(values)]
            for row, (left, right) in enumerate(pairwise(piece.edges)):
                low, high = max(left, begin), min(right, end)
                if low < high:
                    copy_rows(values[:, low - start : high - start], computed[low - left : high - left, row].T)
            if progress is not None:
                progress(end - start, stop - start)

    def _piece(self, number: int) -> _Piece:
        with self._turn:
            return self._pieces.get(number, lambda: self._compute(number))

    def _compute(self, number: int) -> _Piece:
        if self._replay is None:
            network, network_hash = self._header.network or "without a name", (self._header.network_hash or "")[:12]
            raise InspectorError(
                "This recording keeps snapshots, from which its network computes the values: give it the checkpoint of "
                f"{network} ({network_hash}), as in open_recording(folder, model=load_checkpoint(...)) or by --network."
            )
        every, text = self._snapshots.every, self._header.text
        begin = number * self._piece_length
        end = min(begin + self._piece_length, len(text))
        inside = self._starts[bisect_left(self._starts, begin) : bisect_left(self._starts, end)]
        edges = sorted({*range(begin, end, every), *inside, end})
        states = self._states(begin, end)
        segments = [
            Segment(b"" if left in inside else states[(left - begin) // every].tobytes(), text[left:right])
            for left, right in pairwise(edges)
        ]
        return _Piece(self._replay(segments), edges)

    def _states(self, begin: int, end: int) -> Array:
        """The snapshots of characters `begin` to `end`, (n_snapshots, bytes)."""
        every = self._snapshots.every
        rows = [
            self._kept.rows(stretch, STATES, (low - stretch * STRETCH) // every, -(-(high - low) // every))
            for stretch, low, high in split(begin, end, STRETCH)
        ]
        return np.concatenate(rows)


def piece_length(every: int, n_units: int) -> int:
    """Characters that are computed together: a power of two, so that pieces and segments fit into stretches."""
    length = every
    while length < _LONGEST_PIECE and 2 * length * n_units <= _PIECE:
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
