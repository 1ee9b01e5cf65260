"""Reading passages again from states that a recording kept, many at once, to get the values that it did not keep.

    snapshots ──► states of a batch ──► layer by layer through the engine ──► all signals ──► rows of neurons, on demand

Knows how a state lies in a snapshot: hidden (and cell) of each layer, float32, layer after layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inspector.capture.arithmetic import as_flat, is_plain
from inspector.capture.lockstep import together
from inspector.capture.network import Network
from inspector.capture.weights import LayerWeights, Signals
from inspector.recording import SIGNALS, InspectorError, Segment, Snapshots

if TYPE_CHECKING:
    from inspector.model import CharModel

STATE_SIGNALS = {"lstm": ("hidden", "cell"), "gru": ("hidden",), "rnn": ("hidden",)}
_BYTES_PER_CHAR = 256  # of snapshots, at most
_SEGMENT = 2**15  # neurons x characters from one snapshot to the next: a 32nd of what is computed together
_LONGEST = 2048  # characters
_SHARE = 2**17  # values that are worth a thread when they are turned round


class Turned:
    """Signals of a batch, (steps, segments, units), handed out neuron by neuron."""

    def __init__(self, layers: Sequence[Signals]) -> None:
        self._layers = layers

    def put(self, target: np.ndarray, layer: int, signal: str, first: int, spans: np.ndarray) -> None:
        """target[i, at : at + n] = values of neuron `first` + i, for spans of (segment, its first step, at, n)."""
        from inspector.capture.turning import turn_spans

        flat, strides = as_flat(self._layers[layer][signal])
        n_shares = max(min(torch.get_num_threads(), len(target) * int(spans[:, 3].sum()) // _SHARE), 1)

        def take_share(me: int) -> None:
            turn_spans(flat[first:], strides, target, spans[me::n_shares])

        together(take_share, n_shares)


class Replayer:
    """Reads passages with a network as `record` does, from any state. `record`'s engine names hold here as well.

    network_hash : the model's, as it is now; working it out takes longer than reading a passage.
    """

    def __init__(self, model: CharModel, network_hash: str) -> None:
        self._network = Network(model)
        self._kind = self._network.kind
        self._hash, self._marks = network_hash, _marks(model)
        self._n_floats = snapshots_of(self._network.weights).n_bytes // 4

    def __reduce__(self) -> tuple[Any, ...]:
        """The network goes along as it is, which must be as it was."""
        self._check_weights()
        return type(self), (self._network.model, self._hash)

    @property
    def reads_apart(self) -> bool:
        """Whether what is found of a segment depends on no other. It does where torch multiplies, in its last bits."""
        return self._network.is_exact_abreast

    def __call__(self, segments: Sequence[Segment]) -> Turned:
        self._check_weights()
        if len(segments) == 1 and not self.reads_apart:  # torch sums one alone up in another order
            segments = [*segments, *segments]
        device, dtype = self._network.model.head.weight.device, self._network.model.head.weight.dtype
        lengths = np.array([len(segment.text) for segment in segments])
        ids = np.zeros((len(segments), lengths.max()), np.int64)  # behind an end any symbol
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = self._network.model.vocabulary.encode(
            "".join(segment.text for segment in segments)
        )
        states = np.zeros((len(segments), self._n_floats), np.float32)
        for row, segment in enumerate(segments):
            if segment.state:
                states[row] = np.frombuffer(segment.state, "<f4")
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            parts = iter(torch.split(torch.from_numpy(states).to(device, dtype), self._widths(), dim=1))
            inputs = torch.from_numpy(ids).to(device).t()
            layers = []
            for i in range(len(self._network.weights)):
                state = tuple(next(parts).contiguous() for _ in STATE_SIGNALS[self._kind])
                run = partial(self._network.go_on, i) if i else self._network.begin
                found, _ = run(inputs, state, SIGNALS[self._kind])
                inputs = found["hidden"]
                layers.append({name: found[name].float().cpu() for name in SIGNALS[self._kind]})
        return Turned(layers)

    def _check_weights(self) -> None:
        """States of one network say nothing about another: values would be wrong without a word."""
        model, marks = self._network.model, _marks(self._network.model)
        if marks != self._marks and model.hash != self._hash:
            raise InspectorError(
                f"The weights of {model.name} have changed since this recording kept its states: open it with the "
                "network as it was, as in open_recording(folder, model=load_checkpoint(...)), or record anew."
            )
        self._marks = marks

    def _widths(self) -> list[int]:
        return [layer.hidden_weight.shape[1] for layer in self._network.weights for _ in STATE_SIGNALS[self._kind]]


def _marks(model: CharModel) -> list[tuple[int, int, float]]:
    """What tells, far sooner than a hash, that nobody wrote to the weights: where each lies, torch's own count, and
    their sum, as torch does not count what is written through `.data`.
    """
    return [
        (part.data_ptr(), 0 if part.is_inference() else part._version, _sum(part.detach()))
        for part in model.parameters()
    ]


def _sum(values: Tensor) -> float:
    """By numpy where it can: torch would share the work among its threads, which then spin."""
    return float(values.numpy().sum() if is_plain(values) else values.sum(dtype=torch.float64))


def snapshots_of(weights: Collection[LayerWeights]) -> Snapshots:
    """How often this network's state is kept: a power of two apart, so that some 32 passages are read at a time."""
    n_bytes = sum(4 * part.shape[1] for layer in weights for part in layer.zero_state(1))
    n_units = sum(layer.hidden_weight.shape[1] for layer in weights)
    every = 1
    while every < _LONGEST and (every * _BYTES_PER_CHAR < n_bytes or 2 * every * n_units <= _SEGMENT):
        every *= 2
    return Snapshots(every, n_bytes)


def states_before(found: Sequence[Signals], before: Sequence[tuple[Tensor, ...]], start: int, every: int) -> np.ndarray:
    """Snapshots out of a stretch that was read from character `start` on: uint8 (n_snapshots, bytes).

    found : what the engine gave for each layer, (n, 1, units). before : the states from which it began.
    """
    n = len(found[0]["hidden"])
    steps = torch.tensor(
        range(-start % every, n, every), dtype=torch.long
    )  # of the characters before which a state is kept
    parts = []
    for signals, state in zip(found, before, strict=True):
        for name, first in zip(("hidden", "cell"), state, strict=False):  # only an LSTM has a cell
            kept = signals[name][:, 0][(steps - 1).clamp(min=0)]
            if start % every == 0 and len(steps):
                kept[0] = first[0]
            parts.append(kept.float().cpu())
    return torch.cat(parts, dim=1).contiguous().numpy().view(np.uint8)
