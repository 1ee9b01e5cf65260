"""Somebody else's character model is recorded as our own would be; the page that shows how is executed here."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from inspector.capture import record, record_module
from inspector.recording import InspectorError, Neuron, open_recording
from tests import oracle
from tests.conftest import tiny_model

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "your-own-model.md").read_text()
TEXT = "def f(x):\n    return {x: 'é'}\n" * 3


def encode_for(model):
    return lambda text: torch.from_numpy(model.vocabulary.encode(text))[None]


def assert_same_recording(found, reference):
    assert (found.text, found.documents) == (reference.text, reference.documents)
    for index, layer in enumerate(reference.layers):
        for signal in layer.signals:
            ours, theirs = (each.window(index, signal, 0, each.n_chars) for each in (found, reference))
            oracle.assert_close(ours, theirs, 1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_a_module_is_recorded_as_our_own_reader_would(kind):
    model = tiny_model(kind)
    found = record_module(model, [TEXT, "", "x = 1"], encode_for(model), symbols=model.vocabulary.symbols)
    reference = record(model, [TEXT, "", "x = 1"])
    assert_same_recording(found, reference)
    oracle.assert_close(found.loss, reference.loss, 1e-6)
    guessed, wanted = found.guesses(0, 40), reference.guesses(0, 40)
    assert guessed.symbols.tolist() == wanted.symbols.tolist()
    oracle.assert_close(guessed.probabilities, wanted.probabilities, 1e-6)
    assert found.unknown.tolist() == reference.unknown.tolist() != []
    assert found.engine == "watch"


def test_without_symbols_there_is_neither_loss_nor_guess():
    model = tiny_model()
    found = record_module(model, TEXT, encode_for(model), signals=["cell"], dtype="float16")
    assert np.isnan(found.loss).all() and not found.has_guesses
    assert [(layer.name, layer.signals) for layer in found.layers] == [("rnn.0", ("cell",)), ("rnn.1", ("cell",))]


def test_unlisted_characters_have_no_loss_where_no_symbol_stands_for_them():
    model, symbols = tiny_model(), "".join(tiny_model().vocabulary.symbols).replace("\ufffd", "\0")
    loss = record_module(model, "aéa", encode_for(model), symbols=symbols).loss
    assert np.isnan(loss).tolist() == [True, True, False]


class StepByStep(nn.Module):
    """One character a call, through a cell, as the oldest of these models do."""

    def __init__(self):
        super().__init__()
        self.cell, self.output = nn.LSTMCell(5, 6), nn.Linear(6, 5)

    def forward(self, step, state):
        state = self.cell(step, state)
        return self.output(state[0]), state

    def read(self, steps):
        state, answers = None, []
        for step in steps:
            logits, state = self(step, state)
            answers.append(logits)
        return {"logits": torch.stack(answers)}


def test_a_model_that_is_called_step_by_step_is_one_recording():
    torch.manual_seed(0)
    model = StepByStep()

    def steps(text):
        return torch.eye(5)[["abcde".index(character) for character in text]]

    text = "abcdeabcaacde"
    found = record_module(model, text, steps, symbols="abcde", forward=model.read, head=lambda answer: answer["logits"])
    parameters = {f"{name}_l0": weight for name, weight in model.cell.state_dict().items()}
    reference = oracle.run("lstm", parameters, steps(text))[0][0]
    for name, values in reference.items():
        oracle.assert_close(found.window(0, name, 0, len(text)), values)
    expected = oracle.log_probabilities(*(part.detach() for part in model.output.parameters()), reference["hidden"])
    ids = np.array(["abcde".index(character) for character in text])
    oracle.assert_close(found.loss, [np.nan, *-expected[np.arange(len(text) - 1), ids[1:]]])


def test_a_folder_is_free_again_after_an_error(tmp_path):
    model, encode = tiny_model(), encode_for(tiny_model())

    def fails_later(text):
        if text == "cd":
            raise KeyError("c")
        return encode(text)

    with pytest.raises(KeyError) as kept:  # as a notebook does
        record_module(model, ["ab", "cd"], fails_later, out=tmp_path / "r")
    assert record_module(model, ["ab", "cd"], encode, out=tmp_path / "r").n_chars == 4
    assert kept.type is KeyError


def test_every_text_keeps_the_layers_of_the_first():
    """An RNN of words may take as many steps as a short text has characters."""
    module = nn.ModuleDict({"chars": nn.GRU(1, 3), "words": nn.GRU(1, 3)})

    def read(text):
        module["chars"](torch.zeros(len(text), 1))
        module["words"](torch.zeros(len(text.split()), 1))

    with pytest.raises(InspectorError, match=r"'chars' took 11 .*; 'words' took 2 .*name another with rnn="):
        record_module(module, ["a", "hello world"], lambda text: (text,), forward=read)
    found = record_module(module, ["a", "hello world"], lambda text: (text,), forward=read, rnn="chars")
    assert [layer.name for layer in found.layers] == ["chars.0"] and found.n_chars == 12


def test_another_recording_in_its_place_is_told_from_it(tmp_path):
    """Weights alone do not say how a module was read."""
    model = tiny_model()
    kept = record_module(model, "abcd", encode_for(model), out=tmp_path / "r")
    record_module(model, "abcd", lambda text: encode_for(model)(text[::-1]), out=tmp_path / "r")
    with pytest.raises(InspectorError, match="written anew"):
        kept.trace("0:1", "hidden")


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
def test_a_bidirectional_projected_model_names_its_directions_and_keeps_no_projection():
    rnn = nn.LSTM(3, 6, bidirectional=True, proj_size=2)
    module = nn.ModuleDict({"unused": nn.GRU(2, 2), "both": rnn})
    found = record_module(module, "abc", lambda text: torch.randn(3, 3), forward=lambda steps: module["both"](steps))
    assert [layer.name for layer in found.layers] == ["both.0", "both.0.reverse"]
    assert found.layers[0].n_units == 6 and "hidden" not in found.layers[0].signals
    assert "cell" in found.layers[0].signals


@pytest.mark.parametrize("make", [Tensor.to_sparse_coo, Tensor.to_sparse_csr, lambda part: part + 1j])
def test_a_buffer_of_any_kind_is_part_of_what_the_module_is(make):
    hashes = []
    for values in (torch.eye(3), 2 * torch.eye(3), torch.eye(3).flip(0)):
        model = tiny_model()
        with warnings.catch_warnings(action="ignore"):  # of torch: that sparse rows are in beta
            model.register_buffer("more", make(values))
        hashes.append(record_module(model, "ab", encode_for(model)).network_hash)
    assert len(set(hashes)) == 3


def test_reading_leaves_the_module_and_the_random_stream_alone():
    model = tiny_model().train()
    model.head.eval()
    modes, stream = [part.training for part in model.modules()], torch.get_rng_state()
    record_module(model, TEXT, lambda text: (torch.rand(1), encode_for(model)(text))[1])
    assert [part.training for part in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), stream)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_the_head_reads_in_eval_mode_too():
    model, drop = tiny_model().train(), nn.Dropout(0.5)
    model.drop = drop
    stream = torch.get_rng_state()
    symbols, head = model.vocabulary.symbols, lambda hidden: model.head(model.drop(hidden))
    found = record_module(
        model, TEXT, encode_for(model), symbols=symbols, forward=lambda ids: model.rnn(model.embed(ids))[0], head=head
    )
    oracle.assert_close(found.loss, record(model, TEXT).loss, 1e-6)
    assert torch.equal(torch.get_rng_state(), stream) and drop.training


def test_a_packed_sequence_is_one_argument():
    module, steps = nn.GRU(3, 4), torch.randn(5, 3)
    found = record_module(module, "abcde", lambda text: pack_sequence([steps]))
    assert_same_recording(found, record_module(module, "abcde", lambda text: steps))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"module": 7}, "it was given a int"),
        ({"symbols": {"a": 0, "b": 1}}, r"a dict has no such order. .*sorted\(ids, key=ids.get\)"),
        ({"symbols": ["a", "b", "a"]}, "'a' is no str, or is there twice"),
        ({"symbols": {0: "a", 1: "b"}}, "0 is no str"),
        ({"symbols": "ab"}, r"must be 90 rows \(characters\) of 2 values \(symbols\), not \(1, 90, .*head="),
        ({"symbols": "ab", "head": lambda answer: 7}, "must be 90 rows .* not int"),
        ({"encode": lambda text: torch.zeros(1, 4, dtype=torch.long)}, "90 characters.*'rnn' took 4 in 1 calls"),
        ({"encode": lambda text: torch.zeros(2, 90, dtype=torch.long)}, "in a batch of one"),
        ({"rnn": "rn"}, "no RNN called 'rn'; did you mean 'rnn'"),
        ({"rnn": []}, "rnn= names no RNN: name some of 'rnn'"),
        ({"signals": ["sell"]}, "No layer has signals sell: choose from hidden, cell"),
        ({"signals": []}, "No layer has signals without a name"),
        ({"text": ""}, "nothing to record"),
    ],
)
def test_what_cannot_be_recorded_is_a_sentence(options, sentence):
    model = tiny_model()
    with pytest.raises(InspectorError, match=sentence):
        record_module(**({"module": model, "text": TEXT, "encode": encode_for(model)} | options))


def test_the_page_runs_and_its_recording_opens_in_the_dashboard_without_the_module(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(snippet, "your-own-model.md", "exec"), names)
    assert capsys.readouterr().out == "(1, 32, 5)\n"
    opened = open_recording(tmp_path / "recordings" / "my-model")
    assert_same_recording(opened, names["recording"])
    assert np.isfinite(opened.loss[1:]).all() and opened.has_guesses
    assert_same_recording(names["again"], opened)
    oracle.assert_close(names["again"].loss, opened.loss)

    monkeypatch.setenv("CHARSCOPE_RECORDINGS", str(tmp_path / "recordings"))
    monkeypatch.setenv("CHARSCOPE_CHECKPOINTS", str(tmp_path / "none"))
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path / "data"))
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.query_params["text"], app.query_params["neuron"] = "recording:my-model", "1:7"
    app.run()
    assert not app.exception
    assert opened.trace(Neuron(1, 7), "hidden").tobytes() in app.get("bidi_component")[0].proto.bytes
