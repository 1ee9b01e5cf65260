"""Portraits: values along a survey's passages and dependence on the place, as drawn, kept, and shown."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from dashboard import data, portraits
from dashboard.curves import position_figure
from inspector.__main__ import main
from inspector.capture import record
from inspector.corpus import load_corpus
from inspector.model import load_checkpoint, save_checkpoint
from inspector.recording import InspectorError, Neuron
from inspector.survey import open_portraits, portray, survey
from inspector.survey.portraits import COLUMNS, PLACES, _Places, columns_of
from tests.conftest import make_python_folder, tiny_model
from tests.screen import APP, said


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    """(networks, sources): two random networks, surveyed."""
    folder = tmp_path_factory.mktemp("portraits")
    sources = make_python_folder(folder)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for kind in ("lstm", "gru"):
        save_checkpoint(tiny_model(kind), folder / "nets" / kind)
        survey(load_checkpoint(folder / "nets" / kind), load_corpus(sources), folder / "nets" / kind / "survey")
    torch.set_num_threads(n_threads)
    return folder / "nets", sources


@pytest.fixture(autouse=True)
def place(surveyed, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(surveyed[0]))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path))


def recorded(kind, surveyed):
    """The report files as one recording."""
    texts = load_corpus(surveyed[1]).splits["report"]
    names, contents = zip(*texts, strict=True)
    return record(load_checkpoint(surveyed[0] / kind), list(contents), names=list(names))


@pytest.mark.parametrize(("kind", "signal"), [("lstm", "cell"), ("lstm", "hidden"), ("gru", "hidden")])
def test_every_passage_has_the_values_of_the_whole_file_before_it(surveyed, kind, signal):
    recording = recorded(kind, surveyed)
    scenes = portraits.scenes(data.network(kind), Neuron(1, 5), signal)

    assert len(scenes) >= 8
    for scene in scenes:
        passage = scene.passage
        (document,) = [one for one in recording.documents if one.name == passage.file]
        text = recording.text[document.start : document.stop]
        trace = recording.trace(Neuron(1, 5), signal)[document.start : document.stop]
        starts = _Places(text).of(passage.text, passage.line, passage.at)
        step = np.abs(scene.values).max() / 15
        assert any(np.abs(trace[at : at + len(passage.text)] - scene.values).max() <= 0.51 * step for at in starts)


@pytest.mark.parametrize("kind", ["line", "file"])
def test_means_by_place_are_those_of_the_values_there(surveyed, kind):
    recording, found = recorded("lstm", surveyed), open_portraits(surveyed[0] / "lstm" / "survey")
    parts = [recording.text[one.start : one.stop] for one in recording.documents]
    where = np.concatenate([columns_of(part) if kind == "line" else np.arange(len(part)) for part in parts])
    for neuron, signal in ((Neuron(0, 2), "hidden"), (Neuron(1, 7), "cell")):
        trace = recording.trace(neuron, signal).astype(np.float64)
        table = found.by_place(neuron, signal, kind)
        assert len(table) > 5
        last = len(COLUMNS if kind == "line" else PLACES)
        for row in table.itertuples():
            stop = row.stop if row.Index < last - 1 else 10**9
            some = trace[(where >= row.start) & (where <= stop)]
            assert row.n == some.size >= 20
            assert row.mean == pytest.approx(some.mean(), abs=2e-3)
            assert row.std == pytest.approx(some.std(), abs=2e-3)
    assert found.by_place(Neuron(0, 0), "forget_gate", kind) is None


def test_columns_begin_anew_after_each_line_end():
    assert columns_of("ab\n\ncd").tolist() == [0, 1, 2, 0, 0, 1]
    assert columns_of("é\n😀x").tolist() == [0, 1, 0, 1] and columns_of("").tolist() == []


def test_passage_that_stands_there_twice_has_both_places_and_others_none():
    places = _Places("x\n====\n====\n")
    assert places.of("==", 2, 0) == [2, 3, 4] and places.of("==", 2, 1) == [2, 3, 4]
    assert places.of("\n==", 2, 1) == [1] and places.of("==", 1, 0) == [] and places.of("==", 9, 0) == []


def test_value_that_does_not_come_back_is_not_believed(surveyed, tmp_path):
    folder = tmp_path / "lstm"
    shutil.copytree(surveyed[0] / "lstm", folder)
    path = folder / "survey" / "passages.parquet"
    table = pd.read_parquet(path)
    wrong = table.index[(table.layer == 1) & (table.unit == 5) & (table.signal == "cell")][0]
    table.loc[wrong, "value"] += 5
    table.to_parquet(path)
    assert open_portraits(folder / "survey") is None  # drawn for other passages

    portray(load_checkpoint(folder), load_corpus(surveyed[1]), folder / "survey")

    found = open_portraits(folder / "survey")
    assert found.along(wrong, 9) is None and found.along(wrong + 1, 9) is not None


def test_portraits_of_another_network_or_corpus_are_a_sentence(surveyed, tmp_path):
    folder, corpus = surveyed[0] / "lstm", load_corpus(surveyed[1])
    with pytest.raises(InspectorError, match="holds no survey of"):
        portray(load_checkpoint(surveyed[0] / "gru"), corpus, folder / "survey")
    (tmp_path / "other").mkdir()
    for number in range(60):
        (tmp_path / "other" / f"n{number}.py").write_text("x = 1\n" * 20)
    with pytest.raises(InspectorError, match="are from other files"):
        portray(load_checkpoint(folder), load_corpus(tmp_path / "other"), folder / "survey")


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 500])
def test_damaged_portraits_are_a_sentence(surveyed, tmp_path, content):
    shutil.copytree(surveyed[0] / "lstm" / "survey", tmp_path / "survey")
    (tmp_path / "survey" / "portraits.npz").write_bytes(content)
    with pytest.raises(InspectorError, match=r"portraits\.npz is damaged"):
        open_portraits(tmp_path / "survey")


@pytest.mark.parametrize("content", [None, b"", b"x" * 500])
def test_portraits_without_readable_passages_are_a_sentence(surveyed, tmp_path, content):
    shutil.copytree(surveyed[0] / "lstm" / "survey", tmp_path / "survey")
    (tmp_path / "survey" / "passages.parquet").unlink()
    if content is not None:
        (tmp_path / "survey" / "passages.parquet").write_bytes(content)
    with pytest.raises(InspectorError, match=r"passages\.parquet is missing or damaged"):
        open_portraits(tmp_path / "survey")
    with pytest.raises(InspectorError, match=r"passages\.parquet is missing or damaged"):
        portray(load_checkpoint(surveyed[0] / "lstm"), load_corpus(surveyed[1]), tmp_path / "survey")


def test_portraits_that_say_more_of_themselves_are_newer_and_not_damaged(surveyed, tmp_path):
    shutil.copytree(surveyed[0] / "lstm" / "survey", tmp_path / "survey")
    path = tmp_path / "survey" / "portraits.npz"
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    arrays["about"] = np.array(["99", "a", "b", "and more"])
    np.savez(path, **arrays)
    with pytest.raises(InspectorError, match="newer version"):
        open_portraits(tmp_path / "survey")


@pytest.mark.parametrize("column", ["layer", "unit", "signal", "file", "line", "text", "value", "at"])
def test_portraits_are_of_these_passages_and_no_others(surveyed, tmp_path, column):
    shutil.copytree(surveyed[0] / "lstm" / "survey", tmp_path / "survey")
    path = tmp_path / "survey" / "passages.parquet"
    table = pd.read_parquet(path).astype({"signal": str, "file": str, "text": str})
    table.loc[3, column] = "other" if table[column].dtype.kind not in "fiu" else table[column][3] + 1
    table.to_parquet(path)
    assert open_portraits(tmp_path / "survey") is None


@pytest.mark.parametrize(
    ("content", "words"), [(None, "holds no survey of"), ("{", "damaged"), ("{}", "damaged"), ('{"version": 99}', "99")]
)
def test_folder_of_any_name_that_holds_no_survey_is_a_sentence(surveyed, tmp_path, content, words):
    if content is not None:
        (tmp_path / "survey.json").write_text(content)
    with pytest.raises(InspectorError, match=words):
        portray(load_checkpoint(surveyed[0] / "lstm"), load_corpus(surveyed[1]), tmp_path)


def test_command_renews_the_portraits_alone(surveyed, tmp_path, capsys, one_thread):
    shutil.copytree(surveyed[0] / "gru", tmp_path / "gru")
    before = {path.name: path.read_bytes() for path in (tmp_path / "gru" / "survey").iterdir()}
    (tmp_path / "gru" / "survey" / "portraits.npz").unlink()

    command = ["survey", "--only", "portraits", "--network", str(tmp_path / "gru"), "--corpus", str(surveyed[1])]
    assert main(command) == 0

    after = {path.name: path.read_bytes() for path in (tmp_path / "gru" / "survey").iterdir()}
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in before if name != "portraits.npz")


# ------------------------------------------------------------------------------------------------------- on the page


def open_page(network):
    app = AppTest.from_file(APP, default_timeout=120)
    app.query_params["network"], app.query_params["neuron"] = network, "1:5"
    app.run()
    return app.switch_page("app_pages/neuron.py").run()


def test_neuron_page_colours_every_character_of_its_passages_and_draws_the_place():
    app = open_page("lstm")

    assert "Where it stands" in said(app) and "--only portraits" not in said(app)
    excerpts = [one.proto.body for one in app.get("html") if '<div class="cs-excerpt"' in one.proto.body]
    assert len(excerpts) >= 8
    for excerpt in excerpts:
        assert excerpt.count("background:rgb") == excerpt.count("<span")


def test_neuron_page_without_portraits_names_the_command(surveyed, tmp_path, monkeypatch):
    shutil.copytree(surveyed[0] / "lstm", tmp_path / "nets" / "lstm")
    (tmp_path / "nets" / "lstm" / "survey" / "portraits.npz").unlink()
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    app = open_page("lstm")

    assert said(app).count("python -m inspector survey --only portraits") == 2
    excerpts = [one.proto.body for one in app.get("html") if '<div class="cs-excerpt"' in one.proto.body]
    coloured = [excerpt.count("background:rgb") for excerpt in excerpts]
    passages = len(coloured) - 2 * 3  # the text at hand, which was read, shows three places each way
    assert passages > 0 and sum(n == 1 for n in coloured) == passages


@pytest.mark.parametrize(
    ("file", "sample"), [("a/b.py", "address_book.py"), ("k.h", "ring_buffer.c"), ("x", "lighthouse.txt")]
)
def test_gates_are_seen_in_the_sample_that_is_written_like_what_was_surveyed(
    surveyed, tmp_path, monkeypatch, file, sample
):
    shutil.copytree(surveyed[0] / "lstm", tmp_path / "nets" / "lstm")
    path = tmp_path / "nets" / "lstm" / "survey" / "passages.parquet"
    pd.read_parquet(path).astype({"file": str}).assign(file=file).to_parquet(path)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    assert portraits.sample_for(data.network("lstm")) == f"sample:{sample}"
    assert (Path(portraits.__file__).parent / "samples" / sample).is_file()


def rows_of(means, std):
    n = len(means)
    return pd.DataFrame({"start": range(n), "stop": range(n), "mean": means, "std": [std] * n, "n": [100] * n})


def test_words_say_whether_the_place_matters():
    up, none = rows_of([0.0, 0.3, 0.6], 0.1), rows_of([0.1, 0.12, 0.11], 0.4)

    words = portraits.words_of({"characters into the line": up, "characters into the file": none}, 1.0)
    assert words.startswith("The more characters into the line, the higher:") and "file" not in words
    turns = rows_of([0.0, 0.9, 0.1], 0.1)
    turned = portraits.words_of({"characters into the line": turns, "characters into the file": turns}, 1.0)
    assert turned.startswith("It changes with characters into the line and with characters into the file: ")
    assert portraits.words_of({"characters into the file": none}, 1.0).startswith("Where it stands in a line")


def test_position_figure_has_a_panel_for_each_kind_with_mean_and_band():
    figure = position_figure({"a": rows_of([0.0, 0.5], 0.25), "b": rows_of([1.0], 0.0)})

    band, line = figure.data[:2]
    assert list(line.y) == [0.0, 0.5] and list(band.y) == [0.25, 0.75, 0.25, -0.25]
    assert len(figure.data) == 4 and [one.text for one in figure.layout.annotations] == ["a", "b"]
