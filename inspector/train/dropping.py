"""Dropping weights between hidden states while a network learns (DropConnect)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


def recurrent_weights(rnn: nn.RNNBase) -> list[nn.Parameter]:
    """The weights from one hidden state to the next, of every layer."""
    return [weight for name, weight in rnn.named_parameters() if name.startswith("weight_hh")]


@contextmanager
def without_some(weights: Sequence[nn.Parameter], share: float) -> Iterator[None]:
    """Inside, a random share of each weight is 0 and the rest is larger for it; afterwards all are as they were.

    A gradient that was left inside is then that of the whole weights: it reaches only those that took part. The same
    weights are missing at every step of a stretch, so that torch's own kernels do the work, which know of no dropout
    between steps. Wan et al., "Regularization of Neural Networks using DropConnect" (2013); for recurrent networks
    Merity et al., "Regularizing and Optimizing LSTM Language Models" (2017).
    """
    if not share:
        yield
        return
    whole = [weight.detach().clone() for weight in weights]
    scales = [torch.empty_like(weight).bernoulli_(1 - share).div_(1 - share) for weight in whole]
    with torch.no_grad():
        for weight, scale in zip(weights, scales, strict=True):
            weight.mul_(scale)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before, scale in zip(weights, whole, scales, strict=True):
                weight.copy_(before)
                if weight.grad is not None:
                    weight.grad.mul_(scale)
