"""A recording as plain .npy files for other people's tools, with its text and what they need to know about both."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from inspector.recording.reading import Recording
from inspector.recording.stretch import STRETCH
from inspector.recording.words import InspectorError, Progress


def export_npy(recording: Recording, folder: str | Path, progress: Progress | None = None) -> list[Path]:
    """Write one `LAYER-SIGNAL.npy` of shape (n_units, n_chars) per layer and signal, and what belongs to them.

    >>> export_npy(open_recording("runs/decoder"), "decoder-npy")
    >>> np.load("decoder-npy/1-cell.npy", mmap_mode="r")[42]      # float32 (n_chars,): neuron 1:42

    Beside them lie `loss.npy` (float32 (n_chars,), nan at each document's start), `text.txt` (utf-8, lone surrogates
    included) and `about.json`. Memory stays bounded; the values take 4 bytes each. Returns the files. A folder that is
    not empty, or a full disk, is an `InspectorError`.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InspectorError(f"{folder} holds something already: export to a new or empty folder.")
    try:
        return _export(recording, folder, progress)
    except OSError as error:
        raise InspectorError(
            f"Exporting to {folder} failed: {error.strerror}. Make room there, or choose another folder."
        ) from error


def _export(recording: Recording, folder: Path, progress: Progress | None) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [(index, signal) for index, layer in enumerate(recording.layers) for signal in layer.signals]
    files = []
    for number, (index, signal) in enumerate(blocks):
        files.append(folder / f"{index}-{signal}.npy")
        shape = (recording.layers[index].n_units, recording.n_chars)
        array = open_memmap(files[-1], mode="w+", dtype=np.float32, shape=shape)
        with files[-1].open("r+b") as file:  # a full disk is an error here, and would be a crash below
            os.posix_fallocate(file.fileno(), 0, files[-1].stat().st_size)
        for start in range(0, recording.n_chars, STRETCH):
            stop = min(start + STRETCH, recording.n_chars)
            array[:, start:stop] = recording.window(index, signal, start, stop)
            if progress is not None:
                progress(number * recording.n_chars + stop, len(blocks) * recording.n_chars)
        array.flush()
    files += [folder / "loss.npy", folder / "text.txt", folder / "about.json"]
    np.save(files[-3], recording.loss)
    files[-2].write_bytes(recording.text.encode("utf-8", "surrogatepass"))
    files[-1].write_text(json.dumps(_about(recording), indent=1))
    return files


def _about(recording: Recording) -> dict[str, object]:
    return {
        "network": recording.network,
        "network_hash": recording.network_hash,
        "n_chars": recording.n_chars,
        "n_planned": recording.n_planned,
        "stored_as": recording.dtype,
        "layers": [[layer.name, layer.kind, layer.n_units, list(layer.signals)] for layer in recording.layers],
        "documents": [[document.name, document.start, document.stop] for document in recording.documents],
        "unknown": recording.unknown.tolist(),
    }
