"""Concepts asked of a reading: their labels, all neurons ranked for them, and how many neurons together carry one.

What a survey already knows about a concept comes as a table of the same columns, over its own held-out files.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.data.networks import Network, findings
from dashboard.data.readings import Progress, Reading, jobs
from dashboard.evidence import FIRST_CONCEPT
from dashboard.jobs import Job
from dashboard.shelf import Shelf
from inspector.concepts import Concept, concepts_for, get_concept, language_of, regex_concept
from inspector.recording import InspectorError
from inspector.search import check_label, rank_labels
from inspector.search.codes import best_codes, candidates_of
from inspector.search.parts import parts_of

if TYPE_CHECKING:
    import pandas as pd

REGEX = "regex:"
_LABEL_BYTES = 200_000_000  # of labels kept at once
_TABLES = 128  # rankings kept at once, half a megabyte each for a thousand neurons

Label = tuple[np.ndarray, np.ndarray]  # what holds, and where that can be told: both (n_chars,)


@dataclass(frozen=True)
class Searched:
    """What one search over a text found: a ranking for each concept, or the sentence why there is none."""

    tables: Mapping[str, pd.DataFrame]
    too_little: Mapping[str, str]


@st.cache_resource(show_spinner=False)
def _labels() -> Shelf:
    return Shelf(_LABEL_BYTES, lambda pair: sum(one.nbytes for one in pair))


@st.cache_resource(show_spinner=False)
def _searches() -> Shelf:
    return Shelf(_TABLES, lambda found: len(found.tables) + 1)


@st.cache_resource(show_spinner=False)
def _codes() -> Shelf:
    return Shelf(64, lambda table: 1)


def concept_called(name: str) -> Concept:
    """The concept of that name; ``regex:PATTERN`` is the concept of being inside a match.

    Raises InspectorError for a name nobody knows and a pattern that does not compile.
    """
    return regex_concept(name.removeprefix(REGEX)) if name.startswith(REGEX) else get_concept(name)


def concept_title(name: str) -> str:
    """What a concept is called in a sentence; the bare name where this program does not know it."""
    try:
        return concept_called(name).title
    except InspectorError:
        return name


def concepts_of(files: Iterable[str]) -> list[str]:
    """Names of the concepts that can be asked of a text with these files, what a newcomer should see first first."""
    languages = dict.fromkeys(map(language_of, files))
    names = dict.fromkeys(concept.name for language in languages for concept in concepts_for(language))
    return sorted(names, key=lambda name: name != FIRST_CONCEPT)


def labels(reading: Reading, concept: Concept) -> Label:
    """(label, valid) of a concept over the whole text, document by document; neither may be altered.

    Nothing is valid in documents whose language the concept does not know; where there are no others, InspectorError.
    """
    return _labels().get((reading.key, concept.name), lambda: _label(reading, concept))


def _label(reading: Reading, concept: Concept) -> Label:
    pairs, refused = [], None
    for name, content in reading.contents():
        try:
            language = language_of(name)
            pairs.append((concept.label(content, language=language), concept.valid(content, language=language)))
        except InspectorError as error:
            if language in concept.languages or not concept.languages:
                raise
            nothing = np.zeros(len(content), bool if concept.kind == "yes/no" else np.float32)
            pairs.append((nothing, np.zeros(len(content), bool)))
            refused = error
    label, valid = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    if refused is not None and not valid.any():
        raise refused
    label.setflags(write=False)
    valid.setflags(write=False)
    return label, valid


def scored_part(reading: Reading) -> np.ndarray:
    """(n_chars,): the characters on which neurons are scored, not those on which they are chosen."""
    return parts_of(reading.recording, None).score


def search(reading: Reading, names: Sequence[str], progress: Progress | None = None) -> Searched:
    """All neurons of a reading ranked for several concepts in one pass, an untrained twin beside them where it fits.

    False discoveries are reckoned over all concepts of one search: a row's q_value depends on what else was asked.
    """
    return _searches().get((reading.key, tuple(sorted(names))), lambda: _search(reading, names, progress))


def _search(reading: Reading, names: Sequence[str], progress: Progress | None) -> Searched:
    usable: dict[str, Label] = {}
    too_little: dict[str, str] = {}
    for place, name in enumerate(names):
        if progress is not None:
            progress("Marking the concepts in the text", place / len(names))
        try:
            label, valid = labels(reading, concept_called(name))
            if label.dtype == bool and not label[valid].any():
                raise InspectorError("Too little to rank: it holds nowhere in this text. Take another text.")
            check_label(reading.recording, label, valid=valid)
            usable[name] = label, valid
        except InspectorError as error:
            too_little[name] = str(error)
    if not usable:
        return Searched({}, too_little)

    twin = reading.twin(progress)

    def tell(done: int, total: int) -> None:
        if progress is not None:  # the twin is counted after the network, in silence
            progress("Ranking neurons", done / max(total, 1) * (1 if twin is None else 0.5))

    tables = rank_labels(reading.recording, usable, signals=_states(reading), twin=twin, progress=tell)
    return Searched(tables, too_little)


def _states(reading: Reading) -> list[str]:
    signals = list(dict.fromkeys(name for layer in reading.recording.layers for name in layer.signals))
    return [name for name in signals if name in ("hidden", "cell")] or signals


def surveyed(kept: Network | None, name: str) -> pd.DataFrame | None:
    """Every neuron ranked for a concept by the survey, each with the signal that did better; None where it has none.

    The columns are those of a search. A survey that cannot be read has none either: `networks.findings` says why.
    """
    try:
        found = findings(kept) if kept is not None else None
    except InspectorError:
        return None
    if found is None:
        return None
    table = found.scores[found.scores.concept == name]
    return None if table.empty else table.reset_index(drop=True)


def codes(reading: Reading, name: str, ranking: pd.DataFrame) -> pd.DataFrame:
    """How well the best 1, 2, ... neurons together tell a concept in this text: the table of `best_codes`.

    ranking : by whom candidates are chosen: a table of `search` or `surveyed`.
    """

    def make() -> pd.DataFrame:
        label, valid = labels(reading, concept_called(name))
        return best_codes(reading.recording, label, valid=valid, ranking=ranking)

    return _codes().get(_codes_key(reading, name, ranking), make)


def begin_codes(reading: Reading, name: str, ranking: pd.DataFrame) -> Job | None:
    """Have `codes` made behind the page; None where they are at hand."""
    key = _codes_key(reading, name, ranking)
    words = f"Adding neurons for “{concept_title(name)}”"
    return None if key in _codes() else jobs().start(key, words, lambda job: codes(reading, name, ranking))


def _codes_key(reading: Reading, name: str, ranking: pd.DataFrame) -> Hashable:
    return ("codes", reading.key, name, tuple(candidates_of(ranking)))
