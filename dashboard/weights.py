"""What a neuron's own weights say: which next characters it makes likelier, which characters open its gates.

    top layer    logit of a character  =  ... + head weight x hidden state        the neuron's direct effect
    first layer  gate  =  sigma(input weight of the character + recurrent part + bias)

Knows matrices of a network and nothing else. Layers in between have neither: they speak through other layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inspector.recording import SIGNALS, Neuron

if TYPE_CHECKING:
    from inspector.model import CharModel

# The order in which torch stacks the gates of a layer.
_STACKED = {
    "lstm": ("input_gate", "forget_gate", "candidate", "output_gate"),
    "gru": ("reset_gate", "update_gate", "candidate"),
    "rnn": ("hidden",),
}


class Effect(NamedTuple):
    """A character, and by how much it is moved or moves."""

    symbol: str
    amount: float


def raised_and_lowered(model: CharModel, neuron: Neuron, n: int = 8) -> tuple[list[Effect], list[Effect]] | None:
    """The next characters that a rising hidden state makes likelier, and those it makes less likely; strongest first.

    amount : change of the logit when the hidden state goes up by 1, less what it does to all characters alike, which
        changes no probability. None for a neuron below the top layer: it has no direct effect.
    """
    if neuron.layer != model.config.n_layers - 1:
        return None
    weights = model.head.weight.detach().float().cpu().numpy()[1:, neuron.unit]  # symbol 0 stands for unknown ones
    return _both_ends(model, weights - weights.mean(), n)


def opened_by(model: CharModel, neuron: Neuron, n: int = 6) -> dict[str, tuple[list[Effect], list[Effect]]] | None:
    """For each gate of a first-layer neuron, the characters that push it up most, and down most.

    amount : what the character adds before the sigmoid (tanh for a candidate), less the mean over all characters.
        None for a neuron above the first layer: it reads neurons, not characters.
    """
    if neuron.layer != 0:
        return None
    weights = model.rnn.weight_ih_l0.detach().float().cpu().numpy()  # (gates x units, inputs)
    if model.embedding is not None:
        weights = weights @ model.embedding.weight.detach().float().cpu().numpy().T
    stacked = weights.reshape(-1, model.config.n_units, weights.shape[1])[:, neuron.unit, 1:]
    stacked = stacked - stacked.mean(axis=1, keepdims=True)
    rows = dict(zip(_STACKED[model.config.kind], stacked, strict=True))
    return {name: _both_ends(model, rows[name], n) for name in SIGNALS[model.config.kind] if name in rows}


def mean_by_character(text: str, trace: np.ndarray, least: int = 5, n: int = 6) -> tuple[list[Effect], list[Effect]]:
    """The characters after which a signal is highest on average over a text, and those after which it is lowest.

    trace : float (n_chars,). Characters that occur fewer than `least` times are left out.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    symbols, which, counts = np.unique(codes, return_inverse=True, return_counts=True)
    means = np.bincount(which, trace.astype(np.float64)) / counts
    order = [place for place in np.argsort(-means, kind="stable").tolist() if counts[place] >= least]
    effects = [Effect(chr(symbols[place]), float(means[place])) for place in order]
    half = min(n, len(effects) // 2)
    return effects[:half], effects[::-1][:half]


def _both_ends(model: CharModel, weights: np.ndarray, n: int) -> tuple[list[Effect], list[Effect]]:
    order = np.argsort(-weights, kind="stable").tolist()
    effects = [Effect(model.vocabulary.symbols[place + 1], float(weights[place])) for place in order]
    return [one for one in effects[:n] if one.amount > 0], [one for one in effects[: -n - 1 : -1] if one.amount < 0]
