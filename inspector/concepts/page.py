"""The page of all concepts, docs/concepts.md, made from the objects themselves."""

from itertools import groupby

from inspector.concepts.catalogue import CONCEPTS
from inspector.concepts.concept import LANGUAGES, Concept

_HEAD = """# Concepts

What a neuron can be searched for. A concept gives every character of a text a label: the state of a reader who has just
read that character. This page is made by `python -m inspector concepts --markdown`.

*Causal* concepts can be told from what has been read; the others may need later text, as a network never has.
*Graded* concepts are numbers, all others yes or no. Where nobody can tell (behind a quote that is never closed, in a
statement with a syntax error) a label is not valid, and a search leaves those characters out.

`python -m inspector concepts --show inside_string FILE` shows what a label marks in a text;
`python -m inspector concepts --check` compares the labels of Python code with `tokenize` and `ast`.
"""
_TAIL = """
## Your own

* A regular expression: `regex:PATTERN` marks all its matches, or their group `(?P<mark>...)`.
* A function in a file: `my.py:name`. It takes the text (and, if it wants, the language) and returns one value per
  character: bools, or numbers for a graded concept. The file is run, so only name one that you trust.
* Marked spans: a file `spans.json` that holds `[[start, stop], ...]` in characters, or
  `{"name": "greetings", "n_chars": 1200, "spans": [[0, 5]]}`.

All of them can be written where a command takes a concept, `--show` too. In a program: `regex_concept`, `load_concept`,
`span_concept`, and `resolve_concept` for whatever a person wrote.
"""


def concepts_page() -> str:
    """The page in Markdown."""
    return _HEAD + "".join(_section(group, list(members)) for group, members in by_group()) + _TAIL


def by_group() -> list[tuple[str, list[Concept]]]:
    """All concepts under their groups' headings, in the order they are shown."""
    grouped = groupby(CONCEPTS.values(), key=lambda concept: concept.group)
    return [(group, list(members)) for group, members in grouped]


def _section(group: str, members: list[Concept]) -> str:
    rows = ["| name | what it says | its edges | languages | kind |", "|---|---|---|---|---|"]
    rows += [
        f"| `{concept.name}` | {_cell(concept.description)} | {_cell(concept.edges)} | {spoken(concept)}"
        f" | {kind_of(concept)} |"
        for concept in members
    ]
    return f"\n## {group.capitalize()}\n\n" + "\n".join(rows) + "\n"


def spoken(concept: Concept) -> str:
    """The languages of a concept in a few words."""
    if not concept.languages:
        return "any text"
    return ", ".join(language for language in LANGUAGES if language in concept.languages)


def kind_of(concept: Concept) -> str:
    """Its kind, and whether it can be told from what has been read."""
    return f"{concept.kind}, {'causal' if concept.causal else 'needs later text'}"


def _cell(sentence: str) -> str:
    """A sentence as Markdown that shows it letter by letter."""
    for sign in "\\`*_|<>#[]":
        sentence = sentence.replace(sign, f"\\{sign}")
    return sentence
