"""A recording on disk: which files there are, what the manifest says of them, and what is checked on the way back.

    manifest          header line, then one line per finished stretch         text       utf-8, lone surrogates included
    stretch-000000    blocks of characters 0-4095 (see `stretch`), then       unknown    int64 positions
                      the state from which a writer that is cut off goes on   .writing   while somebody does

What the manifest does not name does not exist.
"""

from __future__ import annotations

import json
import operator
from pathlib import Path

import numpy as np

from inspector.recording.coding import error_bound
from inspector.recording.files import AGAIN, named, read_at, read_stamped, stamp
from inspector.recording.header import Header
from inspector.recording.manifest import Entry, Manifest
from inspector.recording.store import Stretches
from inspector.recording.stretch import STRETCH, Array, Key, Snapshots, checksum_of, opened, seed_of
from inspector.recording.words import Damaged, Document, InspectorError, Layer, Progress

Standstill = tuple[int, bytes]
"""A position, and the state the network was in before it read the character there."""
START: Standstill = (0, b"")


class FolderStore(Stretches):
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
        n_columns = block.shape(n_chars)[1]
        row_bytes = block.row(n_columns).itemsize
        offset = self._layout.offset(key, n_chars) + first * row_bytes
        path = self.folder / stretch_name(stretch)
        try:
            raw = read_at(path, offset, n_rows * row_bytes)
            if len(raw) != n_rows * row_bytes:
                raise Damaged("ends too early")
            return opened(block, raw, first, n_columns, seed_of(self._id, stretch))
        except Damaged as error:
            raise self._damage(stretch, str(error)) from error
        except OSError as error:
            raise self._damage(stretch, f"cannot be read ({error.strerror})") from error

    def stretch(self, number: int) -> dict[Key, Array]:
        return {key: rows["values"] for key, rows in self._whole(number).items()}

    def _whole(self, stretch: int) -> dict[Key, Array]:
        entry = self._entries[stretch]
        blocks = self._layout.blocks.items()
        n_chars = entry["stop"] - entry["start"]
        return {key: self._checked(stretch, key, 0, block.shape(n_chars)[0]) for key, block in blocks}

    def error_bound(self, key: Key) -> float:
        block = self._layout.blocks[key]
        stated: list[float] = [entry["bounds"][block.number] for entry in self._entries if "bounds" in entry]
        unstated = (number for number, entry in enumerate(self._entries) if "bounds" not in entry)
        return max([0.0, *stated, *(error_bound(self.rows(number, key, 0, block.size)) for number in unstated)])

    def verify(self, progress: Progress | None = None) -> None:
        """Read everything and compare it with its checksums, the manifest's too."""
        for stretch, entry in enumerate(self._entries):
            if checksum_of(self._whole(stretch).values()) != entry["crc32"]:
                raise self._damage(stretch, "does not match the manifest's checksum")
            try:
                standstill_of(self.folder, stretch, entry)
            except Damaged as error:
                raise self._damage(stretch, str(error)) from error
            if progress is not None:
                progress(entry["stop"], self._entries[-1]["stop"])

    def _damage(self, stretch: int, cause: str) -> InspectorError:
        entry = self._entries[stretch]
        return InspectorError(
            f"Recording {self.folder} cannot be read: {stretch_name(stretch)} (characters {entry['start']} to "
            f"{entry['stop'] - 1}) {cause}. If it was written anew meanwhile, open it again. {AGAIN}"
        )


def read_folder(folder: Path) -> tuple[Header, FolderStore, int]:
    """What lies in a folder: the header as far as the manifest reaches, its values, and the length once planned."""
    with named(folder, "opened"):
        if not (folder / "manifest").is_file():
            what = "it has no manifest" if folder.exists() else "it does not exist"
            raise InspectorError(f"{what}. Choose a folder that a recording was saved to.")
        manifest = Manifest.read(folder / "manifest")
        entry, stretches = manifest.entries[0], manifest.entries[1:]
        header = _header_from(entry, folder)
        check_stretches(folder, header, stretches)
    n_chars = stretches[-1]["stop"] if stretches else 0
    return header.first(n_chars), FolderStore(folder, header, entry["id"], stretches), entry["n_planned"]


def header_entry(header: Header) -> Entry:
    """What the manifest says of a header; the same header always gives the same entry."""
    entry: Entry = {
        "text": stamp(text_bytes(header)),
        "unknown": stamp(unknown_bytes(header)),
        "dtype": header.dtype,
        "layers": [[layer.name, layer.kind, layer.n_units, layer.signals] for layer in header.layers],
        "documents": [[document.name, document.start, document.stop] for document in header.documents],
        "network": header.network,
        "network_hash": header.network_hash,
        "symbols": header.symbols,
        "engine": header.engine,
    }
    return entry | ({"snapshots": list(header.snapshots)} if header.snapshots else {})


def as_json(entry: Entry) -> str:
    return json.dumps(entry, default=operator.index)


def text_bytes(header: Header) -> bytes:
    return header.text.encode("utf-8", "surrogatepass")


def unknown_bytes(header: Header) -> bytes:
    return header.unknown.astype("<i8").tobytes()


def _header_from(entry: Entry, folder: Path) -> Header:
    return Header(
        text=read_stamped(folder / "text", entry["text"]).decode("utf-8", "surrogatepass"),
        documents=tuple(Document(*document) for document in entry["documents"]),
        layers=tuple(Layer(name, kind, n_units, tuple(signals)) for name, kind, n_units, signals in entry["layers"]),
        dtype=entry["dtype"],
        network=entry["network"],
        network_hash=entry["network_hash"],
        symbols=None if entry["symbols"] is None else tuple(entry["symbols"]),
        unknown=np.frombuffer(read_stamped(folder / "unknown", entry["unknown"]), "<i8"),
        engine=entry["engine"],
        snapshots=Snapshots(*entry["snapshots"]) if "snapshots" in entry else None,
    )


def check_stretches(folder: Path, header: Header, stretches: list[Entry]) -> None:
    """Stretches must follow one another and their files be there in full; what is inside is checked when read."""
    if header.text and not stretches:
        raise Damaged("the writer was cut off before its first stretch, so there is nothing in it")
    for number, entry in enumerate(stretches):
        start = number * STRETCH
        if (entry["start"], entry["stop"]) != (start, min(start + STRETCH, len(header.text))):
            raise Damaged(f"line {number + 2} of its manifest names other characters than are due")
        path = folder / stretch_name(number)
        found = path.stat().st_size if path.is_file() else None
        if found != entry["bytes"]:
            state = "is missing" if found is None else f"has {found} bytes instead of {entry['bytes']}"
            raise Damaged(f"{path.name} (characters {start} to {entry['stop'] - 1}) {state}")


def standstill_of(folder: Path, stretch: int, entry: Entry) -> Standstill:
    """Where a stretch says that its writer can go on after it."""
    due = entry.get("state", {"at": 0} | stamp(b""))
    state = read_at(folder / stretch_name(stretch), entry["bytes"] - due["bytes"], due["bytes"])
    if {"at": due["at"]} | stamp(state) != due:
        raise Damaged("ends in a state that does not match its checksum")
    return due["at"], state


def stretch_name(number: int) -> str:
    return f"stretch-{number:06d}"
