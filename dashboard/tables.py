"""Tables of neurons: what each column is called and means, in one place, and a table in which a row can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.evidence import brief, digits_of, direction_word
from inspector.recording import Neuron
from inspector.search import verdict

_SCORE = (
    "on text that had no part in choosing the neuron. Yes or no: AUROC, how often the neuron is on the right side when "
    "one character where it holds is compared with one where it does not. How much: the correlation"
)
_VERDICT = (
    "strong from AUROC .97 or correlation .90, clear from .90 or .75. May be chance: this text is too short to rule it "
    "out. Untrained too: a network that learned nothing has a neuron as good"
)
_ROW, _MOST_ROWS = 33, 10.3  # pixels of a row, and rows in sight: a part of one says that there are more
_MEASURES = {"auroc": "AUROC", "correlation": "r"}
_number, _words = st.column_config.NumberColumn, st.column_config.TextColumn
COLUMNS = {
    "title": _words("concept", width=186),
    "neuron": _words("neuron", width=60),
    "note": _words("note", width=110, help="what somebody wrote about the neuron"),
    "histogram": st.column_config.BarChartColumn("values", width=110, help="the hidden state, lowest to highest"),
    "signal": _words("signal", width=60),
    "direction": _words("is", width=55, help="high or low where it holds; rising or falling as a number grows"),
    "score": _number("score", format="%.3f", width=60, help=_SCORE),
    "baseline": _number("chance", format="%.2f", width=55, help="what a neuron that knows nothing scores"),
    "twin_score": _number("untrained", format="%.3f", width=75, help="the best neuron of an untrained network"),
    "q_value": _number("q", format="%.1e", width=72, help="share of chance finds among the rows up to this one"),
    "metric": _words("measure", width=65, help="r is Pearson's correlation"),
    "verdict": _words("verdict", width=152, help=_VERDICT),
    "found_in": _words("ranked by", width=85, help="the survey's held-out files, or this text"),
    "description": _words("what it means", width=420),
    "formula": _words("formula", width=260, help="by `inspector explain`: when the neuron is on, or what it follows"),
    "kurtosis": _number("peaked", format="%.1f", width=65, help="excess kurtosis: large where it is rarely active"),
    "half_life": _number("half-life", format="%.1f", width=75, help="characters, from the median of the keeping gate"),
    "open_share": _number("keeps", format="percent", width=60, help="share of time its keeping gate is above .9"),
    "shut_share": _number("drops", format="percent", width=60, help="share of time its keeping gate is below .1"),
    "f1": _number("F1", format="%.3f", width=60, help="on exactly in the mark and off around it: 1 is perfect"),
    "precision": _number("precision", format="%.2f", width=70, help="how much of where it is on is marked"),
    "recall": _number("recall", format="%.2f", width=60, help="in how much of the mark it is on"),
    "threshold": _number("threshold", format="%.3f", width=75, help="of this place: the best F1"),
    "network": _words("network", width=110),
    "architecture": _words("architecture", width=110),
    "bits": _number("bits/char", format="%.2f", width=75, help="what it pays for a character of held-out text"),
    "n_told": _number("concepts told", format="%d", width=100, help="surveyed concepts that a neuron clearly follows"),
    "n_asked": _number("surveyed", format="%d", width=75, help="concepts that were surveyed"),
    "n_snapshots": _number("snapshots", format="%d", width=80, help="kept of its training"),
    "corpus": _words("learned from", width=420),
    "contrast": _number("contrast", format="%.2f", width=70, help="inside less around, in standard deviations"),
}


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """What the columns of a table are called, with scores written so that none looks perfect that is not."""
    if "score" not in table:
        return COLUMNS
    digits = digits_of(table["score"].dropna(), 3)
    return COLUMNS | {"score": _number("score", format=f"%.{digits}f", width=60 + 8 * (digits - 3), help=_SCORE)}


def named(table: pd.DataFrame, notes: Mapping[Neuron, str]) -> pd.DataFrame:
    """A ranking with what a person calls things: neuron, high or low, verdict, and the note where there is one."""
    neurons = [Neuron(int(layer), int(unit)) for layer, unit in zip(table.layer, table.unit, strict=True)]
    more = {"neuron": list(map(str, neurons)), "note": [notes.get(neuron) for neuron in neurons]}
    if "polarity" in table:
        metrics = table.metric if "metric" in table else ["auroc"] * len(table)
        more["direction"] = [direction_word(*pair) for pair in zip(table.polarity, metrics, strict=True)]
    if "metric" in table and "verdict" not in table:
        more["verdict"] = [verdict(row) for row in table.to_dict("records")]
    if "verdict" in (named := table.assign(**more)):
        named["verdict"] = named["verdict"].map(brief, na_action="ignore")
    return named


def draw(
    table: pd.DataFrame, names: Sequence[str], *, key: str, height: int | None = None,
    choose: Callable[[int], None] | None = None,
) -> int | None:  # fmt: skip
    """A table with those of the columns in which something stands, its measures in words; the row that is chosen.

    height : in pixels; None is as high as its rows, up to ten of them. Either is kept free while the table loads, so
        that nothing below moves under the mouse. choose : called with the row before the page runs again, where a click
        changes the address.
    """
    height = height or round(_ROW * (1 + min(len(table), _MOST_ROWS))) + 2
    shown = table[[name for name in names if table.empty or table[name].notna().any()]]
    if "metric" in shown:
        shown = shown.assign(metric=shown.metric.replace(_MEASURES))
    for name, digits in (("baseline", 2), ("twin_score", 3)):
        if name in shown:  # a little below nothing would be written "-0.00"
            shown = shown.assign(**{name: shown[name].round(digits) + 0.0})

    def clicked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and choose is not None:
            choose(int(rows[0]))

    drawn = st.dataframe(
        shown, column_config=columns(table), hide_index=True, key=key,
        height=height, selection_mode="single-row",
        on_select="rerun" if choose is None else clicked, placeholder="",
    )  # fmt: skip
    rows = drawn.selection.rows
    return int(rows[0]) if rows else None
