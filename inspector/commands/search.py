"""`search`: rank neurons for a concept."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, check_room, moving, progress_bar
from inspector.recording import InspectorError

SEARCH_BYTES = 4_000_000_000  # what a search may hold in memory: 500,000 characters of a 2x512 LSTM


def add(commands: Any) -> None:
    parser = add_command(commands, "search", _search, "Rank neurons by how well they detect a concept in a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", type=Path, help="the text file to read")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--concept", help="a concept's name; --concept list shows them all")
    what.add_argument("--regex", help="a regular expression: its matches are what the neuron should detect")
    option("--language", default=None, help="python, c or text; without it the file's name decides")
    option("--top", type=int, default=10, help="rows to show")
    option("--format", choices=("table", "json", "csv"), default="table", help="of the output")


def _search(options: argparse.Namespace) -> None:
    from inspector.capture import record
    from inspector.concepts import CONCEPTS, get_concept, language_of, regex_concept
    from inspector.corpus import read_text
    from inspector.model import load_checkpoint, untrained_twin
    from inspector.search import check_label, rank_neurons, verdict

    if options.concept == "list":
        for concept in CONCEPTS.values():
            print(f"{concept.name:<22} {concept.description}")
        return
    if options.text is None:
        raise InspectorError("Which text should be searched? Add --text FILE.")
    concept = regex_concept(options.regex) if options.regex is not None else get_concept(options.concept)
    model = load_checkpoint(options.network)
    text = read_text(options.text)
    language = options.language or language_of(options.text.name)
    label, valid = concept.label(text, language=language), concept.valid(text, language=language)
    signals = [signal for signal in ("hidden", "cell") if signal == "hidden" or model.config.kind == "lstm"]
    needed = 2 * len(text) * model.config.n_layers * model.config.n_units * len(signals) * 2  # both networks, float16
    check_room(f"Searching {options.text}", needed, SEARCH_BYTES, "Search a shorter part of the text.")
    recordings = []
    for network, words in ((model, "reading"), (untrained_twin(model), "reading, untrained")):
        with progress_bar(len(text), words) as bar:
            recordings.append(record(network, text, signals, moving(bar), dtype="float16"))
    check_label(recordings[0], label, valid=valid)
    table = rank_neurons(recordings[0], label, signals=signals, valid=valid, twin=recordings[1])
    table = table.head(options.top).assign(verdict=[verdict(row) for _, row in table.head(options.top).iterrows()])
    _print_table(table, options.format, f"{concept.name} in {options.text.name}, network {model.name}")


def _print_table(table: Any, form: str, title: str) -> None:
    if form == "json":
        print(table.to_json(orient="records", indent=1))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        columns = [
            "neuron",
            "signal",
            "polarity",
            "score",
            "metric",
            "baseline",
            "twin_score",
            "q_value",
            "f1",
            "verdict",
        ]
        shown = table.assign(neuron=[f"{layer}:{unit}" for layer, unit in zip(table.layer, table.unit, strict=True)])
        print(title)
        print(shown[columns].to_string(index=False, float_format=lambda value: f"{value:.3g}"))
