"""`train` and `pack`: make a network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, progress_bar, whole_number


def add(commands: Any) -> None:
    _add_train(commands)
    _add_pack(commands)


def _add_train(commands: Any) -> None:
    parser = add_command(commands, "train", _train, "Train a network on your own text. Ctrl-C saves; --resume goes on.")
    option = parser.add_argument
    option(
        "--corpus",
        required=True,
        help="a text file, a folder of text files, or python-stdlib (this Python's own library)",
    )
    option("--pattern", default="*", help="which files of a folder, such as '*.py' or 'kernel/**/*.[ch]'")
    option("--out", required=True, type=Path, help="folder for the run; it becomes a checkpoint")
    option("--resume", action="store_true", help="go on with the run in --out (its own options are kept)")
    option("--kind", choices=("lstm", "gru", "rnn"), default="lstm", help="the recurrent layer")
    option("--layers", type=int, default=2, help="recurrent layers on top of each other")
    option("--units", type=int, default=512, help="neurons in each layer")
    option("--embedding", type=int, default=None, help="learn vectors of this width; without it characters are one-hot")
    option("--dropout", type=float, default=0.0, help="share of values dropped between layers")
    option("--chars", type=whole_number, default=60_000_000, help="characters to see in all, such as 60M")
    option("--batch", type=int, default=64, help="streams read in parallel")
    option("--stretch", type=int, default=100, help="characters between two updates (truncated backpropagation)")
    option("--learning-rate", type=float, default=2e-3, help="at its highest, after the warm-up")
    option("--weight-decay", type=float, default=0.0, help="AdamW's")
    option(
        "--output-dropout", type=float, default=0.0, help="on the hidden state before the output layer: cleaner neurons"
    )
    option("--hidden-penalty", type=float, default=0.0, help="times mean |hidden| in the loss: cleaner neurons")
    option("--cell-penalty", type=float, default=0.0, help="times mean |tanh(cell)| in the loss: cleaner neurons")
    option(
        "--precision", choices=("auto", "bf16", "fp32"), default="auto", help="auto: bf16 where the processor has it"
    )
    option("--seed", type=int, default=0, help="of initial weights and the order of texts")
    option(
        "--snapshots",
        type=_steps,
        default=(),
        metavar="STEPS",
        help="keep copies at these steps, such as 0,10,100,1000",
    )


def _steps(written: str) -> tuple[int, ...]:
    return tuple(sorted({whole_number(part) for part in written.split(",") if part.strip()}))


def _train(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.corpus import load_corpus
    from inspector.model import ModelConfig
    from inspector.train import Progress, TrainOptions, bits, train

    corpus = load_corpus(options.corpus, pattern=options.pattern)
    print(corpus, file=sys.stderr)
    config = ModelConfig(options.kind, options.layers, options.units, options.embedding, options.dropout)
    names = ("batch", "stretch", "learning_rate", "weight_decay", "output_dropout", "hidden_penalty", "cell_penalty")
    chosen = {name: getattr(options, name) for name in (*names, "precision", "seed", "snapshots")}
    settings = TrainOptions(n_chars=options.chars, **chosen)
    with progress_bar(None, options.out.name) as bar:

        def show(at: Progress) -> None:
            per_step = settings.batch * settings.stretch
            bar.total = at.n_steps * per_step
            losses = f"{at.train_nats:.3f} nats {bits(at.train_nats):.3f} bits"
            held_out = "" if at.choose_nats != at.choose_nats else f", held out {bits(at.choose_nats):.3f} bits"
            bar.set_postfix_str(losses + held_out, refresh=False)
            bar.update(at.step * per_step - bar.n)

        model = train(corpus, config, settings, options.out, resume=options.resume, on_step=show)
    write_card(model, options.out)
    nats = model.training_facts["report_nats"]
    score = (
        "no text was held out" if nats is None else f"{nats:.3f} nats = {bits(nats):.3f} bits per held-out character"
    )
    print(f"{options.out}: {score}. Look inside: python -m inspector survey --network {options.out}")


def _add_pack(commands: Any) -> None:
    parser = add_command(
        commands, "pack", _pack, "Copy a run's network to a folder fit for sharing: half-precision weights."
    )
    parser.add_argument("--run", dest="source", required=True, type=Path, help="folder of the run")
    parser.add_argument("--out", required=True, type=Path, help="folder for the network; its survey must be made anew")


def _pack(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.model import load_checkpoint, save_checkpoint

    save_checkpoint(load_checkpoint(options.source), options.out, dtype="float16")
    packed = load_checkpoint(options.out)
    write_card(packed, options.out)
    size = (options.out / "model.safetensors").stat().st_size
    print(
        f"{options.out}: {packed.config}, {size / 1e6:.1f} MB. Next: python -m inspector survey --network {options.out}"
    )
