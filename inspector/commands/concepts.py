"""`concepts`: what neurons can be searched for; what a concept marks in a text; how far its labels can be trusted."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, moving, progress_bar, whole_number
from inspector.recording import InspectorError


def add(commands: Any) -> None:
    parser = add_command(
        commands, "concepts", _concepts, "List the concepts, or show what one of them marks in a text."
    )
    option = parser.add_argument
    option("--language", default=None, help="python, c or text: list those only; with --show, read the file as that")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--show",
        nargs=2,
        metavar=("CONCEPT", "FILE"),
        help="mark a concept in a file: a name, regex:PATTERN, my.py:FUNCTION (which is run) or spans.json",
    )
    what.add_argument("--check", action="store_true", help="compare labels with Python's own readers on its library")
    what.add_argument("--markdown", action="store_true", help="print docs/concepts.md")
    option("--lines", default=None, metavar="FIRST-LAST", help="with --show: these lines only, counted from 1")
    option(
        "--colour",
        choices=("auto", "yes", "no"),
        default="auto",
        help="with --show; auto: on a terminal, unless NO_COLOR is set",
    )
    option("--files", type=whole_number, default=None, help="with --check: this many files, spread over the library")


def _concepts(options: argparse.Namespace) -> None:
    if options.lines is not None and options.show is None:
        raise InspectorError("--lines chooses what --show shows: add --show CONCEPT FILE.")
    if options.files is not None and not options.check:
        raise InspectorError("--files says how much --check compares: add --check.")
    if options.files is not None and options.files < 1:
        raise InspectorError(f"--files {options.files} compares nothing: it is how many files, from 1.")
    if options.language is not None and (options.check or options.markdown):
        raise InspectorError("--language chooses what is listed or how --show reads a file: leave it out here.")
    if options.show is not None:
        _show(options)
    elif options.check:
        _check(options.files)
    elif options.markdown:
        from inspector.concepts.page import concepts_page

        print(concepts_page(), end="")
    else:
        _list(options.language)


def _list(language: str | None) -> None:
    from inspector.concepts import LANGUAGES, concepts_for
    from inspector.concepts.page import by_group, kind_of, spoken

    if language is not None and language not in LANGUAGES:
        raise InspectorError(f"There is no language {language!r}: choose one of {', '.join(LANGUAGES)}.")
    n_shown = 0
    for group, members in by_group():
        shown = [one for one in members if language is None or one in concepts_for(language)]
        n_shown += len(shown)
        if shown:
            print(f"{group.capitalize()}")
        for one in shown:
            print(f"  {one.name:<26}{spoken(one):<11} {kind_of(one):<25}{one.description}")
    print(f"{n_shown} concepts. What one marks: python -m inspector concepts --show NAME FILE")


def _show(options: argparse.Namespace) -> None:
    from inspector.concepts import language_of, resolve_concept
    from inspector.concepts.marks import coloured_text, marked_text
    from inspector.corpus import read_text

    written, file = options.show
    concept = resolve_concept(written)
    text = read_text(Path(file))
    lines, n_lines = _lines(options.lines), text.count("\n") + bool(text.rpartition("\n")[2])
    if lines is not None and lines[0] > n_lines:
        raise InspectorError(f"--lines {options.lines} is behind the end of {file}, which has {n_lines:,} lines.")
    in_colour = options.colour == "yes" or (options.colour == "auto" and _is_colour_welcome())
    drawn = coloured_text if in_colour else marked_text
    sys.stdout.write(drawn(concept, text, options.language or language_of(file), lines=lines))


def _is_colour_welcome() -> bool:
    """On a terminal that shows it, whose reader has not said no (https://no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def _lines(written: str | None) -> tuple[int, int] | None:
    """`10-20` or `10`, counted from 1."""
    if written is None:
        return None
    first, dash, last = written.partition("-")
    try:
        chosen = int(first), int(last if dash else first)
    except ValueError:
        chosen = (0, 0)
    if not 1 <= chosen[0] <= chosen[1]:
        raise InspectorError(f"--lines {written} names no lines: write FIRST-LAST, such as 10-20.")
    return chosen


def _check(n_files: int | None) -> None:
    from inspector.concepts.agreement import check_agreement
    from inspector.corpus import load_corpus

    corpus = load_corpus("python-stdlib")
    texts = sorted((text for split in corpus.splits.values() for text in split), key=lambda text: text.name)
    if n_files is not None:
        texts = texts[:: max(len(texts) // n_files, 1)][:n_files]
    n_chars = sum(len(text.text) for text in texts)
    with progress_bar(n_chars, "comparing") as bar:
        rows, n_unread = check_agreement([text.text for text in texts], moving(bar))
    print(f"{'concept':<26}{'reference':<13}{'marked':>12}{'differing':>11}  agreement")
    for row in rows:
        share = 1 - row.n_differing / max(row.n_chars, 1)
        print(f"{row.name:<26}{row.reference:<13}{row.n_marked:>12,}{row.n_differing:>11,}  {share:.7f}")
    read = len(texts) - n_unread
    print(f"{read:,} files of the Python library, {rows[0].n_chars:,} characters; {n_unread} files Python cannot read")
