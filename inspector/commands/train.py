"""`train` and `pack`: make a network."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.commands.command import add_command, load_named_corpus, progress_bar, whole_number
from inspector.recording import InspectorError

if TYPE_CHECKING:
    from inspector.corpus import Corpus
    from inspector.model import CharModel, ModelConfig
    from inspector.train import TrainOptions

_FLAGS = {"n_chars": "--chars", "n_layers": "--layers", "n_units": "--units"}  # that are not called as their option is


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
    option(
        "--also",
        action="append",
        default=[],
        metavar="CORPUS",
        help="more text to learn from, of which nothing is held out: a file, a folder or python-stdlib. Several: once "
        "for each",
    )
    option("--also-pattern", default="*", metavar="PATTERN", help="which files of the folders of --also")
    option("--out", required=True, type=Path, help="folder for the run; it becomes a checkpoint. Several: one in each")
    option("--resume", action="store_true", help="go on with the run in --out (its own options are kept)")
    option(
        "--begin-with",
        type=Path,
        metavar="NETWORK",
        help="start from the weights of this network instead of random ones; kind, layers, units and embedding are "
        "its, so is the vocabulary. A run that is resumed goes on with its own weights",
    )
    option("--kind", choices=("lstm", "gru", "rnn"), default=None, help="the recurrent layer; without it lstm")
    option("--layers", type=int, default=None, help="recurrent layers on top of each other; without it 2")
    option(
        "--units",
        type=_numbers,
        default=None,
        help="neurons in each layer; 128,256 trains one network after another; without it 512",
    )
    option("--embedding", type=int, default=None, help="learn vectors of this width; without it characters are one-hot")
    option("--dropout", type=float, default=0.0, help="share of values dropped between layers")
    option("--chars", type=whole_number, default="60M", help="characters to see in all, such as 60M")
    option("--batch", type=int, default=64, help="streams read in parallel")
    option("--stretch", type=int, default=100, help="characters between two updates (truncated backpropagation)")
    option("--learning-rate", type=float, default=2e-3, help="at its highest, after the warm-up")
    option("--weight-decay", type=float, default=0.0, help="AdamW's")
    option("--forget-bias", type=float, default=0.0, help="of an LSTM at first, so that it begins by remembering")
    option(
        "--output-dropout", type=float, default=0.0, help="on the hidden state before the output layer: cleaner neurons"
    )
    option(
        "--recurrent-dropout",
        type=float,
        default=0.0,
        help="of the weights from one hidden state to the next (DropConnect)",
    )
    option("--hidden-penalty", type=float, default=0.0, help="times mean |hidden| in the loss: cleaner neurons")
    option("--cell-penalty", type=float, default=0.0, help="times mean |tanh(cell)| in the loss: cleaner neurons")
    option(
        "--precision", choices=("auto", "bf16", "fp32"), default="auto", help="auto: bf16 where the processor has it"
    )
    option("--patience", type=int, default=0, help="stop after this many looks at held-out text without a better one")
    option("--seed", type=_numbers, default="0", help="of initial weights and the order of texts; 0,1,2 trains three")
    option(
        "--snapshots",
        type=_numbers,
        default=(),
        metavar="STEPS",
        help="keep copies at these steps, such as 0,10,100,1000; a single number is how many, spaced by the logarithm",
    )


def _numbers(written: str) -> tuple[int, ...]:
    numbers = sorted({whole_number(part) for part in written.split(",") if part.strip()})
    if not numbers:
        raise argparse.ArgumentTypeError(f"{written!r} names no number; write one, or several with commas between them")
    if numbers[0] < 0:
        raise argparse.ArgumentTypeError(f"{numbers[0]} is below 0; write numbers from 0 on, with commas between them")
    return tuple(numbers)


def _train(options: argparse.Namespace) -> None:
    from inspector.train import vocabulary_of

    corpus = load_named_corpus(options.corpus, options.pattern, also=options.also, also_pattern=options.also_pattern)
    print(corpus, file=sys.stderr)
    begun_with = _network_to_begin_with(options)
    _, folded = vocabulary_of(corpus, begun_with)
    if folded and not options.resume:  # a run that goes on has its own vocabulary, and said so when it began
        shown = repr(folded[:40]) + (" and others" if len(folded) > 40 else "")
        print(f"{len(folded):,} rare characters are read as the unknown symbol: {shown}", file=sys.stderr)
    widths = (begun_with.config.n_units,) if begun_with else options.units or (512,)
    runs = [
        (units, seed, _config(options, units, begun_with), _settings(options, seed))
        for units, seed in itertools.product(widths, options.seed)
    ]
    if not options.resume:  # a run that goes on has its own options
        for what in _without_effect(*runs[0][2:], begun_with):
            print(f"Without effect: {what}.", file=sys.stderr)
    for units, seed, config, settings in runs:
        out = options.out if len(runs) == 1 else options.out / f"units-{units}-seed-{seed}"
        has_begun = len(runs) == 1 or (out / "trainer.pt").is_file()  # of several, later ones may not have
        _train_one(corpus, config, settings, out, begun_with, options.resume and has_begun)


@contextmanager
def _called_as_typed() -> Iterator[None]:
    """What is wrong with an option names its flag: both rooms that check them begin with the option's name."""
    try:
        yield
    except InspectorError as error:
        name, *rest = str(error).partition(" is ")
        raise InspectorError("".join([_flag(name), *rest])) from None


def _flag(name: str) -> str:
    """What an option is called on the command line."""
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def _config(options: argparse.Namespace, units: int, begun_with: CharModel | None) -> ModelConfig:
    from inspector.model import ModelConfig

    with _called_as_typed():
        if begun_with:
            return dataclasses.replace(begun_with.config, dropout=options.dropout)
        n_layers = 2 if options.layers is None else options.layers
        return ModelConfig(options.kind or "lstm", n_layers, units, options.embedding, options.dropout)


def _without_effect(config: ModelConfig, settings: TrainOptions, begun_with: CharModel | None) -> Iterator[str]:
    """What was asked for and changes nothing."""
    is_lstm, kind = config.kind == "lstm", config.kind.upper()
    if config.dropout and config.n_layers == 1:
        yield "--dropout is between layers, and there is one: --output-dropout is behind it"
    if settings.cell_penalty and not is_lstm:
        yield f"--cell-penalty is on the cell of an LSTM, and a {kind} has none"
    if settings.forget_bias and (begun_with or not is_lstm):
        yield "--forget-bias is of an LSTM that starts from random weights"
    if late := [step for step in settings.snapshots if step > settings.n_steps]:
        yield f"--snapshots {','.join(map(str, late))} is behind the last step, {settings.n_steps:,}"


def _kept_otherwise(config: ModelConfig, settings: TrainOptions, run: Path) -> list[str]:
    """Flags that ask for something else than what a run that goes on has."""
    from inspector.model import ModelConfig, load_checkpoint
    from inspector.train import TrainOptions

    try:
        model = load_checkpoint(run)
    except InspectorError:
        return []  # resuming says what is wrong there
    asked = dataclasses.asdict(config) | dataclasses.asdict(settings)
    usual = dataclasses.asdict(ModelConfig("lstm", 2, 512)) | dataclasses.asdict(TrainOptions())
    own = dataclasses.asdict(model.config) | model.training_facts.get("options", {})
    own["snapshots"] = tuple(own.get("snapshots", ()))  # a list in config.json
    return [_flag(name) for name, value in asked.items() if value not in (usual[name], own.get(name, value))]


def _network_to_begin_with(options: argparse.Namespace) -> CharModel | None:
    """The one that is named, if one is; nothing else may then say what the network is to be."""
    from inspector.model import load_checkpoint

    if options.begin_with is None:
        return None
    if given := [name for name in ("kind", "layers", "units", "embedding") if getattr(options, name) is not None]:
        raise InspectorError(
            f"--begin-with takes the network as it is: leave {', '.join(f'--{name}' for name in given)} out, or start "
            "from random weights without --begin-with."
        )
    return load_checkpoint(options.begin_with)


def _train_one(
    corpus: Corpus, config: ModelConfig, settings: TrainOptions, out: Path, begun_with: CharModel | None, resume: bool
) -> None:
    from inspector.card import write_card
    from inspector.train import Progress, bits, train

    if resume and (flags := _kept_otherwise(config, settings, out)):
        print(f"Without effect: {', '.join(flags)}. {out} goes on with its own options.", file=sys.stderr)
    with progress_bar(None, out.name) as bar:

        def show(at: Progress) -> None:
            if bar.total is None:  # what an earlier call read is not of this one's speed
                bar.total = at.n_steps * at.chars_per_step
                bar.n = bar.initial = bar.last_print_n = (at.step - 1) * at.chars_per_step
            losses = f"{at.train_nats:.3f} nats {bits(at.train_nats):.3f} bits"
            held_out = "" if at.choose_nats != at.choose_nats else f", held out {bits(at.choose_nats):.3f} bits"
            bar.set_postfix_str(losses + held_out, refresh=False)
            bar.update(at.step * at.chars_per_step - bar.n)

        model = train(corpus, config, settings, out, begin_with=begun_with, resume=resume, on_step=show)
    write_card(model, out)
    nats = model.training_facts["report_nats"]
    score = (
        "no text was held out" if nats is None else f"{nats:.3f} nats = {bits(nats):.3f} bits per held-out character"
    )
    even = math.log(len(model.vocabulary))  # nats of one who takes all characters for equally likely
    if nats is not None and nats > even:
        print(
            f"Nothing was learned: who takes all characters for equally likely pays {bits(even):.3f} bits. Train again "
            "in another --out, with a smaller --learning-rate or more --chars.",
            file=sys.stderr,
        )
    print(f"{out}: {score}. Look inside: python -m inspector survey --network {out}")


def _settings(options: argparse.Namespace, seed: int) -> TrainOptions:
    from inspector.train import TrainOptions, log_spaced

    named = ("batch", "stretch", "learning_rate", "weight_decay", "forget_bias", "output_dropout", "recurrent_dropout")
    chosen = {
        name: getattr(options, name) for name in (*named, "hidden_penalty", "cell_penalty", "patience", "precision")
    }
    with _called_as_typed():
        settings = TrainOptions(n_chars=options.chars, seed=seed, **chosen)
    steps = options.snapshots
    if len(steps) == 1:
        steps = log_spaced(steps[0], settings.n_steps)
    return dataclasses.replace(settings, snapshots=steps)


def _add_pack(commands: Any) -> None:
    parser = add_command(
        commands,
        "pack",
        _pack,
        "Copy a run's network to a folder fit for sharing: half-precision weights, curve, snapshots.",
    )
    parser.add_argument("--run", dest="source", required=True, type=Path, help="folder of the run")
    parser.add_argument("--out", required=True, type=Path, help="folder for the network; its survey must be made anew")


def _pack(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.model import load_checkpoint, save_checkpoint

    if options.source.resolve() == options.out.resolve():
        raise InspectorError(f"{options.out} is the run itself, which must stay as it is: pack it into another folder.")
    _check_no_other_work_in(options.out)
    save_checkpoint(load_checkpoint(options.source), options.out, dtype="float16")
    for earlier in (options.out / "snapshots").glob("step-*"):  # of another run, as is its curve
        shutil.rmtree(earlier)
    (options.out / "log.csv").unlink(missing_ok=True)
    for kept in ("log.csv", "snapshots"):
        source, target = options.source / kept, options.out / kept
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy2(source, target)
    packed = load_checkpoint(options.out)
    write_card(packed, options.out)
    size = (options.out / "model.safetensors").stat().st_size
    print(
        f"{options.out}: {packed.config}, {size / 1e6:.1f} MB. Next: python -m inspector survey --network {options.out}"
    )


def _check_no_other_work_in(folder: Path) -> None:
    """Refuse a folder in which packing would write over something else than an earlier pack."""
    if folder.exists() and not folder.is_dir():
        raise InspectorError(f"{folder} is a file: give --out a folder.")
    if (folder / "trainer.pt").exists():
        raise InspectorError(f"{folder} holds a run, whose network would be lost: choose another folder.")
    is_packed = (folder / "model.safetensors").is_file()
    if not is_packed and (others := sorted(there.name for there in folder.glob("[!.]*"))):
        raise InspectorError(f"{folder} holds {others[0]}, which might be lost: choose a new or empty folder.")
