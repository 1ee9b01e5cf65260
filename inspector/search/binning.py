"""Which bin a value falls into: 256 bins for each trace, laid out once from a first stretch of its values.

Bins are narrow where the values lie thick, and in both tails, where detectors of rare things have theirs; a share of
them is spread evenly, for values that the first stretch did not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.search.counting import N_BINS
from inspector.search.kernels import LINEAR, N_CELLS, NEAR_ZERO, SIGNED, UNIT, find_edges, lay_out, put_on_scale
from inspector.search.threads import each, slices

_SHARES = np.array([0.45, 0.25])  # of the bins: by mass, by tails; the rest is spread evenly
_GROUP = 256  # traces whose edges one thread finds at a time
_MARGIN = 0.4  # of the range of the first stretch, on both sides: later values go further

Array = NDArray[Any]


@dataclass(frozen=True)
class Bins:
    """How the values of some traces are put into bins, one row for each trace."""

    kinds: Array  # (traces,) int64: LINEAR, UNIT or SIGNED
    low: Array  # (traces,) float32, on the scale of that kind
    steps: Array  # (traces,) float32, cells to one unit of that scale
    lookup: Array  # (traces, N_CELLS) uint8
    ranks: Array  # (traces, N_BINS) float32: the mean rank of a bin's values in the first stretch, -.5 to .5
    tied: Array  # (traces, N_BINS) bool: in the first stretch all its values were equal

    @classmethod
    def empty(cls, n: int) -> "Bins":
        """For n traces, none of which is laid out."""
        kinds, tied = np.zeros(n, np.int64), np.zeros((n, N_BINS), bool)
        low, steps, ranks = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(tied.shape, np.float32)
        return cls(kinds, low, steps, np.zeros((n, N_CELLS), np.uint8), ranks, tied)

    def lay_out(self, traces: slice, signals: Sequence[str], values: Array) -> None:
        """Some traces, from a first stretch of their values (traces, n), all finite; `signals` names that of each."""
        kinds = np.array([_kind(signal) for signal in signals])
        peaks = np.maximum(values.max(axis=1), -values.min(axis=1))
        kinds[(kinds != LINEAR) & (peaks > 1)] = LINEAR  # such as the hidden state of a network of rectified units
        kinds[(kinds == SIGNED) & (peaks < NEAR_ZERO)] = LINEAR  # steps there are even too, but no finer than 2**-33
        scaled = np.empty(values.shape[1], np.float32)
        logs = np.log(np.maximum(np.arange(2 * values.shape[1] + 1), 1))
        for row, kind, mine in zip(range(traces.start, traces.stop), kinds.tolist(), values, strict=True):
            put_on_scale(mine, kind, scaled)
            low, highest = _reach(scaled, kind)
            width = highest - low
            steps = np.float32(N_CELLS / width if width > 0 else 0)
            self.kinds[row], self.low[row], self.steps[row] = kind, low, steps
            layout = logs, self.lookup[row], self.ranks[row], self.tied[row]
            lay_out(mine, kind, low, steps, _SHARES, *layout)

    def part(self, traces: slice | Array) -> "Bins":
        return Bins(*(getattr(self, field.name)[traces] for field in fields(self)))

    def edges(self, bins: Array) -> Array:
        """The lowest float32 that falls into each of bins (traces, k) or above; the highest where none does."""
        out, bins = np.empty(bins.shape, np.float32), bins.astype(np.int64)

        def find(some: slice) -> None:
            find_edges(self.kinds[some], self.low[some], self.steps[some], self.lookup[some], bins[some], out[some])

        each(find, slices(0, len(bins), _GROUP))
        return out


def _reach(scaled: Array, kind: int) -> tuple[np.float32, np.float32]:
    """From where to where values may go of which the first are these, on the scale of their kind."""
    lowest, highest = scaled.min(), scaled.max()
    if lowest < highest:
        margin = (highest - lowest) * np.float32(_MARGIN)
    elif kind == LINEAR:  # a neuron that has been silent so far
        margin = 2 * max(abs(lowest), np.float32(1))
    else:
        ends = np.array([0 if kind == UNIT else -1, 1], np.float32)
        put_on_scale(ends.copy(), kind, ends)
        return ends[0], ends[1]
    return lowest - margin, highest + margin


def _kind(signal: str) -> int:
    if signal.endswith("_gate"):
        return UNIT
    return SIGNED if signal in ("hidden", "candidate") else LINEAR
