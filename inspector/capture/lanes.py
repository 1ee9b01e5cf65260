"""Texts side by side, each from the zero state: where the network stands in each of them, and how it goes on.

next symbols of every lane ──► layers through their engine ──► signals, the loss of these symbols, what is expected
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from inspector.capture.arithmetic import put
from inspector.capture.network import Network
from inspector.capture.weights import Signals, State

Take = Callable[[int, int, Signals], None]  # layer, the step that a piece begins at, and its signals: only lent

CELLS_AT_ONCE = 2**18  # steps x sequences x units that are run at once: about 10 MB, which malloc uses again


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

    def __init__(self, network: Network, n: int) -> None:
        self._network, head = network, network.model.head
        self.states: list[State] = [layer.zero_state(n) for layer in network.weights]
        self.expected = head.weight.new_full((n, head.out_features), math.nan, dtype=torch.float32)

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
        head, layers = self._network.model.head, list[Signals]()
        given = ids.to(head.weight.device).t()
        with torch.inference_mode(), torch.autocast(head.weight.device.type, enabled=False):
            for i in range(len(self.states)):
                run = self._network.begin if not i else partial(self._network.go_on, i)
                if take is None:
                    found, state = run(given, self.states[i], signals)
                    layers.append(found)
                    given = found["hidden"]
                else:
                    given, state = _handed_on(run, given, self.states[i], signals, partial(take, i))
                self.states[i] = tuple(part.clone() for part in state)  # not views, which would keep all of it alive
            log_probabilities = self._network.expected(given)
            read = ids.to(log_probabilities.device).t()[:, :, None]
            before = self.expected[None].gather(2, read[:1]), log_probabilities[:-1].gather(2, read[1:])
            loss = -torch.cat(before)[:, :, 0]
            self.expected = log_probabilities[-1].clone()
        return Reading(layers, loss, log_probabilities)


def _handed_on(
    run: Callable[[Tensor, State, Collection[str]], tuple[Signals, State]],
    given: Tensor,
    state: State,
    signals: Collection[str],
    take: Callable[[int, Signals], None],
) -> tuple[Tensor, State]:
    """Have all signals of a layer taken, a few steps at a time; hidden states (n, B, units) and the end state."""
    hidden = state[0].new_empty(given.shape[0], *state[0].shape)
    n_at_once = max(CELLS_AT_ONCE // state[-1].numel(), 1)
    for start in range(0, len(given), n_at_once):
        found, state = run(given[start : start + n_at_once], state, signals)
        take(start, found)
        put(found["hidden"], hidden[start : start + n_at_once])
    return hidden, state
