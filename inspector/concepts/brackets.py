"""How many brackets are open. In code, brackets in strings and comments do not count.

A closing bracket closes the innermost open one of its kind, and with it whatever was left open inside; one that closes
nothing is passed over. In plain text a blank line closes all: a smiley must not leave the rest of a book in brackets.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.characters import Bools, code_points, paint_class, paint_pairs
from inspector.concepts.scan import code_only

ROUND, SQUARE, CURLY = range(3)
_OPENING = {ord("("): ROUND, ord("["): SQUARE, ord("{"): CURLY}
_CLOSING = {ord(")"): ROUND, ord("]"): SQUARE, ord("}"): CURLY}
_BLANK_LINE = re.compile(r"(?:\r\n?+|\n)[ \t]*+(?=[\r\n])")


class Brackets(NamedTuple):
    """What is open after every character: int64 (3, n_chars), a row per kind; and where that can be trusted."""

    depth: NDArray[np.int64]
    valid: Bools


@lru_cache(maxsize=4)
def brackets(text: str, language: str) -> Brackets:
    """Follow the brackets of a text. The last few results are kept."""
    code = code_only(text, language)
    is_event = paint_class(code, lambda character: character in "()[]{}")
    if language == "text":
        is_event[[match.end() for match in _BLANK_LINE.finditer(text)]] = True
    at = np.flatnonzero(is_event)
    depths, doubtful = _follow(at.tolist(), code_points(code)[at].tolist(), len(text))
    run_lengths = np.diff(at, prepend=0, append=len(text))
    depth = np.repeat(np.concatenate([np.zeros((3, 1), np.int64), depths], axis=1), run_lengths, axis=1)
    valid = ~paint_pairs(len(text), doubtful)
    depth.flags.writeable = valid.flags.writeable = False
    return Brackets(depth, valid)


def brackets_match(text: str, language: str) -> Bools:
    """False where a bracket is left open or closes nothing."""
    return brackets(text, language).valid


def _follow(at: list[int], codes: list[int], n_chars: int) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Depth of each kind after every event, int64 (3, n_events), and the stretches where brackets do not match."""
    stack: list[tuple[int, int]] = []  # (kind, position) of every open bracket
    open_now = [0, 0, 0]
    depths: list[int] = []
    doubtful: list[tuple[int, int]] = []
    for position, code in zip(at, codes, strict=True):
        opened, closes = _OPENING.get(code), _CLOSING.get(code)
        if opened is not None:
            stack.append((opened, position))
            open_now[opened] += 1
        elif closes is None:  # a blank line in plain text
            doubtful.extend((start, position) for _, start in stack[:1])
            stack, open_now = [], [0, 0, 0]
        elif not open_now[closes]:
            doubtful.append((position, position + 1))
        else:
            kind, start = stack.pop()
            open_now[kind] -= 1
            while kind != closes:
                doubtful.append((start, position))
                kind, start = stack.pop()
                open_now[kind] -= 1
        depths.extend(open_now)
    doubtful.extend((start, n_chars) for _, start in stack[:1])
    return np.array(depths, np.int64).reshape(-1, 3).T, doubtful
