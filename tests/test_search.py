"""The search against scikit-learn and scipy, against planted neurons, and against chance."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr, spearmanr
from scipy.stats import t as student
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    roc_auc_score,
)

from inspector.products import HALF, WIDTH
from inspector.recording import Document, InspectorError, Layer, RecordingWriter
from inspector.search import Census, Row, check_label, pack, rank_labels, rank_neurons, split_text, verdict
from inspector.search.chance import _correlation_length, difference_of_means, p_values, q_values, shifted_p
from inspector.search.parts import parts_of
from inspector.search.scores import tails

N_CHARS = 12_000


def recording_of(*layers, documents=(), text=None):
    """A recording in memory; each layer is {signal: (units, chars)}."""
    n_chars = next(iter(layers[0].values())).shape[1]
    kept = [Layer(f"rnn.{i}", "lstm", len(next(iter(v.values()))), tuple(v)) for i, v in enumerate(layers)]
    writer = RecordingWriter(text=text or "x" * n_chars, layers=kept, documents=documents)
    writer.append(layers)
    return writer.finish()


def runs(rng, n_chars, on=25, off=80):
    """A label that comes in runs of random length, as being inside a string does."""
    lengths = np.column_stack([rng.geometric(1 / off, n_chars), rng.geometric(1 / on, n_chars)]).ravel()
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)[:n_chars]


def wandering(rng, n_units, n_chars, memory=30.0):
    """Traces that forget slowly, as states do: a first-order autoregression, float32."""
    kernel = np.exp(-np.arange(int(8 * memory)) / memory)
    noise = rng.standard_normal((n_units, n_chars))
    return np.stack([np.convolve(row, kernel)[:n_chars] for row in noise]).astype(np.float32)


def row_of(table, layer, unit, signal):
    chosen = table[(table.layer == layer) & (table.unit == unit) & (table.signal == signal)]
    assert len(chosen) == 1
    return chosen.iloc[0]


@pytest.fixture
def rng():
    return np.random.default_rng(7)  # anew for each test: none depends on which ran before


@pytest.fixture(scope="module")
def label():
    return runs(np.random.default_rng(1), N_CHARS)


@pytest.fixture(scope="module")
def values(label):
    """Two layers, ties, a planted detector of negative polarity in 1:3, constant neurons."""
    rng = np.random.default_rng(2)
    first = {"hidden": wandering(rng, 5, N_CHARS), "cell": wandering(rng, 5, N_CHARS).round(0)}
    second = {"hidden": wandering(rng, 4, N_CHARS), "cell": wandering(rng, 4, N_CHARS)}
    second["cell"][3] = 1 - 2.5 * label + 0.8 * rng.standard_normal(N_CHARS)
    first["hidden"][4] = 0.25
    return first, second


@pytest.fixture(scope="module")
def recording(values):
    return recording_of(*values)


# --- equal to the oracles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_yes_no_scores_equal_scikit_learn(recording, values, label, masked):
    valid = None
    choose = split_text(recording)
    score = parts_of(recording, None).score
    if masked:
        valid = runs(np.random.default_rng(9), N_CHARS, on=2000, off=300)
        choose, score = choose & valid, score & valid
    table = rank_neurons(recording, label, valid=valid)
    assert len(table) == 18
    for row in table.itertuples():
        trace = row.polarity * values[row.layer][row.signal][row.unit]
        yes = trace[score] >= row.polarity * np.float32(row.threshold)
        assert row.choose_score == pytest.approx(roc_auc_score(label[choose], trace[choose]), abs=1e-3)
        assert row.score == pytest.approx(roc_auc_score(label[score], trace[score]), abs=1e-3)
        assert row.average_precision == pytest.approx(average_precision_score(label[score], trace[score]), abs=1e-3)
        assert row.f1 == pytest.approx(f1_score(label[score], yes), abs=1e-9)
        assert row.matthews == pytest.approx(matthews_corrcoef(label[score], yes), abs=1e-9)
        assert row.prevalence == pytest.approx(label[score].mean())
        assert row.choose_score >= 0.5


def rare_detectors(n_units=9):
    """A label with 40 positives among 12,000 characters, and neurons in whose topmost bins they lie unevenly."""
    rng = np.random.default_rng(3)
    label = np.zeros(N_CHARS, bool)
    label[rng.permutation(N_CHARS)[:80]] = True
    noise = rng.standard_normal((n_units, N_CHARS)).astype(np.float32).round(2)  # many are equal
    return label, noise + label * np.linspace(3, 1, n_units, dtype=np.float32)[:, None]


def assert_exact(rows, values, label, score):
    for row in rows.itertuples():
        trace = row.polarity * values[row.unit][score]
        yes = trace >= row.polarity * np.float32(row.threshold)
        assert row.score == pytest.approx(roc_auc_score(label[score], trace), abs=1e-9)
        assert row.average_precision == pytest.approx(average_precision_score(label[score], trace), abs=1e-9)
        assert row.f1 == pytest.approx(f1_score(label[score], yes), abs=1e-9)
        assert row.matthews == pytest.approx(matthews_corrcoef(label[score], yes), abs=1e-9)


def errors_of_average_precision(table, values, label, score):
    return [
        abs(row.average_precision - average_precision_score(label[score], row.polarity * values[row.unit][score]))
        for row in table.itertuples()
    ]


@pytest.mark.parametrize("side", [1, -1])
def test_first_five_rows_of_a_rare_label_are_exact(side, monkeypatch):
    monkeypatch.setattr("inspector.search.census.RARE", 0)  # else all rows were
    label, values = rare_detectors()
    recording = recording_of({"hidden": side * values})
    table = rank_neurons(recording, label)
    score = parts_of(recording, None).score
    assert_exact(table.head(5), side * values, label, score)
    others = errors_of_average_precision(table[5:], side * values, label, score)
    assert 1e-4 < max(others) < 0.02  # bins, which is why


def test_first_five_rows_stay_those_of_bins_where_values_take_too_much(monkeypatch):
    monkeypatch.setattr("inspector.search.census.RARE", 0)
    label, values = rare_detectors()
    recording = recording_of({"hidden": values})
    monkeypatch.setattr("inspector.search.candidates.VALUE_BYTES", 4 * 5 * 4000)
    table = rank_neurons(recording, label)
    errors = errors_of_average_precision(table.head(5), values, label, parts_of(recording, None).score)
    assert 1e-4 < max(errors) < 0.02
    assert table.shift_p[:5].notna().all()


def test_first_five_rows_of_a_graded_label_are_exact(rng):
    depth = np.round(np.abs(wandering(rng, 1, N_CHARS, 300)[0])).astype(np.float64)
    values = wandering(rng, 8, N_CHARS) + np.linspace(0.1, 1, 8)[:, None] * depth
    values = values.round(1).astype(np.float32)
    valid = runs(rng, N_CHARS, on=2000, off=300)
    recording = recording_of({"hidden": values})
    score = parts_of(recording, None).score & valid
    for row in rank_neurons(recording, depth, valid=valid).head(5).itertuples():
        trace = values[row.unit][score].astype(np.float64)
        assert row.score == pytest.approx(row.polarity * pearsonr(depth[score], trace)[0], abs=1e-6)
        assert row.spearman == pytest.approx(row.polarity * spearmanr(depth[score], trace)[0], abs=1e-6)


def test_threshold_has_the_best_f1_of_the_choosing_part(recording, values, label):
    choose = split_text(recording)
    for row in rank_neurons(recording, label).itertuples():
        trace = row.polarity * values[row.layer][row.signal][row.unit][choose]
        precision, recall, _ = precision_recall_curve(label[choose], trace)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        assert f1_score(label[choose], trace >= row.polarity * np.float32(row.threshold)) == pytest.approx(
            best, abs=2e-3
        )


def test_graded_scores_equal_scipy(recording, values, label):
    depth = np.cumsum(label) % 50 / 7.0
    choose, score = split_text(recording), parts_of(recording, None).score
    table = rank_neurons(recording, depth)
    assert set(table.metric) == {"correlation"}
    assert table[["threshold", "f1", "average_precision"]].isna().all(axis=None)
    for row in table[table.choose_score > 0].itertuples():
        trace = values[row.layer][row.signal][row.unit].astype(np.float64)
        assert row.choose_score == pytest.approx(abs(pearsonr(depth[choose], trace[choose])[0]), abs=1e-5)
        assert row.score == pytest.approx(row.polarity * pearsonr(depth[score], trace[score])[0], abs=1e-5)
        assert row.spearman == pytest.approx(row.polarity * spearmanr(depth[score], trace[score])[0], abs=1e-3)


@pytest.mark.parametrize("n_labels", [3, HALF + 1, WIDTH + 1])  # their columns fit in one vector, in two, in neither
def test_graded_scores_are_the_same_whatever_is_asked_beside(recording, label, n_labels):
    depths = {f"{i}": (np.cumsum(label) % (20 + i) / 7.0, None) for i in range(n_labels)}
    together = rank_labels(recording, depths)
    for name in ("0", f"{n_labels - 1}"):
        alone = rank_neurons(recording, depths[name][0])
        columns = ["layer", "unit", "signal", "score", "choose_score", "spearman", "p_value"]
        pd.testing.assert_frame_equal(together[name][columns], alone[columns], rtol=1e-5)


def test_graded_scores_of_very_small_values_are_those_of_the_same_values_larger(values, label):
    depth = np.cumsum(label) % 50 / 7.0
    tables = []
    for factor in (1, 1e-22):
        scaled = ({name: array * np.float32(factor) for name, array in layer.items()} for layer in values)
        table = rank_neurons(recording_of(*scaled), depth)
        tables.append(table.sort_values(["layer", "unit", "signal"], ignore_index=True))
    assert tables[0].choose_score.max() > 0.02
    scores = ["polarity", "score", "choose_score", "spearman", "p_value"]
    pd.testing.assert_frame_equal(tables[1][scores], tables[0][scores], rtol=1e-3, atol=1e-5)


def test_many_labels_at_once_equal_one_by_one(recording, label, rng):
    valid = runs(rng, N_CHARS, on=3000, off=200)
    labels = {
        "plain": (label, None),
        "masked": (label, valid),
        "other": (runs(rng, N_CHARS), None),
        "graded": (np.cumsum(label) % 9 * 1.0, None),
    }
    tables = rank_labels(recording, labels)
    assert list(tables) == list(labels)
    for name, (one, one_valid) in labels.items():
        alone = rank_neurons(recording, one, valid=one_valid)
        pd.testing.assert_frame_equal(tables[name].drop(columns="q_value"), alone.drop(columns="q_value"), rtol=1e-4)
    every = np.concatenate([table.p_value for table in tables.values()])
    together = np.concatenate([table.q_value for table in tables.values()])
    np.testing.assert_allclose(together, false_discovery_control(every))


# --- what is found ----------------------------------------------------------------------------------------------------


def test_planted_neuron_ranks_first_with_its_polarity(recording, label):
    best = rank_neurons(recording, label).iloc[0]
    assert (best.layer, best.unit, best.signal, best.polarity) == (1, 3, "cell", -1)
    assert best.score > 0.95
    assert best.q_value < 1e-4
    assert best.baseline == 0.5


def test_planted_graded_neuron_ranks_first(recording, values, label, rng):
    depth = wandering(rng, 1, N_CHARS)[0].astype(np.float64)
    second = {signal: array.copy() for signal, array in values[1].items()}
    second["hidden"][0] = -depth + 2 * depth.std() * rng.standard_normal(N_CHARS)
    best = rank_neurons(recording_of(values[0], second), depth).iloc[0]
    assert (best.layer, best.unit, best.signal, best.polarity) == (1, 0, "hidden", -1)
    assert best.q_value < 1e-3
    assert best.score == pytest.approx(1 / math.sqrt(5), abs=0.05)


def test_shuffled_label_lands_at_the_baseline(recording, label, rng):
    table = rank_neurons(recording, rng.permutation(label))
    assert (table.score - 0.5).abs().max() < 0.05
    assert table.q_value.min() > 0.05


def test_constant_neuron_scores_the_baseline(recording, label):
    row = row_of(rank_neurons(recording, label), 0, 4, "hidden")
    assert (row.score, row.choose_score, row.polarity, row.q_value) == (0.5, 0.5, 1, 1.0)
    graded = row_of(rank_neurons(recording, np.cumsum(label) % 9 * 1.0), 0, 4, "hidden")
    assert (graded.score, graded.choose_score, graded.polarity, graded.q_value) == (0.0, 0.0, 1, 1.0)


def test_score_is_held_out_from_polarity(label):
    rng = np.random.default_rng(5)
    values = wandering(rng, 1, N_CHARS)
    halves = np.arange(N_CHARS) < N_CHARS // 2
    values[0] = np.where(halves, 1, -1) * label + 0.3 * rng.standard_normal(N_CHARS)
    recording = recording_of({"hidden": values})
    row = rank_neurons(recording, label, choose=halves).iloc[0]
    assert row.polarity == 1
    assert row.choose_score > 0.95
    assert row.score < 0.05
    row = rank_neurons(recording, label.astype(float), choose=halves).iloc[0]
    assert row.polarity == 1
    assert row.choose_score > 0.75
    assert row.score < -0.75


def test_table_is_ordered_by_choose_score_and_has_the_promised_columns(recording, label):
    table = rank_neurons(recording, label)
    promised = ["layer", "unit", "signal", "polarity", "score", "metric", "choose_score", "baseline", "twin_score"]
    assert list(table.columns) == [*promised, "q_value", "threshold", "f1", "average_precision",
                                   "matthews", "spearman", "prevalence", "p_value", "shift_p"]  # fmt: skip
    assert table.choose_score.is_monotonic_decreasing
    assert list(table.index) == list(range(18))


def test_twin_score_is_the_held_out_score_of_the_twins_choice(recording, label, rng):
    other = wandering(rng, 3, N_CHARS)
    other[1] += 1.5 * other[1].std() * label
    other[2] += 5 * other[2].std() * label * ~split_text(recording)  # better where it counts, but cannot be chosen
    twin = recording_of({"hidden": other})
    table = rank_neurons(recording, label, twin=twin)
    chosen = row_of(rank_neurons(twin, label), 0, 1, "hidden")
    assert set(table.twin_score) == {chosen.score}
    assert rank_neurons(recording, label).twin_score.isna().all()


def test_stretches_of_any_length_give_the_same_table(recording, label, monkeypatch):
    whole = rank_neurons(recording, label)
    monkeypatch.setattr("inspector.search.ranking._STRETCH", 700)
    pieces = rank_neurons(recording, label)
    keys = ["layer", "unit", "signal"]
    whole, pieces = (table.sort_values(keys, ignore_index=True) for table in (whole, pieces))
    scores = ["score", "choose_score", "average_precision"]  # the bins are laid out by other characters
    pd.testing.assert_frame_equal(whole[keys + scores], pieces[keys + scores], atol=2e-3, rtol=0)


def test_search_leaves_its_input_as_it_was(recording, values, label):
    given = label.copy(), np.ones(N_CHARS, dtype=bool), split_text(recording)
    kept = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    rank_neurons(recording, given[0], valid=given[1], choose=given[2])
    for array, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(recording.window(0, "cell", 0, N_CHARS), values[0]["cell"])


def test_progress_counts_every_character(recording, label):
    steps = []
    rank_neurons(recording, label, progress=lambda done, total: steps.append((done, total)))
    parts = parts_of(recording, None)
    total = int(parts.choose.sum() + parts.score.sum())
    assert steps[-1] == (total, total)
    assert steps == sorted(steps)


# --- chance -----------------------------------------------------------------------------------------------------------


def test_null_labels_yield_few_discoveries(rng):
    """60 unrelated labels in runs against 80 slow traces: a discovery in 5 % of them is what q = .05 promises."""
    n_chars, discoveries = 8_000, 0
    for _ in range(3):
        slow = np.concatenate([wandering(rng, 20, n_chars, memory) for memory in (3, 10, 30, 100)])
        slow[::4] = np.maximum(slow[::4] - 1.5 * slow[::4].std(axis=1, keepdims=True), 0)  # rare events, many ties
        labels = {str(i): (runs(rng, n_chars, on=8 + i, off=60 + 10 * i), None) for i in range(20)}
        tables = rank_labels(recording_of({"hidden": slow}), labels)
        discoveries += sum(table.q_value.min() < 0.05 for table in tables.values())
    assert discoveries <= 8  # 3 expected; 9 or more come up once in 300


def test_characters_taken_for_independent_break_what_blocks_hold(rng):
    """The same unrelated labels, judged as if every character were a draw of its own: nearly all are discoveries."""
    n_chars = 8_000
    slow = wandering(rng, 40, n_chars, 30)
    labels = {str(i): (runs(rng, n_chars), None) for i in range(20)}
    discoveries = 0
    for table in rank_labels(recording_of({"hidden": slow}), labels).values():
        share, n = table.prevalence[0], n_chars / 2
        spread = math.sqrt(1 / (12 * n * share * (1 - share)))  # of an AUROC where nothing is to be found
        p_values = student(1e6).sf((table.score - 0.5) / spread)
        discoveries += q_values(p_values).min() < 0.05
    assert discoveries >= 18


def test_planted_neuron_of_auroc_65_is_found(rng):
    n_chars = 20_000
    label = runs(rng, n_chars)
    values = wandering(rng, 100, n_chars, 10)
    values[17] = np.tanh(0.3 * (rng.standard_normal(n_chars) + 0.545 * label))
    table = rank_neurons(recording_of({"hidden": values}), label)
    assert (table.unit[0], table.polarity[0]) == (17, 1) and table.score[0] == pytest.approx(0.65, abs=0.02)
    assert table.q_value[0] < 1e-6 and table.shift_p[0] < 0.05


def jackknife_p(label, trace, n_blocks=40):
    """One p-value, from block sums of the plain values."""
    labels, traces = (np.array_split(array, n_blocks) for array in (label, trace))
    sizes = np.array([part.sum() for part in labels]), np.array([part.size for part in labels])
    positive = np.array([[values[part].sum()] for part, values in zip(labels, traces, strict=True)])
    valid = np.array([[values.sum()] for values in traces])
    return p_values(difference_of_means((sizes[0], positive), (sizes[1], valid)), np.ones(1))[0]


def test_chance_takes_runs_for_what_they_are(rng):
    """As many characters, longer runs: the same score must convince less."""
    n_chars = 20_000
    found = []
    for scale in (1, 20):
        label = np.repeat(runs(rng, n_chars // scale, on=5, off=15), scale)
        trace = np.repeat(rng.standard_normal(n_chars // scale), scale) + 0.3 * label
        found.append(jackknife_p(label, trace))
    assert found[0] < 1e-12
    assert found[1] > 1e-9


def test_p_values_of_chance_are_uniform(rng):
    traces = wandering(rng, 400, 8_000, 20)
    found = np.array([jackknife_p(runs(rng, 8_000), trace) for trace in traces])
    for level in (0.05, 0.2, 0.5):
        assert (found < level).mean() == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 400))


def test_difference_of_means_of_ranks_is_auroc_and_pulls_add_up_to_nothing(rng):
    label, ranks = runs(rng, 4_000), rng.permutation(4_000) / 4_000
    sizes = np.add.reduceat(label, range(0, 4_000, 100)), np.full(40, 100)
    sums = [np.add.reduceat(ranks * part, range(0, 4_000, 100))[:, None] for part in (label, np.ones(4_000))]
    found = difference_of_means((sizes[0], sums[0]), (sizes[1], sums[1]))
    assert found.total[0] == pytest.approx(roc_auc_score(label, ranks) - 0.5)
    assert found.pulls.sum() == pytest.approx(0, abs=1e-12)


def test_label_in_few_blocks_has_few_degrees_of_freedom(rng):
    """The same evidence per block convinces less where three blocks hold all of it."""
    trace = rng.standard_normal(8_000)
    everywhere, few = np.arange(8_000) % 20 < 5, np.arange(8_000) % 20 < 5
    few[600:] = False
    found = [jackknife_p(label, trace + 3 * label) for label in (everywhere, few)]
    assert found[0] < 1e-12
    assert found[1] > 1e-5


def test_a_trace_that_never_errs_is_no_chance(rng):
    """A gate that is shut exactly where the label holds: no block disagrees with another."""
    label = runs(rng, 8_000)
    assert jackknife_p(label, 1.0 * label) < 1e-9
    assert jackknife_p(label, np.full(8_000, 0.5)) == 1
    table = rank_neurons(recording_of({"hidden": np.stack([label, wandering(rng, 1, 8_000)[0]])}), label)
    assert table.score[0] == 1 and table.q_value[0] < 1e-6 and verdict(table.iloc[0]) == "strong"


def test_a_label_in_one_block_says_nothing(rng):
    """Nothing tells by how much blocks that hold it would differ."""
    trace = wandering(rng, 1, 8_000)[0]
    label = np.zeros(8_000, bool)
    label[100:160:8] = True
    assert jackknife_p(label, trace + 5 * label) == 1


@pytest.mark.parametrize("signal", ["cell", "hidden", "input_gate"])
def test_a_neuron_that_is_silent_at_first_is_found(rng, signal):
    """Bins are laid out by the first characters that are read, at which it has one value."""
    n = 20_000
    label = runs(rng, n)
    quiet = np.where(label, 0.75, 0.25).astype(np.float32) + 0.1 * rng.random(n, np.float32)
    quiet[:2_000] = quiet[10_000:12_000] = 0
    values = wandering(rng, 3, n)
    values[1] = quiet
    rows = [Row(0, unit, signal) for unit in range(3)]
    parts = parts_of(recording_of({"hidden": values}), np.arange(n) < 10_000)
    census = Census(rows, pack({"x": (label, None)}, parts), n_blocks=8)
    census.calibrate([values[:, :2_000]])
    for part in (parts.choose, parts.score):
        at = np.flatnonzero(part)
        blocks = at * 8 // n if part is parts.score else None
        census.fold([values[:, at]], at, blocks=blocks)
        if part is parts.choose:
            census.turn()
    found = census.measures()["x"]
    score = roc_auc_score(label[parts.score], quiet[parts.score])
    assert found.score[1] == pytest.approx(score, abs=1e-3)
    assert found.choose_score[1] == pytest.approx(roc_auc_score(label[parts.choose], quiet[parts.choose]), abs=1e-2)


def test_rows_that_come_first_have_been_held_against_shifts(rng):
    """Many that score the same: those at the head of the table are those that were looked at again."""
    n = 6_000
    wide = runs(rng, n)
    narrow = wide & runs(rng, n, on=3, off=3)
    traces = np.tile(wide, (8, 1)).astype(np.float32)
    traces[3:] += 0.5 * narrow  # these part both labels from the rest
    labels = {"wide": (wide, None), "narrow": (narrow, None)}
    for table in rank_labels(recording_of({"hidden": traces}), labels).values():
        assert np.isfinite(table.shift_p[:5]).all() and table.shift_p[5:].isna().all()


@pytest.mark.parametrize("freedom", [3.0, 10.0, 40.0])
@pytest.mark.parametrize("t", [-2.0, 0.5, 3.0, 8.0])
def test_tail_is_students(t, freedom):
    found = tails(np.array([t]), np.array([freedom]))[0]
    assert found == pytest.approx(student(freedom).sf(t), rel=0.2)


def test_shifts_tell_a_planted_trace_from_a_wandering_one(rng):
    label = runs(rng, 6_000)
    slow = wandering(rng, 3, 6_000)
    assert shifted_p(slow.__getitem__, [label.astype(np.float32)], [{0: 1, 1: 1, 2: 1}])[0] > 0.02
    slow[1] += slow[1].std() * label
    assert shifted_p(slow.__getitem__, [label.astype(np.float32)], [{0: 1, 1: 1, 2: 1}])[0] < 0.02


def test_shifts_are_those_of_the_best_of_each_labels_own_traces(rng):
    n, traces = 1_200, wandering(rng, 3, 1_200).astype(np.float32)
    labels = [runs(rng, n).astype(np.float32) for _ in range(2)]
    fitted = [{0: 1.0, 2: -1.0, 1: 1.0}, {2: 1.0}]
    centred = traces - traces.mean(axis=1, keepdims=True)
    for label, polarities, found in zip(labels, fitted, shifted_p(traces.__getitem__, labels, fitted), strict=True):
        shifted = np.stack([np.roll(label - label.mean(), -shift) for shift in range(n)])
        fits = np.max([side * (shifted @ centred[i]) / np.linalg.norm(centred[i]) for i, side in polarities.items()], 0)
        near = _correlation_length(np.abs(np.fft.rfft(label - label.mean())) ** 2, n)
        null = fits[near : n - near : near]
        assert found == pytest.approx((1 + (null >= fits[0]).sum()) / (1 + len(null)))


def test_q_values_equal_benjamini_and_hochbergs(rng):
    p_values = rng.random(200) ** 3
    np.testing.assert_allclose(q_values(p_values), false_discovery_control(p_values))


# --- splits -----------------------------------------------------------------------------------------------------------


def documents_of(*sizes):
    stops = np.cumsum(sizes)
    return [
        Document(f"file{i}.py", int(stop - size), int(stop))
        for i, (size, stop) in enumerate(zip(sizes, stops, strict=True))
    ]


def test_split_holds_out_whole_documents():
    documents = documents_of(900, 400, 1200, 700, 800)
    choose = split_text(recording_of({"hidden": np.zeros((1, 4000), np.float32)}, documents=documents))
    sides = [set(choose[d.start : d.stop]) for d in documents]
    assert all(len(side) == 1 for side in sides)
    assert 0.3 < choose.mean() < 0.7


def test_split_of_documents_depends_on_their_names_only():
    sizes = (600, 600, 600, 600)
    documents = documents_of(*sizes)
    renamed = [Document(f"other{i}", d.start, d.stop) for i, d in enumerate(documents)]
    values = {"hidden": np.zeros((1, 2400), np.float32)}
    split = split_text(recording_of(values, documents=documents))
    np.testing.assert_array_equal(split, split_text(recording_of(values, documents=documents)))
    assert (split != split_text(recording_of(values, documents=renamed))).any()


@pytest.mark.parametrize("sizes", [(6000,), (3000, 2000, 1000), (5500, 100, 100, 300)])
def test_split_alternates_blocks_where_documents_are_few_or_lopsided(sizes):
    recording = recording_of({"hidden": np.zeros((1, 6000), np.float32)}, documents=documents_of(*sizes))
    choose = split_text(recording)
    borders = np.flatnonzero(choose[1:] != choose[:-1]) + 1
    np.testing.assert_array_equal(borders, np.arange(300, 6000, 300))


def test_gap_is_left_out_inside_documents_only():
    recording = recording_of({"hidden": np.zeros((1, 2000), np.float32)}, documents=documents_of(1000, 1000))
    choose = np.zeros(2000, dtype=bool)
    choose[500:1000] = True
    parts = parts_of(recording, choose)
    np.testing.assert_array_equal(np.flatnonzero(~parts.choose & ~parts.score), np.arange(450, 500))
    np.testing.assert_array_equal(parts.choose, choose)


# --- bad input --------------------------------------------------------------------------------------------------------


def spoilt(label, position, value):
    label = label.astype(float)
    label[position] = value
    return label


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda label: label[:-1], "has shape (11999,) but the text has 12000 characters"),
        (lambda label: label.astype(int), "type int64: make it bool (yes/no) or float (graded)"),
        (lambda label: spoilt(label, 5, np.nan), "nan or infinite at some characters"),
        (lambda label: np.ones_like(label), "the label is yes at every character of the choosing part"),
        (lambda label: np.zeros_like(label), "the label is no at every character of the choosing part"),
        (lambda label: np.full(N_CHARS, 2.5), "has the one value 2.5 at every character"),
        (lambda label: np.arange(N_CHARS) % 6000 < 900, "comes in 2 separate stretches in the choosing part, and 5"),
    ],
)
def test_unusable_label_is_one_sentence(recording, label, spoil, sentence):
    for attempt in (rank_neurons, check_label):
        with pytest.raises(InspectorError) as error:
            attempt(recording, spoil(label))
        assert sentence in str(error.value)


def test_nan_in_a_label_is_fine_where_it_is_not_valid(recording, label):
    valid = np.ones(N_CHARS, dtype=bool)
    valid[5] = False
    assert check_label(recording, spoilt(label, 5, np.nan), valid=valid) is None
    rank_neurons(recording, spoilt(label, 5, np.nan), valid=valid)


def test_unusable_label_among_many_is_named(recording, label):
    with pytest.raises(InspectorError, match="second: Too little to rank"):
        rank_labels(recording, {"first": (label, None), "second": (np.zeros_like(label), None)})


def test_nothing_valid_is_a_sentence(recording, label):
    with pytest.raises(InspectorError, match="no valid character is left for choosing"):
        rank_neurons(recording, label, valid=np.zeros(N_CHARS, dtype=bool))


def test_masks_of_another_shape_are_a_sentence(recording, label):
    with pytest.raises(InspectorError, match="valid must be one bool per character"):
        rank_neurons(recording, label, valid=np.ones(3, dtype=bool))
    with pytest.raises(InspectorError, match="choose must be one bool per character"):
        rank_neurons(recording, label, choose=np.ones(N_CHARS))


def test_signals_that_a_layer_lacks_are_passed_over(values, label):
    mixed = recording_of(values[0], {"hidden": values[1]["hidden"]})
    table = rank_neurons(mixed, label, signals=("cell", "forget_gate"))
    assert set(zip(table.layer, table.signal, strict=True)) == {(0, "cell")}
    assert len(rank_neurons(mixed, label, signals="hidden")) == 9
    with pytest.raises(InspectorError, match="no signal forget_gate: it has hidden, cell"):
        rank_neurons(mixed, label, signals=("forget_gate",))


def test_twin_of_another_text_is_a_sentence(recording, values, label):
    with pytest.raises(InspectorError, match="twin has read another text"):
        rank_neurons(recording, label, twin=recording_of(*values, text="y" * N_CHARS))


def test_values_that_are_not_finite_are_named(values, label):
    broken = {"hidden": values[1]["hidden"].copy()}
    broken["hidden"][2, 700] = np.nan
    with pytest.raises(InspectorError, match="hidden of neuron 0:2 is nan or infinite"):
        rank_neurons(recording_of(broken), label)


# --- in words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "score", "q_value", "twin_score", "phrase"),
    [
        ("auroc", 0.98, 0.001, math.nan, "strong"),
        ("auroc", 0.92, 0.001, 0.7, "clear"),
        ("auroc", 0.8999, 0.001, 0.7, "weak"),
        ("auroc", 0.80, 0.2, 0.7, "weak, but this text is too short to rule out chance"),
        ("auroc", 0.45, 0.001, 0.7, "weak: no better than chance"),
        ("auroc", 0.95, 0.2, 0.7, "clear, but this text is too short to rule out chance"),
        ("auroc", 0.92, 0.001, 0.93, "clear, but an untrained network has a neuron as good"),
        ("correlation", 0.92, 0.001, math.nan, "strong"),
        ("correlation", 0.80, 0.001, math.nan, "clear"),
        ("correlation", 0.60, 0.001, math.nan, "weak"),
    ],
)
def test_verdict_says_how_far_to_believe(metric, score, q_value, twin_score, phrase):
    baseline = {"auroc": 0.5, "correlation": 0.0}[metric]
    row = {"metric": metric, "score": score, "q_value": q_value, "twin_score": twin_score, "baseline": baseline}
    assert verdict(pd.Series(row)) == phrase
    assert verdict(row) == phrase


@given(st.floats(0, 0.8999), st.floats(0, 1), st.floats(0, 1))
def test_verdict_below_point_nine_says_weak(score, q_value, twin_score):
    row = {"metric": "auroc", "score": score, "q_value": q_value, "twin_score": twin_score, "baseline": 0.5}
    assert "weak" in verdict(row)
