"""Work on many traces, shared among threads: compiled loops let go of the interpreter's lock."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def slices(start: int, stop: int, size: int) -> list[slice]:
    """From start to stop in pieces of `size`."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _n_threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # further numbers are for threads of threads
    return int(asked) if asked.strip().isdecimal() and int(asked) else os.cpu_count() or 1


def each(work: Callable[[Any], None], tasks: Sequence[Any]) -> None:
    """Do all tasks, on as many threads as there are cores, or OMP_NUM_THREADS; what goes wrong in one is raised."""
    n_threads = min(_n_threads(), len(tasks))
    if n_threads <= 1:
        for task in tasks:
            work(task)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, tasks))
