"""The survey folder beside a network as tables: scores, spread of values, passages and relatives of every neuron.

    neurons.parquet ──► scores      statistics.parquet ──► statistics      passages.parquet ──► passages
    correlations.npz ─► kin, and the places of a map on which neurons lie close that go up and down together
    explanations.parquet, where `inspector explain` made it ──► what explains each neuron: a formula or a graded concept

A file that cannot be read takes with it what is in it, and nothing else. Knows files and columns. Knows nothing about
pages or Streamlit, and keeps nothing: `data/` does.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dashboard.evidence import skill
from inspector.recording import InspectorError, Neuron
from inspector.search import verdict

STATES = ("hidden", "cell")
CLEAR = ("strong", "clear")  # verdicts on a neuron that clearly follows its best concept

_NEURON = ["layer", "unit"]
_NAMED = 4  # concepts of which a survey had too little that are named in a sentence
_EXPLANATIONS = 2  # the newest version of them that is read; 1 had formulas alone
_SPREAD = ["signal", "lowest", "highest", "median", "histogram", "low_share", "high_share"]
_NO_SCORES = pd.DataFrame(columns=["concept", "signal", "metric"]).assign(
    **dict.fromkeys(["layer", "unit", "polarity"], pd.Series(dtype=int)),
    **dict.fromkeys(
        ["score", "choose_score", "baseline", "twin_score", "skill", "choose_skill"], pd.Series(dtype=float)
    ),
)
_TORN = (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Passage:
    """A short piece of a surveyed file around one character, and what the neuron's signal was after reading it.

    at : where in `text` the character stands. line : its line in `file`, counted from 1. row : of the survey's table.
    """

    kind: str
    value: float
    file: str
    line: int
    text: str
    at: int
    row: int = -1

    @property
    def first_line(self) -> int:
        """Number of the line in which the piece begins."""
        return self.line - self.text.count("\n", 0, self.at)

    def start_in(self, content: str) -> int | None:
        """Where the piece begins in a text, at its line; None where this is not that text."""
        if self.line < 1:
            return None
        begins = 0
        for _ in range(self.line - 1):
            begins = content.find("\n", begins) + 1
            if begins == 0:
                return None
        ends = content.find("\n", begins)
        start = content.find(self.text, max(begins - self.at, 0))
        is_there = start >= 0 and start + self.at <= (len(content) if ends < 0 else ends)
        return start if is_there and self.text else None


class Relative(NamedTuple):
    """Another neuron, and how closely its values go with the first one's: Pearson's r."""

    neuron: Neuron
    r: float


@dataclass(frozen=True)
class Findings:
    """What a survey says of all neurons.

    scores : a row for each concept and neuron: that of the signal which did better where neurons were chosen, with
        `skill`, the share of the way to a perfect score from the better of chance and the untrained twin, and
        `choose_skill`, the same where it was chosen.
    overview : a row for each neuron, its best concept's columns beside some of its statistics, and x, y on the map; nan
        where that was lost.
    explanations : a row for each neuron with its formula, as `inspector explain` wrote it; None where it did not.
        The formula of one whose `kind` is "graded" is the concept that it follows.
    lost : of "scores", "statistics", "passages", "correlations" and "explanations", those that cannot be shown, each
        with a sentence that says why. Lost scores have no rows, and no neuron of the overview has a concept; what needs
        one of the next three raises InspectorError with the sentence.
    """

    scores: pd.DataFrame
    overview: pd.DataFrame
    explanations: pd.DataFrame | None
    lost: Mapping[str, str]
    _parts: Mapping[str, Any]

    def _part(self, name: str) -> Any:
        if name in self.lost:
            raise InspectorError(self.lost[name])
        return self._parts[name]

    @property
    def statistics(self) -> pd.DataFrame:
        """A row for each neuron and signal, as the survey folder has them, with `kurtosis`."""
        found: pd.DataFrame = self._part("statistics")
        return found

    def about(self, neuron: Neuron, n: int = 6) -> pd.DataFrame:
        """The concepts a neuron follows best, by what was seen where neurons were chosen; scores are held out."""
        rows = self.scores[(self.scores.layer == neuron.layer) & (self.scores.unit == neuron.unit)]
        return rows.sort_values("choose_skill", ascending=False, kind="stable").head(n)

    def formula(self, neuron: Neuron) -> dict[str, Any] | None:
        """The formula or graded concept that best says how a neuron goes, with its scores; None where there is none."""
        if self.explanations is None:
            return None
        table = self.explanations
        rows = table[(table.layer == neuron.layer) & (table.unit == neuron.unit)].to_dict("records")
        return rows[0] if rows and rows[0]["formula"] else None

    def unexplained(self) -> pd.DataFrame:
        """Rows of the overview: neurons that follow no concept clearly, and that no formula explains."""
        is_told = self.overview.verdict.isin(CLEAR)
        if self.explanations is not None:
            explained = self.explanations[self.explanations.is_explained]
            names = (pd.MultiIndex.from_frame(table[_NEURON]) for table in (self.overview, explained))
            is_told |= next(names).isin(next(names))
        return self.overview[~is_told]

    def spread(self, neuron: Neuron, signal: str) -> pd.Series | None:
        """The statistics of one signal; None where the survey did not gather them."""
        table = self.statistics
        rows = table[(table.layer == neuron.layer) & (table.unit == neuron.unit) & (table.signal == signal)]
        return rows.iloc[0] if len(rows) else None

    def extent(self, neuron: Neuron, signal: str) -> float:
        """The 99th percentile of a signal's size, 1 where nothing is known: where the colours of a cell state end."""
        if "statistics" in self.lost or (row := self.spread(neuron, signal)) is None:
            return 1.0
        middles, counts = middles_of(row), np.asarray(row.histogram, np.float64)
        order = np.argsort(np.abs(middles))
        reached = np.cumsum(counts[order]) >= 0.99 * counts.sum()
        return float(np.abs(middles)[order][reached.argmax()]) or 1.0

    @property
    def files(self) -> list[str]:
        """Names of the files that passages are from."""
        return [str(name) for name in self._part("passages").file.unique()]

    def passages(self, neuron: Neuron, signal: str) -> list[Passage]:
        """The places kept for a neuron: strongest first within each kind."""
        table = self._part("passages")
        rows = table[(table.layer == neuron.layer) & (table.unit == neuron.unit) & (table.signal == signal)]
        return [
            Passage(str(row.kind), float(row.value), str(row.file), int(row.line), str(row.text), int(row.at), place)
            for place, row in zip(rows.index.tolist(), rows.itertuples(), strict=True)
        ]

    def kin(self, neuron: Neuron, signal: str, n: int = 6) -> tuple[list[Relative], list[Relative]]:
        """The neurons most alike and most opposite over the surveyed text, closest first."""
        neurons = list(zip(self.overview.layer, self.overview.unit, strict=True))
        matrix = self._part("correlations").get(signal)
        if matrix is None or (neuron.layer, neuron.unit) not in neurons:
            return [], []
        place = neurons.index((neuron.layer, neuron.unit))
        row = matrix[place] / 127
        order = [other for other in np.argsort(-row, kind="stable").tolist() if other != place]
        related = [Relative(Neuron(*map(int, neurons[other])), float(row[other])) for other in order]
        return [one for one in related[:n] if one.r > 0], [one for one in related[: -n - 1 : -1] if one.r < 0]


def open_findings(checkpoint: Path, place: str, network_hash: str) -> Findings:
    """Read the survey folder of a checkpoint.

    place : the checkpoint as one types it in a command. network_hash : explanations of other weights are left out;
    that the survey is of these is for the caller to see. What cannot be read is `lost`; raises InspectorError, with the
    command that helps, where neither scores nor statistics are to be had, so that no neuron is known.
    """
    folder = checkpoint / "survey"
    command = f"`python -m inspector survey --network {place}`"
    parts: dict[str, Any] = {}
    lost: dict[str, str] = {}
    try:
        scores = _scores(folder, place)
    except InspectorError as error:
        scores, lost["scores"] = _NO_SCORES, str(error)
    for file, read in _PARTS.items():
        name = file.partition(".")[0]
        try:
            parts[name] = read(folder / file)
        except FileNotFoundError:
            lost[name] = f"The survey of {place} is of an earlier version and has no {file}: {command} renews it."
        except _TORN:
            lost[name] = f"{file} in the survey of {place} is damaged: make it again with {command}."
    if {"scores", "statistics"} <= lost.keys():
        raise InspectorError(lost["scores"])
    explanations, unread = _explanations(folder, place, network_hash)
    if unread:
        lost["explanations"] = unread
    overview = _overview(scores, parts.get("statistics"), explanations)
    if any(one.shape != (len(overview), len(overview)) for one in parts.get("correlations", {}).values()):
        lost["correlations"] = f"correlations.npz in the survey of {place} is of other neurons: {command} renews it."
    is_placed = "correlations" not in lost
    overview["x"], overview["y"] = places_of(parts["correlations"]["hidden"]).T if is_placed else (math.nan, math.nan)
    return Findings(scores, overview, explanations, lost, parts)


def _statistics(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, columns=[*_NEURON, *_SPREAD]).astype({"signal": str})
    return table.assign(kurtosis=[kurtosis_of(row) for row in table.itertuples()])


def _passages(path: Path) -> pd.DataFrame:
    columns = [*_NEURON, "signal", "kind", "value", "file", "line", "text", "at"]
    return pd.read_parquet(path, columns=columns).astype({"signal": str, "kind": str, "file": str})


def _correlations(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        found = {name: kept[name] for name in kept.files}
    if "hidden" not in found:  # what the map is made of
        raise KeyError("hidden")
    return found


_PARTS = {"statistics.parquet": _statistics, "passages.parquet": _passages, "correlations.npz": _correlations}


def _explanations(folder: Path, place: str, network_hash: str) -> tuple[pd.DataFrame | None, str]:
    """The explanations made for these weights, and why those that lie there cannot be shown."""
    table, summary = folder / "explanations.parquet", folder / "explanations.json"
    if not (table.is_file() and summary.is_file()):
        return None, ""
    command = f"make them again with `python -m inspector explain --network {place}`."
    try:
        said = json.loads(summary.read_text(encoding="utf-8"))
        is_newer, is_of_it = said.get("version", 1) > _EXPLANATIONS, said["network_hash"] == network_hash
        found = pd.read_parquet(table) if is_of_it and not is_newer else None
        if found is not None:
            found = found.astype({"layer": int, "unit": int, "formula": object, "is_explained": bool})
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None, f"The explanations of {place} are damaged: {command}"
    if is_newer:
        words = "are of a newer version than this program knows: update it, or"
        return None, f"The explanations of {place} {words} {command}"
    return found, ""


def _scores(folder: Path, place: str) -> pd.DataFrame:
    from inspector.survey import open_found  # it brings torch, which takes a second

    command = f"`python -m inspector survey --network {place}`"
    try:
        found = open_found(folder / "neurons.parquet")
        if found.tables:
            return _best_signals(found.tables)
    except (InspectorError, *_TORN) as error:
        if isinstance(error, InspectorError) and error.__cause__ is None:  # it is newer than this program, and says so
            raise
        words = f"neurons.parquet in the survey of {place} is damaged: make it again with {command}."
        raise InspectorError(words) from error
    names = list(found.too_little)
    lacking = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    raise InspectorError(
        f"The survey of {place} could rank no neuron: its text has too little of {lacking or 'every concept'}. "
        f"Survey more text: {command}."
    )


def _best_signals(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Of each concept's ranking, every neuron by the signal that did better where neurons were chosen."""
    table = pd.concat([one.assign(concept=name) for name, one in tables.items()], ignore_index=True)
    best = table.sort_values("choose_score", ascending=False, kind="stable")
    best = best.drop_duplicates(["concept", *_NEURON]).astype(dict.fromkeys(_NEURON, int))
    for name in ("score", "choose_score"):
        best[name.replace("score", "skill")] = skill(best[name], best.baseline, best.twin_score)
    return best.reset_index(drop=True)


def _overview(scores: pd.DataFrame, statistics: pd.DataFrame | None, explanations: pd.DataFrame | None) -> pd.DataFrame:
    best = scores.sort_values("choose_skill", ascending=False, kind="stable").drop_duplicates(_NEURON)
    best = best.assign(verdict=[verdict(row) for row in best.to_dict("records")])
    columns = ["signal", "concept", "polarity", "score", "metric", "baseline", "twin_score", "skill",
               "choose_skill", "verdict"]  # fmt: skip
    table = best[_NEURON + columns]
    if statistics is None:
        unknown = dict.fromkeys(("kurtosis", "half_life", "open_share", "shut_share"), math.nan)
        table = table.assign(histogram=None, **unknown)
    else:
        hidden = statistics[statistics.signal == "hidden"][[*_NEURON, "histogram", "kurtosis"]]
        table = hidden.merge(table, on=_NEURON, how="left")
        keeps = statistics[statistics.signal.isin(("forget_gate", "update_gate"))].set_index(_NEURON)
        keeps = keeps.reindex(pd.MultiIndex.from_frame(table[_NEURON]))
        table["half_life"] = [half_life(value) for value in keeps["median"]]
        table["open_share"], table["shut_share"] = keeps.high_share.array, keeps.low_share.array
    table = table.sort_values(_NEURON, ignore_index=True)
    if explanations is None:
        return table.assign(formula=None)
    return table.merge(explanations[[*_NEURON, "formula"]], on=_NEURON, how="left")


def places_of(correlations: np.ndarray) -> np.ndarray:
    """Where neurons lie on a map, (n, 2): the two main axes of their correlations, each with its longest end positive.

    correlations : (n, n), int8 in steps of 1/127.
    """
    matrix = correlations.astype(np.float64) / 127
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))
    if axes.shape[1] < 2:  # a single neuron
        axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(2)])
    found: np.ndarray = axes * np.where(signs == 0, 1, signs)
    return found


def middles_of(row: object) -> np.ndarray:
    """The middle value of each step of a histogram."""
    edges = np.linspace(row.lowest, row.highest, len(row.histogram) + 1)  # type: ignore[attr-defined]
    return (edges[:-1] + edges[1:]) / 2


def kurtosis_of(row: object) -> float:
    """Excess kurtosis out of a row's histogram: 0 for a bell, large for a neuron that is rarely far from its rest."""
    counts = np.asarray(row.histogram, np.float64)  # type: ignore[attr-defined]
    middles = middles_of(row)
    if not counts.sum() or middles[0] == middles[-1]:
        return math.nan
    away = middles - np.average(middles, weights=counts)
    square = np.average(away**2, weights=counts)
    return float(np.average(away**4, weights=counts) / square**2 - 3) if square > 0 else math.nan


def half_life(kept: float) -> float:
    """After how many characters half of a state is left that is multiplied by `kept` at each: ln .5 / ln kept.

    nan where nothing is known, 0 for a gate that is shut, infinite for one that never lets go.
    """
    if math.isnan(kept):
        return math.nan
    if kept <= 0:
        return 0.0
    return math.inf if kept >= 1 else math.log(0.5) / math.log(kept)


def neighbours(overview: pd.DataFrame, neuron: Neuron, by: str) -> tuple[Neuron | None, Neuron | None]:
    """The neurons before and after one in the order of a column, largest first; None beyond the ends.

    Before one that has no value in that column comes the largest.
    """
    order = overview.dropna(subset=[by]).sort_values(by, ascending=False, kind="stable")
    neurons = [Neuron(int(layer), int(unit)) for layer, unit in zip(order.layer, order.unit, strict=True)]
    if neuron not in neurons:
        return next(iter(neurons), None), None
    place = neurons.index(neuron)
    return neurons[place - 1] if place else None, next(iter(neurons[place + 1 :]), None)
