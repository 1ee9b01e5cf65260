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
_0, _2, _3, _4, _5 = map(np.uintp, (0, 2, 3, 4, 5))  # places are never negative: they need not be looked at for that
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


# Loops over few arrays at a time, each an array without gaps and where in it a row begins: only such are done many
# neurons at once, and to make a slice of an array takes as long as the gates of a hundred neurons.


@fast
def _sigmoids(one: Array, a: Any, other: Array, b: Any, out: Array, c: Any, n: Any) -> None:
    for j in range(n):
        out[c + j] = _sigmoid(one[a + j] + other[b + j])


@fast
def _tanhs(one: Array, a: Any, other: Array, b: Any, out: Array, c: Any, n: Any) -> None:
    for j in range(n):
        out[c + j] = _tanh(one[a + j] + other[b + j])


@fast
def _lstm_step(given: Array, g: Any, sums: Array, s: Any, gate: Any, rows: Array, before: Any, now: Any, signal: Any,
               n: Any) -> None:  # fmt: skip
    """n neurons of one sequence, whose numbers of the first gate and signal begin at these places.

    gate, signal : how far on the next gate begins in `given` and `sums`, the next signal in `rows`, in the order of
    SIGNALS: hidden, cell, i, f, g, o.
    """
    hidden, cell, i, f = now, now + signal, now + _2 * signal, now + _3 * signal
    candidate, o, old = now + _4 * signal, now + _5 * signal, before + signal
    _sigmoids(given, g, sums, s, rows, i, n)
    _sigmoids(given, g + gate, sums, s + gate, rows, f, n)
    _tanhs(given, g + _2 * gate, sums, s + _2 * gate, rows, candidate, n)
    _sigmoids(given, g + _3 * gate, sums, s + _3 * gate, rows, o, n)
    for j in range(n):
        rows[cell + j] = rows[f + j] * rows[old + j] + rows[i + j] * rows[candidate + j]
    for j in range(n):
        rows[hidden + j] = rows[o + j] * _tanh(rows[cell + j])


@fast
def _gru_step(given: Array, g: Any, sums: Array, s: Any, gate: Any, bias: Array, first: Any, rows: Array, before: Any,
              now: Any, signal: Any, n: Any) -> None:  # fmt: skip
    """As `_lstm_step`; signals are hidden, r, z, n. bias : of the candidate's recurrent product, from `first` on."""
    r, z, candidate, product = now + signal, now + _2 * signal, now + _3 * signal, s + _2 * gate
    _sigmoids(given, g, sums, s, rows, r, n)
    _sigmoids(given, g + gate, sums, s + gate, rows, z, n)
    for j in range(n):
        sums[product + j] = rows[r + j] * (sums[product + j] + bias[first + j])
    _tanhs(given, g + _2 * gate, sums, product, rows, candidate, n)
    for j in range(n):
        rows[now + j] = rows[candidate + j] + rows[z + j] * (rows[before + j] - rows[candidate + j])


@fast
def _rectified(one: Array, a: Any, other: Array, b: Any, out: Array, c: Any, n: Any) -> None:
    for j in range(n):
        x = one[a + j] + other[b + j]
        out[c + j] = _f32(0) if x < _f32(0) else x


@fast
def finish_lstm(sums: Array, cell: Array, found: Array, start: int) -> None:
    """Gates and cell states out of what is inside the gates, sequences side by side.

    sums : (steps, batch, gates, units). cell : (batch, units), before the first step; afterwards that after the last.
    found : (signals, all steps, batch, units), those of an LSTM but hidden; filled from the step `start` on. All
    without gaps.
    """
    n, none = np.uintp(cell.shape[1]), np.zeros(cell.shape[1], np.float32)
    inside, old, out = sums.reshape(sums.size), cell.reshape(cell.size), found.reshape(found.size)
    signal = np.uintp(found[0].size)
    for row in range(np.uintp(sums.shape[0] * sums.shape[1])):
        s, now = row * _4 * n, (np.uintp(start * sums.shape[1]) + row) * n
        i, f, candidate, o = now + signal, now + _2 * signal, now + _3 * signal, now + _4 * signal
        _sigmoids(inside, s, none, _0, out, i, n)
        _sigmoids(inside, s + n, none, _0, out, f, n)
        _tanhs(inside, s + _2 * n, none, _0, out, candidate, n)
        _sigmoids(inside, s + _3 * n, none, _0, out, o, n)
        c = row % np.uintp(sums.shape[1]) * n
        for j in range(n):
            old[c + j] = out[f + j] * old[c + j] + out[i + j] * out[candidate + j]
        for j in range(n):
            out[now + j] = old[c + j]


@fast
def finish_gru(given: Array, sums: Array, found: Array, start: int) -> None:
    """Gates out of what inputs and hidden states add to them, biases included, sequences side by side.

    given, sums : (steps, batch, gates, units); `sums` is used up. found : (gates, all steps, batch, units), filled from
    the step `start` on. All without gaps.
    """
    n, signal = np.uintp(found.shape[3]), np.uintp(found[0].size)
    outside, inside, out = given.reshape(given.size), sums.reshape(sums.size), found.reshape(found.size)
    for row in range(np.uintp(sums.shape[0] * sums.shape[1])):
        s, r = row * _3 * n, (np.uintp(start * sums.shape[1]) + row) * n
        _sigmoids(outside, s, inside, s, out, r, n)
        _sigmoids(outside, s + n, inside, s + n, out, r + signal, n)
        product = s + _2 * n
        for j in range(n):
            inside[product + j] *= out[r + j]
        _tanhs(outside, product, inside, product, out, r + _2 * signal, n)


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
    n_sequences, signal = rows.shape[1], np.uintp(rows.shape[3])
    stride, gate = np.uintp(rows.shape[2]) * signal, np.uintp(given.shape[2])
    sums, none = np.empty((n_sequences, *given.shape[1:]), np.float32), np.zeros(given.shape[1:], np.float32)
    values, added, summed = rows.reshape(rows.size), given.reshape(given.size), sums.reshape(sums.size)
    of_one = np.uintp(given.shape[1]) * gate  # numbers of all gates
    for step in range(which.shape[0]):
        at, n_done = step * n_sequences * int(stride), 0
        piece = claim(board, homes, me, step)
        while piece >= 0:
            first, last = pieces[step % 2, piece]
            blocks = first // WIDTH, (last + WIDTH - 1) // WIDTH
            multiply(panels, values, at, int(stride), n_sequences, none, sums, blocks[0], blocks[1], step % 2 == 0)
            begin, n = np.uintp(first), np.uintp(last - first)
            for one in range(n_sequences):
                g, s = np.uintp(which[step, one]) * of_one + begin, np.uintp(one) * of_one + begin
                before = np.uintp(step * n_sequences + one) * stride + begin
                now = before + np.uintp(n_sequences) * stride
                if kind == LSTM:
                    _lstm_step(added, g, summed, s, gate, values, before, now, signal, n)
                elif kind == GRU:
                    _gru_step(added, g, summed, s, gate, bias, begin, values, before, now, signal, n)
                elif kind == TANH:
                    _tanhs(added, g, summed, s, values, now, n)
                else:
                    _rectified(added, g, summed, s, values, now, n)
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
