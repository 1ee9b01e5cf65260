"""Memory for what the loops leave behind, used again: new pages cost as much as a good part of the work itself.

lent(shape) ──► an array; once it and every view of it are gone, the next one of about its size gets the memory
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from inspector.products import aligned

_MOST_BYTES = 2**28  # that wait to be used again

_free: deque[np.ndarray] = deque()  # each step of it is one for all threads; a lock could be held when a process forks


def _give_back(memory: np.ndarray) -> None:
    """It waits to be used again; what has waited longest is let go where that is too much."""
    _free.append(memory)
    while sum(one.nbytes for one in list(_free)) > _MOST_BYTES:  # a list: others take and bring meanwhile
        try:
            _free.popleft()
        except IndexError:
            return


class _Loan:
    """What a lent array and its views keep alive."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self, give_back: Callable[[np.ndarray], None] = _give_back) -> None:
        give_back(self.memory)


def _step(n: int) -> int:
    """Sizes are rounded up by an eighth at most: readings of a few steps more or less get the same memory."""
    return int(2 ** max(n.bit_length() - 4, 0))


def lent(shape: tuple[int, ...]) -> np.ndarray:
    """Memory for float32 numbers, not filled, that begins where a line of the cache does."""
    n, waiting, memory = int(np.prod(shape)), list[np.ndarray](), None
    n_taken = -(-n // _step(n)) * _step(n)
    while memory is None and _free:
        try:
            one = _free.pop()
        except IndexError:  # another thread was quicker
            break
        if one.size == n_taken:
            memory = one
        else:
            waiting.append(one)
    _free.extendleft(waiting)  # newest first
    found: np.ndarray = np.asarray(_Loan(aligned((n_taken,)) if memory is None else memory))[:n].reshape(shape)
    return found
