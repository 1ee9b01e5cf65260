"""Small compositions that several pages share: notes, claims, a progress bar, the reading a view asks for.

Whatever comes from a text, a file name or an address is shown as text: escaped here, never read as HTML or Markdown.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dashboard import data, state, texts
from dashboard.evidence import FIRST_CONCEPT, Finding, Survey, symbol_words
from dashboard.findings import Findings
from dashboard.jobs import Job
from dashboard.overlay import Look
from dashboard.palette import DEFAULT, Scale, Theme, colour_index, ink, lut, scale_for
from inspector.recording import InspectorError, Neuron, Recording

_PATIENCE = 2.0  # seconds in which a short text is read before anybody needs a bar
_BEGINNING = 2_000  # characters of a text that are shown while it is being read: a screen of them
_ALONE, _ASKED = "overlay_alone", "overlay_asked"
_DRAWN, _JOINER = re.compile(r"(?<!\S)(?:<->|->|<-|--|>=|<=|~=)(?!\S)"), "\u2060"
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="118" height="26" viewBox="0 0 118 26"
 font-family="Inter, 'Segoe UI', system-ui, sans-serif" font-size="19" font-weight="700"><style>
 .high{fill:#08767c} .low{fill:#c96016} .ink{fill:#1c2430} .paper{fill:#ffffff}
 @media (prefers-color-scheme: dark) { .high{fill:#1ea6aa} .low{fill:#e47a2c} .ink{fill:#e4e8ee} .paper{fill:#0e1117} }
 </style><rect class="high" x="13" y="2" width="14" height="22"/><rect class="low" x="50" y="2" width="23" height="22"/>
 <g class="ink" lengthAdjust="spacingAndGlyphs"><text x="2" y="20" textLength="10">c</text><text x="14" y="20"
 textLength="12" class="paper">h</text><text x="28" y="20" textLength="22">ar</text><text x="51" y="20" textLength="21"
 class="paper">sc</text><text x="74" y="20" textLength="43">ope</text></g></svg>"""


class StillReading(Exception):
    """The page ends here for now: its text is being read, and it runs again when that is done."""


def theme() -> Theme:
    """Light or dark, as the reader's browser shows it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def place_label(recording: Recording, at: int) -> str:
    """What a link to a place says: `file:line` in a text of several documents, else its line."""
    place, is_one = recording.place(at), len(recording.documents) == 1
    return plain(f"line {place.line:,}" if is_one else f"{place.document.name}:{place.line}") + " →"


def frame() -> None:
    """What is on every page: the name."""
    st.logo(_LOGO, size="medium")  # the page's color-scheme, which follows the theme, decides between its colours


def plain(text: str) -> str:
    """A text for a label that Streamlit reads as Markdown, so that it shows as it is.

    What Streamlit draws as one sign, "->" as an arrow, is kept apart by word joiners, which nobody sees.
    """
    apart = _DRAWN.sub(lambda found: _JOINER.join(found[0]), text)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", apart)


def escaped(text: str) -> str:
    """A text for HTML, so that it shows as it is."""
    return html.escape(text)


def _coded(sentence: str) -> str:
    """A sentence for HTML, with the program's own commands as code; what else stands between backticks stays so."""
    return re.sub(r"`(python -m inspector [^`]+)`", r"<code>\1</code>", html.escape(sentence))


def notes(sentences: Iterable[str]) -> None:
    """Say what the reader should know: one line each."""
    for sentence in sentences:
        st.html(f'<div class="cs-note" role="status">{_coded(sentence)}</div>')


@contextmanager
def by_itself() -> Iterator[None]:
    """A part without which the rest of a page stands: why it cannot be drawn is said in its place."""
    try:
        yield
    except InspectorError as error:
        notes([str(error)])


def quiet(sentence: str, *, width: Literal["stretch", "content"] = "stretch") -> None:
    """A remark that does not ask for attention."""
    st.html(f'<div class="cs-quiet">{_coded(sentence)}</div>', width=width)


def claim(headline: str, evidence: str) -> None:
    """What is said about a neuron, and beside it what it rests on."""
    _headed("cs-claim", 2, headline, evidence)


def heading(headline: str, remark: str) -> None:
    """What a part of a page shows, and beside it how to read it."""
    _headed("cs-heading cs-claim", 3, headline, remark)


def _headed(style: str, level: int, headline: str, more: str) -> None:
    """A headline that screen readers find as one, and what stands beside it."""
    head = f'<span role="heading" aria-level="{level}">{html.escape(headline)}</span>'
    st.html(f'<div class="{style}">{head} <small>{_coded(more)}</small></div>')


def sentence(words: str) -> None:
    """A plain sentence of a page's own."""
    st.html(f"<div>{_coded(words)}</div>")


def chips(words: str, said: Iterable[tuple[str, str]]) -> None:
    """A row of characters, each with its number."""
    rows = (f"<span><b>{html.escape(symbol)}</b><small>{html.escape(number)}</small></span>" for symbol, number in said)
    st.html(f'<div class="cs-chips"><small>{html.escape(words)}</small>{" ".join(rows)}</div>')


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


def read(view: state.View, *, beginning: bool = True) -> data.Reading:
    """The reading that the view names, with a bar while it is being made.

    beginning : whether the text stands below the bar meanwhile.
    Raises StillReading where that takes a while, and InspectorError where there is none to be had.
    """
    kind, _, name = str(view.text).partition(":")
    if kind == "recording":
        return data.open_folder(name)
    if view.network is None:
        raise InspectorError(
            f"There is no network in {data.checkpoints_folder()}: train one with `python -m inspector train`, "
            "or open a saved recording."
        )
    kept, text = data.network(view.network), texts.load_text(str(view.text))
    job = data.begin_reading(kept, text)
    if job is not None:
        if not job.wait(_PATIENCE):
            wait_for(job)
            if beginning:
                _show_beginning(text.content)
            raise StillReading
        if job.has_failed:
            _offer_again(job, data.forget_attempt, kept, text)
        job.check()
    return data.read_with(kept, text)


def _show_beginning(text: str) -> None:
    """What stands at the top of a text, in no colour yet."""
    some = text[:_BEGINNING]
    nothing = np.full(len(some), np.nan, np.float32)
    with st.container(key="unread"):
        excerpt(some, nothing, scale_for("hidden", nothing), first_line=1)


def _offer_again(job: Job, forget: Callable[..., None], *what: Any) -> None:
    """A button for work that was cancelled or went wrong."""
    st.button("Read it after all" if job.is_cancelled() else "Try again", on_click=forget, args=what)


@st.fragment(run_every=0.5)
def wait_for(job: Job, *, can_end: bool = True) -> None:
    """A bar until the work is done, and a way to end it; the rest of the page can be used meanwhile.

    can_end : whether the work tells how far it is, and asks whether it should stop; else the time it took is said.
    """
    if job.is_done:
        state.stay()
        st.rerun()
    if not can_end:
        quiet(f"{job.words}, {job.seconds_spent():.0f} s")
        return
    left = job.seconds_left()
    words = plain(job.words) + ("" if left is None else f", {left:,.0f} s left")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(min(job.share, 1.0), words)
        st.button("Cancel", on_click=job.cancel)


def excerpt(
    text: str, trace: np.ndarray, scale: Scale, *, first_line: int, at: int | None = None,
    holds: np.ndarray | None = None,
) -> None:  # fmt: skip
    """A few lines of text coloured by a trace of the same length, standing still; each letter is escaped.

    Its value shows where one points at it.

    at : the character that is marked. holds : bool, one for each character: those that are underlined.
    """
    kind, shade = scale.kind, theme()
    paint, letters = lut(DEFAULT, kind, shade), ink(DEFAULT, kind, shade)
    lines: list[list[str]] = [[]]
    entries, values = colour_index(trace, scale).tolist(), trace.tolist()
    for place, (character, entry, value) in enumerate(zip(text, entries, values, strict=True)):
        style = "" if entry < 0 else f"background:rgb({_rgb(paint[entry])});color:rgb({_rgb(letters[entry])})"
        marks = [name for name, is_so in (("at", place == at), ("in", holds is not None and holds[place])) if is_so]
        named = f' class="{" ".join(marks)}"' if marks else ""
        said = "" if entry < 0 else f' title="{value:+z.2f}"'
        lines[-1].append(f'<span{named}{said} style="{style}">{html.escape(_visible(character))}</span>')
        if character == "\n":
            lines.append([])
    if not lines[-1]:
        lines.pop()
    rows = (f"<div><i>{first_line + place}</i>{''.join(line)}</div>" for place, line in enumerate(lines))
    st.html(f'<div class="cs-excerpt">{"".join(rows)}</div>')


def _rgb(colour: np.ndarray) -> str:
    return ",".join(map(str, colour.tolist()))


def _visible(character: str) -> str:
    """What stands for a character on screen: itself, a blank for a line end, a picture for what a page cannot hold."""
    if character in "\r\n":
        return " "
    if character == "\t" or ord(character) > 31:
        return character
    return chr(0x2400 + ord(character))


def survey_of(reading: data.Reading) -> Survey | None:
    """What is known about the reading's network; where nothing is, or it cannot be read, the reader is told why."""
    if reading.network is None:
        return None
    try:
        return data.survey(reading.network)
    except InspectorError as error:
        state.note(str(error))
        return None


def findings_of(view: state.View) -> Findings | None:
    """What the survey of the view's network says of every neuron; where nothing does, the reader is told why."""
    if view.network is None:
        quiet(f"There is no network in {data.checkpoints_folder()}; `python -m inspector train` makes one.")
        return None
    kept = data.network(view.network)
    try:
        found = data.findings(kept)
    except InspectorError as error:
        notes([str(error)])
        return None
    if found is None:
        command = f"python -m inspector survey --network {kept.place}"
        quiet(f"No survey of {kept.name} exists yet; `{command}` makes one, and shows here what its neurons detect.")
    return found


def clicked(figure: go.Figure, *, key: str) -> str | None:
    """Draw a figure of points; the `customdata` of the one that the reader has clicked."""
    chosen = st.plotly_chart(figure, key=key, on_select="rerun", selection_mode="points", config={"displaylogo": False})
    return custom_data(chosen.selection.points)


def custom_data(points: Sequence[Mapping[str, Any]]) -> str | None:
    """The first `customdata` of the first of the points that a reader has chosen in a figure."""
    said = points[0].get("customdata") if points else None
    return str(said[0] if isinstance(said, list | tuple) else said) if said is not None else None


def fit(view: state.View, reading: data.Reading, survey: Survey | None) -> state.View:
    """The view made one that exists in this reading, written back to the address."""
    found = survey.best(view.concept or "") or survey.first_sight() if survey else None
    default = (found.neuron, found.signal) if found else (Neuron(0, 0), reading.layers[0][1][0])
    if found is not None and not state.exists(found.neuron, reading.layers):
        default = (Neuron(0, 0), reading.layers[0][1][0])
    view, sentences = state.fit(view, reading.layers, len(reading.text), default=default)
    state.note(*sentences)
    if view.expects and not reading.recording.has_guesses:
        state.note("What the network expected next was not recorded with this text.")
        view = replace(view, expects=None)
    state.settle(view)
    return view


def has_signals(reading: data.Reading, *signals: str) -> bool:
    """Whether signals are at hand; where they are not, the network reads the text for them behind the page, with a bar
    and a way to end it, or the reader is told why it does not.
    """
    job = next(filter(None, (data.begin_signal(reading, signal) for signal in signals)), None)
    if job is None:
        return True
    if not job.wait(_PATIENCE):
        wait_for(job)
        return False
    if not job.has_failed:
        return True
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _offer_again(job, data.forget_signal, reading)
        try:
            job.check()
        except InspectorError as error:
            notes([str(error)])
    return False


def tell(view: state.View, reading: data.Reading, survey: Survey | None) -> None:
    """What is known about the neuron, in a plain sentence with its evidence."""
    headline, evidence = known(view, reading, survey)
    if headline:
        claim(headline, evidence)
    else:
        quiet(evidence)


def known(view: state.View, reading: data.Reading, survey: Survey | None) -> tuple[str, str]:
    """What the neuron is ("" where nothing is known), and in a sentence what that rests on, or why there is nothing."""
    if reading.network is None:
        return (
            "",
            f"Neuron {view.neuron} of a saved recording, which has no survey: Find ranks its neurons on this text.",
        )
    if survey is None:
        command = f"python -m inspector survey --network {reading.network.place}"
        return "", f"Neuron {view.neuron}: no survey of {reading.network.name} exists yet; `{command}` makes one."
    if findings := survey.about(view.shown, view.concept or FIRST_CONCEPT):
        return _found(view.shown, findings, survey)
    return "", f"Neuron {view.neuron} is not among the best for any of the {len(survey.concepts)} surveyed concepts."


def _found(neuron: Neuron, findings: list[Finding], survey: Survey) -> tuple[str, str]:
    first, best = findings[0], survey.best(findings[0].concept)
    title = data.concept_title(first.concept)
    is_best = best is not None and best.neuron == neuron
    headline = f"The best “{title}” neuron: {neuron}" if is_best else f"Among the best “{title}” neurons: {neuron}"
    others = dict.fromkeys(data.concept_title(f.concept) for f in findings if f.concept != first.concept)
    more = f" Listed too for: {', '.join(list(others)[:4])}." if others else ""
    evidence = f"{first.words()} ({first.verdict})." if first.verdict else f"{first.words()}."
    return headline, evidence[0].upper() + evidence[1:] + more


def footnote(reading: data.Reading) -> None:
    """What the reader should know about the network and the text, quietly."""
    said = [f"{reading.title}: {len(reading.text):,} characters"]
    if reading.network is not None:
        said.insert(0, f"{reading.network.name}: {reading.network.summary()}")
    elif reading.recording.network is not None:
        said.append(f"a recording of what {reading.recording.network} made of it")
    if reading.recording.dtype == "int8":
        off = ", ".join(
            f"{name} by {reading.recording.error_bound(name):.2g}" for name in reading.recording.layers[0].signals
        )
        said.append(f"values kept in int8, off by up to: {off}")
    if reading.recording.unknown.size:
        unknown = reading.recording.unknown
        kinds = dict.fromkeys(reading.text[position] for position in unknown[:2_000].tolist())
        some = " ".join(map(symbol_words, list(kinds)[:12]))
        said.append(f"{unknown.size:,} of them unknown to the network, which read its unknown symbol there: {some}")
    quiet(" · ".join(said))


def look(view: state.View) -> Look:
    """How the view wants its text shown, for the overlay."""
    return Look(
        palette=view.palette or DEFAULT,
        colour=view.colour or "neuron",
        expects=bool(view.expects),
        spaces=bool(view.spaces),
        wrap=view.wrap is not False,
        tab=view.tab or Look.tab,
        pins=tuple(map(str, view.pins or ())),
        mark=view.mark,
    )


def follow(key: str) -> None:
    """The reader moved inside an overlay: the address follows, and the overlay is not told where it already is."""
    seen = (st.session_state.get(key) or {}).get("view")
    if not seen:
        return
    now: dict[str, Any] = dict(seen.get("look") or {})
    plain_look = asdict(Look())
    parts = {name: value if value != plain_look[name] else None for name, value in now.items()}
    if parts.get("pins"):
        parts["pins"] = tuple(map(Neuron.parse, parts["pins"]))
    if parts.get("mark"):
        parts["mark"] = state.Mark(*parts["mark"])
    st.session_state[_ALONE] = bool(seen.get("alone"))
    st.session_state[_ASKED] = seen.get("ask")
    neuron, signal = Neuron.parse(str(seen["neuron"])), str(seen["signal"])
    state.go(neuron=neuron, signal=signal, at=seen.get("at"), **{**parts, "pins": parts.get("pins") or None})


def stands_alone() -> bool:
    """Whether this reader's browser cannot fetch anything by itself, so that messages have to bring it all."""
    return bool(st.session_state.get(_ALONE))


def asked() -> str | None:
    """The question about the marked stretch that the reader has just asked: "here" or "elsewhere"; once only."""
    return st.session_state.pop(_ASKED, None)
