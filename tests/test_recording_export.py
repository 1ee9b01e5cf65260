"""Recordings as plain arrays, and plain arrays as recordings: there and back, and a sentence for what does not fit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector.__main__ import main
from inspector.capture import record
from inspector.model import save_checkpoint
from inspector.recording import InspectorError, Recording, export_recording, import_recording, open_recording
from tests.conftest import PYTHON_TEXT, tiny_model

TEXTS = ["caf\u00e9 \U0001f600\ud800\r\n\0\t", PYTHON_TEXT * 15, "", PYTHON_TEXT * 10]  # more than a stretch
FORMATS = ["npy", "npz", "zarr"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # do not wait for the disk


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return record(tiny_model(), TEXTS, ["hidden", "cell"], out=tmp_path / "r")


def wanted(format: str) -> str:
    if format == "zarr":
        pytest.importorskip("zarr", reason="zarr is an optional extra: pip install .[zarr]")
    return format


def assert_same_values(found: Recording, expected: Recording) -> None:
    for name in ("text", "documents", "layers", "network", "network_hash"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.unknown, expected.unknown)
    np.testing.assert_array_equal(found.loss, expected.loss)
    for index, layer in enumerate(expected.layers):
        for signal in layer.signals:
            one, other = (each.window(index, signal, 0, each.n_chars) for each in (found, expected))
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("format", FORMATS)
def test_there_and_back_is_the_same_recording(tmp_path: Path, recording: Recording, format: str) -> None:
    out, seen = tmp_path / f"out.{wanted(format)}", []
    export_recording(recording, out, format, lambda done, total: seen.append((done, total)))  # type: ignore[arg-type]
    found = import_recording(out, tmp_path / "back")
    assert_same_values(found, recording)
    assert_same_values(open_recording(tmp_path / "back", model=tiny_model()), recording)
    assert seen[-1] == (recording.n_chars, recording.n_chars) and len(seen) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["back", out.name, "r"])


@pytest.mark.parametrize("format", FORMATS)
def test_command_line_goes_there_and_back(capsys, tmp_path: Path, recording: Recording, format: str) -> None:
    out = tmp_path / f"out.{wanted(format)}"
    assert main(["export", str(tmp_path / "r"), "--out", str(out), "--format", format]) == 0
    assert main(["import", str(out), "--out", str(tmp_path / "back"), "--dtype", "float16"]) == 0
    assert f"{recording.n_chars:,} characters" in capsys.readouterr().out
    assert open_recording(tmp_path / "back").dtype == "float16"
    assert main(["import", str(out), "--out", str(tmp_path / "back")]) == 1
    assert "holds a recording already" in capsys.readouterr().err


@pytest.mark.parametrize("format", FORMATS)
def test_command_line_takes_the_format_from_the_name(tmp_path: Path, recording: Recording, format: str) -> None:
    out = tmp_path / f"out.{wanted(format)}"
    assert main(["export", str(tmp_path / "r"), "--out", str(out)]) == 0
    assert out.is_file() == (format == "npz") and (out / "zarr.json").is_file() == (format == "zarr")


def test_npz_is_read_by_numpy(tmp_path: Path, recording: Recording) -> None:
    export_recording(recording, tmp_path / "out.npz", "npz")
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["1-cell"][5], recording.trace("1:5", "cell"))
        assert arrays["text.txt"].decode("utf-8", "surrogatepass") == recording.text


def test_snapshots_are_exported_beside_their_network(capsys, tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "tiny")
    record(tiny_model(), TEXTS, store="snapshots", out=tmp_path / "s")
    assert main(["export", str(tmp_path / "s"), "--out", str(tmp_path / "none")]) == 1
    assert "give it the checkpoint of tiny-lstm" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "s"), "--out", str(tmp_path / "o"), "--network", str(tmp_path / "tiny")]) == 0
    expected = record(tiny_model(), TEXTS).trace("1:5", "forget_gate")
    np.testing.assert_allclose(np.load(tmp_path / "o" / "1-forget_gate.npy")[5], expected, atol=1e-5)


def test_anybodys_arrays_need_their_names_and_a_text(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 11))
    np.savez(tmp_path / "mine.npz", **{"0-hidden": values, "0-pulse": values.astype(np.float16)}, text="hello world")
    found = import_recording(tmp_path / "mine.npz", tmp_path / "r")
    assert found.text == "hello world" and found.layers[0].signals == ("hidden", "pulse")
    assert found.layers[0].kind == "imported" and np.isnan(found.loss).all() and not found.has_guesses
    np.testing.assert_array_equal(found.window(0, "hidden", 0, 11), values.astype(np.float32))


def edited(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, change(np.load(folder / name)))


def holed(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put(array: np.ndarray) -> np.ndarray:
        array[3, 4_100] = value
        return array

    return put


WRONG: list[tuple[Callable[[Path], Any], str]] = [
    (lambda folder: (folder / "text.txt").unlink(), "no text.txt"),
    (lambda folder: (folder / "text.txt").write_bytes(b""), "text is empty"),
    (lambda folder: (folder / "text.txt").write_bytes(b"a\xff"), "not utf-8"),
    (lambda folder: (folder / "about.json").write_text("{"), "about.json is not JSON"),
    (lambda folder: (folder / "about.json").write_text("[]"), "must be a JSON object"),
    (lambda folder: (folder / "about.json").write_text('{"documents": [["x", 5, 2]]}'), "does not fit its text"),
    (lambda folder: (folder / "about.json").write_text('{"documents": 3}'), "does not fit its text"),
    (lambda folder: (folder / "about.json").write_text('{"documents": [["x", 0.0, 1]]}'), "does not fit its text"),
    (edited("1-cell.npy", lambda array: array[:, :-1]), r"1-cell has shape \(8, .*one column a character"),
    (edited("1-cell.npy", lambda array: array[0]), "1-cell has shape"),
    (edited("1-cell.npy", lambda array: array[:4]), "1-(cell|hidden) has [48] units"),
    (edited("1-cell.npy", lambda array: array.astype(np.int32)), "1-cell is int32: values must be floating point"),
    (edited("1-cell.npy", lambda array: array.astype(complex)), "1-cell is complex128"),
    (edited("1-cell.npy", holed(np.nan)), r"1-cell holds nan \(unit 3, character 4100\)"),
    (edited("1-cell.npy", holed(np.inf)), r"1-cell holds inf \(unit 3, character 4100\)"),
    (edited("loss.npy", lambda array: array[:-1]), "loss is float32"),
    (edited("loss.npy", np.zeros_like), "loss must be nan at the first character of each document"),
    (lambda folder: np.save(folder / "1-cell.npy", np.array([{}]), allow_pickle=True), "no array of numbers"),
    (lambda folder: (folder / "1-cell.npy").write_bytes(b"\x93NUMPY"), "no array of numbers, or cut off"),
    (lambda folder: (folder / "1-cell.npy").write_bytes(b""), "no array of numbers, or cut off"),
    (lambda folder: (folder / "1-cell.npy").rename(folder / "cell.npy"), "'cell' is no name of an array here"),
    (lambda folder: [file.unlink() for file in folder.glob("0-*")], "numbered 0, 1, ... without gaps; there is 1"),
    (lambda folder: [file.unlink() for file in folder.glob("?-*")], "there is none"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_what_does_not_fit_is_a_sentence(
    tmp_path: Path, recording: Recording, spoil: Callable[[Path], Any], words: str
) -> None:
    export_recording(recording, tmp_path / "out")
    spoil(tmp_path / "out")
    with pytest.raises(InspectorError, match=words) as caught:
        import_recording(tmp_path / "out", tmp_path / "back")
    assert str(caught.value).startswith(f"{tmp_path / 'out'} cannot be imported: ") and str(caught.value).endswith(".")


def test_names_that_are_no_words_become_some(tmp_path: Path, recording: Recording) -> None:
    export_recording(recording, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    about |= {"network": 5, "documents": [[7, 0, recording.n_chars]], "layers": [[0, 1], [2, 3]]}
    (tmp_path / "out" / "about.json").write_text(json.dumps(about))
    found = import_recording(tmp_path / "out", tmp_path / "back")
    assert (found.network, found.documents[0].name, found.layers[1].name) == ("5", "7", "2")


def test_a_damaged_npz_is_a_sentence(tmp_path: Path, recording: Recording) -> None:
    export_recording(recording, tmp_path / "a.npz", "npz")
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(raw)
    with pytest.raises(InspectorError, match=r"a.npz cannot be imported: it is damaged.*export it again"):
        import_recording(tmp_path / "a.npz", tmp_path / "back")


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("zarr.json", lambda file: file.write_text("{"), "no group of zarr 3, or damaged"),
        ("1-cell/zarr.json", lambda file: file.write_text("{}"), "no group of zarr 3, or damaged"),
        ("1-cell/c/0/0", lambda file: file.write_bytes(b"1234"), "1-cell is damaged behind character 0"),
        ("1-cell/c/0/1", lambda file: file.unlink(), r"1-cell holds nan \(unit 0, character 4096\)"),
    ],
)
def test_a_damaged_zarr_is_a_sentence(
    tmp_path: Path, recording: Recording, name: str, spoil: Callable[[Path], Any], words: str
) -> None:
    export_recording(recording, tmp_path / "out", "zarr")
    spoil(tmp_path / "out" / name)
    with pytest.raises(InspectorError, match=words):
        import_recording(tmp_path / "out", tmp_path / "back")


@pytest.mark.parametrize("format", ["npz", "zarr"])
def test_places_that_are_taken_or_empty_are_sentences(tmp_path: Path, recording: Recording, format: str) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InspectorError, match="holds something already"):
        export_recording(recording, tmp_path / "mine", format)  # type: ignore[arg-type]
    with pytest.raises(InspectorError, match="neither a folder nor an"):
        import_recording(tmp_path / "mine", tmp_path / "back")
    with pytest.raises(InspectorError, match="it does not exist"):
        import_recording(tmp_path / "nowhere", tmp_path / "back")


@pytest.mark.parametrize("format", ["npy", "npz", "zarr"])
def test_full_disk_leaves_nothing_half_done(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recording, "window", full)
    with pytest.raises(InspectorError, match="No space left on device"):
        export_recording(recording, tmp_path / "out", format)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_an_npz_is_no_folder(tmp_path: Path, recording: Recording) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InspectorError, match=r"one file: name the file"):
        export_recording(recording, tmp_path / "empty", "npz")
    files = export_recording(recording, tmp_path / "empty", "npy")
    assert all(path.is_file() and path.parent == tmp_path / "empty" for path in files)


def test_a_system_without_room_to_ask_for_exports_too(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    export_recording(recording, tmp_path / "out", "npy")
    found = np.load(tmp_path / "out" / "0-hidden.npy")
    np.testing.assert_array_equal(found, recording.window(0, "hidden", 0, recording.n_chars))


def test_zarr_that_is_not_installed_is_a_sentence(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InspectorError, match=r"pip install .\[zarr\]"):
        export_recording(recording, tmp_path / "out", "zarr")
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "zarr.json").write_text(json.dumps({}))
    with pytest.raises(InspectorError, match=r"pip install .\[zarr\]"):
        import_recording(tmp_path / "group", tmp_path / "back")
