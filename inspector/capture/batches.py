"""Many documents read side by side, in the shape in which a search takes values; nothing is kept.

    documents, longest first ──► lanes (a batch) ──► stretches (traces, characters)

Each lane reads one document after the other, from the zero state. Lanes move together, up to the nearest end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from inspector.capture.lanes import Lanes
from inspector.capture.network import Network
from inspector.capture.recorder import _check_signals

if TYPE_CHECKING:
    from inspector.model import CharModel

_STEPS = 512  # characters a lane reads at a time, at most, and no more than
_CELLS = 2**20  # steps x sequences x units: each time begins with weights that are nowhere near

Arrays = dict[str, np.ndarray]


class Stretch(NamedTuple):
    """What the network did at some characters of some documents."""

    values: list[
        np.ndarray
    ]  # for each layer and signal, as `BatchReader.rows` has them, float32 (units, n), any strides
    positions: np.ndarray  # (n,) int64, into all documents laid end to end
    loss: np.ndarray  # (n,) float32, nats paid for the character; nan at a document's first


class BatchReader:
    """Iterate over stretches of some hundred characters until every document was read once.

    >>> for stretch in BatchReader(model, texts, ("hidden", "cell"), lanes=8):
    ...     census.fold(stretch.values, stretch.positions)

    rows : (layer, unit, signal) of each row of values. lanes : how many documents are read side by side.
    parts : (layer, signal) of each array of a stretch.
    state(), restore(arrays) : between two stretches, everything a later reader of the same documents needs to go on.
    """

    def __init__(self, model: CharModel, texts: Sequence[str], signals: Sequence[str] | None, *, lanes: int) -> None:
        network = Network(model)
        self._signals = _check_signals(signals, network.kind)
        self._ids = torch.from_numpy(model.vocabulary.encode("".join(texts)))
        self._lengths = [len(text) for text in texts]
        starts = np.cumsum([0, *(len(text) for text in texts)])
        self._starts = starts[:-1]
        self._queue = sorted((i for i, text in enumerate(texts) if text), key=lambda i: -len(texts[i]))
        self._next = 0  # of the queue
        self._lanes: list[list[int]] = []  # [document, characters read] of each lane
        self._abreast = Lanes(network, 0)
        self._n_lanes = lanes
        widths = [layer.hidden_weight.shape[1] for layer in network.weights]
        self.parts = [(layer, name) for layer in range(len(widths)) for name in self._signals]
        self.rows = [(layer, unit, name) for layer, name in self.parts for unit in range(widths[layer])]
        self.total = int(starts[-1])

    def state(self) -> Arrays:
        states = enumerate(self._abreast.states)
        parts = {f"{i}.{j}": part.cpu().numpy() for i, layer in states for j, part in enumerate(layer)}
        at = {"next": np.array(self._next), "lanes": np.array(self._lanes)}
        return at | {"expected": self._abreast.expected.cpu().numpy()} | parts

    def restore(self, arrays: Arrays) -> None:
        self._next, self._lanes = int(arrays["next"]), arrays["lanes"].tolist()
        device = self._abreast.expected.device
        self._abreast.expected = torch.from_numpy(arrays["expected"].copy()).to(device)
        self._abreast.states = [
            tuple(torch.from_numpy(arrays[f"{i}.{j}"].copy()).to(device) for j in range(len(layer)))
            for i, layer in enumerate(self._abreast.states)
        ]

    def __iter__(self) -> Iterator[Stretch]:
        while self._fill_lanes():
            n_steps = min(self._steps_at_once(), *map(self._remaining, self._lanes))
            yield self._read(n_steps)

    def _steps_at_once(self) -> int:
        widest = max(state[0].shape[1] for state in self._abreast.states)
        return min(_STEPS, max(_CELLS // (len(self._lanes) * widest), 1))

    def _remaining(self, lane: list[int]) -> int:
        return self._lengths[lane[0]] - lane[1]

    def _fill_lanes(self) -> int:
        """Take finished documents out and put new ones in; returns how many lanes there are."""
        kept = [i for i, lane in enumerate(self._lanes) if self._remaining(lane)]
        n_new = min(self._n_lanes - len(kept), len(self._queue) - self._next)
        if len(kept) < len(self._lanes) or n_new:
            new = self._queue[self._next : self._next + n_new]
            self._next += n_new
            self._lanes = [self._lanes[i] for i in kept] + [[document, 0] for document in new]
            self._abreast.keep(kept, n_new)
        return len(self._lanes)

    def _read(self, n_steps: int) -> Stretch:
        """All lanes by n_steps; the characters of a stretch come step by step."""
        begun = np.array([self._starts[document] + at for document, at in self._lanes])
        places = begun + np.arange(n_steps)[:, None]
        for lane in self._lanes:
            lane[1] += n_steps
        found = self._abreast.read(self._ids[places.T], self._signals)
        with torch.inference_mode():
            signals = [layer[name].flatten(0, 1) for layer in found.signals for name in self._signals]
        values = [signal.cpu().numpy().T for signal in signals]
        return Stretch(values, places.ravel(), found.loss.flatten().cpu().numpy())
