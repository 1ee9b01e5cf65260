"""One pass over the values: everything a search needs to know about every trace is counted as the characters go by.

    choosing part ──fold──► counts ──turn──► polarity, threshold     scoring part ──fold──► counts ──► measures

Nothing kept here grows with the text, but for the bins of the few best candidates, up to a limit.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.recording import InspectorError, Neuron
from inspector.search.binning import Bins
from inspector.search.chance import Jackknife, covariance, difference_of_means, p_values
from inspector.search.counting import N_BINS, N_LANES, N_NUMBERS, add_numbers, count
from inspector.search.kernels import judge_choice, judge_score, take_in
from inspector.search.lanes import EVERYONE, Graded, Lanes, YesNo, aligned
from inspector.search.threads import each, slices

MAX_BLOCKS = 64  # into which the scoring part is cut for the jackknife
N_CANDIDATES = 5  # of each label, whose bins are kept and checked against shifted labels
_KEPT_BYTES = 400_000_000
_GROUP = 64  # traces that one thread counts at a time
_TAKEN = 64  # and takes in: their tables of bins stay in its own cache
CAPACITY = 2**15  # characters whose bins wait to be counted together: the counts of a trace are fetched once for them
_AT_ONCE = 4096  # characters that are taken in together: threads that are woken for less are not worth it. The first
# of them lay out the bins, where `calibrate` was not asked for others
_PADDING = 64  # bytes behind each row of bins: rows a power of two apart would push each other out of the cache

_PART = ("_counts", "_sums", "_sizes", "_numbers", "_rank_squares", "_moments", "_squares", "_label_moments")
_WHOLE = ("_centre", "_scale", "_candidates", "totals", "summary")  # what is counted is of one part, or of both

Array = NDArray[Any]


class Row(NamedTuple):
    """Which trace: a neuron's signal."""

    layer: int
    unit: int
    signal: str


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


class Kept(NamedTuple):
    """The scored characters of the candidates."""

    traces: Array  # (candidates,) which traces
    positions: Array  # (n,) in the text
    ranks: Array  # (candidates, n) float32


class _Folded(NamedTuple):
    """Characters that were folded together."""

    values: list[Array]  # each (some of the traces, n)
    positions: Array  # (n,) in the text
    block: int


class Census:
    """Counts for `rows` traces and all labels of `lanes`; every character of one part, `turn`, every one of the other.

    What is folded waits until there is enough of it: then values are put into bins, and bins are counted. The first
    values fix the bins: `calibrate` them, or those that are folded first do.
    """

    def __init__(self, rows: Sequence[Row], lanes: Lanes, *, n_blocks: int, n_candidates: int = N_CANDIDATES) -> None:
        self.rows, self.lanes, self.n_blocks = tuple(rows), lanes, n_blocks
        n, groups, columns = len(rows), len(lanes.groups), len(lanes.columns)
        self._n_candidates = n_candidates
        self._bins: Bins | None = None
        self._choice: dict[str, Array] | None = None  # name -> (traces, 3): polarity, choose_score, bin
        self._candidates = np.empty(0, np.int64)
        self._kept: list[tuple[Array, Array]] = []
        self._folded: list[_Folded] = []  # to be taken in
        self._waiting: list[tuple[Array, int]] = []  # positions and block, to be counted; their bins are in
        self._room = np.empty((n, CAPACITY + _PADDING), np.uint8)[:, :CAPACITY]
        self._counts = np.zeros((groups, n, N_BINS, N_LANES), np.uint32)
        self._sums = np.zeros((n_blocks, groups, n, N_LANES), np.float32)
        self._sizes = np.zeros((n_blocks, groups, N_LANES), np.int64)
        self._numbers = np.zeros((len(lanes.numbers), n, N_BINS, N_NUMBERS), np.int64)
        self._rank_squares = np.zeros((len(lanes.numbers), N_NUMBERS), np.float64)
        self._moments = np.zeros((n_blocks, n, columns), np.float64)
        self._squares = np.zeros((n, columns), np.float64)
        self._label_moments = np.zeros((n_blocks, columns, columns), np.float64)
        self.totals = np.zeros((n, N_BINS), np.int64)  # how often each bin occurred, in both parts
        self.summary = np.tile([0.0, 0.0, np.inf, -np.inf, 0.0, 0.0], (n, 1))  # as `kernels.take_in` has it
        self.n_chars = 0

    @property
    def bins(self) -> Bins:
        if self._bins is None:
            raise ValueError("nothing was counted yet")
        return self._bins

    @property
    def has_turned(self) -> bool:
        return self._choice is not None

    @property
    def means(self) -> Array:
        found: Array = self._centre + self.summary[:, 0] / self.n_chars
        return found

    @property
    def deviations(self) -> Array:
        first, second = self.summary[:, 0] / self.n_chars, self.summary[:, 1] / self.n_chars
        found: Array = np.sqrt(np.maximum(second - first**2, 0))
        return found

    def histograms(self) -> Array:
        """How often each bin occurred in all text counted so far, (traces, N_BINS)."""
        counts: Array = self.totals + self._counts[EVERYONE.group, :, :, EVERYONE.lane]
        return counts

    def calibrate(self, values: Sequence[Array]) -> None:
        """Lay out the bins from some values, as `fold` takes them."""
        whole = np.concatenate(values)
        low, high = whole.min(axis=1), whole.max(axis=1)
        self._check_finite(low + high)
        self._bins = Bins.of([row.signal for row in self.rows], whole)
        self._centre = np.empty(len(whole), np.float32)
        self._scale = np.empty(len(whole), np.float32)

        def centre(traces: slice) -> None:
            some = whole[traces]
            self._centre[traces] = some.mean(axis=1, dtype=np.float64)
            scale = np.where(low[traces] < high[traces], some.std(axis=1, dtype=np.float64), 0)
            self._scale[traces] = np.where(scale > 0, 1 / np.maximum(scale, 1e-30), 1)

        each(centre, slices(0, len(whole), _TAKEN))

    def fold(self, values: Sequence[Array], positions: Array, *, block: int = 0) -> None:
        """Take in the values of the characters at `positions` (n,); all of one part.

        values : float32 arrays (traces, n) of any strides, which together have the rows of this census in their order.
        block : which block of the scoring part they belong to; 0 in the choosing part.
        """
        for some in slices(0, len(positions), CAPACITY):
            self._folded.append(_Folded([part[:, some] for part in values], positions[some], block))
        if sum(len(folded.positions) for folded in self._folded) >= _AT_ONCE:
            self._take_in()

    def count(self) -> None:
        """Count all that was folded; nothing waits then."""
        self._take_in()
        self._count_waiting()

    def _count_waiting(self) -> None:
        """Count what was put into bins."""
        if not self._waiting:
            return
        positions = np.concatenate([positions for positions, _ in self._waiting])
        blocks = np.concatenate([np.full(len(positions), block) for positions, block in self._waiting])
        cuts = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1))
        blocks = blocks[cuts[:-1]]
        labels = [(group.which[positions], group.rows) for group in self.lanes.groups]
        numbers = [aligned(rows[positions]) for rows in self.lanes.numbers] if self.has_turned else []
        for i, (which, rows) in enumerate(labels):
            for block, begin, end in zip(blocks, cuts, cuts[1:], strict=False):
                self._sizes[block, i] += np.bincount(which[begin:end], minlength=len(rows)) @ rows
        for i, of_labels in enumerate(numbers):
            self._rank_squares[i] += np.square(of_labels, dtype=np.float64).sum(axis=0)

        def count_some(traces: slice) -> None:
            bins, ranks = self._room[traces, : len(positions)], self.bins.ranks[traces]
            for i, (which, rows) in enumerate(labels):
                sums = np.zeros((len(blocks), len(bins), N_LANES), np.float32)
                count(bins, which, rows, ranks, cuts, self._counts[i, traces], sums)
                for block, of_block in zip(blocks, sums, strict=True):
                    self._sums[block, i, traces] += of_block
            for i, of_labels in enumerate(numbers):
                add_numbers(bins, of_labels, self._numbers[i, traces])

        each(count_some, slices(0, len(self.rows), _GROUP))
        if len(self._candidates) and sum(bins.nbytes for _, bins in self._kept) < _KEPT_BYTES:
            self._kept.append((positions, self._room[self._candidates, : len(positions)]))
        self._waiting = []

    def state(self) -> dict[str, Array]:
        """Everything counted so far, for `restore`; nothing while there is too little to lay out the bins by."""
        if self._bins is None:
            return {}
        self.count()
        arrays = {name: getattr(self, name) for name in _PART + _WHOLE}
        arrays |= {f"bins.{field.name}": getattr(self._bins, field.name) for field in fields(Bins)}
        arrays |= {f"choice.{name}": chosen for name, chosen in (self._choice or {}).items()}
        if self._kept:
            arrays["kept.positions"] = np.concatenate([positions for positions, _ in self._kept])
            arrays["kept.bins"] = np.concatenate([bins for _, bins in self._kept], axis=1)
        return arrays | {"n_chars": np.array(self.n_chars)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Go on from what `state` of a census of the same rows and labels gave."""
        for name in _PART + _WHOLE:
            setattr(self, name, arrays[name])
        self._bins = Bins(*(arrays[f"bins.{field.name}"] for field in fields(Bins)))
        choice = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith("choice.")}
        self._choice = choice or None
        if "kept.bins" in arrays:
            self._kept = [(arrays["kept.positions"], arrays["kept.bins"])]
        self.n_chars = int(arrays["n_chars"])

    def _take_in(self) -> None:
        """Put all values that were folded into bins and add up their moments."""
        folded, self._folded = self._folded, []
        if folded and self._bins is None:
            parts = zip(*(some.values for some in folded), strict=True)
            self.calibrate([np.concatenate(part, axis=1) for part in parts])
        while folded:
            begin = sum(len(positions) for positions, _ in self._waiting)
            stops = begin + np.cumsum([len(some.positions) for some in folded])
            n_fitting = int(np.searchsorted(stops, CAPACITY, side="right"))
            if n_fitting:
                self._take_in_some(folded[:n_fitting], begin)
            if n_fitting < len(folded):
                self._count_waiting()
            folded = folded[n_fitting:]

    def _take_in_some(self, folded: Sequence[_Folded], begin: int) -> None:
        """begin : where in the room for bins there is room for them."""
        masks = self.lanes.masks
        columns = [self.lanes.columns.take(some.positions, axis=1) for some in folded]  # of contiguous rows
        for some, of_labels in zip(folded, columns, strict=True):
            self._label_moments[some.block] += of_labels.astype(np.float64) @ of_labels.T
        starts = begin + np.cumsum([0, *(len(some.positions) for some in folded)])
        widths = np.cumsum([0, *map(len, folded[0].values)])

        def take(task: tuple[int, slice]) -> None:
            part, traces = task
            layout, within = self.bins.part(traces), slice(traces.start - widths[part], traces.stop - widths[part])
            for some, of_labels, start, stop in zip(folded, columns, starts, starts[1:], strict=False):
                take_in(
                    some.values[part][within], layout.kinds, layout.low, layout.steps, layout.lookup,
                    self._centre[traces], self._scale[traces], of_labels, masks, self._room[traces, start:stop],
                    self.summary[traces], self._moments[some.block, traces], self._squares[traces],
                )  # fmt: skip

        each(take, [(part, traces) for part, ends in enumerate(itertools.pairwise(widths))
                     for traces in slices(*ends, _TAKEN)])  # fmt: skip
        self._waiting += [(some.positions, some.block) for some in folded]
        self.n_chars += sum(len(some.positions) for some in folded)

    def turn(self) -> None:
        """All of the choosing part was folded: fix polarities, thresholds and candidates, and begin to score."""
        self.count()
        self._check_finite(self.summary[:, 1])
        choice = self._judged(lambda name, positive, valid, _, out: judge_choice(positive, valid, out), 3)
        choice |= {name: self._choose_graded(label) for name, label in self.lanes.graded.items()}
        best = [np.argsort(-chosen[:, 1], kind="stable")[: self._n_candidates] for chosen in choice.values()]
        self._candidates = np.unique(np.concatenate(best)) if best else np.empty(0, np.int64)
        self._choice = choice
        self.totals += self._counts[EVERYONE.group, :, :, EVERYONE.lane]
        for name in _PART:
            getattr(self, name).fill(0)

    def _check_finite(self, sums: Array) -> None:
        broken = np.flatnonzero(~np.isfinite(sums))
        if broken.size:
            row = self.rows[broken[0]]
            raise InspectorError(
                f"The {row.signal} of neuron {Neuron(row.layer, row.unit)} is nan or infinite at some characters and "
                "cannot be ranked: its network or the recording is broken; check both."
            )

    def _judged(self, judge: Callable[[str, Array, Array, slice, Array], None], n_columns: int) -> dict[str, Array]:
        """(traces, n_columns) for each yes/no label, of what `judge` makes of its counts, some traces at a time.

        A label's counts lie far apart, so the counts of all labels are turned over once for each few traces.
        """
        found = {name: np.empty((len(self.rows), n_columns)) for name in self.lanes.yes_no}

        def judge_some(traces: slice) -> None:
            turned = np.ascontiguousarray(
                self._counts[:, traces].transpose(0, 3, 1, 2)
            )  # (groups, lanes, traces, bins)
            for name, label in self.lanes.yes_no.items():
                judge(name, turned[label.positive], turned[label.valid], traces, found[name][traces])

        each(judge_some, slices(0, len(self.rows), _GROUP))
        return found

    def _choose_graded(self, label: Graded) -> Array:
        r = self._pearson(label)
        return np.stack([np.where(r >= 0, 1.0, -1.0), np.abs(r), np.zeros_like(r)], axis=1)

    def prevalence(self, name: str) -> float:
        """Share of the scored characters that have a label; nan for a graded one."""
        label = self.lanes.yes_no.get(name)
        if label is None:
            return math.nan
        found, of = (int(self._sizes[:, lane.group, lane.lane].sum()) for lane in (label.positive, label.valid))
        return found / of

    def measures(self) -> dict[str, Measures]:
        """What the scoring part says about each label."""
        if self._choice is None:
            raise ValueError("turn to the scoring part first")
        self.count()
        self._check_finite(self.summary[:, 1])
        choice, bins = self._choice, self.bins
        judged = self._judged(
            lambda name, positive, valid, traces, out: judge_score(
                positive, valid, choice[name][traces], bins.tied[traces], out
            ),
            4,
        )
        sums = np.ascontiguousarray(self._sums.transpose(1, 3, 0, 2))  # (groups, lanes, blocks, traces)
        found = {
            name: self._measures_of(choice[name], judged[name], self._pulls(label, sums))
            for name, label in self.lanes.yes_no.items()
        }
        return found | {
            name: self._measures_of_graded(label, choice[name]) for name, label in self.lanes.graded.items()
        }

    def _measures_of(self, choice: Array, judged: Array, pulls: Jackknife) -> Measures:
        return Measures(
            polarity=choice[:, 0], score=judged[:, 0], choose_score=choice[:, 1], threshold=self._thresholds(choice),
            f1=judged[:, 1], matthews=judged[:, 2], average_precision=judged[:, 3],
            spearman=np.full(len(self.rows), np.nan), p_value=p_values(pulls, choice[:, 0]),
        )  # fmt: skip

    def _measures_of_graded(self, label: Graded, choice: Array) -> Measures:
        undefined = np.full(len(self.rows), np.nan)
        return Measures(
            polarity=choice[:, 0], score=choice[:, 0] * self._pearson(label), choose_score=choice[:, 1],
            threshold=undefined, f1=undefined, matthews=undefined, average_precision=undefined,
            spearman=choice[:, 0] * self._spearman(label), p_value=p_values(self._covariance(label), choice[:, 0]),
        )  # fmt: skip

    def _pulls(self, label: YesNo, sums: Array) -> Jackknife:
        positive, valid = (
            (self._sizes[:, lane.group, lane.lane], sums[lane]) for lane in (label.positive, label.valid)
        )
        return difference_of_means(positive, valid)

    def _thresholds(self, choice: Array) -> Array:
        """In the neuron's own unit; on the lower side it is the highest value of the bin, not the lowest."""
        bins = choice[:, 2].astype(np.int64)
        upwards = choice[:, 0] > 0
        edges = self.bins.edges((bins + ~upwards)[:, None])[:, 0]
        with np.errstate(over="ignore"):  # below the lowest float
            edges = np.where(upwards, edges, np.nextafter(edges, np.float32(-np.inf)))
        return np.clip(edges, self.summary[:, 2], self.summary[:, 3]).astype(np.float64)

    def _pearson(self, label: Graded) -> Array:
        moments, labels = self._moments.sum(axis=0), self._label_moments.sum(axis=0)
        n = labels[label.mask, label.mask]
        y, y2 = labels[label.column, label.mask], labels[label.column, label.column]
        x, x2, xy = moments[:, label.mask], self._squares[:, label.mask], moments[:, label.column]
        spread = np.sqrt(np.maximum(x2 - x * x / n, 0) * (y2 - y * y / n))
        return _ratio(xy - x * y / n, spread, where=self._varies)

    def kept(self) -> Kept:
        """The candidates of all labels and what was kept of them."""
        self.count()
        positions = np.concatenate([positions for positions, _ in self._kept] or [np.empty(0, np.int64)])
        order = np.argsort(positions)
        bins = np.concatenate([bins for _, bins in self._kept] or [np.empty((0, 0), np.uint8)], axis=1)[:, order]
        ranks = np.take_along_axis(self.bins.ranks[self._candidates], bins.astype(np.int64), axis=1)
        return Kept(self._candidates, positions[order], ranks)

    @property
    def _varies(self) -> Array:
        return self.summary[:, 2] < self.summary[:, 3]

    def _covariance(self, label: Graded) -> Jackknife:
        labels, moments = self._label_moments, self._moments
        return covariance(
            sizes=labels[:, label.mask, label.mask], y=labels[:, label.column, label.mask],
            y2=labels[:, label.column, label.column], x=moments[:, :, label.mask], xy=moments[:, :, label.column],
        )  # fmt: skip

    def _spearman(self, label: Graded) -> Array:
        sums, valid = (
            self._numbers[lane.group, :, :, lane.lane].astype(np.float64) for lane in (label.rank, label.valid)
        )  # (traces, N_BINS)
        n = valid[0].sum()
        mean = sums[0].sum() / n
        squares = self._rank_squares[label.rank.group, label.rank.lane] - n * mean**2
        ranks = (np.cumsum(valid, axis=1) - valid / 2) / n - 0.5  # mid-ranks of the bins, centred
        products = (ranks * (sums - valid * mean)).sum(axis=1)
        spread = np.sqrt((valid * ranks**2).sum(axis=1) * squares)
        return _ratio(products, spread, where=self._varies)


def _ratio(above: Array, below: Array, where: Array) -> Array:
    """above / below, 0 where `where` is False or nothing is below."""
    found: Array = np.divide(above, below, out=np.zeros_like(below), where=where & (below > 0))
    return found
