"""How values are stored in fewer bits, and how far what comes back may lie from what the network computed.

    float16    the nearest one: off by at most half its spacing at the largest value
    int8       a row of one stretch is scale * integer in -127..127, with scale = largest |value| / 127: off by half the
               scale at most, that is 0.4 % of the row's largest value. The scale lies in front of the row.

Knows rows of values; nothing of files, signals or texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
STORED_AS = {"float32": "<f4", "float16": "<f2", "int8": "|i1"}
SCALE_BYTES = 4

_INFINITY = 0x7C00  # as bits of a float16; what lies above is nan
_BEFORE_LAST = np.float16(65472)  # as far from the next one as the largest float16, behind which is infinity
_TOO_LARGE = 1e38
_SLACK = 1.0001  # for the rounding of scale * integer itself


def encoded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """float32 (n_rows, n) as int8 (n_rows, 4 + n); nan and values beyond 1e38 are a FloatingPointError."""
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    if not (largest < _TOO_LARGE).all():  # nan neither
        raise FloatingPointError(f"int8 holds finite values below {_TOO_LARGE:g} only")
    scales = np.maximum(largest / np.float32(127), np.finfo(np.float32).tiny).astype("<f4")
    rows = np.empty((len(values), SCALE_BYTES + values.shape[1]), np.int8)
    rows[:, :SCALE_BYTES] = scales.view(np.int8)
    rows[:, SCALE_BYTES:] = np.rint(values / scales)
    return rows


def decoded(rows: Array, begin: int, end: int) -> Array:
    """Values `begin` to `end` of stored rows, shape (n_rows, end - begin)."""
    if rows.dtype != np.int8:
        return rows[:, begin:end]
    return rows[:, SCALE_BYTES + begin : SCALE_BYTES + end] * _scales(rows)


def error_bound(rows: Array) -> float:
    """How far a value in these stored rows may lie from the float32 it was made of; 0 where nothing was given up."""
    if not rows.size:
        return 0.0
    if rows.dtype == np.int8:
        return float(_scales(rows).max()) / 2 * _SLACK
    if rows.dtype == np.float16:
        return float(np.spacing(min(_largest_half(rows), _BEFORE_LAST))) / 2
    return 0.0


def _scales(rows: Array) -> npt.NDArray[np.float32]:
    return rows[:, :SCALE_BYTES].copy().view("<f4")  # (n_rows, 1)


def _largest_half(rows: Array) -> np.float16:
    """The largest finite |value|. Halves are compared by their bits, ten times as fast as by their values."""
    bits = max(int(rows.view(np.int16).max()), int(rows.view(np.uint16).max()) & 0x7FFF)
    if bits >= _INFINITY:
        magnitudes = rows.view(np.uint16) & 0x7FFF
        bits = int(magnitudes[magnitudes < _INFINITY].max(initial=0))
    return np.uint16(bits).view(np.float16)
