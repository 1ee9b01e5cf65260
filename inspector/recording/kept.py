"""What was kept: the recordings in a folder, each with its size and how far it got, and how one is deleted.

Owns where a reader's recordings lie. Knows files and lengths, no values.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from inspector.recording.manifest import is_manifest
from inspector.recording.reading import Recording, open_recording
from inspector.recording.sink import discard_folder
from inspector.recording.words import InspectorError


@dataclass(frozen=True)
class Kept:
    """One folder that holds a recording, or what is left of one.

    n_bytes : of all its files. recording : opened, or None where that fails. problem : why it fails, else "".
    """

    folder: Path
    n_bytes: int
    recording: Recording | None
    problem: str = ""

    @property
    def name(self) -> str:
        return self.folder.name


def recordings_folder() -> Path:
    """Where recordings are kept that were given no other place; CHARSCOPE_RECORDINGS names another folder."""
    override = os.environ.get("CHARSCOPE_RECORDINGS")
    data = os.environ.get("CHARSCOPE_DATA")
    return Path(override) if override else (Path(data) if data else user_data_path("charscope")) / "recordings"


def list_recordings(folders: Iterable[Path] = ()) -> list[Kept]:
    """Every recording in these folders, by name; a folder that is itself a recording counts as one.

    Without folders it is `recordings_folder()`, which need not exist. A folder that was named and is not there is an
    `InspectorError`. Damaged recordings are listed too, so that they can be seen and deleted.
    """
    named = list(folders)
    found: list[Path] = []
    for folder in named or [recordings_folder()]:
        if holds_recording(folder):
            found.append(folder)
        elif folder.is_dir():
            found += [path for path in _inside(folder) if holds_recording(path)]
        elif named:
            raise InspectorError(f"There is no folder {folder}: name a recording, or a folder that holds some.")
    return [_looked_at(folder) for folder in sorted(found, key=lambda path: (path.name, path))]


def find_recording(name: str, kept: Sequence[Kept]) -> Kept:
    """The listed recording of this name; an `InspectorError` suggests a neighbour or asks for a choice."""
    named = [one for one in kept if name in (one.name, str(one.folder))]
    if len(named) == 1:
        return named[0]
    if named:
        places = ", ".join(str(one.folder) for one in named)
        raise InspectorError(f"There are {len(named)} recordings called {name!r}: write the whole path ({places}).")
    near = difflib.get_close_matches(name, [one.name for one in kept], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(one.name for one in kept) or 'none'}."
    raise InspectorError(f"There is no recording called {name!r}; {hint}")


def delete_recording(kept: Kept) -> None:
    """Delete its files and its folder. A folder that holds anything else is left alone with an `InspectorError`."""
    discard_folder(kept.folder)


def holds_recording(folder: Path) -> bool:
    """Whether a folder holds a recording, whole, cut off or damaged; not where nobody may look into it."""
    try:
        return any(is_manifest(folder / name) for name in ("manifest", "manifest.tmp"))
    except PermissionError:
        return False


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InspectorError(f"{folder} cannot be listed: {error.strerror}. Name another folder.") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a writer at work renames its files
        return 0


def _looked_at(folder: Path) -> Kept:
    try:
        n_bytes = sum(_size(path) for path in folder.iterdir())
    except OSError:  # deleted since, in its place by now, or not to be listed
        n_bytes = 0
    try:
        return Kept(folder, n_bytes, open_recording(folder))
    except InspectorError as error:
        return Kept(folder, n_bytes, None, str(error))
