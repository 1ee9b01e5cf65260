"""How loops that are too hot for Python are compiled, everywhere in the project: by numba, at first use.

What is compiled is kept for the next process, in a folder that is named by the sources of all loops: numba itself looks
at the file of a loop alone, and would go on with an old one that is called from there.

Importing this brings numba in, which takes half a second; rooms that may do without it import it where they need it.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., Any])

_ALWAYS: dict[str, Any] = {"nogil": True, "cache": True, "boundscheck": False}
_ROOT = Path(__file__).parent


def compiled(function: Function) -> Function:
    """Compile at first use, keep for the next process, and let go of the interpreter's lock while it runs."""
    with _kept_by_sources():
        return cast(Function, njit(**_ALWAYS)(function))


def fast(function: Function) -> Function:
    """As `compiled`, and free to add in any order: so can a loop be done many values at once."""
    flags = {"reassoc", "nsz", "contract"}
    with _kept_by_sources():
        return cast(Function, njit(**_ALWAYS, error_model="numpy", fastmath=flags)(function))


@contextmanager
def _kept_by_sources() -> Iterator[None]:
    """numba's folder for what is compiled, while one function is handed to it: nobody else's functions go there."""
    before = config.CACHE_DIR  # type: ignore[attr-defined]  # numba fills it in from the environment
    config.CACHE_DIR = str(_folder(before))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]


@cache
def _folder(asked: str) -> Path:
    """asked : the folder that NUMBA_CACHE_DIR names, or ""."""
    digest = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        if b"inspector.compiled" in (source := path.read_bytes()):
            digest.update(source)
    kept = (
        Path(asked) if asked else _ROOT / "__pycache__" if os.access(_ROOT, os.W_OK) else user_cache_path("charscope")
    )
    folder = kept / f"charscope-{digest.hexdigest()[:16]}"
    if not folder.exists():
        for older in kept.glob("charscope-*"):
            shutil.rmtree(older, ignore_errors=True)
    return folder
