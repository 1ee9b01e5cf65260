"""One neuron or many: how well a label can be read off the best k traces together.

    score(k) = held-out AUROC (or correlation) of  w . (values of k neurons) + b

Neurons are added one at a time, each the one that explains most of what the others leave (orthogonal least squares),
on the choosing part; their weights are fitted there too, by logistic regression for a yes/no label and least squares
for a graded one. The scoring part says what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.recording import Neuron, Recording
from inspector.search.parts import checked, parts_of
from inspector.search.ranking import rank_neurons
from inspector.search.scores import correlation

MOST_NEURONS = 16
CANDIDATES = 64  # neurons with the best single scores; only these are added
_FITTED = 50_000  # characters of the choosing part that neurons and weights are fitted on
_LEAST = 200  # of them that have a yes/no label, and that have it not, where there are as many
_RIDGE = 1e-3  # of a standardised trace's variance: keeps weights finite where a label is parted exactly
_NEWTON_STEPS = 12

Array = NDArray[Any]


def best_codes(
    recording: Recording,
    label: Array,
    *,
    signals: Sequence[str] = ("hidden", "cell"),
    valid: Array | None = None,
    choose: Array | None = None,
    most: int = MOST_NEURONS,
    ranking: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """How well the best 1, 2, ... neurons together predict a label on text held out from the choice.

    >>> best_codes(recording, CONCEPTS["inside_string"].label(recording.text, language="python"))

    label, signals, valid, choose : as for `rank_neurons`. most : the largest k.
    ranking : the table of `rank_neurons` for the same label and parts; None makes it.

    Returns a DataFrame, one row for each k from 1: `k`; `neurons`, a tuple of (Neuron, signal) in the order in which
    they were added; `metric`; `score` on the scoring part, AUROC (0.5 knows nothing) or Pearson's r (0), with the sign
    that the choosing part fixed; `choose_score`, the same measure on the characters it was fitted on. It ends before
    `most` where no other candidate adds anything. Only the `CANDIDATES` best single neurons are considered,
    each by its best signal.

    Raises InspectorError as `rank_neurons` does.
    """
    parts = parts_of(recording, choose)
    label, valid = checked(label, valid, parts)
    if ranking is None:
        ranking = rank_neurons(recording, label, signals=signals, valid=valid, choose=choose)
    names = candidates_of(ranking)
    fitted, scored = np.flatnonzero(parts.choose & valid), np.flatnonzero(parts.score & valid)
    fitted = _thinned(fitted, label)
    at = np.concatenate([fitted, scored])
    traces = np.stack([recording.trace(neuron, signal)[at] for neuron, signal in names])  # (candidates, n)
    mean = traces[:, : fitted.size].mean(axis=1, dtype=np.float64, keepdims=True)
    spread = traces[:, : fitted.size].std(axis=1, dtype=np.float64, keepdims=True)
    values = ((traces - mean) / np.where(spread > 0, spread, 1)).astype(np.float32)
    there, wanted = values[:, : fitted.size], label[fitted].astype(np.float64)
    fit, measure = (_logistic, auroc) if label.dtype == bool else (_least_squares, _correlation)
    rows = []
    order = _added(there, wanted, most)
    for k in range(1, len(order) + 1):
        members = order[:k]
        weights = fit(there[members], wanted)
        scores = [measure(weights @ values[members][:, part], label[at[part]])
                  for part in (slice(0, fitted.size), slice(fitted.size, None))]  # fmt: skip
        rows.append((k, tuple(names[i] for i in members), *scores))
    table = pd.DataFrame(rows, columns=["k", "neurons", "choose_score", "score"])
    return table.assign(metric="auroc" if label.dtype == bool else "correlation")[
        ["k", "neurons", "metric", "score", "choose_score"]
    ]


def candidates_of(ranking: pd.DataFrame) -> list[tuple[Neuron, str]]:
    """Whom `best_codes` considers, best first: each neuron by that signal of it that says most."""
    best = ranking.drop_duplicates(["layer", "unit"]).head(CANDIDATES)
    return [(Neuron(int(row.layer), int(row.unit)), str(row.signal)) for row in best.itertuples()]


def _thinned(fitted: Array, label: Array) -> Array:
    """About `_FITTED` of these characters, evenly; of a side of a yes/no label that would hardly be there, all."""
    found = fitted[:: -(-fitted.size // _FITTED)]
    for side in (False, True):
        if label.dtype == bool and (label[found] == side).sum() < _LEAST:
            found = np.union1d(found, fitted[label[fitted] == side])
    return found


def auroc(values: Array, label: Array) -> float:
    """Area under the ROC curve of values (n,) for a bool label (n,); ties count half."""
    distinct, place = np.unique(values, return_inverse=True)
    counts = np.stack([np.bincount(place[label == side], minlength=distinct.size) for side in (False, True)])
    below = np.cumsum(counts[0]) - counts[0] / 2
    return float((counts[1] * below).sum() / (counts[0].sum() * counts[1].sum()))


def _correlation(values: Array, label: Array) -> float:
    return correlation(values, label, np.ones(label.shape, bool))


def _added(values: Array, wanted: Array, most: int) -> list[int]:
    """Rows of values (candidates, n) in the order in which they explain most of what is left of wanted (n,)."""
    left = (wanted - wanted.mean()).astype(np.float32)
    rest = values - values.mean(axis=1, keepdims=True)
    start = np.maximum((rest * rest).sum(axis=1), 1e-12)
    added: list[int] = []
    for _ in range(min(most, len(values))):
        sizes = (rest * rest).sum(axis=1)
        is_new = sizes > 1e-4 * start  # the others already say nearly all of it
        gain = np.divide((rest @ left) ** 2, sizes, out=np.zeros_like(sizes), where=is_new)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        added.append(best)
        direction = rest[best] / np.sqrt(sizes[best])
        left = left - (direction @ left) * direction
        rest = rest - np.outer(rest @ direction, direction)
    return added


def _least_squares(values: Array, wanted: Array) -> Array:
    """Weights (k,) of standardised values (k, n)."""
    products = (values @ values.T).astype(np.float64)
    ridge = _RIDGE * wanted.size * np.eye(len(values))
    found: Array = np.linalg.solve(products + ridge, values @ (wanted - wanted.mean()))
    return found


def _logistic(values: Array, wanted: Array) -> Array:
    """Weights (k,) of logistic regression by Newton's method, with a small ridge."""
    inputs = np.concatenate([values.astype(np.float64), np.ones((1, wanted.size))])
    ridge = _RIDGE * np.append(np.ones(len(values)), 0.0)
    share = wanted.mean()
    weights = np.append(np.zeros(len(values)), np.log(share / (1 - share)))
    for _ in range(_NEWTON_STEPS):
        expected = 1 / (1 + np.exp(-np.clip(weights @ inputs, -30, 30)))
        slope = inputs @ (wanted - expected) / wanted.size - ridge * weights
        bend = (inputs * (expected * (1 - expected))) @ inputs.T / wanted.size + np.diag(ridge + 1e-9)
        step = np.linalg.solve(bend, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-4:
            break
    return weights[:-1]
