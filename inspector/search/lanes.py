"""Labels as the counting loop wants them: a lane of a 64-byte row for each label and each mask of valid characters.

Characters with the same labels share a row, so that a text needs a few hundred rows and one number for each character.
Graded labels go by their ranks: rows of 16 numbers, of which sums are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.products import aligned
from inspector.search.counting import N_LANES, N_NUMBERS

_HIGHEST_RANK = 2**16 - 1  # ranks are spread over so many steps: far finer than a Spearman correlation to 1e-3 takes

Array = NDArray[Any]


class Lane(NamedTuple):
    group: int
    lane: int


EVERYONE = Lane(0, 0)


class Group(NamedTuple):
    """Labels that are counted together."""

    which: Array  # (n_chars,) uint32: the row of each character
    rows: Array  # (combinations, N_LANES) uint8; lane 0 is 1


class YesNo(NamedTuple):
    positive: Lane
    valid: Lane


class Graded(NamedTuple):
    rank: Lane  # of `Lanes.numbers`
    valid: Lane  # in the same group; lane 0 where all of it is valid
    column: int  # of `Lanes.columns`: the label, centred, 0 where it is not valid
    mask: int  # of `Lanes.columns`: 1 where it is valid


@dataclass(frozen=True)
class Lanes:
    """All labels of a search, packed."""

    groups: tuple[Group, ...]
    numbers: tuple[Array, ...]  # each (n_chars, N_NUMBERS) uint16: 1, then ranks and masks
    columns: Array  # (columns, n_chars) float32, what moments are taken with
    yes_no: dict[str, YesNo]
    graded: dict[str, Graded]

    @property
    def masks(self) -> Array:
        """Which columns are masks, (masks,)."""
        return np.unique([label.mask for label in self.graded.values()]).astype(np.int64)

    @classmethod
    def of(cls, labels: Mapping[str, tuple[Array, Array]], scored: Array) -> "Lanes":
        """Pack name -> (label, valid), (n_chars,), as `parts.checked` returned them; ranks are among the `scored`."""
        packer = _Packer(scored)
        yes_no, graded = {}, {}
        for name, (label, valid) in labels.items():
            if label.dtype == bool:
                yes_no[name] = YesNo(packer.add(label & valid), packer.mask(valid))
            else:
                graded[name] = packer.graded(label, valid)
        return cls(packer.groups(), packer.numbers(), packer.columns(), yes_no, graded)


class _Packer:
    def __init__(self, scored: Array) -> None:
        self._n, self._scored = scored.size, scored
        self._groups: list[list[Array]] = [[]]
        self._numbers: list[list[Array]] = []
        self._columns: list[Array] = []
        self._masks: dict[bytes, Lane] = {}
        self._column_masks: dict[bytes, int] = {}

    def add(self, lane: Array) -> Lane:
        if len(self._groups[-1]) == N_LANES - 1:
            self._groups.append([])
        self._groups[-1].append(lane)
        return Lane(len(self._groups) - 1, len(self._groups[-1]))

    def mask(self, valid: Array) -> Lane:
        if valid.all():
            return EVERYONE
        key = np.packbits(valid).tobytes()
        if key not in self._masks:
            self._masks[key] = self.add(valid)
        return self._masks[key]

    def graded(self, label: Array, valid: Array) -> Graded:
        n_new = 1 if valid.all() else 2
        if not self._numbers or len(self._numbers[-1]) + n_new >= N_NUMBERS:
            self._numbers.append([])
        group, lanes = len(self._numbers) - 1, self._numbers[-1]
        lanes.append(_ranks(label, valid & self._scored))
        rank = Lane(group, len(lanes))
        if n_new == 2:
            lanes.append(valid)
        centred = np.where(valid, label, 0).astype(np.float64)
        mean = centred.sum() / valid.sum()
        self._columns.append(np.where(valid, centred - mean, 0).astype(np.float32))
        column = len(self._columns) - 1
        key = np.packbits(valid).tobytes()
        if key not in self._column_masks:
            self._column_masks[key] = len(self._columns)
            self._columns.append(valid.astype(np.float32))
        return Graded(rank, Lane(group, len(lanes) if n_new == 2 else 0), column, self._column_masks[key])

    def groups(self) -> tuple[Group, ...]:
        return tuple(_pack(lanes, self._n) for lanes in self._groups if lanes) or (_pack([], self._n),)

    def numbers(self) -> tuple[Array, ...]:
        found = []
        for lanes in self._numbers:
            rows = np.zeros((self._n, N_NUMBERS), np.uint16)
            rows[:, 0] = 1
            for i, lane in enumerate(lanes):
                rows[:, i + 1] = lane
            found.append(rows)
        return tuple(found)

    def columns(self) -> Array:
        return np.stack(self._columns) if self._columns else np.zeros((0, self._n), np.float32)


def _ranks(label: Array, valid: Array) -> Array:
    """Mid-ranks of the valid values, 0 to _HIGHEST_RANK; uint16 (n_chars,), 0 where not valid."""
    _, level, counts = np.unique(label[valid], return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    ranks = np.zeros(label.size, np.uint16)
    ranks[valid] = np.rint(middle * _HIGHEST_RANK).astype(np.uint16)[level]
    return ranks


def _pack(lanes: list[Array], n_chars: int) -> Group:
    bits = np.zeros((n_chars, N_LANES), np.uint8)
    bits[:, 0] = 1
    for i, lane in enumerate(lanes):
        bits[:, i + 1] = lane
    keys = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    _, first, which, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")  # frequent rows side by side: they stay in the nearest cache
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Group(place[which].astype(np.uint32), aligned_copy(bits[first[order]]))


def aligned_copy(rows: Array) -> Array:
    """A copy that begins where a line of the cache does, so that no row lies across two."""
    copy = aligned(rows.shape, rows.dtype)
    copy[:] = rows
    return copy
