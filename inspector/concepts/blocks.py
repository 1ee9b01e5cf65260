"""Blocks of code: their headers, their bodies, how many of them are open. A reader's own bookkeeping, no parser.

In Python a body begins behind its header's colon and ends before the first code that is indented no further than the
header: until that is read the reader cannot know. In C a body is what stands in curly brackets.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from inspector.concepts.brackets import CURLY, brackets
from inspector.concepts.characters import Bools, Ints, code_points, count_pairs, latest, paint_pairs
from inspector.concepts.lines import indentation
from inspector.concepts.scan import code_only
from inspector.concepts.statements import BLANK, logical, without_directives

# `match` and `case` are names too: they head a block only where something follows that no name is followed by.
_LINE = re.compile(
    rf"^{BLANK}*+(?=[^\s#\\])(?:(?:async{BLANK}++)?+"
    r"(?:(if|elif|else|for|while|try|except|finally|with|def|class)(?!\w)"
    rf"|(match|case)(?:{BLANK}++(?=[^\s=:.,#]|\.\.\.|\.[0-9])|(?=[(\"{{-]))))?+",
    re.MULTILINE,
)
_HEADER_MARK = re.compile(r"[()\[\]{}\n]|:=?|(?<!\w)lambda(?!\w)")
_C_LOOP = re.compile(r"(?<!\w)(for|while)\s*+\(|[()]")


class Blocks(NamedTuple):
    """Headers and bodies of Python code, in no order: (first word, start, stop)."""

    headers: list[tuple[str, int, int]]
    bodies: list[tuple[str, int, int]]


@lru_cache(maxsize=4)
def _python_blocks(text: str) -> Blocks:
    code = logical(text, "python")
    columns = indentation(text, 8)
    headers: list[tuple[str, int, int]] = []
    bodies: list[tuple[str, int, int]] = []
    open_now: list[tuple[int, str, int]] = []  # columns of the header, its first word, start of the body
    for line in _LINE.finditer(code):
        begin = _first_code(code, line.start())
        column = int(columns[begin])
        if "\f" in (blanks := code[line.start() : begin]):  # from where Python counts anew
            column = len(blanks.rpartition("\f")[2].expandtabs(8))
        while open_now and open_now[-1][0] >= column:
            _, word, start = open_now.pop()
            bodies.append((word, start, begin))
        word = line[1] or line[2] or ""
        if not word:
            continue
        behind, is_colon = _header_end(code, line.end())
        headers.append((word, line.end(), behind))
        if is_colon:
            stop = _inline_end(code, behind)
            if stop is None:
                open_now.append((column, word, behind))
            else:
                bodies.append((word, behind, stop))
    bodies.extend((word, start, len(text)) for _, word, start in open_now)
    return Blocks(headers, bodies)


def _first_code(code: str, start: int) -> int:
    while code[start] in " \t\f\\":
        start += 1
    return start


def _header_end(code: str, start: int) -> tuple[int, bool]:
    """Where the header is over: behind the colon that ends it (True), or where its line ends before one comes."""
    depth = lambdas = 0
    for mark in _HEADER_MARK.finditer(code, start):
        sign = mark[0]
        if sign == "\n":
            return mark.start(), False
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif depth <= 0 and sign == "lambda":
            lambdas += 1
        elif depth <= 0 and sign == ":" and lambdas:
            lambdas -= 1
        elif depth <= 0 and sign == ":":
            return mark.end(), True
    return len(code), False


def _inline_end(code: str, start: int) -> int | None:
    """Where a body ends that stands on its header's own line; None when nothing but a comment stands there."""
    stop = code.find("\n", start)
    stop = len(code) if stop < 0 else stop
    return stop if code[start:stop].split("#", 1)[0].strip(" \t\f\\") else None


def _bodies(text: str, *words: str) -> Bools:
    spans = [(start, stop) for word, start, stop in _python_blocks(text).bodies if word in words]
    return paint_pairs(len(text), spans)


def block_depth(text: str, language: str) -> Ints:
    """How many bodies are open; in C how many curly brackets."""
    if language == "c":
        curly: Ints = brackets(text, language).depth[CURLY]
        return curly
    return count_pairs(len(text), [span[1:] for span in _python_blocks(text).bodies])


def inside_loop_body(text: str) -> Bools:
    """True inside the body of a Python loop."""
    return _bodies(text, "for", "while")


def inside_function_body(text: str, language: str) -> Bools:
    """True inside the body of a function; of a method too."""
    return _bodies(text, "def") if language == "python" else paint_pairs(len(text), _c_functions(text))


def inside_header(text: str, language: str, word: str) -> Bools:
    """True behind `word` to its statement's colon; in C inside the round brackets that follow it."""
    if language == "c":
        return paint_pairs(len(text), _c_headers(text, word))
    return paint_pairs(len(text), [span[1:] for span in _python_blocks(text).headers if span[0] == word])


def _c_headers(text: str, word: str) -> list[tuple[int, int]]:
    """Spans from the opening round bracket to before the closing one."""
    stack: list[tuple[int, bool]] = []
    spans = []
    for mark in _C_LOOP.finditer(code_only(text, "c")):
        if mark[0] != ")":
            stack.append((mark.end() - 1, mark[1] == word))
        elif stack:
            start, is_header = stack.pop()
            if is_header:
                spans.append((start, mark.start()))
    return spans + [(start, len(text)) for start, is_header in stack if is_header]


def _c_functions(text: str) -> list[tuple[int, int]]:
    """Spans from the "{" of a function's body to before its "}": the one behind a ")", where nothing is assigned."""
    code = without_directives(text)
    last_solid = latest(~np.isin(code_points(code), [ord(blank) for blank in " \t\n\f\\"]))
    spans: list[tuple[int, int]] = []
    stack: list[bool] = []  # of every open curly bracket, whether it opened a function
    assigned, start = False, 0
    for mark in re.finditer("[{};=]", code):
        sign, at = mark[0], mark.start()
        if sign == "{":
            before = code[last_solid[at - 1]] if at and last_solid[at - 1] >= 0 else ""
            is_function = before == ")" and not assigned and True not in stack
            start = at if is_function else start
            stack.append(is_function)
        elif sign == "}" and stack and stack.pop():
            spans.append((start, at))
        assigned = sign == "=" or (assigned and sign == "{")
    return [*spans, (start, len(text))] if True in stack else spans
