"""How a recording gets onto disk: the order in which its files become true, and whose folder it is meanwhile.

Every file but the manifest is written under a temporary name, brought to disk and renamed; only then does the manifest
name it, with its size and checksum. One writer has a folder at a time (see `files.Lock`); readers need not ask.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.recording.coding import error_bound
from inspector.recording.files import LOCK_NAME, Lock, disk_errors, named, stamp, sync_folder, write_whole
from inspector.recording.folder import (
    START,
    FolderStore,
    Standstill,
    as_json,
    check_stretches,
    header_entry,
    standstill_of,
    stretch_name,
    text_bytes,
    unknown_bytes,
)
from inspector.recording.header import Header
from inspector.recording.manifest import SNAPSHOTS_VERSION, VALUES_VERSION, Entry, Manifest, is_manifest
from inspector.recording.stretch import LOSS, STRETCH, Array, Key, checksum_of, sealed, seed_of
from inspector.recording.words import InspectorError

_OURS = re.compile(r"(manifest|text|unknown|stretch-[0-9]{6,})(\.tmp)?")
_ASKED = {
    "text": "text",
    "documents": "documents",
    "layers": "signals",
    "dtype": "dtype",
    "network_hash": "network",
    "symbols": "network",
    "snapshots": "store",
}  # what must be the same when a recording is resumed, in words


class FolderSink:
    """Takes whole stretches and makes each of them safe before it returns.

    reached : characters that are safe. standstill : from where a writer that goes on must read again.
    """

    def __init__(self, folder: Path, header: Header, manifest: Manifest, shown: Path, lock: Lock) -> None:
        self._folder = folder
        self._shown = shown
        self._header = header
        self._manifest = manifest
        self._lock = lock
        self._id: str = manifest.entries[0]["id"]
        self.reached = 0
        self.standstill = START

    @classmethod
    def begin(
        cls, folder: Path, header: Header, *, n_planned: int | None = None, shown: Path | None = None
    ) -> FolderSink:
        """Start anew. n_planned : the length once planned, if not the text's. shown : the folder that errors name."""
        shown = shown or folder
        with disk_errors(shown):
            _check_free(folder)
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder)
        return cls._begin(folder, header, lock, len(header.text) if n_planned is None else n_planned, shown)

    @classmethod
    def _begin(cls, folder: Path, header: Header, lock: Lock, n_planned: int, shown: Path) -> FolderSink:
        entry = header_entry(header)
        entry |= {"id": _id_of(entry), "n_planned": n_planned}
        with _released(lock), disk_errors(shown):
            _empty(folder)
            # Begun under a temporary name, so that a folder cut off here is known as ours and yet is no recording.
            version = SNAPSHOTS_VERSION if header.snapshots else VALUES_VERSION
            manifest = Manifest.begin(folder / "manifest.tmp", entry, version)
            write_whole(folder / "text", [text_bytes(header)])
            write_whole(folder / "unknown", [unknown_bytes(header)])
            manifest.path = manifest.path.rename(folder / "manifest")
            sync_folder(folder)
        return cls(folder, header, manifest, shown, lock)

    @classmethod
    def resume(cls, folder: Path, header: Header) -> FolderSink:
        """Go on with what a writer of the same recording left in `folder`, or start anew where it left nothing."""
        if not (folder / "manifest").is_file():
            return cls.begin(folder, header)
        with disk_errors(folder):
            lock = Lock(folder)
        with _released(lock), named(folder, "resumed"):
            manifest = Manifest.read(folder / "manifest")
            _check_same(manifest.entries[0], header)
            stretches = manifest.entries[1:]
            if not stretches:
                return cls._begin(folder, header, lock, len(header.text), folder)
            reached = stretches[-1]["stop"]
            check_stretches(folder, header.first(reached), stretches)
            sink = cls(folder, header, manifest, folder, lock)
            sink.reached = reached
            sink.standstill = (
                (reached, b"")
                if reached == len(header.text)
                else standstill_of(folder, len(stretches) - 1, stretches[-1])
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
            "state": {"at": at} | stamp(state),
        }
        with disk_errors(self._shown):
            write_whole(self._folder / stretch_name(number), [*(block.data for block in blocks), state])
            self._manifest.append(entry)

    def finish(self) -> FolderStore:
        self.close()
        return FolderStore(self._folder, self._header, self._id, self._manifest.entries[1:])

    def close(self) -> None:
        """Let another writer have the folder."""
        self._lock.release()


def write_folder(folder: Path, header: Header, n_planned: int, stretches: Iterable[dict[Key, Array]]) -> None:
    """Write a recording beside `folder`, then put it in place: what lay there is whole until the end."""
    folder = folder.resolve()
    with disk_errors(folder):
        _check_free(folder)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        sink = FolderSink.begin(beside, header, n_planned=n_planned, shown=folder)
        for stretch in stretches:
            sink.add(stretch)
        sink.close()
        with disk_errors(folder):
            _replace(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def discard_folder(folder: Path) -> None:
    """Delete a recording, its manifest first, and a link that leads to it; a folder that holds anything else stays as
    it is.
    """
    _check_free(folder)
    try:
        with _locked(folder):
            _empty(folder)
        folder.resolve().rmdir()
        if folder.is_symlink():
            folder.unlink()
    except OSError as error:
        raise InspectorError(
            f"Deleting {folder} failed: {error.strerror}. Close what uses it, and try again."
        ) from error


def _id_of(entry: Entry) -> str:
    """The same network reading the same text makes the same files, if it was ours to read: of any other, or of arrays
    from elsewhere, nobody can tell whether they are the same.
    """
    if entry["network_hash"] is None or entry["engine"] in ("watch", "import"):
        return secrets.token_hex(8)
    return hashlib.sha256(as_json(entry).encode()).hexdigest()[:16]


def _check_same(entry: Entry, header: Header) -> None:
    """Refuse to go on with another text, network or choice; the network's name is free to change."""
    due = json.loads(as_json(header_entry(header)))
    differing = dict.fromkeys(word for key, word in _ASKED.items() if due.get(key) != entry.get(key))
    if differing:
        raise InspectorError(
            f"it was begun with other {' and '.join(differing)} than now. Ask for the same again, or choose another "
            "folder."
        )
    if due["engine"] != entry.get("engine"):
        raise InspectorError(
            f"it was begun with the engine {entry.get('engine')}, and this version reads with {due['engine']} here, "
            "which rounds otherwise. Choose another folder."
        )


@contextmanager
def _released(lock: Lock) -> Iterator[None]:
    """What goes wrong lets go of the folder at once, whoever keeps the error."""
    try:
        yield
    except BaseException:
        lock.release()
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else writes to the folder meanwhile."""
    lock = Lock(folder)
    try:
        yield
    finally:
        lock.release()


def _empty(folder: Path) -> None:
    """Delete everything but the lock, which is ours; "manifest" sorts first: from then on it is no recording."""
    for path in sorted(path for path in folder.iterdir() if path.name != LOCK_NAME):
        path.unlink()


def _check_free(folder: Path) -> None:
    """Refuse to write where anything but a recording, or nothing, lies."""
    if not folder.exists():
        return
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir() if path.name != LOCK_NAME)
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
        with _locked(folder):
            folder.rename(old)
    beside.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
