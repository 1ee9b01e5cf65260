"""Concepts a reader brings along: marked spans, a Python function in a file, and what may be written for a concept.

A function's file is run when it is loaded. So only a person at the command line may name one; an address never does.
"""

import dataclasses
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import partial
from itertools import count
from operator import index
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.catalogue import get_concept
from inspector.concepts.characters import Bools, paint_pairs
from inspector.concepts.concept import Concept
from inspector.concepts.patterns import regex_concept
from inspector.recording import InspectorError

REGEX = "regex:"
_TRIAL = "It is 1 line.\n"  # what a function is tried on, to learn whether it says yes/no or how much
_LOADED = count()  # module names of loaded files are never used twice


def resolve_concept(written: str) -> Concept:
    r"""The concept a person means at the command line.

    >>> resolve_concept("inside_string"), resolve_concept(r"regex:\\bTODO\\b")
    >>> resolve_concept("my.py:is_rhyme"), resolve_concept("marked.json")

    A name, `regex:PATTERN`, `FILE.py:FUNCTION` (runs that file: see `load_concept`) or a JSON file of spans.
    InspectorError in one sentence for what cannot be resolved.
    """
    if written.startswith(REGEX):
        return regex_concept(written.removeprefix(REGEX))
    file, colon, _ = written.rpartition(":")
    if colon and file.endswith(".py"):
        return load_concept(written)
    if written.endswith(".py"):
        raise InspectorError(f"Which function of {written} is the concept? Write {written}:NAME.")
    if written.endswith(".json"):
        return _read_spans(Path(written))
    return get_concept(written)


def span_concept(spans: Iterable[tuple[int, int]], name: str = "marked", *, n_chars: int | None = None) -> Concept:
    """A yes/no concept of one text: True on every `[start, stop)`, in code points.

    >>> span_concept([(0, 5), (12, 20)], name="greetings").label(text)

    spans : may touch and overlap, in any order. At least one, each with 0 <= start < stop.
    n_chars : length of the text they were marked in, where known; then a text of another length is refused.

    InspectorError for spans that are none, and from `label` for a text they do not fit.
    """
    try:
        pairs = [(index(start), index(stop)) for start, stop in spans]
    except (TypeError, ValueError):
        raise InspectorError(
            "A span is a pair of whole numbers, start and stop in characters: write [[0, 5], [12, 20]]."
        ) from None
    if not pairs:
        raise InspectorError("No span is marked: give at least one, such as [[0, 5]].")
    for start, stop in pairs:
        if not 0 <= start < stop:
            raise InspectorError(
                f"The span {start} to {stop} marks nothing: a start is at least 0 and a stop is behind its start."
            )
    return Concept(
        name=name,
        title=name.replace("_", " "),
        description=f"Inside one of {len(pairs):,} stretches marked by hand.",
        edges="As marked: a stretch's first character is in, the one at its stop is out.",
        kind="yes/no",
        languages=(),
        causal=False,
        group="your own",
        labeller=partial(_label_spans, name, pairs, n_chars),
    )


def _label_spans(name: str, pairs: list[tuple[int, int]], n_chars: int | None, text: str, _: str) -> Bools:
    needed = max(stop for _, stop in pairs)
    if needed > len(text) or (n_chars is not None and n_chars != len(text)):
        marked_in = f"exactly {n_chars:,}" if n_chars is not None else f"at least {needed:,}"
        raise InspectorError(
            f"The spans of {name!r} were marked in a text of {marked_in} characters, this one has {len(text):,}:"
            " choose the text they belong to."
        )
    return paint_pairs(len(text), pairs)


def _read_spans(path: Path) -> Concept:
    try:
        written = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InspectorError(f"The spans in {path} cannot be read: {_reason(error)}.") from None
    try:
        said: Any = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise InspectorError(f"{path} is not JSON ({error}): write [[0, 5], [12, 20]].") from None
    said = {"spans": said} if isinstance(said, list) else said
    if not isinstance(said, dict) or not isinstance(said.get("spans"), list):
        raise InspectorError(
            f'{path} holds no spans: write [[0, 5], [12, 20]], or {{"name": ..., "n_chars": ..., "spans": [...]}}.'
        )
    n_chars = said.get("n_chars")
    if n_chars is not None and not isinstance(n_chars, int):
        raise InspectorError(f"{path}: n_chars is the length of the text in characters, not {n_chars!r}.")
    try:
        return span_concept(said["spans"], str(said.get("name", path.stem)), n_chars=n_chars)
    except InspectorError as error:
        raise InspectorError(f"{path}: {error}") from None


def load_concept(written: str) -> Concept:
    """A concept from a Python function in a file, written `my.py:name`. The file is run.

    >>> load_concept("my.py:is_rhyme").label(text)

    The function takes the text, or the text and its language ("python", "c", "text"), and returns one value per
    character (code point): bools for a yes/no concept, numbers for a graded one. It is tried on a short line first,
    which also tells which of the two it is. `name` may be a `Concept` too.

    InspectorError in one sentence: no such file or name, a file or function that raises, and from `label` an answer of
    the wrong length or type, or one that holds nan.
    """
    file, _, name = written.rpartition(":")
    module = _run_file(Path(file))
    if not hasattr(module, name):
        functions = [found for found, value in vars(module).items() if inspect.isfunction(value)]
        there = f"it has {', '.join(functions)}" if functions else "it has no function at all"
        raise InspectorError(f"There is no {name!r} in {file}: {there}.")
    found = getattr(module, name)
    if isinstance(found, Concept):
        own: dict[str, Any] = {"labeller": partial(_label_by, written, found.labeller, found.kind)}
        return dataclasses.replace(found, **own)
    function = _with_language(found, written)
    kind: Literal["yes/no", "graded"]
    kind = "yes/no" if _answer(written, function, _TRIAL, "text").dtype == np.bool_ else "graded"
    summary = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    return Concept(
        name=name,
        title=name.replace("_", " "),
        description=summary or f"What the function {name} in {file} says.",
        edges="As the function decides; it may use the whole text.",
        kind=kind,
        languages=(),
        causal=False,
        group="your own",
        labeller=partial(_label_by, written, function, kind),
    )


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InspectorError(f"There is no file {path}: a concept of your own is written FILE.py:FUNCTION.")
    spec = importlib.util.spec_from_file_location(f"charscope_concept_{next(_LOADED)}", path)
    if spec is None or spec.loader is None:
        raise InspectorError(f"{path} is not a Python file: a concept of your own is written FILE.py:FUNCTION.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks for its module there
    try:
        with redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise InspectorError(f"{path} cannot be run: {_reason(error)}{_line_in(error, path)}.") from None
    return module


def _with_language(found: Any, written: str) -> Callable[[str, str], Any]:
    """The function as one of text and language."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        raise InspectorError(
            f"{written} is no function of a text but of type {type(found).__name__}: name one that takes a text."
        ) from None
    for given in (2, 1):
        try:
            signature.bind(*[""] * given)
        except TypeError:
            continue
        return found if given == 2 else lambda text, _: found(text)
    raise InspectorError(f"{written} takes {signature}: a concept takes the text, or the text and its language.")


def _label_by(written: str, function: Callable[[str, str], Any], kind: str, text: str, language: str) -> NDArray[Any]:
    labels = _answer(written, function, text, language)
    if kind == "yes/no" and labels.dtype != np.bool_ and len(labels):
        raise InspectorError(f"{written} returned {labels.dtype} here but bools for a short line: return one of them.")
    return labels


def _answer(written: str, function: Callable[[str, str], Any], text: str, language: str) -> NDArray[Any]:
    """What the function says of a text, once it is one finite number or bool per character."""
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of a table that goes into a file or pipe
            labels = np.asarray(function(text, language))
    except (Exception, SystemExit) as error:
        where = _line_in(error, Path(written.rpartition(":")[0]))
        raise InspectorError(f"{written} failed on {len(text):,} characters: {_reason(error)}{where}.") from None
    if labels.shape != (len(text),):
        raise InspectorError(
            f"{written} returned shape {labels.shape} for {len(text):,} characters:"
            " return one value for each, line breaks too."
        )
    if labels.dtype.kind not in "biuf":
        raise InspectorError(f"{written} returned {labels.dtype} values: return bools for yes/no, or numbers.")
    if not np.isfinite(labels).all():
        at = int(np.argmin(np.isfinite(labels)))
        raise InspectorError(f"{written} returned {labels[at]} for character {at:,}: return finite numbers.")
    return labels


def _reason(error: BaseException) -> str:
    """An error in one line: its kind and its words, without a full stop."""
    words = getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _line_in(error: BaseException, path: Path) -> str:
    """ " (line 3)" where an error's trace leads through the file; the innermost such line."""
    lines, at = [], error.__traceback__
    while at is not None:
        if Path(at.tb_frame.f_code.co_filename) == path:
            lines.append(at.tb_lineno)
        at = at.tb_next
    return f" (line {lines[-1]})" if lines else ""
