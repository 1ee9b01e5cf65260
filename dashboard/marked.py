"""What Find answers about a marked stretch: which neurons are on exactly there, and where else one is so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, data, notes, state, tables
from dashboard.evidence import lines_around, signal_words
from dashboard.palette import scale_for
from inspector.recording import Neuron
from inspector.search.places import Places, conditions_of, find_places
from inspector.search.ranges import find_neurons

FIRST_RESULTS = 5
MOST_ROWS = 200
NEURON, READ, FIND = "app_pages/neuron.py", "app_pages/read.py", "app_pages/find.py"
AROUND = 90  # characters shown on each side of a mark or a place, and more up to whole lines
LONGEST = 400  # characters of a place that are shown
PLACES = 12
_COLUMNS = ("neuron", "note", "signal", "direction", "f1", "precision", "recall", "threshold", "contrast")


def answer(view: state.View, reading: data.Reading) -> None:
    """The answer to a question about a stretch that was marked in Read, with the way back to it."""
    with st.container(horizontal=True, gap="medium"):
        st.page_link(READ, label="← Back to the text", query_params=replace(view, ask=None).to_query())
        other = "elsewhere" if view.ask == "here" else "here"
        label = {"here": "Which neurons are on exactly here?", "elsewhere": f"Where else is {view.neuron} so?"}[other]
        if view.mark is not None:
            st.page_link(FIND, label=label, query_params=replace(view, ask=other).to_query())
        st.page_link(FIND, label="Search for a concept", query_params=replace(view, ask=None, mark=None).to_query())
    if view.mark is None:
        cards.notes(["Nothing is marked in this text: go back to it and drag over a stretch."])
        return
    signals = list(dict.fromkeys(name for layer in reading.recording.layers for name in layer.signals))
    table = find_neurons(reading.recording, [view.mark], signals=signals)
    if view.ask == "here":
        _here(table, view, view.mark, reading)
    else:
        _elsewhere(table, view, view.mark, reading)


def _here(table: pd.DataFrame, view: state.View, mark: state.Mark, reading: data.Reading) -> None:
    best = table.iloc[0]
    marked = f"in “{_shortened(reading.text[mark.start : mark.stop])}”"
    if best.f1 > best.chance:
        headline = f"Most nearly on {marked} and off around it: {best.layer}:{best.unit}"
    else:
        headline = f"No neuron is on {marked} more exactly than any is at other stretches"
    cards.claim(
        headline,
        f"{_on_words(best)} Among {best.n_marked:,} marked characters and {best.n_around:,} around them; the best "
        f"neuron for other stretches so long has F1 {best.chance:.2f}. One place shows what a neuron does there, "
        "not what it means: look at it elsewhere. Underlined: the mark.",
    )
    with st.container(key="found"):
        results, rows = st.columns([11, 9], gap="medium")
    with results:
        for row in table.drop_duplicates(["layer", "unit"]).head(FIRST_RESULTS).to_dict("records"):
            _result(row, view, reading, mark)
    with rows:
        _table(table, view, mark, reading)


def _result(row: dict, view: state.View, reading: data.Reading, mark: state.Mark) -> None:
    """One neuron: its name, which leads to Read, how exactly it is on here, and how it colours the place."""
    there = _opens(row, view, mark)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        signal = signal_words(str(there.signal))
        st.page_link(READ, label=f"**{there.neuron}** {signal} →", query_params=there.to_query())
        if reading.network is not None:
            st.page_link(NEURON, label="its page", query_params=there.to_query())
        cards.quiet(_on_words(pd.Series(row)))
    _excerpt(reading, reading.trace(there.shown, str(there.signal)), str(there.signal), mark)


def _excerpt(reading: data.Reading, trace: np.ndarray, signal: str, mark: state.Mark) -> None:
    """A marked stretch, underlined, and the lines around it inside its document, coloured by a trace of the text."""
    document, text = reading.recording.document_at(mark.start), reading.text
    first, last = lines_around(text, *mark, within=(document.start, document.stop), around=AROUND)
    holds = np.zeros(last - first, bool)
    holds[mark.start - first : mark.stop - first] = True
    line = reading.recording.place(first).line
    cards.excerpt(text[first:last], trace[first:last], scale_for(signal, trace), first_line=line, holds=holds)


def _opens(row: dict, view: state.View, mark: state.Mark) -> state.View:
    return replace(
        view, neuron=Neuron(int(row["layer"]), int(row["unit"])), signal=str(row["signal"]), at=mark.start, ask=None
    )


def _table(table: pd.DataFrame, view: state.View, mark: state.Mark, reading: data.Reading) -> None:
    shown = tables.named(table.head(MOST_ROWS), notes.titles(reading.recording.network_hash))
    cards.quiet(f"The first {len(shown):,} of {len(table):,} neurons and signals: a row opens the text with it.")
    chosen = tables.draw(shown, _COLUMNS, key=f"here {mark} {view.network} {view.text}", height=560)
    if chosen is not None:
        st.switch_page(READ, query_params=_opens(table.iloc[chosen].to_dict(), view, mark).to_query())


def _elsewhere(table: pd.DataFrame, view: state.View, mark: state.Mark, reading: data.Reading) -> None:
    mine = (table.layer == view.shown.layer) & (table.unit == view.shown.unit) & (table.signal == view.signal)
    row = table[mine]
    if row.empty:
        cards.notes([f"The {view.signal} of {view.neuron} is not recorded for this text: ask with its hidden state."])
        return
    (condition,) = conditions_of(row, 1)
    places = find_places(reading.recording, [condition], mark=(mark.start, mark.stop), n=PLACES)
    cards.claim(
        f"{condition.neuron}, its {signal_words(condition.signal)} at "
        f"{'least' if condition.polarity > 0 else 'most'} {condition.threshold:.2f}: {places.said()}",
        f"{_on_words(row.iloc[0])} That threshold was chosen on the marked stretch; the places most alike come first, "
        "each underlined.",
    )
    _list_places(places, view, reading)


def _list_places(places: Places, view: state.View, reading: data.Reading) -> None:
    trace = reading.trace(view.shown, str(view.signal))
    for row in places.table.to_dict("records"):
        mark = state.Mark(row["start"], row["stop"])
        there = replace(view, at=mark.start, mark=mark, ask=None)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(READ, label=cards.place_label(reading.recording, mark.start), query_params=there.to_query())
            cards.quiet(f"overlap {row['overlap']:.2f}, {row['length']:,} characters")
        _excerpt(reading, trace, str(view.signal), state.Mark(mark.start, min(mark.stop, mark.start + LONGEST)))


def _on_words(row: pd.Series) -> str:
    """How exactly a neuron is on in the mark, in words."""
    signal = signal_words(row.signal)
    side = "at least" if row.polarity > 0 else "at most"
    return (
        f"Its {signal} is {side} {row.threshold:.2f} in {row.recall:.0%} of the mark, and "
        f"{row.precision:.0%} of where it is so is marked (F1 {row.f1:.2f})."
    )


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 40 else words[:37] + "..."
