"""Which way of training makes single neurons clean: a small network for each way, on the same text, and its best ones.

    python -m benchmarks.neurons [--chars 10M] [--corpus python-stdlib] [--out runs/neurons] [--only 0,3]

Every network is trained from scratch with the same number of characters (the first of WAYS is what the others change
something of, "fast" ones of the first so called), then searched: the best neuron and signal for each concept, chosen on
one set of held-out files and scored on another. What lies finished in --out is not trained again, what was cut off
goes on. Prints a Markdown table: nats per character on the report files, AUROC or r by concept.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from inspector.commands.command import whole_number
from inspector.concepts import CONCEPTS
from inspector.corpus import Corpus, load_corpus
from inspector.model import CharModel, ModelConfig, load_checkpoint
from inspector.survey import held_out, search_corpus
from inspector.train import Progress, TrainOptions, train

SMALL = {"kind": "lstm", "n_layers": 1, "n_units": 192}
USUAL = {"hidden_penalty": 0.2, "cell_penalty": 0.2}
FAST = {"forget_bias": 1.0, "learning_rate": 5e-3, "batch": 24}
WAYS: dict[str, dict[str, Any]] = {
    "as shipped: both penalties .2": {},
    "as shipped, seed 1": {"seed": 1},
    "as shipped, seed 2": {"seed": 2},
    "no penalty": {"hidden_penalty": 0.0, "cell_penalty": 0.0},
    "hidden penalty .2 alone": {"cell_penalty": 0.0},
    "cell penalty .2 alone": {"hidden_penalty": 0.0},
    "both penalties .6": {"hidden_penalty": 0.6, "cell_penalty": 0.6},
    "output dropout .3": {"output_dropout": 0.3},
    "output dropout .5": {"output_dropout": 0.5},
    "recurrent dropout .2": {"recurrent_dropout": 0.2},
    "weight decay .1": {"weight_decay": 0.1},
    "forget bias 1": {"forget_bias": 1.0},
    "stretches of 200, 32 streams": {"stretch": 200, "batch": 32},
    "stretches of 50, 128 streams": {"stretch": 50, "batch": 128},
    "96 neurons": {"n_units": 96},
    "320 neurons": {"n_units": 320},
    "two layers of 128": {"n_units": 128, "n_layers": 2},
    "GRU": {"kind": "gru"},
    "forget bias 1, seed 1": {"forget_bias": 1.0, "seed": 1},
    "forget bias 1, learning rate 5e-3": {"forget_bias": 1.0, "learning_rate": 5e-3},
    "forget bias 1, 24 streams": {"forget_bias": 1.0, "batch": 24},
    "forget bias 1, learning rate 1e-2": {"forget_bias": 1.0, "learning_rate": 1e-2},
    "fast: forget bias 1, learning rate 5e-3, 24 streams": FAST,
    "fast, seed 1": FAST | {"seed": 1},
    "fast, no penalty": FAST | {"hidden_penalty": 0.0, "cell_penalty": 0.0},
    "fast, 12 streams": FAST | {"batch": 12},
    "fast, output dropout .3": FAST | {"output_dropout": 0.3},
}
ASKED = ("inside_string", "inside_comment", "inside_docstring", "inside_if_condition", "bracket_depth", "indentation",
         "line_position")  # fmt: skip


def trained(way: dict[str, Any], corpus: Corpus, n_chars: int, folder: Path) -> CharModel:
    """The network trained in this way; taken from `folder` where it was finished there."""
    settings = SMALL | USUAL | way
    config = ModelConfig(**{name: settings.pop(name) for name in SMALL}, embedding=None, dropout=0.0)
    if (folder / "scores.json").exists():
        return load_checkpoint(folder)

    def show(at: Progress) -> None:
        if at.step % 100 == 0:
            sys.stderr.write(f"\r{folder.name}: step {at.step:,} of {at.n_steps:,}, {at.train_nats:.3f} nats ")

    resume = (folder / "trainer.pt").exists()
    return train(corpus, config, TrainOptions(n_chars=n_chars, **settings), folder, resume=resume, on_step=show)


def scores_of(model: CharModel, corpus: Corpus, folder: Path) -> dict[str, float]:
    """Held-out score of the best neuron for each concept, |r| of graded ones, and `nats`; kept in `folder`."""
    kept = folder / "scores.json"
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text())
        return found
    texts, n_choosing, longest = held_out(corpus, 150_000)
    choose = [True] * n_choosing + [False] * (len(texts) - n_choosing)
    searched = search_corpus(
        model, texts, [CONCEPTS[name] for name in ASKED], choose=choose, twin=False, longest=longest
    )
    found = {name: float(table["score"].iloc[0]) for name, table in searched.tables.items()}
    found["nats"] = model.training_facts["report_nats"]
    kept.write_text(json.dumps(found))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chars", type=whole_number, default=10_000_000)
    parser.add_argument("--corpus", default="python-stdlib")
    parser.add_argument("--pattern", default="*")
    parser.add_argument("--out", type=Path, default=Path("runs/neurons"))
    parser.add_argument("--only", default="", help="numbers of the ways, such as 0,3; without it all")
    options = parser.parse_args()
    corpus = load_corpus(options.corpus, pattern=options.pattern)
    wanted = [int(number) for number in options.only.split(",") if number] or range(len(WAYS))
    columns = ("nats", *ASKED)
    print("| way | nats | " + " | ".join(CONCEPTS[name].title for name in ASKED) + " |")
    print("|---" * (len(columns) + 1) + "|", flush=True)
    for number in wanted:
        words = list(WAYS)[number]
        folder = options.out / f"{number:02d}"
        found = scores_of(trained(WAYS[words], corpus, options.chars, folder), corpus, folder)
        cells = (f"{found[name]:.3f}" if name in found else "" for name in columns)
        print(f"| {words} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
