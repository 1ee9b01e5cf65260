"""Texts side by side, each from the zero state: where the network stands in each of them, and how it goes on.

next symbols of every lane ──► layers through their engine ──► signals, the loss of these symbols, what is expected
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from inspector.capture.engines import Engine, engine_for
from inspector.capture.fused import fused, in_pieces
from inspector.capture.weights import LayerWeights, Signals, State

if TYPE_CHECKING:
    from inspector.model import CharModel


Take = Callable[[int, int, Signals], None]  # layer, the step that a piece begins at, and its signals: only lent


class Reading(NamedTuple):
    """What the network did at n symbols of each of B lanes."""

    signals: list[Signals]  # by layer: (n, B, units) by name; none where they were taken piece by piece
    loss: Tensor  # (n, B), nats paid for each symbol; nan for the first of a text
    log_probabilities: Tensor  # (n, B, symbols), of the symbol that follows


class Lanes:
    """A batch of texts that are being read.

    states : of each layer, each part (B, units). expected : log probabilities (B, symbols) of each lane's next symbol,
    nan at a text's start. Both may be replaced, to go on elsewhere.
    """

    def __init__(self, model: CharModel, weights: Sequence[LayerWeights], n: int) -> None:
        self._model, self._weights = model, weights
        self.states: list[State] = [layer.zero_state(n) for layer in weights]
        self.expected = model.head.weight.new_full((n, model.head.out_features), math.nan, dtype=torch.float32)

    def keep(self, lanes: Sequence[int], n_new: int = 0) -> None:
        """Only these go on, and behind them n_new begin."""
        self.states = [
            tuple(torch.cat([part[lanes], part.new_zeros(n_new, part.shape[1])]) for part in layer)
            for layer in self.states
        ]
        fresh = self.expected.new_full((n_new, self.expected.shape[1]), math.nan)
        self.expected = torch.cat([self.expected[lanes], fresh])

    def read(self, ids: Tensor, signals: Collection[str], take: Take | None = None) -> Reading:
        """The next symbols (B, n) of every lane. An engine may give more signals than are asked for.

        take : is given the signals as they come, so that they need not be kept together for all n symbols.
        """
        head, layers = self._model.head, list[Signals]()
        ids = ids.to(head.weight.device)
        with torch.inference_mode(), torch.autocast(head.weight.device.type, enabled=False):
            engine = engine_for(self._weights, batch=len(ids))
            inputs = self._model.embed(ids).transpose(0, 1)
            for i, layer in enumerate(self._weights):
                if take is None:
                    found, state = engine(layer, inputs, self.states[i], signals)
                    layers.append(found)
                    inputs = found["hidden"]
                else:
                    inputs, state = _handed_on(engine, layer, inputs, self.states[i], signals, partial(take, i))
                self.states[i] = tuple(part.clone() for part in state)  # not views, which would keep a workspace alive
            logits = torch.nn.functional.linear(inputs, head.weight, head.bias)
            log_probabilities = logits.float().log_softmax(-1)
            before = torch.cat([self.expected[None], log_probabilities[:-1]])
            loss = -before.gather(2, ids.t()[:, :, None])[:, :, 0]
            self.expected = log_probabilities[-1].clone()
        return Reading(layers, loss, log_probabilities)


def _handed_on(
    engine: Engine,
    layer: LayerWeights,
    inputs: Tensor,
    state: State,
    signals: Collection[str],
    take: Callable[[int, Signals], None],
) -> tuple[Tensor, State]:
    """Have all signals taken, by `fused` a workspace at a time; hidden states (n, B, units) and the end state."""
    if engine is not fused:
        found, state = engine(layer, inputs, state, signals)
        take(0, found)
        return found["hidden"], state
    hidden, end = state[0].new_empty(inputs.shape[0], *state[0].shape), state
    for start, found, end in in_pieces(layer, inputs, state):  # noqa: B007  # the last is the run's
        take(start, found)
        hidden[start : start + len(found["hidden"])] = found["hidden"]
        del found
    return hidden, end
