"""What a model card says beyond the run's own record: the loss on held-out files, what chance predictors pay, a sample.

    report files ──► the network's loss      }
    train + report files ──► n-grams, xz     } ──► card.json of the checkpoint folder
    a seed text ──► what the network writes  }

Owns: `card.json`. Knows nothing about: recordings, concepts, the wording of a card.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from inspector.baselines import ngram_nats, xz_nats
from inspector.corpus import Corpus
from inspector.generate import sample
from inspector.model import CharModel
from inspector.recording import InspectorError
from inspector.train import held_out_nats

FORMAT_VERSION = 1
_SAMPLE_CHARS, _TEMPERATURE, _SEED = 600, 0.5, 1


def measure(
    model: CharModel, corpus: Corpus, folder: str | Path, *, seed_text: str = "", source: str = "", licence: str = ""
) -> dict[str, Any]:
    """Measure a network against predictors that are none, on the same split, and keep it as `card.json`.

    >>> measure(load_checkpoint("checkpoints/python"), load_corpus("python-stdlib"), "checkpoints/python")

    seed_text : what the sample continues.
    source, licence : of the text, in words; left empty they stay what an earlier `card.json` of this folder says, if
        that can be read.

    Losses are in nats per character over all report files. Raises InspectorError for a corpus without report files.
    """
    if not corpus.n_chars("report"):
        raise InspectorError(f"{corpus.name} has no report files to measure on. Give a larger folder of texts.")
    path = Path(folder) / "card.json"
    try:
        earlier = _read(path) if path.is_file() else {}
    except _Damaged:
        earlier = {}
    train, report = ("".join(text for _, text in corpus.splits[split]) for split in ("train", "report"))
    learned, held_out = (model.vocabulary.encode(text) for text in (train, report))
    counted = ngram_nats(learned, held_out, len(model.vocabulary))
    written = sample(model, seed_text, n_chars=_SAMPLE_CHARS, temperature=_TEMPERATURE, seed=_SEED)
    facts = {
        "version": FORMAT_VERSION,
        "network_hash": model.hash,
        "corpus": str(corpus),
        "source": source or earlier.get("source", ""),
        "licence": licence or earlier.get("licence", ""),
        "n_report_chars": len(report),
        "unknown_share": round(float(np.mean(held_out == 0)), 6),
        "report_nats": round(held_out_nats(model, corpus.splits["report"]), 4),
        "ngram_nats": {length: round(nats, 4) for length, nats in counted.items()},
        "xz_nats": round(xz_nats(train, report), 4),
        "sample": {"seed_text": seed_text, "temperature": _TEMPERATURE, "seed": _SEED, "text": "".join(written)},
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    partial.replace(path)
    return facts


def load_measures(folder: str | Path) -> dict[str, Any] | None:
    """What `card.json` of a checkpoint folder says, or None where nothing was measured.

    Raises InspectorError when the file is damaged or newer than this program.
    """
    path = Path(folder) / "card.json"
    return _read(path) if path.is_file() else None


class _Damaged(InspectorError):
    pass


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        newer = int(found["version"]) > FORMAT_VERSION
        healthy = newer or math.isfinite(found["report_nats"] + found["xz_nats"] + sum(found["ngram_nats"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        newer, healthy = False, False
    if not healthy:
        raise _Damaged(f"{path} is damaged; write it again with `python -m inspector card`.")
    if newer:
        raise InspectorError(
            f"{path} has version {found['version']}, this program reads up to {FORMAT_VERSION}: update Charscope."
        )
    return found
