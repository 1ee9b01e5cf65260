"""The neuron's page, the table and map of all neurons, saturation: with a survey, with an old one, and without."""

import io
import json
import re
import shutil
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import streamlit
import torch
from streamlit.testing.v1 import AppTest

from dashboard import cards, data, notes, share, tables, texts
from dashboard.evidence import detects_words, memory_words
from dashboard.figures import map_figure, saturation_figure, spread_figure
from dashboard.findings import Passage, half_life, kurtosis_of, neighbours, open_findings, places_of
from dashboard.palette import STROKE
from dashboard.weights import mean_by_character, opened_by, raised_and_lowered
from inspector.corpus import load_corpus, split_of
from inspector.explain import FORMAT_VERSION
from inspector.model import CharModel, ModelConfig, Vocabulary, load_checkpoint, save_checkpoint
from inspector.notes import Note
from inspector.recording import InspectorError, Neuron
from inspector.survey import survey
from tests.conftest import PYTHON_TEXT
from tests.screen import bodies, open_app, said
from tests.test_pages import address

FIND = "app_pages/find.py"
NEURON, NEURONS, GATES = "app_pages/neuron.py", "app_pages/neurons.py", "app_pages/gates.py"
HOSTILE = "<img src=x onerror=alert(1)> **bold**"


def save_network(folder, kind="lstm", embedding=None):
    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = CharModel(ModelConfig(kind, 2, 6, embedding), vocabulary)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(3)
    save_checkpoint(model, folder)


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    """Three random networks, each with a survey of the same few files; a file's name and text are hostile."""
    folder = tmp_path_factory.mktemp("surveyed")
    sources = folder / "sources"
    sources.mkdir()
    wanted = {"train": 1, "choose": 2, "report": 2}
    for number in range(100):
        name = f"m{number}.py"
        if wanted[split_of(name)] > 0:
            wanted[split_of(name)] -= 1
            (sources / name).write_text((PYTHON_TEXT + f"# {HOSTILE}\n").replace("hello", f"hello {number}") * 6)
    corpus = load_corpus(sources)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for kind in ("lstm", "gru", "rnn"):
        save_network(folder / "nets" / kind, kind)
        survey(load_checkpoint(folder / "nets" / kind), corpus, folder / "nets" / kind / "survey")
    torch.set_num_threads(n_threads)
    save_network(folder / "nets" / "bare")
    save_network(folder / "nets" / "old")
    shutil.copytree(folder / "nets" / "lstm" / "survey", folder / "nets" / "old" / "survey")
    (folder / "nets" / "old" / "survey" / "statistics.parquet").unlink()
    return folder / "nets"


@pytest.fixture(autouse=True)
def place(surveyed, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(surveyed))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path))


# ------------------------------------------------------------------------------------------------------ Neuron page


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_neuron_page_shows_every_part_for_every_kind_of_network(kind):
    app = open_app(NEURON, network=kind, neuron="1:2")

    words = said(app)
    for heading in ("What it follows", "How its values are spread", "Its memory", "Most alike and most opposite",
                    "Where it stands", "What it makes likelier",
                    "Strongest positive", "Strongest negative", "At random"):  # fmt: skip
        assert heading in words
    assert "Neuron 1:2" in words and "chance 0." in words and "untrained twin" in words
    memory = {"lstm": "Its forget gate is 0.", "gru": "Its update gate is 0.", "rnn": "has no gates"}
    assert memory[kind] in words
    assert ("After which characters its gates are open" in words) == (kind != "rnn")
    assert len(app.dataframe[0].value) == 6


def test_neuron_without_explanation_has_the_same_page_and_a_plain_sentence(surveyed):
    found = open_findings(surveyed / "lstm", "lstm", "")
    worst = found.overview.sort_values("skill").iloc[0]

    app = open_app(NEURON, network="lstm", neuron=f"{worst.layer}:{worst.unit}")

    assert "has no explanation yet" in said(app) and "Its memory" in said(app)


@pytest.mark.parametrize("neuron", ["0:2", "1:2"])
@pytest.mark.parametrize("network", ["lstm", "bare"])
def test_neuron_page_shows_the_ends_of_the_text_at_hand_with_a_way_there(monkeypatch, network, neuron):
    monkeypatch.setattr(cards, "_PATIENCE", 60.0)
    text = texts.keep_text("x = 'a'\n" * 60, "own.py")

    app = open_app(NEURON, network=network, neuron=neuron, signal="cell", text=text)

    assert "In own.py" in said(app)
    trace = data.read_with(data.network(network), texts.load_text(text)).trace(Neuron.parse(neuron), "cell")
    ways = [link.proto.query_string for link in app.get("page_link") if re.fullmatch(r"line \d+ →", link.proto.label)]
    places = [int(parse_qs(way)["at"][0]) for way in ways]
    assert len(places) == 6 and (places[0], places[3]) == (trace.argmax(), trace.argmin())
    assert all(parse_qs(way)["text"] == [text] for way in ways)


def test_neuron_page_leads_with_a_recording_in_view_to_the_sample_it_shows():
    app = open_app(NEURON, network="lstm", neuron="0:2", text="recording:mine")

    assert "In address_book.py" in said(app) and address(app)["text"] == "recording:mine"
    way = next(link.proto.query_string for link in app.get("page_link") if link.proto.label.startswith("line "))
    assert parse_qs(way)["text"] == ["sample:address_book.py"]


def test_concept_that_a_neuron_follows_leads_to_find(surveyed, monkeypatch):
    gone = []
    monkeypatch.setattr(tables, "draw", lambda *given, **more: 1)
    monkeypatch.setattr(streamlit, "switch_page", lambda page, query_params: gone.append((page, query_params)))

    open_app(NEURON, network="lstm", neuron="1:2")

    row = open_findings(surveyed / "lstm", "lstm", "").about(Neuron(1, 2)).iloc[1]
    page, query = gone[0]
    assert (page, query["concept"], query["about"], query["signal"]) == (FIND, row.concept, "1:2", row.signal)


def test_neuron_page_of_the_first_layer_says_what_opens_gates_and_that_it_has_no_direct_effect():
    words = said(open_app(NEURON, network="lstm", neuron="0:2"))

    assert "Which characters open its gates" in words and "no direct effect" in words


def test_neuron_page_leads_to_neighbours_and_relatives(surveyed):
    app = open_app(NEURON, network="lstm", neuron="0:5")

    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert "neuron=0%3A4" in links["← 0:4"] and "neuron=1%3A0" in links["1:0 →"]
    alike, opposite = open_findings(surveyed / "lstm", "lstm", "").kin(Neuron(0, 5), "hidden")
    assert alike and opposite and all(one.r > 0 for one in alike) and all(one.r < 0 for one in opposite)
    for one in alike + opposite:
        assert f"{one.neuron} {one.r:+.2f}" in links


def test_best_explained_neuron_has_none_that_is_more_explained(surveyed):
    best = open_findings(surveyed / "lstm", "lstm", "").overview.sort_values("skill", ascending=False).iloc[0]

    app = open_app(NEURON, network="lstm", neuron=f"{best.layer}:{best.unit}")

    labels = [link.proto.label for link in app.get("page_link")]
    assert any(label.startswith("less explained") for label in labels)
    assert not any(label.startswith("more explained") for label in labels)


def test_plain_network_is_not_said_to_have_gates():
    words = said(open_app(NEURON, network="rnn", neuron="0:2"))

    assert "Which characters move it" in words and "open its gates" not in words


@pytest.mark.parametrize(("network", "words"), [("bare", "No survey of bare"), ("old", "of an earlier version")])
@pytest.mark.parametrize("page", [NEURON, NEURONS, GATES])
def test_page_without_statistics_says_which_command_makes_them(page, network, words):
    shown = said(open_app(page, network=network))

    assert words in shown
    assert f"python -m inspector survey --network {data.network(network).place}" in shown


def test_survey_without_gates_says_which_command_gathers_them(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    path = tmp_path / "nets" / "lstm" / "survey" / "statistics.parquet"
    table = pd.read_parquet(path)
    table[table.signal.isin(["hidden", "cell"])].to_parquet(path)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    for page in (NEURON, GATES):
        assert "did not gather gates: python -m inspector survey" in said(open_app(page, network="lstm"))
    assert len(open_app(NEURONS, network="lstm").dataframe[0].value) == 12


@pytest.mark.parametrize("is_of_these_weights", [True, False])
def test_formula_of_a_neuron_is_shown_where_it_was_made_for_these_weights(
    surveyed, monkeypatch, tmp_path, is_of_these_weights
):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    network_hash = data.network("lstm").hash if is_of_these_weights else "0" * 64
    row = {"layer": 1, "unit": 2, "signal": "cell", "formula": "digit AND NOT newline", "polarity": -1,
           "threshold": -0.25, "score": 0.81, "chance": 0.07, "is_explained": True}  # fmt: skip
    folder = tmp_path / "nets" / "lstm" / "survey"
    pd.DataFrame([row]).to_parquet(folder / "explanations.parquet")
    (folder / "explanations.json").write_text(json.dumps({"network_hash": network_hash}))

    words = said(open_app(NEURON, network="lstm", neuron="1:2"))

    told = (
        "Its cell state is at most -0.25 roughly where digit AND NOT newline holds: held-out Matthews correlation "
        "0.81, chance 0.07; that explains it."
    )
    assert (told in words) == is_of_these_weights
    assert ("formula" in open_app(NEURONS, network="lstm").dataframe[0].value) == is_of_these_weights


@pytest.mark.parametrize(
    ("version", "table", "why"),
    [(FORMAT_VERSION + 1, b"", "are of a newer version than this program knows: update it, or make them again"),
     (FORMAT_VERSION, b"torn", "are damaged: make them again with python -m inspector explain")],
)  # fmt: skip
def test_explanations_that_cannot_be_read_are_a_sentence_and_the_rest_is_shown(
    surveyed, monkeypatch, tmp_path, version, table, why
):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    folder = tmp_path / "nets" / "lstm" / "survey"
    (folder / "explanations.parquet").write_bytes(table)
    told = {"version": version, "network_hash": data.network("lstm").hash}
    (folder / "explanations.json").write_text(json.dumps(told))

    words = said(open_app(NEURON, network="lstm", neuron="1:2"))
    assert why in words and "What it follows" in words and "At random" in words
    app = open_app(NEURONS, network="lstm")
    assert why in said(app) and len(app.dataframe[0].value) == 12


PARTS = {
    "neurons.parquet": "What it follows",
    "statistics.parquet": "Its memory",
    "passages.parquet": "Strongest positive",
    "correlations.npz": "over the surveyed text alike",
}


@pytest.mark.parametrize(
    ("name", "kept"),
    [("neurons.parquet", 4), ("statistics.parquet", 4), ("passages.parquet", 40), ("correlations.npz", 0),
     ("correlations.npz", 60), ("correlations.npz", None)],
)  # fmt: skip
def test_damaged_file_of_a_survey_takes_only_what_is_in_it(surveyed, monkeypatch, tmp_path, name, kept):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    path = tmp_path / "nets" / "lstm" / "survey" / name
    whole = path.read_bytes()
    # Cut off, or, as long as it was, wrong where its compressed values begin.
    path.write_bytes(whole[:kept] if kept is not None else whole[:80] + b"\xff" * 40 + whole[120:])
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    words = re.sub(r"\s+", " ", said(open_app(NEURON, network="lstm", neuron="0:5")))
    assert f"{name} in the survey of" in words and "is damaged: make it again" in words
    assert [part for part, heading in PARTS.items() if heading not in words] == [name]
    app = open_app(NEURONS, network="lstm")
    assert len(app.dataframe[0].value) == 12
    assert len(app.get("plotly_chart")) == (name != "correlations.npz")
    assert said(app).count(f"{name} in the survey of") == (name != "passages.parquet")
    assert (f"{name} in the survey of" in said(open_app(GATES, network="lstm"))) == (name == "statistics.parquet")


def test_survey_without_scores_lists_its_neurons_and_claims_nothing_of_them(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    (tmp_path / "nets" / "lstm" / "survey" / "neurons.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    words = said(app := open_app(NEURONS, network="lstm", word="1:"))
    assert "12 neurons" in words and "clearly follow" not in words and "No neuron meets all of these" in words
    assert not app.dataframe
    assert "follow none of the concepts" not in said(open_app("app_pages/tour.py", network="lstm"))


def test_survey_without_scores_and_statistics_is_a_sentence(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    for name in ("neurons", "statistics"):
        (tmp_path / "nets" / "lstm" / "survey" / f"{name}.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    for page in (NEURON, NEURONS, GATES):
        words = said(open_app(page, network="lstm"))
        assert "neurons.parquet in the survey of" in words and "python -m inspector survey --network" in words


def test_correlations_of_other_neurons_are_not_taken_for_these(surveyed, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "lstm")
    np.savez(tmp_path / "lstm" / "survey" / "correlations.npz", hidden=np.zeros((3, 3), np.int8))

    with pytest.raises(InspectorError, match="is of other neurons"):
        open_findings(tmp_path / "lstm", "nets/lstm", "").kin(Neuron(0, 1), "hidden")


def test_damaged_portraits_leave_the_rest_of_the_page(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    (tmp_path / "nets" / "lstm" / "survey" / "portraits.npz").write_bytes(b"PK")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    words = said(open_app(NEURON, network="lstm", neuron="1:2"))

    assert "portraits.npz is damaged" in words and "Only framed characters have a value here" in words
    for heading in ("What it follows", "Strongest positive", "Its memory", "Most alike and most opposite",
                    "What it makes likelier", "After which characters its gates are open"):  # fmt: skip
        assert heading in words


def test_survey_that_could_rank_nothing_names_what_it_had_too_little_of(surveyed, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "lstm")
    path = tmp_path / "lstm" / "survey" / "neurons.parquet"
    nothing = pq.read_table(path).slice(0, 0)
    facts = json.loads(nothing.schema.metadata[b"charscope"])
    facts["too_little"] = {name: "too little" for name in ("digit", "vowel", "newline", "uppercase", "word_end")}
    pq.write_table(nothing.replace_schema_metadata({b"charscope": json.dumps(facts)}), path)

    words = "could rank no neuron: its text has too little of digit, vowel, newline, uppercase and 1 more"
    found = open_findings(tmp_path / "lstm", "nets/lstm", "")
    assert words in found.lost["scores"] and len(found.overview) == 12 and found.about(Neuron(0, 1)).empty


def test_neuron_that_does_not_exist_is_a_sentence():
    assert "Neuron 7:0 does not exist" in said(open_app(NEURON, network="lstm", neuron="7:0"))


def test_hostile_passages_and_file_names_stay_text(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    path = tmp_path / "nets" / "lstm" / "survey" / "passages.parquet"
    table = pd.read_parquet(path).astype({"file": str, "text": str})
    table["file"], table["text"] = f"{HOSTILE}.py", f"{HOSTILE}\x00\n" * 3
    table["at"] = 4
    table.to_parquet(path)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    app = open_app(NEURON, network="lstm", neuron="0:0")

    assert f"{HOSTILE}.py:" in said(app)
    assert "<img" not in "".join(bodies(app)) and ">bold<" not in "".join(bodies(app))


def test_headings_sentences_and_chips_show_markup_as_text():
    def script():
        from dashboard import cards

        cards.heading("<b>1", "<b>2")
        cards.sentence("<b>3")
        cards.chips("<b>4", [("<b>", "<b>5")])

    app = AppTest.from_function(script).run()

    assert said(app) == "<b>1 <b>2\n<b>3\n<b>4<b><b>5"


# --------------------------------------------------------------------------------------------------------- Passages


def test_passage_of_the_python_library_is_found_at_its_line():
    content = texts.load_text("stdlib:heapq.py").content
    line = content.count("\n", 0, content.index("def heappush")) + 1
    at = content.index("def heappush")
    passage = Passage("top", 0.0, "heapq.py", line, content[at - 9 : at + 30], 9)

    assert passage.start_in(content) == at - 9
    assert passage.first_line == line - content.count("\n", at - 9, at)
    assert Passage("top", 0.0, "x", line + 1, passage.text, 9).start_in(content) is None
    assert Passage("top", 0.0, "x", 10**6, passage.text, 9).start_in(content) is None


# ------------------------------------------------------------------------------------------------- Neurons and Gates


def test_neurons_lists_all_and_what_is_filtered_stands_in_the_address(surveyed):
    app = open_app(NEURONS, network="lstm")

    assert len(app.dataframe[0].value) == 12
    app.selectbox(key="only_layer").set_value(1).run()
    shown = app.dataframe[0].value
    assert set(shown.neuron) == {f"1:{unit}" for unit in range(6)}
    assert shown.histogram.map(len).eq(32).all() and "half_life" in shown
    assert address(app)["layer"] == "1"
    assert set(shown.metric) <= {"AUROC", "r"}  # a score says little without its measure
    app.number_input(key="least_score").set_value(1.0).run()
    assert (address(app)["least"], address(app)["layer"]) == ("1", "1")
    assert app.dataframe[0].value.score.eq(1).all() and not app.exception


def test_filters_that_no_neuron_meets_are_said_and_no_other_neuron_is_shown(surveyed):
    overview = open_findings(surveyed / "lstm", "lstm", "").overview
    theirs = [set(overview.concept[overview.layer == layer]) for layer in range(2)]
    only = min(theirs[0] - theirs[1])

    app = open_app(NEURONS, network="lstm", layer="1", only=only)

    assert "No neuron meets all of these" in said(app) and not app.dataframe and not app.get("plotly_chart")


def test_filters_can_be_taken_away_again():
    app = open_app(NEURONS, network="lstm", layer="1", order="peaked")

    # The browser draws the cross that empties a box only where the box begins empty.
    assert not any(app.selectbox(key=key).proto.HasField("default") for key in ("only_layer", "only_concept", "order"))
    app.selectbox(key="only_layer").set_value(None).run()
    assert "layer" not in address(app) and len(app.dataframe[0].value) == 12


def test_neuron_that_was_not_ranked_is_listed_without_a_concept(surveyed, monkeypatch, tmp_path):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    path = tmp_path / "nets" / "lstm" / "survey" / "neurons.parquet"
    table = pq.read_table(path)
    rows = table.to_pandas()
    keep = ~((rows.layer == 1) & (rows.unit == 2))
    pq.write_table(table.filter(pa.array(keep)), path)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    shown = open_app(NEURONS, network="lstm").dataframe[0].value.set_index("neuron")

    assert len(shown) == 12 and shown.isna().score["1:2"]


def test_neurons_of_an_address_are_those_that_it_names_in_its_order(surveyed):
    overview = open_findings(surveyed / "lstm", "lstm", "").overview
    concept = overview.concept.mode()[0]

    app = open_app(NEURONS, network="lstm", only=concept, least="0.1", order="peaked")

    shown = app.dataframe[0].value
    mine = overview[(overview.concept == concept) & (overview.score >= 0.1)]
    assert len(shown) == len(mine) > 0
    assert shown["kurtosis"].is_monotonic_decreasing
    assert (app.selectbox(key="only_concept").value, app.number_input(key="least_score").value) == (concept, 0.1)
    by_number = open_app(NEURONS, network="lstm", order="number").dataframe[0].value
    assert list(by_number.neuron) == [f"{layer}:{unit}" for layer in range(2) for unit in range(6)]


def test_neurons_are_found_by_a_word_of_their_concept_or_note_that_stands_in_the_address(surveyed):
    notes.notes_of(data.network("lstm").hash).put(Note(Neuron(1, 4), title="My (Blanks"))
    app = open_app(NEURONS, network="lstm")
    every = app.dataframe[0].value
    part = every.title[0][1:].upper()

    app.text_input(key="word").set_value(" (blanks ").run()
    assert list(app.dataframe[0].value.neuron) == ["1:4"] and address(app)["word"] == "(blanks"
    app.text_input(key="word").set_value(part).run()
    assert set(app.dataframe[0].value.neuron) == set(every.neuron[every.title.str.upper().str.contains(part)])
    app.text_input(key="word").set_value("").run()
    assert len(app.dataframe[0].value) == 12 and "word" not in address(app)


def test_listed_neurons_can_be_taken_along(monkeypatch):
    offered = {}
    monkeypatch.setattr(share, "table", lambda table, name: offered.update({name: table}))

    open_app(NEURONS, network="lstm", layer="1")

    (table,) = offered.values()
    assert (
        list(offered) == ["neurons-lstm"] and set(table.layer) == {1} and {"score", "title", "kurtosis"} <= set(table)
    )
    assert all(json.loads(share._json(table))) and len(pd.read_parquet(io.BytesIO(share._parquet(table)))) == 6


def test_filter_that_does_not_exist_is_a_sentence_and_all_are_listed():
    app = open_app(NEURONS, network="lstm", layer="7", only="nonsense")

    assert "There is no layer 7" in said(app) and "no neuron's best concept" in said(app)
    assert len(app.dataframe[0].value) == 12


def test_notes_stand_in_the_list_of_neurons():
    notes.notes_of(data.network("lstm").hash).put(Note(Neuron(1, 4), title="mine", star=True))

    table = open_app(NEURONS, network="lstm").dataframe[0].value

    assert table.set_index("neuron").note.dropna().to_dict() == {"1:4": "★ mine"}


def test_find_leads_with_the_survey_where_a_text_is_short():
    asked = {"network": "lstm", "text": "sample:address_book.py", "concept": "inside_string", "also": "whitespace"}
    app = open_app(FIND, **asked)

    found = data.findings(data.network("lstm")).scores
    first = found[found.concept == "inside_string"].iloc[0]
    compared, ranked = (one.value for one in app.dataframe)
    assert set(compared.found_in) == {"survey"}
    assert ranked.neuron[0] == f"{first.layer}:{first.unit}" and len(ranked) == 12
    assert ranked.score[0] == pytest.approx(first.score)
    assert f"{data.survey(data.network('lstm')).n_report_chars:,} held-out characters" in said(app)
    assert "chosen by the survey" in said(app)

    source = next(one for one in app.get("button_group") if one.key == "within")
    source.set_value("text").run()
    assert address(app)["within"] == "text"
    assert app.dataframe[0].value.found_in.eq("this text").all() and len(app.dataframe[1].value) == 24


def test_find_ranks_by_a_long_text_itself():
    text = texts.keep_text(PYTHON_TEXT * (20_000 // len(PYTHON_TEXT) + 1), "long.py")

    app = open_app(FIND, network="lstm", text=text, concept="inside_string")

    assert len(app.dataframe[0].value) == 24 and "the best was" in said(app)


def test_find_shows_the_survey_where_this_text_has_too_little():
    text = texts.keep_text('x = "one"\n' * 3, "short.py")

    app = open_app(FIND, network="lstm", text=text, concept="inside_string", within="text")

    assert "Too little to rank" in said(app)
    assert len(app.dataframe[0].value) == 12


def test_neurons_of_a_network_without_gates_has_no_empty_columns():
    assert "half_life" not in open_app(NEURONS, network="rnn").dataframe[0].value


@pytest.mark.parametrize("is_explained", [True, False])
def test_tour_ends_at_a_neuron_that_neither_concept_nor_formula_explains(surveyed, monkeypatch, tmp_path, is_explained):
    shutil.copytree(surveyed / "lstm", tmp_path / "nets" / "lstm")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    folder = tmp_path / "nets" / "lstm" / "survey"
    overview = open_findings(tmp_path / "nets" / "lstm", "lstm", "").overview
    rest = overview[~overview.verdict.isin(("strong", "clear"))]
    rows = [{"layer": row.layer, "unit": row.unit, "formula": "digit", "is_explained": is_explained and row.layer == 1}
            for row in rest.itertuples()]  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "explanations.parquet")
    (folder / "explanations.json").write_text(json.dumps({"network_hash": data.network("lstm").hash}))

    words = said(open_app("app_pages/tour.py", network="lstm"))

    n_left = int((rest.layer == 0).sum()) if is_explained else len(rest)
    assert 0 < n_left < 12 and "A neuron that is not explained yet" in words
    assert f"{n_left} of the 12 neurons follow none of the concepts that were searched clearly, and no form" in words
    layer = 0 if is_explained else 1
    least = rest[rest.layer == layer].sort_values("choose_skill").iloc[0]
    assert f"{layer}:{least.unit} is one of them" in words


def test_gates_page_shows_saturation_of_every_gate():
    app = open_app(GATES, network="gru", neuron="0:1")

    assert "shut (below .1)" in said(app)
    assert "gates are shut" in said(app) and "gates are shut" not in said(open_app(GATES, network="rnn"))


# ---------------------------------------------------------------------------------------------------- pure functions


def test_saturation_figure_has_each_neuron_where_its_shares_are(surveyed):
    statistics = open_findings(surveyed / "lstm", "lstm", "").statistics
    statistics = statistics.assign(low_share=np.linspace(0, 0.4, len(statistics)), high_share=0.5)
    gates = [("input_gate", "input gate"), ("forget_gate", "forget gate")]

    figure = saturation_figure(statistics, gates, chosen=Neuron(1, 3))

    points = [trace for trace in figure.data if trace.mode == "markers" and len(trace.x) == 6]
    row = statistics[(statistics.layer == 1) & (statistics.unit == 3) & (statistics.signal == "forget_gate")].iloc[0]
    assert len(points) == 4 and points[3].customdata[3] == "1:3"
    assert (points[3].x[3], points[3].y[3]) == (row.low_share, row.high_share)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_points_of_the_saturation_figure_stand_out_in_either_theme(surveyed, theme):
    statistics = open_findings(surveyed / "lstm", "lstm", "").statistics

    figure = saturation_figure(statistics, [("input_gate", "input gate")], theme=theme)

    points = next(trace for trace in figure.data if trace.mode == "markers")
    assert points.marker.color == STROKE[theme]


def test_map_figure_escapes_and_marks_the_chosen():
    neurons = pd.DataFrame(
        {"layer": [0, 0], "unit": [0, 1], "x": [0.0, 1.0], "y": [1.0, 0.0], "group": ["a", "b"], "said": ["<b>", "&"]}
    )

    figure = map_figure(neurons, chosen=Neuron(0, 1))

    assert figure.data[0].text[0] == "&lt;b&gt;" and figure.data[-1].x[0] == 1.0


def test_spread_figure_has_the_counts_and_the_median():
    row = pd.Series({"signal": "hidden", "lowest": -1.0, "highest": 1.0, "median": 0.25, "histogram": [1, 0, 0, 3]})

    figure = spread_figure({"hidden state": row})

    np.testing.assert_array_equal(figure.data[0].x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(figure.data[0].y, [0.25, np.nan, np.nan, 0.75])
    assert figure.layout.shapes[0].x0 == 0.25


@pytest.mark.parametrize(("n_signals", "n_panels"), [(1, 1), (4, 4), (6, 6)])
def test_spread_figure_has_no_empty_panel(n_signals, n_panels):
    row = {"signal": "hidden", "lowest": -1.0, "highest": 1.0, "median": 0.25, "histogram": [1, 3]}

    figure = spread_figure({str(number): pd.Series(row) for number in range(n_signals)})

    assert sum(name.startswith("xaxis") for name in figure.layout.to_plotly_json()) == n_panels


def test_neurons_that_go_together_lie_close_on_the_map():
    r = np.array([[127, 127, -127], [127, 127, -127], [-127, -127, 127]], np.int8)

    places = places_of(r)

    np.testing.assert_allclose(places[0], places[1], atol=1e-6)
    np.testing.assert_allclose(places[0], -places[2], atol=1e-6)


@pytest.mark.parametrize(("kept", "expected"), [(0.5, 1.0), (0.9, 6.578), (1.0, np.inf), (0.0, 0.0)])
def test_half_life_is_when_half_is_left(kept, expected):
    assert half_life(kept) == pytest.approx(expected, abs=1e-3)


def test_kurtosis_is_that_of_the_values_and_undefined_for_a_constant():
    values = np.random.default_rng(0).normal(size=100_000)
    counts, edges = np.histogram(values, 32)
    row = pd.Series({"lowest": edges[0], "highest": edges[-1], "histogram": counts})

    assert kurtosis_of(row) == pytest.approx(0, abs=0.1)
    assert np.isnan(kurtosis_of(pd.Series({"lowest": 1.0, "highest": 1.0, "histogram": [5, 0]})))


def test_neighbours_are_the_next_in_order_and_none_beyond_the_ends():
    table = pd.DataFrame({"layer": 0, "unit": range(4), "skill": [0.1, 0.9, np.nan, 0.5]})

    assert neighbours(table, Neuron(0, 3), "skill") == (Neuron(0, 1), Neuron(0, 0))
    assert neighbours(table, Neuron(0, 1), "skill") == (None, Neuron(0, 3))
    assert neighbours(table, Neuron(0, 0), "skill") == (Neuron(0, 3), None)
    assert neighbours(table, Neuron(0, 2), "skill") == (Neuron(0, 1), None)


@pytest.mark.parametrize("embedding", [None, 5])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_weights_say_what_a_change_of_the_state_and_of_the_character_does(tmp_path, kind, embedding):
    save_network(tmp_path / "net", kind, embedding)
    model = load_checkpoint(tmp_path / "net")
    raised, lowered = raised_and_lowered(model, Neuron(1, 2), n=200)
    with torch.no_grad():
        state = torch.zeros(6)
        change = model.head(state + torch.eye(6)[2]) - model.head(state)
    expected = (change - change[1:].mean()).numpy()
    for effect in raised + lowered:
        assert effect.amount == pytest.approx(expected[model.vocabulary.encode(effect.symbol)[0]], abs=1e-5)
    assert raised_and_lowered(model, Neuron(0, 2)) is None and opened_by(model, Neuron(1, 2)) is None

    with torch.no_grad():
        driven = model.embed(torch.arange(len(model.vocabulary))[None])[0] @ model.rnn.weight_ih_l0.T
    order = {"lstm": 1, "gru": 1, "rnn": 0}[kind]  # forget gate, update gate, the only row
    name = {"lstm": "forget_gate", "gru": "update_gate", "rnn": "hidden"}[kind]
    column = driven[:, order * 6 + 4]
    best = opened_by(model, Neuron(0, 4))[name][0][0]
    assert best.symbol == model.vocabulary.symbols[1 + int(column[1:].argmax())]
    assert best.amount == pytest.approx(float(column[1:].max() - column[1:].mean()), abs=1e-5)


def test_mean_by_character_leaves_out_rare_ones():
    high, low = mean_by_character("ab" * 5 + "z", np.array([0.25, 0.75] * 5 + [1.0], np.float32))

    assert high == [("b", 0.75)] and low == [("a", 0.25)]


def test_words_of_a_neuron_put_chance_beside_the_score_and_admit_what_is_not_known():
    row = {"signal": "cell", "polarity": -1, "score": 0.97, "metric": "auroc", "baseline": 0.5, "twin_score": 0.6,
           "skill": 0.9, "verdict": "strong"}  # fmt: skip

    headline, evidence = detects_words(Neuron(1, 2), row, "inside a string")
    assert headline == "Neuron 1:2 is low where it reads “inside a string”"
    assert "held-out AUROC 0.97, chance 0.50, untrained twin 0.60; strong." in evidence
    assert "no explanation" in detects_words(Neuron(1, 2), row | {"skill": 0.1}, "digit")[0]
    explained = {"formula": "digit OR uppercase", "is_explained": True, "polarity": 1}
    weak = row | {"skill": 0.1}
    assert "goes with “digit OR uppercase”" in detects_words(Neuron(1, 2), weak, "digit", explained)[0]
    assert "goes against" in detects_words(Neuron(1, 2), weak, "digit", explained | {"polarity": -1})[0]
    assert "no explanation" in detects_words(Neuron(1, 2), weak, "digit", explained | {"is_explained": False})[0]
    assert detects_words(Neuron(1, 2), None, "")[0] == "Neuron 1:2"
    assert "more than a thousand" in memory_words("lstm", 1.0, np.inf)
    assert "half of what it holds is gone after 1.0 character" in memory_words("gru", 0.5, 1.0)
    assert "gone after 28 characters." in memory_words("lstm", 0.98, 27.97)


def test_findings_of_an_old_survey_name_the_command(surveyed):
    found = open_findings(surveyed / "old", "nets/old", "")

    with pytest.raises(InspectorError, match="python -m inspector survey --network nets/old"):
        found.spread(Neuron(0, 1), "hidden")
