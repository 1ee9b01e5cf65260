"""Many documents read side by side, in the shape in which a search takes values; nothing is kept.

    documents, longest first ──► lanes (a batch) ──► stretches (traces, characters)

Each lane reads one document after the other, from the zero state. Lanes move together, up to the nearest end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inspector.capture.engine import State
from inspector.capture.engines import engine_for
from inspector.capture.recorder import _check_model, _check_signals

if TYPE_CHECKING:
    from inspector.model import CharModel

_STEPS = 512  # characters a lane reads at a time, at most

Arrays = dict[str, np.ndarray]


class Stretch(NamedTuple):
    """What the network did at some characters; the array of values is used again for the next stretch."""

    values: np.ndarray  # (rows, n) float32, rows as `BatchReader.rows` has them
    positions: np.ndarray  # (n,) int64, into all documents laid end to end
    loss: np.ndarray  # (n,) float32, nats paid for the character; nan at a document's first


class BatchReader:
    """Iterate over stretches of about `size` characters until every document was read once.

    >>> for stretch in BatchReader(model, texts, ("hidden", "cell"), lanes=8):
    ...     census.fold(stretch.values, stretch.positions)

    rows : (layer, unit, signal) of each row of values.
    state(), restore(arrays) : between two stretches, everything a later reader of the same documents needs to go on.
    """

    def __init__(
        self, model: CharModel, texts: Sequence[str], signals: Sequence[str] | None, *, lanes: int, size: int = 4096
    ) -> None:
        self._model, self._size = model, size
        self._weights, kind = _check_model(model)
        self._signals = _check_signals(signals, kind)
        self._ids = [torch.from_numpy(model.vocabulary.encode(text)) for text in texts]
        starts = np.cumsum([0, *(len(text) for text in texts)])
        self._starts = starts[:-1]
        self._queue = sorted((i for i, text in enumerate(texts) if text), key=lambda i: -len(texts[i]))
        self._next = 0  # of the queue
        self._lanes: list[list[int]] = []  # [document, characters read] of each lane
        self._states: list[State] = [layer.zero_state(0) for layer in self._weights]
        self._expected = torch.zeros(0, model.head.out_features)  # log probabilities of each lane's next character
        self._n_lanes = lanes
        widths = [layer.hidden_weight.shape[1] for layer in self._weights]
        self.rows = [
            (layer, unit, name) for layer, width in enumerate(widths) for name in self._signals for unit in range(width)
        ]
        self.total = int(starts[-1])

    def state(self) -> Arrays:
        arrays = {"next": np.array(self._next), "lanes": np.array(self._lanes), "expected": self._expected.numpy()}
        parts = {f"{i}.{j}": part for i, layer in enumerate(self._states) for j, part in enumerate(layer)}
        return arrays | {name: part.numpy() for name, part in parts.items()}

    def restore(self, arrays: Arrays) -> None:
        self._next, self._lanes = int(arrays["next"]), arrays["lanes"].tolist()
        self._expected = torch.from_numpy(arrays["expected"].copy())
        self._states = [
            tuple(torch.from_numpy(arrays[f"{i}.{j}"].copy()) for j in range(len(layer)))
            for i, layer in enumerate(self._states)
        ]

    def __iter__(self) -> Iterator[Stretch]:
        values = torch.empty(len(self.rows), self._size)
        while True:
            positions, losses, filled = [], [], 0
            while self._fill_lanes() and self._size - filled >= len(self._lanes):
                n_steps = min(_STEPS, (self._size - filled) // len(self._lanes), *map(self._remaining, self._lanes))
                place, loss = self._read(n_steps, values[:, filled : filled + n_steps * len(self._lanes)])
                positions.append(place)
                losses.append(loss)
                filled += len(place)
            if not filled:
                return
            whole = values if filled == self._size else values[:, :filled].contiguous()
            yield Stretch(whole.numpy(), np.concatenate(positions), np.concatenate(losses))

    def _remaining(self, lane: list[int]) -> int:
        return len(self._ids[lane[0]]) - lane[1]

    def _fill_lanes(self) -> int:
        """Take finished documents out and put new ones in; returns how many lanes there are."""
        kept = [i for i, lane in enumerate(self._lanes) if self._remaining(lane)]
        n_new = min(self._n_lanes - len(kept), len(self._queue) - self._next)
        if len(kept) < len(self._lanes) or n_new:
            new = self._queue[self._next : self._next + n_new]
            self._next += n_new
            self._lanes = [self._lanes[i] for i in kept] + [[document, 0] for document in new]
            self._states = [
                tuple(torch.cat([part[kept], part.new_zeros(n_new, part.shape[1])]) for part in layer)
                for layer in self._states
            ]
            fresh = self._expected.new_full((n_new, self._expected.shape[1]), float("nan"))
            self._expected = torch.cat([self._expected[kept], fresh])
        return len(self._lanes)

    def _read(self, n_steps: int, out: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """All lanes by n_steps; out (rows, n_steps x lanes) gets the values, time slowest."""
        ids = torch.stack([self._ids[document][at : at + n_steps] for document, at in self._lanes])  # (B, T)
        begun = np.array([self._starts[document] + at for document, at in self._lanes])
        for lane in self._lanes:
            lane[1] += n_steps
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            engine = engine_for(self._weights, batch=len(ids))
            inputs, row = self._model.embed(ids).transpose(0, 1), 0
            for i, layer in enumerate(self._weights):
                found, state = engine(layer, inputs, self._states[i], self._signals)
                self._states[i] = tuple(part.clone() for part in state)
                inputs = found["hidden"]
                for name in self._signals:
                    part = found[name].reshape(-1, found[name].shape[-1])  # (T x B, units)
                    out[row : row + part.shape[1]].copy_(part.t())
                    row += part.shape[1]
            logits = torch.nn.functional.linear(inputs, self._model.head.weight, self._model.head.bias)
            guesses = torch.cat([self._expected[None], logits.float().log_softmax(-1)])  # (T + 1, B, V)
            loss = -guesses[:-1].gather(2, ids.t()[:, :, None])[:, :, 0]
            self._expected = guesses[-1].clone()
        return (begun[None] + np.arange(n_steps)[:, None]).ravel(), loss.flatten().numpy()
