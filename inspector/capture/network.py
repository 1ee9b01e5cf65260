"""Our network as it is read: symbols ──► layer after layer, all signals ──► what is expected next.

What is made of its weights is made once, so the weights must not change while a `Network` is in use. Where the layers
go in lockstep, the first one looks up what a symbol gives it, and what is expected is worked out on the same threads:
torch's own would spin on their cores.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from inspector.capture.engines import Engine, engine_for
from inspector.capture.lockstep import Given, Layout, as_rows, fill_in, given_by, lockstep, run, together
from inspector.capture.weights import Signals, State, flat_weights, rnn_kind, split_weights
from inspector.recording import InspectorError

if TYPE_CHECKING:
    from inspector.model import CharModel

_ROWS = 64  # of hidden states that are worth a thread


class Network:
    """Runs the layers of `model`. Call it under `torch.inference_mode()`.

    weights : of each layer. kind : "lstm", "gru" or "rnn". Raises InspectorError for anything but a CharModel.
    """

    def __init__(self, model: CharModel) -> None:
        rnn = getattr(model, "rnn", None)
        if not isinstance(rnn, torch.nn.RNNBase) or not hasattr(model, "vocabulary"):
            raise InspectorError(
                f"record reads text with a CharModel; {type(model).__name__} is none. Load one with load_checkpoint, "
                "or follow any other torch module with watch(module)."
            )
        self.model, self.kind = model, rnn_kind(rnn)
        self.weights = [directions[0] for directions in split_weights(rnn, flat_weights(rnn))]
        self._layouts = list(map(Layout, self.weights))
        self._given: np.ndarray | None = None  # by symbol, to the first layer
        self._head: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def _engine(self) -> Engine:
        """Asked anew each time: the network may have been moved, or be of another precision by now."""
        return engine_for(self.weights)

    @property
    def _in_lockstep(self) -> bool:
        return self._engine is lockstep

    @property
    def is_exact_abreast(self) -> bool:
        """Whether each of several sequences gives the same bits whichever others are read beside it."""
        return self._in_lockstep

    def begin(self, ids: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
        """The first layer reads symbols (steps, batch) from `state`: its signals and the state after them."""
        if not self._in_lockstep:
            return self._engine(self.weights[0], self.model.embed(ids), state, signals)
        if self._given is None:
            every = torch.arange(len(self.model.vocabulary), device=ids.device)[None]
            found = given_by(self._layouts[0], self.model.embed(every))
            fill_in(found, [(0, self._layouts[0].n_units)])
            self._given = found.numbers
        return run(self._layouts[0], Given(self._given, ids.contiguous().numpy(), None), state)

    def go_on(self, layer: int, inputs: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
        """A layer behind the first one reads the hidden states of the one before, (steps, batch, units)."""
        if not self._in_lockstep:
            return self._engine(self.weights[layer], inputs, state, signals)
        return run(self._layouts[layer], given_by(self._layouts[layer], inputs), state)

    def expected(self, hidden: Tensor) -> Tensor:
        """Log probabilities (steps, batch, symbols), float32, of what follows hidden states of the last layer."""
        head = self.model.head
        if not self._in_lockstep:
            return torch.nn.functional.linear(hidden, head.weight, head.bias).float().log_softmax(-1)
        from inspector.capture.expecting import expect, head_panels

        if self._head is None:
            self._head = head_panels(head.weight.detach().numpy(), head.bias.detach().numpy())
        of_head = self._head
        n_steps, batch, _ = hidden.shape
        rows, stride = as_rows(hidden)
        found = np.empty((n_steps * batch, head.out_features), np.float32)
        n_shares = max(1, min(torch.get_num_threads(), len(found) // _ROWS))
        cuts = [len(found) * i // n_shares for i in range(n_shares + 1)]

        def take_share(me: int) -> None:
            expect(*of_head, rows, stride, found, cuts[me], cuts[me + 1])

        together(take_share, n_shares)
        return torch.from_numpy(found.reshape(n_steps, batch, -1))
