"""Values turned round: (step, sequence, neuron), as engines leave them, into one row per neuron, as they are kept.

One by one each number would be waited for; SIDE by SIDE they are turned in registers, in three rounds of shuffles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

SIDE = 8  # of a tile: numbers in a vector

Array = NDArray[Any]

_INDEX = ir.IntType(64)
_FLOATS, _HALVES, _BITS, _PLACES = (
    ir.VectorType(one, SIDE) for one in (ir.FloatType(), ir.HalfType(), ir.IntType(16), ir.IntType(32))
)
_MAGNITUDE, _INFINITE = ir.Constant(_BITS, [0x7FFF] * SIDE), ir.Constant(_BITS, [0x7C00] * SIDE)  # of float16
# Each round joins what lies so far apart, and takes these numbers of the first (0 to 7) and of the second (8 to 15).
_ROUNDS = (
    (1, ((0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))),
    (2, ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))),
    (4, ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))),
)


def _tile(_context: Any, values: Any, _at: Any, _stride: Any, out: Any, _to: Any, _step: Any) -> Any:
    """out[to + j * step + i] = values[at + i * stride + j] for i, j < SIDE; whether all of them fit."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def places(array: int) -> list[Any]:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            first, apart = arguments[array + 1 : array + 3]
            offsets = (builder.mul(apart, ir.Constant(_INDEX, k)) for k in range(SIDE))
            return [builder.gep(data, [builder.add(first, offset)]) for offset in offsets]

        rows = [builder.load(builder.bitcast(place, _FLOATS.as_pointer()), align=4) for place in places(0)]
        for apart, takes in _ROUNDS:
            pairs = [(k, k + apart) for k in range(SIDE) if not k & apart]
            for pair in pairs:
                first, second = (rows[k] for k in pair)
                for k, take in zip(pair, takes, strict=True):
                    rows[k] = builder.shuffle_vector(first, second, ir.Constant(_PLACES, take))
        if signature.args[3].dtype == types.uint16:
            rows = [builder.bitcast(builder.fptrunc(row, _HALVES), _BITS) for row in rows]
        for row, place in zip(rows, places(3), strict=True):
            builder.store(row, builder.bitcast(place, row.type.as_pointer()), align=2)
        return _are_finite(builder, rows) if rows[0].type == _BITS else ir.Constant(ir.IntType(1), 1)

    number = types.intp
    return types.boolean(values, number, number, out, number, number), generate


def _are_finite(builder: Any, rows: list[Any]) -> Any:
    found = ir.Constant(ir.VectorType(ir.IntType(1), SIDE), [0] * SIDE)
    for row in rows:
        found = builder.or_(found, builder.icmp_unsigned("==", builder.and_(row, _MAGNITUDE), _INFINITE))
    return builder.icmp_unsigned("==", builder.bitcast(found, ir.IntType(SIDE)), ir.Constant(ir.IntType(SIDE), 0))


_turn_tile: Any = intrinsic(_tile)


@compiled
def turn_round(values: Array, at: int, stride: int, n: int, out: Array, to: int) -> bool:
    """out[neuron, to + i] = values[at + i * stride + neuron], i < n, for every neuron; whether all of them fit.

    values : float32 (any number,). out : (units, any), neighbours in a row side by side; float32, or uint16 for the
    bits of float16, into which a number that is too large does not fit.
    """
    n_units, step, fits = out.shape[0], out.strides[0] // out.itemsize, True
    if n < SIDE or n_units < SIDE:
        return _turn_few(values, at, stride, n, out, to)
    for row in range(0, n, SIDE):
        top = min(row, n - SIDE)  # the last tile lies partly over the one before
        for column in range(0, n_units, SIDE):
            left = min(column, n_units - SIDE)
            fits &= _turn_tile(values, at + top * stride + left, stride, out, left * step + to + top, step)
    return fits


@compiled
def _turn_few(values: Array, at: int, stride: int, n: int, out: Array, to: int) -> bool:
    """As `turn_round`, by way of tiles that are filled up with zeros."""
    given, found, fits = np.zeros(SIDE * SIDE, np.float32), np.empty((SIDE, SIDE), out.dtype), True
    for top in range(0, n, SIDE):
        for left in range(0, out.shape[0], SIDE):
            n_steps, n_units = min(SIDE, n - top), min(SIDE, out.shape[0] - left)
            for i in range(n_steps):
                begin = at + (top + i) * stride + left
                given[i * SIDE : i * SIDE + n_units] = values[begin : begin + n_units]
            fits &= _turn_tile(given, 0, SIDE, found, 0, SIDE)
            out[left : left + n_units, to + top : to + top + n_steps] = found[:n_units, :n_steps]
    return fits


@compiled
def turn_spans(values: Array, strides: Array, columns: Array, spans: Array) -> bool:
    """columns[neuron, at + i] = value of (step + i, sequence, neuron), i < n, for every neuron; whether all fit.

    values : float32, of which `strides` lie between two steps and between two sequences. columns : (units, chars), as
    `turn_round` fills it. spans : rows of (sequence, step, at, n).
    """
    fits = True
    for sequence, step, at, n in spans:
        fits &= turn_round(values, step * strides[0] + sequence * strides[1], strides[0], n, columns, at)
    return fits
