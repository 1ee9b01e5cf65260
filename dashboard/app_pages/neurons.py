"""Neurons: every neuron of a network in one table, and on a map where those lie close that go up and down together.

Which are listed and in which order stands in the address.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import cards, data, notes, pickers, share, state, tables
from dashboard.evidence import two_digits
from dashboard.figures import NOTHING, map_figure
from dashboard.findings import CLEAR, Findings
from inspector.recording import InspectorError, Neuron

NEURON = "app_pages/neuron.py"
_COLUMNS = (
    "neuron", "note", "histogram", "title", "score", "baseline", "twin_score", "metric", "verdict", "formula",
    "kurtosis", "half_life", "open_share", "shut_share",
)  # fmt: skip
# order in the address -> (in words, columns, whether the smallest comes first)
_ORDERS = {
    "explained": ("best explained", ["skill"], False),
    "score": ("highest score", ["score"], False),
    "peaked": ("most peaked", ["kurtosis"], False),
    "half-life": ("longest memory", ["half_life"], False),
    "number": ("layer and unit", ["layer", "unit"], True),
}


def page() -> None:
    """Draw the page."""
    view = state.current()
    with pickers.bar():
        view = pickers.pick_network(view)
        filters = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    state.settle(view)
    found = cards.findings_of(view)
    if found is None:
        return
    neurons = _named(found, data.network(str(view.network)))
    with filters:
        view = _filters(neurons, view)
    state.settle(view)
    shown = _listed(neurons, view)
    _count(neurons, found)
    cards.notes(sentence for name, sentence in found.lost.items() if name != "passages")
    with st.container(key="neuron"):
        rows, where = st.columns([13, 8], gap="medium")
    with rows:
        _table(shown, view)
    with where:
        if not shown.empty and "correlations" not in found.lost:
            _map(shown, view)


def _count(neurons: pd.DataFrame, found: Findings) -> None:
    """How many neurons there are, and how many of them are told."""
    way = "a row or a point opens the neuron's page"
    if "scores" in found.lost:
        cards.claim(f"{len(neurons):,} neurons", way)
        return
    explained = int((neurons.group != NOTHING).sum())
    cards.claim(
        f"{len(neurons):,} neurons, {explained:,} of them with a concept that they clearly follow",
        f"held-out score, chance and untrained twin beside each; {way}",
    )


def _named(found: Findings, kept: data.Network) -> pd.DataFrame:
    """The overview with what people call things: neuron, note, the concept's title and group, what a hover says."""
    table = tables.named(found.overview, notes.titles(kept.hash))
    titles = {name: data.concept_title(name) for name in table.concept.dropna().unique()}
    table["title"] = table.concept.map(titles)
    is_clear = table.verdict.isin(CLEAR)
    table["group"] = table.concept.map(_group, na_action="ignore").where(is_clear, NOTHING)
    table["said"] = [
        "not ranked" if pd.isna(score) else f"{title}, {two_digits(score)}"
        for title, score in zip(table.title, table.score, strict=True)
    ]
    return table


def _group(concept: str) -> str:
    try:
        return data.concept_called(concept).group
    except InspectorError:  # a survey may know concepts that this program does not
        return "others"


def _filters(neurons: pd.DataFrame, view: state.View) -> state.View:
    """The controls of what is listed; the view comes back with filters that exist here."""
    layers = sorted(map(int, neurons.layer.unique()))
    titles = dict(sorted(neurons[["concept", "title"]].dropna().itertuples(index=False), key=lambda pair: pair[1]))
    if view.layer is not None and view.layer not in layers:
        state.note(f"There is no layer {view.layer}: this network has {', '.join(map(str, layers))}. All are listed.")
        view = replace(view, layer=None)
    if view.only is not None and view.only not in titles:
        state.note(f"“{data.concept_title(view.only)}” is no neuron's best concept here. All are listed.")
        view = replace(view, only=None)
    st.session_state.update(
        {
            "only_layer": view.layer,
            "only_concept": view.only,
            "least_score": view.least,
            "word": view.word or "",
            "order": view.order,
        }
    )
    # Streamlit draws the cross that takes a choice away only where none is made at first: index=None.
    st.selectbox("layer", layers, None, key="only_layer", placeholder="all", width=100, on_change=_take)
    st.selectbox(
        "best concept", list(titles), None, key="only_concept", placeholder="any", width=230,
        format_func=lambda name: titles.get(name, name), on_change=_take,
    )  # fmt: skip
    st.number_input(
        "score at least", 0.0, 1.0, None, 0.05, key="least_score", placeholder="any", width=150, on_change=_take
    )
    st.text_input(
        "search", key="word", placeholder="concept, formula, note", width=190, max_chars=state.LONGEST_WORD,
        on_change=_take,
    )  # fmt: skip
    st.selectbox(
        "sort by", list(_ORDERS), None, key="order", placeholder=_ORDERS["explained"][0], width=170,
        format_func=lambda order: _ORDERS[order][0], on_change=_take,
    )  # fmt: skip
    return view


def _take() -> None:
    parts = {"layer": "only_layer", "only": "only_concept", "least": "least_score", "order": "order"}
    word = " ".join(st.session_state["word"].split())
    state.go(word=word or None, **{part: st.session_state[key] for part, key in parts.items()})


def _listed(neurons: pd.DataFrame, view: state.View) -> pd.DataFrame:
    """Those that the view asks for, in its order; what has no value in that column comes last."""
    keep = pd.Series(True, neurons.index)
    if view.layer is not None:
        keep &= neurons.layer == view.layer
    if view.only is not None:
        keep &= neurons.concept == view.only
    if view.least is not None:
        keep &= neurons.score >= view.least
    if view.word is not None:
        said = neurons[["title", "formula", "note"]].astype(object).fillna("").agg(" · ".join, axis=1)
        keep &= said.str.casefold().str.contains(view.word.casefold(), regex=False)
    _, columns, ascending = _ORDERS[view.order or "explained"]
    return neurons[keep].sort_values(columns, ascending=ascending, kind="stable", ignore_index=True)


def _table(shown: pd.DataFrame, view: state.View) -> None:
    if shown.empty:
        cards.sentence("No neuron meets all of these: take a filter away, or ask for a lower score.")
        return
    cards.quiet(f"{len(shown):,} shown, {_ORDERS[view.order or 'explained'][0]} first.")
    chosen = tables.draw(shown, _COLUMNS, key=f"neurons {view.to_query()}", height=560)
    share.table(shown.drop(columns=["histogram", "said"]), f"neurons-{view.network}")
    if chosen is not None:
        _open(str(shown.neuron[chosen]), view)


def _map(shown: pd.DataFrame, view: state.View) -> None:
    cards.quiet("Neurons whose hidden states go up and down together lie close; those that go against lie opposite.")
    figure = map_figure(shown, chosen=view.neuron, theme=cards.theme())
    if (neuron := cards.clicked(figure, key="map")) is not None:
        _open(neuron, view)


def _open(neuron: str, view: state.View) -> None:
    there = replace(view, neuron=Neuron.parse(neuron), signal=None, at=None)
    st.switch_page(NEURON, query_params=there.to_query())


page()
