"""A watched stack is run layer by layer, so that what each layer answered is known.

    torch.lstm(input, all layers)  ──►  torch.lstm(input, layer 0) ──► torch.lstm(what that answered, layer 1) ──► ...

Torch does the same inside, so answers, gradients and what dropout draws are the same to the last bit. A GRU, whose
gates torch throws away, is run by gru.py where that was proved to give the same bits. Gates and cell states that are
not known then are worked out from the hidden states when they are asked for. Knows nothing about hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import _VF, Tensor, nn
from torch.nn.functional import dropout
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _get_current_dispatch_mode

from inspector.capture.calls import SeenCall, by_unit, is_answer
from inspector.capture.engine import LayerWeights, Signals, State, fresh, gates_from_hidden, split_weights
from inspector.capture.gru import gru_steps, runs_alike

_STACKS = (_VF.lstm, _VF.gru, _VF.rnn_tanh, _VF.rnn_relu)


@dataclass(eq=False)
class LayerRun:
    """One layer in one direction; everything in the order of the input's steps."""

    weights: LayerWeights
    inputs: Tensor  # (T, B, n_in)
    state: State
    signals: Signals  # (T, B, units): hidden, and all others where they are known
    is_reverse: bool

    @property
    def is_complete(self) -> bool:
        return len(self.signals) > 1 or self.weights.kind not in ("lstm", "gru")

    @property
    def nbytes(self) -> int:
        return sum(values.nbytes for values in self.signals.values())

    def complete(self) -> None:
        """Work out what only follows from the hidden states."""
        given, hidden = self.inputs, self.signals["hidden"]
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            if self.is_reverse:
                given, hidden = given.flip(0), hidden.flip(0)
            found = gates_from_hidden(self.weights, given, hidden, self.state)
            self.signals |= {name: values.flip(0) if self.is_reverse else values for name, values in found.items()}
        del self.inputs, self.state


class LayerEye(TorchFunctionMode):
    """Between `open` and `close`, runs the stack of `module` layer by layer where that changes nothing."""

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        self._module, self._is_open = module, False
        self.runs: list[list[LayerRun]] = []  # by layer and direction

    def open(self) -> None:
        self.close()
        self.runs = []
        self._is_open = True
        self.__enter__()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Closed twice is closed; an exception may leave it open until then."""
        if self._is_open:
            self._is_open = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _STACKS and not kwargs and not self.runs and _may_be_split(*args):
            self.runs, answer = _layer_by_layer(function, self._module, *args)
            return answer
        return function(*args, **(kwargs or {}))


def layered_call(
    runs: list[list[LayerRun]], copies: Callable[[], list[list[LayerWeights]]], given: Tensor, answer: Tensor
) -> SeenCall | None:
    """The call that these runs were; None where the module answered something else. copies : gives the weights."""
    top = [run.signals["hidden"] for run in runs[-1]]
    if not is_answer(top, answer):
        return None
    every = [run for layer in runs for run in layer]
    if not all(run.is_complete for run in every):
        for run in runs[0]:
            run.inputs = run.inputs.clone()  # its caller's, who may write to it
        for run, weights in zip(every, chain(*copies()), strict=True):
            run.weights = weights
    readers = [[partial(_values, run) for run in layer] for layer in runs]
    return SeenCall.of("layerwise", readers, given, top[0], sum(run.nbytes for run in every))


def _values(run: LayerRun, name: str) -> np.ndarray:
    if name not in run.signals:
        run.complete()
    return by_unit(run.signals[name])


def _may_be_split(given: Tensor, hx: Any, flat: Any, *_: Any) -> bool:
    """Whether these are arguments of a stack whose layers may be run one by one: a packed batch's are others."""
    if not isinstance(flat, list | tuple) or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    tensors = [given, *([hx] if isinstance(hx, Tensor) else hx), *flat]
    return (
        all(type(part) in (Tensor, nn.Parameter) and part.device.type == "cpu" for part in tensors)
        and given.dtype in (torch.float32, torch.float64)
        and all(part.dtype == given.dtype for part in tensors)
        and given.numel() > 0
        and _get_current_dispatch_mode() is None  # to which other operations would be shown
    )


def _layer_by_layer(
    run_stack: Callable[..., Any], module: nn.RNNBase, given: Tensor, hx: Any, flat: Sequence[Tensor], *options: Any
) -> tuple[list[list[LayerRun]], tuple[Any, ...]]:
    """The runs, and what the stack answers."""
    is_lstm, (_, n_layers, dropped, train, _, batch_first) = not isinstance(hx, Tensor), options
    states = tuple(hx) if is_lstm else (hx,)
    is_noted = torch.is_grad_enabled() and any(part.requires_grad for part in (given, *states, *flat))
    output, size = given.transpose(0, 1) if batch_first else given, len(flat) // n_layers
    runs, ends = [], []
    for layer, weights in enumerate(split_weights(module, list(flat))):
        inputs = dropout(output, dropped, training=True) if layer and dropped and train else output
        n = len(weights)  # directions
        state = tuple(part[layer * n : (layer + 1) * n] for part in states)
        if runs_alike(weights[0], inputs.shape[1], is_noted=is_noted):
            output, end, found = _gru_layer(weights, inputs, state[0])
        else:
            own = flat[layer * size : (layer + 1) * size]
            rest = (module.bias, 1, 0.0, train, n > 1, False)  # one layer, time first
            output, *end = run_stack(inputs, state if is_lstm else state[0], own, *rest)
            found = [{} for _ in weights]
        kept = output.detach()
        if layer == n_layers - 1:  # its caller may write to it
            kept = fresh(*output.shape, like=output).copy_(kept)
        seen = []
        for i, hidden in enumerate(kept.chunk(n, -1)):
            first = tuple(part[i].detach().clone() for part in state)
            seen.append(LayerRun(weights[i], inputs.detach(), first, {"hidden": hidden} | found[i], bool(i)))
        runs.append(seen)
        ends.append(end)
    if batch_first:
        output = output.transpose(0, 1) if is_lstm else output.transpose_(0, 1)  # as torch does it
    return runs, (output, *map(torch.cat, zip(*ends, strict=True)))


def _gru_layer(
    weights: list[LayerWeights], inputs: Tensor, state: Tensor
) -> tuple[Tensor, list[Tensor], list[Signals]]:
    """What torch would answer, (T, B, directions x units), the end state in a list, and the gates."""
    runs = [gru_steps(one, inputs, state[i], is_reverse=bool(i)) for i, one in enumerate(weights)]
    hidden = [part for part, _ in runs]
    end = torch.stack([part[0 if i else -1] for i, part in enumerate(hidden)])
    return torch.cat(hidden, -1) if len(hidden) > 1 else hidden[0], [end], [gates for _, gates in runs]
