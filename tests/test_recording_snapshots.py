"""Recordings that keep states only: every reader sees the network's values, wherever and in what order it looks."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inspector.__main__ import main
from inspector.capture import record
from inspector.capture.engine import recompute
from inspector.capture.replay import Replayer
from inspector.model import CharModel, save_checkpoint
from inspector.recording import (
    SIGNALS,
    InspectorError,
    Layer,
    Recording,
    RecordingWriter,
    Snapshots,
    list_recordings,
    open_recording,
    replaying,
)
from tests.conftest import PYTHON_TEXT, tiny_model

TEXT = PYTHON_TEXT * 40  # three stretches
TEXTS = [TEXT[:3_000], "", TEXT[3_000:3_001], TEXT[3_001:8_192], TEXT[8_192:]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """Do not wait for the disk, and let a text this short have several groups."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr(replaying, "_GROUP", 2_048 * 16)
    monkeypatch.setattr("inspector.capture.replay._SEGMENT", 32 * 16)


def kept(folder: Path, kind: str = "lstm", texts: str | list[str] = TEXT) -> Recording:
    record(tiny_model(kind), texts, store="snapshots", out=folder)
    return open_recording(folder, model=tiny_model(kind))


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Contract 5."""
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-5 * (1 + np.abs(expected))).all()


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("texts", [TEXT, TEXTS], ids=["text", "documents"])
@pytest.mark.parametrize("place", ["memory", "disk", "saved"])
def test_windows_and_traces_are_what_the_network_computed(tmp_path: Path, kind: str, texts, place: str) -> None:
    exact = record(tiny_model(kind), texts)
    found = kept(tmp_path / "r", kind, texts)
    if place == "memory":
        found = record(tiny_model(kind), texts, store="snapshots")
    elif place == "saved":
        found.save(tmp_path / "saved")
        found = open_recording(tmp_path / "saved", model=tiny_model(kind))
    assert found.keeps_snapshots and found.layers == exact.layers and found.documents == exact.documents
    for layer in range(2):
        for signal in SIGNALS[kind]:
            for start, stop in [(0, 1), (30, 70), (2_990, 3_010), (4_000, 8_300), (len(TEXT) - 5, len(TEXT)), (9, 9)]:
                expected = exact.window(layer, signal, start, stop)
                assert_close(found.window(layer, signal, start, stop), expected)
            assert_close(found.trace((layer, 5), signal), exact.trace((layer, 5), signal))
    np.testing.assert_allclose(found.loss, exact.loss, rtol=1e-5)  # texts in a list may have been read side by side
    for one, other in zip(found.guesses(0, len(TEXT)), exact.guesses(0, len(TEXT)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5) if one.dtype.kind == "f" else np.testing.assert_array_equal(
            one, other
        )
    found.verify()


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("is_exact", [True, False], ids=["lockstep", "torch"])
def test_every_reader_sees_the_same_bits(tmp_path: Path, monkeypatch, kind: str, is_exact: bool) -> None:
    if not is_exact:
        monkeypatch.setattr("inspector.capture.network.engine_for", lambda weights: recompute)
    recording = kept(tmp_path / "r", kind)
    assert Replayer(tiny_model(kind), "").reads_apart == is_exact
    whole = recording.window(1, "hidden", 0, len(TEXT))
    places = [(5_000, 5_001), (100, 9_000), (2_047, 2_049), (40, 50), (0, 200), (4_990, 5_100)]
    for start, stop in places:
        other = open_recording(tmp_path / "r", model=tiny_model(kind))
        np.testing.assert_array_equal(other.window(1, "hidden", start, stop), whole[:, start:stop])
        for begin, end in places:  # in any order, from what is kept and what is not
            np.testing.assert_array_equal(other.window(1, "hidden", begin, end), whole[:, begin:end])
    np.testing.assert_array_equal(other.trace("1:3", "hidden"), whole[3])


def test_a_narrow_window_is_computed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of some characters does not wait for their neighbours, and nothing is computed twice."""
    recording, read = record(tiny_model(), TEXT, store="snapshots"), list[int]()
    whole = Replayer.__call__
    monkeypatch.setattr(Replayer, "__call__", lambda self, some: read.append(len(some)) or whole(self, some))
    for layer in range(2):
        for signal in SIGNALS["lstm"]:
            recording.window(layer, signal, 1_000, 1_100)  # characters 992 to 1120
    assert read == [4]
    recording.window(0, "cell", 900, 1_200)
    assert read == [4, 3 + 3]


def test_snapshots_hold_the_exact_state(tmp_path: Path) -> None:
    """The first character behind a snapshot, read from it alone, is no further off than one step allows."""
    every = 32
    exact = record(tiny_model(), TEXT)
    recording = kept(tmp_path / "r")
    states = recording._store._states(0, 2_048)
    for number in (1, 7, 63):
        before = np.frombuffer(states[number].tobytes(), np.float32).reshape(4, 8)  # layers x (hidden, cell)
        for row, (layer, signal) in zip(before, [(0, "hidden"), (0, "cell"), (1, "hidden"), (1, "cell")], strict=True):
            at = number * every
            np.testing.assert_array_equal(row, exact.window(layer, signal, at - 1, at)[:, 0])


def test_killed_and_resumed_snapshots_are_the_same_bytes(tmp_path: Path) -> None:
    whole = kept(tmp_path / "whole", texts=TEXTS)
    folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / "r"))
    lines = (folder / "manifest").read_bytes().splitlines(keepends=True)
    (folder / "manifest").write_bytes(b"".join(lines[:2]) + lines[2][:9])
    (folder / "stretch-000002").unlink()
    shorter = open_recording(folder, model=tiny_model())
    assert shorter.n_chars == 4_096
    np.testing.assert_array_equal(shorter.window(0, "cell", 0, 4_096), whole.window(0, "cell", 0, 4_096))
    record(tiny_model(), TEXTS, store="snapshots", out=folder, resume=True)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()
    }


def test_resume_with_another_store_is_a_sentence(tmp_path: Path) -> None:
    record(tiny_model(), TEXT, out=tmp_path / "r")
    with pytest.raises(InspectorError, match="begun with other store than now"):
        record(tiny_model(), TEXT, store="snapshots", out=tmp_path / "r", resume=True)


def test_a_trace_tells_its_progress_and_is_kept(tmp_path: Path) -> None:
    recording, seen = kept(tmp_path / "r"), []
    first = recording.trace("1:3", "cell", lambda done, total: seen.append((done, total)))
    assert len(seen) > 3 and seen == sorted(seen) and seen[-1] == (len(TEXT), len(TEXT))
    count = len(seen)
    again = recording.trace("1:3", "cell", lambda done, total: seen.append((done, total)))
    neighbour = recording.trace("1:4", "cell", lambda done, total: seen.append((done, total)))
    assert len(seen) == count
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, neighbour)
    first[:] = 7  # it is the caller's own
    np.testing.assert_array_equal(recording.trace("1:3", "cell"), again)


def test_a_trace_can_be_cancelled_and_asked_for_again(tmp_path: Path) -> None:
    recording = kept(tmp_path / "r")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording.trace("1:3", "cell", stop)
    assert_close(recording.trace("1:3", "cell"), record(tiny_model(), TEXT).trace("1:3", "cell"))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda recording: pickle.loads(pickle.dumps(recording))])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_copy_and_another_process_see_the_same_bits(tmp_path: Path, copied, place: str) -> None:
    found = kept(tmp_path / "r") if place == "disk" else record(tiny_model(), TEXT, store="snapshots")
    other = copied(found)
    assert other.trace("1:3", "cell").tobytes() == found.trace("1:3", "cell").tobytes()
    assert (other.folder, other.n_planned, other.keeps_snapshots) == (found.folder, found.n_planned, True)


def test_a_network_that_has_changed_since_is_sent_nowhere() -> None:
    model = tiny_model()
    found = record(model, TEXT, store="snapshots")
    with torch.no_grad():
        model.head.weight.add_(1)
    with pytest.raises(InspectorError, match="have changed since"):
        pickle.dumps(found)


def test_without_its_network_it_says_which_one(tmp_path: Path) -> None:
    kept(tmp_path / "r")
    recording = open_recording(tmp_path / "r")
    assert recording.text == TEXT and np.isnan(recording.loss[0]) and recording.guesses(5, 6).symbols.shape == (1, 5)
    recording.verify()
    for ask in (lambda: recording.trace("0:1"), lambda: recording.window(0, "cell", 0, 5)):
        with pytest.raises(InspectorError, match=rf"checkpoint of tiny-lstm \({tiny_model().hash[:12]}\)"):
            ask()
    with pytest.raises(InspectorError, match="was made by network"):
        open_recording(tmp_path / "r", model=tiny_model(seed=4))


def test_a_flipped_bit_in_a_state_is_a_sentence(tmp_path: Path) -> None:
    kept(tmp_path / "r")
    path = tmp_path / "r" / "stretch-000001"
    raw = bytearray(path.read_bytes())
    raw[-1_000] ^= 1  # among the last states; the one to resume from lies behind
    path.write_bytes(raw)
    recording = open_recording(tmp_path / "r", model=tiny_model())
    for ask in (recording.verify, lambda: recording.window(0, "cell", 4_096, 8_192)):
        with pytest.raises(InspectorError, match=r"stretch-000001.*does not match its checksum"):
            ask()
    recording.window(0, "cell", 0, 2_048)


@pytest.mark.parametrize("asked", [{"signals": ["cell"]}, {"dtype": "float16"}, {"store": "everything"}])
def test_snapshots_take_no_signals_and_no_dtype(asked: dict) -> None:
    with pytest.raises(InspectorError, match="choose"):
        record(tiny_model(), TEXT, **({"store": "snapshots"} | asked))


def test_a_large_network_takes_less_than_a_kilobyte_per_character(tmp_path: Path) -> None:
    recording = record(tiny_model(n_units=512), "x" * 600, store="snapshots", out=tmp_path / "r")
    assert recording.nbytes / 600 < 400 + 8_600 / 600  # and once the state to go on from


def test_writer_wants_states_exactly_when_it_keeps_snapshots() -> None:
    layers = [Layer("rnn", "rnn", 2, ("hidden",))]
    writer = RecordingWriter(text="x" * 70, layers=layers, snapshots=Snapshots(32, 8))
    loss = np.full(70, np.nan)
    for wrong in ({}, {"states": np.zeros((2, 8), np.uint8)}, {"states": np.zeros((3, 4), np.uint8)}):
        with pytest.raises(ValueError, match="states"):
            writer.append(loss=loss, **wrong)
    with pytest.raises(ValueError, match="loss"):
        writer.append(states=np.zeros((3, 8), np.uint8))
    writer.append(loss=loss[:33], states=np.zeros((2, 8), np.uint8))
    writer.append(loss=loss[33:], states=np.ones((1, 8), np.uint8))
    assert writer.finish().n_chars == 70
    with pytest.raises(ValueError, match="snapshots"):
        RecordingWriter(text="x", layers=layers).append([{"hidden": np.zeros((2, 1))}], states=np.zeros((1, 8)))


def test_cli_records_snapshots(capsys, tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "tiny")
    (tmp_path / "text.py").write_text(TEXT)
    arguments = ["record", "--network", str(tmp_path / "tiny"), "--text", str(tmp_path / "text.py"), "--out"]
    assert main([*arguments, str(tmp_path / "r"), "--store", "snapshots"]) == 0
    assert "snapshots" in capsys.readouterr().out
    (one,) = list_recordings([tmp_path / "r"])
    assert one.recording is not None and one.recording.keeps_snapshots
    assert main(["recordings", str(tmp_path)]) == 0 and "  snapshots  " in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "s"), "--store", "snapshots", "--dtype", "float16"]) == 1
    assert "leave --signals and --dtype out" in capsys.readouterr().err


def test_network_that_was_cast_after_the_recording_is_read_as_it_is_now():
    model = tiny_model()
    recording = record(model, PYTHON_TEXT, store="snapshots")
    before = recording.trace("0:1", "cell")
    again = record(model, PYTHON_TEXT, store="snapshots")
    model.double()
    np.testing.assert_allclose(again.trace("0:1", "cell"), before, atol=1e-5)


@pytest.mark.parametrize("change", ["in place", "new memory", "through data"])
def test_weights_that_have_changed_since_are_a_sentence(change: str) -> None:
    model = tiny_model()
    recording = record(model, PYTHON_TEXT, store="snapshots")
    before = recording.window(0, "cell", 0, 40)
    with torch.no_grad():
        if change == "in place":
            model.rnn.weight_hh_l0.mul_(2)
        elif change == "through data":
            model.rnn.weight_hh_l0.data.mul_(2)
        else:
            model.rnn.weight_hh_l0 = torch.nn.Parameter(2 * model.rnn.weight_hh_l0)
    with pytest.raises(InspectorError, match="weights of tiny-lstm have changed"):
        recording.window(1, "cell", 40, 80)
    with torch.no_grad():
        model.rnn.weight_hh_l0.div_(2)
    np.testing.assert_array_equal(recording.window(0, "cell", 0, 40), before)


def test_opening_beside_a_network_works_its_hash_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = tiny_model(), list[str]()
    record(model, PYTHON_TEXT, store="snapshots", out=tmp_path / "r")
    whole = CharModel.hash.fget
    monkeypatch.setattr(CharModel, "hash", property(lambda self: asked.append(self.name) or whole(self)))
    open_recording(tmp_path / "r", model).window(0, "cell", 0, 10)
    assert len(asked) == 1
