"""How well traces predict labels: AUROC, average precision and F1 from one sort of each trace, or Pearson's r.

    trace --sort--> ranks --where the positives lie--> AUROC, average precision, F1
                      `--spectrum--> `Chance`

An exam holds the labels of one kind that are valid at the same characters; every trace is measured against all of them.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from inspector.search.chance import Chance, dot

Array = NDArray[Any]


class Measures(NamedTuple):
    polarity: float
    score: float
    choose_score: float
    threshold: float
    f1: float
    average_precision: float
    p_value: float


class Exam(Protocol):
    names: tuple[str, ...]
    metric: str

    def measure(self, trace: Array) -> Array:
        """One trace (n_chars,) -> (labels, len(Measures)) float64."""


class YesNo:
    """AUROC and what else follows from the order of the values; ties count half, by mid-ranks."""

    metric = "auroc"

    def __init__(self, names: tuple[str, ...], choose: Array, score: Array, labels: Array) -> None:
        self.names = names
        self._choose, self._score = choose, score
        self._choose_labels, self._score_labels = labels[:, choose], labels[:, score]
        self._chance = Chance(self._score_labels)

    def measure(self, trace: Array) -> Array:
        chosen, scored = _Sorted.of(trace[self._choose]), _Sorted.of(trace[self._score])
        rows = []
        for choose_label, score_label in zip(self._choose_labels, self._score_labels, strict=True):
            choose_curve, score_curve = _Curve.of(chosen, choose_label), _Curve.of(scored, score_label)
            choose_auroc = choose_curve.auroc()
            polarity = 1 if choose_auroc >= 0.5 else -1
            threshold = choose_curve.best_threshold(polarity)
            rows.append(
                Measures(
                    polarity=polarity,
                    score=0.5 + polarity * (score_curve.auroc() - 0.5),
                    choose_score=0.5 + polarity * (choose_auroc - 0.5),
                    threshold=threshold,
                    f1=score_curve.f1(threshold, polarity),
                    average_precision=score_curve.average_precision(polarity),
                    p_value=math.nan,
                )
            )
        measures = np.array(rows)
        measures[:, -1] = self._chance.p_values(scored.ranks(), measures[:, 0])
        return measures


class Graded:
    """Pearson's r; threshold, F1 and average precision do not exist."""

    metric = "correlation"

    def __init__(self, names: tuple[str, ...], choose: Array, score: Array, labels: Array) -> None:
        self.names = names
        self._choose, self._score = choose, score
        self._choose_labels, self._score_labels = _standardised(labels[:, choose]), _standardised(labels[:, score])
        self._chance = Chance(self._score_labels)

    def measure(self, trace: Array) -> Array:
        chosen, scored = _standardised(trace[self._choose]), _standardised(trace[self._score])
        choose_r, score_r = dot(self._choose_labels, chosen), dot(self._score_labels, scored)
        polarity = np.where(choose_r >= 0, 1.0, -1.0)
        undefined = np.full(len(self.names), math.nan)
        p_values = self._chance.p_values(scored, polarity)
        return np.stack(
            [polarity, polarity * score_r, np.abs(choose_r), undefined, undefined, undefined, p_values], axis=1
        )


def _standardised(values: Array) -> Array:
    """Centre and scale to length one along the last axis, in float64; what is constant becomes exactly 0."""
    wide = values.astype(np.float64)
    wide -= wide.mean(axis=-1, keepdims=True)
    length = np.sqrt((wide**2).sum(axis=-1, keepdims=True))
    constant = values.min(axis=-1, keepdims=True) == values.max(axis=-1, keepdims=True)
    return np.where(constant, 0.0, wide / np.where(constant, 1.0, length))


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Values of one part in ascending order, done once for all labels."""

    order: Array  # (n,) positions in the part
    values: Array  # (n,)
    first: Array  # (n,) where the values equal to this one begin in the order, and
    last: Array  # (n,) where they end: the mean of both is the mid-rank

    @classmethod
    def of(cls, values: Array) -> "_Sorted":
        order = _argsort(values)
        ascending = values[order]
        return cls(order, ascending, *_tie_bounds(ascending))

    def ranks(self) -> Array:
        """Mid-ranks in the order of the text, centred on 0, scaled to about -1..1; float32."""
        ranks = np.empty(self.order.size, dtype=np.float32)
        ranks[self.order] = (self.first + self.last - (self.order.size - 1)) / np.float32(self.order.size)
        return ranks


def _argsort(values: Array) -> Array:
    """Order of float32 values. Value and position are packed into one int64, whose sort is faster than an argsort."""
    bits = (values.astype(np.float32, copy=False) + np.float32(0)).view(np.int32)  # + 0: -0.0 becomes 0.0
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)  # negative floats sort backwards as integers
    keys <<= 32
    keys |= np.arange(values.size)
    keys.sort()
    return keys & 0xFFFFFFFF


def _tie_bounds(ascending: Array) -> tuple[Array, Array]:
    """For each of ascending values, where the values equal to it begin and where they end; int32."""
    tied = ascending[1:] == ascending[:-1]
    first = np.arange(ascending.size, dtype=np.int32)
    last = first.copy()
    first[1:][tied] = 0
    last[:-1][tied] = ascending.size
    np.maximum.accumulate(first, out=first)
    np.minimum.accumulate(last[::-1], out=last[::-1])
    return first, last


@dataclass(frozen=True, slots=True)
class _Curve:
    """How the positives of one label lie in the order of one trace; every score is read off here."""

    values: _Sorted
    places: Array  # (positives,) where they are in the order, ascending

    @classmethod
    def of(cls, values: _Sorted, label: Array) -> "_Curve":
        return cls(values, np.flatnonzero(label[values.order]))

    def auroc(self) -> float:
        """Share of (positive, negative) pairs in which the positive has the higher value: Mann and Whitney's U."""
        n_positive = self.places.size
        n_negative = self.values.order.size - n_positive
        first, last = self.values.first[self.places], self.values.last[self.places]
        doubled_ranks = int(first.sum(dtype=np.int64) + last.sum(dtype=np.int64))
        return (doubled_ranks - n_positive * (n_positive - 1)) / (2 * n_positive * n_negative)

    def found(self, polarity: int) -> tuple[Array, Array]:
        """(true positives, yeses in all) with the threshold at each positive's value, in ascending order of values."""
        first = self.values.first[self.places]
        first_positive, last_positive = _tie_bounds(first)
        if polarity > 0:
            return self.places.size - first_positive, self.values.order.size - first
        return last_positive + 1, self.values.last[self.places] + 1

    def best_threshold(self, polarity: int) -> float:
        """The value of best F1, the lowest of equals. It is always some positive's: others only add false yeses."""
        true_positives, yeses = self.found(polarity)
        best = int(np.argmax(true_positives / (yeses + self.places.size)))  # half of F1
        return float(self.values.values[self.places[best]])

    def f1(self, threshold: float, polarity: int) -> float:
        values = self.values.values
        if polarity > 0:
            first = np.searchsorted(values, threshold, side="left")
            true_positives, yeses = self.places.size - np.searchsorted(self.places, first), values.size - first
        else:
            yeses = np.searchsorted(values, threshold, side="right")
            true_positives = np.searchsorted(self.places, yeses)
        return float(2 * true_positives / (yeses + self.places.size))

    def average_precision(self, polarity: int) -> float:
        """Precision at each positive, averaged: what the steps of recall are weighted with, ties taken together."""
        true_positives, yeses = self.found(polarity)
        return float((true_positives / yeses).mean())
