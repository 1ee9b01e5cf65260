"""A watched stack is run layer by layer, so that what each layer answered is known.

    torch.lstm(input, all layers)  ──►  torch.lstm(input, layer 0) ──► torch.lstm(what that answered, layer 1) ──► ...

Torch does the same inside, so answers, gradients and what dropout draws are the same to the last bit. A GRU, whose
gates torch throws away, is run by gru.py where that was proved to give the same bits. Gates and cell states that are
not known then are worked out from the hidden states when they are asked for. Knows nothing about hooks.

For an LSTM without gradients that is a second product as large as the first, so half of torch's speed is the limit.
The training kernel of kernel.py cannot stand in: torch 2.13 leaves inference to another of oneDNN's kernels (brgemm),
which sums in another order, and for layers of 512 units no batch and no number of threads gives the same last bits.
What it computes is known, and was seen to be equal bit for bit for every shape tried of two sequences and more: with s
what oneDNN's inner product answers,

    gates = act((s(W, x) + s(U, h)) + (b + d)), or act(s([W U], [x h]) + (b + d)) where x is as wide as h
    c_t = fma(i, g, f * c_{t-1})    h_t = o * tanh(c_t)    act, tanh: oneDNN's own, as torch's mkldnn tensors have them

but taken step by step from Python these reach .16 to .64 of torch's speed, no more than the second product
does; what is missing is oneDNN's tanh where compiled code could call it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import _VF, Tensor, nn
from torch.autograd import forward_ad
from torch.nn.functional import dropout
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _get_current_dispatch_mode

from inspector.capture.arithmetic import fresh
from inspector.capture.calls import SeenCall, by_unit, is_answer
from inspector.capture.engine import gates_from_hidden
from inspector.capture.gru import Gates, StepByStep, gru_steps, runs_alike
from inspector.capture.weights import LayerWeights, State, split_weights
from inspector.recording import SIGNALS

_STACKS = (_VF.lstm, _VF.gru, _VF.rnn_tanh, _VF.rnn_relu)


class Given(NamedTuple):
    """What a layer was given, from which its gates follow once its hidden states are known."""

    weights: LayerWeights
    inputs: Tensor  # (T, B, n_in)
    state: State


@dataclass(eq=False)
class LayerRun:
    """One layer in one direction; everything in the order of the input's steps."""

    signals: dict[str, Tensor | StepByStep]  # (T, B, units): hidden, and all others where they are known
    is_reverse: bool
    given: Given | None  # None where all signals are known
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def nbytes(self) -> int:
        """With what will be worked out."""
        known = sum(values.nbytes for values in self.signals.values())
        if self.given is None:
            return known
        return known * len(SIGNALS[self.given.weights.kind]) + self.given.inputs.nbytes

    @property
    def hidden(self) -> Tensor:
        hidden = self.signals["hidden"]
        assert isinstance(hidden, Tensor)
        return hidden

    def whole(self, name: str) -> Tensor:
        """A signal (T, B, units), brought together or worked out when it is first asked for."""
        if name not in self.signals:
            self.complete()
        values = self.signals[name]
        if isinstance(values, StepByStep):
            with torch.inference_mode():
                values = self.signals[name] = values.whole()
        return values

    def complete(self) -> None:
        """Work out what only follows from the hidden states."""
        with self._turn:
            if self.given is None:
                return
            (weights, inputs, state), hidden = self.given, self.hidden
            with torch.inference_mode(), torch.autocast("cpu", enabled=False):
                if self.is_reverse:
                    inputs, hidden = inputs.flip(0), hidden.flip(0)
                found = gates_from_hidden(weights, inputs, hidden, state)
                self.signals |= {name: values.flip(0) if self.is_reverse else values for name, values in found.items()}
            self.given = None


class LayerEye(TorchFunctionMode):
    """While it is entered, runs the stack of `module` layer by layer where that changes nothing."""

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        self._module = module
        self.runs: list[list[LayerRun]] = []  # by layer and direction

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _STACKS and not kwargs and not self.runs and self._is_own(*args) and _may_be_split(*args):
            self.runs, answer = _layer_by_layer(function, self._module, *args)
            return answer
        return function(*args, **(kwargs or {}))

    def _is_own(self, _given: Any, _state: Any, flat: Any, *_: Any) -> bool:
        """Whether these are all weights of the module: another stack may run within its forward, or within ours."""
        own = self._module._flat_weights
        return (
            isinstance(flat, list | tuple)
            and len(flat) == len(own)
            and all(part is other for part, other in zip(flat, own, strict=True))
        )


def layered_call(
    runs: list[list[LayerRun]], copies: Callable[[], list[list[LayerWeights]]], given: Tensor, answer: Tensor
) -> SeenCall | None:
    """The call that these runs were; None where the module answered something else. copies : gives the weights."""
    top = [run.hidden for run in runs[-1]]
    if not is_answer(top, answer):
        return None
    every = [run for layer in runs for run in layer]
    if any(run.given for run in every):
        first = given_of(runs[0])  # its caller's, who may write to it
        for run, weights in zip(every, chain(*copies()), strict=True):
            if run.given is not None:
                inputs = first if run in runs[0] and first is not None else run.given.inputs
                run.given = run.given._replace(weights=weights, inputs=inputs)
    readers = [[partial(_values, run) for run in layer] for layer in runs]
    return SeenCall.of("layerwise", readers, answer, top[0], sum(run.nbytes for run in every))


def given_of(layer: Sequence[LayerRun]) -> Tensor | None:
    """A copy of what all directions of a layer read, where one of them needs it yet."""
    inputs = [run.given.inputs for run in layer if run.given is not None]
    return inputs[0].clone() if inputs else None


def _values(run: LayerRun, name: str) -> np.ndarray:
    return by_unit(run.whole(name))


def _may_be_split(given: Tensor, hx: Any, flat: Any, *_: Any) -> bool:
    """Whether these are arguments of a stack whose layers may be run one by one: a packed batch's are others."""
    if torch.compiler.is_compiling() or torch._C._is_tracing() or torch.is_autocast_enabled("cpu"):
        return False
    tensors = [given, *([hx] if isinstance(hx, Tensor) else hx), *flat]
    return (
        all(type(part) in (Tensor, nn.Parameter) and part.device.type == "cpu" for part in tensors)
        and given.dtype in (torch.float32, torch.float64)
        and all(part.dtype == given.dtype for part in tensors)
        and given.numel() > 0
        and _get_current_dispatch_mode() is None  # to which other operations would be shown
        and not any(map(_has_tangent, tensors))  # some of ours know none
    )


def _has_tangent(part: Tensor) -> bool:
    return forward_ad.unpack_dual(part).tangent is not None  # type: ignore[no-untyped-call]


def _layer_by_layer(
    run_stack: Callable[..., Any], module: nn.RNNBase, given: Tensor, hx: Any, flat: Sequence[Tensor], *options: Any
) -> tuple[list[list[LayerRun]], tuple[Any, ...]]:
    """The runs, and what the stack answers."""
    is_lstm, (_, n_layers, dropped, train, _, batch_first) = not isinstance(hx, Tensor), options
    states = tuple(hx) if is_lstm else (hx,)
    output, size = given.transpose(0, 1) if batch_first else given, len(flat) // n_layers
    runs, ends = [], []
    for layer, weights in enumerate(split_weights(module, list(flat))):
        inputs = dropout(output, dropped, training=True) if layer and dropped and train else output
        n = len(weights)  # directions
        state, own = (
            tuple(part[layer * n : (layer + 1) * n] for part in states),
            flat[layer * size : (layer + 1) * size],
        )
        is_noted = torch.is_grad_enabled() and any(part.requires_grad for part in (inputs, *state, *own))
        if runs_alike(weights[0], inputs.shape[1], is_noted=is_noted):
            output, end, found = _gru_layer(weights, inputs, state[0], is_noted=is_noted)
        else:
            rest = (module.bias, 1, 0.0, train, n > 1, False)  # one layer, time first
            output, *end = run_stack(inputs, state if is_lstm else state[0], own, *rest)
            found = [dict[str, Tensor]() for _ in weights]
        kept = output.detach()
        if layer == n_layers - 1:  # its caller may write to it
            kept = fresh(*output.shape, like=output).copy_(kept)
        seen = []
        for i, hidden in enumerate(kept.chunk(n, -1)):
            first = tuple(part[i].detach().clone() for part in state)
            signals = {"hidden": hidden, **found[i]}
            is_known = len(signals) == len(SIGNALS.get(weights[i].kind, signals))
            given_here = None if is_known else Given(weights[i], inputs.detach(), first)
            seen.append(LayerRun(signals, bool(i), given_here))
        runs.append(seen)
        ends.append(end)
    if batch_first:
        output = output.transpose(0, 1) if is_lstm else output.transpose_(0, 1)  # as torch does it
    return runs, (output, *map(torch.cat, zip(*ends, strict=True)))


def _gru_layer(
    weights: list[LayerWeights], inputs: Tensor, state: Tensor, *, is_noted: bool
) -> tuple[Tensor, list[Tensor], list[Gates]]:
    """What torch would answer, (T, B, directions x units), the end state in a list, and the gates."""
    runs = [gru_steps(one, inputs, state[i], is_noted=is_noted, is_reverse=bool(i)) for i, one in enumerate(weights)]
    hidden = [part for part, _ in runs]
    end = torch.stack([part[0 if i else -1] for i, part in enumerate(hidden)])
    return torch.cat(hidden, -1) if len(hidden) > 1 else hidden[0], [end], [gates for _, gates in runs]
