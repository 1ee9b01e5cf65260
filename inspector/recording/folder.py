"""A recording on disk: which files there are, the order in which they become true, and what is checked on the way back.

    manifest          header line, then one line per finished stretch         text       utf-8, lone surrogates included
    stretch-000000    blocks of characters 0-4095 (see `stretch`), then       unknown    int64 positions
                      the state from which a writer that is cut off goes on

Every file but the manifest is written under a temporary name, brought to disk and renamed; only then does the manifest
name it, with its size and checksum. What the manifest does not name does not exist.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from inspector.recording.coding import error_bound
from inspector.recording.header import Header
from inspector.recording.manifest import Entry, Manifest, is_manifest
from inspector.recording.stretch import LOSS, STRETCH, Array, Key, checksum_of, opened, sealed, seed_of
from inspector.recording.words import Damaged, Document, InspectorError, Layer, Progress

_OURS = re.compile(r"(manifest|text|unknown|stretch-[0-9]{6,})(\.tmp)?")
_AGAIN = "Restore the folder from a copy, or record the text again."
_ASKED = {
    "text": "text",
    "documents": "documents",
    "layers": "signals",
    "dtype": "dtype",
    "network_hash": "network",
    "symbols": "network",
    "engine": "engine",
}  # what must be the same when a recording is resumed, in words

Standstill = tuple[int, bytes]
"""A position, and the state the network was in before it read the character there."""
START: Standstill = (0, b"")


class FolderStore:
    """Reads rows from a folder. Files are opened for each read, so nothing is held open and threads do not meet."""

    def __init__(self, folder: Path, header: Header, recording_id: str, entries: list[Entry]) -> None:
        self.folder = folder
        self._layout = header.layout
        self._id = recording_id
        self._entries = entries

    @property
    def nbytes(self) -> int:
        return sum(entry["bytes"] for entry in self._entries)

    def rows(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        values: Array = self._checked(stretch, key, first, n_rows)["values"]
        return values

    def _checked(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        """Rows with their checksums, which they match."""
        entry = self._entries[stretch]
        n_chars = entry["stop"] - entry["start"]
        block = self._layout.blocks[key]
        row_bytes = block.row(n_chars).itemsize
        offset = self._layout.offset(key, n_chars) + first * row_bytes
        path = self.folder / _stretch_name(stretch)
        try:
            raw = _pread(path, offset, n_rows * row_bytes)
            return opened(block, raw, first, n_chars, seed_of(self._id, stretch))
        except Damaged as error:
            raise self._damage(stretch, str(error)) from error
        except OSError as error:
            raise self._damage(stretch, f"cannot be read ({error.strerror})") from error

    def error_bound(self, key: Key) -> float:
        block = self._layout.blocks[key]
        stated: list[float] = [entry["bounds"][block.number] for entry in self._entries if "bounds" in entry]
        unstated = (number for number, entry in enumerate(self._entries) if "bounds" not in entry)
        return max([0.0, *stated, *(error_bound(self.rows(number, key, 0, block.n_rows)) for number in unstated)])

    def verify(self, progress: Progress | None = None) -> None:
        """Read everything and compare it with its checksums, the manifest's too."""
        for stretch, entry in enumerate(self._entries):
            rows = [self._checked(stretch, key, 0, block.n_rows) for key, block in self._layout.blocks.items()]
            if checksum_of(rows) != entry["crc32"]:
                raise self._damage(stretch, "does not match the manifest's checksum")
            try:
                _standstill(self.folder, stretch, entry)
            except Damaged as error:
                raise self._damage(stretch, str(error)) from error
            if progress is not None:
                progress(entry["stop"], self._entries[-1]["stop"])

    def _damage(self, stretch: int, cause: str) -> InspectorError:
        entry = self._entries[stretch]
        return InspectorError(
            f"Recording {self.folder} cannot be read: {_stretch_name(stretch)} (characters {entry['start']} to "
            f"{entry['stop'] - 1}) {cause}. If it was written anew meanwhile, open it again. {_AGAIN}"
        )


class FolderSink:
    """Takes whole stretches and makes each of them safe before it returns.

    reached : characters that are safe. standstill : from where a writer that goes on must read again.
    """

    def __init__(self, folder: Path, header: Header, manifest: Manifest, shown: Path) -> None:
        self._folder = folder
        self._shown = shown
        self._header = header
        self._manifest = manifest
        self._id: str = manifest.entries[0]["id"]
        self.reached = 0
        self.standstill = START

    @classmethod
    def begin(
        cls, folder: Path, header: Header, *, n_planned: int | None = None, shown: Path | None = None
    ) -> FolderSink:
        """Start anew. n_planned : the length once planned, if not the text's. shown : the folder that errors name."""
        shown = shown or folder
        _claim(folder)
        entry = _header_entry(header)
        entry |= {"id": _id_of(entry), "n_planned": len(header.text) if n_planned is None else n_planned}
        with _disk_errors(shown):
            # Begun under a temporary name, so that a folder cut off here is known as ours and yet is no recording.
            manifest = Manifest.begin(folder / "manifest.tmp", entry)
            _write(folder / "text", [_text_bytes(header)])
            _write(folder / "unknown", [_unknown_bytes(header)])
            manifest.path = manifest.path.rename(folder / "manifest")
            _sync_folder(folder)
        return cls(folder, header, manifest, shown)

    @classmethod
    def resume(cls, folder: Path, header: Header) -> FolderSink:
        """Go on with what a writer of the same recording left in `folder`, or start anew where it left nothing."""
        if not (folder / "manifest").is_file():
            return cls.begin(folder, header)
        with _named(folder, "resumed"):
            manifest = Manifest.read(folder / "manifest")
            _check_same(manifest.entries[0], header)
            if len(manifest.entries) == 1:
                return cls.begin(folder, header)
            stretches = manifest.entries[1:]
            reached = stretches[-1]["stop"]
            _check_stretches(folder, header.first(reached), stretches)
            sink = cls(folder, header, manifest, folder)
            sink.reached = reached
            sink.standstill = (
                (reached, b"")
                if reached == len(header.text)
                else _standstill(folder, len(stretches) - 1, stretches[-1])
            )
        return sink

    def add(self, stretch: dict[Key, Array], standstill: Standstill | None = None) -> None:
        """Keep a stretch. standstill : where to go on should this be the last one that is kept."""
        number = len(self._manifest.entries) - 1
        seed = seed_of(self._id, number)
        blocks = [sealed(block, stretch[key], seed) for key, block in self._header.layout.blocks.items()]
        start = number * STRETCH
        at, state = standstill or START
        entry = {
            "start": start,
            "stop": start + stretch[LOSS].shape[1],
            "bytes": sum(block.nbytes for block in blocks) + len(state),
            "crc32": checksum_of(blocks),
            "bounds": [error_bound(stretch[key]) for key in self._header.layout.blocks],
            "state": {"at": at} | _stamp(state),
        }
        with _disk_errors(self._shown):
            _write(self._folder / _stretch_name(number), [*(block.data for block in blocks), state])
            self._manifest.append(entry)

    def finish(self) -> FolderStore:
        return FolderStore(self._folder, self._header, self._id, self._manifest.entries[1:])


def read_folder(folder: Path) -> tuple[Header, FolderStore, int]:
    """What lies in a folder: the header as far as the manifest reaches, its values, and the length once planned."""
    with _named(folder, "opened"):
        if not (folder / "manifest").is_file():
            what = "it has no manifest" if folder.exists() else "it does not exist"
            raise InspectorError(f"{what}. Choose a folder that a recording was saved to.")
        manifest = Manifest.read(folder / "manifest")
        entry, stretches = manifest.entries[0], manifest.entries[1:]
        header = _header_from(entry, folder)
        _check_stretches(folder, header, stretches)
    n_chars = stretches[-1]["stop"] if stretches else 0
    return header.first(n_chars), FolderStore(folder, header, entry["id"], stretches), entry["n_planned"]


def write_folder(folder: Path, header: Header, n_planned: int, stretches: Iterable[dict[Key, Array]]) -> None:
    """Write a recording beside `folder`, then put it in place: what lay there is whole until the end."""
    folder = folder.resolve()
    with _disk_errors(folder):
        _check_free(folder)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        sink = FolderSink.begin(beside, header, n_planned=n_planned, shown=folder)
        for stretch in stretches:
            sink.add(stretch)
        with _disk_errors(folder):
            _replace(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def discard_folder(folder: Path) -> None:
    """Delete a recording, its manifest first; a folder that holds anything else stays as it is."""
    _check_free(folder)
    try:
        _empty(folder)
        folder.rmdir()
    except OSError as error:
        raise InspectorError(
            f"Deleting {folder} failed: {error.strerror}. Close what uses it, and try again."
        ) from error


def _header_entry(header: Header) -> Entry:
    """What the manifest says of a header; the same header always gives the same entry."""
    return {
        "text": _stamp(_text_bytes(header)),
        "unknown": _stamp(_unknown_bytes(header)),
        "dtype": header.dtype,
        "layers": [[layer.name, layer.kind, layer.n_units, layer.signals] for layer in header.layers],
        "documents": [[document.name, document.start, document.stop] for document in header.documents],
        "network": header.network,
        "network_hash": header.network_hash,
        "symbols": header.symbols,
        "engine": header.engine,
    }


def _id_of(entry: Entry) -> str:
    """The same network reading the same text makes the same files; nobody can tell for a network without a hash."""
    if entry["network_hash"] is None:
        return secrets.token_hex(8)
    return hashlib.sha256(_as_json(entry).encode()).hexdigest()[:16]


def _check_same(entry: Entry, header: Header) -> None:
    """Refuse to go on with another text, network or choice; the network's name is free to change."""
    due = json.loads(_as_json(_header_entry(header)))
    differing = dict.fromkeys(word for key, word in _ASKED.items() if due[key] != entry[key])
    if differing:
        raise InspectorError(
            f"it was begun with other {' and '.join(differing)} than now. Ask for the same again, or choose another "
            "folder."
        )


def _standstill(folder: Path, stretch: int, entry: Entry) -> Standstill:
    """Where a stretch says that its writer can go on after it."""
    stamp = entry.get("state", {"at": 0} | _stamp(b""))
    state = _pread(folder / _stretch_name(stretch), entry["bytes"] - stamp["bytes"], stamp["bytes"])
    if {"at": stamp["at"]} | _stamp(state) != stamp:
        raise Damaged("ends in a state that does not match its checksum")
    return stamp["at"], state


def _as_json(entry: Entry) -> str:
    return json.dumps(entry, default=operator.index)


def _text_bytes(header: Header) -> bytes:
    return header.text.encode("utf-8", "surrogatepass")


def _unknown_bytes(header: Header) -> bytes:
    return header.unknown.astype("<i8").tobytes()


def _header_from(entry: Entry, folder: Path) -> Header:
    return Header(
        text=_read(folder / "text", entry["text"]).decode("utf-8", "surrogatepass"),
        documents=tuple(Document(*document) for document in entry["documents"]),
        layers=tuple(Layer(name, kind, n_units, tuple(signals)) for name, kind, n_units, signals in entry["layers"]),
        dtype=entry["dtype"],
        network=entry["network"],
        network_hash=entry["network_hash"],
        symbols=None if entry["symbols"] is None else tuple(entry["symbols"]),
        unknown=np.frombuffer(_read(folder / "unknown", entry["unknown"]), "<i8"),
        engine=entry["engine"],
    )


def _check_stretches(folder: Path, header: Header, stretches: list[Entry]) -> None:
    """Stretches must follow one another and their files be there in full; what is inside is checked when read."""
    if header.text and not stretches:
        raise Damaged("the writer was cut off before its first stretch, so there is nothing in it")
    for number, entry in enumerate(stretches):
        start = number * STRETCH
        if (entry["start"], entry["stop"]) != (start, min(start + STRETCH, len(header.text))):
            raise Damaged(f"line {number + 2} of its manifest names other characters than are due")
        path = folder / _stretch_name(number)
        found = path.stat().st_size if path.is_file() else None
        if found != entry["bytes"]:
            state = "is missing" if found is None else f"has {found} bytes instead of {entry['bytes']}"
            raise Damaged(f"{path.name} (characters {start} to {entry['stop'] - 1}) {state}")


def _claim(folder: Path) -> None:
    """Make sure of an empty folder: a recording in it goes, its manifest first; anything else is refused."""
    with _disk_errors(folder):
        _check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _empty(folder)


def _empty(folder: Path) -> None:
    for path in sorted(folder.iterdir()):  # "manifest" sorts first: from then on it is no recording
        path.unlink()


def _check_free(folder: Path) -> None:
    """Refuse to write where anything but a recording, or nothing, lies."""
    if not folder.exists():
        return
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        foreign = [name for name in names if not _OURS.fullmatch(name)]
        if not names or (not foreign and any(is_manifest(folder / f"manifest{end}") for end in ("", ".tmp"))):
            return
        what = f"holds something else ({(foreign or names)[0]})"
    else:
        what = "is a file"
    raise InspectorError(f"{folder} {what}, which a recording must not overwrite: choose a new or empty folder.")


def _replace(folder: Path, beside: Path) -> None:
    """Put `beside` in the place of `folder`; at every moment one of the two is whole."""
    old = beside.with_name(f"{beside.name}.old")
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    _sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _stretch_name(number: int) -> str:
    return f"stretch-{number:06d}"


def _stamp(raw: bytes) -> Entry:
    return {"bytes": len(raw), "crc32": zlib.crc32(raw)}


def _read(path: Path, stamp: Entry) -> bytes:
    """A whole small file, as it was stamped."""
    if not path.is_file():
        raise Damaged(f"{path.name} is missing")
    raw = path.read_bytes()
    if _stamp(raw) != stamp:
        raise Damaged(f"{path.name} does not match its checksum")
    return raw


def _write(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file so that it is either whole under its name or not there."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring renames to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pread(path: Path, offset: int, n_bytes: int) -> bytes:
    """`n_bytes` from `offset`, fewer only where the file ends; untouched by other readers of the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        raw = os.pread(descriptor, n_bytes, offset)
        while len(raw) < n_bytes and (more := os.pread(descriptor, n_bytes - len(raw), offset + len(raw))):
            raw += more
        return raw
    finally:
        os.close(descriptor)


@contextmanager
def _named(folder: Path, done: str) -> Iterator[None]:
    """Why a recording cannot be opened or resumed, in a sentence that names it."""
    try:
        yield
    except InspectorError as error:
        raise InspectorError(f"Recording {folder} cannot be {done}: {error}") from error
    except (Damaged, OSError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise InspectorError(f"Recording {folder} cannot be {done}: {cause}. {_AGAIN}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InspectorError(f"Recording {folder} cannot be {done}: its manifest makes no sense. {_AGAIN}") from error


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """A full disk or a folder without write permission, in a sentence."""
    try:
        yield
    except OSError as error:
        raise InspectorError(
            f"Writing a recording to {folder} failed: {error.strerror}. Make room there, or choose another folder."
        ) from error
