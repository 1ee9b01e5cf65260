"""`record`: keep what every neuron does while the network reads a text."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, check_room, existing_folder, moving, progress_bar
from inspector.recording import InspectorError


def add(commands: Any) -> None:
    parser = add_command(commands, "record", _record, "Record what every neuron does while the network reads a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", required=True, type=Path, help="the text file to read")
    option("--out", type=Path, help="folder for the recording; among your own recordings when left out")
    option("--resume", action="store_true", help="go on with the recording in --out that was cut off")
    option(
        "--signals", default="hidden,cell", help="comma-separated, or all (an LSTM's six signals: three times the disk)"
    )
    option("--dtype", choices=("float16", "float32", "int8"), default="float16", help="how values are stored")


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
    free = shutil.disk_usage(existing_folder(out)).free
    check_room(f"The recording of {options.text}", needed, free, "Use another disk, a shorter text or fewer --signals.")
    with progress_bar(len(text), "recording") as bar:
        names = [options.text.name]
        recording = record(
            model, text, signals, moving(bar), dtype=options.dtype, out=out, names=names, resume=options.resume
        )
    layers = ", ".join(
        f"{layer.name} {layer.kind} of {layer.n_units} ({', '.join(layer.signals)})" for layer in recording.layers
    )
    print(f"{out}: {recording.n_chars:,} characters, {recording.nbytes / 1e6:,.1f} MB, {recording.dtype}; {layers}")
