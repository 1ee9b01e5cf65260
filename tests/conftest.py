"""What several test files share: a tiny trained-by-nobody network and a folder of Python files with held-out ones."""

import itertools
from pathlib import Path

import pytest
import torch

from inspector.corpus import split_of
from inspector.model import CharModel, ModelConfig, Vocabulary, save_checkpoint

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
def tiny_checkpoint(tmp_path) -> Path:
    save_checkpoint(tiny_model(), tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def python_folder(tmp_path) -> Path:
    """Python files of which at least two fall into each split."""
    folder = tmp_path / "sources"
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
