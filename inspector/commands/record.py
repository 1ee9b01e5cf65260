"""`record`: keep what every neuron does while the network reads a text."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, check_room, existing_folder, moving, progress_bar
from inspector.recording import SIGNALS, InspectorError


def add(commands: Any) -> None:
    parser = add_command(commands, "record", _record, "Record what every neuron does while the network reads a text.")
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", required=True, type=Path, help="the text file to read")
    option("--out", type=Path, help="folder for the recording; among your own recordings when left out")
    option("--resume", action="store_true", help="go on with the recording in --out that was cut off")
    option(
        "--store",
        choices=("values", "snapshots"),
        default="values",
        help="snapshots: exact states in place of values, a tenth of the disk; all signals come from them",
    )
    option(
        "--signals", help="comma-separated, or all (an LSTM's six signals: three times the disk); hidden,cell if not"
    )
    option("--dtype", choices=("float16", "float32", "int8"), help="how values are stored; float16 if not said")


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
    asked = _asked(options, model.config.kind)
    free = shutil.disk_usage(existing_folder(out)).free
    kept = [path.stat().st_size for path in out.glob("*") if path.is_file()] if options.resume else []
    needed = max(len(text) * _bytes_per_char(model, asked) - sum(kept), 0)
    check_room(f"The recording of {options.text}", needed, free, "Use another disk, or --store snapshots.")
    with progress_bar(len(text), "recording") as bar:
        names = [options.text.name]
        recording = record(model, text, progress=moving(bar), out=out, names=names, resume=options.resume, **asked)
    layers = ", ".join(
        f"{layer.name} {layer.kind} of {layer.n_units} ({', '.join(layer.signals)})" for layer in recording.layers
    )
    stored = "snapshots" if recording.keeps_snapshots else recording.dtype
    print(f"{out}: {recording.n_chars:,} characters, {recording.nbytes / 1e6:,.1f} MB, {stored}; {layers}")


def _asked(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """What of the network is kept, as `record` takes it."""
    if options.store == "snapshots":
        if options.signals is not None or options.dtype is not None:
            raise InspectorError("--store snapshots is exact and gives every signal: leave --signals and --dtype out.")
        return {"store": "snapshots"}
    named = options.signals or ",".join(signal for signal in ("hidden", "cell") if signal in SIGNALS[kind])
    signals = None if named == "all" else [part.strip() for part in named.split(",")]
    return {"signals": signals, "dtype": options.dtype or "float16"}


def _bytes_per_char(model: Any, asked: dict[str, Any]) -> int:
    """Roughly, and for values only: snapshots take some hundred bytes whatever the network."""
    if "store" in asked:
        return 512
    n_signals = len(asked["signals"] or SIGNALS[model.config.kind])
    n_bytes = {"int8": 1, "float16": 2, "float32": 4}[asked["dtype"]]
    return int(model.config.n_layers * model.config.n_units * n_signals * n_bytes)
