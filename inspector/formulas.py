"""Formulas of at most three concepts, and how well one of them says when a trace is on. Arrays in, numbers out.

    a term     digit, NOT digit, indentation >= 8, indentation < 8
    a formula  (digit OR word_start) AND indentation >= 8

Formulas grow by beam search: AND or OR with each term. A formula is judged by its histogram, that of the trace's values
where it holds: every threshold falls out of it. Histograms of a formula with all terms at once are one pass over the
characters where it holds. A graded concept enters by a few thresholds, of which "at least" and "less" are terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.compiled import compiled
from inspector.recording import InspectorError

LEAST_POSITIVE = 50  # characters of the choosing part for which a formula has to hold, and not to hold
GAIN = 0.01  # of correlation that one more term has to bring
N_THRESHOLDS = 6  # of a graded concept, with as many characters between two of them
_BEAM = 4  # a formula whose first two terms say little without the third is missed
_LONGEST = 3
_OPERATORS = ("AND", "AND", "OR", "OR")  # every second one with the term denied

Array = NDArray[Any]


class Term(NamedTuple):
    """A yes/no concept, or a graded one from a threshold on."""

    concept: str
    least: float | None = None

    def words(self, *, is_denied: bool = False) -> str:
        if self.least is None:
            return f"NOT {self.concept}" if is_denied else self.concept
        return f"{self.concept} {'<' if is_denied else '>='} {self.least:g}"

    def holds(self, labels: Mapping[str, Array]) -> Array:
        """Where it holds, bool (n_chars,); a graded label that is nan holds nowhere."""
        label = labels[self.concept]
        return label if self.least is None else label >= self.least


class Formula(NamedTuple):
    """A first term, and what is joined to it one after the other: (operator, term)."""

    first: int
    joined: tuple[tuple[int, int], ...] = ()

    @property
    def n_terms(self) -> int:
        return 1 + len(self.joined)

    def words(self, terms: Sequence[Term]) -> str:
        said = terms[self.first].words()
        for place, (operator, term) in enumerate(self.joined):
            left = f"({said})" if place else said
            said = f"{left} {_OPERATORS[operator]} {terms[term].words(is_denied=bool(operator % 2))}"
        return said

    def holds(self, terms: Sequence[Term], labels: Mapping[str, Array]) -> Array:
        """Where it holds, bool (n_chars,)."""
        held = terms[self.first].holds(labels)
        for operator, place in self.joined:
            other = terms[place].holds(labels)
            other = ~other if operator % 2 else other
            held = held & other if operator < 2 else held | other
        return held


class Found(NamedTuple):
    """A formula and when the trace is on: from bin `cut` on for polarity +1, below it for -1."""

    formula: Formula
    score: float  # Matthews' correlation where it was found
    cut: int
    polarity: int


class Vocabulary:
    """All terms that formulas over these labels are made of, and which of them hold at each character.

    labels : name -> bool (n_chars,), or float for a graded concept, nan where nobody can tell.
    """

    def __init__(self, labels: Mapping[str, Array]) -> None:
        self.labels = labels
        self.terms: list[Term] = []
        self._ladders: list[tuple[int, int]] = []  # first and last + 1 of a graded concept's terms, rising
        places: list[Array] = []  # of each concept, the highest of its terms that holds at each character; -1: none
        for name, label in labels.items():
            first = len(self.terms)
            if label.dtype == np.bool_:
                if label.any() and not label.all():
                    self.terms.append(Term(name))
                    places.append(np.where(label, first, -1))
                continue
            steps = _thresholds(label)
            self.terms += [Term(name, step) for step in steps.tolist()]
            self._ladders.append((first, len(self.terms)))
            reached = np.searchsorted(steps, np.where(np.isnan(label), -np.inf, label), side="right") - 1
            places.append(np.where(reached >= 0, first + reached, -1))
        if not self.terms:
            raise InspectorError("No label varies in this text: there is nothing to make formulas of.")
        table = np.stack(places, axis=1).astype(np.int16)
        self._held = table[table >= 0]  # of all characters, one after the other
        self._begins = np.append(0, np.cumsum((table >= 0).sum(axis=1)))

    def histograms(self, bins: Array, n_bins: int, held: Array | None = None) -> Array:
        """Histogram of a trace where each term holds, float32 (n_terms, n_bins); of these where `held`, if given."""
        at = np.arange(len(bins)) if held is None else np.flatnonzero(held)
        counts = np.zeros((len(self.terms), n_bins), np.int32)
        _count(at, self._begins, self._held, bins, counts)
        for first, stop in self._ladders:  # a threshold is reached where a higher one is
            counts[first:stop] = np.cumsum(counts[first:stop][::-1], axis=0)[::-1]
        return counts.astype(np.float32)

    def search(self, bins: Array, n_bins: int) -> Found | None:
        """The best formula for a trace in bins; None where no term varies enough or the trace is constant."""
        singles = self.histograms(bins, n_bins)  # (terms, bins)
        every = np.bincount(bins, minlength=n_bins).astype(np.float32)
        scores, cuts, signs = _judged(singles, every)
        order = _best(scores, singles, every)
        if scores[order[0]] <= 0:
            return None
        beam = [(Formula(place), singles[place]) for place in order.tolist()]
        best = _found(beam[0][0], order[0], scores, cuts, signs)
        n_grown = len(_OPERATORS) * len(self.terms)
        for _ in range(1, _LONGEST):
            grown = np.concatenate([self._grown(formula, alone, singles, every, bins) for formula, alone in beam])
            scores, cuts, signs = _judged(grown, every)
            order = _best(scores, grown, every)
            places = [(beam[at // n_grown][0], *divmod(at % n_grown, len(self.terms)), at) for at in order.tolist()]
            beam = [
                (Formula(formula.first, (*formula.joined, (operator, term))), grown[at])
                for formula, operator, term, at in places
            ]
            if scores[order[0]] < best.score + GAIN:
                break
            best = _found(beam[0][0], order[0], scores, cuts, signs)
        return best

    def _grown(self, formula: Formula, alone: Array, singles: Array, every: Array, bins: Array) -> Array:
        """Histograms (4 x terms, bins) of a formula with each operator and term, in the order of `_OPERATORS`."""
        both = self.histograms(bins, every.size, formula.holds(self.terms, self.labels))
        return np.concatenate([both, alone - both, alone + singles - both, every - singles + both])


def _thresholds(label: Array) -> Array:
    """A few values of a graded label above its lowest, rising: as many characters lie between one and the next."""
    known = label[np.isfinite(label)]
    higher = known[known > known.min()] if known.size else known
    shares = np.arange(N_THRESHOLDS) / N_THRESHOLDS
    return np.unique(np.quantile(higher, shares, method="higher")) if higher.size else higher


@compiled
def _count(at: Array, begins: Array, held: Array, bins: Array, counts: Array) -> None:
    """counts[term, bin] += 1 for every character in `at` and each of the terms written down for it."""
    for t in at:
        where = bins[t]
        for place in range(begins[t], begins[t + 1]):
            counts[held[place], where] += 1


def _found(formula: Formula, at: int, scores: Array, cuts: Array, signs: Array) -> Found:
    return Found(formula, float(scores[at]), int(cuts[at]), int(signs[at]))


def _best(scores: Array, inside: Array, every: Array) -> Array:
    """Places of the best; a formula and its opposite score the same, and the one that holds less often says more."""
    is_most = inside.sum(axis=1) > every.sum() / 2
    order: Array = np.argsort(1e-4 * is_most - scores, kind="stable")[:_BEAM]
    return order


def _judged(inside: Array, every: Array) -> tuple[Array, Array, Array]:
    """What `_judge` says: scores, cuts and signs, each (formulas,)."""
    n = len(inside)
    said = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
    _judge(inside.astype(np.float64), every.astype(np.float64), *said)
    return said


@compiled
def matthews(hits: float, n_on: float, n_holds: float, n: float) -> float:
    """Matthews' correlation of two properties from how often both and each of them occur; 0 where one is constant.

    Matthews 1975, Biochimica et Biophysica Acta 405. It is Pearson's correlation of two yes/no variables.
    """
    on, held = n_on / n, n_holds / n
    spread = math.sqrt(max(on * (1 - on) * held * (1 - held), 0.0))
    return (hits / n - on * held) / spread if spread > 1e-9 else 0.0


@compiled
def _judge(inside: Array, every: Array, scores: Array, cuts: Array, signs: Array) -> None:
    """For histograms (formulas, bins) the best |Matthews|, the bin from which on it is, and the sign there."""
    n_bins, n = every.size, every.sum()
    for row in range(len(inside)):
        n_holds = inside[row].sum()
        scores[row], cuts[row], signs[row] = 0.0, 1, 1
        if n_holds < LEAST_POSITIVE or n - n_holds < LEAST_POSITIVE:
            continue
        hits = n_on = 0.0
        for cut in range(n_bins - 1, 0, -1):
            hits += inside[row, cut]
            n_on += every[cut]
            score = matthews(hits, n_on, n_holds, n)
            if abs(score) >= scores[row] and score != 0:
                scores[row], cuts[row], signs[row] = abs(score), cut, 1 if score > 0 else -1
