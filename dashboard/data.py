"""Everything the pages look at, fetched once and kept: the program's only caching.

    checkpoints/NAME ──► Network ──┐
    text library     ──► Text    ──┴──► Reading (recorded when first looked at) ──► rankings
    recording folder ─────────────────► Reading (opened, no network needed)

Owns what is kept in memory, under which key, for how long and up to which size. A key is made of names and hashes,
never of arrays. Knows nothing about the page.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard import texts
from dashboard.evidence import FIRST_CONCEPT, Survey, survey_from
from dashboard.findings import Findings, open_findings
from dashboard.jobs import Job, Jobs
from dashboard.overlay.payload import numbered_guesses
from dashboard.shelf import Shelf
from inspector.concepts import Concept, concepts_for, get_concept, language_of, regex_concept
from inspector.recording import SIGNALS, InspectorError, Neuron, Recording, open_recording, recordings_folder
from inspector.search import rank_neurons

if TYPE_CHECKING:
    import pandas as pd

    from inspector.capture import Draft
    from inspector.model import CharModel

_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
MEMORY_CAP = max(1_000_000_000, _MEMORY // 4)  # bytes of recordings kept at once, over all windows
FIRST_NETWORK = "python"
REGEX = "regex:"
SNAPSHOT = "@"  # `python-small@531`: the network python-small as it was after step 531
GUESSES = 5

_FINE_BYTES = 500_000_000  # a recording is kept in float16 up to this, a longer one in int8; the page says which

_ROOT = Path(__file__).parent.parent

Layers = Sequence[tuple[int, tuple[str, ...]]]  # of each layer: number of units, names of signals
Progress = Callable[[str, float], None]  # (what is happening, share done)


# ------------------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True)
class Network:
    """A loaded checkpoint. `layers` holds, for each layer, how many units and which signals it has."""

    name: str
    folder: Path
    model: CharModel
    hash: str

    @property
    def layers(self) -> list[tuple[int, tuple[str, ...]]]:
        """(number of units, names of signals) of each layer."""
        config = self.model.config
        return [(config.n_units, SIGNALS[config.kind])] * config.n_layers

    @property
    def place(self) -> str:
        """The folder as one types it in a command, from the project's root."""
        return str(self.folder.relative_to(_ROOT) if self.folder.is_relative_to(_ROOT) else self.folder)

    def summary(self) -> str:
        """One line: architecture and how well it predicts, as far as that was written down."""
        nats = self.model.training_facts.get("report_nats")
        measured = f", {nats / math.log(2):.2f} bits/char" if isinstance(nats, int | float) else ""
        return f"{self.model.config}{measured}"


def checkpoints_folder() -> Path:
    """Where networks lie; the variable CHARSCOPE_CHECKPOINTS names another place."""
    return Path(os.environ.get("CHARSCOPE_CHECKPOINTS") or _ROOT / "checkpoints")


def network_names() -> list[str]:
    """Every folder that looks like a checkpoint; the one a newcomer should see comes first."""
    folder = checkpoints_folder()
    found = [path.name for path in folder.iterdir() if (path / "config.json").is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda name: (name != FIRST_NETWORK, name))


def network_folder(name: str) -> Path | None:
    """Where the network of that name lies, `NAME@STEP` being a snapshot of its training; None where there is none."""
    if name in (names := network_names()):
        return checkpoints_folder() / name
    parent, _, step = name.rpartition(SNAPSHOT)
    if parent not in names or not (step.isascii() and step.isdigit() and len(step) < 12):
        return None
    folder = checkpoints_folder() / parent / "snapshots" / f"step-{int(step):06d}"
    return folder if (folder / "config.json").is_file() else None


def network(name: str) -> Network:
    """Load a network or a snapshot of one, or the one kept from before if its files are unchanged."""
    folder = network_folder(name)
    if folder is None:
        known = ", ".join(network_names())
        raise InspectorError(
            f"There is no network called “{name}”"
            + (f": there are {known}." if known else ", nor any other: train one with `python -m inspector train`.")
        )
    return _load_network(name, str(folder), _stamp(folder, ("config.json", "vocab.json", "model.safetensors")))


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_network(name: str, folder: str, stamp: tuple[tuple[int, int], ...]) -> Network:
    from inspector.model import load_checkpoint  # torch takes a second to import; a kept recording does without

    model = load_checkpoint(folder)
    model.name = name  # of a snapshot, whose folder is called after its step alone
    return Network(name, Path(folder), model, model.hash)


def _stamp(folder: Path, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Changes whenever one of the files does."""
    stats = [path.stat() if (path := folder / name).exists() else None for name in names]
    return tuple((stat.st_mtime_ns, stat.st_size) if stat else (0, 0) for stat in stats)


def survey(kept: Network) -> Survey | None:
    """What was found in a network; None where no survey was made.

    Raises InspectorError when it is damaged or was made for other weights.
    """
    found = _read_survey(str(kept.folder), _stamp(kept.folder, ("survey/survey.json",)))
    if found is not None and found.network_hash != kept.hash:
        raise InspectorError(
            f"The survey of {kept.name} was made for other weights: make it again with "
            f"`python -m inspector survey --network {kept.place}`."
        )
    return found


@st.cache_resource(max_entries=16, show_spinner=False)
def _read_survey(folder: str, stamp: tuple[tuple[int, int], ...]) -> Survey | None:
    from inspector.survey import load_survey

    said = load_survey(folder)
    return None if said is None else survey_from(said, Path(folder))


def findings(kept: Network) -> Findings | None:
    """What the survey says of every neuron; None where no survey was made.

    Raises InspectorError when it is damaged, was made for other weights, or by a version that gathered less.
    """
    if survey(kept) is None:
        return None
    tables = ("neurons", "statistics", "passages", "explanations")
    names = ["survey.json", "correlations.npz", "explanations.json", *(f"{name}.parquet" for name in tables)]
    return _read_findings(str(kept.folder), kept.place, kept.hash, _stamp(kept.folder / "survey", names))


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_findings(folder: str, place: str, network_hash: str, stamp: tuple[tuple[int, int], ...]) -> Findings:
    return open_findings(Path(folder), place, network_hash)


# ------------------------------------------------------------------------------------------------------- recordings


@st.cache_resource(show_spinner=False)
def recordings() -> Shelf:
    """The recordings in memory, shared by all windows."""
    return Shelf(MEMORY_CAP, lambda recording: int(recording.nbytes))


@st.cache_resource(show_spinner=False)
def _jobs() -> Jobs:
    return Jobs()


@st.cache_resource(show_spinner=False)
def _rankings() -> Shelf:
    return Shelf(64, lambda table: 1)


@st.cache_resource(show_spinner=False)
def _guesses() -> Shelf:
    return Shelf(8, lambda numbered: 1)


# ------------------------------------------------------------------------------------------------------- readings


class Reading:
    """A text as a network reads it: any signal of any neuron, whatever has to be recorded for it.

    >>> reading = read_with(network("python"), texts.load_text("sample:address_book.py"))
    >>> reading.trace(Neuron(1, 42), "cell").shape
    (3611,)

    Hidden and cell states are recorded at once; gates when one of them is first looked at. `recording` is the first.
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

    def guesses(self) -> tuple[list[str], np.ndarray, np.ndarray] | None:
        """What the network expected next, for the overlay (`numbered_guesses`); None where it could not be known."""
        recording = self.recording
        return _guesses().get(self.key, lambda: numbered_guesses(recording, GUESSES)) if recording.has_guesses else None

    def _gates(self, progress: Progress | None) -> Recording:
        if self.network is None:
            raise InspectorError("This recording holds no other signals, and without its network none can be made.")
        kept, rest = self.network, [name for name in self.layers[0][1] if name not in _first_signals(self.network)]
        return recordings().get(
            _gates_key(self), lambda: _record(kept.model, self.contents(), self.title, rest, progress)
        )


def read_with(kept: Network, text: texts.Text, progress: Progress | None = None) -> Reading:
    """Have a network read a text; instant when it did so before.

    Raises InspectorError, one sentence, for a text that is empty or too long.
    """
    signals, key = _first_signals(kept), _key(kept, text)
    recording = recordings().get(key, lambda: _record(kept.model, text.parts(), text.name, signals, progress))
    reading = Reading(text.name, recording, kept.layers, key)
    reading.network = kept
    return reading


def _key(kept: Network, text: texts.Text) -> Hashable:
    return (kept.hash, text.hash, text.name)  # the name says which language the concepts read


def begin_reading(kept: Network, text: texts.Text) -> Job | None:
    """Have a network read a text behind the page; None where it is at hand already."""
    shelf, key, signals = recordings(), _key(kept, text), _first_signals(kept)

    def work(job: Job) -> None:
        def tell(words: str, share: float) -> None:
            job.share = share

        shelf.get(key, lambda: _record(kept.model, text.parts(), text.name, signals, tell, job.is_cancelled))

    return None if key in shelf else _jobs().start(key, f"{kept.name} reads {text.name}", work)


def forget_attempt(kept: Network, text: texts.Text) -> None:
    """Let a text whose reading was cancelled be read again."""
    _jobs().forget(_key(kept, text))


def open_folder(path: str) -> Reading:
    """Open a saved recording; its network is not needed."""
    if texts.is_read_only() and path not in saved_recordings():  # a visitor does not walk through the server's disk
        raise InspectorError("This program is served read-only: only the recordings it lists can be opened.")
    folder = recording_folder(path)
    if not folder.is_dir():
        raise InspectorError(f"There is no folder {folder}: write the path of a recording's folder.")
    recording = _open_recording(str(folder), folder.stat().st_mtime_ns, str(checkpoints_folder()))
    layers = [(layer.n_units, tuple(layer.signals)) for layer in recording.layers]
    return Reading(folder.name, recording, layers, str(folder))


def recording_folder(path: str) -> Path:
    """The folder meant by what was written: a path, or a name among the listed recordings."""
    listed = recordings_folder() / path
    return listed if listed.is_dir() else Path(path).expanduser()


def saved_recordings() -> list[str]:
    """Names of the folders there."""
    folder = recordings_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


@st.cache_resource(max_entries=8, show_spinner=False)
def _open_recording(folder: str, stamp: int, networks: str) -> Recording:
    recording = open_recording(Path(folder))
    return open_recording(Path(folder), _network_of(recording).model) if recording.keeps_snapshots else recording


def _network_of(recording: Recording) -> Network:
    """The network that made a recording; the one of the same name is looked at first.

    Raises InspectorError where it is not among the checkpoints.
    """
    for name in sorted(network_names(), key=lambda name: name != recording.network):
        if (kept := network(name)).hash == recording.network_hash:
            return kept
    raise InspectorError(
        f"This recording keeps snapshots, from which its network computes the values: put the checkpoint of "
        f"{recording.network or 'its network'} ({(recording.network_hash or 'hash unknown')[:12]}) into "
        f"{checkpoints_folder()} and open it again."
    )


def _first_signals(kept: Network) -> list[str]:
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


# ------------------------------------------------------------------------------------------------------- searching


def concept_called(name: str) -> Concept:
    """The concept of that name; ``regex:PATTERN`` is the concept of being inside a match.

    Raises InspectorError for a name nobody knows and a pattern that does not compile.
    """
    return regex_concept(name.removeprefix(REGEX)) if name.startswith(REGEX) else get_concept(name)


def concept_title(name: str) -> str:
    """What a concept is called in a sentence; the bare name where this program does not know it."""
    try:
        return concept_called(name).title
    except InspectorError:
        return name


def concepts_of(reading: Reading) -> list[str]:
    """Names of the concepts that can be asked of a text, what a newcomer should see first coming first."""
    names = [concept.name for concept in concepts_for(language_of(reading.recording.documents[0].name))]
    return sorted(names, key=lambda name: name != FIRST_CONCEPT)


def labels(reading: Reading, concept: Concept) -> tuple[np.ndarray, np.ndarray]:
    """(label, valid) of a concept over the whole text, document by document."""
    parts = [(reading.text[doc.start : doc.stop], language_of(doc.name)) for doc in reading.recording.documents]
    label = [concept.label(part, language=language) for part, language in parts]
    valid = [concept.valid(part, language=language) for part, language in parts]
    return np.concatenate(label), np.concatenate(valid)


def ranking(reading: Reading, concept_name: str, progress: Progress | None = None) -> pd.DataFrame:
    """All neurons of a reading, ranked for a concept; an untrained twin beside them where it fits in memory."""

    def rank() -> pd.DataFrame:
        label, valid = labels(reading, concept_called(concept_name))
        twin = _twin(reading, progress)

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress("Ranking neurons", done / max(total, 1))

        signals = list(dict.fromkeys(name for layer in reading.recording.layers for name in layer.signals))
        searched = [name for name in signals if name in ("hidden", "cell")] or signals
        return rank_neurons(reading.recording, label, signals=searched, valid=valid, twin=twin, progress=tell)

    return _rankings().get((reading.key, concept_name), rank)


def _twin(reading: Reading, progress: Progress | None) -> Recording | None:
    if reading.network is None or 2 * reading.recording.nbytes > MEMORY_CAP:
        return None
    from inspector.model import untrained_twin

    kept = reading.network

    def make() -> Recording:
        return _record(untrained_twin(kept.model), reading.contents(), reading.title, _first_signals(kept), progress)

    return recordings().get((reading.key, "twin"), make)
