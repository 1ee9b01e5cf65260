"""A text of ten million characters: recorded, killed midway, resumed, verified, browsed; time and memory it takes.

    python -m benchmarks.long_text                          # this Python's own library, over and over
    python -m benchmarks.long_text --source linux/kernel --store values

Everything goes through the command line in processes of their own, whose peak memory the system tells. What is written
lies in a temporary folder (1 GB for snapshots, 3.5 GB for values) and is deleted at the end.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from inspector.model import CharModel, ModelConfig, Vocabulary, load_checkpoint, save_checkpoint
from inspector.recording import Neuron, open_recording

RECORDING_LIMIT, BROWSING_LIMIT = 1.5e9, 1e9  # bytes resident


class Run(NamedTuple):
    seconds: float
    peak: float  # bytes resident
    code: int


def long_text(folder: Path, n_chars: int) -> str:
    """The sources below a folder one after the other, as often as it takes."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".c", ".h") and path.is_file())
    parts, length = [], 0
    while length < n_chars:
        for path in files:
            parts.append(path.read_text(encoding="utf-8", errors="replace"))
            length += len(parts[-1])
            if length >= n_chars:
                break
        if not length:
            raise SystemExit(f"There are no sources below {folder}.")
    return "".join(parts)[:n_chars]


def run(*command: object, kill_at: tuple[Path, int] | None = None) -> Run:
    """Run Python on a command. kill_at : kill it once this manifest has so many lines."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], stderr=subprocess.DEVNULL)
    while kill_at is not None and process.poll() is None:
        manifest, n_lines = kill_at
        if manifest.is_file() and manifest.read_bytes().count(b"\n") >= n_lines:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.05)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(time.perf_counter() - begun, usage.ru_maxrss * unit, process.returncode)


def browse(folder: Path, network: Path) -> None:
    """What a reader does: traces of some neurons, windows at random places, their loss and guesses."""
    recording = open_recording(folder, model=load_checkpoint(network))
    layer, random_places = recording.layers[0], random.Random(1)
    for unit in (0, layer.n_units // 2, layer.n_units - 1):
        begun = time.perf_counter()
        trace = recording.trace(Neuron(0, unit), "cell")
        print(f"  trace of 0:{unit}, {len(trace):,} characters: {time.perf_counter() - begun:.2f} s")
    times = []
    for _ in range(50):
        start = random_places.randrange(recording.n_chars - 4_000)
        begun = time.perf_counter()
        windows = {name: recording.window(0, name, start, start + 4_000) for name in layer.signals}
        recording.guesses(start, start + 400)
        times.append(time.perf_counter() - begun)
        if not (windows["cell"][-1] == trace[start : start + 4_000]).all():
            raise SystemExit(f"window and trace differ at {start}")
    print(f"  windows of 4,000 characters, all neurons and signals: {1e3 * sorted(times)[25]:.0f} ms (median of 50)")
    print(f"  loss {np.nanmean(recording.loss):.3f} nats per character", flush=True)


def report(what: str, found: Run, limit: float, n_chars: int | None = None) -> None:
    speed = f", {n_chars / found.seconds:,.0f} characters/s" if n_chars else ""
    state = "under" if found.peak < limit else "OVER"
    print(
        f"{what}: {found.seconds:.1f} s{speed}, peak {found.peak / 1e6:,.0f} MB ({state} {limit / 1e6:,.0f} MB)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Record, kill, resume, verify and browse a very long text.")
    parser.add_argument("--source", type=Path, default=Path(sysconfig.get_path("stdlib")), help="folder of sources")
    parser.add_argument("--chars", type=int, default=10_000_000)
    parser.add_argument("--units", type=int, default=64, help="of the one layer of an untrained LSTM")
    parser.add_argument("--store", choices=("snapshots", "values"), default="snapshots")
    parser.add_argument("--folder", type=Path, help="where to put what is written meanwhile")
    parser.add_argument("--browse", nargs=2, type=Path, metavar=("RECORDING", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.browse:
        browse(*options.browse)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        text = long_text(options.source, options.chars)
        (folder / "text").write_text(text, encoding="utf-8", newline="")
        torch.manual_seed(0)
        model = CharModel(ModelConfig("lstm", 1, options.units), Vocabulary.from_text(text, min_count=100))
        save_checkpoint(model, folder / "net")
        print(f"{options.chars:,} characters, untrained LSTM 1x{options.units}, --store {options.store}", flush=True)
        command = ("-m", "inspector", "record", "--network", folder / "net", "--text", folder / "text")
        command += ("--out", folder / "kept", "--store", options.store)
        half = options.chars // 2 // 4096
        killed = run(*command, kill_at=(folder / "kept" / "manifest", half))
        reached = open_recording(folder / "kept").n_chars
        report(f"recorded until killed at {reached:,} (exit {killed.code})", killed, RECORDING_LIMIT, reached)
        resumed = run(*command, "--resume")
        report(f"resumed to the end (exit {resumed.code})", resumed, RECORDING_LIMIT, options.chars - reached)
        report("verified", run("-m", "inspector", "verify", folder / "kept"), BROWSING_LIMIT)
        found = run("-m", "benchmarks.long_text", "--browse", folder / "kept", folder / "net")
        report(f"browsed (exit {found.code})", found, BROWSING_LIMIT)


if __name__ == "__main__":
    main()
