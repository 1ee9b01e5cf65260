"""A lone sequence through one layer, all signals, as fast as memory gives the weights: the engine `lockstep`.

Torch takes the steps of a lone sequence one matrix product at a time and shares each among threads. Here every thread
keeps to its own neurons, whose weights stay in the cache next to it, and only meets the others after each step; the
gates are worked out on the way (steps.py). What the input gives is worked out by the same threads: after a product of
its own torch's threads spin for milliseconds on the cores that these want.
"""

from __future__ import annotations

import itertools
import os
import platform
import threading
from collections.abc import Callable, Collection
from functools import cache

import numpy as np
import torch
from torch import Tensor

from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS

_SHARE_BYTES = 2**19  # of weights that are worth a thread: what it reads takes longer than the threads' meeting
_LARGE_SHARE = 3 * 2**19  # bytes of float32 weights for one thread, from which on memory is what limits it
_LONG = 64  # steps, from which on it pays to look whether the weights are float16 numbers
_NEVER = np.iinfo(np.int64).max
_turn = threading.Lock()  # threads that wait for each other must all have a core: one call at a time


def _begin_anew() -> None:
    """A fork has none of the threads that may have held the turn."""
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def runs_in_lockstep(weights: LayerWeights) -> bool:
    """Whether `lockstep` can run this layer: float32, on a CPU, without a projection."""
    return weights.projection is None and all(
        (part.device.type, part.dtype) == ("cpu", torch.float32) for part in weights[1:] if part is not None
    )


def lockstep(weights: LayerWeights, inputs: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
    """As `recompute`, for a batch of one; all signals come, whatever `signals` says, and lie neuron by neuron."""
    from inspector.capture import steps

    kind = {"lstm": steps.LSTM, "gru": steps.GRU, "tanh": steps.TANH, "relu": steps.RELU}[weights.kind]
    names = SIGNALS[weights.kind if weights.kind in SIGNALS else "rnn"]
    n_units = weights.hidden_weight.shape[1]
    read, (bias, behind) = _padded(inputs.detach()[:, 0], steps.INPUT_TILE), _biases(weights)
    input_weight = weights.input_weight.detach().contiguous().numpy().reshape(-1, n_units, read.shape[1])
    given = np.empty((len(read), len(input_weight), n_units), np.float32)
    rows = np.empty((1 + len(inputs), len(names), n_units), np.float32)
    for row, part in zip(rows[0], state, strict=False):  # hidden, and an LSTM's cell
        row[:] = part.detach()[0].numpy()
    columns = np.empty((len(names), n_units, len(inputs)), np.float32)
    shares = _shares(n_units, weights.hidden_weight.nbytes, steps.BLOCK)
    arrived = np.zeros(len(shares) * steps.LINE, np.int64)
    may_be_small = len(inputs) >= _LONG and weights.hidden_weight.nbytes >= len(shares) * _LARGE_SHARE
    recurrent = _as_read(weights.hidden_weight.detach(), may_be_small).reshape(-1, n_units, n_units)

    def take_share(me: int) -> None:
        steps.take_inputs(input_weight, bias, read, given, *shares[me])
        steps.take_steps(kind, recurrent, given[: len(inputs)], behind, rows, columns, *shares[me], me, arrived)

    with _turn:
        _together(take_share, len(shares), arrived)
    found = {name: torch.from_numpy(values).t()[:, None] for name, values in zip(names, columns, strict=True)}
    return found, tuple(found[name][-1].clone() for name in names[: len(state)])


def _as_read(weight: Tensor, may_be_small: bool) -> np.ndarray:
    """A weight as `take_steps` reads it: as the bits of float16 where no bit is lost by that, which halves what a step
    reads from memory. The weights of a checkpoint in half precision are such numbers.
    """
    from inspector.capture import steps

    exact: np.ndarray = weight.contiguous().numpy()
    if may_be_small and _widens_fast():
        small = np.empty(exact.shape, np.uint16)
        if steps.make_small(exact, small):
            return small
    return exact


@cache
def _widens_fast() -> bool:
    """Whether the processor makes float32 of float16 by itself."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    from llvmlite.binding import get_host_cpu_features

    return bool(get_host_cpu_features().get("f16c", False))


def _padded(inputs: Tensor, tile: int) -> np.ndarray:
    """The inputs (steps, n_in), row by row, and zeros up to a multiple of `tile` steps."""
    padded = np.zeros((-(-len(inputs) // tile) * tile, inputs.shape[1]), np.float32)
    padded[: len(inputs)] = inputs.numpy()
    return padded


def _biases(weights: LayerWeights) -> tuple[np.ndarray, np.ndarray]:
    """What is added to each gate (gates, units), and what is added behind a GRU's reset gate (units,)."""
    n_rows, n_units = weights.hidden_weight.shape
    none = np.zeros(n_rows, np.float32)
    parts = weights.input_bias, weights.hidden_bias
    bias, before = (none if part is None else part.detach().contiguous().numpy() for part in parts)
    behind = none[:n_units]
    if weights.kind == "gru":
        n_before = 2 * n_units
        before, behind = np.concatenate([before[:n_before], none[n_before:]]), before[n_before:]
    return (bias + before).reshape(-1, n_units), behind


def _shares(n_units: int, n_bytes: int, block: int) -> list[tuple[int, int]]:
    """First and last neuron, exclusive, of each thread, cut between blocks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_blocks = n_units // block
    n_threads = max(1, min(torch.get_num_threads(), cores, n_bytes // _SHARE_BYTES, n_blocks))
    cuts = [n_blocks * i // n_threads * block for i in range(n_threads)] + [n_units]
    return list(itertools.pairwise(cuts))


def _together(take_share: Callable[[int], None], n_shares: int, arrived: np.ndarray) -> None:
    """Run all shares at the same time, the first one here. What goes wrong in one ends them all and is raised."""
    failures: list[BaseException] = []

    def take(me: int) -> None:
        try:
            take_share(me)
        except BaseException as failure:
            failures.append(failure)
            arrived.fill(_NEVER)  # nobody needs to wait for one that will not come

    threads = [threading.Thread(target=take, args=(i,), daemon=True) for i in range(1, n_shares)]
    try:
        for thread in threads:
            thread.start()
        take(0)
    except BaseException:  # an interrupt between two threads
        arrived.fill(_NEVER)
        raise
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if failures:
        raise failures[0]
