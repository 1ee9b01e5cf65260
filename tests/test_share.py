"""What pages give away: the bytes behind each download, and which neurons and which stretch they are about."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from dashboard import cards, data, share, texts
from dashboard.share import FIGURE_LINES, figure_stretch
from dashboard.state import Mark, View
from inspector.capture import record
from inspector.model import load_checkpoint
from inspector.recording import Neuron
from tests.screen import open_app, said
from tests.test_export import payload_of
from tests.test_overlay import unpack
from tests.test_pages import FIND, address, checkpoints, place  # noqa: F401 - fixtures

SAMPLE = texts.load_text("sample:address_book.py").content


@pytest.fixture
def offers(monkeypatch):
    """The downloads of the page that ran last, by their words."""
    found, plain = {}, streamlit.download_button

    def remember(label, data, name, kind, **options):
        found[label.replace("\\", "")] = (name, data, options.get("disabled"))
        return plain(label, b"", name, kind, **options)

    monkeypatch.setattr(streamlit, "download_button", remember)
    return found


def test_page_from_read_holds_the_text_the_neurons_and_what_is_known(offers):
    app = open_app(pins="0:2,1:1", signal="cell")
    app.radio(key="export_neurons").set_value("it and the 2 pinned").run()
    said(app)
    name, make, _ = offers["Download the page"]
    page = make().decode()
    header, sections = unpack(payload_of(page))
    assert name == "address_book.py.html" and sections["text"].tobytes().decode() == SAMPLE
    assert header["only"] == ["1:3", "0:2", "1:1"] and header["look"]["pins"] == ["0:2", "1:1"]
    assert "AUROC 0.97" in page and "inside a string" in page
    app.checkbox(key="export_quiz").check().run()
    page = offers["Download the page"][1]().decode()
    assert "AUROC" not in page and "inside a string" not in page


def test_best_for_the_concept_are_those_of_the_survey(offers):
    app = open_app(neuron="0:0")
    app.radio(key="export_neurons").set_value("the best for “inside a string”").run()
    assert unpack(payload_of(offers["Download the page"][1]().decode()))[0]["only"] == ["1:3"]


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_figure_from_read_comes_in_every_format(offers, form, start):
    app = open_app(mark="10-60")
    app.selectbox(key="export_format").set_value(form).run()
    name, make, _ = offers["Download the figure"]
    assert name == f"address_book.py.{form}" and make().startswith(start)
    assert "the marked stretch, 50 characters" in said(app)


def test_trace_from_read_is_the_network_s(offers, checkpoints):  # noqa: F811
    open_app(neuron="1:2", signal="cell")
    trace = np.load(io.BytesIO(offers["1:2 cell as .npy"][1]()))
    exact = record(load_checkpoint(checkpoints / "python"), SAMPLE, ["cell"]).trace(Neuron(1, 2), "cell")
    np.testing.assert_allclose(trace, exact, atol=2e-3)


def test_table_from_find_is_the_same_in_every_form(offers):
    said(open_app(FIND))
    tables = {form: offers[form][1]() for form in ("CSV", "Parquet", "JSON")}
    csv = pd.read_csv(io.BytesIO(tables["CSV"]))
    assert len(csv) == 24  # 2 layers of 6 units, hidden and cell
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(tables["Parquet"])), csv, check_exact=False)
    assert [row["unit"] for row in json.loads(tables["JSON"])] == csv["unit"].tolist()


def test_figures_of_a_table_are_written_to_the_last_digit(offers):
    app = AppTest.from_function(_table).run()
    said(app)
    rows = json.loads(offers["JSON"][1]())
    assert rows[0] == {"unit": 3, "signal": "cell", "q": 1.2345678901234567e-12, "twin": None, "half_life": None}


def _table():
    import pandas as pd

    from dashboard import share

    row = {"unit": 3, "signal": "cell", "q": 1.2345678901234567e-12, "twin": float("nan"), "half_life": float("inf")}
    share.table(pd.DataFrame([row]), "any")


def test_nothing_is_exported_of_a_signal_that_is_not_recorded_yet(offers, monkeypatch):
    monkeypatch.setattr(cards, "has_signals", lambda reading, *signals: False)
    monkeypatch.setattr(data, "begin_signal", lambda *given, **more: None)
    monkeypatch.setattr(data.Reading, "is_recorded", lambda reading, signal: signal in ("hidden", "cell"))
    for signal, is_disabled in (("forget_gate", True), ("cell", False)):
        app = open_app(neuron="1:2", signal=signal)
        names = ["Download the page", "Download the figure", f"1:2 {signal} as .npy"]
        assert [offers[name][2] for name in names] == [is_disabled] * 3
        assert ("forget gate is not recorded yet" in said(app)) == is_disabled


def test_page_that_would_be_too_large_is_not_offered_and_says_why(offers, monkeypatch):
    monkeypatch.setattr(share, "MOST_BYTES", 1_000)
    assert "more than a browser opens" in said(open_app(neuron="1:2", signal="cell"))
    assert offers["Download the page"][2] and not offers["Download the figure"][2]


@pytest.mark.parametrize("key", ["export_quiz", "export_format"])
def test_choice_of_what_is_exported_is_no_move_of_the_reader(key):
    app = open_app(network="python", text="sample:lighthouse.txt")
    app.selectbox(key="pick_text").set_value("sample:ring_buffer.c").run()
    app.query_params["text"] = "sample:lighthouse.txt"  # as a browser names it that has not heard of the other one

    app.checkbox(key=key).check().run() if key == "export_quiz" else app.selectbox(key=key).set_value("pdf").run()

    assert address(app)["text"] == "sample:ring_buffer.c"


def test_concept_in_the_choice_of_neurons_stays_text(checkpoints):  # noqa: F811
    app = open_app(network="python", neuron="1:3", concept="inside_string")
    assert app.radio(key="export_neurons").options[0] == cards.plain("this one, 1:3")


@pytest.mark.parametrize("text", ["", "a", "\n", "a\nb\n" * 40, "no end", "x" * 20_000])
@pytest.mark.parametrize("at", [None, 0, 3, 10_000])
def test_stretch_of_a_figure_is_some_whole_lines_from_the_cursor_on(text, at):
    at = None if at is not None and at >= len(text) else at
    start, stop = figure_stretch(View(at=at), text)
    assert 0 <= start <= stop <= len(text) and (start < stop or not text)
    assert text[start:stop].count("\n") <= FIGURE_LINES and start <= (at or 0)
    assert (at or 0) < stop or not text
    assert figure_stretch(View(mark=Mark(2, 5)), "a" * 9) == (2, 5)


def test_names_of_files_fit_any_system(offers):
    text_id = texts.keep_text("abc def\n" * 5, "../../e\u202evil: <b>?*")
    said(open_app(text=text_id))
    for name, *_ in offers.values():
        assert Path(name).name == name and not set(name) & set('<>:"/\\|?*\u202e')
