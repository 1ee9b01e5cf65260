"""A Python text as Python's own `tokenize` and `ast` read it, with every place in code points."""

import ast
import io
import tokenize
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

_SPACING = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.COMMENT)
Span = tuple[int, int]


class Token(NamedTuple):
    """One token of `tokenize`, with its place in code points."""

    kind: int
    string: str
    start: int
    stop: int


class PythonSource:
    """A text with its tokens and syntax tree, and what follows from them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begins = [0, 0, *accumulate(map(len, io.StringIO(text)))]  # where each line begins; line 1 is the first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes Python does not know
            self.tree = ast.parse(text)
        self.tokens = list(_whole_strings(self._read_tokens()))
        self.code = [token for token in self.tokens if token.kind not in _SPACING]
        self._starts = [token.start for token in self.code]
        self.nodes = list(_outside_f_strings(self.tree))

    def _read_tokens(self) -> Iterator[Token]:
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            start, stop = (self.begins[line] + column for line, column in (token.start, token.end))
            yield Token(token.type, token.string, start, stop)

    def place(self, line: int, column: int) -> int:
        """A code point's position; `ast` counts columns in bytes."""
        begin = self.begins[line]
        piece = self.text[begin : begin + column]
        if piece.isascii():
            return begin + column
        return begin + len(self.text[begin : self.begins[line + 1]].encode()[:column].decode())

    def start(self, node: ast.expr | ast.stmt | ast.pattern) -> int:
        decorators = getattr(node, "decorator_list", [])
        first = self.place(node.lineno, node.col_offset)
        return self.before(self.place(decorators[0].lineno, decorators[0].col_offset)).start if decorators else first

    def stop(self, node: ast.expr | ast.stmt) -> int:
        return self.place(node.end_lineno or 0, node.end_col_offset or 0)

    def before(self, position: int) -> Token:
        """The last piece of code that begins before a position."""
        return self.code[bisect_left(self._starts, position) - 1]

    def after(self, position: int) -> Iterator[Token]:
        """The pieces of code that begin at a position or behind it."""
        return (self.code[at] for at in range(bisect_left(self._starts, position), len(self.code)))

    def line_end(self, position: int) -> int:
        """Where the statement's line ends: at its break, or at the end of the text."""
        ends = self._line_ends
        at = bisect_left(ends, position)
        return ends[at] if at < len(ends) else len(self.text)

    @cached_property
    def _line_ends(self) -> list[int]:
        return [token.start for token in self.tokens if token.kind == tokenize.NEWLINE]

    @cached_property
    def suites(self) -> list[tuple[ast.AST, str, int, int]]:
        """Every body: its owner, the field it stands in, from behind the colon to where the reader leaves it."""
        found: list[tuple[ast.AST, str, int, int]] = []
        for node in self.nodes:
            if isinstance(node, ast.Match):
                case = self.before(self.start(node.cases[0].pattern))
                while case.string != "case":  # brackets around a pattern are no part of it
                    case = self.before(case.start)
                found.append((node, "cases", *self._suite(case.start, node.cases[-1].body[-1])))
            for name in ("body", "orelse", "finalbody"):
                body = getattr(node, name, None)
                is_elif = name == "orelse" and isinstance(node, ast.If) and body and self._is_elif(body)
                if isinstance(body, list) and body and not isinstance(node, ast.Module) and not is_elif:
                    found.append((node, name, *self._suite(self.start(body[0]), body[-1])))
        return found

    def _is_elif(self, body: list[ast.stmt]) -> bool:
        return self.text.startswith("elif", self.start(body[0]))

    def _suite(self, first: int, last: ast.stmt) -> Span:
        """From behind the colon before the first statement, to where the reader knows that the last one is over."""
        colon = self.before(first)
        if self.line_end(colon.stop) >= first:
            return colon.stop, self.line_end(self.stop(last))
        rest = (token.start for token in self.after(self.stop(last)) if token.string != ";")
        return colon.stop, next(rest, len(self.text))

    def name_after(self, node: ast.stmt, word: str) -> Span:
        """The name behind `def` or `class`."""
        pieces = self.after(self.place(node.lineno, node.col_offset))
        next(token for token in pieces if token.string == word)
        name = next(pieces)
        return name.start, name.stop


def _whole_strings(tokens: Iterable[Token]) -> Iterator[Token]:
    """Tokens with every f-string as one, as Python 3.11 has them and later ones have not."""
    begins, ends = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)
    inside: list[int] = []
    for token in tokens:
        if token.kind == begins:
            inside.append(token.start)
        elif token.kind == ends:
            start = inside.pop()
            if not inside:
                yield Token(tokenize.STRING, "f''", start, token.stop)
        elif not inside:
            yield token


def _outside_f_strings(tree: ast.AST) -> Iterator[ast.AST]:
    todo = [tree]
    while todo:
        node = todo.pop()
        if not isinstance(node, ast.JoinedStr):
            yield node
            todo.extend(ast.iter_child_nodes(node))
