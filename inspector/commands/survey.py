"""`survey`: look for every concept in held-out files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, add_corpus_options, progress_bar, reporting, whole_number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "survey",
        _survey,
        "Look for every concept in held-out files; write survey/ and the model card of a network.",
    )
    add_corpus_options(parser, default="python-stdlib")
    option = parser.add_argument
    option("--network", default="checkpoints/python", type=Path, help="checkpoint folder; survey/ is written into it")
    option("--only", choices=("portraits",), default=None, help="renew this part of a survey that lies there")
    option("--chars", type=whole_number, default=200_000, help="characters to choose on, and as many to report on")


def _survey(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.corpus import load_corpus
    from inspector.model import load_checkpoint
    from inspector.survey import portray, survey

    model = load_checkpoint(options.network)
    corpus = load_corpus(options.corpus, pattern=options.pattern)
    with progress_bar(None, "survey") as bar:
        show = reporting(bar, {"ranking": "neurons and signals", "labelling": "texts"})
        if options.only:
            portray(model, corpus, options.network / "survey", on_progress=show)
            print(f"Written: {options.network / 'survey' / 'portraits.npz'}")
            return
        tables = survey(model, corpus, options.network / "survey", n_chars=options.chars, on_progress=show)
    write_card(model, options.network)
    for name, table in sorted(tables.items()):
        best = table.iloc[0]
        print(f"{name:<22} {best.layer}:{best.unit:<4} {best.signal:<7} {best.metric} {best.score:.3f}")
    print(f"Written: {options.network / 'survey'} and {options.network / 'README.md'}")
