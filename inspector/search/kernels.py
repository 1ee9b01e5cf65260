"""The loops that every character of every trace goes through, compiled by numba. Arrays in, arrays filled in place.

value --put_on_scale--> cell of 4,096 --lookup--> bin of 256 --counting.count--> counts for every label
                                                             what they say about it: scores.py
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled, fast
from inspector.products import HALF, ROWS, WIDTH, add_half_products, add_products, aligned
from inspector.search.counting import N_BINS
from inspector.search.far import Far, keep_far

N_CELLS = 4096  # equal steps over a trace's own range; what a bin can be made of
_LINE = 16  # numbers that lie in one line of the cache
_AHEAD = 12  # characters by which a value is asked for before it is needed
_TILE = 512  # characters whose products are added up at a time, so that what they are multiplied with stays there too
_STRETCH = 1024  # values put into cells at a time, so that they stay in the nearest cache
_CLOSEST = np.float32(2**-20)  # nearer than this to an end of a bounded signal, values are one
NEAR_ZERO = np.float32(2**-10)  # of signed values: below it steps are even, above they grow with the value
_NOT_SIGN = 2**31 - 1
_HIGHEST_BITS = int(np.finfo(np.float32).max.view(np.int32))
_HALF_BITS, _ZERO_BITS, _TURN_BITS = (
    int(np.float32(value).view(np.int32)) for value in (0.5, NEAR_ZERO, np.float32(0.5) + NEAR_ZERO)
)
N_RANKS = 2**10  # steps of a rank: few enough for sums of 2**15 ranks to be exact in float32
LINEAR, UNIT, SIGNED = 0, 1, 2  # what a trace's range is: any number, 0..1, -1..1

Array = NDArray[Any]


@compiled
def put_on_scale(values: Array, kind: int, out: Array) -> None:
    """A monotone picture of values, float32, which keeps those apart that lie close to an end of a bounded signal.

    It is the value itself for LINEAR. Otherwise it is about the logarithm of the distance to the nearer end (and, for
    SIGNED, to 0), read off its bits: those of a positive float, taken as an integer, grow about as its logarithm does.
    Integers are kept to 32 bits throughout: wider ones are not made floats many at once.
    """
    if kind == LINEAR:
        for t in range(len(values)):
            out[t] = values[t]
    elif kind == UNIT:
        for t in range(len(values)):
            out[t] = _of_unit(values[t])
    else:
        for t in range(len(values)):
            out[t] = _of_signed(values[t])


@compiled
def _of_unit(value: np.float32) -> Any:
    above = np.float32(1.0) - value
    bits = np.float32(max(min(value, above), _CLOSEST)).view(np.int32)
    return np.float32(bits if value <= above else np.int32(2 * _HALF_BITS - bits))


@compiled
def _of_signed(value: np.float32) -> Any:
    size = abs(value)
    inner = np.float32(size + NEAR_ZERO).view(np.int32)
    outer = np.int32(_TURN_BITS + _HALF_BITS - np.float32(max(np.float32(1.0) - size, _CLOSEST)).view(np.int32))
    scaled = np.float32(np.int32((inner if size <= np.float32(0.5) else outer) - _ZERO_BITS))
    return scaled if value >= 0 else -scaled


@compiled
def _cells(values: Array, kind: int, low: np.float32, steps: np.float32, scaled: Array, cells: Array) -> None:
    put_on_scale(values, kind, scaled)
    for t in range(len(values)):
        cells[t] = _cell(scaled[t], low, steps)


@compiled
def _cell(scaled: np.float32, low: np.float32, steps: np.float32) -> Any:
    return np.int32(min(max((scaled - low) * steps, np.float32(0)), np.float32(N_CELLS - 1)))


@compiled
def find_edges(kinds: Array, low: Array, steps: Array, lookup: Array, bins: Array, out: Array) -> None:
    """out (traces, k) = the lowest float32 whose bin is at least bins (traces, k), by halving the range of floats."""
    for u in range(len(bins)):
        for i in range(bins.shape[1]):
            below, above = -_HIGHEST_BITS, _HIGHEST_BITS
            while below < above:
                middle = (below + above) // 2
                value = _of_order(middle)
                if kinds[u] != LINEAR:
                    value = _of_unit(value) if kinds[u] == UNIT else _of_signed(value)
                if lookup[u, _cell(value, low[u], steps[u])] >= bins[u, i]:
                    above = middle
                else:
                    below = middle + 1
            out[u, i] = _of_order(above)


@compiled
def _of_order(place: int) -> Any:
    """The float32 that lies so many floats above 0."""
    size = np.int32(abs(place)).view(np.float32)
    return -size if place < 0 else size


@compiled
def lay_out(values: Array, kind: int, low: np.float32, steps: np.float32, shares: Array, logs: Array, lookup: Array,
            ranks: Array, tied: Array) -> None:  # fmt: skip
    """Lay out the bins of one trace from some of its values (n,).

    shares : of the bins, those that go by how many values lie in a cell, and those for both tails; the rest is spread
    evenly. logs : (2 * n + 1,) of the whole numbers, of 1 in the place of 0. lookup : (N_CELLS,) uint8, filled, the bin
    of each cell. ranks : (N_BINS,) float32, filled, the mean rank of its values, -.5 to .5. tied : (N_BINS,) bool,
    filled: those of them that fell into this bin are equal; a bin with fewer than two of them is what most of the
    trace's others are.
    """
    n = len(values)
    scaled, cells = np.empty(n, np.float32), np.empty(n, np.uint16)
    _cells(values, kind, low, steps, scaled, cells)
    counts = np.zeros(N_CELLS, np.int64)
    for t in range(n):
        counts[cells[t]] += 1
    below = 0
    middle, tail = np.empty(N_CELLS), np.empty(N_CELLS)  # mid-ranks, 0 to 1
    for i in range(N_CELLS):
        twice = 2 * below + counts[i]
        middle[i], tail[i] = twice / (2 * n), logs[twice] - logs[2 * n - twice]
        below += counts[i]
    first, span = tail[0], max(tail[-1] - tail[0], 1e-9)
    weights, sums = np.zeros(N_BINS), np.zeros(N_BINS)
    for i in range(N_CELLS):
        place = shares[0] * middle[i] + shares[1] * (tail[i] - first) / span + (1 - shares.sum()) * i / N_CELLS
        b = int(min(place * N_BINS, N_BINS - 1))
        lookup[i] = b
        weights[b] += counts[i] / n + 1e-12
        sums[b] += (counts[i] / n + 1e-12) * middle[i]
    for b in range(N_BINS):
        ranks[b] = np.rint((sums[b] / max(weights[b], 1e-30) - 0.5) * N_RANKS) / N_RANKS
    _mark_ties(values, cells, lookup, tied)


@compiled
def _mark_ties(values: Array, cells: Array, lookup: Array, tied: Array) -> None:
    first, seen = np.zeros(N_BINS, np.float32), np.zeros(N_BINS, np.int64)
    tied[:] = False
    for t in range(len(values)):
        b = lookup[cells[t]]
        if seen[b] == 0:
            first[b], tied[b] = values[t], True
        elif values[t] != first[b]:
            tied[b] = False
        seen[b] += 1
    n_tied, n_telling = 0, 0
    for b in range(N_BINS):
        n_telling += seen[b] > 1
        n_tied += seen[b] > 1 and tied[b]
    for b in range(N_BINS):
        if seen[b] <= 1:
            tied[b] = 2 * n_tied > n_telling


@fast
def centre_on(values: Array, centre: Array, scale: Array) -> None:
    """centre, scale (traces,) = the mean of values (traces, n) and 1 / their deviation; 1 where all are the same."""
    for u in range(len(values)):
        total, squares, lowest, highest = 0.0, 0.0, values[u, 0], values[u, 0]
        for value in values[u]:
            total += value
            lowest, highest = min(lowest, value), max(highest, value)
        mean = total / values.shape[1]
        for value in values[u]:
            squares += (value - mean) ** 2
        spread = math.sqrt(squares / values.shape[1]) if lowest < highest else 0.0
        centre[u], scale[u] = mean, 1 / max(spread, 1e-30) if spread > 0 else 1.0


@fast
def _sums(values: Array, centre: np.float32, out: Array) -> None:
    """out (6,) takes in what `take_in` says of a trace's summary."""
    first, second, below, above = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for t in range(len(values)):
        value = values[t]
        off = value - centre
        first += off
        second += off * off
        below += np.float32(value < np.float32(0.1))
        above += np.float32(value > np.float32(0.9))
    out[0] += first
    out[1] += second
    out[4] += below
    out[5] += above


@compiled
def _ends(values: Array) -> Any:
    """The lowest and the highest of values (n,), by way of whole numbers in the same order: those go many at once."""
    bits = values.view(np.int32)
    low, high = in_order(bits[0]), in_order(bits[0])
    for t in range(len(bits)):
        ordered = in_order(bits[t])
        low = ordered if ordered < low else low
        high = ordered if ordered > high else high
    return np.int32(in_order(low)).view(np.float32), np.int32(in_order(high)).view(np.float32)


@compiled
def in_order(bits: np.int32) -> Any:
    """Bits of a float32 as a number that grows as the float does; and back."""
    return np.int32(bits ^ np.int32((bits >> 31) & _NOT_SIGN))


@fast
def _off_centre(values: Array, centre: np.float32, scale: np.float32) -> None:
    """Scaled before anything is squared: squares of what is below 1e-19 would be lost in float32."""
    for t in range(len(values)):
        values[t] = (values[t] - centre) * scale


@fast
def _square_product(values: Array, column: Array) -> Any:
    total = np.float32(0)
    for t in range(len(values)):
        total += values[t] * values[t] * column[t]
    return total


def by_character(columns: Array) -> Array:
    """Columns (any number, n) as (groups, n, WIDTH), filled up with zeros: WIDTH of them beside each other, or HALF."""
    width = HALF if len(columns) <= HALF else WIDTH
    n_groups = -(-len(columns) // width)
    found = aligned((n_groups, columns.shape[1], width))
    for group in range(n_groups):
        some = columns[group * width : (group + 1) * width]
        found[group, :, : len(some)], found[group, :, len(some) :] = some.T, 0
    return found


def _fetcher(_context: Any, table: Any, _row: Any, _column: Any) -> Any:
    """Have a number of a table brought into the cache, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        rows, columns = (builder.mul(arguments[1 + i], builder.extract_value(array.strides, i)) for i in range(2))
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(builder.bitcast(array.data, byte), [builder.add(rows, columns)])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
        builder.call(fetch, [place, number(0), number(3), number(1)])  # to read, to stay close, data
        return context.get_dummy_value()

    return types.void(table, types.uintp, types.uintp), generate


_fetch: Any = intrinsic(_fetcher)


@compiled
def line_up(values: Array, places: Array, out: Array) -> None:
    """out (traces, n) = values (traces, any), float32 of any strides, at `places` (n,).

    A character's values lie far from those of the next, so each is asked for some characters ahead.
    """
    n, n_traces = np.uintp(len(places)), np.uintp(len(values))
    for t in range(n):
        at, soon = np.uintp(places[t]), np.uintp(places[min(t + np.uintp(_AHEAD), n - np.uintp(1))])
        for k in range(np.uintp(0), n_traces, np.uintp(_LINE)):
            _fetch(values, k, soon)
        for k in range(n_traces):
            out[k, t] = values[k, at]


@compiled
def take_in(
    values: Array, positions: Array, kinds: Array, low: Array, steps: Array, lookup: Array, centre: Array, scale: Array,
    columns: Array, n_columns: int, masks: Array, of_masks: Array, cuts: Array, blocks: Array, bins: Array,
    summary: Array, products: Array, squares: Array, far: Far,
) -> None:  # fmt: skip
    """Everything about values (traces, n or more), float32, but how often labels come with their bins.

    The values are used up: what stands there afterwards is scaled.
    positions : (n,) of the characters in the text.
    kinds, low, steps, lookup : as `Bins` has them. centre, scale : (traces,) float32, what values are taken about.
    columns : as `by_character` has them, `n_columns` in all; `masks` says which of them are masks, and
    of_masks (masks, n) has these alone.
    cuts : (pieces + 1,) where each piece begins, and n; blocks : (pieces,) the block of each.
    bins : (traces, n) uint8, filled. summary : (traces, 6) takes in sums over the values and over their squares, both
    about `centre`; the lowest and the highest; how many are < .1, how many > .9.
    products : (blocks, traces, columns), squares : (traces, columns) take in sums over the scaled values times columns,
    and over their squares times masks. far : as `keep_far` takes it.
    """
    n, n_traces = len(positions), len(values)
    scaled, cells = np.empty(_STRETCH, np.float32), np.empty(_STRETCH, np.uint16)
    layout = np.empty(N_CELLS, np.uint8)
    for u in range(n_traces):
        row, into = values[u, :n], bins[u]
        for i in range(N_CELLS):  # at once: each entry by itself would be waited for
            layout[i] = lookup[u, i]
        for start in range(0, n, _STRETCH):
            stretch, at = row[start : start + _STRETCH], np.uintp(start)
            _cells(stretch, kinds[u], low[u], steps[u], scaled, cells)
            for t in range(np.uintp(len(stretch))):
                into[at + t] = layout[np.uintp(cells[t])]
            _sums(stretch, centre[u], summary[u])
            lowest, highest = _ends(stretch)
            summary[u, 2], summary[u, 3] = min(summary[u, 2], lowest), max(summary[u, 3], highest)
        if len(far.n):
            keep_far(far, u, row, into, positions)
        if n_columns:
            _off_centre(row, centre[u], scale[u])
    if n_columns:
        _take_products(values, columns, n_columns, masks, of_masks, cuts, blocks, products, squares)


@compiled
def _take_products(
    values: Array, columns: Array, n_columns: int, masks: Array, of_masks: Array, cuts: Array, blocks: Array,
    products: Array, squares: Array,
) -> None:  # fmt: skip
    """What `take_in` says of products and squares, of scaled values."""
    n, n_traces, stride, width = columns.shape[1], len(values), values.shape[1], columns.shape[2]
    sums, none = np.empty((ROWS, WIDTH), np.float32), np.zeros(WIDTH, np.float32)
    for piece in range(len(blocks)):
        for begin in range(cuts[piece], cuts[piece + 1], _TILE):
            end = min(begin + _TILE, cuts[piece + 1])
            for group in range(len(columns)):
                for u in range(0, n_traces, ROWS):
                    n_rows = min(ROWS, n_traces - u)
                    at = (group * n + begin) * width
                    if width == HALF:
                        add_half_products(n_rows, columns, at, values, u * stride + begin, stride,
                                          end - begin, none, 0, sums, 0, WIDTH)  # fmt: skip
                    else:
                        add_products(n_rows, columns, at, values, u * stride + begin, stride,
                                     end - begin, none, 0, sums, 0, WIDTH)  # fmt: skip
                    for k in range(n_rows):
                        for i in range(min(n_columns - group * width, width)):
                            products[blocks[piece], u + k, group * width + i] += sums[k, i]
    for u in range(n_traces):
        for begin in range(0, n, _TILE):
            row = values[u, begin : min(begin + _TILE, n)]
            for i in range(len(masks)):
                squares[u, masks[i]] += _square_product(row, of_masks[i, begin : begin + len(row)])
