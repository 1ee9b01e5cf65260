"""The gates of a layer whose hidden states are known: no step has to wait for another, but for an LSTM's cell states.

(x_t, h_{t-1}) of as many steps as stay in the cache ──► products ──► one pass: gates, c_t ──► the next tile
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from inspector.capture import steps
from inspector.capture.arithmetic import fresh, product
from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS

_ROWS = 256  # steps x sequences of a tile: 2 MB of gates where an LSTM has 512 units

_Finish = Callable[[Tensor, Tensor, np.ndarray, int], None]  # x_t, h_{t-1}, where the gates go, from which step on


def gates_in_tiles(weights: LayerWeights, inputs: Tensor, hidden: Tensor, state: State) -> Signals:
    """All signals but `hidden` (T, B, units) of an LSTM without a projection, or a GRU; float32 on a CPU."""
    n_steps, batch, n_units = hidden.shape
    names = SIGNALS[weights.kind][1:]
    found = fresh(len(names), n_steps, batch, n_units, like=hidden)
    finish = _lstm(weights, state[1]) if weights.kind == "lstm" else _gru(weights)
    length = max(_ROWS // batch, 1)
    before = hidden.new_empty(min(length, n_steps), batch, n_units)
    for start in range(0, n_steps, length):
        stop = min(start + length, n_steps)
        tile = before[: stop - start]
        tile[0] = hidden[start - 1] if start else state[0]
        tile[1:] = hidden[start : stop - 1]
        finish(inputs[start:stop], tile, found.numpy(), start)
    return dict(zip(names, found, strict=True))


def _lstm(weights: LayerWeights, before_all: Tensor) -> _Finish:
    weight = torch.cat([weights.input_weight, weights.hidden_weight], 1)
    biases = [part for part in (weights.input_bias, weights.hidden_bias) if part is not None]
    bias = torch.stack(biases).sum(0) if biases else None
    cell = before_all.clone(memory_format=torch.contiguous_format).numpy()

    def finish(inputs: Tensor, before: Tensor, found: np.ndarray, start: int) -> None:
        sums = product(torch.cat([inputs, before], -1), weight, bias)
        steps.finish_lstm(_by_gate(sums, 4), cell, found, start)

    return finish


def _gru(weights: LayerWeights) -> _Finish:
    def finish(inputs: Tensor, before: Tensor, found: np.ndarray, start: int) -> None:
        given = product(inputs, weights.input_weight, weights.input_bias)
        sums = product(before, weights.hidden_weight, weights.hidden_bias)
        steps.finish_gru(_by_gate(given, 3), _by_gate(sums, 3), found, start)

    return finish


def _by_gate(values: Tensor, n_gates: int) -> np.ndarray:
    array: np.ndarray = values.view(*values.shape[:2], n_gates, -1).numpy()
    return array
