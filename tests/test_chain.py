"""The whole chain, room by room: text, network, recording, disk, search, and the payload that reaches the browser."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.overlay import build_payload
from inspector.capture import record
from inspector.concepts import CONCEPTS
from inspector.model import CharModel, ModelConfig, Vocabulary, untrained_twin
from inspector.recording import Neuron, open_recording
from inspector.search import rank_neurons
from tests.conftest import PYTHON_TEXT, tiny_model
from tests.test_overlay import unpack

PLANTED = Neuron(0, 5)


def comment_network() -> CharModel:
    """Random weights, but for one unit that a `#` switches on and a newline off: an inside-a-comment neuron by hand."""
    model = tiny_model(n_layers=1, n_units=8)
    vocabulary, units = model.vocabulary, model.config.n_units
    hash_sign, newline = (int(vocabulary.encode(char)[0]) for char in "#\n")
    rows = {gate: place * units + PLANTED.unit for place, gate in enumerate("ifgo")}
    with torch.no_grad():
        weights, recurrent, bias = model.rnn.weight_ih_l0, model.rnn.weight_hh_l0, model.rnn.bias_ih_l0
        for row in rows.values():
            weights[row], recurrent[row], bias[row] = 0, 0, 0
            model.rnn.bias_hh_l0[row] = 0
        bias[rows["i"]], weights[rows["i"], hash_sign] = -12, 24  # written at the sign alone
        bias[rows["f"]], weights[rows["f"], newline] = 12, -24  # kept, until the line ends
        bias[rows["g"]], bias[rows["o"]] = 12, 12
    return model


def test_planted_detector_ranks_first():
    text = "".join(PYTHON_TEXT.replace("hello", f"hello {turn}") for turn in range(40))
    text = text.replace(' # a list"', "").replace('"hello', '"well')
    label = CONCEPTS["inside_comment"].label(text, language="python")
    model = comment_network()
    recording, twin = record(model, text), record(untrained_twin(model), text)
    table = rank_neurons(recording, label, twin=twin)
    best = table.iloc[0]
    assert (best.layer, best.unit, best.polarity) == (*PLANTED, 1)
    assert best.score == pytest.approx(1, abs=1e-6) and best.q_value < 0.01 and best.twin_score < 0.99
    trace = recording.trace(PLANTED, "cell")
    np.testing.assert_array_equal(trace > 0.5, label)


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_text_reaches_the_browser_unaltered(text):
    model = CharModel(ModelConfig("lstm", 1, 3), Vocabulary.from_text("ab\n"), name="small").eval()
    recording = record(model, text, ["hidden", "cell"])
    with tempfile.TemporaryDirectory() as folder:
        recording.save(Path(folder) / "kept")
        kept = open_recording(Path(folder) / "kept", model=model)
        assert kept.text == text and kept.n_chars == len(text)
        assert kept.unknown.tolist() == [t for t, char in enumerate(text) if char not in "ab\n"]
        trace = kept.trace(Neuron(0, 2), "cell")
    np.testing.assert_array_equal(trace, recording.trace(Neuron(0, 2), "cell"))
    payload = build_payload(
        text=text, traces={("0:2", "cell"): trace}, neuron="0:2", signal="cell", layers=[(3, ("hidden", "cell"))]
    )
    _, sections = unpack(payload)
    assert bytes(sections["text"]).decode("utf-8") == text
    np.testing.assert_array_equal(sections["trace/0:2/cell"], trace)
