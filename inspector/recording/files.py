"""Files as a recording needs them: whole under their name or not there, checked when read, written by one at a time.

Knows bytes, names and the disk's errors; nothing of what is in the files.
"""

from __future__ import annotations

import os
import sys
import weakref
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inspector.recording.words import Damaged, InspectorError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = ".writing"  # unlike anything that a person would keep there
AGAIN = "Restore the folder from a copy, or record the text again."

Stamp = dict[str, Any]
"""Length and checksum of some bytes, as the manifest keeps them."""


class Lock:
    """The right to write to a folder, which one writer has at a time; the system takes it back when its process ends.

    A second one is an `InspectorError`, within the same process too. Readers do not ask. what : writes there, in words.
    """

    def __init__(self, folder: Path, what: str = "recording") -> None:
        path = folder / LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        while not _take(descriptor) or not _is_at(path, descriptor):
            try:
                if _is_at(path, descriptor):  # it is somebody's; else whoever had it deleted it before we asked
                    raise InspectorError(
                        f"{folder} is being written by another {what}: wait until that one is done, or choose "
                        "another folder."
                    )
            finally:
                os.close(descriptor)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        self.release = weakref.finalize(self, _give_up, path, descriptor, os.getpid())


def _take(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _give_up(path: Path, descriptor: int, owner: int) -> None:
    """Delete the file while it is still ours; a fork of the owner only lets go of its descriptor."""
    if owner == os.getpid() and _is_at(path, descriptor):
        path.unlink(missing_ok=True)
    os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def stamp(raw: bytes) -> Stamp:
    return {"bytes": len(raw), "crc32": zlib.crc32(raw)}


def read_stamped(path: Path, due: Stamp) -> bytes:
    """A whole small file, as it was stamped."""
    if not path.is_file():
        raise Damaged(f"{path.name} is missing")
    raw = path.read_bytes()
    if stamp(raw) != due:
        raise Damaged(f"{path.name} does not match its checksum")
    return raw


def write_whole(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
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
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring renames to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_at(path: Path, offset: int, n_bytes: int) -> bytes:
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
def named(folder: Path, done: str) -> Iterator[None]:
    """Why a recording cannot be opened or resumed, in a sentence that names it."""
    try:
        yield
    except InspectorError as error:
        raise InspectorError(f"Recording {folder} cannot be {done}: {error}") from error
    except (Damaged, OSError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise InspectorError(f"Recording {folder} cannot be {done}: {cause}. {AGAIN}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InspectorError(f"Recording {folder} cannot be {done}: its manifest makes no sense. {AGAIN}") from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A full disk or a folder without write permission, in a sentence."""
    try:
        yield
    except OSError as error:
        raise InspectorError(
            f"Writing a recording to {folder} failed: {error.strerror}. Make room there, or choose another folder."
        ) from error
