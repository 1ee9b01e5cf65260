"""The gates of a GRU layer on a CPU, which torch throws away, without working them out a second time.

    r, z = sigmoid(U h + d + (W x + b))    n = tanh(W x + b + (U h + d) * r)    h = (h - n) * z + n

With gradients they stand in the graph that torch makes for the backward pass: `gates_in_graph` takes them out of it.
Without, `gru_steps` takes the steps just as torch does, to the last bit: these are the operations of torch's own loop
(GRUCell in ATen's RNN.cpp), in its order, on numbers that lie as they do there; last bits depend on all that. Both are
proved before anybody takes an answer from here: the first for each type of numbers, the second for each shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from inspector.capture.arithmetic import fresh, precision
from inspector.capture.engine import gates_from_hidden
from inspector.capture.weights import LayerWeights, Signals

_ALIKE = 32  # where it divides the units, two gates that are squashed in one go are squashed as each would be alone
_PROVED_STEPS = 17  # rows lie differently in a cache line from step to step, in sixteen ways at most
_WORTH = 2  # sequences without gradients; of fewer the gates are worked out sooner afterwards
_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks


class StepByStep(NamedTuple):
    """A gate as the graph of the gradients keeps it anyway: (B, units) of every step, nothing copied."""

    steps: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """With its share of what lies beside it: r and z are cut out of three gates' width."""
        return sum(step.nbytes for step in self.steps) * 4 // 3

    def whole(self) -> Tensor:
        """(T, B, units), a copy."""
        like = self.steps[0]
        return torch.stack(self.steps, out=fresh(len(self.steps), *like.shape, like=like))


Gates = Mapping[str, Tensor | StepByStep]
_GATES = ("reset_gate", "update_gate", "candidate")


def gates_in_graph(end: Tensor, n_steps: int, direction: int) -> dict[str, StepByStep]:
    """What a layer's graph keeps, in the order of its steps. end : (directions, B, units), the last states it answered.

    h = Add(Mul(Sub(h before, n), z), n)    n = Tanh(Add(given, Mul(.., r)))
    """
    node: Any = end.grad_fn
    node, gates = node.next_functions[direction][0], []
    for _ in range(n_steps):
        (kept, _), (tanh, _) = node.next_functions
        (before, _), (update, _) = kept.next_functions
        reset = tanh.next_functions[0][0].next_functions[1][0].next_functions[1][0]
        gates.append([gate._saved_result.detach() for gate in (reset, update, tanh)])
        node = before.next_functions[0][0]
    if not direction:
        gates.reverse()
    return dict(zip(_GATES, map(StepByStep, zip(*gates, strict=True)), strict=True))


def gru_steps(
    weights: LayerWeights, inputs: Tensor, before: Tensor, *, is_reverse: bool = False
) -> tuple[Tensor, Signals]:
    """Hidden states (T, B, units) in the order of the inputs (T, B, n_in), and the gates. before : (B, units).

    Every number goes where it will stay; no gradient can be had of any.
    """
    given = linear(inputs, weights.input_weight, weights.input_bias)  # (T, B, 3H)
    n_units = before.shape[1]
    recurrent, bias = weights.hidden_weight.t(), weights.hidden_bias
    hidden = given.new_empty(*given.shape[:2], n_units)
    both, candidate = (fresh(*given.shape[:2], width, like=given) for width in (2 * n_units, n_units))
    sums = given.new_empty(given.shape[1:])
    cuts = [2 * n_units] if n_units % _ALIKE == 0 else [n_units, n_units]
    squashed, product = sums[:, : 2 * n_units].split_with_sizes(cuts, -1), sums[:, 2 * n_units :]
    parts = [*given[..., : 2 * n_units].split_with_sizes(cuts, -1), *both.split_with_sizes(cuts, -1)]
    parts += [given[..., 2 * n_units :], both[..., :n_units], both[..., n_units:], candidate, hidden]
    steps = list(zip(*(part.unbind() for part in parts), strict=True))
    for *gates, x, r, z, n, h in reversed(steps) if is_reverse else steps:
        if bias is None:
            torch.mm(before, recurrent, out=sums)
        else:
            torch.addmm(bias, before, recurrent, out=sums)
        for i, part in enumerate(squashed):
            torch.add(part, gates[i], out=gates[i + len(cuts)]).sigmoid_()
        torch.add(x, product.mul_(r), out=n).tanh_()
        before = torch.sub(before, n, out=h).mul_(z).add_(n)
    return hidden, {"reset_gate": both[..., :n_units], "update_gate": both[..., n_units:], "candidate": candidate}


def leaves_gates(weights: LayerWeights) -> bool:
    """Whether this layer is a GRU in whose graph `gates_in_graph` finds the gates."""
    return (
        weights.kind == "gru"
        and _saved_tensors_hooks(False) is None  # whose caller keeps elsewhere what the graph needs, or nowhere
        and _is_known_graph(weights.hidden_bias is not None, weights.hidden_weight.dtype)
    )


def runs_alike(weights: LayerWeights, batch: int) -> bool:
    """Whether this layer is a GRU for which `gru_steps` answers what torch does, and is worth it."""
    shape, has_bias = weights.hidden_weight.shape, weights.hidden_bias is not None
    settings = torch.get_num_threads(), *precision()
    return (
        weights.kind == "gru"
        and batch >= _WORTH
        and _is_same_for(shape[1], batch, has_bias, weights.hidden_weight.dtype, *settings)
    )


@cache
def _is_known_graph(has_bias: bool, dtype: torch.dtype) -> bool:
    with torch.inference_mode(False), torch.enable_grad():
        weights, inputs, before = _random_layer(5, 2, has_bias, dtype)
        try:
            hidden, end = _torchs_own(weights, inputs, before)
            found = gates_in_graph(end, len(inputs), 0)
        except (RuntimeError, AttributeError, IndexError, TypeError, ValueError):  # a mode, or another torch
            return False
    with torch.inference_mode():
        expected = gates_from_hidden(weights, inputs, hidden, (before,))
        return all(torch.allclose(found[name].whole(), expected[name], atol=1e-5) for name in _GATES)


@cache
def _is_same_for(n_units: int, batch: int, has_bias: bool, dtype: torch.dtype, *_settings: object) -> bool:
    """On a random layer. How many inputs it has is nothing to the steps."""
    with torch.inference_mode(False), torch.no_grad():
        weights, inputs, before = _random_layer(n_units, batch, has_bias, dtype)
        try:
            found, _ = gru_steps(weights, inputs, before)
            expected, _ = _torchs_own(weights, inputs, before)
        except RuntimeError:  # a mode that somebody set
            return False
    return torch.equal(found, expected)


def _random_layer(n_units: int, batch: int, has_bias: bool, dtype: torch.dtype) -> tuple[LayerWeights, Tensor, Tensor]:
    """A layer, inputs (T, B, 2) and a first state (B, units)."""
    random = torch.Generator("cpu").manual_seed(n_units)  # of its own: the caller's random stream is not touched

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=dtype, device="cpu")

    parts = [normal(3 * n_units, 2), normal(3 * n_units, n_units) * n_units**-0.5]
    parts += [normal(3 * n_units), normal(3 * n_units)] if has_bias else []
    parts = [part.requires_grad_(torch.is_grad_enabled()) for part in parts]
    return LayerWeights("gru", *parts), normal(_PROVED_STEPS, batch, 2), normal(batch, n_units)


def _torchs_own(weights: LayerWeights, inputs: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, units) and the last of them, (1, B, units), with its graph."""
    parts = [part for part in weights[1:] if part is not None]
    return torch.gru(inputs, before[None], parts, len(parts) > 2, 1, 0.0, False, False, False)
