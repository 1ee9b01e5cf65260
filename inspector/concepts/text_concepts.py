"""The concepts of any text, each with the sentence a reader sees. A new one is a new entry here."""

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.concepts import lines, prose, words
from inspector.concepts.brackets import CURLY, ROUND, SQUARE, brackets, brackets_match
from inspector.concepts.characters import Bools, code_points, paint_class
from inspector.concepts.concept import Concept, Labeller
from inspector.concepts.scan import code_only

_TAB_COLUMNS = {"c": 8}


def _of_class(belongs: Callable[[str], bool]) -> Labeller:
    return lambda text, _: paint_class(text, belongs)


def _of_text(labeller: Callable[[str], NDArray[Any]]) -> Labeller:
    return lambda text, _: labeller(text)


def _of_brackets(*kinds: int) -> Labeller:
    return lambda text, language: (brackets(text, language).depth[list(kinds)] > 0).max(axis=0)


def _same_as_before(text: str) -> Bools:
    codes = code_points(text)
    return np.append(np.zeros(min(len(codes), 1), np.bool_), codes[1:] == codes[:-1])


_BRACKET_EDGES = (
    "Opening bracket in, closing bracket out; in code, brackets in strings and comments do not count; in plain text a"
    " blank line closes all."
)


def _open_at_line_end(text: str, language: str) -> Bools:
    depth = brackets(text, language).depth
    counted = depth[[ROUND, SQUARE]] if language == "c" else depth
    label: Bools = lines.is_break(code_points(code_only(text, language))) & (counted.max(axis=0) > 0)
    return label


# What most concepts of a group have in common.
_any_text = partial(Concept, kind="yes/no", languages=(), causal=True)
_bracket = partial(_any_text, edges=_BRACKET_EDGES, group="brackets", validator=brackets_match)
_line = partial(_any_text, group="lines")
_character = partial(_any_text, edges="Each character by itself.", group="characters")
_word = partial(_any_text, group="words")

BRACKETS = [
    _bracket(
        "inside_brackets",
        "inside brackets",
        "Inside round, square or curly brackets.",
        labeller=_of_brackets(ROUND, SQUARE, CURLY),
    ),
    _bracket(
        "bracket_depth",
        "bracket depth",
        "How many brackets of any kind are open.",
        kind="graded",
        labeller=lambda text, language: brackets(text, language).depth.sum(axis=0),
    ),
    _bracket("inside_round", "inside ( )", "Inside round brackets.", labeller=_of_brackets(ROUND)),
    _bracket("inside_square", "inside [ ]", "Inside square brackets.", labeller=_of_brackets(SQUARE)),
    _bracket("inside_curly", "inside { }", "Inside curly brackets.", labeller=_of_brackets(CURLY)),
    _bracket(
        "open_bracket_at_line_end",
        "unclosed bracket at line end",
        "A line break with a bracket still open.",
        edges="Only the line break itself. In C curly brackets do not count, as blocks stand in them; nor do breaks"
        " inside strings and comments anywhere.",
        labeller=_open_at_line_end,
    ),
]


LINES = [
    _line(
        "indentation",
        "indentation",
        "Columns of blanks the current line begins with.",
        "Counts up through the leading blanks, then stays to the end of the line; 0 on the line break. A tab leads to"
        " the next multiple of 8 in C, of 4 elsewhere. Every line counts, in strings and continued statements too.",
        labeller=lambda text, language: lines.indentation(text, _TAB_COLUMNS.get(language, 4)),
        kind="graded",
    ),
    _line(
        "line_position",
        "position in line",
        "How many characters of the current line have been read.",
        "1 on the first character of a line, 0 on the line break. A tab counts as one character.",
        labeller=_of_text(lines.line_position),
        kind="graded",
    ),
    _line(
        "line_start",
        "line start",
        "The first character of a line.",
        "Also the line break of an empty line; the second character of a \\r\\n never.",
        labeller=_of_text(lines.line_start),
    ),
    _line(
        "line_length",
        "line length so far",
        "How many columns the current line has, as far as it has been read.",
        "On the line break the length of the whole line. A tab leads to the next multiple of 8 in C, of 4 elsewhere.",
        labeller=lambda text, language: lines.line_length(text, _TAB_COLUMNS.get(language, 4)),
        kind="graded",
    ),
    _line(
        "blank_line",
        "blank line",
        "The end of a line with nothing but blanks in it.",
        "Only its line break, both characters of a \\r\\n: before it the line may still become another.",
        labeller=_of_text(lines.blank_line),
    ),
    _line(
        "after_colon",
        "line after a colon",
        "On the line after one that ended with a colon.",
        "In from the line break behind the colon to before the line's own break. Blanks and comments behind the colon,"
        " blank lines and lines of comment change nothing; colons at the end of a string or comment do not count.",
        labeller=lambda text, language: lines.after_colon(
            code_only(text, language), blanks=" \t\f#" if language == "python" else " \t\f"
        ),
    ),
    _line(
        "document_position",
        "position in document",
        "How many characters of the text have been read.",
        "1 on the first character.",
        labeller=_of_text(lambda text: np.arange(1, len(text) + 1)),
        kind="graded",
    ),
    _line(
        "newline_next",
        "newline next",
        "The next character is a line break.",
        "On the last character of the text nobody can tell.",
        causal=False,
        labeller=_of_text(lines.before_break),
        validator=lambda text, _: np.arange(len(text)) < len(text) - 1,
    ),
]


CHARACTERS = [
    _character("digit", "digit", "A decimal digit of any script.", labeller=_of_class(str.isdecimal)),
    _character("uppercase", "upper case", "A capital letter.", labeller=_of_class(str.isupper)),
    _character(
        "whitespace", "white space", "A space, tab, line break or other white space.", labeller=_of_class(str.isspace)
    ),
    _character(
        "vowel", "vowel", "One of a, e, i, o, u, small or capital.", labeller=_of_class("aeiouAEIOU".__contains__)
    ),
    _character(
        "punctuation",
        "punctuation",
        "A punctuation mark or symbol.",
        edges="Each character by itself: Unicode's categories P and S.",
        labeller=_of_class(lambda character: unicodedata.category(character)[0] in "PS"),
    ),
    _character(
        "non_ascii",
        "not ASCII",
        "A character beyond ASCII.",
        labeller=_of_class(lambda character: not character.isascii()),
    ),
    _character(
        "same_as_before",
        "same as before",
        "The same character as the one before it.",
        edges="Never the first character of a text.",
        labeller=_of_text(_same_as_before),
    ),
]

_WORD = "A word is a run of letters, digits and underscores."


WORDS = [
    _word("word_start", "word start", "The first character of a word.", _WORD, labeller=_of_text(words.word_start)),
    _word(
        "word_end",
        "word end",
        "The last character of a word.",
        "A word is a run of letters, digits and underscores; whether it ends here the next character tells.",
        causal=False,
        labeller=_of_text(words.word_end),
    ),
    _word(
        "word_position",
        "position in word",
        "How many characters of the current word have been read.",
        f"1 on a word's first character, 0 outside words. {_WORD}",
        labeller=_of_text(words.word_position),
        kind="graded",
    ),
    _word(
        "word_length",
        "word length so far",
        "How long the word is that is being read, or was read last.",
        f"As the position in the word, but held behind the word until the next one begins. {_WORD}",
        labeller=_of_text(words.word_length),
        kind="graded",
    ),
    _word(
        "capitalised_word",
        "capitalised word",
        "Inside a word that begins with a capital letter.",
        f"All its characters, whatever they are. {_WORD}",
        labeller=_of_text(words.in_capitalised_word),
    ),
    _word(
        "inside_number",
        "inside a number",
        "Inside a number such as 1,000 or 3.14.",
        "Digits 0 to 9 that do not go on a word; a point or comma where a digit stands on both sides. Signs, units and"
        " exponents are out.",
        causal=False,
        labeller=_of_text(words.in_number),
    ),
    _word(
        "sentence_start",
        "sentence start",
        "The first letter or digit of a sentence.",
        "At the beginning of the text, behind a blank line, or behind . ! ? and white space, with any quotes and"
        " brackets between; never a small letter, so that abbreviations rarely count.",
        labeller=_of_text(prose.sentence_start),
    ),
    _word(
        "inside_url",
        "inside a URL",
        "Inside an address such as https://example.org/page.",
        "In from the second slash of ://, when the reader knows, to before white space, a quote, < or >, or a bracket"
        " that was not opened inside.",
        labeller=_of_text(prose.inside_url),
    ),
    _word(
        "speaker_line",
        "speaker line",
        "A line that names who speaks next, as plays are printed.",
        "From its first character, a capital, to the colon that ends it; at the text's beginning or behind an empty"
        " line, at most 62 characters, without any of : . ! ? in it.",
        languages=("text",),
        causal=False,
        labeller=_of_text(prose.speaker_line),
    ),
]
