"""The concepts there are, each with the sentence a reader sees. A new one is a new entry here."""

import difflib
import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.concepts import lines, scan, words
from inspector.concepts.brackets import CURLY, ROUND, SQUARE, brackets
from inspector.concepts.characters import Bools, code_points, paint_class
from inspector.concepts.concept import Concept, Labeller
from inspector.concepts.docstrings import inside_docstring
from inspector.concepts.syntax import inside_if_condition, is_parsed
from inspector.recording import InspectorError

_CODE = ("python", "c")
_TAB_COLUMNS = {"c": 8}


def _of_class(belongs: Callable[[str], bool]) -> Labeller:
    return lambda text, _: paint_class(text, belongs)


def _of_text(labeller: Callable[[str], NDArray[Any]]) -> Labeller:
    return lambda text, _: labeller(text)


def _of_brackets(*kinds: int) -> Labeller:
    return lambda text, language: (brackets(text, language).depth[list(kinds)] > 0).max(axis=0)


def _of_quote(*marks: str) -> Labeller:
    def label(text: str, language: str) -> Bools:
        found = scan.scan(text, language)
        chosen = (found.kinds == scan.STRING) & np.isin(found.marks, [ord(mark) for mark in marks])
        return scan.paint_strings(len(text), found.only(chosen))

    return label


def _triple_quoted(text: str, language: str) -> Bools:
    found = scan.scan(text, language)
    strings = found.only(found.triple)
    inside = scan.paint_strings(len(text), strings)
    inside[strings.starts] = False
    return inside


def _same_as_before(text: str) -> Bools:
    codes = code_points(text)
    return np.append(np.zeros(min(len(codes), 1), np.bool_), codes[1:] == codes[:-1])


_STRINGS = [
    Concept(
        "inside_string",
        "inside a string",
        "Inside a string; in C inside a character literal too.",
        'Opening quote in, closing quote out. Of """ the second quote is out, as the reader has just read an empty'
        " string; of the closing three only the last is out. Prefix letters are out; an f-string is one string with all"
        " its {expressions}. A string on one line ends unclosed at the line break, which is out.",
        "yes/no",
        _CODE,
        causal=True,
        group="strings and comments",
        labeller=scan.inside_string,
        validator=scan.all_closed,
    ),
    Concept(
        "inside_double_quotes",
        "inside double quotes",
        "Inside a string in double quotes; in plain text inside a quotation in straight or curly ones.",
        "Opening quote in, closing quote out; in plain text a blank line ends the quotation.",
        "yes/no",
        (),
        causal=True,
        group="strings and comments",
        labeller=_of_quote('"', "“"),
        validator=scan.all_closed,
    ),
    Concept(
        "inside_single_quotes",
        "inside single quotes",
        "Inside a string in single quotes; in C inside a character literal.",
        "Opening quote in, closing quote out; apostrophes in comments and double quotes open nothing.",
        "yes/no",
        _CODE,
        causal=True,
        group="strings and comments",
        labeller=_of_quote("'"),
        validator=scan.all_closed,
    ),
    Concept(
        "inside_triple_quotes",
        "inside a triple-quoted string",
        'Inside a string between """ or between three single quotes.',
        "In from the third opening quote, when the reader knows, to before the third closing quote.",
        "yes/no",
        ("python",),
        causal=True,
        group="strings and comments",
        labeller=_triple_quoted,
        validator=scan.all_closed,
    ),
    Concept(
        "inside_comment",
        "inside a comment",
        "Inside a comment.",
        "In from # or the second character of // and /*; the line break, and the / of */, are out.",
        "yes/no",
        _CODE,
        causal=True,
        group="strings and comments",
        labeller=scan.inside_comment,
        validator=scan.all_closed,
    ),
    Concept(
        "inside_docstring",
        "inside a docstring",
        "Inside a string that stands as the first statement of a module, class or function.",
        "As for strings. Whether the statement goes on after the string is not known yet and does not count;"
        " byte strings and f-strings are no docstrings.",
        "yes/no",
        ("python",),
        causal=True,
        group="strings and comments",
        labeller=inside_docstring,
        validator=scan.all_closed,
    ),
]

_BRACKET_EDGES = (
    "Opening bracket in, closing bracket out; in code, brackets in strings and comments do not count; in plain text a"
    " blank line closes all."
)


def _brackets_match(text: str, language: str) -> Bools:
    return brackets(text, language).valid


def _bracket_concept(name: str, title: str, description: str, labeller: Labeller) -> Concept:
    kind: Literal["yes/no", "graded"] = "graded" if name == "bracket_depth" else "yes/no"
    return Concept(name, title, description, _BRACKET_EDGES, kind, (), True, "brackets", labeller, _brackets_match)


_BRACKETS = [
    _bracket_concept(
        "inside_brackets",
        "inside brackets",
        "Inside round, square or curly brackets.",
        _of_brackets(ROUND, SQUARE, CURLY),
    ),
    _bracket_concept(
        "bracket_depth",
        "bracket depth",
        "How many brackets of any kind are open.",
        lambda text, language: brackets(text, language).depth.sum(axis=0),
    ),
    _bracket_concept("inside_round", "inside ( )", "Inside round brackets.", _of_brackets(ROUND)),
    _bracket_concept("inside_square", "inside [ ]", "Inside square brackets.", _of_brackets(SQUARE)),
    _bracket_concept("inside_curly", "inside { }", "Inside curly brackets.", _of_brackets(CURLY)),
]


def _line_concept(
    name: str, title: str, description: str, edges: str, labeller: Labeller, *, graded: bool = False
) -> Concept:
    return Concept(name, title, description, edges, "graded" if graded else "yes/no", (), True, "lines", labeller)


_LINES = [
    _line_concept(
        "indentation",
        "indentation",
        "Columns of blanks the current line begins with.",
        "Counts up through the leading blanks, then stays to the end of the line; 0 on the line break. A tab leads to"
        " the next multiple of 8 in C, of 4 elsewhere. Every line counts, in strings and continued statements too.",
        lambda text, language: lines.indentation(text, _TAB_COLUMNS.get(language, 4)),
        graded=True,
    ),
    _line_concept(
        "line_position",
        "position in line",
        "How many characters of the current line have been read.",
        "1 on the first character of a line, 0 on the line break. A tab counts as one character.",
        _of_text(lines.line_position),
        graded=True,
    ),
    _line_concept(
        "line_start",
        "line start",
        "The first character of a line.",
        "Also the line break of an empty line; the second character of a \\r\\n never.",
        _of_text(lines.line_start),
    ),
    Concept(
        "newline_next",
        "newline next",
        "The next character is a line break.",
        "On the last character of the text nobody can tell.",
        "yes/no",
        (),
        causal=False,
        group="lines",
        labeller=_of_text(lines.before_break),
        validator=lambda text, _: np.arange(len(text)) < len(text) - 1,
    ),
]


def _character_concept(name: str, title: str, description: str, labeller: Labeller, edges: str = "") -> Concept:
    edges = edges or "Each character by itself."
    return Concept(name, title, description, edges, "yes/no", (), True, "characters", labeller)


_CHARACTERS = [
    _character_concept("digit", "digit", "A decimal digit of any script.", _of_class(str.isdecimal)),
    _character_concept("uppercase", "upper case", "A capital letter.", _of_class(str.isupper)),
    _character_concept(
        "whitespace", "white space", "A space, tab, line break or other white space.", _of_class(str.isspace)
    ),
    _character_concept(
        "vowel", "vowel", "One of a, e, i, o, u, small or capital.", _of_class("aeiouAEIOU".__contains__)
    ),
    _character_concept(
        "punctuation",
        "punctuation",
        "A punctuation mark or symbol.",
        _of_class(lambda character: unicodedata.category(character)[0] in "PS"),
        "Each character by itself: Unicode's categories P and S.",
    ),
    _character_concept(
        "non_ascii", "not ASCII", "A character beyond ASCII.", _of_class(lambda character: not character.isascii())
    ),
    _character_concept(
        "same_as_before",
        "same as before",
        "The same character as the one before it.",
        _of_text(_same_as_before),
        "Never the first character of a text.",
    ),
]

_WORDS = [
    Concept(
        "identifier",
        "identifier",
        "A name that is not a keyword.",
        "All its characters. Soft keywords such as match count as names; letters before a string's quote do not count,"
        " nor does what is inside f-strings.",
        "yes/no",
        _CODE,
        causal=False,
        group="syntax",
        labeller=words.is_identifier,
        validator=scan.all_closed,
    ),
    Concept(
        "keyword",
        "keyword",
        "A reserved word of the language; in C also defined and the name of a directive such as include.",
        "All its characters; the # of a directive is out. Soft keywords such as match count as names.",
        "yes/no",
        _CODE,
        causal=False,
        group="syntax",
        labeller=words.is_keyword,
        validator=scan.all_closed,
    ),
    Concept(
        "inside_if_condition",
        "inside an if condition",
        "Inside the condition of an if statement (in Python of elif too).",
        "In Python from the first to the last character of the condition; in C opening bracket in, closing bracket out."
        " Where the parser finds an error, the whole function or statement is left out."
        " Conditional expressions, comprehensions and #if do not count.",
        "yes/no",
        _CODE,
        causal=False,
        group="syntax",
        labeller=inside_if_condition,
        validator=is_parsed,
    ),
    Concept(
        "word_start",
        "word start",
        "The first character of a word.",
        "A word is a run of letters, digits and underscores.",
        "yes/no",
        (),
        causal=True,
        group="words",
        labeller=_of_text(words.word_start),
    ),
    Concept(
        "word_end",
        "word end",
        "The last character of a word.",
        "A word is a run of letters, digits and underscores; whether it ends here the next character tells.",
        "yes/no",
        (),
        causal=False,
        group="words",
        labeller=_of_text(words.word_end),
    ),
]

CONCEPTS: MappingProxyType[str, Concept] = MappingProxyType(
    {concept.name: concept for concept in [*_STRINGS, *_BRACKETS, *_LINES, *_CHARACTERS, *_WORDS]}
)


def concepts_for(language: str | None) -> list[Concept]:
    """The concepts defined for a language, in the order they are shown; for None those of any text."""
    return [concept for concept in CONCEPTS.values() if not concept.languages or language in concept.languages]


def get_concept(name: str) -> Concept:
    """The concept of that name; InspectorError with its neighbours' names when there is none."""
    if name in CONCEPTS:
        return CONCEPTS[name]
    near = difflib.get_close_matches(name, CONCEPTS, n=3) or sorted(CONCEPTS)
    raise InspectorError(f"There is no concept {name!r}. Choose one of: {', '.join(near)}.")
