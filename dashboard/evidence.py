"""What a survey of a network found, and how one neuron's evidence reads in a plain sentence.

Owns the words. Knows nothing about files, what is on screen or Streamlit. A claim always stands beside what a neuron
that knows nothing would score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inspector.recording import InspectorError, Neuron

FIRST_CONCEPT = "inside_string"
SIGNAL_WORDS = {
    "hidden": "hidden state", "cell": "cell state", "input_gate": "input gate", "forget_gate": "forget gate",
    "output_gate": "output gate", "reset_gate": "reset gate", "update_gate": "update gate", "candidate": "candidate",
}  # fmt: skip
_VISIBLE = {" ": "space", "\n": "line end", "\t": "tab", "\r": "carriage return"}
_NOT_MUCH = 0.3  # of the way from chance or an untrained twin to a perfect score: less says little of a neuron


@dataclass(frozen=True)
class Finding:
    """How well one neuron predicts one concept on text that had no part in choosing it.

    metric : "auroc" (yes/no concepts) or "correlation" (graded ones).
    baseline, twin_score : what a neuron that knows nothing, and the best one of an untrained twin, score.
    """

    concept: str
    neuron: Neuron
    signal: str
    polarity: int
    score: float
    metric: str
    baseline: float
    verdict: str = ""
    twin_score: float = math.nan

    def words(self) -> str:
        """What the neuron does and how well, in one line; `score_words` has the form."""
        return f"its {SIGNAL_WORDS.get(self.signal, self.signal)} is {score_words(vars(self))}"


def score_words(row: Mapping[str, Any]) -> str:
    """Direction, score, chance and untrained twin of a row of a ranking, in words.

    >>> score_words({"metric": "auroc", "polarity": -1, "score": 0.97, "baseline": 0.5, "twin_score": 0.61})
    'low there: held-out AUROC 0.97, chance 0.50, untrained twin 0.61'
    """
    up = row["polarity"] > 0
    if row["metric"] == "correlation":
        claim = f"{'rising' if up else 'falling'} with it: held-out correlation {two_digits(row['score'])}"
    else:
        claim = f"{'high' if up else 'low'} there: held-out AUROC {two_digits(row['score'])}"
    twin = "" if math.isnan(row["twin_score"]) else f", untrained twin {row['twin_score']:.2f}"
    return f"{claim}, chance {row['baseline']:.2f}{twin}"


def detects_words(neuron: Neuron, row: Mapping[str, Any] | None, title: str) -> tuple[str, str]:
    """What a neuron detects, and what that rests on, out of its best row; also where there is nothing much to say.

    row : of the scores, with skill and verdict. title : of the row's concept.
    """
    if row is None:
        return f"Neuron {neuron}", "No concept could be ranked in the surveyed text."
    evidence = f"Its {SIGNAL_WORDS[row['signal']]} is {score_words(row)}; {row['verdict']}."
    if row["skill"] < _NOT_MUCH or row["verdict"].startswith("weak: "):
        said = f"Of all surveyed concepts it goes best with “{title}”, which says little of it."
        return f"Neuron {neuron} has no explanation yet", f"{said} {evidence}"
    if row["metric"] == "correlation":
        does = "follows" if row["polarity"] > 0 else "falls with"
    else:
        does = "is high where it reads" if row["polarity"] > 0 else "is low where it reads"
    return f"Neuron {neuron} {does} “{title}”", evidence


def formula_words(row: Mapping[str, Any]) -> str:
    """The formula of concepts that best says when a neuron is on, and how well it does, chance beside it.

    row : of the explanations; `score` is Matthews' correlation on files that had no part in finding the formula.
    """
    side = "at least" if row["polarity"] > 0 else "at most"
    worth = "explains it" if row["is_explained"] else "does not explain it"
    return (
        f"Its {SIGNAL_WORDS[row['signal']]} is {side} {row['threshold']:.2f} most nearly where {row['formula']}: "
        f"held-out Matthews correlation {row['score']:.2f}, chance {row['chance']:.2f}; that {worth}."
    )


def memory_words(kind: str, kept: float, half_life: float) -> str:
    """How long a neuron keeps what it holds, from the median of the gate that keeps it.

    >>> memory_words("lstm", 0.9, 6.58)
    'Its forget gate is 0.90 at the median: left alone, half of what it holds is gone after 6.6 characters.'
    """
    if kind == "rnn":
        return "A plain recurrent network has no gates: what a neuron keeps is spread over the weights between neurons."
    gate = SIGNAL_WORDS["forget_gate" if kind == "lstm" else "update_gate"]
    if math.isnan(half_life):
        return f"Nothing is known of its {gate}."
    if half_life > 1000:
        lasts = "it holds what it has for more than a thousand characters"
    else:
        lasts = f"half of what it holds is gone after {half_life:.1f} character{'' if half_life == 1 else 's'}"
    return f"Its {gate} is {kept:.2f} at the median: left alone, {lasts}."


def symbol_words(symbol: str) -> str:
    """A character as one can see it.

    >>> symbol_words(" "), symbol_words("a"), symbol_words("\\x00")
    ('space', 'a', '\\\\x00')
    """
    return _VISIBLE.get(symbol) or (symbol if symbol.isprintable() else ascii(symbol)[1:-1])


def two_digits(score: float) -> str:
    """A score with two digits, or with three where two would say that it is perfect."""
    return f"{score:.3f}" if 0.995 <= abs(score) < 0.9995 else f"{score:.2f}"


@dataclass(frozen=True)
class Survey:
    """The best neurons of one network for each concept, best first, and the corpus they were found in."""

    network_hash: str
    corpus: str
    n_report_chars: int
    concepts: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)

    def best(self, concept: str) -> Finding | None:
        """The best neuron for a concept; None where the survey did not look for it."""
        return next(iter(self.concepts.get(concept, ())), None)

    def about(self, neuron: Neuron, asked: str = FIRST_CONCEPT) -> list[Finding]:
        """Everything the survey lists about a neuron: what it is first for, then the rest, each by score over chance.

        asked : the concept that is put before all others where the neuron is first for it.
        """
        found = [
            (place, finding)
            for findings in self.concepts.values()
            for place, finding in enumerate(findings)
            if finding.neuron == neuron
        ]
        found.sort(key=lambda pair: (pair[0], pair[1].concept != asked, pair[1].baseline - pair[1].score))
        return [finding for _, finding in found]

    def first_sight(self) -> Finding | None:
        """What a newcomer is shown: the best inside-a-string neuron, or the best of anything."""
        wanted = self.best(FIRST_CONCEPT)
        firsts = [findings[0] for findings in self.concepts.values() if findings]
        return wanted or max(firsts, key=lambda finding: finding.score - finding.baseline, default=None)


def survey_from(said: Mapping[str, Any], where: Path) -> Survey:
    """Read what `inspector.survey.load_survey` returned.

    Raises InspectorError where parts are missing; `where` is the checkpoint folder it came from.
    """
    try:
        listed = said["concepts"].items()
        concepts = {str(name): tuple(_finding(str(name), row) for row in rows) for name, rows in listed}
        return Survey(str(said["network_hash"]), str(said["corpus"]), int(said["n_report_chars"]), concepts)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InspectorError(
            f"The survey in {where} is damaged: make it again with `python -m inspector survey --network {where}`."
        ) from None


def _finding(concept: str, row: Mapping[str, Any]) -> Finding:
    def number(name: str) -> float:
        value = row.get(name)
        return math.nan if value is None else float(value)

    return Finding(
        concept=concept,
        neuron=Neuron(int(row["layer"]), int(row["unit"])),
        signal=str(row["signal"]),
        polarity=int(row["polarity"]),
        score=number("score"),
        metric=str(row["metric"]),
        baseline=number("baseline"),
        verdict=str(row.get("verdict", "")),
        twin_score=number("twin_score"),
    )


def telling_stretch(text: str, label: np.ndarray, n_lines: int = 6, longest: int = 600) -> tuple[int, int]:
    """(start, stop) of the few whole lines in which a label changes most: there one sees who follows it.

    label : bool or float ndarray of shape (n_chars,). No more than `longest` characters, where lines are long.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    starts = np.concatenate([[0], np.flatnonzero(codes[:-1] == ord("\n")) + 1])
    stops = np.append(starts[n_lines:], [label.size] * min(n_lines, starts.size))
    stops = np.minimum(stops, starts + longest)
    change = np.cumsum(np.abs(np.diff(label.astype(np.float64), prepend=label[:1].astype(np.float64))))
    change = np.append(0.0, change)  # change[t]: how much the label moved before t
    best = int(np.argmax(change[stops] - change[starts]))
    return int(starts[best]), int(stops[best])
