"""Tour: five stops for people who never saw inside a recurrent network, each of them a view they can go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard import cards, data, notes, pickers, state
from dashboard.evidence import FIRST_CONCEPT, Finding, Survey, signal_words, skill, telling_stretch
from dashboard.findings import Findings
from dashboard.palette import scale_for
from inspector.recording import InspectorError, Neuron

READ, GATES = "app_pages/read.py", "app_pages/gates.py"
_NUMBERS = ("Nothing", "One thing", "Two things", "Three things", "Four things", "Five things")
_GATES = {
    "forget_gate": "An LSTM's neuron has a cell that keeps a value, and gates that are worked out anew at each "
    "character: the forget gate keeps or drops the old value, the input gate lets a new one in, the output gate shows "
    "it to the others.",
    "update_gate": "A GRU's neuron has gates that are worked out anew at each character: the reset gate says how much "
    "of the old state a proposal sees, the update gate whether the old state stays or the proposal takes its place.",
}


@dataclass(frozen=True)
class Stop:
    """One stop: what is said, which neuron shows it, and where the reader can go on from there."""

    title: str
    words: str
    neuron: Neuron
    signal: str
    concept: str | None
    page: str
    link: str
    gates: tuple[str, ...] = ()  # shown in place of the signal


def page() -> None:
    """Draw the page."""
    view = state.current()
    with pickers.bar():
        view = pickers.pick_network(view)
        view = pickers.pick_text(view, with_recordings=False)
    reading = cards.read(view)
    found = cards.survey_of(reading)
    state.settle(view)
    if found is None or reading.network is None:
        made = (
            "" if reading.network is None else f" with `python -m inspector survey --network {reading.network.place}`"
        )
        cards.quiet(f"The tour needs a network with a survey: choose another one, or make its survey{made}.")
        return
    told = stops(found, reading.layers, _findings(reading.network))
    headline = f"{_NUMBERS[len(told)]} to see in a network that reads"
    cards.claim(headline, f"{reading.network.name} reading {reading.title}")
    for number, stop in enumerate(told, 1):
        _draw(number, stop, view, reading)


def _findings(kept: data.Network) -> Findings | None:
    """What the survey says of every neuron, where it says so much."""
    try:
        found = data.findings(kept)
    except InspectorError:  # of an earlier version, or damaged: the page Neurons says so
        return None
    return None if found is None or "scores" in found.lost else found


def stops(found: Survey, layers: data.Layers, every: Findings | None = None) -> list[Stop]:
    """The tour of a network, out of what its survey found; a stop without a neuron to show it is left out.

    One that an untrained network does as well shows nothing.
    every : what the survey says of all neurons; without it a neuron that it lists for nothing is the last stop.
    """
    learned = {name: ranked[0] for name, ranked in found.concepts.items() if ranked and ranked[0].is_learned}
    firsts = learned.values()
    told: list[Stop] = []
    low = max((one for one in firsts if one.neuron.layer == 0), key=_worth, default=None)
    if low is not None:
        told.append(_stop(
            "A state that is carried along",
            "The network reads one character at a time and predicts the next. All it knows of what came before is a "
            "row of numbers, its state, and each number is a neuron. Here is one of the first layer, drawn as colour "
            f"behind the text: {_about(low)} Neurons of this layer sit close to the characters.",
            low, READ, "Read on, with the keys n and p for the next and previous neuron",
        ))  # fmt: skip
    clear = learned.get(FIRST_CONCEPT) or max(
        (one for one in firsts if one.metric == "auroc"), key=_worth, default=None
    )
    if clear is not None:
        told += _clear_stops(clear, layers[clear.neuron.layer][1])
    graded = [one for one in firsts if one.metric == "correlation" and one is not low]
    depth = learned.get("indentation") or max(graded, key=_worth, default=None)
    if depth is not None:
        title = data.concept_title(depth.concept)
        told.append(_stop(
            f"A neuron that follows “{title}”",
            "Some things are not yes or no but more or less, like how deep a line is indented or how long a word is "
            f"already. The value of this neuron moves with one of them: {_about(depth)} A single neuron rarely has all "
            "of such a quantity; several share it.",
            depth, READ, "See it over the whole text",
        ))  # fmt: skip
    last = _unlisted_stop(found, layers) if every is None else _unexplained_stop(every, layers)
    return told if last is None else [*told, last]


def _unexplained_stop(every: Findings, layers: data.Layers) -> Stop | None:
    """The neuron of the highest layer of which least is known."""
    rest = every.unexplained()
    if rest.empty:
        return None
    row = rest.sort_values(["layer", "choose_skill"], ascending=[False, True]).iloc[0]
    formula = "" if every.explanations is None else ", and no formula of concepts explains them"
    return _look_at(
        "A neuron that is not explained yet", Neuron(int(row.layer), int(row.unit)), layers,
        f"{len(rest):,} of the {len(every.overview):,} neurons follow none of the concepts that were searched "
        f"clearly{formula}. {row.layer}:{row.unit} is one of them.",
    )  # fmt: skip


def _unlisted_stop(found: Survey, layers: data.Layers) -> Stop | None:
    silent = unlisted(found, layers)
    if silent is None:
        return None
    return _look_at(
        "A neuron that stands out for no concept", silent, layers,
        f"{silent} is not among the best for any of the {len(found.concepts)} concepts that were searched.",
    )  # fmt: skip


def _look_at(title: str, neuron: Neuron, layers: data.Layers, known: str) -> Stop:
    words = (
        f"{known} That does not mean it does nothing. Look at it yourself: an idea of your own can be asked as a "
        "regular expression on the page Find."
    )
    return Stop(title, words, neuron, layers[neuron.layer][1][0], None, READ, "Look at it")


def _clear_stops(clear: Finding, signals: Sequence[str]) -> list[Stop]:
    """The neuron that tells one concept best, and what its gates do where it has some."""
    title = data.concept_title(clear.concept)
    told = [_stop(
        f"A neuron that tells “{title}”",
        f"Nobody told the network what “{title}” is. To predict well it had to keep track of it, and one neuron ended "
        f"up doing that: {_about(clear)}",
        clear, READ, "See it over the whole text",
    )]  # fmt: skip
    gates = _GATES.get(next((name for name in signals if name in _GATES), ""))
    if gates is not None:
        told.append(_stop(
            f"What its gates do where “{title}” begins and ends",
            f"{gates} Step to where it begins and watch the state change; step on and watch it stay.",
            clear, GATES, f"Step through the cell where “{title}” begins",
            tuple(name for name in signals if name.endswith("_gate")),
        ))  # fmt: skip
    return told


def _worth(finding: Finding) -> float:
    return float(skill(finding.score, finding.baseline, finding.twin_score))


def unlisted(found: Survey, layers: data.Layers) -> Neuron | None:
    """The first neuron of the top layer that the survey lists for nothing."""
    listed = {finding.neuron for findings in found.concepts.values() for finding in findings}
    top = len(layers) - 1
    return next((one for unit in range(layers[top][0]) if (one := Neuron(top, unit)) not in listed), None)


def _stop(title: str, words: str, finding: Finding, page: str, link: str, gates: tuple[str, ...] = ()) -> Stop:
    return Stop(title, words, finding.neuron, finding.signal, finding.concept, page, link, gates)


def _about(finding: Finding) -> str:
    return f"{finding.neuron}, the best for “{data.concept_title(finding.concept)}” ({finding.words()})."


def _draw(number: int, stop: Stop, view: state.View, reading: data.Reading) -> None:
    with st.container(border=True):
        cards.claim(f"{number}. {stop.title}", "")
        st.html(f'<p class="cs-tour">{cards.escaped(stop.words)}</p>')
        notes.line(reading.recording.network_hash, stop.neuron)
        trace = reading.trace(stop.neuron, stop.signal)
        start, stop_at = telling_stretch(reading.text, _changes(stop, trace, reading))
        if not stop.gates:
            _excerpt(stop.signal, trace, start, stop_at, reading)
        elif cards.has_signals(reading, *stop.gates):
            with st.container(horizontal=True, gap="medium"):
                for gate in stop.gates:
                    with st.container(width="content", gap=None):
                        cards.quiet(signal_words(gate), width="content")
                        _excerpt(gate, reading.trace(stop.neuron, gate), start, stop_at, reading)
        there = state.View(
            network=view.network,
            text=view.text,
            neuron=stop.neuron,
            signal=stop.signal,
            concept=stop.concept,
            at=_place(stop, start),
        )
        st.page_link(stop.page, label=f"{stop.link} →", query_params=there.to_query())


def _excerpt(signal: str, trace: np.ndarray, start: int, stop: int, reading: data.Reading) -> None:
    first_line = reading.recording.place(start).line
    cards.excerpt(reading.text[start:stop], trace[start:stop], scale_for(signal, trace), first_line=first_line)


def _place(stop: Stop, start: int) -> int | None:
    """Where the reader arrives: the Gates page finds a telling place by itself."""
    return None if stop.page == GATES else start


def _changes(stop: Stop, trace: np.ndarray, reading: data.Reading) -> np.ndarray:
    """What the shown stretch should be rich in: the concept where there is one, else the neuron's own moves."""
    if stop.concept is None:
        return trace
    try:
        return data.labels(reading, data.concept_called(stop.concept))[0]
    except InspectorError:  # a concept of another language than this text's
        return trace


page()
