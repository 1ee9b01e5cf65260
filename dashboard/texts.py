"""The texts one can read: samples, files of the running interpreter's library, and the reader's own.

Owns where texts lie, how bytes become text, and the names texts have in an address: ``sample:address_book.py``,
``stdlib:json/decoder.py``, ``mine:CONTENT_HASH``. A text is never altered: line ends, tabs and NUL stay as they are.
Knows nothing about networks or Streamlit.
"""

from __future__ import annotations

import hashlib
import json
import os
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from platformdirs import user_data_path

from inspector.recording import InspectorError

MAX_CHARS = 1_000_000  # of one text: some minutes of a 2x512 network on two cores, in the background
MAX_KEPT = 100
MAX_FILES = 20_000  # of one folder
MAX_KEPT_BYTES = 50_000_000

_LONGEST_NAME = 100  # characters
_SAMPLES = Path(__file__).parent / "samples"
_LIBRARY = Path(sysconfig.get_path("stdlib"))
_LIBRARY_PICKS = ("json/decoder.py", "textwrap.py", "heapq.py", "shlex.py", "dataclasses.py", "argparse.py")


@dataclass(frozen=True)
class Entry:
    """A text in the list: what it is called in an address, what a person calls it, how large it is."""

    id: str
    name: str
    n_bytes: int


@dataclass(frozen=True)
class Text:
    """A text with its content; `hash` identifies the content whatever the text is called.

    files : (name, length in code points) of the files it is made of, in order; () for a text that is one.
    """

    id: str
    name: str
    content: str
    files: tuple[tuple[str, int], ...] = ()

    @property
    def hash(self) -> str:
        """Content hash, 16 hex digits."""
        return content_hash(self.content, self.files)

    def parts(self) -> list[tuple[str, str]]:
        """(name, content) of each of its files."""
        found, start = [], 0
        for name, length in self.files or ((self.name, len(self.content)),):
            found.append((name, self.content[start : start + length]))
            start += length
        return found


def content_hash(content: str, files: Sequence[tuple[str, int]] = ()) -> str:
    """Sixteen hex digits that stand for this text, and these files in it, and no other."""
    said = content.encode("utf-8", "surrogatepass") + (json.dumps(list(files)).encode() if files else b"")
    return hashlib.sha256(said).hexdigest()[:16]


def data_folder() -> Path:
    """Where the reader's own things are kept; the variable CHARSCOPE_DATA names another place."""
    override = os.environ.get("CHARSCOPE_DATA")
    return Path(override) if override else user_data_path("charscope")


def is_read_only() -> bool:
    """Whether this program is served to others who may look and not write: CHARSCOPE_READ_ONLY=1."""
    return os.environ.get("CHARSCOPE_READ_ONLY", "") not in ("", "0")


def check_writable() -> None:
    """Raise InspectorError where nothing may be written."""
    if is_read_only():
        raise InspectorError(
            "This program is served read-only: nothing can be kept here. Run it on your own machine to do so."
        )


def list_texts() -> list[Entry]:
    """Samples first, then the reader's own (newest first), then some files of the interpreter's library."""
    samples = [Entry(f"sample:{path.name}", path.name, path.stat().st_size) for path in _sample_files()]
    picks = [_LIBRARY / name for name in _LIBRARY_PICKS]
    library = [
        Entry(f"stdlib:{name}", f"{name} (Python library)", path.stat().st_size)
        for name, path in zip(_LIBRARY_PICKS, picks, strict=True)
        if path.is_file()
    ]
    return samples + kept_texts() + library


def _sample_files() -> list[Path]:
    order = {".py": 0, ".c": 1, ".txt": 2}
    files = [path for path in _SAMPLES.iterdir() if path.suffix in order]
    return sorted(files, key=lambda path: (order[path.suffix], path.name))


def load_text(text_id: str) -> Text:
    """The text of that name.

    >>> load_text("stdlib:json/decoder.py").name
    'json/decoder.py'

    Raises InspectorError, one sentence, for a name that leads nowhere.
    """
    kind, _, name = text_id.partition(":")
    readers = {"sample": _load_sample, "stdlib": _load_library, "mine": _load_kept}
    if kind not in readers:
        raise InspectorError(f"“{text_id}” names no text: a text is called sample:, stdlib: or mine: and a name.")
    return readers[kind](name)


def _load_sample(name: str) -> Text:
    for path in _sample_files():
        if path.name == name:
            return Text(f"sample:{name}", name, decode(path.read_bytes(), name))
    names = ", ".join(path.name for path in _sample_files())
    raise InspectorError(f"There is no sample called “{name}”: the samples are {names}.")


def _load_library(name: str) -> Text:
    root = _LIBRARY.resolve()
    try:
        path = (root / name).resolve()
        inside = path.is_relative_to(root) and "site-packages" not in path.parts and path.suffix == ".py"
        readable = inside and path.is_file()
    except (OSError, ValueError):  # a name no file system takes: too long, or with a NUL in it
        readable = False
    if not readable:
        raise InspectorError(
            f"The Python library has no file “{name}”: write a path such as json/decoder.py, ending in .py."
        )
    return Text(f"stdlib:{name}", name, decode(path.read_bytes(), name))


def decode(data: bytes, name: str) -> str:
    """Bytes of a file as text: UTF-8, a byte order mark taken off, everything else exactly as it is.

    Raises InspectorError where the bytes are something else; nothing is replaced silently.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InspectorError(f"{name} is UTF-16 text: save it as UTF-8 and upload it again.")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InspectorError(
            f"{name} is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start:,} (line {line:,}) "
            "belongs to no character. Save it as UTF-8 and upload it again."
        ) from None


def check_length(content: str, name: str, limit: int = MAX_CHARS) -> None:
    """Raise InspectorError where a text is empty or too long to read on one screen."""
    if not content:
        raise InspectorError(f"{name} is empty: a text needs at least one character.")
    if len(content) > limit:
        raise InspectorError(
            f"{name} has {len(content):,} characters, and at most {limit:,} are read at once here: choose a part of "
            "it, or record all of it with “python -m inspector record” and open the recording."
        )


def kept_texts() -> list[Entry]:
    """The reader's own texts, newest first."""
    found = []
    for note in _kept_folder().glob("*.json"):
        body = note.with_suffix(".txt")
        try:
            said = json.loads(note.read_text("utf-8"))
            found.append((float(said["added"]), Entry(f"mine:{note.stem}", str(said["name"]), body.stat().st_size)))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written or half deleted: not a text
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def read_folder(path: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The texts below a folder, as (path within it, content), by path; and the names of files that are no UTF-8 text.

    Names that begin with a dot are left out, and so are empty files. Raises InspectorError for a folder that is not
    there, has no text in it, or has more than fits.
    """
    folder = folder_at(Path(path), "the path of a folder with sources")
    found, left_out, n_chars = [], [], 0
    for file in _files_below(folder):
        name = file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            content = decode(file.read_bytes(), name) if file.stat().st_size <= 4 * MAX_CHARS else None
        except (InspectorError, OSError):
            content = None
        if content is None or "\0" in content:
            left_out.append(name)
        elif content:
            found.append((name, content))
            n_chars += len(content)
        if n_chars > MAX_CHARS:
            raise InspectorError(f"{folder} holds more than {MAX_CHARS:,} characters: name a folder within it.")
    if not found:
        raise InspectorError(f"{folder} holds no text: name a folder with UTF-8 files in it.")
    return found, left_out


def folder_at(path: Path, what: str) -> Path:
    """The folder that was written, `~` and all; an InspectorError that asks for `what` where there is none."""
    try:
        folder = path.expanduser()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError, ValueError):  # too long a name, nobody's home, no way in, a NUL
        pass
    raise InspectorError(f"There is no folder {path}: write {what}.")


def _files_below(folder: Path) -> list[Path]:
    """All files but those whose path has a name that begins with a dot, by path; InspectorError for too many."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
        if len(found) > MAX_FILES:
            raise InspectorError(f"{folder} holds more than {MAX_FILES:,} files: name a folder within it.")
    return sorted(path for path in found if path.is_file())


def keep_files(parts: Sequence[tuple[str, str]], name: str) -> str:
    """Keep several files as one text, in which each stays a document of its own, and return its id."""
    return keep_text("".join(content for _, content in parts), name, [(part, len(content)) for part, content in parts])


def keep_text(content: str, name: str, files: Sequence[tuple[str, int]] = ()) -> str:
    """Keep a text in the reader's library and return its id; the same content twice is one text.

    Raises InspectorError when it is empty, too long, the library is full, or nothing may be written.
    """
    check_writable()
    name = _short_name(" ".join(name.split())) or "untitled"
    check_length(content, name)
    try:
        text_id, data = f"mine:{content_hash(content, files)}", content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InspectorError(
            f"{name} holds half a character at {error.start:,}, which is no text: take it out."
        ) from error
    kept = [entry for entry in kept_texts() if entry.id != text_id]
    used = sum(entry.n_bytes for entry in kept)
    if len(kept) >= MAX_KEPT or used + len(data) > MAX_KEPT_BYTES:
        raise InspectorError(
            f"Your library is full: {len(kept)} texts, {used / 1e6:.0f} MB; it keeps {MAX_KEPT} texts and "
            f"{MAX_KEPT_BYTES / 1e6:.0f} MB. Delete some on the Networks page and add this one again."
        )
    stem = _kept_folder() / text_id.removeprefix("mine:")
    stem.parent.mkdir(parents=True, exist_ok=True)
    _write(stem.with_suffix(".txt"), data)
    _write(
        stem.with_suffix(".json"),
        json.dumps({"version": 1, "name": name, "added": time.time(), "files": list(files)}).encode(),
    )
    return text_id


def _short_name(name: str) -> str:
    """With its ending, which says the language."""
    ending = PurePath(name).suffix[:20]
    return name if len(name) <= _LONGEST_NAME else PurePath(name).stem[: _LONGEST_NAME - len(ending)] + ending


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, also when two windows keep the same text."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    draft.write_bytes(data)
    draft.replace(path)


def _load_kept(name: str) -> Text:
    if len(name) == 16 and all(letter in "0123456789abcdef" for letter in name):
        for entry in kept_texts():
            if entry.id == f"mine:{name}":
                said = json.loads((_kept_folder() / f"{name}.json").read_text("utf-8"))
                files = tuple((str(file), int(length)) for file, length in said.get("files", ()))
                return Text(entry.id, entry.name, (_kept_folder() / f"{name}.txt").read_bytes().decode("utf-8"), files)
    raise InspectorError("This text is not in your library: it was deleted, or kept on another machine. Add it again.")


def forget_text(text_id: str) -> None:
    """Delete one of the reader's own texts; one that is gone already is no error."""
    check_writable()
    stem = _kept_folder() / text_id.removeprefix("mine:")
    if stem.parent == _kept_folder():
        stem.with_suffix(".json").unlink(missing_ok=True)
        stem.with_suffix(".txt").unlink(missing_ok=True)


def _kept_folder() -> Path:
    return data_folder() / "texts"
