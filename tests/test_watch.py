"""Watching somebody's module tells exactly what its RNNs computed, and leaves no trace in it."""

from __future__ import annotations

import copy
import pickle
import platform
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from inspector.capture import tape as tape_room
from inspector.capture import watch
from inspector.recording import SIGNALS, InspectorError
from tests import oracle

pytestmark = pytest.mark.usefixtures("one_thread")

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
    options["dropout"] = draw(st.sampled_from([0.0, 0.5])) if options["num_layers"] > 1 else 0.0
    if kind == "lstm":
        options["proj_size"] = draw(st.integers(0, n_units - 1))
    if kind in ("tanh", "relu"):
        options["nonlinearity"] = kind
    call = {
        "form": draw(st.sampled_from(["unbatched", "batched", "packed"])),
        "lengths": draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)),
        "given_state": draw(st.booleans()),
        "mode": draw(st.sampled_from([torch.enable_grad, torch.no_grad, torch.inference_mode])),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])),
        "n_calls": draw(st.integers(1, 2)),
        "depth": draw(st.integers(0, 2)),
        "training": draw(st.booleans()),
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


class Nested(nn.Module):
    """Two RNNs some levels down that read the same input; each is called several times."""

    def __init__(self, rnns, depth):
        super().__init__()
        inner = nn.ModuleDict(rnns)
        for _ in range(depth):
            inner = nn.ModuleDict({"inner": inner})
        self.path = "inner." * depth
        self.rnns = inner

    def forward(self, given_input, states):
        return [self.get_submodule(f"rnns.{self.path}{name}")(given_input, state) for name, state in states]


class DroppedMasks(TorchDispatchMode):
    """Sees the very masks by which dropout multiplies."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        answer = operation(*args, **(kwargs or {}))
        if operation.name().startswith("aten::bernoulli_"):
            self.seen.append(answer)  # not a copy: torch scales it in place next
        return answer


def masks_by_sequence(masks, given_input, form):
    """For each sequence the factors (n_steps, width) on the inputs of layer 1 and up."""
    if form == "packed":
        rows = [mask.flatten(0, -2) for mask in masks]  # torch pads a packed batch of equal lengths
        padded = [pad_packed_sequence(given_input._replace(data=row)) for row in rows]
        return [[mask[:n, b] for mask, _ in padded] for b, n in enumerate(pad_packed_sequence(given_input)[1])]
    return [[mask[:, b] for mask in masks] for b in range(masks[0].shape[1])]


def reference_of(kind, module, sequence, first, masks):
    """The oracle's signals (n_steps, n_units) by layer and direction, with dropout where there are masks."""
    inputs, layers = sequence.double().numpy(), []
    for layer in range(module.num_layers):
        if layer and masks:
            inputs = inputs * masks[layer - 1].double().numpy()
        runs = []
        for reverse in (False, True)[: 1 + module.bidirectional]:
            parameters = oracle.layer_parameters(module.state_dict(), layer, reverse)
            row = layer * (1 + module.bidirectional) + reverse
            state = [part[row].double().numpy() for part in first]
            runs.append(oracle.run_direction(kind, parameters, inputs, *state, reverse=reverse))
        inputs = np.concatenate([run["hidden"] for run in runs], axis=1)
        layers.append(runs)
    return layers


def hooks_of(module):
    return [(part.training, list(part._forward_hooks), list(part._forward_pre_hooks)) for part in module.modules()]


def flat(answer):
    """All tensors of an answer, however deeply they lie in tuples."""
    return (
        [answer] if isinstance(answer, torch.Tensor) else [x for part in answer if part is not None for x in flat(part)]
    )


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's, with or without us
@given(architectures())
@settings(max_examples=500, deadline=None)
def test_watched_signals_equal_the_oracle_for_any_architecture(architecture):
    kind, options, call = architecture
    torch.manual_seed(call["seed"])
    rnns = {name: CLASSES[kind](3, **options).to(call["dtype"]) for name in "ab"}
    module = Nested(rnns, call["depth"]).train(call["training"])
    sequences, given_input = inputs_of(call, 3, options["batch_first"])
    states = [(name, state_of(rnns[name], call, len(sequences))) for name in "ab" for _ in range(call["n_calls"])]
    questions = [(name, state) for name, (state, _) in states]
    before = hooks_of(module)

    with call["mode"](), watch(module) as tape:
        torch.manual_seed(1)
        watched = flat(module(given_input, questions))
        stream = torch.get_rng_state()
    with call["mode"]():
        torch.manual_seed(1)
        plain = flat(module(given_input, questions))
    assert all(map(torch.equal, watched, plain))
    assert torch.equal(stream, torch.get_rng_state())
    assert hooks_of(module) == before

    dropped = options["num_layers"] - 1 if call["training"] and options["dropout"] else 0
    with DroppedMasks() if dropped else nullcontext() as masks:
        torch.manual_seed(1)
        module(given_input, questions)
    tolerance = 5e-3 if call["dtype"].itemsize == 2 else 1e-5
    for i, (name, (_, state_parts)) in enumerate(states):
        drawn = masks.seen[i * dropped : (i + 1) * dropped] if dropped else []
        factors = masks_by_sequence(drawn, given_input, call["form"]) if drawn else [[]] * len(sequences)
        for b, sequence in enumerate(sequences):
            layers = reference_of(kind, rnns[name], sequence, [part[:, b] for part in state_parts], factors[b])
            for layer, runs in enumerate(layers):
                for direction, signals in zip(("forward", "reverse"), runs, strict=False):
                    for signal, reference in signals.items():
                        key = f"rnns.{module.path}{name}"
                        found = tape[key].signal(signal, layer=layer, direction=direction, call=i % call["n_calls"])
                        assert found.dtype == np.float32
                        found = found if call["form"] == "unbatched" else found[b]
                        oracle.assert_close(found[:, : len(sequence)], reference.T, tolerance)
                        assert np.isnan(found[:, len(sequence) :]).all()
    assert torch.equal(torch.get_rng_state(), stream)  # drawing again leaves the stream alone


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


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_states_and_inputs_may_lie_in_memory_in_any_order(make, grad):
    module, batch = make(3, 4), torch.randn(3, 5, 2).permute(1, 2, 0)
    hidden, cell = (torch.randn(1, 4, 2).transpose(1, 2) for _ in range(2))
    state = {"h0": hidden[:, 1], "c0": cell[:, 1]} if make is nn.LSTM else {"h0": hidden[:, 1]}
    with watch(module) as tape, torch.set_grad_enabled(grad):
        module(batch, (hidden, cell) if make is nn.LSTM else hidden)
    reference = oracle.run("lstm" if make is nn.LSTM else "gru", module.state_dict(), batch[:, 1], **state)[0][0]
    for name, values in reference.items():
        oracle.assert_close(tape[""].signal(name)[1], values)


@pytest.mark.parametrize("grad", [True, False])
def test_states_of_a_cell_may_lie_in_memory_in_any_order(grad):
    module, batch = nn.LSTMCell(3, 4), torch.randn(2, 3)
    state = tuple(torch.randn(4, 2).t() for _ in range(2))
    with watch(module) as tape, torch.set_grad_enabled(grad):
        module(batch, state)
    renamed = {f"{name}_l0": weight for name, weight in module.state_dict().items()}
    reference = oracle.run("lstm", renamed, batch[1:], h0=state[0][1:], c0=state[1][1:])[0][0]
    for name, values in reference.items():
        oracle.assert_close(tape[""].signal(name)[1], values)


def test_weights_are_kept_once_while_they_do_not_change():
    module = nn.LSTM(3, 4)
    with torch.no_grad(), watch(module) as tape:
        module(pack_sequence([torch.randn(5, 3)]))
        module(pack_sequence([torch.randn(5, 3)]))
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


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
@pytest.mark.parametrize("make", [lambda: nn.LSTM(3, 4), lambda: nn.GRUCell(3, 4)])
def test_a_copy_made_in_the_block_is_not_watched(make, copied):
    module = make()
    with watch(module) as tape:
        copied(module)(torch.randn(2, 3))
    assert not tape[""].calls


@pytest.mark.parametrize("is_noted", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_batch_of_no_sequences_has_no_values(kind, is_noted):
    module = kind(3, 4, num_layers=2, bidirectional=True)
    with torch.set_grad_enabled(is_noted), watch(module) as tape:
        module(torch.randn(5, 0, 3))
    signals = SIGNALS[tape[""].kind]
    assert [tape[""].signal(name, 1, "reverse").shape for name in signals] == [(0, 4, 5)] * len(signals)


def test_dropout_that_cannot_be_drawn_again_leaves_the_first_layer():
    module, steps = nn.LSTM(3, 4, num_layers=2, dropout=0.5).train(), torch.randn(5, 3)
    with torch.no_grad(), watch(module) as tape:
        module.register_forward_pre_hook(
            lambda *_: torch.manual_seed(5) and None
        )  # behind our own: we saw another stream
        module(pack_sequence([steps]))
    reference = oracle.run("lstm", module.state_dict(), steps, n_layers=2)
    oracle.assert_close(tape[""].signal("cell", layer=0)[0], reference[0][0]["cell"])
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
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast")
    try:
        with half:
            module(steps)
    except RuntimeError:
        pytest.skip("torch itself cannot run an LSTM in half precision on this processor")
    with watch(module) as tape, half:
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


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4)

    def forward(self, batch):
        return self.rnn(batch)[0]


TORCH_WARNS = "ignore"  # torch says of these ways of compiling that they grow old, and of a trace what it fixes


@pytest.mark.filterwarnings(TORCH_WARNS)
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Linear(2, 2), "no RNN to follow in this Linear: nn.LSTM, nn.GRU, nn.RNN and their cells"),
        (lambda: torch.jit.script(Plain()), "no RNN to follow.*scripted or traced.*Watch the module that it was made"),
        (lambda: torch.jit.trace(Plain(), torch.zeros(2, 3)), "no RNN to follow.*scripted or traced"),
        (lambda: nn.ModuleList([torch.jit.script(Plain())]), "no RNN to follow.*scripted or traced"),
        (lambda: torch.ao.quantization.quantize_dynamic(Plain()), "no RNN to follow.*quantised.*Watch the module that"),
        (lambda: "model", "it was given a str"),
    ],
)
def test_watch_of_what_cannot_be_followed_is_a_sentence(make, sentence):
    with pytest.raises(InspectorError, match=sentence), watch(make()):
        pass


class OnlyHidden(nn.GRU):
    def forward(self, sequence):
        return super().forward(sequence)[0]


class OwnNames(nn.LSTM):
    def forward(self, x):
        return super().forward(x)


class Wider(nn.LSTM):
    def forward(self, input, hx=None):
        hidden, state = super().forward(input, hx)
        return torch.cat([hidden, hidden], -1), state


class OddCell(nn.LSTMCell):
    def forward(self, input, hx=None):
        return tuple(2 * part for part in super().forward(input, hx))


class NamedCell(nn.GRUCell):
    def forward(self, x):
        return super().forward(x)


@pytest.mark.parametrize("kind", [OnlyHidden, OwnNames, Wider, OddCell, NamedCell])
def test_a_forward_of_its_own_runs_undisturbed_and_is_refused_when_asked(kind):
    module, steps = kind(3, 4), torch.randn(5, 3)
    with watch(module) as tape:
        watched = flat(module(x=steps) if kind in (OwnNames, NamedCell) else module(steps))
    assert len(watched) and len(tape[""].calls) == 1
    with pytest.raises(InspectorError, match=r"call -1: .*something else than torch's own class.*cannot be followed"):
        tape[""].signal("hidden")


class Embeds(nn.LSTM):
    """Takes what it embeds itself: symbols (batch, steps)."""

    def __init__(self):
        super().__init__(3, 5, batch_first=True)
        self.table = nn.Embedding(7, 3)

    def forward(self, ids):
        return super().forward(self.table(ids))


@pytest.mark.parametrize("grad", [True, False])
def test_a_batch_is_one_by_what_the_module_answers(grad):
    torch.manual_seed(0)
    module, ids = Embeds(), torch.randint(7, (4, 6))
    with watch(module) as tape, torch.set_grad_enabled(grad):
        answer = module(ids)[0]
    assert tape[""].calls[0].batch == 4
    np.testing.assert_allclose(tape[""].signal("hidden"), answer.detach().transpose(1, 2).numpy(), atol=1e-6)


class Packs(nn.LSTM):
    """Takes lengths where torch's own class takes a state."""

    def forward(self, steps, lengths):
        packed = pack_padded_sequence(steps, lengths, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0])


@pytest.mark.parametrize("lengths", [[4, 2], torch.tensor([4, 2])], ids=["list", "tensor"])
def test_what_is_no_state_does_not_disturb(lengths):
    module, steps = Packs(3, 4), torch.randn(4, 2, 3)
    expected = module(steps, lengths)[0]
    with watch(module) as tape:
        assert torch.equal(module(steps, lengths)[0], expected)
    with pytest.raises(InspectorError, match="cannot be followed"):
        tape[""].signal("hidden")


# ---------------------------------------------------------------------------------------------- torch's own kernel


def is_followed_by_kernel(module, steps):
    with watch(module) as tape:
        module(steps)
    return tape[""].calls[-1].engine == "kernel"


@pytest.fixture
def lstm():
    """Two layers in both directions that drop, and a batch; on an x86 with oneDNN their kernel must be seen."""
    torch.manual_seed(0)
    module, steps = nn.LSTM(3, 16, num_layers=2, bidirectional=True, dropout=0.5).train(), torch.randn(9, 2, 3)
    if not is_followed_by_kernel(module, steps):
        if torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64"):
            pytest.fail("torch's own kernel was not seen, or could not be proved, on this machine")
        pytest.skip("this torch has no kernel that could be seen")
    return module, steps


def test_reading_before_the_backward_pass_changes_no_gradient_and_the_backward_pass_no_value(lstm):
    module, steps = lstm
    gradients = []
    for block in (watch(module), nullcontext()):
        torch.manual_seed(1)
        module.zero_grad()
        with block as tape:
            hidden, (_, cell) = module(steps)
            if tape:
                early = [tape[""].signal(name, layer=1) for name in ("cell", "forget_gate", "hidden")]
                oracle.assert_close(early[0][..., -1], cell[2].detach(), 1e-6)
            hidden.square().sum().backward()
        gradients.append([weight.grad.clone() for weight in module.parameters()])
        if tape:
            late = [tape[""].signal(name, layer=1) for name in ("cell", "forget_gate", "hidden")]
    assert all(map(torch.equal, *gradients))
    assert all(map(np.array_equal, early, late))


def test_an_answer_that_its_caller_writes_to_does_not_change_the_values(lstm):
    module, steps = lstm
    state = tuple(torch.randn(4, 2, 16) for _ in range(2))
    with watch(module.eval()) as tape:
        hidden, (last, cell) = module(steps, state)
        expected = hidden.detach()[..., :16].permute(1, 2, 0).clone()
        for values in (hidden, last, cell, *state, *module.parameters()):
            values.data.zero_()
    assert np.array_equal(tape[""].signal("hidden", layer=1), expected)
    h, c, o = (tape[""].signal(name, layer=1) for name in ("hidden", "cell", "output_gate"))
    oracle.assert_close(h, o * np.tanh(c), 1e-6)


def test_an_answer_that_its_own_forward_wrote_to_is_refused():
    class Muted(nn.LSTM):
        def forward(self, input, hx=None):
            hidden, state = super().forward(input, hx)
            hidden.data[3] = 0  # leaves no mark
            hidden[4] = 0
            return hidden, state

    module = Muted(3, 16)
    with watch(module) as tape:
        module(torch.randn(5, 2, 3))
    with pytest.raises(InspectorError, match="cannot be followed"):
        tape[""].signal("cell")


def test_views_are_read_only_and_equal_the_signals(lstm):
    module, steps = lstm
    with watch(module) as tape:
        module(steps)
    for name in SIGNALS["lstm"]:
        for direction in ("forward", "reverse"):
            view = tape[""].view(name, 1, direction)
            assert np.array_equal(view, tape[""].signal(name, 1, direction))
            assert not view.flags.writeable and not view.flags.owndata


def test_the_workspaces_that_are_kept_are_bounded(lstm, monkeypatch):
    module, steps = lstm
    monkeypatch.setattr(tape_room, "_SEEN_BYTES", 0)
    with watch(module.eval()) as tape:
        module(steps)
        module(steps)
    assert [call.engine for call in tape[""].calls] == ["kernel", "copies"]
    oracle.assert_close(tape[""].signal("cell", 1, call=0), tape[""].signal("cell", 1, call=1))


def test_an_interrupted_forward_leaves_nothing_that_looks_on():
    module = nn.LSTM(3, 4)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watch(module):
        module.register_forward_pre_hook(interrupt)
        module(torch.randn(5, 3))
    assert _get_current_dispatch_mode() is None


def test_a_forward_that_fails_is_no_call_and_leaves_nothing_that_looks_on():
    module = nn.LSTM(3, 4)
    with watch(module) as tape:
        with pytest.raises(RuntimeError):
            module(torch.randn(5, 7))
        assert _get_current_dispatch_mode() is None
        module(torch.randn(5, 3))
    assert [call.n_steps for call in tape[""].calls] == [5]


# ------------------------------------------------------------------------------------------------------------- cells

CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "tanh": nn.RNNCell, "relu": nn.RNNCell}


class Loop(nn.Module):
    """A cell in a loop; `between` is what the loop does to the state between two steps."""

    def __init__(self, cell, between=lambda state: state):
        super().__init__()
        self.cell, self.between = cell, between

    def forward(self, steps, state=None):
        hidden = []
        for step in steps:
            state = self.cell(step, state if state is None else self.between(state))
            hidden.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(hidden)


def detach(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def oracle_of_cell(kind, cell, sequence, state=()):
    """Signals (n_units, n_steps) of one sequence (n_steps, n_in) from a state of one row a part."""
    p = {name: weight.double().numpy() for name, weight in cell.state_dict().items()}
    zero = np.zeros(len(p["weight_ih"]))
    first = [part.double().numpy() for part in state]
    run = oracle.run_direction(kind, {"bias_ih": zero, "bias_hh": zero} | p, sequence.double().numpy(), *first)
    return {name: values.T for name, values in run.items()}


@given(
    kind=st.sampled_from(sorted(CELLS)),
    n_units=st.integers(2, 7),
    bias=st.booleans(),
    batch=st.sampled_from([None, 1, 3]),
    n_steps=st.integers(1, 9),
    given_state=st.booleans(),
    between=st.sampled_from([lambda state: state, detach, copy.copy]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
    mode=st.sampled_from([torch.enable_grad, torch.no_grad, torch.inference_mode]),
    n_calls=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_cells_in_a_loop_equal_the_oracle(
    kind, n_units, bias, batch, n_steps, given_state, between, dtype, mode, n_calls, seed
):
    torch.manual_seed(seed)
    options = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    module = Loop(CELLS[kind](3, n_units, bias=bias, **options).to(dtype), between)
    rows = () if batch is None else (batch,)
    calls = [torch.randn(n_steps, *rows, 3, dtype=dtype) for _ in range(n_calls)]
    parts = [torch.randn(*rows, n_units, dtype=dtype) for _ in range(given_state * (1 + (kind == "lstm")))]
    state = (tuple(parts) if kind == "lstm" else parts[0]) if parts else None
    with mode():
        with watch(module) as tape:
            watched = [module(steps, state) for steps in calls]
        plain = [module(steps, state) for steps in calls]
    assert all(map(torch.equal, watched, plain))
    assert [(call.n_steps, call.batch, call.lengths) for call in tape["cell"].calls] == [
        (n_steps, batch, (n_steps,) * (batch or 1))
    ] * n_calls
    for i, steps in enumerate(calls):
        for b in range(batch or 1):
            of_row = (lambda x, b=b: x) if batch is None else (lambda x, b=b: x[..., b, :])
            reference = oracle_of_cell(kind, module.cell, of_row(steps), [of_row(part) for part in parts])
            for name, values in reference.items():
                found = tape["cell"].signal(name, call=i)
                assert found.dtype == np.float32
                tolerance = 5e-3 * n_steps if dtype.itemsize == 2 else 1e-5
                oracle.assert_close(found if batch is None else found[b], values, tolerance)


def segments(module, *calls):
    with watch(module) as tape:
        for call in calls:
            module(*call)
    return [call.n_steps for call in tape["cell"].calls]


@pytest.mark.parametrize("state", [None, (torch.zeros(2, 4),) * 2, (torch.ones(2, 4),) * 2])
def test_a_cell_begins_a_new_call_with_any_state_but_the_last(state):
    assert segments(Loop(nn.LSTMCell(3, 4)), (torch.randn(5, 2, 3), state), (torch.randn(3, 2, 3), state)) == [5, 3]


def test_a_zero_state_begins_a_new_call_although_one_neuron_had_fallen_silent():
    cell = nn.RNNCell(1, 1, bias=False, nonlinearity="relu")
    nn.init.ones_(cell.weight_ih)
    call = (torch.tensor([[[-1.0], [1.0]]]), torch.zeros(2, 1))  # the first row answers zero
    assert segments(Loop(cell), call, call) == [1, 1]


def test_a_cell_goes_on_where_a_later_loop_takes_up_its_state():
    module, steps = nn.ModuleDict({"cell": nn.GRUCell(3, 4)}), torch.randn(6, 2, 3)
    with watch(module) as tape:
        state = Loop(module["cell"])(steps[:4])[-1]
        Loop(module["cell"], detach)(steps[4:], state)
    assert [call.n_steps for call in tape["cell"].calls] == [6]
    oracle.assert_close(tape["cell"].signal("hidden")[1], oracle_of_cell("gru", module["cell"], steps[:, 1])["hidden"])


def reset_first_row(state):
    return tuple(part * torch.tensor([[0.0], [1.0]]) for part in state)


def normalise_hidden(state):
    return nn.functional.layer_norm(state[0], state[0].shape[-1:]), state[1]


@pytest.mark.parametrize("between", [reset_first_row, normalise_hidden])
def test_what_a_loop_does_to_the_state_is_part_of_the_signals(between):
    module, steps = Loop(nn.LSTMCell(3, 4), between), torch.randn(5, 2, 3)
    with watch(module) as tape:
        hidden = module(steps)
    assert [call.n_steps for call in tape["cell"].calls] == [5]
    oracle.assert_close(tape["cell"].signal("hidden"), hidden.detach().permute(1, 2, 0), 1e-6)
    state = (torch.zeros(2, 4), torch.zeros(2, 4))
    for t in range(5):
        given_state = between(state) if t else state
        for b in range(2):
            reference = oracle_of_cell("lstm", module.cell, steps[t : t + 1, b], [part[b] for part in given_state])
            oracle.assert_close(tape["cell"].signal("forget_gate")[b, :, t : t + 1], reference["forget_gate"])
        state = tuple(part.detach() for part in module.cell(steps[t], given_state))


def test_sequences_that_share_a_cell_and_take_turns_are_told_apart():
    cell, one, two = nn.GRUCell(3, 4), torch.randn(5, 3), torch.randn(5, 3)
    states = [None, None]
    with watch(nn.ModuleDict({"cell": cell})) as tape:
        for t in range(5):
            states = [cell(steps[t], state) for steps, state in zip((one, two), states, strict=True)]
    for call, steps in enumerate((one, two)):
        oracle.assert_close(tape["cell"].signal("hidden", call=call), oracle_of_cell("gru", cell, steps)["hidden"])


def test_a_cell_whose_weights_change_begins_a_new_call():
    module, steps = nn.ModuleDict({"cell": nn.LSTMCell(3, 4)}), torch.randn(4, 2, 3)
    early = copy.deepcopy(module["cell"])
    with watch(module) as tape:
        first = module["cell"](steps[0])
        for weight in module.parameters():
            weight.data.add_(0.1)
        module["cell"](steps[1], first)
    assert [call.n_steps for call in tape["cell"].calls] == [1, 1]
    reference = oracle_of_cell("lstm", early, steps[:1, 0])
    oracle.assert_close(tape["cell"].signal("cell", call=0)[0], reference["cell"])
    state = [part[0].detach() for part in first]
    oracle.assert_close(
        tape["cell"].signal("cell")[0], oracle_of_cell("lstm", module["cell"], steps[1:2, 0], state)["cell"]
    )


def test_watching_cells_changes_no_gradient_and_leaves_no_hook():
    module, steps = Loop(nn.LSTMCell(3, 4)), torch.randn(5, 2, 3)
    gradients = []
    for block in (watch(module), nullcontext()):
        module.zero_grad()
        with block:
            module(steps).sum().backward()
        gradients.append([weight.grad.clone() for weight in module.parameters()])
    assert all(map(torch.equal, *gradients))
    assert hooks_of(module) == [(True, [], [])] * 2


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_network_that_makes_much_of_last_bits_can_be_followed(kind):
    """Its states part from those that any other kernel comes to, after a while."""
    torch.manual_seed(3)
    module = kind(4, 64, num_layers=2)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(16)
        with watch(module) as tape:
            answer, _ = module(torch.randn(1_000, 1, 4))
        np.testing.assert_allclose(tape[""].signal("hidden", 1)[0], answer[:, 0].T, atol=1e-3)


def sum_of(module, parameters, inputs):
    return flat(torch.func.functional_call(module, parameters, kwargs={"input": inputs}))[0].sum()


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell], ids=lambda make: make.__name__)
@pytest.mark.parametrize("where", ["torch.func", "meta", "fake"])
def test_where_no_numbers_can_be_read_nothing_is_disturbed_and_asking_is_a_sentence(make, where):
    with FakeTensorMode() if where == "fake" else nullcontext():
        module = make(3, 4, device="meta" if where == "meta" else None)
        inputs = torch.randn(5, 3, device="meta" if where == "meta" else None)
        if where == "torch.func":
            parameters = {name: weight.detach() for name, weight in module.named_parameters()}
            run = partial(torch.func.grad(partial(sum_of, module)), parameters, inputs)
        else:
            run = partial(module, input=inputs)
        plain = run()
        with watch(module) as tape:
            run()
            watched = run()
    if where == "torch.func":
        assert all(torch.equal(plain[name], watched[name]) for name in plain)
    with pytest.raises(InspectorError, match="no numbers can be read"):
        tape[""].signal("hidden")


def test_a_compiled_module_is_followed_and_is_compiled_again_afterwards():
    n_runs = []

    def backend(graph, _inputs):
        return lambda *given: n_runs.append(1) or graph(*given)

    module, inputs = nn.Sequential(nn.Linear(3, 3), nn.LSTMCell(3, 4)), torch.randn(2, 3)
    compiled = torch.compile(module, backend=backend)
    answer, n_before = flat(compiled(inputs))[0], len(n_runs)
    with watch(module) as first:
        with watch(compiled) as second:
            compiled(inputs)
        compiled(inputs)
    first_ends_first = [watch(module), watch(compiled)]
    for watching in first_ends_first:
        watching.__enter__()
    for watching in first_ends_first:
        watching.__exit__(None, None, None)
    assert len(first["1"].calls) == 2 and len(second["_orig_mod.1"].calls) == 1
    oracle.assert_close(first["1"].signal("hidden")[:, :, 0], answer.detach().numpy())
    assert len(n_runs) == n_before > 0
    compiled(inputs)
    assert len(n_runs) > n_before
