"""What torch's kernel leaves in its workspace is proved before use, equals the equations, and is given up elsewhere."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
from torch import nn

from inspector.capture import watch
from inspector.capture import workspace as room
from inspector.capture.engine import recompute
from inspector.capture.weights import flat_weights, split_weights
from inspector.capture.workspace import UnknownLayout, is_proved
from inspector.recording import SIGNALS
from tests import oracle

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


def assert_is_proved(weights, batch=1):
    """On an x86 with oneDNN the proof must succeed; elsewhere there may be nothing to test."""
    if not is_proved(weights, batch):
        if torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64"):
            pytest.fail("the workspace of torch's kernel could not be proved on this machine")
        pytest.skip("this torch has no workspace that could be proved")


@pytest.mark.parametrize(("n_in", "n_units", "batch"), SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_the_workspace_equals_the_oracle_and_recompute(n_in, n_units, batch, bias):
    torch.manual_seed(n_units)
    module = nn.LSTM(n_in, n_units, bias=bias)
    weights, inputs = layer_of(module), torch.randn(1000 if batch == 1 else 50, batch, n_in)
    state = torch.randn(batch, n_units), torch.randn(batch, n_units)
    assert_is_proved(weights, batch)
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


def test_values_of_the_workspace_obey_the_equations():
    weights = layer_of(nn.LSTM(3, 20))
    assert_is_proved(weights, 2)
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
    assert_is_proved(weights)
    with torch.inference_mode():
        found, _ = room._run(weights, inputs, weights.zero_state(1))
        again, _ = recompute(weights, inputs, weights.zero_state(1), SIGNALS["lstm"])
    oracle.assert_close(found["cell"], again["cell"])


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
def test_a_wrong_layout_is_not_proved(name, monkeypatch):
    weights = layer_of(nn.LSTM(3, 12))
    assert_is_proved(weights)
    room._is_proved_for.cache_clear()
    monkeypatch.setattr(room, *WRONG_LAYOUTS[name])
    assert not is_proved(weights, 1)


@pytest.mark.parametrize("name", [name for name in WRONG_LAYOUTS if "leaves" not in name])
def test_a_layout_that_changes_after_its_proof_is_found_out(name, monkeypatch):
    weights, inputs = layer_of(nn.LSTM(3, 8)), torch.randn(40, 1, 3)
    assert_is_proved(weights)
    monkeypatch.setattr(room, *WRONG_LAYOUTS[name])
    with pytest.raises(UnknownLayout):
        room._run(weights, inputs, weights.zero_state(1))


@pytest.mark.parametrize("workspace", [None, torch.zeros(6, dtype=torch.uint8), torch.zeros(8)])
def test_a_kernel_without_a_full_workspace_is_not_proved(workspace, monkeypatch):
    kernel = torch.mkldnn_rnn_layer
    monkeypatch.setattr(torch, "mkldnn_rnn_layer", lambda *given: (*kernel(*given)[:3], workspace))
    assert not is_proved(layer_of(nn.LSTM(3, 4)), 2)


def test_a_torch_without_the_kernel_proves_nothing(monkeypatch):
    def missing(*given):
        raise RuntimeError("ATen not compiled with MKLDNN support")

    monkeypatch.setattr(torch, "mkldnn_rnn_layer", missing)
    assert not is_proved(layer_of(nn.LSTM(3, 4)), 2)


@pytest.mark.parametrize("module", [nn.LSTM(3, 4, proj_size=2), nn.LSTM(3, 4).double(), nn.GRU(3, 4)])
def test_what_the_kernel_does_not_run_is_not_proved(module):
    assert not is_proved(layer_of(module), 2)


def test_cell_states_that_an_earlier_run_left_are_not_taken_for_this_runs(monkeypatch):
    weights, inputs = layer_of(nn.LSTM(3, 8)), torch.randn(200, 2, 3)
    assert_is_proved(weights, 2)
    right, _ = room._run(weights, inputs, weights.zero_state(2))
    stale = right["cell"].clone()
    stale[101, 0, 3] = 7  # written over since; at none of the few steps that are looked at

    def two_places(floats, *_, find=room._places):
        yield len(floats) - stale.numel()
        yield from find(floats, *_)

    def with_stale(workspace, *rest, read=room.signals_in):
        return read(torch.cat([workspace.view(torch.float32), stale.flatten()]), *rest)

    monkeypatch.setattr(room, "_places", two_places)
    monkeypatch.setattr(room, "signals_in", with_stale)
    again, _ = room._run(weights, inputs, weights.zero_state(2))
    oracle.assert_close(again["cell"], right["cell"], 1e-6)


def test_values_that_are_not_finite_are_given_up():
    weights = layer_of(nn.LSTM(3, 4))
    assert_is_proved(weights)
    inputs = torch.randn(9, 1, 3)
    inputs[4] = torch.nan
    with pytest.raises(UnknownLayout):
        room._run(weights, inputs, weights.zero_state(1))


def test_the_proof_leaves_torch_as_it_was():
    module = nn.LSTM(3, 6)
    weights = split_weights(module, flat_weights(module))[0][0]  # parameters, which ask for gradients
    random = torch.get_rng_state()
    assert_is_proved(weights)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert all(weight.requires_grad and weight.grad is None for weight in module.parameters())


def test_a_shape_is_proved_once(monkeypatch):
    runs = []
    monkeypatch.setattr(room, "_run", lambda *given, run=room._run: runs.append(len(given[1])) or run(*given))
    weights = layer_of(nn.LSTM(3, 4))
    is_proved(weights, 2)
    once = len(runs)
    is_proved(weights, 2)
    assert once > 0 and len(runs) == once
    is_proved(weights, 3)
    assert len(runs) > once


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_watched_values_come_from_the_modules_own_run(mode, monkeypatch):
    module = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    for layer in split_weights(module, [weight.detach() for weight in flat_weights(module)]):
        assert_is_proved(layer[0], 2)
    runs = []
    monkeypatch.setattr(room, "_run", lambda *given, run=room._run: runs.append(1) or run(*given))
    with mode(), watch(module) as tape:
        module(torch.randn(6, 2, 3))
        tape[""].signal("cell")
    assert not runs
    assert tape[""].calls[0].engine == ("kernel" if mode is torch.enable_grad else "layerwise")


def test_a_proof_does_not_depend_on_the_readers_defaults():
    """What was found under them is remembered for everybody."""
    weights = layer_of(nn.LSTM(7, 16))
    assert_is_proved(weights)
    room._is_proved_for.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert is_proved(weights, 1)
    finally:
        torch.set_default_dtype(torch.float32)
