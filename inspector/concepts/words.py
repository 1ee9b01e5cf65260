"""Words of code: keywords and identifiers, told apart by the language's list of keywords. No parser, so never an error.

A word is labelled whole as what it turns out to be, so the label at its first letter needs the letters to come.
"""

import keyword
import re

import numpy as np

from inspector.concepts.characters import Bools, paint_pairs
from inspector.concepts.scan import code_only

# Numbers are matched to be passed over: 0x1F and 1e5 hold no words.
_WORD = re.compile(r"[0-9][\w.]*+|(\w++)")
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
_STRING_PREFIXES = {"python": {"r", "u", "b", "f", "br", "rb", "fr", "rf"}, "c": {"l", "u", "u8"}}


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
    for match in _WORD.finditer(code):
        if match.lastindex is None:
            continue
        span, word = match.span(), match[0]
        is_prefix = code.startswith('"', span[1]) and word.lower() in _STRING_PREFIXES[language]
        if not is_prefix:
            words.append((span, word in _KEYWORDS[language] or span in directives))
    return words


def word_start(text: str) -> Bools:
    """True on the first character of every run of letters, digits and underscores."""
    return _word_edges(text)[0]


def word_end(text: str) -> Bools:
    """True on the last character of every run of letters, digits and underscores."""
    return _word_edges(text)[1]


def _word_edges(text: str) -> tuple[Bools, Bools]:
    spans = np.array([match.span() for match in re.finditer(r"\w++", text)], np.int64).reshape(-1, 2)
    first, last = np.zeros(len(text), np.bool_), np.zeros(len(text), np.bool_)
    first[spans[:, 0]] = last[spans[:, 1] - 1] = True
    return first, last
