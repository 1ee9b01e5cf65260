"""What the reader is looking at, as an address a person could type.

    ?network=python&text=sample:address_book.py&neuron=1:42&signal=cell&concept=inside_string&at=250&pins=1:7,0:3

Owns the names of the address's parts and the one rule that an address never fails: what cannot be understood falls back
and leaves a note. Knows nothing about which networks, texts or neurons exist; the pages ask `fit` with what they found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import streamlit as st

from dashboard.palette import PALETTES
from inspector.recording import SIGNALS, InspectorError, Neuron

TEXT_KINDS = ("sample:", "stdlib:", "mine:", "recording:")
FIRST_TEXT = "sample:address_book.py"
ALL_SIGNALS = tuple(dict.fromkeys(signal for signals in SIGNALS.values() for signal in signals))

QUESTIONS = ("here", "elsewhere")
SOURCES = ("survey", "text")
ORDERS = ("explained", "score", "peaked", "half-life", "number")
MOST_CONCEPTS = 12
COLOURINGS = ("neuron", "surprise")
MOST_PINS = 12
WIDEST_TAB = 16
LONGEST_WORD = 100

_LONGEST_VALUE = 1_000
_SIGNAL = re.compile(r"[a-z][a-z0-9_]*")  # an imported recording has signals of its own
_VIEW, _NOTES, _MOVES, _STAYS = "view", "view_notes", "view_moves", "view_stays"


class Mark(NamedTuple):
    """A stretch of the text: code points `start` to before `stop`, written ``start-stop``."""

    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.start}-{self.stop}"


@dataclass(frozen=True, kw_only=True)
class View:
    """One sight of the program; a part that is None is chosen by the page that needs it.

    concept : a concept's name, or ``regex:PATTERN``; also : others that are compared with it; within : what neurons are
        ranked by, the "survey"'s held-out files or this "text"; about : the neuron of the ranking that is looked at.
    at : a position in the text, counted in code points.
    mark, ask : a stretch of the text, and what is asked about it: which neurons are on exactly "here", or where
        "elsewhere" the neuron is as it is there.
    layer, only, least, word, order : which neurons of a network are listed: those of a layer, those whose best concept
        this is, those with at least this score, those of whose concept, formula or note this is a part; and what comes
        first.
    palette, colour, expects, spaces, wrap, tab, pins : how the text is shown: the name of the colours, what they show
        ("surprise" instead of the neuron), what the network expects under each line, marks for white space, long lines
        broken or not, columns between tab stops, and the neurons kept in sight.
    """

    network: str | None = None
    text: str | None = None
    neuron: Neuron | None = None
    signal: str | None = None
    concept: str | None = None
    also: tuple[str, ...] | None = None
    within: str | None = None
    about: Neuron | None = None
    at: int | None = None
    mark: Mark | None = None
    ask: str | None = None
    layer: int | None = None
    only: str | None = None
    least: float | None = None
    word: str | None = None
    order: str | None = None
    palette: str | None = None
    colour: str | None = None
    expects: bool | None = None
    spaces: bool | None = None
    wrap: bool | None = None
    tab: int | None = None
    pins: tuple[Neuron, ...] | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, object]) -> tuple[View, list[str]]:
        """Read an address. Never raises; every part that was not understood is one sentence in the notes."""
        found: dict[str, object] = {}
        notes: list[str] = []
        for key in sorted(str(key) for key in query):
            value = _last(query[key])
            reader = _READERS.get(key)
            if reader is None:
                notes.append(f"The address has a part this program does not know, {_short(key)}; it was left out.")
            elif value != "":
                try:
                    found[key] = reader(value)
                except ValueError as why:
                    notes.append(f"{why} That part of the address was left out.")
        return cls(**found), notes  # type: ignore[arg-type]

    @property
    def shown(self) -> Neuron:
        """The neuron of a view that went through `fit`."""
        if self.neuron is None:
            raise RuntimeError("this view was not fitted to a reading")
        return self.neuron

    @property
    def concepts(self) -> tuple[str, ...]:
        """What is asked about: the concept that is looked at first, then those that are compared with it."""
        return tuple(dict.fromkeys([*([self.concept] if self.concept else []), *(self.also or ())]))

    def to_query(self) -> dict[str, str]:
        """The address of this view; parts that are None are absent."""
        parts = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: _written(value) for name, value in parts if value is not None}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and not isinstance(value, (Neuron, Mark)):
        return ",".join(
            str(part).replace("%", "%25").replace(",", "%2C") for part in value
        )  # a pattern may hold commas
    return f"{value:g}" if isinstance(value, float) else str(value)


def _last(value: object) -> str:
    if isinstance(value, (list, tuple)):
        value = value[-1] if value else ""
    return str(value)


def _short(value: str) -> str:
    """A value from the address, shortened and with its control characters made visible, for use in a sentence."""
    shown = value if len(value) <= 60 else value[:57] + "..."
    return f"“{shown if shown.isprintable() else ascii(shown)[1:-1]}”"


def _name(what: str):
    def read(value: str) -> str:
        if len(value) > _LONGEST_VALUE or not value.isprintable():
            raise ValueError(f"{_short(value)} cannot be the name of a {what}.")
        return value

    return read


def _text(value: str) -> str:
    if not value.startswith(TEXT_KINDS) or len(value) > _LONGEST_VALUE or not value.isprintable():
        raise ValueError(f"{_short(value)} names no text: a text is called {', '.join(TEXT_KINDS)} and a name.")
    return value


def _neuron(value: str) -> Neuron:
    try:
        return Neuron.parse(value)
    except (InspectorError, ValueError):
        raise ValueError(
            f"{_short(value)} names no neuron: a neuron is written layer:unit, for instance 1:42."
        ) from None


def _signal(value: str) -> str:
    if len(value) > _LONGEST_VALUE or not _SIGNAL.fullmatch(value):
        raise ValueError(f"{_short(value)} names no signal: a signal is written like {', '.join(ALL_SIGNALS)}.")
    return value


def _position(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise ValueError(f"{_short(value)} is no position in a text: it must be a whole number, 0 or more.")
    return int(value)


def _mark(value: str) -> Mark:
    ends = value.split("-")
    if len(ends) == 2 and all(end.isascii() and end.isdigit() and len(end) <= 12 for end in ends):
        mark = Mark(int(ends[0]), int(ends[1]))
        if mark.start < mark.stop:
            return mark
    raise ValueError(f"{_short(value)} marks nothing: a mark is written start-stop, for instance 120-180.")


def _pins(value: str) -> tuple[Neuron, ...]:
    found = tuple(dict.fromkeys(_neuron(part) for part in value.split(",")))
    if len(found) > MOST_PINS:
        raise ValueError(f"{_short(value)} pins {len(found)} neurons, and {MOST_PINS} at most are kept in sight.")
    return found


def _concepts(value: str) -> tuple[str, ...]:
    name = _name("concept")
    found = tuple(
        dict.fromkeys(name(part.replace("%2C", ",").replace("%25", "%")) for part in value.split(",") if part)
    )
    if not found or len(found) >= MOST_CONCEPTS:
        raise ValueError(f"{_short(value)} names {len(found)} concepts more, and 1 to {MOST_CONCEPTS - 1} can be.")
    return found


def _share(value: str) -> float:
    try:
        share = float(value) if value.isascii() and len(value) <= 12 else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"{_short(value)} is no score: it must be a number from 0 to 1.")
    return float(f"{share:g}")


def _word(value: str) -> str:
    if len(value) > LONGEST_WORD or not value.isprintable():
        raise ValueError(f"{_short(value)} cannot be searched for: up to {LONGEST_WORD} characters in one line can be.")
    return value


def _tab(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and 1 <= int(value) <= WIDEST_TAB):
        raise ValueError(f"{_short(value)} is no tab width: it must be a whole number from 1 to {WIDEST_TAB}.")
    return int(value)


def _one_of(what: str, names: Sequence[str]):
    def read(value: str) -> str:
        if value not in names:
            raise ValueError(f"{_short(value)} is no {what}: choose {', '.join(names)}.")
        return value

    return read


def _yes_or_no(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError(f"{_short(value)} is neither yes nor no.")
    return value == "yes"


_READERS = {
    "network": _name("network"),
    "text": _text,
    "neuron": _neuron,
    "signal": _signal,
    "concept": _name("concept"),
    "also": _concepts,
    "within": _one_of("source", SOURCES),
    "about": _neuron,
    "at": _position,
    "mark": _mark,
    "ask": _one_of("question", QUESTIONS),
    "layer": _position,
    "only": _name("concept"),
    "least": _share,
    "word": _word,
    "order": _one_of("order", ORDERS),
    "palette": _one_of("palette", tuple(PALETTES)),
    "colour": _one_of("colouring", COLOURINGS),
    "expects": _yes_or_no,
    "spaces": _yes_or_no,
    "wrap": _yes_or_no,
    "tab": _tab,
    "pins": _pins,
}


def fit(
    view: View, layers: Sequence[tuple[int, Sequence[str]]], n_chars: int, *, default: tuple[Neuron, str]
) -> tuple[View, list[str]]:
    """Make the view one that exists: its neuron, signal, position, pins and mark among what was recorded.

    layers : (number of units, names of signals) of each layer.
    default : what is shown where the view names no neuron, or one that does not exist.
    """
    notes: list[str] = []
    neuron, signal = view.neuron, view.signal
    if neuron is not None and not exists(neuron, layers):
        notes.append(f"Neuron {neuron} does not exist: {_describe(layers)}. Showing {default[0]} instead.")
        neuron = None
    if neuron is None:
        neuron, signal = default[0], signal or default[1]
    signals = layers[neuron.layer][1]
    if signal is not None and signal not in signals:
        notes.append(f"Layer {neuron.layer} has no signal {signal}: it has {', '.join(signals)}.")
        signal = None
    if signal is None:
        signal = default[1] if default[1] in signals else signals[0]
    at = view.at
    if at is not None and at >= n_chars:
        notes.append(f"Position {at:,} is behind the end of the text, which has {n_chars:,} characters.")
        at = None
    pins = tuple(pin for pin in view.pins or () if exists(pin, layers))
    if lost := [str(pin) for pin in view.pins or () if pin not in pins]:
        notes.append(f"Pinned neurons that do not exist were left out, {', '.join(lost)}: {_describe(layers)}.")
    mark = view.mark
    if mark is not None and mark.stop > n_chars:
        notes.append(f"The mark {mark} reaches behind the end of the text, which has {n_chars:,} characters.")
        mark = None
    return replace(view, neuron=neuron, signal=signal, at=at, pins=pins or None, mark=mark), notes


def exists(neuron: Neuron, layers: Sequence[tuple[int, Sequence[str]]]) -> bool:
    """Whether these layers have that neuron."""
    return 0 <= neuron.layer < len(layers) and 0 <= neuron.unit < layers[neuron.layer][0]


def _describe(layers: Sequence[tuple[int, Sequence[str]]]) -> str:
    widths = ", ".join(f"layer {index} has units 0-{n_units - 1}" for index, (n_units, _) in enumerate(layers))
    return f"this network has {len(layers)} layer{'s' if len(layers) != 1 else ''}; {widths}"


def current() -> View:
    """The view of this run: the address, or, where a page was opened without one, what was seen last."""
    query = st.query_params.to_dict()
    seen: View | None = st.session_state.get(_VIEW)
    if not query and seen is not None:
        st.query_params.from_dict(seen.to_query())
        return seen
    stays = st.session_state.pop(_STAYS, False)
    if seen is not None and (stays or query == seen.to_query()):
        settle(seen)
        return seen
    view, sentences = View.from_query(query)
    st.session_state[_NOTES] = sentences
    if seen is not None:  # the reader went back, or typed another address: the overlay follows
        st.session_state[_MOVES] = moves() + 1
    settle(view)
    return view


def settle(view: View) -> None:
    """Make this the view and its address, without a word."""
    st.session_state[_VIEW] = view
    address = view.to_query()
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)


def go(**changes: object) -> None:
    """Change parts of the view, in a callback before the page runs again; notes about the old one are dropped."""
    st.session_state[_NOTES] = []
    seen: View = st.session_state.get(_VIEW) or current()  # the address may lag behind what the reader did
    stay()
    settle(replace(seen, **changes))  # type: ignore[arg-type]


def stay() -> None:
    """The callback of a control that is no part of the view, or before a page runs again by itself: no move follows.

    A browser names its address with every click, and it may be late: the address it names is then an older one of
    ours, which without this would look as if the reader had gone back.
    """
    st.session_state[_STAYS] = True


def jump(**changes: object) -> None:
    """`go`, and have the overlay follow: it keeps its own place unless the number of moves has grown."""
    st.session_state[_MOVES] = moves() + 1
    go(**changes)


def moves() -> int:
    """How often Python has moved the reader; the overlay's own moves are not among them."""
    return int(st.session_state.get(_MOVES, 0))


def note(*sentences: str) -> None:
    """Say something at the top of the page until the reader moves on."""
    st.session_state[_NOTES] = list(dict.fromkeys([*notes(), *sentences]))


def notes() -> list[str]:
    """What is to be said at the top of the page."""
    return list(st.session_state.get(_NOTES, []))
