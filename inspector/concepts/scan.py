r"""Where strings and comments begin and end: one left-to-right scan per language, by regular expressions.

Every pattern reads on from its opening mark to its closing mark, its line's end or the end of the text, and whether a
character is inside never depends on what follows it. Python's r, b, u and f make no difference here: a backslash keeps
the next quote from closing even a raw string, and an f-string is one string up to its closing quote (Python 3.11), its
{expressions} included.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.characters import Bools, Ints, code_points, paint_spans, text_of

STRING, COMMENT, OTHER = 0, 1, 2
# What may stand before a string's quote, in small letters.
PREFIXES = {"python": frozenset(["r", "u", "b", "f", "br", "rb", "fr", "rf"]), "c": frozenset(["l", "u", "u8"])}

_BREAK = r"(?:\r\n?+|\n)"


def _on_one_line(quote: str, escape: str) -> str:
    plain = rf"[^{quote}\\\r\n]*+"
    return rf"{quote}{plain}(?:{escape}{plain})*+({quote})?+"


def _triple(quote: str) -> str:
    plain = rf"[^{quote}\\]*+"
    return rf"{quote * 3}{plain}(?:(?:\\.?+|{quote}(?!{quote * 2})){plain})*+({quote * 3})?+"


def _paragraph_quotation(opening: str, closing: str) -> str:
    # Runs over single line breaks. A blank line ends it, which the reader knows at that line's own break: the break
    # and the blanks before are still in.
    plain = rf"[^{closing}\r\n]*+"
    blanks = rf"{_BREAK}[ \t]*+"
    return rf"{opening}{plain}(?:{blanks}(?![\r\n]){plain})*+(?:({closing})|{blanks}(?=[\r\n]))?+"


# A backslash takes the next character with it, "\r\n" as one; in C a spliced line may stand between the two.
_PYTHON_ESCAPE = r"\\(?:\r\n|.)?+"
_C_ESCAPE = rf"\\(?:\\{_BREAK})*+(?:\r\n|.)?+"
_C_SPLICE = rf"\\{_BREAK}?+"
# After #error and #warning comes prose, where an apostrophe opens nothing; <header.h> is no string either.
_C_DIRECTIVE = re.compile(r"(?<![^\r\n])[ \t\f]*+\#[ \t]*+(?:(?:error|warning)\b|include(?:_next)?+[ \t]*+(?=<))")

# Each group that can match is a closing mark: `match.lastindex is None` says the construct was never closed.
_PYTHON = re.compile(
    rf"""{_triple('"')}|{_triple("'")}|{_on_one_line('"', _PYTHON_ESCAPE)}|{_on_one_line("'", _PYTHON_ESCAPE)}"""
    r"|\#[^\r\n]*+()",
    re.DOTALL,
)
_C = re.compile(
    rf"""{_on_one_line('"', _C_ESCAPE)}|(?:(?<![0-9])|(?<=u8)){_on_one_line("'", _C_ESCAPE)}"""  # but 1'000
    rf"|//[^\\\r\n]*+(?:{_C_SPLICE}[^\\\r\n]*+)*+()"
    r"|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(\*/)?+"
    rf"|{_C_DIRECTIVE.pattern}(?:[^\\\r\n/]|{_C_SPLICE}|/(?![/*]))*+()",
    re.DOTALL,
)
_TEXT = re.compile("|".join([_paragraph_quotation('"', '"'), _paragraph_quotation("“", "”")]))
_PATTERNS = {"python": _PYTHON, "c": _C, "text": _TEXT}
_KIND_BY_MARK = {'"': STRING, "'": STRING, "“": STRING, "/": COMMENT}


class Scan(NamedTuple):
    """Strings, comments and other uncoded stretches of a text in order; arrays of shape (n_spans,), never altered.

    A span reaches from the first character of its opening mark to behind the last of its closing mark.
    """

    starts: Ints
    stops: Ints
    kinds: NDArray[np.int64]  # STRING, COMMENT or OTHER (the prose after #error)
    closed: Bools
    marks: NDArray[np.uint32]  # the first character of the opening mark, as a code point
    triple: Bools

    def only(self, chosen: Bools) -> "Scan":
        """The spans for which `chosen` holds."""
        return Scan._make(column[chosen] for column in self)


@lru_cache(maxsize=4)
def scan(text: str, language: str) -> Scan:
    """Find the strings and comments of a text. The last few results are kept, as many concepts ask for the same."""
    starts, stops, kinds, closed, marks, triple = [], [], [], [], [], []
    for match in _PATTERNS[language].finditer(text):
        start, stop = match.span()
        mark = "#" if text[start] in " \t\f" else text[start]  # blanks stand before a directive alone
        kind = _KIND_BY_MARK.get(mark, COMMENT)
        if mark == "#" and language == "c":
            directive = _C_DIRECTIVE.match(text, start)
            start, kind = directive.end() if directive else start, OTHER
        starts.append(start)
        stops.append(stop)
        kinds.append(kind)
        closed.append(match.lastindex is not None)
        marks.append(ord(mark))
        triple.append(language == "python" and kind == STRING and text.startswith(mark * 3, start))
    result = Scan(
        np.array(starts, np.int64),
        np.array(stops, np.int64),
        np.array(kinds, np.int64),
        np.array(closed, np.bool_),
        np.array(marks, np.uint32),
        np.array(triple, np.bool_),
    )
    for column in result:
        column.flags.writeable = False
    return result


def paint_strings(n_chars: int, strings: Scan) -> Bools:
    '''True from the opening quote to before the closing one.

    Of `"""` the reader learns at the third quote only: after two it has read an empty string, so the second is out. A
    triple-quoted string is left at the third quote of the closing three.
    '''
    inside = paint_spans(n_chars, strings.starts, strings.stops - strings.closed)
    inside[strings.starts[strings.triple] + 1] = False
    return inside


def inside_string(text: str, language: str) -> Bools:
    """Label of the reader inside a string or character literal."""
    found = scan(text, language)
    return paint_strings(len(text), found.only(found.kinds == STRING))


def inside_comment(text: str, language: str) -> Bools:
    """Label of the reader inside a comment: known at "#", or at the second character of "//" and "/*"."""
    found = scan(text, language)
    comments = found.only(found.kinds == COMMENT)
    if language == "python":
        return paint_spans(len(text), comments.starts, comments.stops)
    is_block = code_points(text)[comments.starts + 1] == ord("*")
    return paint_spans(len(text), comments.starts + 1, comments.stops - (is_block & comments.closed))


def all_closed(text: str, language: str) -> Bools:
    """False from the opening mark of a string or comment that is never closed up to where the scan gave it up."""
    found = scan(text, language)
    left_open = found.only(~found.closed)
    return ~paint_spans(len(text), left_open.starts, left_open.stops)


@lru_cache(maxsize=4)
def code_only(text: str, language: str) -> str:
    r"""The text with every string overwritten by `"`, every comment by `#` (in C by blanks) and "\r" by "\n".

    Same length, same positions. Outside strings and comments Python has neither `"` nor `#`, so patterns can tell.
    Plain text has no code and stays as it is.
    """
    if language == "text":
        return text
    found = scan(text, language)
    codes = code_points(text).copy()
    codes[codes == ord("\r")] = ord("\n")
    fills = {STRING: '"', COMMENT: "#" if language == "python" else " ", OTHER: " "}
    for kind, fill in fills.items():
        spans = found.only(found.kinds == kind)
        codes[paint_spans(len(text), spans.starts, spans.stops)] = ord(fill)
    return text_of(codes)
