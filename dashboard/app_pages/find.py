"""Find: which neurons follow a concept, several concepts beside each other, how sure that is, and where one sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, data, figures, marked, notes, pickers, share, state, tables, texts
from dashboard.evidence import (
    STRETCHES,
    Stretch,
    codes_words,
    concept_words,
    found_words,
    score_words,
    signal_words,
    skill,
    telling_stretches,
)
from dashboard.palette import scale_for
from inspector.concepts import Concept
from inspector.recording import InspectorError, Neuron
from inspector.search import verdict

NEURON, READ, FIND = "app_pages/neuron.py", "app_pages/read.py", "app_pages/find.py"
MOST_ROWS = 200
SHORT = 20_000  # characters: a text with fewer seldom rules out chance, and a survey is the better witness
_LOOKED_AT = "ranking_looked_at"  # (neuron and signal that were chosen in the ranking last, how often another way)
_PATIENCE = 1.0  # seconds in which neurons are added before anybody is told of it
_LANGUAGES = {"python": "Python", "c": "C", "text": "plain text"}
_RANKED = ("neuron", "signal", "direction", "score", "baseline", "twin_score", "q_value", "verdict", "note")
_COMPARED = ("title", *_RANKED, "found_in", "description")


@dataclass(frozen=True)
class Answer:
    """What is known about one concept: all neurons ranked, by the survey or in this text, or why they are not.

    table : with its verdicts, best first; None where nothing could be ranked.
    problem : the sentence why this text could not be searched.
    """

    concept: Concept
    table: pd.DataFrame | None
    is_surveyed: bool = False
    problem: str | None = None

    @property
    def best(self) -> dict:
        """The first row; only where there is a table."""
        if self.table is None:
            raise RuntimeError("nothing was ranked")
        row = self.table.iloc[0].to_dict()
        return {**row, "verdict": verdict(row)}


def page() -> None:
    """Draw the page."""
    view = state.current()
    with pickers.bar():
        view = pickers.pick_reading(view)
        if view.ask is None:
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
                view = pickers.pick_concepts(view, data.concepts_of(_files(view)))
    state.settle(view)
    reading = cards.read(view)
    if view.ask is not None:
        marked.answer(cards.fit(view, reading, cards.survey_of(reading)), reading)
        cards.footnote(reading)
        return
    answers = _ask(view, reading)
    if len(answers) > 1:
        _compare(answers, view, reading)
    _tell(answers[str(view.concept)], view, reading)
    cards.footnote(reading)


def _files(view: state.View) -> list[str]:
    """Names of the files of a view's text, of which the languages are known before it is read."""
    kind, _, name = str(view.text).partition(":")
    if kind == "recording":
        return [document.name for document in data.open_folder(name).recording.documents]
    return [name for name, _ in texts.load_text(str(view.text)).parts()]


# --------------------------------------------------------------------------------------------------------- answers


def _ask(view: state.View, reading: data.Reading) -> dict[str, Answer]:
    """An answer for each concept: the survey's where that is asked for, else out of one search of this text."""
    surveyed = {name: data.surveyed(reading.network, name) for name in view.concepts}
    within = view.within or ("survey" if len(reading.text) < SHORT else "text")
    here = [name for name in view.concepts if within == "text" or surveyed[name] is None]
    with cards.progress() as tell:
        found = data.search(reading, here, tell) if here else data.Searched({}, {})
    answers = {}
    for name in view.concepts:
        table, problem = found.tables.get(name), found.too_little.get(name)
        is_surveyed = table is None and surveyed[name] is not None
        answers[name] = Answer(
            data.concept_called(name), surveyed[name] if is_surveyed else table, is_surveyed, problem
        )
    return answers


def _compare(answers: Mapping[str, Answer], view: state.View, reading: data.Reading) -> None:
    """One row for each concept: its best neuron, and how sure that is; a row leads to the concept's details."""
    cards.heading(f"{len(answers)} concepts, each with its best neuron", "a row leads to what was found for it")
    ranked = {name: answer for name, answer in answers.items() if answer.table is not None}
    order = sorted(ranked, key=lambda name: -_worth(ranked[name].best))

    def look_at(name: str) -> None:
        others = tuple(one for one in view.concepts if one != name)
        state.go(concept=name, also=others, about=None)

    if order:
        table = pd.DataFrame([ranked[name].best for name in order]).assign(
            title=[ranked[name].concept.title for name in order],
            description=[ranked[name].concept.description for name in order],
            found_in=["survey" if ranked[name].is_surveyed else "this text" for name in order],
        )
        table = tables.named(table, notes.titles(reading.recording.network_hash))
        key = f"compared {view.concept} {' '.join(order)}"  # a row that was chosen is not chosen on the next page
        tables.draw(table, _COMPARED, key=key, choose=lambda row: look_at(order[row]))
    cards.notes(f"“{one.concept.title}”: {one.problem}" for one in answers.values() if one.table is None)
    st.session_state["looked_at"] = view.concept
    st.pills(
        "look at", [*order, *(name for name in answers if name not in ranked)], key="looked_at",
        format_func=lambda name: cards.plain(answers[name].concept.title),
        on_change=lambda: look_at(st.session_state["looked_at"] or str(view.concept)),
    )  # fmt: skip


def _worth(row: dict) -> float:
    return float(skill(row["score"], row["baseline"], row["twin_score"]))


# ------------------------------------------------------------------------------------------------------ one concept


def _tell(answer: Answer, view: state.View, reading: data.Reading) -> None:
    """All that is known about one concept."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        cards.quiet(concept_words(answer.concept), width="content")
        with st.popover("where it begins and ends", type="tertiary"):
            cards.sentence(answer.concept.edges)
    survey = cards.survey_of(reading)
    told = survey.best(answer.concept.name) if survey is not None else None
    if survey is not None and told is not None and not answer.is_surveyed:
        where = f"In the {survey.n_report_chars:,} held-out characters of the survey"
        cards.quiet(f"{where}, the best was {told.neuron}: {told.words()}; {told.verdict}.")
    if data.surveyed(reading.network, str(view.concept)) is not None:
        _pick_source(answer, survey.n_report_chars if survey is not None else 0, reading)
    if answer.problem is not None and (answer.is_surveyed or len(view.concepts) == 1):
        cards.notes([f"This text alone: {answer.problem}" if answer.is_surveyed else answer.problem])
    if answer.table is None:
        return
    where = "In this text, chosen and scored on different parts of it"
    if answer.is_surveyed and survey is not None:
        where = f"In {survey.n_report_chars:,} held-out characters ({survey.corpus})"
    cards.claim(*found_words(answer.best, answer.concept.title, where))
    row, place = _chosen(answer.table, view)
    with st.container(key="found"):  # app.css puts the columns below each other on a narrow page
        rows, one = st.columns([19, 21], gap="medium")
    with rows:
        _rank(answer, view, reading)
        _codes(answer, view, reading)
    with one:
        _neuron(row, place, answer, view, reading)


def _pick_source(answer: Answer, n_chars: int, reading: data.Reading) -> None:
    words = {"survey": f"the survey, {n_chars:,} characters", "text": f"this text, {len(reading.text):,} characters"}
    st.session_state["within"] = "survey" if answer.is_surveyed else "text"

    def take() -> None:
        if (source := st.session_state["within"]) is None:  # a second click on the one that is chosen
            state.stay()
        else:
            state.go(within=source, about=None)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        cards.quiet("ranked by", width="content")
        st.segmented_control(
            "ranked by", state.SOURCES, key="within", format_func=words.__getitem__, label_visibility="collapsed",
            on_change=take,
        )  # fmt: skip
        if answer.is_surveyed and len(reading.text) < SHORT:
            cards.quiet("a text as short as this one can seldom rule out chance", width="content")


def _chosen(table: pd.DataFrame, view: state.View) -> tuple[dict, int]:
    """The row of the neuron that the address is about, by the signal where that is ranked, else the best; its place."""
    if view.about is not None:
        mine = table[(table.layer == view.about.layer) & (table.unit == view.about.unit)]
        exact = mine[mine.signal == view.signal] if view.neuron == view.about else mine.head(0)
        if len(mine):
            place = int((exact if len(exact) else mine).index[0])
            return table.loc[place].to_dict(), place
        cards.notes([f"Neuron {view.about} is not among those that were ranked: this is the best."])
    return table.iloc[0].to_dict(), 0


def _rank(answer: Answer, view: state.View, reading: data.Reading) -> None:
    table = answer.table
    if table is None:
        return
    shown = tables.named(table.head(MOST_ROWS), notes.titles(reading.recording.network_hash))
    what = "neurons" if answer.is_surveyed else "neurons and signals"
    order = "in the order found where they were chosen; their scores are of other text. Choose a row."
    cards.quiet(f"The first {len(shown):,} of {len(table):,} {what}, {order}")

    turn = _turn(view)

    def look_at(row: int) -> None:
        neuron, signal = Neuron(int(shown.layer[row]), int(shown.unit[row])), str(shown.signal[row])
        st.session_state[_LOOKED_AT] = ((neuron, signal), turn)
        state.go(about=neuron, neuron=neuron, signal=signal)

    key = f"ranking {answer.concept.name} {answer.is_surveyed} {view.network} {view.text} {turn}"
    tables.draw(shown, _RANKED, key=key, height=430, choose=look_at)
    share.table(table, f"{view.concept}-{reading.title if reading.network is None else view.network}")


def _turn(view: state.View) -> int:
    """Grows when what is looked at was not chosen in the ranking: then no row of it is marked any more."""
    about = view.about and (view.about, view.signal if view.neuron == view.about else None)
    seen = st.session_state.get(_LOOKED_AT, (about, 0))
    if seen[0] != about:
        seen = st.session_state[_LOOKED_AT] = (about, seen[1] + 1)
    return int(seen[1])


def _codes(answer: Answer, view: state.View, reading: data.Reading) -> None:
    """One neuron or many: how much more the best few tell together; found behind the page."""
    cards.heading("One neuron or many?", "the best k together, held out, in this text")
    name, table = str(view.concept), answer.table
    if table is None:
        return
    job = data.begin_codes(reading, name, table)
    if job is not None and not job.wait(_PATIENCE):
        cards.wait_for(job, can_end=False)
        return
    try:
        if job is not None:
            job.check()
        found = data.codes(reading, name, table)
    except InspectorError as error:
        cards.quiet(str(error))
        return
    cards.sentence(codes_words(found))
    if found.empty:
        return
    baseline, twin = answer.best["baseline"], answer.best["twin_score"]
    if answer.is_surveyed:  # those are of other text
        baseline = twin = math.nan
    figure = figures.codes_figure(found, baseline=baseline, twin=twin, theme=cards.theme())
    st.plotly_chart(figure, key="codes", config={"displayModeBar": False})


# ------------------------------------------------------------------------------------------------------- one neuron


def _neuron(row: dict, place: int, answer: Answer, view: state.View, reading: data.Reading) -> None:
    """One neuron of the ranking: what it scores, where it is right and wrong, and how well it parts the two."""
    neuron, signal = Neuron(int(row["layer"]), int(row["unit"])), str(row["signal"])
    there = replace(view, neuron=neuron, signal=signal, at=None, ask=None)
    if place:
        said = f"its {signal_words(signal)} is {score_words(row)}; {verdict(row)}"
        cards.heading(f"{neuron}, number {place + 1:,}", said)
    else:
        cards.heading(f"{neuron}, the best", f"by its {signal_words(signal)}")
    notes.line(reading.recording.network_hash, neuron)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(READ, label=f"Read with **{neuron}** →", query_params=there.to_query())
        if reading.network is not None:
            st.page_link(NEURON, label="its page", query_params=there.to_query())
        if place:
            best = replace(view, about=None)
            st.page_link(FIND, label="back to the best", query_params=best.to_query())
    try:
        label, valid = data.labels(reading, answer.concept)
    except InspectorError as error:  # ranked by the survey, and told in another language than this text's
        asked = " or ".join(_LANGUAGES[name] for name in answer.concept.languages)
        cards.sentence(f"This text is not {asked}: choose one that is." if asked else str(error))
        return
    trace = reading.trace(neuron, signal)
    _stretches(row, label, valid, trace, answer, there, reading)
    _apart(row, label[valid], trace[valid], answer.concept.title)


def _stretches(
    row: dict, label: np.ndarray, valid: np.ndarray, trace: np.ndarray, answer: Answer, there: state.View,
    reading: data.Reading,
) -> None:  # fmt: skip
    """Where one sees what the neuron makes of the concept, in text that had no part in choosing it."""
    among = valid if answer.is_surveyed else data.scored_part(reading) & valid
    numbers = np.zeros(among.size, np.int64)  # a stretch does not go on into the next document
    for number, document in enumerate(reading.recording.documents, 1):
        numbers[document.start : document.stop] = number
    numbers[~among] = 0
    says = row["polarity"] * trace >= row["polarity"] * row["threshold"] if row["metric"] == "auroc" else None
    found = telling_stretches(reading.text, label, numbers, says)
    scale = scale_for(str(there.signal), trace)
    for why, (headline, remark) in STRETCHES.items():
        some = [one for one in found if one.why == why]
        if some:
            cards.heading(headline, remark)
        for one in some:
            _stretch(one, label, trace, scale, there, reading)
    of = "this text; the neuron was chosen by the survey" if answer.is_surveyed else "the scored part of this text"
    drawn = "Underlined: the concept holds. Coloured: the value." if label.dtype == bool else "Coloured: the value."
    cards.quiet(f"{drawn} Out of {of}." if found else f"There is nothing of it in {of}.")


def _stretch(
    one: Stretch, label: np.ndarray, trace: np.ndarray, scale, there: state.View, reading: data.Reading
) -> None:
    place = reading.recording.place(one.start)
    holds = label[one.start : one.stop] if label.dtype == bool else None
    at = one.start + int(holds.argmax()) if holds is not None else one.start
    with st.container(gap=None):
        st.page_link(
            READ, label=cards.place_label(reading.recording, one.start), query_params=replace(there, at=at).to_query()
        )
        text, values = reading.text[one.start : one.stop], trace[one.start : one.stop]
        cards.excerpt(text, values, scale, first_line=place.line, holds=holds)


def _apart(row: dict, label: np.ndarray, values: np.ndarray, title: str) -> None:
    """How the neuron's values lie where the concept holds and where not, and what every threshold would give."""
    theme, plain = cards.theme(), {"displayModeBar": False}
    if row["metric"] != "auroc":
        cards.heading("How it follows", "the neuron's values at each value of the concept, over the whole text")
        if not label.size:
            cards.sentence("This text has no place where the concept can be told.")
            return
        st.plotly_chart(figures.level_figure(values, label, title=title, theme=theme), key="levels", config=plain)
        return
    said = "over the whole text; the dotted lines are its threshold, and chance"
    cards.heading("How well it alone tells them apart", said)
    if label.all() or not label.any():  # so too where nothing can be told
        holds = "everywhere" if label.any() else "nowhere"
        cards.sentence(f"The concept holds {holds} in this text: there is nothing to tell apart.")
        return
    classes, roc = st.columns(2)
    with classes:
        figure = figures.class_figure(values, label, row["threshold"], theme=theme)
        st.plotly_chart(figure, key="classes", config=plain)
    with roc:
        st.plotly_chart(figures.roc_figure(values, label, int(row["polarity"]), theme=theme), key="roc", config=plain)


page()
