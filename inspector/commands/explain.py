"""`explain`: a formula of concepts, or the graded concept it follows, for every neuron."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import (
    add_command,
    add_corpus_options,
    load_named_corpus,
    progress_bar,
    reporting,
    whole_number,
)
from inspector.recording import InspectorError


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "explain",
        _explain,
        "Name every neuron: the formula of at most three concepts that says when it is on, or the number it follows.",
    )
    add_corpus_options(parser, default="python-stdlib")
    option = parser.add_argument
    option("--network", default="checkpoints/python", type=Path, help="checkpoint folder")
    option(
        "--chars", type=whole_number, default=100_000, help="characters to find explanations on, and as many to score"
    )
    option("--out", type=Path, default=None, help="folder to write into; without it survey/ of the network")
    option("--top", type=whole_number, default=10, help="rows to show")


def _explain(options: argparse.Namespace) -> None:
    from inspector.explain import explain
    from inspector.model import load_checkpoint

    for flag, number in (("--chars", options.chars), ("--top", options.top)):
        if number < 1:
            raise InspectorError(f"{flag} {number} is too little: write 1 or more.")
    if options.out is not None and options.out.is_file():
        raise InspectorError(f"{options.out} is a file: give --out a folder.")
    model = load_checkpoint(options.network)
    corpus = load_named_corpus(options.corpus, options.pattern)
    folder = options.out or options.network / "survey"
    with progress_bar(None, "explain") as bar:
        table, summary = explain(
            model, corpus, folder, n_chars=options.chars, on_progress=reporting(bar, {"explaining": "neurons"})
        )
    for row in table.head(options.top).itertuples():
        high, low = ("high where ", "low where ") if row.kind == "formula" else ("follows ", "falls with ")
        said = (high if row.polarity > 0 else low) + row.formula if row.formula else "nothing"
        print(f"{row.layer}:{row.unit:<4} {row.signal:<7} {row.score:.3f} (chance {row.chance:.2f})  {said}")
    print(summary["said"])
    print(f"Written: {folder / 'explanations.parquet'}")
