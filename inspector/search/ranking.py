"""The search itself: every trace counted once, one table for each label, and what a row of it means in words.

A neuron's polarity and threshold are fixed on the choosing part; what is shown as `score` comes from the scoring part.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.recording import InspectorError, Recording
from inspector.search.candidates import Kept
from inspector.search.census import MAX_BLOCKS, N_CANDIDATES, Census, Row
from inspector.search.chance import q_values, shifted_p
from inspector.search.judging import Measures
from inspector.search.lanes import Lanes
from inspector.search.parts import Parts, checked, parts_of

SIGNIFICANT = 0.05  # q-value
LIMITS = {  # held-out score from which a neuron is called ...; correlation: of numbers or of yes/no (Matthews')
    "auroc": {"strong": 0.97, "clear": 0.90},
    "correlation": {"strong": 0.90, "clear": 0.75},
}
BASELINES = {"auroc": 0.5, "correlation": 0.0}  # what a neuron scores that knows nothing
COLUMNS = ("layer", "unit", "signal", "polarity", "score", "metric", "choose_score", "baseline", "twin_score",
           "q_value", "threshold", "f1", "average_precision", "matthews", "spearman", "prevalence", "p_value",
           "shift_p")  # fmt: skip

MIN_BLOCKS = 10  # of the scoring part for the jackknife, however short it is, and
_BLOCK = 500  # characters from which on it has more of them
_STRETCH = 4096  # characters folded at a time
_STRETCH_BYTES = 128 * 2**20

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
    progress : called with (characters done, characters in all).

    Returns
    -------
    DataFrame, one row per neuron and signal, best `choose_score` first:
    `layer, unit, signal`;
    `polarity` +1 or -1, the direction in which the label drives the value, fixed on the choosing part;
    `score` on the scoring part with that polarity, so it may fall below `baseline`; `metric` its name;
    `choose_score` on the choosing part, at least `baseline`;
    `twin_score` the held-out score of the neuron this search would pick in `twin`, the same in every row (nan without
    a twin): what the same search finds where nothing was learned;
    `p_value` by a jackknife over blocks of the scoring part, which leaves runs whole, and `q_value`: the share of false
    discoveries to expect among all rows (of all labels of one search) with a q_value this small (Benjamini-Hochberg);
    `shift_p` one number for the five best, nan for the rest: how often the best of them fits the shifted label as well;
    `threshold` in the neuron's own unit: it says yes at `polarity * value >= polarity * threshold`; the best F1 of the
    choosing part; `f1` and `matthews` (Matthews' correlation) with that threshold and `average_precision`, all on the
    scoring part (nan for graded labels); `spearman` on the scoring part (nan for yes/no labels);
    `prevalence` the share of the scored characters that have the label (nan for graded labels).

    In the first five rows of every table `score`, `f1`, `average_precision`, `matthews` and `spearman` are those of the
    values themselves, while the scored values of all these neurons take no more than 400 MB (of 200 neurons, those of
    500,000 characters); in the other rows, and beyond, F1 and Matthews are too, AUROC and Spearman are within 1e-3 of
    them, for values are put into 256 bins. So is average precision: of labels with few positives the highest and the
    lowest values of every neuron decide it, which are kept. Neurons and thresholds are chosen by bins in every row.
    Where it was chosen, the F1 of the best of all thresholds may be higher, by .03 where a label is rare; held out it
    is hardly better (`benchmarks/agreement.py`).

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

    labels : name -> (label, valid), at least one; otherwise as `rank_neurons`, whose table each name gets. One unusable
    label is an error that names it: ask `check_label` first where some may be.
    """
    if not labels:
        raise InspectorError("There is nothing to rank: name a label.")
    if twin is not None and twin.text != recording.text:
        raise InspectorError("The untrained twin has read another text: record the same text with it.")
    parts = parts_of(recording, choose)
    lanes = pack(labels, parts)
    census = _count(recording, lanes, parts, signals, progress)
    twin_scores = {}
    if twin is not None:
        twin_scores = best_scores(_count(twin, lanes, parts, signals, None, n_candidates=1))
    return tables_of(census, labels, twin_scores)


def best_scores(census: Census) -> dict[str, float]:
    """For each label the held-out score of the trace that the choosing part picks."""
    return {name: float(found.score[np.argmax(found.choose_score)]) for name, found in census.measures().items()}


def check_label(recording: Recording, label: Array, *, valid: Array | None = None, choose: Array | None = None) -> None:
    """Raise the InspectorError with which `rank_neurons` would refuse this label; return None if it can be ranked."""
    checked(label, valid, parts_of(recording, choose))


def verdict(row: Any) -> str:
    """Say in plain words how far a row of `rank_neurons` can be believed.

    strong, clear : held-out score from `LIMITS` on (AUROC .97 and .90, correlation .90 and .75); weak : below.
    Chance comes first: a q_value or shift_p above `SIGNIFICANT`, or a score not above the baseline, is no discovery.
    Then the untrained twin: what the same search finds in it was not learned.
    """
    limits = LIMITS[row["metric"]]
    strength = next((word for word, limit in limits.items() if row["score"] >= limit), "weak")
    if row["score"] <= row["baseline"]:
        return "weak: no better than chance"
    if row["q_value"] > SIGNIFICANT or row.get("shift_p", 0) > SIGNIFICANT:
        return f"{strength}, but this text is too short to rule out chance"
    if row["twin_score"] >= row["score"]:
        return f"{strength}, but an untrained network has a neuron as good"
    return strength


def pack(labels: Mapping[str, Label], parts: Parts) -> Lanes:
    """Check every label and pack them for a `Census`. One unusable label is an error that names it."""
    usable = {}
    for name, (label, valid) in labels.items():
        try:
            usable[name] = checked(label, valid, parts)
        except InspectorError as problem:
            raise InspectorError(f"{name}: {problem}" if name else str(problem)) from None
    return Lanes.of(usable, parts.score)


def tables_of(census: Census, labels: Mapping[str, Label], twin_scores: Mapping[str, float]) -> dict[str, pd.DataFrame]:
    """One table for each label that a census has counted, best first, false discoveries reckoned over all of them."""
    kept, measured = census.kept(), census.measures()
    rows, tables, shift_p = pd.DataFrame(census.rows), dict[str, pd.DataFrame](), _shift_p(kept, measured, labels)
    for name, (label, _) in labels.items():
        table = rows.assign(**measured[name]._asdict())
        table["polarity"] = table["polarity"].astype(int)
        table["metric"] = metric = "auroc" if np.asarray(label).dtype == bool else "correlation"
        table["baseline"] = BASELINES[metric]
        table["prevalence"] = census.prevalence(name)
        table["twin_score"] = twin_scores.get(name, math.nan)
        table["shift_p"] = shift_p[name]
        tables[name] = table
    every = np.concatenate([table["p_value"] for table in tables.values()])
    q_by_table = np.split(q_values(every), np.cumsum([len(table) for table in tables.values()])[:-1])
    return {
        name: table.assign(q_value=q).sort_values("choose_score", ascending=False, kind="stable", ignore_index=True)[
            list(COLUMNS)
        ]
        for (name, table), q in zip(tables.items(), q_by_table, strict=True)
    }


def _shift_p(kept: Kept, measured: Mapping[str, Measures], labels: Mapping[str, Label]) -> dict[str, Array]:
    """(rows,) of shift_p for each label: one number for its candidates, nan for the rest."""
    found = {name: np.full(len(of_label.score), math.nan) for name, of_label in measured.items()}
    if not len(kept.traces) or not len(kept.positions):
        return found
    alike: dict[bytes, list[str]] = {}  # labels that are valid at the same characters
    for name, (_, valid) in labels.items():
        usable = np.ones(0, bool) if valid is None else np.asarray(valid)[kept.positions]
        alike.setdefault(b"" if usable.all() else usable.tobytes(), []).append(name)
    for where, names in alike.items():
        here = np.flatnonzero(np.frombuffer(where, bool)) if where else slice(None)
        candidates = {}
        for name in names:
            order = np.argsort(-measured[name].choose_score[kept.traces], kind="stable")  # as in the table
            candidates[name] = order[:N_CANDIDATES]
        shifted = shifted_p(
            partial(kept.ranks, where=here),
            [np.asarray(labels[name][0])[kept.positions[here]].astype(np.float32) for name in names],
            [dict(zip(rows.tolist(), measured[name].polarity[kept.traces[rows]].tolist(), strict=True))
             for name, rows in candidates.items()],
        )  # fmt: skip
        for (name, rows), p in zip(candidates.items(), shifted, strict=True):
            found[name][kept.traces[rows]] = p
    return found


def _count(recording: Recording, lanes: Lanes, parts: Parts, signals: Sequence[str], progress: Progress | None,
           n_candidates: int = N_CANDIDATES) -> Census:  # fmt: skip
    """A census of a whole recording: the choosing part, then the scoring part, stretch by stretch."""
    wanted = _existing(recording, (signals,) if isinstance(signals, str) else signals)
    rows = [Row(layer, unit, signal) for layer, signal in wanted for unit in range(recording.layers[layer].n_units)]
    n_blocks = int(np.clip(parts.score.sum() // _BLOCK, MIN_BLOCKS, MAX_BLOCKS))
    census = Census(rows, lanes, n_blocks=n_blocks, n_candidates=n_candidates)
    size = max(min(_STRETCH_BYTES // (4 * len(rows)), _STRETCH), 1)

    def values(positions: Array) -> list[Array]:
        runs = [
            (int(run[0]), int(run[-1]) + 1) for run in np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
        ]
        windows = [[recording.window(layer, signal, *run) for run in runs] for layer, signal in wanted]
        return [each[0] if len(each) == 1 else np.concatenate(each, axis=1) for each in windows]

    census.calibrate(values(_spread(recording.n_chars, size)))
    done, total = 0, int(parts.choose.sum() + parts.score.sum())
    for part, blocks in ((parts.choose, 1), (parts.score, n_blocks)):
        for block, positions in enumerate(np.array_split(np.flatnonzero(part), blocks)):
            for start in range(0, len(positions), size):
                stretch = positions[start : start + size]
                census.fold(values(stretch), stretch, blocks=np.full(len(stretch), block))
                done += len(stretch)
                if progress is not None:
                    progress(done, total)
        if part is parts.choose:
            census.turn()
    return census


def _spread(n_chars: int, n: int) -> Array:
    """Up to n positions of the text in stretches from all over it, for the bins to be laid out by."""
    n_stretches = 16
    length = min(n, n_chars) // n_stretches
    if length < 16:
        return np.arange(min(n, n_chars))
    starts = np.linspace(0, n_chars - length, n_stretches).astype(np.int64)
    return np.unique((starts[:, None] + np.arange(length)).ravel())


def _existing(recording: Recording, signals: Sequence[str]) -> list[tuple[int, str]]:
    wanted = [(i, s) for i, layer in enumerate(recording.layers) for s in dict.fromkeys(signals) if s in layer.signals]
    if not wanted:
        existing = ", ".join(dict.fromkeys(s for layer in recording.layers for s in layer.signals))
        raise InspectorError(f"This recording has no signal {' or '.join(signals)}: it has {existing}.")
    return wanted
