"""`search`: rank neurons for a concept."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.commands.command import (
    add_command,
    check_out_file,
    load_named_corpus,
    progress_bar,
    reporting,
    whole_number,
)
from inspector.recording import SIGNALS, InspectorError

if TYPE_CHECKING:
    from inspector.survey import Found

SHOWN = ("neuron", "signal", "polarity", "score", "metric", "baseline", "twin_score", "q_value", "f1", "matthews",
         "prevalence", "verdict")  # fmt: skip


def add(commands: Any) -> None:
    parser = add_command(commands, "search", _search, "Rank neurons by how well they detect a concept in a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", type=Path, help="the text file or the folder of text files to read")
    option("--pattern", default="*", help="which files of a folder, such as '*.py'")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--concept",
        help="names of concepts, my.py:FUNCTION (which is run) or spans.json, with commas between, and last perhaps "
        "regex:PATTERN; list shows all names",
    )
    what.add_argument("--regex", help="a regular expression: its matches are what the neuron should detect")
    what.add_argument("--open", type=Path, help="show the .parquet file of an earlier search, which is not made again")
    option("--language", default=None, help="python, c or text; without it the names of files decide")
    option("--signals", default="hidden,cell", help="signals to search, with commas between, or all")
    option("--top", type=whole_number, default=10, help="rows to show for each concept")
    option("--format", choices=("table", "json", "csv"), default="table", help="of the output")
    option(
        "--state", type=Path, help="folder in which a search that is cut off is kept, and goes on when it is repeated"
    )
    option("--out", type=Path, help="also write every row to this .parquet file, with what made it")


def _search(options: argparse.Namespace) -> None:
    from inspector.concepts import CONCEPTS, regex_concept, resolve_concept
    from inspector.model import load_checkpoint
    from inspector.survey import search_corpus

    if options.concept == "list":
        for concept in CONCEPTS.values():
            print(f"{concept.name:<22} {concept.description}")
        return
    if options.top < 1:
        raise InspectorError(f"--top {options.top} shows nothing: it is how many rows of each concept to show, from 1.")
    if options.open is not None:
        _show_earlier(options)
        return
    _check_out(options.out)
    if options.text is None:
        raise InspectorError("Which text should be searched? Add --text FILE or FOLDER.")
    names = _names(options.concept or "")
    if options.concept is not None and not names:
        raise InspectorError("--concept names no concept: `python -m inspector concepts` lists them.")
    concepts = [resolve_concept(name) for name in names] or [regex_concept(options.regex)]
    documents = _documents(options)
    if len(documents) > 1 and (spans := [name for name in names if name.endswith(".json")]):
        raise InspectorError(
            f"{spans[0]} marks stretches of one text, and {options.text} holds {len(documents):,}: give --text the "
            "file that they were marked in."
        )
    model = load_checkpoint(options.network)
    with progress_bar(None, "reading") as bar:
        found = search_corpus(
            model, documents, concepts, signals=_signals(options.signals, model.config.kind), folder=options.state,
            on_progress=reporting(bar, {"labelling": "texts"}), language=options.language,
        )  # fmt: skip
    _print_found(found, options, f"in {options.text.name}, network {model.name}")
    if options.out is not None:
        found.save(options.out)
    found.forget()


def _names(written: str) -> list[str]:
    """Concepts with commas between them; a pattern, `regex:...`, may hold commas of its own and comes last."""
    before, mark, pattern = written.partition("regex:")
    names = [name.strip() for name in before.split(",") if name.strip()]
    return [*names, mark + pattern] if mark else names


def _show_earlier(options: argparse.Namespace) -> None:
    from inspector.survey import open_found

    if given := [name for name in ("text", "state", "out") if getattr(options, name) is not None]:
        raise InspectorError(
            f"--open shows a search as it was saved: leave {', '.join(f'--{name}' for name in given)} out, or make the "
            "search anew with --concept."
        )
    if not options.open.is_file():
        raise InspectorError(f"There is no file {options.open}: give --open what a search wrote with --out.")
    found = open_found(options.open)
    made_by = found.made_by
    read = f"{made_by['n_choose_chars'] + made_by['n_score_chars']:,} characters of {made_by['n_documents']:,} texts"
    _print_found(found, options, f"in {read}, network {made_by['network']} ({made_by['network_hash']})")


def _check_out(path: Path | None) -> None:
    if path is None:
        return
    if path.suffix != ".parquet":
        raise InspectorError(f"--out writes a Parquet file, and {path} is called otherwise: end its name in .parquet.")
    check_out_file(path)


def _print_found(found: Found, options: argparse.Namespace, where: str) -> None:
    for name, problem in found.too_little.items():
        print(f"{name}: {problem}", file=sys.stderr)
    _print_table(found.best(options.top), options.format, where)


def _documents(options: argparse.Namespace) -> list[Any]:
    """The file, or every file of the folder, whichever split it is in."""
    from inspector.corpus import Text, read_text

    if options.text.is_dir():
        corpus = load_named_corpus(options.text, options.pattern)
        return sorted(text for texts in corpus.splits.values() for text in texts)
    if not options.text.is_file():
        raise InspectorError(f"There is no text at {options.text}: give a text file or a folder of text files.")
    if not (text := read_text(options.text)):
        raise InspectorError(f"{options.text} is empty. Give a file with text in it.")
    return [Text(options.text.name, text)]


def _signals(written: str, kind: str) -> list[str]:
    """The network's signals that are named; a name no network knows is a sentence."""
    existing = SIGNALS[kind]
    if written == "all":
        return list(existing)
    asked = [name for part in written.split(",") if (name := part.strip())]
    if not asked:
        raise InspectorError(f"--signals names no signal: name some of {', '.join(existing)}, or all.")
    found = [signal for signal in existing if signal in asked]
    unknown = sorted(set(asked).difference(*SIGNALS.values()))
    if unknown or not found:
        raise InspectorError(
            f"There is no signal {' or '.join(unknown or asked)} in this network: name some of {', '.join(existing)}."
        )
    return found


def _print_table(table: Any, form: str, title: str) -> None:
    if form == "json":
        rows = [
            {name: None if value != value else value for name, value in row.items()}  # nan is no JSON
            for row in table.to_dict("records")
        ]
        print(json.dumps(rows, indent=1))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        table["neuron"] = [f"{layer}:{unit}" for layer, unit in zip(table.layer, table.unit, strict=True)]
        for name, rows in table.groupby("concept", sort=False):
            print(f"{name} {title}")
            forms = {"q_value": "{:.1e}".format}  # all in one form, whether near one or far below
            print(rows[list(SHOWN)].to_string(index=False, float_format="{:.3g}".format, formatters=forms))
