"""Which engine runs a network's layers: the fastest that gives the right signals of all of them.

    lockstep   a lone sequence on a CPU: every thread keeps to its own neurons            lockstep.py
    fused      LSTMs side by side on a CPU: out of the workspace of torch's kernel        fused.py
    stepped    GRUs and RNNs side by side on a CPU: one step after the other              engine.py
    recompute  everything else: torch's kernel, then all gates in one product             engine.py

The first two take float32 alone, `fused` only where it was proved; the others take any precision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from inspector.capture.engine import recompute, stepped
from inspector.capture.fused import fused, is_proved
from inspector.capture.lockstep import lockstep, runs_in_lockstep
from inspector.capture.weights import LayerWeights, Signals, State

Engine = Callable[[LayerWeights, Tensor, State, Collection[str]], tuple[Signals, State]]


def engine_for(layers: Collection[LayerWeights], batch: int) -> Engine:
    """The engine for these layers, for a batch of this size; its `__name__` goes into a recording."""
    if batch == 1 and all(map(runs_in_lockstep, layers)):
        return lockstep
    if all(layer.kind != "lstm" and layer.hidden_weight.device.type == "cpu" for layer in layers):
        return stepped
    return fused if all(is_proved(layer, batch) for layer in layers) else recompute
