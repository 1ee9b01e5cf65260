"""What the trainer costs beside a bare torch loop on the same step, and whether bfloat16 reaches the loss of float32.

    python -m benchmarks.training
    python -m benchmarks.training --curves --chars 10M --units 192 --layers 1   # minutes

The two loops take turns, a few steps each, and the median of the ratios is shown. The bare loop has what a step cannot
do without: one-hot input, network, output layer, loss, gradients, clipping, AdamW, the state carried over.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inspector.commands.command import whole_number
from inspector.corpus import STDLIB, Corpus, load_corpus
from inspector.model import ModelConfig
from inspector.train import Run, TrainOptions, bits, train, vocabulary_of

RNNS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
STEPS_IN_TURN = 4


def bare_loop(
    config: ModelConfig, options: TrainOptions, ids: np.ndarray, n_symbols: int, bf16: bool
) -> Callable[[], None]:
    """A function that trains for one step, with nothing around it."""
    rnn = RNNS[config.kind](n_symbols, config.n_units, config.n_layers, batch_first=True)
    head = nn.Linear(config.n_units, n_symbols)
    weights = [*rnn.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=options.learning_rate)
    table = torch.from_numpy(ids[: len(ids) // options.batch * options.batch].reshape(options.batch, -1))
    place, state = 0, None

    def step() -> None:
        nonlocal place, state
        place = 0 if place + options.stretch + 1 > table.shape[1] else place
        symbols = table[:, place : place + options.stretch + 1]
        place += options.stretch
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            hidden, new = rnn(nn.functional.one_hot(symbols[:, :-1], n_symbols).float(), state)
            logits = head(hidden)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), symbols[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, options.clip)
        optimiser.step()
        state = tuple(part.detach() for part in new) if isinstance(new, tuple) else new.detach()

    return step


def compare_speed(
    corpus: Corpus, config: ModelConfig, options: TrainOptions, n_rounds: int
) -> tuple[float, list[float]]:
    """Characters a second of the bare loop, and the trainer's share of it in each round."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run.start(Path(folder), corpus, config, options)
        vocabulary = vocabulary_of(corpus)[0]
        ids = vocabulary.encode("".join(text for _, text in corpus.splits["train"]))
        bare = bare_loop(config, options, ids, len(vocabulary), run.bf16)

        def trainer() -> None:
            run.learn()
            run.step += 1

        seconds, shares = [], []
        for round_number in range(n_rounds + 1):
            times = [timed(one) for one in (bare, trainer)]
            if round_number:  # the first round warms caches up
                seconds.append(times[0])
                shares.append(times[0] / times[1])
    return STEPS_IN_TURN * options.batch * options.stretch / statistics.median(seconds), shares


def timed(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(STEPS_IN_TURN):
        step()
    return time.perf_counter() - start


def compare_curves(corpus: Corpus, config: ModelConfig, options: TrainOptions) -> None:
    """Print the held-out loss of both precisions after the same characters, and the time each took."""
    curves = {}
    for precision in ("fp32", "bf16"):
        with tempfile.TemporaryDirectory() as folder:
            train(corpus, config, TrainOptions(**{**vars(options), "precision": precision}), folder)
            with (Path(folder) / "log.csv").open(newline="") as file:
                curves[precision] = list(csv.DictReader(file))
    print("| characters | fp32 bits | bf16 bits | fp32 seconds | bf16 seconds |\n|---|---|---|---|---|")
    for full, half in zip(curves["fp32"], curves["bf16"], strict=True):
        losses = " | ".join(f"{bits(float(row['choose_nats'])):.3f}" for row in (full, half))
        print(f"| {int(full['characters']):,} | {losses} | {full['seconds']} | {half['seconds']} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the trainer against a bare torch loop.")
    parser.add_argument("--curves", action="store_true", help="compare the losses of fp32 and bf16 instead")
    parser.add_argument("--corpus", default=STDLIB)
    parser.add_argument("--pattern", default="*")
    parser.add_argument("--chars", type=whole_number, default=10_000_000, help="of a curve")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=list(RNNS), default=list(RNNS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of torch; 1 on a machine that is busy with other work")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    corpus = load_corpus(options.corpus, pattern=options.pattern)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.layers}x{options.units}\n")
    if options.curves:
        settings = TrainOptions(n_chars=options.chars, evaluate_every=200, save_every=10_000)
        compare_curves(corpus, ModelConfig("lstm", options.layers, options.units), settings)
        return
    print("| network | precision | bare loop, chars/s | trainer's share |\n|---|---|---|---|")
    for kind in options.kinds:
        for precision in ("bf16", "fp32"):
            config, settings = ModelConfig(kind, options.layers, options.units), TrainOptions(precision=precision)
            speed, shares = compare_speed(corpus, config, settings, options.rounds)
            print(f"| {kind.upper()} | {precision} | {speed:,.0f} | {statistics.median(shares):.2f}x |", flush=True)


if __name__ == "__main__":
    main()
