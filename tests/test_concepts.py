"""Concept labels, checked against hand-marked snippets, other parsers and arbitrary text."""

import ast
import io
import keyword
import re
import time
import tokenize
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tree_sitter
import tree_sitter_c
from hypothesis import given, settings

from inspector.concepts import (
    CONCEPTS,
    LANGUAGES,
    Concept,
    concepts_for,
    get_concept,
    language_of,
    patterns,
    regex_concept,
    syntax,
)
from inspector.recording import InspectorError

MARKED = Path(__file__).parent / "golden" / "marked_concepts.txt"
SNIPPETS = dict(part.split("\n", 1) for part in MARKED.read_text(encoding="utf-8").split("== ")[1:])


def marks_of(concept: Concept, text: str, language: str) -> str:
    """The text with its marks, in the notation of the marked snippets."""
    signs = "".join(
        "?" if not known else str(int(label)) if concept.kind == "graded" else ".#"[int(label)]
        for label, known in zip(concept.label(text, language), concept.valid(text, language), strict=True)
    )
    shown, start = "", 0
    for line in text.split("\n")[:-1]:
        stop = start + len(line) + 1
        shown += f"{line}\n{signs[start:stop]}\n"
        start = stop
    return shown


@pytest.mark.parametrize("title", SNIPPETS)
def test_label_matches_hand_marked(title):
    name, language = title.split(":")[0].split()
    marked = SNIPPETS[title]
    text = "".join(line + "\n" for line in marked.split("\n")[:-1:2])
    assert marks_of(CONCEPTS[name], text, language) == marked


def assert_labels(name: str, language: str | None, text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(CONCEPTS[name].label(text, language), expected)


def test_indentation_c_counts_tabs_to_eight():
    assert_labels("indentation", "c", "\ta\n  \tb\n\n \n\t c d\n", [8, 8, 0, 1, 2, 8, 8, 0, 0, 1, 0, 8, 9, 9, 9, 9, 0])


def test_indentation_elsewhere_counts_tabs_to_four():
    for language in ("python", "text", None):
        assert_labels(
            "indentation", language, " a\tb\r\n  \tc\r    \t", [1, 1, 1, 1, 0, 0, 1, 2, 4, 4, 0, 1, 2, 3, 4, 8]
        )


def test_line_position_is_zero_on_line_breaks():
    assert_labels("line_position", None, "ab\r\nc\rd\n\ne", [1, 2, 0, 0, 1, 0, 1, 0, 0, 1])


def test_line_start_counts_a_break_pair_once():
    assert_labels("line_start", None, "ab\r\nc\rd\n\ne", [1, 0, 0, 0, 1, 0, 1, 0, 1, 1])


def test_newline_next_cannot_tell_at_the_end():
    assert_labels("newline_next", None, "ab\n\nc", [0, 1, 1, 0, 0])
    assert CONCEPTS["newline_next"].valid("ab\nc").tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("digit", "a1²٣\U0001d7d8", [0, 1, 0, 1, 1]),
        ("uppercase", "aAéÉß1", [0, 1, 0, 1, 0, 0]),
        ("whitespace", "a \t\n\u00a0\u3000_", [0, 1, 1, 1, 1, 1, 0]),
        ("vowel", "aEyéx", [1, 1, 0, 0, 0]),
        ("punctuation", "a.,+€ \n_", [0, 1, 1, 1, 1, 0, 0, 1]),
        ("non_ascii", "aé\x7f\x80😀", [0, 1, 0, 1, 1]),
        ("same_as_before", "aab\n\n", [0, 1, 0, 0, 1]),
        ("word_start", "ab, c_1 é", [1, 0, 0, 0, 1, 0, 0, 0, 1]),
        ("word_end", "ab, c_1 é", [0, 1, 0, 0, 0, 0, 1, 0, 1]),
    ],
)
def test_character_classes_are_unicode_aware(name, text, expected):
    assert_labels(name, None, text, expected)


def test_inside_if_condition_keeps_its_place_behind_a_lone_surrogate_and_a_nul():
    label = CONCEPTS["inside_if_condition"].label("x = '\ud800\0'\nif ab: pass\n", "python")
    assert np.flatnonzero(label).tolist() == [12, 13]


def test_inside_if_condition_is_doubtful_when_parsing_takes_too_long(monkeypatch):
    monkeypatch.setattr(syntax, "_SECONDS", 0.05)
    text = "if a: pass\n" + "\\\n" * 20_000
    concept = CONCEPTS["inside_if_condition"]
    assert not concept.valid(text, "python").any()
    assert not concept.label(text, "python").any()


# Agreement with other parsers -----------------------------------------------------------------------------------------

LIBRARY = sorted(
    Path(ast.__file__).parent / name
    for name in ("argparse.py", "dataclasses.py", "doctest.py", "inspect.py", "locale.py", "pydoc.py", "tokenize.py")
)


@pytest.fixture(scope="module")
def library() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in LIBRARY]


def line_begins(text: str) -> list[int]:
    """Where each line begins; line 1 is the first."""
    return [0, 0, *accumulate(map(len, io.StringIO(text)))]


def tokens_of(text: str) -> Iterator[tuple[int, int, int]]:
    """Type, start and stop of Python's own tokens, in code points."""
    begins = line_begins(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        yield token.type, begins[token.start[0]] + token.start[1], begins[token.end[0]] + token.end[1]


def paint_string(label: np.ndarray, text: str, start: int, stop: int) -> None:
    """Mark one string token by the documented edges."""
    opening = start + re.match("[a-zA-Z]*", text[start:stop]).end()
    label[opening : stop - 1] = True
    if text[opening : opening + 3] in ("'''", '"""'):
        label[opening + 1] = False


def expected_from_python(text: str) -> dict[str, np.ndarray]:
    """Labels by `tokenize` and `ast`, by the documented edges."""
    names = ("inside_string", "inside_comment", "inside_docstring", "identifier", "keyword")
    labels = {name: np.zeros(len(text), np.bool_) for name in names}
    documented = docstring_spans(text)
    for kind, start, stop in tokens_of(text):
        if kind == tokenize.STRING:
            paint_string(labels["inside_string"], text, start, stop)
            if any(first <= start and stop <= last for first, last in documented):
                paint_string(labels["inside_docstring"], text, start, stop)
        elif kind == tokenize.COMMENT:
            labels["inside_comment"][start:stop] = True
        elif kind == tokenize.NAME:
            labels["keyword" if keyword.iskeyword(text[start:stop]) else "identifier"][start:stop] = True
    return labels


def span_of(node: ast.expr, text: str, begins: list[int]) -> tuple[int, int]:
    """A node's start and stop in code points; `ast` counts columns in bytes."""
    ends = [(node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)]
    start, stop = (
        begins[line] + len(text[begins[line] : begins[line + 1]].encode()[:column].decode()) for line, column in ends
    )
    return start, stop


def docstring_spans(text: str) -> list[tuple[int, int]]:
    begins = line_begins(text)
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        span_of(node.body[0].value, text, begins)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None
    ]


@pytest.mark.parametrize("name", ["inside_string", "inside_comment", "inside_docstring", "identifier", "keyword"])
def test_labels_agree_with_python_itself(name, library, python_labels):
    differing = sum(
        int((CONCEPTS[name].label(text, "python") != expected[name]).sum())
        for text, expected in zip(library, python_labels, strict=True)
    )
    marked = sum(int(expected[name].sum()) for expected in python_labels)
    assert marked > 1_000
    # So it is in the whole library: no character differs in 11.3 million, once the documented edges are allowed for.
    assert differing == 0


@pytest.fixture(scope="module")
def python_labels(library) -> list[dict[str, np.ndarray]]:
    return [expected_from_python(text) for text in library]


def test_every_character_of_the_library_is_valid(library):
    for name in ("inside_string", "bracket_depth", "inside_if_condition"):
        assert all(CONCEPTS[name].valid(text, "python").all() for text in library)


def test_inside_if_condition_agrees_with_ast(library):
    """`ast` leaves out brackets around a condition and blanks and comments beside them; nothing else differs."""
    for text in library:
        begins = line_begins(text)
        expected = np.zeros(len(text), np.bool_)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.If):
                start, stop = span_of(node.test, text, begins)
                expected[start:stop] = True
        label = CONCEPTS["inside_if_condition"].label(text, "python")
        assert not (expected & ~label).any()
        comment = CONCEPTS["inside_comment"].label(text, "python")
        extra = {text[at] for at in np.flatnonzero(label & ~expected & ~comment)}
        assert extra <= set("() \n\\")


C_SAMPLE = r"""
#include <stdio.h>
#include "it's.h"
#define LIMIT 3
// it's "one"
/* don't * / stop "here" **/
static const char *names[] = { "a\"b", "\\", "", "é😀 /* no */", "spliced \
on" "next" };

struct pair { unsigned int left; const char *right; };

static int count(const char *text, struct pair *out)
{
    int n = 0;              /* how many */
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\'' || *p == '\\') // "quote"
            n++;
        else if (out != 0 && (n > 3))
            goto done;
    }
done:
    switch (n) { case 1: return sizeof(int); default: break; }
    return n; // at the end \
       still a comment "
}
"""


def captured(pattern: str) -> list[tuple[int, int]]:
    """Start and stop, in code points of C_SAMPLE, of what tree-sitter's C grammar finds."""
    grammar = tree_sitter.Language(tree_sitter_c.language())
    data = C_SAMPLE.encode()
    root = tree_sitter.Parser(grammar).parse(data).root_node
    assert not root.has_error
    nodes = tree_sitter.QueryCursor(tree_sitter.Query(grammar, pattern)).captures(root)["it"]
    return [(len(data[: node.start_byte].decode()), len(data[: node.end_byte].decode())) for node in nodes]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("inside_string", "[(string_literal) (char_literal)] @it"),
        ("inside_comment", "(comment) @it"),
        ("identifier", "[(identifier) (type_identifier) (field_identifier) (statement_identifier)] @it"),
        ("inside_if_condition", "(if_statement condition: (_) @it)"),
    ],
)
def test_labels_agree_with_a_c_parser(name, pattern):
    expected = np.zeros(len(C_SAMPLE), np.bool_)
    for start, stop in captured(pattern):
        closes = name in ("inside_string", "inside_if_condition") or C_SAMPLE.startswith("/*", start)
        expected[start + (name == "inside_comment") : stop - closes] = True
    label = CONCEPTS[name].label(C_SAMPLE, "c")
    assert [C_SAMPLE[at - 9 : at + 9] for at in np.flatnonzero(label != expected)] == []


# Arbitrary text -------------------------------------------------------------------------------------------------------

FRAGMENTS = (
    "'", '"', "'''", '"""', "\\", "#", "//", "/*", "*/", "*", "/", "\n", "\r", "\r\n", " ", "\t", "(", ")", "[", "]",
    "{", "}", ":", ";", "a", "r", "f", "1", "def ", "class A", "async ", "if ", "x=", "“", "”", "#error", "#include <",
    "\0", "\ud800", "é", "😀", "\ufeff", "\u2028", "\x0c",
)  # fmt: skip
any_text = st.text(st.characters()) | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)


@settings(max_examples=100, deadline=None)
@given(any_text, st.sampled_from(LANGUAGES))
def test_every_concept_labels_any_text(text, language):
    for concept in concepts_for(language):
        label, valid = concept.label(text, language), concept.valid(text, language)
        assert label.shape == valid.shape == (len(text),)
        assert label.dtype == (np.bool_ if concept.kind == "yes/no" else np.float32)
        assert valid.dtype == np.bool_


@settings(max_examples=200, deadline=None)
@given(any_text, st.sampled_from(LANGUAGES), st.data())
def test_causal_labels_need_no_later_text(text, language, data):
    cut = data.draw(st.integers(0, len(text)))
    for concept in concepts_for(language):
        if concept.causal:
            np.testing.assert_array_equal(concept.label(text[:cut], language), concept.label(text, language)[:cut])


def columns_one_by_one(text: str, tab: int) -> tuple[list[int], list[int]]:
    """Line position and indentation, as a reader keeps them character by character."""
    positions, columns = [], []
    position = column = 0
    leading = True
    for character in text:
        if character in "\r\n":
            position, column, leading = 0, 0, True
        else:
            position += 1
            leading = leading and character in " \t"
            if leading:
                column = column + 1 if character == " " else (column // tab + 1) * tab
        positions.append(position)
        columns.append(column)
    return positions, columns


@settings(max_examples=200, deadline=None)
@given(any_text | st.text(" \ta\r\n", max_size=60))
def test_line_concepts_equal_a_reader_that_counts(text):
    positions, columns = columns_one_by_one(text, 8)
    assert_labels("line_position", "c", text, positions)
    assert_labels("indentation", "c", text, columns)


HOSTILE = (
    '"', '"\n', '""\\', '"""', "'", "“\n", "(", "(]", "def f(\n", "class A:", " ", "\\", "/*", "#", "#error ",
    "\r\n", "1.",
)  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_labelling_stays_linear_on_hostile_text(part):
    """A tenth of a second or two; work that grows with the square of the length would take a minute and more."""
    text = part * (40_000 // len(part))
    started = time.process_time()
    for language in LANGUAGES:
        for concept in concepts_for(language):
            if concept.causal:
                concept.label(text, language)
    assert time.process_time() - started < 10


# Patterns -------------------------------------------------------------------------------------------------------------


def test_regex_concept_marks_whole_matches():
    assert regex_concept(r"\d+").label("a12 3").tolist() == [False, True, True, False, True]


def test_regex_concept_marks_its_named_group():
    label = regex_concept(r"def (?P<mark>\w+)(x)?").label("def ab")
    assert label.tolist() == [False] * 4 + [True] * 2
    assert regex_concept("(?P<mark>a)|b").label("ba").tolist() == [False, True]


def test_regex_concept_anchors_at_every_line():
    assert regex_concept("^a").label("ab\nab").tolist() == [True, False, False, True, False]


def test_regex_concept_marks_nothing_for_empty_matches():
    assert not regex_concept("x*").label("abc").any()


@settings(max_examples=15, deadline=None)
@given(any_text, st.sampled_from(["[a-z#]", "é|😀", r"[^\n]+", r"(?s)\W.", "\ud800?a", "\0"]))
def test_regex_concept_equals_re(text, pattern):
    expected = np.zeros(len(text), np.bool_)
    for match in re.finditer(pattern, text):
        expected[match.start() : match.end()] = True
    np.testing.assert_array_equal(regex_concept(pattern).label(text), expected)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a(b", r"The pattern 'a\(b' is not a regular expression at character 1: missing \), unterminated subpattern"),
        ("", "The pattern is empty"),
        ("a{99999999999999}", "nested too deeply or repeats too often"),
        ("(" * 5000 + ")" * 5000, "nested too deeply or repeats too often"),
    ],
)
def test_regex_concept_explains_a_bad_pattern(pattern, message):
    with pytest.raises(InspectorError, match=message):
        regex_concept(pattern)


def test_regex_concept_stops_endless_backtracking(monkeypatch):
    monkeypatch.setattr(patterns, "TIME_LIMIT", 0.3)
    started = time.perf_counter()
    with pytest.raises(InspectorError, match=r"took more than 0\.3 seconds on 41 characters and was stopped"):
        regex_concept("(a+)+$").label("a" * 40 + "b")
    assert time.perf_counter() - started < 5


def test_regex_concept_takes_doubtful_patterns_quietly():
    assert regex_concept("[[a]").label("[a]").tolist() == [True, True, False]


# The catalogue --------------------------------------------------------------------------------------------------------


def test_catalogue_names_are_their_keys():
    assert all(name == concept.name for name, concept in CONCEPTS.items())


def test_catalogue_describes_every_concept():
    for concept in CONCEPTS.values():
        assert concept.description.endswith(".") and concept.edges.endswith(".") and concept.title and concept.group
        assert set(concept.languages) <= set(LANGUAGES)


def test_concepts_for_lists_what_can_be_labelled():
    assert {concept.name for concept in CONCEPTS.values()} == {concept.name for concept in concepts_for("python")}
    names = {concept.name for concept in concepts_for(None)}
    assert "indentation" in names and "inside_string" not in names


def test_label_needs_a_language_where_it_matters():
    with pytest.raises(
        InspectorError, match="'inside_string' is not defined here, as no language was given: pass lang"
    ):
        CONCEPTS["inside_string"].label("x")
    with pytest.raises(InspectorError, match="the text is read as 'c': pass language='python'"):
        CONCEPTS["inside_docstring"].valid("x", language="c")
    with pytest.raises(InspectorError, match="There is no language 'rust': choose one of python, c, text"):
        CONCEPTS["digit"].label("x", language="rust")


def test_get_concept_suggests_neighbours():
    assert get_concept("digit") is CONCEPTS["digit"]
    with pytest.raises(InspectorError, match=r"There is no concept 'inside_strnig'. Choose one of: inside_string"):
        get_concept("inside_strnig")


def test_labels_may_be_altered_by_their_owner():
    for concept in concepts_for("python"):
        for array in (concept.label("(a)\n", "python"), concept.valid("(a)\n", "python")):
            array[:] = False
    assert CONCEPTS["bracket_depth"].label("(a)\n", "python").tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("filename", "language"),
    [("a.py", "python"), ("b/c.PYI", "python"), (Path("d.h"), "c"), ("e.md", "text"), ("c", "text")],
)
def test_language_of_reads_the_suffix(filename, language):
    assert language_of(filename) == language
