"""How fast recording is, as a share of the speed at which torch itself runs the network while nothing is recorded.

    python -m benchmarks.recording

Every way takes its turn right after the reference, round after round, and the median of the ratios is shown, so that a
busy machine slows both. Weights are random: speed does not depend on them. One text, batch 1.
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


def naive_loop(model: CharModel, ids: torch.Tensor) -> None:
    """What people write: one step at a time, layer by layer, keeping all six signals of an LSTM."""
    inputs = model.embed(ids[None])[0]
    units, layers = model.config.n_units, range(model.config.n_layers)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [[getattr(model.rnn, f"{name}_l{i}") for name in names] for i in layers]
    hidden, cell = [torch.zeros(units)] * len(layers), [torch.zeros(units)] * len(layers)
    kept: list[tuple[torch.Tensor, ...]] = []
    for x in inputs:
        for layer in layers:
            w_ih, w_hh, b_ih, b_hh = weights[layer]
            i, f, g, o = (w_ih @ x + b_ih + w_hh @ hidden[layer] + b_hh).chunk(4)
            i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            cell[layer] = f * cell[layer] + i * g
            x = hidden[layer] = o * cell[layer].tanh()
            kept.append((hidden[layer], cell[layer], i, f, g, o))


def watched(model: CharModel, ids: torch.Tensor) -> None:
    """Follow the torch module and work out every signal; reading one makes all of them."""
    inputs = model.embed(ids[None])
    with watch(model.rnn) as tape:
        model.rnn(inputs)
    tape[""].signal("hidden")


def ways(model: CharModel, text: str, ids: torch.Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    stored = [name for name in ("hidden", "cell") if name in SIGNALS[model.config.kind]]
    found: dict[str, Callable[[], object]] = {
        "watch, all signals": lambda: watched(model, ids),
        "record, all signals, memory": lambda: record(model, text),
        f"record, {' and '.join(stored)}, float16, disk": lambda: record(
            model, text, stored, dtype="float16", out=folder / "recording"
        ),
    }
    if model.config.kind == "lstm":
        found["naive loop, all signals"] = lambda: naive_loop(model, ids)
    return found


def measure(model: CharModel, text: str, n_rounds: int) -> tuple[float, dict[str, float]]:
    """The reference in characters per second, and for each way its median share of that speed."""
    ids = torch.from_numpy(model.vocabulary.encode(text))
    inputs = model.embed(ids[None])
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        contest = ways(model, text, ids, Path(folder))
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
    parser = argparse.ArgumentParser(description="Measure recording against torch's own forward pass, at batch 1.")
    parser.add_argument("--chars", type=int, default=4096, help="length of the text (default 4096)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the first, of which the median counts")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of torch; 1 on a machine that is busy with other work")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    vocabulary = Vocabulary.from_text("".join(map(chr, range(32, 127))) + "\n\t")
    text = "".join(random.Random(0).choices(vocabulary.symbols[1:], k=options.chars))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.layers}x{options.units}, batch 1, "
          f"{options.chars} characters, median of {options.rounds} rounds\n")  # fmt: skip
    print(f"{'':44s}{'chars/s':>9s}{'share of torch':>17s}")
    for name, kind in (("LSTM", "lstm"), ("GRU", "gru"), ("RNN", "rnn")):
        model = CharModel(ModelConfig(kind, options.layers, options.units), vocabulary).eval()
        speed, ratios = measure(model, text, options.rounds)
        print(f"{f'torch nn.{name}, nothing recorded':44s}{speed:9,.0f}{1:16.2f}x")
        for way, ratio in ratios.items():
            print(f"  {way:42s}{speed * ratio:9,.0f}{ratio:16.2f}x")


if __name__ == "__main__":
    main()
