"""The overlay as a part of a Streamlit page: registered once, mounted with a message, heard when the reader settles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.overlay import javascript, stylesheet

_mount = st.components.v2.component("charscope_overlay", js=javascript(), css=stylesheet())


def overlay(
    payload: bytes, *, key: str, height: int | None = None, on_change: Callable[[], None] | None = None
) -> dict[str, Any] | None:
    """Show a payload and return the view the reader last settled on.

    >>> view = overlay(build_payload(...), key="read", on_change=remember_view)
    >>> view
    {'neuron': '1:43', 'signal': 'cell', 'at': 1290, 'look': {...}, 'ask': None, 'lacks': 0, 'alone': False}

    payload : from `build_payload`. A new one with the same text keeps scroll and cursor.
    height : of the whole component, in CSS pixels; None leaves it to the payload, whose `fills` says so.
    look : of the view, names the parts of `Look`. ask : "here" or "elsewhere", a question about the marked stretch.
    lacks : grows when something could not be fetched; alone : whether `serve.py` cannot be reached, so that every
        message has to bring everything along.
    on_change : called before the rerun that a new view causes; `st.session_state[key]["view"]` then holds it. Act on
        changes there: the returned value stays what the *browser* last chose, also after Python chose another neuron.

    Returns None until the reader has moved anything.
    """
    if type(payload) is not bytes:  # anything else would silently arrive as its repr
        raise TypeError(f"the overlay takes the bytes of build_payload, not {type(payload).__name__}")
    result = _mount(key=key, data=payload, height=height or "content", on_view_change=on_change or _ignore)
    view = result.get("view")
    return dict(view) if view is not None else None


def _ignore() -> None:
    """Streamlit keeps a state value only where a callback is named."""
