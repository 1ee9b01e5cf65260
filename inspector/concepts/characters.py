"""Text as an array of code points, and the two ways labels are painted on it: by class of character, by span."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@lru_cache(maxsize=2)  # a text is asked about many concepts, one after the other
def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text, lone surrogates too; shape (n_chars,), read-only."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))


def text_of(codes: NDArray[np.uint32]) -> str:
    """The inverse of `code_points`."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def paint_class(text: str, belongs: Callable[[str], bool]) -> Bools:
    """True on every character for which `belongs` holds; asked once per distinct character."""
    distinct = _distinct(text)
    table = np.zeros(ord(max(distinct, default="\0")) + 1, np.bool_)
    table[[ord(character) for character in distinct if belongs(character)]] = True
    return table[code_points(text)]


@lru_cache(maxsize=2)
def _distinct(text: str) -> frozenset[str]:
    return frozenset(text)


def latest(where: Bools) -> Ints:
    """For every position the latest one so far at which `where` holds; -1 when there was none."""
    return np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))


def paint_spans(n_chars: int, starts: Ints, stops: Ints) -> Bools:
    """True on every `[start, stop)`; spans may touch, overlap, be empty and come in any order."""
    return _count_spans(n_chars, starts, stops) > 0


def paint_pairs(n_chars: int, spans: Iterable[tuple[int, int]]) -> Bools:
    """`paint_spans` for (start, stop) pairs."""
    return count_pairs(n_chars, spans) > 0


def count_pairs(n_chars: int, spans: Iterable[tuple[int, int]]) -> Ints:
    """How many of the spans each character is in."""
    pairs = np.array(list(spans), np.int64).reshape(-1, 2)
    return _count_spans(n_chars, pairs[:, 0], pairs[:, 1])


def _count_spans(n_chars: int, starts: Ints, stops: Ints) -> Ints:
    steps = np.bincount(starts, minlength=n_chars + 1) - np.bincount(stops, minlength=n_chars + 1)
    counts: Ints = np.cumsum(steps[:n_chars])
    return counts
