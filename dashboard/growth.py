"""What became of a network's neurons while it was trained: curve, snapshots, their scores, a passage as each saw it.

    NAME/log.csv, NAME/snapshots/ ──► curve, steps
    NAME/emergence.parquet, or one made behind the page and kept in the reader's data folder ──► scores

Like `data/` it keeps what was costly, under names and hashes. Knows nothing about the page.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, texts
from dashboard.evidence import telling_stretch
from dashboard.jobs import Job, Jobs
from dashboard.shelf import Shelf
from inspector.concepts import language_of
from inspector.recording import InspectorError, Neuron

if TYPE_CHECKING:
    from inspector.emerge import Emergence

LEAD_IN = 20_000  # characters before a passage that are read with it
_N_CHARS = 60_000
_N_LINES, _LONGEST = 3, 240  # of a passage that stands there once for each snapshot
_MADE_BY = "python-stdlib"  # the corpus that is at hand wherever this program runs


class Sight(NamedTuple):
    """A passage as one snapshot saw it: values (units, characters) of one layer's signal, and nats per character.

    nats : nan where the passage is a file's first character alone, which nobody predicts.
    """

    step: int
    values: np.ndarray
    nats: float


def parent_of(name: str) -> str:
    """The network that a snapshot belongs to; a network is its own."""
    parent, at, _ = name.rpartition(data.SNAPSHOT)
    return parent if at and name not in data.network_names() else name


def steps_of(kept: data.Network) -> list[int]:
    """The steps at which snapshots were taken."""
    from inspector.emerge import snapshots_of

    return [one.step for one in snapshots_of(kept.folder)]


def snapshots(kept: data.Network, found: Emergence | None) -> pd.DataFrame:
    """`step`, `characters` and held-out `nats` (nan where nobody measured) of each snapshot.

    found : what its neurons were good for, where somebody measured.
    """
    if found is not None:
        return found.snapshots
    options = kept.model.training_facts.get("options")
    sizes = [options.get(name) for name in ("batch", "stretch")] if isinstance(options, dict) else []
    per_step = math.prod(sizes) if sizes and all(isinstance(size, int) for size in sizes) else 0
    steps = steps_of(kept)
    return pd.DataFrame({"step": steps, "characters": [step * per_step for step in steps], "nats": np.nan})


def curve(kept: data.Network) -> pd.DataFrame | None:
    """The training log; None where there is none. Raises InspectorError where it is damaged."""
    from inspector.emerge import training_log

    return training_log(kept.folder)


def emergence(kept: data.Network) -> Emergence | None:
    """What its neurons were good for at each snapshot; None where that was not made yet, or for other weights.

    Raises InspectorError where the only file is damaged.
    """
    damaged = None
    for path in _places(kept):
        if path.is_file():
            stat = path.stat()
            try:
                found = _open(str(path), stat.st_mtime_ns, stat.st_size)
            except InspectorError as error:  # the other one may be whole
                damaged = error
                continue
            if found.network_hash == kept.hash:
                return found
    if damaged is not None:
        raise damaged
    return None


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: int, n_bytes: int) -> Emergence:
    from inspector.emerge import open_emergence

    return open_emergence(path)


def _places(kept: data.Network) -> tuple[Path, Path]:
    return kept.folder / "emergence.parquet", texts.data_folder() / "emergence" / f"{kept.hash[:16]}.parquet"


def can_be_made(kept: data.Network) -> bool:
    """Whether the text that the network was trained on is at hand, and this program may write."""
    is_library = "standard library" in str(kept.model.training_facts.get("corpus", ""))
    return is_library and not texts.is_read_only()


@st.cache_resource(show_spinner=False)
def _jobs() -> Jobs:
    return Jobs()


def making(kept: data.Network) -> Job | None:
    """The work that makes the scores, where it is under way or has failed."""
    return _jobs().under(kept.hash)


def make(kept: data.Network) -> Job:
    """Have the scores made behind the page; they are kept in the reader's data folder."""

    def work(job: Job) -> None:
        from inspector.corpus import load_corpus
        from inspector.emerge import emerge

        def tell(words: str, done: int, total: int) -> None:
            job.share = done / total
            if job.is_cancelled():
                raise InspectorError("Cancelled. Nothing was kept of the snapshots read so far.")

        emerge(kept.folder, load_corpus(_MADE_BY), n_chars=_N_CHARS, on_progress=tell).save(_places(kept)[1])

    texts.check_writable()
    job = making(kept)
    if job is not None and job.is_done:  # one that is under way is waited for, whoever began it
        _jobs().forget(kept.hash)
    return _jobs().start(kept.hash, f"The snapshots of {kept.name} read held-out text", work)


def span(text: texts.Text, concept: str, at: int | None) -> tuple[int, int]:
    """The few lines that each snapshot is seen with: from a place on, or those in which a concept changes most.

    They hold that place, and lie in one file.
    """
    content = text.content
    if at is not None and at < len(content):
        first, last = file_at(text, at)
        start = stop = max(content.rfind("\n", 0, at) + 1, first)
        for _ in range(_N_LINES):
            stop = (content.find("\n", stop) + 1) or len(content)
        if at >= start + _LONGEST:  # far inside a long line
            start = at - _LONGEST // 2
        return start, min(max(stop, at + 1), start + _LONGEST, last)
    try:
        asked = data.concept_called(concept)
        parts = [asked.label(content, language=language_of(name)) for name, content in text.parts()]
    except InspectorError:  # a concept of another language, or one that nobody knows any more
        parts = [np.zeros(len(content), bool)]
    start, stop = telling_stretch(content, np.concatenate(parts), _N_LINES, _LONGEST)
    return start, min(stop, file_at(text, start)[1])


def file_at(text: texts.Text, at: int) -> tuple[int, int]:
    """Where the file of a text that holds a place begins and ends."""
    start = 0
    for _, content in text.parts():
        if at < start + len(content):
            return start, start + len(content)
        start += len(content)
    return 0, start


def sights(kept: data.Network, text: texts.Text, span: tuple[int, int], neuron: Neuron, signal: str) -> list[Sight]:
    """A passage as each snapshot saw it, earliest first; read with what stands before it in its file.

    span : first position, and the one behind the last. Instant for another neuron of the same layer.
    """
    key = (kept.hash, tuple(steps_of(kept)), text.hash, span, neuron.layer, signal)
    return list(_sights().get(key, lambda: _look(kept, text, span, neuron.layer, signal)))


@st.cache_resource(show_spinner=False)
def _sights() -> Shelf:
    return Shelf(32, lambda sights: 1)


def _look(kept: data.Network, text: texts.Text, span: tuple[int, int], layer: int, signal: str) -> list[Sight]:
    from inspector.capture import record
    from inspector.emerge import snapshots_of
    from inspector.model import load_checkpoint

    start, stop = span
    first = max(start - LEAD_IN, file_at(text, start)[0])
    found = []
    for step, folder in snapshots_of(kept.folder):
        recording = record(load_checkpoint(folder), text.content[first:stop], signals=(signal,))
        values = recording.window(layer, signal, start - first, stop - first)
        losses = recording.loss[start - first :]
        losses = losses[~np.isnan(losses)]
        found.append(Sight(step, values.astype(np.float16), float(losses.mean()) if losses.size else math.nan))
    return found
