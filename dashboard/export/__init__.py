"""One HTML file that anybody can open: a text coloured by some neurons, with everything needed to read it inside.

    text, traces, guesses ──► the overlay's message, in base64 ──┐
    overlay/*.js and page.js, which plays Streamlit's part ──────┴──► one file; no network, no server, no Python

Pure: no Streamlit, no networks, no files. What a text, a name or a note says reaches the page as text: in the message's
bytes or escaped, never as markup. A content security policy inside the page forbids it to load anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dashboard.evidence import Survey
from dashboard.overlay import Look, build_payload, javascript, stylesheet
from inspector.concepts import CONCEPTS
from inspector.recording import InspectorError, Neuron

__all__ = ["MOST_BYTES", "MOST_NEURONS", "Known", "page_html", "what_is_known"]

MOST_NEURONS = 60
MOST_BYTES = 25_000_000
_HERE = Path(__file__).parent
# Nobody is there to answer what can be asked about a marked stretch.
_NO_QUESTIONS = ".mark-bar .button:not(:last-child) { display: none; }\n"


class Known(NamedTuple):
    """What is known about a neuron: a few words, and the evidence for them."""

    words: str = ""
    evidence: str = ""


def page_html(
    *,
    text: str,
    traces: Mapping[tuple[Neuron, str], ArrayLike],
    layers: Sequence[tuple[int, Sequence[str]]],
    signal: str,
    title: str,
    source: str = "",
    known: Mapping[Neuron, Known] | None = None,
    loss: ArrayLike | None = None,
    guesses: tuple[Sequence[str], ArrayLike, ArrayLike] | None = None,
    unknown: ArrayLike | None = None,
    documents: Sequence[Any] | None = None,
    at: int | None = None,
    look: Look | None = None,
) -> str:
    """Make the page; write it with `encoding="utf-8"`.

    >>> page = page_html(text=recording.text, traces={(Neuron(1, 42), "cell"): recording.trace("1:42", "cell")},
    ...                  layers=[(512, ("hidden", "cell"))] * 2, signal="cell", title="address_book.py")

    traces : float (n_chars,) by (neuron, signal); the first neuron is shown first, the others are reached by buttons
        and keys. Values are kept in 8 bits: within 1/254 of a trace's largest.
    layers : as for `build_payload`. signal : the one that is shown first.
    title, source : what was read, and by whom.
    known : what to say beside a neuron. A page for teaching leaves it out: then nothing in it tells what to find.
    loss, guesses, unknown, documents, at, look : as for `build_payload`; probabilities of guesses are kept in 16 bits.

    Raises InspectorError for more than 60 neurons, a neuron that lacks a signal the others have, and 25 MB or more.
    """
    neurons = list(dict.fromkeys(neuron for neuron, _ in traces))
    signals = list(dict.fromkeys(name for _, name in traces))
    _check(neurons, signals, traces)
    there = [(units, [name for name in names if name in signals] or list(names)) for units, names in layers]
    kept = look or Look()
    kept = replace(kept, pins=tuple(pin for pin in kept.pins if Neuron.parse(pin) in neurons))
    payload = build_payload(
        text=text, traces=traces, neuron=neurons[0], signal=signal, layers=there, loss=loss,
        guesses=None if guesses is None else (guesses[0], guesses[1], np.asarray(guesses[2], np.float16)),
        unknown=unknown, documents=documents, at=at, look=kept, only=neurons, dtype="int8", jump=0,
        suggested={"all": neurons[:12]} if len(neurons) > 1 else {},
    )  # fmt: skip
    parts = {
        "title": html.escape(title),
        "source": html.escape(source),
        "neurons": "".join(_button(neuron, (known or {}).get(neuron, Known())) for neuron in neurons),
        "payload": base64.b64encode(payload).decode("ascii"),
    }
    page = _assembled(parts)
    if len(page) > MOST_BYTES:
        raise InspectorError(
            f"The page would have {len(page) / 1e6:,.0f} MB, and {MOST_BYTES / 1e6:.0f} MB at most open well in a "
            "browser: take a shorter text, fewer neurons or fewer signals."
        )
    return page


def what_is_known(survey: Survey | None, neurons: Sequence[Neuron]) -> dict[Neuron, Known]:
    """What a survey says about each of the neurons it lists."""
    found = {neuron: survey.about(neuron) for neuron in neurons} if survey is not None else {}
    return {neuron: Known(_title(about[0].concept), about[0].words()) for neuron, about in found.items() if about}


def _title(concept: str) -> str:
    """What a concept is called; the bare name where this program does not know it."""
    return CONCEPTS[concept].title if concept in CONCEPTS else concept


def _check(neurons: list[Neuron], signals: list[str], traces: Mapping[tuple[Neuron, str], ArrayLike]) -> None:
    if not 1 <= len(neurons) <= MOST_NEURONS:
        raise InspectorError(f"{len(neurons)} neurons cannot be put on one page: 1 to {MOST_NEURONS} can.")
    for neuron in neurons:
        if lacking := [name for name in signals if (neuron, name) not in traces]:
            raise InspectorError(f"Neuron {neuron} lacks {', '.join(lacking)}, which other neurons of the page have.")


def _button(neuron: Neuron, known: Known) -> str:
    sentence = ": ".join(part for part in known if part)
    words = f"<span>{html.escape(known.words)}</span>" if known.words else ""
    return f'<button data-neuron="{neuron}" title="{html.escape(sentence)}"><b>{neuron}</b>{words}</button>'


def _assembled(parts: Mapping[str, str]) -> str:
    """The file. Its one script is named by its hash in the policy, so no other can run, whatever the text holds."""
    script = javascript(_HERE / "page.js")
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{seal}'; style-src 'unsafe-inline'; base-uri 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{parts["title"]}: Charscope</title>
<style>
{(_HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header><h1 dir="auto">{parts["title"]}</h1><p dir="auto">{parts["source"]}</p></header>
<nav aria-label="neurons">{parts["neurons"]}</nav>
<main id="overlay"><template shadowrootmode="open"><style>
{stylesheet()}{_NO_QUESTIONS}</style></template></main>
<noscript>This page colours its text with JavaScript, which is switched off here.</noscript>
<script type="application/octet-stream" id="payload">{parts["payload"]}</script>
<script type="module">{script}</script>
</body>
</html>
"""
