"""The button that copies a view's address; it stands on every page.

The address is the browser's own, so it is that of the view as it is now, moves inside the overlay included.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "charscope_link",
    js=(_HERE / "link.js").read_text(encoding="utf-8"),
    css=(_HERE / "link.css").read_text(encoding="utf-8"),
)


def copy_link() -> None:
    """Draw the button."""
    _mount(key="copy_link", data=None, width="content", height="content")
