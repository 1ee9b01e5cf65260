r"""Where in its line a character stands. A line ends with "\n", "\r\n" or a lone "\r"; no other character ends one.

The line break belongs to the line it ends, but the reader who has read it is at the start of the next one: positions
and indentation are 0 there. Everything is vectorised: prefix maxima carry what the reader remembers.
"""

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.characters import Bools, Ints, code_points

_NEWLINE, _RETURN, _TAB, _SPACE = 10, 13, 9, 32


def is_break(codes: NDArray[np.uint32]) -> Bools:
    """True on the characters that end a line, both of a "\\r\\n" too."""
    return np.isin(codes, [_NEWLINE, _RETURN])


def first_of_line(codes: NDArray[np.uint32]) -> Bools:
    """True on the first character of every line; for an empty line that is its break."""
    first = np.ones(len(codes), np.bool_)
    split_pair = (codes[:-1] == _RETURN) & (codes[1:] == _NEWLINE)
    first[1:] = is_break(codes[:-1]) & ~split_pair
    return first


def _last(where: Bools) -> Ints:
    """For every position the latest one so far at which `where` holds; -1 when there was none."""
    return np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))


def line_position(text: str) -> Ints:
    """How many characters of the current line have been read: 1 on its first, 0 on the line break."""
    codes = code_points(text)
    position = np.arange(len(codes)) - _last(first_of_line(codes)) + 1
    position[is_break(codes)] = 0
    return position


def indentation(text: str, tab: int) -> Ints:
    """Columns of blank space the current line has begun with, as far as it has been read; 0 on the line break.

    A tab leads to the next multiple of `tab` columns, so after each tab counting starts afresh from a multiple:
    columns = sum over tabs of (blanks before it // tab + 1) * tab + blanks after the last one.
    """
    codes = code_points(text)
    here = np.arange(len(codes))
    start = _last(first_of_line(codes))
    is_tab = codes == _TAB
    blank = is_tab | (codes == _SPACE)
    leading = blank & (_last(~blank & ~is_break(codes)) < start) & ~is_break(codes)

    blanks = here - np.maximum(_last(is_tab), start - 1)  # (n_chars,), since the last tab or line start; 0 on a tab
    blanks_before = np.where(here == start, 0, np.concatenate([[0], blanks[:-1]]))
    tabs = np.cumsum(np.where(is_tab & leading, (blanks_before // tab + 1) * tab, 0))
    tabs_before_line = np.concatenate([[0], tabs])[start]
    columns = tabs - tabs_before_line + blanks

    last_leading = _last(leading)
    held = np.where(last_leading >= start, columns[last_leading], 0)
    held[is_break(codes)] = 0
    return held


def line_start(text: str) -> Bools:
    """True on the first character of every line."""
    return first_of_line(code_points(text))


def before_break(text: str) -> Bools:
    """True where the next character ends a line; False on the last character of the text."""
    breaks = is_break(code_points(text))
    return np.append(breaks[1:], np.zeros(min(len(text), 1), np.bool_))
