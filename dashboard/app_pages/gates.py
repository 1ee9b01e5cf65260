"""Gates: what each gate does to one neuron at one character, stepped along a text; how often gates are saturated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard import cards, data, notes, pickers, state
from dashboard.cell import build_message, cell, position
from dashboard.evidence import FIRST_CONCEPT, signal_words
from dashboard.figures import saturation_figure
from dashboard.palette import DEFAULT
from inspector.recording import SIGNALS, InspectorError, Neuron

NEURON = "app_pages/neuron.py"
KEY, _REFUSED = "cell", "gates_refused"


def page() -> None:
    """Draw the page."""
    view = state.current()
    bar = pickers.bar()
    with bar:
        view = pickers.pick_reading(view)
        neuron_slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    reading = cards.read(view)
    found = cards.survey_of(reading)
    view = cards.fit(view, reading, found)
    with neuron_slot:
        pickers.pick_neuron(view, reading.layers)
        notes.card(reading.recording.network_hash, view.shown)
    cards.tell(view, reading, found)
    notes.line(reading.recording.network_hash, view.shown)
    _cell(view, reading)
    cards.quiet(
        "← → move along the text, with shift by ten; space plays; n and p go to where the concept begins or ends. "
        "A wire is as strong as what flows through it."
    )
    cards.footnote(reading)
    if reading.network is not None:
        with cards.by_itself():
            _saturation(view, reading.network)


def _cell(view: state.View, reading: data.Reading) -> None:
    there, kind = reading.layers[view.shown.layer][1], reading.recording.layers[view.shown.layer].kind
    if kind not in SIGNALS:
        raise InspectorError(
            f"This recording's layer {view.shown.layer} is of another kind, {kind}: the picture is of "
            f"{', '.join(SIGNALS)} alone."
        )
    signals = SIGNALS[kind]
    if not set(signals) <= set(there):
        raise InspectorError(
            f"This recording holds {', '.join(there)} only; the picture needs every signal of its neurons: record it "
            "again with --signals all, or read the text with its network."
        )
    if not cards.has_signals(reading, *signals):
        return
    traces = {signal: reading.trace(view.shown, signal) for signal in signals}
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
    name = view.concept or FIRST_CONCEPT
    refused = st.session_state.setdefault(_REFUSED, set())
    if (reading.key, name) in refused:  # to be refused a slow pattern again would take as long at every step
        return None, None
    try:
        concept = data.concept_called(name)
        if concept.kind != "yes/no":
            return None, None
        label, _ = data.labels(reading, concept)
    except InspectorError as error:  # a concept of another language, or of none; a pattern that takes too long
        refused.add((reading.key, name))
        if name.startswith(data.REGEX):
            state.note(str(error))
        return None, None
    return concept.title, label


def _telling_place(label: np.ndarray | None, state_trace: np.ndarray) -> int:
    """Where the neuron's state changes most as the concept begins: the place with something to see."""
    if label is None:
        return 0
    begins = np.flatnonzero(label[1:] & ~label[:-1]) + 1
    change = np.abs(state_trace[begins] - state_trace[begins - 1])
    return int(begins[change.argmax()]) if begins.size else 0


def _saturation(view: state.View, kept: data.Network) -> None:
    """How often each neuron's gates, where it has any, are shut and open, over everything that was surveyed."""
    gates = [name for name in SIGNALS[kept.model.config.kind] if name.endswith("_gate")]
    if not gates:
        return
    cards.claim("How often gates are shut and open", "over all surveyed text, a point for each neuron")
    if (found := cards.findings_of(view)) is None:
        return
    statistics = found.statistics[found.statistics.signal.isin(gates)]
    if statistics.empty:
        cards.quiet(f"Its survey did not gather gates: `python -m inspector survey --network {kept.place}` renews it.")
        return
    cards.quiet(
        "The higher a point, the more of the time that neuron's gate is open (above .9); the further right, the more "
        "of the time it is shut (below .1); on the slanted line it is always one or the other. So a forget gate at the "
        "upper left keeps what its neuron holds, and one at the lower right makes it forget at once."
    )
    named = [(name, signal_words(name)) for name in gates]
    figure = saturation_figure(statistics, named, chosen=view.neuron, theme=cards.theme())
    if (neuron := cards.clicked(figure, key="saturation")) is not None:
        st.switch_page(NEURON, query_params=replace(view, neuron=Neuron.parse(neuron)).to_query())


def _follow() -> None:
    at = position(st.session_state, KEY)
    if at is not None:
        state.go(at=at)


page()
