"""What counts as chance: p-values that respect runs, and false discoveries among many neurons.

Were a label unrelated to a trace, it would fit as well when shifted along the text. A shift keeps the runs of both
whole, which shuffled characters do not. All circular shifts are looked at together, through the spectra of both.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_CANDIDATE_Z = 2.0  # from here on the shape of the null matters and is looked at


class Chance:
    """How high a trace scores by chance, from all circular shifts of the labels against it.

    The covariance at every shift is the inverse transform of the product of two spectra, and by Parseval's theorem its
    variance needs only their power: one matrix product for all labels. That variance still holds the shifts near 0,
    where a real detector fits too. For candidates the covariances are therefore worked out, those shifts left out, and
    the tail is taken from a t distribution as heavy as the others' kurtosis asks for (where label and trace are rare
    events, one coincidence scores high) and as heavy as so few independent values ask for.
    """

    def __init__(self, labels: Array) -> None:
        self._n = _smooth_size(labels.shape[1])
        centred = labels[:, : self._n].astype(np.float32)
        self._labels = centred - centred.mean(axis=1, keepdims=True)  # (labels, n)
        self._spectra = np.fft.rfft(self._labels)  # (labels, n // 2 + 1)
        both_sides = np.full(self._spectra.shape[1], 2.0, dtype=np.float32)  # each stands for its mirror image too
        both_sides[0] = 0
        if self._n % 2 == 0:
            both_sides[-1] = 1
        self._power = (np.abs(self._spectra) ** 2 * both_sides / np.float32(self._n) ** 2).astype(np.float32)
        self._near = [_correlation_length(power, self._n) for power in self._power]

    def p_values(self, trace: Array, polarity: Array) -> Array:
        """p_values (labels,) of a trace of the scoring part, one-sided: the choosing part has fixed the side."""
        trace = trace[: self._n].astype(np.float32)
        trace -= trace.mean()
        spectrum = np.fft.rfft(trace)
        power = np.abs(spectrum) ** 2
        variance = dot(self._power, power)
        observed = dot(self._labels, trace) * polarity
        z = np.divide(observed, np.sqrt(variance), out=np.zeros_like(observed), where=variance > 0)
        p_values = np.array([_normal_tail(value) for value in z])
        for i in np.flatnonzero(z >= _CANDIDATE_Z):
            shifted = np.fft.irfft(spectrum.conj() * self._spectra[i], n=self._n)
            null = polarity[i] * shifted[self._near[i] : self._n - self._near[i]]
            p_values[i] = _tail(observed[i], null, _n_independent(self._power[i] * power))
        p_values[variance <= 0] = 1.0
        return p_values


def _n_independent(power: Array) -> float:
    """How many values, were they independent, would fix a variance as well as this spectrum does (Satterthwaite)."""
    scaled = power.astype(np.float64) / power.max()
    return 2 * float(scaled.sum()) ** 2 / float((scaled**2).sum())


def _tail(observed: float, null: Array, n_independent: float) -> float:
    """Chance of a value as high as observed or higher, where the null has shown these values."""
    squares = (null - null.mean(dtype=np.float64)) ** 2
    variance = float(squares.mean())
    if variance == 0:
        return 1.0
    excess = max(float((squares**2).mean()) / variance**2 - 3, 1e-3)
    freedom = min(4 + 6 / excess, max(n_independent, 3.0))  # the first: of the t distribution with this kurtosis
    t = observed / math.sqrt(variance) * math.sqrt(freedom / (freedom - 2))
    # Wallace, "Bounds on normal approximations to Student's and the chi-square distributions" (1959)
    return _normal_tail((8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom)))


def _normal_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


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


def dot(labels: Array, trace: Array) -> Array:
    """(labels, n) times (n,), float64. Not by BLAS: its own threads fight with those that share out the traces."""
    products: Array = np.einsum("ln,n->l", labels, trace)
    return products.astype(np.float64)


def q_values(p_values: Array) -> Array:
    """Benjamini and Hochberg (1995), "Controlling the false discovery rate"."""
    order = np.argsort(p_values)
    scaled = p_values[order] * p_values.size / np.arange(1, p_values.size + 1)
    q_values = np.empty_like(p_values)
    q_values[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q_values
