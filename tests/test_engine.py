"""Which engine a layer gets, and that `recompute`, which takes every layer, equals the equations."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from inspector.capture.engine import recompute
from inspector.capture.engines import engine_for
from inspector.capture.lockstep import lockstep
from inspector.capture.weights import flat_weights, split_weights
from inspector.recording import SIGNALS
from tests import oracle

PLAIN = {"gru": nn.GRU, "tanh": nn.RNN, "relu": partial(nn.RNN, nonlinearity="relu")}


def layer_of(module):
    """The first layer as engines take it: weights that need no gradient."""
    return split_weights(module, [weight.detach() for weight in flat_weights(module)])[0][0]


@pytest.mark.parametrize("make", [nn.LSTM, *PLAIN.values()])
def test_float32_on_a_cpu_goes_in_lockstep(make):
    assert engine_for([layer_of(make(3, 4))]) is lockstep


@pytest.mark.parametrize("module", [nn.LSTM(3, 4, proj_size=2), nn.LSTM(3, 4).double(), nn.GRU(3, 4).bfloat16()])
def test_everything_else_is_recomputed(module):
    assert engine_for([layer_of(module)]) is recompute
    assert engine_for([layer_of(nn.LSTM(3, 4)), layer_of(module)]) is recompute


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", sorted(PLAIN))
def test_grus_and_rnns_equal_the_oracle_when_recomputed(kind, bias):
    torch.manual_seed(1)
    module = PLAIN[kind](3, 20, bias=bias)
    weights, inputs, state = layer_of(module), torch.randn(200, 2, 3), torch.randn(2, 20)
    given = inputs.clone(), state.clone(), weights.hidden_weight.clone()
    with torch.inference_mode():
        found, (end,) = recompute(weights, inputs, (state,), ["hidden", "candidate"])
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
    engine = engine_for([weights])
    assert engine is recompute
    with torch.inference_mode():
        found, _ = engine(weights, inputs.cuda(), weights.zero_state(2), SIGNALS[module.__class__.__name__.lower()])
    for name, values in oracle.run(kind, module.state_dict(), inputs[:, 1])[0][0].items():
        oracle.assert_close(found[name][:, 1].T.cpu(), values, 1e-4)
