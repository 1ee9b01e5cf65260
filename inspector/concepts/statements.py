"""Lines of code as the language counts them, and statements known by the first word of theirs.

A statement may run over several lines of text: through a backslash, in Python through open brackets too. All of it is
read on `logical` text, where strings and comments are overwritten and only breaks that end a statement are left.
"""

import re
from functools import lru_cache

from inspector.concepts.brackets import brackets
from inspector.concepts.characters import Bools, code_points, paint_pairs, text_of
from inspector.concepts.scan import code_only, inside_comment

BLANK = r"[ \t\f\\]"  # a backslash at a line's end is a blank in a statement

_DIRECTIVE = re.compile(r"^[ \t\f]*+(?P<mark>#[^\n]*+)", re.MULTILINE)
_DECORATOR = re.compile(rf"^{BLANK}*+(?P<mark>@[^\n]*+)", re.MULTILINE)
_IMPORTS = {
    "python": re.compile(rf"(?:^|[;:]){BLANK}*+(?:import|from)(?!\w)(?P<mark>[^\n;]*+)", re.MULTILINE),
    "c": re.compile(rf"^[ \t\f]*+#{BLANK}*+(?:include_next|include|import)(?!\w)(?P<mark>[^\n]*+)", re.MULTILINE),
}
_ATTRIBUTE = r"__attribute__[ \t\f\n\\]*+\(\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)\)"
_CLASS_NAMES = {
    "python": re.compile(rf"(?<!\w)class{BLANK}++(?P<mark>\w++)"),
    "c": re.compile(
        r"(?<!\w)(?:struct|union|enum)[ \t\f\n\\]++"
        rf"(?:(?:{_ATTRIBUTE}|__packed)[ \t\f\n\\]++)*+(?!__attribute__|__packed)(?P<mark>\w++)"
    ),
}


@lru_cache(maxsize=4)
def logical(text: str, language: str) -> str:
    r"""`code_only` text in which a "\n" that does not end a statement is a blank. The last few results are kept."""
    code = code_points(code_only(text, language)).copy()
    original = code_points(text)
    breaks = code == ord("\n")
    joined = breaks.copy()
    joined[:1] = False
    joined[1:] &= code[:-1] == ord("\\")
    second = breaks[1:] & (original[:-1] == ord("\r")) & (original[1:] == ord("\n"))
    joined[1:] |= second & joined[:-1]
    if language == "python":
        joined |= breaks & (brackets(text, language).depth.max(axis=0) > 0)
    code[joined] = ord(" ")
    return text_of(code)


def _marked(pattern: re.Pattern[str], text: str, language: str) -> Bools:
    return paint_pairs(len(text), [match.span("mark") for match in pattern.finditer(logical(text, language))])


def inside_directive(text: str, language: str) -> Bools:
    """True from the "#" of a C preprocessor line to before the break that ends it; comments in it belong to it."""
    return _marked(_DIRECTIVE, text, language)


def inside_decorator(text: str, language: str) -> Bools:
    """True from the "@" to the end of the line, comments aside."""
    return _marked(_DECORATOR, text, language) & ~inside_comment(text, language)


def inside_import(text: str, language: str) -> Bools:
    """True behind the word that tells an import, to the end of the statement, comments aside."""
    return _marked(_IMPORTS[language], text, language) & ~inside_comment(text, language)


def is_class_name(text: str, language: str) -> Bools:
    """True on the name behind `class`; in C behind struct, union and enum."""
    return _marked(_CLASS_NAMES[language], text, language)


def without_directives(text: str) -> str:
    """C code without strings, comments and preprocessor lines: blanks stand in their place."""
    code = code_points(logical(text, "c")).copy()
    code[inside_directive(text, "c")] = ord(" ")
    return text_of(code)
