"""The one browser component: text coloured by a neuron.

Python's side knows how to pack a message (`payload.py`), how to join the JavaScript files, and how to mount them. What
must be instant (colour, cursor, scroll, hover) lives in the browser; Python hears of it once it has settled.

    payload ──► decoded, laid out, coloured ──► rows · bar · map · panel ──► {"neuron", "signal", "at", ...} ──► Python
       serve.py ──► another neuron ──┘
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.overlay.payload import Look, build_payload

__all__ = ["Look", "build_payload", "javascript", "join_modules", "overlay"]

_HERE = Path(__file__).parent
# Each file uses only files above it; the last one holds the default export.
_PARTS = (
    "words.js",
    "payload.js",
    "colour.js",
    "layout.js",
    "view.js",
    "source.js",
    "rows.js",
    "bar.js",
    "map.js",
    "files.js",
    "panel.js",
    "prompt.js",
    "editor.js",
    "frame.js",
    "page.js",
    "reader.js",
    "input.js",
    "overlay.js",
)
_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def javascript() -> str:
    """The component's one module."""
    return join_modules([_HERE / name for name in _PARTS])


def join_modules(paths: Sequence[Path]) -> str:
    """Join JavaScript files into the one module that Streamlit serves: imports between them go, names stay.

    The parts are ordinary modules, so that each can be tested alone; Streamlit takes a single source text. Each may use
    only what stands above it, and the last one holds the default export.
    """
    sources = [path.read_text(encoding="utf-8") for path in paths]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)


_mount = st.components.v2.component(
    "charscope_overlay", js=javascript(), css=(_HERE / "overlay.css").read_text(encoding="utf-8")
)


def overlay(
    payload: bytes, *, key: str, height: int = 640, on_change: Callable[[], None] | None = None
) -> dict[str, Any] | None:
    """Show a payload and return the view the reader last settled on.

    >>> view = overlay(build_payload(...), key="read", on_change=remember_view)
    >>> view
    {'neuron': '1:43', 'signal': 'cell', 'at': 1290, 'look': {...}, 'ask': None, 'lacks': 0, 'alone': False}

    payload : from `build_payload`. A new one with the same text keeps scroll and cursor.
    height : of the whole component, in CSS pixels.
    look : of the view, names the parts of `Look`. ask : "here" or "elsewhere", a question about the marked stretch.
    lacks : grows when something could not be fetched; alone : whether `serve.py` cannot be reached, so that every
        message has to bring everything along.
    on_change : called before the rerun that a new view causes; `st.session_state[key]["view"]` then holds it. Act on
        changes there: the returned value stays what the *browser* last chose, also after Python chose another neuron.

    Returns None until the reader has moved anything.
    """
    if type(payload) is not bytes:  # anything else would silently arrive as its repr
        raise TypeError(f"the overlay takes the bytes of build_payload, not {type(payload).__name__}")
    result = _mount(key=key, data=payload, height=height, on_view_change=on_change or _ignore)
    view = result.get("view")
    return dict(view) if view is not None else None


def _ignore() -> None:
    """Streamlit keeps a state value only where a callback is named."""
