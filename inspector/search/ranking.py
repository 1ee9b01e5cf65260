"""The search itself: every trace through every exam, one table for each label, and what a row of it means in words.

A neuron's polarity and threshold are fixed on the choosing part; what is shown as `score` comes from the scoring part.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.recording import InspectorError, Neuron, Recording
from inspector.search.chance import q_values
from inspector.search.parts import Parts, checked, parts_of
from inspector.search.scores import Exam, Graded, Measures, YesNo

SIGNIFICANT = 0.05  # q-value
LIMITS = {  # held-out score from which a neuron is called ...
    "auroc": {"strong": 0.97, "clear": 0.90},
    "correlation": {"strong": 0.90, "clear": 0.75},
}
BASELINES = {"auroc": 0.5, "correlation": 0.0}  # what a neuron scores that knows nothing
COLUMNS = ("layer", "unit", "signal", "polarity", "score", "metric", "choose_score", "baseline", "twin_score",
           "q_value", "threshold", "f1", "average_precision")  # fmt: skip

_GROUP_BYTES = 256 * 2**20  # traces held at a time

Array = NDArray[Any]
Label = tuple[Array, Array | None]  # label and where it is valid; None: everywhere
Progress = Callable[[int, int], object]


def rank_neurons(
    recording: Recording, label: Array, *, signals: Sequence[str] = ("hidden", "cell"), valid: Array | None = None,
    twin: Recording | None = None, choose: Array | None = None, progress: Progress | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Rank every neuron by how well it predicts a label, scored on text held out from the choice.

    >>> rank_neurons(recording, CONCEPTS["digit"].label(recording.text)).head(3)

    Parameters
    ----------
    label : bool ndarray (n_chars,), scored by AUROC, or float ndarray (n_chars,), scored by |Pearson r|.
    signals : the signals to search; layers that lack one are passed over, none anywhere is an error.
    valid : bool ndarray (n_chars,); characters where it is False count for nothing.
    twin : a recording of the same text by an untrained network of the same shape.
    choose : bool ndarray (n_chars,), True where neurons are chosen and False where they are scored; None: `split_text`.
    progress : called with (traces done, traces in all).

    Returns
    -------
    DataFrame, one row per neuron and signal, best `choose_score` first:
    `layer, unit, signal`;
    `polarity` +1 or -1, the direction in which the label drives the value, fixed on the choosing part;
    `score` on the scoring part with that polarity, so it may fall below `baseline`; `metric` its name;
    `choose_score` on the choosing part, at least `baseline`;
    `twin_score` the held-out score of the neuron this search would pick in `twin`, the same in every row (nan without
    a twin): what the same search finds where nothing was learned;
    `q_value` the share of false discoveries to expect among all rows with a q_value this small (Benjamini-Hochberg);
    `threshold` in the neuron's own unit: it says yes at `polarity * value >= polarity * threshold`; the best F1 of the
    choosing part; `f1` with that threshold and `average_precision`, both on the scoring part (nan for graded labels).

    A constant neuron scores the baseline with polarity +1 and q_value 1.

    Raises
    ------
    InspectorError : label of another length or type, nan in it, or too few stretches of it to say anything.
    """
    labels = {"": (label, valid)}
    return rank_labels(recording, labels, signals=signals, twin=twin, choose=choose, progress=progress)[""]


def rank_labels(
    recording: Recording, labels: Mapping[str, Label], *, signals: Sequence[str] = ("hidden", "cell"),
    twin: Recording | None = None, choose: Array | None = None, progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Rank every neuron for many labels in one pass over the values.

    >>> tables = rank_labels(recording, {"digit": (digit, None), "string": (string, string_valid)})

    labels : name -> (label, valid); otherwise as `rank_neurons`, whose table each name gets. One unusable label is an
    error that names it: ask `check_label` first where some may be.
    """
    if twin is not None and twin.text != recording.text:
        raise InspectorError("The untrained twin has read another text: record the same text with it.")
    parts = parts_of(recording, choose)
    exams = _exams(recording, labels, parts)
    tables = _examine(recording, exams, signals, progress)
    twin_tables = {} if twin is None else _examine(twin, exams, signals, None)
    for name, table in tables.items():
        table["twin_score"] = twin_tables[name]["score"].iloc[0] if twin_tables else math.nan
    return {name: tables[name][list(COLUMNS)] for name in labels}


def check_label(recording: Recording, label: Array, *, valid: Array | None = None, choose: Array | None = None) -> None:
    """Raise the InspectorError with which `rank_neurons` would refuse this label; return None if it can be ranked."""
    checked(label, valid, parts_of(recording, choose))


def verdict(row: Any) -> str:
    """Say in plain words how far a row of `rank_neurons` can be believed.

    strong, clear : held-out score from `LIMITS` on (AUROC .97 and .90, correlation .90 and .75); weak : below.
    Chance comes first: a q_value above `SIGNIFICANT`, or a score not above the baseline, is no discovery. Then the
    untrained twin: what the same search finds in it was not learned.
    """
    limits = LIMITS[row["metric"]]
    strength = next((word for word, limit in limits.items() if row["score"] >= limit), "weak")
    if row["score"] <= row["baseline"]:
        return "weak: no better than chance"
    if row["q_value"] > SIGNIFICANT:
        return f"{strength}, but this text is too short to rule out chance"
    if row["twin_score"] >= row["score"]:
        return f"{strength}, but an untrained network has a neuron as good"
    return strength


def _exams(recording: Recording, labels: Mapping[str, Label], parts: Parts) -> list[Exam]:
    """Check every label, and put those of one kind that are valid at the same characters into one exam."""
    groups: dict[tuple[str, bytes], list[tuple[str, Array, Array]]] = {}
    for name, (label, valid) in labels.items():
        try:
            label, valid = checked(label, valid, parts)
        except InspectorError as problem:
            raise InspectorError(f"{name}: {problem}" if name else str(problem)) from None
        metric = "auroc" if label.dtype == bool else "correlation"
        groups.setdefault((metric, np.packbits(valid).tobytes()), []).append((name, label, valid))
    exams: list[Exam] = []
    for (metric, _), members in groups.items():
        valid = members[0][2]
        choose, score = np.flatnonzero(parts.choose & valid), np.flatnonzero(parts.score & valid)
        stacked = np.stack([label for _, label, _ in members])  # (labels, n_chars)
        kind = YesNo if metric == "auroc" else Graded
        exams.append(kind(tuple(name for name, *_ in members), choose, score, stacked))
    return exams


def _examine(
    recording: Recording, exams: list[Exam], signals: Sequence[str], progress: Progress | None
) -> dict[str, pd.DataFrame]:
    """Put every trace through every exam; -> one table per label, without twin_score."""
    wanted = _existing(recording, (signals,) if isinstance(signals, str) else signals)
    n_traces = sum(recording.layers[layer].n_units for layer, _ in wanted)
    rows: list[tuple[int, int, str]] = []
    results: list[list[Array]] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # sorting and transforms let go of the interpreter's lock
        for layer, signal in wanted:
            for units, traces in _groups(recording, layer, signal):
                measured = pool.map(partial(_measure, exams), units, traces, repeat(layer), repeat(signal))
                for unit, result in zip(units, measured, strict=True):
                    rows.append((layer, unit, signal))
                    results.append(result)
                    if progress is not None:
                        progress(len(rows), n_traces)
    tables = {}
    for exam, of_exam in zip(exams, zip(*results, strict=True), strict=True):
        measures = np.stack(of_exam)  # (traces, labels, measures)
        for i, name in enumerate(exam.names):
            tables[name] = _table(rows, exam.metric, measures[:, i])
    return tables


def _measure(exams: list[Exam], unit: int, trace: Array, layer: int, signal: str) -> list[Array]:
    if not np.isfinite(trace).all():
        raise InspectorError(
            f"The {signal} of neuron {Neuron(layer, unit)} is nan or infinite at some characters and cannot be ranked: "
            "its network or the recording is broken; check both."
        )
    return [exam.measure(trace) for exam in exams]


def _table(rows: list[tuple[int, int, str]], metric: str, measures: Array) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["layer", "unit", "signal"])
    values = pd.DataFrame(measures, columns=list(Measures._fields))
    table = pd.concat([table, values.drop(columns="p_value")], axis=1)
    table["polarity"] = table["polarity"].astype(int)
    table["metric"] = metric
    table["baseline"] = BASELINES[metric]
    table["q_value"] = q_values(values["p_value"].to_numpy())
    return table.sort_values("choose_score", ascending=False, kind="stable", ignore_index=True)


def _existing(recording: Recording, signals: Sequence[str]) -> list[tuple[int, str]]:
    wanted = [(i, s) for i, layer in enumerate(recording.layers) for s in dict.fromkeys(signals) if s in layer.signals]
    if not wanted:
        existing = ", ".join(dict.fromkeys(s for layer in recording.layers for s in layer.signals))
        raise InspectorError(f"This recording has no signal {' or '.join(signals)}: it has {existing}.")
    return wanted


def _groups(recording: Recording, layer: int, signal: str) -> Iterator[tuple[range, Sequence[Array]]]:
    """Yield (units, traces) in groups of bounded size: a whole layer at once if it fits."""
    n_units, n_chars = recording.layers[layer].n_units, recording.n_chars
    size = max(_GROUP_BYTES // (4 * n_chars), os.cpu_count() or 1)
    if size >= n_units:
        yield range(n_units), list(recording.window(layer, signal, 0, n_chars))
        return
    for start in range(0, n_units, size):
        units = range(start, min(start + size, n_units))
        yield units, [recording.trace(Neuron(layer, unit), signal) for unit in units]
