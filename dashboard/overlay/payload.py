"""What the browser is told: a text, the traces that colour it, and everything hovering needs.

It knows bytes and their order and nothing about Streamlit or HTTP. `payload.js` is the other half, and a golden file
holds the two together:

    uint32 length of the header │ JSON header │ sections, each at a multiple of 8 bytes behind the header

The same bytes carry the one message that mounts the component and every answer of `serve.py`: what a message leaves
out, the browser asks for.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard import palette as colours
from inspector.recording import InspectorError, Recording

VERSION = 2
_ALIGNMENT = 8

Trace = tuple[Any, str]  # (neuron as Neuron or "1:42", signal)


@dataclass(frozen=True)
class Look:
    """How a text is shown, apart from which neuron colours it; `view.js` has the same names.

    colour : "neuron", or "surprise" for the loss. pins : neurons kept in sight, as "1:42". mark : (start, stop).
    """

    palette: str = colours.DEFAULT
    colour: str = "neuron"
    expects: bool = False
    spaces: bool = False
    wrap: bool = True
    tab: int = 4
    pins: tuple[str, ...] = ()
    mark: tuple[int, int] | None = None


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
    evidence: str | None = None,
    fills: bool = False,
    at: int | None = None,
    jump: str | int | None = None,
    look: Look | None = None,
    suggested: Mapping[str, Sequence[Any]] | None = None,
    source: str | None = None,
    ready: Sequence[str] = (),
    editable: int = 0,
    symbols: Sequence[str] = (),
    only: Sequence[Any] | None = None,
    dtype: Literal["float32", "int8"] = "float32",
) -> bytes:
    """Pack one text and its traces for the overlay.

    >>> payload = build_payload(text=recording.text, traces={(neuron, "cell"): recording.trace(neuron, "cell")},
    ...                         neuron=neuron, signal="cell", layers=[(512, ("hidden", "cell"))])

    traces : float32 (n_chars,) by (neuron, signal), the chosen one among them. nan means "no value here". With none at
        all the text stays behind too, and the browser fetches from `source` what it needs.
    layers : (number of units, names of signals) per layer: what the reader may ask for.
    scale : of the chosen trace; by default, and for all others, `palette.scale_for`.
    loss : float (n_chars,) nats, nan where nothing was predicted.
    guesses : (symbols, ids (n_chars, k), probabilities (n_chars, k)), for the character after each one.
    unknown : positions of characters the network does not know.
    documents : objects with `name`, `start`, `stop`, when the text is several documents.
    title, evidence : one sentence about the chosen neuron, and what it rests on.
    fills : whether the overlay reaches from where it stands to the bottom of the window, whatever height it is given.
    at, jump : position for the cursor. The browser goes there, and takes `look`, when `jump` differs from the last one
        it saw, so a click on a search result sends a new token, and an ordinary rerun the old one.
    suggested : neurons worth pinning, under a name that says why.
    source : the address under which `serve.py` answers for this text. ready : the signals it has; for others Python has
        to be asked first. symbols : what the ids of its guesses mean. editable : how many characters may be written and
        read at once there; 0 where none.
    only : the neurons there are; the reader goes to no other. None where every one of `layers` can be had.
    dtype : how traces are sent. int8 takes a quarter of the bytes; values are then off by 1/254 of the trace's largest
        at most, and the scale is still that of the exact ones.

    Raises InspectorError where arrays and text do not fit together.
    """
    chosen, look = (str(neuron), signal), look or Look()
    arrays = {
        (str(who), what): _per_character(trace, text, f"trace {who} {what}") for (who, what), trace in traces.items()
    }
    _check_choice(chosen, layers)
    _check_place(at, text)
    _check_look(look, layers)
    if chosen not in arrays and (arrays or source is None):
        raise InspectorError(
            f"There is no trace {chosen[0]} {signal} to show: pass it in `traces`, which now hold "
            f"{', '.join(' '.join(one) for one in arrays) or 'nothing'}."
        )
    content = utf8(text)
    sections = colour_sections()
    if arrays:
        sections += text_sections(content, text, unknown) + _trace_sections(arrays, dtype)
        sections += [] if loss is None else [Section("loss", "float32", _per_character(loss, text, "loss"))]
        sections += _guessed(guesses, text)
    scales = {one: colours.scale_for(one[1], trace) for one, trace in arrays.items()}
    if scale is not None:
        scales[chosen] = scale
    header = {
        "neuron": chosen[0],
        "signal": signal,
        "key": hashlib.sha256(content.tobytes()).hexdigest()[:16],
        "source": source,
        "ready": list(ready),
        "editable": int(editable),
        "chars": len(text),
        "layers": [{"units": int(units), "signals": list(signals)} for units, signals in layers],
        "scales": {f"{who}/{what}": scale_json(scale) for (who, what), scale in scales.items()},
        "surprise": scale_json(colours.SURPRISE),
        "documents": [
            {"name": str(one.name), "start": int(one.start), "stop": int(one.stop)} for one in documents or ()
        ],
        "symbols": list(guesses[0] if guesses is not None else symbols),
        "guesses": int(np.shape(guesses[1])[1]) if guesses is not None else 0,
        "title": title,
        "evidence": evidence,
        "fills": fills,
        "at": None if at is None else int(at),
        "jump": jump,
        "look": asdict(look),
        "palettes": {name: one.title for name, one in colours.PALETTES.items()},
        "suggested": {why: [str(one) for one in some] for why, some in (suggested or {}).items()},
    }
    if only is not None:
        header["only"] = [str(one) for one in only]
    return pack(header, sections)


class Section(NamedTuple):
    """One array of a message; utf-8 text is uint8, and its length counts items, not bytes.

    step : what one unit of an int8 value stands for; -128 is nan.
    """

    name: str
    dtype: str
    values: NDArray[Any]
    step: float | None = None


def pack(header: Mapping[str, Any], sections: Sequence[Section]) -> bytes:
    """One message: what is said, then the arrays, each where the browser may look at it in place."""
    table, parts, length = [], [], 0
    for section in sections:
        padding = -length % _ALIGNMENT
        values = np.ascontiguousarray(section.values)
        offset = length + padding
        entry = {"name": section.name, "dtype": section.dtype, "offset": offset, "length": values.size}
        table.append(entry if section.step is None else {**entry, "step": section.step})
        parts += [b"\0" * padding, values.data.cast("B") if values.size else b""]
        length = offset + values.nbytes
    said = {"version": VERSION, **header, "sections": table}
    head = json.dumps(said, allow_nan=False, ensure_ascii=True).encode("ascii")
    head += b" " * (-(4 + len(head)) % _ALIGNMENT)
    return b"".join([struct.pack("<I", len(head)), head, *parts])


def scale_json(scale: colours.Scale) -> dict[str, Any]:
    """A scale as the header says it."""
    return {"kind": scale.kind, "low": float(scale.low), "high": float(scale.high)}


def text_sections(content: NDArray[np.uint8], text: str, unknown: ArrayLike | None) -> list[Section]:
    """The text itself, and which of its characters the network does not know."""
    found = [Section("text", "utf-8", content)]
    return found if unknown is None else [*found, Section("unknown", "uint32", _positions(unknown, text))]


def _trace_sections(arrays: Mapping[tuple[str, str], NDArray[np.float32]], dtype: str) -> list[Section]:
    """Traces by (neuron, signal)."""
    named = [(f"trace/{who}/{what}", trace) for (who, what), trace in arrays.items()]
    return [_in_bytes(name, trace) if dtype == "int8" else Section(name, "float32", trace) for name, trace in named]


def _in_bytes(name: str, trace: NDArray[np.float32]) -> Section:
    """A trace in steps of 1/127 of its largest value."""
    known = np.isfinite(trace)
    step = float(np.abs(trace[known]).max()) / 127 if known.any() else 0.0
    steps = np.divide(trace, step or 1.0, where=known, out=np.full(trace.shape, -128.0))
    return Section(name, "int8", np.rint(steps).astype(np.int8), step)


def numbered_guesses(
    recording: Recording, k: int = 5
) -> tuple[list[str], NDArray[np.uint16], NDArray[np.float32]] | None:
    """What a network expected, for `build_payload`; None where the recording does not know.

    Returns (symbols, ids, probabilities): row t of ids, uint16 (n_chars, k), and of probabilities, float32, is what was
    expected after reading text[t].
    """
    if not recording.has_guesses or recording.symbols is None:
        return None
    guesses = recording.guesses(0, recording.n_chars, k=k)
    number = {symbol: place for place, symbol in enumerate(recording.symbols)}
    ids = np.fromiter((number[symbol] for symbol in guesses.symbols.ravel()), np.uint16, guesses.symbols.size)
    return list(number), ids.reshape(guesses.symbols.shape), guesses.probabilities


def guess_sections(ids: NDArray[Any], probabilities: NDArray[Any]) -> list[Section]:
    """Guesses of consecutive characters: ids and probabilities of shape (n, k)."""
    dtype = "float16" if probabilities.dtype == np.float16 else "float32"
    return [
        Section("guess/ids", "uint16", ids.astype("<u2")),
        Section("guess/probabilities", dtype, probabilities.astype("<f2" if dtype == "float16" else "<f4")),
    ]


def utf8(text: str) -> NDArray[np.uint8]:
    """The text's bytes. Raises InspectorError for a lone surrogate."""
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
    if not _is_neuron(chosen[0], layers):
        sizes = ", ".join(f"{place}:0 to {place}:{units - 1}" for place, (units, _) in enumerate(layers))
        raise InspectorError(f"Neuron {chosen[0]} does not exist: this network has {sizes or 'no layers'}.")
    signals = layers[int(chosen[0].partition(":")[0])][1]
    if chosen[1] not in signals:
        raise InspectorError(
            f"Layer {chosen[0].partition(':')[0]} has no signal {chosen[1]!r}: choose {', '.join(signals)}."
        )


def _is_neuron(name: str, layers: Sequence[tuple[int, Sequence[str]]]) -> bool:
    layer, _, unit = name.partition(":")
    is_name = layer.isdecimal() and unit.isdecimal()
    return is_name and int(layer) < len(layers) and int(unit) < layers[int(layer)][0]


def _check_place(at: int | None, text: str) -> None:
    if at is not None and not 0 <= at < max(len(text), 1):
        raise InspectorError(f"Position {at} is outside the text, which has positions 0 to {len(text) - 1}.")


def _check_look(look: Look, layers: Sequence[tuple[int, Sequence[str]]]) -> None:
    colours.check_palette(look.palette)
    for pin in look.pins:
        if not _is_neuron(pin, layers):
            raise InspectorError(f"Neuron {pin} is pinned and does not exist in this network.")


def _guessed(guesses: tuple[Sequence[str], ArrayLike, ArrayLike] | None, text: str) -> list[Section]:
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
    return guess_sections(ids, probabilities)


def colour_sections() -> list[Section]:
    """Every table of every palette, so that choosing another one needs no message."""
    return [
        Section(f"{what}/{palette}/{kind}/{theme}", "uint8", table(palette, kind, theme))
        for palette in colours.PALETTES
        for theme in colours.THEMES
        for kind in colours.KINDS
        for what, table in (("lut", colours.lut), ("ink", colours.ink))
    ]
