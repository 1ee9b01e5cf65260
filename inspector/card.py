"""The model card: what is known of a network, in words, written into its folder as README.md.

Owns: the wording. Everything it says comes from `config.json`, `log.csv`, `card.json` and `survey/survey.json` of the
folder; it computes nothing.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from inspector.measure import load_measures
from inspector.model import CharModel
from inspector.survey import load_survey
from inspector.train import bits

_OF_A_RUN = {"corpus", "steps", "characters", "minutes", "hardware", "precision", "options"}


def write_card(model: CharModel, folder: str | Path) -> None:
    """Write README.md of a checkpoint folder from what the folder itself knows."""
    folder = Path(folder)
    measures, survey = load_measures(folder), load_survey(folder)
    if measures is not None and measures["network_hash"] != model.hash:  # of weights that lay here before
        measures = None
    if survey is not None and survey["network_hash"] != model.hash:
        survey = None
    parts = [
        f"# {model.name}\n",
        _network(model),
        _training(model.training_facts, measures or {}),
        _curve(folder / "log.csv"),
        _measures(measures),
        _sample(measures),
        _neurons(survey),
        _limits(measures),
    ]
    (folder / "README.md").write_text("\n".join(part for part in parts if part), encoding="utf-8", newline="\n")


def _network(model: CharModel) -> str:
    n_weights = sum(tensor.numel() for tensor in model.parameters())
    reads = f"embeds them in {model.config.embedding} numbers" if model.config.embedding else "reads them one-hot"
    return (
        f"A character-level {model.config}, {n_weights:,} weights. It knows {len(model.vocabulary) - 1} characters, "
        f"{reads}, and predicts the next one.\n\n"
        f"Identity (SHA-256 of architecture, vocabulary and weights): `{model.hash[:16]}…`\n"
    )


def _training(facts: dict[str, Any], measures: dict[str, Any]) -> str:
    if not facts:
        return "It was not trained.\n"
    if not facts.keys() >= _OF_A_RUN:  # of another program's training
        said = [f"- {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in facts.items()]
        return "## Training\n\n" + "".join(said)
    lines = ["## Training\n", f"- text: {facts['corpus']}"]
    lines += [f"- {measures[key]}" for key in ("source", "licence") if measures.get(key)]
    lines.append(
        f"- {facts['steps']:,} steps, {facts['characters']:,} characters seen, {facts['minutes']:g} minutes on "
    )
    lines[-1] += f"{facts['hardware']}, {facts['precision']}"
    if facts.get("begun_with"):
        lines.append(f"- begun with the weights of {facts['begun_with']}")
    for key, words in (
        ("choose_nats", "on the text that settings are picked on, up to its first 200,000 characters"),
        ("report_nats", "on all text held out for reporting, measured once, by the weights in full precision"),
    ):
        if facts.get(key) is not None:
            lines.append(f"- {facts[key]:.3f} nats = {bits(facts[key]):.3f} bits per character {words}")
    options = ", ".join(f"{key} {json.dumps(value)}" for key, value in facts["options"].items())
    lines.append(f"- options: {options}")
    return "\n".join(lines) + "\n"


def _curve(log: Path, n_rows: int = 8) -> str:
    """A few rows of the run's log: how the losses fell."""
    if not log.is_file():
        return ""
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if all(row.values())]  # the last may be written just now
    shown = rows[:: max(1, -(-len(rows) // n_rows))]
    shown += rows[-1:] if rows and shown[-1] is not rows[-1] else []
    lines = [
        f"| {int(row['characters']):,} | {float(row['train_nats']):.3f} | {float(row['choose_nats']):.3f} |"
        for row in shown
    ]
    head = "| characters | nats on train text | nats on choose text |\n|---|---|---|\n"
    return head + "\n".join(lines) + "\n" if lines else ""


def _measures(found: dict[str, Any] | None) -> str:
    if found is None:
        return "Beside n-grams and a compressor: `python -m inspector card` measures it.\n"
    rows = [("**this network**", found["report_nats"]), ("xz -9e, after the train text", found["xz_nats"])]
    rows += [(f"{length}-gram, interpolated", nats) for length, nats in found["ngram_nats"].items() if int(length) >= 3]
    return (
        f"## Beside predictors that are no networks\n\nOn all {found['n_report_chars']:,} characters of the report "
        f"files ({found['corpus']}); {100 * found['unknown_share']:.2g} % of them are characters it does not know.\n\n"
        "| | nats per character | bits |\n|---|---|---|\n"
        + "".join(f"| {name} | {nats:.3f} | {bits(nats):.3f} |\n" for name, nats in rows)
    )


def _sample(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    one = found["sample"]
    text = (one["seed_text"] + one["text"]).replace("\t", "        ")
    indented = "\n".join(f"    {line}".rstrip() for line in text.splitlines())
    return (
        f"## What it writes\n\nFrom {one['seed_text']!r}, temperature {one['temperature']}, random stream "
        f"{one['seed']}:\n\n{indented}\n"
    )


def _limits(found: dict[str, Any] | None) -> str:
    lines = [
        "It reads one character at a time from left to right and knows only text like its train text; other languages "
        "and scripts are read as the unknown symbol or badly.",
        "The scores are of single neurons on held-out files of the same corpus; one neuron is a small part of what a "
        "network represents.",
    ]
    if found is not None and found["report_nats"] > found["xz_nats"]:
        lines.append(
            "xz, which may copy long passages from the train text, predicts the report files better than this network."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _neurons(found: dict[str, Any] | None) -> str:
    if found is None:
        return "## Neurons\n\nNot surveyed yet: `python -m inspector survey` looks for neurons.\n"
    head = (
        "## Neurons\n\n"
        f"The best single neuron for each concept, picked on {found['n_choose_chars']:,} characters of held-out files "
        f"of {found['corpus']} and scored on {found['n_report_chars']:,} characters of others. AUROC for yes/no "
        "concepts (chance .5), |correlation| for graded ones (chance 0). *Untrained* is what the same search finds in "
        "the same network before training. "
        f"On these report files the network pays {found['report_nats']:.3f} nats = "
        f"{bits(found['report_nats']):.3f} bits per character.\n\n"
        "| concept | neuron | signal | score | untrained | in words |\n|---|---|---|---|---|---|\n"
    )
    rows = sorted(found["concepts"].items())
    return head + "".join(_row(name, best[0]) for name, best in rows) + "\n"


def _row(concept: str, row: dict[str, Any]) -> str:
    measure = "" if row["metric"] == "auroc" else " (r)"
    neuron = f"{row['layer']}:{row['unit']} {'+' if row['polarity'] > 0 else '−'}"  # noqa: RUF001 - a minus sign
    score = f"{row['score']:.3f}{measure} | {row['twin_score']:.3f} | {row['verdict']}"
    return f"| {concept} | {neuron} | {row['signal']} | {score} |\n"
