"""Gates: what each gate does to one neuron at one character, stepped along a text."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import cards, data, pickers, state
from dashboard.cell import build_message, cell, position
from dashboard.evidence import FIRST_CONCEPT
from dashboard.palette import DEFAULT
from inspector.recording import SIGNALS, InspectorError

KEY = "cell"


def page() -> None:
    """Draw the page."""
    view = state.current()
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with bar:
        view = pickers.pick_network(view)
        view = pickers.pick_text(view)
        neuron_slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    reading = cards.read(view)
    found = cards.survey_of(reading)
    view = cards.fit(view, reading, found)
    with neuron_slot:
        pickers.pick_neuron(view, reading.layers)
    cards.tell(view, reading, found)
    _cell(view, reading)
    cards.quiet(
        "← → move along the text, with shift by ten; space plays; n and p go to where the concept begins or ends. "
        "A wire is as strong as what flows through it."
    )
    cards.footnote(reading)


def _cell(view: state.View, reading: data.Reading) -> None:
    signals = reading.layers[view.shown.layer][1]
    kind = next((kind for kind, names in SIGNALS.items() if set(names) == set(signals)), None)
    if kind is None:
        raise InspectorError(
            f"This recording holds {', '.join(signals)} only; the picture needs every signal of its neurons: record it "
            "again with --signals all, or read the text with its network."
        )
    with cards.progress() as tell:
        traces = {signal: reading.trace(view.shown, signal, tell) for signal in signals}
    concept, label = _label(view, reading)
    at = view.at if view.at is not None else _telling_place(label, traces["cell" if kind == "lstm" else "hidden"])
    message = build_message(
        text=reading.text,
        kind=kind,
        traces=traces,
        signal=str(view.signal),
        at=at,
        jump=state.moves(),
        palette=view.palette or DEFAULT,
        label=label,
        concept=concept,
        starts=[document.start for document in reading.recording.documents],
        guesses=reading.guesses(),
    )
    cell(message, key=KEY, on_change=_follow)


def _label(view: state.View, reading: data.Reading) -> tuple[str | None, np.ndarray | None]:
    """The concept whose beginnings and ends are said, where it is one of yes or no in this text."""
    concept = data.concept_called(view.concept or FIRST_CONCEPT)
    if concept.kind != "yes/no":
        return None, None
    try:
        label, _ = data.labels(reading, concept)
    except InspectorError:  # a concept of another language
        return None, None
    return concept.title, label


def _telling_place(label: np.ndarray | None, state_trace: np.ndarray) -> int:
    """Where the neuron's state changes most as the concept begins: the place with something to see."""
    if label is None:
        return 0
    begins = np.flatnonzero(label[1:] & ~label[:-1]) + 1
    change = np.abs(state_trace[begins] - state_trace[begins - 1])
    return int(begins[change.argmax()]) if begins.size else 0


def _follow() -> None:
    at = position(st.session_state, KEY)
    if at is not None:
        state.go(at=at)


page()
