"""Capture gives exactly what the network computed, and leaves no trace in it."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from inspector.capture import RecordingCancelled, abreast, record, recorder
from inspector.capture.engines import engine_for
from inspector.capture.weights import flat_weights, split_weights
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import SIGNALS, Document, InspectorError, Neuron, open_recording
from tests import oracle

TEXT = ("def spam(eggs):\n\treturn [x * 2 for x in eggs if x]  # 'quoted'\n" * 20)[:1000]
N_UNITS = 12
KINDS = ("lstm", "gru", "rnn")


pytestmark = pytest.mark.usefixtures("one_thread")

ORACLE_KIND = {"lstm": "lstm", "gru": "gru", "rnn": "tanh"}


def char_model(kind="lstm", n_layers=2, *, n_units=N_UNITS, dropout=0.0, embedding=None, text=TEXT):
    """A network with livelier gates than torch's initial weights give."""
    torch.manual_seed(n_layers)
    config = ModelConfig(kind, n_layers, n_units, embedding=embedding, dropout=dropout)
    model = CharModel(config, Vocabulary.from_text(text))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.0)
    return model.eval()


def oracle_of(model, text):
    """Signals by layer, and log probabilities (n_chars, n_symbols), in float64."""
    with torch.no_grad():
        inputs = model.embed(torch.from_numpy(model.vocabulary.encode(text))[None])[0].numpy()
    kind = ORACLE_KIND[model.config.kind]
    layers = [runs[0] for runs in oracle.run(kind, model.rnn.state_dict(), inputs, model.config.n_layers)]
    head = model.head
    return layers, oracle.log_probabilities(head.weight.detach(), head.bias.detach(), layers[-1]["hidden"])


def values_of(recording):
    """All that a recording holds about the text, as one dict of arrays (..., n_chars)."""
    values = {
        (i, signal): recording.window(i, signal, 0, recording.n_chars)
        for i, layer in enumerate(recording.layers)
        for signal in layer.signals
    }
    return values | {"loss": recording.loss, "guesses": recording.guesses(0, recording.n_chars, 3).probabilities.T}


def settings_of(model):
    """Everything about a module that a careless reader might leave changed, apart from the weights' values."""
    parts = [(part.training, list(part._forward_hooks), list(part._forward_pre_hooks)) for part in model.modules()]
    return parts, [(weight.requires_grad, weight.grad) for weight in model.parameters()]


def assert_same_values(found, reference):
    assert found.keys() == reference.keys()
    for key in reference:
        oracle.assert_close(found[key], reference[key], 1e-6)


# ------------------------------------------------------------------------------------------------------------ record


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_record_equals_the_oracle(kind, n_layers):
    model = char_model(kind, n_layers)
    recording = record(model, TEXT)
    layers, log_probabilities = oracle_of(model, TEXT)
    ids = model.vocabulary.encode(TEXT)

    assert [layer.signals for layer in recording.layers] == [SIGNALS[kind]] * n_layers
    for i, signals in enumerate(layers):
        for name, reference in signals.items():
            oracle.assert_close(recording.window(i, name, 0, len(TEXT)), reference)
    oracle.assert_close(recording.loss, [math.nan, *-log_probabilities[np.arange(len(ids) - 1), ids[1:]]])
    oracle.assert_close(
        recording.guesses(0, len(TEXT), 10).probabilities, np.sort(np.exp(log_probabilities))[:, :-11:-1]
    )


def test_record_of_a_learned_embedding_equals_the_oracle():
    model = char_model(embedding=5)
    layers, _ = oracle_of(model, TEXT)
    oracle.assert_close(record(model, TEXT).window(1, "cell", 0, len(TEXT)), layers[1]["cell"])


def test_recorded_lstm_obeys_its_equations():
    recording = record(char_model(n_layers=1), TEXT)
    h, c, i, f, g, o = (recording.window(0, name, 0, len(TEXT)) for name in SIGNALS["lstm"])
    oracle.assert_close(h, o * np.tanh(c), 1e-6)
    oracle.assert_close(c[:, 1:], f[:, 1:] * c[:, :-1] + i[:, 1:] * g[:, 1:], 1e-6)
    oracle.assert_close(c[:, 0], i[:, 0] * g[:, 0], 1e-6)


def test_recorded_gru_obeys_its_equations():
    recording = record(char_model("gru", 1), TEXT)
    h, _, z, n = (recording.window(0, name, 0, len(TEXT)) for name in SIGNALS["gru"])
    oracle.assert_close(h[:, 1:], (1 - z[:, 1:]) * n[:, 1:] + z[:, 1:] * h[:, :-1], 1e-6)


def test_guessed_symbols_are_the_likeliest():
    model = char_model()
    _, log_probabilities = oracle_of(model, TEXT)
    best = [model.vocabulary.symbols[i] for i in log_probabilities.argmax(axis=1)]
    assert record(model, TEXT).guesses(0, len(TEXT), 1).symbols[:, 0].tolist() == best


def test_loss_is_the_cross_entropy_of_a_plain_forward():
    model = char_model()
    ids = torch.from_numpy(model.vocabulary.encode(TEXT))[None]
    with torch.no_grad():
        logits, _ = model(ids)
        expected = nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
    oracle.assert_close(record(model, TEXT).loss[1:], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 999])
def test_record_of_a_prefix_is_a_prefix(kind, length):
    model = char_model(kind)
    whole, part = values_of(record(model, TEXT)), values_of(record(model, TEXT[:length]))
    assert_same_values(part, {key: array[..., :length] for key, array in whole.items()})


def test_a_wish_to_stop_comes_too_late_when_all_is_read():
    answers = iter([False, True])
    assert record(char_model(), TEXT, should_stop=lambda: next(answers)).n_chars == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_stretch_length_does_not_matter(kind, monkeypatch):
    model = char_model(kind)
    whole = values_of(record(model, TEXT))
    monkeypatch.setattr(abreast, "_NEURON_STEPS", 1)
    assert_same_values(values_of(record(model, TEXT)), whole)


def test_stretches_are_bounded_whatever_the_text_is(monkeypatch):
    monkeypatch.setattr(abreast, "_NEURON_STEPS", 100 * 2 * N_UNITS)
    seen = []
    monkeypatch.setattr(recorder, "_SECONDS_BETWEEN_REPORTS", 0)
    record(char_model(), TEXT, progress=lambda done, total: seen.append(done))
    assert seen == [*range(0, 1001, 100)]


def test_several_documents_equal_one_by_one():
    model = char_model()
    texts = [TEXT[:130], "", TEXT[200:201], TEXT[300:500]]
    recording = record(model, texts, names=["a.py", "empty.py", "b.py", "c.py"])
    assert recording.text == "".join(texts)
    assert [document.name for document in recording.documents] == ["a.py", "empty.py", "b.py", "c.py"]
    for document, text in zip(recording.documents, texts, strict=True):
        assert recording.text[document.start : document.stop] == text
        if text:
            part = {key: array[..., document.start : document.stop] for key, array in values_of(recording).items()}
            assert_same_values(part, values_of(record(model, text)))


def test_documents_without_names_are_numbered_and_a_lone_text_is_called_text():
    assert [document.name for document in record(char_model(), ["x", "y"]).documents] == ["0", "1"]
    assert [document.name for document in record(char_model(), "x").documents] == ["text"]


def test_paths_may_name_documents(tmp_path):
    recording = record(char_model(), ["ab", "c"], names=[Path("x.py"), Path("y.py")], out=tmp_path / "r")
    assert [document.name for document in recording.documents] == ["x.py", "y.py"]
    assert open_recording(tmp_path / "r").documents == recording.documents


def test_train_mode_and_dropout_do_not_matter_to_record():
    model = char_model(dropout=0.5)
    quiet = values_of(record(model, TEXT))
    assert_same_values(values_of(record(model.train(), TEXT)), quiet)


def test_record_under_autocast_is_exact():
    model = char_model()
    quiet = values_of(record(model, TEXT))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same_values(values_of(record(model, TEXT)), quiet)


@pytest.mark.parametrize("grad_mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_record_leaves_the_model_as_it_was(grad_mode):
    model = char_model(dropout=0.5).train()
    model.head.weight.requires_grad_(False)
    model.rnn.eval()
    weights, settings_before, random = copy.deepcopy(model.state_dict()), settings_of(model), torch.get_rng_state()
    with grad_mode():
        modes = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        record(model, TEXT)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert settings_of(model) == settings_before


def test_progress_is_called_outside_of_inference_mode():
    seen = []
    record(char_model(), TEXT, progress=lambda done, total: seen.append(torch.is_inference_mode_enabled()))
    assert seen and not any(seen)


def test_characters_outside_the_vocabulary_are_read_as_unknown_and_reported():
    model = char_model()
    text = "a\U0001f40de\x00" + TEXT[:10]
    recording = record(model, text)
    assert recording.text == text
    assert recording.unknown.tolist() == [1, 3]
    layers, _ = oracle_of(model, "a\ufffde\ufffd" + TEXT[:10])
    oracle.assert_close(recording.window(0, "hidden", 0, len(text)), layers[0]["hidden"])


@given(st.text(min_size=1, max_size=80))
@example("\r\n\t\x00")
@settings(max_examples=25, deadline=None)
def test_record_takes_any_text(text):
    recording = record(_SMALL, text)
    assert recording.text == text
    assert recording.n_chars == len(recording.loss) == len(text)
    assert np.isnan(recording.loss).tolist() == [True] + [False] * (len(text) - 1)


_SMALL = char_model(n_layers=1, n_units=3)


def test_chosen_signals_are_kept_in_the_usual_order_and_no_others():
    model = char_model()
    recording = record(model, TEXT, signals=["cell", "hidden"])
    assert recording.layers[0].signals == ("hidden", "cell")
    oracle.assert_close(recording.trace(Neuron(1, 3), "cell"), record(model, TEXT).trace(Neuron(1, 3), "cell"), 1e-6)
    only_hidden = record(model, TEXT, signals=("hidden",))
    oracle.assert_close(only_hidden.trace(Neuron(1, 3)), recording.trace(Neuron(1, 3)), 1e-6)


def test_a_recording_knows_its_network_and_engine():
    model = char_model()
    recording = record(model, "abc")
    engine = engine_for(split_weights(model.rnn, flat_weights(model.rnn))[0]).__name__
    assert (recording.network, recording.network_hash, recording.engine) == (model.name, model.hash, engine)


def test_record_to_a_folder_equals_record_in_memory(tmp_path):
    model = char_model()
    in_memory = values_of(record(model, [TEXT, TEXT[:50]]))
    assert_same_values(values_of(record(model, [TEXT, TEXT[:50]], out=tmp_path / "r")), in_memory)
    assert_same_values(values_of(open_recording(tmp_path / "r")), in_memory)


def test_progress_rises_from_nothing_to_all_characters():
    seen = []
    record(char_model(), [TEXT, TEXT], progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 2000)
    assert seen[-1] == (2000, 2000)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_read_side_by_side_equal_those_read_one_by_one(kind, monkeypatch):
    model = char_model(kind)
    lengths = [1, 300, 0, 17, 64, 5, 0, 16, 120, 3, 33]
    texts = [TEXT[7 * i : 7 * i + n] for i, n in enumerate(lengths)]
    monkeypatch.setattr(abreast, "_NEURON_STEPS", 1)  # stretches of 16 characters
    found = record(model, texts)
    assert [document.stop - document.start for document in found.documents] == lengths
    ends = np.cumsum(lengths)
    values = values_of(found)
    for text, stop in zip(texts, ends, strict=True):
        if text:
            alone = values_of(record(model, text))
            assert_same_values({key: whole[..., stop - len(text) : stop] for key, whole in values.items()}, alone)


def test_only_as_many_texts_are_read_side_by_side_as_memory_allows():
    documents = [Document(str(i), 10 * i, 10 * i + 10) for i in range(50)]
    assert [len(group) for group in recorder._groups(documents, 60)] == [6] * 8 + [2]
    assert [len(group) for group in recorder._groups(documents, 9)] == [1] * 50
    assert [len(group) for group in recorder._groups(documents, 10**6)] == [32, 18]


def test_several_texts_that_were_cut_off_are_resumed_to_the_same_bytes(tmp_path, monkeypatch):
    model = char_model(n_layers=1)
    texts = [TEXT[:700], TEXT[:900]] * 8
    monkeypatch.setattr(recorder, "_GROUP_BYTES", 4 * 5 * 900 * N_UNITS * 6)  # groups of five or six
    whole = record(model, texts, out=tmp_path / "whole")
    asked = iter([False] * 14 + [True])
    with pytest.raises(RecordingCancelled):
        record(model, texts, out=tmp_path / "cut", should_stop=lambda: next(asked))
    assert 0 < open_recording(tmp_path / "cut").n_chars < whole.n_chars
    again = record(model, texts, out=tmp_path / "cut", resume=True)
    for key, values in values_of(whole).items():
        assert np.array_equal(values, values_of(again)[key], equal_nan=True)


def test_should_stop_ends_the_recording(monkeypatch):
    monkeypatch.setattr(abreast, "_NEURON_STEPS", 1)
    answers = iter([False, False, True])
    with pytest.raises(RecordingCancelled, match=r"stopped after 128 of 1,000 characters"):
        record(char_model(), TEXT, should_stop=lambda: next(answers))


def test_a_stopped_recording_on_disk_stays_readable_at_its_shorter_length(tmp_path):
    text, model = TEXT * 5, char_model(n_layers=1)
    answers = iter([False, True])
    with pytest.raises(RecordingCancelled):
        record(model, [text, text], out=tmp_path / "r", should_stop=lambda: next(answers))
    shorter = open_recording(tmp_path / "r")
    assert 4096 <= shorter.n_chars <= 5000
    assert_same_values(values_of(shorter), values_of(record(model, shorter.text)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"text": ""}, "nothing to record: the text is empty"),
        ({"text": []}, "nothing to record"),
        ({"text": ["", ""]}, "nothing to record"),
        ({"text": b"abc"}, "text holds a bytes.*decode"),
        ({"text": ["a", None]}, "text holds a NoneType"),
        ({"text": "a", "signals": ["cel"]}, "LSTM has no signal 'cel'; did you mean 'cell'"),
        ({"text": "a", "signals": ["xyz"]}, "choose from hidden, cell"),
        ({"text": "a", "signals": []}, "names no signal"),
        ({"text": ["a", "b"], "names": ["x"]}, "one name per text: 2 here"),
        ({"text": "a", "names": "x"}, "one name per text"),
        ({"text": "a", "dtype": "int3"}, "int3"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    with pytest.raises(InspectorError, match=sentence):
        record(char_model(), **arguments)


def test_record_of_a_plain_module_points_to_watch():
    with pytest.raises(InspectorError, match=r"CharModel; LSTM is none.*watch"):
        record(nn.LSTM(2, 2), "abc")
