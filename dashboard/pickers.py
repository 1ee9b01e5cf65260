"""The controls that say what to look at: which network, which text, which neuron, and every way to bring a text.

Each control shows a part of the view and, in its callback, changes that part; nothing else is kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath

import streamlit as st

from dashboard import data, state, texts
from inspector.recording import InspectorError, Neuron

# How a pasted text is called, so that concepts know its language.
_PASTED = {"plain text": "", "Python": ".py", "C": ".c"}


def guarded(change: Callable[[], None]) -> Callable[[], None]:
    """A widget's callback whose InspectorError becomes a note on the page that follows."""

    def run() -> None:
        state.stay()
        try:
            change()
        except InspectorError as error:
            state.note(str(error))

    return run


def pick_network(view: state.View) -> state.View:
    """The network picker; the view comes back with a network that exists, or with None where there is none."""
    names = data.network_names()
    if view.network is not None and view.network not in names and data.network_folder(view.network) is not None:
        names = [view.network, *names]  # a snapshot
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
        known = {view.text: view.text.partition(":")[2]} | known
    st.session_state["pick_text"] = view.text
    st.selectbox(
        "text", list(known), key="pick_text", format_func=lambda text_id: known.get(text_id, text_id), width=290,
        on_change=lambda: state.jump(text=st.session_state["pick_text"], at=None),
    )  # fmt: skip
    if texts.is_read_only():
        return view
    turn = st.session_state.setdefault("turn", 0)  # grows when a text was taken: new keys empty the fields and close
    with st.popover("Add a text", key=f"add{turn}"):
        _add_text(turn)
    return view


def _add_text(turn: int) -> None:
    uploads = st.file_uploader(
        "Upload a file, or several", key=f"upload{turn}", on_change=guarded(_take_upload), accept_multiple_files=True
    )
    if len(uploads) == 1 and uploads[0].size > texts.MAX_CHARS:
        _choose_part(uploads[0].size)
    st.text_area("or paste a text", key=f"paste{turn}", height=110, on_change=state.stay)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("It is", list(_PASTED), key="pasted_as", width=150, on_change=state.stay)
        st.button("Read it", on_click=guarded(_take_paste))
    st.text_input(
        "or read a folder of sources: its path", key=f"sources{turn}", on_change=guarded(_take_sources),
        placeholder="~/project/src",
    )  # fmt: skip
    st.text_input(
        "or open a recording: the path of its folder", key=f"folder{turn}", on_change=guarded(_take_folder),
        placeholder="runs/my-recording",
    )  # fmt: skip


def _choose_part(n_bytes: int) -> None:
    """For a file that is too long to be read at once: from where?"""
    st.number_input(
        "Too long to be read at once. Read from character",
        0,
        n_bytes - 1,
        key="part_start",
        step=10_000,
        on_change=state.stay,
    )
    st.button(f"Read {texts.MAX_CHARS:,} characters from there", on_click=guarded(_take_part))


def _uploaded() -> list[tuple[str, str]]:
    """(name, content) of what was uploaded."""
    uploads = st.session_state[f"upload{st.session_state['turn']}"]
    return [(upload.name, texts.decode(upload.getvalue(), upload.name)) for upload in uploads]


def _take_upload() -> None:
    uploaded = _uploaded()
    if len(uploaded) == 1:
        name, content = uploaded[0]
        _take(content, name)
    elif uploaded:
        _took(
            texts.keep_files([part for part in uploaded if part[1]], f"{uploaded[0][0]} and {len(uploaded) - 1} more")
        )


def _take_part() -> None:
    ((name, content),) = _uploaded()
    start = int(st.session_state["part_start"])
    part = content[start : start + texts.MAX_CHARS]
    path = PurePath(name)
    _take(part, f"{path.stem} [{start}-{start + len(part)}]{path.suffix}")


def _take_paste() -> None:
    content = st.session_state[f"paste{st.session_state['turn']}"]
    first_words = " ".join(content.split())[:30].strip()
    _take(content, (first_words or "pasted text") + _PASTED[st.session_state["pasted_as"]])


def _take(content: str, name: str) -> None:
    _took(texts.keep_text(content, name))


def _took(text_id: str) -> None:
    st.session_state["turn"] += 1
    state.jump(text=text_id, at=None)


def _take_sources() -> None:
    path = st.session_state[f"sources{st.session_state['turn']}"].strip()
    if path:
        parts, left_out = texts.read_folder(path)
        _took(texts.keep_files(parts, f"{PurePath(path).name or path} ({len(parts)} files)"))
        if left_out:
            state.note(
                f"Left out, because they are no UTF-8 text: {', '.join(left_out[:5])}"
                + (f" and {len(left_out) - 5} more." if len(left_out) > 5 else ".")
            )


def _take_folder() -> None:
    path = st.session_state[f"folder{st.session_state['turn']}"].strip()
    if path:
        data.open_folder(path)  # a folder that cannot be opened stays in the field, with its sentence
        st.session_state["turn"] += 1
        state.jump(text=f"recording:{path}", neuron=None, signal=None, at=None)


def pick_neuron(view: state.View, layers: data.Layers) -> None:
    """Layer and unit of a view whose neuron exists; the signal is chosen on the overlay's own bar."""
    layer, unit = view.shown
    st.session_state.update({"layer": layer, "unit": unit})
    if len(layers) > 1:
        st.number_input("layer", 0, len(layers) - 1, key="layer", on_change=lambda: _take_neuron(layers), width=110)
    st.number_input("unit", 0, layers[layer][0] - 1, key="unit", on_change=lambda: _take_neuron(layers), width=130)


def pick_concept(view: state.View, names: list[str]) -> state.View:
    """A concept from the list or a pattern; the view comes back with one of them."""
    concept = view.concept or names[0]
    if not concept.startswith(data.REGEX) and concept not in names:
        try:
            data.concept_called(concept)
            names = [concept, *names]  # of another language: the search says whether it can be asked here
        except InspectorError as error:
            state.note(f"{error} Showing {names[0]} instead.")
            concept = names[0]
    is_regex = concept.startswith(data.REGEX)
    st.session_state["pick_concept"] = None if is_regex else concept
    st.selectbox(
        "concept", names, key="pick_concept", index=None, placeholder="a concept", format_func=_grouped,
        width=310, on_change=lambda: _take_concept(st.session_state["pick_concept"]),
    )  # fmt: skip
    st.session_state["pick_regex"] = concept.removeprefix(data.REGEX) if is_regex else ""
    st.text_input(
        "or a regular expression", key="pick_regex", placeholder=r"[a-z_]+\(", width=220,
        on_change=lambda: _take_concept(data.REGEX + st.session_state["pick_regex"]),
    )  # fmt: skip
    return replace(view, concept=concept)


def _grouped(name: str) -> str:
    """What a concept is called in the list, with the group it stands in: typing either finds it."""
    return f"{data.concept_title(name)} · {data.concept_called(name).group}"


def _take_concept(concept: str | None) -> None:
    if concept and concept != data.REGEX:
        state.jump(concept=concept)


def _take_neuron(layers: data.Layers) -> None:
    layer = int(st.session_state.get("layer", 0))
    unit = min(int(st.session_state["unit"]), layers[layer][0] - 1)  # layers may differ in width
    state.jump(neuron=Neuron(layer, unit))
