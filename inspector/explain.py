"""A name for every neuron: the formula of at most three concepts that best says when it is on.

    characters ──► combinations of labels (counted once) ──► for each trace a histogram per combination
    a formula is a set of combinations: its two histograms are sums, and every threshold falls out of them

Formulas grow by beam search (AND, OR, each with NOT) on choose files and are scored by Matthews' correlation on report
files: it is high only where a neuron is on when the formula holds and off when it does not.
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
from inspector.concepts import concepts_for, language_of
from inspector.corpus import Corpus, Text
from inspector.model import CharModel
from inspector.recording import InspectorError, Neuron, Recording

EXPLAINED = 0.9
FORMAT_VERSION = 1
MOST_CONCEPTS = 63  # that fit into the bits of one number
LEAST_POSITIVE = 50  # characters of the choosing part for which a formula has to hold, and not to hold
GAIN = 0.01  # of Matthews' correlation that one more concept has to bring
BEAM = 4  # a formula whose first two concepts say little without the third is missed
_LONGEST = 3
_TAILS = np.linspace(-7.0, 7.0, 49)  # edges of bins: quantiles, close together where few characters are left
_EDGES = np.unique(np.concatenate([1 / (1 + np.exp(-_TAILS)), np.linspace(0, 1, 50)[1:-1]]))
_OPERATORS = ("AND", "AND NOT", "OR", "OR NOT")

Array = NDArray[Any]
Report = Callable[[str, int, int], None]


class Formula(NamedTuple):
    """A formula in words and the combinations of labels for which it holds, bool (n_combinations,)."""

    words: str
    n_concepts: int
    holds: Array


class _Named(NamedTuple):
    formula: Formula
    choose_score: float
    threshold_bin: int
    polarity: int


def explain(
    model: CharModel, corpus: Corpus, folder: str | Path, *, n_chars: int = 100_000, on_progress: Report | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Name every neuron of a network from held-out files; write `explanations.parquet` and `.json` into `folder`.

    >>> table, summary = explain(model, load_corpus("python-stdlib"), "checkpoints/python/survey")

    n_chars : about how many characters of the choose files are read, and as many of the report files.

    Returns the table of `explain_recording` and a summary (what was written as JSON). Only yes/no concepts take part.
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
    table.to_parquet(folder / "explanations.parquet", index=False)
    (folder / "explanations.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return table, summary


def explain_recording(
    recording: Recording, labels: Mapping[str, Array], *, choose: Array,
    progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The best formula for every neuron of a recording.

    labels : name -> bool (n_chars,). choose : bool (n_chars,), True where formulas are found, False where scored.

    Returns a DataFrame, one row for each neuron, best `score` first: `layer, unit, signal` (whichever of its signals
    the choosing part preferred); `formula` and `n_concepts`; `polarity` and `threshold`: on where polarity * value >=
    polarity * threshold; `score`, Matthews' correlation of formula and neuron on the scoring part (0 knows nothing, 1
    is the same thing); `auroc` of the same; `coverage`, the share of the characters where the neuron is on that the
    formula holds for, `precision`, the share of the formula's characters where the neuron is on; `chance`, what the
    same search scores for this neuron with all labels moved by half of each part; `is_explained`: `score` at least
    `EXPLAINED` and above the chance of every neuron. A constant neuron has the formula "" and scores 0.

    Raises InspectorError for no label, more than 63, or a part in which none varies.
    """
    names, combinations, holds = _combine(labels, recording.n_chars)
    parts = [np.flatnonzero(choose), np.flatnonzero(~choose)]
    if not all(part.size for part in parts):
        raise InspectorError("Both parts need characters: one to find formulas on, one to score them.")
    moved = [np.roll(combinations[part], part.size // 2) for part in parts]
    rows = []
    neurons = [Neuron(i, unit) for i, layer in enumerate(recording.layers) for unit in range(layer.n_units)]
    for done, neuron in enumerate(neurons):
        found: list[dict[str, Any]] = []
        for signal in recording.layers[neuron.layer].signals:
            trace = recording.trace(neuron, signal)
            edges = np.unique(np.quantile(trace[parts[0]], _EDGES))
            bins = [np.searchsorted(edges, trace[part], side="right") for part in parts]
            row = _explained([combinations[part] for part in parts], bins, names, holds, edges)
            chance = _explained(moved, bins, names, holds, edges)["score"]
            found.append({"layer": neuron.layer, "unit": neuron.unit, "signal": signal, **row, "chance": chance})
        rows.append(max(found, key=lambda row: float(row["choose_score"])))
        if progress:
            progress(done + 1, len(neurons))
    table = pd.DataFrame(rows).sort_values("score", ascending=False, ignore_index=True, kind="stable")
    table["is_explained"] = (table["score"] >= EXPLAINED) & (table["score"] > table["chance"].max())
    return table


def summary_of(table: pd.DataFrame) -> dict[str, Any]:
    """How many neurons are explained, in numbers and in a sentence."""
    n, ceiling = len(table), float(table["chance"].max())
    counts = {f"score_{level}": int((table["score"] >= level).sum()) for level in (0.5, 0.7, 0.9)}
    counts |= {"auroc_0.9": int((table["auroc"] >= EXPLAINED).sum()), "chance": int((table["score"] > ceiling).sum())}
    said = (
        f"{int(table['is_explained'].sum()):,} of {n:,} neurons explained at {EXPLAINED} or better (Matthews' "
        f"correlation on held-out files); {counts['score_0.7']:,} at .7, {counts['score_0.5']:,} at .5; for "
        f"{counts['auroc_0.9']:,} the formula's AUROC is {EXPLAINED} or better; {n - counts['chance']:,} are no better "
        f"than chance ({ceiling:.2f})."
    )
    return {"n_neurons": n, "n_at_least": counts, "median_score": round(float(table["score"].median()), 4),
            "chance": round(ceiling, 4), "said": said}  # fmt: skip


def _some(texts: Sequence[Text], n_chars: int) -> list[Text]:
    """Whole files, drawn evenly, until about `n_chars` characters are together."""
    taken: list[Text] = []
    for place in np.random.default_rng(0).permutation(len(texts)):
        if sum(len(text) for _, text in taken) + len(texts[place].text) <= n_chars:
            taken.append(texts[place])
    return sorted(taken) or list(texts[:1])


def _labels(texts: Sequence[Text]) -> dict[str, Array]:
    """Every yes/no concept of the texts' language over all of them; where nobody can tell it counts as no."""
    languages = [language_of(name) for name, _ in texts]
    common = max(set(languages), key=languages.count)
    found = {}
    for concept in concepts_for(common):
        if concept.kind == "yes/no":
            parts = [
                concept.label(text, language=common) & concept.valid(text, language=common).astype(bool)
                for _, text in texts
            ]
            found[concept.name] = np.concatenate(parts)
    return found


def _combine(labels: Mapping[str, Array], n_chars: int) -> tuple[list[str], Array, Array]:
    """(names, the combination of each character, which labels hold in each combination (n_labels, n_combinations))."""
    names = [name for name, label in labels.items() if label.any() and not label.all()]
    if not 1 <= len(names) <= MOST_CONCEPTS:
        raise InspectorError(f"{len(names)} labels vary in this text: 1 to {MOST_CONCEPTS} can make formulas.")
    packed = np.zeros(n_chars, np.uint64)
    for place, name in enumerate(names):
        packed |= labels[name].astype(np.uint64) << np.uint64(place)
    kinds, combinations = np.unique(packed, return_inverse=True)
    holds = (kinds >> np.arange(len(names), dtype=np.uint64)[:, None]) & np.uint64(1)
    return names, combinations, holds.astype(bool)


def _explained(
    combinations: Sequence[Array], bins: Sequence[Array], names: Sequence[str], holds: Array, edges: Array
) -> dict[str, Any]:
    """The best formula of the first part, scored on the second."""
    n_bins = edges.size + 1
    counts = [
        np.bincount(which * n_bins + place, minlength=holds.shape[1] * n_bins).reshape(-1, n_bins).astype(np.float32)
        for which, place in zip(combinations, bins, strict=True)
    ]  # (combinations, bins) of each part
    named = _search(counts[0], names, holds)
    if named is None:
        undefined = dict.fromkeys(("threshold", "auroc", "coverage", "precision"), np.nan)
        return {"formula": "", "n_concepts": 0, "polarity": 1, "score": 0.0, "choose_score": 0.0, **undefined}
    formula, choose_score, cut, polarity = named
    inside, every = formula.holds @ counts[1], counts[1].sum(axis=0)
    on = slice(cut, None) if polarity > 0 else slice(None, cut)
    hits, n_on, n_holds = (float(total) for total in (inside[on].sum(), every[on].sum(), inside.sum()))
    score = float(_matthews(np.array(hits), np.array(n_on), np.array(n_holds), float(every.sum())))
    outside = every - inside
    pairs = n_holds * float(outside.sum())
    above = float((inside * (np.cumsum(outside) - outside / 2)).sum()) / pairs if pairs else 0.5
    threshold = edges[cut - 1] if polarity > 0 else np.nextafter(edges[cut - 1], np.float32(-np.inf))
    return {
        "formula": formula.words, "n_concepts": formula.n_concepts, "polarity": polarity, "score": score,
        "choose_score": choose_score, "threshold": float(threshold), "auroc": above if polarity > 0 else 1 - above,
        "coverage": hits / n_on if n_on else 0.0, "precision": hits / n_holds if n_holds else 0.0,
    }  # fmt: skip


def _search(counts: Array, names: Sequence[str], holds: Array) -> _Named | None:
    """Beam search over formulas; None where no label varies enough or the trace is constant."""
    atoms = holds.astype(np.float32)
    singles = atoms @ counts  # (labels, bins)
    every = counts.sum(axis=0)
    scores, cuts, signs = _judge(singles, every)
    order = _best(scores, singles, every)
    beam = [Formula(names[i], 1, holds[i]) for i in order]
    if scores[order[0]] <= 0:
        return None
    best = _Named(beam[0], float(scores[order[0]]), int(cuts[order[0]]), int(signs[order[0]]))
    for length in range(2, _LONGEST + 1):
        grown = np.concatenate([_grown(formula.holds, atoms, singles, counts, every) for formula in beam])
        scores, cuts, signs = _judge(grown, every)
        order = _best(scores, grown, every)
        beam = [_joined(beam[i // (4 * len(names))], i % (4 * len(names)), names, holds) for i in order.tolist()]
        if scores[order[0]] < best.choose_score + GAIN:
            break
        first = order[0]
        best = _Named(beam[0]._replace(n_concepts=length), float(scores[first]), int(cuts[first]), int(signs[first]))
    return best


def _best(scores: Array, inside: Array, every: Array) -> Array:
    """Places of the best; a formula and its opposite score the same, and the one that holds less often says more."""
    is_most = inside.sum(axis=1) > every.sum() / 2
    order: Array = np.argsort(1e-4 * is_most - scores, kind="stable")[:BEAM]
    return order


def _grown(held: Array, atoms: Array, singles: Array, counts: Array, every: Array) -> Array:
    """Histograms (4 x labels, bins) of a formula with each operator and label, in the order of `_OPERATORS`."""
    both, alone = atoms[:, held] @ counts[held], held @ counts
    return np.concatenate([both, alone - both, alone + singles - both, every - singles + both])


def _joined(formula: Formula, place: int, names: Sequence[str], holds: Array) -> Formula:
    operator, label = divmod(place, len(names))
    other = ~holds[label] if operator % 2 else holds[label]
    held = formula.holds & other if operator < 2 else formula.holds | other
    left = formula.words if formula.n_concepts == 1 else f"({formula.words})"
    return Formula(f"{left} {_OPERATORS[operator]} {names[label]}", formula.n_concepts + 1, held)


def _judge(inside: Array, every: Array) -> tuple[Array, Array, Array]:
    """For histograms (formulas, bins) the best |Matthews|, the bin from which on it is, and the sign there."""
    hits = np.cumsum(inside[:, ::-1], axis=1)[:, ::-1][:, 1:]  # at or above each inner edge
    n_on = np.cumsum(every[::-1])[::-1][1:]
    n_holds, n = inside.sum(axis=1, keepdims=True), float(every.sum())
    if not n_on.size:
        return np.zeros(len(inside)), np.zeros(len(inside), int), np.ones(len(inside), int)
    scores = _matthews(hits, n_on, n_holds, n)
    scores[((n_holds < LEAST_POSITIVE) | (n - n_holds < LEAST_POSITIVE))[:, 0]] = 0
    best = np.abs(scores).argmax(axis=1)
    height = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
    return np.abs(height), best + 1, np.where(height >= 0, 1, -1)


def _matthews(hits: Array, n_on: Array, n_holds: Array, n: float) -> Array:
    """Matthews' correlation of two properties from how often both and each of them occur; 0 where one is constant.

    Matthews 1975, Biochimica et Biophysica Acta 405.
    """
    on, held = n_on / n, n_holds / n
    spread = np.sqrt(np.maximum(on * (1 - on) * held * (1 - held), 0))
    found: Array = np.divide(hits / n - on * held, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    return found
