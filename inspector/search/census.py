"""One pass over the values: everything a search needs to know about every trace is counted as the characters go by.

    choosing part ──fold──► counts ──turn──► polarity, threshold     scoring part ──fold──► counts ──► measures

Nothing kept here grows with the text, but for the bins of the few best candidates, up to a limit.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.recording import InspectorError, Neuron
from inspector.search.binning import Bins
from inspector.search.chance import Jackknife, covariance, difference_of_means, p_values
from inspector.search.kernels import (
    N_BINS,
    N_LANES,
    N_NUMBERS,
    add_numbers,
    count,
    find_bins,
    judge_choice,
    judge_score,
    summarise,
)
from inspector.search.lanes import EVERYONE, Graded, Lanes, YesNo, aligned

MAX_BLOCKS = 64  # into which the scoring part is cut for the jackknife
N_CANDIDATES = 5  # of each label, whose bins are kept and checked against shifted labels
_KEPT_BYTES = 400_000_000
_GROUP = 64  # traces that one thread takes at a time

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


class Census:
    """Counts for `rows` traces and all labels of `lanes`; every character of one part, `turn`, every one of the other.

    The first values laid before it fix the bins: `calibrate` them, or the first `fold` does.
    """

    def __init__(self, rows: Sequence[Row], lanes: Lanes, *, n_blocks: int, n_candidates: int = N_CANDIDATES) -> None:
        self.rows, self.lanes, self.n_blocks = tuple(rows), lanes, n_blocks
        n, groups, columns = len(rows), len(lanes.groups), lanes.columns.shape[1]
        self._n_candidates = n_candidates
        self._bins: Bins | None = None
        self._choice: dict[str, Array] | None = None  # name -> (traces, 3): polarity, choose_score, bin
        self._candidates = np.empty(0, np.int64)
        self._kept: list[tuple[Array, Array]] = []
        self._counts = np.zeros((groups, n, N_BINS, N_LANES), np.uint32)
        self._sums = np.zeros((n_blocks, groups, n, N_LANES), np.float32)
        self._sizes = np.zeros((n_blocks, groups, N_LANES), np.int64)
        self._numbers = np.zeros((len(lanes.numbers), n, N_BINS, N_NUMBERS), np.int64)
        self._rank_squares = np.zeros((len(lanes.numbers), N_NUMBERS), np.float64)
        self._moments = np.zeros((n_blocks, n, columns), np.float64)
        self._squares = np.zeros((n, columns), np.float64)
        self._label_moments = np.zeros((n_blocks, columns, columns), np.float64)
        self.totals = np.zeros((n, N_BINS), np.int64)  # how often each bin occurred, in both parts
        self.summary = np.tile([0.0, 0.0, np.inf, -np.inf, 0.0, 0.0], (n, 1))  # as `kernels.summarise` has it
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

    def calibrate(self, values: Array) -> None:
        """Lay out the bins from some values (traces, n)."""
        self._check_finite(np.abs(values).max(axis=1))
        self._bins = Bins.of([row.signal for row in self.rows], np.ascontiguousarray(values))
        self._centre = values.mean(axis=1, dtype=np.float64).astype(np.float32)
        varies = values.min(axis=1) < values.max(axis=1)
        scale = np.where(varies, values.std(axis=1, dtype=np.float64), 0)  # squares of small values are 0 in float32
        self._scale = np.where(scale > 0, 1 / np.maximum(scale, 1e-30), 1).astype(np.float32)

    def fold(self, values: Array, positions: Array, *, block: int = 0) -> None:
        """Count values (traces, n), float32, rows contiguous, of the characters at `positions` (n,); all of one part.

        block : which block of the scoring part they belong to; 0 in the choosing part.
        """
        if self._bins is None:
            self.calibrate(values)
        labels = [group.which[positions] for group in self.lanes.groups]
        numbers = [aligned(rows[positions].astype(np.uint32)) for rows in self.lanes.numbers]
        columns = self.lanes.columns[positions]
        for i, (group, which) in enumerate(zip(self.lanes.groups, labels, strict=True)):
            self._sizes[block, i] += np.bincount(which, minlength=len(group.rows)) @ group.rows
        for i, rows in enumerate(numbers):
            self._rank_squares[i] += np.square(rows, dtype=np.float64).sum(axis=0)
        self._label_moments[block] += columns.T.astype(np.float64) @ columns
        slices = [slice(start, start + _GROUP) for start in range(0, len(self.rows), _GROUP)]

        def fold_some(traces: slice) -> None:
            self._fold_traces(traces, values[traces], labels, numbers, columns, block)

        n_threads = min(int(os.environ.get("OMP_NUM_THREADS", "") or os.cpu_count() or 1), len(slices))
        if n_threads == 1:
            for traces in slices:
                fold_some(traces)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(fold_some, slices))
        self.n_chars += len(positions)
        if len(self._candidates) and sum(bins.nbytes for _, bins in self._kept) < _KEPT_BYTES:
            self._keep(values, positions)

    def state(self) -> dict[str, Array]:
        """Everything counted so far, for `restore`."""
        if self._bins is None:
            return {}
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

    def _fold_traces(
        self, traces: slice, values: Array, labels: list[Array], numbers: list[Array], columns: Array, block: int
    ) -> None:
        layout, summary = self.bins.part(traces), self.summary[traces]
        bins, whole = np.empty(values.shape, np.uint8), _whole_rows(values)
        find_bins(whole, layout.kinds, layout.low, layout.steps, layout.lookup, bins)
        for i, (group, which) in enumerate(zip(self.lanes.groups, labels, strict=True)):
            count(bins, which, group.rows, layout.ranks, self._counts[i, traces], self._sums[block, i, traces])
        for i, rows in enumerate(numbers):
            add_numbers(bins, rows, self._numbers[i, traces])
        summarise(whole, values.shape[1], self._centre[traces], summary)
        np.minimum(summary[:, 2], values.min(axis=1), out=summary[:, 2])
        np.maximum(summary[:, 3], values.max(axis=1), out=summary[:, 3])
        if columns.shape[1]:
            off = values - self._centre[traces, None]
            off *= self._scale[traces, None]  # first: squares of what is below 1e-19 would be lost in float32
            self._moments[block, traces] += off @ columns
            off *= off
            masks = self.lanes.masks
            self._squares[traces, masks] += off @ columns[:, masks]

    def _keep(self, values: Array, positions: Array) -> None:
        bins = self.bins.part(self._candidates)
        out = np.empty((len(self._candidates), len(positions)), np.uint8)
        find_bins(values[self._candidates], bins.kinds, bins.low, bins.steps, bins.lookup, out)
        self._kept.append((positions, out))

    def turn(self) -> None:
        """All of the choosing part was counted: fix polarities, thresholds and candidates, and begin to score."""
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
        for start in range(0, len(self.rows), _GROUP):
            traces = slice(start, start + _GROUP)
            turned = np.ascontiguousarray(
                self._counts[:, traces].transpose(0, 3, 1, 2)
            )  # (groups, lanes, traces, bins)
            for name, label in self.lanes.yes_no.items():
                judge(name, turned[label.positive], turned[label.valid], traces, found[name][traces])
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


def _whole_rows(values: Array) -> Array:
    """The same with what lies between the rows: compiled loops know only then that a row is contiguous."""
    if values.flags.c_contiguous:
        return values
    width = values.strides[0] // values.itemsize
    if values.strides[1] != values.itemsize or width < values.shape[1]:
        return np.ascontiguousarray(values)
    return np.lib.stride_tricks.as_strided(values, (len(values), width), writeable=False)


def _ratio(above: Array, below: Array, where: Array) -> Array:
    """above / below, 0 where `where` is False or nothing is below."""
    found: Array = np.divide(above, below, out=np.zeros_like(below), where=where & (below > 0))
    return found
