"""A name for every neuron: what best says how it goes, chosen on choose files and scored on report files.

    a formula of at most three concepts, for a neuron that is on or off    Matthews' correlation
    a graded concept, for one that rises with a number                     |Pearson's correlation|

Matthews' correlation is Pearson's correlation of two yes/no variables: both kinds lie on one scale, on which 0 knows
nothing and 1 is the same thing, and one mark (`search.LIMITS`) says from where on either explains a neuron.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.capture import record
from inspector.concepts import concepts_for, main_language
from inspector.corpus import Corpus, Text
from inspector.formulas import GAIN, Vocabulary, matthews
from inspector.model import CharModel
from inspector.recording import InspectorError, Neuron, Recording
from inspector.search import LIMITS
from inspector.survey import label_documents

EXPLAINED = LIMITS["correlation"]["strong"]
FORMAT_VERSION = 2  # 1: formulas of yes/no concepts alone, without `kind`
_TAILS = np.linspace(-7.0, 7.0, 49)  # edges of bins: quantiles, close together where few characters are left
_EDGES = np.unique(np.concatenate([1 / (1 + np.exp(-_TAILS)), np.linspace(0, 1, 50)[1:-1]]))

Array = NDArray[Any]
Report = Callable[[str, int, int], None]


def explain(
    model: CharModel, corpus: Corpus, folder: str | Path, *, n_chars: int = 100_000, on_progress: Report | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Name every neuron of a network from held-out files; write `explanations.parquet` and `.json` into `folder`.

    >>> table, summary = explain(model, load_corpus("python-stdlib"), "checkpoints/python/survey")

    n_chars : about how many characters of the choose files are read, and as many of the report files.

    Returns the table of `explain_recording` and a summary (what was written as JSON).
    Raises InspectorError when the corpus has no held-out files.
    """
    chosen, reported = (_some(corpus.splits[split], n_chars) for split in ("choose", "report"))
    if not chosen or not reported:
        raise InspectorError(
            f"{corpus.name} has no held-out files to explain neurons by: give a larger folder of texts."
        )
    texts = chosen + reported
    signals = ["hidden", "cell"] if model.config.kind == "lstm" else ["hidden"]
    recording = record(
        model, [text for _, text in texts], signals=signals, names=[name for name, _ in texts], dtype="float16",
        progress=(lambda done, total: on_progress("reading", done, total)) if on_progress else None,
    )  # fmt: skip
    choose = np.arange(recording.n_chars) < sum(len(text) for _, text in chosen)
    table = explain_recording(
        recording, _labels(texts), choose=choose,
        progress=(lambda done, total: on_progress("explaining", done, total)) if on_progress else None,
    )  # fmt: skip
    summary = summary_of(table) | {
        "version": FORMAT_VERSION, "network": model.name, "network_hash": model.hash, "corpus": corpus.name,
        "n_choose_chars": int(choose.sum()), "n_report_chars": int((~choose).sum()),
    }  # fmt: skip
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"explanations.{kind}" for kind in ("parquet", "json")]
    partial = [path.with_name(f"{path.name}.partial") for path in paths]
    table.to_parquet(partial[0], index=False)
    partial[1].write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for one, path in zip(partial, paths, strict=True):
        one.replace(path)
    return table, summary


def explain_recording(
    recording: Recording, labels: Mapping[str, Array], *, choose: Array,
    progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The best explanation of every neuron of a recording: a formula of concepts or a graded concept itself.

    labels : name -> bool (n_chars,), or float for a graded concept, nan where nobody can tell. In formulas that counts
        as no, and a graded concept stands with a threshold, "indentation >= 8".
    choose : bool (n_chars,), True where explanations are found, False where they are scored.

    Returns a DataFrame, one row for each neuron, best `score` first: `layer, unit, signal` (whichever of its signals
    the choosing part preferred); `kind`, "formula" or "graded"; `formula`, its words; `n_concepts`, how many terms it
    has; `polarity`, -1 where the neuron is low when it holds, or falls with it; `score` on the scoring part: Matthews'
    correlation of formula and neuron, or Pearson's correlation with the graded concept times the polarity, each 0
    where nothing is known and 1 for the same thing; `choose_score`, the same where it was found; `chance`, what the
    same search scores for this neuron with all labels moved by half of each part; `coverage`, how much of the neuron
    is explained: the share of the characters where it is on that the formula holds for, or r squared, the share of its
    variance; `is_explained`: `score` at least `EXPLAINED` and above the chance of every neuron.
    Of formulas alone, nan for the others: `threshold`, the neuron is on where polarity * value >= polarity * threshold;
    `auroc`; `precision`, the share of the formula's characters where it is on.
    A constant neuron has the formula "" and scores 0. Between explanations that score the same the shorter is taken.

    Raises InspectorError when no label varies where formulas are found, or a part is empty.
    """
    parts = [np.flatnonzero(choose), np.flatnonzero(~choose)]
    if not all(part.size for part in parts):
        raise InspectorError("Both parts need characters: one to find formulas on, one to score them.")
    explainer = _Explainer([{name: label[part] for name, label in labels.items()} for part in parts])
    rows = []
    neurons = [Neuron(i, unit) for i, layer in enumerate(recording.layers) for unit in range(layer.n_units)]
    for done, neuron in enumerate(neurons):
        found, moved = list[dict[str, Any]](), list[dict[str, Any]]()
        for signal in recording.layers[neuron.layer].signals:
            trace = recording.trace(neuron, signal)
            values = _Values.of([trace[part] for part in parts])
            found.append({"layer": neuron.layer, "unit": neuron.unit, "signal": signal, **explainer.best(values)})
            moved.append(explainer.best(values.moved()))
        rows.append(max(found, key=_worth) | {"chance": max(moved, key=_worth)["score"]})
        if progress:
            progress(done + 1, len(neurons))
    table = pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True, kind="stable")
    table["is_explained"] = (table["score"] >= EXPLAINED) & (table["score"] > table["chance"].max())
    return table


def summary_of(table: pd.DataFrame) -> dict[str, Any]:
    """How many neurons are explained, in numbers and in a sentence."""
    n, ceiling = len(table), float(table["chance"].max())
    counts = {f"score_{level}": int((table["score"] >= level).sum()) for level in (0.5, 0.7, 0.9)}
    counts |= {"auroc_0.9": int((table["auroc"] >= 0.9).sum()), "chance": int((table["score"] > ceiling).sum())}
    explained = table[table["is_explained"]]
    by_kind = {kind: int((explained["kind"] == kind).sum()) for kind in ("formula", "graded")}
    n_graded = int((table["kind"] == "graded").sum())
    said = (
        f"{len(explained):,} of {n:,} neurons explained at {EXPLAINED} or better (correlation on held-out files), "
        f"{by_kind['formula']:,} by a formula and {by_kind['graded']:,} by a graded concept; "
        f"{counts['score_0.7']:,} at .7, {counts['score_0.5']:,} at .5; a graded concept is the best explanation of "
        f"{n_graded:,}; for {counts['auroc_0.9']:,} the formula's AUROC is .9 or better; {n - counts['chance']:,} are "
        f"no better than chance ({ceiling:.2f})."
    )
    return {"n_neurons": n, "n_at_least": counts, "explained_by": by_kind, "n_graded": n_graded,
            "median_score": round(float(table["score"].median()), 4), "chance": round(ceiling, 4),
            "said": said}  # fmt: skip


def _some(texts: Sequence[Text], n_chars: int) -> list[Text]:
    """Whole files, drawn evenly, until about `n_chars` characters are together."""
    taken: list[Text] = []
    for place in np.random.default_rng(0).permutation(len(texts)):
        if sum(len(text) for _, text in taken) + len(texts[place].text) <= n_chars:
            taken.append(texts[place])
    return sorted(taken) or [Text(name, text[:n_chars]) for name, text in texts[:1]]


def _labels(texts: Sequence[Text]) -> dict[str, Array]:
    """Every concept of the language that most characters are in, over all texts; where nobody can tell, no or nan."""
    concepts = concepts_for(main_language(texts))
    labelled, found = label_documents(concepts, texts), {}
    for concept in concepts:
        label, valid = labelled[concept.name]
        found[concept.name] = np.where(valid, label, np.nan if concept.kind == "graded" else False)
    return found


def _worth(row: Mapping[str, Any]) -> float:
    """What an explanation is chosen by: its score on the choosing part, less what each of its terms has to bring."""
    return float(row["choose_score"]) - GAIN * int(row["n_concepts"])


class _Values(NamedTuple):
    """A trace in both parts, float32 each, and the bins its values are in: 0 below the first edge."""

    parts: list[Array]
    bins: list[Array]
    edges: Array

    @classmethod
    def of(cls, parts: list[Array]) -> _Values:
        rising = np.sort(parts[0])  # many times faster than np.quantile for so many of them
        edges = np.unique(rising[np.rint(_EDGES * (rising.size - 1)).astype(int)])
        return cls(parts, [np.searchsorted(edges, part, side="right") for part in parts], edges)

    def moved(self) -> _Values:
        """The same against labels moved by half of each part."""
        parts, bins = ([np.roll(part, -(part.size // 2)) for part in both] for both in (self.parts, self.bins))
        return _Values(parts, bins, self.edges)


class _Explainer:
    """What stays the same for all traces: labels of the choosing and of the scoring part, and what is made of them."""

    def __init__(self, labels: Sequence[Mapping[str, Array]]) -> None:
        self._labels = labels
        self._vocabulary = Vocabulary(labels[0])
        self._graded = [name for name, label in labels[0].items() if label.dtype != np.bool_]
        self._columns = [_columns([part[name] for name in self._graded]) for part in labels] if self._graded else []

    def best(self, values: _Values) -> dict[str, Any]:
        """The best explanation of a trace: found on the first part, scored on the second."""
        return max(self._formula(values), self._number(values), key=_worth)

    def _number(self, values: _Values) -> dict[str, Any]:
        """The graded concept that goes best with the trace."""
        if not self._graded:
            return _nothing("graded")
        chosen, scored = (
            _correlations(columns, part) for columns, part in zip(self._columns, values.parts, strict=True)
        )
        best = int(np.abs(chosen).argmax())
        if chosen[best] == 0:
            return _nothing("graded")
        polarity = 1 if chosen[best] > 0 else -1
        score = float(scored[best]) * polarity
        return _nothing("graded") | {
            "formula": self._graded[best], "n_concepts": 1, "polarity": polarity, "score": score,
            "choose_score": abs(float(chosen[best])), "coverage": score * score,
        }  # fmt: skip

    def _formula(self, values: _Values) -> dict[str, Any]:
        """The formula that says best when the trace is on."""
        _, bins, edges = values
        found = self._vocabulary.search(bins[0], edges.size + 1)
        if found is None:
            return _nothing("formula")
        holds = found.formula.holds(self._vocabulary.terms, self._labels[1])
        on = (bins[1] >= found.cut) if found.polarity > 0 else (bins[1] < found.cut)
        n, hits, n_on, n_holds = (float(np.sum(where)) for where in (np.ones_like(on), holds & on, on, holds))
        low = edges[found.cut - 1]
        return {
            "kind": "formula", "formula": found.formula.words(self._vocabulary.terms),
            "n_concepts": found.formula.n_terms, "polarity": found.polarity,
            "score": matthews(hits, n_on, n_holds, n),
            "choose_score": found.score,
            "threshold": float(low if found.polarity > 0 else np.nextafter(low, np.float32(-np.inf))),
            "auroc": _auroc(bins[1], holds, found.polarity),
            "coverage": hits / n_on if n_on else 0.0, "precision": hits / n_holds if n_holds else 0.0,
        }  # fmt: skip


def _nothing(kind: str) -> dict[str, Any]:
    undefined = dict.fromkeys(("threshold", "auroc", "coverage", "precision"), np.nan)
    return {"kind": kind, "formula": "", "n_concepts": 0, "polarity": 1, "score": 0.0, "choose_score": 0.0, **undefined}


def _auroc(bins: Array, holds: Array, polarity: int) -> float:
    """How often the trace is higher (polarity -1: lower) where the formula holds than where it does not."""
    inside, outside = (np.bincount(bins[where], minlength=int(bins.max()) + 1) for where in (holds, ~holds))
    pairs = float(inside.sum()) * float(outside.sum())
    above = float((inside * (np.cumsum(outside) - outside / 2)).sum()) / pairs if pairs else 0.5
    return above if polarity > 0 else 1 - above


def _columns(labels: Sequence[Array]) -> tuple[Array, Array]:
    """Graded labels for `_correlations`: centred, in units of their deviation, 0 where nan; and where they are known.

    float32 (n_labels, n_chars) each. A constant label is 0 everywhere.
    """
    known = np.array([~np.isnan(label) for label in labels])
    columns = np.zeros(known.shape, np.float32)
    for column, label, where in zip(columns, labels, known, strict=True):
        some = label[where].astype(np.float64)
        if some.size and (deviation := some.std()) > 0:
            column[where] = (some - some.mean()) / deviation
    return columns, known.astype(np.float32)


def _correlations(columns: tuple[Array, Array], values: Array) -> Array:
    """Pearson's correlation of a trace with every graded label where that is known, (n_labels,); 0 where undefined."""
    labels, known = columns
    centred = (values - values.mean(dtype=np.float64)).astype(np.float32)
    n = np.maximum(known.sum(axis=1, dtype=np.float64), 1)
    means = (known @ centred) / n
    deviation = np.sqrt(np.maximum((known @ (centred * centred)) / n - means**2, 0))
    found: Array = np.divide(labels @ centred / n, deviation, out=np.zeros(len(labels)), where=deviation > 1e-7)
    return found
