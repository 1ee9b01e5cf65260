"""Words of any text, and the words, numbers and operators of code. No parser, so never an error.

Keywords and identifiers are told apart by the language's list of keywords. A word of code is labelled whole as what it
turns out to be, so the label at its first letter needs the letters to come.
"""

import keyword
import re

import numpy as np

from inspector.concepts.characters import Bools, Ints, latest, paint_class, paint_pairs, paint_spans
from inspector.concepts.scan import COMMENT, OTHER, PREFIXES, code_only, scan
from inspector.concepts.statements import BLANK, logical

_DIRECTIVE = re.compile(r"^[ \t]*+#[ \t]*+([a-z_]++)", re.MULTILINE)

_C_DIRECTIVES = (
    "define elif elifdef elifndef else embed endif error ident if ifdef ifndef import include include_next line pragma"
    " undef warning"
)
_C_KEYWORDS = (
    "alignas alignof auto bool break case char const constexpr continue default do double else enum extern false float"
    " for goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct"
    " switch thread_local true typedef typeof typeof_unqual union unsigned void volatile while"
    " _Alignas _Alignof _Atomic _BitInt _Bool _Complex _Decimal128 _Decimal32 _Decimal64 _Generic _Imaginary _Noreturn"
    " _Static_assert _Thread_local asm defined __asm__ __inline __inline__ __volatile__ __typeof__ __attribute__"
)
_DIRECTIVE_NAMES = frozenset(_C_DIRECTIVES.split())
_KEYWORDS = {"python": frozenset(keyword.kwlist), "c": frozenset(_C_KEYWORDS.split())}

_DIGITS = "[0-9](?:_?[0-9])*+"
_NUMBERS = {
    "python": re.compile(
        r"(?<!\w)(?:0[xX](?:_?[0-9a-fA-F])++|0[bB](?:_?[01])++|0[oO](?:_?[0-7])++"
        rf"|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?[jJ]?)"
    ),
    "c": re.compile(r"(?<!\w)(?:0[xX](?:[pP][+-]|'?[\w.])*+|\.?[0-9](?:[eE][+-]|'?[\w.])*+)"),
}
# Numbers are matched to be passed over: 0x1F and 1e5 hold no words.
_WORD = {language: re.compile(rf"{number.pattern}|(\w++)") for language, number in _NUMBERS.items()}
_EXPONENT_SIGN = re.compile(
    r"(?<!\w)(?:(?:[0-9][0-9_]*+\.?+[0-9_]*+|\.[0-9][0-9_]*+)[eE]|0[xX][0-9a-fA-F]*+\.?+[0-9a-fA-F]*+[pP])[+-]"
)
_OPERATORS = {"python": "+-*/%@&|^~<>=!", "c": "+-*/%&|^~<>=!?"}
_FIRST_AT = re.compile(rf"^{BLANK}*+@", re.MULTILINE)


def is_keyword(text: str, language: str) -> Bools:
    """True on every character of a keyword; in C also on the name of a directive, without its "#"."""
    words = _words(text, language)
    return paint_pairs(len(text), [span for span, is_key in words if is_key])


def is_identifier(text: str, language: str) -> Bools:
    """True on every character of a name that is not a keyword; the letters before a string's quote are no name."""
    words = _words(text, language)
    return paint_pairs(len(text), [span for span, is_key in words if not is_key])


def _words(text: str, language: str) -> list[tuple[tuple[int, int], bool]]:
    """Every word with whether it is a keyword."""
    code = code_only(text, language)
    directives = set()
    if language == "c":
        directives = {match.span(1) for match in _DIRECTIVE.finditer(code) if match[1] in _DIRECTIVE_NAMES}
    words = []
    for match in _WORD[language].finditer(code):
        if match.lastindex is None:
            continue
        span, word = match.span(), match[0]
        is_prefix = code.startswith('"', span[1]) and word.lower() in PREFIXES[language]
        if not is_prefix:
            words.append((span, word in _KEYWORDS[language] or span in directives))
    return words


def is_number(text: str, language: str) -> Bools:
    """True on every character of a number as the language writes it."""
    return paint_pairs(len(text), [match.span() for match in _NUMBERS[language].finditer(code_only(text, language))])


def is_operator(text: str, language: str) -> Bools:
    """True on the characters of operators; not on the sign of an exponent and the "@" of a decorator."""
    found = scan(text, language)
    begins_later = (found.kinds == COMMENT) & (language == "c")  # at "/" it is still one, but in the prose after #error
    begins_later[1:] &= (found.kinds[:-1] != OTHER) | (found.stops[:-1] != found.starts[1:])
    hidden = paint_spans(len(text), found.starts + begins_later, found.stops)
    label = paint_class(text, _OPERATORS[language].__contains__) & ~hidden
    code = logical(text, language)
    others = [_EXPONENT_SIGN, _FIRST_AT] if language == "python" else [_EXPONENT_SIGN]
    label[[match.end() - 1 for pattern in others for match in pattern.finditer(code)]] = False
    return label


def word_position(text: str) -> Ints:
    """How many characters of the current word have been read; 0 outside words."""
    in_word = _in_word(text)
    return np.where(in_word, np.arange(len(text)) - latest(~in_word), 0)


def word_length(text: str) -> Ints:
    """Length of the word being read, as far as it has been read, and behind it until the next one begins; 0 before."""
    last = latest(_in_word(text))
    return np.where(last >= 0, word_position(text)[last], 0)


def in_capitalised_word(text: str) -> Bools:
    """True inside words whose first character is a capital letter."""
    in_word = _in_word(text)
    start = latest(word_start(text))
    capital = paint_class(text, lambda character: character.isupper() or character.istitle())
    return in_word & capital[start]


def in_number(text: str) -> Bools:
    """True on digits that do not go on a word, and on points and commas between them."""
    spans = [match.span() for match in re.finditer(r"(?<!\w)[0-9]++(?:[.,][0-9]++)*+", text)]
    return paint_pairs(len(text), spans)


def _in_word(text: str) -> Bools:
    return paint_class(text, lambda character: character.isalnum() or character == "_")


def word_start(text: str) -> Bools:
    """True on the first character of every run of letters, digits and underscores."""
    first = _in_word(text)
    first[1:] &= ~first[:-1]
    return first


def word_end(text: str) -> Bools:
    """True on the last character of every run of letters, digits and underscores."""
    last = _in_word(text)
    last[:-1] &= ~last[1:]
    return last
