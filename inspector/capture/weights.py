"""The weights of recurrent layers, as torch keeps them and as the engines take them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # (h,) or, for an LSTM, (h, c); each (batch, units)
Signals = dict[str, Tensor]  # (steps, batch, units) by signal name


class LayerWeights(NamedTuple):
    """One layer and direction. Rows of the first four lie gate after gate: i f g o (LSTM), r z n (GRU)."""

    kind: str  # "lstm", "gru", "tanh" or "relu": which of the equations above
    input_weight: Tensor
    hidden_weight: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None  # (projected, units): an LSTM whose h is projected before anyone sees it

    def zero_state(self, batch: int) -> State:
        """What torch starts from when it is given no state."""
        widths = [self.hidden_weight.shape[1]]
        if self.kind == "lstm":
            widths.append(self.hidden_weight.shape[0] // 4)
        return tuple(self.hidden_weight.new_zeros(batch, width) for width in widths)

    def to(self, dtype: torch.dtype) -> LayerWeights:
        kind, *parts = self
        return LayerWeights(kind, *(part if part is None else part.to(dtype) for part in parts))  # type: ignore[arg-type]


def flat_weights(module: nn.RNNBase) -> list[Tensor]:
    """The very tensors a forward reads, in torch's order: layers, their directions, weights before biases."""
    return list(module._flat_weights)  # type: ignore[arg-type]  # None occurs only while a module is being built


def split_weights(module: nn.RNNBase, flat: list[Tensor]) -> list[list[LayerWeights]]:
    """`flat` by layer and direction (forward, then reverse where there is one)."""
    directions = 2 if module.bidirectional else 1
    size = len(flat) // (module.num_layers * directions)
    cells = [_layer_weights(module, flat[i : i + size]) for i in range(0, len(flat), size)]
    return [cells[i : i + directions] for i in range(0, len(cells), directions)]


def _layer_weights(module: nn.RNNBase, tensors: list[Tensor]) -> LayerWeights:
    kind = {nn.LSTM: "lstm", nn.GRU: "gru"}.get(_torch_class(module)) or str(module.nonlinearity)
    input_bias, hidden_bias = tensors[2:4] if module.bias else (None, None)
    projection = tensors[-1] if module.proj_size else None
    return LayerWeights(kind, tensors[0], tensors[1], input_bias, hidden_bias, projection)


def _torch_class(module: nn.RNNBase) -> type[nn.RNNBase]:
    return next(kind for kind in (nn.LSTM, nn.GRU, nn.RNN) if isinstance(module, kind))


def rnn_kind(module: nn.RNNBase) -> str:
    """ "lstm", "gru" or "rnn": the key under which recordings list the signals a layer has."""
    return _torch_class(module).__name__.lower()
