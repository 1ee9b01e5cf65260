"""Which bin a value falls into: 256 bins for each trace, laid out once from a first stretch of its values.

Bins are narrow where the values lie thick, and in both tails, where detectors of rare things have theirs; a share of
them is spread evenly, for values that the first stretch did not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.search.kernels import (
    LINEAR,
    N_BINS,
    N_CELLS,
    NEAR_ZERO,
    SIGNED,
    UNIT,
    count_cells,
    find_bins,
    find_edges,
    mark_ties,
    put_on_scale,
)

_BY_MASS, _BY_TAIL = 0.45, 0.25  # shares of the bins; the rest is spread evenly
_RANKS = 2**10  # steps of a rank
_MARGIN = 0.4  # of the range of the first stretch, on both sides: later values go further

Array = NDArray[Any]


@dataclass(frozen=True)
class Bins:
    """How the values of some traces are put into bins, one row for each trace."""

    kinds: Array  # (traces,) int64: LINEAR, UNIT or SIGNED
    low: Array  # (traces,) float32, on the scale of that kind
    steps: Array  # (traces,) float32, cells to one unit of that scale; 0 for a constant trace
    lookup: Array  # (traces, N_CELLS) uint8
    ranks: Array  # (traces, N_BINS) float32: the mean rank of a bin's values in the first stretch, -.5 to .5, in steps
    # of which float32 holds the sum over 2**24 / 2**10 characters exactly
    tied: Array  # (traces, N_BINS) bool: in the first stretch all its values were equal

    @classmethod
    def of(cls, signals: Sequence[str], values: Array) -> "Bins":
        """Lay out bins from a first stretch of values (traces, n); `signals` names each trace's signal."""
        kinds = np.array([_kind(signal) for signal in signals])
        peaks = np.abs(values).max(axis=1)
        kinds[(kinds != LINEAR) & (peaks > 1)] = LINEAR  # such as the hidden state of a network of rectified units
        kinds[(kinds == SIGNED) & (peaks < NEAR_ZERO)] = LINEAR  # steps there are even too, but no finer than 2**-33
        scaled = np.empty(values.shape, np.float32)
        for kind, row, out in zip(kinds, values, scaled, strict=True):
            put_on_scale(row, int(kind), out)
        low, high = scaled.min(axis=1), scaled.max(axis=1)
        margin = (high - low) * np.float32(_MARGIN)
        low, width = low - margin, high - low + 2 * margin
        steps = np.divide(N_CELLS, width, out=np.zeros_like(low), where=width > 0)
        cells = np.zeros((len(values), N_CELLS), np.int64)
        count_cells(values, kinds, low, steps, cells)
        lookup = np.empty((len(values), N_CELLS), np.uint8)
        ranks = np.empty((len(values), N_BINS), np.float32)
        for row in range(len(values)):
            lookup[row], ranks[row] = _layout(cells[row] / values.shape[1], values.shape[1])
        bins, tied = np.empty(values.shape, np.uint8), np.zeros(ranks.shape, bool)
        find_bins(values, kinds, low, steps, lookup, bins)
        mark_ties(values, bins, tied)
        return cls(kinds, low, steps, lookup, ranks, tied)

    def part(self, traces: slice | Array) -> "Bins":
        return Bins(*(getattr(self, field.name)[traces] for field in fields(self)))

    def edges(self, bins: Array) -> Array:
        """The lowest float32 that falls into each of bins (traces, k) or above; the highest where none does."""
        out = np.empty(bins.shape, np.float32)
        find_edges(self.kinds, self.low, self.steps, self.lookup, bins.astype(np.int64), out)
        return out


def _kind(signal: str) -> int:
    if signal.endswith("_gate"):
        return UNIT
    return SIGNED if signal in ("hidden", "candidate") else LINEAR


def _layout(mass: Array, n: int) -> tuple[Array, Array]:
    """Bins of the cells, and the rank a bin stands for, from the share of the values in each cell."""
    above = np.cumsum(mass)
    middle = above - mass / 2  # (N_CELLS,) mid-ranks, 0 to 1
    floor = 0.5 / n
    tail = np.log(np.clip(middle, floor, 1) / np.clip(1 - middle, floor, 1))
    tail = (tail - tail[0]) / max(tail[-1] - tail[0], 1e-9)
    even = np.arange(N_CELLS) / N_CELLS
    place = _BY_MASS * middle + _BY_TAIL * tail + (1 - _BY_MASS - _BY_TAIL) * even
    lookup = np.minimum(place * N_BINS, N_BINS - 1).astype(np.uint8)
    weights = np.bincount(lookup, mass + 1e-12, N_BINS)
    ranks = np.bincount(lookup, (mass + 1e-12) * middle, N_BINS) / np.maximum(weights, 1e-30) - 0.5
    ranks = np.rint(ranks * _RANKS) / _RANKS
    return lookup, ranks.astype(np.float32)
