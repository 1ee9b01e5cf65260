"""A search over whole documents: they are read in batches, their values counted and dropped.

Memory holds the counts and the bins that wait to be counted (at most 2 GB), a few stretches of values, values of the
five best of each label (at most 400 MB, and as much of bins), both ends of every trace where a label is rare (18 kB a
trace), the texts and a few bytes of labels a character.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspector.capture import BatchReader, Stretch
from inspector.concepts import Concept, language_of
from inspector.corpus import Text
from inspector.model import CharModel, untrained_twin
from inspector.recording import Document, InspectorError
from inspector.search import (
    CAPACITY,
    MAX_BLOCKS,
    MIN_BLOCKS,
    N_CANDIDATES,
    Census,
    Row,
    best_scores,
    can_hold_out,
    checked,
    pack,
    parts_of_documents,
    side_by_side,
    split_documents,
    tables_of,
    verdict,
)
from inspector.survey.gathering import Gatherer

FORMAT_VERSION = 1
_STATE_VERSION = 9  # of what a reading that is cut off leaves; older ones are not read
MAX_COUNTS = 2_000_000_000  # bytes of counters
_LANE = 5_000  # characters for which one more document is read side by side, and
_MAX_LANES = 32  # up to how many
_STRETCH = 4096  # characters gathered at a time
_SAMPLED = 512
_SECONDS_BETWEEN_SAVES = 60.0  # at least, and
_SAVES_APART = 20  # times as long as a save takes

Report = Callable[[str, int, int], None]


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
    forget: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)  # what the folder keeps of it

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
        partial = Path(f"{path}.partial")
        pq.write_table(table.replace_schema_metadata(kept), partial, compression="zstd")
        partial.replace(path)


def open_found(path: str | Path) -> Found:
    """What `Found.save` wrote. Raises InspectorError when it is something else or newer than this program."""
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[b"charscope"])
        is_known = int(facts["version"]) <= FORMAT_VERSION
        too_little, made_by = (facts["too_little"], facts["made_by"]) if is_known else ({}, {})
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InspectorError(f"{path} is no result of a search: give a .parquet file that a search wrote.") from error
    if not is_known:
        raise InspectorError(f"{path} is of a newer version than this program reads: update Charscope.")
    every = table.to_pandas().astype({"signal": str})
    names = list(dict.fromkeys(every["concept"].astype(str)))
    tables = {name: every[every["concept"] == name].drop(columns="concept").reset_index(drop=True) for name in names}
    return Found(tables, too_little, made_by)


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
    language: str | None = None,
) -> Found:
    """Rank every neuron and signal for every concept over whole documents, in one pass.

    >>> found = search_corpus(model, corpus.splits["report"], concepts_for("python"))
    >>> found.tables["inside_string"].head(3)

    signals : None for all the network has. choose : for each document whether neurons are chosen on it, the others
        score them; None splits by `split_documents`. Fewer than 4 documents are cut into blocks that alternate, as by
        `split_text`, and read twice: first for the choosing blocks, then for the others.
    twin : compare with the untrained twin of the network. Its scores are kept in `folder` and not made again.
    folder : where the state is put about once a minute; the same search, begun again, goes on from there. It stays
        until `Found.forget()` is called, once the result is safe; the twin's scores stay. None keeps nothing.
    on_progress : called with (what is being done, done, total).
    longest : read only so many characters from the start of each document; labels are those of the whole ones. Many
        beginnings are read several times as fast as a few whole documents, and are a wider sample.
    gather : also keep where every neuron is strongest and how the values of all its signals, gates too, are spread
        (`Found.gathered`).
    language : what all documents are read as; None: what their names say.

    A concept of which there is too little is said in `Found.too_little` and not ranked. Raises InspectorError when no
    concept is left, or no text, or where no state can be kept in `folder`.
    """
    scratch = _state_folder(folder)
    if not any(document.text for document in documents):
        raise InspectorError("There is no text to search: every document is empty.")
    names = [concept.name for concept in concepts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InspectorError(f"Two concepts are called {twice[0]}: name each once, or give one another name.")
    sizes = [(document.name, len(document.text[:longest])) for document in documents]
    n_choosing = None  # blocks of the same documents
    if choose is not None and len(choose) != len(documents):
        raise InspectorError(f"choose must say of each of the {len(documents)} documents whether it is chosen on.")
    if choose is not None or can_hold_out([size for _, size in sizes]):
        chosen = split_documents(sizes) if choose is None else list(choose)
        pairs = sorted(zip(chosen, documents, strict=True), key=lambda pair: not pair[0])
        documents, n_choosing = [document for _, document in pairs], sum(chosen)
    labelled = label_documents(concepts, documents, longest, on_progress, language)
    job = _Job(model, documents, n_choosing, signals, labelled, longest, on_progress)
    twin_scores = job.twin_scores(scratch) if twin else {}
    census, gathered, loss, checkpoint = job.read(model, scratch, "reading", gather)
    tables = tables_of(census, job.labels, twin_scores)
    return Found(tables, job.too_little, job.made_by, census, gathered, loss, checkpoint.remove)


class _Job:
    """One search: its texts, labels and parts, the same for the network and its twin."""

    def __init__(
        self, model: CharModel, documents: Sequence[Text], n_choosing: int | None, signals: Sequence[str] | None,
        labelled: Mapping[str, tuple[np.ndarray, np.ndarray]], longest: int | None, report: Report | None,
    ) -> None:  # fmt: skip
        self._model, self._documents, self._signals, self._report = model, documents, signals, report
        self._texts = [text[:longest] for _, text in documents]
        stops = np.cumsum([0, *map(len, self._texts)])
        self._starts = stops[:-1]
        choose = None
        self._sets, self._offset = (self._texts, self._texts), 0  # what is read for each part, where the second begins
        if n_choosing is not None:
            self._sets, self._offset = (self._texts[:n_choosing], self._texts[n_choosing:]), int(stops[n_choosing])
            choose = np.arange(stops[-1]) < self._offset
        placed = [Document(str(i), int(a), int(b)) for i, (a, b) in enumerate(itertools.pairwise(stops))]
        self.parts = parts_of_documents(placed, int(stops[-1]), choose)
        self.labels: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.too_little: dict[str, str] = {}
        for name, (label, valid) in labelled.items():
            try:
                self.labels[name] = checked(label, valid, self.parts)
            except InspectorError as problem:
                self.too_little[name] = str(problem)
        if not self.labels:
            reasons = (f"{name}: {problem}" for name, problem in self.too_little.items())
            raise InspectorError(f"There is nothing to rank. {next(reasons, 'Name a concept.')}")
        self.lanes = pack(self.labels, self.parts)
        read = zip((name for name, _ in documents), self._texts, strict=True)
        corpus = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in read).encode(errors="surrogatepass"))
        self.made_by = {
            "network": model.name, "network_hash": model.hash, "corpus_hash": corpus.hexdigest(), "twin_seed": 0,
            "n_documents": len(documents), "n_choose_chars": int(self.parts.choose.sum()),
            "n_score_chars": int(self.parts.score.sum()),
            "versions": {name: version(name) for name in ("torch", "numpy", "numba", "pandas")},
        }  # fmt: skip

    @cached_property
    def _asked(self) -> list[Any]:
        """What tells this search from another: counts are of its labels and parts, in the order of the labels.

        A name alone does not: a concept may be a reader's own, and what it marks changes with its file.
        """
        digest = hashlib.sha256()
        for array in itertools.chain(*self.labels.values(), self.parts[:2]):
            digest.update(f"{array.dtype} {array.size} ".encode() + array.tobytes())
        return [self.made_by["corpus_hash"], self._offset, self._signals, list(self.labels), digest.hexdigest()]

    def twin_scores(self, folder: Path | None) -> dict[str, float]:
        """Held-out score of the best neuron of the untrained twin for each concept; kept in `folder`."""
        config = self._model.config
        said = [str(config), self._model.vocabulary.symbols, *self._asked]
        key = hashlib.sha256(repr(said).encode(errors="surrogatepass")).hexdigest()[:16]
        path = None if folder is None else folder / f"twin-{key}.json"
        if path is not None and path.is_file():
            with contextlib.suppress(ValueError):
                kept: dict[str, float] = json.loads(path.read_text())
                return kept
        twin = untrained_twin(self._model)
        census, _, _, checkpoint = self.read(twin, folder, "reading, untrained twin", gather=False, scores_alone=True)
        scores = best_scores(census)
        if path is not None:
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(scores))
            partial.replace(path)
        checkpoint.remove()
        return scores

    def read(
        self, model: CharModel, folder: Path | None, what: str, gather: bool, scores_alone: bool = False
    ) -> tuple[Census, Gatherer | None, float, _Checkpoint]:
        """A census of all documents, the choosing part first; goes on where an earlier one was cut off.

        scores_alone : only `best_scores` will be asked of it, not how sure they are.
        """
        readers = [self._reader(model, texts, None if gather else self._signals) for texts in self._sets]
        read = [Row(*row) for row in readers[0].rows]
        is_searched = [self._signals is None or signal in self._signals for _, signal in readers[0].parts]
        is_counted = np.array([self._signals is None or row.signal in self._signals for row in read])
        rows = list(itertools.compress(read, is_counted))
        others = list(itertools.compress(read, ~is_counted))
        n_counters = len(rows) * (
            256 * (64 * 4 * len(self.lanes.groups) + 16 * 4 * len(self.lanes.numbers))
            + 64 * 4 * len(self.lanes.groups) * MAX_BLOCKS
            + CAPACITY
        )
        if n_counters > MAX_COUNTS:
            raise InspectorError(
                f"Counting {len(self.labels)} concepts for {len(rows):,} neurons and signals needs "
                f"{n_counters / 1e9:.1f} GB, and {MAX_COUNTS / 1e9:.0f} GB are allowed: name fewer signals or concepts."
            )
        n_score = sum(len(text) for text in self._sets[1])  # read for it; in a lone text half of that counts
        n_blocks, n_candidates = (1, 1) if scores_alone else (_n_blocks(n_score), N_CANDIDATES)
        census = Census(rows, self.lanes, n_blocks=n_blocks, n_candidates=n_candidates)
        sampled = self._offset + np.random.default_rng(0).permutation(n_score)[:_SAMPLED]
        gatherer = Gatherer(rows, others, sampled, self._starts) if gather else None
        checkpoint = _Checkpoint(folder, repr([_STATE_VERSION, model.hash, *self._asked, gather, len(read)]))
        tally = checkpoint.load(census, readers, gatherer)  # nats, characters they were paid for, read of this part
        for part, reader in enumerate(readers):
            if part < int(census.has_turned):
                continue
            seen: list[Stretch] = []  # not yet gathered
            for stretch in reader:
                self._fold(stretch, part, is_searched, census, tally)
                if self._report:
                    done = sum(map(len, self._sets[0])) * part + int(tally[2])
                    self._report(what, done, sum(len(text) for texts in self._sets for text in texts))
                if gatherer is not None:
                    seen.append(stretch)
                    if sum(len(one.positions) for one in seen) >= _STRETCH:
                        self._gather(seen, part, is_searched, gatherer)
                        seen = []
                if not seen:
                    checkpoint.maybe_save(census, readers, gatherer, tally)
            if gatherer is not None and seen:
                self._gather(seen, part, is_searched, gatherer)
            if not part:
                census.turn()
                tally[2] = 0
        return census, gatherer, float(tally[0] / max(tally[1], 1)), checkpoint

    def _fold(
        self, stretch: Stretch, part: int, is_searched: Sequence[bool], census: Census, tally: np.ndarray
    ) -> None:
        """Count a stretch of one part. is_searched : which of its arrays count."""
        values = list(itertools.compress(stretch.values, is_searched))
        counts = (self.parts.score if part else self.parts.choose)[stretch.positions + self._offset * part]
        if not counts.all():
            values = [each[:, counts] for each in values]
        places = stretch.positions[counts]
        n_chars = sum(len(text) for text in self._sets[part])
        blocks = places * census.n_blocks // n_chars if part else None  # stretches of text, whoever reads them when
        census.fold(values, places + self._offset * part, blocks=blocks)
        if part:
            tally[:2] += np.nansum(stretch.loss[counts]), np.isfinite(stretch.loss[counts]).sum()
        tally[2] += len(stretch.positions)

    def _gather(self, seen: Sequence[Stretch], part: int, is_searched: Sequence[bool], gatherer: Gatherer) -> None:
        """is_searched : which of a stretch's arrays a census counts too."""
        searched, others = (
            [list(itertools.compress(stretch.values, chosen)) for stretch in seen]
            for chosen in (is_searched, [not known for known in is_searched])
        )
        positions = np.concatenate([stretch.positions for stretch in seen]) + self._offset * part
        gatherer.take(side_by_side(searched), positions, is_scored=bool(part))
        if others[0]:
            gatherer.spread.take(side_by_side(others))

    def _reader(self, model: CharModel, texts: Sequence[str], signals: Sequence[str] | None) -> BatchReader:
        return BatchReader(model, texts, signals, lanes=lanes_for(sum(map(len, texts))))


def _state_folder(folder: str | Path | None) -> Path | None:
    """The folder as one that is there, before any work is done that it should keep."""
    if folder is None:
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        taken = next((one for one in (path, *path.parents) if one.exists()), path)
        reason = f"{taken} is a file" if taken.is_file() else error.strerror
        raise InspectorError(
            f"The state of a search cannot be kept in {path}: {reason}. It goes into a folder, which is made where "
            "there is none: name another one."
        ) from None
    return path


def _n_blocks(n_chars: int) -> int:
    """Into how many blocks so many scored characters are cut for the jackknife."""
    return min(MAX_BLOCKS, max(n_chars // _STRETCH, MIN_BLOCKS))


def lanes_for(n_chars: int) -> int:
    """How many documents are read side by side, of so many characters."""
    return min(max(n_chars // _LANE, 1), _MAX_LANES)


class _Checkpoint:
    """The state of a reading on disk, in one file that is whole or not there."""

    def __init__(self, folder: Path | None, key: str) -> None:
        name = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:16]
        self._path = None if folder is None else folder / f"reading-{name}.npz"
        self._saved, self._wait = time.monotonic(), _SECONDS_BETWEEN_SAVES

    def load(self, census: Census, readers: Sequence[BatchReader], gatherer: Gatherer | None) -> np.ndarray:
        """Restore all of them if there is something; returns the tally so far."""
        if self._path is None or not self._path.is_file():
            return np.zeros(3)
        groups: dict[str, dict[str, np.ndarray]] = {}
        try:
            with self._path.open("rb") as file, np.load(file) as kept:
                for name in kept.files:
                    group, _, rest = name.partition("/")
                    groups.setdefault(group, {})[rest] = kept[name]
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):  # damaged: nothing to go on from
            return np.zeros(3)
        census.restore(groups["census"])
        for i, reader in enumerate(readers):
            reader.restore(groups[f"reader{i}"])
        if gatherer is not None:
            gatherer.restore(groups["gatherer"])
        return groups["tally"][""]

    def maybe_save(
        self, census: Census, readers: Sequence[BatchReader], gatherer: Gatherer | None, tally: np.ndarray
    ) -> None:
        if self._path is None or time.monotonic() - self._saved < self._wait:
            return
        counted = census.state()
        if not counted:
            return
        parts = {"census": counted, **{f"reader{i}": reader.state() for i, reader in enumerate(readers)}}
        parts |= {"gatherer": gatherer.state()} if gatherer is not None else {}
        arrays = {f"{group}/{name}": array for group, of in parts.items() for name, array in of.items()}
        partial, begun = self._path.with_suffix(".partial.npz"), time.monotonic()
        try:
            np.savez(partial, **arrays, **{"tally/": tally})  # type: ignore[arg-type]
            partial.replace(self._path)
        except OSError:  # such as a full disk: what can be kept is less, the search itself goes on
            partial.unlink(missing_ok=True)
        self._saved = time.monotonic()
        self._wait = max(_SECONDS_BETWEEN_SAVES, _SAVES_APART * (self._saved - begun))

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def label_documents(
    concepts: Sequence[Concept],
    documents: Sequence[Text],
    longest: int | None = None,
    report: Report | None = None,
    language: str | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Label and valid of all documents, end to end, by concept; nothing is valid in a language a concept does not know.

    longest : only so many characters from the start of each; what they are is judged by the whole document.
    language : what all are read as; None: what their names say. A concept that knows none of them is an InspectorError.
    """
    languages = [language or language_of(name) for name, _ in documents]
    for concept in concepts:
        if concept.languages and not set(languages) & set(concept.languages):
            concept.label("", language=languages[0])  # says so
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {concept.name: [] for concept in concepts}
    for done, ((_, text), read_as) in enumerate(
        zip(documents, languages, strict=True)
    ):  # document by document: concepts share what they know of a text
        if report:
            report("labelling", done, len(documents))
        for concept in concepts:
            if concept.languages and read_as not in concept.languages:
                label = np.zeros(len(text), bool if concept.kind == "yes/no" else np.float32)
                valid = np.zeros(len(text), bool)
            else:
                label, valid = concept.label(text, language=read_as), concept.valid(text, language=read_as)
            found[concept.name].append((label[:longest], valid[:longest]))
    return {name: _end_to_end(parts) for name, parts in found.items()}


def _end_to_end(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    labels, valids = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(valids)
