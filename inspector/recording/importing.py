"""Plain arrays, a recording's export or anybody's own, made into a recording. The layout is `export`'s.

What must be there is the text and one array `LAYER-SIGNAL` of floating point, (n_units, n_chars), for each layer and
signal. `loss` and `about` may be left out: then the loss is nan, and the text one document of an unnamed network.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from inspector.recording.export import zarr_library
from inspector.recording.reading import Recording
from inspector.recording.stretch import STRETCH
from inspector.recording.words import SIGNALS, Document, InspectorError, Layer, Progress, quoted
from inspector.recording.writing import RecordingWriter

_ANEW = "export it again, or restore it from a copy"
_NAME = re.compile(r"(0|[1-9][0-9]{0,3})-([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class _Source:
    """What lies somewhere, unchecked. arrays : anything with shape, dtype and slices, `loss` among them."""

    text: bytes
    about: dict[str, Any]
    arrays: Mapping[str, Any]


def import_recording(
    path: str | Path, folder: str | Path, *, dtype: str = "float32", progress: Progress | None = None
) -> Recording:
    """Make a recording in `folder` out of plain arrays: a folder of .npy files, an .npz file or a zarr group.

    >>> import_recording("decoder-npy", "runs/decoder-again").trace("1:42", "cell")

    Memory stays bounded; an npz is unpacked beside `folder` meanwhile. Arrays that do not fit the text or each other,
    that are no floating point or hold values that are not finite are an `InspectorError` that names the array.
    """
    path, folder = Path(path), Path(folder)
    try:
        with _source(path, folder) as source:
            return _import(source, folder, dtype, progress)
    except InspectorError as error:
        raise InspectorError(f"{path} cannot be imported: {error}") from error
    except OSError as error:
        raise InspectorError(f"{path} cannot be imported: {error.strerror or error}. Check the place.") from error


def _import(source: _Source, folder: Path, dtype: str, progress: Progress | None) -> Recording:
    try:
        text = source.text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InspectorError(f"its text is not utf-8 (byte {error.start}): store it as utf-8.") from error
    if not text:
        raise InspectorError("its text is empty: there is nothing to record.")
    about = source.about
    loss = source.arrays.get("loss", np.full(len(text), np.nan, np.float32))
    if loss.shape != (len(text),) or not np.issubdtype(loss.dtype, np.floating):
        raise InspectorError(f"loss is {loss.dtype} {loss.shape}: it must be floating point ({len(text)},).")
    try:
        layers = _layers(source.arrays, len(text), about)
        writer = RecordingWriter(
            folder,
            text=text,
            layers=layers,
            documents=[
                Document(str(name), index(start), index(stop)) for name, start, stop in about.get("documents", ())
            ],
            dtype=dtype,
            network=_word(about.get("network")),
            network_hash=_word(about.get("network_hash")),
            unknown=about.get("unknown", ()),
            engine="import",
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InspectorError):
            raise
        raise InspectorError(
            f"what it says about itself does not fit its text ({error}): correct or drop it."
        ) from error
    with writer:
        for start in range(0, len(text), STRETCH):
            stop = min(start + STRETCH, len(text))
            values = [
                {signal: _part(source.arrays, f"{i}-{signal}", start, stop) for signal in layer.signals}
                for i, layer in enumerate(layers)
            ]
            _append(writer, values, np.asarray(loss[start:stop]))
            if progress is not None:
                progress(stop, len(text))
        return writer.finish()


def _word(said: Any) -> str | None:
    return None if said is None else str(said)


def _append(writer: RecordingWriter, values: list[dict[str, np.ndarray]], loss: np.ndarray) -> None:
    try:
        writer.append(values, loss=loss)
    except InspectorError:
        raise
    except ValueError as error:
        raise InspectorError(f"{error}: correct the array, or leave loss out.") from error


def _part(arrays: Mapping[str, Any], name: str, start: int, stop: int) -> np.ndarray:
    try:
        part = np.asarray(arrays[name][:, start:stop])
    except (ValueError, RuntimeError) as error:  # a chunk of zarr
        raise InspectorError(f"{name} is damaged behind character {start} ({error}): {_ANEW}.") from error
    wrong = np.argwhere(~np.isfinite(part))
    if len(wrong):
        unit, at = wrong[0]
        raise InspectorError(
            f"{name} holds {part[unit, at]} (unit {unit}, character {start + at}): a network's values are finite."
        )
    return part


def _layers(arrays: Mapping[str, Any], n_chars: int, about: dict[str, Any]) -> list[Layer]:
    """The layers that the arrays' names and shapes speak of, checked."""
    signals: dict[int, list[str]] = {}
    units: dict[int, int] = {}
    for name, array in arrays.items():
        if name == "loss":
            continue
        match = _NAME.fullmatch(name)
        if match is None:
            raise InspectorError(f"{quoted(name)} is no name of an array here: name it LAYER-SIGNAL, like 1-cell.")
        layer, shape = int(match[1]), tuple(array.shape)
        if len(shape) != 2 or shape[1] != n_chars or shape[0] < 1:
            raise InspectorError(f"{name} has shape {shape}: it must be (n_units, {n_chars}), one column a character.")
        if not np.issubdtype(array.dtype, np.floating):
            raise InspectorError(f"{name} is {array.dtype}: values must be floating point. Convert it to float32.")
        if units.setdefault(layer, shape[0]) != shape[0]:
            raise InspectorError(f"{name} has {shape[0]} units, other signals of layer {layer} {units[layer]}.")
        signals.setdefault(layer, []).append(match[2])
    if sorted(signals) != list(range(len(signals))) or not signals:
        found = ", ".join(map(str, sorted(signals))) or "none"
        raise InspectorError(f"layers must be numbered 0, 1, ... without gaps; there is {found}.")
    told = about.get("layers", ())
    if len(told) != len(signals):
        told = [(f"layer.{i}", _kind(signals[i])) for i in range(len(signals))]
    return [Layer(str(told[i][0]), str(told[i][1]), units[i], _ordered(signals[i])) for i in range(len(signals))]


def _kind(signals: list[str]) -> str:
    """The simplest kind of layer that has all of them."""
    return next((kind for kind in ("rnn", "gru", "lstm") if set(signals) <= set(SIGNALS[kind])), "imported")


def _ordered(signals: list[str]) -> tuple[str, ...]:
    order = list(dict.fromkeys(name for known in SIGNALS.values() for name in known))
    return tuple(sorted(signals, key=lambda name: (order.index(name) if name in order else len(order), name)))


@contextmanager
def _source(path: Path, folder: Path) -> Iterator[_Source]:
    if path.is_file() and zipfile.is_zipfile(path):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent) as unpacked:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if "/" not in name and "\\" not in name]
                try:
                    archive.extractall(unpacked, names)
                except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                    raise InspectorError(f"it is damaged, or locked ({error}): {_ANEW}.") from error
            yield _npy_source(Path(unpacked))
    elif (path / "zarr.json").is_file():
        yield _zarr_source(path)
    elif path.is_dir():
        yield _npy_source(path)
    else:
        what = "it is neither a folder nor an .npz file" if path.exists() else "it does not exist"
        raise InspectorError(f"{what}. Give a folder of .npy files, an .npz file or a zarr group.")


def _npy_source(folder: Path) -> _Source:
    arrays = {file.stem: _npy(file) for file in sorted(folder.glob("*.npy")) if file.stem != "text"}
    if (folder / "text.txt").is_file():
        text = (folder / "text.txt").read_bytes()
    elif (folder / "text.npy").is_file():  # what np.savez(text=...) makes of a str, or of bytes as an array
        kept = _npy(folder / "text.npy")
        text = kept.tobytes() if kept.dtype == np.uint8 else str(kept[()]).encode("utf-8", "surrogatepass")
    else:
        raise InspectorError("it has no text.txt: put the text that was read there, as utf-8.")
    about = folder / "about.json"
    return _Source(text, _object(about.read_bytes()) if about.is_file() else {}, arrays)


def _npy(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise InspectorError(f"{file.name} is no array of numbers, or cut off: save it with np.save.") from error


def _zarr_source(path: Path) -> _Source:
    zarr = zarr_library()
    try:
        group = zarr.open_group(path, mode="r")
        arrays = dict(group.arrays())
        text = np.asarray(arrays.pop("text")[:], np.uint8).tobytes() if "text" in arrays else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InspectorError(f"it is no group of zarr 3, or damaged ({error}): {_ANEW}.") from error
    if text is None:
        raise InspectorError("it has no array text: put the text that was read there, as bytes of utf-8.")
    return _Source(text, _checked(group.attrs.get("about", {})), arrays)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return _checked(json.loads(raw))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InspectorError(f"about.json is not JSON ({error}): correct or delete it.") from error


def _checked(about: Any) -> dict[str, Any]:
    if not isinstance(about, dict):
        raise InspectorError("what it says about itself must be a JSON object: correct or delete it.")
    return about
