"""How characters are counted for many labels at once: rows of 64 bytes, each added to by one vector addition.

    a character's labels ──► row of 64 bytes     ──added to──► the row of its bin, of every trace
    its graded labels    ──► row of 16 numbers   ──added to──► another row of that bin

Traces are gone through a few at a time: what a character adds is fetched once for all of them, and while one addition
waits for another to the same bin those of the other traces go on. Counters of a byte are emptied into wider ones before
they run over.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

N_BINS = 256
N_BYTES = 64  # in one row of counters, which one vector addition takes
N_LANES = 64  # counters in a row of bytes; lane 0 counts every character
N_NUMBERS = 16  # sums in a row of uint32
_COUNTED, _SUMMED = 4, 4  # traces at a time: with fewer, additions to the same bin wait for each other

Array = NDArray[Any]
_BYTE, _INDEX = ir.IntType(8), ir.IntType(32)


def _row(context: Any, builder: Any, kind: Any, array: Any, index: Any, n: int) -> tuple[Any, Any]:
    """A pointer to row `index`, of n numbers, of an array, and the vector type that it points to."""
    number = ir.FloatType() if kind.dtype == types.float32 else ir.IntType(kind.dtype.bitwidth)
    vector = ir.VectorType(number, n)
    data = builder.bitcast(context.make_array(kind)(context, builder, array).data, _BYTE.as_pointer())
    offset = builder.mul(index, ir.Constant(ir.IntType(64), n * kind.dtype.bitwidth // 8))
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer()), vector


def _add(builder: Any, pointer: Any, more: Any) -> Any:
    """What stands there, plus more, is put there and given back."""
    total = builder.add(builder.load(pointer, align=1), more)
    builder.store(total, pointer, align=1)
    return total


def _label_adder(_context: Any, table: Any, _a: Any, _b: Any, _c: Any, _d: Any, rows: Any, _label: Any) -> Any:
    """Four rows of a table, each += rows[label]; whether lane 0 of one of them is now as high as a byte goes."""
    signature = types.boolean(table, *[types.uintp] * _COUNTED, rows, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, _ = _row(context, builder, signature.args[-2], arguments[-2], arguments[-1], N_LANES)
        more, is_full = builder.load(row, align=1), ir.Constant(ir.IntType(1), 0)
        for index in arguments[1 : 1 + _COUNTED]:
            counters, _ = _row(context, builder, signature.args[0], arguments[0], index, N_LANES)
            first = builder.extract_element(_add(builder, counters, more), ir.Constant(_INDEX, 0))
            is_full = builder.or_(is_full, builder.icmp_unsigned("==", first, ir.Constant(_BYTE, 255)))
        return is_full

    return signature, generate


def _number_adder(_context: Any, table: Any, _a: Any, _b: Any, _c: Any, _d: Any, rows: Any, _character: Any) -> Any:
    """Four rows of a table of uint32, each += a row of uint16."""
    signature = types.void(table, *[types.uintp] * _SUMMED, rows, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, _ = _row(context, builder, signature.args[-2], arguments[-2], arguments[-1], N_NUMBERS)
        more = builder.zext(builder.load(row, align=1), ir.VectorType(_INDEX, N_NUMBERS))
        for index in arguments[1 : 1 + _SUMMED]:
            sums, _ = _row(context, builder, signature.args[0], arguments[0], index, N_NUMBERS)
            _add(builder, sums, more)
        return context.get_dummy_value()

    return signature, generate


def _row_drainer(_context: Any, table: Any, _from: Any, counts: Any, _to: Any) -> Any:
    """counts[to] += table[from]; table[from] = 0. Counts are wider than the table's numbers, or float32."""
    signature = types.void(table, types.uintp, counts, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        n = N_BYTES * 8 // table.dtype.bitwidth
        given, narrow = _row(context, builder, signature.args[0], arguments[0], arguments[1], n)
        taken, wide = _row(context, builder, signature.args[2], arguments[2], arguments[3], n)
        if signature.args[2].dtype == types.float32:
            more = builder.uitofp(builder.load(given, align=1), wide)
            builder.store(builder.fadd(builder.load(taken, align=1), more), taken, align=1)
        else:
            _add(builder, taken, builder.zext(builder.load(given, align=1), wide))
        builder.store(ir.Constant(narrow, None), given, align=1)
        return context.get_dummy_value()

    return signature, generate


def _row_weigher(_context: Any, table: Any, _from: Any, _n: Any, sums: Any, _to: Any, weights: Any, _at: Any) -> Any:
    """sums[to] += weights[at + i] * table[from + i] for each i < n, lane by lane; weights are numbered as they lie."""
    signature = types.void(table, types.uintp, types.uintp, sums, types.uintp, weights, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, floats = _row(context, builder, signature.args[3], arguments[3], arguments[4], N_LANES)
        weights = context.make_array(signature.args[5])(context, builder, arguments[5]).data
        places, none = ir.Constant(ir.VectorType(_INDEX, N_LANES), [0] * N_LANES), ir.Constant(floats, ir.Undefined)
        whole, first = ir.VectorType(_INDEX, N_LANES), builder.load(target, align=1)

        before, loop, done = builder.block, builder.append_basic_block("weigh"), builder.append_basic_block("weighed")
        builder.branch(loop)
        builder.position_at_end(loop)
        i, total = builder.phi(arguments[2].type), builder.phi(floats)
        row, _ = _row(context, builder, signature.args[0], arguments[0], builder.add(arguments[1], i), N_LANES)
        counts = builder.sitofp(builder.zext(builder.load(row, align=1), whole), floats)
        weight = builder.load(builder.gep(weights, [builder.add(arguments[6], i)]))
        everywhere = builder.shuffle_vector(builder.insert_element(none, weight, ir.Constant(_INDEX, 0)), none, places)
        more, following = builder.fadd(total, builder.fmul(counts, everywhere)), builder.add(i, i.type(1))
        for phi, start, later in ((i, i.type(0), following), (total, first, more)):
            phi.add_incoming(start, before)
            phi.add_incoming(later, loop)
        builder.cbranch(builder.icmp_unsigned("<", following, arguments[2]), loop, done)
        builder.position_at_end(done)
        builder.store(more, target, align=1)
        return context.get_dummy_value()

    return signature, generate


_add_labels: Any = intrinsic(_label_adder)
_add_numbers: Any = intrinsic(_number_adder)
_drain_row: Any = intrinsic(_row_drainer)
_weigh_rows: Any = intrinsic(_row_weigher)


@compiled
def _table(n_bytes: int) -> Array:
    """Zeros, uint8; rows that lie across two cache lines would take twice as long."""
    room = np.zeros(n_bytes + N_BYTES, np.uint8)
    first = -room.ctypes.data % N_BYTES
    return room[first : first + n_bytes]


@compiled
def count(
    bins: Array, places: Array, which: Array, rows: Array, ranks: Array, cuts: Array, counts: Array, sums: Array
) -> None:
    """Count characters by bin and by lane, and sum up their ranks by block and by lane.

    bins : (traces, n or more) uint8. places : (n,) which of these each character has; blocks lie in one piece there.
    which : (n,), the one of `rows` (combinations, N_LANES) uint8 that is each
    character's; lane 0 is always 1. ranks : (traces, N_BINS) float32 without gaps, what a bin stands for in the sums.
    cuts : (blocks + 1,), where each block begins, and n.
    counts : (traces, N_BINS, N_LANES) uint32, added to. sums : (blocks, traces, N_LANES) float32, added to.
    """
    table = _table(_COUNTED * N_BINS * N_LANES).reshape(_COUNTED * N_BINS, N_LANES)
    for first in range(0, len(bins), _COUNTED):
        n_traces, last = min(_COUNTED, len(bins) - first), len(bins) - 1
        a, b, c, d = bins[first], bins[min(first + 1, last)], bins[min(first + 2, last)], bins[min(first + 3, last)]
        summed = np.zeros((2, _COUNTED, N_LANES), np.float32)  # of the rows emptied so far; of all up to the last cut
        for block in range(len(cuts) - 1):
            for t in range(np.uintp(cuts[block]), np.uintp(cuts[block + 1])):
                at = np.uintp(places[t])
                of_a, of_b = np.uintp(a[at]), np.uintp(b[at]) + np.uintp(N_BINS)
                of_c, of_d = np.uintp(c[at]) + np.uintp(2 * N_BINS), np.uintp(d[at]) + np.uintp(3 * N_BINS)
                if _add_labels(table, of_a, of_b, of_c, of_d, rows, np.uintp(which[t])):
                    for k in range(n_traces):
                        in_bin = np.uintp(bins[first + k, at])
                        row = np.uintp(k * N_BINS) + in_bin
                        if table[row, 0] == 255:
                            at_bin = np.uintp((first + k) * N_BINS) + in_bin
                            _weigh_rows(table, row, np.uintp(1), summed[0], np.uintp(k), ranks, at_bin)
                            _drain_row(table, row, counts[first + k], in_bin)
            for k in range(n_traces):
                now, row, bin_0 = summed[0, k : k + 1].copy(), np.uintp(k * N_BINS), np.uintp((first + k) * N_BINS)
                _weigh_rows(table, row, np.uintp(N_BINS), now, np.uintp(0), ranks, bin_0)
                for lane in range(N_LANES):
                    sums[block, first + k, lane] += now[0, lane] - summed[1, k, lane]
                    summed[1, k, lane] = now[0, lane]
        for k in range(n_traces):
            for i in range(N_BINS):
                if table[k * N_BINS + i, 0]:
                    _drain_row(table, np.uintp(k * N_BINS + i), counts[first + k], np.uintp(i))
        table[n_traces * N_BINS :] = 0  # of a trace that stood in for one that is not there


@compiled
def add_numbers(bins: Array, numbers: Array, sums: Array) -> None:
    """sums (traces, N_BINS, N_NUMBERS) float32 += the rows of numbers (n, N_NUMBERS) of the characters in each bin.

    bins : (traces, n or more) uint8. numbers : uint16, the first of a row 1: 65,536 characters fit in a call.
    """
    table = _table(_SUMMED * N_BINS * N_BYTES).view(np.uint32).reshape(_SUMMED * N_BINS, N_NUMBERS)
    for first in range(0, len(bins), _SUMMED):
        n_traces = min(_SUMMED, len(bins) - first)
        last = len(bins) - 1
        a, b, c, d = bins[first], bins[min(first + 1, last)], bins[min(first + 2, last)], bins[min(first + 3, last)]
        for t in range(np.uintp(len(numbers))):
            of_a, of_b = np.uintp(a[t]), np.uintp(b[t]) + np.uintp(N_BINS)
            of_c, of_d = np.uintp(c[t]) + np.uintp(2 * N_BINS), np.uintp(d[t]) + np.uintp(3 * N_BINS)
            _add_numbers(table, of_a, of_b, of_c, of_d, numbers, t)
        for k in range(n_traces):
            for i in range(N_BINS):
                if table[k * N_BINS + i, 0]:
                    _drain_row(table, np.uintp(k * N_BINS + i), sums[first + k], np.uintp(i))
        table[n_traces * N_BINS :] = 0
