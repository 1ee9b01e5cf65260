"""What a pass sees of every neuron beside its scores: where it is strongest, and how its values are spread.

Knows positions in the corpus and values; which text stands there is the folder's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from inspector.search import Census, Row

_TOP, _KEPT = 4, 12  # places of each kind, and how many are held until it is known which documents they are from
_SAMPLED = 512  # characters of the scoring part from which quantile and random samples are taken
_QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
_N_RANDOM = 3
_EVERY = 8  # correlations between neurons are taken at every eighth character
_HISTOGRAM = 32  # equal steps of a neuron's own range


class Gatherer:
    """Takes every stretch that a census takes, and gives places and statistics at the end."""

    def __init__(self, rows: Sequence[Row], sampled: np.ndarray) -> None:
        """sampled : (n,) positions of which every row's value is kept, from all over the scoring part."""
        n = len(rows)
        self._rows = rows
        self._sampled = np.sort(sampled)
        self._samples = np.full((n, len(sampled)), np.nan, np.float32)
        self._best = {side: np.full((n, _KEPT), -np.inf, np.float32) for side in (1, -1)}
        self._places = {side: np.full((n, _KEPT), -1, np.int64) for side in (1, -1)}
        self._whole = {
            signal: [i for i, row in enumerate(rows) if row.signal == signal] for signal in ("hidden", "cell")
        }
        self._whole = {signal: members for signal, members in self._whole.items() if members}
        self._products = {signal: np.zeros((len(m), len(m))) for signal, m in self._whole.items()}
        self._sums = {signal: np.zeros(len(m)) for signal, m in self._whole.items()}
        self._n = 0

    def state(self) -> dict[str, np.ndarray]:
        arrays = {"samples": self._samples, "n": np.array(self._n)}
        for name in ("_best", "_places", "_products", "_sums"):
            arrays |= {f"{name}.{key}": array for key, array in getattr(self, name).items()}
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._samples, self._n = arrays["samples"], int(arrays["n"])
        for name in ("_best", "_places", "_products", "_sums"):
            held = getattr(self, name)
            for key in held:
                held[key] = arrays[f"{name}.{key}"]

    def take(self, values: np.ndarray, positions: np.ndarray, *, is_scored: bool) -> None:
        """values (rows, n) of the characters at positions (n,)."""
        for signal, members in self._whole.items():
            some = values[:, ::_EVERY][members]
            self._products[signal] += some @ some.T
            self._sums[signal] += some.sum(axis=1, dtype=np.float64)
        self._n += len(range(0, values.shape[1], _EVERY))
        if not is_scored:
            return
        for side in (1, -1):
            at = values.argmax(axis=1) if side > 0 else values.argmin(axis=1)
            best = side * np.take_along_axis(values, at[:, None], axis=1)[:, 0]
            lowest = self._best[side].argmin(axis=1)
            rows = np.flatnonzero(best > self._best[side].min(axis=1))
            self._best[side][rows, lowest[rows]] = best[rows]
            self._places[side][rows, lowest[rows]] = positions[at[rows]]
        _, here, where = np.intersect1d(positions, self._sampled, return_indices=True)
        self._samples[:, where] = values[:, here]

    def places(self, documents: np.ndarray) -> pd.DataFrame:
        """One row for each place: layer, unit, signal, kind ("top", "bottom", "quantile", "random"), position, value.

        documents : (n,) first position of each document; strongest places come from different ones.
        """
        found = []
        for i, row in enumerate(self._rows):
            for side, kind in ((1, "top"), (-1, "bottom")):
                order = np.argsort(-self._best[side][i])
                order = order[self._places[side][i][order] >= 0]
                places = self._places[side][i][order]
                _, first = np.unique(np.searchsorted(documents, places, side="right"), return_index=True)
                for j in np.sort(first)[:_TOP]:
                    found.append((*row, kind, int(places[j]), side * float(self._best[side][i][order[j]])))
            order = np.argsort(self._samples[i], kind="stable")
            order = order[np.isfinite(self._samples[i][order])]
            picked = [("quantile", order[int(q * (len(order) - 1))]) for q in _QUANTILES if len(order)]
            chance = np.random.default_rng(i).permutation(len(order))[:_N_RANDOM]
            picked += [("random", order[j]) for j in chance]
            found += [(*row, kind, int(self._sampled[j]), float(self._samples[i, j])) for kind, j in picked]
        return pd.DataFrame(found, columns=["layer", "unit", "signal", "kind", "position", "value"])

    def correlations(self) -> dict[str, np.ndarray]:
        """By signal, Pearson's r between all its neurons, int8 in steps of 1/127; 0 beside a constant one."""
        found = {}
        for signal, products in self._products.items():
            means = self._sums[signal] / self._n
            covariance = products / self._n - np.outer(means, means)
            lengths = np.sqrt(np.maximum(np.diag(covariance), 0))
            scale = np.outer(lengths, lengths)
            r = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-12)
            found[signal] = np.rint(127 * np.clip(r, -1, 1)).astype(np.int8)
        return found


def statistics_of(census: Census) -> pd.DataFrame:
    """One row for each neuron and signal: how its values were spread over all text that was counted.

    `low_share`, `high_share`: below .1 and above .9, a gate's saturation. `histogram`: counts in equal steps from
    `lowest` to `highest`, each of the census' bins spread evenly over the steps it reaches; `median` from the same.
    """
    table = pd.DataFrame(census.rows)
    counts, edges = census.histograms(), bin_edges(census)
    histograms, medians = [], []
    for row in range(len(counts)):
        reached = np.interp(
            np.linspace(edges[row, 0], edges[row, -1], _HISTOGRAM + 1), *_stairs(edges[row], counts[row])
        )
        histograms.append(np.diff(reached).round().astype(np.int32))
        places, heights = _stairs(edges[row], counts[row])
        medians.append(float(np.interp(heights[-1] / 2, heights, places)))
    return table.assign(
        mean=census.means.astype(np.float32), std=census.deviations.astype(np.float32),
        lowest=census.summary[:, 2].astype(np.float32), highest=census.summary[:, 3].astype(np.float32),
        median=np.array(medians, np.float32), low_share=(census.summary[:, 4] / census.n_chars).astype(np.float32),
        high_share=(census.summary[:, 5] / census.n_chars).astype(np.float32), histogram=histograms,
    )  # fmt: skip


def bin_edges(census: Census) -> np.ndarray:
    """(traces, bins + 1): where bins begin, within each trace's own range."""
    n, n_bins = census.totals.shape
    inner = census.bins.edges(np.tile(np.arange(1, n_bins), (n, 1)))
    low, high = census.summary[:, 2:3], census.summary[:, 3:4]
    return np.concatenate([low, np.clip(inner, low, high), high], axis=1)


def _stairs(edges: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where, and how many values lie below: for interpolation."""
    return edges, np.concatenate([[0], np.cumsum(counts)])
