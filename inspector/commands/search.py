"""`search`: rank neurons for a concept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, check_room, moving, progress_bar
from inspector.recording import SIGNALS, InspectorError

SHOWN = ("neuron", "signal", "polarity", "score", "metric", "baseline", "twin_score", "q_value", "f1", "matthews",
         "prevalence", "verdict")  # fmt: skip
SEARCH_BYTES = 4_000_000_000  # what a search may hold in memory: 500,000 characters of a 2x512 LSTM


def add(commands: Any) -> None:
    parser = add_command(commands, "search", _search, "Rank neurons by how well they detect a concept in a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", type=Path, help="the text file or the folder of text files to read")
    option("--pattern", default="*", help="which files of a folder, such as '*.py'")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--concept", help="names of concepts, with commas between; --concept list shows them all")
    what.add_argument("--regex", help="a regular expression: its matches are what the neuron should detect")
    option("--language", default=None, help="python, c or text; without it the file's name decides (of one file)")
    option("--signals", default="hidden,cell", help="signals to search, with commas between, or all")
    option("--top", type=int, default=10, help="rows to show for each concept")
    option("--format", choices=("table", "json", "csv"), default="table", help="of the output")
    option("--out", type=Path, help="also write every row to this .parquet file, with what made it")


def _search(options: argparse.Namespace) -> None:
    from inspector.concepts import CONCEPTS, get_concept, regex_concept
    from inspector.model import load_checkpoint

    if options.concept == "list":
        for concept in CONCEPTS.values():
            print(f"{concept.name:<22} {concept.description}")
        return
    if options.text is None:
        raise InspectorError("Which text should be searched? Add --text FILE or FOLDER.")
    names = [] if options.concept is None else [name.strip() for name in options.concept.split(",") if name.strip()]
    concepts = [get_concept(name) for name in names] or [regex_concept(options.regex)]
    model = load_checkpoint(options.network)
    signals = [signal for signal in SIGNALS[model.config.kind] if options.signals == "all" or signal in options.signals]
    if options.text.is_dir():
        found = _search_folder(options, model, concepts, signals)
    else:
        found = _search_file(options, model, concepts, signals)
    for name, problem in found.too_little.items():
        print(f"{name}: {problem}", file=sys.stderr)
    if options.out is not None:
        found.save(options.out)
    _print_table(found.best(options.top), options.format, f"in {options.text.name}, network {model.name}")


def _search_folder(options: argparse.Namespace, model: Any, concepts: list[Any], signals: list[str]) -> Any:
    from inspector.corpus import load_corpus
    from inspector.survey import search_corpus

    splits = load_corpus(options.text, pattern=options.pattern).splits
    documents = sorted(text for texts in splits.values() for text in texts)
    with progress_bar(None, "reading") as bar:

        def show(words: str, done: int, total: int) -> None:
            if bar.desc != f"{words}: ":
                bar.set_description(words)
                bar.reset(total)
            bar.update(done - bar.n)

        return search_corpus(model, documents, concepts, signals=signals, on_progress=show)


def _search_file(options: argparse.Namespace, model: Any, concepts: list[Any], signals: list[str]) -> Any:
    from inspector.capture import record
    from inspector.concepts import language_of
    from inspector.corpus import read_text
    from inspector.model import untrained_twin
    from inspector.search import rank_labels
    from inspector.survey import Found

    text = read_text(options.text)
    language = options.language or language_of(options.text.name)
    labels = {c.name: (c.label(text, language=language), c.valid(text, language=language)) for c in concepts}
    needed = 2 * len(text) * model.config.n_layers * model.config.n_units * len(signals) * 2  # both networks, float16
    check_room(
        f"Searching {options.text}",
        needed,
        SEARCH_BYTES,
        "Search a shorter part of the text, or a folder of texts, of which nothing is kept.",
    )
    recordings = []
    for network, words in ((model, "reading"), (untrained_twin(model), "reading, untrained")):
        with progress_bar(len(text), words) as bar:
            recordings.append(record(network, text, signals, moving(bar), dtype="float16"))
    tables = rank_labels(recordings[0], labels, signals=signals, twin=recordings[1])
    return Found(tables, {}, {"network": model.name, "network_hash": model.hash, "text": options.text.name})


def _print_table(table: Any, form: str, title: str) -> None:
    if form == "json":
        print(table.to_json(orient="records", indent=1))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        table["neuron"] = [f"{layer}:{unit}" for layer, unit in zip(table.layer, table.unit, strict=True)]
        for name, rows in table.groupby("concept", sort=False):
            print(f"{name} {title}")
            print(rows[list(SHOWN)].to_string(index=False, float_format=lambda value: f"{value:.3g}"))
