"""Labels as the counting loop wants them: a lane of a 64-byte row for each label and each mask of valid characters.

Characters with the same labels share a row, so that a text needs a few hundred rows and one number for each character.
A graded label goes into lanes as the binary digits of its rank; counts of the digits add up to sums of ranks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.search.kernels import N_LANES

N_DIGITS = 10  # of a graded label's rank; the error of a Spearman correlation is far below 1e-3

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
    digits: tuple[Lane, ...]  # of the rank, lowest first
    valid: Lane
    column: int  # of `Lanes.columns`: the label, centred, 0 where it is not valid
    mask: int  # of `Lanes.columns`: 1 where it is valid


@dataclass(frozen=True)
class Lanes:
    """All labels of a search, packed."""

    groups: tuple[Group, ...]
    columns: Array  # (n_chars, columns) float32, what moments are taken with
    yes_no: dict[str, YesNo]
    graded: dict[str, Graded]

    @classmethod
    def of(cls, labels: Mapping[str, tuple[Array, Array]], scored: Array) -> "Lanes":
        """Pack name -> (label, valid), (n_chars,), as `parts.checked` returned them; ranks are among the `scored`."""
        packer = _Packer(scored)
        yes_no, graded = {}, {}
        for name, (label, valid) in labels.items():
            if label.dtype == bool:
                yes_no[name] = YesNo(packer.add(label & valid), packer.mask(valid))
        packer.next_group()  # digits take many values: apart from them, the others share few rows
        for name, (label, valid) in labels.items():
            if label.dtype != bool:
                graded[name] = packer.graded(label, valid)
        return cls(packer.groups(), packer.columns(), yes_no, graded)


class _Packer:
    def __init__(self, scored: Array) -> None:
        self._n, self._scored = scored.size, scored
        self._groups: list[list[Array]] = [[]]
        self._columns: list[Array] = []
        self._masks: dict[bytes, Lane] = {}
        self._column_masks: dict[bytes, int] = {}

    def next_group(self) -> None:
        if self._groups[-1]:
            self._groups.append([])

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
        if len(self._groups[-1]) + N_DIGITS + 1 >= N_LANES:
            self._groups.append([])  # a label's digits and its mask share a group: its ranks are told from rows alone
        ranks = _ranks(label, valid & self._scored)
        digits = tuple(self.add((ranks >> digit & 1).astype(bool) & valid) for digit in range(N_DIGITS))
        lane = self.add(valid)
        centred = np.where(valid, label, 0).astype(np.float64)
        mean = centred.sum() / valid.sum()
        self._columns.append(np.where(valid, centred - mean, 0).astype(np.float32))
        column = len(self._columns) - 1
        key = np.packbits(valid).tobytes()
        if key not in self._column_masks:
            self._column_masks[key] = len(self._columns)
            self._columns.append(valid.astype(np.float32))
        return Graded(digits, lane, column, self._column_masks[key])

    def groups(self) -> tuple[Group, ...]:
        return tuple(_pack(lanes, self._n) for lanes in self._groups if lanes) or (_pack([], self._n),)

    def columns(self) -> Array:
        return np.ascontiguousarray(np.stack(self._columns, axis=1)) if self._columns else np.zeros((self._n, 0))


def _ranks(label: Array, valid: Array) -> Array:
    """Mid-ranks of the valid values in N_DIGITS binary digits; int64 (n_chars,), 0 where not valid."""
    _, level, counts = np.unique(label[valid], return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    ranks = np.zeros(label.size, np.int64)
    ranks[valid] = np.minimum(middle * 2**N_DIGITS, 2**N_DIGITS - 1).astype(np.int64)[level]
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
    return Group(place[which].astype(np.uint32), _aligned(bits[first[order]]))


def _aligned(rows: Array) -> Array:
    room = np.zeros(rows.nbytes + N_LANES, np.uint8)
    first = -room.ctypes.data % N_LANES
    aligned = room[first : first + rows.nbytes].reshape(rows.shape)
    aligned[:] = rows
    return aligned
