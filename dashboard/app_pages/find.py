"""Find: which neurons of this network follow a concept in this text, best first; a click opens one in Read."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import cards, data, pickers, state
from dashboard.evidence import SIGNAL_WORDS, score_words, telling_stretch
from dashboard.palette import scale_for
from inspector.recording import Neuron
from inspector.search import verdict

FIRST_RESULTS = 5
MOST_ROWS = 200
NEURON, READ = "app_pages/neuron.py", "app_pages/read.py"

_number, _words = st.column_config.NumberColumn, st.column_config.TextColumn
_COLUMNS = {
    "neuron": _words("neuron", width=60),
    "signal": _words("signal", width=60),
    "direction": _words("values", width=50, help="high or low where the concept holds"),
    "score": _number("score", format="%.3f", width=60, help="on stretches that had no part in choosing the neuron"),
    "baseline": _number("chance", format="%.2f", width=60, help="what a neuron that knows nothing scores"),
    "twin_score": _number("untrained", format="%.2f", width=70, help="the best neuron before any training"),
    "q_value": _number("q", format="%.1e", width=80, help="share of false finds among the rows up to this one"),
    "verdict": _words("verdict", width=230),
}


def page() -> None:
    """Draw the page."""
    view = state.current()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = pickers.pick_network(view)
        view = pickers.pick_text(view)
        concept_slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    reading = cards.read(view)
    with concept_slot:
        view = pickers.pick_concept(view, data.concepts_of(reading))
    state.settle(view)
    concept = data.concept_called(str(view.concept))
    cards.quiet(concept.description)
    with cards.progress() as tell:
        table = data.ranking(reading, str(view.concept), tell)
    cards.summary(reading, concept, table)
    start, stop = telling_stretch(reading.text, data.labels(reading, concept)[0])
    with st.container(key="found"):  # app.css puts the columns below each other on a narrow page
        results, rows = st.columns([11, 9], gap="medium")
    with results:
        for row in table.drop_duplicates(["layer", "unit"]).head(FIRST_RESULTS).to_dict("records"):
            _result(row, view, reading, start, stop)
    with rows:
        _table(table, view)


def _opens(row: dict, view: state.View, at: int | None) -> state.View:
    neuron = Neuron(int(row["layer"]), int(row["unit"]))
    return replace(view, neuron=neuron, signal=str(row["signal"]), at=at)


def _result(row: dict, view: state.View, reading: data.Reading, start: int, stop: int) -> None:
    """One neuron: its name, which leads to Read, what it scores, and how it colours a telling stretch of the text."""
    there = _opens(row, view, start)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        signal = SIGNAL_WORDS.get(str(there.signal), there.signal)
        st.page_link(READ, label=f"**{there.neuron}** {signal} →", query_params=there.to_query())
        st.page_link(NEURON, label="its page", query_params=there.to_query())
        cards.quiet(f"{score_words(row)}; {verdict(row)}")
    trace = reading.trace(there.neuron, there.signal)
    first_line = reading.text.count("\n", 0, start) + 1
    cards.excerpt(reading.text[start:stop], trace[start:stop], scale_for(there.signal, trace), first_line=first_line)


def _table(table: pd.DataFrame, view: state.View) -> None:
    shown = table.head(MOST_ROWS).copy()
    shown.insert(0, "neuron", [f"{row.layer}:{row.unit}" for row in shown.itertuples()])
    shown["direction"] = shown["polarity"].map({1: "high", -1: "low"})
    shown["verdict"] = [verdict(row) for row in shown.to_dict("records")]
    cards.quiet(f"The first {len(shown):,} of {len(table):,} neurons and signals: a row opens the text with it.")
    chosen = st.dataframe(
        shown[list(_COLUMNS)], column_config=_COLUMNS, hide_index=True, key="ranking", height=560,
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    if chosen.selection.rows:
        row = table.iloc[chosen.selection.rows[0]].to_dict()
        st.switch_page(READ, query_params=_opens(row, view, None).to_query())


page()
