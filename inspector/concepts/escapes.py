"""Escape sequences: what a backslash inside a string takes with it."""

import re

from inspector.concepts.characters import Bools, paint_pairs
from inspector.concepts.scan import PREFIXES, STRING, scan

_OCTAL, _ANY = "[0-7]{1,3}", r"(?:\r\n|.)"
_NAMED = r"N(?:\{[A-Za-z0-9 -]*+\}?+)?|u[0-9a-fA-F]{0,4}|U[0-9a-fA-F]{0,8}"
_PYTHON = re.compile(rf"\\(?:x[0-9a-fA-F]{{0,2}}|{_OCTAL}|{_NAMED}|{_ANY})?", re.DOTALL)
_PYTHON_BYTES = re.compile(rf"\\(?:x[0-9a-fA-F]{{0,2}}|{_OCTAL}|{_ANY})?", re.DOTALL)
_C = re.compile(rf"\\(?:x[0-9a-fA-F]*+|{_OCTAL}|u[0-9a-fA-F]{{0,4}}|U[0-9a-fA-F]{{0,8}}|{_ANY})?", re.DOTALL)
_LETTERS_BEFORE = re.compile(r"\w*\Z")


def inside_escape(text: str, language: str) -> Bools:
    """True on every character of an escape sequence, from the backslash on; raw strings have none."""
    found = scan(text, language)
    strings = found.only(found.kinds == STRING)
    spans: list[tuple[int, int]] = []
    for start, stop in zip(strings.starts.tolist(), strings.stops.tolist(), strict=True):
        at = text.find("\\", start, stop)
        if at < 0:
            continue
        pattern = _C if language == "c" else _python_pattern(text[max(start - 3, 0) : start])
        if pattern is not None:
            spans.extend(match.span() for match in pattern.finditer(text, at, stop))
    return paint_pairs(len(text), spans)


def _python_pattern(before: str) -> re.Pattern[str] | None:
    """The escape sequences of a string with the given characters before its quote; None when it is raw."""
    letters = _LETTERS_BEFORE.findall(before)[0].lower()
    prefix = letters if letters in PREFIXES["python"] else ""
    if "r" in prefix:
        return None
    return _PYTHON_BYTES if "b" in prefix else _PYTHON
