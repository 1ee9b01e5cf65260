"""The command line: `python -m inspector train | pack | sample | record | recordings | ...`. Flags and wording only."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inspector.recording import InspectorError

SEARCH_BYTES = 4_000_000_000  # what a search may hold in memory: 500,000 characters of a 2x512 LSTM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with one sentence on standard error, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (InspectorError, OSError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = " Go on with --resume." if hasattr(options, "resume") else ""
        print(f"\n{options.command}: stopped.{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inspector",
        description="Train a character-level recurrent network, record what its neurons do while it reads, "
        "and search for the neurons that detect something.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_pack(commands)
    _add_sample(commands)
    _add_record(commands)
    _add_verify(commands)
    _add_recordings(commands)
    _add_export(commands)
    _add_search(commands)
    _add_survey(commands)
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def _whole_number(written: str) -> int:
    """`200000`, `200_000`, `60M` or `200k`."""
    factor = {"k": 1_000, "m": 1_000_000}.get(written[-1:].lower(), 1)
    digits = written[:-1] if factor > 1 else written
    try:
        return int(float(digits) * factor) if factor > 1 else int(digits)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number; write 200000, 200k or 60M") from None


def _check_room(what: str, needed: int, room: int, advice: str) -> None:
    """Refuse before hours of work what cannot end well; `needed` and `room` in bytes."""
    if needed > room:
        raise InspectorError(f"{what} needs {needed / 1e9:,.1f} GB, there is room for {room / 1e9:,.1f} GB. {advice}")


def _bar(total: int | None, words: str) -> Any:
    return tqdm(
        total=total, desc=words, unit=" chars", unit_scale=True, dynamic_ncols=True, file=sys.stderr, smoothing=0.1
    )


def _moving(bar: Any) -> Callable[[int, int], None]:
    """A progress callback (done, total) that drives a bar."""

    def move(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return move


def _existing(path: Path) -> Path:
    """The nearest folder above a path that exists."""
    path = path.resolve()
    return path if path.exists() else _existing(path.parent)


# ---------------------------------------------------------------------------------------------------------- train


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", _train, "Train a network on your own text. Ctrl-C saves; --resume goes on.")
    add = parser.add_argument
    add(
        "--corpus",
        required=True,
        help="a text file, a folder of text files, or python-stdlib (this Python's own library)",
    )
    add("--pattern", default="*", help="which files of a folder, such as '*.py' or 'kernel/**/*.[ch]'")
    add("--out", required=True, type=Path, help="folder for the run; it becomes a checkpoint")
    add("--resume", action="store_true", help="go on with the run in --out (its own options are kept)")
    add("--kind", choices=("lstm", "gru", "rnn"), default="lstm", help="the recurrent layer")
    add("--layers", type=int, default=2, help="recurrent layers on top of each other")
    add("--units", type=int, default=512, help="neurons in each layer")
    add("--embedding", type=int, default=None, help="learn vectors of this width; without it characters are one-hot")
    add("--dropout", type=float, default=0.0, help="share of values dropped between layers")
    add("--chars", type=_whole_number, default=60_000_000, help="characters to see in all, such as 60M")
    add("--batch", type=int, default=64, help="streams read in parallel")
    add("--stretch", type=int, default=100, help="characters between two updates (truncated backpropagation)")
    add("--learning-rate", type=float, default=2e-3, help="at its highest, after the warm-up")
    add("--weight-decay", type=float, default=0.0, help="AdamW's")
    add(
        "--output-dropout", type=float, default=0.0, help="on the hidden state before the output layer: cleaner neurons"
    )
    add("--hidden-penalty", type=float, default=0.0, help="times mean |hidden| in the loss: cleaner neurons")
    add("--cell-penalty", type=float, default=0.0, help="times mean |tanh(cell)| in the loss: cleaner neurons")
    add("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="auto: bf16 where the processor has it")
    add("--seed", type=int, default=0, help="of initial weights and the order of texts")
    add(
        "--snapshots",
        type=_steps,
        default=(),
        metavar="STEPS",
        help="keep copies at these steps, such as 0,10,100,1000",
    )


def _steps(written: str) -> tuple[int, ...]:
    return tuple(sorted({_whole_number(part) for part in written.split(",") if part.strip()}))


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
    with _bar(None, options.out.name) as bar:

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


# ----------------------------------------------------------------------------------------------------------- pack


def _add_pack(commands: Any) -> None:
    parser = _command(
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


# --------------------------------------------------------------------------------------------------------- sample


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", _sample, "Let a network continue a text.")
    add = parser.add_argument
    add("--network", default="checkpoints/python", help="checkpoint folder")
    add("--seed-text", default="def ", help="what it continues")
    add("--length", type=_whole_number, default=500, help="characters to write")
    add(
        "--temperature",
        type=float,
        default=0.7,
        help="0 takes the likeliest character, 1 draws what the network believes",
    )
    add("--top-k", type=int, default=None, help="draw among this many likeliest characters only")
    add("--seed", type=int, default=None, help="of the random stream, for the same text again")


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


# --------------------------------------------------------------------------------------------------------- record


def _add_record(commands: Any) -> None:
    parser = _command(commands, "record", _record, "Record what every neuron does while the network reads a text.")
    add = parser.add_argument
    add("--network", default="checkpoints/python", help="checkpoint folder")
    add("--text", required=True, type=Path, help="the text file to read")
    add("--out", type=Path, help="folder for the recording; among your own recordings when left out")
    add("--resume", action="store_true", help="go on with the recording in --out that was cut off")
    add(
        "--signals", default="hidden,cell", help="comma-separated, or all (an LSTM's six signals: three times the disk)"
    )
    add("--dtype", choices=("float16", "float32", "int8"), default="float16", help="how values are stored")


def _record(options: argparse.Namespace) -> None:
    from inspector.capture import record
    from inspector.corpus import read_text
    from inspector.model import load_checkpoint
    from inspector.recording import holds_recording, recordings_folder

    model = load_checkpoint(options.network)
    text = read_text(options.text)
    out = options.out or recordings_folder() / f"{options.text.name}-{model.name}"
    if not options.resume and holds_recording(out):
        raise InspectorError(
            f"{out} holds a recording already: go on with it by --resume, choose another --out, or delete it first."
        )
    signals = None if options.signals == "all" else [part.strip() for part in options.signals.split(",")]
    n_values = model.config.n_layers * model.config.n_units * (len(signals) if signals else 6)
    needed = len(text) * n_values * {"int8": 1, "float16": 2, "float32": 4}[options.dtype]
    free = shutil.disk_usage(_existing(out)).free
    _check_room(
        f"The recording of {options.text}", needed, free, "Use another disk, a shorter text or fewer --signals."
    )
    with _bar(len(text), "recording") as bar:
        names = [options.text.name]
        recording = record(
            model, text, signals, _moving(bar), dtype=options.dtype, out=out, names=names, resume=options.resume
        )
    layers = ", ".join(
        f"{layer.name} {layer.kind} of {layer.n_units} ({', '.join(layer.signals)})" for layer in recording.layers
    )
    print(f"{out}: {recording.n_chars:,} characters, {recording.nbytes / 1e6:,.1f} MB, {recording.dtype}; {layers}")


# ---------------------------------------------------------------------------------------------- verify, recordings


def _add_verify(commands: Any) -> None:
    parser = _command(commands, "verify", _verify, "Read a whole recording and compare it with its checksums.")
    parser.add_argument("folder", type=Path, help="folder of the recording")


def _verify(options: argparse.Namespace) -> None:
    from inspector.recording import open_recording

    recording = open_recording(options.folder)
    with _bar(recording.n_chars, "verifying") as bar:
        recording.verify(_moving(bar))
    print(f"{options.folder} is as it was written: {_extent(recording)}, {recording.nbytes / 1e6:,.1f} MB.")


def _extent(recording: Any) -> str:
    """How many characters, and of how many where the writer was cut off."""
    if recording.is_complete:
        return f"{recording.n_chars:,} characters"
    return f"{recording.n_chars:,} of {recording.n_planned:,} characters (cut off)"


def _add_recordings(commands: Any) -> None:
    parser = _command(commands, "recordings", _recordings, "List the recordings that were kept, and delete them.")
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="FOLDER", help="where to look; your own recordings when left out")
    add("--delete", metavar="NAME", help="delete this one, after asking")
    add("--yes", action="store_true", help="delete without asking")


def _recordings(options: argparse.Namespace) -> None:
    from inspector.recording import delete_recording, find_recording, list_recordings, recordings_folder

    kept = list_recordings(options.folders)
    if options.delete is not None:
        chosen = find_recording(options.delete, kept)
        size = f"{chosen.n_bytes / 1e6:,.1f} MB"
        if not options.yes and not _agreed(f"Delete {chosen.folder} ({size})?"):
            print(f"{chosen.folder} stays.")
            return
        delete_recording(chosen)
        print(f"Deleted: {chosen.folder} ({size})")
        return
    for one in kept:
        about = one.problem
        if one.recording is not None:
            about = f"{one.recording.network or 'no network'}  {one.recording.dtype}  {_extent(one.recording)}"
        print(f"{one.name:<32} {one.n_bytes / 1e6:>10,.1f} MB  {about}")
    places = ", ".join(str(folder) for folder in options.folders or [recordings_folder()])
    print(f"{len(kept)} recordings, {sum(one.n_bytes for one in kept) / 1e6:,.1f} MB, in {places}")


def _add_export(commands: Any) -> None:
    parser = _command(commands, "export", _export, "Write a recording as plain .npy files, for your own tools.")
    parser.add_argument("folder", type=Path, help="folder of the recording")
    parser.add_argument("--out", required=True, type=Path, help="folder for the files; it must be new or empty")


def _export(options: argparse.Namespace) -> None:
    from inspector.recording import export_npy, open_recording

    with _bar(None, "exporting") as bar:
        files = export_npy(open_recording(options.folder), options.out, _moving(bar))
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{options.out}: {', '.join(path.name for path in files)}; {size:,.1f} MB")


def _agreed(question: str) -> bool:
    """Whether the reader says yes; silence, or nobody there to ask, is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise InspectorError("Nobody is there to answer: add --yes to delete without asking.") from None


# --------------------------------------------------------------------------------------------------------- search


def _add_search(commands: Any) -> None:
    parser = _command(commands, "search", _search, "Rank neurons by how well they detect a concept in a text.")
    add = parser.add_argument
    add("--network", default="checkpoints/python", help="checkpoint folder")
    add("--text", type=Path, help="the text file to read")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--concept", help="a concept's name; --concept list shows them all")
    what.add_argument("--regex", help="a regular expression: its matches are what the neuron should detect")
    add("--language", default=None, help="python, c or text; without it the file's name decides")
    add("--top", type=int, default=10, help="rows to show")
    add("--format", choices=("table", "json", "csv"), default="table", help="of the output")


def _search(options: argparse.Namespace) -> None:
    from inspector.capture import record
    from inspector.concepts import CONCEPTS, get_concept, language_of, regex_concept
    from inspector.corpus import read_text
    from inspector.model import load_checkpoint, untrained_twin
    from inspector.search import check_label, rank_neurons, verdict

    if options.concept == "list":
        for concept in CONCEPTS.values():
            print(f"{concept.name:<22} {concept.description}")
        return
    if options.text is None:
        raise InspectorError("Which text should be searched? Add --text FILE.")
    concept = regex_concept(options.regex) if options.regex is not None else get_concept(options.concept)
    model = load_checkpoint(options.network)
    text = read_text(options.text)
    language = options.language or language_of(options.text.name)
    label, valid = concept.label(text, language=language), concept.valid(text, language=language)
    signals = [signal for signal in ("hidden", "cell") if signal == "hidden" or model.config.kind == "lstm"]
    needed = 2 * len(text) * model.config.n_layers * model.config.n_units * len(signals) * 2  # both networks, float16
    _check_room(f"Searching {options.text}", needed, SEARCH_BYTES, "Search a shorter part of the text.")
    recordings = []
    for network, words in ((model, "reading"), (untrained_twin(model), "reading, untrained")):
        with _bar(len(text), words) as bar:
            recordings.append(record(network, text, signals, _moving(bar), dtype="float16"))
    check_label(recordings[0], label, valid=valid)
    table = rank_neurons(recordings[0], label, signals=signals, valid=valid, twin=recordings[1])
    table = table.head(options.top).assign(verdict=[verdict(row) for _, row in table.head(options.top).iterrows()])
    _print_table(table, options.format, f"{concept.name} in {options.text.name}, network {model.name}")


def _print_table(table: Any, form: str, title: str) -> None:
    if form == "json":
        print(table.to_json(orient="records", indent=1))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        columns = [
            "neuron",
            "signal",
            "polarity",
            "score",
            "metric",
            "baseline",
            "twin_score",
            "q_value",
            "f1",
            "verdict",
        ]
        shown = table.assign(neuron=[f"{layer}:{unit}" for layer, unit in zip(table.layer, table.unit, strict=True)])
        print(title)
        print(shown[columns].to_string(index=False, float_format=lambda value: f"{value:.3g}"))


# --------------------------------------------------------------------------------------------------------- survey


def _add_survey(commands: Any) -> None:
    parser = _command(
        commands,
        "survey",
        _survey,
        "Look for every concept in held-out files; write survey/ and the model card of a network.",
    )
    add = parser.add_argument
    add("--network", default="checkpoints/python", type=Path, help="checkpoint folder; survey/ is written into it")
    add("--corpus", default="python-stdlib", help="the corpus it was trained on, as for train")
    add("--pattern", default="*", help="which files of a folder")
    add("--chars", type=_whole_number, default=200_000, help="characters to choose on, and as many to report on")


def _survey(options: argparse.Namespace) -> None:
    from inspector.card import write_card
    from inspector.corpus import load_corpus
    from inspector.model import load_checkpoint
    from inspector.survey import survey

    model = load_checkpoint(options.network)
    corpus = load_corpus(options.corpus, pattern=options.pattern)
    with _bar(None, "survey") as bar:

        def show(words: str, done: int, total: int) -> None:
            if bar.desc != f"{words}: ":
                bar.set_description(words)
                bar.unit = {"ranking": " neurons and signals", "labelling": " concepts"}.get(words, " chars")
                bar.reset(total)
            bar.update(done - bar.n)

        tables = survey(model, corpus, options.network / "survey", n_chars=options.chars, on_progress=show)
    write_card(model, options.network)
    for name, table in sorted(tables.items()):
        best = table.iloc[0]
        print(f"{name:<22} {best.layer}:{best.unit:<4} {best.signal:<7} {best.metric} {best.score:.3f}")
    print(f"Written: {options.network / 'survey'} and {options.network / 'README.md'}")


if __name__ == "__main__":
    sys.exit(main())
