"""A recording as plain arrays for other people's tools, with its text and what they need to know about both.

    0-hidden.npy, 0-cell.npy, 1-hidden.npy ...    LAYER-SIGNAL: float32 (n_units, n_chars)
    loss.npy      float32 (n_chars,) nats, nan at each document's start
    text.txt      utf-8, lone surrogates included
    about.json    network, documents, layers and positions of unknown characters

The same names are in a folder (npy), in a zip file of that folder (npz), or are arrays of a zarr group, which has
`text` as bytes and `about` as attributes. `importing` reads all three. Guesses stay behind.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0

from inspector.recording.reading import Recording
from inspector.recording.stretch import STRETCH, Array
from inspector.recording.words import InspectorError, Progress

Format = Literal["npy", "npz", "zarr"]
_Put = Callable[[str, int, Array], None]  # array's name, first character, values (n_units, n)


def export_recording(
    recording: Recording, path: str | Path, format: Format = "npy", progress: Progress | None = None
) -> list[Path]:
    """Write the values, the loss and the text of a recording as plain arrays; the files, or the one, that were written.

    >>> export_recording(open_recording("runs/decoder"), "decoder-npy")
    >>> np.load("decoder-npy/1-cell.npy", mmap_mode="r")[42]      # float32 (n_chars,): neuron 1:42

    format : `npy` is a folder, `npz` one file (a zip of that folder), `zarr` a group of zarr 3 (`pip install .[zarr]`).
    Memory stays bounded; the values take 4 bytes each, an npz twice that while it is written. A place that is taken, or
    a full disk, is an `InspectorError`; snapshots that were opened without their network are one too.
    """
    path = Path(path)
    if format not in _WRITERS:
        raise InspectorError(f"{format!r} is no format to export to: choose {', '.join(_WRITERS)}.")
    if path.is_dir() and format == "npz":
        raise InspectorError(f"{path} is a folder, and an npz is one file: name the file, such as {path / 'all.npz'}.")
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InspectorError(f"{path} holds something already: export to a new or empty folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder) / path.name  # nothing half-done is ever found under the name that was asked for
            names = _WRITERS[format](recording, partial, progress)
            if path.is_dir():
                path.rmdir()
            partial.rename(path)
        return [path / name for name in names] or [path]
    except OSError as error:
        raise InspectorError(
            f"Exporting to {path} failed: {error.strerror}. Make room there, or choose another place."
        ) from error


def zarr_library() -> Any:
    """The zarr library, or a sentence where it is not installed."""
    try:
        return import_module("zarr")
    except ImportError as error:
        raise InspectorError("This needs zarr 3, which is not installed: pip install .[zarr], or use npy.") from error


def _write_npy(recording: Recording, folder: Path, progress: Progress | None) -> list[str]:
    """The names of the files in a new folder."""
    folder.mkdir()
    arrays = {name: folder / f"{name}.npy" for name in _shapes(recording)}
    offsets = {}
    for name, shape in _shapes(recording).items():
        with arrays[name].open("wb") as file:
            offsets[name] = _begin_npy(file, shape)

    def put(name: str, start: int, values: Array) -> None:
        """Row by row, as arrays lie by neuron and come by character."""
        n_chars = recording.n_chars
        with arrays[name].open("r+b", buffering=0) as file:
            for row, part in enumerate(values):
                file.seek(offsets[name] + 4 * (row * n_chars + start))
                file.write(part.data)

    _go_through(recording, put, progress)
    rest = [folder / "loss.npy", folder / "text.txt", folder / "about.json"]
    np.save(rest[0], recording.loss)
    rest[1].write_bytes(recording.text.encode("utf-8", "surrogatepass"))
    rest[2].write_text(json.dumps(_about(recording), indent=1))
    return [path.name for path in (*arrays.values(), *rest)]


def _begin_npy(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """The header and room for the values (a full disk shows at once); where the values begin."""
    like = np.broadcast_to(np.float32(0), shape)
    write_array_header_1_0(file, header_data_from_array_1_0(like) | {"fortran_order": False})
    offset = file.tell()
    file.flush()
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(file.fileno(), 0, offset + max(4 * like.size, 1))
    file.truncate(offset + 4 * like.size)
    return offset


def _write_npz(recording: Recording, path: Path, progress: Progress | None) -> list[str]:
    folder = path.with_name(f"{path.name}.folder")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in _write_npy(recording, folder, progress):
            archive.write(folder / name, name)
    return []


def _write_zarr(recording: Recording, path: Path, progress: Progress | None) -> list[str]:
    group = zarr_library().open_group(path, mode="w", zarr_format=3, attributes={"about": _about(recording)})
    arrays = {
        name: group.create_array(
            name, shape=shape, dtype="float32", chunks=(shape[0], STRETCH), compressors=None, fill_value=np.nan
        )  # a chunk that gets lost is read as what no network computes
        for name, shape in _shapes(recording).items()
    }

    def put(name: str, start: int, values: Array) -> None:
        arrays[name][:, start : start + values.shape[1]] = values

    _go_through(recording, put, progress)
    group.create_array("loss", data=recording.loss)
    group.create_array("text", data=np.frombuffer(recording.text.encode("utf-8", "surrogatepass"), np.uint8))
    return []


# Each makes something new, and answers which files are in it where it is a folder of them.
_WRITERS: dict[str, Callable[[Recording, Path, Progress | None], list[str]]] = {
    "npy": _write_npy,
    "npz": _write_npz,
    "zarr": _write_zarr,
}


def _shapes(recording: Recording) -> dict[str, tuple[int, int]]:
    """By the names of the arrays, `LAYER-SIGNAL`."""
    return {
        f"{index}-{signal}": (layer.n_units, recording.n_chars)
        for index, layer in enumerate(recording.layers)
        for signal in layer.signals
    }


def _go_through(recording: Recording, put: _Put, progress: Progress | None) -> None:
    for start in range(0, recording.n_chars, STRETCH):
        stop = min(start + STRETCH, recording.n_chars)
        for index, layer in enumerate(recording.layers):
            for signal in layer.signals:
                put(f"{index}-{signal}", start, recording.window(index, signal, start, stop))
        if progress is not None:
            progress(stop, recording.n_chars)


def _about(recording: Recording) -> dict[str, object]:
    return {
        "network": recording.network,
        "network_hash": recording.network_hash,
        "n_chars": recording.n_chars,
        "n_planned": recording.n_planned,
        "stored_as": "snapshots" if recording.keeps_snapshots else recording.dtype,
        "layers": [[layer.name, layer.kind, layer.n_units, list(layer.signals)] for layer in recording.layers],
        "documents": [[document.name, document.start, document.stop] for document in recording.documents],
        "unknown": recording.unknown.tolist(),
    }
