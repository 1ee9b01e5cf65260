"""Labels that one neuron carries, that several carry together, and that none does."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from inspector.recording import InspectorError, Neuron
from inspector.search import codes, rank_neurons
from inspector.search.codes import auroc, best_codes
from tests.test_search import recording_of, runs, wandering

N_CHARS = 12_000


@pytest.fixture(scope="module")
def label():
    return runs(np.random.default_rng(1), N_CHARS)


@pytest.fixture(scope="module")
def recording(label):
    """0:1, 0:3 and 0:5 each carry the label under noise of their own; 0:6 repeats 0:1."""
    values = wandering(np.random.default_rng(2), 8, N_CHARS)
    for unit, sign in ((1, 1), (3, -1), (5, 1)):
        values[unit] = values[unit] / values[unit].std() + sign * 2.0 * label
    values[6] = values[1]
    return recording_of({"hidden": values})


def test_neurons_that_carry_a_label_together_are_found_and_score_more_than_one(recording, label):
    table = best_codes(recording, label, most=4)

    together = {neuron for neuron, _ in table["neurons"][2]}
    assert together in ({Neuron(0, 1), Neuron(0, 3), Neuron(0, 5)}, {Neuron(0, 6), Neuron(0, 3), Neuron(0, 5)})
    assert list(table["k"]) == [1, 2, 3, 4]
    assert table["score"][2] > table["score"][0] + 0.05
    assert abs(table["score"][3] - table["score"][2]) < 0.01


def test_two_signals_of_a_neuron_are_one_neuron(label):
    values = wandering(np.random.default_rng(2), 4, N_CHARS)
    values[1] += 2 * label
    other = values + 0.5 * wandering(np.random.default_rng(5), 4, N_CHARS)
    table = best_codes(recording_of({"hidden": values, "cell": other}), label, most=4)
    names = table["neurons"].iloc[-1]
    assert len({neuron for neuron, _ in names}) == len(names)


def test_one_neuron_scores_as_in_the_ranking(recording, label):
    ranking = rank_neurons(recording, label)

    first = best_codes(recording, label, ranking=ranking).iloc[0]

    ((neuron, signal),) = first["neurons"]
    row = ranking.query(f"unit == {neuron.unit} and signal == '{signal}'").iloc[0]
    assert first["score"] == pytest.approx(row["score"], abs=2e-3)


def test_weights_are_those_of_logistic_regression(recording, label):
    choose = np.arange(N_CHARS) < N_CHARS // 2
    row = best_codes(recording, label, choose=choose, most=3).iloc[2]

    inputs = np.stack([recording.trace(*name) for name in row["neurons"]], axis=1)
    fitted = LogisticRegression(C=1e6).fit(inputs[choose], label[choose])
    scored = np.arange(N_CHARS) >= N_CHARS // 2 + 50
    assert row["score"] == pytest.approx(roc_auc_score(label[scored], inputs[scored] @ fitted.coef_[0]), abs=2e-3)


def test_a_rare_label_is_not_lost_where_a_part_of_the_text_is_fitted(monkeypatch):
    monkeypatch.setattr(codes, "_FITTED", 500)
    rare = np.zeros(N_CHARS, bool)
    rare[1 :: N_CHARS // 60] = True  # never where every so manieth character is taken
    values = wandering(np.random.default_rng(3), 4, N_CHARS)
    values[2] += 5 * values[2].std() * rare
    table = best_codes(recording_of({"hidden": values}), rare, most=2)
    assert table["neurons"][0][0][0] == Neuron(0, 2)
    assert table["score"][0] > 0.95


def test_a_label_nobody_carries_scores_at_chance_however_many_are_taken(recording):
    score = best_codes(recording, runs(np.random.default_rng(9), N_CHARS))["score"]

    assert (abs(score - 0.5) < 0.12).all()


def test_a_graded_label_is_scored_by_correlation(recording):
    graded = (recording.trace("0:0") + recording.trace("0:2")).astype(np.float32)

    table = best_codes(recording, graded, most=3)

    assert set(table["metric"]) == {"correlation"}
    assert {neuron.unit for neuron, _ in table["neurons"][1]} == {0, 2}
    assert table["score"][1] > 0.99 > table["score"][0]


def test_a_repeated_neuron_is_not_added_twice(recording, label):
    units = [neuron.unit for neuron, _ in best_codes(recording, label)["neurons"].iloc[-1]]

    assert len(units) == len(set(units)) <= 7
    assert not {1, 6} <= set(units)


def test_auroc_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    values, label = rng.integers(0, 6, 500).astype(float), rng.random(500) < 0.3

    assert auroc(values, label) == pytest.approx(roc_auc_score(label, values), abs=1e-12)


def test_a_label_that_cannot_be_ranked_is_a_sentence(recording):
    with pytest.raises(InspectorError, match="Too little"):
        best_codes(recording, np.zeros(N_CHARS, bool))
