"""Find: which neurons follow a concept, or are on in a marked stretch, and where else they are; a click opens Read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, data, figures, pickers, share, state
from dashboard.evidence import SIGNAL_WORDS, Finding, score_words, telling_stretch
from dashboard.palette import scale_for
from inspector.recording import InspectorError, Neuron
from inspector.search import verdict
from inspector.search.places import Places, conditions_of, find_places
from inspector.search.ranges import find_neurons

FIRST_RESULTS = 5
MOST_ROWS = 200
NEURON, READ, FIND = "app_pages/neuron.py", "app_pages/read.py", "app_pages/find.py"
AROUND = 90  # characters shown on each side of a mark or a place
LONGEST = 400  # characters of a place that are shown
PLACES = 12

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
_MARKED_COLUMNS = {
    "neuron": _words("neuron", width=60),
    "signal": _words("signal", width=60),
    "direction": _words("values", width=50, help="high or low in the mark"),
    "f1": _number("F1", format="%.3f", width=60, help="on exactly in the mark and off around it: 1 is perfect"),
    "precision": _number("precision", format="%.2f", width=70, help="how much of where it is on is marked"),
    "recall": _number("recall", format="%.2f", width=60, help="in how much of the mark it is on"),
    "threshold": _number("threshold", format="%.3f", width=75, help="of this place: the best F1"),
    "contrast": _number("contrast", format="%.2f", width=70, help="inside less around, in standard deviations"),
    "chance": _number("chance", format="%.2f", width=60, help="F1 of the best neuron for other stretches so long"),
}


def page() -> None:
    """Draw the page."""
    view = state.current()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = pickers.pick_network(view)
        view = pickers.pick_text(view)
        concept_slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    reading = cards.read(view)
    if view.ask is not None:
        _asked(cards.fit(view, reading, cards.survey_of(reading)), reading)
        return
    with concept_slot:
        view = pickers.pick_concept(view, data.concepts_of(reading))
    state.settle(view)
    concept = data.concept_called(str(view.concept))
    cards.quiet(concept.description)
    surveyed = _surveyed(str(view.concept), reading)
    label, valid = data.labels(reading, concept)
    start, stop = telling_stretch(reading.text, label)
    try:
        with cards.progress() as tell:
            table = data.ranking(reading, str(view.concept), tell)
    except InspectorError as error:
        if not surveyed:
            raise
        cards.notes([str(error)])  # what whole held-out files say can be shown all the same
        for one in surveyed[:FIRST_RESULTS]:
            row = {"layer": one.neuron.layer, "unit": one.neuron.unit, "signal": one.signal}
            _result(row, view, reading, start, stop, f"{one.words()}; {one.verdict}")
        return
    cards.summary(reading, concept, table)
    with st.container(key="found"):  # app.css puts the columns below each other on a narrow page
        results, rows = st.columns([11, 9], gap="medium")
    with results:
        for row in table.drop_duplicates(["layer", "unit"]).head(FIRST_RESULTS).to_dict("records"):
            _result(row, view, reading, start, stop, f"{score_words(row)}; {verdict(row)}")
    with rows:
        _table(table, view)
        _separation(table.iloc[0].to_dict(), reading, label, valid)


def _separation(row: dict, reading: data.Reading, label: np.ndarray, valid: np.ndarray) -> None:
    """How the best neuron's values lie inside and outside, and what every threshold would give."""
    if row["metric"] != "auroc":
        return
    neuron = Neuron(int(row["layer"]), int(row["unit"]))
    values = reading.trace(neuron, str(row["signal"]))
    with st.expander(f"How well {neuron} alone tells them apart in this text"):
        theme = cards.theme()
        st.plotly_chart(figures.class_figure(values[valid], label[valid], row["threshold"], theme=theme), key="classes")
        st.plotly_chart(figures.roc_figure(values[valid], label[valid], theme=theme), key="roc")
        cards.quiet(
            "Over the whole text, that on which the neuron was chosen too: how sure it is the held-out score says. A "
            "neuron that tells them apart need not be what the network uses."
        )


def _opens(row: dict, view: state.View, at: int | None) -> state.View:
    neuron = Neuron(int(row["layer"]), int(row["unit"]))
    return replace(view, neuron=neuron, signal=str(row["signal"]), at=at, ask=None)


def _result(
    row: dict, view: state.View, reading: data.Reading, start: int, stop: int, words: str, at: int | None = None
) -> None:
    """One neuron: its name, which leads to Read, what it scores, and how it colours a telling stretch of the text."""
    there = _opens(row, view, start if at is None else at)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        signal = SIGNAL_WORDS.get(str(there.signal), there.signal)
        st.page_link(READ, label=f"**{there.neuron}** {signal} →", query_params=there.to_query())
        st.page_link(NEURON, label="its page", query_params=there.to_query())
        cards.quiet(words)
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
    share.table(table, f"{view.concept}-{view.network}")
    if chosen.selection.rows:
        row = table.iloc[chosen.selection.rows[0]].to_dict()
        st.switch_page(READ, query_params=_opens(row, view, None).to_query())


def _surveyed(name: str, reading: data.Reading) -> Sequence[Finding]:
    """What whole held-out files say about the concept, best first: a short text alone seldom rules out chance."""
    found = cards.survey_of(reading)
    best = found.best(name) if found is not None else None
    if found is not None and best is not None:
        cards.claim(
            f"In {found.n_report_chars:,} held-out characters: {best.neuron}",
            f"{best.words()}; {best.verdict}. {found.corpus}. Below: this text alone.",
        )
        return found.concepts[name]
    return ()


# ------------------------------------------------------------------------------------------- asked of a marked stretch


def _asked(view: state.View, reading: data.Reading) -> None:
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
    cards.claim(
        f"On in “{_shortened(reading.text[mark.start : mark.stop])}” and off around it: {best.layer}:{best.unit}",
        f"{_on_words(best)} Among {best.n_marked:,} marked characters and {best.n_around:,} around them; the best "
        f"neuron for other stretches so long has F1 {best.chance:.2f}. One place shows what a neuron does there, "
        "not what it means: look at it elsewhere.",
    )
    first, last = _around(mark, reading)
    with st.container(key="found"):
        results, rows = st.columns([11, 9], gap="medium")
    with results:
        for row in table.drop_duplicates(["layer", "unit"]).head(FIRST_RESULTS).to_dict("records"):
            _result(row, view, reading, first, last, _on_words(pd.Series(row)), at=mark.start)
    with rows:
        _marked_table(table, view, mark)


def _marked_table(table: pd.DataFrame, view: state.View, mark: state.Mark) -> None:
    shown = table.head(MOST_ROWS).copy()
    shown.insert(0, "neuron", [f"{row.layer}:{row.unit}" for row in shown.itertuples()])
    shown["direction"] = shown["polarity"].map({1: "high", -1: "low"})
    cards.quiet(f"The first {len(shown):,} of {len(table):,} neurons and signals: a row opens the text with it.")
    chosen = st.dataframe(
        shown[list(_MARKED_COLUMNS)], column_config=_MARKED_COLUMNS, hide_index=True, key="here", height=560,
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    if chosen.selection.rows:
        row = table.iloc[chosen.selection.rows[0]].to_dict()
        st.switch_page(READ, query_params=_opens(row, view, mark.start).to_query())


def _elsewhere(table: pd.DataFrame, view: state.View, mark: state.Mark, reading: data.Reading) -> None:
    mine = (table.layer == view.shown.layer) & (table.unit == view.shown.unit) & (table.signal == view.signal)
    row = table[mine]
    if row.empty:
        cards.notes([f"The {view.signal} of {view.neuron} is not recorded for this text: ask with its hidden state."])
        return
    (condition,) = conditions_of(row, 1)
    places = find_places(reading.recording, [condition], mark=(mark.start, mark.stop), n=PLACES)
    cards.claim(
        f"{condition.neuron}, its {SIGNAL_WORDS.get(condition.signal, condition.signal)} at "
        f"{'least' if condition.polarity > 0 else 'most'} {condition.threshold:.2f}: {places.said()}",
        f"{_on_words(row.iloc[0])} That threshold was chosen on the marked stretch; the places most alike come first.",
    )
    _list_places(places, view, reading)


def _list_places(places: Places, view: state.View, reading: data.Reading) -> None:
    trace = reading.trace(view.shown, str(view.signal))
    scale = scale_for(str(view.signal), trace)
    for row in places.table.to_dict("records"):
        there = replace(view, at=row["start"], mark=state.Mark(row["start"], row["stop"]), ask=None)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(READ, label=f"**line {row['line']:,}** →", query_params=there.to_query())
            cards.quiet(f"overlap {row['overlap']:.2f}, {row['length']:,} characters, {row['document']}")
        first, last = _around(state.Mark(row["start"], min(row["stop"], row["start"] + LONGEST)), reading)
        line = reading.text.count("\n", 0, first) + 1
        cards.excerpt(reading.text[first:last], trace[first:last], scale, first_line=line)


def _on_words(row: pd.Series) -> str:
    """How exactly a neuron is on in the mark, in words."""
    signal = SIGNAL_WORDS.get(row.signal, row.signal)
    side = "at least" if row.polarity > 0 else "at most"
    return (
        f"Its {signal} is {side} {row.threshold:.2f} in {row.recall:.0%} of the mark, and "
        f" {row.precision:.0%} of where it is so is marked (F1 {row.f1:.2f})."
    )


def _around(mark: state.Mark, reading: data.Reading) -> tuple[int, int]:
    """The mark with some text on each side, inside its document."""
    document = reading.recording.document_at(mark.start)
    return max(document.start, mark.start - AROUND), min(document.stop, mark.stop + AROUND)


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 40 else words[:37] + "..."


page()
