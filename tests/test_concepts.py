"""Concept labels, checked against hand-marked snippets and on arbitrary text."""

import itertools
import re
import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from inspector.concepts import CONCEPTS, LANGUAGES, concepts_for, get_concept, language_of, syntax
from inspector.concepts.marks import marked_text
from inspector.recording import InspectorError

MARKED = Path(__file__).parent / "golden" / "marked_concepts.txt"
SNIPPETS = dict(
    part.split("\n", 1) for part in re.split("^== ", MARKED.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
)


def cases() -> list[tuple[str, str, str]]:
    """Title, concept and language of every marked snippet; one for any language comes three times."""
    listed = []
    for title in SNIPPETS:
        name, language = title.split(":")[0].split()
        listed += [(title, name, each) for each in (LANGUAGES if language == "any" else [language])]
    return listed


@pytest.mark.parametrize(("title", "name", "language"), cases())
def test_label_matches_hand_marked(title, name, language):
    marked = SNIPPETS[title]
    text = "".join(line + "\n" for line in marked.split("\n")[:-1:2])
    assert marked_text(CONCEPTS[name], text, language) == marked


def test_every_concept_has_a_hand_marked_case_in_every_language_it_claims():
    marked = {(name, language) for _, name, language in cases()}
    claimed = {(name, each) for name, concept in CONCEPTS.items() for each in concept.languages or LANGUAGES}
    assert claimed - marked == set()


OF_SINGLE_CHARACTERS = ("document_position", "same_as_before", "line_start")


@pytest.mark.parametrize(
    ("title", "name", "language"), [case for case in cases() if case[1] not in OF_SINGLE_CHARACTERS]
)
def test_label_is_the_same_with_two_characters_to_a_line_break(title, name, language):
    text = "".join(line + "\n" for line in SNIPPETS[title].split("\n")[:-1:2])
    longer = text.replace("\n", "\r\n")
    kept = np.array([character != "\r" for character in longer])
    np.testing.assert_array_equal(CONCEPTS[name].label(longer, language)[kept], CONCEPTS[name].label(text, language))


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


@pytest.mark.parametrize(
    ("name", "language", "text", "marked"),
    [
        ("escape_sequence", "python", 'b = r\n"\\d"\n', ["\\d"]),  # what ends the line before is no prefix
        ("inside_string", "c", '#define B(error) do_##error("x", y)\n', ['"x']),
        ("inside_string", "c", '  #error don\'t\nx = "q";', ['"q']),
        ("inside_string", "c", "x = 1'000'000; c = 'a'; d = u8'b'; case'c':", ["'a", "'b", "'c"]),
        ("number_literal", "c", "x = 1'000'000 + 0x11'F0 - 'a';", ["1'000'000", "0x11'F0"]),
        ("keyword", "python", "1if y else 0xfor z", ["if", "else", "or"]),
        ("identifier", "python", "1_0if y else 1.e5+x.b1", ["y", "x", "b1"]),
        ("class_name", "c", "struct __attribute__((packed, aligned(8))) foo { };", ["foo"]),
        ("class_name", "c", "union __packed bar; struct\nbaz x; struct __attribute__", ["bar", "baz"]),
        ("sentence_start", "text", "_Hello_ There. _I_ Mr Smith. And __So__ on. __x", ["H", "I", "A"]),
    ],
)
def test_label_marks_these_and_nothing_else(name, language, text, marked):
    label, found = CONCEPTS[name].label(text, language), []
    for is_in, run in itertools.groupby(zip(label, text, strict=True), key=lambda pair: bool(pair[0])):
        if is_in:
            found.append("".join(character for _, character in run))
    assert found == marked


@pytest.mark.parametrize(
    ("text", "depths"),
    [
        (
            'match(x):\n case(1):\n  y\n case-1:\n  z\n case{}:\n  w\n case"a": v\nmatch(x)\n',
            [0, 1, 2, 1, 2, 1, 2, 1, 0],
        ),
        ("match[0]: int\nmatch = 3\ncase(x)\nmatch -x:\n case _: y\n", [0, 0, 0, 0, 1]),
        ("match ...:\n case .5:\n  y\nmatch .real\nz\n", [0, 1, 2, 0, 0]),
        ("class A:\n    x = 1\n\f    y = 2\nz\n", [0, 1, 1, 0]),  # Python counts anew behind a form feed
    ],
)
def test_blocks_begin_and_end_where_python_has_them(text, depths):
    """The depth at the first character of code of each line."""
    label, at, found = CONCEPTS["block_depth"].label(text, "python"), 0, []
    for line in re.split("(?<=\n)", text)[:-1]:
        found.append(int(label[at + len(line) - len(line.lstrip(" \f"))]))
        at += len(line)
    assert found == depths


def test_inside_if_condition_keeps_its_place_behind_a_lone_surrogate_and_a_nul():
    label = CONCEPTS["inside_if_condition"].label("x = '\ud800\0'\nif ab: pass\n", "python")
    assert np.flatnonzero(label).tolist() == [12, 13]


def test_inside_if_condition_is_doubtful_when_parsing_takes_too_long(monkeypatch):
    monkeypatch.setattr(syntax, "_SECONDS", 0.05)
    text = "if a: pass\n" + "\\\n" * 20_000
    concept = CONCEPTS["inside_if_condition"]
    assert not concept.valid(text, "python").any()
    assert not concept.label(text, "python").any()


# Arbitrary text -------------------------------------------------------------------------------------------------------

FRAGMENTS = (
    "'", '"', "'''", '"""', "\\", "#", "//", "/*", "*/", "*", "/", "\n", "\r", "\r\n", " ", "\t", "(", ")", "[", "]",
    "{", "}", ":", ";", "a", "r", "f", "1", "def ", "class A", "async ", "if ", "x=", "“", "”", "#error", "#include <",
    "\0", "\ud800", "for ", "while(", "else:", "match ", "lambda ", ":=", "=", ".", "!", ",", "-", "_", "e", "@",
    "import", "from", "struct ", "://", "x", "0", "\\N{", "#if", "é", "😀", "\ufeff", "\u2028", "\x0c",
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


@pytest.mark.parametrize("text", ["00#error://", "#error//", "#warning a/*"])
def test_a_comment_behind_the_prose_of_an_error_shows_no_sooner_than_it_is_one(text):
    label = CONCEPTS["operator"].label(text, "c")
    for cut in range(len(text)):
        np.testing.assert_array_equal(CONCEPTS["operator"].label(text[:cut], "c"), label[:cut])


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
    "1.1,", "0x", "://", "a(", "for x in ", "if x:\n ", "A\n\n", "! ", "@", "while(", "{;", "lambda", "\\\n", ") {",
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
            if concept.validator is not syntax.is_parsed:  # a parser is stopped by its own clock
                concept.label(text, language)
    assert time.process_time() - started < 10


# The catalogue --------------------------------------------------------------------------------------------------------


def test_catalogue_names_are_their_keys():
    assert all(name == concept.name for name, concept in CONCEPTS.items())


def test_catalogue_describes_every_concept():
    for concept in CONCEPTS.values():
        assert concept.description.endswith(".") and concept.edges.endswith(".") and concept.title and concept.group
        assert set(concept.languages) <= set(LANGUAGES)


def test_concepts_for_lists_what_can_be_labelled():
    for language in LANGUAGES:
        listed = concepts_for(language)
        assert listed == [one for one in CONCEPTS.values() if not one.languages or language in one.languages]
        assert len(listed) > 25
    assert concepts_for(None) == concepts_for("text")
    names = {concept.name for concept in concepts_for(None)}
    assert "indentation" in names and "inside_string" not in names


def test_label_without_a_language_is_that_of_plain_text():
    assert CONCEPTS["speaker_line"].label("A:\n").tolist() == [True, True, False]


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
