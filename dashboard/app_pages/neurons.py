"""Neurons: every neuron of a network in one table, and on a map where those lie close that go up and down together."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import cards, data, pickers, state
from dashboard.figures import NOTHING, map_figure
from dashboard.findings import Findings
from inspector.recording import InspectorError, Neuron

NEURON = "app_pages/neuron.py"

_number, _words = st.column_config.NumberColumn, st.column_config.TextColumn
_COLUMNS = {
    "neuron": _words("neuron", width=60),
    "histogram": st.column_config.BarChartColumn("values", width=110, help="the hidden state, lowest to highest"),
    "title": _words("best concept", width=190),
    "score": _number("score", format="%.2f", width=55, help="on files that had no part in choosing concept or neuron"),
    "baseline": _number("chance", format="%.2f", width=60, help="what a neuron that knows nothing scores"),
    "twin_score": _number("untrained", format="%.2f", width=75, help="the best neuron of an untrained network"),
    "verdict": _words("verdict", width=120),
    "formula": _words("formula", width=260, help="of concepts, by `inspector explain`: when the neuron is on"),
    "kurtosis": _number("peaked", format="%.1f", width=65, help="excess kurtosis: large where it is rarely active"),
    "half_life": _number("half-life", format="%.1f", width=75, help="characters, from the median of the keeping gate"),
    "open_share": _number("keeps", format="percent", width=60, help="share of time its keeping gate is above .9"),
    "shut_share": _number("drops", format="percent", width=60, help="share of time its keeping gate is below .1"),
}


def page() -> None:
    """Draw the page."""
    view = state.current()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = pickers.pick_network(view)
        filters = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    state.settle(view)
    found = cards.findings_of(view)
    if found is None:
        return
    neurons = _named(found)
    with filters:
        shown = _filtered(neurons)
    explained = int((neurons.group != NOTHING).sum())
    cards.claim(
        f"{len(neurons):,} neurons, {explained:,} of them with a concept that they clearly follow",
        "held-out score, chance and untrained twin beside each; a row or a point opens the neuron's page",
    )
    with st.container(key="neuron"):
        rows, where = st.columns([13, 8], gap="medium")
    with rows:
        _table(shown, view)
    with where:
        _map(neurons if shown.empty else shown, view)


def _named(found: Findings) -> pd.DataFrame:
    """The overview with what a person calls things: neuron, title and group of its concept, what the hover says."""
    table = found.overview.copy()
    table["neuron"] = [f"{layer}:{unit}" for layer, unit in zip(table.layer, table.unit, strict=True)]
    titles = {name: data.concept_title(name) for name in table.concept.dropna().unique()}
    table["title"] = table.concept.map(titles)
    is_clear = table.verdict.isin(("strong", "clear"))
    table["group"] = table.concept.map(_group).where(is_clear, NOTHING)
    table["said"] = [f"{title}, {score:.2f}" for title, score in zip(table.title, table.score, strict=True)]
    return table.sort_values("skill", ascending=False, kind="stable", ignore_index=True)


def _group(concept: str) -> str:
    try:
        return data.concept_called(concept).group
    except InspectorError:  # a survey may know concepts that this program does not
        return "others"


def _filtered(neurons: pd.DataFrame) -> pd.DataFrame:
    layers = sorted(neurons.layer.unique().tolist())
    titles = sorted(neurons.title.dropna().unique())
    layer = st.selectbox("layer", layers, key="only_layer", index=None, placeholder="all", width=100)
    title = st.selectbox("best concept", titles, key="only_concept", index=None, placeholder="any", width=230)
    least = st.number_input("score at least", 0.0, 1.0, 0.0, 0.05, key="least_score", width=130)
    keep = neurons.score.fillna(0) >= least
    keep &= (neurons.layer == layer) | (layer is None)
    keep &= (neurons.title == title) | (title is None)
    return neurons[keep].reset_index(drop=True)


def _table(shown: pd.DataFrame, view: state.View) -> None:
    columns = {name: column for name, column in _COLUMNS.items() if shown.empty or shown[name].notna().any()}
    cards.quiet(f"{len(shown):,} shown, best explained first; a click on a column's name sorts by it.")
    chosen = st.dataframe(
        shown[list(columns)], column_config=columns, hide_index=True, key="neurons", height=560,
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    if chosen.selection.rows:
        _open(str(shown.neuron[chosen.selection.rows[0]]), view)


def _map(shown: pd.DataFrame, view: state.View) -> None:
    cards.quiet("Neurons whose hidden states go up and down together lie close; those that go against lie opposite.")
    figure = map_figure(shown, chosen=view.neuron, theme=cards.theme())
    if (neuron := cards.clicked(figure, key="map")) is not None:
        _open(neuron, view)


def _open(neuron: str, view: state.View) -> None:
    there = replace(view, neuron=Neuron.parse(neuron), signal=None, at=None)
    st.switch_page(NEURON, query_params=there.to_query())


page()
