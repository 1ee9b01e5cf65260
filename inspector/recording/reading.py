"""The recording its readers see. Where the values lie, in memory or in a folder, is the store's secret."""

from __future__ import annotations

import html
import operator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.recording.folder import read_folder
from inspector.recording.header import Header, describe
from inspector.recording.replaying import Replay, Replayed
from inspector.recording.sink import write_folder
from inspector.recording.store import Store, StretchStore
from inspector.recording.stretch import GUESS_IDS, GUESS_PROBABILITIES, LOSS, STRETCH, TOP_GUESSES, Key
from inspector.recording.words import Document, Guesses, InspectorError, Layer, Neuron, Place, Progress, quoted

Floats = npt.NDArray[np.float32]


class Recording:
    """All traces of one text, or of several documents, as the network computed them.

    >>> recording = open_recording("runs/json-decoder")
    >>> recording.trace(Neuron(1, 42), "cell")              # float32 (n_chars,)
    >>> recording.window(1, "cell", start=200, stop=600)    # float32 (n_units, 400)

    Made by `RecordingWriter` or `open_recording`. It never changes, may be read from several threads, needs no closing,
    and every array it gives away is the caller's own. The module docstring has the contracts.

    text : exactly what was read; `n_chars` code points.
    documents, layers : tuples of `Document` and `Layer`.
    dtype : how values are stored, `float32`, `float16` or `int8`; they are handed out as float32 always.
    keeps_snapshots : whether states are stored in place of values, which are computed again when they are asked for.
        Windows cost a fraction of a second then, a trace a pass over the whole text (which is kept for next time).
    network, network_hash, engine : which network computed them, and by which path of `capture`; None where not known.
    symbols : the network's vocabulary, or None.
    unknown : int64 positions of characters the network does not know; it read the unknown symbol there.
    n_planned : length of the text the writer set out to record. More than `n_chars` where it was cut off.
    """

    def __init__(self, header: Header, store: StretchStore, *, n_planned: int, replay: Replay | None = None) -> None:
        self._header, self._stretches, self._replay = header, store, replay
        self._store: Store = Replayed(header, header.snapshots, store, replay) if header.snapshots else store
        self.keeps_snapshots: bool = header.snapshots is not None
        self._layout = header.layout
        self.n_planned = n_planned
        self.text: str = header.text
        self.n_chars: int = len(header.text)
        self.documents: tuple[Document, ...] = header.documents
        self.layers: tuple[Layer, ...] = header.layers
        self.dtype: str = header.dtype
        self.network: str | None = header.network
        self.network_hash: str | None = header.network_hash
        self.symbols: tuple[str, ...] | None = header.symbols
        self.engine: str = header.engine

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process is sent, or a copy made of: what is stored, and the network that snapshots need."""
        made = partial(type(self), n_planned=self.n_planned, replay=self._replay)
        return made, (self._header, self._stretches)

    def __repr__(self) -> str:
        network = self.network or "an unnamed network"
        return f"<Recording of {network} reading {self.n_chars:,} characters: {describe(self.layers)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: who read what, how much of it, and how it begins; escaped."""
        named = ", ".join(document.name for document in self.documents[:3]) + (", …" if len(self.documents) > 3 else "")
        facts = {
            "network": self.network or "unnamed",
            "text": f"{named}: {self.n_chars:,} characters",
            "layers": describe(self.layers),
            "kept as": f"{self.dtype}, {self.nbytes / 1e6:,.1f} MB",
            "begins": repr(self.text[:60]) + (" …" if self.n_chars > 60 else ""),
        }
        if not self.is_complete:
            facts["cut off"] = f"{self.n_planned:,} characters were to be read"
        rows = (f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{html.escape(said)}</td></tr>"
                for name, said in facts.items())  # fmt: skip
        return f"<table>{''.join(rows)}</table>"

    @property
    def unknown(self) -> npt.NDArray[np.int64]:
        """Positions of characters the network does not know, ascending."""
        return self._header.unknown.copy()

    @property
    def is_complete(self) -> bool:
        """Whether the whole text was recorded; False where the writer was cut off."""
        return self.n_chars == self.n_planned

    @property
    def has_guesses(self) -> bool:
        return self._layout.n_guesses > 0

    @property
    def nbytes(self) -> int:
        """Bytes the values take, in memory or on disk."""
        return self._store.nbytes

    @property
    def folder(self) -> Path | None:
        """Where it lies on disk; None for a recording in memory."""
        return self._store.folder

    @property
    def loss(self) -> Floats:
        """Nats paid for `text[t]` given the text before it, float32 (n_chars,).

        nan where nothing was predicted: at each document's start, and everywhere for a network without a vocabulary.
        Each access reads it anew, so keep it in a variable.
        """
        return self._row(LOSS, 0)

    def trace(
        self, neuron: Neuron | tuple[int, int] | str, signal: str | None = None, progress: Progress | None = None
    ) -> Floats:
        """One neuron's signal over the whole text, float32 (n_chars,); value `t` is the state after reading `text[t]`.

        neuron : `Neuron(1, 42)` or `"1:42"`. signal : `hidden` (or the first one stored) when left out.
        progress : called as progress(done, total), in characters, while the trace is read or computed. Whatever it
            raises ends that and is raised here.
        A neuron or signal that is not there is an `InspectorError` naming what is.
        """
        (layer, unit), signal = self.check_neuron(neuron, signal)
        return self._row((layer, signal), unit, progress)

    def error_bound(self, signal: str) -> float:
        """How far a stored value of this signal may lie from what the network computed; 0 for float32.

        It holds for every neuron and character of this recording, in whichever layer. It is 0 for snapshots too: what
        is computed from them is as close as contract 5 says. A signal that no layer keeps is an `InspectorError`.
        """
        keys = [(index, signal) for index, layer in enumerate(self.layers) if signal in layer.signals]
        if not keys:
            self._header.check_signal(0, signal)
        return max(self._store.error_bound(key) for key in keys)

    def window(self, layer: int, signal: str, start: int, stop: int) -> Floats:
        """All neurons of a layer over `text[start:stop]`, float32 (n_units, stop - start).

        An empty window is fine, one that leaves the text an `InspectorError`. To go through a long recording on disk,
        take steps of 4096 from 0: that reads every byte once.
        """
        layer = self._header.check_layer(_whole_number("layer", layer))
        signal = self._header.check_signal(layer, signal)
        start, stop = self._check_range(start, stop)
        return self._values((layer, signal), 0, self.layers[layer].n_units, start, stop)

    def guesses(self, start: int, stop: int, k: int = 5) -> Guesses:
        """The `k` likeliest next characters after each of `text[start:stop]`, likeliest first.

        The top 10 are kept; a larger `k` is an `InspectorError`, and so is any `k` where `has_guesses` is False.
        A network with fewer than `k` symbols gives as many columns as it has symbols.
        """
        if not self.has_guesses or self.symbols is None:
            raise InspectorError(
                "This recording has no guesses: its network came without a vocabulary. Record with a character model."
            )
        if not 1 <= (k := _whole_number("k", k)) <= TOP_GUESSES:
            raise InspectorError(f"{k} guesses were asked for: 1 to {TOP_GUESSES} are kept. Choose a k in this range.")
        start, stop = self._check_range(start, stop)
        k = min(k, self._layout.n_guesses)
        ids = np.empty((k, stop - start), np.int32)
        self._store.fill(ids, GUESS_IDS, 0, start)
        probabilities = self._values(GUESS_PROBABILITIES, 0, k, start, stop)
        symbols = np.array(self.symbols, dtype=object)
        return Guesses(symbols[ids.T], np.ascontiguousarray(probabilities.T))

    def check_neuron(self, neuron: Neuron | tuple[int, int] | str, signal: str | None = None) -> tuple[Neuron, str]:
        """The neuron and signal as they exist here, `signal=None` becoming the default one; else an `InspectorError`.

        >>> recording.check_neuron("2:17")
        InspectorError: Neuron 2:17 does not exist: this recording has 2 layers (0-1) of 512 units (0-511).
        """
        checked = self._header.check_neuron(neuron)
        return checked, self._header.check_signal(checked.layer, signal)

    def document_at(self, position: int) -> Document:
        """The document a character belongs to."""
        return self.place(position).document

    def place(self, position: int) -> Place:
        """Document, line and column of a character, lines and columns counted from 1 as editors do."""
        position = _whole_number("position", position)
        self._check_range(position, position + 1)
        return self._header.place(position)

    def save(self, path: str | Path) -> None:
        """Write everything to a folder that `open_recording` opens anywhere, snapshots beside their network alone.

        A recording that lies there is replaced once the new one is whole. Anything else is left alone, and so is
        everything when the disk is full: an `InspectorError` says which.
        """
        if self.folder is not None and Path(path).resolve() == self.folder.resolve():
            return
        count = -(-self.n_chars // STRETCH)
        write_folder(Path(path), self._header, self.n_planned, map(self._store.stretch, range(count)))

    def verify(self, progress: Progress | None = None) -> None:
        """Read everything once; an `InspectorError` names the first stretch that is not as it was written.

        progress : called as progress(done, total), in characters, after every stretch.
        """
        self._store.verify(progress)

    def _check_range(self, start: int, stop: int) -> tuple[int, int]:
        start, stop = _whole_number("start", start), _whole_number("stop", stop)
        if not 0 <= start <= stop <= self.n_chars:
            raise InspectorError(
                f"Characters {start} to {stop} are not all in this recording: it has {self.n_chars} characters, "
                f"so choose 0 <= start <= stop <= {self.n_chars}."
            )
        return start, stop

    def _row(self, key: Key, row: int, progress: Progress | None = None) -> Floats:
        return self._values(key, row, 1, 0, self.n_chars, progress).reshape(-1)

    def _values(
        self, key: Key, first: int, n_rows: int, start: int, stop: int, progress: Progress | None = None
    ) -> Floats:
        values = np.empty((n_rows, stop - start), np.float32)
        self._store.fill(values, key, first, start, progress)
        return values


def open_recording(path: str | Path, model: Any = None) -> Recording:
    """Open a folder that `Recording.save` or a `RecordingWriter` wrote; values are read when they are asked for.

    model : the network it should come from (anything with a `hash` and a `name`), or None not to ask.
        Another network's recording is an `InspectorError`, and so is one that does not know its network.
        From snapshots it computes the values anew; without it only text, loss and guesses can be read.

    A recording whose writer was cut off opens at the length its manifest names (`is_complete` is False), or not at all.
    A damaged one is an `InspectorError`: here when a file is missing or has another length, on reading otherwise.
    """
    header, store, n_planned = read_folder(Path(path).absolute())  # wherever the reader goes meanwhile
    model_hash: Any = getattr(model, "hash", None)  # asked once: it takes a while
    if model is not None and model_hash is None:
        raise InspectorError(f"model is {quoted(model)}: give the network itself, as load_checkpoint(FOLDER) opens it.")
    if model is not None and header.network_hash != model_hash:
        made_by = "does not say which network made it"
        if header.network_hash is not None:
            made_by = f"was made by network {_network(header.network, header.network_hash)}"
        raise InspectorError(
            f"Recording {path} {made_by}, so it cannot be read beside {_network(model.name, model_hash)}. "
            "Open it without a network, or record the text again with this one."
        )
    # A network brings torch along; nobody else needs it, so this room names capture here alone, and by its name alone.
    replay = None
    if header.snapshots and model is not None:
        replay = import_module("inspector.capture.replay").Replayer(model, header.network_hash)
    return Recording(header, store, n_planned=n_planned, replay=replay)


def _whole_number(name: str, given: object) -> int:
    try:
        return operator.index(given)  # type: ignore[arg-type]  # what is no number is what this is about
    except TypeError:
        raise InspectorError(f"{name} is {quoted(given)}; it must be a whole number.") from None


def _network(name: str | None, network_hash: str) -> str:
    return f"{name or 'without a name'} ({network_hash[:12]})"
