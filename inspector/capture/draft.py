"""A text that somebody is still writing: after every change only what follows the change is read again.

old text   def shout(words):|    ...          what stands before the first change keeps its values, and the last of
new text   def shout(name):|     ...          these, hidden and cell of every layer, are the state to go on from
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Lock
from typing import TYPE_CHECKING

import torch

from inspector.capture.engines import engine_for
from inspector.capture.network import Network
from inspector.capture.recorder import _joined, _Kept, _Part, _read
from inspector.capture.replay import STATE_SIGNALS
from inspector.capture.standstill import to_bytes
from inspector.capture.weights import LayerWeights
from inspector.recording import Document, InspectorError, Layer, Recording, RecordingWriter

if TYPE_CHECKING:
    from inspector.model import CharModel

# Characters read before the next look at `enough`: a first answer soon, then fewer looks, for each piece costs as much
# as reading fifty characters.
_PIECES = (128, 512)


class Draft:
    """Reads one version of a text after the other with the same network.

    >>> draft = Draft(model)
    >>> draft.read("def f(x):").trace(Neuron(1, 42), "cell")
    >>> draft.read("def f(x, y):").n_chars, draft.n_kept        # "def f(x" was not read again
    (12, 7)

    The network's states, hidden and cell, are recorded in float32. n_kept : how many characters at the beginning of
    the last version did not have to be read. Versions may come from several threads; they are read one by one.
    """

    def __init__(self, model: CharModel) -> None:
        self._hash = model.hash  # which takes as long as reading thirty characters
        self._network = Network(model)
        self._kind = self._network.kind
        self._signals = STATE_SIGNALS[self._kind]
        self._text = ""
        self._part: _Part | None = None
        self._turn = Lock()
        self.n_kept = 0

    def read(self, text: str, name: str = "draft", *, enough: Callable[[float], bool] | None = None) -> Recording:
        """Record a version of the text, in memory; its numbers are those of `record` within contract 5.

        enough : asked between pieces of a few hundred characters, given what share of the characters behind the change
            has been read, 0 to 1. Once it is true the recording covers only these; read the same text again to go on.

        Raises InspectorError where there is no text.
        """
        if not text:
            raise InspectorError("There is nothing to read yet: one character is enough.")
        with self._turn:
            same = _n_same(self._text, text)
            parts = [_first(self._part, same)] if self._part is not None and same else []
            state, n_read = self._state(parts[0]) if parts else b"", 0
            for part in self._pieces(text, same, state):
                parts.append(part)
                n_read += len(part.loss)
                if enough is not None and enough(n_read / (len(text) - same)):
                    break
            part = self._part = _joined(parts)
            self._text, self.n_kept = text[: len(part.loss)], same
            return self._recording(part, name)

    def _pieces(self, text: str, at: int, state: bytes) -> Iterator[_Part]:
        """What follows the first `at` characters, which left the network in that state."""
        sizes = chain(_PIECES, repeat(_PIECES[-1]))
        while at < len(text):
            piece = text[at : at + next(sizes)]
            for part in _read(self._network, piece, _Kept(self._signals, None, at), state):
                yield part
                state = part.state or b""
            at += len(piece)

    def _state(self, part: _Part) -> bytes:
        """The state after what was kept, as a reading that was cut off there would have left it."""
        states = [
            [torch.from_numpy(part.values[layer][signal][:, -1].copy())[None] for signal in self._signals]
            for layer in range(len(self._network.weights))
        ]
        head = self._network.model.head
        with torch.inference_mode(), torch.autocast(head.weight.device.type, enabled=False):
            logits = head(states[-1][0].to(head.weight))
            expected = logits.float().log_softmax(-1)
        like = chain(*(layer.zero_state(1) for layer in self._network.weights))
        return to_bytes([*(part.to(other) for part, other in zip(chain(*states), like, strict=True)), expected])

    def _recording(self, part: _Part, name: str) -> Recording:
        model, text = self._network.model, self._text
        writer = RecordingWriter(
            None,
            text=text,
            documents=[Document(name, 0, len(text))],
            layers=[
                Layer(f"rnn.{i}", self._kind, _width(one), self._signals) for i, one in enumerate(self._network.weights)
            ],
            network=model.name,
            network_hash=self._hash,
            symbols=model.vocabulary.symbols,
            unknown=model.vocabulary.unknown(text),
            engine=engine_for(self._network.weights).__name__,
        )
        with writer:
            writer.append(*part[:4], is_given=True)  # nobody writes to what a version was made of
            return writer.finish()


def _n_same(one: str, other: str) -> int:
    """How many characters two texts have in common before they differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (here, there) in pairs if here != there), min(len(one), len(other)))


def _width(weights: LayerWeights) -> int:
    return int(weights.hidden_weight.shape[1])


def _first(part: _Part, n_chars: int) -> _Part:
    """Its first characters."""
    values = [{name: array[:, :n_chars] for name, array in layer.items()} for layer in part.values]
    arrays = (part.loss[:n_chars], part.guess_ids[:n_chars], part.guess_probabilities[:n_chars])
    return _Part(values, *arrays, None, None)
