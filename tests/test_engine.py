"""The fused engine is proved before it is used, equals the equations, and gives way where it cannot be proved."""

from __future__ import annotations

import platform
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from inspector.capture import fused as room
from inspector.capture import record, watch
from inspector.capture.engine import recompute, stepped
from inspector.capture.engines import engine_for
from inspector.capture.fused import fused, is_proved
from inspector.capture.lockstep import lockstep
from inspector.capture.weights import flat_weights, split_weights
from inspector.recording import SIGNALS
from tests import oracle
from tests.conftest import PYTHON_TEXT, tiny_model

SIZES = [(3, 4, 1), (7, 13, 3), (5, 16, 2), (98, 64, 1), (64, 64, 5)]  # inputs, units, batch; 4 x 64 is a padded row


@pytest.fixture(autouse=True)
def nothing_proved_yet():
    """A proof that a test spoilt must not outlive it."""
    room._is_proved_for.cache_clear()
    yield
    room._is_proved_for.cache_clear()


def layer_of(module):
    """The first layer as engines take it: weights that need no gradient."""
    return split_weights(module, [weight.detach() for weight in flat_weights(module)])[0][0]


def assert_is_fused(weights, batch=1):
    """On an x86 with oneDNN the proof must succeed; elsewhere there may be nothing to test."""
    if not is_proved(weights, batch):
        if torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64"):
            pytest.fail("the workspace of torch's kernel could not be proved on this machine")
        pytest.skip("this torch has no workspace that could be proved")


@pytest.mark.parametrize(("n_in", "n_units", "batch"), SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_fused_equals_the_oracle_and_recompute(n_in, n_units, batch, bias):
    torch.manual_seed(n_units)
    module = nn.LSTM(n_in, n_units, bias=bias)
    weights, inputs = layer_of(module), torch.randn(1000 if batch == 1 else 50, batch, n_in)
    state = torch.randn(batch, n_units), torch.randn(batch, n_units)
    assert_is_fused(weights, batch)
    with torch.inference_mode():
        found, end = room._run(weights, inputs, state)
        again, end_again = recompute(weights, inputs, state, SIGNALS["lstm"])
    assert tuple(sorted(found)) == tuple(sorted(SIGNALS["lstm"]))
    for b in range(batch):
        first = {"h0": state[0][b][None], "c0": state[1][b][None]}
        for name, reference in oracle.run("lstm", module.state_dict(), inputs[:, b], **first)[0][0].items():
            oracle.assert_close(found[name][:, b].T, reference)
            oracle.assert_close(found[name][:, b], again[name][:, b])
    for ours, theirs in zip(end, end_again, strict=True):
        oracle.assert_close(ours, theirs)


def test_what_is_read_side_by_side_is_fused_and_a_lone_sequence_goes_in_lockstep():
    weights = layer_of(nn.LSTM(3, 4))
    assert_is_fused(weights, batch=2)
    assert engine_for([weights], 2) is fused
    assert engine_for([weights], 1) is lockstep


def test_fused_values_obey_the_equations():
    weights = layer_of(nn.LSTM(3, 20))
    assert_is_fused(weights, 2)
    start = torch.randn(2, 20), torch.randn(2, 20)
    found, end = room._run(weights, torch.randn(300, 2, 3), start)
    h, c, i, f, g, o = (found[name].numpy() for name in SIGNALS["lstm"])
    before = np.concatenate([start[1].numpy()[None], c[:-1]])
    oracle.assert_close(h, o * np.tanh(c), 1e-6)
    oracle.assert_close(c, f * before + i * g, 1e-6)
    assert torch.equal(end[0], found["hidden"][-1]) and torch.equal(end[1], found["cell"][-1])


@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 1023, 1024, 1025])
def test_the_cell_states_are_found_at_any_length(length):
    weights, inputs = layer_of(nn.LSTM(3, 16)), torch.randn(length, 1, 3)
    assert_is_fused(weights)
    with torch.inference_mode():
        found, _ = room._run(weights, inputs, weights.zero_state(1))
        again, _ = recompute(weights, inputs, weights.zero_state(1), SIGNALS["lstm"])
    oracle.assert_close(found["cell"], again["cell"])


def test_a_long_run_is_cut_into_workspaces_of_bounded_size(monkeypatch):
    weights, inputs = layer_of(nn.LSTM(3, 8)), torch.randn(50, 2, 3)
    assert_is_fused(weights, 2)
    whole, end = fused(weights, inputs, weights.zero_state(2), SIGNALS["lstm"])
    lengths = []
    monkeypatch.setattr(room, "_run", lambda *given, run=room._run: lengths.append(len(given[1])) or run(*given))
    monkeypatch.setattr(room, "CELLS_AT_ONCE", 20 * 2 * 8)
    cut, cut_end = fused(weights, inputs, weights.zero_state(2), SIGNALS["lstm"])
    assert lengths == [20, 20, 10]
    for name in SIGNALS["lstm"]:
        oracle.assert_close(cut[name], whole[name], 1e-6)
    for ours, theirs in zip(cut_end, end, strict=True):
        oracle.assert_close(ours, theirs, 1e-6)


WRONG_LAYOUTS = {
    "gates permuted": ("_GATES", ("forget_gate", "input_gate", "candidate", "output_gate")),
    "i and g swapped, which leaves i * g as it is": (
        "_GATES",
        ("candidate", "forget_gate", "input_gate", "output_gate"),
    ),
    "rows padded otherwise": ("_LINE", 64),
    "cell states nowhere": ("_PAGE", 1 << 40),
}


@pytest.mark.parametrize("name", WRONG_LAYOUTS)
def test_a_wrong_layout_is_found_out_and_recomputed(name, monkeypatch):
    model = tiny_model()
    assert_is_fused(layer_of(model.rnn))
    texts = [PYTHON_TEXT, PYTHON_TEXT]
    right = record(model, texts)
    assert right.engine == "fused"
    room._is_proved_for.cache_clear()
    monkeypatch.setattr(room, *WRONG_LAYOUTS[name])
    recording = record(model, texts)
    assert recording.engine == "recompute"
    for signal in SIGNALS["lstm"]:
        n_chars = recording.n_chars
        oracle.assert_close(recording.window(1, signal, 0, n_chars), right.window(1, signal, 0, n_chars))


@pytest.mark.parametrize("name", [name for name in WRONG_LAYOUTS if "leaves" not in name])
def test_a_layout_that_changes_after_its_proof_is_recomputed(name, monkeypatch):
    module, inputs = nn.LSTM(3, 8), torch.randn(40, 1, 3)
    weights = layer_of(module)
    assert_is_fused(weights)
    monkeypatch.setattr(room, *WRONG_LAYOUTS[name])
    found, _ = fused(weights, inputs, weights.zero_state(1), SIGNALS["lstm"])
    for signal, reference in oracle.run("lstm", module.state_dict(), inputs[:, 0])[0][0].items():
        oracle.assert_close(found[signal][:, 0].T, reference)


@pytest.mark.parametrize("workspace", [None, torch.zeros(6, dtype=torch.uint8), torch.zeros(8)])
def test_a_kernel_without_a_full_workspace_is_recomputed(workspace, monkeypatch):
    kernel = torch.mkldnn_rnn_layer
    monkeypatch.setattr(torch, "mkldnn_rnn_layer", lambda *given: (*kernel(*given)[:3], workspace))
    assert engine_for([layer_of(nn.LSTM(3, 4))], 2) is recompute


def test_a_torch_without_the_kernel_recomputes(monkeypatch):
    def missing(*given):
        raise RuntimeError("ATen not compiled with MKLDNN support")

    monkeypatch.setattr(torch, "mkldnn_rnn_layer", missing)
    assert engine_for([layer_of(nn.LSTM(3, 4))], 2) is recompute


@pytest.mark.parametrize("module", [nn.LSTM(3, 4, proj_size=2), nn.LSTM(3, 4).double(), nn.LSTM(3, 4).bfloat16()])
def test_what_the_kernel_does_not_run_is_recomputed(module):
    assert engine_for([layer_of(module)], 1) is recompute
    assert engine_for([layer_of(module)], 2) is recompute


def test_texts_read_again_and_again_leave_the_same_bits(monkeypatch):
    """The kernel gets its workspace as an earlier run left it: nothing of that may be taken for this run's."""
    monkeypatch.setattr("inspector.capture.abreast._NEURON_STEPS", 4_000)
    model, texts = tiny_model(), [PYTHON_TEXT * 8, PYTHON_TEXT[5:] * 8]
    assert_is_fused(layer_of(model.rnn), 2)
    first = record(model, texts, ("hidden", "cell"))
    for _ in range(25):
        again = record(model, texts, ("hidden", "cell"))
        for layer in range(2):
            np.testing.assert_array_equal(
                again.window(layer, "cell", 0, again.n_chars), first.window(layer, "cell", 0, first.n_chars)
            )


def test_cell_states_that_an_earlier_run_left_are_not_taken_for_this_runs(monkeypatch):
    weights, inputs = layer_of(nn.LSTM(3, 8)), torch.randn(200, 2, 3)
    assert_is_fused(weights, 2)
    right, _ = fused(weights, inputs, weights.zero_state(2), SIGNALS["lstm"])
    stale = right["cell"].clone()
    stale[101, 0, 3] = 7  # written over since; at none of the few steps that are looked at

    def two_places(floats, *_, find=room._places):
        yield len(floats) - stale.numel()
        yield from find(floats, *_)

    def with_stale(workspace, *rest, read=room.signals_in):
        return read(torch.cat([workspace.view(torch.float32), stale.flatten()]), *rest)

    monkeypatch.setattr(room, "_places", two_places)
    monkeypatch.setattr(room, "signals_in", with_stale)
    again, _ = fused(weights, inputs, weights.zero_state(2), SIGNALS["lstm"])
    oracle.assert_close(again["cell"], right["cell"], 1e-6)


PLAIN = {"gru": nn.GRU, "tanh": nn.RNN, "relu": partial(nn.RNN, nonlinearity="relu")}


@pytest.mark.parametrize("engine", [stepped, recompute])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", sorted(PLAIN))
def test_grus_and_rnns_equal_the_oracle_in_either_engine(kind, bias, engine):
    torch.manual_seed(1)
    module = PLAIN[kind](3, 20, bias=bias)
    weights, inputs, state = layer_of(module), torch.randn(200, 2, 3), torch.randn(2, 20)
    assert engine_for([weights], 2) is stepped
    given = inputs.clone(), state.clone(), weights.hidden_weight.clone()
    with torch.inference_mode():
        found, (end,) = engine(weights, inputs, (state,), ["hidden", "candidate"])
    assert all(map(torch.equal, given, (inputs, state, weights.hidden_weight)))
    assert torch.equal(end, found["hidden"][-1])
    for b in range(2):
        reference = oracle.run(kind, module.state_dict(), inputs[:, b], h0=state[b][None])[0][0]
        assert found.keys() == reference.keys()
        for name, values in reference.items():
            oracle.assert_close(found[name][:, b].T, values)


@pytest.mark.parametrize("kind", ["gru", "tanh", "lstm"])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_a_gpu_gives_the_same_signals(kind):
    torch.manual_seed(1)
    module = {**PLAIN, "lstm": nn.LSTM}[kind](3, 64)
    inputs = torch.randn(300, 2, 3)
    weights = split_weights(module, [weight.detach().cuda() for weight in flat_weights(module)])[0][0]
    engine = engine_for([weights], 2)
    assert engine is recompute
    with torch.inference_mode():
        found, _ = engine(weights, inputs.cuda(), weights.zero_state(2), SIGNALS[module.__class__.__name__.lower()])
    for name, values in oracle.run(kind, module.state_dict(), inputs[:, 1])[0][0].items():
        oracle.assert_close(found[name][:, 1].T.cpu(), values, 1e-4)


def test_values_that_are_not_finite_are_those_of_recompute():
    weights = layer_of(nn.LSTM(3, 4))
    assert_is_fused(weights)
    inputs = torch.randn(9, 1, 3)
    inputs[4] = torch.nan
    found, _ = fused(weights, inputs, weights.zero_state(1), SIGNALS["lstm"])
    assert found["cell"][:, 0, 0].isnan().tolist() == [False] * 4 + [True] * 5


def test_a_layer_that_stays_at_zero_is_read_as_zero():
    module = nn.LSTM(3, 16)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    found, _ = fused(layer_of(module), torch.randn(2000, 1, 3), layer_of(module).zero_state(1), SIGNALS["lstm"])
    assert not found["cell"].any() and (found["forget_gate"] == 0.5).all()


def test_proof_and_run_leave_torch_as_it_was():
    module, inputs = nn.LSTM(3, 6), torch.randn(5, 1, 3)
    weights = split_weights(module, flat_weights(module))[0][0]  # parameters, which ask for gradients
    assert_is_fused(weights)
    random = torch.get_rng_state()
    for engine in (fused, lockstep):
        found, _ = engine(weights, inputs, weights.zero_state(1), SIGNALS["lstm"])
        assert not found["cell"].requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert all(weight.requires_grad and weight.grad is None for weight in module.parameters())
    assert not inputs.requires_grad


def test_a_shape_is_proved_once(monkeypatch):
    runs = []
    monkeypatch.setattr(room, "_run", lambda *given, run=room._run: runs.append(len(given[1])) or run(*given))
    weights = layer_of(nn.LSTM(3, 4))
    engine_for([weights], 2)
    once = len(runs)
    engine_for([weights], 2)
    assert once > 0 and len(runs) == once
    engine_for([weights], 3)
    assert len(runs) > once


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_watched_values_come_from_the_modules_own_run(mode, monkeypatch):
    module = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    assert_is_fused(layer_of(module), 2)
    assert engine_for([layer[0] for layer in split_weights(module, flat_weights(module))], 2) is fused
    runs = []
    monkeypatch.setattr(room, "_run", lambda *given, run=room._run: runs.append(1) or run(*given))
    with mode(), watch(module) as tape:
        module(torch.randn(6, 2, 3))
        tape[""].signal("cell")
    assert not runs
    assert tape[""].calls[0].engine == ("kernel" if mode is torch.enable_grad else "layerwise")
