"""Concepts of a reader's own: regular expressions, marked spans, functions in a file."""

import dataclasses
import re
import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from inspector.concepts import CONCEPTS, load_concept, patterns, regex_concept, resolve_concept, span_concept
from inspector.recording import InspectorError

any_text = st.text(st.characters()) | st.text("ab#\n\0é😀\ud800", max_size=40)

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


# Spans ----------------------------------------------------------------------------------------------------------------


def test_span_concept_marks_its_spans_alone():
    concept = span_concept([(4, 6), (0, 1), (5, 7)], name="here")
    assert (concept.name, concept.kind) == ("here", "yes/no")
    assert concept.label("01234567", "c").tolist() == [True, False, False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([], "No span is marked"),
        ([(3, 3)], "The span 3 to 3 marks nothing"),
        ([(-1, 3)], "The span -1 to 3 marks nothing"),
        ([(0.5, 3)], "A span is a pair of whole numbers"),
        ([(1, 2, 3)], "A span is a pair of whole numbers"),
        (["ab"], "A span is a pair of whole numbers"),
        ([4], "A span is a pair of whole numbers"),
    ],
)
def test_span_concept_explains_what_is_no_span(spans, message):
    with pytest.raises(InspectorError, match=message):
        span_concept(spans)


def test_span_concept_refuses_another_text():
    with pytest.raises(InspectorError, match="a text of at least 9 characters, this one has 3: choose the text"):
        span_concept([(0, 9)]).label("abc")
    with pytest.raises(InspectorError, match="a text of exactly 9 characters, this one has 10"):
        span_concept([(0, 2)], n_chars=9).label("0123456789")


def test_spans_come_from_a_file(tmp_path):
    (tmp_path / "plain.json").write_text("[[0, 2], [3, 4]]")
    (tmp_path / "named.json").write_text('{"name": "greeting", "n_chars": 4, "spans": [[1, 2]]}')
    plain, named = (resolve_concept(str(tmp_path / file)) for file in ("plain.json", "named.json"))
    assert plain.name == "plain" and plain.label("abcd").tolist() == [True, True, False, True]
    assert named.name == "greeting" and named.label("abcd").tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[0, 2]", r"spans\.json is not JSON"),
        ("[" * 100_000, r"spans\.json is not JSON"),
        ("{}", r"spans\.json holds no spans"),
        ("3", r"spans\.json holds no spans"),
        ('[["a", 2]]', r"spans\.json: A span is a pair of whole numbers"),
        ("[[2, 1]]", r"spans\.json: The span 2 to 1 marks nothing"),
        ("[]", r"spans\.json: No span is marked"),
        ('{"n_chars": "9", "spans": [[0, 1]]}', r"n_chars is the length of the text in characters, not '9'"),
    ],
)
def test_file_of_spans_is_explained(tmp_path, content, message):
    (tmp_path / "spans.json").write_text(content)
    with pytest.raises(InspectorError, match=message):
        resolve_concept(str(tmp_path / "spans.json"))


def test_file_of_spans_that_is_not_there():
    with pytest.raises(InspectorError, match=r"The spans in nowhere\.json cannot be read: FileNotFoundError: No such"):
        resolve_concept("nowhere.json")


# Functions ------------------------------------------------------------------------------------------------------------

OWN = '''
import dataclasses

import numpy as np
from inspector.concepts import CONCEPTS

digit = CONCEPTS["digit"]
three = 3

def is_a(text):
    """The letter
    a.

    More."""
    return [character == "a" for character in text]

def rank(text, language):
    return np.arange(len(text)) * (2 if language == "c" else 1)

def fails(text):
    raise KeyError("nothing here")

def fails_later(text):
    return [len("abcdefghijklmn"[at]) > 0 for at in range(len(text))]

def leaves(text):
    raise SystemExit

def short(text):
    return [True]

def square(text):
    return np.zeros((len(text), 2))

def words(text):
    return list(text)

def none(text):
    return None

def nan(text):
    return [0.0] * (len(text) - 1) + [float("nan")]

def mixed(text):
    return np.zeros(len(text), np.bool_ if len(text) > 3 else np.float64)

def needs_three(a, b, c):
    pass

too_short = dataclasses.replace(digit, name="too_short", labeller=lambda text, language: np.zeros(3, bool))
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_function_becomes_a_concept(own):
    concept = load_concept(f"{own}:is_a")
    assert (concept.name, concept.kind, concept.description) == ("is_a", "yes/no", "The letter a.")
    assert concept.label("banana").tolist() == [False, True] * 3


def test_function_may_be_graded_and_ask_for_the_language(own):
    concept = load_concept(f"{own}:rank")
    assert concept.kind == "graded"
    assert concept.label("abc", "c").tolist() == [0, 2, 4] and concept.label("abc").tolist() == [0, 1, 2]


def test_concept_object_in_a_file_is_taken_as_it_is(own):
    found, digit = load_concept(f"{own}:digit"), CONCEPTS["digit"]
    assert dataclasses.replace(found, labeller=digit.labeller) == digit
    np.testing.assert_array_equal(found.label("a1b22"), digit.label("a1b22"))


def test_concept_object_that_answers_too_little_is_a_sentence(own):
    with pytest.raises(InspectorError, match=r"own\.py:too_short returned shape \(3,\) for 12 characters"):
        load_concept(f"{own}:too_short").label("twelve chars")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"own\.py:fails failed on 14 characters: KeyError: 'nothing here' \(line 21\)\.$"),
        ("leaves", r"leaves failed on 14 characters: SystemExit \(line 27\)\.$"),
        ("short", r"short returned shape \(1,\) for 14 characters: return one value for each"),
        ("square", r"square returned shape \(14, 2\) for 14 characters"),
        ("words", r"words returned <U1 values: return bools for yes/no, or numbers"),
        ("none", r"none returned shape \(\) for 14 characters"),
        ("nan", r"nan returned nan for character 13: return finite numbers"),
        ("needs_three", r"needs_three takes \(a, b, c\): a concept takes the text, or the text and its language"),
        ("three", r"three is no function of a text but of type int"),
        ("is_b", r"There is no 'is_b' in .*own\.py: it has is_a, rank"),
    ],
)
def test_function_that_is_no_concept_is_explained(own, name, message):
    with pytest.raises(InspectorError, match=message):
        load_concept(f"{own}:{name}")


def test_function_that_fails_later_is_explained(own):
    with pytest.raises(InspectorError, match=r"fails_later failed on 20 characters: IndexError: .* \(line 24\)"):
        load_concept(f"{own}:fails_later").label("x" * 20)
    with pytest.raises(InspectorError, match="mixed returned float64 here but bools for a short line"):
        load_concept(f"{own}:mixed").label("abc")


def test_file_may_hold_a_dataclass(tmp_path):
    kept = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n"
    (tmp_path / "kept.py").write_text(f"{kept}def f(text): return [A(1).b] * len(text)\n")
    assert load_concept(f"{tmp_path / 'kept.py'}:f").label("ab").tolist() == [1, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def f(:", r"bad\.py cannot be run: SyntaxError: invalid syntax"),
        ("x = 1\n1 / 0\n", r"bad\.py cannot be run: ZeroDivisionError: division by zero \(line 2\)"),
        ("raise SystemExit(3)", r"bad\.py cannot be run: SystemExit: 3 \(line 1\)"),
        ("x = 1", r"There is no 'f' in .*bad\.py: it has no function at all"),
    ],
)
def test_file_that_cannot_be_run_is_explained(tmp_path, content, message):
    (tmp_path / "bad.py").write_text(content)
    with pytest.raises(InspectorError, match=message):
        load_concept(f"{tmp_path / 'bad.py'}:f")


def test_file_is_run_only_when_a_function_of_it_is_named(tmp_path):
    mark = f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef f(text): return [True] * len(text)"
    (tmp_path / "mark.py").write_text(mark)
    with pytest.raises(InspectorError, match=r"Which function of .*mark\.py is the concept\? Write .*mark\.py:NAME"):
        resolve_concept(str(tmp_path / "mark.py"))
    assert not (tmp_path / "ran").exists()
    resolve_concept(f"{tmp_path / 'mark.py'}:f")
    assert (tmp_path / "ran").exists()


# What may be written --------------------------------------------------------------------------------------------------


def test_resolve_concept_takes_names_patterns_and_functions(own):
    assert resolve_concept("digit") is CONCEPTS["digit"]
    assert resolve_concept(r"regex:\w+:a.py").name == r"/\w+:a.py/"
    assert resolve_concept(f"{own}:is_a").name == "is_a"
    with pytest.raises(InspectorError, match=r"There is no file nowhere\.py"):
        resolve_concept("nowhere.py:f")
    with pytest.raises(InspectorError, match=r"There is no concept 'digt'\. Choose one of: digit"):
        resolve_concept("digt")


def test_what_a_function_prints_stays_out_of_the_answer(tmp_path, capsys):
    file = tmp_path / "my.py"
    file.write_text("print('read')\ndef loud(text):\n    print('asked')\n    return [True] * len(text)\n")

    load_concept(f"{file}:loud").label("ab")

    told = capsys.readouterr()
    assert told.out == "" and told.err.split() == ["read", "asked", "asked"]
