"""The picture of a recurrent cell: what each gate does to one neuron at one character, stepped along a text.

    traces of one neuron, label ──► message ──► strip · picture · steps ──► {"at": position} ──► Python

Python packs the neuron's values; the browser draws them, says each step in words, and owns the position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike

from dashboard import palette as colours
from dashboard.overlay import join_modules
from dashboard.overlay.payload import Section, colour_sections, pack, text_sections, utf8
from inspector.recording import InspectorError

__all__ = ["build_message", "cell", "javascript"]

WINDOW = 12_000  # characters sent around the position; the reader steps, so that many are not run through
_HERE = Path(__file__).parent
_OVERLAY = _HERE.parent / "overlay"
_PARTS = (
    _OVERLAY / "words.js",
    _OVERLAY / "payload.js",
    _OVERLAY / "colour.js",
    _HERE / "steps.js",
    _HERE / "picture.js",
    _HERE / "strip.js",
    _HERE / "cell.js",
)


def build_message(
    *,
    text: str,
    kind: str,
    traces: Mapping[str, ArrayLike],
    signal: str,
    at: int = 0,
    jump: int = 0,
    palette: str = colours.DEFAULT,
    label: ArrayLike | None = None,
    concept: str | None = None,
    starts: Sequence[int] = (),
    guesses: tuple[Sequence[str], ArrayLike, ArrayLike] | None = None,
) -> bytes:
    """Pack one neuron's values around a position.

    kind : lstm, gru or rnn: which picture is drawn.
    traces : every signal of the neuron, float32 (n_chars,) each. `signal` is the one that colours the letters.
    label, concept : bool (n_chars,) and what it is called: where it begins and ends is said.
    starts : where documents start, and with them the state from zero.
    guesses : (symbols, ids (n_chars, k), probabilities (n_chars, k)): what was expected after each character.

    Raises InspectorError where arrays and text do not fit together.
    """
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in traces.items()}
    for name, values in arrays.items():
        if values.shape != (len(text),):
            raise InspectorError(f"The {name} has shape {values.shape}; the text has {len(text):,} characters.")
    if signal not in arrays:
        raise InspectorError(f"There is no {signal} to colour the letters by: there are {', '.join(arrays)}.")
    first = max(0, min(at - WINDOW // 2, len(text) - WINDOW))
    part = slice(first, first + WINDOW)
    content = utf8(text[part])
    sections = [*colour_sections(), *text_sections(content, text[part], None)]
    sections += [Section(f"trace/{name}", "float32", values[part]) for name, values in arrays.items()]
    if label is not None:
        sections.append(Section("label", "uint8", np.asarray(label, dtype=bool)[part].astype(np.uint8)))
    if guesses is not None:
        sections.append(Section("guess/ids", "uint16", np.asarray(guesses[1])[part, 0].astype(np.uint16)))
        sections.append(Section("guess/probabilities", "float32", np.asarray(guesses[2], np.float32)[part, 0]))
    header = {
        "kind": kind,
        "key": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "chars": len(text),
        "offset": first,
        "signals": list(arrays),
        "signal": signal,
        "reach": float(colours.scale_for("cell", arrays["cell"]).high) if "cell" in arrays else 1.0,
        "at": int(at),
        "jump": int(jump),
        "palette": palette,
        "concept": concept,
        "starts": [int(start) for start in starts],
        "symbols": list(guesses[0]) if guesses is not None else [],
    }
    return pack(header, sections)


def javascript() -> str:
    """The component's one module."""
    return join_modules(_PARTS)


_mount = st.components.v2.component(
    "charscope_cell",
    html="<div data-gates></div>",
    js=javascript(),
    css=(_HERE / "cell.css").read_text(encoding="utf-8"),
)


def cell(message: bytes, *, key: str, on_change: Callable[[], None]) -> None:
    """Show a message of `build_message`.

    on_change : called before the rerun that a new position causes; `st.session_state[key]["at"]` then holds it.
    """
    if type(message) is not bytes:  # anything else would silently arrive as its repr
        raise TypeError(f"the picture takes the bytes of build_message, not {type(message).__name__}")
    _mount(key=key, data=message, on_at_change=on_change)


def position(state: Mapping[str, Any], key: str) -> int | None:
    """Where the reader last settled, out of the session's state."""
    at = (state.get(key) or {}).get("at")
    return None if at is None else int(at)
