"""paper.py: a printed character has the colour of its value, stands in its column, and any text can be drawn."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from dashboard.palette import DEFAULT, Scale, colour_index, lut, scale_for
from dashboard.paper import FORMATS, Strip, lay_out, text_figure, write_figure
from inspector.recording import InspectorError

TEXT = "def f(x):\n\treturn '<&$x$'  # wide: 日本 e\u0301\n"
VALUES = np.linspace(-1, 1, len(TEXT)).astype(np.float32)
STRIP = Strip("1:42 hidden", VALUES, scale_for("hidden", VALUES))


def written(form: str, text: str = TEXT, strip: Strip = STRIP) -> bytes:
    file = io.BytesIO()
    write_figure(text_figure(text, [strip]), file, form)
    return file.getvalue()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.integers(4, 20))
def test_every_character_has_its_own_place_on_the_grid(text, n_columns):
    cells = lay_out(text, 0, len(text), n_columns, 4)
    assert [cell.position for cell in cells] == list(range(len(text)))
    taken = [(cell.line, cell.column + offset) for cell in cells for offset in range(cell.width)]
    assert len(set(taken)) == len(taken) and taken == sorted(taken)
    assert all(column <= n_columns for _, column in taken)


def test_tabs_wide_and_combining_characters_take_their_columns():
    cells = lay_out("a\tb日e\u0301\nc", 0, 8, 40, 4)
    assert [(cell.line, cell.column, cell.width) for cell in cells] == [
        (0, 0, 1), (0, 1, 3), (0, 4, 1), (0, 5, 2), (0, 7, 1), (0, 8, 0), (0, 8, 1), (1, 0, 1),
    ]  # fmt: skip


def test_cells_have_the_colours_of_their_values():
    figure = text_figure(TEXT, [STRIP])
    (cells,) = (one for one in figure.axes[0].collections if isinstance(one, PolyCollection))
    solid = [place for place in range(len(TEXT)) if TEXT[place] != "\u0301"]
    expected = lut(DEFAULT, "diverging")[colour_index(VALUES, STRIP.scale)[solid]] / 255
    assert np.allclose(cells.get_facecolors()[:, :3], expected)


def test_missing_values_are_left_uncoloured():
    values = VALUES.copy()
    values[3] = np.nan
    (cells,) = text_figure(TEXT, [STRIP._replace(values=values)]).axes[0].collections
    assert len(cells.get_facecolors()) == len(TEXT) - 2  # without it, and without the combining accent


@pytest.mark.parametrize("form", FORMATS)
def test_same_figure_is_the_same_bytes(form):
    assert written(form) == written(form)


def test_svg_holds_outlines_and_pdf_its_fonts():
    root = ElementTree.fromstring(written("svg"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "text" not in tags and "script" not in tags and "path" in tags
    pdf = written("pdf")
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf


def test_width_is_what_was_asked_for():
    figure = text_figure(TEXT * 20, [STRIP._replace(values=np.tile(VALUES, 20))], width_mm=84)
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(84)


@settings(max_examples=5, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_text_can_be_drawn(text):
    values = np.zeros(len(text), np.float32)
    assert written("svg", text, Strip("c", values, Scale("sequential", 0, 1))).startswith(b"<?xml")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"start": 5, "stop": 5}, "nothing"), ({"stop": 9_999}, "nothing"), ({"width_mm": 1}, "mm wide"),
        ({"font_pt": 0.1}, "points"), ({"text": TEXT * 200}, "too many"), ({"strips": []}, "1 to 12"),
        ({"strips": [STRIP] * 13}, "1 to 12"), ({"strips": [STRIP._replace(values=VALUES[:-1])]}, "shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_a_sentence(wrong, words):
    with pytest.raises(InspectorError, match=words):
        text_figure(**({"text": TEXT, "strips": [STRIP]} | wrong))
    with pytest.raises(InspectorError, match="svg, pdf, png"):
        write_figure(text_figure(TEXT, [STRIP]), "figure.gif")


def test_figure_that_would_take_all_memory_is_refused():
    text = "a\n" * 2_400
    strip = Strip("1:42 cell", np.zeros(len(text), np.float32), Scale("diverging", -1, 1))
    with pytest.raises(InspectorError, match="m high"):
        text_figure(text, [strip] * 12)


@pytest.mark.parametrize(("n_scales", "is_in_caption"), [(3, False), (4, True)])
def test_ends_of_every_scale_are_written(n_scales, is_in_caption):
    strips = [Strip(f"1:{unit} cell", VALUES, Scale("diverging", -1.5 - unit, 1.5 + unit)) for unit in range(n_scales)]

    words = [one.get_text() for one in text_figure(TEXT, strips, width_mm=174).axes[0].texts]

    assert (f"1:3 cell, -{4.5} to {4.5}" in words) == is_in_caption
    assert ("3.5" in words) != is_in_caption


def test_palette_that_there_is_not_is_a_sentence():
    strip = Strip("1:42 cell", np.zeros(2, np.float32), Scale("diverging", -1, 1))
    with pytest.raises(InspectorError, match="There is no palette 'pink'"):
        text_figure("ab", [strip], palette="pink")
