"""How loops that are too hot for Python are compiled, everywhere in the project: by numba, at first use.

Importing this brings numba in, which takes half a second; rooms that may do without it import it where they need it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_ALWAYS: dict[str, Any] = {"nogil": True, "cache": True, "boundscheck": False}


def compiled(function: Function) -> Function:
    """Compile at first use, keep for the next process, and let go of the interpreter's lock while it runs."""
    return cast(Function, njit(**_ALWAYS)(function))


def fast(function: Function) -> Function:
    """As `compiled`, and free to add in any order: so can a loop be done many values at once."""
    flags = {"reassoc", "nsz", "contract"}
    return cast(Function, njit(**_ALWAYS, error_model="numpy", fastmath=flags)(function))
