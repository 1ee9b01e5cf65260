"""The steps of one layer, compiled: threads work out pieces of its neurons, all signals.

    weights . h_{t-1} + what the input gives  ──►  gates, c_t, h_t  ──►  all pieces are done  ──►  next step

A step of a lone sequence reads every recurrent weight once and does little with it, so memory is what limits it. Panels
are therefore taken upwards in one step and downwards in the next: what was read last is what the nearest cache still
holds. Weights may come as float16, where that is what they are. What one neuron's value is does not depend on how many
threads there are, nor on how many sequences.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.capture.claims import claim, finish
from inspector.capture.panels import multiply
from inspector.capture.turning import turn_round
from inspector.compiled import compiled, fast
from inspector.products import WIDTH

LSTM, GRU, TANH, RELU = range(4)

Array = NDArray[Any]

_f32 = np.float32
_LOG2_E = _f32(1.44269504)
_LN2_HIGH, _LN2_LOW = _f32(0.693359375), _f32(-2.12194440e-4)  # together ln 2; the first has few bits
_E0, _E1, _E2, _E3, _E4, _E5 = map(_f32, (1.98756915e-4, 1.39819995e-3, 8.33345190e-3, 4.16657959e-2, 0.166666655, 0.5))
_T0, _T1, _T2, _T3, _T4 = map(_f32, (-5.70498873e-3, 2.06390888e-2, -5.37397156e-2, 0.133314422, -0.333332819))


def _float_of_bits(_context: Any, bits: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


def _number(_context: Any, weight: Any) -> Any:
    """A weight as float32, whether it is kept so or as the bits of a float16."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if weight == types.float32:
            return arguments[0]
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(weight), generate


def _half_bits(_context: Any, value: Any) -> Any:
    """The bits of the float16 that is nearest."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


_wide: Any = intrinsic(_number)
_narrow: Any = intrinsic(_half_bits)
_from_bits: Any = intrinsic(_float_of_bits)


@fast
def _exp(x: Any) -> Any:
    """e to the x within 2e-7 of it, without a branch, so that many are done at once; x beyond +-87 is taken for that.

    The usual way: x = n ln 2 + r, a polynomial in r (Moshier's, from the Cephes library), n put into the exponent.
    """
    clipped = min(max(x, _f32(-87)), _f32(87))  # in this order: what is no number stays none
    n = np.floor(clipped * _LOG2_E + _f32(0.5))
    r = clipped - n * _LN2_HIGH - n * _LN2_LOW
    series = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _E5
    power = _from_bits((np.int32(n) + np.int32(127)) << np.int32(23))
    return (series * r * r + r + _f32(1)) * power


@fast
def _sigmoid(x: Any) -> Any:
    return _f32(1) / (_f32(1) + _exp(-x))


@fast
def _tanh(x: Any) -> Any:
    """Within 3e-7 of it; near 0, where the quotient loses digits, by Cephes' series."""
    z = x * x
    near = ((((_T0 * z + _T1) * z + _T2) * z + _T3) * z + _T4) * z * x + x
    far = _f32(1) - _f32(2) / (_exp(_f32(2) * x) + _f32(1))
    return near if abs(x) < _f32(0.625) else far


@compiled
def make_small(weights: Array, small: Array) -> bool:
    """Put the bits of float16 numbers into `small`; whether they are the very weights."""
    is_same = True
    for row in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            bits = _narrow(weights[row, k])
            small[row, k] = bits
            is_same &= _wide(bits) == weights[row, k]
    return is_same


# Loops over few arrays at a time, of one row each: only such are done many neurons at once.


@fast
def _sigmoids(one: Array, other: Array, out: Array) -> None:
    for j in range(out.shape[0]):
        out[j] = _sigmoid(one[j] + other[j])


@fast
def _tanhs(one: Array, other: Array, out: Array) -> None:
    for j in range(out.shape[0]):
        out[j] = _tanh(one[j] + other[j])


@fast
def _lstm_step(given: Array, sums: Array, before: Array, now: Array, first: int, last: int) -> None:
    """now, before : (signals, units), as SIGNALS has them: hidden, cell, i, f, g, o. given, sums : (gates, units)."""
    for gate, signal in ((0, 2), (1, 3), (3, 5)):
        _sigmoids(given[gate, first:last], sums[gate, first:last], now[signal, first:last])
    _tanhs(given[2, first:last], sums[2, first:last], now[4, first:last])
    i, f, g, o = now[2, first:last], now[3, first:last], now[4, first:last], now[5, first:last]
    old, cell, hidden = before[1, first:last], now[1, first:last], now[0, first:last]
    for j in range(last - first):
        cell[j] = f[j] * old[j] + i[j] * g[j]
    for j in range(last - first):
        hidden[j] = o[j] * _tanh(cell[j])


@fast
def _sigmoid_all(inside: Array, out: Array) -> None:
    for j in range(out.shape[0]):
        out[j] = _sigmoid(inside[j])


@fast
def _tanh_all(inside: Array, out: Array) -> None:
    for j in range(out.shape[0]):
        out[j] = _tanh(inside[j])


@fast
def finish_lstm(sums: Array, cell: Array, found: Array, start: int) -> None:
    """Gates and cell states out of what is inside the gates, sequences side by side.

    sums : (steps, batch, gates, units). cell : (batch, units), before the first step; afterwards that after the last.
    found : (signals, all steps, batch, units), those of an LSTM but hidden; filled from the step `start` on.
    """
    for step in range(sums.shape[0]):
        for row in range(sums.shape[1]):
            at = start + step
            for gate, signal in ((0, 1), (1, 2), (3, 4)):
                _sigmoid_all(sums[step, row, gate], found[signal, at, row])
            _tanh_all(sums[step, row, 2], found[3, at, row])
            c, i, f, g, after = cell[row], found[1, at, row], found[2, at, row], found[3, at, row], found[0, at, row]
            for j in range(c.shape[0]):
                c[j] = f[j] * c[j] + i[j] * g[j]
            for j in range(c.shape[0]):
                after[j] = c[j]


@fast
def finish_gru(given: Array, sums: Array, found: Array, start: int) -> None:
    """Gates out of what inputs and hidden states add to them, biases included, sequences side by side.

    given, sums : (steps, batch, gates, units); `sums` is used up. found : (gates, all steps, batch, units), filled from
    the step `start` on.
    """
    for step in range(sums.shape[0]):
        for row in range(sums.shape[1]):
            at = start + step
            for gate in range(2):
                _sigmoids(given[step, row, gate], sums[step, row, gate], found[gate, at, row])
            product, r = sums[step, row, 2], found[0, at, row]
            for j in range(product.shape[0]):
                product[j] *= r[j]
            _tanhs(given[step, row, 2], product, found[2, at, row])


@fast
def _gru_step(given: Array, bias: Array, sums: Array, before: Array, now: Array, first: int, last: int) -> None:
    """now, before : (signals, units): hidden, r, z, n. bias : (units,), of the candidate's recurrent product."""
    for gate in range(2):
        _sigmoids(given[gate, first:last], sums[gate, first:last], now[gate + 1, first:last])
    old, hidden = before[0, first:last], now[0, first:last]
    r, z, n = now[1, first:last], now[2, first:last], now[3, first:last]
    product, added = sums[2, first:last], bias[first:last]
    for j in range(last - first):
        product[j] = r[j] * (product[j] + added[j])
    _tanhs(given[2, first:last], product, n)
    for j in range(last - first):
        hidden[j] = n[j] + z[j] * (old[j] - n[j])


@fast
def _rnn_step(given: Array, sums: Array, now: Array, first: int, last: int, is_tanh: bool) -> None:
    if is_tanh:
        _tanhs(given[0, first:last], sums[0, first:last], now[0, first:last])
    else:
        for j in range(first, last):
            x = given[0, j] + sums[0, j]
            now[0, j] = _f32(0) if x < _f32(0) else x


@compiled
def _take_step(
    kind: int, given: Array, bias: Array, sums: Array, before: Array, now: Array, first: int, last: int
) -> None:
    if kind == LSTM:
        _lstm_step(given, sums, before, now, first, last)
    elif kind == GRU:
        _gru_step(given, bias, sums, before, now, first, last)
    else:
        _rnn_step(given, sums, now, first, last, kind == TANH)


@compiled
def take_steps(
    kind: int, panels: Array, given: Array, which: Array, bias: Array, rows: Array, pieces: Array, homes: Array,
    board: Array, me: int,
) -> None:  # fmt: skip
    """All steps of sequences side by side, by thread `me` of those that share them.

    panels : of the recurrent weights, as `panels.multiply` takes them. given : (any number, gates, units up to whole
    panels), what inputs add, biases included; `which` (steps, sequences) says which of them each step of each sequence
    is given. bias : (units,), added inside the reset gate's product of a GRU. rows : (1 + steps, sequences, signals,
    units); the first has the states to start from. pieces : (2, any number, 2), of even and of odd steps: the neurons
    first..last, of which the first begins a panel; homes, board : as `claims` has them.
    """
    n_sequences, stride = rows.shape[1], rows.shape[2] * rows.shape[3]
    sums, none = np.empty((n_sequences, *given.shape[1:]), np.float32), np.zeros(given.shape[1:], np.float32)
    for step in range(which.shape[0]):
        at, n_done = step * n_sequences * stride, 0
        piece = claim(board, homes, me, step)
        while piece >= 0:
            first, last = pieces[step % 2, piece]
            blocks = first // WIDTH, (last + WIDTH - 1) // WIDTH
            multiply(panels, rows, at, stride, n_sequences, none, sums, blocks[0], blocks[1], step % 2 == 0)
            for one in range(n_sequences):
                before, now = rows[step, one], rows[step + 1, one]
                _take_step(kind, given[which[step, one]], bias, sums[one], before, now, first, last)
            n_done += 1
            piece = claim(board, homes, me, step)
        finish(board, n_done, (step + 1) * pieces.shape[1], n_sequences)


@compiled
def turn_steps(rows: Array, columns: Array, first: int, last: int) -> None:
    """columns[signal, neuron, step] = rows[1 + step, signal, neuron] for the neurons first..last."""
    values, stride = rows.reshape(rows.size), rows[0].size
    for signal in range(columns.shape[0]):
        begin = stride + signal * rows.shape[2] + first
        turn_round(values, begin, stride, columns.shape[2], columns[signal, first:last], 0)
