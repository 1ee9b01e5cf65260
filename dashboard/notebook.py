"""Coloured text and rankings that show themselves in a notebook: static HTML, no scripts, nothing loaded.

    show(recording, "1:42", "cell")     the text in the overlay's colours
    ranking(table)                      what rank_neurons returned, as words and numbers

Letters, names and scores are escaped; what is too long is cut, with a note that says so. Knows no Streamlit.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd

from dashboard.evidence import score_words, signal_words
from dashboard.palette import DEFAULT, check_palette, colour_index, ink, lut, scale_for
from inspector.recording import InspectorError, Neuron, Recording
from inspector.search import verdict

MOST_CHARS = 2_000
MOST_ROWS = 20

_TEXT = "font:13px/1.55 ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere;"
_PAPER = "background:#fff;color:#0c0e13;padding:6px 8px;"


def show(
    recording: Recording,
    neuron: Neuron | str,
    signal: str | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    palette: str = DEFAULT,
) -> ColouredText:
    """A text coloured by one neuron; the last line of a cell shows it.

    >>> show(recording, "1:42", "cell", start=200, stop=800)

    signal : `hidden`, or the first one recorded, when left out.
    start, stop : which characters; of a longer stretch the first 2,000 are shown.

    Raises InspectorError for a neuron, signal, palette or stretch that does not exist.
    """
    neuron, signal = recording.check_neuron(neuron, signal)
    stop = recording.n_chars if stop is None else stop
    check_palette(palette)
    if not 0 <= start < stop <= recording.n_chars:
        raise InspectorError(
            f"There is nothing from {start:,} to {stop:,} to show: the text has characters 0 to {recording.n_chars:,}."
        )
    trace = recording.trace(neuron, signal)
    scale = scale_for(signal, trace)
    shown = min(stop, start + MOST_CHARS)
    caption = f"{neuron} {signal_words(signal)}, {scale.low:.3g} to {scale.high:.3g}"
    colours = colour_index(trace[start:shown], scale)
    return ColouredText(recording.text[start:shown], colours, scale.kind, palette, caption, stop - shown)


def ranking(table: pd.DataFrame) -> RankedNeurons:
    """What `rank_neurons` returned, best first, with each verdict in words; the first 20 rows are shown."""
    return RankedNeurons(table)


@dataclass(frozen=True, eq=False)
class ColouredText:
    """A stretch of text with the colour-table entry of each character; -1 where there is no value."""

    text: str
    entries: np.ndarray
    kind: str
    palette: str
    caption: str
    n_hidden: int = 0

    def __repr__(self) -> str:
        return f"<{self.caption}: {self.text[:60]!r}>"

    def _repr_html_(self) -> str:
        runs = groupby(zip(self.entries.tolist(), self.text, strict=True), key=lambda pair: pair[0])
        spans = "".join(self._span(entry, "".join(letter for _, letter in some)) for entry, some in runs)
        more = _more(self.n_hidden, "characters")
        return f"<div>{_small(self.caption)}<div style='{_TEXT}{_PAPER}'>{spans}</div>{more}</div>"

    def _span(self, entry: int, letters: str) -> str:
        shown = html.escape(letters.replace("\n", "↵\n").replace("\0", "␀"))
        if entry < 0:
            return shown
        paint, letter = (table(self.palette, self.kind)[entry].tolist() for table in (lut, ink))  # type: ignore[arg-type]
        return f"<span style='background:rgb{tuple(paint)};color:rgb{tuple(letter)}'>{shown}</span>"


@dataclass(frozen=True, eq=False)
class RankedNeurons:
    """A ranking of neurons."""

    table: pd.DataFrame

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        rows = [_cells(row) for row in self.table.head(MOST_ROWS).to_dict("records")]
        head = "".join(
            f"<th style='text-align:left'>{name}</th>" for name in ("neuron", "signal", "what it does", "verdict")
        )
        n_hidden = len(self.table) - len(rows)
        return f"<div><table><tr>{head}</tr>{''.join(rows)}</table>{_more(n_hidden, 'rows')}</div>"


def _cells(row: dict) -> str:
    words = (f"{row['layer']}:{row['unit']}", str(row["signal"]), score_words(row), verdict(row))
    return "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(word)}</td>" for word in words) + "</tr>"


def _small(words: str) -> str:
    return f"<div style='font-size:12px;opacity:.75'>{html.escape(words)}</div>"


def _more(n_hidden: int, what: str) -> str:
    return _small(f"and {n_hidden:,} more {what}") if n_hidden > 0 else ""
