"""Which characters choose neurons and which score them, and whether a label has enough of both to say anything."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.recording import Document, InspectorError, Recording

MIN_RUNS = 5  # fewer stretches than this of either answer, in either part: nothing can be said, however many characters
MIN_DOCUMENTS = 4  # from here on whole documents are held out
GAP = 50  # characters left unscored beside a border inside a document: the state there still remembers the other part

Array = NDArray[Any]


def split_text(recording: Recording) -> NDArray[np.bool_]:
    """Split a recording's text for `rank_neurons`: True where neurons are chosen, False where they are scored.

    Four or more documents are held out whole: taken in the order of their names' hash, each goes to the part that is
    shorter so far. Fewer documents, or one that outweighs all others, are cut into blocks that alternate, a twentieth
    of the text long but from 200 to 2,000 characters: a label's runs should fit in, and both parts see all of the text.
    """
    return _split(recording.documents, recording.n_chars)


def _split(documents: Sequence[Document], n_chars: int) -> NDArray[np.bool_]:
    choose = np.zeros(n_chars, dtype=bool)
    if can_hold_out([document.stop - document.start for document in documents]):
        chosen = split_documents([(document.name, document.stop - document.start) for document in documents])
        for document, is_chosen in zip(documents, chosen, strict=True):
            choose[document.start : document.stop] = is_chosen
        return choose
    block = min(max(n_chars // 20, 200), 2_000)
    for start in range(0, n_chars, 2 * block):
        choose[start : start + block] = True
    return choose


def can_hold_out(sizes: Sequence[int]) -> bool:
    """Whether documents of so many characters are held out whole: there are enough, and none outweighs all others."""
    return len(sizes) >= MIN_DOCUMENTS and max(sizes) <= sum(sizes) * 2 / 3


def split_documents(sizes: Sequence[tuple[str, int]]) -> list[bool]:
    """Which of some documents, given by (name, characters), are chosen on; the others are for scoring."""
    chosen = [False] * len(sizes)
    n_choose = n_score = 0
    for i in sorted(range(len(sizes)), key=lambda i: _hash(sizes[i][0])):
        if n_choose <= n_score:
            chosen[i] = True
            n_choose += sizes[i][1]
        else:
            n_score += sizes[i][1]
    return chosen


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()


class Parts(NamedTuple):
    choose: NDArray[np.bool_]  # (n_chars,)
    score: NDArray[np.bool_]  # (n_chars,), apart from the first by a gap
    starts: NDArray[np.bool_]  # (n_chars,), True at each document's first character


def parts_of(recording: Recording, choose: Array | None) -> Parts:
    """The two parts of a recording's text."""
    return parts_of_documents(recording.documents, recording.n_chars, choose)


def parts_of_documents(documents: Sequence[Document], n_chars: int, choose: Array | None = None) -> Parts:
    """The two parts, `choose` or `split_text` giving the first and the rest, but for the gaps, the second."""
    if choose is None:
        choose = _split(documents, n_chars)
    choose = np.asarray(choose)
    if choose.dtype != bool or choose.shape != (n_chars,):
        raise InspectorError(f"choose must be one bool per character ({n_chars}), not {choose.dtype} {choose.shape}.")
    score = ~choose
    starts = np.zeros(n_chars, dtype=bool)
    starts[[d.start for d in documents if d.start < n_chars]] = True
    borders = np.flatnonzero((choose[1:] != choose[:-1]) & ~starts[1:]) + 1
    for border in borders:
        score[max(border - GAP, 0) : border + GAP] = False
    return Parts(choose, score, starts)


def checked(label: Array, valid: Array | None, parts: Parts) -> tuple[Array, Array]:
    """Label and valid as arrays, or an InspectorError where nothing can be said about the label."""
    n_chars = parts.starts.size
    label = np.asarray(label)
    valid = np.ones(n_chars, dtype=bool) if valid is None else np.asarray(valid)
    if label.shape != (n_chars,):
        raise InspectorError(
            f"The label has shape {label.shape} but the text has {n_chars} characters: it needs one value for each."
        )
    if label.dtype != bool and label.dtype.kind != "f":
        raise InspectorError(
            f"The label is of type {label.dtype}: make it bool (yes/no) or float (graded), as by label.astype(bool)."
        )
    if valid.shape != (n_chars,) or valid.dtype != bool:
        raise InspectorError(f"valid must be one bool per character ({n_chars}), not {valid.dtype} {valid.shape}.")
    if not np.isfinite(label[valid]).all():
        raise InspectorError("The label is nan or infinite at some characters: mark them by valid=False there.")
    for part, mask in (("choosing", parts.choose & valid), ("scoring", parts.score & valid)):
        _check_runs(label, mask, parts.starts, part)
    return label, valid


def _check_runs(label: Array, mask: Array, starts: Array, part: str) -> None:
    values = label[mask]
    if values.size == 0:
        raise InspectorError(f"Too little to rank: no valid character is left for {part}. Take a longer text.")
    if values.min() == values.max():
        what = f"is {'yes' if values[0] else 'no'}" if label.dtype == bool else f"has the one value {values[0]:g}"
        raise InspectorError(
            f"Too little to rank: the label {what} at every character of the {part} part. "
            "Take a longer or another text."
        )
    changes = starts.copy()
    changes[1:] |= label[1:] != label[:-1]
    runs = np.cumsum(changes, dtype=np.int32)  # which stretch each character is in; these numbers only rise
    groups = (mask & label, mask & ~label) if label.dtype == bool else (mask,)
    n_runs = min(1 + int(np.count_nonzero(np.diff(runs[group]))) for group in groups)
    if n_runs < MIN_RUNS:
        raise InspectorError(
            f"Too little to rank: the label comes in {n_runs} separate stretch{'es' * (n_runs != 1)} in the {part} "
            f"part, and {MIN_RUNS} are needed. Take a longer text, or one where it changes more often."
        )
