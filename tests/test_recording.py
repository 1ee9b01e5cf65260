"""Recordings: what comes back is what was appended, from memory and disk, whole or cut off, or it is a sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.recording import (
    SIGNALS,
    Document,
    InspectorError,
    Layer,
    Neuron,
    Recording,
    RecordingWriter,
    open_recording,
)

SYMBOLS = ("\ufffd", *"abcdefghijkl", "\n", "\0", "\ud800")
LAYERS = (Layer("rnn.0", "lstm", 5, ("hidden", "cell")), Layer("rnn.1", "gru", 3, ("hidden", "reset_gate")))
FOREIGN = (Layer("encoder.rnn", "lstm", 4, ("cell",)), Layer("encoder.extra", "somebody's cell", 2, ("pulse",)))
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
AWKWARD = "a\r\nb\tc\0d \U0001f600 \ud800 <b>é\u0301\u202e\n"


def made_values(layers: tuple[Layer, ...], n_chars: int) -> list[dict[str, np.ndarray]]:
    """Values that differ at every layer, signal, unit and position."""
    random = np.random.default_rng(n_chars)
    return [
        {name: random.standard_normal((layer.n_units, n_chars), np.float32) for name in layer.signals}
        for layer in layers
    ]


def made_reading(n_chars: int, documents: tuple[Document, ...]) -> dict[str, np.ndarray]:
    """Loss and guesses as a network with a vocabulary would give them."""
    random = np.random.default_rng(n_chars + 1)
    loss = random.exponential(size=n_chars).astype(np.float32)
    loss[[document.start for document in documents if document.start < document.stop]] = np.nan
    return {
        "loss": loss,
        "guess_ids": random.integers(0, len(SYMBOLS), (n_chars, 10)),
        "guess_probabilities": random.random((n_chars, 10), np.float32),
    }


def written(
    text: str,
    folder: Path | None = None,
    *,
    documents: tuple[Document, ...] = (),
    sizes: tuple[int, ...] = (1_000,),
    **options: Any,
) -> Recording:
    """A recording of `text`, appended in stretches of the given sizes in turn."""
    documents = documents or (Document("text", 0, len(text)),)
    options = {"network": "tiny", "network_hash": "c0ffee", "symbols": SYMBOLS} | options
    writer = RecordingWriter(folder, text=text, layers=LAYERS, documents=documents, **options)
    values, reading = made_values(LAYERS, len(text)), made_reading(len(text), documents)
    start = turn = 0
    while start < len(text):
        stop = start + sizes[turn % len(sizes)]
        part = [{name: array[:, start:stop] for name, array in signals.items()} for signals in values]
        writer.append(part, **{name: array[start:stop] for name, array in reading.items()})
        start, turn = stop, turn + 1
    return writer.finish()


def foreign(text: str, folder: Path | None = None) -> Recording:
    """A recording of a module that has no vocabulary, and layers of differing width and kind."""
    writer = RecordingWriter(folder, text=text, layers=FOREIGN)
    writer.append(made_values(FOREIGN, len(text)))
    return writer.finish()


def assert_same(found: Recording, expected: Recording) -> None:
    """Both recordings say the same about everything, bit for bit."""
    for name in ("text", "n_chars", "documents", "layers", "dtype", "network", "network_hash", "symbols", "engine"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.unknown, expected.unknown)
    np.testing.assert_array_equal(found.loss, expected.loss)
    assert found.has_guesses == expected.has_guesses
    if expected.has_guesses:
        for one, other in zip(found.guesses(0, found.n_chars, 10), expected.guesses(0, found.n_chars, 10), strict=True):
            np.testing.assert_array_equal(one, other)
    for index, layer in enumerate(expected.layers):
        for name in layer.signals:
            one, other = (recording.window(index, name, 0, recording.n_chars) for recording in (found, expected))
            np.testing.assert_array_equal(one, other)


def assert_sentence(action: Callable[[], object], *fragments: str) -> str:
    """The action fails with one clear sentence (or two) that holds all fragments."""
    with pytest.raises(InspectorError) as caught:
        action()
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Error" not in sentence
    for fragment in fragments:
        assert fragment in sentence
    return sentence


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk; tests of full disks put their own in, killed writers are processes of their own."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def long_text() -> str:
    return ("def f(x):\n\treturn 'é\U0001f600'\r\n" * 400)[:9_000]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, long_text: str) -> Path:
    """A recording of three stretches on disk; tests that damage it copy it first."""
    folder = tmp_path_factory.mktemp("saved") / "recording"
    written(long_text, folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


# What was appended is what comes back (contracts 1, 2, 4, 5)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_trace_is_what_was_appended(place: str, tmp_path: Path, long_text: str) -> None:
    recording = written(long_text, tmp_path / "r" if place == "disk" else None)
    values = made_values(LAYERS, len(long_text))
    for index, layer in enumerate(LAYERS):
        for name in layer.signals:
            for unit in range(layer.n_units):
                trace = recording.trace(Neuron(index, unit), name)
                assert trace.dtype == np.float32 and trace.shape == (len(long_text),)
                np.testing.assert_array_equal(trace, values[index][name][unit])


@pytest.mark.parametrize("place", ["memory", "disk"])
@pytest.mark.parametrize("span", [(0, 1), (4_095, 4_097), (100, 8_999), (4_096, 8_192), (8_999, 9_000), (50, 50)])
def test_window_is_rows_of_traces(place: str, span: tuple[int, int], saved: Path, long_text: str) -> None:
    recording = open_recording(saved) if place == "disk" else written(long_text)
    start, stop = span
    window = recording.window(1, "reset_gate", start, stop)
    traces = [recording.trace(Neuron(1, unit), "reset_gate")[start:stop] for unit in range(3)]
    assert window.dtype == np.float32 and window.shape == (3, stop - start)
    np.testing.assert_array_equal(window, traces)


def test_values_belong_to_the_caller(long_text: str) -> None:
    recording = written(long_text)
    before = recording.trace("0:1", "cell")
    for array in (recording.trace("0:1", "cell"), recording.window(0, "cell", 0, 9_000), recording.loss):
        array[:] = 7
    recording.unknown[:] = 7
    np.testing.assert_array_equal(recording.trace("0:1", "cell"), before)
    assert np.isnan(recording.loss[0])


def test_appended_arrays_are_copied() -> None:
    hidden = np.ones((2, 3), np.float32)
    writer = RecordingWriter(text="abc", layers=[Layer("rnn", "rnn", 2, ("hidden",))])
    writer.append([{"hidden": hidden}])
    hidden[:] = 5
    assert writer.finish().trace("0:0").tolist() == [1, 1, 1]


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6_000), min_size=1, max_size=5))
def test_append_size_does_not_matter(sizes: list[int], long_text: str) -> None:
    assert_same(written(long_text, sizes=tuple(sizes)), written(long_text, sizes=(len(long_text),)))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT, dtype=st.sampled_from(["float32", "float16"]), data=st.data())
def test_save_and_open_round_trip_any_text(text: str, dtype: str, data: st.DataObject, tmp_path: Path) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    edges = [0, *cuts, len(text)]
    names = data.draw(st.lists(st.text(max_size=5), min_size=len(edges) - 1, max_size=len(edges) - 1))
    documents = tuple(
        Document(name, start, stop) for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True)
    )
    unknown = [position for position, symbol in enumerate(text) if symbol not in SYMBOLS]
    recording = written(text, documents=documents, dtype=dtype, unknown=unknown, sizes=(7,))
    recording.save(tmp_path / "saved")
    assert_same(open_recording(tmp_path / "saved"), recording)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT, sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3))
def test_folder_writer_round_trips_any_text(text: str, sizes: list[int], tmp_path: Path) -> None:
    recording = written(text, tmp_path / "out", sizes=tuple(sizes))
    assert recording.text == text
    assert_same(recording, written(text))
    assert_same(open_recording(tmp_path / "out"), recording)


@pytest.mark.parametrize("n_chars", [0, 1, 4_095, 4_096, 4_097, 8_192])
def test_disk_and_memory_agree_at_every_length(n_chars: int, tmp_path: Path) -> None:
    text = (AWKWARD * 500)[:n_chars]
    recording = written(text, tmp_path / "out")
    assert_same(open_recording(tmp_path / "out"), written(text))
    assert recording.is_complete and recording.n_planned == n_chars


def test_text_is_never_altered(tmp_path: Path) -> None:
    written(AWKWARD, tmp_path / "out")
    assert open_recording(tmp_path / "out").text == AWKWARD


def test_float16_is_stated_and_close(tmp_path: Path, long_text: str) -> None:
    exact = written(long_text)
    written(long_text, tmp_path / "half", dtype="float16")
    half = open_recording(tmp_path / "half")
    assert (exact.dtype, half.dtype) == ("float32", "float16")
    trace = half.trace("0:3", "cell")
    assert trace.dtype == np.float32
    np.testing.assert_array_equal(trace, exact.trace("0:3", "cell").astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(half.loss, exact.loss)  # loss and guesses stay float32


def test_float16_refuses_what_it_cannot_hold() -> None:
    writer = RecordingWriter(text="ab", layers=[Layer("rnn", "lstm", 1, ("cell",))], dtype="float16")
    cell = [[1.0, 70_000.0]]
    assert_sentence(lambda: writer.append([{"cell": cell}]), "cell in layer 0", "float16", 'dtype="float32"')


def test_dtype_unknown_is_a_sentence() -> None:
    assert_sentence(lambda: written("ab", dtype="int4"), "'int4'", "float32 or float16")


def test_nan_and_infinity_come_back(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)
    writer = RecordingWriter(tmp_path / "r", text="abcd", layers=[Layer("x", "x", 1, ("hidden",))], dtype="float16")
    writer.append([{"hidden": values}])
    np.testing.assert_array_equal(writer.finish().trace("0:0"), values[0])


# Loss, guesses, documents, places (contract 3)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_guesses_follow_the_position(place: str, saved: Path, long_text: str) -> None:
    recording = open_recording(saved) if place == "disk" else written(long_text)
    reading = made_reading(len(long_text), recording.documents)
    symbols, probabilities = recording.guesses(4_000, 4_200, k=3)
    expected = [[SYMBOLS[number] for number in row] for row in reading["guess_ids"][4_000:4_200, :3]]
    assert symbols.shape == probabilities.shape == (200, 3) and probabilities.dtype == np.float32
    assert symbols.tolist() == expected  # NUL and a lone surrogate among them
    assert {"\0", "\ud800"} <= {symbol for row in expected for symbol in row}
    np.testing.assert_array_equal(probabilities, reading["guess_probabilities"][4_000:4_200, :3])


def test_guesses_beyond_the_kept_are_a_sentence(saved: Path) -> None:
    recording = open_recording(saved)
    assert_sentence(lambda: recording.guesses(0, 1, k=11), "11 guesses", "1 to 10")
    assert_sentence(lambda: recording.guesses(0, 1, k=0), "1 to 10")


def test_small_vocabulary_gives_fewer_guesses() -> None:
    layer = Layer("rnn", "rnn", 1, ("hidden",))
    writer = RecordingWriter(text="ab", layers=[layer], symbols="\ufffdab")
    ids = [[2, 1, 0], [1, 0, 2]]
    writer.append([{"hidden": [[0.0, 1.0]]}], guess_ids=ids, guess_probabilities=np.full((2, 3), 1 / 3))
    assert writer.finish().guesses(0, 2, k=5).symbols.tolist() == [["b", "a", "\ufffd"], ["a", "\ufffd", "b"]]


def test_loss_is_nan_at_each_document_start(tmp_path: Path) -> None:
    documents = (Document("a", 0, 3), Document("empty", 3, 3), Document("b", 3, 8))
    recording = written("abcdefgh", tmp_path / "r", documents=documents, sizes=(2,))
    assert np.flatnonzero(np.isnan(recording.loss)).tolist() == [0, 3]
    assert recording.documents == documents


def test_loss_at_a_document_start_is_refused() -> None:
    layer = Layer("rnn", "rnn", 1, ("hidden",))
    documents = [Document("a", 0, 2), Document("b", 2, 4)]
    writer = RecordingWriter(text="abcd", layers=[layer], documents=documents)
    writer.append([{"hidden": np.zeros((1, 1))}], loss=[np.nan])
    with pytest.raises(ValueError, match="nan at the first character of each document"):
        writer.append([{"hidden": np.zeros((1, 3))}], loss=[1.0, 1.0, 1.0])


@pytest.mark.parametrize("spans", [[(0, 2)], [(0, 2), (3, 4)], [(0, 3), (2, 4)], [(1, 4)], [(0, 5)], [(0, 4), (4, 2)]])
def test_documents_must_cover_the_text(spans: list[tuple[int, int]]) -> None:
    documents = [Document("d", start, stop) for start, stop in spans]
    with pytest.raises(ValueError, match="document"):
        RecordingWriter(text="abcd", layers=LAYERS, documents=documents)


def test_place_counts_lines_as_editors_do() -> None:
    documents = (Document("a", 0, 7), Document("none", 7, 7), Document("b", 7, 12))
    recording = written("ab\r\ncd\n\nefgh", documents=documents)
    places = [recording.place(position) for position in range(recording.n_chars)]
    assert [(place.document.name, place.line, place.column) for place in places] == [
        *[("a", 1, column) for column in (1, 2, 3, 4)],
        *[("a", 2, column) for column in (1, 2, 3)],
        ("b", 1, 1),
        *[("b", 2, column) for column in (1, 2, 3, 4)],
    ]
    assert recording.document_at(7) == documents[2]
    assert_sentence(lambda: recording.place(12), "12 characters")
    assert_sentence(lambda: recording.place(-1), "12 characters")


def test_unknown_characters_are_listed(tmp_path: Path) -> None:
    recording = written("a?b!", tmp_path / "r", unknown=[3, 1])
    assert recording.unknown.tolist() == open_recording(tmp_path / "r").unknown.tolist() == [1, 3]


# Identity (contract 6) and recordings without a network


def test_other_network_is_an_error(saved: Path) -> None:
    same, other = SimpleNamespace(name="tiny", hash="c0ffee"), SimpleNamespace(name="big", hash="decaf")
    assert open_recording(saved, model=same).network_hash == "c0ffee"
    assert_sentence(lambda: open_recording(saved, model=other), "tiny (c0ffee)", "big (decaf)", str(saved))


def test_recording_without_a_network_is_an_error_beside_one(tmp_path: Path) -> None:
    foreign("ab", tmp_path / "r")
    model = SimpleNamespace(name=None, hash="decaf")
    assert_sentence(lambda: open_recording(tmp_path / "r", model=model), "does not say which network made it")


def test_foreign_module_opens_without_its_network(tmp_path: Path) -> None:
    foreign("abc" * 2_000).save(tmp_path / "r")
    recording = open_recording(tmp_path / "r")
    assert_same(recording, foreign("abc" * 2_000))
    assert recording.network is None and recording.network_hash is None and recording.symbols is None
    assert np.isnan(recording.loss).all() and not recording.has_guesses
    assert_sentence(lambda: recording.guesses(0, 1), "no guesses", "without a vocabulary")
    assert recording.check_neuron("1:1") == (Neuron(1, 1), "pulse")


# Names of neurons, signals and positions


def test_neuron_is_written_and_read() -> None:
    assert str(Neuron(1, 42)) == "1:42" and Neuron.parse(" 1:42 ") == Neuron(1, 42)
    for nonsense in ("", "1", "1:", "1:-2", "1.0:2", "a:b", "1:2:3", "\u0661:\u0662", "9" * 5_000 + ":1"):
        assert_sentence(lambda written=nonsense: Neuron.parse(written), "is not a neuron", "1:42")


def test_signals_are_in_the_order_of_the_screen() -> None:
    assert SIGNALS["lstm"] == ("hidden", "cell", "input_gate", "forget_gate", "candidate", "output_gate")
    assert SIGNALS["gru"] == ("hidden", "reset_gate", "update_gate", "candidate") and SIGNALS["rnn"] == ("hidden",)


@pytest.mark.parametrize(
    ("widths", "neuron", "sentence"),
    [
        ((512, 512), "2:17", "Neuron 2:17 does not exist: this recording has 2 layers (0-1) of 512 units (0-511)."),
        ((512, 512), "1:512", "Neuron 1:512 does not exist: this recording has 2 layers (0-1) of 512 units (0-511)."),
        ((4,), (0, -1), "Neuron 0:-1 does not exist: this recording has 1 layer (0) of 4 units (0-3)."),
        (
            (4, 1, 2),
            (1, 3),
            "Neuron 1:3 does not exist: this recording has layer 0 of 4 units (0-3), layer 1 of 1 unit (0) "
            "and layer 2 of 2 units (0-1).",
        ),
    ],
)
def test_check_neuron_names_what_exists(widths: tuple[int, ...], neuron: Any, sentence: str) -> None:
    layers = [Layer(f"rnn.{index}", "rnn", width, ("hidden",)) for index, width in enumerate(widths)]
    recording = RecordingWriter(text="", layers=layers).finish()
    for action in (recording.check_neuron, recording.trace):
        assert assert_sentence(lambda action=action: action(neuron)) == sentence


@pytest.mark.parametrize(
    "nonsense", [5, None, (1,), (1, 2, 3), b"1:2", b"\0\1", bytearray(2), 1.5, (0.5, 1), ("0", "1")]
)
def test_what_is_no_neuron_is_told_how_one_is_written(nonsense: Any) -> None:
    assert_sentence(lambda: written("ab").trace(nonsense), f"{str(nonsense)!r} is not a neuron", "1:42")


@pytest.mark.parametrize("nonsense", [5, np.zeros(3), b"hidden", ["hidden"]])
def test_what_is_no_name_of_a_signal_is_told_which_there_are(nonsense: Any) -> None:
    assert_sentence(lambda: written("ab").trace("0:0", nonsense), "has no signal", "hidden")


@pytest.mark.parametrize("nonsense", ["0", None, 1.0])
def test_places_are_whole_numbers(nonsense: Any) -> None:
    recording = written("ab")
    for name, ask in {
        "layer": lambda: recording.window(nonsense, "cell", 0, 1),
        "start": lambda: recording.window(0, "cell", nonsense, 1),
        "stop": lambda: recording.guesses(0, nonsense),
        "k": lambda: recording.guesses(0, 1, k=nonsense),
        "position": lambda: recording.place(nonsense),
    }.items():
        assert_sentence(ask, f"{name} is {nonsense!r}; it must be a whole number.")


def test_a_path_in_place_of_the_network_is_a_sentence(saved: Path) -> None:
    assert_sentence(lambda: open_recording(saved, model="checkpoints/x"), "model is 'checkpoints/x'", "load_checkpoint")


def test_check_neuron_gives_plain_numbers_and_a_signal() -> None:
    neuron, name = written("ab").check_neuron((np.int64(1), np.int64(2)))
    assert (neuron, name) == (Neuron(1, 2), "hidden") and type(neuron.unit) is int


def test_missing_signal_names_the_stored_ones(saved: Path) -> None:
    recording = open_recording(saved)
    fragments = ("Layer 0", "'forget_gate'", "hidden, cell", "record the text again")
    assert_sentence(lambda: recording.trace("0:1", "forget_gate"), *fragments)
    assert_sentence(lambda: recording.window(0, "forget_gate", 0, 1), *fragments)


def test_window_outside_is_a_sentence(saved: Path) -> None:
    recording = open_recording(saved)
    for start, stop in ((-1, 5), (5, 4), (0, 9_001), (9_001, 9_001)):
        assert_sentence(lambda span=(start, stop): recording.window(0, "cell", *span), "has 9000 characters")
    assert_sentence(lambda: recording.window(2, "cell", 0, 1), "Layer 2 does not exist", "layer 0 of 5 units")


def test_repr_is_one_line(saved: Path) -> None:
    line = repr(open_recording(saved))
    assert line == (
        "<Recording of tiny reading 9,000 characters: layer 0 of 5 units (0-4) and layer 1 of 3 units (0-2)>"
    )


# What a writer refuses


def test_append_that_does_not_fit_is_refused() -> None:
    writer = RecordingWriter(text="abc", layers=LAYERS, symbols=SYMBOLS)
    values, reading = made_values(LAYERS, 3), made_reading(3, (Document("text", 0, 3),))
    longer, more = made_values(LAYERS, 4), made_reading(4, (Document("text", 0, 4),))
    no_cell = [{"hidden": values[0]["hidden"]}, values[1]]
    for wrong, match in [
        ((values[:1], reading), "layer by layer"),
        ((no_cell, reading), "layer by layer"),
        (([values[0] | {"cell": values[0]["cell"][:, :2]}, values[1]], reading), r"cell of layer 0 has shape \(5, 2\)"),
        ((values, reading | {"loss": reading["loss"][:2]}), "loss"),
        ((values, reading | {"guess_ids": reading["guess_ids"] + len(SYMBOLS)}), "point into symbols"),
        ((values, reading | {"guess_ids": None}), "guess_ids"),
        ((longer, more), "4 characters"),
    ]:
        with pytest.raises(ValueError, match=match):
            writer.append(wrong[0], **wrong[1])
    assert writer.n_written == 0
    writer.append(values, **reading)
    assert_same(writer.finish(), written("abc", network=None, network_hash=None))


def test_finish_wants_the_whole_text() -> None:
    writer = RecordingWriter(text="abc", layers=[Layer("rnn", "rnn", 1, ("hidden",))])
    writer.append([{"hidden": [[1.0, 2.0]]}])
    with pytest.raises(ValueError, match="2 characters were appended, the text has 3"):
        writer.finish()


# Saving never destroys anything


def test_save_refuses_what_is_not_a_recording(saved: Path, tmp_path: Path) -> None:
    recording = open_recording(saved)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    (tmp_path / "thesis" / "manifest").write_text("mine too")
    (tmp_path / "mixed").mkdir()
    for path in saved.iterdir():
        shutil.copy(path, tmp_path / "mixed")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    for name, mine in (("file", "file"), ("thesis", "thesis/text"), ("mixed", "mixed/notes.txt")):
        assert_sentence(lambda name=name: recording.save(tmp_path / name), "must not overwrite", "new or empty folder")
        assert_sentence(lambda name=name: written("ab", tmp_path / name), "must not overwrite")
        assert (tmp_path / mine).read_text() == "mine"


def test_save_replaces_a_recording(copy: Path) -> None:
    written("short").save(copy)
    assert open_recording(copy).text == "short"
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert len(list(copy.glob("stretch-*"))) == 1


def test_writer_replaces_a_recording(copy: Path) -> None:
    written("short", copy)
    assert open_recording(copy).text == "short" and len(list(copy.glob("stretch-*"))) == 1


def test_save_onto_itself_changes_nothing(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    open_recording(copy).save(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_replaced_recording_is_not_mixed_up(copy: Path, long_text: str) -> None:
    recording = open_recording(copy)
    written(long_text[::-1], copy)  # other values, files of the same names and sizes
    assert_sentence(lambda: recording.trace("0:1"), "does not match its checksum", "open it again")


def test_full_disk_is_a_sentence_and_loses_nothing(
    copy: Path, long_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    recording = written("short")
    monkeypatch.setattr(os, "fsync", full)
    assert_sentence(lambda: recording.save(copy), str(copy), "No space left on device", "another folder")
    monkeypatch.undo()
    assert_same(open_recording(copy), written(long_text))
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]


def test_disk_that_fills_up_leaves_a_shorter_recording(
    tmp_path: Path, long_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(12))

    def filling(_: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", filling)
    assert_sentence(lambda: written(long_text, tmp_path / "r"), "No space left on device")
    assert_shorter(open_recording(tmp_path / "r"), long_text, {4_096, 8_192})


# Killed writers (contract 7)


def assert_shorter(recording: Recording, text: str, lengths: set[int]) -> None:
    """A cut-off recording holds the beginning of the whole one, and says so."""
    n_chars = recording.n_chars
    assert n_chars in lengths and recording.text == text[:n_chars]
    assert recording.n_planned == len(text) and recording.is_complete == (n_chars == len(text))
    assert recording.documents[-1].stop == n_chars
    values = made_values(LAYERS, len(text))
    for index, layer in enumerate(LAYERS):
        for name in layer.signals:
            np.testing.assert_array_equal(recording.window(index, name, 0, n_chars), values[index][name][:, :n_chars])
    assert recording.loss.shape == (n_chars,)


def test_manifest_cut_at_any_byte_is_shorter_or_nothing(copy: Path, long_text: str) -> None:
    whole = (copy / "manifest").read_bytes()
    ends = [match.end() for match in re.finditer(b"\n", whole)]
    lengths = dict(zip(ends, (0, 4_096, 8_192, 9_000), strict=True))
    for cut in range(len(whole), -1, -1):
        (copy / "manifest").write_bytes(whole[:cut])
        expected = max((lengths[end] for end in ends if end <= cut), default=0)
        if expected:
            recording = open_recording(copy)
            assert recording.n_chars == expected
            if cut in ends:
                assert_shorter(recording, long_text, {expected})
        else:
            assert_sentence(lambda: open_recording(copy), "cannot be opened", "cut off")


def test_documents_are_cut_with_the_text(tmp_path: Path) -> None:
    documents = (Document("a", 0, 4_000), Document("b", 4_000, 5_000), Document("c", 5_000, 9_000))
    written("x" * 9_000, tmp_path / "r", documents=documents, unknown=[1, 4_999])
    manifest = tmp_path / "r" / "manifest"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:2]))
    recording = open_recording(tmp_path / "r")
    assert recording.documents == (documents[0], Document("b", 4_000, 4_096))
    assert recording.unknown.tolist() == [1]


def test_shorter_recording_stays_known_as_shorter_when_saved(copy: Path, long_text: str, tmp_path: Path) -> None:
    lines = (copy / "manifest").read_bytes().splitlines(keepends=True)
    (copy / "manifest").write_bytes(b"".join(lines[:3]))
    open_recording(copy).save(tmp_path / "again")
    assert_shorter(open_recording(tmp_path / "again"), long_text, {8_192})


KILLED = """
import sys
import numpy as np
from inspector.recording import Layer, RecordingWriter
n = 4_096 * 400
writer = RecordingWriter(sys.argv[1], text="x" * n, layers=[Layer("rnn", "rnn", 64, ("hidden",))])
print("begun", flush=True)
for start in range(0, n, 1_000):
    stop = min(start + 1_000, n)
    writer.append([{"hidden": np.arange(start, stop, dtype=np.float32) + np.arange(64)[:, None] * 0.5}])
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1])
def test_killed_writer_leaves_a_shorter_recording_or_none(delay: float, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    root = Path(__file__).parent.parent
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=root, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    try:
        recording = open_recording(folder)
    except InspectorError as error:
        assert "cut off" in str(error)
        return
    assert 0 < recording.n_chars < recording.n_planned and recording.n_chars % 4_096 == 0
    np.testing.assert_array_equal(recording.trace("0:3"), np.arange(recording.n_chars, dtype=np.float32) + 1.5)
    written("short", folder)  # what a killed writer leaves may be written over


def test_folder_cut_off_before_its_manifest_is_none_and_reusable(copy: Path) -> None:
    (copy / "manifest").rename(copy / "manifest.tmp")
    assert_sentence(lambda: open_recording(copy), "has no manifest")
    written("short", copy)
    assert open_recording(copy).text == "short"


# Damage is a sentence, never a wrong number


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["stretch-000000", "stretch-000002", "text", "manifest"]), data=st.data())
def test_flipped_byte_is_never_a_wrong_number(name: str, data: st.DataObject, saved: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "flipped", dirs_exist_ok=True))
    whole = bytearray((saved / name).read_bytes())
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(whole)
    if name == "manifest" and position == len(whole) - 1:  # the last line lost its end: a shorter recording
        assert open_recording(folder).n_chars == 8_192
    else:
        assert_sentence(lambda: open_recording(folder).verify(), str(folder))


def test_damage_is_found_by_every_reader_and_by_no_other(copy: Path, long_text: str) -> None:
    path = copy / "stretch-000001"
    whole = bytearray(path.read_bytes())
    whole[4 + 2 * (4 + 4_096 * 4)] ^= 1  # first value of neuron 0:2, hidden, in the second stretch
    path.write_bytes(whole)
    recording = open_recording(copy)
    fragments = (str(copy), "stretch-000001 (characters 4096 to 8191)", "checksum", "record the text again")
    for action in (
        lambda: recording.trace("0:2", "hidden"),
        lambda: recording.window(0, "hidden", 8_000, 8_001),
        recording.verify,
        lambda: recording.save(copy.parent / "other"),
    ):
        assert_sentence(action, *fragments)
    np.testing.assert_array_equal(recording.trace("0:1"), written(long_text).trace("0:1"))
    assert recording.window(0, "hidden", 0, 4_096).shape == (5, 4_096)
    assert not (copy.parent / "other").exists()


def test_stretch_in_the_wrong_place_is_found(copy: Path) -> None:
    shutil.copy(copy / "stretch-000001", copy / "stretch-000000")
    assert_sentence(lambda: open_recording(copy).trace("0:0"), "stretch-000000", "checksum")


@pytest.mark.parametrize("name", ["text", "unknown", "stretch-000001"])
def test_missing_file_is_a_sentence(name: str, copy: Path) -> None:
    (copy / name).unlink()
    assert_sentence(lambda: open_recording(copy), f"{name}", "is missing", "Restore the folder")


def test_truncated_stretch_is_a_sentence(copy: Path) -> None:
    path = copy / "stretch-000001"
    size = path.stat().st_size
    recording = open_recording(copy)
    os.truncate(path, size - 5_000)
    assert_sentence(lambda: open_recording(copy), f"has {size - 5_000} bytes instead of {size}")
    assert_sentence(recording.verify, "stretch-000001", "ends too early")
    path.unlink()
    assert_sentence(lambda: recording.trace("0:0"), "stretch-000001", "No such file")


def test_manifest_that_skips_a_stretch_is_a_sentence(copy: Path) -> None:
    lines = (copy / "manifest").read_bytes().splitlines(keepends=True)
    (copy / "manifest").write_bytes(b"".join([lines[0], *lines[2:]]))
    assert_sentence(lambda: open_recording(copy), "line 2 of its manifest")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]], line: int = 0) -> None:
    """Change a line of the manifest and put all checksums right again, as another program would write it."""
    lines = [line.rpartition(b"\t")[0] for line in (folder / "manifest").read_bytes().splitlines()]
    lines[line] = json.dumps(change(json.loads(lines[line]))).encode()
    checksum, manifest = 0, b""
    for body in lines:
        checksum = zlib.crc32(body, checksum)
        manifest += body + b"\t%08x\n" % checksum
    (folder / "manifest").write_bytes(manifest)


def test_verify_compares_with_the_manifest_too(copy: Path) -> None:
    rewrite(copy, lambda entry: entry | {"crc32": entry["crc32"] ^ 1}, line=2)
    assert_sentence(open_recording(copy).verify, "stretch-000001", "the manifest's checksum")


def test_newer_format_is_a_sentence(copy: Path) -> None:
    rewrite(copy, lambda header: header | {"version": 3})
    sentence = assert_sentence(lambda: open_recording(copy), "version 3", "up to 2", "newer Charscope")
    assert "Restore" not in sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda header: {name: header[name] for name in ("format", "version")},
        lambda header: header | {"documents": [["x", 5, 2]]},
        lambda header: header | {"layers": []},
        lambda header: header | {"format": "another's"},
        lambda header: header | {"dtype": "int1"},
    ],
)
def test_manifest_of_nonsense_is_a_sentence(change: Callable[[dict[str, Any]], dict[str, Any]], copy: Path) -> None:
    rewrite(copy, lambda header: header)
    assert open_recording(copy).n_chars == 9_000
    rewrite(copy, change)
    assert_sentence(lambda: open_recording(copy), str(copy), "cannot be opened")


def test_folder_that_is_no_recording_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert_sentence(lambda: open_recording(tmp_path), "has no manifest", "saved to")
    assert_sentence(lambda: open_recording(tmp_path / "none"), "does not exist")
    assert_sentence(lambda: open_recording(tmp_path / "file"), "has no manifest")
    assert_sentence(lambda: open_recording(tmp_path / ("x" * 500)), "name too long")


# Sizes and threads


def test_nbytes_is_what_the_values_take(saved: Path, long_text: str) -> None:
    on_disk, in_memory = open_recording(saved), written(long_text)
    assert on_disk.nbytes == sum(path.stat().st_size for path in saved.glob("stretch-*"))
    per_char = (5 * 2 + 3 * 2) * 4 + 4 + 10 * (4 + 4)
    assert in_memory.nbytes == per_char * 9_000
    assert on_disk.folder == saved and in_memory.folder is None


def test_many_threads_read_one_recording(saved: Path, long_text: str) -> None:
    recording, expected = open_recording(saved), written(long_text)
    wrong: list[int] = []

    def read(unit: int) -> None:
        for _ in range(20):
            if not np.array_equal(recording.trace((0, unit), "cell"), expected.trace((0, unit), "cell")):
                wrong.append(unit)

    threads = [threading.Thread(target=read, args=(unit,)) for unit in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_recording_without_bounds_and_states_is_read_and_resumed(tmp_path: Path, long_text: str) -> None:
    folder, half = tmp_path / "r", written(long_text, tmp_path / "whole", dtype="float16")
    written(long_text, folder, dtype="float16")
    for line in (1, 2, 3):  # as the first recordings were written
        rewrite(folder, lambda entry: {name: entry[name] for name in entry if name not in ("bounds", "state")}, line)
    assert open_recording(folder).error_bound("cell") == half.error_bound("cell") > 0
    manifest = (folder / "manifest").read_bytes().splitlines(keepends=True)
    (folder / "manifest").write_bytes(b"".join(manifest[:3]))
    resumed = written(long_text, folder, dtype="float16", resume=True)
    assert resumed.is_complete
    assert_same(resumed, half)
