"""Networks: all of them beside each other, what was found in one, and the texts and recordings that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import cards, data, growth, notes, pickers, state, tables, texts
from dashboard.findings import CLEAR
from inspector.recording import InspectorError, Kept, Neuron, delete_recording, list_recordings

NEURONS, READ, TRAINING = "app_pages/neurons.py", "app_pages/read.py", "app_pages/training.py"
_SEVERAL = ("network", "architecture", "bits", "n_told", "n_asked", "n_snapshots", "corpus")
_BEST = ("title", "neuron", "note", "signal", "direction", "score", "baseline", "twin_score", "metric", "verdict")


def page() -> None:
    """Draw the page."""
    view = state.current()
    if view.network is not None:
        view = replace(view, network=growth.parent_of(view.network))  # a snapshot belongs to its network
    with pickers.bar():
        view = pickers.pick_network(view)
    state.settle(view)
    if view.network is None:
        cards.quiet(f"There is no network in {data.checkpoints_folder()}; `python -m inspector train` makes one.")
    else:
        _compare(view, data.network_names())
        with cards.by_itself():
            _network(view.network)
    _kept_texts(view)
    _recordings()


def _compare(view: state.View, names: Sequence[str]) -> None:
    """A row for each network; one that is damaged is a sentence instead."""
    rows = []
    for name in names:
        try:
            rows.append(_row(data.network(name)))
        except InspectorError as error:
            if name != view.network:  # of that one it is said below
                cards.notes([str(error)])
    if len(rows) > 1:
        cards.claim(f"{len(rows)} networks", "a row leads to what was found in it")
        chosen = [row["network"] for row in rows]
        tables.draw(
            pd.DataFrame(rows), _SEVERAL, key=f"networks {view.network}",
            choose=lambda row: pickers.take_network(view, chosen[row]),
        )  # fmt: skip


def _row(kept: data.Network) -> dict[str, object]:
    """What one compares networks by; None where it is not known."""
    row = {
        "network": kept.name,
        "architecture": str(kept.model.config),
        "bits": kept.report_bits(),
        "n_told": None,
        "n_asked": None,
        "n_snapshots": len(growth.steps_of(kept)),
        "corpus": str(kept.model.training_facts.get("corpus", "")).partition(":")[0] or None,  # without its sizes
    }
    try:
        found = data.survey(kept)
    except InspectorError:  # it is said where the network is looked at
        found = None
    if found is not None:
        firsts = [findings[0] for findings in found.concepts.values() if findings]
        row |= {"n_told": sum(one.verdict in CLEAR for one in firsts), "n_asked": len(firsts)}
    return row


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
    for one in list_recordings():
        _recording(one)


def _recording(kept: Kept) -> None:
    """A saved recording, or what is left of one: the way to it, what it is of, and how to delete it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        there = state.View(text=f"recording:{kept.name}")
        if kept.recording is None:
            cards.quiet(f"{kept.name}: {kept.problem}")
        else:
            st.page_link(READ, label=cards.plain(kept.name), query_params=there.to_query())
            network = kept.recording.network or "a network without a name"
            cards.quiet(f"{kept.recording.n_chars:,} characters, read by {network}, {kept.n_bytes / 1e6:,.1f} MB")
        if not texts.is_read_only():
            with st.popover("delete", type="tertiary", key=f"delete {kept.name}"):
                cards.sentence(f"{kept.name} is deleted from the disk, for good.")
                st.button(
                    "Delete it",
                    key=f"delete for good {kept.name}",
                    on_click=pickers.guarded(lambda: delete_recording(kept)),
                )


page()
