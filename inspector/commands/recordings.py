"""`verify`, `recordings`, `export`, `import`: look after what was recorded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import add_command, moving, progress_bar
from inspector.recording import InspectorError


def add(commands: Any) -> None:
    _add_verify(commands)
    _add_recordings(commands)
    _add_export(commands)
    _add_import(commands)


def _add_verify(commands: Any) -> None:
    parser = add_command(commands, "verify", _verify, "Read a whole recording and compare it with its checksums.")
    parser.add_argument("folder", type=Path, help="folder of the recording")


def _verify(options: argparse.Namespace) -> None:
    from inspector.recording import open_recording

    recording = open_recording(options.folder)
    with progress_bar(recording.n_chars, "verifying") as bar:
        recording.verify(moving(bar))
    print(f"{options.folder} is as it was written: {_extent(recording)}, {recording.nbytes / 1e6:,.1f} MB.")


def _extent(recording: Any) -> str:
    """How many characters, and of how many where the writer was cut off."""
    if recording.is_complete:
        return f"{recording.n_chars:,} characters"
    return f"{recording.n_chars:,} of {recording.n_planned:,} characters (cut off)"


def _add_recordings(commands: Any) -> None:
    parser = add_command(commands, "recordings", _recordings, "List the recordings that were kept, and delete them.")
    option = parser.add_argument
    option("folders", nargs="*", type=Path, metavar="FOLDER", help="where to look; your own recordings when left out")
    option("--delete", metavar="NAME", help="delete this one, after asking")
    option("--yes", action="store_true", help="delete without asking")


def _recordings(options: argparse.Namespace) -> None:
    from inspector.recording import delete_recording, find_recording, list_recordings, recordings_folder

    kept = list_recordings(options.folders)
    if options.delete is not None:
        chosen = find_recording(options.delete, kept)
        size = f"{chosen.n_bytes / 1e6:,.1f} MB"
        if not options.yes and not _agreed(f"Delete {chosen.folder} ({size})?"):
            print(f"{chosen.folder} stays.")
            return
        delete_recording(chosen)
        print(f"Deleted: {chosen.folder} ({size})")
        return
    for one in kept:
        about = one.problem
        if one.recording is not None:
            stored = "snapshots" if one.recording.keeps_snapshots else one.recording.dtype
            about = f"{one.recording.network or 'no network'}  {stored}  {_extent(one.recording)}"
        print(f"{one.name:<32} {one.n_bytes / 1e6:>10,.1f} MB  {about}")
    places = ", ".join(str(folder) for folder in options.folders or [recordings_folder()])
    counted = "1 recording" if len(kept) == 1 else f"{len(kept)} recordings"
    print(f"{counted}, {sum(one.n_bytes for one in kept) / 1e6:,.1f} MB, in {places}")


def _add_export(commands: Any) -> None:
    parser = add_command(commands, "export", _export, "Write a recording as plain arrays, for your own tools.")
    option = parser.add_argument
    option("folder", type=Path, help="folder of the recording")
    option("--out", required=True, type=Path, help="folder or .npz file for the arrays; it must be new or empty")
    option(
        "--format",
        choices=("npy", "npz", "zarr"),
        help="a folder, one file, or a group of zarr 3; when left out as --out is called, npy where that says nothing",
    )
    option("--network", type=Path, help="checkpoint folder, which a recording of snapshots needs")


def _export(options: argparse.Namespace) -> None:
    from inspector.recording import export_recording, open_recording

    model = None
    if options.network is not None:
        from inspector.model import load_checkpoint

        model = load_checkpoint(options.network)
    with progress_bar(None, "exporting") as bar:
        recording = open_recording(options.folder, model=model)
        form: Any = options.format or {".npz": "npz", ".zarr": "zarr"}.get(options.out.suffix, "npy")
        files = export_recording(recording, options.out, form, moving(bar))
    every = [path for file in files for path in (file.rglob("*") if file.is_dir() else [file])]
    size = sum(path.stat().st_size for path in every if path.is_file()) / 1e6
    print(f"{options.out}: {', '.join(path.name for path in files)}; {size:,.1f} MB")


def _add_import(commands: Any) -> None:
    parser = add_command(commands, "import", _import, "Make a recording of plain arrays, an export or your own.")
    option = parser.add_argument
    option("path", type=Path, help="folder of .npy files, .npz file or zarr group: LAYER-SIGNAL arrays and their text")
    option("--out", required=True, type=Path, help="folder for the recording")
    option("--dtype", choices=("float16", "float32", "int8"), default="float32", help="how values are stored")


def _import(options: argparse.Namespace) -> None:
    from inspector.recording import holds_recording, import_recording

    if holds_recording(options.out):
        raise InspectorError(f"{options.out} holds a recording already: choose another --out, or delete it first.")
    with progress_bar(None, "importing") as bar:
        recording = import_recording(options.path, options.out, dtype=options.dtype, progress=moving(bar))
    print(f"{options.out}: {_extent(recording)}, {recording.nbytes / 1e6:,.1f} MB, {recording.dtype}")


def _agreed(question: str) -> bool:
    """Whether the reader says yes; silence, or nobody there to ask, is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise InspectorError("Nobody is there to answer: add --yes to delete without asking.") from None
