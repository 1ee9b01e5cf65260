"""Each page of the dashboard, run without a browser: what is shown, what the address becomes, and every bad input."""

import json
import re
import struct
import threading

import numpy as np
import pytest
import streamlit
import torch
from streamlit.testing.v1 import AppTest

from dashboard import cards, data, tables, texts
from dashboard.data import readings
from inspector.capture import record
from inspector.concepts import CONCEPTS
from inspector.model import CharModel, ModelConfig, Vocabulary, load_checkpoint, save_checkpoint
from inspector.recording import InspectorError, Neuron, import_recording
from tests.conftest import tiny_model
from tests.screen import bodies, open_app, said

FIND, NETWORKS = "app_pages/find.py", "app_pages/networks.py"
GATES, TOUR = "app_pages/gates.py", "app_pages/tour.py"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two random networks: `python` with a survey that names 1:3, `small` without one."""
    folder = tmp_path_factory.mktemp("checkpoints")
    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(CharModel(ModelConfig("lstm", 2, 6), vocabulary), folder / "python")
        save_checkpoint(CharModel(ModelConfig("gru", 1, 4), vocabulary), folder / "small")
    write_survey(folder / "python", load_checkpoint(folder / "python").hash)
    return folder


def write_survey(folder, network_hash):
    row = {
        "layer": 1, "unit": 3, "signal": "cell", "polarity": -1, "score": 0.97, "metric": "auroc", "choose_score": 0.98,
        "baseline": 0.5, "twin_score": 0.6, "q_value": 0.001, "threshold": 0.3, "f1": 0.9, "average_precision": 0.9,
        "verdict": "strong",
    }  # fmt: skip
    facts = {
        "version": 1, "network": folder.name, "network_hash": network_hash, "corpus": "made up",
        "n_choose_chars": 1, "n_report_chars": 2, "concepts": {"inside_string": [row]},
    }  # fmt: skip
    (folder / "survey").mkdir(exist_ok=True)
    (folder / "survey" / "survey.json").write_text(json.dumps(facts))


@pytest.fixture(autouse=True)
def place(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(checkpoints))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path))
    monkeypatch.setattr(cards, "_PATIENCE", 60.0)  # a busy machine takes its time


def shown(app):
    """(header, text, chosen trace) of what the overlay was sent."""
    payload = app.get("bidi_component")[0].proto.bytes
    (length,) = struct.unpack("<I", payload[:4])
    header = json.loads(payload[4 : 4 + length])

    def section(name, dtype):
        found = next(one for one in header["sections"] if one["name"] == name)
        return np.frombuffer(payload, dtype, found["length"], 4 + length + found["offset"])

    trace = section(f"trace/{header['neuron']}/{header['signal']}", "<f4")
    return header, section("text", np.uint8).tobytes().decode(), trace


def address(app):
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


# ------------------------------------------------------------------------------------------------------------ Read


def test_first_sight_is_the_best_string_neuron_on_source_code(checkpoints):
    app = open_app()

    header, text, trace = shown(app)
    sample = texts.load_text("sample:address_book.py").content
    assert text == sample
    assert (header["neuron"], header["signal"]) == ("1:3", "cell")
    expected = record(load_checkpoint(checkpoints / "python"), sample).trace(Neuron(1, 3), "cell")
    np.testing.assert_allclose(trace, expected, atol=2e-3)
    assert header["title"] == "The best “inside a string” neuron: 1:3"
    assert "held-out AUROC 0.97, chance 0.50, untrained twin 0.60" in header["evidence"]


def test_read_shows_what_the_address_names_and_keeps_it():
    query = {"network": "small", "text": "stdlib:heapq.py", "neuron": "0:0", "signal": "update_gate", "at": "0"}

    app = open_app(**query)

    header, text, trace = shown(app)
    assert (header["neuron"], header["signal"], header["at"]) == ("0:0", "update_gate", 0)
    assert text == texts.load_text("stdlib:heapq.py").content
    assert trace.min() >= 0
    assert address(app) == query


def test_what_the_overlay_reports_becomes_the_address_and_is_no_move():
    def script():
        import streamlit as st

        from dashboard import cards, state

        state.current()
        cards.follow("overlay")
        st.text(state.moves())

    app = AppTest.from_function(script)
    app.query_params["network"] = "small"
    app.session_state["overlay"] = {"view": {"neuron": "0:0", "signal": "forget_gate", "at": 0}}
    app.run()

    assert address(app) == {"network": "small", "neuron": "0:0", "signal": "forget_gate", "at": "0"}
    assert app.text[0].value == "0"


SAMPLE, OTHER = "sample:lighthouse.txt", "sample:ring_buffer.c"


def test_late_address_is_not_taken_for_back():
    app = open_app(network="python", text=SAMPLE)
    app.selectbox(key="pick_text").set_value(OTHER).run()
    jump = shown(app)[0]["jump"]

    app.query_params["text"] = SAMPLE  # the browser had not heard of the other one when the reader typed
    app.text_area(key="paste0").set_value("half a sentence").run()

    assert (shown(app)[1], shown(app)[0]["jump"]) == (texts.load_text(OTHER).content, jump)
    assert address(app)["text"] == OTHER


def test_page_that_runs_again_by_itself_takes_no_late_address_for_back():
    def page():
        import streamlit as st

        from dashboard import cards, state
        from dashboard.jobs import Job
        from inspector.recording import Neuron

        view = state.current()
        if st.session_state.pop("waits", False):
            done = Job("reading", None)
            assert done.wait(20)
            st.query_params["neuron"] = "0:1"  # the browser asked whether the work is done before it heard of 0:2
            cards.wait_for(done)
        st.button("next", on_click=lambda: state.go(neuron=Neuron(0, 2)))
        st.text(str(view.neuron))

    app = AppTest.from_function(page)
    app.query_params["neuron"] = "0:1"
    app.run()
    app.button[0].click()
    app.session_state["waits"] = True
    app.run()

    assert app.text[0].value == "0:2"
    assert address(app)["neuron"] == "0:2"


def test_going_back_moves_the_overlay():
    app = open_app(network="python", text=SAMPLE)
    app.selectbox(key="pick_text").set_value(OTHER).run()
    jump = shown(app)[0]["jump"]

    app.query_params["text"] = SAMPLE
    app.run()

    assert (shown(app)[1], shown(app)[0]["jump"]) == (texts.load_text(SAMPLE).content, jump + 1)


def test_long_text_is_read_behind_the_page_and_can_be_cancelled(monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(model, parts, title, signals, tell, should_stop=None):
        begun.set()
        go.wait(20)
        if should_stop():
            raise InspectorError("The recording was stopped.")
        return record(model, [content for _, content in parts], signals=tuple(signals), names=[title])

    data.recordings().clear()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(readings, "_record", slow)
        meanwhile.setattr(cards, "_PATIENCE", 0.0)
        app = open_app(text="stdlib:heapq.py")
        assert "reads heapq" in app.get("progress")[0].proto.text
        assert begun.wait(20)

    next(button for button in app.button if button.label == "Cancel").click().run()
    go.set()
    wait_for_jobs()
    assert "was stopped" in said(app.run())
    next(button for button in app.button if button.label == "Read it after all").click().run()

    assert shown(app)[1] == texts.load_text("stdlib:heapq.py").content


def test_notes_and_the_button_that_copies_the_link_stand_above_a_text_that_is_being_read(monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(model, parts, *given):
        begun.set()
        go.wait(20)
        return record(model, [content for _, content in parts])

    data.recordings().clear()
    monkeypatch.setattr(readings, "_record", slow)
    monkeypatch.setattr(cards, "_PATIENCE", 0.0)
    app = open_app(text="stdlib:heapq.py", tab="99")
    assert begun.wait(20)
    go.set()
    wait_for_jobs()

    assert "“99” is no tab width" in said(app) and len(app.get("bidi_component")) == 1


def wait_for_jobs():
    """Until nothing is being read behind a page."""
    for thread in threading.enumerate():
        if " reads " in thread.name:
            thread.join(20)


def test_text_picker_moves_overlay_and_address():
    app = open_app()
    jump = shown(app)[0]["jump"]

    app.selectbox(key="pick_text").set_value(OTHER).run()
    assert (shown(app)[1], address(app)["text"]) == (texts.load_text(OTHER).content, OTHER)
    assert shown(app)[0]["jump"] == jump + 1


def test_read_tells_which_command_makes_a_missing_survey():
    assert "python -m inspector survey" in shown(open_app(network="small"))[0]["evidence"]


def test_read_refuses_a_survey_of_other_weights(checkpoints, monkeypatch, tmp_path):
    folder = tmp_path / "other"
    save_checkpoint(load_checkpoint(checkpoints / "small"), folder / "python")
    write_survey(folder / "python", "0" * 64)
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(folder))

    app = open_app()

    assert "made for other weights" in said(app)
    assert shown(app)[0]["neuron"] == "0:0"


def test_read_shows_a_saved_recording_without_its_network(checkpoints, tmp_path, monkeypatch):
    recording = record(load_checkpoint(checkpoints / "small"), "def f():\n    pass\n", signals=("hidden",))
    recording.save(tmp_path / "recordings" / "mine")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "none"))

    app = open_app(text="recording:mine", neuron="0:2")

    _, text, trace = shown(app)
    assert text == recording.text
    np.testing.assert_array_equal(trace, recording.trace(Neuron(0, 2), "hidden"))


@pytest.mark.parametrize("content", ["x", "é🎈 <b>\t\r\n'", "a\x00b"])
def test_read_shows_any_text_exactly(content):
    app = open_app(text=texts.keep_text(content, "<script>.txt"))

    _, text, trace = shown(app)
    assert text == content
    assert trace.size == len(content)
    assert "<script>" not in "".join(element.proto.body for element in app.get("html"))


def test_cards_show_markup_as_text():
    def script():
        import numpy as np

        from dashboard import cards
        from dashboard.palette import Scale

        cards.notes(["<b>1"])
        cards.quiet("<b>2")
        cards.claim("<b>3", "<b>4")
        cards.excerpt("<b>\n\x00", np.zeros(5, np.float32), Scale("diverging", -1.0, 1.0), first_line=7)

    app = AppTest.from_function(script).run()

    assert "<b>" not in "".join(element.proto.body for element in app.get("html"))
    assert said(app) == "<b>1\n<b>2\n<b>3 <b>4\n7<b> 8\u2400"


@pytest.mark.parametrize("text", ["a -> b <- c", "<->", "x -- y", ">= 1", "a ~= b <= c", "a->b", "*a* [b](c) `d`"])
def test_label_shows_a_text_as_it_is(text):
    label = cards.plain(text)

    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", label)  # as Markdown reads it
    assert shown.replace("\u2060", "") == text
    for drawn in ("<->", "->", "<-", "--", ">=", "<=", "~="):  # which Streamlit draws as one sign
        assert not re.search(rf"(^|\s){drawn}(\s|$)", shown)


def test_excerpt_says_each_value_where_one_points_and_none_where_there_is_none():
    def script():
        import numpy as np

        from dashboard import cards
        from dashboard.palette import Scale

        cards.excerpt("abc", np.array([0.25, np.nan, -1]), Scale("diverging", -1.0, 1.0), first_line=1)

    body = AppTest.from_function(script).run().get("html")[0].proto.body

    spans = re.findall(r"<span([^>]*)>(.)</span>", body)
    titles = {letter: re.search('title="(.*?)"', attributes) for attributes, letter in spans}
    assert {letter: title and title[1] for letter, title in titles.items()} == {"a": "+0.25", "b": None, "c": "-1.00"}


def test_claims_and_headings_are_headings_to_a_screen_reader():
    def script():
        from dashboard import cards

        cards.claim("first", "more")
        cards.heading("second", "more")

    bodies = [element.proto.body for element in AppTest.from_function(script).run().get("html")]

    assert ['role="heading" aria-level="2">first<' in bodies[0], 'aria-level="3">second<' in bodies[1]] == [True, True]


def test_read_counts_characters_the_network_does_not_know():
    words = said(open_app(text=texts.keep_text("aé🎈\u200b", "a.txt")))
    assert "3 of them unknown to the network" in words and "there: é 🎈 \\u200b" in words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"neuron": "7:0"}, "Neuron 7:0 does not exist: this network has 2 layers"),
        ({"neuron": "1:6"}, "layer 1 has units 0-5. Showing 1:3 instead."),
        ({"neuron": "best"}, "“best” names no neuron"),
        ({"signal": "loudness"}, "Layer 1 has no signal loudness"),
        ({"signal": "Loud!"}, "“Loud!” names no signal"),
        ({"network": "nobody"}, "There is no network called “nobody”. Showing python instead."),
        ({"at": "99999999"}, "behind the end of the text"),
        ({"text": "nonsense"}, "“nonsense” names no text"),
        ({"<b>x": "</div>"}, "does not know, “<b>x”"),
    ],
)
def test_read_falls_back_from_a_nonsense_address_and_says_so(query, words):
    app = open_app(**query)

    assert words in said(app)
    assert shown(app)[1] == texts.load_text("sample:address_book.py").content


@pytest.mark.parametrize(
    ("text_id", "words"),
    [
        ("mine:0123456789abcdef", "not in your library"),
        ("sample:nobody.py", "no sample called “nobody.py”"),
        ("stdlib:../../../etc/passwd", "has no file"),
        ("recording:/nowhere", "There is no folder /nowhere"),
    ],
)
def test_read_says_in_one_sentence_why_there_is_no_text(text_id, words):
    app = open_app(text=text_id)

    assert words in said(app)
    assert app.selectbox(key="pick_text").options  # the way out is still there


def test_read_without_any_network_says_how_to_make_one(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "none"))

    assert "python -m inspector train" in said(open_app())


def test_damaged_network_is_a_sentence_and_the_others_stay(checkpoints, monkeypatch, tmp_path):
    folder = tmp_path / "nets"
    for name in ("broken", "small"):
        save_checkpoint(load_checkpoint(checkpoints / "small"), folder / name)
    weights = folder / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(folder))

    app = open_app(network="broken")
    assert "damaged or cut off" in said(app)

    app.selectbox(key="pick_network").set_value("small").run()
    assert shown(app)[0]["neuron"] == "0:0"
    assert "damaged or cut off" in said(open_app(NETWORKS, network="broken"))


def test_first_network_is_the_first_that_can_be_loaded(checkpoints, monkeypatch, tmp_path):
    for name in ("a-broken", "whole"):
        save_checkpoint(load_checkpoint(checkpoints / "small"), tmp_path / "nets" / name)
    (tmp_path / "nets" / "a-broken" / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))

    app = open_app()

    assert app.selectbox(key="pick_network").value == "whole" and "damaged" not in said(app)


@pytest.mark.parametrize("page", [None, FIND, GATES])
def test_network_of_a_recording_is_said_and_cannot_be_picked(checkpoints, tmp_path, page):
    record(load_checkpoint(checkpoints / "small"), "x = 1\n" * 9, out=tmp_path / "kept")

    app = open_app(page, network="python", text=f"recording:{tmp_path / 'kept'}")

    assert [picker.key for picker in app.selectbox if "network" in picker.key] == []
    assert "a recording of what small made of it" in said(app)
    app.selectbox(key="pick_text").set_value("sample:lighthouse.txt").run()
    assert app.selectbox(key="pick_network").value == "python"


# ------------------------------------------------------------------------------------------------- bringing a text


def test_upload_is_read_and_kept():
    app = open_app()

    app.get("file_uploader")[0].upload("mine.py", b"\xef\xbb\xbfx = 1\r\n").run()

    assert shown(app)[1] == "x = 1\r\n"
    assert [entry.name for entry in texts.kept_texts()] == ["mine.py"]
    assert address(app)["text"] == texts.kept_texts()[0].id


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b"caf\xe9", "not UTF-8 text"), (b"x" * 10_000_000, "10,000,000 characters, and at most")],
)
def test_upload_that_cannot_be_read_is_a_sentence_and_the_old_text_stays(data, words):
    app = open_app()

    app.get("file_uploader")[0].upload("notes.txt", data).run()

    assert words in said(app)
    assert shown(app)[1] == texts.load_text("sample:address_book.py").content


def test_part_of_a_file_that_is_too_long_can_be_read():
    app = open_app()
    app.get("file_uploader")[0].upload("big.py", b"a" * 1_000_001 + b"bcd").run()

    app.number_input(key="part_start").set_value(1_000_000).run()
    next(button for button in app.button if button.label.startswith("Read 1,000,000")).click().run()

    assert shown(app)[1] == "abcd"


def test_folder_of_sources_is_read_file_by_file(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 'open\n")
    (tmp_path / "src" / "b.py").write_text("y = 1\n")
    (tmp_path / "src" / "c.bin").write_bytes(b"\0")
    app = open_app()

    app.text_input(key="sources0").set_value(str(tmp_path / "src")).run()

    header, text, _ = shown(app)
    assert text == "x = 'open\ny = 1\n"
    assert [(one["name"], one["start"]) for one in header["documents"]] == [("a.py", 0), ("b.py", 10)]
    assert "c.bin" in said(app)


def test_several_uploads_are_one_text_of_several_files():
    app = open_app()

    app.get("file_uploader")[0].upload("a.py", b"a = 1\n").upload("b.py", b"b\n").run()

    assert [one["name"] for one in shown(app)[0]["documents"]] == ["a.py", "b.py"]


def test_pasted_text_is_read_exactly():
    app = open_app()

    app.text_area[0].set_value("if <b>:\n\tpass  \n")
    app.selectbox(key="pasted_as").set_value("Python")
    next(button for button in app.button if button.label == "Read it").click().run()

    assert shown(app)[1] == "if <b>:\n\tpass  \n"
    assert texts.kept_texts()[0].name.endswith(".py")


def test_empty_paste_is_a_sentence():
    app = open_app()

    next(button for button in app.button if button.label == "Read it").click().run()

    assert "is empty" in said(app)


# ------------------------------------------------------------------------------------------------------------ Find


def test_find_ranks_every_neuron_and_keeps_the_address():
    app = open_app(FIND, network="small", concept="whitespace", neuron="0:2", signal="hidden")

    table = app.dataframe[0].value
    assert sorted(table["neuron"]) == ["0:0", "0:1", "0:2", "0:3"]
    assert {"score", "baseline", "twin_score", "verdict"} <= set(table.columns)
    assert re.search(rf"^{table.neuron[0]}.*“white space”", said(app), re.MULTILINE)
    assert address(app) == {
        "network": "small", "text": "sample:address_book.py", "concept": "whitespace",
        "neuron": "0:2", "signal": "hidden",
    }  # fmt: skip


def test_find_leads_to_read_at_the_neuron():
    app = open_app(FIND, network="small", concept="whitespace")

    links = [element.proto for element in app.get("page_link") if "→" in element.proto.label]

    first = app.dataframe[0].value["neuron"][0]
    assert f"neuron={first}".replace(":", "%3A") in links[0].query_string
    assert "text=sample" in links[0].query_string


def test_find_shows_what_the_survey_says_where_this_text_has_too_little():
    text = texts.keep_text('x = "one string"\ny = 1\n' * 2, "short.py")
    words = said(open_app(FIND, text=text, concept="inside_string"))
    assert "Too little to rank" in words and "held-out AUROC 0.97" in words
    assert "Too little to rank" in said(open_app(FIND, text=text, concept="inside_docstring"))


def test_find_takes_a_pattern():
    app = open_app(FIND, network="small")

    app.text_input(key="pick_regex").set_value(r"[a-z_]+\(").run()

    assert address(app)["concept"] == r"regex:[a-z_]+\("
    assert address(app)["also"] == "inside_string"
    assert r"“matches [a-z_]+\(”" in said(app)
    assert app.text_input(key="pick_regex").value == ""


def test_find_keeps_what_is_asked_where_a_pattern_is_none():
    app = open_app(FIND, network="small", concept="whitespace")

    app.text_input(key="pick_regex").set_value("(").run()

    assert "not a regular expression" in said(app)
    assert address(app)["concept"] == "whitespace"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"concept": "regex:("}, "not a regular expression"),
        ({"concept": "insde_string"}, "inside_string"),
        ({"concept": "regex:zzzzzz"}, "Too little to rank"),
        ({"text": "recording:/nowhere"}, "There is no folder"),
    ],
)
def test_find_says_in_one_sentence_what_cannot_be_searched(query, words):
    app = open_app(FIND, network="small", **query)

    assert words in said(app)
    assert len(said(app)) > 20


# -------------------------------------------------------------------------------------------------------- Networks


def test_networks_lists_networks_findings_and_texts():
    texts.keep_text("abc", "*mine*.txt")

    app = open_app(NETWORKS)

    several, best = (table.value for table in app.dataframe)
    assert list(several["network"]) == ["python", "small"] and several["n_told"].iloc[0] == 1
    assert list(several["architecture"]) == ["LSTM 2×6", "GRU 1×4"]  # noqa: RUF001 - the multiplication sign is meant
    assert list(best["neuron"]) == ["1:3"] and list(best["metric"]) == ["AUROC"]
    assert app.dataframe[0].proto.HasField("placeholder") and app.dataframe[0].proto.placeholder == ""  # not "None"
    assert "Not surveyed yet" not in said(app)
    app.selectbox(key="pick_network").set_value("small").run()
    assert "Not surveyed yet" in said(app) and len(app.dataframe) == 1 and address(app)["network"] == "small"


def test_row_of_the_networks_leads_to_what_was_found_in_that_one(monkeypatch):
    def draw(table, names, *, key, choose=None, **more):
        if choose is not None:
            streamlit.button("second row", on_click=choose, args=(1,))

    monkeypatch.setattr(tables, "draw", draw)
    app = open_app(NETWORKS)

    next(button for button in app.button if button.label == "second row").click().run()

    assert address(app)["network"] == "small" and "small GRU 1" in said(app)


def test_networks_says_what_a_recording_is_of_and_deletes_it_when_told_twice(checkpoints, tmp_path):
    record(load_checkpoint(checkpoints / "small"), "x = 1\n", signals=("hidden",)).save(
        tmp_path / "recordings" / "mine"
    )
    (tmp_path / "recordings" / "torn").mkdir()
    torn = (tmp_path / "recordings" / "mine" / "manifest").read_bytes()
    (tmp_path / "recordings" / "torn" / "manifest").write_bytes(torn[: len(torn) // 2])
    (tmp_path / "recordings" / "no recording").mkdir()

    app = open_app(NETWORKS)
    assert "6 characters, read by small" in said(app) and "torn: " in said(app) and "no recording" not in said(app)
    app.button(key="delete for good mine").click().run()

    assert not (tmp_path / "recordings" / "mine").exists() and "6 characters" not in said(app)


def test_expected_characters_that_were_not_recorded_are_a_sentence(tmp_path):
    np.savez(tmp_path / "own.npz", **{"0-hidden": np.zeros((2, 4), np.float32)}, text="abcd")
    import_recording(tmp_path / "own.npz", tmp_path / "own")

    app = open_app(text=f"recording:{tmp_path / 'own'}", expects="yes")

    assert "was not recorded with this text" in said(app)
    assert shown(app)[0]["look"]["expects"] is False and "expects" not in address(app)


def test_networks_deletes_a_kept_text():
    text_id = texts.keep_text("abc", "mine.txt")
    app = open_app(NETWORKS)

    app.button(key=f"delete {text_id}").click().run()

    assert texts.kept_texts() == []
    assert not app.exception


def test_switching_the_page_keeps_the_view():
    app = open_app(network="small", neuron="0:2")

    for page in (FIND, NETWORKS, "app_pages/read.py"):
        app.query_params.clear()  # as a browser does
        app.switch_page(page).run()

        assert address(app)["neuron"] == "0:2"
        assert address(app)["network"] == "small"


# -------------------------------------------------------------------------------------------------- Gates and Tour


def picture(app):
    """The header of what the picture of the cell was sent."""
    message = app.get("bidi_component")[0].proto.bytes
    (length,) = struct.unpack("<I", message[:4])
    return json.loads(message[4 : 4 + length])


def test_gates_starts_where_the_neuron_moves_most_as_the_concept_begins(checkpoints):
    app = open_app(GATES)

    assert "1:3" in said(app)
    header = picture(app)
    text = texts.load_text("sample:address_book.py").content
    trace = record(load_checkpoint(checkpoints / "python"), text, ["cell"], dtype="float16").trace(Neuron(1, 3), "cell")
    label = CONCEPTS["inside_string"].label(text, language="python")
    begins = [at for at in range(1, len(text)) if label[at] and not label[at - 1]]
    assert header["at"] == max(begins, key=lambda at: abs(trace[at] - trace[at - 1]))
    assert header["kind"] == "lstm" and header["concept"] == "inside a string" and len(header["signals"]) == 6


def test_gates_knows_every_kind_of_network_and_keeps_its_place():
    app = open_app(GATES, network="small", neuron="0:2", at="7")

    header = picture(app)
    assert (header["kind"], header["at"]) == ("gru", 7)
    app.session_state["cell"] = {"at": 11}
    app.run()
    assert "at" in address(app) and not app.exception


def test_gates_of_a_recording_without_them_is_a_sentence(checkpoints, tmp_path):
    model = load_checkpoint(checkpoints / "python")
    record(model, "x = 1\n" * 9, ["hidden", "cell"], out=tmp_path / "kept")
    assert "--signals all" in said(open_app(GATES, text=f"recording:{tmp_path / 'kept'}"))


def test_gates_of_a_recording_of_states_alone_draw_no_other_kind_of_cell(checkpoints, tmp_path):
    record(load_checkpoint(checkpoints / "small"), "x = 1\n" * 9, ["hidden"], out=tmp_path / "kept")  # a GRU
    app = open_app(GATES, text=f"recording:{tmp_path / 'kept'}")
    assert "--signals all" in said(app) and len(app.get("bidi_component")) == 1  # the button that copies the link


def test_gates_of_a_plain_network_s_recording_are_drawn(tmp_path):
    record(tiny_model("rnn"), "x = 1\n" * 9, out=tmp_path / "kept")
    app = open_app(GATES, text=f"recording:{tmp_path / 'kept'}")
    assert "--signals all" not in said(app) and len(app.get("bidi_component")) == 2


def test_pattern_that_gates_cannot_mark_is_said_once_and_not_tried_at_every_step(monkeypatch):
    tried = []

    def refuse(reading, concept):
        tried.append(concept)
        raise InspectorError("That pattern takes too long.")

    monkeypatch.setattr(data, "labels", refuse)
    app = open_app(GATES, network="small", concept="regex:(a+)+b")
    assert "takes too long" in said(app)
    app.number_input(key="unit").set_value(1).run()

    assert len(tried) == 1 and "takes too long" not in said(app)


def test_tour_leads_from_what_was_found_to_the_views():
    app = open_app(TOUR)

    words = said(app)
    assert "Three things to see" in words
    assert "1. A neuron that tells “inside a string”" in words and "AUROC 0.97" in words
    for gate in ("input gate", "forget gate", "output gate"):
        assert f"\n{gate}\n" in words
    assert "2. What its gates do" in words and "3. A neuron that stands out for no concept" in words and "1:0" in words
    assert [link.proto.page for link in app.get("page_link")] == ["read", "gates", "read"] or len(
        app.get("page_link")
    ) == 3


def test_tour_reads_a_text_where_a_recording_was_in_view(checkpoints, tmp_path):
    record(load_checkpoint(checkpoints / "python"), "x = 1\n" * 9, out=tmp_path / "kept")

    app = open_app(TOUR, network="python", text=f"recording:{tmp_path / 'kept'}")

    assert "things to see" in said(app) and "here a text is read anew" in said(app)


def test_tour_without_a_survey_says_what_is_missing():
    app = open_app(TOUR, network="small")
    assert "needs a network with a survey" in said(app)
    assert "<code>python -m inspector survey --network " in "".join(bodies(app))


def said_on_tour(monkeypatch, tmp_path, kind, rows):
    """The tour of a network; rows: metric, baseline, score, layer, unit and perhaps twin of the best for a concept."""
    save_checkpoint(tiny_model(kind), tmp_path / "nets" / "other")
    listed = {
        name: [{"layer": layer, "unit": unit, "signal": "hidden", "polarity": 1, "score": score, "metric": metric,
                "baseline": baseline, "twin_score": twin[0] if twin else None}]
        for name, (metric, baseline, score, layer, unit, *twin) in rows.items()
    }  # fmt: skip
    facts = {"version": 1, "network_hash": load_checkpoint(tmp_path / "nets" / "other").hash, "corpus": "c",
             "n_report_chars": 9, "concepts": listed}  # fmt: skip
    (tmp_path / "nets" / "other" / "survey").mkdir()
    (tmp_path / "nets" / "other" / "survey" / "survey.json").write_text(json.dumps(facts))
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    return said(open_app(TOUR))


def test_tour_shows_no_neuron_that_an_untrained_network_matches(monkeypatch, tmp_path):
    rows = {
        "newline": ("auroc", 0.5, 0.9991, 0, 1, 0.9957),
        "digit": ("auroc", 0.5, 0.87, 0, 2, 0.8),
        "inside_string": ("auroc", 0.5, 0.6, 1, 3, 0.6),
    }

    words = said_on_tour(monkeypatch, tmp_path, "rnn", rows)

    assert "1. A state that is carried along" in words and f"0:2, the best for “{data.concept_title('digit')}”" in words
    assert "0:1, the best" not in words and "1:3, the best" not in words


@pytest.mark.parametrize(
    ("kind", "gates"), [("lstm", "forget gate keeps"), ("gru", "update gate whether"), ("rnn", "")]
)
def test_tour_of_a_network_that_knows_no_strings_shows_what_it_tells_best_and_the_gates_it_has(
    monkeypatch, tmp_path, kind, gates
):
    rows = {
        "digit": ("auroc", 0.5, 0.7, 1, 1),
        "newline": ("auroc", 0.5, 0.99, 1, 2),
        "word_length": ("correlation", 0, 0.8, 1, 4),
    }
    words = said_on_tour(monkeypatch, tmp_path, kind, rows)

    title = data.concept_title("newline")
    assert f"1. A neuron that tells “{title}”" in words and "1:2" in words
    assert ("What its gates do" in words) == bool(gates) and gates in words
    assert f"A neuron that follows “{data.concept_title('word_length')}”" in words
    assert ("Four things" if gates else "Three things") in words
