"""What can be taken along from a page: the Export popover of Read and the downloads of a table.

Knows which controls there are; what they make is `export`'s and `paper`'s. Files are made when they are asked for: most
readers never open the popover.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, data, state
from dashboard.evidence import FIRST_CONCEPT, Survey, signal_words
from dashboard.export import MOST_BYTES, page_html, what_is_known
from dashboard.palette import DEFAULT, scale_for
from dashboard.paper import COLUMN_MM, FORMATS, MAX_CHARS, MAX_NEURONS, PAGE_MM, Strip, text_figure, write_figure
from inspector.recording import InspectorError, Neuron

FIGURE_LINES = 24  # drawn from the cursor's line on where nothing is marked
_BEST = 12
_WIDTHS = {"a column, 84 mm": COLUMN_MM, "a page, 174 mm": PAGE_MM}
_TYPES = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}


def export(view: state.View, reading: data.Reading, found: Survey | None) -> None:
    """The popover: an HTML file, a figure of the marked stretch, the trace."""
    with st.popover("Export", width="content"):
        neurons = _pick_neurons(view, reading, found)
        signals = [name for name in reading.layers[view.shown.layer][1] if reading.is_recorded(name)]
        is_there = str(view.signal) in signals
        if not is_there:
            cards.quiet(f"The {signal_words(str(view.signal))} is not recorded yet: what is exported waits for it.")
        st.markdown("**A page that needs nothing else**")
        is_small = reading.recording.n_chars * len(neurons) * len(signals) <= MOST_BYTES / 2
        if not is_small:
            cards.quiet("It would hold more than a browser opens: choose fewer neurons, or a shorter text.")
        st.checkbox("without concepts and scores, for others to find out", key="export_quiz", on_change=state.stay)
        quiz = bool(st.session_state.get("export_quiz"))
        _offer(
            "Download the page",
            f"{_stem(reading)}.html",
            "text/html",
            lambda: _page(view, reading, neurons, signals, {} if quiz else what_is_known(found, neurons)),
            disabled=not (is_there and is_small),
        )
        _figure_controls(view, reading, neurons, is_there=is_there)
        st.markdown("**The values**")
        _offer(
            f"{view.neuron} {view.signal} as .npy",
            f"{_stem(reading)}-{view.shown.layer}-{view.shown.unit}-{view.signal}.npy",
            "application/octet-stream",
            lambda: _npy(reading.trace(view.shown, str(view.signal))),
            disabled=not is_there,
        )


def _pick_neurons(view: state.View, reading: data.Reading, found: Survey | None) -> list[Neuron]:
    """This one, those that are pinned, or the best for the concept that is asked about."""
    concept = view.concept or FIRST_CONCEPT
    best = [one.neuron for one in found.concepts.get(concept, ())] if found is not None else []
    choices: dict[str, Sequence[Neuron]] = {f"this one, {view.neuron}": [view.shown]}
    if view.pins:
        choices[f"it and the {len(view.pins)} pinned"] = [view.shown, *view.pins]
    if best:
        choices[f"the best for “{data.concept_title(concept)}”"] = best[:_BEST]
    names = list(choices)
    if st.session_state.get("export_neurons") not in names:
        st.session_state["export_neurons"] = names[0]
    st.radio("Which neurons?", names, key="export_neurons", format_func=cards.plain, on_change=state.stay)
    chosen = choices[st.session_state["export_neurons"]]
    return [one for one in dict.fromkeys(chosen) if state.exists(one, reading.layers)]


def _page(view: state.View, reading: data.Reading, neurons: list[Neuron], signals: list[str], known: dict) -> bytes:
    recording = reading.recording
    there = {(one, name): reading.trace(one, name) for one in neurons for name in signals}
    network = reading.network
    return page_html(
        text=reading.text,
        traces=there,
        layers=reading.layers,
        signal=str(view.signal),
        title=reading.title,
        source=f"{recording.n_chars:,} characters"
        + (f", read by {network.name}: {network.summary()}" if network else ""),
        known=known,
        loss=recording.loss,
        guesses=reading.guesses(),
        unknown=recording.unknown,
        documents=recording.documents,
        at=view.at,
        look=cards.look(view),
    ).encode()


def _figure_controls(view: state.View, reading: data.Reading, neurons: list[Neuron], *, is_there: bool) -> None:
    start, stop = figure_stretch(view, reading.text)
    st.markdown("**A figure for print**")
    what = "the marked stretch" if view.mark is not None else f"up to {FIGURE_LINES} lines from the cursor on"
    cards.quiet(f"{what}, {stop - start:,} characters" + ("" if view.mark else "; mark a stretch to choose another"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("width", list(_WIDTHS), key="export_width", width=180, on_change=state.stay)
        st.selectbox("format", FORMATS, key="export_format", width=90, on_change=state.stay)
    form = str(st.session_state.get("export_format", FORMATS[0]))
    width = _WIDTHS[st.session_state.get("export_width", next(iter(_WIDTHS)))]
    chosen = neurons[:MAX_NEURONS]
    too_long = stop - start > MAX_CHARS
    if too_long:
        cards.quiet(f"At most {MAX_CHARS:,} characters fit in one figure.")
    _offer(
        "Download the figure",
        f"{_stem(reading)}.{form}",
        _TYPES[form],
        lambda: _figure(view, reading, chosen, (start, stop), width, form),
        disabled=too_long or not is_there,
    )


def figure_stretch(view: state.View, text: str) -> tuple[int, int]:
    """What a figure shows: the mark, or some whole lines from the one with the cursor on.

    Far inside a line too long for a figure, it begins a little before the cursor.
    """
    if view.mark is not None:
        return view.mark.start, view.mark.stop
    at = view.at or 0
    start = stop = text.rfind("\n", 0, at) + 1
    for _ in range(FIGURE_LINES):
        end = text.find("\n", stop)
        stop = len(text) if end < 0 else end + 1
        if end < 0:
            break
    if stop <= start:  # the cursor stands behind the last newline
        start = text.rfind("\n", 0, max(start - 1, 0)) + 1
    if at >= start + MAX_CHARS:
        start = at - MAX_CHARS // 10
    return start, min(stop, start + MAX_CHARS)


def _figure(
    view: state.View, reading: data.Reading, neurons: list[Neuron], stretch: tuple[int, int], width: float, form: str
) -> bytes:
    signal, palette = str(view.signal), view.palette or DEFAULT
    traces = [(one, reading.trace(one, signal)) for one in neurons if signal in reading.layers[one.layer][1]]
    strips = [Strip(f"{one} {signal}", trace, scale_for(signal, trace)) for one, trace in traces]
    start, stop = stretch
    figure = text_figure(
        reading.text, strips, start=start, stop=stop, width_mm=width, palette=palette, tab_width=view.tab or 4
    )
    file = io.BytesIO()
    write_figure(figure, file, form)
    return file.getvalue()


def table(frame: pd.DataFrame, name: str) -> None:
    """Downloads of a whole table: CSV, Parquet, JSON."""
    forms: dict[str, tuple[str, Callable[[], bytes]]] = {
        "CSV": ("text/csv", lambda: frame.to_csv(index=False).encode()),
        "Parquet": ("application/vnd.apache.parquet", lambda: _parquet(frame)),
        "JSON": ("application/json", lambda: _json(frame)),
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        cards.quiet("All rows as", width="content")
        for form, (kind, make) in forms.items():
            _offer(form, f"{_safe(name)}.{form.lower()}", kind, make)


def _json(frame: pd.DataFrame) -> bytes:
    """A list of rows with every digit; null where there is no number, or none that JSON can write."""

    def written(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    rows = [{name: written(value) for name, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _offer(words: str, name: str, kind: str, make: Callable[[], bytes], *, disabled: bool = False) -> None:
    def made() -> bytes:
        try:
            return make()
        except InspectorError as error:  # the click is over: the sentence is what is downloaded
            return str(error).encode()

    st.download_button(
        cards.plain(words), made, name, kind, key=f"offer {name} {words}", on_click="ignore", disabled=disabled
    )


def _stem(reading: data.Reading) -> str:
    return _safe(reading.title)


def _safe(name: str) -> str:
    """A file name any system takes."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "charscope"
