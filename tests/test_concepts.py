"""Concept labels, checked against hand-marked snippets, other people's parsers and arbitrary text.

In a marked snippet every line of code stands over its marks: "#" label, "." none, "?" nobody can tell, one for every
character and a last one for the line break. Graded labels are marked by their digits.
"""

import ast
import io
import keyword
import re
import textwrap
import tokenize
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tree_sitter
import tree_sitter_c
from hypothesis import given, settings

from inspector.concepts import CONCEPTS, LANGUAGES, Concept, concepts_for, get_concept, language_of, regex_concept
from inspector.concepts import patterns, syntax
from inspector.recording import InspectorError


def marks_of(concept: Concept, text: str, language: str | None) -> str:
    """The text with its marks, in the notation of the marked snippets."""
    signs = "".join(
        "?" if not known else str(int(label)) if concept.kind == "graded" else ".#"[int(label)]
        for label, known in zip(concept.label(text, language), concept.valid(text, language), strict=True)
    )
    shown, start = "", 0
    for line in text.splitlines():
        stop = start + len(line) + 1
        shown += f"{line}\n{signs[start:stop]}\n"
        start = stop
    return shown


def assert_marked(name: str, language: str | None, snippet: str) -> None:
    marked = textwrap.dedent(snippet).lstrip("\n")
    text = "".join(line + "\n" for line in marked.splitlines()[0::2])
    assert marks_of(CONCEPTS[name], text, language) == marked


def assert_labels(name: str, language: str | None, text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(CONCEPTS[name].label(text, language), expected)


# Strings and comments -------------------------------------------------------------------------------------------------

STRINGS = {
    "other quote inside": r"""
        x = "it's" + 'say "no"' + "" + 'a'
        ....#####....#########....#....##..
        """,
    "escaped quotes": r"""
        a = "\"" + '\\' + "\\\"" + r'\'' + rb"\\"
        ....###....###....#####.....###......###..
        """,
    "prefixes and f-strings": """
        Rb'a' + f"{x['k']!r}" + u'' + F'''{
        ..##.....###########.....#.....#.###
        "y"}''' + 1
        ######......
        """,
    "unclosed at the line break": """
        a = "never
        ....??????.
        b = 'one'
        ....####..
        """,
    "escaped line break": r"""
        a = "one \
        ....#######
          two" + b
        #####......
        """,
    "triple quotes hold quotes": r'''
        a = """b"c""d\"""" + ''
        ....#.###########....#..
        ''',
    "triple quotes hold lines": """
        a = '''b
        ....#.###
        # 'c' ''
        #########
        ''' + 'd'
        ##....##..
        """,
    "unclosed triple quote": """
        a = 'x'
        ....##..
        b = '''x
        ....?????
        c = 'y'
        ????????
        """,
    "quotes in comments": """
        a  # don't "quote
        ..................
        b = "#" # "
        ....##......
        """,
}
C_STRINGS = {
    "char literals": r"""
        char q = '"', b = '\'', *s = L"it's \"so\"\\"; x = '\\';
        .........##.......###.........##############.......###...
        """,
    "comments": """
        /* don't "quote */ s = "/* no */"; // it's "
        .......................#########.............
        t = "//"; /* ' */ u = '"'; // don't go on \\
        ....###...............##....................
        """,
    "comment on two lines": """
        u = '"'; // don't go on \\
        ....##....................
        there's one more "
        ...................
        v = "";
        ....#...
        """,
    "error lines and header names": """
        #include "a.h"
        .........####..
        #include <it's.h>
        ..................
        #error don't "stop
        ...................
        # warning it's // no '
        .......................
        #define S "s"
        ..........##..
        """,
    "unclosed and spliced": r"""
        c = 'a;
        ....???.
        d = "x\
        ....####
        y";
        #...
        """,
}


@pytest.mark.parametrize("case", STRINGS)
def test_inside_string_python_matches_marks(case):
    assert_marked("inside_string", "python", STRINGS[case])


@pytest.mark.parametrize("case", C_STRINGS)
def test_inside_string_c_matches_marks(case):
    assert_marked("inside_string", "c", C_STRINGS[case])


def test_inside_comment_python_ignores_hash_in_strings():
    assert_marked(
        "inside_comment",
        "python",
        """
        a = "#1" + '''#2
        .................
        #3''' # it's "#4"
        ......###########.
        #
        #.
        """,
    )


def test_inside_comment_c_starts_at_second_character():
    assert_marked(
        "inside_comment",
        "c",
        """
        /* a *//**/ b / c /*/ * / **/ // d \\
        .#####..##.........#########...######
         e
        ##.
        f "/*" '//'
        ............
        /* never
        ?????????
        """,
    )


def test_inside_docstring_is_first_statement_only():
    assert_marked(
        "inside_docstring",
        "python",
        '''
        # c
        ....
        """m"""
        #.####..
        "no"
        .....
        class A(B, k={1: 2}):  # "c"
        .............................
            'doc' "more"
        ....####..#####..
            x = "no"
        .............
            async def f(self, a: int = {1: "no"}["a:"]) -> "no":
        .........................................................
                # c
        ............
                r"""d"""
        .........#.####..
                return "no"
        ....................
            def g(self): "short"; "no"
        .................######........
            def h(self):
        .................
                f"no"
        ..............
            def i(self):
        .................
                pass; "no"
        ...................
            def j(self): return "no"
        .............................
        defs = "no"
        ............
        if x: "no"
        ...........
        ''',
    )


def test_inside_triple_quotes_starts_at_third_quote():
    assert_marked(
        "inside_triple_quotes",
        "python",
        """
        x = '''a''' + '' + 'b'
        ......####.............
        """,
    )


def test_inside_single_quotes_c_ignores_apostrophes():
    assert_marked(
        "inside_single_quotes",
        "c",
        """
        a = '"' "'"; // '
        ....##............
        """,
    )


def test_inside_double_quotes_of_prose_ends_at_blank_line():
    assert_marked(
        "inside_double_quotes",
        "text",
        """
        "a
        ###
        b" it's “c” "d
        #.......##..???

        .
        e "f"
        ..##..
        """,
    )


# Brackets and lines ---------------------------------------------------------------------------------------------------


def test_inside_brackets_ignores_strings_and_comments():
    assert_marked(
        "inside_brackets",
        "python",
        """
        f(a[1], "(") # (
        .##########......
        {x: (1,
        ########
         2)}
        ###..
        """,
    )


def test_bracket_depth_is_doubtful_where_brackets_do_not_match():
    assert_marked(
        "bracket_depth",
        "python",
        """
        f(a[{1}], "(") )
        011233211111100?0
        (
        ??
        (]
        ???
        """,
    )


def test_bracket_depth_of_prose_restarts_at_blank_line():
    assert_marked(
        "bracket_depth",
        "text",
        """
        a (b [c) d] :)
        00111??000?00?0
        :( e
        0????

        0
        f (g)
        001100
        """,
    )


def test_inside_round_sees_round_brackets_around_others():
    assert_marked(
        "inside_round",
        "c",
        """
        f(a[1]) [(1)] {
        .#####...##...??
        """,
    )


def test_indentation_c_counts_tabs_to_eight():
    assert_labels("indentation", "c", "\ta\n  \tb\n\n \n\t c d\n", [8, 8, 0, 1, 2, 8, 8, 0, 0, 1, 0, 8, 9, 9, 9, 9, 0])


def test_indentation_elsewhere_counts_tabs_to_four():
    for language in ("python", "text", None):
        assert_labels(
            "indentation", language, " a\tb\r\n  \tc\r    \t", [1, 1, 1, 1, 0, 0, 1, 2, 4, 4, 0, 1, 2, 3, 4, 8]
        )


def test_line_position_is_zero_on_line_breaks():
    assert_labels("line_position", None, "ab\r\nc\rd\n\ne", [1, 2, 0, 0, 1, 0, 1, 0, 0, 1])


def test_line_start_counts_a_break_pair_once():
    assert_labels("line_start", None, "ab\r\nc\rd\n\ne", [1, 0, 0, 0, 1, 0, 1, 0, 1, 1])


def test_newline_next_cannot_tell_at_the_end():
    assert_labels("newline_next", None, "ab\n\nc", [0, 1, 1, 0, 0])
    assert CONCEPTS["newline_next"].valid("ab\nc").tolist() == [True, True, True, False]


# Characters, words, syntax --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("digit", "a1²٣\U0001d7d8", [0, 1, 0, 1, 1]),
        ("uppercase", "aAéÉß1", [0, 1, 0, 1, 0, 0]),
        ("whitespace", "a \t\n\u00a0\u3000_", [0, 1, 1, 1, 1, 1, 0]),
        ("vowel", "aEyéx", [1, 1, 0, 0, 0]),
        ("punctuation", "a.,+€ \n_", [0, 1, 1, 1, 1, 0, 0, 1]),
        ("non_ascii", "aé\x7f\x80😀", [0, 1, 0, 1, 1]),
        ("same_as_before", "aab\n\n", [0, 1, 0, 0, 1]),
        ("word_start", "ab, c_1 é", [1, 0, 0, 0, 1, 0, 0, 0, 1]),
        ("word_end", "ab, c_1 é", [0, 1, 0, 0, 0, 0, 1, 0, 1]),
    ],
)
def test_character_classes_are_unicode_aware(name, text, expected):
    assert_labels(name, None, text, expected)


def test_identifier_python_passes_over_keywords_numbers_and_prefixes():
    assert_marked(
        "identifier",
        "python",
        """
        for x1 in match(r"a", 0x1F, 1e5, é.if_): # no
        ....##....#####..................#.###........
            print(f"{no}", None)
        ....#####................
        """,
    )


def test_keyword_python_passes_over_strings_and_comments():
    assert_marked(
        "keyword",
        "python",
        """
        for x in match("if"): # if
        ###...##...................
            print(None, if_)
        ..........####.......
        """,
    )


def test_identifier_c_passes_over_directives_and_headers():
    assert_marked(
        "identifier",
        "c",
        """
        #include <stdio.h>
        ...................
        #if defined(X)
        ....#######.#..
        #error no if
        .............
        # define f(a) #a L"no" /* no */
        .........#.#...#................
        unsigned size_t x = if_ ? 0xAul : true;
        .........######.#...###.................
        """,
    )


def test_keyword_c_takes_directive_names():
    assert_marked(
        "keyword",
        "c",
        """
        #include <if.h>
        .#######........
        # define if_(a) #include L"if" /* if */
        ..######................................
        unsigned x = if_ ? 0xAul : true;
        ########...................####..
        """,
    )


def test_inside_if_condition_python_takes_elif_too():
    assert_marked(
        "inside_if_condition",
        "python",
        """
        if (a and
        ...#######
            b):  # c
        ######.......
            x = 1 if c else [d for d in e if d]
        ........................................
        elif f"é": pass
        .....####.......
        while g: pass
        ..............
        """,
    )


def test_inside_if_condition_c_leaves_closing_bracket_out():
    assert_marked(
        "inside_if_condition",
        "c",
        """
        #if X
        ......
        int f(void) { if (a && (b)) { return 1; } else if (c) while (d) ; }
        .................#########........................##................
        #endif
        .......
        """,
    )


@pytest.mark.parametrize(
    "snippet",
    [
        """
        if a: pass
        ...#.......
        if b c: pass
        ????????????.
        if d: pass
        ...#.......
        """,
        """
        if a: pass
        ...#.......
        x = (1,
        ????????
        if d: pass
        ?????......
        """,
    ],
)
def test_inside_if_condition_is_doubtful_around_a_syntax_error(snippet):
    assert_marked("inside_if_condition", "python", snippet)


def test_inside_if_condition_is_doubtful_when_parsing_takes_too_long(monkeypatch):
    monkeypatch.setattr(syntax, "_SECONDS", 0.05)
    text = "if a: pass\n" + "\\\n" * 20_000
    concept = CONCEPTS["inside_if_condition"]
    assert not concept.valid(text, "python").any()
    assert not concept.label(text, "python").any()


# Agreement with other parsers -----------------------------------------------------------------------------------------

LIBRARY = sorted(
    Path(ast.__file__).parent / name
    for name in ("argparse.py", "dataclasses.py", "doctest.py", "inspect.py", "locale.py", "pydoc.py", "tokenize.py")
)


@pytest.fixture(scope="module")
def library() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in LIBRARY]


def line_offsets(text: str) -> list[int]:
    """Where each line begins, with a leading 0 so that the first line is number 1."""
    return [0, 0, *accumulate(len(line) for line in text.splitlines(keepends=True))]


def tokens_of(text: str) -> Iterator[tuple[int, int, int]]:
    """Type, start and stop of Python's own tokens, in code points."""
    begins = [0, 0, *accumulate(len(line) for line in io.StringIO(text))]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        yield token.type, begins[token.start[0]] + token.start[1], begins[token.end[0]] + token.end[1]


def paint_string(label: np.ndarray, text: str, start: int, stop: int) -> None:
    """Mark one string token by the documented edges."""
    opening = start + re.match("[a-zA-Z]*", text[start:stop]).end()
    label[opening : stop - 1] = True
    if text[opening : opening + 3] in ("'''", '"""'):
        label[opening + 1] = False


def expected_from_python(text: str) -> dict[str, np.ndarray]:
    """Labels by `tokenize` and `ast`, by the documented edges."""
    names = ("inside_string", "inside_comment", "inside_docstring", "identifier", "keyword")
    labels = {name: np.zeros(len(text), np.bool_) for name in names}
    documented = docstring_spans(text)
    for kind, start, stop in tokens_of(text):
        if kind == tokenize.STRING:
            paint_string(labels["inside_string"], text, start, stop)
            if any(first <= start and stop <= last for first, last in documented):
                paint_string(labels["inside_docstring"], text, start, stop)
        elif kind == tokenize.COMMENT:
            labels["inside_comment"][start:stop] = True
        elif kind == tokenize.NAME:
            labels["keyword" if keyword.iskeyword(text[start:stop]) else "identifier"][start:stop] = True
    return labels


def span_of(node: ast.expr, lines: list[str], begins: list[int]) -> tuple[int, int]:
    """A node's start and stop in code points; `ast` counts columns in bytes."""
    ends = [(node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)]
    start, stop = (begins[line] + len(lines[line - 1].encode()[:column].decode()) for line, column in ends)
    return start, stop


def docstring_spans(text: str) -> list[tuple[int, int]]:
    lines = list(io.StringIO(text))
    begins = [0, 0, *accumulate(map(len, lines))]
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        span_of(node.body[0].value, lines, begins)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None
    ]


@pytest.mark.parametrize("name", ["inside_string", "inside_comment", "inside_docstring", "identifier", "keyword"])
def test_labels_agree_with_python_itself(name, library, python_labels):
    differing = sum(
        int((CONCEPTS[name].label(text, "python") != expected[name]).sum())
        for text, expected in zip(library, python_labels, strict=True)
    )
    marked = sum(int(expected[name].sum()) for expected in python_labels)
    assert marked > 1_000
    # All of the differences that remain elsewhere in the library are strings that only begin like a docstring.
    assert differing == 0


@pytest.fixture(scope="module")
def python_labels(library) -> list[dict[str, np.ndarray]]:
    return [expected_from_python(text) for text in library]


def test_every_character_of_the_library_is_valid(library):
    for name in ("inside_string", "bracket_depth", "inside_if_condition"):
        assert all(CONCEPTS[name].valid(text, "python").all() for text in library)


def test_inside_if_condition_agrees_with_ast(library):
    """`ast` leaves out the brackets around a condition and the blanks and comments beside them; nothing else differs."""
    for text in library:
        lines = list(io.StringIO(text))
        begins = [0, 0, *accumulate(map(len, lines))]
        expected = np.zeros(len(text), np.bool_)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.If):
                start, stop = span_of(node.test, lines, begins)
                expected[start:stop] = True
        label = CONCEPTS["inside_if_condition"].label(text, "python")
        assert not (expected & ~label).any()
        comment = CONCEPTS["inside_comment"].label(text, "python")
        extra = {text[at] for at in np.flatnonzero(label & ~expected & ~comment)}
        assert extra <= set("() \n\\")


C_SAMPLE = r"""
#include <stdio.h>
#include "it's.h"
#define LIMIT 3
// it's "one"
/* don't * / stop "here" **/
static const char *names[] = { "a\"b", "\\", "", "é😀 /* no */", "spliced \
on" "next" };

struct pair { unsigned int left; const char *right; };

static int count(const char *text, struct pair *out)
{
    int n = 0;              /* how many */
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\'' || *p == '\\') // "quote"
            n++;
        else if (out != 0 && (n > 3))
            goto done;
    }
done:
    switch (n) { case 1: return sizeof(int); default: break; }
    return n; // at the end \
       still a comment "
}
"""


def captured(pattern: str) -> list[tuple[int, int]]:
    """Start and stop, in code points of C_SAMPLE, of what tree-sitter's C grammar finds."""
    grammar = tree_sitter.Language(tree_sitter_c.language())
    data = C_SAMPLE.encode()
    root = tree_sitter.Parser(grammar).parse(data).root_node
    assert not root.has_error
    nodes = tree_sitter.QueryCursor(tree_sitter.Query(grammar, pattern)).captures(root)["it"]
    return [(len(data[: node.start_byte].decode()), len(data[: node.end_byte].decode())) for node in nodes]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("inside_string", "[(string_literal) (char_literal)] @it"),
        ("inside_comment", "(comment) @it"),
        ("identifier", "[(identifier) (type_identifier) (field_identifier) (statement_identifier)] @it"),
        ("inside_if_condition", "(if_statement condition: (_) @it)"),
    ],
)
def test_labels_agree_with_a_c_parser(name, pattern):
    expected = np.zeros(len(C_SAMPLE), np.bool_)
    for start, stop in captured(pattern):
        closes = name in ("inside_string", "inside_if_condition") or C_SAMPLE.startswith("/*", start)
        expected[start + (name == "inside_comment") : stop - closes] = True
    label = CONCEPTS[name].label(C_SAMPLE, "c")
    assert [C_SAMPLE[at - 9 : at + 9] for at in np.flatnonzero(label != expected)] == []


# Arbitrary text -------------------------------------------------------------------------------------------------------

FRAGMENTS = (
    "'", '"', "'''", '"""', "\\", "#", "//", "/*", "*/", "*", "/", "\n", "\r", "\r\n", " ", "\t", "(", ")", "[", "]", "{",
    "}", ":", ";", "a", "r", "f", "1", "def ", "class A", "async ", "if ", "x=", "“", "”", "#error", "#include <", "\0",
    "\ud800", "é", "😀", "\ufeff", "\u2028", "\x0c",
)  # fmt: skip
any_text = st.text(st.characters()) | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(any_text, st.sampled_from(LANGUAGES))
def test_every_concept_labels_any_text(text, language):
    for concept in concepts_for(language):
        label, valid = concept.label(text, language), concept.valid(text, language)
        assert label.shape == valid.shape == (len(text),)
        assert label.dtype == (np.bool_ if concept.kind == "yes/no" else np.float32)
        assert valid.dtype == np.bool_


@settings(max_examples=400, deadline=None)
@given(any_text, st.sampled_from(LANGUAGES), st.data())
def test_causal_labels_need_no_later_text(text, language, data):
    cut = data.draw(st.integers(0, len(text)))
    for concept in concepts_for(language):
        if concept.causal:
            np.testing.assert_array_equal(concept.label(text[:cut], language), concept.label(text, language)[:cut])


def columns_one_by_one(text: str, tab: int) -> tuple[list[int], list[int]]:
    """Line position and indentation, as a reader keeps them character by character."""
    positions, columns = [], []
    position = column = 0
    leading = True
    for character in text:
        if character in "\r\n":
            position, column, leading = 0, 0, True
        else:
            position += 1
            leading = leading and character in " \t"
            if leading:
                column = column + 1 if character == " " else (column // tab + 1) * tab
        positions.append(position)
        columns.append(column)
    return positions, columns


@settings(max_examples=200, deadline=None)
@given(any_text | st.text(" \ta\r\n", max_size=60))
def test_line_concepts_equal_a_reader_that_counts(text):
    positions, columns = columns_one_by_one(text, 8)
    assert_labels("line_position", "c", text, positions)
    assert_labels("indentation", "c", text, columns)


@pytest.mark.parametrize(
    "text",
    ['"' * 200_000, '"\n' * 100_000, "(" * 200_000, "(" * 100_000 + "]" * 100_000, "def f(\n" * 30_000, " " * 200_000]
    + ["\\" * 200_000, "/*" * 100_000, '"""' + '""\\' * 60_000, "“\n" * 100_000, "\r\n" * 100_000, "#error " * 30_000],
    ids=lambda text: f"{text[:8]!r}",
)
def test_labelling_stays_linear_on_hostile_text(text):
    """Each takes well under a second; work that grows with the square of the length would take hours."""
    for language in LANGUAGES:
        for concept in concepts_for(language):
            if concept.causal:
                concept.label(text, language)


# Patterns -------------------------------------------------------------------------------------------------------------


def test_regex_concept_marks_whole_matches():
    assert regex_concept(r"\d+").label("a12 3").tolist() == [False, True, True, False, True]


def test_regex_concept_marks_its_named_group():
    label = regex_concept(r"def (?P<mark>\w+)(x)?").label("def ab")
    assert label.tolist() == [False] * 4 + [True] * 2


def test_regex_concept_anchors_at_every_line():
    assert regex_concept("^a").label("ab\nab").tolist() == [True, False, False, True, False]


def test_regex_concept_marks_nothing_for_empty_matches():
    assert not regex_concept("x*").label("abc").any()


@settings(max_examples=15, deadline=None)
@given(any_text, st.sampled_from(["[a-z#]", "é|😀", r"[^\n]+", r"(?s)\W.", "\ud800?a", "\0"]))
def test_regex_concept_equals_re(text, pattern):
    expected = np.zeros(len(text), np.bool_)
    for match in re.finditer(pattern, text):
        expected[match.start() : match.end()] = True
    np.testing.assert_array_equal(regex_concept(pattern).label(text), expected)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a(b", r"The pattern 'a\(b' is not a regular expression at character 1: missing \), unterminated subpattern"),
        ("", "The pattern is empty"),
        ("a{99999999999999}", "nested too deeply or repeats too often"),
        ("(" * 5000 + ")" * 5000, "nested too deeply or repeats too often"),
    ],
)
def test_regex_concept_explains_a_bad_pattern(pattern, message):
    with pytest.raises(InspectorError, match=message):
        regex_concept(pattern)


def test_regex_concept_stops_endless_backtracking(monkeypatch):
    monkeypatch.setattr(patterns, "TIME_LIMIT", 0.3)
    with pytest.raises(InspectorError, match="took more than 0.3 seconds on 41 characters and was stopped"):
        regex_concept("(a+)+$").label("a" * 40 + "b")


def test_regex_concept_takes_doubtful_patterns_quietly():
    assert regex_concept("[[a]").label("[a]").tolist() == [True, True, False]


# The catalogue --------------------------------------------------------------------------------------------------------


def test_catalogue_names_are_their_keys():
    assert all(name == concept.name for name, concept in CONCEPTS.items())


def test_catalogue_describes_every_concept():
    for concept in CONCEPTS.values():
        assert concept.description.endswith(".") and concept.edges.endswith(".") and concept.title and concept.group
        assert set(concept.languages) <= set(LANGUAGES)


def test_concepts_for_lists_what_can_be_labelled():
    assert {concept.name for concept in CONCEPTS.values()} == {concept.name for concept in concepts_for("python")}
    names = {concept.name for concept in concepts_for(None)}
    assert "indentation" in names and "inside_string" not in names


def test_label_needs_a_language_where_it_matters():
    with pytest.raises(
        InspectorError, match="'inside_string' is not defined here, as no language was given: pass lang"
    ):
        CONCEPTS["inside_string"].label("x")
    with pytest.raises(InspectorError, match="the text is read as 'c': pass language='python'"):
        CONCEPTS["inside_docstring"].valid("x", language="c")
    with pytest.raises(InspectorError, match="There is no language 'rust': choose one of python, c, text"):
        CONCEPTS["digit"].label("x", language="rust")


def test_get_concept_suggests_neighbours():
    assert get_concept("digit") is CONCEPTS["digit"]
    with pytest.raises(InspectorError, match=r"There is no concept 'inside_strnig'. Choose one of: inside_string"):
        get_concept("inside_strnig")


def test_labels_may_be_altered_by_their_owner():
    for concept in concepts_for("python"):
        for array in (concept.label("(a)\n", "python"), concept.valid("(a)\n", "python")):
            array[:] = False
    assert CONCEPTS["bracket_depth"].label("(a)\n", "python").tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("filename", "language"),
    [("a.py", "python"), ("b/c.PYI", "python"), (Path("d.h"), "c"), ("e.md", "text"), ("c", "text")],
)
def test_language_of_reads_the_suffix(filename, language):
    assert language_of(filename) == language
