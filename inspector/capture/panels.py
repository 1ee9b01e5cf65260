"""A layer's weights laid out for products with many rows of numbers, as fast as a core can multiply.

    weights (gates, units, n_in)  ──►  panels [gate][block of WIDTH neurons][n_in][WIDTH]  ──►  products

Weights may lie there as the bits of float16, where that is what they are.
"""

from typing import Any

from numpy.typing import NDArray

from inspector.compiled import compiled
from inspector.products import BESIDE, ROWS, WIDTH, add_beside, add_products, aligned

_NEAR = 2**15  # numbers of the rows that are gone through while a panel is near: 128 kB, a part of the second cache

Array = NDArray[Any]


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


@compiled
def multiply(
    panels: Array, rows: Array, at: int, stride: int, n_rows: int, start: Array, out: Array, first: int, last: int,
    is_even: bool,
) -> None:  # fmt: skip
    """out[row, gate, neuron] = start[gate, neuron] + weights[gate, neuron] . row, for the blocks first..last.

    rows : any float32 array without gaps; the first row begins at number `at` of it, the next ones `stride` behind.
    out : (n_rows, gates, blocks * WIDTH). is_even : panels are gone through upwards, else downwards.
    """
    if n_rows == 0:
        return
    if n_rows <= len(BESIDE):
        _multiply_few(panels, rows, at, stride, n_rows, start, out, first, last, is_even)
        return
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
                add_products(n, panels, panel, rows, row, stride, n_in, start, neuron, out, to, step)


@compiled
def _multiply_few(
    panels: Array, rows: Array, at: int, stride: int, n_rows: int, start: Array, out: Array, first: int, last: int,
    is_even: bool,
) -> None:  # fmt: skip
    """As `multiply` for few rows: several gates of a block at once, or several blocks of the only gate."""
    n_gates, n_blocks, n_in, _ = panels.shape
    n_most = BESIDE[n_rows - 1]
    n_blocks_at_once = 1 if n_gates > 1 else n_most
    n_turns = (last - first + n_blocks_at_once - 1) // n_blocks_at_once
    between, step = (n_blocks if n_gates > 1 else 1) * WIDTH, n_gates * n_blocks * WIDTH
    for turn in range(n_turns):
        block = first + (turn if is_even else n_turns - 1 - turn) * n_blocks_at_once
        n_beside = n_gates if n_gates > 1 else min(last - block, n_most)
        for gate in range(0, n_beside, n_most):
            n, neuron = min(n_beside - gate, n_most), (gate * n_blocks + block) * WIDTH
            add_beside(
                n_rows, n, panels, neuron * n_in, between * n_in, rows, at, stride, n_in, start, neuron, between, out,
                neuron, step,
            )  # fmt: skip
