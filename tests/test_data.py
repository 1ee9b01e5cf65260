"""What is kept, for how long, and what is made anew."""

import gc
import re
import shutil
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from dashboard import data, texts
from dashboard.data import readings, searching
from dashboard.shelf import Shelf
from inspector.capture import record
from inspector.model import CharModel, ModelConfig, Vocabulary, save_checkpoint
from inspector.recording import InspectorError, Neuron
from inspector.search import rank_labels

ROOT = Path(__file__).resolve().parent.parent
TEXT = texts.Text("mine:1", "a.py", "x = 'a' + \"b\"\n" * 40)


def save_random(folder, *, kind="lstm", n_units=5, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_checkpoint(CharModel(ModelConfig(kind, 2, n_units), Vocabulary.from_text(TEXT.content)), folder)


@pytest.fixture
def networks(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "nets"))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path / "data"))
    save_random(tmp_path / "nets" / "a")
    data.recordings().clear()
    return tmp_path / "nets"


def test_shelf_drops_what_was_not_looked_at_for_longest():
    shelf = Shelf(3, lambda thing: thing)
    for key in "abc":
        shelf.get(key, lambda: 1)
    shelf.get("a", lambda: 1)

    shelf.get("d", lambda: 1)

    assert [key in shelf for key in "abcd"] == [True, False, True, True]


def test_shelf_keeps_the_one_thing_that_is_larger_than_the_cap():
    shelf = Shelf(3, lambda thing: thing)

    assert shelf.get("big", lambda: 10) == 10
    assert "big" in shelf


def test_shelf_makes_a_thing_once_for_two_who_want_it_at_once():
    made, shelf = [], Shelf(10, lambda thing: 1)

    def make():
        time.sleep(0.05)
        made.append(1)
        return "thing"

    threads = [threading.Thread(target=shelf.get, args=("key", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 1


def test_shelf_keeps_nothing_of_what_could_not_be_made():
    shelf = Shelf(10, lambda thing: 1)

    def fail():
        raise InspectorError("no")

    with pytest.raises(InspectorError):
        shelf.get("key", fail)
    assert shelf.get("key", lambda: "now") == "now"


def test_network_is_loaded_once_and_again_when_its_files_change(networks):
    first = data.network("a")
    assert data.network("a") is first

    save_random(networks / "a", n_units=6, seed=1)

    assert data.network("a").hash != first.hash


def test_first_network_in_the_list_is_the_shipped_one(networks):
    save_random(networks / "python")
    (networks / "not a network").mkdir()

    assert data.network_names() == ["python", "a"]


@pytest.mark.parametrize("name", ["b", "../nets/a", "", "."])
def test_network_that_does_not_exist_is_a_sentence(networks, name):
    with pytest.raises(InspectorError, match="there are a"):
        data.network(name)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_reading_gives_every_signal_as_recorded(networks, kind):
    save_random(networks / kind, kind=kind)
    kept = data.network(kind)
    everything = record(kept.model, TEXT.content)

    reading = data.read_with(kept, TEXT)

    for layer, (_, signals) in enumerate(reading.layers):
        for signal in signals:
            trace = reading.trace(Neuron(layer, 4), signal)
            np.testing.assert_allclose(trace, everything.trace(Neuron(layer, 4), signal), atol=1e-3)


def test_gates_are_recorded_when_first_looked_at_and_not_again(networks, monkeypatch):
    reading = data.read_with(data.network("a"), TEXT)
    assert (reading.is_recorded("cell"), reading.is_recorded("forget_gate")) == (True, False)

    first = reading.trace(Neuron(0, 0), "forget_gate")

    monkeypatch.setattr(readings, "_record", None)
    assert reading.is_recorded("input_gate")
    np.testing.assert_array_equal(reading.trace(Neuron(0, 0), "forget_gate"), first)


def test_reading_again_records_nothing(networks, monkeypatch):
    first = data.read_with(data.network("a"), TEXT)

    monkeypatch.setattr(readings, "_record", None)

    assert data.read_with(data.network("a"), TEXT).recording is first.recording


def test_reading_tells_how_far_it_is(networks):
    told = []

    data.read_with(data.network("a"), TEXT, lambda words, share: told.append((words, share)))

    assert told[-1] == ("a reads a.py", 1.0)


def test_text_that_does_not_fit_in_memory_is_a_sentence(networks, monkeypatch):
    monkeypatch.setattr(readings, "MEMORY_CAP", 10_000)

    with pytest.raises(InspectorError, match="at most 119 are read at once"):
        data.read_with(data.network("a"), TEXT)


def test_recording_of_snapshots_opens_with_the_network_that_made_it(networks, tmp_path):
    save_random(networks / "b", seed=1)
    model = data.network("b").model
    record(model, TEXT.content, store="snapshots").save(tmp_path / "states")

    reading = data.open_folder(str(tmp_path / "states"))

    expected = record(model, TEXT.content).trace(Neuron(1, 2), "forget_gate")
    np.testing.assert_allclose(reading.trace(Neuron(1, 2), "forget_gate"), expected, atol=1e-5)


def test_recording_of_snapshots_opens_beside_a_damaged_network(networks, tmp_path):
    save_random(networks / "whole", seed=1)
    record(data.network("whole").model, TEXT.content, store="snapshots").save(tmp_path / "states")
    (networks / "whole").rename(networks / "z")
    (networks / "a" / "model.safetensors").write_bytes(b"")

    assert data.open_folder(str(tmp_path / "states")).trace(Neuron(1, 2), "hidden").shape == (len(TEXT.content),)


def test_few_recordings_of_snapshots_keep_what_they_computed(networks, tmp_path):
    for name in "123":
        record(data.network("a").model, TEXT.content, store="snapshots").save(tmp_path / name)
    first = weakref.ref(data.open_folder(str(tmp_path / "1")).recording)

    for name in "23":
        data.open_folder(str(tmp_path / name)).trace(Neuron(0, 0), "hidden")

    gc.collect()
    assert first() is None


def test_recording_of_snapshots_without_its_network_is_a_sentence(networks, tmp_path):
    save_random(networks / "b", seed=1)
    record(data.network("b").model, TEXT.content, store="snapshots").save(tmp_path / "states")
    shutil.rmtree(networks / "b")

    with pytest.raises(InspectorError, match="put the checkpoint of b"):
        data.open_folder(str(tmp_path / "states"))


def test_guesses_are_numbers_of_symbols(networks):
    reading = data.read_with(data.network("a"), TEXT)
    expected = reading.recording.guesses(0, 10, k=5)

    symbols, ids, probabilities = reading.guesses()

    assert ids.dtype == np.uint16
    assert [[symbols[number] for number in row] for row in ids[:10]] == expected.symbols.tolist()
    np.testing.assert_array_equal(probabilities[:10], expected.probabilities)


def test_labels_of_several_documents_start_anew_in_each(networks, tmp_path):
    parts = ['x = """open\n', "y = 1\n"]
    record(data.network("a").model, parts, names=["a.py", "b.py"], signals=("hidden",)).save(tmp_path / "two")
    reading = data.open_folder(str(tmp_path / "two"))

    label, valid = data.labels(reading, data.concept_called("inside_string"))

    assert label.size == valid.size == len("".join(parts))
    assert not label[len(parts[0]) :].any()


def test_search_has_an_untrained_twin_beside_it_and_is_kept(networks, monkeypatch):
    reading = data.read_with(data.network("a"), TEXT)

    found = data.search(reading, ["inside_string"])

    assert found.tables["inside_string"]["twin_score"].notna().all()
    monkeypatch.setattr(searching, "rank_labels", None)
    assert data.search(reading, ["inside_string"]) is found


def test_several_concepts_are_searched_in_one_pass_and_what_has_too_little_is_said(networks, monkeypatch):
    reading, passes = data.read_with(data.network("a"), TEXT), []
    monkeypatch.setattr(
        searching, "rank_labels", lambda *args, **more: passes.append(list(args[1])) or rank_labels(*args, **more)
    )

    found = data.search(reading, ["inside_string", "whitespace", "inside_docstring", "regex:("])

    assert passes == [["inside_string", "whitespace"]]
    assert list(found.tables) == ["inside_string", "whitespace"]
    assert "holds nowhere" in found.too_little["inside_docstring"]
    assert "not a regular expression" in found.too_little["regex:("]


def test_label_is_computed_once(networks, monkeypatch):
    reading = data.read_with(data.network("a"), texts.Text("mine:2", "b.py", "y = 'b'\n" * 60))
    concept = data.concept_called("inside_string")
    first = data.labels(reading, concept)

    monkeypatch.setattr(type(concept), "label", None)

    assert data.labels(reading, concept) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0][0] = True


def test_label_is_valid_only_where_the_language_is_known(networks, tmp_path):
    model = data.network("a").model
    record(model, ["a 'b'\n", "x = 'c'\n"], names=["a.txt", "b.py"], signals=("hidden",)).save(tmp_path / "mixed")
    record(model, ["a 'b'\n"], names=["a.txt"], signals=("hidden",)).save(tmp_path / "plain")
    reading = data.open_folder(str(tmp_path / "mixed"))

    label, valid = data.labels(reading, data.concept_called("inside_string"))

    assert valid.tolist() == [False] * 6 + [True] * 8
    assert label.sum() == 2 and label[10:12].all()
    assert "inside_string" in data.concepts_of(["a.txt", "b.py"]) and "inside_string" not in data.concepts_of(["a.txt"])
    with pytest.raises(InspectorError, match="language"):
        data.labels(data.open_folder(str(tmp_path / "plain")), data.concept_called("inside_string"))


def test_concept_that_holds_nowhere_is_said_to(networks):
    reading = data.read_with(data.network("a"), TEXT)

    found = data.search(reading, ["regex:zzqqx"])

    assert "it holds nowhere in this text" in found.too_little["regex:zzqqx"] and not found.tables


def test_codes_are_found_behind_the_page_and_kept(networks, monkeypatch):
    reading = data.read_with(data.network("a"), TEXT)
    ranking = data.search(reading, ["inside_string"]).tables["inside_string"]

    job = data.begin_codes(reading, "inside_string", ranking)

    assert job is not None and job.wait(30)
    job.check()
    monkeypatch.setattr(searching, "best_codes", None)
    assert data.begin_codes(reading, "inside_string", ranking) is None
    assert list(data.codes(reading, "inside_string", ranking)["k"])[:2] == [1, 2]


def test_gates_are_read_behind_the_page_and_can_be_cancelled_and_asked_for_again(networks, monkeypatch):
    reading, told = data.read_with(data.network("a"), TEXT), []
    go, asked = threading.Event(), threading.Event()
    recorded = readings._record

    def slow(*given):
        *_, progress, should_stop = given
        progress("", 0.5)
        asked.set()
        go.wait(20)
        if should_stop():
            raise InspectorError("stopped")
        return recorded(*given)

    monkeypatch.setattr(readings, "_record", slow)
    job = data.begin_signal(reading, "forget_gate", then=lambda: told.append("there"))

    assert data.begin_signal(reading, "input_gate") is job  # whoever wants a gate waits for the same work
    assert asked.wait(20) and job.share == 0.5
    job.cancel()
    go.set()
    assert job.wait(20) and job.has_failed and not reading.is_recorded("forget_gate") and not told
    data.forget_signal(reading)
    assert data.begin_signal(reading, "forget_gate", then=lambda: told.append("there")).wait(20)
    assert data.begin_signal(reading, "forget_gate") is None and told == ["there"]
    assert reading.trace(Neuron(0, 1), "forget_gate").shape == (len(TEXT.content),)


SERVED = """
import asyncio, gc, socket
from dashboard import app, data

listening = socket.create_server(("127.0.0.1", 0))  # as Streamlit opens it: asyncio takes it for no TCP socket

async def serve():
    events = asyncio.Queue()
    await events.put({"type": "lifespan.startup"})
    async def heard(event):
        assert event["type"].endswith("complete"), event
    server = asyncio.create_task(app.app({"type": "lifespan", "asgi": {"version": "3.0"}}, events.get, heard))
    for _ in range(600):
        if gc.get_freeze_count() or server.done():
            break
        await asyncio.sleep(0.1)
    browser = socket.create_connection(listening.getsockname())
    at_once = listening.accept()[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    print("read ahead:", len(data.recordings()), "left alone:", gc.get_freeze_count(), "at once:", at_once)
    await events.put({"type": "lifespan.shutdown"})
    await server

asyncio.run(serve())
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_server_starts_with_what_a_newcomer_opens_with_seeks_no_garbage_in_it_and_answers_at_once(networks, is_there):
    if not is_there:
        shutil.rmtree(networks)

    served = subprocess.run([sys.executable, "-c", SERVED], cwd=ROOT, capture_output=True, text=True, timeout=120)

    found = re.search(r"read ahead: (\d+) left alone: (\d+) at once: (\d+)", served.stdout)
    assert found and int(found[1]) == int(is_there), served.stderr
    assert int(found[2]) > 100_000
    assert int(found[3])
    assert "Traceback" not in served.stderr
