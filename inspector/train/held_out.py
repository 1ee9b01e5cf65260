"""What a network pays for text that it did not learn from."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from inspector.corpus import Text
from inspector.model import CharModel

_NATS_PER_BIT = math.log(2)
_STREAMS, _STRETCH = 64, 256


def bits(nats: float) -> float:
    """Bits from nats."""
    return nats / _NATS_PER_BIT


@torch.inference_mode()
def held_out_nats(model: CharModel, texts: tuple[Text, ...], *, max_chars: int | None = None) -> float:
    """Mean cross-entropy of the next character, nats per character, in float32; nan without text.

    The texts are read end to end in parallel streams, each from a zero state: the figure is a little above what one
    reader would pay who reads every text from its start.
    """
    ids = np.concatenate([model.vocabulary.encode(text) for _, text in texts] or [np.zeros(0, np.int64)])[:max_chars]
    n_streams = min(_STREAMS, max(1, len(ids) // _STRETCH))
    length = len(ids) // n_streams
    if length < 2:
        return math.nan
    device = model.head.weight.device
    streams = torch.from_numpy(ids[: n_streams * length].reshape(n_streams, length)).to(device)
    was_training, total, state = model.training, 0.0, None
    model.eval()
    for start in range(0, length - 1, _STRETCH):
        piece = streams[:, start : min(start + _STRETCH, length - 1) + 1]
        logits, state = model(piece[:, :-1], state)
        total += float(nn.functional.cross_entropy(logits.flatten(0, 1), piece[:, 1:].flatten(), reduction="sum"))
    model.train(was_training)
    return total / (n_streams * (length - 1))
