"""Recording is killed at random moments: what is left is a shorter recording or none, and resuming makes it whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inspector.recording import InspectorError, Recording, open_recording

ROOT = Path(__file__).parent.parent
N_KILLS = 50

# Imports torch once, then records in forks of itself: "record FOLDER SECONDS" is killed after that time (never with a
# negative one), "resume FOLDER" is not. It answers each line with how long the fork lived. Nothing waits for the disk:
# what a process has written outlives it, and only a power cut would need fsync.
NURSERY = """
import os, signal, sys, time
import torch
from inspector.capture import record
from tests.conftest import PYTHON_TEXT, tiny_model

os.fsync = lambda descriptor: None
torch.set_num_threads(1)
model, text = tiny_model(n_layers=1, n_units=4), PYTHON_TEXT * 80
record(model, "warm")  # what is compiled at first use is there for every fork
for line in sys.stdin:
    command, folder, seconds = line.split("\\t")
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        record(model, text, ["hidden", "cell"], out=folder, resume=command == "resume")
        os._exit(0)
    if float(seconds) >= 0:
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(time.monotonic() - begun, flush=True)
"""


class Nursery:
    """Starts and kills recordings in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, command: str, folder: Path, seconds: float = -1) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{command}\t{folder}\t{seconds}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@pytest.fixture
def nursery():
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process)
        process.kill()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_beginning(found: Recording, whole: Recording) -> None:
    """All values, the loss and the guesses are those with which the whole recording begins."""
    n_chars = found.n_chars
    assert found.text == whole.text[:n_chars] and found.n_planned == whole.n_chars
    for signal in ("hidden", "cell"):
        np.testing.assert_array_equal(found.window(0, signal, 0, n_chars), whole.window(0, signal, 0, n_chars))
    np.testing.assert_array_equal(found.loss, whole.loss[:n_chars])
    for one, other in zip(found.guesses(0, n_chars), whole.guesses(0, n_chars), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_killed_at_random_moments_then_resumed_to_the_same_bytes(nursery: Nursery, tmp_path: Path) -> None:
    nursery("record", tmp_path / "warm")
    duration = max(nursery("record", tmp_path / "whole") for _ in range(3))  # a busy machine is not always as slow
    whole, due = open_recording(tmp_path / "whole"), contents(tmp_path / "whole")
    moments = random.Random(5)
    lengths = set()
    for number in range(N_KILLS):
        folder = tmp_path / f"killed-{number}"
        nursery("record", folder, moments.uniform(0, 1.1 * duration))
        try:
            found = open_recording(folder)
        except InspectorError as error:
            assert any(words in str(error) for words in ("does not exist", "has no manifest", "cut off"))
            lengths.add(0)
        else:
            found.verify()
            assert found.n_chars % 4_096 == 0 or found.is_complete
            assert_beginning(found, whole)
            lengths.add(found.n_chars)
        nursery("resume", folder)
        assert contents(folder) == due, f"killed at {sorted(lengths)}"
    assert len(lengths) >= 3  # it was killed at different places, not always before or after all of it
