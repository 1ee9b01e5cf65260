"""Recordings on disk, from the command line: checked, listed, deleted, resumed, made smaller and handed on."""

from __future__ import annotations

import builtins
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inspector.__main__ import main
from inspector.capture import record
from inspector.model import save_checkpoint
from inspector.recording import (
    InspectorError,
    Layer,
    RecordingWriter,
    delete_recording,
    find_recording,
    list_recordings,
    open_recording,
    recordings_folder,
)
from inspector.recording.coding import error_bound
from inspector.recording.manifest import is_manifest
from tests.conftest import PYTHON_TEXT, tiny_model

TEXT = PYTHON_TEXT * 40  # three stretches


@pytest.fixture(autouse=True)
def own_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's own recordings folder, empty."""
    monkeypatch.setenv("CHARSCOPE_RECORDINGS", str(tmp_path / "own"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # do not wait for the disk
    return tmp_path / "own"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def kept(folder: Path, *, n_stretches: int | None = None) -> Path:
    """A recording of TEXT, cut off after some stretches."""
    record(tiny_model(), TEXT, ["hidden", "cell"], out=folder)
    if n_stretches is not None:
        cut_off(folder, n_stretches)
    return folder


def cut_off(folder: Path, n_stretches: int) -> None:
    """What a writer leaves that is killed while it enters the next stretch."""
    lines = (folder / "manifest").read_bytes().splitlines(keepends=True)
    whole, next_line = lines[: 1 + n_stretches], lines[1 + n_stretches]
    (folder / "manifest").write_bytes(b"".join(whole) + next_line[:20])
    for path in folder.glob("stretch-*"):
        if int(path.name.removeprefix("stretch-")) > n_stretches:
            path.unlink()


# verify


def test_verify_says_in_one_sentence_that_all_is_sound(capsys, tmp_path: Path) -> None:
    code, said, bar = run(capsys, "verify", kept(tmp_path / "r"))
    assert code == 0 and said.startswith(f"{tmp_path / 'r'} is as it was written: {len(TEXT):,} characters")
    assert said.count("\n") == 1 and "verifying: 100%" in bar


def test_verify_says_how_far_a_shorter_recording_goes(capsys, tmp_path: Path) -> None:
    code, said, _ = run(capsys, "verify", kept(tmp_path / "r", n_stretches=2))
    assert code == 0 and f"8,192 of {len(TEXT):,} characters (cut off)" in said


def test_verify_finds_a_flipped_bit(capsys, tmp_path: Path) -> None:
    path = kept(tmp_path / "r") / "stretch-000001"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    code, said, error = run(capsys, "verify", tmp_path / "r")
    sentence = error.splitlines()[-1]
    assert code == 1 and not said and sentence.startswith("verify: ") and "stretch-000001" in sentence


def test_verify_reports_progress_up_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    open_recording(kept(tmp_path / "r")).verify(lambda done, total: seen.append((done, total)))
    assert seen == [(4_096, len(TEXT)), (8_192, len(TEXT)), (len(TEXT), len(TEXT))]


# recordings


def test_recordings_lists_the_readers_own(capsys, own_recordings: Path) -> None:
    assert "0 recordings" in run(capsys, "recordings")[1]
    kept(own_recordings / "whole")
    kept(own_recordings / "part", n_stretches=1)
    (own_recordings / "notes").mkdir()
    damaged = kept(own_recordings / "torn")
    (damaged / "text").unlink()
    code, said, _ = run(capsys, "recordings")
    part, torn, whole, total = said.splitlines()
    assert code == 0 and total.startswith("3 recordings, ") and str(own_recordings) in total
    assert whole.split()[0] == "whole" and f"tiny-lstm  float32  {len(TEXT):,} characters" in whole and " MB " in whole
    assert "4,096 of" in part and "cut off" in part
    assert "text is missing" in torn


def test_recordings_measures_what_lies_on_disk(tmp_path: Path) -> None:
    folder = kept(tmp_path / "r")
    assert [one.n_bytes for one in list_recordings([folder])] == [sum(f.stat().st_size for f in folder.iterdir())]


def test_recordings_looks_where_it_is_told(capsys, tmp_path: Path) -> None:
    kept(tmp_path / "here" / "one")
    for place in (tmp_path / "here", tmp_path / "here" / "one"):
        assert run(capsys, "recordings", place)[1].startswith("one ")
    code, _, error = run(capsys, "recordings", tmp_path / "nowhere")
    assert code == 1 and "There is no folder" in error


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False), ("", False)])
def test_delete_asks(capsys, own_recordings: Path, monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool) -> None:
    folder = kept(own_recordings / "whole")
    asked: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda question: asked.append(question) or answer)
    code, said, _ = run(capsys, "recordings", "--delete", "whole")
    assert code == 0 and str(folder) in asked[0] and "MB" in asked[0]
    assert folder.exists() != gone and ("Deleted" in said) == gone


def test_delete_of_another_name_suggests_and_deletes_nothing(capsys, own_recordings: Path) -> None:
    folder = kept(own_recordings / "whole")
    for name in ("hole", "../own/whole", "."):
        code, _, error = run(capsys, "recordings", "--delete", name, "--yes")
        assert code == 1 and f"no recording called {name!r}" in error and "whole" in error
    assert open_recording(folder).is_complete


def test_delete_leaves_a_folder_that_holds_something_else(capsys, own_recordings: Path) -> None:
    folder = kept(own_recordings / "whole")
    (folder / "thesis.txt").write_text("mine")
    code, _, error = run(capsys, "recordings", "--delete", "whole", "--yes")
    assert code == 1 and "thesis.txt" in error and open_recording(folder).is_complete
    (folder / "thesis.txt").unlink()
    assert run(capsys, "recordings", "--delete", "whole", "--yes")[0] == 0 and not folder.exists()


def test_a_link_to_a_recording_is_deleted_with_it(tmp_path: Path) -> None:
    record(tiny_model(), "abc", out=tmp_path / "there" / "r")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "r")
    delete_recording(find_recording("link", list_recordings([tmp_path])))
    assert not list(tmp_path.glob("link")) and not list((tmp_path / "there").iterdir())


def test_a_folder_that_nobody_may_look_into_is_left_out_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "other"):
        record(tiny_model(), "abc", out=tmp_path / name)

    def look(path: Path) -> bool:
        if path.parent.name == "other":
            raise PermissionError(13, "Permission denied")
        return is_manifest(path)

    monkeypatch.setattr("inspector.recording.kept.is_manifest", look)
    assert [one.name for one in list_recordings([tmp_path])] == ["mine"]

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InspectorError, match=r"cannot be listed: Permission denied\."):
        list_recordings([tmp_path])


def test_a_recording_is_read_wherever_its_reader_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = record(tiny_model(), "abc", out="r")
    opened = open_recording("r")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(opened.trace("0:1"), written.trace("0:1"))


def test_recordings_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert recordings_folder() == tmp_path / "own"
    monkeypatch.delenv("CHARSCOPE_RECORDINGS")
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path / "data"))
    assert recordings_folder() == tmp_path / "data" / "recordings"
    monkeypatch.delenv("CHARSCOPE_DATA")
    assert recordings_folder().parts[-2:] == ("charscope", "recordings")


# resume


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted recording of TEXT."""
    return kept(tmp_path_factory.mktemp("whole") / "r")


@pytest.mark.parametrize("n_stretches", [0, 1, 2])
@pytest.mark.parametrize("steps", [2**21, 16_000])  # reading 8,192 or 1,000 characters at a time
def test_resumed_recording_is_the_uninterrupted_one_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_stretches: int, steps: int
) -> None:
    monkeypatch.setattr("inspector.capture.abreast._NEURON_STEPS", steps)
    uninterrupted = contents(kept(tmp_path / "whole"))
    folder = kept(tmp_path / "r", n_stretches=n_stretches)
    recording = record(tiny_model(), TEXT, ["hidden", "cell"], out=folder, resume=True)
    assert recording.is_complete and contents(folder) == uninterrupted


def test_resume_reads_on_from_the_stored_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.capture.abreast._NEURON_STEPS", 16_000)
    folder, seen = kept(tmp_path / "r", n_stretches=2), []
    record(tiny_model(), TEXT, ["hidden", "cell"], lambda done, _: seen.append(done), out=folder, resume=True)
    assert seen[0] == 8_000  # the last thousand that ended before character 8,192
    record(tiny_model(), TEXT, ["hidden", "cell"], lambda done, _: seen.append(done), out=folder, resume=True)
    assert seen[-1] == len(TEXT)  # whole already: nothing is read


@pytest.mark.parametrize("cut", [1, 2])
def test_resume_respects_documents(tmp_path: Path, cut: int) -> None:
    texts = [TEXT[:3_000], "", TEXT[3_000:8_192], TEXT[8_192:]]
    for name in ("whole", "r"):
        record(tiny_model(), texts, out=tmp_path / name)
    cut_off(tmp_path / "r", cut)
    record(tiny_model(), texts, out=tmp_path / "r", resume=True)
    assert contents(tmp_path / "r") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("text and documents", {"text": TEXT[:-1]}),
        ("text", {"text": TEXT.replace("loud", "slow")}),
        ("network", {"model": tiny_model(seed=4)}),
        ("signals", {"signals": ["hidden"]}),
        ("dtype", {"dtype": "float16"}),
        ("documents", {"names": ["another"]}),
    ],
)
def test_resume_of_something_else_is_a_sentence(whole: Path, tmp_path: Path, words: str, asked: dict) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "r"))
    cut_off(folder, 2)
    before = contents(folder)
    wanted = {"model": tiny_model(), "text": TEXT, "signals": ["hidden", "cell"]} | asked
    with pytest.raises(InspectorError, match=f"begun with other {words} than now") as caught:
        record(**wanted, out=folder, resume=True)
    assert "cannot be resumed" in str(caught.value) and "choose another folder" in str(caught.value)
    assert contents(folder) == before


def test_resume_of_a_damaged_recording_is_a_sentence(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "r"))
    cut_off(folder, 2)
    stretch = bytearray((folder / "stretch-000001").read_bytes())
    stretch[-1] ^= 1  # the state lies at the end
    (folder / "stretch-000001").write_bytes(stretch)
    with pytest.raises(InspectorError, match=r"cannot be resumed: .*state.*checksum"):
        record(tiny_model(), TEXT, ["hidden", "cell"], out=folder, resume=True)


def test_record_command_goes_on_only_when_asked(capsys, own_recordings: Path, tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "tiny")
    (tmp_path / "text.py").write_text(TEXT)
    arguments = ("record", "--network", tmp_path / "tiny", "--text", tmp_path / "text.py")
    code, said, _ = run(capsys, *arguments)
    folder = own_recordings / "text.py-tiny"
    assert code == 0 and str(folder) in said
    uninterrupted = contents(folder)
    cut_off(folder, 1)
    before = contents(folder)
    code, _, error = run(capsys, *arguments)
    assert code == 1 and "--resume" in error and contents(folder) == before
    assert run(capsys, *arguments, "--resume")[0] == 0 and contents(folder) == uninterrupted


# int8, and how far fewer bits may be off


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("place", ["memory", "disk", "saved"])
def test_error_bound_holds_and_is_tight(tmp_path: Path, dtype: str, place: str) -> None:
    exact = record(tiny_model(), TEXT)
    less = record(tiny_model(), TEXT, dtype=dtype, out=tmp_path / "r" if place == "disk" else None)
    if place == "saved":
        less.save(tmp_path / "saved")
        less = open_recording(tmp_path / "saved")
    assert less.dtype == dtype
    for signal in exact.layers[0].signals:
        off = [
            np.abs(less.window(layer, signal, 0, len(TEXT)) - exact.window(layer, signal, 0, len(TEXT))).max()
            for layer in range(2)
        ]
        bound = less.error_bound(signal)
        assert 0.7 * bound <= max(off) <= bound
        if dtype == "int8" and signal != "cell":
            assert bound <= 0.004  # of values between -1 and 1
    np.testing.assert_array_equal(less.loss, exact.loss)
    less.verify()


def test_int8_is_a_quarter_of_the_size(tmp_path: Path) -> None:
    sizes = {
        dtype: record(tiny_model(), TEXT, dtype=dtype, out=tmp_path / dtype).nbytes for dtype in ("float32", "int8")
    }
    values = 2 * 8 * 6 * len(TEXT)  # layers, units, signals
    assert sizes["float32"] - sizes["int8"] == 3 * values - 4 * 2 * 8 * 6 * 3  # a scale for each row of each stretch


@settings(max_examples=100, deadline=None)
@given(values=arrays(np.float32, (3, 20), elements=st.floats(-(2.0**126), 2.0**126, width=32)))
def test_int8_of_any_values_stays_within_its_bound(values: np.ndarray) -> None:
    writer = RecordingWriter(text="x" * 20, layers=[Layer("rnn", "lstm", 3, ("cell",))], dtype="int8")
    writer.append([{"cell": values}])
    recording = writer.finish()
    found = recording.window(0, "cell", 0, 20).astype(np.float64)
    assert np.abs(found - values).max() <= recording.error_bound("cell")
    np.testing.assert_array_equal(found[values == 0], 0)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 3e38])
def test_int8_refuses_what_it_cannot_hold(value: float) -> None:
    writer = RecordingWriter(text="ab", layers=[Layer("rnn", "lstm", 1, ("cell",))], dtype="int8")
    with pytest.raises(InspectorError, match="int8 holds finite values below 1e"):
        writer.append([{"cell": [[1.0, value]]}])


def test_error_bound_of_a_missing_signal_names_what_is_there(whole: Path) -> None:
    with pytest.raises(InspectorError, match="hidden, cell"):
        open_recording(whole).error_bound("forget_gate")


def test_int8_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("whole", "r"):
        record(tiny_model(), TEXT, dtype="int8", out=tmp_path / name)
    cut_off(tmp_path / "r", 2)
    record(tiny_model(), TEXT, dtype="int8", out=tmp_path / "r", resume=True)
    assert contents(tmp_path / "r") == contents(tmp_path / "whole")


def test_int8_half_a_step_off_is_the_bound() -> None:
    writer = RecordingWriter(text="ab", layers=[Layer("rnn", "lstm", 1, ("cell",))], dtype="int8")
    writer.append([{"cell": [[127.0, 2.5]]}])  # steps of 1
    recording = writer.finish()
    assert abs(recording.trace("0:0", "cell")[1] - 2.5) == 0.5 <= recording.error_bound("cell") < 0.501


# export


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_export_is_what_the_recording_says(capsys, tmp_path: Path, dtype: str) -> None:
    recording = record(tiny_model(), TEXT, ["hidden", "cell"], dtype=dtype, out=tmp_path / "r")
    code, said, _ = run(capsys, "export", tmp_path / "r", "--out", tmp_path / "npy")
    assert code == 0 and "1-cell.npy" in said
    for layer in range(2):
        for signal in ("hidden", "cell"):
            found = np.load(tmp_path / "npy" / f"{layer}-{signal}.npy")
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, recording.window(layer, signal, 0, len(TEXT)))
    np.testing.assert_array_equal(np.load(tmp_path / "npy" / "loss.npy"), recording.loss)
    assert (tmp_path / "npy" / "text.txt").read_bytes().decode() == TEXT
    assert json.loads((tmp_path / "npy" / "about.json").read_text())["network_hash"] == tiny_model().hash


def test_export_overwrites_nothing_and_a_full_disk_is_a_sentence(
    capsys, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    code, _, error = run(capsys, "export", whole, "--out", tmp_path / "mine")
    assert code == 1 and "new or empty folder" in error and len(list((tmp_path / "mine").iterdir())) == 1

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    code, _, error = run(capsys, "export", whole, "--out", tmp_path / "npy")
    assert code == 1 and "No space left on device" in error and "Traceback" not in error


def test_a_text_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tiny_model(), tmp_path / "net")
    code, _, said = run(capsys, "record", "--network", tmp_path / "net", "--text", tmp_path / "none.py")
    assert code == 1 and "none.py cannot be read: No such file or directory. Name a text file" in said


def test_a_file_that_is_cut_while_it_is_open_is_a_sentence(tmp_path: Path) -> None:
    """Also where what is left ends with a row, and each row that is left is sound."""
    recording = record(tiny_model(), "abc", ["hidden"], out=tmp_path / "r")
    row = 4 + 4 * 3  # a checksum and three values
    os.truncate(tmp_path / "r" / "stretch-000000", row)
    with pytest.raises(InspectorError, match="ends too early"):
        recording.window(0, "hidden", 0, 2)


def test_a_recording_whose_folder_is_gone_is_saved_from_memory_or_said(tmp_path: Path) -> None:
    recording = record(tiny_model(), "abc", ["hidden"], out=tmp_path / "r")
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "other").mkdir()
    with pytest.raises(InspectorError, match="cannot be read"):
        recording.save(tmp_path / "other")


def test_the_largest_halves_have_a_bound() -> None:
    rows = np.array([[65504.0, -65504.0, 1.0, np.inf]], np.float16)
    assert error_bound(rows) == 16.0
