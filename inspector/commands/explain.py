"""`explain`: a formula of concepts for every neuron."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, progress_bar, whole_number


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "explain",
        _explain,
        "Name every neuron: the formula of at most three concepts that says when it is on.",
    )
    option = parser.add_argument
    option("--network", default="checkpoints/python", type=Path, help="checkpoint folder")
    option("--corpus", default="python-stdlib", help="the corpus it was trained on, as for train")
    option("--pattern", default="*", help="which files of a folder")
    option("--chars", type=whole_number, default=100_000, help="characters to find formulas on, and as many to score")
    option("--out", type=Path, default=None, help="folder to write into; without it survey/ of the network")
    option("--top", type=int, default=10, help="rows to show")


def _explain(options: argparse.Namespace) -> None:
    from inspector.corpus import load_corpus
    from inspector.explain import explain
    from inspector.model import load_checkpoint

    model = load_checkpoint(options.network)
    corpus = load_corpus(options.corpus, pattern=options.pattern)
    folder = options.out or options.network / "survey"
    with progress_bar(None, "explain") as bar:

        def show(words: str, done: int, total: int) -> None:
            if bar.desc != f"{words}: ":
                bar.set_description(words)
                bar.unit = " neurons" if words == "explaining" else " chars"
                bar.reset(total)
            bar.update(done - bar.n)

        table, summary = explain(model, corpus, folder, n_chars=options.chars, on_progress=show)
    for row in table.head(options.top).itertuples():
        print(f"{row.layer}:{row.unit:<4} {row.signal:<7} {row.score:.3f} (chance {row.chance:.2f})  {row.formula}")
    print(summary["said"])
    print(f"Written: {folder / 'explanations.parquet'}")
