"""Every compiled loop once, so that nobody waits for it later: small work of each kind, by networks of random weights.

Loops are compiled at first use and kept (compiled.py), each for the types that it is used with. So what is done here is
what readers do, with texts of a few hundred characters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from inspector.capture import record, watch
from inspector.capture.draft import Draft
from inspector.concepts import Concept, get_concept, regex_concept
from inspector.corpus import Text
from inspector.explain import explain_recording
from inspector.generate import sample
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import open_recording
from inspector.search import rank_labels
from inspector.search.codes import best_codes
from inspector.search.places import conditions_of, find_places
from inspector.search.ranges import find_neurons
from inspector.survey import search_corpus

Progress = Callable[[int, int], object]

_N_UNITS = 512  # weights of so many are too large for the cache next to a core, and are read by loops of their own
_FUNCTION = (
    "def shout(words):\n    loud = [w.upper() + '!' for w in words]  # so that {} hear it\n    return loud[:{}]\n\n"
)
_TEXTS = ["".join(_FUNCTION.format(i * place, i) for i in range(8)) for place in (1, 7, 13, 29)]


def compile_ahead(progress: Progress | None = None) -> None:
    """Compile every loop that reading and searching need and that is not compiled yet: about a minute the first time.

    progress : called as progress(done, total), in kinds of work, before each of them and after the last.
    """
    small, exact = _network(torch.float16), _network(torch.float32)
    work: list[Callable[[], object]] = [
        lambda: _read(small),
        lambda: _read(exact),
        lambda: _look_through(small),
        lambda: [Draft(small).read(text) for text in (_TEXTS[0], _TEXTS[0][:-9])],
        _watch,
        lambda: list(sample(small, "def ", n_chars=4)),
        lambda: _search(small),
        lambda: _survey(small),
        _explain,
    ]
    for done, do in enumerate(work):
        if progress is not None:
            progress(done, len(work))
        do()
    if progress is not None:
        progress(len(work), len(work))


def _network(precision: torch.dtype, n_units: int = _N_UNITS) -> CharModel:
    """precision : that the weights would be stored in; what is float16 on disk is read in another way."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CharModel(ModelConfig("lstm", 2, n_units), Vocabulary.from_text(_TEXTS[0]))
    for weight in model.parameters():
        weight.data = weight.data.to(precision).float()
    return model.eval()


def _read(model: CharModel) -> None:
    for text in (_TEXTS[0], _TEXTS):
        record(model, text)
        for dtype in ("float16", "int8"):
            record(model, text, ["hidden", "cell"], dtype=dtype)


def _look_through(model: CharModel) -> None:
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "snapshots"
        record(model, _TEXTS[0], store="snapshots", out=kept)
        recording = open_recording(kept, model=model)
        for signal in ("hidden", "cell", "forget_gate"):
            recording.window(0, signal, 100, 400)


def _watch() -> None:
    """An LSTM and a GRU of somebody else's."""
    for kind in (nn.LSTM, nn.GRU):
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            module = kind(16, _N_UNITS).eval()
            for n_side_by_side in (1, 8):
                with watch(module):
                    module(torch.zeros(16, n_side_by_side, 16))


def _concepts() -> list[Concept]:
    return [get_concept(name) for name in ("inside_string", "line_position", "indentation")] + [regex_concept("lo+")]


def _labels() -> dict[str, Any]:
    return {one.name: np.concatenate([one.label(text, language="python") for text in _TEXTS]) for one in _concepts()}


def _search(model: CharModel) -> None:
    recording = record(model, _TEXTS, ["hidden", "cell"], dtype="float16")
    labels = _labels()
    tables = rank_labels(recording, {name: (label, None) for name, label in labels.items()}, twin=recording)
    for name in ("inside_string", "indentation"):
        best_codes(recording, labels[name], ranking=tables[name], most=2)
    mark = (120, 131)
    find_places(recording, conditions_of(find_neurons(recording, [mark])), mark=mark)


def _survey(model: CharModel) -> None:
    documents = [Text(f"{place}.py", text) for place, text in enumerate(_TEXTS)]
    search_corpus(model, documents, _concepts(), gather=True)
    search_corpus(model, documents, _concepts()[:1], twin=False)


def _explain() -> None:
    recording = record(_network(torch.float32, 8), _TEXTS, ["hidden", "cell"], dtype="float16")
    explain_recording(recording, _labels(), choose=np.arange(recording.n_chars) % 400 < 200)
