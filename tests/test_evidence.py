"""How what a survey found reads in a sentence."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.evidence import score_words, survey_from, telling_stretch, two_digits
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
    ("score", "said"), [(0.9949, "0.99"), (0.9951, "0.995"), (0.9996, "1.00"), (1.0, "1.00"), (0.5, "0.50")]
)
def test_score_is_not_rounded_to_perfect(score, said):
    assert two_digits(score) == said
