"""The model card: what is known of a network, in words, written into its folder as README.md.

Owns: the wording. Everything it says comes from `config.json` and `survey/survey.json`; it computes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inspector.model import CharModel
from inspector.survey import load_survey
from inspector.train import bits


def write_card(model: CharModel, folder: str | Path) -> None:
    """Write README.md of a checkpoint folder from what the folder itself knows."""
    folder = Path(folder)
    parts = [f"# {model.name}\n", _network(model), _training(model.training_facts), _neurons(load_survey(folder))]
    (folder / "README.md").write_text("\n".join(part for part in parts if part), encoding="utf-8", newline="\n")


def _network(model: CharModel) -> str:
    n_weights = sum(tensor.numel() for tensor in model.parameters())
    reads = f"embeds them in {model.config.embedding} numbers" if model.config.embedding else "reads them one-hot"
    return (
        f"A character-level {model.config}, {n_weights:,} weights. It knows {len(model.vocabulary) - 1} characters, "
        f"{reads}, and predicts the next one.\n\n"
        f"Identity (SHA-256 of architecture, vocabulary and weights): `{model.hash[:16]}…`\n"
    )


def _training(facts: dict[str, Any]) -> str:
    if not facts:
        return "It was not trained.\n"
    lines = ["## Training\n", f"- text: {facts['corpus']}; whole files held out"]
    lines.append(
        f"- {facts['steps']:,} steps, {facts['characters']:,} characters seen, {facts['minutes']:g} minutes on "
    )
    lines[-1] += f"{facts['hardware']}, {facts['precision']}"
    for key, words in (
        ("choose_nats", "on the first 200,000 characters of the files that settings are picked on"),
        ("report_nats", "on all report files, measured once"),
    ):
        if facts.get(key) is not None:
            lines.append(f"- {facts[key]:.3f} nats = {bits(facts[key]):.3f} bits per character {words}")
    options = ", ".join(f"{key} {json.dumps(value)}" for key, value in facts["options"].items())
    lines.append(f"- options: {options}")
    return "\n".join(lines) + "\n"


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
