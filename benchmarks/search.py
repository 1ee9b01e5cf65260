"""What a whole search costs beside torch's forward alone on the same text, and beside a loop over scikit-learn.

    python -m benchmarks.search [--network checkpoints/python] [--chars 150000] [--rounds 3]

The search reads the text, counts every neuron and signal for every concept of Python, and makes the tables; labelling
is part of it, the untrained twin is not. The forward reads as many characters in batches as wide and keeps nothing.
Both are measured in turns, by the clock and in processor time, and each ratio is the median. scikit-learn's
`roc_auc_score` is called for some traces and scaled up to one call for each neuron, signal and concept, on the choosing
and on the scoring part.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from inspector.capture import record
from inspector.concepts import concepts_for, get_concept
from inspector.corpus import Text, load_corpus
from inspector.model import CharModel, load_checkpoint
from inspector.search import split_documents
from inspector.survey import search_corpus
from inspector.survey.searching import lanes_for

N_SAMPLED = 16


def documents_of(n_chars: int) -> list[Text]:
    """Held-out files of Python's library, up to n_chars characters."""
    found, room = [], n_chars
    for text in load_corpus("python-stdlib").splits["report"]:
        if 2_000 <= len(text.text) <= room:
            found.append(text)
            room -= len(text.text)
    return found


def forward_alone(model: CharModel, texts: Sequence[str], lanes: int) -> None:
    """The network reads as many characters, as many side by side as a search does, in even rows."""
    ids = torch.from_numpy(np.concatenate([model.vocabulary.encode(text) for text in texts]))
    rows = ids[: len(ids) // lanes * lanes].view(lanes, -1)
    with torch.inference_mode():
        state = None
        for start in range(0, rows.shape[1], 512):
            _, state = model(rows[:, start : start + 512], state)


class Seconds(NamedTuple):
    """What some work took, by the clock and of all cores together."""

    clock: float
    processor: float


def seconds_of(work: Callable[[], object]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def seconds_of_sklearn(model: CharModel, documents: Sequence[Text]) -> float:
    """Seconds of one `roc_auc_score` on each part, for one trace and one concept."""
    recording = record(model, [text for _, text in documents[:8]], ("cell",))
    label = np.concatenate([get_concept("inside_string").label(text, language="python") for _, text in documents[:8]])
    traces = recording.window(0, "cell", 0, recording.n_chars)[:N_SAMPLED]
    half = recording.n_chars // 2

    def loop() -> None:
        for trace in traces:
            roc_auc_score(label[:half], trace[:half])
            roc_auc_score(label[half:], trace[half:])

    return seconds_of(loop).clock / N_SAMPLED * sum(len(text) for _, text in documents) / recording.n_chars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="checkpoints/python")
    parser.add_argument("--chars", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    model = load_checkpoint(options.network)
    documents, concepts = documents_of(options.chars), concepts_for("python")
    chosen = split_documents([(name, len(text)) for name, text in documents])
    halves = [[d.text for d, is_chosen in zip(documents, chosen, strict=True) if is_chosen == side] for side in (1, 0)]
    n_chars = sum(len(text) for _, text in documents)
    search_corpus(model, documents[:6], concepts[:6], twin=False)  # compile

    forwards: list[Seconds] = []
    searches: list[Seconds] = []
    for _ in range(options.rounds):
        lanes = [lanes_for(sum(map(len, half))) for half in halves]
        forwards.append(seconds_of(lambda: [forward_alone(model, h, n) for h, n in zip(halves, lanes, strict=True)]))  # noqa: B023
        searches.append(seconds_of(lambda: search_corpus(model, documents, concepts, twin=False)))
    n_pairs = len(concepts) * 2 * model.config.n_units * 6
    sklearn = seconds_of_sklearn(model, documents) * n_pairs
    print(f"{n_chars:,} characters, {len(documents)} files, {len(concepts)} concepts, {n_pairs:,} pairs")
    for how, words in (("clock", "by the clock"), ("processor", "processor")):
        forward, search = ([getattr(took, how) for took in all_of_them] for all_of_them in (forwards, searches))
        ratio = statistics.median(ours / theirs for ours, theirs in zip(search, forward, strict=True))
        print(f"{words}: forward alone {statistics.median(forward):.1f} s, whole search "
              f"{statistics.median(search):.1f} s, {ratio:.2f}x")  # fmt: skip
    ours = statistics.median(took.clock for took in searches)
    print(f"loop over roc_auc_score {sklearn:,.0f} s: {sklearn / ours:,.0f}x the search")


if __name__ == "__main__":
    main()
