"""Keeping the lowest and the highest values of traces as they go by, compiled: whole bins, from both ends inwards."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.compiled import compiled

KEPT = 1_024  # values at each end of a trace, at most
LOW, HIGH = 0, 1  # the ends
_STRETCH = 32  # values looked at together: most lie between the ends

Array = NDArray[Any]


class Far(NamedTuple):
    """What is kept of some traces, at both ends of each; of no trace at all where nothing is to be kept."""

    cuts: Array  # (traces, 2) int64: bins below the first and from the second one on are kept
    values: Array  # (traces, 2, KEPT) float32
    positions: Array  # (traces, 2, KEPT) int32, in the text
    bins: Array  # (traces, 2, KEPT) uint8
    n: Array  # (traces, 2) int64, how many of the KEPT there are


@compiled
def keep_far(far: Far, u: int, values: Array, bins: Array, positions: Array) -> None:
    """Keep those of the values (n,) of trace `u` whose bins lie beyond its cuts; where there is no room left, the cut
    moves outwards and the bins behind it are let go.
    """
    cuts, n_kept = far.cuts[u], far.n[u]
    low, width = np.uint8(cuts[LOW]), cuts[HIGH] - cuts[LOW]
    for start in range(0, len(bins), _STRETCH):
        stretch = bins[start : start + _STRETCH]
        if _widest(stretch, low) < width:
            continue
        for t in range(start, start + len(stretch)):
            b = bins[t]
            if np.uint8(b - low) < width:
                continue
            for end in range(2):
                while _is_beyond(b, cuts[end], end) and n_kept[end] == KEPT:
                    cuts[end] += 1 if end == HIGH else -1
                    n_kept[end] = _let_go(far.values[u, end], far.positions[u, end], far.bins[u, end], cuts[end], end)
                    low, width = np.uint8(cuts[LOW]), cuts[HIGH] - cuts[LOW]
                if _is_beyond(b, cuts[end], end):
                    n = n_kept[end]
                    far.values[u, end, n], far.bins[u, end, n], far.positions[u, end, n] = values[t], b, positions[t]
                    n_kept[end] = n + 1


@compiled
def _widest(bins: Array, low: np.uint8) -> Any:
    """The most by which one of the bins is above `low`; one below it is taken to be above by 256 more."""
    found = np.uint8(0)
    for b in bins:
        found = max(found, np.uint8(b - low))
    return found


@compiled
def _let_go(values: Array, positions: Array, bins: Array, cut: int, end: int) -> int:
    """Of KEPT values only those beyond the cut stay, in front; how many."""
    n = 0
    for k in range(KEPT):
        if _is_beyond(bins[k], cut, end):
            values[n], positions[n], bins[n] = values[k], positions[k], bins[k]
            n += 1
    return n


@compiled
def _is_beyond(b: int, cut: int, end: int) -> bool:
    return b >= cut if end == HIGH else b < cut
