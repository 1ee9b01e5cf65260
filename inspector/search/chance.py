"""What counts as chance: p-values that respect runs, and false discoveries among many neurons.

Labels and states come in runs, so characters are not independent, but long blocks of them nearly are. For every pair
of a label and a trace, how much the blocks disagree says how far the whole may be off (a jackknife). The best few are
looked at again: a label unrelated to them would fit as well when shifted along the text, which keeps its runs whole.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.search.scores import tails
from inspector.search.threads import each

Array = NDArray[Any]


class Jackknife(NamedTuple):
    """A statistic and how much each block pulls at it; blocks of characters stand for independent draws."""

    total: Array  # (traces,)
    pulls: Array  # (blocks, traces), to first order the change of the total were the block left out; their sum is 0
    n_effective: float  # blocks that matter, where the label is spread unevenly over them
    least: Array  # (traces,) how much of the total hangs on one character: nothing is known more closely


def difference_of_means(positive: tuple[Array, Array], valid: tuple[Array, Array]) -> Jackknife:
    """(mean over positives) - (mean over negatives); with ranks for values that is AUROC - 1/2.

    Both are (sizes (blocks,), sums (blocks, traces)).
    """
    (n_positive, positive_sums), (n_valid, valid_sums) = positive, valid
    sides = (n_positive, positive_sums.astype(np.float64)), (n_valid - n_positive, valid_sums - positive_sums)
    means = [sums.sum(axis=0) / sizes.sum() for sizes, sums in sides]
    pulls = [(sums - sizes[:, None] * mean) / sizes.sum() for (sizes, sums), mean in zip(sides, means, strict=True)]
    total, n_fewer = means[0] - means[1], min(sizes.sum() for sizes, _ in sides)
    return Jackknife(total, pulls[0] - pulls[1], min(_n_effective(sizes) for sizes, _ in sides), total / n_fewer)


def _n_effective(weights: Array) -> float:
    """Kish, "Survey Sampling" (1965): as many equal weights say as much."""
    return float(weights.sum()) ** 2 / float((weights.astype(np.float64) ** 2).sum())


def covariance(sizes: Array, x: Array, y: Array, xy: Array, y2: Array) -> Jackknife:
    """Mean product of a trace and a label about their means, from sums over blocks: x, xy (blocks, traces)."""
    n = sizes.sum()
    mean_x, mean_y = x.sum(axis=0) / n, y.sum() / n
    shares = (xy - x * mean_y - mean_x * y[:, None] + sizes[:, None] * mean_x * mean_y) / n
    total = shares.sum(axis=0)
    return Jackknife(total, shares - sizes[:, None] / n * total, _n_effective(y2), total / n)


def p_values(found: Jackknife, polarity: Array) -> Array:
    """One-sided p-values (traces,); the choosing part has fixed the side. A constant trace gets 1, and so do all where
    the label lies in less than two blocks, which can disagree about nothing.

    The jackknife's variance (Efron and Stein, 1981, "The jackknife estimate of variance") is the sum of the squared
    pulls; twice the products of neighbours are added where those agree more than they disagree (Newey and West, 1987).
    The tail is that of a t distribution, with the degrees of freedom that the pulls' kurtosis leaves to a variance
    (Satterthwaite, 1946), and no more than the label's blocks allow for. Blocks that agree in full, as about a gate
    that is shut exactly where the label holds, leave the doubt of a single character.
    """
    n = len(found.pulls)
    squares = found.pulls**2
    variance = np.maximum(squares.sum(axis=0), found.least**2)
    moves = (variance > np.finfo(np.float32).tiny) & (found.n_effective >= 2 - 1e-9)
    kurtosis = np.divide(n * (squares**2).sum(axis=0), variance**2, out=np.full_like(variance, 3.0), where=moves)
    freedom = np.clip(2 * n / np.maximum(kurtosis - 1, 1e-3), 1, max(min(n, found.n_effective) - 1, 1))
    variance = variance * n / max(n - 1, 1) + np.maximum(2 * (found.pulls[1:] * found.pulls[:-1]).sum(axis=0), 0)
    t = np.divide(found.total * polarity, np.sqrt(variance), out=np.full_like(variance, -math.inf), where=moves)
    chances: Array = tails(t, freedom)
    return chances


def shifted_p(
    trace: Callable[[int], Array], labels: Sequence[Array], fitted: Sequence[Mapping[int, float]]
) -> list[float]:
    """For each label, how often the best of its traces fits a shifted label as well as the best fits the label itself.

    trace(i) : float32 (n,). labels : each float32 (n,). fitted : for each label its traces i, and the polarity of each.
    Every circular shift is tried, by way of the spectra, but those at which the label still resembles itself; shifts
    closer than that to each other count as one.
    """
    n = _smooth_size(labels[0].size)
    spectra: list[tuple[Array, int]] = [(np.empty(0), 0)] * len(labels)
    best: dict[int, Array] = {}  # of each label
    lock = threading.Lock()

    def transform(i: int) -> None:
        spectrum = np.fft.rfft(labels[i][:n] - labels[i][:n].mean())
        spectra[i] = spectrum, _correlation_length(np.abs(spectrum) ** 2, n)

    def fit(row: int) -> None:
        values = trace(row)[:n]
        values = values - values.mean()
        length, spectrum = np.linalg.norm(values), np.fft.rfft(values).conj()
        for i, polarities in enumerate(fitted):
            if row in polarities and length > 0:
                of_label, near = spectra[i]
                found = np.fft.irfft(spectrum * of_label, n=n)
                apart = np.concatenate([found[:1], found[near : n - near : max(near, 1)]])
                apart *= polarities[row] / length
                with lock:
                    best[i] = np.maximum(best[i], apart, out=apart) if i in best else apart

    each(transform, range(len(labels)))
    each(fit, sorted({row for polarities in fitted for row in polarities}))
    return [float((1 + (found[1:] >= found[0]).sum()) / len(found))
            for found in (best.get(i, np.zeros(1)) for i in range(len(labels)))]  # fmt: skip


def _correlation_length(power: Array, n: int) -> int:
    """First lag at which a label, given by its power spectrum, correlates less than .1 with itself; at most n / 4."""
    correlation = np.fft.irfft(power, n=n)
    below = correlation < 0.1 * correlation[0]
    return min(int(np.argmax(below)) if below.any() else n, n // 4)


def _smooth_size(n: int) -> int:
    """Largest number up to n without prime factors above 7: other lengths transform several times slower."""
    for size in range(n, 0, -1):
        rest = size
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
    raise ValueError("n must be positive")


def q_values(p_values: Array) -> Array:
    """Benjamini and Hochberg (1995), "Controlling the false discovery rate"."""
    order = np.argsort(p_values)
    scaled = p_values[order] * p_values.size / np.arange(1, p_values.size + 1)
    q_values = np.empty_like(p_values)
    q_values[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q_values
