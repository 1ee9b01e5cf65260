"""The few best traces of every label: their values in the scoring part, and scores of them that no bin blurs.

    values ──sort──► order ──walk, a label's marks in hand──► AUROC, average precision     graded: Pearson, Spearman

Knows which traces the choosing part put first; counts nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.search.judging import Measures
from inspector.search.lanes import Graded, Lanes, YesNo
from inspector.search.scores import correlation, judge_in_order, put_in_order, rank_in_order
from inspector.search.threads import each, slices

BIN_BYTES = 400_000_000  # what is kept of the candidates' bins, for the shifts, and
VALUE_BYTES = 400_000_000  # of their values: when there are more all are let go, and what bins say stays
_GROUP = 16  # traces that one thread judges at a time

Array = NDArray[Any]


class Kept:
    """The scored characters of the candidates. traces (candidates,) : which they are; positions : (n,) in the text."""

    def __init__(self, traces: Array, positions: Array, bins: Sequence[Array], ranks: Array) -> None:
        self.traces, self._bins, self._ranks = traces, bins, ranks
        self._order = np.argsort(positions)
        self.positions = positions[self._order]

    def ranks(self, i: int, where: Array | slice) -> Array:
        """Of candidate i, float32, at the places `where` of the positions."""
        bins = np.concatenate([some[i] for some in self._bins])
        found: Array = self._ranks[self.traces[i]].take(bins.take(self._order[where]))
        return found


class Candidates:
    """What is kept of some traces while the scoring part goes by. best : label -> its candidates, best first."""

    def __init__(self, best: Mapping[str, Array]) -> None:
        self.best = dict(best)
        self.traces = np.unique(np.concatenate(list(best.values()))) if best else np.empty(0, np.int64)
        self._bins: list[Array] = []
        self._positions: list[Array] = []  # of the bins, in the order in which they were read
        self._values: list[Array] | None = []  # in the same order; None: they took too much

    def room_for(self, n: int) -> Array | None:
        """Room for values of the next n scored characters, (candidates, n) float32, to be filled; None: not kept."""
        if self._values is None or not len(self.traces):
            return None
        self._values.append(np.empty((len(self.traces), n), np.float32))
        if sum(some.nbytes for some in self._values) > VALUE_BYTES:
            self._values = None
            return None
        return self._values[-1]

    def take_bins(self, bins: Array, positions: Array) -> None:
        """bins (traces, n) of all traces, of the same characters, a little later."""
        if len(self.traces) and sum(some.nbytes for some in self._bins) < BIN_BYTES:
            self._bins.append(bins[self.traces])
            self._positions.append(positions)

    @property
    def positions(self) -> Array:
        return np.concatenate(self._positions or [np.empty(0, np.int64)])

    def kept(self, ranks: Array) -> Kept:
        """ranks : (traces, N_BINS) of all traces, what their bins stand for."""
        return Kept(self.traces, self.positions, self._bins, ranks)

    def sharpen(self, measured: Mapping[str, Measures], lanes: Lanes) -> None:
        """Put what the values themselves say in the place of what bins say, in the rows of each label's candidates."""
        if not self._values:
            return
        pieces, positions = self._values, self.positions
        yes_no = {name: marks_of(lanes, label, positions) for name, label in lanes.yes_no.items()}
        graded = {name: _numbers(lanes, label, positions) for name, label in lanes.graded.items()}

        def judge(trace: int, values: Array, order: Array, places: Array) -> None:
            for name, best in self.best.items():
                if trace not in best:
                    continue
                found, polarity = measured[name], measured[name].polarity[trace]
                if name in yes_no:
                    scores = judge_in_order(order, yes_no[name], polarity > 0)
                    found.score[trace], found.average_precision[trace] = scores
                else:
                    ranks, column, valid = graded[name]
                    rank_in_order(order, valid, places)
                    found.score[trace] = polarity * correlation(values, column, valid)
                    found.spearman[trace] = polarity * correlation(places, ranks, valid)

        def judge_some(some: slice) -> None:
            order, room = np.empty((2, len(positions)), np.uint64)
            places = np.empty(len(positions))
            for i in range(some.start, some.stop):
                values = np.concatenate([piece[i] for piece in pieces])
                put_in_order(values, order, room)
                judge(self.traces[i], values, order, places)

        each(judge_some, slices(0, len(self.traces), _GROUP))

    def state(self) -> dict[str, Array]:
        """For `restore`, of what was counted."""
        if not self._bins:
            return {}
        arrays = {"positions": self.positions, "bins": np.concatenate(self._bins, axis=1)}
        return arrays | ({} if self._values is None else {"values": np.concatenate(self._values, axis=1)})

    def restore(self, arrays: Mapping[str, Array]) -> None:
        if arrays:
            self._bins, self._positions = [arrays["bins"]], [arrays["positions"]]
            self._values = [arrays["values"]] if "values" in arrays else None


def marks_of(lanes: Lanes, label: YesNo, positions: Array | slice) -> Array:
    """(n,) uint8, at these positions: 0 where the label is not valid, 1 where it is, 3 where it is yes."""
    positive, valid = (lanes.groups[lane.group].rows[:, lane.lane][lanes.groups[lane.group].which[positions]]
                       for lane in (label.positive, label.valid))  # fmt: skip
    marks: Array = valid + 2 * positive
    return marks


def _numbers(lanes: Lanes, label: Graded, positions: Array) -> tuple[Array, Array, Array]:
    """Mid-ranks among the valid, the label itself less a constant, and where it is valid; each (n,)."""
    column, valid = lanes.columns[label.column][positions], lanes.columns[label.mask][positions] > 0
    steps = lanes.numbers[label.rank.group][positions, label.rank.lane]
    counts = np.bincount(steps[valid])
    return (np.cumsum(counts) - counts / 2).take(steps, mode="clip"), column, valid
