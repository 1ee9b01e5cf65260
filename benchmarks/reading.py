"""How long it takes to read from a recording on disk what a reader asks for, each time with a cold cache.

    python -m benchmarks.reading

A 2x512 LSTM reads 200,000 characters; its recording is kept twice, as hidden and cell in float16 and as snapshots. Then
traces and windows are read at random places. Before each, the system is asked to drop what it has cached of the files,
so that the disk is read; a disk of a virtual machine may have a cache of its own, about which nothing can be done.
Weights are random numbers that float16 holds, as a checkpoint does. Windows of snapshots are computed, so torch's own
forward of as many characters, 32 sequences side by side and nothing kept, is shown beside them: no window can be there
sooner.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from inspector.capture import record
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import SIGNALS, Neuron, Recording, open_recording

TRACE_LIMIT, NARROW_LIMIT, WIDE_LIMIT = 10, 30, 200  # milliseconds
NARROW, WIDE = 400, 4_000  # characters


def forget(folder: Path) -> None:
    """Have the system drop its copy of all files in a folder."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)  # what waits to be written cannot be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def trace(recording: Recording, pick: random.Random) -> None:
    layer = pick.randrange(len(recording.layers))
    recording.trace(Neuron(layer, pick.randrange(recording.layers[layer].n_units)), "cell")


def window(recording: Recording, pick: random.Random, *, n_chars: int) -> None:
    """All neurons of all layers, every signal that is there."""
    start = pick.randrange(recording.n_chars - n_chars)
    for i, layer in enumerate(recording.layers):
        for signal in layer.signals:
            recording.window(i, signal, start, start + n_chars)


def measure(opened: Callable[[], Recording], folder: Path, read: Callable[..., None], n_times: int) -> list[float]:
    """Milliseconds, each on a recording that was just opened and has computed nothing yet."""
    pick, times = random.Random(0), []
    for _ in range(n_times + 1):  # the first compiles, and wakes threads up
        recording = opened()
        forget(folder)
        begun = time.perf_counter()
        read(recording, pick)
        times.append(1e3 * (time.perf_counter() - begun))
    return times[1:]


def forward(model: CharModel, text: str, n_times: int) -> list[float]:
    """Milliseconds that torch's own forward takes for a text that is cut into 32 sequences."""
    times, n_steps = [], len(text) // 32
    with torch.inference_mode():
        inputs = model.embed(torch.from_numpy(model.vocabulary.encode(text[: 32 * n_steps])).view(32, n_steps))
        for _ in range(n_times + 1):
            begun = time.perf_counter()
            model.rnn(inputs)
            times.append(1e3 * (time.perf_counter() - begun))
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast a recording on disk is read.")
    parser.add_argument("--chars", type=int, default=200_000)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--times", type=int, default=20, help="reads of each kind, of which the median counts")
    parser.add_argument("--folder", type=Path, help="where to put the recordings meanwhile; not in memory")
    options = parser.parse_args()
    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    torch.manual_seed(0)
    model = CharModel(ModelConfig("lstm", options.layers, options.units), vocabulary).half().float()
    text = "".join(random.Random(0).choices(vocabulary.symbols[1:], k=options.chars))
    # Speed does not depend on the text being one: pieces of it are read side by side, which is sooner done.
    pieces = [text[start : start + 2_048] for start in range(0, len(text), 2_048)]
    print(f"{options.chars:,} characters, {options.layers}x{options.units}, median and slowest of {options.times}\n")
    print("| read cold | median | slowest | asked |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        values, snapshots = Path(name, "values"), Path(name, "snapshots")
        record(model, pieces, ["hidden", "cell"], dtype="float16", out=values)
        record(model, pieces, store="snapshots", out=snapshots)
        narrow, wide = (partial(window, n_chars=n) for n in (NARROW, WIDE))
        n_signals = len(SIGNALS["lstm"])
        for what, folder, read, limit in (
            ("one neuron's trace, values", values, trace, TRACE_LIMIT),
            (f"{NARROW} characters, all neurons, hidden and cell, values", values, narrow, NARROW_LIMIT),
            (f"{NARROW} characters, all neurons, {n_signals} signals, snapshots", snapshots, narrow, WIDE_LIMIT),
            (f"{WIDE:,} characters, all neurons, {n_signals} signals, snapshots", snapshots, wide, WIDE_LIMIT),
        ):
            times = measure(partial(open_recording, folder, model), folder, read, options.times)
            print(f"| {what} | {statistics.median(times):.1f} ms | {max(times):.1f} ms | {limit} ms |", flush=True)
        times = forward(model, text[:WIDE], options.times)
        print(f"| {WIDE:,} characters, torch's forward | {statistics.median(times):.1f} ms | {max(times):.1f} ms | |")


if __name__ == "__main__":
    main()
