"""What several test files share: a tiny network nobody trained, a folder of Python files, and a browser."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, sync_playwright

from inspector.corpus import split_of
from inspector.model import CharModel, ModelConfig, Vocabulary, save_checkpoint
from tests.find_chromium import chromium_path

PYTHON_TEXT = '''"""A module."""
import os

GREETING = "hello"  # said first


def shout(words, times=3):
    """Say it loudly."""
    if times > 0:
        return [word.upper() + '!' for word in words]  # a list
    return {"nothing": None}
'''


def tiny_model(
    kind: str = "lstm", n_layers: int = 2, n_units: int = 8, text: str = PYTHON_TEXT, seed: int = 3
) -> CharModel:
    """A random network that knows the characters of `text`; weights are large enough for its neurons to move."""
    torch.manual_seed(seed)
    model = CharModel(ModelConfig(kind, n_layers, n_units), Vocabulary.from_text(text), name=f"tiny-{kind}").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small only wait for each other's threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def tiny_checkpoint(tmp_path) -> Path:
    save_checkpoint(tiny_model(), tmp_path / "tiny")
    return tmp_path / "tiny"


def make_python_folder(place: Path) -> Path:
    """Python files of which at least two fall into each split."""
    folder = place / "sources"
    folder.mkdir()
    wanted = {"train": 2, "choose": 2, "report": 2}
    for number in itertools.count():
        name = f"module_{number}.py"
        if wanted[split_of(name)] > 0:
            wanted[split_of(name)] -= 1
            body = PYTHON_TEXT.replace("hello", f"hello {number}").replace("word", "item" * (1 + number % 3))
            (folder / name).write_text(body * 8)
        if not any(wanted.values()):
            return folder


@pytest.fixture
def python_folder(tmp_path) -> Path:
    return make_python_folder(tmp_path)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests: Playwright opens once in a process."""
    path = chromium_path()
    if path is None:
        pytest.fail("No Chromium found: run `python tests/find_chromium.py --install`.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()
