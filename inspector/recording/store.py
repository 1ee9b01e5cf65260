"""What a recording reads its values from: how a store answers, and how one answers whose values lie in stretches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from inspector.recording.coding import decoded
from inspector.recording.stretch import STRETCH, Array, Key
from inspector.recording.words import Progress

_READERS = 4  # threads, so that the disk and the checksums do not wait for one another
_MANY_ROWS = 64  # of a stretch: with fewer, a thread takes a run of stretches, or it would wait for the others longer
_SHORTEST_RUN = 16  # than for the disk
_RUNS = 8  # which a cold disk serves side by side

Part = tuple[int, int, int]
"""A stretch, and from which to which character of it."""


class Store(Protocol):
    """Where the values of a recording come from. May be asked by several threads at once."""

    @property
    def nbytes(self) -> int:
        """How much memory or disk the values take."""

    @property
    def folder(self) -> Path | None:
        """The folder on disk, or None in memory."""

    def fill(self, values: Array, key: Key, first: int, start: int, progress: Progress | None = None) -> None:
        """Put rows from `first` on, over the characters from `start` on, into all of `values`, checked and decoded."""

    def stretch(self, number: int) -> dict[Key, Array]:
        """A whole stretch as it is stored; not to be written to."""

    def error_bound(self, key: Key) -> float:
        """How far the values of a block may lie from what was appended."""

    def verify(self, progress: Progress | None = None) -> None:
        """Read everything; an `InspectorError` names the first stretch that is not as it was written."""


class StretchStore(Store, Protocol):
    """A store whose values lie in stretches."""

    def rows(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        """Some rows of one block, shape (n_rows, columns of this stretch), checked, as stored; not to be written to."""


class Stretches(ABC):
    """How a `StretchStore`, in memory or on disk, fills what is asked for."""

    @abstractmethod
    def rows(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        """As of `StretchStore`."""

    def fill(self, values: Array, key: Key, first: int, start: int, progress: Progress | None = None) -> None:
        stop = start + values.shape[1]

        def fill_from(run: list[Part]) -> int:
            for stretch, begin, end in run:
                rows = self.rows(stretch, key, first, len(values))
                origin = stretch * STRETCH
                values[:, begin - start : end - start] = decoded(rows, begin - origin, end - origin)
            return run[-1][2] - start

        parts = list(split(start, stop, STRETCH))
        is_wide = len(values) >= _MANY_ROWS
        length = 1 if is_wide else max(_SHORTEST_RUN, -(-len(parts) // _RUNS))
        runs = [parts[place : place + length] for place in range(0, len(parts), length)]
        for done in _in_turn(fill_from, runs, _READERS if is_wide else _RUNS):
            if progress is not None:
                progress(done, stop - start)


def _in_turn(work: Callable[[list[Part]], int], runs: list[list[Part]], n_readers: int) -> Iterator[int]:
    """What `work` answers for each run, in their order; several are at work at once."""
    if len(runs) <= 1:
        yield from map(work, runs)
        return
    readers = ThreadPoolExecutor(n_readers)
    try:
        yield from readers.map(work, runs)
    finally:
        readers.shutdown(cancel_futures=True)


def split(start: int, stop: int, size: int) -> Iterator[Part]:
    """The pieces of `size` characters that `start` to `stop` touch: their number, and from where to where it does."""
    while start < stop:
        number = start // size
        end = min(stop, (number + 1) * size)
        yield number, start, end
        start = end
