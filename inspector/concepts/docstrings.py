"""Which Python string is a docstring: the first statement of a module, class or function, as a reader guesses it.

Whether the statement goes on after the string ("doc".join(...)) the reader cannot know yet; it takes it for one.
"""

import re
from itertools import zip_longest

import numpy as np

from inspector.concepts.characters import Bools
from inspector.concepts.scan import STRING, paint_strings, scan
from inspector.concepts.statements import BLANK, logical

# All on `logical` text: strings are runs of `"`, comments runs of `#`, and every "\n" ends a statement.
_HEADER = re.compile(rf"^{BLANK}*+(?:async{BLANK}++)?+(?:def|class)\b", re.MULTILINE)
_HEADER_MARK = re.compile(r"[()\[\]{}:]|\n")
_FIRST_STRING = re.compile(r"[ \t\f\n#\\]*+[rRuU]?(?=\")")
_NEXT_STRING = re.compile(rf"{BLANK}*+[rRuU]?(?=\")")


def inside_docstring(text: str, language: str) -> Bools:
    """Label of the reader inside a docstring; edges as for strings. One written in adjoining parts counts whole."""
    found = scan(text, language)
    strings = found.only(found.kinds == STRING)
    code = logical(text, language)
    stop_of = dict(zip(strings.starts.tolist(), strings.stops.tolist(), strict=True))
    chosen: set[int] = set()
    for body in _bodies(code):
        string = _FIRST_STRING.match(code, body)
        while string and string.end() in stop_of:
            chosen.add(string.end())
            string = _NEXT_STRING.match(code, stop_of[string.end()])
    is_docstring = np.isin(strings.starts, np.array(sorted(chosen), np.int64))
    return paint_strings(len(text), strings.only(is_docstring))


def _bodies(code: str) -> list[int]:
    """Where the module's, every class's and every function's first statement may begin."""
    bodies = [1 if code.startswith("\ufeff") else 0]
    headers = list(_HEADER.finditer(code))
    for header, following in zip_longest(headers, headers[1:]):
        colon = _closing_colon(code, header.end(), following.start() if following else len(code))
        if colon is not None:
            bodies.append(colon + 1)
    return bodies


def _closing_colon(code: str, start: int, stop: int) -> int | None:
    """The first colon outside brackets; None when the line ends before it."""
    depth = 0
    for mark in _HEADER_MARK.finditer(code, start, stop):
        character = mark.group()
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif depth == 0 and character == ":":
            return mark.start()
        elif depth == 0:
            return None
    return None
