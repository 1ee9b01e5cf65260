"""Concepts a reader writes as a regular expression. A pattern that backtracks for ever is stopped, not waited for."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from inspector.concepts import _matches
from inspector.concepts.characters import Bools, paint_spans
from inspector.concepts.concept import Concept
from inspector.recording import InspectorError

TIME_LIMIT = 10.0  # seconds for one pattern over one text

# Without these nothing repeats and nothing is optional, so matching takes time in proportion to the text.
_CAN_BACKTRACK = frozenset("*+?{|")


def regex_concept(pattern: str, name: str | None = None) -> Concept:
    r"""A yes/no concept: True on every character of every match of a regular expression (Python's `re`).

    >>> regex_concept(r"\bTODO\b").label("a TODO b")
    >>> regex_concept(r"def (?P<mark>\w+)", name="function_name")

    With a group named `mark` that group counts, else the whole match; other groups only group. "^" and "$" stand for
    every line's ends, "." does not match a newline; "(?s)" and "(?i)" in front work as usual. Matches do not overlap;
    empty ones mark nothing. A match is known once it is complete, so the concept is not causal.

    name : "/pattern/" when not given.

    InspectorError for a pattern that does not compile, and from `label` for one that takes longer than 10 seconds.
    """
    _compile(pattern)
    return Concept(
        name=name or f"/{pattern}/",
        title=f"matches {pattern}",
        description=f"Characters matched by the regular expression {pattern}.",
        edges="The whole match, or its group named 'mark'; whether it matches may depend on what follows.",
        kind="yes/no",
        languages=(),
        causal=False,
        group="patterns",
        labeller=partial(_label, pattern),
    )


def _compile(pattern: str) -> re.Pattern[str]:
    if not pattern:
        raise InspectorError(r"The pattern is empty: write a regular expression, for instance \d+ for numbers.")
    try:
        return _matches.compile_pattern(pattern)
    except re.error as error:
        where = "" if error.pos is None else f" at character {error.pos}"
        raise InspectorError(
            f"The pattern {pattern!r} is not a regular expression{where}: {error.msg}."
            " Put a backslash before a character that is meant literally."
        ) from None
    except (OverflowError, RecursionError):
        raise InspectorError(
            f"The pattern {pattern[:60]!r} is nested too deeply or repeats too often: write a simpler one."
        ) from None


def _label(pattern: str, text: str, language: str) -> Bools:
    compiled = _compile(pattern)
    if _CAN_BACKTRACK.isdisjoint(pattern):
        bounds = np.array(_matches.find(compiled, text), np.int64)
    else:
        bounds = np.frombuffer(_find_in_time(pattern, text), np.int64)
    return paint_spans(len(text), bounds[0::2], bounds[1::2])


def _find_in_time(pattern: str, text: str) -> bytes:
    """`_matches.find` in a process of its own, as `re` can neither be interrupted nor lets other threads run."""
    asked, searched = (part.encode("utf-8", "surrogatepass") for part in (pattern, text))
    try:
        finished = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(_matches.__file__))],
            input=len(asked).to_bytes(8, "little") + asked + searched,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InspectorError(
            f"The pattern {pattern!r} took more than {TIME_LIMIT:g} seconds on {len(text):,} characters and was"
            " stopped: avoid a repeat inside a repeat such as (a+)+, or search a shorter text."
        ) from None
    if finished.returncode:
        reason = finished.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
        raise InspectorError(f"The pattern {pattern!r} could not be searched for ({reason[0]}): try a simpler one.")
    return finished.stdout
