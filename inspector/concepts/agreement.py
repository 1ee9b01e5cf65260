"""Labels of Python code beside what Python's own `tokenize` and `ast` say of it, by the edges each concept documents.

A second way to every label that shares nothing with the first but the text: where both agree on every character of a
library, a mistake would have to be made twice.
"""

import ast
import keyword
import tokenize
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.catalogue import CONCEPTS
from inspector.concepts.characters import paint_pairs
from inspector.concepts.python_source import PythonSource, Span, Token

_OPERATOR_SIGNS = frozenset("+-*/%@&|^~<>=!")


class Agreement(NamedTuple):
    """How one concept's labels compare with the reference, over the characters of all texts that Python can parse."""

    name: str
    reference: str  # which of Python's own readers: tokenize, ast or literal_eval
    n_chars: int
    n_marked: int  # characters the reference gives a label other than no or 0
    n_differing: int


def check_agreement(
    texts: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> tuple[list[Agreement], int]:
    """Compare on every text; also how many texts were left out because Python itself cannot read them.

    >>> rows, n_unread = check_agreement([text])

    progress : told the characters done and those there are.
    """
    total = sum(map(len, texts))
    marked = dict.fromkeys(_REFERENCES, 0)
    differing = dict.fromkeys(_REFERENCES, 0)
    n_chars = n_unread = done = 0
    for text in texts:
        done += len(text)
        if progress is not None:
            progress(done, total)
        try:
            expected = expected_labels(text)
        except (SyntaxError, tokenize.TokenError, ValueError):
            n_unread += 1
            continue
        n_chars += len(text)
        for name, wanted in expected.items():
            marked[name] += int(np.count_nonzero(wanted))
            differing[name] += int((CONCEPTS[name].label(text, "python") != wanted).sum())
    return [
        Agreement(name, reference, n_chars, marked[name], differing[name])
        for name, (reference, _) in _REFERENCES.items()
    ], n_unread


def expected_labels(text: str) -> dict[str, NDArray[np.int64]]:
    """Labels by `tokenize` and `ast`, int64 (n_chars,) by name; SyntaxError or TokenError where they cannot read."""
    source = PythonSource(text)
    return {name: expect(source) for name, (_, expect) in _REFERENCES.items()}


# What each concept should say -----------------------------------------------------------------------------------------


def _painted(source: PythonSource, spans: Iterable[Span], *, comments: bool = True) -> NDArray[np.int64]:
    label = paint_pairs(len(source.text), spans)
    if not comments:
        label &= ~paint_pairs(len(source.text), _of_kind(source, tokenize.COMMENT))
    return label.astype(np.int64)


def _of_kind(source: PythonSource, kind: int) -> list[Span]:
    return [(token.start, token.stop) for token in source.tokens if token.kind == kind]


def _opening(source: PythonSource, token: Token) -> int:
    """Where a string's first quote is."""
    return next(at for at in range(token.start, token.stop) if source.text[at] in "'\"")


def _strings(source: PythonSource, chosen: Callable[[str], bool], *, triple_from: int = 0) -> NDArray[np.int64]:
    """Strings whose opening quotes are chosen; triple quotes count from their first (0) or third (2) one."""
    label = np.zeros(len(source.text), np.int64)
    for token in source.tokens:
        if token.kind != tokenize.STRING:
            continue
        opening = _opening(source, token)
        mark = source.text[opening : opening + 3]
        is_triple = mark in ("'''", '"""')
        if chosen(mark if is_triple else mark[0]):
            label[opening + triple_from * is_triple : token.stop - 1] = 1
            if is_triple:
                label[opening + 1] = 0
    return label


def _single_line(source: PythonSource) -> NDArray[np.int64]:
    label = _strings(source, lambda mark: len(mark) == 1)
    for token in source.tokens:
        if token.kind == tokenize.STRING:
            label[_opening(source, token)] = 1
    return label


def _docstrings(source: PythonSource) -> NDArray[np.int64]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    spans = [
        (source.start(node.body[0]), source.stop(node.body[0]))
        for node in source.nodes
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None
    ]
    return _strings(source, lambda mark: True) * _painted(source, spans)


def _names(source: PythonSource, *, keywords: bool) -> NDArray[np.int64]:
    names = [token for token in source.tokens if token.kind == tokenize.NAME]
    return _painted(source, [(t.start, t.stop) for t in names if keyword.iskeyword(t.string) == keywords])


def _depth(source: PythonSource, opening: str) -> NDArray[np.int64]:
    closing = {"(": ")", "[": "]", "{": "}"}
    steps = np.zeros(len(source.text), np.int64)
    for token in source.tokens:
        if token.kind == tokenize.OP and token.string in opening:
            steps[token.start] += 1
        elif token.kind == tokenize.OP and token.string in [closing[sign] for sign in opening]:
            steps[token.start] -= 1
    return np.cumsum(steps)


def _open_at_line_end(source: PythonSource) -> NDArray[np.int64]:
    breaks = [token for token in source.tokens if token.kind in (tokenize.NL, tokenize.NEWLINE)]
    spliced = [at for at in range(1, len(source.text)) if source.text[at - 1 : at + 1] == "\\\n"]
    outside = 1 - _strings(source, lambda mark: True) - _painted(source, _of_kind(source, tokenize.COMMENT))
    ends = [(token.start, token.stop) for token in breaks] + [(at, at + 1) for at in spliced if outside[at]]
    return _painted(source, ends) * (_depth(source, "([{") > 0)


def _operators(source: PythonSource) -> NDArray[np.int64]:
    label = np.zeros(len(source.text), np.int64)
    ats = {_sign_before(source, decorator) for decorator in _decorators(source)}
    for token in source.tokens:
        if token.kind == tokenize.OP and token.start not in ats:
            label[token.start : token.stop] = [sign in _OPERATOR_SIGNS for sign in token.string]
    return label


def _decorators(source: PythonSource) -> list[ast.expr]:
    return [decorator for node in source.nodes for decorator in getattr(node, "decorator_list", [])]


def _sign_before(source: PythonSource, decorator: ast.expr) -> int:
    token = source.before(source.start(decorator))
    while token.string != "@":
        token = source.before(token.start)
    return token.start


def _decorator_lines(source: PythonSource) -> NDArray[np.int64]:
    starts = [_sign_before(source, decorator) for decorator in _decorators(source)]
    return _painted(source, [(start, source.line_end(start)) for start in starts], comments=False)


def _imports(source: PythonSource) -> NDArray[np.int64]:
    spans = []
    for node in source.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            word = next(source.after(source.start(node)))
            semicolon = next((t.start for t in source.after(source.stop(node)) if t.string == ";"), len(source.text))
            spans.append((word.stop, min(semicolon, source.line_end(word.stop))))
    return _painted(source, spans, comments=False)


def _headers(source: PythonSource, word: str) -> NDArray[np.int64]:
    owners = (ast.While,) if word == "while" else (ast.For, ast.AsyncFor)
    spans = []
    for node, name, behind_colon, _ in source.suites:
        if name == "body" and isinstance(node, owners):
            first = next(token for token in source.after(source.start(node)) if token.string == word)
            spans.append((first.stop, behind_colon))
    return _painted(source, spans)


def _bodies(source: PythonSource, *owners: type[ast.AST]) -> NDArray[np.int64]:
    suites = source.suites
    return _painted(source, [suite[2:] for suite in suites if suite[1] == "body" and isinstance(suite[0], owners)])


def _block_depth(source: PythonSource) -> NDArray[np.int64]:
    depth = np.zeros(len(source.text), np.int64)
    for _, _, start, stop in source.suites:
        depth[start:stop] += 1
    return depth


def _defined(source: PythonSource, word: str, *owners: type[ast.AST]) -> NDArray[np.int64]:
    chosen = [node for node in source.nodes if isinstance(node, owners) and isinstance(node, ast.stmt)]
    return _painted(source, [source.name_after(node, word) for node in chosen])


def _calls(source: PythonSource) -> NDArray[np.int64]:
    spans = []
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            stop = source.stop(node.func)
            name = source.before(stop)
            if next(source.after(stop)).string == "(":  # else the name stands in brackets of its own
                spans.append((name.start, name.stop))
    return _painted(source, spans)


def _arguments(source: PythonSource) -> NDArray[np.int64]:
    spans = []
    for node in source.nodes:
        if isinstance(node, ast.Call):
            opening = next(token for token in source.after(source.stop(node.func)) if token.string == "(")
            spans.append((opening.start, source.stop(node) - 1))
    return _painted(source, spans)


def _annotations(source: PythonSource) -> NDArray[np.int64]:
    said = [getattr(node, name, None) for node in source.nodes for name in ("annotation", "returns")]
    return _painted(source, [(source.start(node), source.stop(node)) for node in said if isinstance(node, ast.expr)])


def _conditions(source: PythonSource) -> NDArray[np.int64]:
    """Conditions with the brackets and comments around them: from behind the keyword, up to the colon, blanks aside."""
    spans = []
    for node, name, behind_colon, _ in source.suites:
        if name == "body" and isinstance(node, ast.If):
            word, first = islice(source.after(source.start(node)), 2)
            last = source.before(behind_colon - 1)
            spans.append((max(first.start, word.stop), last.stop))
    return _painted(source, spans)


def _escapes(source: PythonSource) -> NDArray[np.int64]:
    spans = []
    for token in source.tokens:
        opening = _opening(source, token) if token.kind == tokenize.STRING else 0
        prefix = source.text[token.start : opening].lower()
        if token.kind != tokenize.STRING or "r" in prefix:
            continue
        at = source.text.find("\\", opening, token.stop)
        while at >= 0:
            length = _escape_length(source.text[at : min(at + 10, token.stop)], "b" in prefix)
            if source.text.startswith("\\N{", at) and "b" not in prefix:
                length = source.text.index("}", at) + 1 - at
            spans.append((at, at + length))
            at = source.text.find("\\", at + length, token.stop)
    return _painted(source, spans)


@lru_cache(maxsize=4096)
def _escape_length(piece: str, in_bytes: bool) -> int:
    """How many characters Python itself turns into one; 2 where it knows no such escape, or drops a line break."""
    if piece[1:2] in "\r\n":
        return 3 if piece.startswith("\\\r\n") else 2
    lengths = [2]
    for length in range(3, len(piece) + 1):
        if piece[length - 1] in "'\"":
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                value = ast.literal_eval(f"{'b' if in_bytes else ''}'''{piece[:length]}'''")
            except (SyntaxError, ValueError):
                continue
        if len(value) == 1:
            lengths.append(length)
    return max(lengths)


_Expect = Callable[[PythonSource], NDArray[np.int64]]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_REFERENCES: dict[str, tuple[str, _Expect]] = {
    "inside_string": ("tokenize", lambda source: _strings(source, lambda mark: True)),
    "inside_double_quotes": ("tokenize", lambda source: _strings(source, lambda mark: mark[0] == '"')),
    "inside_single_quotes": ("tokenize", lambda source: _strings(source, lambda mark: mark[0] == "'")),
    "inside_triple_quotes": ("tokenize", lambda source: _strings(source, lambda m: len(m) == 3, triple_from=2)),
    "inside_single_line_string": ("tokenize", _single_line),
    "escape_sequence": ("literal_eval", _escapes),
    "inside_comment": ("tokenize", lambda source: _painted(source, _of_kind(source, tokenize.COMMENT))),
    "inside_docstring": ("ast", _docstrings),
    "inside_brackets": ("tokenize", lambda source: (_depth(source, "([{") > 0).astype(np.int64)),
    "bracket_depth": ("tokenize", lambda source: _depth(source, "([{")),
    "inside_round": ("tokenize", lambda source: (_depth(source, "(") > 0).astype(np.int64)),
    "inside_square": ("tokenize", lambda source: (_depth(source, "[") > 0).astype(np.int64)),
    "inside_curly": ("tokenize", lambda source: (_depth(source, "{") > 0).astype(np.int64)),
    "open_bracket_at_line_end": ("tokenize", _open_at_line_end),
    "block_depth": ("ast", _block_depth),
    "inside_function_body": ("ast", lambda source: _bodies(source, *_FUNCTIONS)),
    "inside_loop_body": ("ast", lambda source: _bodies(source, ast.For, ast.AsyncFor, ast.While)),
    "identifier": ("tokenize", lambda source: _names(source, keywords=False)),
    "keyword": ("tokenize", lambda source: _names(source, keywords=True)),
    "number_literal": ("tokenize", lambda source: _painted(source, _of_kind(source, tokenize.NUMBER))),
    "operator": ("tokenize", _operators),
    "inside_if_condition": ("ast", _conditions),
    "inside_while_header": ("ast", lambda source: _headers(source, "while")),
    "inside_for_header": ("ast", lambda source: _headers(source, "for")),
    "function_name": ("ast", lambda source: _defined(source, "def", *_FUNCTIONS)),
    "class_name": ("ast", lambda source: _defined(source, "class", ast.ClassDef)),
    "call": ("ast", _calls),
    "argument_list": ("ast", _arguments),
    "type_annotation": ("ast", _annotations),
    "import_line": ("ast", _imports),
    "decorator": ("ast", _decorator_lines),
}
