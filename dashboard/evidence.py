"""What a survey of a network found, and how one neuron's evidence reads in a plain sentence.

Owns the words. Knows nothing about files, what is on screen or Streamlit. A claim always stands beside what a neuron
that knows nothing would score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inspector.concepts import Concept
from inspector.recording import InspectorError, Neuron
from inspector.search import LIMITS

FIRST_CONCEPT = "inside_string"
_SIGNALS = {
    "hidden": "hidden state", "cell": "cell state", "input_gate": "input gate", "forget_gate": "forget gate",
    "output_gate": "output gate", "reset_gate": "reset gate", "update_gate": "update gate", "candidate": "candidate",
}  # fmt: skip
_VISIBLE = {" ": "space", "\n": "line end", "\t": "tab", "\r": "carriage return"}
STRETCHES = {
    "changes": ("Where it changes", "the stretches in which the concept changes most"),
    "missed": ("What it misses", "the concept holds, and the neuron does not say so"),
    "mistaken": ("What it mistakes for it", "the neuron says so, and the concept does not hold"),
}
_BRIEF = {
    "weak: no better than chance": "no better than chance",
    ", but this text is too short to rule out chance": ", may be chance",
    ", but an untrained network has a neuron as good": ", untrained too",
}
_AS_GOOD = 0.02  # of a score: what is better by less is as good
_NOT_MUCH = 0.3  # of the way from chance or an untrained twin to a perfect score: less says little of a neuron


def skill(score: Any, baseline: Any, twin_score: Any) -> Any:
    """The share of the way to a perfect score from what chance and no training at all give; numbers or columns.

    twin_score : nan where no untrained network was asked.
    """
    unlearned = np.fmin(np.fmax(baseline, twin_score), 0.999)
    return (score - unlearned) / (1 - unlearned)


def direction_word(polarity: int, metric: str = "auroc") -> str:
    """What a neuron is where a yes/no concept holds, or as a number grows.

    >>> direction_word(-1), direction_word(-1, "correlation")
    ('low', 'falling')
    """
    words = ("rising", "falling") if metric == "correlation" else ("high", "low")
    return words[0 if polarity > 0 else 1]


def signal_words(name: str) -> str:
    """What a signal is called in a sentence; an imported recording's own name stays as it is.

    >>> signal_words("cell"), signal_words("block 3")
    ('cell state', 'block 3')
    """
    return _SIGNALS.get(name, name)


def concept_words(concept: Concept) -> str:
    """What a concept holds for, and whether one who reads from left to right can tell.

    >>> concept_words(CONCEPTS["word_end"])
    '“word end”: The last character of a word. To tell takes later text, which the network has not read yet.'
    """
    later = "" if concept.causal else " To tell takes later text, which the network has not read yet."
    return f"“{concept.title}”: {concept.description}{later}"


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

    @property
    def is_learned(self) -> bool:
        """Whether it does so visibly better than chance and than any neuron of an untrained network."""
        return bool(self.score - np.fmax(self.baseline, self.twin_score) >= _AS_GOOD)

    def words(self) -> str:
        """What the neuron does and how well, in one line; `score_words` has the form."""
        return f"its {signal_words(self.signal)} is {score_words(vars(self))}"


def score_words(row: Mapping[str, Any]) -> str:
    """Direction, score, chance and untrained twin of a row of a ranking, in words.

    >>> score_words({"metric": "auroc", "polarity": -1, "score": 0.97, "baseline": 0.5, "twin_score": 0.61})
    'low there: held-out AUROC 0.97, chance 0.50, untrained twin 0.61'
    """
    direction = direction_word(row["polarity"], row["metric"])
    if row["metric"] == "correlation":
        claim = f"{direction} with it: held-out correlation {two_digits(row['score'])}"
    else:
        claim = f"{direction} there: held-out AUROC {two_digits(row['score'])}"
    twin = "" if math.isnan(row["twin_score"]) else f", untrained twin {two_digits(row['twin_score'])}"
    return f"{claim}, chance {row['baseline']:z.2f}{twin}"


def detects_words(
    neuron: Neuron, row: Mapping[str, Any] | None, title: str, explanation: Mapping[str, Any] | None = None
) -> tuple[str, str]:
    """What a neuron detects, and what that rests on, out of its best row; also where there is nothing much to say.

    row : of the scores, with skill and verdict. title : of the row's concept.
    explanation : as `formula_words` takes it.
    """
    if row is None:
        return f"Neuron {neuron}", "No concept could be ranked in the surveyed text."
    evidence = f"Its {signal_words(row['signal'])} is {score_words(row)}; {row['verdict']}."
    if row["skill"] < _NOT_MUCH or row["verdict"].startswith("weak: ") or "chance" in row["verdict"]:
        said = f"Of all surveyed concepts it goes best with “{title}”, which says little of it. {evidence}"
        if explanation is not None and explanation["is_explained"]:
            does = "goes with" if explanation["polarity"] > 0 else "goes against"
            return f"Neuron {neuron} {does} “{explanation['formula']}”", said
        return f"Neuron {neuron} has no explanation yet", said
    if row["metric"] == "correlation":
        does = "follows" if row["polarity"] > 0 else "falls with"
    else:
        does = "is high where it reads" if row["polarity"] > 0 else "is low where it reads"
    return f"Neuron {neuron} {does} “{title}”", evidence


def found_words(row: Mapping[str, Any], title: str, where: str) -> tuple[str, str]:
    """What a search found, how sure that is, and what it does not mean, out of its best row.

    row : of a ranking, with its verdict. title : of the concept. where : what was searched, "in 20,000 characters".
    """
    neuron, said = f"{row['layer']}:{row['unit']}", row["verdict"]
    not_meant = "That it follows the concept does not mean that the network uses it for that, or that it does no more."
    if said == "strong":
        headline = f"{neuron} follows “{title}” closely"
    elif said == "clear":
        headline = f"{neuron} follows “{title}”"
    elif said.endswith("as good"):
        headline = f"{neuron}, chosen for “{title}”, is no better there than a neuron of an untrained network"
        not_meant = "What is there before any training is no finding about this network."
    elif "chance" in said:
        headline = f"{neuron}, chosen for “{title}”, may follow it by chance"
        not_meant = "A longer text could tell; this one does not mean that there is none."
    else:
        headline = f"{neuron}, chosen for “{title}”, follows it weakly"
        not_meant = "It does not mean that the network does not know it: many neurons may carry it together."
    signal = signal_words(row["signal"])
    return (
        headline,
        f"{where}, its {signal} is {score_words(row)}. {said[0].upper()}{said[1:]}: {_sure(row)}. {not_meant}",
    )


def _sure(row: Mapping[str, Any]) -> str:
    """What the q-value of a row says."""
    q = row["q_value"]
    if math.isnan(q):
        return "how sure that is was not written down"
    if q > 0.05:
        return f"among finds like this {q:.0%} are expected to be chance"
    return f"among finds like this {'fewer than 1 in 10,000 are' if q < 1e-4 else f'{q:.2%} are'} expected to be chance"


def codes_words(table: pd.DataFrame) -> str:
    """One neuron or many? What the curve over k says, out of the table of `best_codes`."""
    if table.empty:
        return "No neuron tells it from the rest."
    alone, last, best = table.score.iloc[0], table.iloc[-1], table.loc[table.score.idxmax()]
    enough = table[table.score >= best.score - _AS_GOOD].iloc[0]
    name = "AUROC" if last.metric == "auroc" else "correlation"
    if best.score - alone < _AS_GOOD:
        return f"One neuron: to its {name} of {two_digits(alone)} others add less than {_AS_GOOD}."
    if enough.score - alone < _AS_GOOD:  # many add up to what one is hardly short of
        more = f"{best.k} together reach {two_digits(best.score)}"
        return f"One neuron, hardly helped by others: {name} {two_digits(alone)} alone, {more}."
    said = f"together {enough.k} reach {name} {two_digits(enough.score)}, the first of them alone {two_digits(alone)}."
    if best.score - last.score >= _AS_GOOD:
        said += f" With {last.k} it is {two_digits(last.score)}: more weights than this text can teach."
    return f"{'A few neurons' if enough.k <= 3 else 'Many neurons'}: {said}"


def in_titles(formula: str, title: Callable[[str], str]) -> str:
    """A formula with its concepts by their titles.

    >>> in_titles("digit AND line_position >= 8", lambda name: name.replace("_", " "))
    'digit AND line position >= 8'
    """
    return re.sub(r"\b[a-z][a-z0-9_]*", lambda name: title(name[0]), formula)


def formula_words(row: Mapping[str, Any]) -> str:
    """What best says how a neuron goes, a formula of concepts or a graded concept, and how well, chance beside it.

    row : of the explanations; `score` is a correlation on files that had no part in choosing the explanation. One of
    version 1 has no `kind`: all are formulas.
    """
    signal, up, formula = signal_words(row["signal"]), row["polarity"] > 0, row["formula"]
    if row.get("kind") == "graded":
        goes, measure = f"{'rises' if up else 'falls'} with {formula}", "correlation"
    else:
        goes = f"is {'at least' if up else 'at most'} {row['threshold']:.2f} roughly where {formula} holds"
        measure = "Matthews correlation"
    score, enough = f"{row['score']:z.2f}", LIMITS["correlation"]["strong"]
    if row["is_explained"]:
        worth = "that explains it"
    else:
        score = score if float(score) < enough else f"{row['score']:.4f}"
        worth = f"less than the {enough:.2f} that would explain it"
    return f"Its {signal} {goes}: held-out {measure} {score}, chance {row['chance']:z.2f}; {worth}."


def memory_words(kind: str, kept: float, half_life: float) -> str:
    """How long a neuron keeps what it holds, from the median of the gate that keeps it.

    >>> memory_words("lstm", 0.9, 6.58)
    'Its forget gate is 0.90 at the median: left alone, half of what it holds is gone after 6.6 characters.'
    """
    if kind == "rnn":
        return "A plain recurrent network has no gates: what a neuron keeps is spread over the weights between neurons."
    gate = signal_words("forget_gate" if kind == "lstm" else "update_gate")
    if math.isnan(half_life):
        return f"Nothing is known of its {gate}."
    if half_life > 1000:
        lasts = "it holds what it has for more than a thousand characters"
    else:
        number = f"{half_life:.1f}" if half_life < 10 else f"{half_life:.0f}"
        lasts = f"half of what it holds is gone after {number} character{'' if half_life == 1 else 's'}"
    return f"Its {gate} is {kept:.2f} at the median: left alone, {lasts}."


def symbol_words(symbol: str) -> str:
    """A character as one can see it.

    >>> symbol_words(" "), symbol_words("a"), symbol_words("\\x00")
    ('space', 'a', '\\\\x00')
    """
    return _VISIBLE.get(symbol) or (symbol if symbol.isprintable() else ascii(symbol)[1:-1])


def brief(said: str) -> str:
    """A verdict for a narrow column.

    >>> brief("clear, but this text is too short to rule out chance"), brief("strong")
    ('clear, may be chance', 'strong')
    """
    for long, short in _BRIEF.items():
        said = said.replace(long, short)
    return said


def two_digits(score: float) -> str:
    """A score with two digits, or with as many more, up to six, as it takes not to say that it is perfect."""
    digits = digits_of([score], 2)
    return f"{score:z.{digits}f}"


def digits_of(scores: Iterable[float], least: int) -> int:
    """How many digits, up to six, it takes to write scores so that none looks perfect that is not."""
    best = max((abs(score) for score in scores if abs(score) < 1), default=0.0)
    return next((digits for digits in range(least, 6) if round(best, digits) < 1), 6)


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
    starts, stops = _windows(text, n_lines, longest)
    weights = _weights(_change(label), starts, stops)
    best = int(np.argmax(weights))
    return int(starts[best]), int(stops[best])


def lines_around(
    text: str, start: int, stop: int, *, within: tuple[int, int], around: int, longest: int = 160
) -> tuple[int, int]:
    """(start, stop) of the whole lines around a stretch, from `around` characters before it to as many behind it.

    within : where the document begins and ends that the stretch lies in. Of a line that goes on for more than
        `longest` characters from there, it is a part.
    """
    first, last = max(within[0], start - around), min(within[1], stop + around)
    begins = text.rfind("\n", max(within[0], first - longest), first) + 1
    ends = text.find("\n", last, min(within[1], last + longest)) + 1
    return (
        begins or (within[0] if first - within[0] <= longest else first),
        ends or (within[1] if within[1] - last <= longest else last),
    )


def highest(trace: np.ndarray, n: int, apart: int) -> list[int]:
    """Where a trace is highest, the highest place first: up to `n` places with more than `apart` between any two.

    Nowhere is no place of a trace that does not move.
    """
    left = trace.astype(np.float64)
    places: list[int] = []
    for _ in range(n):
        at = int(left.argmax())
        if left[at] <= trace.min():
            break
        places.append(at)
        left[max(at - apart, 0) : at + apart + 1] = -math.inf
    return places


@dataclass(frozen=True)
class Stretch:
    """A few lines worth looking at, from `start` to before `stop`, and why: a key of `STRETCHES`."""

    why: str
    start: int
    stop: int


def telling_stretches(
    text: str, label: np.ndarray, among: np.ndarray, says: np.ndarray | None = None, most: tuple[int, int] = (3, 2)
) -> list[Stretch]:
    """The few lines in which one sees best what a neuron makes of a label: where it changes most, where it fails most.

    label : bool or float ndarray of shape (n_chars,). among : int, the same: a stretch lies where this has one value
        above 0, as the number of a document's scored part. says : bool, where the neuron says yes; None for a graded
        label, of which nobody says where it fails. most : how many of the first kind and of each of the others.
    """
    starts, stops = _windows(text, 3, 240)
    ends = np.append(np.flatnonzero(np.diff(among)) + 1, among.size)  # where each run of one value stops
    stops = np.minimum(stops, ends[np.searchsorted(ends, starts, "right")])
    keep = among[starts] > 0
    starts, stops = starts[keep], stops[keep]
    reasons = {"changes": _change(label)}
    if says is not None:
        reasons |= {"missed": label & ~says, "mistaken": says & ~label}
    taken = np.zeros(len(text), bool)
    found = []
    for why, marks in reasons.items():
        weights = _weights(marks.astype(np.float64), starts, stops)
        left = most[0 if why == "changes" else 1]
        for place in np.argsort(-weights, kind="stable"):
            start, stop = int(starts[place]), int(stops[place])
            if left == 0 or weights[place] <= 0:
                break
            if not taken[start:stop].any():
                found.append(Stretch(why, start, stop))
                taken[start:stop] = True
                left -= 1
    return found


def _windows(text: str, n_lines: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of whole lines start and stop; a line that is longer than `longest` is cut into several."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lines = np.concatenate([[0], np.flatnonzero(codes[:-1] == ord("\n")) + 1])
    lengths = np.diff(np.append(lines, codes.size))
    cuts = [np.arange(lines[i] + longest, lines[i] + lengths[i], longest) for i in np.flatnonzero(lengths > longest)]
    starts = np.sort(np.concatenate([lines, *cuts])).astype(np.int64)
    after = np.searchsorted(lines, starts, "right") - 1 + n_lines
    stops = np.append(lines, np.full(n_lines, codes.size))[after]
    return starts, np.minimum(stops, starts + longest)


def _change(label: np.ndarray) -> np.ndarray:
    """By how much a label moves at each character."""
    values = label.astype(np.float64)
    return np.abs(np.diff(values, prepend=values[:1]))


def _weights(marks: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The sum of the marks in each stretch."""
    before = np.append(0.0, np.cumsum(marks))  # before[t]: the marks before t
    found: np.ndarray = before[stops] - before[starts]
    return found
