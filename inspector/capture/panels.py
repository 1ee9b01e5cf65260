"""Products of a layer's weights with rows of numbers, as fast as a core can multiply, compiled.

    weights (gates, units, n_in)  ──►  panels [gate][block of WIDTH neurons][n_in][WIDTH]

WIDTH neurons times up to ROWS rows are worked out together: the sums stay in registers, what is read of a panel serves
all of the rows, and what is read of a row all of the neurons (the inner kernel of Goto and van de Geijn, Anatomy of
high-performance matrix multiplication, 2008). Every sum goes through its inputs in their order, whatever the number of
rows and threads. Weights may lie there as the bits of float16, where that is what they are.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

ROWS = 6  # as many sums as there are registers for
WIDTH = 32 if get_host_cpu_features().get("avx512f", False) else 16  # numbers in two vectors
_NEAR = 2**15  # numbers of the rows that are gone through while a panel is near: 128 kB, a part of the second cache
_LINE = 64  # bytes to which arrays are laid out

Array = NDArray[Any]

_FLOAT, _SMALL, _INDEX, _LANE = ir.FloatType(), ir.IntType(16), ir.IntType(64), ir.IntType(32)
_FLOATS = ir.VectorType(_FLOAT, WIDTH)


class Panels(NamedTuple):
    """A layer's weights as these loops read them; rows of `units` are filled up with zeros to whole blocks."""

    input: Array  # (gates, blocks, n_in, WIDTH) float32
    recurrent: Array  # (gates, blocks, units, WIDTH) float32, or uint16: the bits of float16
    bias: Array  # (gates, blocks * WIDTH) float32
    behind: Array  # (units,) float32, added inside the reset gate's product of a GRU


def in_panels(weights: Array) -> Array:
    """Weights (gates, units, n_in) as panels, of the same type."""
    n_gates, n_units, n_in = weights.shape
    n_blocks = -(-n_units // WIDTH)
    panels = aligned((n_gates, n_blocks, n_in, WIDTH), weights.dtype)
    for block in range(n_blocks):
        rows = weights[:, block * WIDTH : (block + 1) * WIDTH]
        panels[:, block, :, : rows.shape[1]] = rows.transpose(0, 2, 1)
        panels[:, block, :, rows.shape[1] :] = 0
    return panels


def filled_up(numbers: Array) -> Array:
    """Numbers (gates, units), and zeros up to whole blocks."""
    n_gates, n_units = numbers.shape
    whole = aligned((n_gates, -(-n_units // WIDTH) * WIDTH))
    whole[:, :n_units], whole[:, n_units:] = numbers, 0
    return whole


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Memory, not filled, that begins where a line of the cache does: no vector of a row lies across two."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(n_bytes + _LINE, np.uint8)
    first = -room.ctypes.data % _LINE
    whole: Array = room[first : first + n_bytes].view(dtype).reshape(shape)
    return whole


def _adder(n_rows: int) -> Callable[..., Any]:
    """The inner kernel for so many rows: out[r] = start + the sum over k of panel[k] * rows[r, k]."""

    def typed(_context: Any, panels: Any, panel: Any, rows: Any, row: Any, stride: Any, n_in: Any, start: Any,
              begin: Any, out: Any, to: Any, step: Any) -> Any:  # fmt: skip
        number = types.intp
        signature = types.void(panels, number, rows, number, number, number, start, number, out, number, number)
        return signature, generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, builder, arguments[i]).data

        def floats(pointer: Any) -> Any:
            return builder.bitcast(pointer, _FLOATS.as_pointer())

        def at(pointer: Any, index: Any) -> Any:
            return builder.gep(pointer, [index])

        def times(index: Any, n: int) -> Any:
            return builder.mul(index, ir.Constant(_INDEX, n))

        _, panel, _, row, stride, n_in, _, begin, _, to, step = arguments
        weights = at(data(0), panel)
        rows = [at(data(2), builder.add(row, times(stride, r))) for r in range(n_rows)]
        first = builder.load(floats(at(data(6), begin)), align=4)
        targets = [floats(at(data(8), builder.add(to, times(step, r)))) for r in range(n_rows)]

        before, loop, done = builder.block, builder.append_basic_block("sum"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        k, sums = builder.phi(_INDEX), [builder.phi(_FLOATS) for _ in range(n_rows)]
        weight = _load_floats(builder, at(weights, times(k, WIDTH)), signature.args[0].dtype)
        added = [
            _add_product(builder, total, weight, builder.load(at(one, k)))
            for total, one in zip(sums, rows, strict=True)
        ]
        following = builder.add(k, ir.Constant(_INDEX, 1))
        initial = [ir.Constant(_INDEX, 0), *[first] * n_rows]
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


def _add_product(builder: Any, total: Any, weight: Any, number: Any) -> Any:
    """total + weight * number, in one instruction where there is such."""
    alone = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), number, ir.Constant(_LANE, 0))
    everywhere = ir.Constant(ir.VectorType(_LANE, WIDTH), [0] * WIDTH)
    numbers = builder.shuffle_vector(alone, ir.Constant(_FLOATS, ir.Undefined), everywhere)
    return builder.fadd(total, builder.fmul(weight, numbers, flags=("contract",)), flags=("contract",))


_add_1, _add_2, _add_3, _add_4, _add_5, _add_6 = map(_adder, range(1, ROWS + 1))


@compiled
def multiply(
    panels: Array, rows: Array, at: int, stride: int, n_rows: int, start: Array, out: Array, first: int, last: int,
    is_even: bool,
) -> None:  # fmt: skip
    """out[row, gate, neuron] = start[gate, neuron] + weights[gate, neuron] . row, for the blocks first..last.

    rows : any float32 array without gaps; the first row begins at number `at` of it, the next ones `stride` behind.
    out : (n_rows, gates, blocks * WIDTH). is_even : panels are gone through upwards, else downwards.
    """
    n_gates, n_blocks, n_in, _ = panels.shape
    n_mine = last - first
    step = n_gates * n_blocks * WIDTH  # from row to row of `out`
    n_near = max(_NEAR // n_in // ROWS, 1) * ROWS
    for near in range(0, n_rows, n_near):
        n_here = min(n_near, n_rows - near)
        n_groups = (n_here + ROWS - 1) // ROWS
        for turn in range(n_gates * n_mine):
            mine = turn if is_even else n_gates * n_mine - 1 - turn
            block = mine // n_mine * n_blocks + first + mine % n_mine
            panel, neuron = block * n_in * WIDTH, block * WIDTH
            for group in range(n_groups):
                begin = near + n_here * group // n_groups
                n = near + n_here * (group + 1) // n_groups - begin
                row, to = at + begin * stride, begin * step + neuron
                if n == 6:
                    _add_6(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
                elif n == 5:
                    _add_5(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
                elif n == 4:
                    _add_4(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
                elif n == 3:
                    _add_3(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
                elif n == 2:
                    _add_2(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
                else:
                    _add_1(panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)
