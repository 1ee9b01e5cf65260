"""The pieces of a step, claimed one after the other by all threads: none has to wait for one that is slow or away.

    pieces of a share, a thread's own  ──►  pieces of the others' shares  ──►  all pieces of the step are done
    what lies in the cache next to it       what they have not begun           by whoever it was

A thread keeps to its own share as long as there is something left of it. Cores are not equally fast, and any of them
may be busy with something else for a while.
"""

import os
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inspector.compiled import compiled

_LINE = 8  # whole numbers in a cache line: what one thread writes lies in no line of another's
_PIECE_BITS = 16
_PATIENCE = 100_000  # looks at what is done, longer than a lone step takes, before a thread sleeps
_NAP = np.uint32(1 if os.name == "nt" else 50)  # milliseconds, microseconds

Array = NDArray[Any]


def _at(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _load_acquire(_context: Any, numbers: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_at(context, builder, signature, arguments), "acquire", 8)

    return types.int64(numbers, place), generate


def _add_release(_context: Any, numbers: Any, place: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _at(context, builder, signature, arguments), arguments[2], "acq_rel")

    return types.int64(numbers, place, types.int64), generate


def _replace_if(_context: Any, numbers: Any, place: Any, _seen: Any, _number: Any) -> Any:
    """Put a number in the place of the one that was seen there; whether it was still that one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _at(context, builder, signature, arguments)
        return builder.extract_value(builder.cmpxchg(place, *arguments[2:], "acq_rel", "acquire"), 1)

    return types.boolean(numbers, place, types.int64, types.int64), generate


_look: Any = intrinsic(_load_acquire)
_add: Any = intrinsic(_add_release)
_replace: Any = intrinsic(_replace_if)
_sleep: Any = types.ExternalFunction(
    *(("Sleep", types.void(types.uint32)) if os.name == "nt" else ("usleep", types.int32(types.uint32)))
)


def board_for(n_shares: int) -> Array:
    """Where threads see what is claimed and done: a line for each share, and one for all."""
    return np.zeros((n_shares + 1) * _LINE, np.int64)


@compiled
def claim(board: Array, homes: Array, me: int, step: int) -> Any:
    """The next piece for thread `me`; -1 where all pieces of this step are claimed.

    homes : (shares + 1,) at which piece each share begins, and how many there are.
    """
    n_shares = len(homes) - 1
    for k in range(n_shares):
        share = (me + k) % n_shares
        n = homes[share + 1] - homes[share]
        while True:
            seen = _look(board, share * _LINE)
            of_step, i = seen >> _PIECE_BITS, seen & (2**_PIECE_BITS - 1)
            if of_step < step:  # nobody has claimed any yet
                i = 0
            if of_step > step or i == n:
                break
            if _replace(board, share * _LINE, seen, (step << _PIECE_BITS) + i + 1):
                return homes[share] + i
    return -1


@compiled
def finish(board: Array, n_done: int, n: int, patience: int) -> None:
    """Say that so many pieces are done, and wait until n are, by all threads and from the first step on.

    patience : how many lone steps' time it takes before this one sleeps. One that is late has lost its core to another
    process: so there is a core for it, and this one comes back at once when it wakes. Leaving the core without sleeping
    would cost a slice of time at every step.
    """
    place, looks = len(board) - _LINE, 0
    if n_done:
        _add(board, place, n_done)
    while _look(board, place) < n:
        looks += 1
        if looks > patience * _PATIENCE:
            _sleep(_NAP)
