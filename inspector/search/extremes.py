"""The lowest and the highest values of every trace: there the average precision of rare labels is decided, unblurred.

    values and bins ──keep_far (far.py)──► values that lie far out ──heads──► sums of precisions, for `judge_score`

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
from inspector.search.far import HIGH, KEPT, Far
from inspector.search.lanes import Lanes
from inspector.search.scores import put_in_order
from inspector.search.threads import each, slices

RARE = 2_000  # positives in the choosing part: with more of them a few that are out of order say nothing
_MARKS_AT_ONCE = 2**26  # bytes of labels, one for each character
_GROUP = 256  # traces that one thread goes through at a time

Array = NDArray[Any]


class Extremes:
    """What is kept of both ends of every trace while the scoring part goes by.

    names : the labels that want it; nothing is kept where there are none.
    expected : (traces, N_BINS) how often each bin is thought to come; more than that makes outer bins crowd out inner.
    """

    def __init__(self, names: Sequence[str], expected: Array) -> None:
        self.names = tuple(names)
        n = len(expected) if self.names else 0
        self._far = Far(
            np.stack([_n_within(expected[:n]), N_BINS - _n_within(expected[:n, ::-1])], axis=1),
            np.empty((n, 2, KEPT), np.float32),
            np.empty((n, 2, KEPT), np.int32),
            np.empty((n, 2, KEPT), np.uint8),
            np.zeros((n, 2), np.int64),
        )

    def of(self, traces: slice) -> Far:
        """Of some traces, for `kernels.take_in`; of none where nothing is kept."""
        return Far(*(part[traces] for part in self._far))

    def heads(self, lanes: Lanes, polarities: Mapping[str, Array]) -> dict[str, Array]:
        """For each label (traces, 2): how many bins from the end where it holds are kept, the sum of precisions there.

        polarities : label -> (traces,), +1 where the high end says yes. For `judge_score`.
        """
        if not self.names:
            return {}
        n = len(self._far.n)
        found = np.zeros((len(self.names), n, 2))
        for some in slices(0, len(self.names), max(_MARKS_AT_ONCE // lanes.columns.shape[1], 1)):
            names = self.names[some]
            marks = np.stack([marks_of(lanes, lanes.yes_no[name], slice(None)) for name in names])
            upwards = np.stack([polarities[name] > 0 for name in names], axis=1)
            self._judge(marks, upwards, found[some])
        return dict(zip(self.names, found, strict=True))

    def _judge(self, marks: Array, upwards: Array, out: Array) -> None:
        each(
            lambda some: _judge_ends(self.of(some), marks, upwards[some], out[:, some]),
            slices(0, len(self._far.n), _GROUP),
        )

    def state(self) -> dict[str, Array]:
        """For `restore`."""
        return {"names": np.array(self.names, np.str_), **self._far._asdict()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        if arrays:
            self.names = tuple(map(str, arrays["names"]))
            self._far = Far(*(arrays[name] for name in Far._fields))


def _n_within(counts: Array) -> Array:
    """(traces,) how many of the first bins of counts (traces, N_BINS) hold no more than `KEPT` together."""
    found: Array = (np.cumsum(counts, axis=1) <= KEPT).sum(axis=1)
    return found


@compiled
def _judge_ends(far: Far, marks: Array, upwards: Array, out: Array) -> None:
    """out (labels, traces, 2), of one end of each trace as upwards (traces, labels) says. marks : (labels, n_chars)."""
    order, room = np.empty((2, KEPT), np.uint64)
    for u in range(len(far.n)):
        for end in range(2):
            n = far.n[u, end]
            put_in_order(far.values[u, end, :n], order[:n], room[:n])
            for i in range(len(marks)):
                if upwards[u, i] == (end == HIGH):
                    out[i, u, 0] = N_BINS - far.cuts[u, 1] if end == HIGH else far.cuts[u, 0]
                    out[i, u, 1] = _sum_of_precisions(order[:n], far.positions[u, end], marks[i], end == HIGH)


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
