"""How fast recording is, as a share of the speed at which torch itself runs the network while nothing is recorded.

    python -m benchmarks.recording

Every way takes its turn right after the reference, round after round, and the median of the ratios is shown, so that a
busy machine slows both. Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from inspector.capture import record, watch
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import SIGNALS


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


def watched(model: CharModel, inputs: torch.Tensor) -> None:
    """Follow the torch module and work out every signal; reading one makes all of them."""
    with watch(model.rnn) as tape:
        model.rnn(inputs)
    tape[""].signal("hidden")


def ways(model: CharModel, text: str, inputs: torch.Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    """`record` reads one text, so it takes part at batch 1."""
    found: dict[str, Callable[[], object]] = {"watch, all signals": lambda: watched(model, inputs)}
    if len(inputs) == 1:
        stored = [name for name in ("hidden", "cell") if name in SIGNALS[model.config.kind]]
        found["record, all signals, memory"] = lambda: record(model, text)
        found[f"record, {' and '.join(stored)}, float16, disk"] = lambda: record(
            model, text, stored, dtype="float16", out=folder / "recording"
        )
    if model.config.kind == "lstm":
        found["naive loop, all signals"] = lambda: naive_loop(model, inputs)
    return found


def measure(model: CharModel, text: str, batch: int, n_rounds: int) -> tuple[float, dict[str, float]]:
    """The reference in characters per second, and for each way its median share of that speed."""
    ids = torch.from_numpy(model.vocabulary.encode(text)).view(batch, -1)
    inputs = model.embed(ids)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        contest = ways(model, text, inputs, Path(folder))
        references, ratios = [], {name: [] for name in contest}
        for round_number in range(n_rounds + 1):
            for name, run in contest.items():
                reference, seconds = timed(lambda: model.rnn(inputs)), timed(run)
                if round_number:  # the first round warms caches up
                    references.append(reference)
                    ratios[name].append(reference / seconds)
    return len(text) / statistics.median(references), {name: statistics.median(r) for name, r in ratios.items()}


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure recording against torch's own forward pass.")
    parser.add_argument("--chars", type=int, default=1024, help="read at batch 1 (default 1024)")
    parser.add_argument("--steps", type=int, default=64, help="of each sequence in a batch (default 64)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3, help="rounds after the first, of which the median counts")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of torch; 1 on a machine that is busy with other work")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.layers}x{options.units}, "
          f"median of {options.rounds} rounds\n")  # fmt: skip
    print(f"{'':44s}{'chars/s':>9s}{'share of torch':>17s}")
    for name, kind in (("LSTM", "lstm"), ("GRU", "gru"), ("RNN", "rnn")):
        model = CharModel(ModelConfig(kind, options.layers, options.units), vocabulary).eval()
        for batch in options.batches:
            n_chars = options.chars if batch == 1 else options.steps * batch
            text = "".join(random.Random(0).choices(vocabulary.symbols[1:], k=n_chars))
            speed, ratios = measure(model, text, batch, options.rounds)
            print(f"{f'torch nn.{name}, batch {batch}, nothing recorded':44s}{speed:9,.0f}{1:16.2f}x")
            for way, ratio in ratios.items():
                print(f"  {way:42s}{speed * ratio:9,.0f}{ratio:16.2f}x", flush=True)


if __name__ == "__main__":
    main()
