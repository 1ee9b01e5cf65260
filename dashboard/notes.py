"""Notes on screen: the card on which one is written, the line that shows it, and the list of all of them.

What is kept, and that nothing is lost between two windows, is `inspector.notes`' business. Here a save that comes too
late keeps both versions on screen until the reader has chosen. Where the program is served read-only, notes are shown
and nothing can be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st

from dashboard import cards, state, texts
from dashboard.pickers import guarded
from inspector.notes import MAX_TEXT, MAX_TITLE, Note, NoteConflict, Notes
from inspector.recording import InspectorError, Neuron

READ = "app_pages/read.py"
_OPEN, _LATE, _TURN = "note_open", "note_late", "note_turn"
_SHOWN = 160  # characters of a note's text in a line


def notes_of(network_hash: str) -> Notes:
    """The notes on the neurons of one network."""
    return Notes(texts.data_folder() / "notes.sqlite", network_hash)


@contextmanager
def _apart() -> Iterator[None]:
    """A page stands without notes: why they cannot be read is said above it."""
    try:
        yield
    except InspectorError as error:
        state.note(str(error))


def headline(note: Note, n_chars: int = 60) -> str:
    """Star and title, short enough for a table: "★ quotes"."""
    words = " ".join((note.title or note.text).split())
    return " ".join(part for part in ("★" if note.star else "", _short(words, n_chars)) if part)


def titles(network_hash: str | None) -> dict[Neuron, str]:
    """The headline of every note, by neuron; none for a recording that does not say which network made it."""
    written: dict[Neuron, str] = {}
    if network_hash is not None:
        with _apart():
            written = {note.neuron: headline(note) for note in notes_of(network_hash).all()}
    return written


def line(network_hash: str | None, neuron: Neuron) -> None:
    """What somebody wrote about a neuron, in a line; nothing where nobody did.

    network_hash : None for a recording that does not say which network made it: it has no notes.
    """
    note = Note(neuron)
    if network_hash is not None:
        with _apart():
            note = notes_of(network_hash).get(neuron)
    if not note.is_empty:
        tags = "".join(f" #{tag}" for tag in note.tags)
        text = " ".join(note.text.split()) if note.title else ""
        cards.claim(headline(note, _SHOWN) or "Tagged", " ".join(f"{_short(text, _SHOWN)} {tags}".split()))


def card(network_hash: str | None, neuron: Neuron) -> None:
    """The popover in which the note is written; where nothing may be written, one that shows a long note whole."""
    if network_hash is None:
        return
    with _apart():
        kept = notes_of(network_hash)
        note = kept.get(neuron)
        if texts.is_read_only():
            _whole(note)
            return
        with st.popover("Edit the note" if not note.is_empty else "Add a note", width="content"):
            _form(kept, note)
            _lists(kept, neuron)


def _short(words: str, n_chars: int) -> str:
    return words if len(words) <= n_chars else words[: n_chars - 1] + "…"


def _whole(note: Note) -> None:
    if len(note.text) > _SHOWN or "\n" in note.text:
        with st.popover("The whole note", width="content"):
            st.text(note.text)


def _form(kept: Notes, note: Note) -> None:
    """The form holds what stood when it was opened; somebody else's save in between is told, and never overwritten."""
    place = (kept.network_hash, note.neuron)
    opened: tuple[tuple[str, Neuron], Note] | None = st.session_state.get(_OPEN)
    if opened is None or opened[0] != place:
        opened = (place, note)
        _again()  # fields of another neuron are other fields
        st.session_state[_OPEN] = opened
    base, turn = opened[1], st.session_state.get(_TURN, 0)
    if st.session_state.get(_LATE) is not None:
        _late(kept)
    elif note.version != base.version:
        cards.notes([f"The note on {note.neuron} was changed in another window meanwhile."])
        st.button("show what it says now", on_click=guarded(_again))
    with st.form(f"note {turn}", border=False):
        st.text_input("title", base.title, max_chars=MAX_TITLE, key=f"note_title {turn}")
        st.text_area("text", base.text, max_chars=MAX_TEXT, key=f"note_text {turn}", height=130)
        st.text_input("tags, with commas between them", ", ".join(base.tags), key=f"note_tags {turn}")
        st.checkbox("star", base.star, key=f"note_star {turn}")
        st.form_submit_button("Save", on_click=guarded(lambda: _save(kept, base)))


def _late(kept: Notes) -> None:
    """Both versions, and the choice between them."""
    mine, theirs, sentence = st.session_state[_LATE]
    cards.notes([sentence])
    if theirs is None:
        cards.quiet("There is none any more.")
    else:
        cards.quiet("It says now:")
        st.text(f"{headline(theirs)}\n{theirs.text}\n{', '.join(theirs.tags)}".strip())
    now = theirs.version if theirs is not None else 0
    with st.container(horizontal=True, gap="small"):
        st.button("save mine over it", on_click=guarded(lambda: _put(kept, replace(mine, version=now))))
        st.button("take that one", on_click=guarded(_again))
    cards.quiet("Yours, not saved:")


def _again() -> None:
    """Have the form opened anew with what stands now."""
    st.session_state.update({_OPEN: None, _LATE: None, _TURN: st.session_state.get(_TURN, 0) + 1})


def _save(kept: Notes, base: Note) -> None:
    turn = st.session_state.get(_TURN, 0)
    title, text, tags, star = (st.session_state[f"note_{part} {turn}"] for part in ("title", "text", "tags", "star"))
    _put(kept, replace(base, title=title.strip(), text=text, tags=tuple(tags.split(",")), star=bool(star)))


def _put(kept: Notes, note: Note) -> None:
    texts.check_writable()
    try:
        kept.put(note)
    except NoteConflict as late:
        st.session_state[_LATE] = (note, late.current, str(late))
    else:
        _again()


def _lists(kept: Notes, neuron: Neuron) -> None:
    lists = kept.lists()
    mine = [name for name, neurons in lists.items() if neuron in neurons]
    if mine:
        cards.quiet(f"{neuron} is on {', '.join(f'“{name}”' for name in mine)}.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "list", [name for name in lists if name not in mine], index=None, key="note_list", accept_new_options=True,
            placeholder="a list, or a new name", on_change=state.stay,
        )  # fmt: skip
        st.button(f"add {neuron}", on_click=guarded(lambda: _add(kept, neuron)))


def _add(kept: Notes, neuron: Neuron) -> None:
    texts.check_writable()
    name = st.session_state.get("note_list")
    if name:
        kept.add_to_list(str(name), [neuron])
        st.session_state["note_list"] = None


def section(network: str, network_hash: str) -> None:
    """All notes and lists of one network with links to their neurons, and the way out and in as JSON."""
    with _apart():
        _section(network, notes_of(network_hash))


def _section(network: str, kept: Notes) -> None:
    written, lists = kept.all(), kept.lists()
    if texts.is_read_only() and not (written or lists):
        return
    with st.expander(f"notes ({len(written)})"):
        for note in written:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _link(network, note.neuron)
                tags = "".join(f" #{tag}" for tag in note.tags)
                text = _short(" ".join(note.text.split()), _SHOWN) if note.title else ""
                cards.quiet(" · ".join(part for part in (headline(note), text, tags.strip()) if part))
        for name, neurons in lists.items():
            cards.quiet(f"List “{name}”")
            with st.container(horizontal=True, gap="small"):
                for neuron in neurons:
                    _link(network, neuron)
        if written or lists:
            st.download_button("Export as JSON", kept.to_json(), f"notes-{network}.json", "application/json")
        if not texts.is_read_only():
            key = f"import {network} {st.session_state.get(_TURN, 0)}"
            st.file_uploader("Import notes from JSON", ["json"], key=key, on_change=guarded(lambda: _import(kept, key)))


def _link(network: str, neuron: Neuron) -> None:
    st.page_link(READ, label=str(neuron), query_params=state.View(network=network, neuron=neuron).to_query())


def _import(kept: Notes, key: str) -> None:
    texts.check_writable()
    upload = st.session_state[key]
    if upload is not None:
        n_taken = kept.from_json(texts.decode(upload.getvalue(), upload.name))
        _again()
        state.note(f"Taken from {upload.name}: {n_taken} notes and lists; where both had a note, the later one stands.")
