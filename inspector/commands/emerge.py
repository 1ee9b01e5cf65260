"""`emerge`: what every neuron was good for at each snapshot of its network's training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, progress_bar, whole_number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "emerge",
        _emerge,
        "Watch neurons come to be: how well they tell concepts at each snapshot of a network's training.",
    )
    option = parser.add_argument
    option("--network", default="checkpoints/python-small", type=Path, help="checkpoint folder that has snapshots/")
    option("--corpus", default="python-stdlib", help="the corpus it was trained on, as for train")
    option("--pattern", default="*", help="which files of a folder")
    option("--chars", type=whole_number, default=60_000, help="characters to choose on, and as many to score")
    option("--concept", default=None, help="names of concepts, with commas; without it those that grew most")
    option("--neuron", default=None, help="show this one, such as 0:31; without it the best one at each snapshot")
    option("--again", action="store_true", help="read again what was read before")


def _emerge(options: argparse.Namespace) -> None:
    from inspector.corpus import load_corpus
    from inspector.emerge import FILE, emerge, open_emergence, table_of
    from inspector.model import load_checkpoint
    from inspector.recording import InspectorError, Neuron

    neuron = Neuron.parse(options.neuron) if options.neuron else None
    config = load_checkpoint(options.network).config
    if neuron is not None and not (neuron.layer < config.n_layers and neuron.unit < config.n_units):
        raise InspectorError(
            f"Neuron {neuron} does not exist: {options.network} has {config.n_layers} layers (from 0) of "
            f"{config.n_units} units (from 0)."
        )
    path = options.network / FILE
    found = None if options.again or not path.is_file() else open_emergence(path)
    if found is None or found.network_hash != load_checkpoint(options.network).hash:
        with progress_bar(None, "emerge") as bar:
            bar.unit = " snapshots"

            def show(words: str, done: int, total: int) -> None:
                bar.set_description(words)
                bar.total = total
                bar.update(done - bar.n)

            corpus = load_corpus(options.corpus, pattern=options.pattern)
            found = emerge(options.network, corpus, n_chars=options.chars, on_progress=show)
        found.save(path)
    wanted = [name.strip() for name in options.concept.split(",")] if options.concept else None
    print(table_of(found, concepts=wanted, neuron=neuron))
    whose = f"neuron {neuron}" if neuron else "the best neuron at each snapshot"
    print(f"Scores of {whose} on {found.n_score_chars:,} held-out characters of {found.corpus}. Kept in {path}")
