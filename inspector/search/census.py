"""One pass over the values: everything a search needs to know about every trace is counted as the characters go by.

    choosing part ──fold──► counts ──turn──► polarity, threshold     scoring part ──fold──► counts ──► measures

Nothing kept here grows with the text, but for values and bins of the few best candidates, up to a limit. Where labels
are rare, the lowest and the highest values of every trace are kept too.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.recording import InspectorError, Neuron
from inspector.search.binning import Bins
from inspector.search.candidates import Candidates, Kept
from inspector.search.counting import N_BINS, N_LANES, add_numbers, count
from inspector.search.extremes import RARE, Extremes
from inspector.search.judging import Choice, Counts, Measures, choose, measure
from inspector.search.kernels import by_character, centre_on, line_up, take_in
from inspector.search.lanes import Lanes, aligned_copy
from inspector.search.threads import each, slices

MAX_BLOCKS = 64  # into which the scoring part is cut for the jackknife
N_CANDIDATES = 5  # of each label, whose values are kept: scored exactly, and checked against shifted labels
_GROUP = 64  # traces that one thread counts at a time
_COPIED = 16  # and copies: as many of their values side by side as lie in one line of the cache
_TAKEN = 256  # and takes in,
_TURNED = 64  # so many of them at once: to find the page that a character's values are on takes as long as to read them
CAPACITY = 2**15  # characters whose bins wait to be counted together: the counts of a trace are fetched once for them
_AT_ONCE = 4096  # characters that are taken in together: threads that are woken for less are not worth it. The first
# of them lay out the bins, where `calibrate` was not asked for others
_AT_ONCE_BYTES = 2**28  # and no more than so many bytes of values wait
_PADDING = 64  # bytes behind each row of bins: rows a power of two apart would push each other out of the cache

_WHOLE = ("_centre", "_scale", "totals", "summary")  # what is counted is of one part, or of both

Array = NDArray[Any]


class Row(NamedTuple):
    """Which trace: a neuron's signal."""

    layer: int
    unit: int
    signal: str


class _Folded(NamedTuple):
    """Characters that were folded together."""

    values: Sequence[Array]  # each (some of the traces, any n)
    places: Array  # (n,) which of the values are meant; blocks lie in one piece
    positions: Array  # (n,) in the text
    blocks: Array  # (n,)


class Census:
    """Counts for `rows` traces and all labels of `lanes`; every character of one part, `turn`, every one of the other.

    What is folded waits until there is enough of it: then values are put into bins, and bins are counted. The first
    values fix the bins: `calibrate` them, or those that are folded first do.
    """

    def __init__(self, rows: Sequence[Row], lanes: Lanes, *, n_blocks: int, n_candidates: int = N_CANDIDATES) -> None:
        self.rows, self.lanes, self.n_blocks = tuple(rows), lanes, n_blocks
        n = len(rows)
        self._n_candidates = n_candidates
        self._bins: Bins | None = None
        self._choice: Choice | None = None  # what the choosing part said
        self._candidates = Candidates({})
        self._extremes = Extremes((), np.zeros((n, N_BINS)))
        self._folded: list[_Folded] = []  # to be taken in
        self._waiting: list[tuple[Array, Array]] = []  # positions and blocks, to be counted; their bins are in
        self._room = np.empty((n, CAPACITY + _PADDING), np.uint8)[:, :CAPACITY]
        self._counts = Counts.zeros(n, lanes, n_blocks)  # of this part
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
        counts: Array = self.totals + self._counts.of_everyone
        return counts

    def calibrate(self, *stretches: Sequence[Array]) -> None:
        """Lay out the bins from the values of some stretches, each as `fold` takes them."""
        self._calibrate([(values, np.arange(values[0].shape[1])) for values in stretches])

    def _calibrate(self, stretches: Sequence[tuple[Sequence[Array], Array]]) -> None:
        """From some values and the places of those that are meant."""
        n, widths = len(self.rows), np.cumsum([0, *map(len, stretches[0][0])])
        n_chars = sum(len(places) for _, places in stretches)
        bins, centre, scale, ends = Bins.empty(n), np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n)

        def lay_out(task: tuple[int, slice]) -> None:
            part, traces = task
            within = slice(traces.start - widths[part], traces.stop - widths[part])
            values = np.empty((traces.stop - traces.start, n_chars), np.float32)
            _line_up_all(stretches, part, within, values)
            ends[traces] = values.min(axis=1) + values.max(axis=1)
            if np.isfinite(ends[traces]).all():
                bins.lay_out(traces, [row.signal for row in self.rows[traces]], values)
                centre_on(values, centre[traces], scale[traces])

        each(lay_out, _tasks(widths, _TURNED))
        self._check_finite(ends)
        self._bins, self._centre, self._scale = bins, centre, scale

    def fold(self, values: Sequence[Array], positions: Array, *, blocks: Array | None = None) -> None:
        """Take in the values of the characters at `positions` (n,); all of one part.

        values : float32 arrays (traces, n) of any strides, which together have the rows of this census in their order.
        blocks : (n,) to which block of the scoring part each belongs; None: all to the first, as in the choosing part.
        """
        if blocks is None:
            blocks = np.zeros(len(positions), np.int64)
        order = np.argsort(blocks, kind="stable")
        for some in slices(0, len(positions), CAPACITY):
            places = order[some]
            self._folded.append(_Folded(values, places, positions[places], blocks[places]))
        n_bytes = sum(part.shape[0] * 4 * len(folded.places) for folded in self._folded for part in folded.values)
        if sum(len(folded.positions) for folded in self._folded) >= _AT_ONCE or n_bytes >= _AT_ONCE_BYTES:
            self._take_in()

    def count(self) -> None:
        """Count all that was folded; nothing waits then."""
        self._take_in()
        self._count_waiting()

    def _count_waiting(self) -> None:
        """Count what was put into bins."""
        if not self._waiting:
            return
        counts, positions = self._counts, np.concatenate([positions for positions, _ in self._waiting])
        blocks = np.concatenate([blocks for _, blocks in self._waiting])
        places = np.argsort(blocks, kind="stable")
        blocks, cuts = _pieces(blocks[places])
        labels = [(group.which[positions[places]], group.rows) for group in self.lanes.groups]
        numbers = [aligned_copy(rows[positions]) for rows in self.lanes.numbers] if self.has_turned else []
        for i, (which, rows) in enumerate(labels):
            for block, begin, end in zip(blocks, cuts, cuts[1:], strict=False):
                counts.sizes[block, i] += np.bincount(which[begin:end], minlength=len(rows)) @ rows
        for i, of_labels in enumerate(numbers):
            counts.rank_sums[i] += of_labels.sum(axis=0, dtype=np.float64)
            counts.rank_squares[i] += np.square(of_labels, dtype=np.float64).sum(axis=0)

        def count_some(traces: slice) -> None:
            bins, ranks = self._room[traces, : len(positions)], self.bins.ranks[traces]
            for i, (which, rows) in enumerate(labels):
                sums = np.zeros((len(blocks), len(bins), N_LANES), np.float32)
                count(bins, places, which, rows, ranks, cuts, counts.bins[i, traces], sums)
                for block, of_block in zip(blocks, sums, strict=True):
                    counts.sums[block, i, :, traces] += of_block.T
            for i, of_labels in enumerate(numbers):
                add_numbers(bins, of_labels, counts.numbers[i, traces])

        each(count_some, slices(0, len(self.rows), _GROUP))
        self._candidates.take_bins(self._room[:, : len(positions)], positions)
        self._waiting = []

    def state(self) -> dict[str, Array]:
        """Everything counted so far, for `restore`; nothing while there is too little to lay out the bins by."""
        if self._bins is None:
            return {}
        self.count()
        arrays = {name: getattr(self, name) for name in _WHOLE}
        arrays |= {f"counts.{name}": array for name, array in self._counts.arrays().items()}
        arrays |= {f"bins.{field.name}": getattr(self._bins, field.name) for field in fields(Bins)}
        arrays |= {f"choice.{name}": chosen for name, chosen in (self._choice or {}).items()}
        arrays |= {f"kept.{name}": array for name, array in self._candidates.state().items()}
        arrays |= {f"far.{name}": array for name, array in self._extremes.state().items()}
        return arrays | {"n_chars": np.array(self.n_chars)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """Go on from what `state` of a census of the same rows and labels gave."""
        for name in _WHOLE:
            setattr(self, name, arrays[name])
        self._counts = Counts(*(arrays[f"counts.{field.name}"] for field in fields(Counts)))
        self._bins = Bins(*(arrays[f"bins.{field.name}"] for field in fields(Bins)))
        choice, kept, far = (
            {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(prefix)}
            for prefix in ("choice.", "kept.", "far.")
        )
        self._choice = choice or None
        self._candidates = Candidates(self._best())
        self._candidates.restore(kept)
        self._extremes.restore(far)
        self.n_chars = int(arrays["n_chars"])

    def _take_in(self) -> None:
        """Put all values that were folded into bins and add up their moments."""
        folded, self._folded = self._folded, []
        if folded and self._bins is None:
            self._calibrate([(some.values, some.places) for some in folded])
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
        positions = np.concatenate([some.positions for some in folded])
        blocks, cuts = _pieces(np.concatenate([some.blocks for some in folded]))
        columns, masks = self.lanes.columns.take(positions, axis=1), self.lanes.masks
        for block, begins, ends in zip(blocks, cuts, cuts[1:], strict=False):
            mine = columns[:, begins:ends].astype(np.float64)
            self._counts.label_moments[block] += mine @ mine.T
        beside = (by_character(columns), len(columns), masks, columns[masks], cuts, blocks)
        stretches = [(some.values, some.places) for some in folded]
        widths = np.cumsum([0, *map(len, folded[0].values)])
        kept, candidates = self._candidates.room_for(len(positions)), self._candidates.traces

        def take(task: tuple[int, slice]) -> None:
            part, traces = task
            room = np.empty((_TURNED, len(positions) // 32 * 32 + 48), np.float32)  # rows an odd number of lines apart
            for some in slices(traces.start, traces.stop, _TURNED):
                within = slice(some.start - widths[part], some.stop - widths[part])
                values = room[: some.stop - some.start]
                _line_up_all(stretches, part, within, values)
                if kept is not None:  # here: what takes them in uses them up
                    mine = slice(*np.searchsorted(candidates, [some.start, some.stop]))
                    kept[mine] = values[candidates[mine] - some.start, : len(positions)]
                layout = self.bins.part(some)
                take_in(
                    values, positions, layout.kinds, layout.low, layout.steps, layout.lookup,
                    self._centre[some], self._scale[some], *beside, self._room[some, begin : begin + len(positions)],
                    self.summary[some], self._counts.moments[:, some], self._counts.squares[some],
                    self._extremes.of(some),
                )  # fmt: skip

        each(take, _tasks(widths, _TAKEN))
        self._waiting += [(some.positions, some.blocks) for some in folded]
        self.n_chars += sum(len(some.positions) for some in folded)

    def turn(self) -> None:
        """All of the choosing part was folded: fix polarities, thresholds and candidates, and begin to score."""
        self.count()
        self._check_finite(self.summary[:, 1])
        self._choice = choose(self._counts, self.lanes, self.summary[:, 2] < self.summary[:, 3])
        self._candidates = Candidates(self._best())
        rare = [name for name, label in self.lanes.yes_no.items() if self._counts.n_positive(label) <= RARE]
        self._extremes = Extremes(rare, self._counts.of_everyone)
        self._counts.begin_anew(self.totals)

    def _best(self) -> dict[str, Array]:
        """The candidates of each label, best first; none before the turn."""
        choice = self._choice or {}
        return {name: np.argsort(-chosen[:, 1], kind="stable")[: self._n_candidates] for name, chosen in choice.items()}

    def _check_finite(self, sums: Array) -> None:
        broken = np.flatnonzero(~np.isfinite(sums))
        if broken.size:
            row = self.rows[broken[0]]
            raise InspectorError(
                f"The {row.signal} of neuron {Neuron(row.layer, row.unit)} is nan or infinite at some characters and "
                "cannot be ranked: its network or the recording is broken; check both."
            )

    def prevalence(self, name: str) -> float:
        """Share of the scored characters that have a label; nan for a graded one."""
        label = self.lanes.yes_no.get(name)
        return math.nan if label is None else self._counts.prevalence(label)

    def measures(self) -> dict[str, Measures]:
        """What the scoring part says about each label; of its candidates, what their values say."""
        if self._choice is None:
            raise ValueError("turn to the scoring part first")
        self.count()
        self._check_finite(self.summary[:, 1])
        heads = self._extremes.heads(self.lanes, {name: chosen[:, 0] for name, chosen in self._choice.items()})
        measured = measure(self._counts, self.lanes, self._choice, self.bins, self.summary[:, 2:4], heads)
        self._candidates.sharpen(measured, self.lanes)
        return measured

    def kept(self) -> Kept:
        """The candidates of all labels and what was kept of them."""
        self.count()
        return self._candidates.kept(self.bins.ranks)


def _pieces(blocks: Array) -> tuple[Array, Array]:
    """Of blocks (n,), each in one piece: (pieces,) which they are, (pieces + 1,) where they begin, and n."""
    cuts = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1))
    return blocks[cuts[:-1]], cuts


def side_by_side(stretches: Sequence[Sequence[Array]]) -> Array:
    """The values of stretches, each as `Census.fold` takes them, as one array float32 (traces, n)."""
    widths = np.cumsum([0, *map(len, stretches[0])])
    placed = [(values, np.arange(values[0].shape[1])) for values in stretches]
    whole = np.empty((widths[-1], sum(len(places) for _, places in placed)), np.float32)

    def copy(task: tuple[int, slice]) -> None:
        part, traces = task
        within = slice(traces.start - widths[part], traces.stop - widths[part])
        _line_up_all(placed, part, within, whole[traces])

    each(copy, _tasks(widths, _COPIED))
    return whole


def _line_up_all(stretches: Sequence[tuple[Sequence[Array], Array]], part: int, within: slice, out: Array) -> None:
    """Some traces of one of the arrays of all stretches, each with the places that are meant, beside each other."""
    stop = 0
    for values, places in stretches:
        start, stop = stop, stop + len(places)
        line_up(values[part][within], places, out[:, start:stop])


def _tasks(widths: Array, size: int) -> list[tuple[int, slice]]:
    """So many traces at a time of each array: which array, and which of all traces. widths : where each begins."""
    return [(part, traces) for part, ends in enumerate(itertools.pairwise(widths)) for traces in slices(*ends, size)]
