"""What torch's own kernel leaves behind while a watched LSTM runs with gradients on: all of its signals, for nothing.

    forward, under KernelEye ──► oneDNN's runs, one per layer and direction ──► their workspaces, read by workspace.py

The kernel fills its workspaces for a backward pass in any case; here they are only kept from being thrown away. Without
gradients it is another kernel that runs: it keeps nothing, and answers other last bits. Knows nothing about hooks.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode

from inspector.capture.calls import SeenCall, by_unit, is_answer
from inspector.capture.weights import LayerWeights, Signals, flat_weights
from inspector.capture.workspace import UnknownLayout, is_proved, signals_in


class _Run(NamedTuple):
    """One layer in one direction: what the kernel was given and answered, as views."""

    hidden: Tensor  # (T, B, units)
    version: int  # of `hidden`, as the kernel answered it
    cell_before: Tensor
    cell_after: Tensor
    workspace: Tensor
    is_reverse: bool


class KernelEye(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own __init_subclass__
    """Sees the runs of oneDNN's LSTM kernel while it is entered; everything goes on as it would have."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: there is nothing to compile here, and skipping begins by importing the compiler, which takes seconds."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.runs: list[_Run] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = operation(*args, **(kwargs or {}))
        if operation is torch.ops.aten.mkldnn_rnn_layer.default:
            hidden, _, cell, workspace = answer
            self.runs.append(_Run(hidden, hidden._version, args[6].detach(), cell.detach(), workspace, args[7]))
        return answer


def may_leave_signals(module: nn.RNNBase) -> bool:
    """Whether it is worth looking while this module runs: other modules, and other modes, leave no workspace."""
    return (
        isinstance(module, nn.LSTM)
        and not module.proj_size
        and flat_weights(module)[0].dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def kernel_call(
    weights: list[list[LayerWeights]], runs: list[_Run], given: Tensor | PackedSequence, answer: Tensor
) -> SeenCall | None:
    """The call that these runs were; None where they do not tell for certain all that the module computed."""
    directions = len(weights[0])
    if isinstance(given, PackedSequence) or len(runs) != len(weights) * directions:
        return None
    if any(run.hidden.dtype != torch.float32 or run.version != run.hidden._version for run in runs):
        return None
    batch = runs[0].hidden.shape[1]
    if not all(is_proved(part, batch) for layer in weights for part in layer):
        return None
    top = [run.hidden.detach() for run in runs[-directions:]]
    if not _is_same_memory(top, answer) and not is_answer(top, answer.detach()):
        return None
    try:
        # The module's answer is its caller's, who may write to it.
        hidden = [run.hidden.detach() for run in runs[:-directions]] + [part.clone() for part in top]
        found = [_signals(run, values) for run, values in zip(runs, hidden, strict=True)]
    except UnknownLayout:
        return None
    readers = [partial(_values, signals, is_reverse=run.is_reverse) for run, signals in zip(runs, found, strict=True)]
    by_layer = [readers[i : i + directions] for i in range(0, len(readers), directions)]
    return SeenCall.of("kernel", by_layer, answer, top[0], sum(run.workspace.nbytes for run in runs))


def _is_same_memory(top: list[Tensor], answer: Tensor) -> bool:
    return len(top) == 1 and answer.numel() == top[0].numel() and answer.data_ptr() == top[0].data_ptr()


def _values(signals: Signals, name: str, *, is_reverse: bool) -> np.ndarray:
    values = by_unit(signals[name])
    return values[..., ::-1] if is_reverse else values


def _signals(run: _Run, hidden: Tensor) -> Signals:
    """In the order in which the kernel took the steps."""
    ordered = hidden.flip(0) if run.is_reverse else hidden
    n_units = hidden.shape[-1]
    before = run.cell_before.reshape(-1, n_units).clone()  # its caller's too
    return signals_in(run.workspace.detach(), ordered, before, run.cell_after.reshape(-1, n_units))
