"""Plots of arrays: nothing is lost by thinning, and no text becomes markup."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from dashboard import figures
from dashboard.palette import Scale, scale_for

DIVERGING = Scale("diverging", -1.0, 1.0)


@given(arrays(np.float32, st.integers(1, 400), elements=st.floats(-10, 10, width=32)), st.integers(2, 50))
def test_thin_keeps_the_highest_and_lowest_value(values, most):
    kept = figures.thin(values, most)

    assert kept.size <= max(most, 2)
    assert np.all(np.diff(kept) > 0)
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()


def test_thin_keeps_a_peak_of_one_character_in_a_long_text():
    values = np.zeros(1_000_000, np.float32)
    values[654_321] = -0.5

    assert 654_321 in figures.thin(values)


def test_thin_takes_stretches_without_values():
    values = np.full(1000, np.nan, np.float32)
    values[700] = 1.0

    assert 700 in figures.thin(values, 10)


@pytest.mark.parametrize("signal", ["cell", "hidden", "forget_gate"])
def test_trace_figure_shows_recorded_values_at_their_positions(signal):
    trace = np.array([0.5, -0.25, 0.75, 0.0], np.float32)

    figure = figures.trace_figure(trace, scale_for(signal, trace), text="ab\nc", at=2)

    values = figure.data[-1]
    assert list(values.x) == [0, 1, 2, 3]
    assert np.array_equal(np.asarray(values.y, np.float32), trace)
    assert figure.layout.shapes[0].x0 == 2


def test_trace_figure_names_line_and_position_and_escapes_markup():
    figure = figures.trace_figure(np.zeros(4, np.float32), DIVERGING, text="a\n<\x00")

    assert list(figure.data[-1].customdata) == [
        "“a” line 1, position 0", "“\\n” line 1, position 1", "“&lt;” line 2, position 2", "“\\x00” line 2, position 3",
    ]  # fmt: skip


@pytest.mark.parametrize("n_chars", [1, 2, 5000])
def test_trace_figure_draws_any_length(n_chars):
    figure = figures.trace_figure(np.full(n_chars, np.nan, np.float32), DIVERGING, text="é" * n_chars)

    assert len(figure.data[-1].x) <= figures.MOST_POINTS


def test_roc_goes_through_the_rates_of_every_threshold_whatever_the_sign():
    values = np.array([0.9, 0.8, 0.8, 0.3, 0.2, 0.1])
    label = np.array([True, True, False, True, False, False])
    curve, turned = (figures.roc_figure(sign * values, label).data[1] for sign in (1, -1))
    assert list(curve.x) == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert list(curve.y) == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])
    for one in (curve, turned):
        assert np.trapezoid(one.y, one.x) == pytest.approx(roc_auc_score(label, values))


def test_classes_are_each_a_whole_of_its_own():
    values = np.linspace(-1, 1, 101)
    figure = figures.class_figure(values, values > 0.5, 0.5)
    off, on = figure.data
    assert sum(off.y) == pytest.approx(1) and sum(on.y) == pytest.approx(1)
    assert min(x for x, y in zip(on.x, on.y, strict=True) if y) > 0.45
    assert figures.class_figure(np.zeros(4), np.array([True, False, True, False]), 0.0).data[0].y.sum() == 1
