"""Sequences through one layer, all signals: the engine `lockstep`, faster than torch, which keeps none of them.

Torch takes the steps one matrix product at a time and shares each among threads. Here every thread keeps to its own
neurons, whose weights stay in the cache next to it, and helps out where another is late (claims.py); the gates are
worked out on the way (steps.py). Weights lie in panels (panels.py), which a lone sequence reads as fast as memory gives
them. What the input gives is worked out by the same threads: after a product of its own torch's threads spin for
milliseconds on the cores that these want.
"""

from __future__ import annotations

import itertools
import os
import platform
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS

_SHARE_BYTES = 2**19  # of weights that are worth a thread: what it reads takes longer than the threads' meeting
_LARGE = 3 * 2**20  # bytes of float32 weights of a layer, from which on they are too many for the cache next to a core
_PAGE = 512  # numbers: sequences that lie a multiple of it apart push each other out of the cache next to a core,
_LINE = 16  # so they lie so many numbers further apart
_turn = threading.Lock()  # one call at a time has the cores
_others = ThreadPoolExecutor(os.cpu_count() or 1)  # woken several times as fast as a new thread begins


def _begin_anew() -> None:
    """A fork has none of the threads."""
    global _turn, _others
    _turn, _others = threading.Lock(), ThreadPoolExecutor(os.cpu_count() or 1)


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
    fill: Callable[[int, int], None] | None  # fills those of the neurons first to last; None: they are there


class Layout:
    """A layer's weights as the loops read them, laid out once they are needed: they must not change afterwards.

    Few rows are multiplied with float16, of which half as much is to be fetched, many with float32.
    """

    def __init__(self, weights: LayerWeights) -> None:
        self.weights = weights
        self.n_units = weights.hidden_weight.shape[1]
        self._made: dict[tuple[str, bool], np.ndarray] = {}

    @cached_property
    def bias(self) -> np.ndarray:
        """Added to each gate, (gates, units and zeros up to whole panels)."""
        from inspector.capture.panels import filled_up

        return filled_up(_biases(self.weights)[0])

    @cached_property
    def behind(self) -> np.ndarray:
        """Added inside the reset gate's product of a GRU, (units,)."""
        return _biases(self.weights)[1]

    def input_panels(self, n_rows: int) -> np.ndarray:
        """For products with so many rows."""
        return self._panels("input", self.weights.input_weight, n_rows < _many())

    def recurrent_panels(self, n_rows: int) -> np.ndarray:
        """For products with so many rows."""
        weight = self.weights.hidden_weight
        return self._panels("recurrent", weight, n_rows < _many() and weight.numel() * 4 >= _LARGE)

    def _panels(self, name: str, weight: Tensor, in_halves: bool) -> np.ndarray:
        """in_halves : as float16, where no bit is lost by that."""
        from inspector.capture.panels import in_panels

        if (name, in_halves) not in self._made:
            exact = _by_gate(weight, self.n_units)
            halves = _halves_of(exact) if in_halves else None
            if in_halves and halves is None:
                return self._panels(name, weight, False)
            self._made[name, in_halves] = in_panels(exact if halves is None else halves)
        return self._made[name, in_halves]


def lockstep(weights: LayerWeights, inputs: Tensor, state: State, signals: Collection[str]) -> tuple[Signals, State]:
    """As `recompute`; all signals come, whatever `signals` says. Those of a lone sequence lie neuron by neuron."""
    layout = Layout(weights)
    return run(layout, given_by(layout, inputs), state)


def given_by(layout: Layout, inputs: Tensor) -> Given:
    """Of the inputs (steps, batch, n_in)."""
    from inspector.capture.lending import lent
    from inspector.capture.panels import multiply
    from inspector.products import WIDTH

    n_steps, batch, _ = inputs.shape
    read, stride = as_rows(inputs)
    numbers = lent((n_steps * batch, *layout.bias.shape))
    panels = layout.input_panels(len(numbers))

    def fill(first: int, last: int) -> None:
        blocks = first // WIDTH, -(-last // WIDTH)
        multiply(panels, read, 0, stride, len(numbers), layout.bias, numbers, *blocks, True)

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


def run(layout: Layout, given: Given, state: State) -> tuple[Signals, State]:
    """All signals, (steps, batch, units), those of a lone sequence neuron by neuron, and the state they end in."""
    from inspector.capture import steps
    from inspector.capture.lending import lent

    names, (n_steps, batch) = _names(layout.weights), given.which.shape
    n_units = layout.n_units
    apart = n_units if batch == 1 or len(names) * n_units % _PAGE else n_units + _LINE
    rows = lent((1 + n_steps, batch, len(names), apart))
    for i, part in enumerate(state):  # hidden, and an LSTM's cell
        rows[0, :, i, :n_units] = part.detach().numpy()
    shares = _shares(n_units, layout.weights.hidden_weight.nbytes * batch)
    fill_in(given, shares)
    which = np.ascontiguousarray(given.which)
    known = _kind(layout.weights), layout.recurrent_panels(batch), given.numbers, which, layout.behind
    _take_all(partial(steps.take_steps, *known, rows), shares)
    if batch == 1:
        columns = lent((len(names), n_units, n_steps))
        together(lambda me: steps.turn_steps(rows[:, 0], columns, *shares[me]), len(shares))
        found = {name: torch.from_numpy(values).t()[:, None] for name, values in zip(names, columns, strict=True)}
    else:
        found = {name: torch.from_numpy(rows[1:, :, i, :n_units]) for i, name in enumerate(names)}
    return found, tuple(found[name][-1].clone() for name in names[: len(state)])


def fill_in(given: Given, shares: Sequence[tuple[int, int]]) -> None:
    """Have the numbers filled that are not yet."""
    if (fill := given.fill) is not None:
        together(lambda me: fill(*shares[me]), len(shares))


def _take_all(take_steps: Callable[..., None], shares: Sequence[tuple[int, int]]) -> None:
    """Call it on a thread for each share, which then takes pieces of all of them."""
    from inspector.capture.claims import board_for

    by_share = [_pieces(*share, is_cut=len(shares) > 1) for share in shares]
    homes = np.cumsum([0, *(len(upwards) for upwards, _ in by_share)])
    pieces = np.array([list(itertools.chain(*turned)) for turned in zip(*by_share, strict=True)])
    board = board_for(len(shares))
    together(lambda me: take_steps(pieces, homes, board, me), len(shares))


def _pieces(first: int, last: int, is_cut: bool) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """A share's neurons in pieces, cut between panels, each three quarters of what is left: the small ones come last,
    so that none waits long for another. Upwards, and the same downwards.
    """
    from inspector.products import WIDTH

    n = max((last - first) // WIDTH, 1)
    cuts = [0]
    while cuts[-1] < n:
        cuts.append(cuts[-1] + -(-3 * (n - cuts[-1]) // 4) if is_cut else n)

    def neurons(a: int, b: int) -> tuple[int, int]:
        return first + a * WIDTH, last if b == n else first + b * WIDTH

    upwards = [neurons(a, b) for a, b in itertools.pairwise(cuts)]
    return upwards, [neurons(n - b, n - a) for a, b in itertools.pairwise(cuts)]


def _kind(weights: LayerWeights) -> int:
    from inspector.capture import steps

    return {"lstm": steps.LSTM, "gru": steps.GRU, "tanh": steps.TANH, "relu": steps.RELU}[weights.kind]


def _names(weights: LayerWeights) -> tuple[str, ...]:
    return SIGNALS[weights.kind if weights.kind in SIGNALS else "rnn"]


def _by_gate(weight: Tensor, n_units: int) -> np.ndarray:
    """A weight (gates * units, n) as (gates, units, n)."""
    exact: np.ndarray = weight.detach().contiguous().numpy()
    return exact.reshape(-1, n_units, exact.shape[1])


def _halves_of(weights: np.ndarray) -> np.ndarray | None:
    """The same as the bits of float16, where no bit is lost by that: half as much to be read from memory. The weights
    of a checkpoint in half precision are such numbers.
    """
    from inspector.capture import steps

    rows = weights.reshape(-1, weights.shape[2])
    small = np.empty(rows.shape, np.uint16)
    is_same = _widens_fast() and steps.make_small(rows, small)
    return small.reshape(weights.shape) if is_same else None


@cache
def _many() -> int:
    """Rows from which on a core takes longer to multiply than to fetch float32 weights: to widen float16 is lost then.

    On an AMD Zen 4, whose third cache gives a core its weights fast, two rows are enough; a Zen 5 multiplies twice as
    fast.
    """
    from llvmlite.binding import get_host_cpu_name

    return 2 if get_host_cpu_name() in ("znver1", "znver2", "znver3", "znver4") else 6


@cache
def _widens_fast() -> bool:
    """Whether the processor makes float32 of float16 by itself."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    from llvmlite.binding import get_host_cpu_features

    return bool(get_host_cpu_features().get("f16c", False))


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


def _shares(n_units: int, n_bytes: int) -> list[tuple[int, int]]:
    """First and last neuron, exclusive, of each thread, cut between panels."""
    from inspector.products import WIDTH

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_panels = n_units // WIDTH
    n_threads = max(1, min(torch.get_num_threads(), cores, n_bytes // _SHARE_BYTES, n_panels))
    cuts = [n_panels * i // n_threads * WIDTH for i in range(n_threads)] + [n_units]
    return list(itertools.pairwise(cuts))


def together(take_share: Callable[[int], None], n_shares: int) -> None:
    """Run all shares at the same time, the first one here, as far as there are cores. What goes wrong is raised."""
    taken: list[Future[None]] = []
    with _turn:
        try:
            for i in range(1, n_shares):
                taken.append(_others.submit(take_share, i))
            take_share(0)
        finally:
            wait(taken)
    for one in taken:
        one.result()
