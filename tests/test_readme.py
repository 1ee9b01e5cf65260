"""README.md says nothing that does not run: its Python is executed and must print what stands below it."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^(?:\.venv/bin/)?python -m (inspector \w+)", README, re.MULTILINE)


def test_readme_has_snippets_and_commands():
    assert SNIPPETS and COMMANDS


@pytest.mark.parametrize(("source", "printed"), SNIPPETS)
def test_readme_snippet_prints_what_it_says(source, printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(source, "README.md", "exec"), {})
    assert said.getvalue().split() == printed.split()


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_readme_command_exists(command):
    answer = subprocess.run([sys.executable, "-m", *command.split(), "--help"], cwd=ROOT, capture_output=True)
    assert answer.returncode == 0


def test_readme_names_files_that_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
