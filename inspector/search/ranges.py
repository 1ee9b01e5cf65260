"""Range -> neurons: which neurons are on exactly in the marked stretches of a text and off around them.

    text       for name in ["ada", "alan"]:
    marked     ............####..#####.....
    a neuron   ............####..###.......    at its best threshold: precision 1, recall 7/9

Only the windows around the marks are read. It knows arrays and recordings; what was marked, and why, is the reader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspector.recording import InspectorError, Recording

MOST_CHARS = 4096  # of marks and their surroundings together
LEAST_AROUND, MOST_AROUND = 200, 2000  # characters on each side of a mark, where nothing else is asked for
MOST_MOVES, LEAST_MOVES = 19, 3  # how often the marks are moved to see what the best neuron makes of any such stretches
COLUMNS = ("layer", "unit", "signal", "polarity", "f1", "jaccard", "precision", "recall", "threshold", "contrast",
           "chance", "n_marked", "n_around")  # fmt: skip

Stretch = tuple[int, int]
Array = NDArray[Any]


def find_neurons(
    recording: Recording,
    marks: Sequence[Stretch],
    *,
    signals: Sequence[str] = ("hidden", "cell"),
    around: int | None = None,
) -> pd.DataFrame:
    """Rank every neuron by how exactly it is on in the marked stretches and off around them.

    >>> find_neurons(recording, [(120, 131), (140, 155)]).head(3)

    Parameters
    ----------
    marks : (start, stop) of each stretch, code points; they may touch and overlap. In all at most half of `MOST_CHARS`.
    signals : the signals to search; layers that lack one are passed over, none anywhere is an error.
    around : characters on each side of a mark in which a neuron should be off, as far as the document goes; None for
        twice the longest mark, from `LEAST_AROUND` to `MOST_AROUND`. Less where there are so many marks that together
        they would pass `MOST_CHARS`.

    Returns
    -------
    DataFrame, one row per neuron and signal, best first (F1, then contrast):
    `polarity` and `threshold`, in the neuron's own unit, with the best F1: the neuron counts as on where
    `polarity * value >= polarity * threshold`; the threshold lies half-way between the values that it parts;
    `f1, jaccard, precision, recall` of being on against being marked, over `n_marked` marked characters and `n_around`
    others. They are of the very text the threshold was chosen on: a description of this place, no estimate for others;
    `contrast` : mean inside less mean around, in standard deviations of the whole, with that polarity;
    `chance` : the F1 that the best neuron reaches for the same marks moved elsewhere among these characters (the
    median of 3 to 19 moves, fewer where there are more characters), the same in every row.

    A constant neuron is on everywhere: recall 1, contrast 0.

    Raises
    ------
    InspectorError : no mark, one that is empty or leaves the text, marks that are too long, or nothing around them.
    """
    windows = surroundings(recording, marks, around)
    marked = np.concatenate([_marked(marks, start, stop) for start, stop in windows])
    if marked.all():
        raise InspectorError("Everything is marked: leave some text around the marks in which neurons can be off.")
    moved = _moved(marked)
    tables, best = [], np.zeros(len(moved))
    for layer, kept in enumerate(recording.layers):
        for signal in signals:
            if signal not in kept.signals:
                continue
            parts = [recording.window(layer, signal, start, stop) for start, stop in windows]
            values = np.concatenate(parts, axis=1)  # (n_units, n_chars of the windows)
            table, reached = _judge(values, marked, moved)
            best = np.maximum(best, reached)
            tables.append(table.assign(layer=layer, unit=np.arange(len(table)), signal=signal))
    if not tables:
        raise InspectorError(f"This recording holds none of the signals {', '.join(signals)}: record them first.")
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(chance=float(np.median(best)), n_marked=int(marked.sum()), n_around=int((~marked).sum()))
    return table.sort_values(["f1", "contrast"], ascending=False, ignore_index=True, kind="stable")[list(COLUMNS)]


def surroundings(recording: Recording, marks: Sequence[Stretch], around: int | None = None) -> list[Stretch]:
    """The windows that `find_neurons` looks at: the marks with some text on each side, joined where they meet.

    A window does not leave the document of its mark. Raises InspectorError for marks that cannot be searched.
    """
    if not len(marks):
        raise InspectorError("Nothing is marked: mark at least one stretch of the text.")
    for mark in marks:
        try:
            start, stop = map(index, mark)
        except (TypeError, ValueError):
            raise InspectorError(f"{mark!r} is no mark: each is (start, stop), two whole numbers.") from None
        if not 0 <= start < stop <= recording.n_chars:
            raise InspectorError(
                f"The mark {start}-{stop} is not a stretch of this text: it has {recording.n_chars} characters, so "
                f"mark 0 <= start < stop <= {recording.n_chars}."
            )
    longest, n_marked = max(stop - start for start, stop in marks), sum(stop - start for start, stop in _joined(marks))
    if n_marked > MOST_CHARS // 2:
        raise InspectorError(
            f"{n_marked:,} characters are marked, and {MOST_CHARS // 2:,} at most can be searched for: mark less, or "
            "rank neurons for a concept that says what the marks have in common."
        )
    if around is None:
        around = min(max(2 * longest, LEAST_AROUND), MOST_AROUND)
    around = min(around, (MOST_CHARS - n_marked) // (2 * len(marks)))
    windows = []
    for start, stop in marks:
        first, last = recording.document_at(start), recording.document_at(stop - 1)
        windows.append((max(start - around, first.start), min(stop + around, last.stop)))
    return _joined(windows)


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    """In order, those that touch or overlap made one."""
    found: list[Stretch] = []
    for start, stop in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def _marked(marks: Sequence[Stretch], start: int, stop: int) -> NDArray[np.bool_]:
    marked = np.zeros(stop - start, dtype=bool)
    for first, last in marks:
        marked[max(first - start, 0) : max(last - start, 0)] = True
    return marked


def _moved(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The marks moved round the windows by equal steps, (moves, n_chars)."""
    n_moves = min(max(2 * MOST_CHARS // marked.size, LEAST_MOVES), MOST_MOVES)
    steps = np.arange(1, n_moves + 1) * marked.size // (n_moves + 1)
    return np.stack([np.roll(marked, step) for step in steps])


class _Best(NamedTuple):
    """Of every neuron the best way to part its values, taken in ascending order."""

    f1: Array
    cut: Array  # values before it are below the threshold
    upwards: Array  # whether the values above are on


def _judge(values: Array, marked: NDArray[np.bool_], moved: NDArray[np.bool_]) -> tuple[pd.DataFrame, Array]:
    """One row for each of values (rows, n), and the best F1 of any of them for each way of moving the marks."""
    order = np.argsort(values, axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    parted = np.ones((len(values), values.shape[1] + 1), dtype=np.float32)  # 0 between equal values: no cut there
    parted[:, 1:-1] = ascending[:, 1:] > ascending[:, :-1]
    best = _best(marked[order], parted)
    reached = np.array([max(f1.max(initial=0) for f1 in _curves(label[order], parted)) for label in moved])
    n_on = np.where(best.upwards, values.shape[1] - best.cut, best.cut)
    n_marked = int(marked.sum())
    hits = best.f1 * (n_on + n_marked) / 2
    below = np.take_along_axis(ascending, np.maximum(best.cut - 1, 0)[:, None], axis=1)[:, 0].astype(np.float64)
    above = np.take_along_axis(ascending, np.minimum(best.cut, values.shape[1] - 1)[:, None], axis=1)[:, 0]
    spread = values.std(axis=1, dtype=np.float64)
    contrast = values[:, marked].mean(axis=1, dtype=np.float64) - values[:, ~marked].mean(axis=1, dtype=np.float64)
    polarity = np.where(best.upwards, 1, -1)
    found = pd.DataFrame(
        {
            "polarity": polarity,
            "f1": best.f1,
            "jaccard": hits / (n_on + n_marked - hits),
            "precision": hits / np.maximum(n_on, 1),
            "recall": hits / n_marked,
            "threshold": (below + above) / 2,
            "contrast": polarity * np.divide(contrast, spread, out=np.zeros_like(spread), where=spread > 0),
        }
    )
    return found, reached


def _best(label: NDArray[np.bool_], parted: Array) -> _Best:
    """label (rows, n): whether each value, in ascending order, is marked; parted (rows, n + 1): 0 where no cut is."""
    curves = _curves(label, parted)
    cuts = [f1.argmax(axis=1) for f1 in curves]
    heights = [np.take_along_axis(f1, cut[:, None], axis=1)[:, 0] for f1, cut in zip(curves, cuts, strict=True)]
    upwards = heights[0] >= heights[1]
    return _Best(np.maximum(*heights).astype(np.float64), np.where(upwards, *cuts), upwards)


def _curves(label: NDArray[np.bool_], parted: Array) -> tuple[Array, Array]:
    """F1 (rows, n + 1) of every cut where the values above it are on, and where those below are."""
    n = label.shape[1]
    below = np.zeros((len(label), n + 1), dtype=np.float32)  # marked values before each cut
    np.cumsum(label, axis=1, out=below[:, 1:])
    n_marked = below[0, -1]  # the same in every row
    cuts = np.arange(n + 1, dtype=np.float32)
    upwards = (n_marked - below) * (2 / (n - cuts + n_marked)) * parted
    below *= 2 / (cuts + n_marked)
    below *= parted
    return upwards, below
