"""Where texts come from and which of them are held out.

    file | folder | "python-stdlib"  ──►  documents (name, text)  ──►  train | choose | report

Owns: finding files, decoding them, the split. The split of a file hangs on a hash of its name alone, so it is the same
on every machine and stays when files are added. The network learns on *train*; neurons, thresholds and settings are
picked on *choose*; every score that is shown was computed on *report*.
Knows nothing about: networks, recordings, concepts.
"""

from __future__ import annotations

import codecs
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from inspector.recording import InspectorError

Split = Literal["train", "choose", "report"]
SPLITS: tuple[Split, ...] = ("train", "choose", "report")
STDLIB = "python-stdlib"
MAX_FILE_BYTES = 50_000_000

_STDLIB_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "__pycache__", "_bundled", "dist-packages"}
_STDLIB_GENERATED = {"encodings", "pydoc_data"}  # code page tables and one 700 kB help text: data, not source code
_TELLING = 500  # characters of held-out text that stand in no other text by chance
_SHARE_CHOOSE, _SHARE_REPORT = 0.05, 0.05


class Text(NamedTuple):
    """One text and the name it goes by: its path inside the corpus, with forward slashes."""

    name: str
    text: str


@dataclass(frozen=True)
class Corpus:
    """Texts by split. `skipped` names what was found but not read, with the reason."""

    name: str
    splits: dict[Split, tuple[Text, ...]]
    skipped: tuple[str, ...] = ()

    def n_chars(self, split: Split) -> int:
        return sum(len(text) for _, text in self.splits[split])

    def and_learn_from(self, more: Corpus) -> Corpus:
        """The same held-out text, and beside the train files all of another corpus but for texts that hold one of those
        held out.

        >>> load_corpus("linux", pattern="kernel/**/*.c").and_learn_from(load_corpus("linux/mm"))
        """
        held_out = {text for split in SPLITS if split != "train" for _, text in self.splits[split]}
        found = [text for split in SPLITS for text in more.splits[split]]
        long = [text for text in held_out if len(text) >= _TELLING]
        known = [text in held_out or any(part in text for part in long) for _, text in found]
        both = list(zip(found, known, strict=True))
        copies = tuple(f"{more.name}/{name} holds held-out text." for (name, _), is_known in both if is_known)
        new = tuple(Text(f"{more.name}/{name}", text) for (name, text), is_known in both if not is_known)
        splits = self.splits | {"train": self.splits["train"] + new}
        return Corpus(f"{self.name}, to learn from also {more.name}", splits, self.skipped + more.skipped + copies)

    def __str__(self) -> str:
        counts = ", ".join(f"{split} {self.n_chars(split):,}" for split in SPLITS)
        return f"{self.name}: {sum(map(len, self.splits.values())):,} texts, characters: {counts}"


def load_corpus(source: str | Path, *, pattern: str = "*") -> Corpus:
    """Read a text file, a folder of text files, or the running interpreter's own library (`"python-stdlib"`).

    pattern : which files of a folder, a glob on the path inside it such as `*.py` or `kernel/**/*.[ch]`.

    Files that are not UTF-8 text (a NUL byte counts as binary) and links are skipped and named in `skipped`. A single
    text has no files to hold out: its last tenth is, half for choosing and half for reporting.
    Raises InspectorError when there is nothing to read.
    """
    if str(source) == STDLIB:
        root = Path(sysconfig.get_paths()["stdlib"])
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        name = f"Python {version} standard library without tests and generated tables"
        return _corpus_of_files(name, root, _stdlib_files(root), follow_links=True)
    path = Path(source)
    if path.is_dir():
        files = _files(path, pattern)
        if not files and pattern != "*":
            raise InspectorError(f"No file in {path} matches the pattern {pattern!r}: write one such as '*.py'.")
        return _corpus_of_files(path.name or path.absolute().name, path, files)
    if path.is_file():
        return _corpus_of_one(path)
    raise InspectorError(f"There is no text at {path}: give a text file, a folder of text files, or {STDLIB}.")


def split_of(name: str) -> Split:
    """Which split a file belongs to, from its name inside the corpus alone."""
    place = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    if place < _SHARE_REPORT:
        return "report"
    return "choose" if place < _SHARE_REPORT + _SHARE_CHOOSE else "train"


def read_text(path: Path) -> str:
    """The file's text with its line ends as they are. InspectorError when it is unreadable, no UTF-8 or too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InspectorError(f"{path} cannot be read: {error.strerror}. Name a text file that can.") from error
    if len(data) > MAX_FILE_BYTES:
        raise InspectorError(f"{path} is too large: up to {MAX_FILE_BYTES:,} bytes are read from one file. Split it.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InspectorError(f"{path} is not UTF-8 text but UTF-16. Convert it to UTF-8.")
    if b"\0" in data:
        raise InspectorError(f"{path} is not text: it holds NUL bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InspectorError(f"{path} is not UTF-8 text (byte {error.start:,}). Convert it to UTF-8.") from error


def _files(root: Path, pattern: str) -> list[Path]:
    """Links too, which are named and not followed: they may lead out of the folder, in a circle, or nowhere."""
    try:
        files = [path for path in root.rglob(pattern) if path.is_file() or path.is_symlink()]
    except (ValueError, NotImplementedError) as error:
        raise InspectorError(
            f"{pattern!r} is no pattern for files ({error}): write one such as '*.py' or 'kernel/**/*.[ch]'."
        ) from error
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def _stdlib_files(root: Path) -> Iterator[Path]:
    return (
        path
        for path in root.rglob("*.py")
        if not (_STDLIB_LEFT_OUT | _STDLIB_GENERATED) & set(path.relative_to(root).parts)
    )


def _corpus_of_files(name: str, root: Path, paths: Iterable[Path], *, follow_links: bool = False) -> Corpus:
    found: dict[Split, list[Text]] = {split: [] for split in SPLITS}
    skipped = []
    for path in sorted(paths, key=lambda path: path.relative_to(root).as_posix()):
        inside = path.relative_to(root).as_posix()
        if path.is_symlink() and not follow_links:
            skipped.append(f"{path} is a link and was not followed: give the folder that it leads to.")
            continue
        try:
            text = read_text(path)
        except InspectorError as error:
            skipped.append(str(error))
            continue
        if text:
            found[split_of(inside)].append(Text(inside, text))
    if not any(found.values()):
        reason = f" ({len(skipped):,} files were skipped, the first because: {skipped[0]})" if skipped else ""
        raise InspectorError(f"The folder {root} holds no text to read{reason}. Give a folder of UTF-8 text files.")
    return Corpus(name, {split: tuple(texts) for split, texts in found.items()}, tuple(skipped))


def _corpus_of_one(path: Path) -> Corpus:
    text = read_text(path)
    if not text:
        raise InspectorError(f"{path} is empty. Give a file with text in it.")
    cuts = [round(len(text) * share) for share in (1 - _SHARE_CHOOSE - _SHARE_REPORT, 1 - _SHARE_REPORT)]
    parts = text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :]
    return Corpus(
        path.name, {split: (Text(path.name, part),) if part else () for split, part in zip(SPLITS, parts, strict=True)}
    )
