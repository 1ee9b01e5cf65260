"""`emerge`: what every neuron was good for at each snapshot of its network's training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.commands.command import (
    add_command,
    add_corpus_options,
    check_neuron,
    load_named_corpus,
    progress_bar,
    reporting,
    whole_number,
)
from inspector.recording import InspectorError

if TYPE_CHECKING:
    from inspector.emerge import Emergence

_N_CHARS = 60_000


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "emerge",
        _emerge,
        "Watch neurons come to be: how well they tell concepts at each snapshot of a network's training.",
    )
    add_corpus_options(parser, otherwise="python-stdlib")
    option = parser.add_argument
    option("--network", default="checkpoints/python-small", type=Path, help="checkpoint folder that has snapshots/")
    option(
        "--chars",
        type=whole_number,
        default=None,
        help=f"characters to choose on, and as many to score; without it {_N_CHARS:,}",
    )
    option("--concept", default=None, help="names of concepts, with commas; without it those that grew most")
    option("--neuron", default=None, help="show this one, such as 0:31; without it the best one at each snapshot")
    option("--again", action="store_true", help="read again what was read before")


def _emerge(options: argparse.Namespace) -> None:
    from inspector.concepts import get_concept
    from inspector.emerge import FILE, table_of
    from inspector.model import load_checkpoint
    from inspector.recording import Neuron

    neuron = Neuron.parse(options.neuron) if options.neuron else None
    model = load_checkpoint(options.network)
    if neuron is not None:
        check_neuron(neuron, model)
    named = [name.strip() for name in (options.concept or "").split(",") if name.strip()]
    wanted = [get_concept(name).name for name in named] or None
    found = _scores(options, model.hash)
    print(table_of(found, concepts=wanted, neuron=neuron))
    whose = f"neuron {neuron}" if neuron else "the best neuron at each snapshot"
    where = f"{found.n_score_chars:,} held-out characters of {found.corpus}"
    print(f"Scores of {whose} on {where}. Kept in {options.network / FILE}")


def _scores(options: argparse.Namespace, network_hash: str) -> Emergence:
    """Those that are kept, where they are of this network and of what was asked for; made otherwise."""
    from inspector.corpus import STDLIB
    from inspector.emerge import FILE, emerge, open_emergence

    path = options.network / FILE
    kept = open_emergence(path) if path.is_file() and not options.again else None
    if kept is not None and kept.network_hash == network_hash:
        is_named = options.corpus is not None or options.pattern != "*"
        named = load_named_corpus(options.corpus or STDLIB, options.pattern) if is_named else None
        if kept.is_of(named, options.chars):
            return kept
        raise InspectorError(
            f"{path} holds scores on {kept.n_score_chars:,} characters of {kept.corpus}, made of other texts or "
            "another number of characters than asked for: leave --corpus, --pattern and --chars out to see them, or "
            "add --again to make them anew."
        )
    corpus = load_named_corpus(options.corpus or STDLIB, options.pattern)
    with progress_bar(None, "emerge") as bar:
        found = emerge(
            options.network,
            corpus,
            n_chars=_N_CHARS if options.chars is None else options.chars,
            on_progress=reporting(bar, {"reading": "snapshots"}),
        )
    found.save(path)
    return found
