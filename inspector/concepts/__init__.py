"""What "inside a string" means, character by character.

A concept turns a text into one label per character (Unicode code point). The label at ``t`` is the reader's state after
``text[t]``: inside a string, the opening quote is in and the closing quote is out. A concept that needs later text says
so (``causal=False``); all others give the same labels to a text cut off at any point. Nothing here has seen a network.

    text   x = "ab"  # no
    label  ....###......         CONCEPTS["inside_string"].label(text, language="python")
"""

from inspector.concepts.catalogue import CONCEPTS, concepts_for, get_concept
from inspector.concepts.concept import LANGUAGES, Concept, language_of, main_language
from inspector.concepts.own import load_concept, resolve_concept, span_concept
from inspector.concepts.patterns import regex_concept

__all__ = [
    "CONCEPTS",
    "LANGUAGES",
    "Concept",
    "concepts_for",
    "get_concept",
    "language_of",
    "load_concept",
    "main_language",
    "regex_concept",
    "resolve_concept",
    "span_concept",
]
