"""Colours: one scale for every picture, letters that can be read on it, and two ends nobody confuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import palette
from dashboard.palette import KINDS, PALETTES, THEMES, Scale, colour_index, contrast, ink, lut, scale_for

EVERY_TABLE = [(name, kind, theme) for name in PALETTES for kind in KINDS for theme in THEMES]
LSTM = ("hidden", "cell", "input_gate", "forget_gate", "candidate", "output_gate")

# Linear RGB as a dichromat sees it (Vienot, Brettel and Mollon 1999).
DICHROMATS = {
    "deuteranopia": [[0.29275, 0.70725, -0.02234], [0.29275, 0.70725, 0.02234], [0.0, 0.0, 1.0]],
    "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
}


def oklab(rgb: np.ndarray, seen_by: str | None = None) -> np.ndarray:
    linear = palette._linear(rgb)
    if seen_by is not None:
        linear = np.clip(linear @ np.array(DICHROMATS[seen_by]).T, 0.0, 1.0)
    return np.cbrt(linear @ palette._TO_CONES.T) @ palette._TO_LAB.T


@pytest.mark.parametrize(("name", "kind", "theme"), EVERY_TABLE)
def test_ink_is_readable_on_every_entry(name, kind, theme):
    assert contrast(lut(name, kind, theme), ink(name, kind, theme)).min() >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["teal-orange", "red-blue"])
def test_ink_never_changes_inside_a_two_hue_scale(name, theme):
    assert len(np.unique(ink(name, "diverging", theme), axis=0)) == 1


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["teal-orange", "red-blue"])
def test_zero_is_paper_and_both_sides_fade_into_it(name, theme):
    table = lut(name, "diverging", theme)
    from_paper = np.linalg.norm(oklab(table) - oklab(table[128]), axis=1)
    assert table[128].tolist() == list(palette._PAPER[theme])
    assert (np.diff(from_paper[1:129]) <= 0.004).all() and (np.diff(from_paper[128:]) >= -0.004).all()
    assert from_paper[1] > 0.2 and from_paper[255] > 0.2


@pytest.mark.parametrize("seen_by", [None, *DICHROMATS])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PALETTES)
def test_both_ends_stay_apart_for_colour_blind_readers(name, theme, seen_by):
    low, high = oklab(lut(name, "diverging", theme)[[1, 255]], seen_by)
    assert np.linalg.norm(low - high) > 0.1  # a just noticeable step is about 0.02


def test_red_and_green_would_not_stay_apart():
    low, high = oklab(np.array([[200, 60, 40], [80, 130, 40]]), "deuteranopia")
    assert np.linalg.norm(low - high) < 0.1


@pytest.mark.parametrize("signal", LSTM)
def test_scale_of_a_bounded_signal_ignores_its_values(signal):
    scale = scale_for(signal, np.array([-7.0, 7.0], dtype=np.float32))
    if signal.endswith("_gate"):
        assert scale == Scale("sequential", 0.0, 1.0)
    elif signal != "cell":
        assert scale == Scale("diverging", -1.0, 1.0)


def test_scale_of_the_cell_state_ends_at_its_99th_percentile():
    trace = np.linspace(-3.0, 1.0, 1001).astype(np.float32)
    scale = scale_for("cell", trace)
    assert scale.high == pytest.approx(np.quantile(np.abs(trace), 0.99)) and scale.low == -scale.high


def test_scale_of_a_cell_state_passes_over_nan():
    trace = np.array([np.nan, 2.0, -2.0, np.nan], dtype=np.float32)
    assert scale_for("cell", trace) == Scale("diverging", -2.0, 2.0)


def test_scale_of_a_signal_of_another_name_ends_where_its_values_do():
    assert scale_for("layer_norm", np.array([-3.0, 3.0], np.float32)) == Scale("diverging", -3.0, 3.0)


@pytest.mark.parametrize("trace", [[], [0.0, 0.0], [np.nan]])
def test_scale_of_a_silent_cell_state_is_one(trace):
    assert scale_for("cell", np.array(trace, dtype=np.float32)) == Scale("diverging", -1.0, 1.0)


def test_scale_of_a_nearly_silent_cell_state_shows_its_peak():
    trace = np.zeros(1000, dtype=np.float32)
    trace[7] = -4.0
    assert scale_for("cell", trace) == Scale("diverging", -4.0, 4.0)


def test_colour_index_puts_zero_in_the_middle_and_nan_nowhere():
    scale = Scale("diverging", -2.0, 2.0)
    assert colour_index([-9, -2, 0, 2, 9, np.nan], scale).tolist() == [1, 1, 128, 255, 255, -1]
    assert colour_index([-1, 0, 0.5, 1, np.nan], Scale("sequential", 0.0, 1.0)).tolist() == [0, 0, 128, 255, -1]


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.01, 10))
def test_colour_index_never_reverses_two_values(one, other, reach):
    low, high = sorted([one, other])
    first, second = colour_index([low, high], Scale("diverging", -reach, reach))
    assert first <= second


def test_tables_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        lut("teal-orange", "diverging")[0] = 0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["teal-orange", "red-blue"])
def test_a_weak_value_can_be_told_from_zero_on_both_sides(name, theme):
    table = oklab(lut(name, "diverging", theme))
    weak = colour_index(np.array([-0.1, 0.1]), Scale("diverging", -1.0, 1.0))
    assert (np.linalg.norm(table[weak] - table[128], axis=1) > 0.06).all()  # three just noticeable steps
