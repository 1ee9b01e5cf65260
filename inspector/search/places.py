"""Neurons -> places: where else in a recording some neurons are on together, as they are in a marked stretch.

    conditions   1:42 cell >= 0.31, 1:7 hidden <= -0.60
    a place      a stretch as long as all of them hold
    its overlap  with the mark: of what is on in either, laid start to start with a little before and after, how much
                 is on in both

Traces are read one after the other, whole. Knows arrays and recordings, no concept and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.recording import InspectorError, Neuron, Recording

MOST_CONDITIONS = 16
_COMPARED = 4000  # places whose patterns are compared character by character; those of most alike length
_BRIDGED = 10  # a gap shorter than this part of the mark ends no place
_WIDEST = 400  # characters of a place that are compared

Stretch = tuple[int, int]
Bits = NDArray[np.bool_]


class Condition(NamedTuple):
    """A neuron is on where `polarity * value >= polarity * threshold`."""

    neuron: Neuron
    signal: str
    polarity: int
    threshold: float

    def __str__(self) -> str:
        return f"{self.neuron} {self.signal} {'at least' if self.polarity > 0 else 'at most'} {self.threshold:.3g}"


@dataclass(frozen=True)
class Places:
    """What `find_places` found.

    table : best first: `start, stop`; `overlap` with the mark, 0 to 1 (nan without a mark); `length` in characters;
        `document, line, column` of its start; `before, text, after`: what stands there.
    n_places : how many there are in all, in the table or not.
    relaxed : one row for each condition, and one for the length: `condition`; `n_chars`, for how many characters it
        holds elsewhere (nan for the length); `n_places` that are found with it left out (nan for an only condition);
        `loosest`: the threshold nearest to its own with which one more place is found while the others stay as they
        are (nan where there is none).
    most : how many conditions hold together elsewhere, at most, and at how many places.
    """

    table: pd.DataFrame
    n_places: int
    relaxed: pd.DataFrame
    most: tuple[int, int]

    def said(self) -> str:
        """How many places there are; where there is none, which condition failed and what there is without it."""
        if self.n_places:
            return f"{_places(self.n_places)} elsewhere."
        *conditions, length = self.relaxed.to_dict("records")
        if length["n_places"]:
            return f"Nothing found: they hold together elsewhere, but never for as long. {_without(length)}"
        dead = [row for row in conditions if row["n_chars"] == 0]
        best = dead[0] if dead else max(conditions, key=lambda row: row["n_places"])
        why = f"“{best['condition']}” holds nowhere else" if dead else "each holds elsewhere, but never all together"
        if best["n_places"] or len(conditions) == 1:
            return f"Nothing found: {why}. {_without(best)}"
        most, n_most = self.most
        return f"Nothing found: {why}. At most {most} of {len(conditions)} hold together, at {_places(n_most)}."


def _without(row: dict[str, Any]) -> str:
    """What is found with a condition relaxed."""
    nearest = "" if np.isnan(row["loosest"]) else f"With the threshold {row['loosest']:.3g} one would be found"
    if np.isnan(row["n_places"]):
        return f"{nearest}."
    left_out = f"without “{row['condition']}” there are {_places(row['n_places'])}"
    return f"{nearest}; {left_out}." if nearest else f"{left_out[0].upper()}{left_out[1:]}."


def _places(n: float) -> str:
    return f"{int(n):,} place{'s' * (n != 1)}"


def conditions_of(table: pd.DataFrame, n: int = 3) -> list[Condition]:
    """The first n rows of `find_neurons`, each neuron once, as conditions."""
    first = table.drop_duplicates(["layer", "unit"]).head(n)
    return [
        Condition(Neuron(int(row.layer), int(row.unit)), str(row.signal), int(row.polarity), float(row.threshold))
        for row in first.itertuples()
    ]


def find_places(
    recording: Recording,
    conditions: Sequence[Condition],
    *,
    mark: Stretch | None = None,
    least: int = 1,
    n: int = 50,
    context: int = 40,
) -> Places:
    """Find the other stretches in which all neurons are on at once, the most similar first.

    >>> table = find_neurons(recording, [(120, 131)])
    >>> find_places(recording, conditions_of(table), mark=(120, 131)).table.head(3)

    Parameters
    ----------
    conditions : when each neuron counts as on; from 1 to `MOST_CONDITIONS`. `conditions_of` takes them from a table.
    mark : the stretch that places are compared with, and that is itself no place. Places are ranked by the overlap of
        their pattern of on and off with that of the mark. None ranks by length, the longest first.
    least : fewest characters of a place. A gap shorter than a tenth of the mark is bridged.
    n : most rows of the table. context : characters of text before and after a place in it.

    Returns `Places`; none found is no error: `said()` tells why and what would be found.
    Raises InspectorError for a neuron, signal or mark that does not exist, and for too many conditions or none.
    """
    _check(recording, conditions, mark)
    on = np.stack([_holds(recording, condition) for condition in conditions])  # (conditions, n_chars)
    starts = np.array([document.start for document in recording.documents], dtype=np.int64)
    bridge = 0 if mark is None else (mark[1] - mark[0]) // _BRIDGED
    missing = len(on) - on.sum(axis=0, dtype=np.uint8)
    every = _runs(missing == 0, starts, mark, bridge)
    found = every[every[:, 1] - every[:, 0] >= least]
    overlap = np.full(len(found), np.nan)
    if mark is None:
        found = found[np.argsort(found[:, 0] - found[:, 1], kind="stable")]
    elif len(found):
        found, overlap = _ranked(on, found, mark)

    def count(wanted: Bits) -> int:
        runs = _runs(wanted, starts, mark, bridge)
        return int((runs[:, 1] - runs[:, 0] >= least).sum())

    elsewhere = np.ones(recording.n_chars, dtype=bool)
    if mark is not None:
        elsewhere[mark[0] : mark[1]] = False
    together = ((met, count(missing <= len(on) - met)) for met in range(len(on), 0, -1))
    most = next((found_at for found_at in together if found_at[1]), (0, 0))
    relaxed = pd.DataFrame(
        [
            {
                "condition": str(condition),
                "n_chars": int((holds & elsewhere).sum()),
                "n_places": count(missing - ~holds == 0) if len(on) > 1 else np.nan,
                "loosest": _loosest(recording, condition, (missing - ~holds == 0) & ~holds & elsewhere),
            }
            for condition, holds in zip(conditions, on, strict=True)
        ]
        + [{"condition": f"{least} characters or more", "n_chars": np.nan, "n_places": len(every), "loosest": np.nan}]
    )
    return Places(_described(recording, found[:n], overlap[:n], context), len(found), relaxed, most)


def _check(recording: Recording, conditions: Sequence[Condition], mark: Stretch | None) -> None:
    if not 1 <= len(conditions) <= MOST_CONDITIONS:
        raise InspectorError(f"{len(conditions)} neurons were named: name 1 to {MOST_CONDITIONS} of them.")
    for condition in conditions:
        recording.check_neuron(condition.neuron, condition.signal)
    if mark is not None and not 0 <= mark[0] < mark[1] <= recording.n_chars:
        raise InspectorError(
            f"The mark {mark[0]}-{mark[1]} is not a stretch of this text: it has {recording.n_chars} characters, so "
            f"mark 0 <= start < stop <= {recording.n_chars}."
        )


def _holds(recording: Recording, condition: Condition) -> Bits:
    trace = recording.trace(condition.neuron, condition.signal)
    return trace >= condition.threshold if condition.polarity > 0 else trace <= condition.threshold


def _runs(on: Bits, starts: NDArray[np.int64], mark: Stretch | None, bridge: int) -> NDArray[np.int64]:
    """(start, stop) of every stretch that is on, ended by documents; none that touches the mark."""
    begins = np.zeros(on.size + 1, dtype=bool)
    begins[starts[starts < on.size]] = True
    padded = np.concatenate([[False], on, [False]])
    firsts = np.flatnonzero(padded[1:] & (begins | ~padded[:-1]))
    lasts = np.flatnonzero(padded[:-1] & (begins | ~padded[1:]))
    if bridge and len(firsts) > 1:
        document = np.searchsorted(starts, firsts, side="right")
        apart = (firsts[1:] - lasts[:-1] >= bridge) | (document[1:] != document[:-1])
        firsts, lasts = firsts[np.append(True, apart)], lasts[np.append(apart, True)]
    found = np.stack([firsts, lasts], axis=1)
    return found if mark is None else found[(found[:, 1] <= mark[0]) | (found[:, 0] >= mark[1])]


def _ranked(on: Bits, places: NDArray[np.int64], mark: Stretch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places by falling overlap with the mark, and their overlaps; of very many those of most alike length."""
    wanted, lengths = mark[1] - mark[0], places[:, 1] - places[:, 0]
    alike = np.minimum(lengths, wanted) / np.maximum(lengths, wanted)
    order = np.argsort(-alike, kind="stable")
    near, far = order[:_COMPARED], order[_COMPARED:]
    before = min(max(wanted // 2, 2), 50)
    width = min(2 * before + wanted, _WIDEST)
    steps = np.arange(-before, width - before)
    pattern = _pattern(on, np.array([mark[0]]), steps)
    overlaps = np.empty(len(near))
    for some in range(0, len(near), 500):  # so many at once, that memory stays small
        there = _pattern(on, places[near[some : some + 500], 0], steps)
        both, either = (there & pattern).sum(axis=(0, 2)), (there | pattern).sum(axis=(0, 2))
        overlaps[some : some + 500] = both / np.maximum(either, 1)
    overlaps *= np.where(np.maximum(lengths[near], wanted) > width - before, alike[near], 1.0)
    best = np.lexsort((-alike[near], -overlaps))
    rest = np.full(len(far), np.nan)  # not compared: less alike than all that were
    return places[np.concatenate([near[best], far])], np.concatenate([overlaps[best], rest])


def _pattern(on: Bits, starts: NDArray[np.int64], steps: NDArray[np.int64]) -> Bits:
    """(conditions, starts, steps): what is on at each step from each start; nothing beyond the text."""
    at = starts[:, None] + steps
    inside = (at >= 0) & (at < on.shape[1])
    found: Bits = on[:, np.clip(at, 0, on.shape[1] - 1)] & inside
    return found


def _loosest(recording: Recording, condition: Condition, near: Bits) -> float:
    """The value nearest to the threshold where only this condition is not met; nan where there is no such character."""
    if not near.any():
        return np.nan
    values = recording.trace(condition.neuron, condition.signal)[near]
    return float(values.max() if condition.polarity > 0 else values.min())


def _described(
    recording: Recording, places: NDArray[np.int64], overlap: NDArray[np.float64], context: int
) -> pd.DataFrame:
    rows = []
    for (start, stop), similar in zip(places.tolist(), overlap.tolist(), strict=True):
        document, line, column = recording.place(start)
        first, last = max(document.start, start - context), min(document.stop, stop + context)
        text = recording.text
        rows.append(
            (start, stop, similar, stop - start, document.name, line, column,
             text[first:start], text[start:stop], text[stop:last])
        )  # fmt: skip
    columns = ["start", "stop", "overlap", "length", "document", "line", "column", "before", "text", "after"]
    return pd.DataFrame(rows, columns=columns)
