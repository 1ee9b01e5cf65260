"""Sums of products, WIDTH at a time for up to ROWS rows: what both the reading and the search of values come down to.

The sums stay in registers; what is read of a panel serves all of the rows, and what is read of a row all of the sums,
for few rows those of several panels: a core begins with a product while others are not through yet
(the inner kernel of Goto and van de Geijn, Anatomy of high-performance matrix multiplication, 2008). Every sum goes
through its products in their order, whatever the number of rows.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

_IS_WIDE = get_host_cpu_features().get("avx512f", False)  # twice as many registers, each twice as long
WIDTH = 32 if _IS_WIDE else 16  # numbers in two vectors, and
HALF = WIDTH // 2  # in one
ROWS = 12 if _IS_WIDE else 6  # at once, of one panel: as many sums as there are registers for
BESIDE = (4, 4, 2, 2, 2) if _IS_WIDE else (4, 2)  # of 1, 2, ... rows so many panels at once: one would keep it waiting
_LINE = 64  # bytes to which arrays are laid out

Array = NDArray[Any]

_FLOAT, _INDEX, _LANE = ir.FloatType(), ir.IntType(64), ir.IntType(32)


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Memory, not filled, that begins where a line of the cache does: no vector of a row lies across two."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(n_bytes + _LINE, np.uint8)
    first = -room.ctypes.data % _LINE
    whole: Array = room[first : first + n_bytes].view(dtype).reshape(shape)
    return whole


def _adder(counts: Sequence[tuple[int, int]], width: int = WIDTH) -> Callable[..., Any]:
    """The inner kernel for each of these numbers of rows and panels, of which it does the one that is called for:

        out[r, p] = start[p] + the sum over k of panels[p, k] * rows[r, k]

    which : the place in `counts`. apart : from panel to panel; between : from panel to panel of start and out.
    """

    def typed(_context: Any, which: Any, panels: Any, panel: Any, apart: Any, rows: Any, row: Any, stride: Any,
              n_in: Any, start: Any, begin: Any, between: Any, out: Any, to: Any, step: Any) -> Any:  # fmt: skip
        n = types.intp
        return types.void(n, panels, n, n, rows, n, n, n, start, n, n, out, n, n), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, builder, arguments[i]).data

        arrays, places = (1, 4, 8, 11), (2, 3, 5, 6, 7, 9, 10, 12, 13)
        given = [data(i) for i in arrays], [arguments[i] for i in places], signature.args[1].dtype
        done = builder.append_basic_block("summed")
        blocks = [builder.append_basic_block("rows") for _ in counts]
        choice = builder.switch(arguments[0], blocks[-1])
        for i, (block, count) in enumerate(zip(blocks, counts, strict=True)):
            choice.add_case(ir.Constant(_INDEX, i), block)
            builder.position_at_end(block)
            _add_up(builder, count, width, *given)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    made: Callable[..., Any] = intrinsic(typed)
    return made


def _add_up(builder: Any, count: tuple[int, int], width: int, arrays: Any, places: Any, kind: Any) -> None:
    """The loop for so many rows and panels, `width` sums of each at a time. Of what `_adder` takes: arrays, here where
    their numbers begin; the others; the type of the panels' numbers.
    """
    n_rows, n_panels = count
    many = ir.VectorType(_FLOAT, width)
    panels, rows, start, out = arrays
    panel, apart, row, stride, n_in, begin, between, to, step = places

    def floats(pointer: Any) -> Any:
        return builder.bitcast(pointer, many.as_pointer())

    def at(pointer: Any, index: Any) -> Any:
        return builder.gep(pointer, [index])

    def times(index: Any, n: int) -> Any:
        return builder.mul(index, ir.Constant(_INDEX, n))

    pairs = list(itertools.product(range(n_rows), range(n_panels)))
    weights = [at(panels, builder.add(panel, times(apart, p))) for p in range(n_panels)]
    numbers_of = [at(rows, builder.add(row, times(stride, r))) for r in range(n_rows)]
    first = [builder.load(floats(at(start, builder.add(begin, times(between, p)))), align=4) for p in range(n_panels)]
    targets = [floats(at(out, builder.add(to, builder.add(times(step, r), times(between, p))))) for r, p in pairs]

    before, loop, done = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("stored")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, sums = builder.phi(_INDEX), [builder.phi(many) for _ in pairs]
    here = [_load_floats(builder, at(one, times(k, width)), kind, many) for one in weights]
    numbers = [_everywhere(builder, builder.load(at(one, k)), many) for one in numbers_of]
    added = [_add_product(builder, total, here[p], numbers[r]) for total, (r, p) in zip(sums, pairs, strict=True)]
    following = builder.add(k, ir.Constant(_INDEX, 1))
    initial = [ir.Constant(_INDEX, 0), *(first[p] for _, p in pairs)]
    for phi, value, later in zip([k, *sums], initial, [following, *added], strict=True):
        phi.add_incoming(value, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, n_in), loop, done)
    builder.position_at_end(done)
    for total, target in zip(added, targets, strict=True):
        builder.store(total, target, align=4)


def _load_floats(builder: Any, pointer: Any, kind: Any, many: Any) -> Any:
    if kind == types.float32:
        return builder.load(builder.bitcast(pointer, many.as_pointer()), align=4)
    halves = ir.VectorType(ir.HalfType(), many.count)
    return builder.fpext(builder.load(builder.bitcast(pointer, halves.as_pointer()), align=2), many)


def _everywhere(builder: Any, number: Any, many: Any) -> Any:
    alone = builder.insert_element(ir.Constant(many, ir.Undefined), number, ir.Constant(_LANE, 0))
    places = ir.Constant(ir.VectorType(_LANE, many.count), [0] * many.count)
    return builder.shuffle_vector(alone, ir.Constant(many, ir.Undefined), places)


def _add_product(builder: Any, total: Any, weight: Any, numbers: Any) -> Any:
    """total + weight * number, in one instruction where there is such."""
    return builder.fadd(total, builder.fmul(weight, numbers, flags=("contract",)), flags=("contract",))


_add_rows = _adder([(1 + i, 1) for i in range(ROWS)])
_add_halves = _adder([(1 + i, 1) for i in range(ROWS)], HALF)
_add_few = _adder([(1 + i, 1 + p) for i, most in enumerate(BESIDE) for p in range(most)])
_BEGIN = (0, *itertools.accumulate(BESIDE))  # where those of 1, 2, ... rows begin


@compiled
def add_products(
    n: int, panels: Array, panel: int, rows: Array, row: int, stride: int, n_in: int, start: Array, begin: int,
    out: Array, to: int, step: int,
) -> None:  # fmt: skip
    """Fill WIDTH numbers of each of n rows r, 1 to ROWS; i is 0 to WIDTH - 1:

        y[r, i] = s[i] + the sum over k of w[k, i] * x[r, k]

    y begins at place `to` of `out`, a row every `step`; x at `row` of `rows`, a row every `stride`; w at `panel` of
    `panels`, s at `begin` of `start`. All arrays without gaps; places are those of their numbers in memory.
    panels : float32, or uint16: the bits of float16. The others float32. n_in : 1 or more.
    """
    _add_rows(n - 1, panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)


@compiled
def add_half_products(
    n: int, panels: Array, panel: int, rows: Array, row: int, stride: int, n_in: int, start: Array, begin: int,
    out: Array, to: int, step: int,
) -> None:  # fmt: skip
    """As `add_products`, of panels HALF as wide, and so many numbers of each row."""
    _add_halves(n - 1, panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)


@compiled
def add_beside(
    n: int, n_panels: int, panels: Array, panel: int, apart: int, rows: Array, row: int, stride: int, n_in: int,
    start: Array, begin: int, between: int, out: Array, to: int, step: int,
) -> None:  # fmt: skip
    """As `add_products` for n rows and `n_panels` panels, up to BESIDE[n - 1], from each to the next `apart` numbers.

    What belongs to the next panel is `between` numbers further on in `start` and `out`.
    """
    which = _BEGIN[n - 1] + n_panels - 1
    _add_few(which, panels, panel, apart, rows, row, stride, n_in, start, begin, between, out, to, step)
