"""The Training page: the curve, snapshots as networks, how neurons came to be; with scores, without, and damaged."""

import json
import re
import shutil
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from dashboard import data, growth, state, texts
from dashboard.curves import growth_figure, learning_figure, places_of, strengths_figure
from inspector.capture import record
from inspector.corpus import load_corpus
from inspector.emerge import emerge
from inspector.model import load_checkpoint, save_checkpoint
from inspector.recording import InspectorError, Neuron
from tests.conftest import make_python_folder, tiny_model
from tests.screen import APP, open_app, said

TRAINING, NETWORKS = "app_pages/training.py", "app_pages/networks.py"
LOG = "step,characters,train_nats,choose_nats,learning_rate,seconds\n500,3200,1.5,1.6,.01,9\n1000,6400,1.2,1.3,.01,9\n"
STEPS = (0, 9, 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`grown` has snapshots, a log and scores; `young` snapshots alone; `plain` has none of them."""
    folder = tmp_path_factory.mktemp("training")
    facts = {"characters": 6400, "minutes": 1.5, "hardware": "1 CPU", "options": {"batch": 8, "stretch": 8}}
    for step in STEPS:
        model = tiny_model(n_layers=1, seed=step)
        place = folder / "nets" / "grown" / "snapshots" / f"step-{step:06d}"
        save_checkpoint(model, place, training={**facts, "characters": 64 * step})
    save_checkpoint(model, folder / "nets" / "grown", training=facts)
    (folder / "nets" / "grown" / "log.csv").write_text(LOG)
    shutil.copytree(folder / "nets" / "grown", folder / "nets" / "young")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = emerge(folder / "nets" / "grown", load_corpus(make_python_folder(folder)))
    torch.set_num_threads(n_threads)
    found.save(folder / "nets" / "grown" / "emergence.parquet")
    save_checkpoint(tiny_model(n_layers=1), folder / "nets" / "plain")
    return folder / "nets"


@pytest.fixture(autouse=True)
def place(made, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(made))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path))


def test_page_shows_curve_growth_and_the_passage_once_for_each_snapshot():
    app = open_app(TRAINING, network="grown", concept="inside_string", neuron="0:3")

    words = said(app)
    assert "How neurons came to tell “inside a string”" in words and "0:3 at each snapshot" in words
    assert len(app.get("plotly_chart")) == 3
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    for step in STEPS:
        assert f"network=grown%40{step}&" in links[f"step {step}"] and "neuron=0%3A3" in links[f"step {step}"]
    excerpts = [one.proto.body for one in app.get("html") if 'class="cs-excerpt"' in one.proto.body]
    assert len(excerpts) == 3 and len(set(excerpts)) == 3
    assert len({re.sub(r"<[^>]*>", "", one) for one in excerpts}) == 1


def test_page_begins_with_the_concept_that_grew_most_and_another_one_brings_its_best_neuron():
    found = growth.emergence(data.network("grown"))
    app = open_app(TRAINING, network="grown")
    assert app.query_params["concept"] == found.telling(1)[0]

    app.selectbox(key="training_concept").set_value("inside_string").run()
    best = found.best("inside_string").iloc[-1]
    assert app.query_params["concept"] == "inside_string"
    assert app.query_params["neuron"] == f"{best.layer}:{best.unit}"


def test_snapshot_opens_as_a_network_on_read_and_stands_among_the_others_here():
    app = AppTest.from_file(APP, default_timeout=120)
    app.query_params["network"] = "grown@9"
    app.run()
    assert "no survey of grown@9 exists yet" in app.get("bidi_component")[0].proto.bytes.decode(errors="ignore")
    assert app.selectbox(key="pick_network").value == "grown@9"

    assert open_app(TRAINING, network="grown@9").selectbox(key="pick_network").value == "grown"


@pytest.mark.parametrize(
    "name", ["grown@8", "grown@", "grown@-9", "grown@9/..", "nobody@9", "grown@\uff19", "@9", "grown@009"]
)
def test_snapshot_that_does_not_exist_is_no_network(name):
    assert data.network_folder(name) is None
    assert f"There is no network called “{name}”" in said(open_app(TRAINING, network=name))


def test_values_of_a_snapshot_are_those_it_computes_with_the_text_before(made):
    text = texts.load_text(state.FIRST_TEXT)
    span = growth.span(text, "inside_string", 700)
    assert span[0] <= 700 < span[1] and text.content[span[0] - 1] == "\n"

    sights = growth.sights(data.network("grown"), text, span, Neuron(0, 3), "cell")

    assert [sight.step for sight in sights] == list(STEPS)
    model = load_checkpoint(made / "grown" / "snapshots" / "step-000009")
    recording = record(model, text.content[: span[1]], signals=("cell",))
    expected = recording.trace(Neuron(0, 3), "cell")[span[0] :]
    np.testing.assert_allclose(sights[1].values[3].astype(np.float32), expected, atol=2e-3)
    assert sights[1].nats == pytest.approx(float(np.mean(recording.loss[span[0] :])), abs=1e-4)


def test_passage_holds_its_place_also_in_a_long_line_and_ends_with_its_file():
    long = texts.load_text(texts.keep_text("x" * 3000 + "\n" + "y" * 3000, "long.txt"))
    for at in (0, 239, 240, 2900, 3000, 3001, 5999):
        start, stop = growth.span(long, "digit", at)
        assert start <= at < stop <= start + 240
    two = texts.load_text(texts.keep_files([("a.py", "a = 1"), ("b.py", "b = 2\nc = 3\n")], "two"))
    assert [growth.span(two, "digit", at) for at in (2, 7)] == [(0, 5), (5, 17)]


def test_snapshot_reads_nothing_of_the_file_before():
    network = data.network("grown")
    two = texts.load_text(texts.keep_files([("a.py", "a = 1\n" * 30), ("b.py", "b = 2\n")], "two"))
    alone = texts.load_text(texts.keep_text("b = 2\n", "b.py"))

    together = growth.sights(network, two, (180, 186), Neuron(0, 3), "cell")

    for one, other in zip(together, growth.sights(network, alone, (0, 6), Neuron(0, 3), "cell"), strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_text_of_one_character_has_no_price(made):
    words = said(open_app(TRAINING, network="grown", text=texts.keep_text("x", "x.txt")))
    assert "at each snapshot" in words and "nan" not in words and "bits a character here" not in words


def test_snapshot_that_was_added_is_seen(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "more")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    asked = data.network("more"), texts.load_text(state.FIRST_TEXT), (0, 20), Neuron(0, 3), "hidden"
    assert len(growth.sights(*asked)) == 3

    snapshots = tmp_path / "nets" / "more" / "snapshots"
    shutil.copytree(snapshots / "step-000009", snapshots / "step-000050")

    assert [sight.step for sight in growth.sights(*asked)] == [0, 9, 50, 100]


def test_network_whose_name_has_an_at_sign_owns_its_snapshots(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "a@b")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    assert growth.parent_of("a@b@9") == growth.parent_of("a@b") == "a@b" and growth.parent_of("c") == "c"


def test_measuring_that_is_under_way_is_waited_for_and_nothing_is_measured_where_nothing_is_kept(monkeypatch, tmp_path):
    from inspector import emerge as room

    go, begun = threading.Event(), []

    def slow(*given, **more):
        begun.append(1)
        go.wait(20)
        raise InspectorError("enough")

    monkeypatch.setattr(room, "emerge", slow)
    monkeypatch.setattr(growth, "_MADE_BY", str(make_python_folder(tmp_path)))
    network = data.network("plain")
    first = growth.make(network)
    assert growth.make(network) is first
    go.set()
    assert first.wait(20) and begun == [1]
    monkeypatch.setenv("CHARSCOPE_READ_ONLY", "1")
    with pytest.raises(InspectorError, match="read-only"):
        growth.make(network)


def test_span_without_a_place_is_where_the_concept_comes_and_goes():
    text = texts.load_text(state.FIRST_TEXT)
    start, stop = growth.span(text, "inside_string", None)
    assert text.content[start:stop].count('"') + text.content[start:stop].count("'") > 4
    for name in ("speaker_line", "nobody_knows_it"):  # of another language, of another program: the beginning
        start, stop = growth.span(text, name, None)
        assert start == 0 < stop


def test_unmeasured_snapshots_are_measured_behind_the_page_where_their_text_is_at_hand(monkeypatch, made, tmp_path):
    words = said(open_app(TRAINING, network="young"))
    assert "Nobody has measured its snapshots yet" in words and "--corpus …" in words and "0:0 at each" in words

    monkeypatch.setattr(growth, "can_be_made", lambda kept: True)
    monkeypatch.setattr(growth, "_MADE_BY", str(make_python_folder(tmp_path)))
    app = open_app(TRAINING, network="young")
    app.button(key="measure").click().run()
    assert growth.making(data.network("young")).wait(60)
    assert "Nobody has measured" not in said(app.run())
    assert (tmp_path / "emergence").is_dir() and not (made / "young" / "emergence.parquet").exists()


def test_cancelled_measuring_is_said_and_can_be_begun_again(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "can_be_made", lambda kept: True)
    monkeypatch.setattr(growth, "_MADE_BY", str(make_python_folder(tmp_path)))
    job = growth.make(data.network("young"))
    job.cancel()
    assert job.wait(60)

    app = open_app(TRAINING, network="young")
    assert "Cancelled." in said(app) and app.button(key="measure")


def test_network_without_snapshots_shows_what_there_is():
    words = said(open_app(TRAINING, network="plain"))
    assert "kept no snapshots" in words and "There is no log" in words


def test_recording_is_no_text_that_snapshots_can_read(tmp_path, monkeypatch):
    (tmp_path / "recordings" / "mine").mkdir(parents=True)
    monkeypatch.setenv("CHARSCOPE_RECORDINGS", str(tmp_path / "recordings"))
    app = open_app(TRAINING, network="grown", text="recording:mine")
    assert "here a text is read anew" in said(app) and app.query_params["text"] == state.FIRST_TEXT
    assert not any("(recording)" in option for option in app.selectbox(key="pick_text").options)


def test_training_of_another_program_says_what_it_wrote_down(tmp_path, monkeypatch):
    save_checkpoint(tiny_model(n_layers=1), tmp_path / "nets" / "foreign", training={"minutes": 3, "by": "somebody"})
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    assert ": in 3 minutes" in said(open_app(TRAINING, network="foreign"))


def test_training_written_down_in_words_is_shown_as_it_is(made, tmp_path, monkeypatch):
    shutil.copytree(made / "young", tmp_path / "nets" / "foreign")
    facts = {"characters": "5M", "minutes": "about 9", "hardware": 4090, "options": None}
    save_checkpoint(tiny_model(n_layers=1), tmp_path / "nets" / "foreign", training=facts)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    assert ": 5M characters in about 9 minutes on 4090" in said(open_app(TRAINING, network="foreign"))


def test_concept_that_nobody_knows_is_a_sentence_also_where_nothing_was_measured():
    words = said(open_app(TRAINING, network="young", concept="nonsense"))
    assert "nonsense" in words and f"Showing “{data.concept_title('inside_string')}”" in words


def test_price_is_that_of_the_model_card_where_it_is_of_these_weights(made):
    network = data.network("plain")
    assert "bits/char" not in network.summary()
    card = {"version": 1, "network_hash": network.hash, "report_nats": 1.5, "xz_nats": 1, "ngram_nats": {}}
    try:
        for network_hash, words in ((network.hash, "2.16 bits/char"), ("another", str(network.model.config))):
            (network.folder / "card.json").write_text(json.dumps(card | {"network_hash": network_hash}))
            assert network.summary().endswith(words)
    finally:
        (network.folder / "card.json").unlink()


def test_nothing_that_writes_is_drawn_where_the_program_is_served_read_only(monkeypatch):
    monkeypatch.setenv("CHARSCOPE_READ_ONLY", "1")
    app = open_app(TRAINING, network="young")
    assert not app.button and "python -m inspector emerge" in said(app)


def test_damaged_scores_are_a_sentence(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "broken")
    (tmp_path / "nets" / "broken" / "emergence.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    words = said(open_app(TRAINING, network="broken", neuron="0:3"))

    assert "emergence.parquet is damaged" in words and "What it pays for a character" in words
    assert "0:3 at each snapshot" in words


def test_whole_scores_of_ones_own_stand_in_for_damaged_ones(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "broken")
    (tmp_path / "nets" / "broken" / "emergence.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    network = data.network("broken")
    (tmp_path / "emergence").mkdir()
    shutil.copy(made / "grown" / "emergence.parquet", tmp_path / "emergence" / f"{network.hash[:16]}.parquet")

    assert growth.emergence(network) is not None


def test_scores_of_other_weights_are_not_shown(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "other")
    save_checkpoint(tiny_model(n_layers=1, seed=77), tmp_path / "nets" / "other")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    assert growth.emergence(data.network("other")) is None


@pytest.mark.parametrize(("network", "words"), [("grown", "3 snapshots"), ("plain", "How it was trained →")])
def test_networks_page_leads_to_the_training_of_each(network, words):
    app = open_app(NETWORKS, network=network)
    assert any(words in link.proto.label for link in app.get("page_link"))
    assert dict(app.dataframe[0].value[["network", "n_snapshots"]].values.tolist())["grown"] == 3


# ---------------------------------------------------------------------------------------------------------- figures


def test_beginning_stands_left_of_everything_on_the_logarithmic_axis():
    assert places_of(pd.Series([0, 60, 6000])).tolist() == [20, 60, 6000]
    assert places_of(pd.Series([0, 0])).tolist() == [1, 1]


def test_curve_is_in_bits_and_unmeasured_snapshots_stand_at_its_foot():
    log = pd.DataFrame({"characters": [10.0, 100.0], "train_nats": [np.log(2)] * 2, "choose_nats": [np.log(4)] * 2})
    snapshots = pd.DataFrame({"step": [0, 5], "characters": [0, 50], "nats": [np.nan, np.nan]})

    train, held_out, marks = learning_figure(log, snapshots).data

    assert list(train.y) == pytest.approx([1, 1]) and list(held_out.y) == pytest.approx([2, 2])
    assert list(marks.y) == [0, 0] and marks.line.width == 0 and list(marks.customdata) == [0, 5]
    assert marks.text[1] == "step 5, 50 characters: not measured" and "{y" not in marks.hovertemplate


@pytest.mark.parametrize("nats", [np.nan, 1.0])
def test_curve_begins_at_zero_only_where_something_stands_there(nats):
    log = pd.DataFrame({"characters": [10.0, 100.0], "train_nats": [1.0, 0.9], "choose_nats": [1.0, 0.9]})
    snapshots = pd.DataFrame({"step": [0, 5], "characters": [0, 50], "nats": [nats, nats]})

    assert (learning_figure(log, snapshots).layout.yaxis.rangemode == "tozero") == np.isnan(nats)


def test_what_was_not_trained_at_all_stands_at_the_tick_that_says_so():
    log = pd.DataFrame({"characters": [10.0, 100.0], "train_nats": [1.0, 1.0], "choose_nats": [1.0, 1.0]})
    snapshots = pd.DataFrame({"step": [0, 5], "characters": [0, 50], "nats": [2.0, 1.0]})

    figure = learning_figure(log, snapshots)

    axis = figure.layout.xaxis
    assert figure.data[-1].x[0] == dict(zip(axis.ticktext, axis.tickvals, strict=True))["0"]


@pytest.mark.parametrize("last", [5e4, 49_996_800.0])
def test_axis_of_the_curve_has_its_last_tick_and_both_ends_in_sight(last):
    log = pd.DataFrame({"characters": [5e3, last], "train_nats": [1.0, 1.0], "choose_nats": [1.0, 1.0]})

    axes = learning_figure(log, None).layout.to_plotly_json()

    (low, high), ticks = axes["xaxis"]["range"], axes["xaxis"]["tickvals"]
    assert ticks[-1] == last and low < np.log10(5e3) and high > np.log10(last)
    names = ["5k", "10k", "20k", "50k"] if last == 5e4 else ["10k", "100k", "1M", "10M", "50M"]
    assert list(axes["xaxis"]["ticktext"]) == names
    assert axes["xaxis"]["type"] == "log" and axes["xaxis"]["title"]["text"] == "characters read"
    assert axes["yaxis"]["title"]["text"] == "bits per character"


def test_curve_of_a_single_row_is_a_point():
    log = pd.DataFrame({"characters": [10.0], "train_nats": [1.0], "choose_nats": [1.0]})

    assert [trace.mode for trace in learning_figure(log, None).data] == ["markers", "markers"]


def test_damaged_log_leaves_the_rest_of_the_page(made, tmp_path, monkeypatch):
    shutil.copytree(made / "grown", tmp_path / "nets" / "grown")
    (tmp_path / "nets" / "grown" / "log.csv").write_text("torn")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    app = open_app(TRAINING, network="grown")

    assert "log.csv is damaged" in said(app) and "at each snapshot" in said(app)
    assert len(app.get("plotly_chart")) == 3


def test_growth_has_the_best_and_the_chosen_neuron_before_the_crowd():
    rows = [
        {"layer": 0, "unit": unit, "step": step, "score": 0.5 + 0.1 * unit * (step > 0), "choose_score": 0.1 * unit}
        for unit in range(4)
        for step in (0, 5)
    ]
    snapshots = pd.DataFrame({"step": [0, 5], "characters": [0, 50], "nats": [1.0, 1.0]})

    both = growth_figure(pd.DataFrame(rows), snapshots, chosen=Neuron(0, 1), baseline=0.5, metric="auroc")
    crowd, best, chosen = both.data
    assert np.nanmax(np.array(crowd.y, float)) == pytest.approx(0.8) and len(crowd.x) == 4 * 3
    assert best.name.startswith("0:3") and list(best.y) == pytest.approx([0.5, 0.8])
    assert chosen.name.startswith("0:1") and list(chosen.customdata) == ["0:1", "0:1"]
    alone = growth_figure(pd.DataFrame(rows), snapshots, chosen=Neuron(0, 3), baseline=0.5, metric="auroc")
    assert len(alone.data) == 2 and alone.layout.yaxis.title.text == "held-out AUROC"
    graded = growth_figure(pd.DataFrame(rows), snapshots, chosen=Neuron(0, 3), baseline=0, metric="correlation")
    assert graded.layout.yaxis.title.text == "held-out correlation"  # of the side chosen before: it may be below 0


def test_names_in_figures_are_no_markup():
    rows = pd.DataFrame({"score": [0.5]})
    snapshots = pd.DataFrame({"step": [0], "characters": [0], "nats": [1.0]})
    assert strengths_figure({"<b>x</b>": rows}, snapshots).data[0].name == "&lt;b&gt;x&lt;/b&gt;"
