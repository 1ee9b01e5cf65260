"""Read: a text coloured by one neuron, and what is known about the neuron."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import cards, data, notes, pickers, share, state, texts
from dashboard.evidence import FIRST_CONCEPT, Survey
from dashboard.overlay import build_payload
from dashboard.overlay.mount import overlay
from dashboard.overlay.serve import DRAFT_CHARS, offer
from inspector.recording import Neuron

FIND, NEURON = "app_pages/find.py", "app_pages/neuron.py"
WHOLE_CHARS = 32_768  # texts up to this length are sent along; of longer ones the browser fetches what it shows
GATES_CHARS = 10_000  # in texts up to this length the gates are read beforehand, so that pointing shows every signal
SUGGESTED = 5


def page() -> None:
    """Draw the page."""
    view = state.current()
    if (question := cards.asked()) is not None:
        st.switch_page(FIND, query_params=replace(view, ask=question).to_query())
    view = replace(view, ask=None)
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with bar:
        view = pickers.pick_reading(view, label="collapsed")
        more_slot = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
    words, place = st.container(), st.container()
    with place:
        reading = cards.read(view)
    found = cards.survey_of(reading)
    view = cards.fit(view, reading, found)
    with more_slot:
        share.export(view, reading, found)
        notes.card(reading.recording.network_hash, view.shown)
        if reading.network is not None:
            st.page_link(NEURON, label="neuron page →", query_params=view.to_query())
    with words:
        is_there = cards.has_signals(reading, str(view.signal))
        notes.line(reading.recording.network_hash, view.shown)
    if not is_there and cards.stands_alone():
        st.stop()  # a browser that cannot fetch has nothing to show meanwhile
    with place:
        overlay(_payload(view, reading, found), key="overlay", on_change=pickers.guarded(_follow))
    cards.footnote(reading)
    _read_gates(view, reading)


def _payload(view: state.View, reading: data.Reading, found: Survey | None) -> bytes:
    recording = reading.recording
    is_short = recording.n_chars <= WHOLE_CHARS or cards.stands_alone()
    is_whole = is_short and reading.is_recorded(str(view.signal))  # else the browser shows another signal meanwhile
    neurons = dict.fromkeys([view.shown, *(view.pins or ())]) if is_whole else ()
    title, evidence = cards.known(view, reading, found)
    return build_payload(
        text=reading.text,
        traces={_choice(neuron, view, reading): reading.trace(*_choice(neuron, view, reading)) for neuron in neurons},
        neuron=view.neuron,
        signal=str(view.signal),
        layers=reading.layers,
        loss=recording.loss if is_whole else None,
        guesses=reading.guesses() if is_whole and cards.stands_alone() else None,  # else fetched: they are the most
        unknown=recording.unknown,
        documents=recording.documents,
        title=title or None,
        evidence=evidence,
        fills=True,
        at=view.at,
        jump=state.moves(),
        look=cards.look(view),
        suggested=_suggested(view, reading, found),
        source=offer(*reading.parts(), draft=reading.draft),
        editable=DRAFT_CHARS if reading.draft is not None else 0,
        ready=[name for name in reading.layers[view.shown.layer][1] if reading.is_recorded(name)],
        symbols=recording.symbols or () if recording.has_guesses else (),
    )


def _choice(neuron: Neuron, view: state.View, reading: data.Reading) -> tuple[Neuron, str]:
    """A neuron with the view's signal, or with the first one that its layer has."""
    signals = reading.layers[neuron.layer][1]
    return neuron, str(view.signal) if view.signal in signals else signals[0]


def _suggested(view: state.View, reading: data.Reading, found: Survey | None) -> dict[str, list[Neuron]]:
    """The best neurons for the concept that is asked about, worth looking at side by side."""
    concept = view.concept or FIRST_CONCEPT
    best = found.concepts.get(concept, ()) if found is not None else ()
    neurons = list(dict.fromkeys(one.neuron for one in best if state.exists(one.neuron, reading.layers)))
    return {"the concept's best": neurons[:SUGGESTED]} if neurons else {}


def _follow() -> None:
    """The reader moved inside the overlay; the address follows, the overlay is not told where it already is.

    A text that was written there and is to be kept becomes the one that is read.
    """
    cards.follow("overlay")
    seen = (st.session_state.get("overlay") or {}).get("view") or {}
    if kept := seen.get("keep"):
        state.jump(text=texts.keep_text(str(kept["text"]), str(kept["name"])), mark=None)


def _read_gates(view: state.View, reading: data.Reading) -> None:
    """When all is on screen: have the network read a short text once more for its gates, while the reader reads.

    The browser finds them when they are there; nobody waits for them.
    """
    lacking = [signal for signal in reading.layers[view.shown.layer][1] if not reading.is_recorded(signal)]
    is_short = reading.network is not None and reading.recording.n_chars <= GATES_CHARS
    if lacking and is_short and st.session_state.get("gates_of") != reading.key:
        st.session_state["gates_of"] = reading.key
        data.begin_signal(reading, lacking[0], then=lambda: offer(*reading.parts(), draft=reading.draft))


page()
