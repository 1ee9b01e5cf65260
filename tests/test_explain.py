"""Planted formulas come back by name; noise, constants and moved labels do not."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from inspector.concepts import CONCEPTS
from inspector.corpus import load_corpus
from inspector.explain import EXPLAINED, _labels, explain, explain_recording, summary_of
from inspector.model import load_checkpoint
from inspector.recording import InspectorError
from tests.test_search import recording_of, runs, wandering

N_CHARS = 8_000
CHOOSE = np.arange(N_CHARS) < N_CHARS // 2


@pytest.fixture(scope="module")
def labels():
    return {name: runs(np.random.default_rng(seed), N_CHARS) for seed, name in enumerate("abcde", start=10)}


@pytest.fixture(scope="module")
def values(labels):
    """0: a; 1: off when a and not b; 2: (a or c) and not b; 3: noise; 4: constant."""
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, N_CHARS)).astype(np.float32)
    noise[0] += labels["a"]
    noise[1] -= labels["a"] & ~labels["b"]
    noise[2] += (labels["a"] | labels["c"]) & ~labels["b"]
    noise[3] = wandering(np.random.default_rng(1), 1, N_CHARS)[0]
    noise[4] = 0.5
    return noise


@pytest.fixture(scope="module")
def table(values, labels):
    return explain_recording(recording_of({"hidden": values}), labels, choose=CHOOSE).set_index("unit")


def test_planted_formulas_come_back(table):
    assert table.formula[0] == "a" and table.polarity[0] == 1
    assert table.formula[1] == "a AND NOT b" and table.polarity[1] == -1
    assert table.formula[2] in {"(a OR c) AND NOT b", "(c OR a) AND NOT b"}
    assert list(table.n_concepts[[0, 1, 2]]) == [1, 2, 3]
    assert table.is_explained[[0, 1, 2]].all() and (table.score[[0, 1, 2]] > EXPLAINED).all()


def test_noise_and_a_constant_are_not_explained(table):
    assert not table.is_explained[[3, 4]].any()
    assert abs(table.score[3]) < 0.3 and abs(table.chance).max() < 0.4
    assert (table.formula[4], table.score[4]) == ("", 0)


def test_scores_are_those_of_the_threshold_on_the_scoring_part(table, values, labels):
    held = {0: labels["a"], 1: labels["a"] & ~labels["b"], 2: (labels["a"] | labels["c"]) & ~labels["b"]}
    for unit, formula in held.items():
        row = table.loc[unit]
        on = row.polarity * values[unit] >= row.polarity * np.float32(row.threshold)
        assert row.score == pytest.approx(matthews_corrcoef(formula[~CHOOSE], on[~CHOOSE]), abs=1e-5)
        assert row.coverage == pytest.approx((formula & on)[~CHOOSE].sum() / on[~CHOOSE].sum(), abs=1e-5)
        assert row.precision == pytest.approx((formula & on)[~CHOOSE].sum() / formula[~CHOOSE].sum(), abs=1e-5)
        expected = roc_auc_score(formula[~CHOOSE], row.polarity * values[unit][~CHOOSE])
        assert row.auroc == pytest.approx(expected, abs=5e-3)


def test_a_summary_counts_what_is_explained(table):
    summary = summary_of(table.reset_index())

    assert summary["said"].startswith("3 of 5 neurons explained at 0.9 or better")
    assert summary["n_at_least"]["score_0.9"] == 3


def test_labels_that_never_vary_make_no_formula(values):
    with pytest.raises(InspectorError, match="No label varies"):
        explain_recording(recording_of({"hidden": values}), {"a": np.zeros(N_CHARS, bool)}, choose=CHOOSE)


@pytest.fixture(scope="module")
def graded():
    """A number that climbs and falls in steps, as indentation does; the last tenth of both parts nobody can tell."""
    level = np.repeat(np.random.default_rng(5).integers(0, 16, N_CHARS // 20), 20).astype(np.float32)
    level[np.arange(N_CHARS) % (N_CHARS // 2) >= 9 * N_CHARS // 20] = np.nan
    return level


@pytest.fixture(scope="module")
def explained(labels, graded):
    """Neurons that 0: fall with the number; 1: are on where it is high; 2: also need a; 3: are noise; 4: constant."""
    known = np.nan_to_num(graded)
    values = 0.1 * np.random.default_rng(1).standard_normal((5, N_CHARS)).astype(np.float32)
    values[0] -= known / 4 + np.where(np.isnan(graded), 3 * np.random.default_rng(2).standard_normal(N_CHARS), 0)
    values[1] += known >= 8
    values[2] += (known < 8) & labels["a"]
    values[3] = wandering(np.random.default_rng(1), 1, N_CHARS)[0]
    values[4] = 0.5
    table = explain_recording(recording_of({"hidden": values}), {**labels, "level": graded}, choose=CHOOSE)
    return values, table.set_index("unit")


def test_a_neuron_that_follows_a_number_is_explained_by_it(explained, graded):
    values, table = explained
    known = ~CHOOSE & ~np.isnan(graded)

    assert (table.kind[0], table.formula[0], table.polarity[0]) == ("graded", "level", -1)
    assert table.score[0] == pytest.approx(-np.corrcoef(values[0][known], graded[known])[0, 1], abs=1e-5)
    assert table.coverage[0] == pytest.approx(table.score[0] ** 2)
    assert table.is_explained[0] and np.isnan(table.threshold[0])


def test_a_number_enters_formulas_by_a_threshold(explained):
    _, table = explained

    assert table.kind[1] == table.kind[2] == "formula"
    assert table.formula[1].startswith("level >= ") and table.n_concepts[1] == 1
    assert table.formula[2].startswith(("a AND level < ", "level < ")) and table.n_concepts[2] == 2
    assert (table.score[[1, 2]] > 0.85).all()


def test_noise_and_a_constant_follow_no_number(explained):
    _, table = explained

    assert not table.is_explained[[3, 4]].any() and (table.formula[4], table.score[4]) == ("", 0)


def test_a_summary_counts_both_kinds(explained):
    summary = summary_of(explained[1].reset_index())

    assert summary["explained_by"]["graded"] == 1 and summary["n_graded"] >= 1
    assert "by a formula and 1 by a graded concept" in summary["said"]


def test_labels_moved_by_half_a_part_are_chance(labels, graded):
    """A neuron that follows the number as it stands half a part away is found where labels are moved alone."""
    half = N_CHARS // 4
    away = np.concatenate([np.roll(part, half) for part in np.split(np.nan_to_num(graded), 2)])
    values = away[None] + 0.1 * np.random.default_rng(3).standard_normal((1, N_CHARS)).astype(np.float32)
    number = {"level": np.nan_to_num(graded)}

    row = explain_recording(recording_of({"hidden": values}), number, choose=CHOOSE).iloc[0]

    assert row.chance > 0.9 and row.score < 0.5 and not row.is_explained


def test_explaining_a_network_writes_a_row_for_every_neuron(tiny_checkpoint, python_folder, tmp_path):
    table, summary = explain(load_checkpoint(tiny_checkpoint), load_corpus(python_folder), tmp_path / "out")

    assert len(table) == 16 and set(table.signal) <= {"hidden", "cell"}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "explanations.parquet"), table)
    assert json.loads((tmp_path / "out" / "explanations.json").read_text()) == summary


def test_files_of_several_languages_are_labelled_as_what_they_are():
    """Nothing is known of a text in a language that a concept does not know."""
    python, c = 'def f():\n    """It is."""\n' * 20, "char y = '\"'; // it's\n"
    labels = _labels([("a.py", python), ("b.c", c), ("c.c", c)])
    for name in ("inside_string", "inside_comment", "digit"):
        np.testing.assert_array_equal(labels[name][-len(c) :], CONCEPTS[name].label(c, "c"))
    assert labels["inside_docstring"][: len(python)].any() and not labels["inside_docstring"][len(python) :].any()
