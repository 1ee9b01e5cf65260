"""What the commands share: their parsers, numbers, progress bars and the look for room before long work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from inspector.recording import InspectorError, Layer, Neuron, describe

if TYPE_CHECKING:
    from inspector.corpus import Corpus
    from inspector.model import CharModel

_LOG_SECONDS = 10.0  # between two states of a progress bar that goes into a file
_MOST_LEFT_OUT = 20  # files, each said with its reason


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says a default where there is one, and what has to be given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required and action.option_strings:
            return f"{action.help} (required)"
        is_said = action.default not in (None, "", [], ()) and action.default is not False
        return super()._get_help_string(action) if is_said else action.help


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, formatter_class=_Help)
    parser.set_defaults(run=run)
    return parser


def whole_number(written: str) -> int:
    """`200000`, `200_000`, `60M` or `200k`."""
    factor = {"k": 1_000, "m": 1_000_000}.get(written[-1:].lower(), 1)
    digits = written[:-1] if factor > 1 else written
    try:
        return int(float(digits) * factor) if factor > 1 else int(digits)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number; write 200000, 200k or 60M") from None


def check_room(what: str, needed: int, room: int, advice: str) -> None:
    """Refuse before hours of work what cannot end well; `needed` and `room` in bytes."""
    if needed > room:
        raise InspectorError(f"{what} needs {needed / 1e6:,.1f} MB, there is room for {room / 1e6:,.1f} MB. {advice}")


def check_out_file(path: Path) -> None:
    """Refuse before the work a file that could not be written after it."""
    if path.is_dir():
        raise InspectorError(f"{path} is a folder: give --out the name of a file.")
    if not path.parent.is_dir():
        raise InspectorError(f"There is no folder {path.parent} to write {path.name} into: make it first.")


def check_neuron(neuron: Neuron, model: CharModel) -> None:
    """Refuse before the work a neuron that the network does not have."""
    shape = model.config
    if neuron.layer >= shape.n_layers or neuron.unit >= shape.n_units:
        layers = [Layer("", shape.kind, shape.n_units, ())] * shape.n_layers
        raise InspectorError(f"Neuron {neuron} does not exist: {model.name} has {describe(layers)}.")


def progress_bar(total: int | None, words: str) -> Any:
    return tqdm(
        total=total, desc=words, unit=" chars", unit_scale=True, dynamic_ncols=True, file=sys.stderr, smoothing=0.1,
        mininterval=0.1 if sys.stderr.isatty() else _LOG_SECONDS,
    )  # fmt: skip


def moving(bar: Any) -> Callable[[int, int], None]:
    """A progress callback (done, total) that drives a bar."""

    def move(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return move


def reporting(bar: Any, units: Mapping[str, str]) -> Callable[[str, int, int], None]:
    """A progress callback (what is being done, done, total) that drives a bar; units are characters unless named."""

    def report(words: str, done: int, total: int) -> None:
        if bar.desc != words:
            bar.set_description_str(words, refresh=False)
            bar.unit = f" {units.get(words, 'chars')}"
            bar.reset(total)
        bar.update(done - bar.n)

    return report


def add_corpus_options(
    parser: argparse.ArgumentParser, *, default: str | None = None, otherwise: str | None = None
) -> None:
    """--corpus and --pattern, for commands that read what a network was trained on; required without a default.

    otherwise : what is read when --corpus is left out and its being left out matters: options.corpus is None then.
    """
    words = "the corpus it was trained on, as for train" + (f"; without it {otherwise}" if otherwise else "")
    parser.add_argument("--corpus", default=default, required=default is None and otherwise is None, help=words)
    parser.add_argument("--pattern", default="*", help="which files of a folder")


def load_named_corpus(source: str | Path, pattern: str, *, also: Sequence[str] = (), also_pattern: str = "*") -> Corpus:
    """What --corpus and --pattern name, and --also to learn from; says on stderr which files could not be read."""
    from inspector.corpus import load_corpus

    corpus = load_corpus(source, pattern=pattern)
    for more in also:
        corpus = corpus.and_learn_from(load_corpus(more, pattern=also_pattern))
    for problem in corpus.skipped[:_MOST_LEFT_OUT]:
        print(f"Left out: {problem}", file=sys.stderr)
    if len(corpus.skipped) > _MOST_LEFT_OUT:
        print(f"Left out: {len(corpus.skipped) - _MOST_LEFT_OUT:,} more files.", file=sys.stderr)
    return corpus


def existing_folder(path: Path) -> Path:
    """The nearest folder above a path that exists."""
    path = path.resolve()
    return path if path.exists() else existing_folder(path.parent)
