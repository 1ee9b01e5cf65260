"""Concepts that need a parser (tree-sitter): labels from the syntax tree, mapped from bytes back to code points.

Where the parser met an error it also guesses, and its guesses look like code. So the outermost function or statement
that holds an error is neither labelled nor valid as a whole; the others are both. A text that keeps the parser busy for
too long has no valid character.
"""

import time
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import tree_sitter
import tree_sitter_c
import tree_sitter_python

from inspector.concepts.characters import Bools, Ints, code_points, paint_pairs
from inspector.concepts.scan import inside_string

_GRAMMARS = {"python": tree_sitter_python.language, "c": tree_sitter_c.language}
# What each concept marks: the captures of that name.
_QUERIES = {
    "python": """
        (if_statement condition: (_) @if_condition) (elif_clause condition: (_) @if_condition)
        (function_definition name: (identifier) @function_name)
        (call function: [(identifier) @call (attribute attribute: (identifier) @call)])
        (call arguments: [(argument_list) (generator_expression)] @arguments)
        (typed_parameter type: (type) @annotation) (typed_default_parameter type: (type) @annotation)
        (function_definition return_type: (type) @annotation) (assignment type: (type) @annotation)
    """,
    "c": """
        (if_statement condition: (parenthesized_expression) @if_condition)
        (function_declarator declarator: (identifier) @function_name)
        (call_expression function: [(identifier) @call (field_expression field: (field_identifier) @call)])
        (call_expression arguments: (argument_list) @arguments)
        (for_statement body: (_) @loop_body) (while_statement body: (_) @loop_body)
        (do_statement body: (_) @loop_body)
    """,
}

# What only holds statements: an error in one of them leaves the others sound.
_CONTAINERS = frozenset(
    [
        *("class_definition", "decorated_definition", "block"),
        *("preproc_if", "preproc_ifdef", "preproc_elif", "preproc_else"),
        *("linkage_specification", "declaration_list"),
    ]
)
# Code parses at 4 MB/s; only text that is no code at all can take longer than this.
_SECONDS, _SECONDS_PER_BYTE = 5.0, 4e-6
_CHUNK = 1 << 16  # bytes handed to the parser at a time


class _Parsed(NamedTuple):
    sound: list[tree_sitter.Node]  # functions and statements the parser is sure about
    doubtful: list[tuple[int, int]]  # byte ranges of the others
    position: Ints  # (n_bytes + 1,), the code point every byte belongs to


@cache
def _grammar(language: str) -> tree_sitter.Language:
    return tree_sitter.Language(_GRAMMARS[language]())


@lru_cache(maxsize=2)
def _parse(text: str, language: str) -> _Parsed:
    # A NUL would end the text for the parser, and a lone surrogate has no bytes: both become another non-letter.
    codes = code_points(text)
    data = text.replace("\0", "\x01").encode("utf-8", "replace")
    n_bytes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    n_bytes[(codes >= 0xD800) & (codes < 0xE000)] = 1  # written as "?"
    position = np.append(np.repeat(np.arange(len(codes)), n_bytes), len(codes))

    root = _tree(data, language)
    if root is None:
        return _Parsed([], [(0, len(data))], position)
    return _Parsed(*_sort(root), position)


def _sort(root: tree_sitter.Node) -> tuple[list[tree_sitter.Node], list[tuple[int, int]]]:
    """Statements without an error, and the byte ranges of those with one."""
    sound, doubtful = [], []
    children = root.children
    if root.type == "ERROR":  # the parser gave up: complete statements come first, then loose tokens
        complete = next((at for at, child in enumerate(children) if not child.is_named), len(children))
        doubtful = [(child.start_byte, root.end_byte) for child in children[complete : complete + 1]]
        children = children[:complete]
    while children:
        child = children.pop()
        if not child.has_error:
            sound.append(child)
        elif child.type in _CONTAINERS:
            children.extend(child.children)
        else:
            doubtful.append((child.start_byte, child.end_byte))
    return sound, doubtful


def _tree(data: bytes, language: str) -> tree_sitter.Node | None:
    """The root of the syntax tree; None when the parser is still recovering from errors after its time."""
    deadline = time.monotonic() + _SECONDS + _SECONDS_PER_BYTE * len(data)
    try:
        tree = tree_sitter.Parser(_grammar(language)).parse(
            lambda start, _: data[start : start + _CHUNK],
            progress_callback=lambda _offset, _has_error: time.monotonic() > deadline,
        )
    except ValueError:  # the parser's way to say that it was stopped
        return None
    return tree.root_node


@lru_cache(maxsize=2)
def _captured(text: str, language: str) -> dict[str, list[tuple[int, int]]]:
    """Start and stop of every capture, by name; what stands in the braces of an f-string is left out."""
    parsed = _parse(text, language)
    in_string = inside_string(text, language)
    query = tree_sitter.Query(_grammar(language), _QUERIES[language])
    spans: dict[str, list[tuple[int, int]]] = {}
    for statement in parsed.sound:
        for name, nodes in tree_sitter.QueryCursor(query).captures(statement).items():
            ends = [(int(parsed.position[node.start_byte]), int(parsed.position[node.end_byte])) for node in nodes]
            spans.setdefault(name, []).extend(ends)
    return {name: [span for span in found if not _behind_quote(in_string, span[0])] for name, found in spans.items()}


def _behind_quote(in_string: Bools, start: int) -> bool:
    return start > 0 and bool(in_string[start - 1]) and bool(in_string[start])


def _paint(text: str, language: str, name: str, *, closing: bool = False) -> Bools:
    spans = _captured(text, language).get(name, [])
    return paint_pairs(len(text), [(start, stop - closing) for start, stop in spans])


def inside_if_condition(text: str, language: str) -> Bools:
    """True on the condition of an if statement; in C from its opening bracket to before the closing one."""
    return _paint(text, language, "if_condition", closing=language == "c")


def is_function_name(text: str, language: str) -> Bools:
    """True on the name of a function where it is defined; in C where it is declared too."""
    return _paint(text, language, "function_name")


def is_called_name(text: str, language: str) -> Bools:
    """True on the name of what is called."""
    return _paint(text, language, "call")


def inside_arguments(text: str, language: str) -> Bools:
    """True from the opening bracket of a call to before its closing one."""
    return _paint(text, language, "arguments", closing=True)


def inside_annotation(text: str, language: str) -> Bools:
    """True on the type of a Python parameter, result or variable."""
    return _paint(text, language, "annotation")


def inside_c_loop_body(text: str) -> Bools:
    """True on the body of a C loop: from its first character to before its last, "}" or ";"."""
    return _paint(text, "c", "loop_body", closing=True)


def is_parsed(text: str, language: str) -> Bools:
    """False on every outermost function or statement in which the parser met an error."""
    parsed = _parse(text, language)
    return ~paint_pairs(len(text), [(int(parsed.position[a]), int(parsed.position[b])) for a, b in parsed.doubtful])
