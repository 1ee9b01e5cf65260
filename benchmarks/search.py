"""Time of `rank_neurons` against the loop over scikit-learn on the same arrays, in one run.

    python -m benchmarks.search [--units 1024] [--chars 100000] [--labels 1 16] [--sampled 16]

The loop calls `roc_auc_score` once per trace on the choosing and once on the scoring part, for the AUROC alone, on
`--sampled` of the traces; its time is scaled up. `rank_labels` gives p-values, F1 and average precision as well.
"""

import argparse
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from inspector.recording import Layer, Recording, RecordingWriter
from inspector.search import rank_labels, split_text


def synthetic_recording(n_units: int, n_chars: int, rng: np.random.Generator) -> Recording:
    """Hidden and cell states that remember about 20 characters."""
    values = rng.standard_normal((2, n_units, n_chars), dtype=np.float32)
    for t in range(1, n_chars):
        values[..., t] += 0.95 * values[..., t - 1]
    writer = RecordingWriter(text="x" * n_chars, layers=[Layer("rnn.0", "lstm", n_units, ("hidden", "cell"))])
    writer.append([{"hidden": np.tanh(values[0]), "cell": values[1]}])
    return writer.finish()


def label_in_runs(n_chars: int, rng: np.random.Generator) -> np.ndarray:
    lengths = np.column_stack([rng.geometric(1 / 80, n_chars), rng.geometric(1 / 20, n_chars)]).ravel()
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)[:n_chars]


def seconds_of_the_loop(recording: Recording, label: np.ndarray, n_sampled: int) -> float:
    """Seconds per trace of `roc_auc_score` on both parts."""
    choose = split_text(recording)
    traces = recording.window(0, "cell", 0, recording.n_chars)[:n_sampled]
    begun = time.perf_counter()
    for trace in traces:
        roc_auc_score(label[choose], trace[choose])
        roc_auc_score(label[~choose], trace[~choose])
    return (time.perf_counter() - begun) / n_sampled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--chars", type=int, default=100_000)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--sampled", type=int, default=16)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    recording = synthetic_recording(options.units, options.chars, rng)
    n_traces = 2 * options.units
    print(f"{options.units} units x 2 signals x {options.chars:,} characters")
    for n_labels in options.labels:
        labels = {str(i): (label_in_runs(options.chars, rng), None) for i in range(n_labels)}
        begun = time.perf_counter()
        rank_labels(recording, labels)
        ours = time.perf_counter() - begun
        loop = seconds_of_the_loop(recording, labels["0"][0], min(options.sampled, options.units))
        loop *= n_traces * n_labels
        print(f"{n_labels:3d} labels: rank_labels {ours:7.1f} s, sklearn loop {loop:8.1f} s, ratio {loop / ours:5.1f}")


if __name__ == "__main__":
    main()
