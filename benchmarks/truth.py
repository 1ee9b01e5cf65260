"""Does a search keep its promises? Labels that mean nothing, a neuron that means something, and a wrong null.

    python -m benchmarks.truth [--nulls 1000] [--chars 60000] [--lanes 4,32] [--network checkpoints/python]

1. The network reads real text; the labels come in runs as long as those of strings and comments, but at random places.
   At q = .05 a discovery in 5 % of such labels is what Benjamini and Hochberg promise; 6.5 % are allowed.
2. One neuron is replaced by one that tells a label apart with an AUROC of .65: is it found, and it alone?
3. The same nulls judged by shuffling single characters, as if these were independent: how many "discoveries" then?
4. The same in `search_corpus`, which reads many documents side by side, so that a block of the jackknife is a short
   piece of each of many: beginnings of 1,500 characters, so many side by side that they come to `--lanes`.
Each null is a search of its own: its q-values are over all neurons and signals, as a reader who asks once gets them.
"""

import argparse
import math
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np

from inspector.capture import record
from inspector.concepts import Concept
from inspector.corpus import Text, load_corpus
from inspector.model import CharModel, load_checkpoint
from inspector.recording import Layer, Recording, RecordingWriter
from inspector.search import rank_labels, rank_neurons
from inspector.search.chance import q_values
from inspector.survey import search_corpus

AT_ONCE = 50  # labels counted in one pass
BEGINNING = 1_500  # characters of each document that are read side by side
Q = 0.05


def label_in_runs(rng: np.random.Generator, n_chars: int) -> np.ndarray:
    """Runs of random length: 10 to 60 characters on the average, 40 to 400 apart."""
    on, off = rng.uniform(10, 60), rng.uniform(40, 400)
    n = int(3 * n_chars / (on + off)) + 10
    lengths = np.column_stack([rng.geometric(1 / off, n), rng.geometric(1 / on, n)]).ravel()
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)[:n_chars]


def null_discoveries(recording: Recording, n_nulls: int, rng: np.random.Generator) -> tuple[float, float]:
    """Share of null labels with any discovery: by blocks, and by characters taken for independent."""
    by_block = by_character = 0
    for start in range(0, n_nulls, AT_ONCE):
        labels = {
            str(i): (label_in_runs(rng, recording.n_chars), None) for i in range(start, min(start + AT_ONCE, n_nulls))
        }
        for table in rank_labels(recording, labels, signals=("hidden", "cell")).values():
            by_block += q_values(table["p_value"].to_numpy()).min() < Q
            n = recording.n_chars / 2
            spread = math.sqrt(1 / (12 * n * table["prevalence"][0] * (1 - table["prevalence"][0])))
            p_values = [0.5 * math.erfc((score - 0.5) / spread / math.sqrt(2)) for score in table["score"]]
            by_character += q_values(np.array(p_values)).min() < Q
    return by_block / n_nulls, by_character / n_nulls


def null_concept(name: str, rng: np.random.Generator) -> Concept:
    """A label in runs at random places of every document."""
    return Concept(name, name, "", "", "yes/no", (), True, "", lambda text, _: label_in_runs(rng, len(text)))


def side_by_side(
    model: CharModel, texts: Sequence[Text], n_nulls: int, lanes: int, rng: np.random.Generator
) -> tuple[float, int]:
    """Share of null labels with any discovery where so many documents are read side by side; of how many labels."""
    found = []
    for start in range(0, n_nulls, AT_ONCE):
        nulls = [null_concept(str(i), rng) for i in range(start, min(start + AT_ONCE, n_nulls))]
        with patch("inspector.survey.searching.lanes_for", return_value=lanes):
            tables = search_corpus(
                model, texts, nulls, signals=("hidden", "cell"), twin=False, longest=BEGINNING
            ).tables  # but for labels of which there is too little
        found += [q_values(table["p_value"].to_numpy()).min() < Q for table in tables.values()]
    return sum(found) / len(found), len(found)


def with_planted(recording: Recording, label: np.ndarray, auroc: float, rng: np.random.Generator) -> Recording:
    """A recording in which 0:0 is a noisy detector: normal values, moved by as much as this AUROC takes."""
    move = {0.65: 0.545}[auroc]  # sqrt(2) times the normal quantile of the AUROC
    values = recording.window(0, "hidden", 0, recording.n_chars).copy()
    values[0] = np.tanh(0.3 * (rng.standard_normal(recording.n_chars) + move * label))
    layer = Layer("rnn.0", "lstm", len(values), ("hidden",))
    writer = RecordingWriter(text=recording.text, layers=[layer], documents=recording.documents)
    writer.append([{"hidden": values}])
    return writer.finish()


def texts_of(n_chars: int, longest: int | None = None) -> Sequence[Text]:
    """Held-out files that together have n_chars characters, or as many as there are; of each, `longest` count."""
    found, room = [], n_chars
    splits = load_corpus("python-stdlib").splits
    for text in splits["report"] + splits["choose"]:
        size = len(text.text[:longest])
        if size <= room:
            found.append(text)
            room -= size
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="checkpoints/python")
    parser.add_argument("--nulls", type=int, default=1000)
    parser.add_argument("--chars", type=int, default=60_000)
    parser.add_argument("--lanes", default="4,32", help="documents side by side; several with commas between them")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    texts = texts_of(options.chars)
    model = load_checkpoint(options.network)
    recording = record(model, [text for _, text in texts], ("hidden", "cell"), names=[n for n, _ in texts])
    print(f"{recording.n_chars:,} characters, {sum(2 * layer.n_units for layer in recording.layers):,} traces")
    label = label_in_runs(rng, recording.n_chars)
    best = rank_neurons(with_planted(recording, label, 0.65, rng), label)
    n_found = int((best["q_value"] < Q).sum())
    print(f"planted neuron of AUROC .65: found {best.score[0]:.3f} in {best.layer[0]}:{best.unit[0]}", end="")
    print(f", q {best.q_value[0]:.1e}, shift p {best.shift_p[0]:.3f}, {n_found} discoveries in all")
    by_block, by_character = null_discoveries(recording, options.nulls, rng)
    print(f"null labels with a discovery at q = {Q}: {by_block:.1%} of {options.nulls}, 6.5 % allowed")
    print(f"the same with characters taken for independent: {by_character:.1%}")
    for lanes in map(int, options.lanes.split(",")):
        many = texts_of(max(options.chars, 3 * lanes * BEGINNING), BEGINNING)
        share, n_nulls = side_by_side(model, many, options.nulls, lanes, np.random.default_rng(1))
        print(f"search_corpus, {len(many)} beginnings, {lanes} side by side: {share:.1%} of {n_nulls}, 6.5 % allowed")


if __name__ == "__main__":
    main()
