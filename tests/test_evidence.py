"""How what a survey found reads in a sentence."""

import math
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard import tables
from dashboard.evidence import (
    codes_words,
    detects_words,
    formula_words,
    found_words,
    highest,
    in_titles,
    lines_around,
    score_words,
    skill,
    survey_from,
    telling_stretch,
    telling_stretches,
    two_digits,
)
from inspector.recording import InspectorError, Neuron


def row(layer, unit, score, **more):
    return {"layer": layer, "unit": unit, "signal": "cell", "polarity": -1, "score": score, "metric": "auroc",
            "baseline": 0.5, "twin_score": 0.61, "verdict": "strong", **more}  # fmt: skip


def facts(**concepts):
    return {"version": 1, "network_hash": "ab", "corpus": "some files", "n_report_chars": 10, "concepts": concepts}


def test_about_puts_first_what_the_neuron_is_best_at():
    said = facts(digit=[row(0, 1, 0.9), row(0, 0, 0.89)], newline=[row(0, 0, 0.7)], keyword=[row(0, 2, 0.99)])

    about = survey_from(said, Path("x")).about(Neuron(0, 0))

    assert [finding.concept for finding in about] == ["newline", "digit"]


def test_about_puts_the_asked_concept_before_better_scores_only_where_the_neuron_is_first():
    said = facts(inside_string=[row(0, 0, 0.8)], digit=[row(0, 0, 0.9)], keyword=[row(0, 2, 1.0), row(0, 0, 0.99)])
    survey = survey_from(said, Path("x"))

    assert [finding.concept for finding in survey.about(Neuron(0, 0))] == ["inside_string", "digit", "keyword"]
    assert survey.about(Neuron(0, 0), "digit")[0].concept == "digit"
    assert survey.about(Neuron(0, 0), "keyword")[0].concept == "digit"


def test_first_sight_is_the_best_string_neuron_also_where_others_score_higher():
    survey = survey_from(facts(digit=[row(0, 1, 0.99)], inside_string=[row(1, 0, 0.8)]), Path("x"))

    assert survey.first_sight().neuron == Neuron(1, 0)


def test_first_sight_without_strings_is_what_is_farthest_from_chance():
    graded = row(0, 5, 0.6, metric="correlation", baseline=0.0)
    survey = survey_from(facts(digit=[row(0, 1, 0.9)], depth=[graded], empty=[]), Path("x"))

    assert survey.first_sight().neuron == Neuron(0, 5)


def test_score_words_put_chance_beside_every_score():
    assert score_words(row(0, 0, 0.97)) == "low there: held-out AUROC 0.97, chance 0.50, untrained twin 0.61"
    graded = row(0, 0, 0.5, metric="correlation", baseline=0.0, polarity=1, twin_score=math.nan)
    assert score_words(graded) == "rising with it: held-out correlation 0.50, chance 0.00"


def test_score_words_write_a_twin_that_is_nearly_perfect_as_fully_as_the_score():
    assert score_words(row(0, 0, 0.9991, twin_score=0.9957)).endswith("0.999, chance 0.50, untrained twin 0.996")


@pytest.mark.parametrize(
    ("score", "twin_score", "is_learned"),
    [(0.9, 0.61, True), (0.9991, 0.9957, False), (0.6, 0.9, False), (0.51, math.nan, False), (0.6, math.nan, True)],
)
def test_finding_is_learned_where_it_is_visibly_better_than_chance_and_twin(score, twin_score, is_learned):
    survey = survey_from(facts(digit=[row(0, 1, score, twin_score=twin_score)]), Path("x"))

    assert survey.best("digit").is_learned is is_learned


def test_survey_without_its_parts_is_a_sentence_with_the_command():
    with pytest.raises(InspectorError, match="python -m inspector survey --network nets/a"):
        survey_from({"version": 1, "concepts": {"digit": [{"layer": "x"}]}}, Path("nets/a"))


def test_telling_stretch_shows_the_lines_where_the_label_changes_most():
    lines = ["plain\n"] * 10 + ["a 'b' c 'd'\n"] + ["plain\n"] * 10
    text = "".join(lines)
    label = np.array([character in "'bd" for character in text])

    start, stop = telling_stretch(text, label, n_lines=2)

    assert "a 'b' c 'd'\n" in text[start:stop]
    assert text[start:stop].count("\n") == 2
    assert start == 0 or text[start - 1] == "\n"


@given(st.text(min_size=1, max_size=80), st.integers(1, 9), st.integers(1, 30))
def test_telling_stretch_exists_in_any_text(text, n_lines, longest):
    start, stop = telling_stretch(text, np.zeros(len(text)), n_lines, longest)

    assert 0 <= start < stop <= len(text)
    assert stop - start <= longest


@pytest.mark.parametrize(
    ("score", "said"), [(0.9949, "0.99"), (-0.9951, "-0.995"), (0.99997, "0.99997"), (1.0, "1.00"), (0.5, "0.50")]
)
def test_score_is_not_rounded_to_perfect(score, said):
    assert two_digits(score) == said


TEXT = "a = 'b'\n" + "plain\n" * 6 + "c = 'd'\n" + "plain\n" * 6
HOLDS = np.array([character in "'bd" for character in TEXT])


def test_telling_stretches_show_where_it_changes_where_it_is_missed_and_what_is_mistaken():
    says = HOLDS.copy()
    says[TEXT.index("b")] = False  # missed
    says[TEXT.rindex("plain")] = True  # mistaken

    found = telling_stretches(TEXT, HOLDS, np.ones(len(TEXT), int), says)

    assert {one.why for one in found} == {"changes", "mistaken"}  # the miss lies in a stretch that is shown already
    assert all(HOLDS[one.start : one.stop].any() for one in found if one.why == "changes")
    (mistaken,) = [one for one in found if one.why == "mistaken"]
    assert mistaken.start <= TEXT.rindex("plain") < mistaken.stop
    (missed,) = telling_stretches(TEXT, HOLDS, np.ones(len(TEXT), int), says, (0, 2))[:1]
    assert missed.why == "missed" and missed.start <= TEXT.index("b") < missed.stop


def test_telling_stretches_stay_inside_what_is_scored_and_inside_one_document():
    among = np.zeros(len(TEXT), int)
    second = TEXT.index("c = ")
    among[second - 12 : second], among[second:] = 1, 2

    found = telling_stretches(TEXT, HOLDS, among)

    assert [(one.start, one.why) for one in found if HOLDS[one.start : one.stop].any()] == [(second, "changes")]
    assert all(np.unique(among[one.start : one.stop]).size == 1 and among[one.start] for one in found)


def test_highest_places_are_apart_and_highest_first_and_none_of_what_does_not_move():
    trace = np.array([0, 5, 4, 0, 0, 3, 0, 5, 0], np.float32)

    assert highest(trace, 3, apart=1) == [1, 7, 5]
    assert highest(trace, 9, apart=3) == [1, 7]
    assert highest(np.full(7, 0.1, np.float32), 3, apart=1) == [] == highest(trace[:1], 3, apart=1)


@given(st.text(alphabet="ab\n", min_size=1, max_size=300), st.integers(0, 10_000), st.integers(0, 60))
def test_lines_around_a_place_hold_it_and_are_whole_where_they_are_short(text, at, around):
    at %= len(text)

    start, stop = lines_around(text, at, at + 1, within=(0, len(text)), around=around, longest=40)

    assert start <= at < stop
    assert start == 0 or text[start - 1] == "\n" or start == at - around
    assert stop == len(text) or text[stop - 1] == "\n" or stop == at + 1 + around


@given(st.text("ab\n", min_size=1, max_size=900), st.integers(0, 2**32 - 1))
def test_telling_stretches_never_overlap_in_any_text(text, seed):
    rng = np.random.default_rng(seed)
    label, says, among = rng.random(len(text)) < 0.3, rng.random(len(text)) < 0.3, rng.integers(0, 2, len(text))

    found = telling_stretches(text, label, among, says)

    shown = np.zeros(len(text), int)
    for one in found:
        shown[one.start : one.stop] += 1
        assert 0 <= one.start < one.stop <= len(text) and one.stop - one.start <= 240
    assert shown.max() <= 1 and not shown[among == 0].any()


@pytest.mark.parametrize(
    ("verdict", "headline", "not_meant"),
    [
        ("strong", "0:1 follows “digit” closely", "does not mean that the network uses it"),
        ("clear", "0:1 follows “digit”", "does not mean that the network uses it"),
        ("weak", "0:1, chosen for “digit”, follows it weakly", "many neurons may carry it together"),
        ("weak, but this text is too short to rule out chance", "may follow it by chance", "A longer text could tell"),
        ("weak: no better than chance", "may follow it by chance", "A longer text could tell"),
        (
            "clear, but an untrained network has a neuron as good",
            "is no better there than a neuron of an untrained network",
            "before any training",
        ),
    ],
)
def test_found_words_say_what_how_sure_and_what_it_does_not_mean(verdict, headline, not_meant):
    found = found_words(row(0, 1, 0.93, verdict=verdict, q_value=0.002), "digit", "In 10 characters")

    assert headline in found[0] and not_meant in found[1]
    assert "In 10 characters, its cell state is low there: held-out AUROC 0.93, chance 0.50" in found[1]
    assert "0.20% are expected to be chance" in found[1]


@pytest.mark.parametrize(
    ("q", "said"), [(0.36, "36% are"), (1e-9, "fewer than 1 in 10,000 are"), (math.nan, "was not written down")]
)
def test_how_sure_a_find_is_follows_its_q_value(q, said):
    assert said in found_words(row(0, 1, 0.93, q_value=q), "digit", "Here")[1]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.93, 0.94, 0.945], "One neuron: to its AUROC of 0.93 others add less than 0.02."),
        ([0.80, 0.90, 0.91], "A few neurons: together 2 reach AUROC 0.90, the first of them alone 0.80."),
        ([0.6, 0.7, 0.8, 0.9], "Many neurons: together 4 reach AUROC 0.90, the first of them alone 0.60."),
        ([0.6, 0.9, 0.7], "With 3 it is 0.70: more weights than this text can teach."),
        ([0.9, 0.905, 0.925], "One neuron, hardly helped by others: AUROC 0.90 alone, 3 together reach 0.93."),
    ],
)
def test_codes_words_tell_one_neuron_from_many(scores, said):
    table = pd.DataFrame({"k": range(1, len(scores) + 1), "score": scores, "metric": "auroc"})

    assert said in codes_words(table)


def test_table_says_of_a_number_that_a_neuron_falls_with_it_and_fits_the_verdict_into_its_column():
    rows = [
        {**row(0, 1, 0.8), "metric": "correlation", "verdict": "weak, but an untrained network has a neuron as good"},
        row(0, 2, 0.8),
    ]

    shown = tables.named(pd.DataFrame(rows), {})

    assert list(shown.direction) == ["falling", "low"]
    assert list(shown.verdict) == ["weak, untrained too", "strong"]


def test_signal_of_another_recorder_is_called_by_its_own_name():
    ranked = row(0, 1, 0.9, signal="layer_norm", skill=0.8, q_value=0.01)

    said = [
        *found_words(ranked, "digits", "here"),
        *detects_words(Neuron(0, 1), ranked, "digits"),
        formula_words({**ranked, "threshold": 0.1, "formula": "digit", "chance": 0.1, "is_explained": True}),
    ]

    assert sum("ts layer_norm is" in words for words in said) == 3


def test_explanation_by_a_number_is_no_threshold():
    ranked = {"signal": "cell", "kind": "graded", "polarity": -1, "threshold": math.nan, "formula": "line_position"}

    said = formula_words({**ranked, "score": 0.91, "chance": 0.12, "is_explained": True})

    assert said == "Its cell state falls with line_position: held-out correlation 0.91, chance 0.12; that explains it."


def test_chance_is_never_less_than_nothing_in_words():
    ranked = row(0, 1, -0.001, skill=0.8) | {"baseline": -0.001, "twin_score": -0.001, "metric": "correlation"}
    explained = {"threshold": 0.1, "formula": "digit", "chance": -0.001, "is_explained": True}

    said = [score_words(ranked), formula_words({**ranked, **explained})]

    assert all("chance 0.00" in words and "-0.00" not in words for words in said)


def test_formula_names_concepts_by_their_titles_and_nothing_else():
    titles = {"inside_string": "inside a string", "line_length": "length of the line"}

    said = in_titles("(NOT inside_string OR line_length >= 1e-05) AND theirs", lambda name: titles.get(name, name))

    assert said == "(NOT inside a string OR length of the line >= 1e-05) AND theirs"


def test_score_that_does_not_explain_is_not_rounded_up_to_one_that_does():
    ranked = {"signal": "cell", "kind": "graded", "polarity": 1, "threshold": math.nan, "formula": "line_length"}

    said = formula_words({**ranked, "score": 0.8998, "chance": 0.0, "is_explained": False})

    assert said.endswith("held-out correlation 0.8998, chance 0.00; less than the 0.90 that would explain it.")


def test_skill_is_what_lies_between_the_untrained_and_the_perfect():
    assert skill(0.9, 0.5, 0.8) == pytest.approx(0.5)
    assert skill(0.75, 0.5, float("nan")) == pytest.approx(0.5)
    assert skill(0.9, 0.5, 0.95) < 0 and np.isfinite(skill(1.0, 0.5, 1.0))


@pytest.mark.parametrize(("best", "shown"), [(0.9994, "%.3f"), (0.99996, "%.5f"), (1.0, "%.3f")])
def test_column_of_scores_shows_none_that_is_not_perfect_as_perfect(best, shown):
    table = pd.DataFrame({"score": [best, 0.5, math.nan]})

    assert tables.columns(table)["score"]["type_config"]["format"] == shown


@pytest.mark.parametrize(("n_rows", "pixels"), [(3, 4 * 33 + 2), (100, 375)])
def test_table_says_how_high_it_is_so_that_nothing_moves_when_it_is_there(monkeypatch, n_rows, pixels):
    heights = []
    monkeypatch.setattr(tables.st, "dataframe", lambda *given, height, **more: heights.append(height) or MagicMock())

    tables.draw(pd.DataFrame({"score": [0.5] * n_rows}), ["score"], key="table")

    assert heights == [pixels]


def test_table_writes_no_chance_of_less_than_nothing():
    def draw():
        import pandas as pd

        from dashboard import tables

        tables.draw(
            pd.DataFrame({"baseline": [-0.001], "twin_score": [-0.0004]}), ["baseline", "twin_score"], key="table"
        )

    shown = AppTest.from_function(draw).run().dataframe[0].value

    assert not np.signbit(shown.to_numpy()).any()
