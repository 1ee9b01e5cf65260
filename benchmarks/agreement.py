"""How closely what a search says agrees with scikit-learn and scipy on the same values, and what its thresholds cost.

    python -m benchmarks.agreement [--network checkpoints/python] [--chars 100000] [--seed 0]

Held-out files of Python's library are searched for all concepts of Python. Then the files are recorded, and for each
concept the five best rows, whose scores are those of the values, and five others, drawn by chance, whose scores come
out of bins, are scored again by scikit-learn (AUROC, average precision, F1 and Matthews' correlation at the row's
threshold) and scipy (Pearson, Spearman).

A threshold is the best of 255 borders of bins. For the five best: by how much the F1 of the best of all thresholds is
higher where thresholds are chosen, and whether that one does better on the text held out from the choice.
"""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    roc_auc_score,
)

from benchmarks.search import documents_of
from inspector.capture import record
from inspector.concepts import Concept, concepts_for
from inspector.corpus import Text
from inspector.model import CharModel, load_checkpoint
from inspector.recording import Neuron, Recording
from inspector.search import split_documents
from inspector.survey import search_corpus
from inspector.survey.searching import label_documents

N_ROWS = 5
CLOSE = 1e-3

Array = NDArray[Any]


class Part(NamedTuple):
    """The documents on which neurons are chosen, or those on which they are scored."""

    recording: Recording
    labels: dict[str, tuple[Array, Array]]

    def values(self, row: Any, name: str) -> tuple[Array, Array]:
        """Of one row of the table of a label, with its polarity, and the label; both where it is valid."""
        label, valid = self.labels[name]
        trace = self.recording.trace(Neuron(row.layer, row.unit), row.signal).astype(np.float64)
        return row.polarity * trace[valid], label[valid]


def part_of(model: CharModel, documents: Sequence[Text], concepts: Sequence[Concept]) -> Part:
    return Part(record(model, [text for _, text in documents]), label_documents(concepts, documents, None, None, None))


def differences(row: Any, name: str, scored: Part) -> dict[str, float]:
    """By how much each score of a row is off."""
    values, label = scored.values(row, name)
    if row.metric != "auroc":
        return {
            "Pearson": row.score - pearsonr(values, label)[0],
            "Spearman": row.spearman - spearmanr(values, label)[0],
        }
    says_yes = values >= row.polarity * row.threshold
    return {
        "AUROC": row.score - roc_auc_score(label, values),
        "average precision": row.average_precision - average_precision_score(label, values),
        "F1": row.f1 - f1_score(label, says_yes),
        "Matthews": row.matthews - matthews_corrcoef(label, says_yes),
    }


def cost_of_threshold(row: Any, name: str, chosen_on: Part, scored: Part) -> tuple[float, float]:
    """How much higher F1 is with the best of all thresholds: where they are chosen, and held out."""
    values, label = chosen_on.values(row, name)
    precision, recall, thresholds = precision_recall_curve(label, values)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = thresholds[np.argmax(f1[:-1])]
    here = f1.max() - f1_score(label, values >= row.polarity * row.threshold)
    values, label = scored.values(row, name)
    return here, f1_score(label, values >= best) - f1_score(label, values >= row.polarity * row.threshold)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="checkpoints/python")
    parser.add_argument("--chars", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    model, documents, concepts = load_checkpoint(options.network), documents_of(options.chars), concepts_for("python")
    found = search_corpus(model, documents, concepts, twin=False)
    is_chosen_on = split_documents([(name, len(text)) for name, text in documents])
    chosen_on, scored = (
        part_of(model, [one for one, chosen in zip(documents, is_chosen_on, strict=True) if chosen is part], concepts)
        for part in (True, False)
    )
    print(f"{sum(len(text) for _, text in documents):,} characters, {len(found.tables)} concepts")

    rng, off, costs = np.random.default_rng(options.seed), [], []
    for name, table in found.tables.items():
        others = table.iloc[N_ROWS + rng.permutation(len(table) - N_ROWS)[:N_ROWS]]
        for rows, which in ((table.head(N_ROWS), "five best"), (others, "others")):
            for row in rows.itertuples():
                off += [(which, score, abs(by)) for score, by in differences(row, name, scored).items()]
                if which == "five best" and row.metric == "auroc":
                    costs.append(cost_of_threshold(row, name, chosen_on, scored))
    every = pd.DataFrame(off, columns=["rows", "score", "off"]).groupby(["score", "rows"])["off"]
    told = pd.DataFrame(
        {"rows": every.size(), "furthest off": every.max(), "beyond .001": every.apply(lambda by: (by > CLOSE).sum())}
    )
    print(told.to_string(float_format=lambda number: f"{number:.1e}"))
    here, held_out = np.array(costs).T
    print(
        f"F1 with the best of all thresholds, beside that of the best border of {len(costs)} rows: where it was chosen "
        f"higher by {here.mean():.4f} ({here.max():.4f} at most, by more than .001 in {(here > CLOSE).mean():.0%}); "
        f"held out by {held_out.mean():+.4f}, higher in {(held_out > 0).mean():.0%}, lower in "
        f"{(held_out < 0).mean():.0%}"
    )


if __name__ == "__main__":
    main()
