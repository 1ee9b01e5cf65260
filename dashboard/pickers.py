"""The controls that say what to look at: which network, which text, which neuron, and every way to bring a text.

Each control shows a part of the view and, in its callback, changes that part; nothing else is kept here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cards, data, portraits, state, texts
from inspector.recording import InspectorError, Neuron

# How a pasted text is called, so that concepts know its language.
_RECORDING = "recording:"
_PASTED = {"plain text": "", "Python": ".py", "C": ".c"}
LabelVisibility = Literal["visible", "collapsed"]


def bar() -> DeltaGenerator:
    """The row at the top of a page for its controls; app.css keeps room for their labels while they load."""
    return st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="bar")


def guarded(change: Callable[[], None]) -> Callable[[], None]:
    """A widget's callback whose InspectorError becomes a note on the page that follows."""

    def run() -> None:
        state.stay()
        try:
            change()
        except InspectorError as error:
            state.note(str(error))

    return run


def pick_reading(view: state.View, *, label: LabelVisibility = "visible") -> state.View:
    """Network and text; of a saved recording the network is the one that made it, and cannot be picked.

    label : "collapsed" leaves both to screen readers.
    """
    if not (view.text or "").startswith(_RECORDING):
        view = pick_network(view, label=label)
    return pick_text(view, label=label)


def pick_network(view: state.View, *, label: LabelVisibility = "visible") -> state.View:
    """The network picker; the view comes back with a network that exists, or with None where there is none.

    label : "collapsed" leaves it to screen readers.
    """
    names = data.network_names()
    if view.network is not None and view.network not in names and data.network_folder(view.network) is not None:
        names = [view.network, *names]  # a snapshot
    if view.network not in names:
        fallback = data.first_network()
        if view.network is not None:
            shown = f" Showing {fallback} instead." if fallback else ""
            state.note(f"There is no network called “{view.network}”.{shown}")
        view = replace(view, network=fallback)
    if names:
        st.session_state["pick_network"] = view.network
        st.selectbox(
            "network", names, key="pick_network", width=170, label_visibility=label,
            on_change=lambda: take_network(view, st.session_state["pick_network"]),
        )  # fmt: skip
    return view


def take_network(before: state.View, network: str) -> None:
    """Another network; where the text is the one that the network before opened with, so does this one with its own."""
    state.jump(network=network, neuron=None, signal=None, about=None)
    first = first_text(network)
    if before.text != first and before.text in (None, first_text(before.network)):
        state.go(text=first, at=None, mark=None)


def first_text(network: str | None) -> str:
    """The sample that is written like what a network has learned from; the first network goes with the first text."""
    if network is None or network == data.FIRST_NETWORK:
        return state.FIRST_TEXT
    try:
        return portraits.sample_for(data.network(network))
    except InspectorError:  # of a network or a survey that cannot be read: the page says so
        return state.FIRST_TEXT


def pick_text(view: state.View, *, with_recordings: bool = True, label: LabelVisibility = "visible") -> state.View:
    """The text picker and, beside it, every way to bring a text; without recordings where a network has to read it.

    label : "collapsed" leaves it to screen readers.
    """
    known = {entry.id: entry.name for entry in texts.list_texts()}
    if with_recordings:
        known |= {f"{_RECORDING}{name}": f"{name} (recording)" for name in data.saved_recordings()}
    elif (view.text or "").startswith(_RECORDING):
        state.note(
            "A recording keeps what one network made of its text, and here a text is read anew: another is shown."
        )
        view = replace(view, text=None, at=None)
    view = replace(view, text=view.text or first_text(view.network))
    if view.text not in known:
        known = {view.text: view.text.partition(":")[2]} | known
    often = Counter(known.values())  # the browser answers with a label: two texts of one name are told apart by it
    known = {text_id: name if often[name] == 1 else f"{name} ({text_id})" for text_id, name in known.items()}
    st.session_state["pick_text"] = view.text
    st.selectbox(
        "text", list(known), key="pick_text", format_func=lambda text_id: known.get(text_id, text_id), width=290,
        label_visibility=label,
        on_change=lambda: state.jump(text=st.session_state["pick_text"], at=None, mark=None, ask=None),
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
    state.jump(text=text_id, at=None, mark=None, ask=None)


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
        state.jump(text=f"{_RECORDING}{path}", neuron=None, signal=None, at=None, mark=None, ask=None)


def pick_neuron(view: state.View, layers: data.Layers) -> None:
    """Layer and unit of a view whose neuron exists; the signal is chosen on the overlay's own bar."""
    layer, unit = view.shown
    st.session_state.update({"layer": layer, "unit": unit})
    if len(layers) > 1:
        st.number_input("layer", 0, len(layers) - 1, key="layer", on_change=lambda: _take_neuron(layers), width=110)
    st.number_input("unit", 0, layers[layer][0] - 1, key="unit", on_change=lambda: _take_neuron(layers), width=130)


def pick_concepts(view: state.View, names: list[str]) -> state.View:
    """Concepts from the list, by group, or as a pattern; the view comes back with one of them or more."""
    asked = _known(view.concepts, names)
    names = [*names, *(name for name in asked if name not in names)]
    st.session_state["pick_concepts"] = asked
    st.multiselect(
        "concepts", names, key="pick_concepts", placeholder="a concept, or several", format_func=_grouped,
        max_selections=state.MOST_CONCEPTS, width=560,
        on_change=lambda: _take_concepts(asked, st.session_state["pick_concepts"]),
    )  # fmt: skip
    with st.popover("By group", width="content"):
        _pick_by_group(asked, names)
    st.text_input(
        "or a regular expression", key="pick_regex", placeholder=r"[a-z_]+\(", width=190,
        on_change=guarded(lambda: _take_pattern(asked)),
    )  # fmt: skip
    return replace(view, concept=asked[0], also=tuple(asked[1:]) or None)


def _known(asked: Sequence[str], names: list[str]) -> list[str]:
    """Those of the concepts that this program knows, the first of the list where there is none."""
    known = []
    for name in asked:
        try:
            data.concept_called(name)
            known.append(name)  # perhaps of another language: the search says whether it can be asked here
        except InspectorError as error:
            state.note(str(error))
    if asked and not known:
        state.note(f"Showing {names[0]} instead.")
    return known or names[:1]


def _pick_by_group(asked: list[str], names: list[str]) -> None:
    """The concepts under the headings of their groups, what any text has before what source code has."""
    concepts = {name: data.concept_called(name) for name in names}
    families: dict[str, dict[str, list[str]]] = {"Any text": {}, "Source code": {}, "Your own": {}}
    for name, concept in concepts.items():
        family = "Your own" if name.startswith(data.REGEX) else "Source code" if concept.languages else "Any text"
        families[family].setdefault(concept.group, []).append(name)
    for family, groups in families.items():
        if groups:
            cards.heading(family, "")
        for group, members in groups.items():
            key = f"group {family} {group}"
            st.session_state[key] = [name for name in asked if name in members]
            st.pills(
                group, members, key=key, selection_mode="multi",
                format_func=lambda name: cards.plain(concepts[name].title),
                on_change=lambda key=key, members=members: _take_concepts(
                    asked, [name for name in asked if name not in members] + st.session_state[key]
                ),
            )  # fmt: skip


def _grouped(name: str) -> str:
    """What a concept is called in the list, with the group it stands in: typing either finds it."""
    return f"{data.concept_title(name)} · {data.concept_called(name).group}"


def _take_concepts(before: Sequence[str], chosen: Sequence[str]) -> None:
    """What was added is looked at; what is left of the others is compared with it."""
    added = [name for name in chosen if name not in before]
    first = added or [name for name in before if name in chosen]
    wanted = list(dict.fromkeys([*first[:1], *chosen]))
    asked, left_out = wanted[: state.MOST_CONCEPTS], wanted[state.MOST_CONCEPTS :]
    is_other = not asked or asked[0] != before[0]
    more = {"about": None} if is_other else {}  # the best for the one is not the best for the other
    state.jump(concept=asked[0] if asked else None, also=tuple(asked[1:]) or None, **more)
    if left_out:
        titles = ", ".join(f"“{data.concept_title(name)}”" for name in left_out)
        state.note(f"Up to {state.MOST_CONCEPTS} concepts are looked at together: {titles} made way.")


def _take_pattern(before: Sequence[str]) -> None:
    pattern = st.session_state["pick_regex"]
    if pattern:
        data.concept_called(data.REGEX + pattern)  # what is no pattern is a sentence, and nothing changes
        st.session_state["pick_regex"] = ""
        _take_concepts(before, [*before, data.REGEX + pattern])


def _take_neuron(layers: data.Layers) -> None:
    layer = int(st.session_state.get("layer", 0))
    unit = min(int(st.session_state["unit"]), layers[layer][0] - 1)  # layers may differ in width
    state.jump(neuron=Neuron(layer, unit))
