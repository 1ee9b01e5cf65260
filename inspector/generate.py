"""Lets a network write: it reads a seed text, then draws one character after another from what it expects.

Owns: turning expectations into characters (temperature, top-k, the random stream).
Knows nothing about: terminals, recordings, training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from inspector.capture import Lanes, Network
from inspector.model import CharModel
from inspector.recording import InspectorError


def sample(
    model: CharModel,
    seed_text: str,
    *,
    n_chars: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield `n_chars` characters that continue `seed_text`, one at a time.

    >>> "".join(sample(model, "def ", n_chars=20, temperature=0.5, seed=1))

    temperature : divides the logits; 0 always takes the likeliest character, 1 draws what the network believes.
    top_k : draw only among this many likeliest characters.
    seed : of the random stream; the same seed writes the same text on the same machine. None: different each time.

    The unknown symbol is never written. An empty seed text starts from a newline, or the first known character.
    Raises InspectorError for a temperature below 0, a length below 0, or a top_k below 1.
    """
    if seed is not None and not 0 <= seed < 2**63:
        raise InspectorError(f"The seed is {seed}; it must be from 0 to {2**63 - 1}.")
    if not 0 <= temperature < math.inf:
        raise InspectorError(
            f"The temperature is {temperature}; it must be 0 or more (0.5 is careful, 1 is as trained)."
        )
    if n_chars < 0:
        raise InspectorError(f"The length is {n_chars}; it must be 0 or more characters.")
    if top_k is not None and top_k < 1:
        raise InspectorError(f"The top-k is {top_k}; it must be 1 or more.")
    if len(model.vocabulary) < 2:
        raise InspectorError("This network knows no character, so it cannot write.")
    return _stream(model, seed_text or _first(model), n_chars, temperature, top_k, seed)


def _first(model: CharModel) -> str:
    return "\n" if "\n" in model.vocabulary.symbols else model.vocabulary.symbols[1]


def _stream(
    model: CharModel, seed_text: str, n_chars: int, temperature: float, top_k: int | None, seed: int | None
) -> Iterator[str]:
    random = torch.Generator()
    random.manual_seed(seed) if seed is not None else random.seed()
    reader, ids = Lanes(Network(model), 1), torch.from_numpy(model.vocabulary.encode(seed_text))[None]
    for _ in range(n_chars):
        reader.read(ids, ("hidden",))
        choice = _draw(reader.expected[0].cpu(), temperature, top_k, random)
        ids = torch.tensor([[choice]])
        yield model.vocabulary.symbols[choice]


def _draw(logits: torch.Tensor, temperature: float, top_k: int | None, random: torch.Generator) -> int:
    logits = logits.clone()
    logits[0] = -torch.inf  # the unknown symbol
    if top_k is not None and top_k < len(logits):
        logits[logits < logits.topk(top_k).values[-1]] = -torch.inf
    if temperature == 0:
        return int(logits.argmax())
    below = logits.double() - logits.max()  # so that the likeliest stays finite, however small the temperature
    return int(torch.multinomial((below / temperature).softmax(0), 1, generator=random))
