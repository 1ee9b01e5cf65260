"""The one browser component: text coloured by a neuron.

Python's side knows how to pack a message (`payload.py`), how to join the JavaScript files, and how to mount them
(`mount.py`; it and `serve.py` alone know Streamlit: an exported page does without them). What must be instant (colour,
cursor, scroll, hover) lives in the browser; Python hears of it once it has settled.

    payload ──► decoded, laid out, coloured ──► rows · bar · map · panel ──► {"neuron", "signal", "at", ...} ──► Python
       serve.py ──► another neuron ──┘
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dashboard.overlay.payload import Look, build_payload

__all__ = ["Look", "build_payload", "javascript", "join_modules", "stylesheet"]

_HERE = Path(__file__).parent
# Each file uses only files above it; the last one holds the default export.
_PARTS = (
    "words.js",
    "payload.js",
    "colour.js",
    "layout.js",
    "view.js",
    "source.js",
    "viewport.js",
    "rows.js",
    "bar.js",
    "map.js",
    "files.js",
    "panel.js",
    "prompt.js",
    "draft.js",
    "editor.js",
    "frame.js",
    "page.js",
    "reader.js",
    "input.js",
    "overlay.js",
)
_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def javascript(*more: Path) -> str:
    """The component's one module; `more` files come behind it and may use what stands in it."""
    return join_modules([*(_HERE / name for name in _PARTS), *more])


def stylesheet() -> str:
    """The style of everything in it."""
    return (_HERE / "overlay.css").read_text(encoding="utf-8")


def join_modules(paths: Sequence[Path]) -> str:
    """Join JavaScript files into the one module that Streamlit serves: imports between them go, names stay.

    The parts are ordinary modules, so that each can be tested alone; Streamlit takes a single source text. Each may use
    only what stands above it, and the last one holds the default export.
    """
    sources = [path.read_text(encoding="utf-8") for path in paths]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
