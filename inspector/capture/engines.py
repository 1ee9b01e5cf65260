"""Which engine runs a network's layers: the fastest that gives the right signals of all of them.

lockstep   float32 on a CPU: every thread keeps to its own neurons               lockstep.py
recompute  everything else: torch's kernel, then all gates in one product        engine.py
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import Tensor

from inspector.capture.engine import recompute
from inspector.capture.lockstep import lockstep, runs_in_lockstep
from inspector.capture.weights import LayerWeights, Signals, State

Engine = Callable[[LayerWeights, Tensor, State, Collection[str]], tuple[Signals, State]]


def engine_for(layers: Collection[LayerWeights]) -> Engine:
    """The engine for these layers; its `__name__` goes into a recording."""
    return lockstep if all(map(runs_in_lockstep, layers)) else recompute
