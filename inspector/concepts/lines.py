r"""Where in its line a character stands. A line ends with "\n", "\r\n" or a lone "\r"; no other character ends one.

The line break belongs to the line it ends, but the reader who has read it is at the start of the next one: positions
and indentation are 0 there. Everything is vectorised: prefix maxima carry what the reader remembers.
"""

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.characters import Bools, Ints, code_points, latest

_NEWLINE, _RETURN, _TAB, _FORM_FEED, _SPACE, _COLON = 10, 13, 9, 12, 32, 58


def is_break(codes: NDArray[np.uint32]) -> Bools:
    """True on the characters that end a line, both of a "\\r\\n" too."""
    return np.isin(codes, [_NEWLINE, _RETURN])


def first_of_line(codes: NDArray[np.uint32]) -> Bools:
    """True on the first character of every line; for an empty line that is its break."""
    first = np.ones(len(codes), np.bool_)
    split_pair = (codes[:-1] == _RETURN) & (codes[1:] == _NEWLINE)
    first[1:] = is_break(codes[:-1]) & ~split_pair
    return first


def line_position(text: str) -> Ints:
    """How many characters of the current line have been read: 1 on its first, 0 on the line break."""
    codes = code_points(text)
    position = np.arange(len(codes)) - latest(first_of_line(codes)) + 1
    position[is_break(codes)] = 0
    return position


def _columns(codes: NDArray[np.uint32], start: Ints, tab: int) -> Ints:
    """Columns the line begun at `start` has reached with each character, line breaks counting as one.

    A tab leads to the next multiple of `tab` columns, so after each tab counting starts afresh from a multiple:
    columns = sum over tabs of (characters before it // tab + 1) * tab + characters after the last one.
    """
    here = np.arange(len(codes))
    is_tab = codes == _TAB
    count = here - np.maximum(latest(is_tab), start - 1)  # (n_chars,), since the last tab or line start; 0 on a tab
    before = np.where(here == start, 0, np.concatenate([[0], count[:-1]]))
    tabs = np.cumsum(np.where(is_tab, (before // tab + 1) * tab, 0))
    columns: Ints = tabs - np.concatenate([[0], tabs])[start] + count
    return columns


def indentation(text: str, tab: int) -> Ints:
    """Columns of blank space the current line has begun with, as far as it has been read; 0 on the line break."""
    codes = code_points(text)
    start = latest(first_of_line(codes))
    breaks = is_break(codes)
    blank = (codes == _TAB) | (codes == _SPACE)
    leading = blank & (latest(~blank & ~breaks) < start)
    last_leading = latest(leading)
    held = np.where(last_leading >= start, _columns(codes, start, tab)[last_leading], 0)
    held[breaks] = 0
    return held


def line_length(text: str, tab: int) -> Ints:
    """Columns the current line has so far, tabs counted as columns; on its line break those of the whole line."""
    codes = code_points(text)
    start = latest(first_of_line(codes))
    columns = _columns(codes, start, tab)
    last = latest(~is_break(codes))
    return np.where(last >= start, columns[last], 0)


def line_start(text: str) -> Bools:
    """True on the first character of every line."""
    return first_of_line(code_points(text))


def blank_line(text: str) -> Bools:
    """True on the break that ends a line of nothing but blanks."""
    codes = code_points(text)
    blank = np.isin(codes, [_SPACE, _TAB, _FORM_FEED])
    breaks = is_break(codes)
    return breaks & (latest(~blank & ~breaks) < latest(first_of_line(codes)))


def before_break(text: str) -> Bools:
    """True where the next character ends a line; False on the last character of the text."""
    breaks = is_break(code_points(text))
    return np.append(breaks[1:], np.zeros(min(len(text), 1), np.bool_))


def after_colon(code: str, *, blanks: str) -> Bools:
    """True from a line break before which a colon came last, `blanks` aside, up to the next break that has none."""
    codes = code_points(code)
    breaks = is_break(codes)
    solid = latest(~breaks & ~np.isin(codes, [ord(blank) for blank in blanks]))
    begin = latest(breaks)
    last = np.where(begin >= 0, solid[begin], -1)
    label: Bools = (last >= 0) & (codes[last] == _COLON)
    return label
