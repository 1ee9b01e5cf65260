"""The one message to the browser: a text, the traces that colour it, and everything hovering needs.

It knows bytes and their order and nothing about Streamlit. `payload.js` is the other half, and a golden file holds the
two together:

    uint32 length of the header │ JSON header │ sections, each at a multiple of 8 bytes behind the header
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard import palette as colours
from inspector.recording import InspectorError

VERSION = 1
_ALIGNMENT = 8

Trace = tuple[Any, str]  # (neuron as Neuron or "1:42", signal)


def build_payload(
    *,
    text: str,
    traces: Mapping[Trace, ArrayLike],
    neuron: Any,
    signal: str,
    layers: Sequence[tuple[int, Sequence[str]]],
    scale: colours.Scale | None = None,
    loss: ArrayLike | None = None,
    guesses: tuple[Sequence[str], ArrayLike, ArrayLike] | None = None,
    unknown: ArrayLike | None = None,
    documents: Sequence[Any] | None = None,
    title: str | None = None,
    at: int | None = None,
    jump: str | int | None = None,
    palette: str = colours.DEFAULT,
    tab_width: int = 4,
) -> bytes:
    """Pack one text and its traces for the overlay.

    >>> payload = build_payload(text=recording.text, traces={(neuron, "cell"): recording.trace(neuron, "cell")},
    ...                         neuron=neuron, signal="cell", layers=[(512, ("hidden", "cell"))])

    traces : float32 (n_chars,) by (neuron, signal). The chosen one must be among them; neighbours sent along are
        painted without asking Python. nan means "no value here".
    layers : (number of units, names of signals) per layer: what the reader may ask for.
    scale : of the chosen trace; by default, and for all others, `palette.scale_for`.
    loss : float (n_chars,) nats, nan where nothing was predicted.
    guesses : (symbols, ids (n_chars, k), probabilities (n_chars, k)), for the character after each one.
    unknown : positions of characters the network does not know.
    documents : objects with `name`, `start`, `stop`, when the text is several documents.
    title : one sentence about the chosen neuron.
    at, jump : position for the cursor. The browser goes there when `jump` differs from the last one it saw, so a
        click on a search result sends a new token, and an ordinary rerun the old one.

    Raises InspectorError where arrays and text do not fit together.
    """
    chosen = (str(neuron), signal)
    arrays = {
        (str(who), what): _per_character(trace, text, f"trace {who} {what}") for (who, what), trace in traces.items()
    }
    if chosen not in arrays:
        raise InspectorError(
            f"There is no trace {chosen[0]} {signal} to show: pass it in `traces`, which now hold "
            f"{', '.join(' '.join(one) for one in arrays) or 'nothing'}."
        )
    _check_choice(chosen, layers)
    _check_place(at, text)
    scales = {one: colours.scale_for(one[1], trace) for one, trace in arrays.items()}
    if scale is not None:
        scales[chosen] = scale
    sections = [_Section("text", "utf-8", _utf8(text))]
    sections += [_Section(f"trace/{one[0]}/{one[1]}", "float32", trace) for one, trace in arrays.items()]
    if loss is not None:
        sections.append(_Section("loss", "float32", _per_character(loss, text, "loss")))
    if unknown is not None:
        sections.append(_Section("unknown", "uint32", _positions(unknown, text)))
    sections += _guess_sections(guesses, text) + _colour_sections(palette)
    header = {
        "version": VERSION,
        "neuron": chosen[0],
        "signal": signal,
        "layers": [{"units": int(units), "signals": list(signals)} for units, signals in layers],
        "scales": {
            f"{who}/{what}": {"kind": s.kind, "low": float(s.low), "high": float(s.high)}
            for (who, what), s in scales.items()
        },
        "documents": [
            {"name": str(one.name), "start": int(one.start), "stop": int(one.stop)} for one in documents or ()
        ],
        "symbols": list(guesses[0]) if guesses is not None else [],
        "guesses": int(np.shape(guesses[1])[1]) if guesses is not None else 0,
        "tab": int(tab_width),
        "title": title,
        "at": None if at is None else int(at),
        "jump": jump,
    }
    return _pack(header, sections)


class _Section(NamedTuple):
    name: str
    dtype: str
    values: NDArray[Any]  # utf-8 text as uint8; its length counts items, not bytes


def _pack(header: dict[str, Any], sections: list[_Section]) -> bytes:
    table, body = [], bytearray()
    for section in sections:
        body += b"\0" * (-len(body) % _ALIGNMENT)
        table.append({"name": section.name, "dtype": section.dtype, "offset": len(body), "length": section.values.size})
        body += np.ascontiguousarray(section.values).tobytes()
    head = json.dumps({**header, "sections": table}, allow_nan=False, ensure_ascii=True).encode("ascii")
    head += b" " * (-(4 + len(head)) % _ALIGNMENT)
    return struct.pack("<I", len(head)) + head + bytes(body)


def _utf8(text: str) -> NDArray[np.uint8]:
    try:
        return np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    except UnicodeEncodeError as error:
        raise InspectorError(
            f"The text holds half of a character pair at position {error.start}, which no browser can "
            "show: read the file as UTF-8 with errors='replace'."
        ) from None


def _per_character(values: ArrayLike, text: str, what: str) -> NDArray[np.float32]:
    array = np.asarray(values)
    if array.shape != (len(text),) or not np.issubdtype(array.dtype, np.floating):
        raise InspectorError(
            f"The {what} is {array.dtype} of shape {array.shape}: it must be float32 of shape "
            f"({len(text)},), one value per character of the text."
        )
    return array.astype("<f4", copy=False)


def _positions(values: ArrayLike, text: str) -> NDArray[np.uint32]:
    array = np.asarray(values, dtype=np.int64).ravel()
    if array.size and (array.min() < 0 or array.max() >= len(text)):
        raise InspectorError(f"`unknown` names position {array.max()}: the text has positions 0 to {len(text) - 1}.")
    return np.sort(array).astype("<u4")


def _check_choice(chosen: tuple[str, str], layers: Sequence[tuple[int, Sequence[str]]]) -> None:
    layer, _, unit = chosen[0].partition(":")
    is_name = layer.isdecimal() and unit.isdecimal()
    if not is_name or int(layer) >= len(layers) or int(unit) >= layers[int(layer)][0]:
        sizes = ", ".join(f"{place}:0 to {place}:{units - 1}" for place, (units, _) in enumerate(layers))
        raise InspectorError(f"Neuron {chosen[0]} does not exist: this network has {sizes or 'no layers'}.")
    if chosen[1] not in layers[int(layer)][1]:
        raise InspectorError(f"Layer {layer} has no signal {chosen[1]!r}: choose {', '.join(layers[int(layer)][1])}.")


def _check_place(at: int | None, text: str) -> None:
    if at is not None and not 0 <= at < max(len(text), 1):
        raise InspectorError(f"Position {at} is outside the text, which has positions 0 to {len(text) - 1}.")


def _guess_sections(guesses: tuple[Sequence[str], ArrayLike, ArrayLike] | None, text: str) -> list[_Section]:
    if guesses is None:
        return []
    symbols, ids, probabilities = guesses[0], np.asarray(guesses[1]), np.asarray(guesses[2])
    if ids.ndim != 2 or len(ids) != len(text) or ids.shape != probabilities.shape:
        raise InspectorError(
            f"Guesses have ids of shape {ids.shape} and probabilities of shape {probabilities.shape}: "
            f"both must be ({len(text)}, k), one row per character of the text."
        )
    if ids.size and (ids.min() < 0 or ids.max() >= len(symbols)):
        raise InspectorError(f"A guess has id {ids.max()}: there are {len(symbols)} symbols, 0 to {len(symbols) - 1}.")
    if len(symbols) > 1 << 16:
        raise InspectorError(f"Guesses name {len(symbols)} symbols: the overlay takes 65,536 at most.")
    dtype = "float16" if probabilities.dtype == np.float16 else "float32"
    return [
        _Section("guess/ids", "uint16", ids.astype("<u2")),
        _Section("guess/probabilities", dtype, probabilities.astype("<f2" if dtype == "float16" else "<f4")),
    ]


def _colour_sections(palette: str) -> list[_Section]:
    if palette not in colours.PALETTES:
        raise InspectorError(f"There is no palette {palette!r}: choose {', '.join(colours.PALETTES)}.")
    return [
        _Section(f"{what}/{kind}/{theme}", "uint8", table(palette, kind, theme))
        for theme in colours.THEMES
        for kind in colours.KINDS
        for what, table in (("lut", colours.lut), ("ink", colours.ink))
    ]
