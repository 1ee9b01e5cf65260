"""The signals of one recurrent layer, in one direction, from its weights, its input and its initial state.

An engine is a function like `recompute`; a recording names the one that made it. `recompute` lets torch's own fused
kernel find the hidden states, then gets all gates of all steps by one matrix product from (x_t, h_{t-1}):

    LSTM   i, f, o = sigmoid(...)   g = tanh(...)   c_t = f_t * c_{t-1} + i_t * g_t   h_t = o_t * tanh(c_t)
    GRU    r, z = sigmoid(...)   n = tanh(W x_t + b + r * (U h_{t-1} + d))   h_t = (1 - z) * n + z * h_{t-1}
    RNN    h_t = tanh or relu (W x_t + b + U h_{t-1} + d)

In `recompute` only c needs its own past: a loop over the steps on a CPU; on a GPU, where to start an operation takes
longer than the operation, a few over all steps at once.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn.functional import linear

from inspector.capture.arithmetic import all_bits, is_plain
from inspector.capture.weights import LayerWeights, Signals, State

_FORWARD = {"lstm": torch.lstm, "gru": torch.gru, "tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


def recompute(weights: LayerWeights, inputs: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
    """Run one layer over `inputs` (steps, batch, n_in) from `state`; return its signals and the state it ends in.

    `hidden` is always among them; gates and cell are worked out only when `signals` names one of them. Call it under
    `torch.inference_mode()`; all tensors share one floating dtype and device.
    """
    with all_bits() if inputs.is_cuda else nullcontext():
        hidden, end = _forward(weights, inputs, state)
        found = {"hidden": hidden}
        if not set(signals) <= found.keys():
            found |= gates_from_hidden(weights, inputs, hidden, state)
    return found, end


def gates_from_hidden(weights: LayerWeights, inputs: Tensor, hidden: Tensor, state: State) -> Signals:
    """All signals but `hidden`, (T, B, units), of a layer that went through these hidden states. None of an RNN."""
    if weights.kind in ("lstm", "gru") and weights.projection is None and is_plain(inputs) and hidden.numel():
        from inspector.capture.tiles import gates_in_tiles  # which takes a compiler

        return gates_in_tiles(weights, inputs, hidden, state)
    before = torch.cat([state[0][None], hidden[:-1]])  # (T, B, H): h_{t-1}
    if weights.kind == "lstm":
        return _lstm_signals(weights, inputs, before, state[1])
    return _gru_signals(weights, inputs, before) if weights.kind == "gru" else {}


def _forward(weights: LayerWeights, inputs: Tensor, state: State) -> tuple[Tensor, State]:
    parts = [part for part in weights[1:] if part is not None]
    first = tuple(part[None].contiguous() for part in state)
    options = (weights.input_bias is not None, 1, 0.0, False, False, False)  # one layer, no dropout, time first
    given = first if weights.kind == "lstm" else first[0]
    hidden, *end = _FORWARD[weights.kind](inputs, given, parts, *options)  # type: ignore[operator]
    return hidden, tuple(part[0] for part in end)


def _lstm_signals(weights: LayerWeights, inputs: Tensor, before: Tensor, cell_before: Tensor) -> Signals:
    gates = linear(inputs, weights.input_weight, weights.input_bias)  # (T, B, 4H)
    gates.flatten(0, 1).addmm_(before.flatten(0, 1), weights.hidden_weight.t())
    if weights.hidden_bias is not None:
        gates += weights.hidden_bias
    i, f, g, o = gates.chunk(4, dim=-1)
    for gate in (i, f, o):
        gate.sigmoid_()
    g.tanh_()
    return {
        "cell": _scan(f, i * g, cell_before), "input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o
    }  # fmt: skip


def _scan(keep: Tensor, add: Tensor, first: Tensor) -> Tensor:
    """c_t = keep_t * c_{t-1} + add_t for every step; may overwrite `add`."""
    if keep.is_cuda:
        return _scan_by_doubling(keep, add, first)
    cell = first
    for keep_t, add_t in zip(keep.unbind(), add.unbind(), strict=True):
        cell = add_t.addcmul_(keep_t, cell)
    return add


def _scan_by_doubling(keep: Tensor, add: Tensor, first: Tensor) -> Tensor:
    """The same in log2(steps) rounds: after each, (keep, add)_t takes c from twice as many steps before t to t.

    The associative scan of Hillis and Steele (Data parallel algorithms, 1986).
    """
    add = torch.cat([torch.addcmul(add[:1], keep[:1], first[None]), add[1:]])
    span = 1
    while span < len(add):
        add = torch.cat([add[:span], torch.addcmul(add[span:], keep[span:], add[:-span])])
        keep = torch.cat([keep[:span], keep[span:] * keep[:-span]])
        span *= 2
    return add


def _gru_signals(weights: LayerWeights, inputs: Tensor, before: Tensor) -> Signals:
    from_input = linear(inputs, weights.input_weight, weights.input_bias)  # (T, B, 3H)
    from_hidden = linear(before, weights.hidden_weight, weights.hidden_bias)
    reset, update, candidate = from_input.chunk(3, dim=-1)
    reset_hidden, update_hidden, candidate_hidden = from_hidden.chunk(3, dim=-1)
    reset.add_(reset_hidden).sigmoid_()
    update.add_(update_hidden).sigmoid_()
    candidate.addcmul_(reset, candidate_hidden).tanh_()
    return {"reset_gate": reset, "update_gate": update, "candidate": candidate}
