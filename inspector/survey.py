"""One pass over a corpus: what the neurons of a network detect, kept beside the network as evidence.

    choose files + report files ──► recording ──► every concept ranked ──► survey/ (scores, best rows, passages)

Owns: which files are read, and the survey folder. The statistics are `search`'s, the labels `concepts`'.
The folder holds `survey.json` (what was read; the best rows for each concept), `neurons.parquet` (every row) and
`passages.json` (where the best neurons are strongest in report files: short, each with its file and line).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspector.capture import record
from inspector.concepts import Concept, concepts_for, language_of
from inspector.corpus import Corpus, Text
from inspector.model import CharModel, untrained_twin
from inspector.recording import InspectorError, Neuron, Recording
from inspector.search import check_label, rank_labels, verdict

FORMAT_VERSION = 1
BEST_ROWS = 5
SIGNALS = ("hidden", "cell")
_PASSAGES, _CONTEXT = 6, 60

Report = Callable[[str, int, int], None]


def survey(
    model: CharModel,
    corpus: Corpus,
    folder: str | Path,
    *,
    n_chars: int = 200_000,
    on_progress: Report | None = None,
) -> dict[str, pd.DataFrame]:
    """Rank every neuron of `model` for every concept the corpus' language has; write the survey folder.

    >>> survey(load_checkpoint("checkpoints/python"), load_corpus("python-stdlib"), "checkpoints/python/survey")

    n_chars : about how many characters are read from the choose files, and as many from the report files; whole files.
    on_progress : called with (what is being done, done, total).

    Returns the table of `rank_neurons` for each concept. A concept with too few examples in these files is left out of
    the survey. Raises InspectorError when the corpus has no held-out files.
    """
    folder = Path(folder)
    texts, n_choosing = _held_out(corpus, n_chars)
    concepts = concepts_for(_language(texts))
    with tempfile.TemporaryDirectory(prefix="charscope-survey-") as scratch:
        recording = _record(model, texts, Path(scratch) / "trained", "reading", on_progress)
        twin = _record(untrained_twin(model), texts, Path(scratch) / "twin", "reading, untrained twin", on_progress)
        choose = np.arange(recording.n_chars) < n_choosing
        tables = _rank(recording, twin, texts, concepts, choose, on_progress)
        nats = float(np.nanmean(recording.loss[n_choosing:]))
        passages = {name: _strongest(recording, table, n_choosing) for name, table in tables.items()}
    facts = {
        "version": FORMAT_VERSION,
        "network": model.name,
        "network_hash": model.hash,
        "corpus": corpus.name,
        "n_choose_chars": n_choosing,
        "n_report_chars": len(choose) - n_choosing,
        "report_nats": round(nats, 4),
    }
    _write(folder, facts, tables, passages)
    return tables


def load_survey(checkpoint: str | Path) -> dict[str, Any] | None:
    """What `survey.json` of a checkpoint folder says, or None where no survey was made.

    Raises InspectorError when the file is damaged or newer than this program.
    """
    path = Path(checkpoint) / "survey" / "survey.json"
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(found["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InspectorError(f"{path} is damaged; write it again with `python -m inspector survey`.") from error
    if version > FORMAT_VERSION:
        raise InspectorError(
            f"{path} has version {version}, this program reads up to {FORMAT_VERSION}: update Charscope."
        )
    return found


def _held_out(corpus: Corpus, n_chars: int) -> tuple[list[Text], int]:
    """Whole files of the choose split, then of the report split; and how many characters the first ones have."""
    chosen, reported = (_about(corpus.splits[split], n_chars) for split in ("choose", "report"))
    if not chosen or not reported:
        raise InspectorError(
            f"{corpus.name} has no held-out files to survey: {len(chosen)} to choose on, {len(reported)} to report on. "
            "Give a larger folder of texts."
        )
    return chosen + reported, sum(len(text) for _, text in chosen)


def _about(texts: Sequence[Text], n_chars: int) -> list[Text]:
    """Files spread evenly over the (alphabetical) list until about `n_chars` characters are together."""
    order = np.random.default_rng(0).permutation(len(texts))
    taken: list[Text] = []
    room = n_chars
    for place in order:
        if len(texts[place].text) <= room:
            taken.append(texts[place])
            room -= len(texts[place].text)
    return sorted(taken) or list(texts[:1])


def _language(texts: Sequence[Text]) -> str:
    """The language most of the characters are written in."""
    counts: dict[str, int] = {}
    for name, text in texts:
        counts[language_of(name)] = counts.get(language_of(name), 0) + len(text)
    return max(counts, key=lambda language: counts[language])


def _record(model: CharModel, texts: Sequence[Text], out: Path, what: str, on_progress: Report | None) -> Recording:
    return record(
        model,
        [text for _, text in texts],
        signals=[signal for signal in SIGNALS if signal == "hidden" or model.config.kind == "lstm"],
        names=[name for name, _ in texts],
        dtype="float16",
        out=out,
        progress=(lambda done, total: on_progress(what, done, total)) if on_progress else None,
    )


def _rank(
    recording: Recording,
    twin: Recording,
    texts: Sequence[Text],
    concepts: Sequence[Concept],
    choose: np.ndarray,
    on_progress: Report | None,
) -> dict[str, pd.DataFrame]:
    """Tables by concept; concepts of which these files have too few examples are left out."""
    labels = {}
    for done, concept in enumerate(concepts):
        if on_progress:
            on_progress("labelling", done, len(concepts))
        parts = [_labels_of(concept, text) for text in texts]
        label, valid = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        with contextlib.suppress(InspectorError):
            check_label(recording, label, valid=valid, choose=choose)
            labels[concept.name] = (label, valid)
    ranking = (lambda done, total: on_progress("ranking", done, total)) if on_progress else None
    return rank_labels(recording, labels, signals=SIGNALS, twin=twin, choose=choose, progress=ranking)


def _labels_of(concept: Concept, text: Text) -> tuple[np.ndarray, np.ndarray]:
    language = language_of(text.name)
    return concept.label(text.text, language=language), concept.valid(text.text, language=language)


def _strongest(recording: Recording, table: pd.DataFrame, start: int) -> list[dict[str, Any]]:
    """Where the best neuron is strongest in its own direction, in report files, at most one place a document."""
    best = table.iloc[0]
    trace = recording.trace(Neuron(int(best.layer), int(best.unit)), str(best.signal)) * int(best.polarity)
    places = []
    for document in recording.documents:
        if document.start >= start:
            at = document.start + int(np.argmax(trace[document.start : document.stop]))
            places.append((float(trace[at]), at, document))
    found = []
    for value, at, document in sorted(places, key=lambda place: -place[0])[:_PASSAGES]:
        first, last = max(document.start, at - _CONTEXT), min(document.stop, at + _CONTEXT)
        found.append(
            {
                "file": document.name,
                "line": recording.text.count("\n", document.start, at) + 1,
                "text": recording.text[first:last],
                "at": at - first,
                "value": round(value * int(best.polarity), 4),
            }
        )
    return found


def _write(
    folder: Path,
    facts: dict[str, Any],
    tables: dict[str, pd.DataFrame],
    passages: dict[str, list[dict[str, Any]]],
) -> None:
    """Write a whole new folder beside the old one and swap, so that a kill leaves one of the two."""
    fresh = folder.with_name(folder.name + ".partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    facts = facts | {"concepts": {name: _rows(table) for name, table in tables.items()}}
    every = pd.concat([table.assign(concept=name) for name, table in tables.items()], ignore_index=True)
    every.astype({"concept": "category", "signal": "category"}).to_parquet(fresh / "neurons.parquet", index=False)
    for name, value in (("survey.json", facts), ("passages.json", passages)):
        (fresh / name).write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The first rows of a ranking as JSON can hold them: numbers to four digits, nan as null, with the verdict."""
    rows = []
    for _, row in table.head(BEST_ROWS).iterrows():
        plain = {key: _plain(value) for key, value in row.items()}
        rows.append(plain | {"verdict": verdict(row)})
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
