"""Capture gives exactly what the network computed, and leaves no trace in it."""

from __future__ import annotations

import copy
import math

import numpy as np
import oracle
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from inspector.capture import RecordingCancelled, record, recorder, watch
from inspector.capture.engine import flat_weights, split_weights
from inspector.capture.fused import engine_for
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import SIGNALS, InspectorError, Neuron, open_recording

TEXT = ("def spam(eggs):\n\treturn [x * 2 for x in eggs if x]  # 'quoted'\n" * 20)[:1000]
N_UNITS = 12
KINDS = ("lstm", "gru", "rnn")


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for each other's threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


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
    monkeypatch.setattr(recorder, "_NEURON_STEPS", 1)
    assert_same_values(values_of(record(model, TEXT)), whole)


def test_stretches_are_bounded_whatever_the_text_is(monkeypatch):
    monkeypatch.setattr(recorder, "_NEURON_STEPS", 100 * 2 * N_UNITS)
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
    engine = engine_for(split_weights(model.rnn, flat_weights(model.rnn))[0], batch=1).__name__
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


def test_should_stop_ends_the_recording(monkeypatch):
    monkeypatch.setattr(recorder, "_NEURON_STEPS", 1)
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


# ------------------------------------------------------------------------------------------------------------- watch

CLASSES = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": nn.RNN}


@st.composite
def architectures(draw):
    """Options of an RNN and of one call of it."""
    kind = draw(st.sampled_from(sorted(CLASSES)))
    n_units = draw(st.integers(2, 7))
    options = {
        "hidden_size": n_units,
        "num_layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }
    if kind == "lstm":
        options["proj_size"] = draw(st.integers(0, n_units - 1))
    if kind in ("tanh", "relu"):
        options["nonlinearity"] = kind
    call = {
        "form": draw(st.sampled_from(["unbatched", "batched", "packed"])),
        "lengths": draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)),
        "given_state": draw(st.booleans()),
        "mode": draw(st.sampled_from([torch.enable_grad, torch.no_grad, torch.inference_mode])),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64])),
        "seed": draw(st.integers(0, 99)),
    }
    return kind, options, call


def inputs_of(call, n_in, batch_first):
    """The sequences one by one, and the same as the module takes them."""
    lengths = call["lengths"]
    if call["form"] == "unbatched":
        lengths = lengths[:1]
    elif call["form"] == "batched":
        lengths = [lengths[0]] * len(lengths)
    sequences = [torch.randn(length, n_in, dtype=call["dtype"]) for length in lengths]
    if call["form"] == "unbatched":
        return sequences, sequences[0]
    if call["form"] == "packed":
        return sequences, pack_sequence(sequences, enforce_sorted=False)
    return sequences, torch.stack(sequences, dim=0 if batch_first else 1)


def state_of(module, call, batch):
    """A random initial state as the module takes it, and its parts (layers x directions, batch, width)."""
    if not call["given_state"]:
        return None, []
    widths = [module.proj_size or module.hidden_size] + [module.hidden_size] * isinstance(module, nn.LSTM)
    rows = module.num_layers * (1 + module.bidirectional)
    parts = [torch.randn(rows, batch, width, dtype=call["dtype"]) for width in widths]
    shaped = [part[:, 0] if call["form"] == "unbatched" else part for part in parts]
    return tuple(shaped) if isinstance(module, nn.LSTM) else shaped[0], parts


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's, with or without us
@given(architectures())
@settings(max_examples=300, deadline=None)
def test_watched_signals_equal_the_oracle_for_any_architecture(architecture):
    kind, options, call = architecture
    torch.manual_seed(call["seed"])
    module = CLASSES[kind](3, **options).to(call["dtype"])
    sequences, given_input = inputs_of(call, 3, module.batch_first)
    state, state_parts = state_of(module, call, len(sequences))
    with call["mode"](), watch(module) as tape:
        module(given_input, state)
    for b, sequence in enumerate(sequences):
        first = dict(zip(("h0", "c0"), (part[:, b] for part in state_parts), strict=False))
        layers = oracle.run(kind, module.state_dict(), sequence, module.num_layers, module.bidirectional, **first)
        for layer, runs in enumerate(layers):
            for direction, signals in zip(("forward", "reverse"), runs, strict=False):
                for name, reference in signals.items():
                    found = tape[""].signal(name, layer=layer, direction=direction)
                    assert found.dtype == np.float32
                    found = found if call["form"] == "unbatched" else found[b]
                    oracle.assert_close(found[:, : len(sequence)], reference)
                    assert np.isnan(found[:, len(sequence) :]).all()


class Wrapped(nn.Module):
    """Two RNNs at different depths, one used twice per call, with arguments by name."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleDict({"rnn": nn.LSTM(3, 4, batch_first=True)})
        self.decoder = nn.GRU(4, 5, batch_first=True)
        self.drop = nn.Dropout(0.5)

    def forward(self, batch):
        hidden, state = self.encoder["rnn"](input=batch)
        again, _ = self.encoder["rnn"](batch, hx=state)
        return self.decoder(self.drop(hidden + again))[0]


def test_nested_rnns_are_found_by_their_names():
    with watch(Wrapped()) as tape:
        pass
    assert list(tape) == ["encoder.rnn", "decoder"]
    assert (tape["decoder"].kind, tape["decoder"].n_layers, tape["decoder"].directions) == ("gru", 1, ("forward",))


def test_each_call_is_a_sequence_of_its_own():
    module, batch = Wrapped(), torch.randn(2, 6, 3)
    with watch(module) as tape:
        module(batch)
    rnn, weights = tape["encoder.rnn"], module.encoder["rnn"].state_dict()
    assert [(call.n_steps, call.batch, call.lengths) for call in rnn.calls] == [(6, 2, (6, 6))] * 2
    first = oracle.run("lstm", weights, batch[1])[0][0]
    end = {"h0": first["hidden"][:, -1][None], "c0": first["cell"][:, -1][None]}
    oracle.assert_close(rnn.signal("cell", call=0)[1], first["cell"])
    oracle.assert_close(rnn.signal("cell")[1], oracle.run("lstm", weights, batch[1], **end)[0][0]["cell"])


def test_a_shared_rnn_answers_to_each_of_its_names():
    shared = nn.GRU(2, 3)
    module = nn.ModuleDict({"a": shared, "b": shared})
    with watch(module) as tape:
        module["b"](torch.randn(4, 2))
    assert tape["a"] is tape["b"]
    assert len(tape["a"].calls) == 1


def test_values_are_as_of_the_call_whatever_happens_later():
    module, batch = nn.LSTM(3, 4), torch.randn(5, 3)
    weights, early = copy.deepcopy(module.state_dict()), batch.clone()
    state = (torch.randn(1, 4), torch.randn(1, 4))
    start = [part.clone() for part in state]
    with watch(module) as tape:
        module(batch, state)
        for weight in module.parameters():
            weight.data.add_(1)  # leaves no mark on the tensor's version
        batch.zero_()
        state[0].zero_()
        module(batch, state)
    reference = oracle.run("lstm", weights, early, h0=start[0], c0=start[1])[0][0]
    oracle.assert_close(tape[""].signal("cell", call=0), reference["cell"])
    reference = oracle.run("lstm", module.state_dict(), batch, h0=state[0], c0=state[1])[0][0]
    oracle.assert_close(tape[""].signal("cell", call=1), reference["cell"])


def test_weights_are_kept_once_while_they_do_not_change():
    module = nn.LSTM(3, 4)
    with watch(module) as tape:
        module(torch.randn(5, 3))
        module(torch.randn(5, 3))
    one, two = tape[""].calls
    assert one._weights[0][0].input_weight is two._weights[0][0].input_weight


def test_returned_arrays_belong_to_the_caller():
    module = nn.LSTM(3, 4, num_layers=2)
    with watch(module) as tape:
        module(torch.randn(5, 3))
    kept = tape[""].signal("hidden").copy()
    tape[""].signal("hidden")[:] = 7
    assert (tape[""].signal("hidden") == kept).all()


def test_watching_changes_neither_answers_nor_gradients_nor_the_random_stream():
    module, batch = Wrapped().train(), torch.randn(2, 6, 3)
    results = []
    for block in (watch(module), torch.enable_grad()):
        torch.manual_seed(3)
        module.zero_grad()
        with block:
            answer = module(batch)
            answer.sum().backward()
        results.append([answer, *(weight.grad for weight in module.parameters()), torch.get_rng_state()])
    watched, plain = results
    assert all(map(torch.equal, watched, plain))
    assert module.training


def test_hooks_are_gone_after_the_block_also_after_an_exception():
    module = Wrapped()
    own = module.decoder.register_forward_hook(lambda *_: None)
    with pytest.raises(ZeroDivisionError), watch(module) as tape:
        module(torch.randn(1, 2, 3))
        raise ZeroDivisionError
    assert [len(part._forward_hooks) for part in module.modules() if part is not module.decoder] == [0] * 4
    assert list(module.decoder._forward_hooks) == [own.id]
    module(torch.randn(1, 2, 3))
    assert len(tape["decoder"].calls) == 1


def test_dropout_in_train_mode_leaves_the_first_layer_exact():
    module, steps = nn.LSTM(3, 4, num_layers=2, dropout=0.5).train(), torch.randn(5, 3)
    with watch(module) as tape:
        module(steps)
    reference = oracle.run("lstm", module.state_dict(), steps, n_layers=2)
    oracle.assert_close(tape[""].signal("cell", layer=0), reference[0][0]["cell"])
    with pytest.raises(InspectorError, match=r"LSTM '', call -1.*train mode with dropout.*module\.eval\(\)"):
        tape[""].signal("cell", layer=1)


def test_dropout_in_eval_mode_is_exact():
    module, steps = nn.GRU(3, 4, num_layers=2, dropout=0.5).eval(), torch.randn(5, 3)
    with watch(module) as tape:
        module(steps)
    reference = oracle.run("gru", module.state_dict(), steps, n_layers=2)
    oracle.assert_close(tape[""].signal("candidate", layer=1), reference[1][0]["candidate"])


@pytest.mark.parametrize("way", ["bfloat16 weights", "autocast"])
def test_half_precision_is_followed_closely(way):
    module, steps = nn.LSTM(3, 4), torch.randn(20, 3)
    if way == "bfloat16 weights":
        module, steps = module.bfloat16(), steps.bfloat16()
    with watch(module) as tape, torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        module(steps)
    reference = oracle.run("lstm", module.state_dict(), steps.double())[0][0]
    oracle.assert_close(tape[""].signal("cell"), reference["cell"], 5e-3)


def test_an_rnn_with_a_forward_of_its_own_is_refused():
    class Doubled(nn.LSTM):
        def forward(self, input, hx=None):
            hidden, state = super().forward(input, hx)
            return 2 * hidden, state

    module = Doubled(3, 4)
    with watch(module) as tape:
        module(torch.randn(5, 3))
    with pytest.raises(InspectorError, match=r"its answer differs by .* cannot be followed"):
        tape[""].signal("cell")


def test_a_hook_that_replaces_the_answer_does_not_disturb():
    module, steps = nn.LSTM(3, 4), torch.randn(5, 3)
    module.register_forward_hook(lambda module, args, answer: (answer[0] + 1, answer[1]))
    with watch(module) as tape:
        module(steps)
    oracle.assert_close(tape[""].signal("cell"), oracle.run("lstm", module.state_dict(), steps)[0][0]["cell"])


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (lambda tape: tape["rn"], "has no RNN called 'rn'; did you mean 'rnn'"),
        (lambda tape: tape["rnn"].signal("celll"), "GRU 'rnn' has no signal 'celll'; there are: 'hidden'"),
        (lambda tape: tape["rnn"].signal("reset"), "did you mean 'reset_gate'"),
        (lambda tape: tape["rnn"].signal("hidden", layer=1), "no layer 1: it has 1, counted from 0"),
        (lambda tape: tape["rnn"].signal("hidden", direction="reverse"), "no direction 'reverse'; .* 'forward'"),
        (lambda tape: tape["rnn"].signal("hidden", call=2), "no call 2: it was called 1 times"),
    ],
)
def test_a_question_without_answer_gets_a_sentence(question, sentence):
    module = nn.ModuleDict({"rnn": nn.GRU(2, 3)})
    with watch(module) as tape:
        module["rnn"](torch.randn(4, 2))
    with pytest.raises(InspectorError, match=sentence):
        question(tape)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (nn.Linear(2, 2), "no RNN to follow in this Linear"),
        (nn.ModuleList([nn.LSTMCell(2, 2)]), r"single cells \(LSTMCell\) called in a loop are not"),
        ("model", "it was given a str"),
    ],
)
def test_watch_of_what_cannot_be_followed_is_a_sentence(module, sentence):
    with pytest.raises(InspectorError, match=sentence), watch(module):
        pass
