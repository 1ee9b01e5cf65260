"""The object every concept is, and the languages a text can be in. Knows no particular concept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.recording import InspectorError

LANGUAGES = ("python", "c", "text")

_SUFFIXES = {".py": "python", ".pyi": "python", ".pyw": "python", ".c": "c", ".h": "c"}

Labels = NDArray[np.bool_] | NDArray[np.float32]
# (text, language) -> one value per code point; language is one of LANGUAGES.
Labeller = Callable[[str, str], NDArray[Any]]


def language_of(filename: str | PurePath) -> str:
    """The language a file is read as, by the end of its name: "python", "c" or, for everything else, "text".

    >>> language_of("drivers/net/tun.c")
    'c'
    """
    return _SUFFIXES.get(PurePath(filename).suffix.lower(), "text")


def main_language(texts: Iterable[tuple[str, str]]) -> str:
    """The language that most of the characters of texts, (name, text) each, are written in."""
    counts: dict[str, int] = {}
    for name, text in texts:
        counts[language_of(name)] = counts.get(language_of(name), 0) + len(text)
    return max(counts, key=lambda language: counts[language])


@dataclass(frozen=True)
class Concept:
    """A named property of characters.

    >>> CONCEPTS["digit"].label("a1")
    array([False,  True])

    name : what programs and addresses call it.
    title, description, edges : what a reader is told: a few words, one sentence, and what happens at the borders.
    kind : "yes/no" (bool labels) or "graded" (float32 labels).
    languages : where it is defined; () is any text, and then no language need be given.
    causal : True when the label at t needs text[:t + 1] only.
    group : the heading it stands under in a list.
    """

    name: str
    title: str
    description: str
    edges: str
    kind: Literal["yes/no", "graded"]
    languages: tuple[str, ...]
    causal: bool
    group: str
    labeller: Labeller = field(repr=False, compare=False)
    validator: Labeller | None = field(default=None, repr=False, compare=False)

    def label(self, text: str, language: str | None = None) -> Labels:
        """One label per character: a new bool array for a yes/no concept, float32 for a graded one; shape (n_chars,).

        InspectorError when the concept is not defined for `language`; None stands for plain text.
        """
        labels = self.labeller(text, self._check_language(language))
        return labels.astype(np.bool_) if self.kind == "yes/no" else labels.astype(np.float32)

    def valid(self, text: str, language: str | None = None) -> NDArray[np.bool_]:
        """Where the label can be trusted: a new bool array of shape (n_chars,).

        False where nobody can tell, for instance inside a quotation that is never closed.
        """
        language = self._check_language(language)
        if self.validator is None:
            return np.ones(len(text), np.bool_)
        return self.validator(text, language).astype(np.bool_)

    def _check_language(self, language: str | None) -> str:
        if language is not None and language not in LANGUAGES:
            raise InspectorError(f"There is no language {language!r}: choose one of {', '.join(LANGUAGES)}.")
        if not self.languages or (language or "text") in self.languages:
            return language or "text"
        given = "no language was given" if language is None else f"the text is read as {language!r}"
        choices = " or ".join(f"language={name!r}" for name in self.languages)
        raise InspectorError(
            f"Concept {self.name!r} is not defined here, as {given}: pass {choices}, or choose a concept for any text."
        )
