"""Networks: what each network was trained on and found, which texts and recordings are kept, and how to delete them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import cards, data, growth, notes, state, tables, texts
from inspector.recording import InspectorError, Neuron

NEURONS, READ, TRAINING = "app_pages/neurons.py", "app_pages/read.py", "app_pages/training.py"
_BEST = ("title", "neuron", "note", "signal", "direction", "score", "baseline", "twin_score", "metric", "verdict")


def page() -> None:
    """Draw the page."""
    view = state.current()
    names = data.network_names()
    if not names:
        cards.quiet(f"There is no network in {data.checkpoints_folder()}; `python -m inspector train` makes one.")
    for name in names:
        try:
            _network(name)
        except InspectorError as error:  # one damaged network does not hide the others
            cards.notes([str(error)])
    _kept_texts(view)
    _recordings()


def _network(name: str) -> None:
    kept = data.network(name)
    cards.claim(name, kept.summary())
    try:
        found = data.survey(kept)
    except InspectorError as error:
        cards.notes([str(error)])
    else:
        if found is None:
            cards.quiet(f"Not surveyed yet: `python -m inspector survey --network {kept.place}`.")
        else:
            cards.quiet(f"Surveyed on {found.n_report_chars:,} held-out characters: {found.corpus}")
            there = state.View(network=name).to_query()
            st.page_link(NEURONS, label=f"All neurons of {cards.plain(name)} →", query_params=there)
            _findings(name, notes.titles(kept.hash), [findings[0] for findings in found.concepts.values() if findings])
    n_snapshots = len(growth.steps_of(kept))
    words = f"How it was trained, and how its neurons came to be: {n_snapshots} snapshots" if n_snapshots else ""
    st.page_link(TRAINING, label=f"{words or 'How it was trained'} →", query_params=state.View(network=name).to_query())
    notes.section(name, kept.hash)
    card = kept.folder / "README.md"
    if card.is_file():
        with st.expander("model card"):
            st.code(card.read_text("utf-8", errors="replace"), language=None, wrap_lines=True)


def _findings(name: str, titles: dict[Neuron, str], findings: list) -> None:
    """The best neuron for each concept; a row leads to it."""
    if not findings:
        return
    rows = [
        {
            **vars(found),
            "layer": found.neuron.layer,
            "unit": found.neuron.unit,
            "title": data.concept_title(found.concept),
        }
        for found in findings
    ]
    chosen = tables.draw(tables.named(pd.DataFrame(rows), titles), _BEST, key=f"findings {name}")
    if chosen is not None:
        found = findings[chosen]
        there = state.View(network=name, neuron=found.neuron, signal=found.signal, concept=found.concept)
        st.switch_page(READ, query_params=there.to_query())


def _kept_texts(view: state.View) -> None:
    cards.claim("Your texts", f"kept in {texts.data_folder()}")
    kept = texts.kept_texts()
    if not kept:
        cards.quiet("None yet: “Add a text” on the Read page takes a file or what you paste.")
    for entry in kept:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            there = state.View(network=view.network, text=entry.id)
            st.page_link(READ, label=cards.plain(entry.name), query_params=there.to_query())
            cards.quiet(f"{entry.n_bytes:,} bytes")
            if not texts.is_read_only():
                delete = f"delete {entry.id}"
                st.button("delete", key=delete, type="tertiary", on_click=texts.forget_text, args=(entry.id,))


def _recordings() -> None:
    kept = data.recordings()
    cards.claim("Recordings", f"{len(kept)} in memory, {kept.n_bytes / 1e6:,.0f} of {kept.cap / 1e6:,.0f} MB")
    if len(kept) and not texts.is_read_only():
        st.button("forget those in memory", type="tertiary", on_click=kept.clear)
    for name in data.saved_recordings():
        st.page_link(READ, label=cards.plain(name), query_params=state.View(text=f"recording:{name}").to_query())


page()
