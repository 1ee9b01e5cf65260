"""The passages that a survey kept for a neuron, read again with the text before them, so that they can be coloured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import texts
from dashboard.data.networks import Network, findings
from dashboard.data.readings import char_limit, first_signals
from dashboard.findings import Findings, Passage
from dashboard.shelf import Shelf
from inspector.recording import InspectorError, Neuron

LEAD_IN = 600  # characters before a passage that are read again with it, so that the state is what it was
_NEAR = 0.06  # of the colours' extent: how far a value read again may lie from the survey's


@dataclass(frozen=True)
class Scene:
    """A surveyed passage as it can be shown: with the values that colour it, and where it stands in a text at hand.

    values : float (characters of the passage,), nan where they are not known for certain.
    text_id, start : the text that holds the passage, and where it begins there; None where it is not at hand.
    """

    passage: Passage
    values: np.ndarray
    text_id: str | None
    start: int | None

    @property
    def is_whole(self) -> bool:
        """Whether every character has its value."""
        return not np.isnan(self.values).any()


def scenes(kept: Network, neuron: Neuron, signal: str) -> list[Scene]:
    """The passages that the survey kept for a neuron, read again with the text before them for their colours.

    The survey holds the value at one character of each. Where what is read again comes near that value, the whole
    passage is taken to be as it was; elsewhere only that one character has a value, the survey's.
    """
    found = findings(kept)
    if found is None:
        return []
    return _scenes().get((kept.hash, neuron, signal), lambda: _read_again(kept, found, neuron, signal))


@st.cache_resource(show_spinner=False)
def _scenes() -> Shelf:
    return Shelf(256, lambda scenes: 1)


def _read_again(kept: Network, found: Findings, neuron: Neuron, signal: str) -> list[Scene]:
    from inspector.capture import record

    passages = found.passages(neuron, signal)
    sources = [_source(passage) for passage in passages]
    pieces = []
    for passage, (content, start) in zip(passages, sources, strict=True):
        before = content[max((start or 0) - LEAD_IN, 0) : start or 0]
        pieces.append(before + passage.text)
    if not pieces:
        return []
    recording = record(kept.model, pieces, signals=(signal,))
    trace = recording.trace(neuron, signal)
    near = _NEAR * (found.extent(neuron, signal) if signal == "cell" else 1.0)
    limit = char_limit(kept.model, len(first_signals(kept)))
    scenes = []
    for passage, (content, start), read in zip(passages, sources, recording.documents, strict=True):
        values = trace[read.stop - len(passage.text) : read.stop].copy()
        if not abs(values[passage.at] - passage.value) <= near:
            values[:] = np.nan
        values[passage.at] = passage.value
        is_there = start is not None and len(content) <= limit
        scenes.append(Scene(passage, values, f"stdlib:{passage.file}" if is_there else None, start))
    return scenes


def _source(passage: Passage) -> tuple[str, int | None]:
    """The text that a passage is from and where it begins there, as far as it is at hand."""
    try:
        content = texts.load_text(f"stdlib:{passage.file}").content
    except InspectorError:
        return "", None
    start = passage.start_in(content)
    return (content, start) if start is not None else ("", None)
