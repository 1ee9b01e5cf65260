"""How fast recording is, as a share of the speed at which torch itself runs the network while nothing is recorded.

    python -m benchmarks.recording

The reference is the forward of the torch module on the same input, without gradients, which is the fastest that torch
has. Every way takes its turn right after it, round after round in another order, and the median of the ratios is shown,
so that a busy machine slows both, and what one way leaves behind in memory meets each of the others. `watch` with
gradients on has the reference of its own mode. Weights are random numbers that float16 holds, as a checkpoint does, and
which `record` then reads as such; `--float32` takes others. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from inspector.capture import record, watch
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import SIGNALS

KINDS = ("lstm", "gru", "rnn")


class Way(NamedTuple):
    """Something that reads the text, and the same without keeping anything."""

    run: Callable[[], object]
    reference: Callable[[], object]


def naive_loop(model: CharModel, inputs: torch.Tensor) -> None:
    """What people write: one step at a time layer by layer, keeping all six signals of an LSTM."""
    units, layers = model.config.n_units, range(model.config.n_layers)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [[getattr(model.rnn, f"{name}_l{i}") for name in names] for i in layers]
    hidden, cell = ([inputs.new_zeros(len(inputs), units)] * len(layers) for _ in range(2))
    kept: list[tuple[torch.Tensor, ...]] = []
    for x in inputs.unbind(1):
        for layer in layers:
            w_ih, w_hh, b_ih, b_hh = weights[layer]
            i, f, g, o = (x @ w_ih.t() + b_ih + hidden[layer] @ w_hh.t() + b_hh).chunk(4, dim=-1)
            i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            cell[layer] = f * cell[layer] + i * g
            x = hidden[layer] = o * cell[layer].tanh()
            kept.append((hidden[layer], cell[layer], i, f, g, o))


def watched(model: CharModel, inputs: torch.Tensor, signals: Sequence[str]) -> None:
    """Follow the torch module and read some signals of every layer."""
    with watch(model.rnn) as tape:
        model.rnn(inputs)
    rnn = tape[""]
    for layer in range(rnn.n_layers):
        for name in signals:
            rnn.view(name, layer)


def without_gradients(run: Callable[[], object]) -> Callable[[], object]:
    return torch.inference_mode()(run)


def ways(model: CharModel, texts: list[str], inputs: torch.Tensor, folder: Path) -> dict[str, Way]:
    """Recording reads a single text, or several side by side."""
    text = texts if len(texts) > 1 else texts[0]
    signals = SIGNALS[model.config.kind]
    stored = [name for name in ("hidden", "cell") if name in signals]
    forward, plain = (lambda: model.rnn(inputs)), without_gradients(lambda: model.rnn(inputs))
    found = {
        "record, all signals, memory": Way(lambda: record(model, text), plain),
        f"record, {' and '.join(stored)}, float16, disk": Way(
            lambda: record(model, text, stored, dtype="float16", out=folder / "recording"), plain
        ),
    }
    for what, read in {"nothing": (), " and ".join(stored): stored, "all signals": signals}.items():
        watch_it = partial(watched, model, inputs, read)
        found[f"watch, {what} read, gradients on"] = Way(watch_it, forward)
        found[f"watch, {what} read, no gradients"] = Way(without_gradients(watch_it), plain)
    if model.config.kind == "rnn":
        found = {name: way for name, way in found.items() if "hidden read" not in name}  # which are all it has
    if model.config.kind == "lstm":
        found["naive loop, all signals"] = Way(without_gradients(lambda: naive_loop(model, inputs)), plain)
    return found


def measure(model: CharModel, text: str, batch: int, n_rounds: int) -> tuple[float, dict[str, float]]:
    """The speed without gradients in characters per second, and for each way its median share of its reference's."""
    length = len(text) // batch
    inputs = model.embed(torch.from_numpy(model.vocabulary.encode(text)).view(batch, length)).detach()
    texts = [text[start : start + length] for start in range(0, len(text), length)]
    with tempfile.TemporaryDirectory() as folder:
        contest = ways(model, texts, inputs, Path(folder))
        references: list[float] = []
        ratios: dict[str, list[float]] = {name: [] for name in contest}
        order = list(contest.items())
        for round_number in range(n_rounds + 1):
            for name, way in order:
                reference, seconds = timed(way.reference), timed(way.run)
                if round_number:  # the first round warms caches up
                    ratios[name].append(reference / seconds)
                    if name == "record, all signals, memory":
                        references.append(reference)
            random.Random(round_number).shuffle(order)
    return len(text) / statistics.median(references), {name: statistics.median(r) for name, r in ratios.items()}


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@contextmanager
def busy(n: int) -> Iterator[None]:
    """So many processes beside this one that do nothing but work, with less claim to a core."""
    script = "import os\nif hasattr(os, 'nice'): os.nice(10)\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(n)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure recording against torch's own forward pass.")
    parser.add_argument("--chars", type=int, default=8192, help="read at batch 1 (default 8192)")
    parser.add_argument("--steps", type=int, default=128, help="of each sequence in a batch (default 128)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3, help="rounds after the first, of which the median counts")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--float32", action="store_true", help="weights that float16 does not hold")
    parser.add_argument("--threads", type=int, help="of torch; 1 on a machine that is busy with other work")
    parser.add_argument("--beside", type=int, default=0, help="busy processes meanwhile, of nice 10")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with busy(options.beside):
        report(options)


def report(options: argparse.Namespace) -> None:
    """Measure everything that was asked for, and print it."""
    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.layers}x{options.units}, "
          f"median of {options.rounds} rounds; shares of the speed of torch's forward\n")  # fmt: skip
    print("| | " + " | ".join(f"batch {batch}" for batch in options.batches) + " |")
    print("|---|" + "---|" * len(options.batches))
    for kind in options.kinds:
        model = CharModel(ModelConfig(kind, options.layers, options.units), vocabulary).eval()
        if not options.float32:
            model.half().float()
        speeds, rows = [], {}
        for batch in options.batches:
            n_chars = options.chars if batch == 1 else options.steps * batch
            text = "".join(random.Random(0).choices(vocabulary.symbols[1:], k=n_chars))
            speed, shares = measure(model, text, batch, options.rounds)
            speeds.append(f"{speed:,.0f} chars/s")
            for way, share in shares.items():
                rows.setdefault(way, []).append(f"{share:.2f}x")
        print(f"| **nn.{kind.upper()}**, nothing recorded | " + " | ".join(speeds) + " |")
        for way, cells in rows.items():
            print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
