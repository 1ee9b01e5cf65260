"""`python -m inspector concepts`, and the page made of the concepts."""

from pathlib import Path

import numpy as np
import pytest

from inspector.__main__ import main
from inspector.concepts import CONCEPTS, concepts_for
from inspector.concepts.marks import coloured_text, marked_text
from inspector.concepts.page import by_group, concepts_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "concepts.md"


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["concepts", *(str(argument) for argument in arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def names_in(said: str) -> list[str]:
    """The concepts of a printed list: the first words of its indented lines."""
    return [line.split()[0] for line in said.splitlines() if line.startswith("  ")]


def test_concepts_lists_all_of_them_with_language_and_kind(capsys):
    code, said, _ = run(capsys)
    assert code == 0 and names_in(said) == list(CONCEPTS)
    assert "Blocks\n  block_depth               python, c   graded, causal" in said
    assert said.splitlines()[-1].startswith(f"{len(CONCEPTS)} concepts.")


def test_concepts_lists_those_of_a_language(capsys):
    for language in ("python", "c", "text"):
        code, said, _ = run(capsys, "--language", language)
        assert code == 0 and names_in(said) == [concept.name for concept in concepts_for(language)]


@pytest.fixture
def code_file(tmp_path) -> Path:
    path = tmp_path / "a.py"
    path.write_text("x = 'a'\nif x:\n    y = 'b'\n")
    return path


def test_show_marks_a_text(capsys, code_file):
    code, said, _ = run(capsys, "--show", "inside_string", code_file)
    assert code == 0 and said == "x = 'a'\n....##..\nif x:\n......\n    y = 'b'\n........##..\n"


def test_show_takes_lines_a_language_and_concepts_of_ones_own(capsys, code_file):
    _, said, _ = run(capsys, "--show", "block_depth", code_file, "--lines", "2-3")
    assert said == "if x:\n000001\n    y = 'b'\n111111111111\n"
    _, said, _ = run(capsys, "--show", "inside_string", code_file, "--lines", "1", "--language", "c")
    assert said == "x = 'a'\n....##..\n"
    _, said, _ = run(capsys, "--show", "regex:[xy]", code_file, "--lines", "3-9")
    assert said == "    y = 'b'\n....#.......\n"
    code_file.with_name("spans.json").write_text("[[0, 2]]")
    _, said, _ = run(capsys, "--show", code_file.with_name("spans.json"), code_file, "--lines", "1-1")
    assert said == "x = 'a'\n##......\n"


@pytest.mark.parametrize(
    ("variable", "value", "is_coloured"),
    [("NO_COLOR", "", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)],
)
def test_colours_are_for_terminals_whose_reader_wants_them(
    capsys, monkeypatch, code_file, variable, value, is_coloured
):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, value)
    _, said, _ = run(capsys, "--show", "digit", code_file)
    assert ("\x1b" in said) == is_coloured


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--show", "inside_strin", "FILE"), "There is no concept 'inside_strin'. Choose one of: inside_string"),
        (("--show", "digit", "nowhere.py"), "nowhere.py"),
        (("--show", "speaker_line", "FILE"), "'speaker_line' is not defined here, as the text is read as 'python'"),
        (("--show", "digit", "FILE", "--lines", "3-2"), "--lines 3-2 names no lines: write FIRST-LAST, such as 10-20."),
        (("--show", "digit", "FILE", "--lines", "a"), "--lines a names no lines"),
        (("--show", "digit", "FILE", "--lines", "2-"), "--lines 2- names no lines"),
        (("--show", "digit", "FILE", "--lines", "4-9"), "is behind the end of"),
        (("--markdown", "--language", "c"), "--language chooses what is listed"),
        (("--show", "nowhere.py:f", "FILE"), "There is no file nowhere.py"),
        (("--lines", "1-2"), "--lines chooses what --show shows: add --show CONCEPT FILE."),
        (("--files", "2"), "--files says how much --check compares: add --check."),
        (("--language", "rust"), "There is no language 'rust'"),
    ],
)
def test_bad_input_is_one_sentence(capsys, code_file, arguments, words):
    code, _, error = run(capsys, *(code_file if argument == "FILE" else argument for argument in arguments))
    assert code == 1 and error.count("\n") == 1 and error.startswith("concepts: ") and words in error


def test_check_prints_every_reference_with_its_differences(capsys):
    code, said, _ = run(capsys, "--check", "--files", "2")
    rows = [line.split() for line in said.splitlines()[1:-1]]
    assert code == 0 and {"inside_string", "call"} <= {row[0] for row in rows}
    assert all(row[3] == "0" and row[4] == "1.0000000" for row in rows)
    assert said.splitlines()[-1].startswith("2 files of the Python library, ")


# Marks ----------------------------------------------------------------------------------------------------------------


def test_marked_text_counts_every_character_of_any_text():
    for text in ("", "a", "a\n", "\n", "\n\na", "é😀\r\n\tb"):
        shown = marked_text(CONCEPTS["document_position"], text).split("\n")[1::2]
        assert sum(map(len, shown)) == len(text)


def test_marked_text_writes_large_grades_as_letters():
    shown = marked_text(CONCEPTS["line_position"], "a" * 40)
    assert shown == "a" * 40 + "\n" + "123456789abcdefghijklmnopqrstuvwxyz+++++\n"


def test_coloured_text_puts_a_background_behind_the_label_alone():
    assert coloured_text(CONCEPTS["digit"], "a12b\n") == "a\x1b[0m\x1b[30;43m12\x1b[0mb\n\x1b[0m"
    assert coloured_text(CONCEPTS["inside_round"], "(\n").startswith("\x1b[0m\x1b[2;9m(")
    shown = coloured_text(CONCEPTS["line_position"], "abc")
    shades = [part.split("m")[0] for part in shown.split("48;5;")[1:]]
    assert len(set(shades)) == 3


def test_coloured_text_never_sends_the_texts_own_control_characters():
    shown = coloured_text(CONCEPTS["uppercase"], "a\x1b[31mb\x07\x9b\ud800\r\n")
    assert shown == "a\u241b[31mb\u2407\ufffd\ufffd\u240d\n\x1b[0m"


# The page -------------------------------------------------------------------------------------------------------------


def test_page_is_what_the_concepts_say():
    made_anew = "python -m inspector concepts --markdown > docs/concepts.md"
    assert PAGE.read_text(encoding="utf-8") == concepts_page(), made_anew


def test_page_is_printed_by_its_command(capsys):
    assert run(capsys, "--markdown")[1] == concepts_page()


def test_page_names_every_concept_once():
    rows = [line.split("`")[1] for line in concepts_page().splitlines() if line.startswith("| `")]
    assert rows == list(CONCEPTS)
    assert all(line.count("|") - line.count("\\|") == 6 for line in concepts_page().splitlines() if line[:3] == "| `")


def test_groups_stand_together():
    groups = [group for group, _ in by_group()]
    assert len(groups) == len(set(groups))
    assert np.sum([len(members) for _, members in by_group()]) == len(CONCEPTS)
