"""Plots of arrays: curves and shares are those of the values."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dashboard import figures
from inspector.recording import Neuron


def test_roc_goes_through_the_rates_of_every_threshold_by_the_side_that_was_chosen():
    values = np.array([0.9, 0.8, 0.8, 0.3, 0.2, 0.1])
    label = np.array([True, True, False, True, False, False])
    curve, turned = (figures.roc_figure(sign * values, label, sign).data[1] for sign in (1, -1))
    assert list(curve.x) == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert list(curve.y) == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])
    for one in (curve, turned):
        assert np.trapezoid(one.y, one.x) == pytest.approx(roc_auc_score(label, values))
    failing = figures.roc_figure(values, label, -1).data[1]
    assert np.trapezoid(failing.y, failing.x) == pytest.approx(1 - roc_auc_score(label, values))


def test_classes_are_each_a_whole_of_its_own():
    values = np.linspace(-1, 1, 101)
    figure = figures.class_figure(values, values > 0.5, 0.5)
    off, on = figure.data
    assert sum(off.y) == pytest.approx(1) and sum(on.y) == pytest.approx(1)
    assert min(x for x, y in zip(on.x, on.y, strict=True) if y) > 0.45
    assert figures.class_figure(np.zeros(4), np.array([True, False, True, False]), 0.0).data[0].y.sum() == 1


def test_codes_curve_has_every_k_with_the_neuron_that_was_added():
    neurons = [((Neuron(0, 1), "cell"),), ((Neuron(0, 1), "cell"), (Neuron(1, 2), "hidden"))]
    table = pd.DataFrame({"k": [1, 2], "neurons": neurons, "score": [0.8, 0.9], "choose_score": [0.85, 0.95]})

    figure = figures.codes_figure(table.assign(metric="auroc"), baseline=0.5, twin=float("nan"))

    chosen, held_out = figure.data
    assert (list(held_out.x), list(held_out.y), list(chosen.y)) == ([1, 2], [0.8, 0.9], [0.85, 0.95])
    assert list(held_out.customdata) == ["0:1 cell", "1:2 hidden"]
    assert [line.y0 for line in figure.layout.shapes] == [0.5]  # a twin that is not known has no line


def test_words_of_chance_and_of_the_untrained_do_not_meet_where_their_lines_are_close():
    table = pd.DataFrame({"k": [1], "neurons": [((Neuron(0, 1), "cell"),)], "score": [0.8], "choose_score": [0.8]})

    figure = figures.codes_figure(table.assign(metric="correlation"), baseline=0.0, twin=0.01)

    assert {words.text: words.xanchor for words in figure.layout.annotations} == {
        "chance": "left",
        "untrained": "right",
    }


@pytest.mark.parametrize("n_levels", [3, 200])
def test_levels_are_the_quartiles_of_the_values_there(n_levels):
    rng = np.random.default_rng(0)
    label = rng.integers(0, n_levels, 4_000).astype(np.float32)
    values = -label + rng.normal(0, 0.1, label.size)

    figure = figures.level_figure(values, label, title="words < 3")
    low, high, median = figure.data

    assert figure.layout.xaxis.title.text == "words &lt; 3"
    assert len(median.x) <= 24 and (np.diff(median.y) < 0).all()
    assert (np.asarray(low.y) < median.y).all() and (np.asarray(high.y) > median.y).all()
    if n_levels == 3:
        assert median.y[1] == pytest.approx(np.median(values[label == 1]))
