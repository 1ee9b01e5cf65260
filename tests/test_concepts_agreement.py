"""Concept labels beside Python's own readers and a C parser."""

import ast
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tree_sitter
import tree_sitter_c

from inspector.concepts import CONCEPTS, agreement, concepts_for
from inspector.concepts.agreement import check_agreement, expected_labels

LIBRARY = sorted(
    Path(ast.__file__).parent / name
    for name in ("argparse.py", "dataclasses.py", "inspect.py", "locale.py", "pydoc.py", "tokenize.py", "typing.py")
)
# What neither `tokenize` nor `ast` knows of: text alone tells.
OF_TEXT_ALONE = {name for name, concept in CONCEPTS.items() if concept.group in ("lines", "words", "characters")}
NOT_PYTHON = {name for name, concept in CONCEPTS.items() if concept.languages and "python" not in concept.languages}
OF_PYTHON_CODE = sorted(set(CONCEPTS) - OF_TEXT_ALONE - NOT_PYTHON)


@pytest.fixture(scope="module")
def library() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in LIBRARY]


@pytest.fixture(scope="module")
def rows(library) -> dict[str, agreement.Agreement]:
    found, n_unread = check_agreement(library)
    assert n_unread == 0
    return {row.name: row for row in found}


def test_every_concept_of_python_code_has_a_reference(rows):
    assert sorted(rows) == OF_PYTHON_CODE


@pytest.mark.parametrize("name", OF_PYTHON_CODE)
def test_labels_agree_with_python_itself(name, rows):
    assert rows[name].n_chars > 500_000 and rows[name].n_marked > 100
    assert rows[name].n_differing == 0


def test_agreement_notices_one_wrong_character(monkeypatch):
    def one_off(text: str, language: str) -> np.ndarray:
        label = CONCEPTS["keyword"].label(text, language)
        label[2] = ~label[2]
        return label

    broken = {**CONCEPTS, "keyword": replace(CONCEPTS["keyword"], labeller=one_off)}
    monkeypatch.setattr(agreement, "CONCEPTS", broken)
    rows, n_unread = check_agreement(["if a:\n    b\n", "if (\n", "x = '''\n"])
    assert n_unread == 2
    assert {row.name: row.n_differing for row in rows if row.n_differing} == {"keyword": 1}


def test_reference_knows_the_hard_cases():
    text = "@a(b)\nasync def f(c: 'd' = 1e-5) -> e: return (g)(h), f'{i()}'\nmatch j:\n  case 1: k; l;\nm\n"
    marked = {name: "".join(np.array(list(text))[label > 0]) for name, label in expected_labels(text).items()}
    assert marked["decorator"] == "@a(b)" and marked["call"] == "a" and marked["argument_list"] == "(b(h"
    assert marked["type_annotation"] == "'d'e" and marked["number_literal"] == "1e-51"
    assert marked["operator"] == "=->" and marked["function_name"] == "f"
    assert marked["block_depth"] == " return (g)(h), f'{i()}'\n  case 1: k; l;\n"


def test_reference_finds_the_case_before_brackets():
    text = "match a:\n  case ((b) as c): d\ne\n"
    assert (expected_labels(text)["block_depth"] == CONCEPTS["block_depth"].label(text, "python")).all()


def test_labelling_with_every_concept_takes_seconds(library):
    text = "".join(library)[:300_000]
    started = time.process_time()
    for concept in concepts_for("python"):
        concept.label(text, "python")
        concept.valid(text, "python")
    assert time.process_time() - started < 5


def test_every_character_of_the_library_is_valid(library):
    for name in ("inside_string", "bracket_depth", "inside_if_condition", "block_depth"):
        assert all(CONCEPTS[name].valid(text, "python").all() for text in library)


C_SAMPLE = r"""
#include <stdio.h>
#include "it's.h"
#define LIMIT
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
    while (count("(", 0) < 0xFFul)
        n += 1e-3;
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
        ("inside_while_header", "(while_statement condition: (_) @it)"),
        ("inside_function_body", "(function_definition body: (_) @it)"),
        ("number_literal", "(number_literal) @it"),
        ("class_name", "(struct_specifier name: (_) @it)"),
        ("argument_list", "(argument_list) @it"),
    ],
)
def test_labels_agree_with_a_c_parser(name, pattern):
    expected = np.zeros(len(C_SAMPLE), np.bool_)
    for start, stop in captured(pattern):
        closes = name not in ("inside_comment", "identifier", "number_literal", "class_name") or C_SAMPLE.startswith(
            "/*", start
        )
        expected[start + (name == "inside_comment") : stop - closes] = True
    label = CONCEPTS[name].label(C_SAMPLE, "c")
    assert [C_SAMPLE[at - 9 : at + 9] for at in np.flatnonzero(label != expected)] == []
