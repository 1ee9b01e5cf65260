"""Texts read side by side, every value put where a recording keeps it: neuron by neuron, one text behind the other.

    a few steps of every lane, as the engine left them ──► turned round (turning.py) ──► pieces, each a stretch long

What an engine leaves is still in the cache then, and nothing is copied twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inspector.capture.arithmetic import as_flat
from inspector.capture.lanes import Lanes, Reading
from inspector.capture.lockstep import together
from inspector.capture.network import Network
from inspector.capture.weights import LayerWeights, Signals
from inspector.recording import STRETCH, does_not_fit

N_GUESSES = 10
_NEURON_STEPS = 2**21  # neurons x characters that are read at a time: 50 MB for all six signals in float32. Finding the
# likeliest guesses is left to torch, whose threads then spin for milliseconds on the cores that `lockstep` wants


class Piece(NamedTuple):
    """Consecutive characters of neighbouring texts, as RecordingWriter takes them."""

    start: int
    stop: int
    values: list[dict[str, np.ndarray]]  # by layer and signal: (n_units, n)
    loss: np.ndarray  # float32 (n,), nats
    guess_ids: np.ndarray  # int64 (n, N_GUESSES)
    guess_probabilities: np.ndarray  # float32 (n, N_GUESSES)


class Columns:
    """Room for all values of a group of texts, positions `start` to `stop`, cut where the recording's stretches end.

    dtype : float32, or float16, in which values are put right away.
    """

    def __init__(self, start: int, stop: int, widths: Sequence[int], signals: Sequence[str], dtype: str) -> None:
        self._dtype = np.dtype("<f2" if dtype == "float16" else "<f4")
        cuts = [start, *range(start // STRETCH * STRETCH + STRETCH, stop, STRETCH), stop]
        self.pieces = [self._room(begin, end, widths, signals) for begin, end in pairwise(cuts)]

    def _room(self, begin: int, end: int, widths: Sequence[int], signals: Sequence[str]) -> Piece:
        n = end - begin
        values = [{name: np.empty((width, n), self._dtype) for name in signals} for width in widths]
        loss, ids = np.empty(n, np.float32), np.zeros((n, N_GUESSES), np.int64)
        return Piece(begin, end, values, loss, ids, np.zeros((n, N_GUESSES), np.float32))

    def put(self, spans: np.ndarray, layer: int, start: int, found: Signals) -> None:
        """Some steps of a layer, from the step `start` of a reading on.

        spans : of the whole reading, rows of (lane, its first step, the position of that, how many).
        """
        n_steps = len(found["hidden"])
        now = _within(spans, 1, start, start + n_steps)
        for piece in self.pieces:
            here = _within(now, 2, piece.start, piece.stop)
            if not len(here):
                continue
            here[:, 1] -= start
            here[:, 2] -= piece.start
            self._turn_all(layer, found, piece.values[layer], here)

    def _turn_all(self, layer: int, found: Signals, columns: dict[str, np.ndarray], spans: np.ndarray) -> None:
        """Turn each signal on a thread of its own, as far as there are cores."""
        names = list(columns)
        n_shares, fits = min(torch.get_num_threads(), len(names)), dict[str, bool]()

        def take_share(me: int) -> None:
            for name in names[me::n_shares]:
                fits[name] = self._turn(found[name], columns[name], spans)

        together(take_share, n_shares)
        for name in names:
            if not fits[name]:
                raise does_not_fit((layer, name), "float16")

    def _turn(self, values: Tensor, columns: np.ndarray, spans: np.ndarray) -> bool:
        """Whether all of them fit."""
        from inspector.capture.turning import turn_spans

        bits = columns.view(np.uint16) if columns.dtype == np.float16 else columns
        return turn_spans(*as_flat(values), bits, spans) or all(
            bool(values[step : step + n, lane].isinf().t().cpu().numpy()[np.isinf(columns[:, at : at + n])].all())
            for lane, step, at, n in spans.tolist()
        )

    def note(self, spans: np.ndarray, found: Reading, guessed: np.ndarray, probabilities: np.ndarray) -> None:
        """What the network expected, (n, lanes, ...), at the same places."""
        loss = found.loss.cpu().numpy()
        n_guesses = guessed.shape[-1]
        for piece in self.pieces:
            for lane, step, at, n in _within(spans, 2, piece.start, piece.stop).tolist():
                here, now = slice(at - piece.start, at - piece.start + n), slice(step, step + n)
                piece.loss[here] = loss[now, lane]
                piece.guess_ids[here, :n_guesses] = guessed[now, lane]
                piece.guess_probabilities[here, :n_guesses] = probabilities[now, lane]


def _within(spans: np.ndarray, column: int, start: int, stop: int) -> np.ndarray:
    """The parts of spans (lane, step, position, n) whose `column`, 1 or 2, lies between start and stop."""
    begin = np.maximum(spans[:, column], start)
    n = np.minimum(spans[:, column] + spans[:, 3], stop) - begin
    skipped = begin - spans[:, column]
    parts = np.stack([spans[:, 0], spans[:, 1] + skipped, spans[:, 2] + skipped, n], axis=1)
    found: np.ndarray = parts[n > 0]
    return found


def read_abreast(
    network: Network, texts: Sequence[str], start: int, signals: Sequence[str], dtype: str
) -> Iterator[tuple[int, list[Piece]]]:
    """Read texts side by side that follow one another from position `start` on.

    After each text's part of what was read at once: its length, and the pieces that are full now, in their order.

    As the shorter ones end, the others go on without them. Torch's modes are set anew for each reading, never across a
    yield.
    """
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    lengths = np.array([len(texts[i]) for i in order])
    starts = start + np.cumsum([0, *map(len, texts)])
    ids = torch.zeros(len(texts), int(lengths[0]), dtype=torch.long)  # behind a text's end any symbol
    for row, i in zip(ids, order, strict=True):
        row[: len(texts[i])] = torch.from_numpy(network.model.vocabulary.encode(texts[i]))
    lanes = Lanes(network, len(texts))
    columns = Columns(start, int(starts[-1]), [one.hidden_weight.shape[1] for one in network.weights], signals, dtype)
    left, at = [len(text) for text in texts], 0
    while at < lengths[0]:
        going = int((lengths > at).sum())
        if going < len(lanes.expected):
            lanes.keep(range(going))
        part = ids[:going, at : at + n_steps_at_once(network.weights, going)]
        lane = np.arange(going)
        n = np.minimum(lengths[:going] - at, part.shape[1])
        spans = np.stack([lane, 0 * lane, starts[order][:going] + at, n], axis=1)
        found = lanes.read(part, signals, partial(columns.put, spans))
        with torch.inference_mode():
            columns.note(spans, found, *guesses(found.log_probabilities))
        for i, n_read in sorted(zip(order, n.tolist(), strict=False)):
            left[i] -= n_read
            done = next((starts[k] + len(texts[k]) - left[k] for k in range(len(texts)) if left[k]), starts[-1])
            full = [piece for piece in columns.pieces if piece.stop <= done]
            del columns.pieces[: len(full)]
            yield n_read, full
        at += part.shape[1]


def n_steps_at_once(weights: Sequence[LayerWeights], batch: int) -> int:
    """Characters of each text that are read at a time."""
    n_units = sum(layer.hidden_weight.shape[1] for layer in weights)
    return min(max(_NEURON_STEPS // (n_units * batch), 64 // batch, 16), 8192)


def guesses(log_probabilities: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Ids and probabilities (..., k) of the likeliest of the last axis, most likely first."""
    best, ids = log_probabilities.topk(min(N_GUESSES, log_probabilities.shape[-1]))
    return ids.cpu().numpy(), best.exp().cpu().numpy()
