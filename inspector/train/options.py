"""How a network is trained, and what is told on the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from inspector.recording import InspectorError

_ALLOWED: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("n_chars", "batch", "stretch", "evaluate_every", "save_every"), lambda n: n >= 1, "1 or more"),
    (("learning_rate",), lambda x: 0 < x < math.inf, "more than 0, and finite"),
    (("clip",), lambda x: x > 0, "more than 0"),
    (("seed",), lambda n: 0 <= n < 2**63, "a whole number from 0 up to, but not, 2**63"),
    (
        ("warmup", "weight_decay", "forget_bias", "hidden_penalty", "cell_penalty", "patience"),
        lambda x: 0 <= x < math.inf,
        "0 or more, and finite",
    ),
    (("output_dropout", "recurrent_dropout", "restart"), lambda x: 0 <= x < 1, "a share from 0 up to, but not, 1"),
)


@dataclass(frozen=True)
class TrainOptions:
    """How to train. Counts are in characters or optimiser steps; penalties are weights in the loss.

    forget_bias : what the biases of an LSTM's forget gates add up to at first, so that it begins by remembering (1 in
        Jozefowicz et al. 2015); 0 leaves them random, as those of a GRU, of an RNN and of a network begun with are.
    output_dropout : on the top layer's hidden state before the output layer.
    recurrent_dropout : of the weights from one hidden state to the next, drawn anew for each stretch.
    hidden_penalty : times mean |h| of the top layer; pushes neurons to be silent unless they have something to say.
    cell_penalty : times mean |tanh(c)| of all layers at the end of each stretch (LSTM); the same for the memory.
    restart : share of streams whose state is set to zero before a stretch, so that the network learns to begin.
    patience : stop after this many looks at the choose texts without a better one; 0 never stops early.
    snapshots : steps at which a copy of the weights is kept under `snapshots/`; `log_spaced` makes such steps.
    """

    n_chars: int = 60_000_000
    batch: int = 64
    stretch: int = 100
    learning_rate: float = 2e-3
    warmup: int = 200
    clip: float = 1.0
    weight_decay: float = 0.0
    forget_bias: float = 0.0
    output_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    hidden_penalty: float = 0.0
    cell_penalty: float = 0.0
    restart: float = 0.01
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    evaluate_every: int = 500
    patience: int = 0
    save_every: int = 500
    snapshots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for names, holds, allowed in _ALLOWED:
            for name in names:
                if not holds(value := getattr(self, name)):
                    raise InspectorError(f"{name} is {value}; it must be {allowed}.")

    @property
    def n_steps(self) -> int:
        return max(1, self.n_chars // (self.batch * self.stretch))


def log_spaced(n_snapshots: int, n_steps: int) -> tuple[int, ...]:
    """Steps for snapshots: 0, then evenly spaced in the logarithm from 1 up to `n_steps`, whole and all different.

    >>> log_spaced(5, 1000)
    (0, 1, 10, 100, 1000)
    """
    n_snapshots = min(n_snapshots, n_steps + 1)
    if n_snapshots < 2:
        return (0,) * n_snapshots
    steps = {0} | {round(step) for step in np.geomspace(1, max(1, n_steps), n_snapshots - 1)}
    for step in range(n_steps + 1):  # the smallest powers round to the same steps: fill up from below
        if len(steps) >= n_snapshots:
            break
        steps.add(step)
    return tuple(sorted(steps))


class Progress(NamedTuple):
    """Where a run is: losses in nats a character, speed of the last step. choose_nats is nan before the first look."""

    step: int
    n_steps: int
    train_nats: float
    choose_nats: float
    chars_per_second: float
    chars_per_step: int
