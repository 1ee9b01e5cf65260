"""Sums of products, WIDTH at a time for up to ROWS rows: what both the reading and the search of values come down to.

The sums stay in registers; what is read of a panel serves all of the rows, and what is read of a row all of the sums,
for a lone row those of up to PANELS panels: a core begins with a product while others are not through yet
(the inner kernel of Goto and van de Geijn, Anatomy of high-performance matrix multiplication, 2008). Every sum goes
through its products in their order, whatever the number of rows.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

ROWS, PANELS = 6, 4  # of many rows, of many panels: as many sums as there are registers for
WIDTH = 32 if get_host_cpu_features().get("avx512f", False) else 16  # numbers in two vectors
_LINE = 64  # bytes to which arrays are laid out

Array = NDArray[Any]

_FLOAT, _INDEX, _LANE = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, WIDTH)


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Memory, not filled, that begins where a line of the cache does: no vector of a row lies across two."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(n_bytes + _LINE, np.uint8)
    first = -room.ctypes.data % _LINE
    whole: Array = room[first : first + n_bytes].view(dtype).reshape(shape)
    return whole


def _adder(n_rows: int, n_panels: int = 1) -> Callable[..., Any]:
    """The inner kernel for so many rows and panels: out[r, p] = start[p] + the sum over k of panels[p, k] * rows[r, k].

    apart : from panel to panel; between : from panel to panel of start and out.
    """

    def typed(_context: Any, panels: Any, panel: Any, apart: Any, rows: Any, row: Any, stride: Any, n_in: Any,
              start: Any, begin: Any, between: Any, out: Any, to: Any, step: Any) -> Any:  # fmt: skip
        n = types.intp
        return types.void(panels, n, n, rows, n, n, n, start, n, n, out, n, n), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, builder, arguments[i]).data

        def floats(pointer: Any) -> Any:
            return builder.bitcast(pointer, _FLOATS.as_pointer())

        def at(pointer: Any, index: Any) -> Any:
            return builder.gep(pointer, [index])

        def times(index: Any, n: int) -> Any:
            return builder.mul(index, ir.Constant(_INDEX, n))

        _, panel, apart, _, row, stride, n_in, _, begin, between, _, to, step = arguments
        pairs = list(itertools.product(range(n_rows), range(n_panels)))
        weights = [at(data(0), builder.add(panel, times(apart, p))) for p in range(n_panels)]
        rows = [at(data(3), builder.add(row, times(stride, r))) for r in range(n_rows)]
        first = [
            builder.load(floats(at(data(7), builder.add(begin, times(between, p)))), align=4) for p in range(n_panels)
        ]
        targets = [
            floats(at(data(10), builder.add(to, builder.add(times(step, r), times(between, p))))) for r, p in pairs
        ]

        before, loop, done = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        k, sums = builder.phi(_INDEX), [builder.phi(_FLOATS) for _ in pairs]
        here = [_load_floats(builder, at(one, times(k, WIDTH)), signature.args[0].dtype) for one in weights]
        numbers = [_everywhere(builder, builder.load(at(one, k))) for one in rows]
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
        return context.get_dummy_value()

    made: Callable[..., Any] = intrinsic(typed)
    return made


def _load_floats(builder: Any, pointer: Any, kind: Any) -> Any:
    if kind == types.float32:
        return builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()), align=4)
    halves = ir.VectorType(ir.HalfType(), WIDTH)
    return builder.fpext(builder.load(builder.bitcast(pointer, halves.as_pointer()), align=2), _FLOATS)


def _everywhere(builder: Any, number: Any) -> Any:
    alone = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), number, ir.Constant(_LANE, 0))
    places = ir.Constant(ir.VectorType(_LANE, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(alone, ir.Constant(_FLOATS, ir.Undefined), places)


def _add_product(builder: Any, total: Any, weight: Any, numbers: Any) -> Any:
    """total + weight * number, in one instruction where there is such."""
    return builder.fadd(total, builder.fmul(weight, numbers, flags=("contract",)), flags=("contract",))


_add_1, _add_2, _add_3, _add_4, _add_5, _add_6 = map(_adder, range(1, ROWS + 1))


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
    if n == 6:
        _add_6(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)
    elif n == 5:
        _add_5(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)
    elif n == 4:
        _add_4(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)
    elif n == 3:
        _add_3(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)
    elif n == 2:
        _add_2(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)
    else:
        _add_1(panels, panel, 0, rows, row, stride, n_in, start, begin, 0, out, to, step)


_beside_2, _beside_3, _beside_4 = (_adder(1, n) for n in (2, 3, 4))


@compiled
def add_beside(
    n: int, panels: Array, panel: int, apart: int, row: Array, at: int, n_in: int, start: Array, begin: int,
    between: int, out: Array, to: int,
) -> None:  # fmt: skip
    """As `add_products` for one row and n panels, 1 to PANELS, from each to the next `apart` numbers.

    What belongs to the next panel is `between` numbers further on in `start` and `out`.
    """
    if n == 4:
        _beside_4(panels, panel, apart, row, at, 0, n_in, start, begin, between, out, to, 0)
    elif n == 3:
        _beside_3(panels, panel, apart, row, at, 0, n_in, start, begin, between, out, to, 0)
    elif n == 2:
        _beside_2(panels, panel, apart, row, at, 0, n_in, start, begin, between, out, to, 0)
    else:
        _add_1(panels, panel, 0, row, at, 0, n_in, start, begin, 0, out, to, 0)
