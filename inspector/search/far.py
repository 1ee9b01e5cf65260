"""Keeping the lowest and the highest values of traces as they go by, compiled: whole bins, from both ends inwards."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled
from inspector.search.counting import N_BINS

KEPT = 1_024  # values at each end of a trace, at most
LOW, HIGH = 0, 1  # the ends
_STRETCH = 64  # values looked at together: most lie between the ends

Array = NDArray[Any]


class Far(NamedTuple):
    """What is kept of some traces, at both ends of each; of no trace at all where nothing is to be kept."""

    cuts: Array  # (traces, 2) int64: bins below the first and from the second one on are kept
    values: Array  # (traces, 2, KEPT) float32
    positions: Array  # (traces, 2, KEPT) int32, in the text
    bins: Array  # (traces, 2, KEPT) uint8
    n: Array  # (traces, 2) int64, how many of the KEPT there are


def _finder(_context: Any, bins: Any, _begin: Any, _low: Any, _width: Any) -> Any:
    """A bit for each of _STRETCH bins from `begin` on: whether it lies at least `width` above `low`; one below `low` is
    taken to lie above it by 256 more.
    """
    signature = types.uint64(bins, types.uintp, types.uint8, types.uint8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        many, places = (ir.VectorType(ir.IntType(width), _STRETCH) for width in (8, 32))
        low, width = (
            builder.shuffle_vector(
                builder.insert_element(ir.Constant(many, ir.Undefined), one, ir.Constant(ir.IntType(32), 0)),
                ir.Constant(many, ir.Undefined), ir.Constant(places, [0] * _STRETCH),
            )
            for one in arguments[2:]
        )  # fmt: skip
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        here = builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), many.as_pointer()), align=1)
        is_beyond = builder.icmp_unsigned(">=", builder.sub(here, low), width)
        return builder.bitcast(is_beyond, ir.IntType(_STRETCH))

    return signature, generate


def _counter(_context: Any, _bits: Any) -> Any:
    """How many bits are 0 below the lowest that is not."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


_find: Any = intrinsic(_finder)
_lowest_bit: Any = intrinsic(_counter)


@compiled
def keep_far(far: Far, u: int, values: Array, bins: Array, positions: Array) -> None:
    """Keep those of the values (n,) of trace `u` whose bins lie beyond its cuts; where there is no room left, the cut
    moves outwards and the bins behind it are let go. bins : without gaps.
    """
    n, cuts, n_kept = len(bins), far.cuts[u], far.n[u]
    for begin in range(0, n, _STRETCH):
        width, beyond = cuts[HIGH] - cuts[LOW], np.uint64(2**64 - 1)
        if width > N_BINS - 1:
            return  # all bins lie between the ends, and do so for good
        if begin + _STRETCH > n:
            beyond >>= np.uint64(begin + _STRETCH - n)
        elif width > 0:
            beyond = _find(bins, np.uintp(begin), np.uint8(cuts[LOW]), np.uint8(width))
        while beyond:
            t = begin + int(_lowest_bit(beyond))
            beyond &= beyond - np.uint64(1)
            for end in range(2):
                while _is_beyond(bins[t], cuts[end], end) and n_kept[end] == KEPT:
                    cuts[end] += 1 if end == HIGH else -1
                    n_kept[end] = _let_go(far.values[u, end], far.positions[u, end], far.bins[u, end], cuts[end], end)
                if _is_beyond(bins[t], cuts[end], end):
                    k = n_kept[end]
                    far.values[u, end, k], far.bins[u, end, k] = values[t], bins[t]
                    far.positions[u, end, k] = positions[t]
                    n_kept[end] = k + 1


@compiled
def _let_go(values: Array, positions: Array, bins: Array, cut: int, end: int) -> int:
    """Of KEPT values only those beyond the cut stay, in front; how many."""
    n = 0
    for k in range(KEPT):
        if _is_beyond(bins[k], cut, end):
            values[n], positions[n], bins[n] = values[k], positions[k], bins[k]
            n += 1
    return n


@compiled
def _is_beyond(b: int, cut: int, end: int) -> bool:
    return b >= cut if end == HIGH else b < cut
