"""The steps of a GRU layer just as torch takes them on a CPU, to the last bit, except that no gate is thrown away.

    r, z = sigmoid(U h + d + (W x + b))    n = tanh(W x + b + (U h + d) * r)    h = (h - n) * z + n

These are the operations of torch's own loop (GRUCell in ATen's RNN.cpp), in its order, on numbers that lie as they do
there; last bits depend on all that. So it is proved for each shape before anybody takes an answer from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from inspector.capture.arithmetic import fresh, precision
from inspector.capture.weights import LayerWeights, Signals

_ALIKE = 32  # where it divides the units, two gates that are squashed in one go are squashed as each would be alone
_PROVED_STEPS = 17  # rows lie differently in a cache line from step to step, in sixteen ways at most
_WORTH, _WORTH_NOTED = 2, 4  # sequences; of fewer the gates are worked out sooner afterwards. The second with gradients


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


def gru_steps(
    weights: LayerWeights, inputs: Tensor, before: Tensor, *, is_noted: bool, is_reverse: bool = False
) -> tuple[Tensor, Gates]:
    """Hidden states (T, B, units) in the order of the inputs (T, B, n_in), and the gates. before : (B, units).

    is_noted : whether a gradient of any of these is wanted.
    """
    given = linear(inputs, weights.input_weight, weights.input_bias)  # (T, B, 3H)
    if is_noted:
        return _noted_steps(weights, given, before, is_reverse=is_reverse)
    return _plain_steps(weights, given, before, is_reverse=is_reverse)


def _noted_steps(
    weights: LayerWeights, given: Tensor, before: Tensor, *, is_reverse: bool
) -> tuple[Tensor, dict[str, StepByStep]]:
    """With gradients: the graph is that of torch's own loop, too."""
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    steps = given.unbind()
    for step in reversed(steps) if is_reverse else steps:
        reset, update, candidate = linear(before, weights.hidden_weight, weights.hidden_bias).unsafe_chunk(3, 1)
        given_reset, given_update, given_candidate = step.unsafe_chunk(3, 1)
        r = reset.add_(given_reset).sigmoid_()
        z = update.add_(given_update).sigmoid_()
        n = given_candidate.add(candidate.mul_(r)).tanh_()
        before = (before - n).mul_(z).add_(n)
        seen.append((before, r.detach(), z.detach(), n.detach()))
    hidden, *gates = zip(*(reversed(seen) if is_reverse else seen), strict=True)
    return torch.stack(hidden), dict(
        zip(("reset_gate", "update_gate", "candidate"), map(StepByStep, gates), strict=True)
    )


def _plain_steps(weights: LayerWeights, given: Tensor, before: Tensor, *, is_reverse: bool) -> tuple[Tensor, Signals]:
    """Without gradients: every number goes where it will stay."""
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


def runs_alike(weights: LayerWeights, batch: int, *, is_noted: bool) -> bool:
    """Whether this layer is a GRU for which `gru_steps` answers what torch does, and is worth it.

    is_noted : gradients are wanted.
    """
    shape, has_bias = weights.hidden_weight.shape, weights.hidden_bias is not None
    settings = torch.get_num_threads(), *precision()
    return (
        weights.kind == "gru"
        and batch >= (_WORTH_NOTED if is_noted else _WORTH)
        and _is_same_for(shape[1], batch, has_bias, weights.hidden_weight.dtype, is_noted, *settings)
    )


@cache
def _is_same_for(
    n_units: int, batch: int, has_bias: bool, dtype: torch.dtype, is_noted: bool, *_settings: object
) -> bool:
    """On a random layer. How many inputs it has is nothing to the steps."""
    random = torch.Generator("cpu").manual_seed(n_units)  # of its own: the caller's random stream is not touched

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=dtype, device="cpu")

    with torch.inference_mode(False), torch.set_grad_enabled(is_noted):
        parts = [normal(3 * n_units, 2), normal(3 * n_units, n_units) * n_units**-0.5]
        parts += [normal(3 * n_units), normal(3 * n_units)] if has_bias else []
        weights = [part.requires_grad_(is_noted) for part in parts]
        inputs, before = normal(_PROVED_STEPS, batch, 2), normal(batch, n_units)
        try:
            found, _ = gru_steps(LayerWeights("gru", *weights), inputs, before, is_noted=is_noted)
            expected, _ = torch.gru(inputs, before[None], weights, has_bias, 1, 0.0, False, False, False)
        except RuntimeError:  # a mode that somebody set
            return False
    return torch.equal(found, expected)
