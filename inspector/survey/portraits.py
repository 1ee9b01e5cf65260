"""What is drawn of every neuron, out of one more pass over the report files of a survey.

    passages.parquet ──► the values along each passage, so that it can be coloured without the text it is from
    report files     ──► how values depend on the place: in the line, and in the file

Kept in `portraits.npz` beside the tables. Owns that file. The values are of the states; gates have none.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from inspector.capture import record
from inspector.corpus import Text
from inspector.model import CharModel
from inspector.recording import InspectorError, Neuron, Recording

FILE = "portraits.npz"
FORMAT_VERSION = 1
COLUMNS = (*range(0, 16), *range(16, 80, 4), 80, 100)  # of a line: where groups of places begin
PLACES = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1200, 2000, 3000, 5000, 8000, 12000)
_NUMBERS = {"value": np.float32, "at": np.int64, "layer": np.int64, "unit": np.int64, "line": np.int64}
_WORDS = ("signal", "file", "text")  # with the numbers, what of a passage its portrait hangs on
_GROUP_CHARS = 60_000  # read side by side: as many values are held at once
_NEAR = 0.05  # how far a value read again may lie from the survey's, of its signal's extent
_STEPS = 15  # a colour is not seen more finely, and the file is half as large as with 127

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Portraits:
    """Values along passages, and means by place.

    values : int8 (passages, longest), in steps of scales[passage] / 15; rows as passages.parquet has them. A scale of
        0 says that the passage was not found again.
    counts : {"line" | "file": int (groups,)}: characters in each group of places.
    means, deviations : {(kind, signal): float (neurons, groups)}, neurons layer after layer; nan for an empty group.
    """

    network_hash: str
    passages_hash: str
    units: tuple[int, ...]
    values: np.ndarray
    scales: np.ndarray
    counts: dict[str, np.ndarray]
    means: dict[tuple[str, str], np.ndarray]
    deviations: dict[tuple[str, str], np.ndarray]

    def along(self, row: int, n_chars: int) -> np.ndarray | None:
        """The values along a passage: float32 (n_chars,); None where it was not found again."""
        if not self.scales[row] > 0:
            return None
        found: np.ndarray = self.values[row, :n_chars].astype(np.float32) * (self.scales[row] / _STEPS)
        return found

    def by_place(self, neuron: Neuron, signal: str, kind: str) -> pd.DataFrame | None:
        """How a signal depends on the place in the "line" or in the "file": `start, stop, mean, std, n`.

        A row for each group of places, from `start` to `stop`, in characters from the beginning; groups with fewer
        than 20 characters are left out. None for a signal that has none.
        """
        if (kind, signal) not in self.means:
            return None
        row = sum(self.units[: neuron.layer]) + neuron.unit
        starts = np.array(COLUMNS if kind == "line" else PLACES)
        table = pd.DataFrame(
            {
                "start": starts,
                "stop": np.append(starts[1:] - 1, starts[-1]),
                "mean": self.means[kind, signal][row].astype(np.float64),
                "std": self.deviations[kind, signal][row].astype(np.float64),
                "n": self.counts[kind],
            }
        )
        return table[table.n >= 20].reset_index(drop=True)

    def save(self, path: Path) -> None:
        """Write one file, in one step."""
        arrays = {"values": self.values, "scales": self.scales, "units": np.array(self.units)}
        arrays["about"] = np.array([str(FORMAT_VERSION), self.network_hash, self.passages_hash])
        arrays |= {f"count.{kind}": counts for kind, counts in self.counts.items()}
        for name, tables in (("mean", self.means), ("std", self.deviations)):
            arrays |= {f"{name}.{kind}.{signal}": table.astype(np.float16) for (kind, signal), table in tables.items()}
        partial = path.with_name(path.name + ".partial.npz")
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
        partial.replace(path)


def command_for(folder: Path, only: str = "") -> str:
    """What to type to have a survey folder made again, or a part of it."""
    return f"`python -m inspector survey --network {folder.parent}{only and f' --only {only}'}`"


def open_portraits(folder: str | Path) -> Portraits | None:
    """What `draw_portraits` wrote into a survey folder; None where it did not, or for other passages than lie there.

    Raises InspectorError when the file is damaged or newer than this program, or the passages cannot be read.
    """
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        version, *hashes = arrays["about"].tolist()
        if int(version) > FORMAT_VERSION:
            raise InspectorError(f"{path} is of a newer version than this program reads: update Charscope.")
        network_hash, passages_hash = hashes
        tables: dict[str, dict[tuple[str, str], np.ndarray]] = {"mean": {}, "std": {}}
        counts = {}
        for name, array in arrays.items():
            first, *rest = name.split(".")
            if first in tables:
                tables[first][rest[0], rest[1]] = array
            elif first == "count":
                counts[rest[0]] = array
        units = tuple(arrays["units"].tolist())
        found = Portraits(
            network_hash,
            passages_hash,
            units,
            arrays["values"],
            arrays["scales"],
            counts,
            tables["mean"],
            tables["std"],
        )
    except (OSError, KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InspectorError):
            raise
        raise InspectorError(f"{path} is damaged: make it again with {command_for(folder, 'portraits')}.") from error
    return found if passages_hash == _hash_of(_passages(folder)) else None


def draw_portraits(
    model: CharModel, report_files: Sequence[Text], folder: str | Path, *, on_progress: Report | None = None
) -> Portraits:
    """Read the files that a survey's passages are from once more; write `portraits.npz` into its folder.

    report_files : as the survey read them, cut where it stopped; those without a passage are left out.
    on_progress : called with (what is being done, characters done, all of them).

    Raises InspectorError when the passages are missing or damaged, or none of them is from these files.
    """
    folder = Path(folder)
    passages = _passages(folder)
    named = set(passages.file)
    texts = [text for text in report_files if text.name in named]
    if not texts:
        raise InspectorError(f"The passages in {folder} are from other files: give the corpus that was surveyed.")
    units = (model.config.n_units,) * model.config.n_layers
    signals = [name for name in ("hidden", "cell") if name in set(passages.signal)]
    drawing = _Drawing(passages, units, signals)
    total = sum(len(text) for _, text in texts)
    done = 0
    for group in _groups(texts):
        if on_progress is not None:
            on_progress("drawing", done, total)
        names, contents = zip(*group, strict=True)
        recording = record(model, list(contents), signals=tuple(signals), dtype="float16", names=list(names))
        drawing.take(recording)
        done += recording.n_chars
    found = drawing.finish(model.hash)
    found.save(folder / FILE)
    return found


def _groups(texts: Sequence[Text]) -> list[list[Text]]:
    groups: list[list[Text]] = []
    for text in texts:
        if not groups or sum(len(one.text) for one in groups[-1]) + len(text.text) > _GROUP_CHARS:
            groups.append([])
        groups[-1].append(text)
    return groups


class _Drawing:
    """The sums and values under way."""

    def __init__(self, passages: pd.DataFrame, units: tuple[int, ...], signals: Sequence[str]) -> None:
        self._passages, self._units, self._signals = passages, units, signals
        self._rows = {name: rows for name, rows in passages.groupby("file", sort=False)}
        self.values = np.zeros((len(passages), int(passages.text.map(len).max())), np.int8)
        self.scales = np.zeros(len(passages), np.float32)
        self._edges = {"line": np.array(COLUMNS), "file": np.array(PLACES)}
        self._counts = {kind: np.zeros(len(edges), np.int64) for kind, edges in self._edges.items()}
        shape = {kind: (sum(units), len(edges)) for kind, edges in self._edges.items()}
        self._sums = {(kind, signal): np.zeros((2, *shape[kind])) for kind in shape for signal in signals}

    def take(self, recording: Recording) -> None:
        for document in recording.documents:
            text = recording.text[document.start : document.stop]
            groups = {
                kind: np.searchsorted(self._edges[kind], places, side="right") - 1
                for kind, places in (("line", columns_of(text)), ("file", np.arange(len(text))))
            }
            members = {kind: np.eye(len(self._edges[kind]), dtype=np.float32)[of] for kind, of in groups.items()}
            for kind, of in members.items():
                self._counts[kind] += of.sum(axis=0).astype(np.int64)
            rows, places = self._rows[document.name], _Places(text)
            for layer, n_units in enumerate(self._units):
                first = sum(self._units[:layer])
                for signal in self._signals:
                    values = recording.window(layer, signal, document.start, document.stop)
                    for kind, of in members.items():
                        sums = self._sums[kind, signal][:, first : first + n_units]
                        sums[0] += values @ of
                        sums[1] += np.square(values) @ of
                    mine = rows[(rows.layer == layer) & (rows.signal == signal)]
                    self._colour(mine, values, places)

    def _colour(self, passages: pd.DataFrame, values: np.ndarray, places: _Places) -> None:
        """values : (units, characters of the file)."""
        for row in passages.itertuples():
            trace = values[row.unit]
            near = _NEAR * max(float(np.abs(trace).max()), 1e-6)
            for start in places.of(row.text, int(row.line), int(row.at)):
                along = trace[start : start + len(row.text)]
                if abs(along[row.at] - row.value) <= near:
                    scale = float(np.abs(along).max()) or 1.0
                    self.values[row.Index, : len(along)] = np.rint(along / scale * _STEPS)
                    self.scales[row.Index] = scale
                    break

    def finish(self, network_hash: str) -> Portraits:
        means, deviations = {}, {}
        for (kind, signal), (sums, squares) in self._sums.items():
            counts = np.where(self._counts[kind] > 0, self._counts[kind], np.nan)
            means[kind, signal] = sums / counts
            deviations[kind, signal] = np.sqrt(np.maximum(squares / counts - (sums / counts) ** 2, 0))
        of = _hash_of(self._passages)
        return Portraits(network_hash, of, self._units, self.values, self.scales, self._counts, means, deviations)


class _Places:
    """Where passages may begin in one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]

    def of(self, passage: str, line: int, at: int) -> list[int]:
        """Every start at which `passage` stands there with its character `at` in that line, counted from 1."""
        if not 1 <= line <= len(self._lines):
            return []
        begins = self._lines[line - 1]
        ends = self._lines[line] if line < len(self._lines) else len(self._text) + 1
        starts = range(max(begins - at, 0), ends - at)
        return [start for start in starts if self._text.startswith(passage, start)]


def columns_of(text: str) -> np.ndarray:
    """How many characters stand before each one in its line, int (n_chars,); a line end is the last one of its line."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.arange(codes.size)
    begins = np.append(True, codes[:-1] == ord("\n"))[: codes.size]
    columns: np.ndarray = places - np.maximum.accumulate(np.where(begins, places, 0))
    return columns


def _passages(folder: Path) -> pd.DataFrame:
    """The passages that a survey kept."""
    path = folder / "passages.parquet"
    try:
        return pd.read_parquet(path, columns=[*_NUMBERS, *_WORDS]).astype(dict.fromkeys(_WORDS, str))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InspectorError(f"{path} is missing or damaged: make it again with {command_for(folder)}.") from error


def _hash_of(passages: pd.DataFrame) -> str:
    """What stands for these passages and no others."""
    digest = hashlib.sha256()
    for column, dtype in _NUMBERS.items():
        digest.update(passages[column].to_numpy(dtype).tobytes())
    for column in _WORDS:
        digest.update(json.dumps(list(passages[column])).encode())
    return digest.hexdigest()[:16]
