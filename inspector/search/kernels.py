"""The loops that every character of every trace goes through, compiled by numba. Arrays in, arrays filled in place.

    value --Scale--> cell of 4,096 --lookup--> bin of 256 --add--> one row of 64 counters, one for each label
                                                          --add--> one row of 16 sums, of numbers that labels are

A row is 64 bytes, so one vector addition counts a character for 64 labels at once. Two rows take turns for each bin,
because the same bin is often hit twice in a row and the second addition would wait for the first.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled, fast

N_CELLS = 4096  # equal steps over a trace's own range; what a bin can be made of
N_BINS = 256
N_BYTES = 64  # in one row of counters, which one vector addition takes
N_LANES = 64  # counters in a row of bytes; lane 0 counts every character
N_NUMBERS = 16  # sums in a row of uint32
_STRETCH = 256  # values put into cells at a time, so that they stay in the nearest cache
_CLOSEST = np.float32(2**-20)  # nearer than this to an end of a bounded signal, values are one
NEAR_ZERO = np.float32(2**-10)  # of signed values: below it steps are even, above they grow with the value
_HIGHEST_BITS = int(np.finfo(np.float32).max.view(np.int32))
_HALF_BITS, _ZERO_BITS, _TURN_BITS = (
    int(np.float32(value).view(np.int32)) for value in (0.5, NEAR_ZERO, np.float32(0.5) + NEAR_ZERO)
)
LINEAR, UNIT, SIGNED = 0, 1, 2  # what a trace's range is: any number, 0..1, -1..1

Array = NDArray[Any]


def _row_adder(_context: Any, table: Any, _row: Any, rows: Any, _label: Any) -> Any:
    """table[row] += rows[label], 64 bytes at once, whole numbers; returns lane 0 as it then is."""
    signature = table.dtype(table, types.uintp, rows, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = signature.return_type.bitwidth
        vector = ir.VectorType(ir.IntType(bits), N_BYTES * 8 // bits)

        def pointer(which: int) -> Any:
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
            offset = builder.mul(arguments[which + 1], ir.Constant(ir.IntType(64), N_BYTES))
            return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())

        counters, label = pointer(0), pointer(2)
        total = builder.add(builder.load(counters, align=1), builder.load(label, align=1))
        builder.store(total, counters, align=1)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return signature, generate


_add_row: Any = intrinsic(_row_adder)


def _row_drainer(_context: Any, table: Any, _row: Any, counts: Any, _bin: Any) -> Any:
    """counts[bin] += table[row]; table[row] = 0. Counts are wider than the table's numbers."""
    signature = types.void(table, types.uintp, counts, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from_bits, to_bits = table.dtype.bitwidth, counts.dtype.bitwidth
        n = N_BYTES * 8 // from_bits

        def pointer(which: int, bits: int) -> Any:
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
            offset = builder.mul(arguments[which + 1], ir.Constant(ir.IntType(64), n * bits // 8))
            return builder.bitcast(builder.gep(data, [offset]), ir.VectorType(ir.IntType(bits), n).as_pointer())

        given, taken = pointer(0, from_bits), pointer(2, to_bits)
        wide = builder.zext(builder.load(given, align=1), ir.VectorType(ir.IntType(to_bits), n))
        builder.store(builder.add(builder.load(taken, align=1), wide), taken, align=1)
        builder.store(ir.Constant(ir.VectorType(ir.IntType(from_bits), n), None), given, align=1)
        return context.get_dummy_value()

    return signature, generate


_drain_row: Any = intrinsic(_row_drainer)


def _row_weigher(_context: Any, table: Any, _row: Any, sums: Any, _weight: Any) -> Any:
    """sums += weight * table[row], lane by lane."""
    signature = types.void(table, types.uintp, sums, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = [context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2)]
        floats = ir.VectorType(ir.FloatType(), N_LANES)
        offset = builder.mul(arguments[1], ir.Constant(ir.IntType(64), N_LANES))
        row = builder.gep(arrays[0].data, [offset])
        row = builder.bitcast(row, ir.VectorType(ir.IntType(8), N_LANES).as_pointer())
        target = builder.bitcast(arrays[1].data, floats.as_pointer())
        whole = builder.zext(builder.load(row, align=1), ir.VectorType(ir.IntType(32), N_LANES))
        weight = builder.insert_element(ir.Constant(floats, ir.Undefined), arguments[3], ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), N_LANES), [0] * N_LANES)
        weights = builder.shuffle_vector(weight, ir.Constant(floats, ir.Undefined), places)
        added = builder.fmul(builder.sitofp(whole, floats), weights)
        builder.store(builder.fadd(builder.load(target, align=1), added), target, align=1)
        return context.get_dummy_value()

    return signature, generate


_weigh_row: Any = intrinsic(_row_weigher)


@compiled
def _table(n_bytes: int) -> Array:
    """Zeros, uint8; rows that lie across two cache lines would take twice as long."""
    room = np.zeros(n_bytes + N_BYTES, np.uint8)
    first = -room.ctypes.data % N_BYTES
    return room[first : first + n_bytes]


@compiled
def put_on_scale(values: Array, kind: int, out: Array) -> None:
    """A monotone picture of values, float32, which keeps those apart that lie close to an end of a bounded signal.

    It is the value itself for LINEAR. Otherwise it is about the logarithm of the distance to the nearer end (and, for
    SIGNED, to 0), read off its bits: those of a positive float, taken as an integer, grow about as its logarithm does.
    """
    half = np.float32(0.5)
    if kind == LINEAR:
        for t in range(len(values)):
            out[t] = values[t]
    elif kind == UNIT:
        turn = 2 * _HALF_BITS
        for t in range(len(values)):
            below, above = values[t], np.float32(1.0) - values[t]
            bits = np.float32(max(min(below, above), _CLOSEST)).view(np.int32)
            out[t] = np.float32(bits if below <= above else turn - bits)
    else:
        turn = _TURN_BITS + _HALF_BITS
        for t in range(len(values)):
            size = abs(values[t])
            inner = np.float32(size + NEAR_ZERO).view(np.int32)
            outer = turn - np.float32(max(np.float32(1.0) - size, _CLOSEST)).view(np.int32)
            scaled = np.float32((inner if size <= half else outer) - _ZERO_BITS)
            out[t] = scaled if values[t] >= 0 else -scaled


@compiled
def _cells(values: Array, kind: int, low: np.float32, steps: np.float32, scaled: Array, cells: Array) -> None:
    put_on_scale(values, kind, scaled)
    for t in range(len(values)):
        cell = (scaled[t] - low) * steps
        cells[t] = np.int32(min(max(cell, np.float32(0)), np.float32(N_CELLS - 1)))


@compiled
def count_cells(values: Array, kinds: Array, low: Array, steps: Array, out: Array) -> None:
    """out (traces, N_CELLS) += how often each cell occurs in values (traces, n)."""
    scaled, cells = np.empty(_STRETCH, np.float32), np.empty(_STRETCH, np.uint16)
    for u in range(len(values)):
        for start in range(0, values.shape[1], _STRETCH):
            stretch = values[u, start : start + _STRETCH]
            _cells(stretch, kinds[u], low[u], steps[u], scaled, cells)
            for t in range(len(stretch)):
                out[u, cells[t]] += 1


@compiled
def find_edges(kinds: Array, low: Array, steps: Array, lookup: Array, bins: Array, out: Array) -> None:
    """out (traces, k) = the lowest float32 whose bin is at least bins (traces, k), by halving the range of floats."""
    value, scaled, cells = np.empty(1, np.float32), np.empty(1, np.float32), np.empty(1, np.uint16)
    for u in range(len(bins)):
        for i in range(bins.shape[1]):
            below, above = -_HIGHEST_BITS, _HIGHEST_BITS
            while below < above:
                middle = (below + above) // 2
                value[0] = np.int32(abs(middle)).view(np.float32)
                if middle < 0:
                    value[0] = -value[0]
                _cells(value, kinds[u], low[u], steps[u], scaled, cells)
                if lookup[u, cells[0]] >= bins[u, i]:
                    above = middle
                else:
                    below = middle + 1
            out[u, i] = np.int32(abs(above)).view(np.float32) * (-1 if above < 0 else 1)


@compiled
def mark_ties(values: Array, bins: Array, out: Array) -> None:
    """out (traces, N_BINS) bool: those of values (traces, n) that fell into this bin are equal.

    A bin with fewer than two of them is what most of the trace's others are.
    """
    for u in range(len(values)):
        first, seen = np.zeros(N_BINS, np.float32), np.zeros(N_BINS, np.int64)
        for t in range(values.shape[1]):
            b = bins[u, t]
            if seen[b] == 0:
                first[b], out[u, b] = values[u, t], True
            elif values[u, t] != first[b]:
                out[u, b] = False
            seen[b] += 1
        n_tied, n_telling = 0, 0
        for b in range(N_BINS):
            n_telling += seen[b] > 1
            n_tied += seen[b] > 1 and out[u, b]
        for b in range(N_BINS):
            if seen[b] <= 1:
                out[u, b] = 2 * n_tied > n_telling


@compiled
def find_bins(values: Array, kinds: Array, low: Array, steps: Array, lookup: Array, out: Array) -> None:
    """out (traces, n) = the bin of each of values (traces, n or more)."""
    n = out.shape[1]
    scaled, cells = np.empty(_STRETCH, np.float32), np.empty(_STRETCH, np.uint16)
    for u in range(len(values)):
        for start in range(0, n, _STRETCH):
            stretch = values[u, start : min(start + _STRETCH, n)]
            _cells(stretch, kinds[u], low[u], steps[u], scaled, cells)
            for t in range(len(stretch)):
                out[u, start + t] = lookup[u, cells[t]]


@compiled
def count(bins: Array, labels: Array, rows: Array, ranks: Array, counts: Array, sums: Array) -> None:
    """Count characters by bin and by lane, and sum up their ranks by lane.

    bins : (traces, n) uint8. labels : (n,) which of `rows` (combinations, N_LANES) uint8, lane 0 always 1, is each's.
    ranks : (traces, N_BINS) float32, what a bin stands for in the sums.
    counts : (traces, N_BINS, N_LANES) uint32, added to. sums : (traces, N_LANES) float32, added to.
    """
    table = _table(2 * N_BINS * N_LANES).reshape(2 * N_BINS, N_LANES)
    for u in range(len(bins)):
        to_bin, rank, of_bin, weighed = bins[u], ranks[u], counts[u], sums[u]
        for t in range(len(labels)):
            row = np.uintp(to_bin[np.uintp(t)]) * 2 + np.uintp(t & 1)
            if _add_row(table, row, rows, np.uintp(labels[np.uintp(t)])) == 255:
                _weigh_row(table, row, weighed, rank[row // 2])
                _drain_row(table, row, of_bin, row // 2)
        for left in range(np.uintp(2 * N_BINS)):
            if table[left, 0]:
                _weigh_row(table, left, weighed, rank[left // 2])
                _drain_row(table, left, of_bin, left // 2)


@compiled
def add_numbers(bins: Array, numbers: Array, sums: Array) -> None:
    """sums (traces, N_BINS, N_NUMBERS) int64 += the rows of numbers (n, N_NUMBERS) of the characters in each bin.

    bins : (traces, n) uint8. numbers : uint32, the first of a row 1, all below 2**16: 65,536 characters fit in a call.
    """
    table = _table(2 * N_BINS * N_BYTES).view(np.uint32).reshape(2 * N_BINS, N_NUMBERS)
    for u in range(len(bins)):
        to_bin = bins[u]
        for t in range(len(numbers)):
            _add_row(table, np.uintp(to_bin[np.uintp(t)]) * 2 + np.uintp(t & 1), numbers, np.uintp(t))
        for row in range(np.uintp(2 * N_BINS)):
            if table[row, 0]:
                _drain_row(table, row, sums[u], row // 2)


@fast
def _sums(values: Array, centre: np.float32) -> tuple[Any, Any, Any, Any]:
    first, second, low, high = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for t in range(len(values)):
        value = values[t]
        off = value - centre
        first += off
        second += off * off
        low += np.float32(value < np.float32(0.1))
        high += np.float32(value > np.float32(0.9))
    return first, second, low, high


@compiled
def summarise(values: Array, n: int, centre: Array, out: Array) -> None:
    """out (traces, 6) takes in sums over the first n values of each trace.

    They are of the values and of their squares, both about `centre`; in the last two, how many < .1, how many > .9.
    """
    for u in range(len(values)):
        for start in range(0, n, 4 * _STRETCH):
            first, second, low, high = _sums(values[u, start : min(start + 4 * _STRETCH, n)], centre[u])
            out[u, 0] += first
            out[u, 1] += second
            out[u, 4] += low
            out[u, 5] += high


@compiled
def tails(t: Array, freedom: Array) -> Array:
    """P(T > t) of Student's distribution, (n,); t may be -inf. Within a fifth of the truth, in the far tail too.

    Wallace, "Bounds on normal approximations to Student's and the chi-square distributions" (1959).
    """
    out = np.ones(len(t))
    for i in range(len(t)):
        if t[i] > -math.inf:
            f = freedom[i]
            z = (8 * f + 1) / (8 * f + 3) * math.sqrt(f * math.log1p(t[i] * t[i] / f))
            out[i] = 0.5 * math.erfc(math.copysign(z, t[i]) / math.sqrt(2.0))
    return out


@compiled
def judge_choice(positive: Array, valid: Array, out: Array) -> None:
    """out (traces, 3) = polarity, AUROC in that direction and the bin of best F1, from counts (traces, N_BINS)."""
    for u in range(len(positive)):
        area = _auroc(positive[u], valid[u])
        polarity = 1 if area >= 0.5 else -1
        n_positive, found, yes, best, at = positive[u].sum(), 0.0, 0.0, -1.0, 0
        for i in range(N_BINS):
            b = N_BINS - 1 - i if polarity > 0 else i
            found += positive[u, b]
            yes += valid[u, b]
            if 2 * found / (yes + n_positive) >= best and positive[u, b] > 0:
                best, at = 2 * found / (yes + n_positive), b
        out[u, 0], out[u, 1], out[u, 2] = polarity, 0.5 + polarity * (area - 0.5), at


@compiled
def judge_score(positive: Array, valid: Array, choice: Array, tied: Array, out: Array) -> None:
    """out (traces, 4) = AUROC, F1, Matthews' correlation and average precision, as the choice said.

    The values of a bin are taken to lie evenly, unless they are `tied` (traces, N_BINS): no threshold parts those.
    """
    for u in range(len(positive)):
        polarity, border = choice[u, 0], int(choice[u, 2])
        n, p = float(valid[u].sum()), float(positive[u].sum())
        found, yes, precision = 0.0, 0.0, 0.0
        f1, matthews = 0.0, 0.0
        for i in range(N_BINS):
            b = N_BINS - 1 - i if polarity > 0 else i
            more, wider = float(positive[u, b]), float(valid[u, b])
            if more > 0:
                at_end = (found + more) / (yes + wider)
                precision += more * (at_end if tied[u, b] else _mean_precision(found, yes, more, wider))
            found, yes = found + more, yes + wider
            if b == border:
                f1 = 2 * found / (yes + p)
                spread = np.sqrt(yes * (n - yes)) * np.sqrt(p * (n - p))
                matthews = (n * found - yes * p) / spread if spread > 0 else 0.0
        out[u, 0] = 0.5 + polarity * (_auroc(positive[u], valid[u]) - 0.5)
        out[u, 1], out[u, 2], out[u, 3] = f1, matthews, precision / p


@compiled
def _mean_precision(found: float, yes: float, more: float, wider: float) -> Any:
    """Precision at each positive of a bin, averaged, where positives lie evenly among its values.

    At the j-th it is (found + j) / (yes + j * step). Summed over j by the integral from 1/2 to more + 1/2.
    """
    step = (wider + 1) / (more + 1)
    ends = np.log((yes + (more + 0.5) * step) / (yes + 0.5 * step))
    return (1 + (found - yes / step) / more * ends) / step


@compiled
def _auroc(positive: Array, valid: Array) -> float:
    below, won, n_positive, n_negative = 0.0, 0.0, 0.0, 0.0
    for b in range(N_BINS):
        negative = float(valid[b]) - float(positive[b])
        won += float(positive[b]) * (below + negative / 2)
        below += negative
        n_positive += float(positive[b])
        n_negative += negative
    return won / (n_positive * n_negative)
