"""Steps of an nn.LSTMCell, nn.GRUCell or nn.RNNCell called in somebody's loop, put together into sequences.

A step goes on with the sequence whose last state it was given; any other step begins a new one. Every step keeps the
state that it was given, so its signals are exact whatever the loop did to the state between two steps, and one run of
the engine over a batch of single steps finds them all. Knows nothing about hooks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from inspector.capture.calls import Call, by_unit, check_answer, engine_dtype
from inspector.capture.engine import recompute
from inspector.capture.weights import LayerWeights, Signals, State

CELL_KINDS: dict[type[nn.RNNCellBase], str] = {nn.LSTMCell: "lstm", nn.GRUCell: "gru", nn.RNNCell: "rnn"}


class Step(NamedTuple):
    """Copies of what one step was given and answered."""

    inputs: Tensor  # (B, n_in)
    before: State  # () is the zero state
    after: State
    is_unbatched: bool


def cell_kind(cell: nn.RNNCellBase) -> str:
    """ "lstm", "gru" or "rnn": the key under which recordings list the signals a layer has."""
    return next(kind for known, kind in CELL_KINDS.items() if isinstance(cell, known))


def cell_parameters(cell: nn.RNNCellBase) -> list[Tensor]:
    """The tensors that a step reads, weights before biases."""
    return [cell.weight_ih, cell.weight_hh, *([cell.bias_ih, cell.bias_hh] if cell.bias else [])]


def cell_weights(cell: nn.RNNCellBase, parameters: list[Tensor]) -> LayerWeights:
    """`parameters`, in the order of `cell_parameters`, as the engine takes them."""
    kind = str(cell.nonlinearity) if isinstance(cell, nn.RNNCell) else cell_kind(cell)
    return LayerWeights(kind, *parameters)


def copy_step(given: Any, hx: Any, answer: Any) -> Step | None:
    """None where these are not what torch's own cells take and answer."""
    before, after = _parts(hx), _parts(answer)
    if not isinstance(given, Tensor) or given.dim() not in (1, 2) or not after or len(before) not in (0, len(after)):
        return None
    is_unbatched = given.dim() == 1
    copies = [[part.detach().clone().reshape(-1, part.shape[-1]) for part in parts] for parts in (before, after)]
    inputs = given.detach().clone().reshape(-1, given.shape[-1])
    return Step(inputs, tuple(copies[0]), tuple(copies[1]), is_unbatched)


def _parts(state: Any) -> tuple[Tensor, ...]:
    parts = state if isinstance(state, tuple | list) else (state,)
    return tuple(parts) if all(isinstance(part, Tensor) and part.dim() for part in parts) else ()


@dataclass(eq=False)
class CellCall(Call):
    """The steps of one sequence; it grows while the loop runs."""

    _signals: tuple[str, ...] = field(repr=False)
    _weights: LayerWeights = field(repr=False)
    _steps: list[Step] = field(default_factory=list, repr=False)
    _found: Signals = field(default_factory=dict, repr=False)

    def add(self, step: Step) -> None:
        self._steps.append(step)
        self._found.clear()
        self.n_steps = len(self._steps)
        self.lengths = (self.n_steps,) * len(step.inputs)

    def is_continued_by(self, step: Step) -> bool:
        """Whether a step was given the state that this sequence ends in, or what the loop made of it.

        Loops reset finished sequences of a batch, normalise h but not c, or move states about; so one row of one part
        is enough, unless it is zero: that is how sequences begin.
        """
        ended = self._steps[-1].after
        if step.is_unbatched != (self.batch is None) or [x.shape for x in step.before] != [x.shape for x in ended]:
            return False
        same = [(given == answered).all(dim=-1) for given, answered in zip(step.before, ended, strict=True)]
        moved = [rows & given.any(dim=-1) for rows, given in zip(same, step.before, strict=True)]
        return any(bool(rows.any()) for rows in moved) or all(bool(rows.all()) for rows in same)

    def _values(self, name: str, layer: int, direction: int) -> np.ndarray:
        if not self._found:
            with torch.inference_mode(), torch.autocast(self._steps[0].inputs.device.type, enabled=False):
                self._found.update(self._run())
        return by_unit(self._found[name])

    def _run(self) -> Signals:
        """All steps at once, as a batch of T x B sequences of one step each."""
        dtype = engine_dtype(self._steps[0].inputs)
        weights = self._weights.to(dtype)
        zero = weights.zero_state(len(self.lengths))
        inputs = torch.cat([step.inputs for step in self._steps]).to(dtype)
        before = [torch.cat([part.to(dtype) for part in parts]) for parts in zip(*self._states(zero), strict=True)]
        flat, _ = recompute(weights, inputs[None], tuple(before), self._signals)
        found = {
            name: values.reshape(self.n_steps, -1, values.shape[2]) for name, values in flat.items()
        }  # (T, B, units)
        everywhere = torch.ones(self.n_steps, len(self.lengths), dtype=torch.bool)
        for name, *answers in zip(("hidden", "cell"), *(step.after for step in self._steps), strict=False):
            check_answer(found[name], torch.stack(answers), everywhere)
        return found

    def _states(self, zero: State) -> list[State]:
        return [step.before or zero for step in self._steps]
