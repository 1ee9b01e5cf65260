"""What happens behind a writer's back: its thread, the disk's errors, its end, and who else wants the folder."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from inspector.capture import RecordingCancelled, record
from inspector.recording import (
    InspectorError,
    Layer,
    RecordingWriter,
    delete_recording,
    find_recording,
    list_recordings,
    open_recording,
)
from tests.conftest import PYTHON_TEXT, tiny_model

ROOT = Path(__file__).parent.parent
N = 4_096 * 6
LAYERS = [Layer("rnn", "rnn", 4, ("hidden",))]


def begun(folder: Path, **options: object) -> RecordingWriter:
    return RecordingWriter(folder, text="x" * N, layers=LAYERS, **options)  # type: ignore[arg-type]


def part(writer: RecordingWriter, n: int = 4_096) -> list[dict[str, np.ndarray]]:
    return [{"hidden": np.arange(writer.n_written, writer.n_written + n) + np.zeros((4, 1), np.float32)}]


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that answers once the event is set."""
    answers = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda descriptor: answers.wait(20))
    answers.set()
    return answers


def test_appending_does_not_wait_for_the_disk_until_two_parts_do(tmp_path: Path, slow_disk: threading.Event) -> None:
    with begun(tmp_path / "r") as writer:
        slow_disk.clear()
        for _ in range(2):
            writer.append(part(writer), state=b"here")
        assert writer.n_written == 8_192 and writer.state == b"here"
        third = threading.Thread(target=lambda: writer.append(part(writer)))
        third.start()
        third.join(0.2)
        waited = third.is_alive()  # memory stays bounded
        slow_disk.set()
        third.join(20)
        assert waited and not third.is_alive() and writer.n_written == 3 * 4_096


def test_appended_arrays_are_copied_before_the_thread_reads_them(tmp_path: Path, slow_disk: threading.Event) -> None:
    writer = begun(tmp_path / "r")
    slow_disk.clear()
    writer.append(part(writer))  # which keeps the thread busy
    values = part(writer)
    writer.append(values)
    values[0]["hidden"][:] = -1
    slow_disk.set()
    while writer.n_written < N:
        writer.append(part(writer))
    np.testing.assert_array_equal(writer.finish().trace("0:2"), np.arange(N))


def test_full_disk_reaches_the_caller_and_nothing_follows_the_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(tmp_path / "r") as writer:
        writer.append(part(writer))
        while writer._behind is not None and not writer._behind._waiting[-1].done():
            time.sleep(0.01)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InspectorError, match="No space left on device"):
            while writer.n_written < N:
                writer.append(part(writer))
            writer.finish()
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # there is room again, and yet
        with pytest.raises((InspectorError, ValueError)):
            for _ in range(3):
                writer.append(part(writer))
            writer.finish()
    assert open_recording(tmp_path / "r").n_chars == 4_096
    begun(tmp_path / "r", resume=True).close()


def test_failed_memory_recording_is_never_finished() -> None:
    writer = RecordingWriter(text="ab", layers=LAYERS, dtype="float16")
    with pytest.raises(InspectorError, match="too large for float16"):
        writer.append([{"hidden": np.full((4, 2), 1e9)}])
    with pytest.raises(InspectorError, match="failed before"):
        writer.finish()


def test_cancelled_recording_keeps_what_was_read_and_lets_go(tmp_path: Path, one_thread: None) -> None:
    text = PYTHON_TEXT * 80
    asked = iter([False, True])
    with pytest.raises(RecordingCancelled) as caught:
        record(tiny_model(), text, out=tmp_path / "r", should_stop=lambda: next(asked))
    assert caught.traceback  # which holds the writer
    assert open_recording(tmp_path / "r").n_chars == 8_192  # asked at the start, and after 8,192
    assert record(tiny_model(), text, out=tmp_path / "r", resume=True).is_complete


ENDS = """
import sys
import numpy as np
from inspector.recording import Layer, RecordingWriter
writer = RecordingWriter(sys.argv[1], text="x" * 24_576, layers=[Layer("rnn", "rnn", 4, ("hidden",))])
for _ in range(3):
    writer.append([{"hidden": np.zeros((4, 4_096), np.float32)}])
if sys.argv[2] == "raise":
    raise KeyError("reader")
"""


@pytest.mark.parametrize("how", ["end", "raise"])
def test_interpreter_that_ends_never_hangs_and_what_was_appended_is_there(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", ENDS, str(tmp_path / "r"), how]
    answer = subprocess.run(command, cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert answer.returncode == (1 if how == "raise" else 0) and ("KeyError" in answer.stderr) == (how == "raise")
    assert open_recording(tmp_path / "r").n_chars == 12_288


def test_writer_that_nobody_holds_lets_go(tmp_path: Path) -> None:
    writer = begun(tmp_path / "r")
    writer.append(part(writer))
    del writer
    for _ in range(50):
        gc.collect()
        time.sleep(0.02)
        if not (tmp_path / "r" / ".writing").exists():
            break
    begun(tmp_path / "r").close()


def test_second_writer_gets_a_sentence_and_the_first_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    with begun(folder) as first:
        first.append(part(first))
        for wanted in ({}, {"resume": True}):
            with pytest.raises(InspectorError, match="is being written by another recording: wait until"):
                begun(folder, **wanted)
        with pytest.raises(InspectorError, match="is being written"):
            delete_recording(find_recording("r", list_recordings([folder])))
        other = RecordingWriter(text="x", layers=LAYERS)
        other.append([{"hidden": np.zeros((4, 1))}])
        with pytest.raises(InspectorError, match="is being written"):
            other.finish().save(folder)
        while first.n_written < N:
            first.append(part(first))
        assert first.finish().is_complete
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r"]
    assert not (folder / ".writing").exists()
    begun(folder).close()


def test_reader_is_never_blocked(tmp_path: Path) -> None:
    with begun(tmp_path / "r") as writer:
        for _ in range(4):
            writer.append(part(writer))
        found = open_recording(tmp_path / "r")  # at least all but the two parts behind
        assert found.n_chars >= 4_096 and found.trace("0:1")[-1] == found.n_chars - 1


HOLDS = """
import sys, time
from inspector.recording import Layer, RecordingWriter
writer = RecordingWriter(sys.argv[1], text="x" * 9_000, layers=[Layer("rnn", "rnn", 4, ("hidden",))])
print("holds", flush=True)
time.sleep(60)
"""


def test_lock_of_another_process_vanishes_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "r")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"holds\n"
        with pytest.raises(InspectorError, match="is being written"):
            begun(tmp_path / "r")
        process.kill()
    assert (tmp_path / "r" / ".writing").exists()
    begun(tmp_path / "r").close()
    assert not (tmp_path / "r" / ".writing").exists()


def test_folder_cut_off_with_nothing_but_its_lock_is_free(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".writing").touch()
    begun(tmp_path / "r").close()
