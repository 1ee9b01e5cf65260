"""Texts as networks read them: recorded when first looked at and kept up to a size, or opened from a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard import texts
from dashboard.data.networks import Layers, Network, checkpoints_folder, loaded, network_names
from dashboard.jobs import Job, Jobs
from dashboard.overlay.payload import numbered_guesses
from dashboard.shelf import Shelf
from inspector.recording import (
    SIGNALS,
    InspectorError,
    Neuron,
    Recording,
    holds_recording,
    open_recording,
    recordings_folder,
)

if TYPE_CHECKING:
    from inspector.capture import Draft
    from inspector.model import CharModel

_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
MEMORY_CAP = max(1_000_000_000, _MEMORY // 4)  # bytes of recordings kept at once, over all windows
GUESSES = 5

_FINE_BYTES = 500_000_000  # a recording is kept in float16 up to this, a longer one in int8; the page says which

Progress = Callable[[str, float], None]  # (what is happening, share done)


@st.cache_resource(show_spinner=False)
def recordings() -> Shelf:
    """The recordings in memory, shared by all windows."""
    return Shelf(MEMORY_CAP, lambda recording: int(recording.nbytes))


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """What is being done behind the pages of all windows."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def _guesses() -> Shelf:
    return Shelf(8, lambda numbered: 1)


class Reading:
    """A text as a network reads it: any signal of any neuron, whatever has to be recorded for it.

    >>> reading = read_with(network("python"), texts.load_text("sample:address_book.py"))
    >>> reading.trace(Neuron(1, 42), "cell").shape
    (3611,)

    Hidden and cell states are recorded at once; gates when one of them is first looked at, or behind the page by
    `begin_signal`. `recording` is the first.
    """

    def __init__(self, title: str, recording: Recording, layers: Layers, key: Hashable) -> None:
        self.title, self.recording, self.layers, self.key = title, recording, list(layers), key
        self.network: Network | None = None

    @property
    def text(self) -> str:
        """The text, exactly."""
        return self.recording.text

    def contents(self) -> list[tuple[str, str]]:
        """(name, content) of each document."""
        return [(one.name, self.text[one.start : one.stop]) for one in self.recording.documents]

    def is_recorded(self, signal: str) -> bool:
        """Whether a signal can be had without running the network again."""
        return any(signal in layer.signals for layer in self.recording.layers) or _gates_key(self) in recordings()

    def trace(self, neuron: Neuron, signal: str, progress: Progress | None = None) -> np.ndarray:
        """One neuron's signal over the text: float32 of shape (n_chars,)."""
        if signal in self.recording.layers[neuron.layer].signals:
            return self.recording.trace(neuron, signal)
        return self._gates(progress).trace(neuron, signal)

    def parts(self) -> list[Recording]:
        """The recordings that hold its signals, as far as they have been made."""
        gates = recordings().peek(_gates_key(self))
        return [self.recording] if gates is None else [self.recording, gates]

    @property
    def draft(self) -> Callable[[], Draft] | None:
        """Makes what reads a text while it is written; None where the network is not at hand."""
        if self.network is None:
            return None
        from inspector.capture import Draft

        return partial(Draft, self.network.model)

    def twin(self, progress: Progress | None = None) -> Recording | None:
        """The same text read by an untrained network of the same shape; None where that cannot be or does not fit."""
        if self.network is None or 2 * self.recording.nbytes > MEMORY_CAP:
            return None
        from inspector.model import untrained_twin

        kept = self.network

        def make() -> Recording:
            return _record(untrained_twin(kept.model), self.contents(), self.title, first_signals(kept), progress)

        return recordings().get((self.key, "twin"), make)

    def guesses(self) -> tuple[list[str], np.ndarray, np.ndarray] | None:
        """What the network expected next, for the overlay (`numbered_guesses`); None where it could not be known."""
        recording = self.recording
        return _guesses().get(self.key, lambda: numbered_guesses(recording, GUESSES)) if recording.has_guesses else None

    def _gates(self, progress: Progress | None, should_stop: Callable[[], bool] | None = None) -> Recording:
        if self.network is None:
            raise InspectorError("This recording holds no other signals, and without its network none can be made.")
        kept, rest = self.network, [name for name in self.layers[0][1] if name not in first_signals(self.network)]
        n_bytes = self.recording.n_chars * _bytes_per_char(kept.model, len(rest), 1)
        if self.recording.nbytes + n_bytes > MEMORY_CAP:  # they would push out what is shown, which would be read again
            raise InspectorError(
                f"The gates of {self.title} take {n_bytes / 1e6:,.0f} MB more, which this machine has no room for: "
                "read a shorter part of it."
            )
        return recordings().get(
            _gates_key(self), lambda: _record(kept.model, self.contents(), self.title, rest, progress, should_stop)
        )


def read_with(kept: Network, text: texts.Text, progress: Progress | None = None) -> Reading:
    """Have a network read a text; instant when it did so before.

    Raises InspectorError, one sentence, for a text that is empty or too long.
    """
    signals, key = first_signals(kept), _key(kept, text)
    recording = recordings().get(key, lambda: _record(kept.model, text.parts(), text.name, signals, progress))
    reading = Reading(text.name, recording, kept.layers, key)
    reading.network = kept
    return reading


def _key(kept: Network, text: texts.Text) -> Hashable:
    return (kept.hash, text.hash, text.name)  # the name says which language the concepts read


def begin_reading(kept: Network, text: texts.Text) -> Job | None:
    """Have a network read a text behind the page; None where it is at hand already."""
    shelf, key, signals = recordings(), _key(kept, text), first_signals(kept)

    def work(job: Job) -> None:
        def tell(words: str, share: float) -> None:
            job.share = share

        shelf.get(key, lambda: _record(kept.model, text.parts(), text.name, signals, tell, job.is_cancelled))

    return None if key in shelf else jobs().start(key, f"{kept.name} reads {text.name}", work)


def forget_attempt(kept: Network, text: texts.Text) -> None:
    """Let a text whose reading was cancelled be read again."""
    jobs().forget(_key(kept, text))


def begin_signal(reading: Reading, signal: str, then: Callable[[], object] | None = None) -> Job | None:
    """Have the network read the text once more for a signal, behind the page; None where it is at hand already.

    The other signals that were not recorded at once come with it. then : called when they are there.
    """

    def work(job: Job) -> None:
        def tell(words: str, share: float) -> None:
            job.share = share

        reading._gates(tell, job.is_cancelled)

    if reading.is_recorded(signal):
        return None
    job = jobs().start(_gates_key(reading), f"{reading.title} is read once more, for the gates", work)
    if then is not None:
        job.then(then)
    return job


def forget_signal(reading: Reading) -> None:
    """Let signals whose reading was cancelled be read again."""
    jobs().forget(_gates_key(reading))


def open_folder(path: str) -> Reading:
    """Open a saved recording; its network is not needed."""
    if texts.is_read_only() and path not in saved_recordings():  # a visitor does not walk through the server's disk
        raise InspectorError("This program is served read-only: only the recordings it lists can be opened.")
    folder = texts.folder_at(recording_folder(path), "the path of a recording's folder")
    recording = _open_recording(str(folder), folder.stat().st_mtime_ns)
    if recording.keeps_snapshots:
        recording = _open_snapshots(str(folder), folder.stat().st_mtime_ns, str(checkpoints_folder()))
    layers = [(layer.n_units, tuple(layer.signals)) for layer in recording.layers]
    return Reading(folder.name, recording, layers, (str(folder), folder.stat().st_mtime_ns))


def recording_folder(path: str) -> Path:
    """The folder meant by what was written: a path, or a name among the listed recordings."""
    return recordings_folder() / path if path in saved_recordings() else Path(path)


def saved_recordings() -> list[str]:
    """Names of the recordings in the folder where they are kept."""
    folder = recordings_folder()
    return sorted(path.name for path in folder.iterdir() if holds_recording(path)) if folder.is_dir() else []


@st.cache_resource(max_entries=8, show_spinner=False)
def _open_recording(folder: str, stamp: int) -> Recording:
    return open_recording(Path(folder))


# Few: each keeps a few hundred megabytes of the values that it has computed.
@st.cache_resource(max_entries=2, show_spinner=False)
def _open_snapshots(folder: str, stamp: int, networks: str) -> Recording:
    return open_recording(Path(folder), _network_of(open_recording(Path(folder))).model)


def _network_of(recording: Recording) -> Network:
    """The network that made a recording; the one of the same name is looked at first.

    Raises InspectorError where it is not among the checkpoints.
    """
    for kept in loaded(sorted(network_names(), key=lambda name: name != recording.network)):
        if kept.hash == recording.network_hash:
            return kept
    raise InspectorError(
        f"This recording keeps snapshots, from which its network computes the values: put the checkpoint of "
        f"{recording.network or 'its network'} ({(recording.network_hash or 'hash unknown')[:12]}) into "
        f"{checkpoints_folder()} and open it again."
    )


def first_signals(kept: Network) -> list[str]:
    """The signals that are recorded at once."""
    return [name for name in SIGNALS[kept.model.config.kind] if name in ("hidden", "cell")]


def _gates_key(reading: Reading) -> Hashable:
    return (reading.key, "gates")


def char_limit(model: CharModel, n_signals: int) -> int:
    """How many characters may be recorded at once, so that one recording fits in the memory cap."""
    return min(texts.MAX_CHARS, MEMORY_CAP // _bytes_per_char(model, n_signals, 1))


def _bytes_per_char(model: CharModel, n_signals: int, n_bytes: int) -> int:
    return n_bytes * n_signals * model.config.n_layers * model.config.n_units + 64  # loss and guesses


def _record(
    model: CharModel,
    parts: Sequence[tuple[str, str]],
    title: str,
    signals: Sequence[str],
    progress: Progress | None,
    should_stop: Callable[[], bool] | None = None,
) -> Recording:
    from inspector.capture import record

    text = "".join(content for _, content in parts)
    texts.check_length(text, title, char_limit(model, len(signals)))
    is_long = len(text) * _bytes_per_char(model, len(signals), 2) > min(_FINE_BYTES, MEMORY_CAP)
    words = f"{model.name} reads {title}"

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(words, done / max(total, 1))

    return record(
        model, [content for _, content in parts], signals=tuple(signals), progress=tell,
        dtype="int8" if is_long else "float16", names=[name for name, _ in parts], should_stop=should_stop,
    )  # fmt: skip
