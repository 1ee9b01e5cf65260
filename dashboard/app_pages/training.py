"""Training: how a network learned, and, where it has snapshots, how its neurons came to be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import cards, data, growth, notes, pickers, state, texts
from dashboard.curves import growth_figure, learning_figure, strengths_figure
from dashboard.evidence import FIRST_CONCEPT, signal_words, two_digits
from dashboard.palette import scale_for
from inspector.recording import InspectorError, Neuron

if TYPE_CHECKING:
    from inspector.emerge import Emergence

READ, NEURON = "app_pages/read.py", "app_pages/neuron.py"
GROWTH = "growth"
_PLAIN = {"displayModeBar": False}


def page() -> None:
    """Draw the page."""
    view = state.current()
    if view.network is not None and (parent := growth.parent_of(view.network)) != view.network:
        view = replace(view, network=parent)  # a snapshot is seen among the others
    bar = pickers.bar()
    with bar:
        view = pickers.pick_network(view)
    if view.network is None:
        cards.quiet(f"There is no network in {data.checkpoints_folder()}; `python -m inspector train` makes one.")
        return
    kept = data.network(view.network)
    found = None
    with cards.by_itself():
        found = growth.emergence(kept)
    with bar:
        if growth.steps_of(kept):
            view = _controls(view, kept, found)
    state.settle(view)
    cards.claim(f"How {kept.name} learned", _facts(kept))
    if not growth.steps_of(kept):
        _curve(kept, found)
        cards.quiet(
            "Its training kept no snapshots, so that nothing is known of how its neurons came to be: "
            "`python -m inspector train --snapshots 12` keeps twelve, from before the first step on."
        )
        return
    with st.container(key="neuron"):
        left, right = st.columns(2, gap="medium")
    with left:
        _curve(kept, found)
    with right:
        _growth(view, kept, found)
    if found is not None:
        cards.quiet(
            f"Neurons are scored on {found.n_score_chars:,} held-out characters of {found.corpus}; the dotted line is "
            "chance. At each snapshot a neuron's signal and side are picked on other files."
        )
    notes.line(kept.hash, view.shown)
    if found is not None:
        _strengths(view, found)
    _passage(view, kept, found)


def _controls(view: state.View, kept: data.Network, found: Emergence | None) -> state.View:
    """Concept, neuron and text; the view comes back with ones that exist."""
    names = list(found.concepts.index) if found is not None else _known(view.concept)
    first = found.telling(1)[0] if found is not None else names[0]
    concept = view.concept if view.concept in names else first
    if found is not None and view.concept not in (None, concept):
        state.note(f"“{view.concept}” was not followed over the training. Showing “{data.concept_title(concept)}”.")
    best = found.best(concept).iloc[-1] if found is not None else None
    default = (Neuron(0, 0), "hidden") if best is None else (Neuron(int(best.layer), int(best.unit)), best.signal)
    fitted, sentences = state.fit(replace(view, concept=concept), kept.layers, 10**12, default=default)
    state.note(*sentences)
    st.session_state["training_concept"] = concept
    st.selectbox(
        "concept", sorted(names, key=data.concept_title), key="training_concept", format_func=data.concept_title,
        width=260, on_change=lambda: state.jump(concept=st.session_state["training_concept"], neuron=None, signal=None),
    )  # fmt: skip
    pickers.pick_neuron(fitted, kept.layers)
    fitted = pickers.pick_text(fitted, with_recordings=False)
    notes.card(kept.hash, fitted.shown)
    return fitted


def _known(concept: str | None) -> list[str]:
    """The concept that is asked about, where this program knows it; else the first one."""
    try:
        data.concept_called(concept or FIRST_CONCEPT)
        return [concept or FIRST_CONCEPT]
    except InspectorError as error:
        state.note(f"{error} Showing “{data.concept_title(FIRST_CONCEPT)}”.")
        return [FIRST_CONCEPT]


def _facts(kept: data.Network) -> str:
    """What the run, or another program's training, wrote down of itself."""
    facts = kept.model.training_facts
    forms = {"characters": ("{} characters", ","), "minutes": ("in {} minutes", "g"), "hardware": ("on {}", "")}
    said = [
        words.format(format(value, form) if isinstance(value, int | float) else value)
        for name, (words, form) in forms.items()
        if (value := facts.get(name)) is not None
    ]
    return (
        f"{kept.summary()}: {' '.join(said)}" if said else f"{kept.summary()}; nothing is written down of its training."
    )


def _curve(kept: data.Network, found: Emergence | None) -> None:
    cards.heading("What it pays for a character", "in bits, to say which one comes next: the fewer the better")
    log, snapshots = None, growth.snapshots(kept, found)
    with cards.by_itself():
        log = growth.curve(kept)
    if log is None and snapshots.empty:
        cards.sentence("There is no log of its training beside it.")
        cards.quiet(f"`python -m inspector pack` takes log.csv along; a copy of the run's log in {kept.place} will do.")
        return
    figure = learning_figure(log, None if snapshots.empty else snapshots, theme=cards.theme())
    st.plotly_chart(figure, key="curve", config=_PLAIN)


def _growth(view: state.View, kept: data.Network, found: Emergence | None) -> None:
    concept = str(view.concept)
    cards.heading(
        f"How neurons came to tell “{data.concept_title(concept)}”", "a line each; click a point of a coloured one"
    )
    if found is None:
        _offer(kept)
        return
    metric, baseline = str(found.concepts.metric[concept]), float(found.concepts.baseline[concept])
    figure = growth_figure(
        found.scores[found.scores.concept == concept], found.snapshots, chosen=view.shown, baseline=baseline,
        metric=metric, theme=cards.theme(),
    )  # fmt: skip
    st.plotly_chart(figure, key=GROWTH, config=_PLAIN, on_select=_take_line, selection_mode="points")


def _take_line() -> None:
    if (neuron := cards.custom_data(st.session_state[GROWTH]["selection"]["points"])) is not None:
        state.jump(neuron=Neuron.parse(neuron), signal=None)


def _offer(kept: data.Network) -> None:
    """Nothing was measured yet: have it done behind the page, or say which command does it."""
    job = growth.making(kept)
    if job is not None and not job.is_done:
        cards.wait_for(job)
        return
    command = f"python -m inspector emerge --network {kept.place}"
    if not growth.can_be_made(kept):
        cards.quiet(f"Nobody has measured its snapshots yet: `{command} --corpus …`, with the text it was trained on.")
        return
    if job is not None and job.has_failed:
        try:
            job.check()
        except InspectorError as error:
            cards.notes([str(error)])
    cards.quiet(f"Nobody has measured its snapshots yet. It takes some minutes behind the page, or `{command}`.")
    st.button("Measure them", key="measure", on_click=pickers.guarded(lambda: growth.make(kept)))


def _strengths(view: state.View, found: Emergence) -> None:
    names = found.strengths(view.shown)
    cards.heading(
        f"How {view.shown} came to tell what it tells best in the end",
        "five concepts; chance is .5, of a correlation 0",
    )
    is_graded = found.concepts.metric == "correlation"
    rows = {
        data.concept_title(name) + (", correlation" if is_graded[name] else ""): found.of(name, view.shown)
        for name in names
    }
    figure = strengths_figure(rows, found.snapshots, theme=cards.theme())
    st.plotly_chart(figure, key="strengths", config=_PLAIN)


def _passage(view: state.View, kept: data.Network, found: Emergence | None) -> None:
    """The same passage once for each snapshot, coloured by the neuron as it was then."""
    text, signal = texts.load_text(str(view.text)), str(view.signal)
    start, stop = growth.span(text, str(view.concept), view.at)
    line = text.content.count("\n", growth.file_at(text, start)[0], start) + 1
    cards.heading(
        f"{view.shown} at each snapshot", f"its {signal_words(signal)}, reading {text.name} from line {line:,} on"
    )
    with st.spinner("The snapshots read", show_time=True):
        sights = growth.sights(kept, text, (start, stop), view.shown, signal)
    scores = found.of(str(view.concept), view.shown).set_index("step").score if found is not None else {}
    scale = scale_for(signal, sights[-1].values[view.shown.unit].astype("float32"))
    for sight in sights:
        with st.container(key=f"sight{sight.step}", horizontal=True, vertical_alignment="top", gap="small"):
            with st.container(width=170, gap=None):
                there = replace(view, network=f"{kept.name}{data.SNAPSHOT}{sight.step}", at=start)
                st.page_link(READ, label=f"step {sight.step:,}", query_params=there.to_query())
                if not math.isnan(sight.nats):
                    cards.quiet(f"{sight.nats / math.log(2):.2f} bits a character here")
                if sight.step in scores:
                    cards.quiet(f"scores {two_digits(scores[sight.step])}")
            values = sight.values[view.shown.unit].astype("float32")
            with st.container(width="stretch"):
                cards.excerpt(text.content[start:stop], values, scale, first_line=line)
    st.page_link(NEURON, label="All that is known of it in the end →", query_params=replace(view, at=None).to_query())


page()
