"""`sample`: a network writes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from inspector.commands.command import add_command, whole_number


def add(commands: Any) -> None:
    parser = add_command(commands, "sample", _sample, "Let a network continue a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--seed-text", default="def ", help="what it continues")
    option("--length", type=whole_number, default=500, help="characters to write")
    option(
        "--temperature",
        type=float,
        default=0.7,
        help="0 takes the likeliest character, 1 draws what the network believes",
    )
    option("--top-k", type=int, default=None, help="draw among this many likeliest characters only")
    option("--seed", type=int, default=None, help="of the random stream, for the same text again")


def _sample(options: argparse.Namespace) -> None:
    from inspector.generate import sample
    from inspector.model import load_checkpoint

    model = load_checkpoint(options.network)
    characters = sample(
        model,
        options.seed_text,
        n_chars=options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        seed=options.seed,
    )
    sys.stdout.write(options.seed_text)
    for character in characters:
        sys.stdout.write(character)
        sys.stdout.flush()
    sys.stdout.write("\n")
