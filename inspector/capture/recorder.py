"""Reading texts with a network and keeping what its neurons did, stretch by stretch, so that memory stays bounded.

A text is read one character after the other, as the network's state asks. Several short ones are read side by side,
each from the zero state (abreast.py).
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from inspector.capture.abreast import guesses, n_steps_at_once, read_abreast
from inspector.capture.engines import engine_for
from inspector.capture.lanes import Lanes
from inspector.capture.network import Network
from inspector.capture.replay import STATE_SIGNALS, Replayer, snapshots_of, states_before
from inspector.capture.standstill import from_bytes, to_bytes
from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS, Document, InspectorError, Layer, Recording, RecordingWriter, Snapshots

if TYPE_CHECKING:
    from inspector.model import CharModel

_GROUP_BYTES = 2**28  # of values in float32 that texts which are read side by side may come to
_GROUP_SIZE = 32  # such texts; more of them are hardly faster
_SECONDS_BETWEEN_REPORTS = 0.2

Progress = Callable[[int, int], object]


class RecordingCancelled(InspectorError):
    """`should_stop` said so. What a recording on disk had stored by then stays readable, at its shorter length."""


def record(
    model: CharModel,
    text: str | Sequence[str],
    signals: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    dtype: Literal["float32", "float16", "int8"] = "float32",
    store: Literal["values", "snapshots"] = "values",
    out: str | Path | None = None,
    names: Sequence[str] | None = None,
    should_stop: Callable[[], bool] | None = None,
    resume: bool = False,
) -> Recording:
    """Read `text` with `model` and keep what every neuron did at every character.

    >>> recording = record(model, "def f(x):\\n    return x\\n")
    >>> recording.trace(Neuron(1, 42), "cell")      # the state after each character

    text : one text, or a list of texts. Each starts from the zero state and becomes one of `recording.documents`;
        one of length zero becomes a document of length zero, so that documents and texts pair up. Short neighbours in
        a list are read side by side, several times as fast as one by one. A lone text cannot be hurried: each step
        needs the state that the one before it left.
    signals : names of the signals to keep, None for all. All six of a 2x512 LSTM are 24 kB per character in float32,
        `("hidden", "cell")` in float16 are 4 kB.
    progress : called as progress(done, total), in characters, at the start, the end and a few times a second.
    dtype : of the stored values. float16 is half the size, with an error of up to 0.05 % of the value; int8 a quarter,
        with one of up to 0.4 % of the neuron's largest value nearby. `recording.error_bound(signal)` states it.
    store : "snapshots" keeps the network's exact state every few characters in place of all values: any window of any
        signal is computed from there when it is asked for, the same for every reader and as exact as contract 5 says.
        A 2x512 LSTM takes 0.35 kB per character so; a trace costs a pass over the text. signals and dtype stay as they
        are then, and the recording is opened beside its model.
    out : folder for the recording; it is written as the text is read, so memory does not grow with the text.
        None keeps the recording in memory.
    names : of the documents, as many as texts. Where not given a list's are "0", "1", ..., a lone text's is "text".
    resume : go on with the recording in `out` where it was cut off; text, network, signals and dtype must be those it
        was begun with, else InspectorError. The result is that of an uninterrupted run, bit for bit on the same
        machine. Where nothing was begun, it is begun; what is whole already is opened.
    should_stop : asked after every stretch (a fraction of a second); True ends in RecordingCancelled.

    Characters outside the vocabulary are read as its unknown symbol and listed in `recording.unknown`; the loss at
    such a character is what the unknown symbol cost. Dropout is off, whatever mode the model is in, and the model is
    left exactly as it was. Raises InspectorError when there is no text or no such signal.
    """
    texts, documents = _check_texts(text, names)
    network = Network(model)
    weights, kind = network.weights, network.kind
    kept = _check_signals(signals, kind)
    snapshots = _check_store(store, signals, dtype, weights)
    whole = "".join(texts)
    widths = [layer.hidden_weight.shape[1] for layer in weights]
    n_values = sum(width * len(kept) for width in widths)
    group_chars = 0 if snapshots else max(_GROUP_BYTES // (4 * n_values), 1)  # states are kept one text at a time
    groups = list(_groups(documents, group_chars))
    network_hash = model.hash
    writer = RecordingWriter(
        None if out is None else Path(out),
        text=whole,
        documents=documents,
        layers=[Layer(f"rnn.{i}", kind, width, kept) for i, width in enumerate(widths)],
        dtype=dtype,
        network=model.name,
        network_hash=network_hash,
        symbols=model.vocabulary.symbols,
        unknown=model.vocabulary.unknown(whole),
        engine=engine_for(weights).__name__,
        resume=resume,
        snapshots=snapshots,
        replay=Replayer(model, network_hash) if snapshots else None,
    )
    report = _Reporter(progress, should_stop, len(whole), writer.n_written)
    with writer:
        for group in groups:
            start, stop = group[0].start, group[-1].stop
            if writer.n_written >= stop:
                continue  # an earlier run, which was cut off, got so far
            if len(group) == 1:
                done = writer.n_written - start
                keep = _Kept(kept, snapshots, start + done)
                for part in _read(network, whole[start + done : stop], keep, writer.state if done else b""):
                    writer.append(*part)
                    report(len(part.loss))
                continue
            contents = [whole[document.start : document.stop] for document in group]
            for n_chars, pieces in read_abreast(network, contents, start, kept, dtype):
                for piece in pieces:  # a resumed recording begins again where a group does, from zero
                    state = b"" if piece.stop == stop else None
                    writer.append(*piece[2:], state=state, is_given=True)
                report(n_chars)
        return writer.finish()


class _Kept(NamedTuple):
    """What a recording keeps of a text that begins at `start`."""

    signals: tuple[str, ...]
    snapshots: Snapshots | None
    start: int


def _groups(documents: Sequence[Document], n_chars: int) -> Iterator[list[Document]]:
    """Neighbours that are read side by side, up to `n_chars` together. Which they are depends on nothing else, so that
    a recording which is cut off and resumed is made of the same numbers.
    """
    group: list[Document] = []
    for document in documents:
        if group and (document.stop - group[0].start > n_chars or len(group) == _GROUP_SIZE):
            yield group
            group = []
        group.append(document)
    yield group


class _Part(NamedTuple):
    """A part of a lone text, as RecordingWriter takes it."""

    values: list[dict[str, np.ndarray]]  # by layer and signal: float32 (n_units, n)
    loss: np.ndarray  # float32 (n,), nats
    guess_ids: np.ndarray  # int64 (n, N_GUESSES)
    guess_probabilities: np.ndarray  # float32 (n, N_GUESSES)
    state: bytes | None  # from which the next part can be read
    states: np.ndarray | None  # uint8 (n_snapshots, bytes), where these are kept


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    layers = zip(*(part.values for part in parts), strict=True)
    return _Part(
        [{name: np.concatenate([part[name] for part in layer], axis=1) for name in layer[0]} for layer in layers],
        np.concatenate([part.loss for part in parts]),
        np.concatenate([part.guess_ids for part in parts]),
        np.concatenate([part.guess_probabilities for part in parts]),
        None,
        None,
    )


def _read(network: Network, text: str, keep: _Kept, state: bytes) -> Iterator[_Part]:
    """Read a lone text, or the rest of one from `state` (b"" is its start).

    Torch's modes are set anew for each part, never across a yield.
    """
    ids = torch.from_numpy(network.model.vocabulary.encode(text))[None]
    lanes = Lanes(network, 1)
    if state:
        stored = iter(from_bytes(state, [*chain(*lanes.states), lanes.expected]))
        lanes.states, lanes.expected = [tuple(next(stored) for _ in layer) for layer in lanes.states], next(stored)
    wanted, start = STATE_SIGNALS[network.model.config.kind] if keep.snapshots else keep.signals, 0
    for part in torch.split(ids, n_steps_at_once(network.weights, 1), dim=1):
        before, found = list(lanes.states), lanes.read(part, wanted)
        with torch.inference_mode():
            loss = found.loss[:, 0].cpu().numpy()
            expected = guesses(found.log_probabilities[:, 0])
            after = to_bytes([*chain(*lanes.states), lanes.expected])
            values, kept_states = _as_kept(found.signals, before, keep, start)
        yield _Part(values, loss, *expected, after, kept_states)
        start += part.shape[1]


def _as_kept(
    found: list[Signals], before: list[State], keep: _Kept, start: int
) -> tuple[list[dict[str, np.ndarray]], np.ndarray | None]:
    """The values that are kept, (units, n) by layer and signal, or else none but the states."""
    if keep.snapshots:
        return [], states_before(found, before, keep.start + start, keep.snapshots.every)
    return [{name: _by_unit(signals[name]) for name in keep.signals} for signals in found], None


def _by_unit(values: Tensor) -> np.ndarray:
    """(n, 1, units) as float32 (units, n)."""
    array: np.ndarray = values[:, 0].t().float().contiguous().cpu().numpy()
    return array


class _Reporter:
    """Tells how far the recording is, not too often, and asks whether it should go on."""

    def __init__(
        self, progress: Progress | None, should_stop: Callable[[], bool] | None, total: int, done: int
    ) -> None:
        self._progress, self._should_stop, self._total = progress, should_stop, total
        self._done, self._last = done, -math.inf
        self(0)

    def __call__(self, n_chars: int) -> None:
        self._done += n_chars
        now = time.monotonic()
        if self._progress and (self._done == self._total or now - self._last >= _SECONDS_BETWEEN_REPORTS):
            self._last = now
            self._progress(self._done, self._total)
        if self._should_stop and self._done < self._total and self._should_stop():
            raise RecordingCancelled(f"The recording was stopped after {self._done:,} of {self._total:,} characters.")


def _check_texts(text: str | Sequence[str], names: Sequence[str] | None) -> tuple[list[str], list[Document]]:
    texts: list[str] = list(text) if isinstance(text, list | tuple) else [text]  # type: ignore[list-item]  # see below
    for content in texts:
        if not isinstance(content, str):
            raise InspectorError(
                f"text holds a {type(content).__name__}; it must be a str or a list of str: decode bytes and read "
                "files first."
            )
    if not any(texts):
        raise InspectorError("There is nothing to record: the text is empty. One character is enough.")
    if names is None:
        names = ["text"] if isinstance(text, str) else [str(i) for i in range(len(texts))]
    if isinstance(names, str) or len(names) != len(texts):
        raise InspectorError(f"names must be a list with one name per text: {len(texts)} here, got {names!r}.")
    stops = np.cumsum([len(content) for content in texts]).tolist()
    return texts, [
        Document(str(name), stop - len(content), stop) for name, content, stop in zip(names, texts, stops, strict=True)
    ]


def _check_store(
    store: str, signals: Sequence[str] | None, dtype: str, weights: list[LayerWeights]
) -> Snapshots | None:
    if store not in ("values", "snapshots"):
        raise InspectorError(f"store is {store!r}; choose 'values' or 'snapshots'.")
    if store == "snapshots" and (signals is not None or dtype != "float32"):
        raise InspectorError(
            "Snapshots are exact and give every signal: leave signals and dtype out, or choose store='values'."
        )
    return snapshots_of(weights) if store == "snapshots" else None


def _check_signals(signals: Sequence[str] | None, kind: str) -> tuple[str, ...]:
    known = SIGNALS[kind]
    asked = known if signals is None else (signals,) if isinstance(signals, str) else tuple(signals)
    for name in asked:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}."
            raise InspectorError(f"{kind.upper()} has no signal {name!r}; {hint}")
    if not asked:
        raise InspectorError(f"signals names no signal; choose from {', '.join(known)}, or None for all of them.")
    return tuple(name for name in known if name in asked)
