"""The container's recipe names what is there, sends nothing else to the builder, and serves read-only."""

import fnmatch
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def copied() -> set[str]:
    lines = re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def test_what_is_copied_exists_and_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied() == allowed and all((ROOT / source).exists() for source in copied())


def test_nothing_personal_is_copied():
    assert not any(
        fnmatch.fnmatch(source, pattern) for source in copied() for pattern in (".", ".git", "runs", "tests")
    )


def test_it_runs_read_only_as_nobody_in_particular_and_tells_its_health():
    steps = DOCKERFILE.splitlines()
    user = next(place for place, line in enumerate(steps) if line.startswith("USER reader"))
    start = next(place for place, line in enumerate(steps) if line.startswith("CMD "))
    assert "CHARSCOPE_READ_ONLY=1" in DOCKERFILE and "/_stcore/health" in DOCKERFILE and user < start
