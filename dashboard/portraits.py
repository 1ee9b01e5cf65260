"""What a survey drew of a neuron: its passages with the values that colour them, and how it depends on the place.

Both come with the survey and need neither the network nor the text; the text, where it is at hand, is linked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, texts
from dashboard.findings import Passage
from dashboard.state import FIRST_TEXT
from inspector.concepts import language_of
from inspector.recording import InspectorError, Neuron

if TYPE_CHECKING:
    from pathlib import Path

    from inspector.survey import Portraits


@dataclass(frozen=True)
class Scene:
    """A surveyed passage as it can be shown: with the values that colour it, and where it stands in a text at hand.

    values : float (characters of the passage,); nan but at the one that the survey is of, where no others were kept.
    text_id, start : the text that holds the passage, and where it begins there; None where it is not at hand.
    """

    passage: Passage
    values: np.ndarray
    text_id: str | None
    start: int | None


def portraits(kept: data.Network) -> Portraits | None:
    """What the survey of a network drew; None where it did not, or drew it of other weights.

    Raises InspectorError where the file is damaged.
    """
    folder = kept.folder / "survey"
    paths = [folder / name for name in ("portraits.npz", "passages.parquet")]
    if not all(path.is_file() for path in paths):
        return None
    found = _open(folder, tuple(path.stat().st_mtime_ns for path in paths))
    return found if found is not None and found.network_hash == kept.hash else None


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(folder: Path, changed: tuple[int, ...]) -> Portraits | None:
    from inspector.survey import open_portraits

    return open_portraits(folder)


def scenes(kept: data.Network, neuron: Neuron, signal: str) -> list[Scene]:
    """The passages that the survey kept for a neuron; without their colours where those cannot be read.

    Raises InspectorError where the passages cannot be.
    """
    found = data.findings(kept)
    if found is None:
        return []
    passages = found.passages(neuron, signal)
    try:
        drawn = portraits(kept)
    except InspectorError:  # `by_place` says why
        drawn = None
    return [_scene(passage, drawn) for passage in passages]


def _scene(passage: Passage, drawn: Portraits | None) -> Scene:
    values = drawn.along(passage.row, len(passage.text)) if drawn is not None else None
    if values is None:
        values = np.full(len(passage.text), np.nan, np.float32)
        values[passage.at] = passage.value
    text_id = f"stdlib:{passage.file}"
    try:
        content = texts.load_text(text_id).content
    except InspectorError:
        return Scene(passage, values, None, None)
    start = passage.start_in(content) if len(content) <= texts.MAX_CHARS else None
    return Scene(passage, values, None if start is None else text_id, start)


def sample_for(kept: data.Network) -> str:
    """The sample in the language of what a network was surveyed on; the first one where it was not."""
    found = data.findings(kept)
    if found is None or not found.files:
        return FIRST_TEXT
    language = language_of(found.files[0])
    return {"python": FIRST_TEXT, "c": "sample:ring_buffer.c"}.get(language, "sample:lighthouse.txt")


def by_place(kept: data.Network, neuron: Neuron, signal: str) -> dict[str, pd.DataFrame]:
    """How a signal depends on the place, by what is counted, in words; {} where nobody drew it."""
    drawn = portraits(kept)
    if drawn is None:
        return {}
    words = {"line": "characters into the line", "file": "characters into the file"}
    tables = {words[kind]: drawn.by_place(neuron, signal, kind) for kind in words}
    return {name: table for name, table in tables.items() if table is not None and len(table)}


def words_of(tables: dict[str, pd.DataFrame], extent: float) -> str:
    """Whether a neuron depends on the place, in a plain sentence.

    extent : how far the signal's values lie from zero. What is told is how far means differ beside the usual spread.
    """
    said, turns = [], []
    for name, table in tables.items():
        apart = float(table["mean"].max() - table["mean"].min())
        spread = float(np.sqrt(np.average(table["std"] ** 2, weights=table.n)))
        if apart > max(spread, 0.05 * extent):
            side = "higher" if table["mean"].iloc[-1] > table["mean"].iloc[0] else "lower"
            if _is_steady(table["mean"]):
                said.append(f"the more {name}, the {side}")
            else:
                turns.append(name)
    if turns:
        said.append(f"it changes with {' and with '.join(turns)}")
    if not said:
        return "Where it stands in a line or a file says less of its value than what it reads there."
    sentence = "; ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}: its mean moves by more than the value varies at one place."


def _is_steady(means: pd.Series) -> bool:
    """Whether means go one way but for small steps back."""
    steps = np.diff(means)
    return abs(steps.sum()) > 0.8 * np.abs(steps).sum()
