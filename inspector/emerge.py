"""How neurons come to be: what each of them was good for at every snapshot of its network's training.

    NAME/snapshots/step-NNNNNN ──► the same held-out files ──► scores of every neuron ──► NAME/emergence.parquet

Owns: the snapshots of a checkpoint, its training log, and that file. The files read are the survey's, so are the
statistics: at each snapshot the signal and the side of a neuron are picked on choose files and scored on report files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspector.concepts import concepts_for, main_language
from inspector.corpus import Corpus
from inspector.model import load_checkpoint
from inspector.recording import SIGNALS, InspectorError, Neuron
from inspector.survey import Found, held_out, search_corpus
from inspector.train import bits

FORMAT_VERSION = 1
FILE = "emergence.parquet"
_STEP = "step-"
_COLUMNS = ["layer", "unit", "signal", "polarity", "score", "choose_score"]
_DIGITS = 4

Report = Callable[[str, int, int], None]


class Snapshot(NamedTuple):
    """A copy of a network taken while it was trained: after which step, and in which checkpoint folder."""

    step: int
    folder: Path


@dataclass(frozen=True)
class Emergence:
    """Scores of all neurons at all snapshots of one network.

    network_hash : of the network the snapshots lead to. corpus, n_score_chars : what was read for the scores.
    snapshots : a row for each, in order: `step`, `characters` seen by then, held-out `nats` per character.
    concepts : a row for each concept, by name: `metric` ("auroc" | "correlation") and `baseline`, what a neuron that
        knows nothing scores.
    scores : a row for each step, concept and neuron: `step, concept, layer, unit, signal, polarity, score,
        choose_score`, of the signal that did better where neurons are chosen.
    asked : what it was made with, `n_chars` and `texts`, the corpus in words; {} in files of earlier programs.
    """

    network_hash: str
    corpus: str
    n_score_chars: int
    snapshots: pd.DataFrame
    concepts: pd.DataFrame
    scores: pd.DataFrame
    asked: dict[str, Any] = field(default_factory=dict)

    def is_of(self, corpus: Corpus | None, n_chars: int | None) -> bool:
        """Whether these scores are what would be made of that corpus and so many characters; None: of any."""
        name, texts = (None, None) if corpus is None else (corpus.name, str(corpus))
        is_same_corpus = corpus is None or (name == self.corpus and texts == self.asked.get("texts", texts))
        return is_same_corpus and n_chars in (None, self.asked.get("n_chars"))

    def of(self, concept: str, neuron: Neuron) -> pd.DataFrame:
        """One neuron's rows for a concept, a row for each step in order."""
        table = self.scores
        rows = table[(table.concept == concept) & (table.layer == neuron.layer) & (table.unit == neuron.unit)]
        return rows.sort_values("step", ignore_index=True)

    def best(self, concept: str) -> pd.DataFrame:
        """The neuron that did best where neurons are chosen, at each step: the rows of the best are held out."""
        rows = self.scores[self.scores.concept == concept].sort_values("choose_score", ascending=False, kind="stable")
        return rows.drop_duplicates("step").sort_values("step", ignore_index=True)

    def strengths(self, neuron: Neuron, n: int = 5) -> list[str]:
        """The concepts that a neuron is best at in the end, by its choose score above what chance gives, best first."""
        last = self.scores[self.scores.step == self.snapshots.step.iloc[-1]]
        rows = last[(last.layer == neuron.layer) & (last.unit == neuron.unit)]
        chance = self.concepts.baseline.reindex(rows.concept).to_numpy()
        skill = (rows.choose_score - chance) / (1 - np.minimum(chance, 0.999))
        return list(rows.concept.iloc[np.argsort(-skill.to_numpy(), kind="stable")[:n]])

    def telling(self, n: int = 5) -> list[str]:
        """The concepts whose best neuron grew most from the first snapshot to the last, most first."""
        ends = {name: self.best(name).score.iloc[[0, -1]].tolist() for name in self.concepts.index}
        return sorted(ends, key=lambda name: ends[name][0] - ends[name][1])[:n]

    def save(self, path: str | Path) -> None:
        """Write one Parquet file, in one step."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "version": FORMAT_VERSION, "network_hash": self.network_hash, "corpus": self.corpus,
            "n_score_chars": self.n_score_chars, "snapshots": self.snapshots.to_dict("list"),
            "concepts": self.concepts.reset_index().to_dict("list"), "asked": self.asked,
        }  # fmt: skip
        words = self.scores.astype({"concept": "category", "signal": "category"})
        table = pa.Table.from_pandas(words, preserve_index=False)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"charscope": json.dumps(facts)})
        partial = path.with_name(path.name + ".partial")
        pq.write_table(table, partial, compression="zstd")
        partial.replace(path)


def open_emergence(path: str | Path) -> Emergence:
    """What `Emergence.save` wrote. Raises InspectorError when it is damaged or newer than this program."""
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[b"charscope"])
        if int(facts["version"]) > FORMAT_VERSION:
            raise InspectorError(f"{path} is of a newer version than this program reads: update Charscope.")
        scores = table.to_pandas().astype({"concept": str, "signal": str})
        snapshots, concepts = pd.DataFrame(facts["snapshots"]), pd.DataFrame(facts["concepts"]).set_index("concept")
        read = str(facts["corpus"]), int(facts["n_score_chars"])
        asked = dict(facts.get("asked", {}))
        return Emergence(str(facts["network_hash"]), *read, snapshots, concepts, scores, asked)
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        if isinstance(error, InspectorError):
            raise
        raise InspectorError(f"{path} is damaged: make it again with `python -m inspector emerge --again`.") from error


def snapshots_of(checkpoint: str | Path) -> list[Snapshot]:
    """The snapshots that lie in a checkpoint folder, earliest first; [] where its training kept none."""
    folder = Path(checkpoint) / "snapshots"
    found = []
    for path in folder.glob(f"{_STEP}*") if folder.is_dir() else ():
        written = path.name.removeprefix(_STEP)
        if written.isascii() and written.isdigit() and (path / "config.json").is_file():
            found.append(Snapshot(int(written), path))
    return sorted(found)


def training_log(checkpoint: str | Path) -> pd.DataFrame | None:
    """`log.csv` of a checkpoint: `characters` seen and nats on train and held-out text; None where there is none.

    Raises InspectorError when it is damaged.
    """
    path = Path(checkpoint) / "log.csv"
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path)
        return table[["step", "characters", "train_nats", "choose_nats"]].astype(float)
    except (ValueError, KeyError) as error:  # pandas' own errors are of these kinds
        raise InspectorError(f"{path} is damaged: copy it again from the run, or delete it.") from error


def emerge(
    checkpoint: str | Path, corpus: Corpus, *, n_chars: int = 60_000, on_progress: Report | None = None
) -> Emergence:
    """Score every neuron for every concept at each snapshot of a network's training.

    >>> emerge("checkpoints/python-small", load_corpus("python-stdlib")).best("inside_string")

    n_chars : about how many characters are read of the choose files, and as many of the report files, at each snapshot.
    on_progress : called with (what is being done, snapshots done, all of them); what it raises ends the work.

    Raises InspectorError when the network has no snapshots or the corpus no held-out files.
    """
    checkpoint = Path(checkpoint)
    taken = snapshots_of(checkpoint)
    if not taken:
        raise InspectorError(
            f"{checkpoint} has no snapshots of its training: train a network with "
            "`python -m inspector train --snapshots 12`."
        )
    texts, n_choosing, longest = held_out(corpus, n_chars)
    choose = [True] * n_choosing + [False] * (len(texts) - n_choosing)
    concepts = concepts_for(main_language(texts))
    snapshots, scores = [], []
    for done, (step, folder) in enumerate(taken):
        if on_progress is not None:
            on_progress("reading", done, len(taken))
        model = load_checkpoint(folder)
        signals = [signal for signal in SIGNALS[model.config.kind] if signal in ("hidden", "cell")]
        found = search_corpus(model, texts, concepts, signals=signals, choose=choose, twin=False, longest=longest)
        told = model.training_facts.get("characters", 0)  # another program may have written it down in words
        characters = told if step and isinstance(told, int) else 0
        snapshots.append({"step": step, "characters": characters, "nats": round(found.loss, _DIGITS)})
        scores.append(_scores(found).assign(step=np.int32(step)))
    return Emergence(
        load_checkpoint(checkpoint).hash, corpus.name, found.made_by["n_score_chars"], pd.DataFrame(snapshots),
        _concepts(found), pd.concat(scores, ignore_index=True), {"n_chars": n_chars, "texts": str(corpus)},
    )  # fmt: skip


def _scores(found: Found) -> pd.DataFrame:
    """A row for each concept and neuron, of the signal that was better where neurons are chosen."""
    every = pd.concat([table[_COLUMNS].assign(concept=name) for name, table in found.tables.items()], ignore_index=True)
    best = every.sort_values("choose_score", ascending=False, kind="stable").drop_duplicates(
        ["concept", "layer", "unit"]
    )
    best = best.sort_values(["concept", "layer", "unit"], ignore_index=True)
    short = {"layer": np.int16, "unit": np.int16, "polarity": np.int8, "score": np.float32, "choose_score": np.float32}
    return best.round({"score": _DIGITS, "choose_score": _DIGITS}).astype(short)


def _concepts(found: Found) -> pd.DataFrame:
    rows = [
        {"concept": name, "metric": str(table.metric.iloc[0]), "baseline": float(table.baseline.iloc[0])}
        for name, table in found.tables.items()
    ]
    return pd.DataFrame(rows).set_index("concept")


def table_of(found: Emergence, *, concepts: list[str] | None = None, neuron: Neuron | None = None) -> str:
    """What grew, as text: a line for each snapshot, a column for each concept.

    neuron : scores of this one; None for those of whichever neuron was best at each step, which is named.
    """
    names = concepts or (found.strengths(neuron) if neuron is not None else found.telling())
    if unknown := [name for name in names if name not in found.concepts.index]:
        raise InspectorError(
            f"Nothing is known of {', '.join(unknown)} here: there are {', '.join(found.concepts.index)}."
        )
    rows = {name: found.best(name) if neuron is None else found.of(name, neuron) for name in names}
    lines = [["step", "characters", "bits", *names]]
    for place, at in enumerate(found.snapshots.itertuples()):
        cells = [_cell(rows[name].iloc[place], with_neuron=neuron is None) for name in names]
        lines.append([f"{at.step:,}", f"{at.characters:,}", f"{bits(float(at.nats)):.2f}", *cells])
    chance = [f"{found.concepts.baseline[name]:.2f}" for name in names]
    lines.append(["", "", "chance", *chance])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)) for line in lines)


def _cell(row: Any, *, with_neuron: bool) -> str:
    return f"{row.score:.3f} {row.layer}:{row.unit}" if with_neuron else f"{row.score:.3f}"
