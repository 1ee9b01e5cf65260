"""What is compiled is kept, and thrown away as soon as any loop's source is another one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

USE = """
import pathlib, sys
import inspector.compiled as room
room._ROOT = pathlib.Path(sys.argv[1])
sys.path.insert(0, sys.argv[1])
from use import twice
print(twice(5))
"""
CALLED = "from inspector.compiled import compiled\n@compiled\ndef called(x):\n    return x * {}\n"
CALLING = """
from called import called
from inspector.compiled import compiled
@compiled
def twice(x):
    return called(x) + called(x)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "use.py").write_text(CALLING)
    return tmp_path


def result(folder, factor, **environment):
    (folder / "called.py").write_text(CALLED.format(factor))
    command = [sys.executable, "-c", USE, str(folder)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
        env=os.environ | {"NUMBA_CACHE_DIR": "", **environment},
    )  # fmt: skip
    return int(run.stdout)


def test_loop_is_compiled_anew_when_one_that_it_calls_has_changed(folder):
    assert result(folder, 2) == 20
    assert result(folder, 100) == 1000
    (kept,) = (folder / "__pycache__").glob("charscope-*")  # what was of the other source is gone
    assert list(kept.rglob("*.nbc"))


def test_folder_that_numba_is_told_to_use_is_used(folder, tmp_path):
    assert result(folder, 3, NUMBA_CACHE_DIR=str(tmp_path / "elsewhere")) == 30
    assert list((tmp_path / "elsewhere").rglob("*.nbc"))
