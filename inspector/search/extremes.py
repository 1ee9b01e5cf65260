"""The lowest and the highest values of every trace: there the average precision of rare labels is decided, unblurred.

    bins ──find──► which characters lie far out ──take──► their values ──heads──► sums of precisions, for `judge_score`

A precision far from the end hardly depends on the order within one bin; the first few do, and a label with few
positives is little else. So whole bins are kept from both ends inwards, as long as there is room.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.compiled import compiled
from inspector.search.candidates import marks_of
from inspector.search.counting import N_BINS
from inspector.search.lanes import Lanes
from inspector.search.scores import put_in_order
from inspector.search.threads import each, slices

RARE = 2_000  # positives in the choosing part: with more of them a few that are out of order say nothing
KEPT = 1_024  # values at each end of a trace, at most
_GROUP = 256  # traces that one thread goes through at a time
_LOW, _HIGH = 0, 1  # the ends

Array = NDArray[Any]


class Extremes:
    """What is kept of both ends of every trace while the scoring part goes by.

    names : the labels that want it; nothing is kept where there are none.
    expected : (traces, N_BINS) how often each bin is thought to come; more than that makes outer bins crowd out inner.
    """

    def __init__(self, names: Sequence[str], expected: Array) -> None:
        self.names = tuple(names)
        n = len(expected) if self.names else 0
        self._cuts = np.stack([_n_within(expected[:n]), N_BINS - _n_within(expected[:n, ::-1])], axis=1)
        self._values = np.empty((n, 2, KEPT), np.float32)
        self._positions = np.empty((n, 2, KEPT), np.int32)
        self._bins = np.empty((n, 2, KEPT), np.uint8)
        self._n = np.zeros((n, 2), np.int64)

    def take(self, values: Sequence[Array], places: Array, positions: Array, bins: Array) -> None:
        """values, places : as `Census.fold` takes them. positions (n,) of the same characters, bins (traces, n)."""
        if not self.names:
            return
        firsts = np.cumsum([0, *map(len, values)])

        def take_some(task: tuple[int, slice]) -> None:
            part, traces = task
            within = slice(traces.start - firsts[part], traces.stop - firsts[part])
            _put(values[part][within], places, positions, bins[traces], self._cuts[traces],
                 self._values[traces], self._positions[traces], self._bins[traces], self._n[traces])  # fmt: skip

        each(take_some, [(part, traces) for part in range(len(values))
                         for traces in slices(firsts[part], firsts[part + 1], _GROUP)])  # fmt: skip

    def heads(self, lanes: Lanes, polarities: Mapping[str, Array]) -> dict[str, Array]:
        """For each label (traces, 2): how many bins from the end where it holds are kept, the sum of precisions there.

        polarities : label -> (traces,), +1 where the high end says yes. For `judge_score`.
        """
        if not self.names:
            return {}
        marks = np.stack([marks_of(lanes, lanes.yes_no[name], slice(None)) for name in self.names])
        upwards = np.stack([polarities[name] > 0 for name in self.names], axis=1)
        found = np.zeros((len(self.names), len(self._n), 2))
        each(
            lambda some: _judge_ends(
                self._values[some], self._positions[some], self._n[some], self._cuts[some], marks, upwards[some],
                found[:, some],
            ),
            slices(0, len(self._n), _GROUP),
        )  # fmt: skip
        return dict(zip(self.names, found, strict=True))

    def state(self) -> dict[str, Array]:
        """For `restore`."""
        return {"names": np.array(self.names, np.str_), "cuts": self._cuts, "values": self._values,
                "positions": self._positions, "bins": self._bins, "n": self._n}  # fmt: skip

    def restore(self, arrays: Mapping[str, Array]) -> None:
        if arrays:
            self.names = tuple(map(str, arrays["names"]))
            self._cuts, self._values, self._positions, self._bins, self._n = (
                arrays[name] for name in ("cuts", "values", "positions", "bins", "n")
            )


def _n_within(counts: Array) -> Array:
    """(traces,) how many of the first bins of counts (traces, N_BINS) hold no more than `KEPT` together."""
    found: Array = (np.cumsum(counts, axis=1) <= KEPT).sum(axis=1)
    return found


@compiled
def _put(
    values: Array, places: Array, positions: Array, bins: Array, cuts: Array, kept_values: Array,
    kept_positions: Array, kept_bins: Array, n_kept: Array,
) -> None:  # fmt: skip
    """Keep the values (traces, any n) at `places` whose bins (traces, n) lie below the first or from the second cut on;
    where there is no room left, the cut moves outwards and the bins behind it are let go.
    """
    for u in range(len(bins)):
        low, width = np.uint8(cuts[u, 0]), cuts[u, 1] - cuts[u, 0]
        row = bins[u]
        for t in range(len(row)):
            b = row[t]
            if np.uint8(b - low) < width:
                continue
            for end in range(2):
                while _is_beyond(b, cuts[u, end], end) and n_kept[u, end] == KEPT:
                    cuts[u, end] += 1 if end == _HIGH else -1
                    n_kept[u, end] = _let_go(
                        kept_values[u, end], kept_positions[u, end], kept_bins[u, end], cuts[u, end], end
                    )
                    low, width = np.uint8(cuts[u, 0]), cuts[u, 1] - cuts[u, 0]
                if _is_beyond(b, cuts[u, end], end):
                    n = n_kept[u, end]
                    kept_values[u, end, n], kept_bins[u, end, n] = values[u, places[t]], b
                    kept_positions[u, end, n] = positions[t]
                    n_kept[u, end] = n + 1


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
    return b >= cut if end == _HIGH else b < cut


@compiled
def _judge_ends(
    values: Array, positions: Array, n_kept: Array, cuts: Array, marks: Array, upwards: Array, out: Array
) -> None:
    """out (labels, traces, 2), of one end of each trace as upwards (traces, labels) says. marks : (labels, n_chars)."""
    order = np.empty(KEPT, np.uint64)
    for u in range(len(values)):
        for end in range(2):
            n = n_kept[u, end]
            put_in_order(values[u, end, :n], order[:n])
            order[:n].sort()
            for i in range(len(marks)):
                if upwards[u, i] == (end == _HIGH):
                    out[i, u, 0] = N_BINS - cuts[u, 1] if end == _HIGH else cuts[u, 0]
                    out[i, u, 1] = _sum_of_precisions(order[:n], positions[u, end], marks[i], end == _HIGH)


@compiled
def _sum_of_precisions(order: Array, positions: Array, marks: Array, upwards: bool) -> float:
    """Of the positives among values in ascending order, from the end on; equal values are one step."""
    found, yes, more, wider, precisions = 0, 0, 0, 0, 0.0
    n, last = len(order), np.uint64(0)
    for i in range(n + 1):
        key = order[n - 1 - i if upwards else i] if i < n else np.uint64(0)
        if i == n or key >> np.uint64(32) != last:
            found, yes = found + more, yes + wider
            if more:
                precisions += more * (found / yes)
            more, wider, last = 0, 0, key >> np.uint64(32)
        if i < n:
            mark = marks[positions[key & np.uint64(2**32 - 1)]]
            wider += mark & 1
            more += mark >> 1
    return precisions
