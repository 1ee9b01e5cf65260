"""Read: a text coloured by one neuron, what is known about the neuron, and its trace under the text."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import cards, data, figures, pickers, state
from dashboard.overlay import build_payload, overlay
from dashboard.palette import scale_for
from inspector.recording import Neuron

NEIGHBOURS = 2  # neurons on either side that are sent along, so that stepping to them is instant
PREFETCH_CHARS = 60_000  # ... in texts up to this length


def page() -> None:
    """Draw the page."""
    view = state.current()
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with bar:
        view = pickers.pick_network(view)
        view = pickers.pick_text(view)
        neuron_slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    words, place = st.container(), st.container()
    with place:
        reading = cards.read(view)
    found = cards.survey_of(reading)
    view = cards.fit(view, reading, found)
    with neuron_slot:
        pickers.pick_neuron(view, reading.layers)
    with words:
        trace = cards.trace(view, reading)
        cards.tell(view, reading, found)
    with place:
        _text(view, reading, trace)
        _plot(view, reading, trace)
    cards.footnote(reading)


def _text(view: state.View, reading: data.Reading, trace: np.ndarray) -> None:
    recording = reading.recording
    payload = build_payload(
        text=reading.text,
        traces=_traces(view, reading, trace),
        neuron=view.neuron,
        signal=view.signal,
        scale=scale_for(view.signal, trace),
        layers=reading.layers,
        loss=recording.loss,
        guesses=reading.guesses(),
        unknown=recording.unknown,
        documents=recording.documents,
        at=view.at,
        jump=state.moves(),
    )
    overlay(payload, key="overlay", height=580, on_change=_follow)


def _follow() -> None:
    """The reader moved inside the overlay; the address follows, the overlay is not told where it already is."""
    cards.follow("overlay")


def _traces(view: state.View, reading: data.Reading, trace: np.ndarray) -> dict[tuple[Neuron, str], np.ndarray]:
    """The chosen trace, and those one key press away that are at hand."""
    found = {(view.neuron, view.signal): trace}
    if trace.size > PREFETCH_CHARS:
        return found
    near = [(view.neuron, signal) for signal in reading.layers[view.neuron.layer][1]]
    for step in range(1, NEIGHBOURS + 1):
        near += [(reading.step(view.neuron, step), view.signal), (reading.step(view.neuron, -step), view.signal)]
    for neuron, signal in near:
        if reading.is_recorded(signal):
            found.setdefault((neuron, signal), reading.trace(neuron, signal))
    return found


def _plot(view: state.View, reading: data.Reading, trace: np.ndarray) -> None:
    scale = scale_for(view.signal, trace)
    figure = figures.trace_figure(trace, scale, text=reading.text, theme=cards.theme(), at=view.at)
    st.plotly_chart(figure, key="trace", config={"displayModeBar": False})


page()
