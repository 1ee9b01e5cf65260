"""Small compositions that several pages share: pickers, notes, claims, a progress bar.

Whatever comes from a text, a file name or an address is shown as text: escaped here, never read as HTML or Markdown.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import streamlit as st

from dashboard import data, state, texts
from dashboard.evidence import Finding
from dashboard.palette import Theme
from inspector.recording import InspectorError

_CSS = Path(__file__).parent / "app.css"
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="118" height="26" viewBox="0 0 118 26"
 font-family="Inter, 'Segoe UI', system-ui, sans-serif" font-size="19" font-weight="700"><rect x="13" y="2" width="14"
 height="22" fill="{high}"/><rect x="50" y="2" width="23" height="22" fill="{low}"/><g fill="{ink}"
 lengthAdjust="spacingAndGlyphs"><text x="2" y="20" textLength="10">c</text><text x="14" y="20" textLength="12"
 fill="{paper}">h</text><text x="28" y="20" textLength="22">ar</text><text x="51" y="20" textLength="21"
 fill="{paper}">sc</text><text x="74" y="20" textLength="43">ope</text></g></svg>"""
_LOGO_COLOURS = {
    "light": {"high": "#08767c", "low": "#c96016", "ink": "#1c2430", "paper": "#ffffff"},
    "dark": {"high": "#1ea6aa", "low": "#e47a2c", "ink": "#e4e8ee", "paper": "#0e1117"},
}


def theme() -> Theme:
    """Light or dark, as the reader's browser shows it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def frame() -> None:
    """What is on every page: the name and the style."""
    st.html(_CSS)
    st.logo(_LOGO.format(**_LOGO_COLOURS[theme()]), size="medium")


def plain(text: str) -> str:
    """A text for a label that Streamlit reads as Markdown, so that it shows as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def notes(sentences: Iterable[str]) -> None:
    """Say what the reader should know: one line each."""
    for sentence in sentences:
        st.html(f'<div class="cs-note" role="status">{html.escape(sentence)}</div>')


def quiet(sentence: str) -> None:
    """A remark that does not ask for attention."""
    st.html(f'<div class="cs-quiet">{html.escape(sentence)}</div>')


def claim(headline: str, evidence: str) -> None:
    """What is said about a neuron, and beside it what it rests on."""
    st.html(f'<div class="cs-claim">{html.escape(headline)} <small>{html.escape(evidence)}</small></div>')


@contextmanager
def progress() -> Iterator[data.Progress]:
    """A bar that appears when there is something to wait for, and goes when it is done."""
    slot, started, last = st.empty(), time.monotonic(), 0.0

    def tell(words: str, share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 0.1:  # ten times a second is smooth; every call costs a message to the browser
            return
        last, spent = now, now - started
        left = f", {spent * (1 - share) / share:.0f} s left" if 0.02 < share < 1 and spent > 1 else ""
        slot.progress(min(share, 1.0), plain(words) + left)

    try:
        yield tell
    finally:
        slot.empty()


def guarded(change: Callable[[], None]) -> Callable[[], None]:
    """A widget's callback whose InspectorError becomes a note on the page that follows."""

    def run() -> None:
        try:
            change()
        except InspectorError as error:
            state.note(str(error))

    return run


def pick_network(view: state.View) -> state.View:
    """The network picker; the view comes back with a network that exists, or with None where there is none."""
    names = data.network_names()
    if view.network not in names:
        fallback = names[0] if names else None
        if view.network is not None:
            shown = f" Showing {fallback} instead." if fallback else ""
            state.note(f"There is no network called “{view.network}”.{shown}")
        view = replace(view, network=fallback)
    if names:
        st.session_state["pick_network"] = view.network
        st.selectbox(
            "network", names, key="pick_network", width=170,
            on_change=lambda: state.jump(network=st.session_state["pick_network"], neuron=None, signal=None),
        )  # fmt: skip
    return view


def pick_text(view: state.View) -> state.View:
    """The text picker and, beside it, every way to bring a text."""
    view = replace(view, text=view.text or state.FIRST_TEXT)
    known = {entry.id: entry.name for entry in texts.list_texts()}
    known |= {f"recording:{name}": f"{name} (recording)" for name in data.saved_recordings()}
    if view.text not in known:
        known = {view.text: view.text.partition(":")[2] if view.text.startswith(("stdlib:", "recording:")) else view.text} | known
    st.session_state["pick_text"] = view.text
    st.selectbox(
        "text", list(known), key="pick_text", format_func=lambda text_id: known.get(text_id, text_id), width=290,
        on_change=lambda: state.jump(text=st.session_state["pick_text"], at=None),
    )  # fmt: skip
    with st.popover("Add a text"):
        _add_text()
    return view


def _add_text() -> None:
    turn = st.session_state.setdefault("turn", 0)  # a new key empties the fields once a text was taken
    upload = st.file_uploader("Upload a file", key=f"upload{turn}", on_change=guarded(_take_upload))
    if upload is not None:
        _choose_part(len(texts.decode(upload.getvalue(), upload.name)))
    st.text_area("or paste a text", key=f"paste{turn}", height=110)
    st.button("Read it", on_click=guarded(_take_paste))
    st.text_input(
        "or open a recording: the path of its folder", key=f"folder{turn}", on_change=guarded(_take_folder),
        placeholder="runs/my-recording",
    )  # fmt: skip


def _choose_part(n_chars: int) -> None:
    """For a file that is too long to be read at once: from where?"""
    last = max(n_chars - 1, 0)
    st.number_input("It is too long to read at once. Read from character", 0, last, key="part_start", step=10_000)
    st.button(f"Read {min(texts.MAX_CHARS, n_chars):,} characters from there", on_click=guarded(_take_part))


def _uploaded() -> tuple[str, str]:
    upload = st.session_state[f"upload{st.session_state['turn']}"]
    return texts.decode(upload.getvalue(), upload.name), upload.name


def _take_upload() -> None:
    if st.session_state[f"upload{st.session_state['turn']}"] is not None:
        _take(*_uploaded())


def _take_part() -> None:
    content, name = _uploaded()
    start = int(st.session_state["part_start"])
    part = content[start : start + texts.MAX_CHARS]
    _take(part, f"{name}, characters {start:,} to {start + len(part):,}")


def _take_paste() -> None:
    content = st.session_state[f"paste{st.session_state['turn']}"]
    first_words = " ".join(content.split())[:30]
    _take(content, f"pasted: {first_words}" if first_words else "pasted text")


def _take(content: str, name: str) -> None:
    text_id = texts.keep_text(content, name)
    st.session_state["turn"] += 1
    state.jump(text=text_id, at=None)


def _take_folder() -> None:
    path = st.session_state[f"folder{st.session_state['turn']}"].strip()
    if path:
        data.open_folder(path)  # a folder that cannot be opened stays in the field, with its sentence
        st.session_state["turn"] += 1
        state.jump(text=f"recording:{path}", neuron=None, signal=None, at=None)


def read(view: state.View) -> data.Reading:
    """The reading that the view names, with a bar while it is being made.

    Raises InspectorError where there is none to be had.
    """
    kind, _, name = str(view.text).partition(":")
    with progress() as tell:
        if kind == "recording":
            return data.open_folder(name)
        if view.network is None:
            raise InspectorError(
                f"There is no network in {data.checkpoints_folder()}: train one with `python -m inspector train`, "
                "or open a saved recording."
            )
        text = texts.load_text(str(view.text))
        return data.read_with(data.network(view.network), text, tell)


def finding_words(finding: Finding) -> tuple[str, str]:
    """(what a neuron detects, on what evidence), for `claim`."""
    title = data.concept_title(finding.concept)
    return title, finding.sentence(title)
