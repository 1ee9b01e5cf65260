"""The manifest: the only truth about what a recording on disk contains. Knows nothing of what its lines mean.

A text file that only grows. Each line is one JSON object, a tab, and the crc32 of the object, which starts from that of
the line before, so that no line can be changed, dropped or swapped unseen. A last line without its newline was never
finished and does not count: that is how a killed writer leaves a shorter recording.
"""

from __future__ import annotations

import json
import operator
import os
import zlib
from pathlib import Path
from typing import Any

from inspector.recording.words import Damaged, InspectorError

FORMAT = "charscope recording"
VALUES_VERSION, SNAPSHOTS_VERSION = 1, 2  # a recording has the oldest version whose programs can read it
_OPENING = f'{{"format":"{FORMAT}"'.encode()

Entry = dict[str, Any]


class Manifest:
    """A manifest at `path`, read or begun; `entries[0]` is the header, which says format and version."""

    def __init__(self, path: Path, entries: list[Entry], checksum: int, n_bytes: int) -> None:
        self.path = path
        self.entries = entries
        self._checksum = checksum
        self._n_bytes = n_bytes  # of finished lines

    @classmethod
    def begin(cls, path: Path, header: Entry, version: int) -> Manifest:
        """Write the header line and make sure it is on disk."""
        path.write_bytes(b"")
        manifest = cls(path, [], 0, 0)
        manifest.append({"format": FORMAT, "version": version} | header)
        return manifest

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """All finished lines; `Damaged` when one is not as written, an `InspectorError` when the format is too new."""
        entries: list[Entry] = []
        checksum = 0
        whole = path.read_bytes()
        *lines, unfinished = whole.split(b"\n")
        for number, line in enumerate(lines, 1):
            body, _, written = line.rpartition(b"\t")
            checksum = zlib.crc32(body, checksum)
            if written != b"%08x" % checksum:
                raise Damaged(f"line {number} of its manifest does not match its checksum")
            entries.append(json.loads(body))
        if not entries:
            raise Damaged("its manifest was never begun, because the writer was cut off")
        _check_version(entries[0])
        return cls(path, entries, checksum, len(whole) - len(unfinished))

    def append(self, entry: Entry) -> None:
        """Add one line, in place of an unfinished one, and return when it is on disk."""
        body = json.dumps(entry, separators=(",", ":"), allow_nan=False, default=operator.index).encode("ascii")
        checksum = zlib.crc32(body, self._checksum)
        line = body + b"\t%08x\n" % checksum
        with self.path.open("r+b") as file:
            file.truncate(self._n_bytes)
            file.seek(self._n_bytes)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._checksum = checksum
        self._n_bytes += len(line)
        self.entries.append(entry)


def is_manifest(path: Path) -> bool:
    """Whether a file begins as a manifest does, or was cut off before it could."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _OPENING.startswith(file.read(len(_OPENING)))


def _check_version(header: Entry) -> None:
    if header["format"] != FORMAT:
        raise Damaged("its manifest is that of something else")
    if header["version"] > SNAPSHOTS_VERSION:
        raise InspectorError(
            f"it has format version {header['version']}, and this program knows versions up to {SNAPSHOTS_VERSION}: "
            "open it with a newer Charscope."
        )
