"""`card`: measure a network against n-grams and a compressor, and write its model card."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, add_corpus_options, load_named_corpus


def add(commands: Any) -> None:
    parser = add_command(
        commands, "card", _card, "Measure a network beside n-grams and xz on held-out files; write its model card."
    )
    add_corpus_options(parser)
    option = parser.add_argument
    option("--network", required=True, type=Path, help="checkpoint folder; card.json and README.md are written into it")
    option("--seed-text", default="", help="what the sample on the card continues")
    option("--source", default="", help="where the text comes from and how to get it, in words")
    option("--licence", default="", help="of the text, in words")


def _card(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.measure import measure
    from inspector.model import load_checkpoint
    from inspector.train import bits

    model = load_checkpoint(options.network)
    corpus = load_named_corpus(options.corpus, options.pattern)
    about = {"seed_text": options.seed_text, "source": options.source, "licence": options.licence}
    print(f"{corpus}; reading, counting and compressing takes about a minute")
    found = measure(model, corpus, options.network, **about)
    write_card(model, options.network)
    rows = {model.name: found["report_nats"], "xz -9e": found["xz_nats"]}
    rows |= {f"{length}-gram": nats for length, nats in found["ngram_nats"].items() if int(length) >= 3}
    for name, nats in rows.items():
        print(f"{name:<16} {nats:.3f} nats {bits(nats):.3f} bits per character")
    print(f"Written: {options.network / 'README.md'}")
