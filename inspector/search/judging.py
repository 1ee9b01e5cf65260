"""What the counts of a census say: polarities and thresholds from those of the choosing part, and measures from those
of the scoring part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.search.binning import Bins
from inspector.search.chance import Jackknife, covariance, difference_of_means, p_values
from inspector.search.counting import N_BINS, N_LANES, N_NUMBERS
from inspector.search.lanes import EVERYONE, Graded, Lanes, YesNo
from inspector.search.scores import correlate_ranks, judge_choice, judge_score
from inspector.search.threads import each, slices

_GROUP = 16  # traces that one thread judges at a time: their counts stay in its own cache

Array = NDArray[Any]
Choice = dict[str, Array]  # label ──► (traces, 3): polarity, score of the choosing part, bin of the threshold


class Measures(NamedTuple):
    """What one label and every trace came to; arrays (traces,)."""

    polarity: Array
    score: Array
    choose_score: Array
    threshold: Array
    f1: Array
    matthews: Array
    average_precision: Array
    spearman: Array
    p_value: Array


@dataclass
class Counts:
    """What is counted of one part, for all traces and labels; blocks are those of the scoring part."""

    bins: Array  # (groups, traces, N_BINS, N_LANES) uint32: characters
    sums: Array  # (blocks, groups, N_LANES, traces) float32: of ranks
    sizes: Array  # (blocks, groups, N_LANES) int64: characters
    numbers: Array  # (groups of numbers, traces, N_BINS, N_NUMBERS) float32: sums of graded labels' ranks
    rank_sums: Array  # (groups of numbers, N_NUMBERS) float64: of the same
    rank_squares: Array  # (groups of numbers, N_NUMBERS) float64: of their squares
    moments: Array  # (blocks, traces, columns) float64: sums of scaled values x graded labels
    squares: Array  # (traces, columns) float64: of their squares x masks
    label_moments: Array  # (blocks, columns, columns) float64: of labels x labels

    @classmethod
    def zeros(cls, n_traces: int, lanes: Lanes, n_blocks: int) -> "Counts":
        groups, columns, numbers = len(lanes.groups), len(lanes.columns), len(lanes.numbers)
        return cls(
            bins=np.zeros((groups, n_traces, N_BINS, N_LANES), np.uint32),
            sums=np.zeros((n_blocks, groups, N_LANES, n_traces), np.float32),
            sizes=np.zeros((n_blocks, groups, N_LANES), np.int64),
            numbers=np.zeros((numbers, n_traces, N_BINS, N_NUMBERS), np.float32),
            rank_sums=np.zeros((numbers, N_NUMBERS), np.float64),
            rank_squares=np.zeros((numbers, N_NUMBERS), np.float64),
            moments=np.zeros((n_blocks, n_traces, columns), np.float64),
            squares=np.zeros((n_traces, columns), np.float64),
            label_moments=np.zeros((n_blocks, columns, columns), np.float64),
        )

    def arrays(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def begin_anew(self, totals: Array) -> None:
        """Add to totals (traces, N_BINS) how often each bin occurred; then all is 0."""
        everyone = self.of_everyone

        def empty(traces: slice) -> None:
            totals[traces] += everyone[traces]
            self.bins[:, traces] = 0

        each(empty, slices(0, len(totals), _GROUP))
        for name, array in self.arrays().items():
            if name != "bins":  # fresh zeros take no memory until they are counted in
                setattr(self, name, np.zeros(array.shape, array.dtype))

    @property
    def of_everyone(self) -> Array:
        """How often each bin occurred, (traces, N_BINS)."""
        return self.bins[EVERYONE.group, :, :, EVERYONE.lane]

    def n_positive(self, label: YesNo) -> int:
        """How many characters have it."""
        return int(self.sizes[:, label.positive.group, label.positive.lane].sum())

    def prevalence(self, label: YesNo) -> float:
        """Share of the characters that have it."""
        found, of = (int(self.sizes[:, lane.group, lane.lane].sum()) for lane in (label.positive, label.valid))
        return found / of


def choose(counts: Counts, lanes: Lanes, varies: Array) -> Choice:
    """What the choosing part fixes for each label. varies : (traces,) bool, False where a trace is constant."""
    chosen = _judged(counts, lanes, lambda name, positive, valid, _, out: judge_choice(positive, valid, out), 3)
    for name, label in lanes.graded.items():
        r = _pearson(counts, label, varies)
        chosen[name] = np.stack([np.where(r >= 0, 1.0, -1.0), np.abs(r), np.zeros_like(r)], axis=1)
    return chosen


def measure(
    counts: Counts, lanes: Lanes, choice: Choice, bins: Bins, ends: Array, heads: Mapping[str, Array] | None = None
) -> dict[str, Measures]:
    """What the scoring part says about each label. ends : (traces, 2), the lowest and the highest value of each.

    heads : of some labels, as `Extremes.heads` has them.
    """
    unknown, heads = np.zeros((len(ends), 2)), heads or {}
    judged = _judged(
        counts, lanes,
        lambda name, positive, valid, traces, out: judge_score(
            positive, valid, choice[name][traces], bins.tied[traces], heads.get(name, unknown)[traces], out
        ),
        4,
    )  # fmt: skip
    thresholds = _thresholds({name: choice[name] for name in lanes.yes_no}, bins, ends)
    varies, undefined = ends[:, 0] < ends[:, 1], np.full(len(ends), np.nan)
    spearmans = _spearman(counts, lanes, varies)

    def measured(name: str) -> Measures:
        polarity, choose_score = choice[name][:, 0], choice[name][:, 1]
        if (yes_no := lanes.yes_no.get(name)) is not None:
            score, f1, matthews, average_precision = judged[name].T
            return Measures(
                polarity=polarity, score=score, choose_score=choose_score, threshold=thresholds[name],
                f1=f1, matthews=matthews, average_precision=average_precision, spearman=undefined,
                p_value=p_values(_pulls(counts, yes_no), polarity),
            )  # fmt: skip
        graded = lanes.graded[name]
        return Measures(
            polarity=polarity, score=polarity * _pearson(counts, graded, varies), choose_score=choose_score,
            threshold=undefined, f1=undefined, matthews=undefined, average_precision=undefined,
            spearman=polarity * spearmans[name],
            p_value=p_values(_covariance(counts, graded), polarity),
        )  # fmt: skip

    names, found = [*lanes.yes_no, *lanes.graded], dict[str, Measures]()
    each(lambda name: found.update({name: measured(name)}), names)
    return {name: found[name] for name in names}


def _judged(
    counts: Counts, lanes: Lanes, judge: Callable[[str, Array, Array, slice, Array], None], n_columns: int
) -> dict[str, Array]:
    """(traces, n_columns) for each yes/no label, of what `judge` makes of its counts, some traces at a time.

    A label's counts lie far apart, so the counts of all labels are turned over once for each few traces.
    """
    n_traces = counts.bins.shape[1]
    found = {name: np.empty((n_traces, n_columns)) for name in lanes.yes_no}

    def judge_some(traces: slice) -> None:
        turned = np.ascontiguousarray(counts.bins[:, traces].transpose(0, 3, 1, 2))  # (groups, lanes, traces, bins)
        for name, label in lanes.yes_no.items():
            judge(name, turned[label.positive], turned[label.valid], traces, found[name][traces])

    each(judge_some, slices(0, n_traces, _GROUP))
    return found


def _pulls(counts: Counts, label: YesNo) -> Jackknife:
    positive, valid = (
        (counts.sizes[:, lane.group, lane.lane], counts.sums[:, lane.group, lane.lane])
        for lane in (label.positive, label.valid)
    )
    return difference_of_means(positive, valid)


def _thresholds(choice: Choice, bins: Bins, ends: Array) -> dict[str, Array]:
    """In the neuron's own unit; on the lower side it is the highest value of the bin, not the lowest."""
    if not choice:
        return {}
    upwards, at = (np.stack([chosen[:, column] for chosen in choice.values()], axis=1) for column in (0, 2))
    edges = bins.edges(at + (upwards < 0))
    with np.errstate(over="ignore"):  # below the lowest float
        edges = np.where(upwards > 0, edges, np.nextafter(edges, np.float32(-np.inf)))
    edges = np.clip(edges, ends[:, :1], ends[:, 1:]).astype(np.float64)
    return dict(zip(choice, np.ascontiguousarray(edges.T), strict=True))


def _pearson(counts: Counts, label: Graded, varies: Array) -> Array:
    moments, labels = counts.moments.sum(axis=0), counts.label_moments.sum(axis=0)
    n = labels[label.mask, label.mask]
    y, y2 = labels[label.column, label.mask], labels[label.column, label.column]
    x, x2, xy = moments[:, label.mask], counts.squares[:, label.mask], moments[:, label.column]
    spread = np.sqrt(np.maximum(x2 - x * x / n, 0) * (y2 - y * y / n))
    return _ratio(xy - x * y / n, spread, where=varies)


def _covariance(counts: Counts, label: Graded) -> Jackknife:
    labels, moments = counts.label_moments, counts.moments
    return covariance(
        sizes=labels[:, label.mask, label.mask], y=labels[:, label.column, label.mask],
        y2=labels[:, label.column, label.column], x=moments[:, :, label.mask], xy=moments[:, :, label.column],
    )  # fmt: skip


def _spearman(counts: Counts, lanes: Lanes, varies: Array) -> dict[str, Array]:
    """Of every graded label, (traces,); all of them while the sums of some traces are in the cache."""
    found = {name: np.empty(len(varies)) for name in lanes.graded}

    def correlate(traces: slice) -> None:
        for name, label in lanes.graded.items():
            sums, valid = (counts.numbers[lane.group, traces, :, lane.lane] for lane in (label.rank, label.valid))
            lane = label.rank.group, label.rank.lane
            totals = counts.rank_sums[lane], counts.rank_squares[lane]
            correlate_ranks(sums, valid, *totals, found[name][traces])
            found[name][traces][~varies[traces]] = 0

    each(correlate, slices(0, len(varies), _GROUP))
    return found


def _ratio(above: Array, below: Array, where: Array) -> Array:
    """above / below, 0 where `where` is False or nothing is below."""
    found: Array = np.divide(above, below, out=np.zeros_like(below), where=where & (below > 0))
    return found
