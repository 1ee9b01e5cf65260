"""A search over whole documents that keeps no values: they are read in batches, counted and dropped.

Memory holds the counts (at most 2 GB), one stretch of values, the texts and a few bytes of labels a character.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspector.capture import BatchReader
from inspector.concepts import Concept, language_of
from inspector.corpus import Text
from inspector.model import CharModel, untrained_twin
from inspector.recording import InspectorError
from inspector.search import (
    MAX_BLOCKS,
    MIN_DOCUMENTS,
    Census,
    Parts,
    Row,
    best_scores,
    checked,
    pack,
    split_documents,
    tables_of,
    verdict,
)
from inspector.survey.gathering import Gatherer

FORMAT_VERSION = 1
MAX_COUNTS = 2_000_000_000  # bytes of counters
_LANE = 10_000  # characters for which one more document is read side by side, and
_MAX_LANES = 32  # up to how many: fewer lanes, longer blocks for the jackknife
_STRETCH = 4096
_SAMPLED = 512
_SECONDS_BETWEEN_SAVES = 60.0

Report = Callable[[str, int, int], None]
Labels = dict[str, tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Found:
    """What a search over documents found, and what made it.

    tables : one `rank_neurons` table for each concept. too_little : concept -> why it could not be ranked.
    made_by : network and corpus hashes, versions, seed and sizes.
    """

    tables: dict[str, pd.DataFrame]
    too_little: dict[str, str]
    made_by: dict[str, Any]
    census: Census | None = field(default=None, repr=False, compare=False)  # of a fresh search, with what it gathered
    gathered: Gatherer | None = field(default=None, repr=False, compare=False)
    loss: float = float("nan")  # nats per scored character

    def best(self, n: int) -> pd.DataFrame:
        """The first n rows of every table, with `concept` and `verdict`."""
        tables = [table.head(n).assign(concept=name) for name, table in self.tables.items()]
        rows = pd.concat(tables, ignore_index=True)
        return rows.assign(verdict=[verdict(row) for _, row in rows.iterrows()])

    def save(self, path: str | Path) -> None:
        """One Parquet file with every row of every table; `open_found` reads it back."""
        every = pd.concat([table.assign(concept=name) for name, table in self.tables.items()], ignore_index=True)
        table = pa.Table.from_pandas(every.astype({"concept": "category", "signal": "category"}), preserve_index=False)
        facts = {"version": FORMAT_VERSION, "too_little": self.too_little, "made_by": self.made_by}
        kept = {**(table.schema.metadata or {}), b"charscope": json.dumps(facts).encode()}
        pq.write_table(table.replace_schema_metadata(kept), path, compression="zstd")


def open_found(path: str | Path) -> Found:
    """What `Found.save` wrote. Raises InspectorError when it is something else or newer than this program."""
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[b"charscope"])
        is_known = int(facts["version"]) <= FORMAT_VERSION
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InspectorError(f"{path} is no result of a search: give a .parquet file that a search wrote.") from error
    if not is_known:
        raise InspectorError(f"{path} is of a newer version than this program reads: update Charscope.")
    every = table.to_pandas().astype({"signal": str})
    names = list(dict.fromkeys(every["concept"].astype(str)))
    tables = {name: every[every["concept"] == name].drop(columns="concept").reset_index(drop=True) for name in names}
    return Found(tables, facts["too_little"], facts["made_by"])


def search_corpus(
    model: CharModel,
    documents: Sequence[Text],
    concepts: Sequence[Concept],
    *,
    signals: Sequence[str] | None = None,
    choose: Sequence[bool] | None = None,
    twin: bool = True,
    folder: str | Path | None = None,
    on_progress: Report | None = None,
    gather: bool = False,
    longest: int | None = None,
) -> Found:
    """Rank every neuron and signal for every concept over whole documents, in one pass.

    >>> found = search_corpus(model, corpus.splits["report"], concepts_for("python"))
    >>> found.tables["inside_string"].head(3)

    signals : None for all the network has. choose : names of the documents neurons are chosen on, the others score
        them; None splits by `split_documents`. At least 4 documents.
    twin : compare with the untrained twin of the network. Its scores are kept in `folder` and not made again.
    folder : where the state is put about once a minute; the same search, begun again, goes on from there. It is
        removed at the end, but for the twin's scores. None keeps nothing.
    on_progress : called with (what is being done, done, total).
    longest : read only so many characters from the start of each document; labels are those of the whole ones. Many
        beginnings are read several times as fast as a few whole documents, and are a wider sample.
    gather : also keep where every neuron is strongest and how the values of all its signals, gates too, are spread
        (`Found.gathered`).

    A concept of which there is too little is said in `Found.too_little` and not ranked. Raises InspectorError for fewer
    than 4 documents or when no concept is left.
    """
    if choose is None and len(documents) < MIN_DOCUMENTS:
        raise InspectorError(
            f"A search over documents needs at least {MIN_DOCUMENTS} of them, so that some can be held out; here are "
            f"{len(documents)}. Search one text with rank_neurons instead."
        )
    sizes = [(document.name, len(document.text[:longest])) for document in documents]
    chosen = split_documents(sizes) if choose is None else list(choose)
    documents = [document for _, document in sorted(zip(chosen, documents, strict=True), key=lambda pair: not pair[0])]
    job = _Job(model, documents, sum(chosen), signals, concepts, longest, on_progress)
    scratch = Path(folder) if folder is not None else None
    twin_scores = job.twin_scores(scratch) if twin else {}
    census, gathered, loss = job.read(model, scratch, "reading", gather)
    tables = tables_of(census, job.labels, twin_scores)
    return Found(tables, job.too_little, job.made_by, census, gathered, loss)


class _Job:
    """One search: its texts, labels and parts, the same for the network and its twin."""

    def __init__(
        self, model: CharModel, documents: Sequence[Text], n_choosing: int, signals: Sequence[str] | None,
        concepts: Sequence[Concept], longest: int | None, report: Report | None,
    ) -> None:  # fmt: skip
        self._model, self._documents, self._signals, self._report = model, documents, signals, report
        self._texts = [text[:longest] for _, text in documents]
        self._sets = self._texts[:n_choosing], self._texts[n_choosing:]
        self._offset = sum(len(text) for text in self._sets[0])
        n_chars = sum(len(text) for text in self._texts)
        choose = np.arange(n_chars) < self._offset
        starts = np.zeros(n_chars, bool)
        self.starts = np.cumsum([0, *(len(text) for text in self._texts)])[:-1]
        starts[self.starts] = True
        self.parts = Parts(choose, ~choose, starts)
        self.labels: Labels = {}
        self.too_little: dict[str, str] = {}
        for name, (label, valid) in label_documents(concepts, documents, longest, report).items():
            try:
                self.labels[name] = checked(label, valid, self.parts)
            except InspectorError as problem:
                self.too_little[name] = str(problem)
        if not self.labels:
            raise InspectorError(f"There is nothing to rank. {next(iter(self.too_little.values()), 'Name a concept.')}")
        self.lanes = pack(self.labels, self.parts)
        read = zip((name for name, _ in documents), self._texts, strict=True)
        corpus = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in read).encode(errors="surrogatepass"))
        self.made_by = {
            "network": model.name, "network_hash": model.hash, "corpus_hash": corpus.hexdigest(), "twin_seed": 0,
            "n_documents": len(documents), "n_choose_chars": self._offset, "n_score_chars": n_chars - self._offset,
            "versions": {name: version(name) for name in ("torch", "numpy", "numba", "pandas")},
        }  # fmt: skip

    def twin_scores(self, folder: Path | None) -> dict[str, float]:
        """Held-out score of the best neuron of the untrained twin for each concept; kept in `folder`."""
        config = self._model.config
        said = [str(config), self._model.vocabulary.symbols, self.made_by["corpus_hash"], self._offset, self._signals]
        key = hashlib.sha256(repr([*said, sorted(self.labels)]).encode(errors="surrogatepass")).hexdigest()[:16]
        path = None if folder is None else folder / f"twin-{key}.json"
        if path is not None and path.is_file():
            with contextlib.suppress(ValueError):
                kept: dict[str, float] = json.loads(path.read_text())
                return kept
        census, *_ = self.read(untrained_twin(self._model), folder, "reading, untrained twin", gather=False)
        scores = best_scores(census)
        if path is not None:
            path.write_text(json.dumps(scores))
        return scores

    def read(
        self, model: CharModel, folder: Path | None, what: str, gather: bool
    ) -> tuple[Census, Gatherer | None, float]:
        """A census of all documents, the choosing part first; goes on where an earlier one was cut off."""
        readers = [self._reader(model, texts, None if gather else self._signals) for texts in self._sets]
        read = [Row(*row) for row in readers[0].rows]
        is_searched = np.array([self._signals is None or row.signal in self._signals for row in read])
        rows = [row for row, searched in zip(read, is_searched, strict=True) if searched]
        n_counters = len(rows) * 256 * (64 * 4 * len(self.lanes.groups) + 16 * 8 * len(self.lanes.numbers))
        if n_counters > MAX_COUNTS:
            raise InspectorError(
                f"Counting {len(self.labels)} concepts for {len(rows):,} neurons and signals needs "
                f"{n_counters / 1e9:.1f} GB, and {MAX_COUNTS / 1e9:.0f} GB are allowed: name fewer signals or concepts."
            )
        n_score = sum(len(text) for text in self._sets[1])
        census = Census(rows, self.lanes, n_blocks=min(MAX_BLOCKS, max(n_score // _STRETCH, 1)))
        sampled = self._offset + np.random.default_rng(0).permutation(n_score)[:_SAMPLED]
        gatherer = Gatherer(read, is_searched, sampled) if gather else None
        said = [model.hash, self.made_by["corpus_hash"], self._offset, self._signals, sorted(self.labels), gather]
        key = repr([*said, len(read)])
        checkpoint = _Checkpoint(folder, key)
        losses = checkpoint.load(census, readers, gatherer)
        for part, reader in enumerate(readers):
            if part < int(census.has_turned):
                continue
            offset = self._offset if part else 0
            n_read = census.n_chars - offset
            for stretch in reader:
                positions = stretch.positions + offset
                block = n_read * census.n_blocks // (n_score + 1) if part else 0
                searched = stretch.values if is_searched.all() else stretch.values[is_searched]
                census.fold(searched, positions, block=block)
                if gatherer is not None:
                    gatherer.take(stretch.values, positions, is_scored=bool(part))
                n_read += len(positions)
                if part:
                    losses += np.nansum(stretch.loss), np.isfinite(stretch.loss).sum()
                if self._report:
                    self._report(what, offset + n_read, self.parts.choose.size)
                checkpoint.maybe_save(census, readers, gatherer, losses)
            if not part:
                census.turn()
        checkpoint.remove()
        return census, gatherer, float(losses[0] / max(losses[1], 1))

    def _reader(self, model: CharModel, texts: Sequence[str], signals: Sequence[str] | None) -> BatchReader:
        return BatchReader(model, texts, signals, lanes=lanes_for(sum(map(len, texts))), size=_STRETCH)


def lanes_for(n_chars: int) -> int:
    """How many documents are read side by side, of so many characters."""
    return min(max(n_chars // _LANE, 1), _MAX_LANES)


class _Checkpoint:
    """The state of a reading on disk, in one file that is whole or not there."""

    def __init__(self, folder: Path | None, key: str) -> None:
        name = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]
        self._path = None if folder is None else folder / f"reading-{name}.npz"
        self._saved = time.monotonic()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def load(self, census: Census, readers: Sequence[BatchReader], gatherer: Gatherer | None) -> np.ndarray:
        """Restore all of them if there is something; returns [nats, characters] so far."""
        if self._path is None or not self._path.is_file():
            return np.zeros(2)
        with np.load(self._path) as kept:
            groups: dict[str, dict[str, np.ndarray]] = {}
            for name in kept.files:
                group, _, rest = name.partition("/")
                groups.setdefault(group, {})[rest] = kept[name]
        census.restore(groups["census"])
        for i, reader in enumerate(readers):
            reader.restore(groups[f"reader{i}"])
        if gatherer is not None:
            gatherer.restore(groups["gatherer"])
        return groups["loss"][""]

    def maybe_save(
        self, census: Census, readers: Sequence[BatchReader], gatherer: Gatherer | None, losses: np.ndarray
    ) -> None:
        if self._path is None or time.monotonic() - self._saved < _SECONDS_BETWEEN_SAVES:
            return
        parts = {"census": census.state(), **{f"reader{i}": reader.state() for i, reader in enumerate(readers)}}
        parts |= {"gatherer": gatherer.state()} if gatherer is not None else {}
        arrays = {f"{group}/{name}": array for group, of in parts.items() for name, array in of.items()}
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, **arrays, **{"loss/": losses})  # type: ignore[arg-type]
        partial.replace(self._path)
        self._saved = time.monotonic()

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def label_documents(
    concepts: Sequence[Concept], documents: Sequence[Text], longest: int | None = None, report: Report | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Label and valid of all documents, end to end, by concept; nothing is valid in a language a concept does not know.

    longest : only so many characters from the start of each; what they are is judged by the whole document.
    """
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {concept.name: [] for concept in concepts}
    for done, (name, text) in enumerate(documents):  # document by document: concepts share what they know of a text
        if report:
            report("labelling", done, len(documents))
        language = language_of(name)
        for concept in concepts:
            if concept.languages and language not in concept.languages:
                label = np.zeros(len(text), bool if concept.kind == "yes/no" else np.float32)
                valid = np.zeros(len(text), bool)
            else:
                label, valid = concept.label(text, language=language), concept.valid(text, language=language)
            found[concept.name].append((label[:longest], valid[:longest]))
    return {name: _end_to_end(parts) for name, parts in found.items()}


def _end_to_end(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    labels, valids = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(valids)
