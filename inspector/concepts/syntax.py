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

_GRAMMARS = {"python": tree_sitter_python.language, "c": tree_sitter_c.language}
_IF_CONDITIONS = {
    "python": "(if_statement condition: (_) @condition) (elif_clause condition: (_) @condition)",
    "c": "(if_statement condition: (parenthesized_expression) @condition)",
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


def inside_if_condition(text: str, language: str) -> Bools:
    """True on the condition of an if statement; in C from its opening bracket to before the closing one."""
    parsed = _parse(text, language)
    query = tree_sitter.Query(_grammar(language), _IF_CONDITIONS[language])
    closing = 1 if language == "c" else 0
    spans = [
        (int(parsed.position[node.start_byte]), int(parsed.position[node.end_byte]) - closing)
        for statement in parsed.sound
        for node in tree_sitter.QueryCursor(query).captures(statement).get("condition", [])
    ]
    return paint_pairs(len(text), spans)


def is_parsed(text: str, language: str) -> Bools:
    """False on every outermost function or statement in which the parser met an error."""
    parsed = _parse(text, language)
    return ~paint_pairs(len(text), [(int(parsed.position[a]), int(parsed.position[b])) for a, b in parsed.doubtful])
