"""What a pass sees of every neuron beside its scores: where it is strongest, and how its values are spread.

Knows positions in the corpus and values; which text stands there is the folder's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from inspector.compiled import compiled
from inspector.search import Census, Row
from inspector.search.threads import each, slices

_TOP = 4  # places of each kind, each from another document
_SAMPLED = 512  # characters of the scoring part from which quantile and random samples are taken
_QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
_N_RANDOM = 3
_EVERY = 8  # correlations between neurons are taken at every eighth character
_HISTOGRAM = 32  # equal steps of a neuron's own range
_STEPS = 256  # in which values of gates are counted
_AT_ONCE = 64  # rows that one thread counts at a time


class Gatherer:
    """Takes every stretch that a census takes, and gives places and statistics at the end."""

    def __init__(self, rows: Sequence[Row], others: Sequence[Row], sampled: np.ndarray, documents: np.ndarray) -> None:
        """rows : those that a census counts too. others : of these, the gates, only the `spread` is counted.

        sampled : (n,) positions of which every row's value is kept, from all over the scoring part.
        documents : (n,) first position of each document.
        """
        self.spread = Spread(others)
        self._documents = documents
        self._rows = rows
        n = len(rows)
        self._sampled = np.sort(sampled)
        self._samples = np.full((n, len(sampled)), np.nan, np.float32)
        self._best = {side: np.full((n, _TOP), -np.inf, np.float32) for side in (1, -1)}
        self._places = {side: np.full((n, _TOP), -1, np.int64) for side in (1, -1)}
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
        return arrays | {f"spread.{name}": array for name, array in vars(self.spread).items() if name != "rows"}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._samples, self._n = arrays["samples"], int(arrays["n"])
        for name in ("_best", "_places", "_products", "_sums"):
            held = getattr(self, name)
            for key in held:
                held[key] = arrays[f"{name}.{key}"]
        for name in vars(self.spread).keys() - {"rows"}:
            setattr(self.spread, name, arrays[f"spread.{name}"])

    def take(self, values: np.ndarray, positions: np.ndarray, *, is_scored: bool) -> None:
        """values (rows, n) of the characters at positions (n,)."""
        thinned = values[:, positions % _EVERY == 0]  # whoever of several lanes reads them
        for signal, members in self._whole.items():
            some = thinned[members]
            self._products[signal] += some @ some.T
            self._sums[signal] += some.sum(axis=1, dtype=np.float64)
        self._n += thinned.shape[1]
        if not is_scored:
            return
        of_document = np.searchsorted(self._documents, positions, side="right")
        for document in np.unique(of_document):
            mine = np.flatnonzero(of_document == document)
            self._strongest(values[:, mine], positions[mine], document)
        _, here, where = np.intersect1d(positions, self._sampled, return_indices=True)
        self._samples[:, where] = values[:, here]

    def _strongest(self, values: np.ndarray, positions: np.ndarray, document: int) -> None:
        """Where each row is strongest either way among values (rows, n) of one document, if it is stronger than a place
        that is held: the one of the same document, or else the weakest.
        """
        every = np.arange(len(values))
        for side, kept in self._best.items():
            at = values.argmax(axis=1) if side > 0 else values.argmin(axis=1)
            best, places = side * values[every, at], self._places[side]
            same = (np.searchsorted(self._documents, places, side="right") == document) & (places >= 0)
            slot = np.where(same.any(axis=1), same.argmax(axis=1), kept.argmin(axis=1))
            rows = np.flatnonzero(best > kept[every, slot])
            kept[rows, slot[rows]] = best[rows]
            places[rows, slot[rows]] = positions[at[rows]]

    def places(self) -> pd.DataFrame:
        """One row for each place: layer, unit, signal, kind ("top", "bottom", "quantile", "random"), position, value.

        Strongest places come from different documents, of each the strongest.
        """
        found = []
        for i, row in enumerate(self._rows):
            for side, kind in ((1, "top"), (-1, "bottom")):
                for j in np.argsort(-self._best[side][i], kind="stable"):
                    if (place := int(self._places[side][i, j])) >= 0:
                        found.append((*row, kind, place, side * float(self._best[side][i, j])))
            order = np.argsort(self._samples[i], kind="stable")
            order = order[np.isfinite(self._samples[i][order])]
            picked = [("quantile", order[int(q * (len(order) - 1))]) for q in _QUANTILES if len(order)]
            chance = np.random.default_rng(i).permutation(len(order))[:_N_RANDOM]
            picked += [("random", order[j]) for j in chance]
            found += [(*row, kind, int(self._sampled[j]), float(self._samples[i, j])) for kind, j in picked]
        return pd.DataFrame(found, columns=["layer", "unit", "signal", "kind", "position", "value"])

    def statistics(self, census: Census) -> pd.DataFrame:
        """`statistics_of` the census, and the same of the signals that it did not count."""
        parts = [statistics_of(census)]
        if self.spread.rows:
            parts.append(self.spread.statistics())
        return pd.concat(parts, ignore_index=True)

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


class Spread:
    """How the values of gates and candidates are spread, counted in equal steps of the range they have by nature."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        n = len(self.rows)
        self.low = np.array([[0.0 if row.signal.endswith("_gate") else -1.0] for row in self.rows], np.float32)
        self.counts = np.zeros((n, _STEPS), np.int64)
        self.sums = np.zeros((n, 2))  # of values, of their squares
        self.ends = np.tile(np.array([np.inf, -np.inf], np.float32), (n, 1))
        self.saturated = np.zeros((n, 2), np.int64)  # below .1, above .9

    def take(self, values: np.ndarray) -> None:
        """values (rows, n), float32."""

        def count(rows: slice) -> None:
            _spread(values[rows], self.low[rows, 0], self.counts[rows], self.sums[rows], self.ends[rows],
                    self.saturated[rows])  # fmt: skip

        each(count, slices(0, len(values), _AT_ONCE))

    def statistics(self) -> pd.DataFrame:
        """The columns of `statistics_of`."""
        n_chars = self.counts[0].sum()
        mean, square = (self.sums / n_chars).T
        edges = self.low + (1 - self.low) * np.linspace(0, 1, _STEPS + 1, dtype=np.float32)
        edges = np.clip(edges, self.ends[:, :1], self.ends[:, 1:])
        return _described(
            self.rows, edges, self.counts, mean=mean, std=np.sqrt(np.maximum(square - mean**2, 0)),
            lowest=self.ends[:, 0], highest=self.ends[:, 1],
            low_share=self.saturated[:, 0] / n_chars, high_share=self.saturated[:, 1] / n_chars,
        )  # fmt: skip


@compiled
def _spread(
    values: np.ndarray, low: np.ndarray, counts: np.ndarray, sums: np.ndarray, ends: np.ndarray, saturated: np.ndarray
) -> None:
    """Take values (rows, n) into what `Spread` keeps of as many rows; low (rows,)."""
    for u in range(len(values)):
        scale = np.float32(_STEPS) / (np.float32(1) - low[u])
        for value in values[u]:
            counts[u, int(min(max((value - low[u]) * scale, np.float32(0)), np.float32(_STEPS - 1)))] += 1
            sums[u, 0] += value
            sums[u, 1] += value * value
            ends[u, 0] = min(ends[u, 0], value)
            ends[u, 1] = max(ends[u, 1], value)
            saturated[u, 0] += value < np.float32(0.1)
            saturated[u, 1] += value > np.float32(0.9)


def statistics_of(census: Census) -> pd.DataFrame:
    """One row for each neuron and signal: how its values were spread over all text that was counted.

    `low_share`, `high_share`: below .1 and above .9, a gate's saturation. `histogram`: counts in equal steps from
    `lowest` to `highest`, each of the census' bins spread evenly over the steps it reaches; `median` from the same.
    """
    summary = census.summary
    return _described(
        census.rows, bin_edges(census), census.histograms(), mean=census.means, std=census.deviations,
        lowest=summary[:, 2], highest=summary[:, 3],
        low_share=summary[:, 4] / census.n_chars, high_share=summary[:, 5] / census.n_chars,
    )  # fmt: skip


def _described(
    rows: Sequence[Row], edges: np.ndarray, counts: np.ndarray, *, mean: np.ndarray, std: np.ndarray,
    lowest: np.ndarray, highest: np.ndarray, low_share: np.ndarray, high_share: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """The table of statistics; median and histogram out of counts (rows, bins) between edges (rows, bins + 1)."""
    histograms, medians = [], []
    for row in range(len(counts)):
        places, heights = _stairs(edges[row], counts[row])
        reached = np.interp(np.linspace(places[0], places[-1], _HISTOGRAM + 1), places, heights)
        histograms.append(np.diff(reached).round().astype(np.int32))
        medians.append(float(np.interp(heights[-1] / 2, heights, places)))
    numbers = {"mean": mean, "std": std, "lowest": lowest, "highest": highest, "median": medians,
               "low_share": low_share, "high_share": high_share}  # fmt: skip
    columns = {name: np.asarray(values, np.float32) for name, values in numbers.items()}
    return pd.DataFrame(rows, columns=list(Row._fields)).assign(**columns, histogram=histograms)


def bin_edges(census: Census) -> np.ndarray:
    """(traces, bins + 1): where bins begin, within each trace's own range."""
    n, n_bins = census.totals.shape
    inner = census.bins.edges(np.tile(np.arange(1, n_bins), (n, 1)))
    low, high = census.summary[:, 2:3], census.summary[:, 3:4]
    return np.concatenate([low, np.clip(inner, low, high), high], axis=1)


def _stairs(edges: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where, and how many values lie below: for interpolation."""
    return edges, np.concatenate([[0], np.cumsum(counts)])
