"""All concepts there are, under their names, and how they are asked for."""

import difflib
from types import MappingProxyType

from inspector.concepts import code_concepts, text_concepts
from inspector.concepts.concept import Concept
from inspector.recording import InspectorError

_IN_ORDER = (
    code_concepts.STRINGS,
    text_concepts.BRACKETS,
    code_concepts.BLOCKS,
    code_concepts.SYNTAX,
    text_concepts.LINES,
    text_concepts.WORDS,
    text_concepts.CHARACTERS,
)
CONCEPTS: MappingProxyType[str, Concept] = MappingProxyType(
    {concept.name: concept for group in _IN_ORDER for concept in group}
)


def concepts_for(language: str | None) -> list[Concept]:
    """The concepts defined for a language, in the order they are shown; None stands for plain text."""
    read_as = language or "text"
    return [concept for concept in CONCEPTS.values() if not concept.languages or read_as in concept.languages]


def get_concept(name: str) -> Concept:
    """The concept of that name; InspectorError with its neighbours' names when there is none."""
    if name in CONCEPTS:
        return CONCEPTS[name]
    near = difflib.get_close_matches(name, CONCEPTS, n=3) or sorted(CONCEPTS)
    raise InspectorError(f"There is no concept {name!r}. Choose one of: {', '.join(near)}.")
