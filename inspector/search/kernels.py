"""The loops that every character of every trace goes through, compiled by numba. Arrays in, arrays filled in place.

    value --Scale--> cell of 4,096 --lookup--> bin of 256 --add--> one row of 64 counters, one for each label

A label's row is 64 bytes, so one vector addition counts a character for 64 labels at once. Two rows take turns for
each bin, because the same bin is often hit twice in a row and the second addition would wait for the first.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

N_CELLS = 4096  # equal steps over a trace's own range; what a bin can be made of
N_BINS = 256
N_LANES = 64  # counters in a row; lane 0 counts every character
_STRETCH = 256  # values put into cells at a time, so that they stay in the nearest cache
_CLOSEST = np.float32(2**-20)  # nearer than this to an end of a bounded signal, values are one
_NEAR_ZERO = np.float32(2**-10)  # of signed values: below it steps are even, above they grow with the value
_HIGHEST_BITS = int(np.finfo(np.float32).max.view(np.int32))
_HALF_BITS, _ZERO_BITS, _TURN_BITS = (
    int(np.float32(value).view(np.int32)) for value in (0.5, _NEAR_ZERO, np.float32(0.5) + _NEAR_ZERO)
)
LINEAR, UNIT, SIGNED = 0, 1, 2  # what a trace's range is: any number, 0..1, -1..1

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at first use, keep for the next process, and let go of the interpreter's lock while it runs."""
    return cast(Function, njit(nogil=True, cache=True, boundscheck=False)(function))


def fast(function: Function) -> Function:
    """As `compiled`, and free to add in any order: so can a loop be done many values at once."""
    flags = {"reassoc", "nsz", "contract"}
    return cast(Function, njit(nogil=True, cache=True, boundscheck=False, fastmath=flags)(function))


def _row_adder(_context: Any, table: Any, _row: Any, rows: Any, _label: Any) -> Any:
    """table[row] += rows[label], 64 bytes at once; returns lane 0 as it then is."""
    signature = types.uint8(table, types.uintp, rows, types.uintp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), N_LANES)

        def pointer(which: int) -> Any:
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            offset = builder.mul(arguments[which + 1], ir.Constant(ir.IntType(64), N_LANES))
            return builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer())

        counters, label = pointer(0), pointer(2)
        total = builder.add(builder.load(counters, align=1), builder.load(label, align=1))
        builder.store(total, counters, align=1)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return signature, generate


_add_row: Any = intrinsic(_row_adder)


@compiled
def _spill(row: Array, counts: Array) -> None:
    for lane in range(N_LANES):
        counts[lane] += row[lane]
        row[lane] = 0


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
            inner = np.float32(size + _NEAR_ZERO).view(np.int32)
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
    """out (traces, n) = the bin of each of values (traces, n)."""
    scaled, cells = np.empty(_STRETCH, np.float32), np.empty(_STRETCH, np.uint16)
    for u in range(len(values)):
        for start in range(0, values.shape[1], _STRETCH):
            stretch = values[u, start : start + _STRETCH]
            _cells(stretch, kinds[u], low[u], steps[u], scaled, cells)
            for t in range(len(stretch)):
                out[u, start + t] = lookup[u, cells[t]]


@compiled
def count(
    values: Array, kinds: Array, low: Array, steps: Array, lookup: Array, labels: Array, rows: Array,
    ranks: Array, counts: Array, sums: Array,
) -> None:  # fmt: skip
    """Count the characters of values (traces, n) by bin and by lane, and sum up their ranks by lane.

    labels : (n,) which of `rows` (combinations, N_LANES) uint8, lane 0 always 1, is each character's.
    ranks : (traces, N_BINS) float32, what a bin stands for in the sums.
    counts : (traces, N_BINS, N_LANES) uint32, added to. sums : (traces, N_LANES) float32, added to.
    """
    room = np.zeros((2 * N_BINS + 1) * N_LANES, np.uint8)
    first = -room.ctypes.data % N_LANES  # rows that lie across two cache lines take twice as long
    table = room[first : first + 2 * N_BINS * N_LANES].reshape(2 * N_BINS, N_LANES)
    fresh = np.zeros((N_BINS, N_LANES), np.uint32)
    scaled, cells = np.empty(_STRETCH, np.float32), np.empty(_STRETCH, np.uint16)
    for u in range(len(values)):
        to_bin = lookup[u]
        for start in range(0, values.shape[1], _STRETCH):
            stretch = values[u, start : start + _STRETCH]
            which = labels[start : start + _STRETCH]
            _cells(stretch, kinds[u], low[u], steps[u], scaled, cells)
            for t in range(len(stretch)):
                row = np.uintp(to_bin[np.uintp(cells[np.uintp(t)])]) * 2 + np.uintp(t & 1)
                if _add_row(table, row, rows, np.uintp(which[np.uintp(t)])) == 255:
                    _spill(table[row], fresh[row // 2])
        _fold(table, fresh, ranks[u], counts[u], sums[u])


@compiled
def _fold(table: Array, fresh: Array, ranks: Array, counts: Array, sums: Array) -> None:
    for b in range(N_BINS):
        even, odd, whole = table[2 * b], table[2 * b + 1], fresh[b]
        rank, of_bin = ranks[b], counts[b]
        for lane in range(N_LANES):
            total = whole[lane] + even[lane] + odd[lane]
            of_bin[lane] += total
            sums[lane] += rank * np.float32(total)
            even[lane] = 0
            odd[lane] = 0
            whole[lane] = 0


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


@fast
def _range(values: Array) -> tuple[float, float]:
    lowest, highest = values[0], values[0]
    for t in range(len(values)):
        lowest, highest = min(lowest, values[t]), max(highest, values[t])
    return lowest, highest


@compiled
def summarise(values: Array, centre: Array, out: Array) -> None:
    """out (traces, 6) takes in sum and sum of squares about `centre`, lowest, highest, how many < .1, how many > .9."""
    for u in range(len(values)):
        for start in range(0, values.shape[1], 4 * _STRETCH):
            stretch = values[u, start : start + 4 * _STRETCH]
            first, second, low, high = _sums(stretch, centre[u])
            lowest, highest = _range(stretch)
            out[u, 0] += first
            out[u, 1] += second
            out[u, 2] = min(out[u, 2], lowest)
            out[u, 3] = max(out[u, 3], highest)
            out[u, 4] += low
            out[u, 5] += high


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
