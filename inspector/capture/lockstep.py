"""Sequences through one layer, all signals: the engine `lockstep`, faster than torch, which keeps none of them.

Torch takes the steps one matrix product at a time and shares each among threads. Here every thread keeps to its own
neurons, whose weights stay in the cache next to it, and only meets the others after each step; the gates are worked out
on the way (steps.py). A lone sequence is as fast as memory gives the weights; sequences side by side are multiplied out
of panels (panels.py). What the input gives is worked out by the same threads: after a product of its own torch's
threads spin for milliseconds on the cores that these want.
"""

from __future__ import annotations

import itertools
import os
import platform
import threading
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS

if TYPE_CHECKING:
    from inspector.capture.panels import Panels

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


class Given(NamedTuple):
    """What the inputs add to the gates of a layer, biases included."""

    numbers: np.ndarray  # float32 (any number, gates, units, or more to fill blocks up)
    which: np.ndarray  # (steps, batch), of the numbers
    fill: Callable[[int, int], None]  # called by a thread for its neurons, first to last, before it reads the numbers


def lockstep(weights: LayerWeights, inputs: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
    """As `recompute`; all signals come, whatever `signals` says. Those of a lone sequence lie neuron by neuron."""
    if inputs.shape[1] == 1:
        return run_alone(weights, given_alone(weights, inputs), state)
    panels = panels_of(weights)
    return run_abreast(weights, panels, given_abreast(panels, inputs), state)


def panels_of(weights: LayerWeights) -> Panels:
    """What sequences side by side are multiplied with; to be made anew when a weight has changed."""
    from inspector.capture.panels import Panels, filled_up, in_panels

    n_units = weights.hidden_weight.shape[1]
    bias, behind = _biases(weights)
    by_gate = weights.input_weight.detach().contiguous().numpy().reshape(len(bias), n_units, -1)
    recurrent = _as_read(weights.hidden_weight.detach(), may_be_small=True).reshape(-1, n_units, n_units)
    return Panels(in_panels(by_gate), in_panels(recurrent), filled_up(bias), behind)


def given_alone(weights: LayerWeights, inputs: Tensor) -> Given:
    """Of the inputs of a lone sequence, (steps, 1, n_in)."""
    from inspector.capture import steps

    n_units = weights.hidden_weight.shape[1]
    read, (bias, _) = _padded(inputs.detach()[:, 0], steps.INPUT_TILE), _biases(weights)
    input_weight = weights.input_weight.detach().contiguous().numpy().reshape(-1, n_units, read.shape[1])
    numbers = np.empty((len(read), len(input_weight), n_units), np.float32)

    def fill(first: int, last: int) -> None:
        steps.take_inputs(input_weight, bias, read, numbers, first, last)

    return Given(numbers, np.arange(len(inputs))[:, None], fill)


def given_abreast(panels: Panels, inputs: Tensor) -> Given:
    """Of the inputs of sequences side by side, (steps, batch, n_in)."""
    from inspector.capture.panels import multiply
    from inspector.products import WIDTH, aligned

    n_steps, batch, _ = inputs.shape
    read, stride = as_rows(inputs)
    numbers = aligned((n_steps * batch, *panels.bias.shape))

    def fill(first: int, last: int) -> None:
        blocks = first // WIDTH, -(-last // WIDTH)
        multiply(panels.input, read, 0, stride, len(numbers), panels.bias, numbers, *blocks, True)

    return Given(numbers, np.arange(len(numbers)).reshape(n_steps, batch), fill)


def as_rows(values: Tensor) -> tuple[np.ndarray, int]:
    """Values (steps, batch, n) as numbers of which a row begins every so many, copied only where they lie otherwise.

    By numpy: torch would share a copy among its threads, which then spin.
    """
    n_steps, batch, n = values.shape
    array: np.ndarray = values.detach().numpy()
    stride = values.stride(1)
    if values.stride(2) != 1 or values.stride(0) != batch * stride:
        array, stride = np.ascontiguousarray(array), n
    flat = np.lib.stride_tricks.as_strided(array, ((n_steps * batch - 1) * stride + n,), (4,))
    return flat, stride


def run_alone(weights: LayerWeights, given: Given, state: State) -> tuple[Signals, State]:
    """All signals of a lone sequence, (steps, 1, units), and the state it ends in."""
    from inspector.capture import steps

    n_units, names = weights.hidden_weight.shape[1], _names(weights)
    n_steps = len(given.which)
    rows = np.empty((1 + n_steps, len(names), n_units), np.float32)
    for row, part in zip(rows[0], state, strict=False):  # hidden, and an LSTM's cell
        row[:] = part.detach()[0].numpy()
    columns = np.empty((len(names), n_units, n_steps), np.float32)
    shares = _shares(n_units, weights.hidden_weight.nbytes, steps.BLOCK)
    may_be_small = n_steps >= _LONG and weights.hidden_weight.nbytes >= len(shares) * _LARGE_SHARE
    recurrent = _as_read(weights.hidden_weight.detach(), may_be_small).reshape(-1, n_units, n_units)
    _, behind = _biases(weights)
    which = np.ascontiguousarray(given.which[:, 0])

    def take_share(me: int, arrived: np.ndarray) -> None:
        first, last = shares[me]
        given.fill(first, last)
        steps.take_steps(
            _kind(weights), recurrent, given.numbers, which, behind, rows, columns, first, last, me, arrived
        )

    together(take_share, len(shares))
    found = {name: torch.from_numpy(values).t()[:, None] for name, values in zip(names, columns, strict=True)}
    return found, _end(weights, found, state)


def run_abreast(weights: LayerWeights, panels: Panels, given: Given, state: State) -> tuple[Signals, State]:
    """All signals of sequences side by side, (steps, batch, units), and the state they end in."""
    from inspector.capture import steps
    from inspector.products import WIDTH, aligned

    n_units, names = weights.hidden_weight.shape[1], _names(weights)
    n_steps, batch = given.which.shape
    rows = aligned((1 + n_steps, batch, len(names), n_units))
    for i, part in enumerate(state):  # hidden, and an LSTM's cell
        rows[0, :, i] = part.detach().numpy()
    shares = _shares(n_units, weights.hidden_weight.nbytes * batch, WIDTH)

    def take_share(me: int, arrived: np.ndarray) -> None:
        given.fill(*shares[me])
        steps.take_steps_abreast(
            _kind(weights), panels.recurrent, given.numbers, given.which, panels.behind, rows, *shares[me], me, arrived
        )

    together(take_share, len(shares))
    found = {name: torch.from_numpy(rows[1:, :, i]) for i, name in enumerate(names)}
    return found, _end(weights, found, state)


def _end(weights: LayerWeights, found: Signals, state: State) -> State:
    return tuple(found[name][-1].clone() for name in _names(weights)[: len(state)])


def _kind(weights: LayerWeights) -> int:
    from inspector.capture import steps

    return {"lstm": steps.LSTM, "gru": steps.GRU, "tanh": steps.TANH, "relu": steps.RELU}[weights.kind]


def _names(weights: LayerWeights) -> tuple[str, ...]:
    return SIGNALS[weights.kind if weights.kind in SIGNALS else "rnn"]


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


def together(take_share: Callable[[int, np.ndarray], None], n_shares: int) -> None:
    """Run all shares at the same time, the first one here, with zeros in which each says where it is.

    What goes wrong in one ends them all and is raised.
    """
    from inspector.capture.steps import LINE

    failures: list[BaseException] = []
    arrived = np.zeros(n_shares * LINE, np.int64)

    def take(me: int) -> None:
        try:
            take_share(me, arrived)
        except BaseException as failure:
            failures.append(failure)
            arrived.fill(_NEVER)  # nobody needs to wait for one that will not come

    threads = [threading.Thread(target=take, args=(i,), daemon=True) for i in range(1, n_shares)]
    with _turn:
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
