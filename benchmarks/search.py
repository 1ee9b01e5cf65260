"""What a whole search costs beside torch's forward alone on the same text, and beside a loop over scikit-learn.

    python -m benchmarks.search [--network checkpoints/python] [--chars 600000] [--rounds 3]

The search reads the text, counts every neuron and signal for every concept of Python, and makes the tables; labelling
is part of it, the untrained twin is not. It is measured beside two forwards that keep nothing, in turns, by the clock
and in processor time; each ratio is the median.
    even rows   as many characters in batches as wide, cut into rows of one length wherever that falls: what torch can
                do at best
    documents   the same documents, whole, in as many lanes: one that ends makes room for the next, the longest go on
                alone; a reader of whole documents has to do this much (LSTMs only)
scikit-learn's `roc_auc_score` is called for some traces and scaled up to one call for each neuron, signal and concept,
on the choosing and on the scoring part. Where the time of a search goes is measured in one more.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from inspector.capture import BatchReader, record
from inspector.concepts import concepts_for, get_concept
from inspector.corpus import Text, load_corpus
from inspector.model import CharModel, load_checkpoint
from inspector.search import Census, split_documents
from inspector.survey import search_corpus, searching
from inspector.survey.searching import lanes_for

N_SAMPLED = 16
AT_ONCE = 512  # characters a lane reads at a time, at most
PARTS = {
    "labels": [(searching, "label_documents"), (searching, "pack")],
    "reading": [(BatchReader, "_read")],
    "laying out bins": [(Census, "_calibrate")],
    "values into bins": [(Census, "_take_in")],
    "counting": [(Census, "_count_waiting")],
    "judging": [(Census, "turn"), (Census, "measures")],
    "tables and shifts": [(searching, "tables_of")],
}


def documents_of(n_chars: int) -> list[Text]:
    """Held-out files of Python's library, up to n_chars characters."""
    found, room, splits = [], n_chars, load_corpus("python-stdlib").splits
    for text in splits["report"] + splits["choose"]:
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


def forward_of_documents(model: CharModel, texts: Sequence[str], lanes: int) -> None:
    """The network reads whole documents, longest first, so many side by side, and up to the nearest end at a time."""
    waiting = sorted((model.vocabulary.encode(text) for text in texts if text), key=len)  # the last comes next
    reading: list[np.ndarray] = []  # what is left of each lane's document
    state: tuple[torch.Tensor, ...] = ()
    with torch.inference_mode():
        while waiting or reading:
            n_new = min(lanes - len(reading), len(waiting))
            reading += [waiting.pop() for _ in range(n_new)]
            state = tuple(torch.cat([part, part.new_zeros(len(part), n_new, part.shape[2])], 1) for part in state)
            n = min(AT_ONCE, *map(len, reading))
            ids = torch.from_numpy(np.stack([left[:n] for left in reading]))
            _, state = model(ids, state or None)
            kept = [i for i, left in enumerate(reading) if len(left) > n]
            reading, state = [reading[i][n:] for i in kept], tuple(part[:, kept] for part in state)


class Seconds(NamedTuple):
    """What some work took, by the clock and of all cores together."""

    clock: float
    processor: float


def seconds_of(work: Callable[[], object]) -> Seconds:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def seconds_of_parts(work: Callable[[], object]) -> dict[str, float]:
    """Seconds by the clock of each of PARTS while the work is done, less those of parts within it; then of the rest."""
    took, within = dict.fromkeys(PARTS, 0.0), [0.0]

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            within.append(0.0)
            start = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                seconds = time.perf_counter() - start
                took[name] += seconds - within.pop()
                within[-1] += seconds

        return run

    def patches() -> Iterator[Any]:
        for name, places in PARTS.items():
            for owner, function in places:
                yield patch.object(owner, function, timed(name, getattr(owner, function)))

    with contextlib.ExitStack() as stack:
        for one in patches():
            stack.enter_context(one)
        whole = seconds_of(work).clock
    return took | {"the rest": whole - sum(took.values())}


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
    parser.add_argument("--chars", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    model = load_checkpoint(options.network)
    documents, concepts = documents_of(options.chars), concepts_for("python")
    chosen = split_documents([(name, len(text)) for name, text in documents])
    halves = [[d.text for d, is_chosen in zip(documents, chosen, strict=True) if is_chosen == side] for side in (1, 0)]
    n_chars = sum(len(text) for _, text in documents)
    search_corpus(model, documents[:6], concepts[:6], twin=False)  # compile

    lanes = [lanes_for(sum(map(len, half))) for half in halves]
    works: dict[str, Callable[[], object]] = {
        "even rows": lambda: [forward_alone(model, half, n) for half, n in zip(halves, lanes, strict=True)],
        "documents": lambda: [forward_of_documents(model, half, n) for half, n in zip(halves, lanes, strict=True)],
        "search": lambda: search_corpus(model, documents, concepts, twin=False),
    }
    rounds = [{name: seconds_of(work) for name, work in works.items()} for _ in range(options.rounds)]
    n_pairs = len(concepts) * 2 * model.config.n_units * 6
    sklearn = seconds_of_sklearn(model, documents) * n_pairs
    print(f"{n_chars:,} characters, {len(documents)} files, {len(concepts)} concepts, {n_pairs:,} pairs")
    for how, words in (("clock", "by the clock"), ("processor", "processor")):
        took = {name: [getattr(one[name], how) for one in rounds] for name in works}
        print(f"{words}: whole search {statistics.median(took['search']):.1f} s")
        for name, what in (("even rows", "forward alone, even rows"), ("documents", "forward alone, whole documents")):
            ratio = statistics.median(ours / theirs for ours, theirs in zip(took["search"], took[name], strict=True))
            print(f"    {what} {statistics.median(took[name]):.1f} s: the search takes {ratio:.2f}x")
    ours = statistics.median(one["search"].clock for one in rounds)
    print(f"loop over roc_auc_score {sklearn:,.0f} s: {sklearn / ours:,.0f}x the search")
    parts = seconds_of_parts(works["search"])
    print("of a search: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()))


if __name__ == "__main__":
    main()
