"""The concepts of source code, each with the sentence a reader sees. A new one is a new entry here."""

from functools import partial

import numpy as np

from inspector.concepts import blocks, scan, statements, syntax, words
from inspector.concepts.brackets import brackets_match
from inspector.concepts.characters import Bools
from inspector.concepts.concept import Concept, Labeller
from inspector.concepts.docstrings import inside_docstring
from inspector.concepts.escapes import inside_escape

_CODE = ("python", "c")


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


def _single_line(text: str, language: str) -> Bools:
    found = scan.scan(text, language)
    inside = scan.paint_strings(len(text), found.only((found.kinds == scan.STRING) & ~found.triple))
    inside[found.starts[found.triple]] = True
    return inside


def _of_header(word: str) -> Labeller:
    return lambda text, language: blocks.inside_header(text, language, word)


def _loop_body(text: str, language: str) -> Bools:
    return syntax.inside_c_loop_body(text) if language == "c" else blocks.inside_loop_body(text)


def _blocks_known(text: str, language: str) -> Bools:
    return syntax.is_parsed(text, language) if language == "c" else brackets_match(text, language)


# What most concepts of a group have in common.
_code = partial(Concept, kind="yes/no", languages=_CODE, causal=True, validator=scan.all_closed)
_string = partial(_code, group="strings and comments")
_syntax = partial(_code, group="syntax")
_block = partial(_code, group="blocks", validator=brackets_match)

STRINGS = [
    _string(
        "inside_string",
        "inside a string",
        "Inside a string; in C inside a character literal too.",
        'Opening quote in, closing quote out. Of """ the second quote is out, as the reader has just read an empty'
        " string; of the closing three only the last is out. Prefix letters are out; an f-string is one string with all"
        " its {expressions}: quotes of its own kind in there, as of Python 3.12, end it. A string on one line ends"
        " unclosed at the line break, which is out.",
        labeller=scan.inside_string,
    ),
    _string(
        "inside_double_quotes",
        "inside double quotes",
        "Inside a string in double quotes; in plain text inside a quotation in straight or curly ones.",
        "Opening quote in, closing quote out; in plain text a blank line ends the quotation.",
        languages=(),
        labeller=_of_quote('"', "“"),
    ),
    _string(
        "inside_single_quotes",
        "inside single quotes",
        "Inside a string in single quotes; in C inside a character literal.",
        "Opening quote in, closing quote out; apostrophes in comments and double quotes open nothing.",
        labeller=_of_quote("'"),
    ),
    _string(
        "inside_single_line_string",
        "inside a single-line string",
        "Inside a string that ends on its line at the latest, as the reader believes.",
        "As for strings. Of a triple quote only the first counts: with it the reader cannot know yet.",
        languages=("python",),
        labeller=_single_line,
    ),
    _string(
        "inside_triple_quotes",
        "inside a triple-quoted string",
        'Inside a string between """ or between three single quotes.',
        "In from the third opening quote, when the reader knows, to before the third closing quote.",
        languages=("python",),
        labeller=_triple_quoted,
    ),
    _string(
        "inside_comment",
        "inside a comment",
        "Inside a comment.",
        "In from # or the second character of // and /*; the line break, and the / of */, are out.",
        labeller=scan.inside_comment,
    ),
    _string(
        "inside_docstring",
        "inside a docstring",
        "Inside a string that stands as the first statement of a module, class or function.",
        "As for strings. Whether the statement goes on after the string is not known yet and does not count;"
        " byte strings and f-strings are no docstrings.",
        languages=("python",),
        labeller=inside_docstring,
    ),
    _string(
        "escape_sequence",
        "escape sequence",
        "A backslash in a string and what it takes with it.",
        "All its characters, as far as they can go: two digits behind \\x in Python, three octal ones, a name in braces"
        " behind \\N. An unknown one such as \\d is two characters; a backslash before a line break counts too. Raw"
        " strings have none, and in byte strings \\u, \\U and \\N are unknown.",
        labeller=inside_escape,
    ),
]

_HEADER_EDGES = (
    "In Python in from the character behind the keyword to the colon, which is in, as := may follow; in C opening"
    " bracket in, closing bracket out."
)

SYNTAX = [
    _syntax(
        "identifier",
        "identifier",
        "A name that is not a keyword.",
        "All its characters. Soft keywords such as match count as names; letters before a string's quote do not count,"
        " nor does what is inside f-strings.",
        causal=False,
        labeller=words.is_identifier,
    ),
    _syntax(
        "keyword",
        "keyword",
        "A reserved word of the language; in C also defined and the name of a directive such as include.",
        "All its characters; the # of a directive is out. Soft keywords such as match count as names.",
        causal=False,
        labeller=words.is_keyword,
    ),
    _syntax(
        "inside_if_condition",
        "inside an if condition",
        "Inside the condition of an if statement (in Python of elif too).",
        "In Python from the first to the last character of the condition; in C opening bracket in, closing bracket out."
        " Where the parser finds an error, the whole function or statement is left out."
        " Conditional expressions, comprehensions and #if do not count.",
        causal=False,
        labeller=syntax.inside_if_condition,
        validator=syntax.is_parsed,
    ),
    _syntax(
        "number_literal",
        "number literal",
        "A number as the language writes it, such as 0xFF, 1_000 or 1e-5.",
        "All its characters, in C with the letters behind it; a minus before it is an operator. None inside f-strings.",
        causal=False,
        labeller=words.is_number,
    ),
    _syntax(
        "operator",
        "operator",
        "A sign that computes, compares or assigns.",
        "All its characters: + - * / % & | ^ ~ < > = !, in Python @ too, in C ?. So -> and the = of := count; points,"
        " commas, colons and words do not, nor does the sign of an exponent or the @ of a decorator. In C the / that"
        " begins a comment counts, as only the next character tells.",
        labeller=words.is_operator,
    ),
    _syntax(
        "function_name",
        "function name",
        "The name of a function where it is defined; in C where it is declared too.",
        "All its characters. In Python the reader knows behind def, in C not before the bracket behind the name.",
        causal=False,
        labeller=syntax.is_function_name,
        validator=syntax.is_parsed,
    ),
    _syntax(
        "class_name",
        "class name",
        "The name of a class where it is defined; in C the tag of a struct, union or enum wherever it is named.",
        "All characters of the word behind class, or behind struct, union or enum.",
        labeller=statements.is_class_name,
    ),
    _syntax(
        "call",
        "call",
        "The name of a function where it is called.",
        "All its characters; of a.b(c) that is b. What is called without a name, as in f()(), has none; nothing inside"
        " f-strings counts.",
        causal=False,
        labeller=syntax.is_called_name,
        validator=syntax.is_parsed,
    ),
    _syntax(
        "argument_list",
        "argument list",
        "Inside the brackets of a call.",
        "Opening bracket in, closing bracket out; parameters of a definition and bases of a class do not count, nor"
        " does what is inside f-strings.",
        causal=False,
        labeller=syntax.inside_arguments,
        validator=syntax.is_parsed,
    ),
    _syntax(
        "type_annotation",
        "type annotation",
        "The type a parameter, a result or a variable is said to have.",
        "From the type's first to its last character, without the colon or arrow before it.",
        languages=("python",),
        causal=False,
        labeller=syntax.inside_annotation,
        validator=syntax.is_parsed,
    ),
    _syntax(
        "import_line",
        "import line",
        "On an import statement; in C on an #include line.",
        "In from the character behind import, from or include, when the reader knows, to before the line break (one in"
        " brackets goes on) or a semicolon; comments are out.",
        labeller=statements.inside_import,
        validator=brackets_match,
    ),
    _syntax(
        "decorator",
        "decorator",
        "On a decorator.",
        "In from the @ to before the line break; one in brackets goes on. Comments are out.",
        languages=("python",),
        labeller=statements.inside_decorator,
        validator=brackets_match,
    ),
    _syntax(
        "preprocessor_line",
        "preprocessor line",
        "On a preprocessor line such as #define or #include.",
        "In from the # to before the line break, comments too; a backslash before the break goes on.",
        languages=("c",),
        labeller=statements.inside_directive,
    ),
    _syntax(
        "inside_while_header",
        "inside a while header",
        "Inside the header of a while loop.",
        _HEADER_EDGES,
        labeller=_of_header("while"),
        validator=brackets_match,
    ),
    _syntax(
        "inside_for_header",
        "inside a for header",
        "Inside the header of a for loop.",
        f"{_HEADER_EDGES} Comprehensions do not count.",
        labeller=_of_header("for"),
        validator=brackets_match,
    ),
]

_BODY_EDGES = (
    "In Python in from behind the header's colon to before the first code indented no further than the header, comments"
    " and blank lines aside; a body on the header's own line ends with it."
)

BLOCKS = [
    _block(
        "block_depth",
        "block depth",
        "How many blocks of code are open: bodies in Python, curly brackets in C.",
        f"{_BODY_EDGES} In C opening bracket in, closing bracket out.",
        kind="graded",
        labeller=blocks.block_depth,
    ),
    _block(
        "inside_function_body",
        "inside a function body",
        "Inside the body of a function or method.",
        f"{_BODY_EDGES} In C opening bracket in, closing bracket out: a curly one behind a round one, outside other"
        " functions, preprocessor lines and what is assigned.",
        labeller=blocks.inside_function_body,
    ),
    _block(
        "inside_loop_body",
        "inside a loop body",
        "Inside the body of a for or while loop; in C of do, too.",
        f"{_BODY_EDGES} The else of a loop is none. In C from the body's first character to before its last, a curly"
        " bracket or semicolon, which takes later text to tell.",
        causal=False,
        labeller=_loop_body,
        validator=_blocks_known,
    ),
]
