"""The survey folder: what a search over the held-out files found, as it lies beside a network.

survey.json           what was read; the best rows for each concept
neurons.parquet       every row of every concept (`open_found` reads it)
passages.json         where each concept's best neuron is strongest in report files, with file and line
passages.parquet      the same for every neuron: strongest either way, quantile and random samples
statistics.parquet    how the values of each neuron's every signal are spread: mean, median, saturation, histogram
correlations.npz      Pearson's r between all neurons by signal, int8 in steps of 1/127
portraits.npz         values along the passages, and how values depend on the place in line and file
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspector.concepts import concepts_for, main_language
from inspector.corpus import Corpus, Text
from inspector.model import CharModel
from inspector.recording import InspectorError
from inspector.search import verdict
from inspector.survey.gathering import Gatherer
from inspector.survey.portraits import command_for, draw_portraits
from inspector.survey.searching import Found, Report, search_corpus

FORMAT_VERSION = 2  # version 1 had survey.json, neurons.parquet and passages.json alone
BEST_ROWS = 5
SIGNALS = ("hidden", "cell")
LONGEST = 12_000  # characters read of each file: many beginnings are read several times as fast as a few whole files
_MANY_TEXTS = 8
_CONTEXT = 48  # characters of a passage, on both sides


def survey(
    model: CharModel,
    corpus: Corpus,
    folder: str | Path,
    *,
    n_chars: int = 200_000,
    replace_other: bool = False,
    on_progress: Report | None = None,
) -> dict[str, pd.DataFrame]:
    """Rank every neuron of `model` for every concept the corpus' language has; write the survey folder.

    >>> survey(load_checkpoint("checkpoints/python"), load_corpus("python-stdlib"), "checkpoints/python/survey")

    n_chars : about how many characters are read from the choose files, and as many from the report files: the
        first 12,000 of each, or whole ones where the corpus has only a few.
    replace_other : take the place of a survey of this network on a corpus of another name, which is lost.
    on_progress : called with (what is being done, done, total).

    Returns the table of `rank_neurons` for each concept. A concept with too few examples in these files is left out of
    the survey. Raises InspectorError when the corpus has no held-out files, and before a survey on another is lost.
    """
    folder = Path(folder)
    if not folder.exists() and _before(folder).exists():  # an earlier swap was cut off
        _before(folder).rename(folder)
    if not replace_other and (other := _other_corpus(folder, model, corpus)):
        raise InspectorError(
            f"{folder} holds a survey of {model.name} on {other}, which one on {corpus.name} would replace: add "
            "--replace-other to lose it, or survey a copy of the network."
        )
    texts, n_choosing, longest = held_out(corpus, n_chars)
    choose = [True] * n_choosing + [False] * (len(texts) - n_choosing)
    found = search_corpus(
        model, texts, concepts_for(main_language(texts)), signals=_signals(model), choose=choose,
        folder=folder.with_name(folder.name + ".state"), on_progress=on_progress, gather=True, longest=longest,
    )  # fmt: skip
    if found.gathered is None:
        raise ValueError("a search that gathers holds what it gathered")
    places = _places(found.gathered, [Text(name, text[:longest]) for name, text in texts])
    facts = {
        "version": FORMAT_VERSION,
        "network": model.name,
        "network_hash": model.hash,
        "corpus": corpus.name,
        "n_choose_chars": found.made_by["n_choose_chars"],
        "n_report_chars": found.made_by["n_score_chars"],
        "report_nats": round(found.loss, 4),
        "made_by": found.made_by,
        "too_little": found.too_little,
    }
    _write(folder, facts, found, places)
    portray(model, corpus, folder, on_progress=on_progress)
    return found.tables


def portray(model: CharModel, corpus: Corpus, folder: str | Path, *, on_progress: Report | None = None) -> None:
    """Draw what a survey that lies there has for pictures alone: `portraits.npz`.

    Raises InspectorError where there is no whole survey, or it is of another corpus or network.
    """
    folder = Path(folder)
    found = _said(folder)
    if found is None or found.get("network_hash") != model.hash:
        raise InspectorError(f"{folder} holds no survey of {model.name}: make one with {command_for(folder)}.")
    longest = _longest(corpus)
    if longest is None:  # few texts, of which it may have read the first alone, and that in part
        longest = max(int(found["n_report_chars"]), 1)
    files = [Text(name, text[:longest]) for name, text in corpus.splits["report"]]
    draw_portraits(model, files, folder, on_progress=on_progress)


def load_survey(checkpoint: str | Path) -> dict[str, Any] | None:
    """What `survey.json` of a checkpoint folder says, or None where no survey was made.

    Raises InspectorError when the file is damaged or newer than this program.
    """
    return _said(Path(checkpoint) / "survey")


def _said(folder: Path) -> dict[str, Any] | None:
    """What `survey.json` in a survey folder says; `load_survey` tells the rest."""
    path = folder / "survey.json"
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(found["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InspectorError(f"{path} is damaged; write it again with {command_for(folder)}.") from error
    if version > FORMAT_VERSION:
        raise InspectorError(
            f"{path} has version {version}, this program reads up to {FORMAT_VERSION}: update Charscope."
        )
    return found


def _other_corpus(folder: Path, model: CharModel, corpus: Corpus) -> str | None:
    """On what else these weights were surveyed, by what lies in the folder; a damaged survey has nothing to lose."""
    try:
        found = _said(folder) or {}
    except InspectorError:
        return None
    is_of_these = found.get("network_hash") == model.hash
    return found.get("corpus") if is_of_these and found.get("corpus") != corpus.name else None


def held_out(corpus: Corpus, n_chars: int) -> tuple[list[Text], int, int | None]:
    """What a survey reads: files of the choose split, then of the report split; how many the first ones are; and how
    many characters of each are read, None for all.

    n_chars : about how many of each split. Raises InspectorError when the corpus has no held-out files.
    """
    longest = _longest(corpus)
    chosen, reported = (_about(corpus.splits[split], n_chars, longest) for split in ("choose", "report"))
    if n_chars < 1:
        raise InspectorError(f"A survey reads at least one character of each kind of file, not {n_chars}.")
    if not chosen or not reported:
        raise InspectorError(
            f"{corpus.name} has no held-out files to survey: {len(chosen)} to choose on, {len(reported)} to report on. "
            "Give a larger folder of texts."
        )
    return chosen + reported, len(chosen), longest


def _longest(corpus: Corpus) -> int | None:
    """How many characters of a text are read: all of them where there are few."""
    n_texts = min(len(corpus.splits["choose"]), len(corpus.splits["report"]))
    return LONGEST if n_texts >= _MANY_TEXTS else None


def _about(texts: Sequence[Text], n_chars: int, longest: int | None) -> list[Text]:
    """Files spread evenly over the (alphabetical) list until about `n_chars` characters are together."""
    order = np.random.default_rng(0).permutation(len(texts))
    taken: list[Text] = []
    room = n_chars
    for place in order:
        n_read = len(texts[place].text[:longest])
        if n_read <= room:
            taken.append(texts[place])
            room -= n_read
    return sorted(taken) or [Text(name, text[:n_chars]) for name, text in texts[:1]]


def _signals(model: CharModel) -> list[str]:
    return [signal for signal in SIGNALS if signal == "hidden" or model.config.kind == "lstm"]


def _places(gathered: Gatherer, texts: Sequence[Text]) -> pd.DataFrame:
    """The places of `Gatherer.places` with file, line and the text around; `at` is where in it the character stands."""
    starts = np.cumsum([0, *(len(text) for _, text in texts)])[:-1]
    places = gathered.places()
    found = []
    lines: dict[int, np.ndarray] = {}
    for position in places["position"]:
        document = int(np.searchsorted(starts, position, side="right")) - 1
        name, text = texts[document]
        if document not in lines:
            lines[document] = np.array([i for i, character in enumerate(text) if character == "\n"])
        at = int(position - starts[document])
        first = max(0, at - _CONTEXT)
        line = int(np.searchsorted(lines[document], at)) + 1
        found.append((name, line, text[first : at + _CONTEXT], at - first))
    described = pd.DataFrame(found, columns=["file", "line", "text", "at"])
    return pd.concat([places.drop(columns="position"), described], axis=1)


def _strongest(table: pd.DataFrame, places: pd.DataFrame) -> list[dict[str, Any]]:
    """Where the best neuron is strongest in its own direction, in report files, at most one place a document."""
    best = table.iloc[0]
    kind = "top" if best.polarity > 0 else "bottom"
    chosen = places[(places.layer == best.layer) & (places.unit == best.unit) & (places.signal == best.signal)]
    columns = ["file", "line", "text", "at", "value"]
    rows = chosen[chosen.kind == kind][columns].astype(object).to_dict("records")
    return [row | {"value": round(float(row["value"]), 4)} for row in rows]


def _write(folder: Path, facts: dict[str, Any], found: Found, places: pd.DataFrame) -> None:
    """Write a whole new folder beside the old one and swap, so that a kill leaves one of the two."""
    fresh = folder.with_name(folder.name + ".partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    facts = facts | {"concepts": {name: _rows(table) for name, table in found.tables.items()}}
    _short(found).save(fresh / "neurons.parquet")
    if found.census is None or found.gathered is None:
        raise ValueError("a fresh search holds what it counted")
    statistics = found.gathered.statistics(found.census)
    statistics.astype({"signal": "category"}).to_parquet(fresh / "statistics.parquet", index=False, compression="zstd")
    words = {column: "category" for column in ("signal", "kind", "file")}
    places.astype(words).to_parquet(fresh / "passages.parquet", index=False, compression="zstd")
    np.savez_compressed(fresh / "correlations.npz", **found.gathered.correlations())  # type: ignore[arg-type]
    passages = {name: _strongest(table, places) for name, table in found.tables.items()}
    for name, value in (("survey.json", facts), ("passages.json", passages)):
        (fresh / name).write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    for kept in folder.glob("explanations.*"):  # another command's; they say themselves which weights they are of
        shutil.copy2(kept, fresh / kept.name)
    before = _before(folder)
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    fresh.rename(folder)
    shutil.rmtree(before, ignore_errors=True)
    shutil.rmtree(folder.with_name(folder.name + ".state"), ignore_errors=True)


def _before(folder: Path) -> Path:
    """Where the old folder waits until the new one is in its place."""
    return folder.with_name(folder.name + ".before")


def _short(found: Found) -> Found:
    """The same with numbers of half the length: the folder is part of a checkpoint, and is handed on with it."""
    tables = {}
    for name, table in found.tables.items():
        numbers = {column: np.float32 for column in table.select_dtypes("float64").columns}
        tables[name] = table.astype(numbers | {"layer": np.int16, "unit": np.int16, "polarity": np.int8})
    return replace(found, tables=tables)


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
