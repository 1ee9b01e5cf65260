"""The words every room shares: a neuron, its signals, a layer, a document, a guess, and the error a reader can fix.

They live beside the recording because all of them are ways to point into one. Nothing here holds values or opens files.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SIGNALS: dict[str, tuple[str, ...]] = {
    "lstm": ("hidden", "cell", "input_gate", "forget_gate", "candidate", "output_gate"),
    "gru": ("hidden", "reset_gate", "update_gate", "candidate"),
    "rnn": ("hidden",),
}
"""Which values a neuron has, by kind of layer, in the order in which they are listed on screen."""


Progress = Callable[[int, int], object]
"""Called as progress(done, total), in characters."""


class InspectorError(ValueError):
    """Something the reader can fix, said in one sentence: what, where, what is allowed, what to do next."""


class Damaged(Exception):
    """Bytes are not as they were written. Whoever knows the folder turns it into an `InspectorError`."""


class Neuron(NamedTuple):
    """One unit of one layer, both counted from zero; written `1:42`.

    >>> str(Neuron(1, 42)), Neuron.parse("1:42") == Neuron(1, 42)
    ('1:42', True)
    """

    layer: int
    unit: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.unit}"

    @classmethod
    def parse(cls, written: str) -> Neuron:
        """Read `layer:unit`; anything else is an `InspectorError` that shows how it is written."""
        match = re.fullmatch(r"\s*([0-9]{1,9}):([0-9]{1,9})\s*", written)
        if match is None:
            raise InspectorError(
                f"{quoted(written)} is not a neuron: write layer and unit, both counted from zero, like 1:42."
            )
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, said: Any) -> Neuron:
        """What `1:42` or a pair of whole numbers means; anything else is an `InspectorError` as `parse` has it."""
        try:
            if isinstance(said, bytes | bytearray):  # they count as whole numbers, and name nothing
                raise TypeError
            layer, unit = (operator.index(number) for number in said)
        except (TypeError, ValueError):  # no pair, or none of whole numbers
            return cls.parse(str(said))
        return cls(layer, unit)


@dataclass(frozen=True)
class Layer:
    """One recurrent layer as it was recorded.

    name : where it sits in its module, such as `rnn.0`.
    kind : `lstm`, `gru`, `rnn`, or a word of its own for somebody else's module.
    n_units : its width; layers of one recording may differ.
    signals : the signals that were stored, not all that the kind has.
    """

    name: str
    kind: str
    n_units: int
    signals: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A passage `text[start:stop]` that the network read from a zero state."""

    name: str
    start: int
    stop: int


class Place(NamedTuple):
    """A position as an editor counts it: line and column start at 1 in each document."""

    document: Document
    line: int
    column: int


class Guesses(NamedTuple):
    """What the network expected next, likeliest first.

    symbols : str objects, shape (n_chars, k). An object array, because numpy's own strings lose NUL.
    probabilities : float32, shape (n_chars, k).
        Row `t` is what was expected after reading `text[t]`, that is for `text[t + 1]`.
    """

    symbols: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float32]


def quoted(written: object, limit: int = 40) -> str:
    """Quote what somebody typed, cut to a length that keeps the sentence readable."""
    whole = repr(written)
    return whole if len(whole) <= limit else whole[: limit - 3] + "..."
