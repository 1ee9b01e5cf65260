"""Values turned round: (step, sequence, neuron), as engines leave them, into one row per neuron, as they are kept.

A tile of neurons and steps at a time, so that every cache line is fetched once and written once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture.steps import narrow
from inspector.compiled import compiled

_TILE = 16  # neurons and steps: a cache line of float32
_MAGNITUDE, _INFINITE = np.uint16(0x7FFF), np.uint16(0x7C00)  # of the bits of a float16

Array = NDArray[Any]


@compiled
def turn_round(values: Array, strides: Array, columns: Array, spans: Array) -> bool:
    """columns[neuron, at + i] = value of (step + i, sequence, neuron), i < n, for every neuron. True.

    values : float32, of which `strides` lie between two steps and between two sequences. columns : float32 (units,
    chars). spans : rows of (sequence, step, at, n).
    """
    for k in range(spans.shape[0]):
        sequence, step, at, n = spans[k]
        for top in range(0, n, _TILE):
            begin, n_steps = (step + top) * strides[0] + sequence * strides[1], min(_TILE, n - top)
            for left in range(0, columns.shape[0], _TILE):
                for neuron in range(left, min(left + _TILE, columns.shape[0])):
                    for i in range(n_steps):
                        columns[neuron, at + top + i] = values[begin + i * strides[0] + neuron]
    return True


@compiled
def turn_halves(values: Array, strides: Array, columns: Array, spans: Array) -> bool:
    """As `turn_round`, into the bits of float16 as uint16. Whether none of them is infinite."""
    tile, all_finite = np.empty((_TILE, _TILE), np.uint16), True
    for k in range(spans.shape[0]):
        sequence, step, at, n = spans[k]
        for top in range(0, n, _TILE):
            begin, n_steps = (step + top) * strides[0] + sequence * strides[1], min(_TILE, n - top)
            for left in range(0, columns.shape[0], _TILE):
                n_units = min(_TILE, columns.shape[0] - left)
                for i in range(n_steps):
                    row, here = tile[i], values[begin + i * strides[0] + left :]
                    for j in range(n_units):
                        row[j] = narrow(here[j])
                for j in range(n_units):
                    for i in range(n_steps):
                        columns[left + j, at + top + i] = tile[i, j]
                        all_finite &= tile[i, j] & _MAGNITUDE != _INFINITE
    return all_finite
