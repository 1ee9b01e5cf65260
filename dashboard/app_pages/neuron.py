"""Neuron: all that is known of one neuron: what it detects, where it is strong, what it does, and what is like it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from dashboard import cards, data, notes, pickers, portraits, state, tables
from dashboard.curves import position_figure
from dashboard.evidence import (
    detects_words,
    formula_words,
    highest,
    in_titles,
    lines_around,
    memory_words,
    signal_words,
    symbol_words,
)
from dashboard.figures import spread_figure
from dashboard.findings import STATES, Findings, Relative, neighbours
from dashboard.palette import Scale, scale_for
from dashboard.weights import Effect, mean_by_character, opened_by, raised_and_lowered
from inspector.recording import SIGNALS, Neuron
from inspector.search import verdict

NEURON, NEURONS, READ, GATES, FIND = (f"app_pages/{name}.py" for name in ("neuron", "neurons", "read", "gates", "find"))
PLACES = 3  # of the text at hand that are shown for each side
_AROUND, _APART = 40, 100  # characters: shown on each side of a place and more up to whole lines; between two places
_HEADINGS = (  # of the kinds of passages; those of a pair stand beside each other
    {"top": "Strongest positive", "bottom": "Strongest negative"},
    {"quantile": "From its lowest to its highest", "random": "At random"},
)
_COLUMNS = (7, 5)  # their widths, above as below, so that one edge goes down the page
_CONCEPTS = ["title", "signal", "direction", "score", "baseline", "twin_score", "metric", "verdict"]


def page() -> None:
    """Draw the page."""
    view = state.current()
    bar = pickers.bar()
    with bar:
        view = pickers.pick_network(view)
    found = cards.findings_of(view)
    if view.network is None:
        return
    kept = data.network(view.network)
    view = _fit(view, kept, found)
    with bar:
        text = pickers.first_text(view.network)
        if not str(view.text).startswith("recording:"):  # that one may be another network's
            view = pickers.pick_text(view, with_recordings=False)
            state.settle(view)
            text = str(view.text)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
            pickers.pick_neuron(view, kept.layers)
            notes.card(kept.hash, view.shown)
    written = notes.titles(kept.hash)
    _steps(view, kept, found, written)
    if found is not None:
        _detects(view, found)
    notes.line(kept.hash, view.shown)
    with st.container(key="neuron"):
        left, right = st.columns(_COLUMNS, gap="medium")
    with right:
        if found is not None:
            with cards.by_itself():
                _spread(view, kept, found)
                _memory(view, kept, found)
            with cards.by_itself():
                _place(view, kept, found)
            with cards.by_itself():
                _kin(view, found, written)
        _effect(view, kept)
        gates_slot = st.container()
    with left:
        if found is not None:
            _concepts(view, found)
        signal = _pick_state(view, kept, found)
        text_slot = st.container()
    if found is not None:
        with st.container(key="passages"), cards.by_itself():
            _passages(view, kept, found, signal)
    with gates_slot:
        is_told = _openers(view, kept)
    with text_slot, cards.by_itself():
        there = replace(view, text=text)
        reading = cards.read(there, beginning=False)
        _here(there, reading, signal)
        if not is_told:
            with gates_slot:
                _opened_after(view, reading)


def _fit(view: state.View, kept: data.Network, found: Findings | None) -> state.View:
    """The view made one that exists in this network; places in a text are left to the pages that show one."""
    default = (Neuron(0, 0), kept.layers[0][1][0])
    best = found.scores.sort_values("choose_skill", ascending=False).head(1) if found is not None else None
    if best is not None and len(best):
        default = (Neuron(int(best.layer.iloc[0]), int(best.unit.iloc[0])), str(best.signal.iloc[0]))
    fitted, sentences = state.fit(view, kept.layers, 10**12, default=default)
    state.note(*sentences)
    view = replace(fitted, signal=view.signal if view.signal == fitted.signal else None)
    state.settle(view)
    return view


def _link(label: str, neuron: Neuron, view: state.View, written: Mapping[Neuron, str]) -> None:
    """A way to a neuron; what somebody wrote about it stands behind its name."""
    label += f" · {cards.plain(written[neuron])}" if neuron in written else ""
    there = replace(view, neuron=neuron, signal=None, at=None)
    st.page_link(NEURON, label=label, query_params=there.to_query())


def _steps(view: state.View, kept: data.Network, found: Findings | None, written: Mapping[Neuron, str]) -> None:
    """Ways to go on: next to it, by chance, to what is better explained or rarer, and to the text."""
    neurons = [Neuron(layer, unit) for layer, (n_units, _) in enumerate(kept.layers) for unit in range(n_units)]
    place = neurons.index(view.shown)
    with st.container(horizontal=True, gap="small", key="steps"):
        _link(f"← {neurons[place - 1]}", neurons[place - 1], view, written)
        _link(f"{neurons[(place + 1) % len(neurons)]} →", neurons[(place + 1) % len(neurons)], view, written)
        _link("random", random.choice(neurons), view, {})
        for words, by in (("explained", "skill"), ("peaked", "kurtosis")) if found is not None else ():
            for more, neuron in zip(("more", "less"), neighbours(found.overview, view.shown, by), strict=True):
                if neuron is not None:
                    _link(f"{more} {words}: {neuron}", neuron, view, written)
        st.page_link(READ, label="Read with it", query_params=view.to_query())
        what = "Its gates" if _gates(kept.layers[view.shown.layer][1]) else "Its state"
        st.page_link(GATES, label=f"{what}, step by step", query_params=view.to_query())
        st.page_link(NEURONS, label="All neurons", query_params=view.to_query())


def _detects(view: state.View, found: Findings) -> None:
    rows = found.about(view.shown, 1).to_dict("records")
    row = {**rows[0], "verdict": verdict(rows[0])} if rows else None
    explanation = found.formula(view.shown)
    if explanation is not None:
        explanation["formula"] = in_titles(explanation["formula"], data.concept_title)
    headline, evidence = detects_words(view.shown, row, data.concept_title(row["concept"]) if row else "", explanation)
    cards.claim(headline, found.lost.get("scores", evidence))
    if explanation is not None:
        cards.quiet(formula_words(explanation))
    cards.notes(found.lost[name] for name in ("explanations",) if name in found.lost)


def _concepts(view: state.View, found: Findings) -> None:
    table = found.about(view.shown)
    if table.empty:
        return
    said = "best first by what was seen where it was chosen, scored on other files; a row leads to Find"
    cards.heading("What it follows", said)
    table = tables.named(table.assign(title=[data.concept_title(name) for name in table.concept]), {})
    chosen = tables.draw(table, _CONCEPTS, key=f"concepts {view.network} {view.neuron}")
    if chosen is not None:
        row = table.iloc[chosen]
        there = replace(
            view, concept=str(row.concept), also=None, within="survey", about=view.neuron, signal=str(row.signal)
        )
        st.switch_page(FIND, query_params=there.to_query())


def _pick_state(view: state.View, kept: data.Network, found: Findings | None) -> str:
    """The state that passages are shown by; where there are several, the reader may choose."""
    states = _states(view, kept)
    signal = str(view.signal) if view.signal in states else _first_state(view, found, states)
    st.session_state["state"] = signal
    if len(states) > 1:
        st.segmented_control(
            "places and passages by", states, key="state", format_func=signal_words,
            on_change=lambda: state.go(signal=st.session_state["state"] or signal),
        )  # fmt: skip
    return signal


def _here(view: state.View, reading: data.Reading, signal: str) -> None:
    """Where it is highest and lowest in the text at hand, each place with a way to it."""
    trace = reading.trace(view.shown, signal)
    cards.heading(f"In {reading.title}", f"where its {signal_words(signal)} is highest and lowest there")
    places = [(words, highest(side, PLACES, _APART)) for words, side in (("highest", trace), ("lowest", -trace))]
    if not any(found for _, found in places):
        cards.sentence("It does not move there.")
    for words, found in places:
        if found:
            cards.quiet(words)
        for at in found:
            _place_here(at, view, reading, trace, signal)


def _place_here(at: int, view: state.View, reading: data.Reading, trace: np.ndarray, signal: str) -> None:
    there, place = replace(view, signal=signal, at=at, mark=None), reading.recording.place(at)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(READ, label=cards.place_label(reading.recording, at), query_params=there.to_query())
        cards.quiet(f"{trace[at]:+z.2f}")
    within = (place.document.start, place.document.stop)
    start, stop = lines_around(reading.text, at, at + 1, within=within, around=_AROUND)
    first_line = reading.recording.place(start).line
    cards.excerpt(
        reading.text[start:stop], trace[start:stop], scale_for(signal, trace), first_line=first_line, at=at - start
    )


def _passages(view: state.View, kept: data.Network, found: Findings, signal: str) -> None:
    """Passages of one of its states, each coloured, with its file and line, and a way to it where it is at hand."""
    scenes = portraits.scenes(kept, view.shown, signal)
    extent = found.extent(view.shown, signal) if signal == "cell" else 1.0
    for pair in _HEADINGS:
        for (kind, headline), column in zip(pair.items(), st.columns(_COLUMNS, gap="medium"), strict=True):
            some = [scene for scene in scenes if scene.passage.kind == kind]
            with column:
                cards.heading(headline, "" if some else "none were kept")
                for scene in some:
                    _passage(scene, signal, extent, view)
    if any(np.isnan(scene.values).any() for scene in scenes):
        renew = f"python -m inspector survey --only portraits --network {kept.place}"
        cards.quiet(
            f"Only framed characters have a value here: `{renew}`, with the corpus surveyed, colours the others."
        )


def _first_state(view: state.View, found: Findings | None, states: Sequence[str]) -> str:
    if found is None:
        return states[0]
    rows = found.about(view.shown, 1)
    return str(rows.signal.iloc[0]) if len(rows) and rows.signal.iloc[0] in states else states[0]


def _passage(scene: portraits.Scene, signal: str, extent: float, view: state.View) -> None:
    passage = scene.passage
    words = f"{passage.file}:{passage.line}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if scene.text_id is None or scene.start is None:
            cards.quiet(words, width="content")
        else:
            there = replace(view, text=scene.text_id, signal=signal, at=scene.start + passage.at, mark=None)
            st.page_link(READ, label=f"{cards.plain(words)} →", query_params=there.to_query())
        cards.quiet(f"{passage.value:+z.2f}")
    scale = Scale("diverging", -extent, extent)
    cards.excerpt(passage.text, scene.values, scale, first_line=passage.first_line, at=passage.at)


def _spread(view: state.View, kept: data.Network, found: Findings) -> None:
    cards.heading(
        "How its values are spread", "over all surveyed text, counted on a logarithmic scale; the line is the median"
    )
    signals = kept.layers[view.shown.layer][1]
    rows = {signal_words(name): row for name in signals if (row := found.spread(view.shown, name)) is not None}
    if rows:
        st.plotly_chart(spread_figure(rows, theme=cards.theme()), key="spread", config={"displayModeBar": False})


def _place(view: state.View, kept: data.Network, found: Findings) -> None:
    """How its value depends on where in a line and in a file it stands."""
    signal = str(view.signal) if view.signal in STATES else _first_state(view, found, _states(view, kept))
    tables = portraits.by_place(kept, view.shown, signal)
    cards.heading(
        "Where it stands", f"mean {signal_words(signal)} over held-out files; the band is a standard deviation each way"
    )
    if not tables:
        renew = f"python -m inspector survey --only portraits --network {kept.place}"
        cards.quiet(f"Its survey does not say: `{renew}` adds it.")
        return
    figure = position_figure(tables, theme=cards.theme())
    st.plotly_chart(figure, key="place", config={"displayModeBar": False})
    cards.sentence(portraits.words_of(tables, found.extent(view.shown, signal)))


def _states(view: state.View, kept: data.Network) -> list[str]:
    return [name for name in STATES if name in kept.layers[view.shown.layer][1]]


def _memory(view: state.View, kept: data.Network, found: Findings) -> None:
    cards.heading("Its memory", "")
    kind = kept.model.config.kind
    keeps = found.spread(view.shown, "forget_gate" if kind == "lstm" else "update_gate")
    own = found.overview[(found.overview.layer == view.shown.layer) & (found.overview.unit == view.shown.unit)]
    cards.sentence(memory_words(kind, float("nan") if keeps is None else keeps["median"], float(own.half_life.iloc[0])))
    gates = _gates(SIGNALS[kind])
    rows = [(name, row) for name in gates if (row := found.spread(view.shown, name)) is not None]
    if rows:
        shares = "; ".join(
            f"{signal_words(name)} shut {row.low_share:.0%}, open {row.high_share:.0%}" for name, row in rows
        )
        cards.quiet(f"Of the time (below .1, above .9): {shares}.")
    elif gates:
        cards.quiet(f"Its survey did not gather gates: `python -m inspector survey --network {kept.place}` renews it.")


def _kin(view: state.View, found: Findings, written: Mapping[Neuron, str]) -> None:
    signal = str(view.signal) if view.signal in STATES else "hidden"
    alike, opposite = found.kin(view.shown, signal)
    cards.heading(
        "Most alike and most opposite", f"by Pearson's r of the {signal_words(signal)} over the surveyed text"
    )
    for words, relatives in (("alike", alike), ("opposite", opposite)):
        _relatives(words, relatives, view, written)


def _relatives(words: str, relatives: Sequence[Relative], view: state.View, written: Mapping[Neuron, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"kin {words}"):
        cards.quiet(words if relatives else f"{words}: none", width="content")
        for one in relatives:
            _link(f"{one.neuron} {one.r:+z.2f}", one.neuron, view, written)


def _effect(view: state.View, kept: data.Network) -> None:
    cards.heading("What it makes likelier next", "change of a character's logit as its hidden state rises by 1")
    effect = raised_and_lowered(kept.model, view.shown)
    if effect is None:
        cards.sentence(
            "It has no direct effect on the next character: only the top layer is read out, and this neuron speaks "
            "through the layers above."
        )
        return
    with st.container(gap=None):
        for words, effects in zip(("raises", "lowers"), effect, strict=True):
            cards.chips(words, _chips(effects))


def _openers(view: state.View, kept: data.Network) -> bool:
    """Which characters open its gates by its own weights, which say so in the first layer; whether they do.

    A plain network's neuron has no gates: there its weights say which characters move its state.
    """
    weights = opened_by(kept.model, view.shown)
    if weights is None:
        return False
    has_gates = bool(_gates(kept.layers[view.shown.layer][1]))
    headline = "Which characters open its gates" if has_gates else "Which characters move it"
    cards.heading(headline, "its input weights, less their mean")
    for signal, ends in weights.items():
        words = ("opened by", "shut by") if signal.endswith("_gate") else ("raised by", "lowered by")
        _gate(signal, words, *ends)
    return True


def _gates(signals: Sequence[str]) -> list[str]:
    return [name for name in signals if name.endswith("_gate")]


def _opened_after(view: state.View, reading: data.Reading) -> None:
    """After which characters its gates are open in a text: above the first layer nothing else says so."""
    gates = _gates(reading.layers[view.shown.layer][1])
    if not gates:
        return
    said = f"mean after each character over {reading.title}: above the first layer, neurons are read, not characters"
    cards.heading("After which characters its gates are open", said)
    if not cards.has_signals(reading, *gates):
        return
    for signal in gates:
        means = mean_by_character(reading.text, reading.trace(view.shown, signal))
        _gate(signal, ("open most", "least"), *means, sign="")


def _gate(signal: str, words: tuple[str, str], high: Sequence[Effect], low: Sequence[Effect], sign: str = "+") -> None:
    with st.container(gap=None):
        cards.chips(f"{signal_words(signal)}: {words[0]}", _chips(high, sign))
        cards.chips(words[1], _chips(low, sign))


def _chips(effects: Sequence[Effect], sign: str = "+") -> list[tuple[str, str]]:
    return [(symbol_words(one.symbol), format(one.amount, f"{sign}.2f")) for one in effects]


page()
