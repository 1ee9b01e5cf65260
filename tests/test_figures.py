"""Plots of arrays: curves and shares are those of the values."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dashboard import figures


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
