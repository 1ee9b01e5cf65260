"""What the browser fetches by itself, beside Streamlit: one trace, a window of guesses, a long text.

A rerun takes 200 ms, so another neuron cannot wait for one. Recordings that a page shows are offered here under a name
that cannot be guessed, and only as long as somebody else keeps them in memory. Answers are messages of `payload.py`;
one that has nothing but `missing` says what is not at hand, and the browser then asks Python in the ordinary way.

    /charscope/NAME/text · /ready · /trace/1:42/cell · /values/1:42/BLOCK · /loss · /guesses/BLOCK · /similar/1:42/cell
    /charscope/NAME/draft/EDITOR/1:42/cell      a text that is being written, posted as UTF-8
"""

from __future__ import annotations

import secrets
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock, Thread
from typing import Protocol

import numpy as np
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import palette as colours
from dashboard.overlay.payload import Section, guess_sections, pack, scale_json, text_sections, utf8
from inspector.recording import InspectorError, Recording

BLOCK = 4096  # characters of one answer about values or guesses; source.js has the same number
GUESSES = 5
_SAMPLED = 16_384  # characters that similarity looks at, spread over the text in stretches
DRAFT_CHARS = 5_000  # the longest text that is recorded anew while it is typed; 40 MB of a 2x512 network's states
_PAINTED_AT_ONCE = 16_384  # characters, whose numbers fit into the processor's cache
_MOST_OFFERS = 256
_MOST_SIMILAR = 8
_MOST_DRAFTS = 6
_WHOLE_SECONDS = 0.25  # a new version that can be read by then is answered as a whole, of another one its beginning
_MORE_SECONDS = 0.4  # how long the rest of a version is read before an answer


class Draft(Protocol):
    """Reads one version of a text after the other, as `inspector.capture.Draft` does."""

    def read(self, text: str, /, *, enough: Callable[[float], bool] | None = None) -> Recording:
        """Record a version of the text, or its beginning."""


class _Writing:
    """What one editor writes: the draft that reads it, its newest version, and what was read of it last."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._newest = ""
        self._recording: Recording | None = None  # kept: the offer is forgotten when nobody keeps the recording

    def read(self, text: str) -> Recording:
        """A version, or as much of it as can be read soon; the same one again goes on, a newer one ends this.

        What is left is read on while the answer is under way and the browser paints it.
        """
        begun, is_new = time.monotonic(), text != self._newest
        self._newest = text

        def enough(share: float) -> bool:
            """Whether to answer now; the first time as soon as it can be told how long the whole would take."""
            seconds = time.monotonic() - begun
            is_long = seconds / share >= _WHOLE_SECONDS if is_new else seconds >= _MORE_SECONDS
            return is_long or self._newest is not text

        self._recording = recording = self._draft.read(text, enough=enough)
        if recording.n_chars < len(text):
            Thread(target=self._read_on, args=(text,), daemon=True, name="reads on").start()
        return recording

    def _read_on(self, text: str) -> None:
        """Until it is asked for again, which goes on from here, or a newer version is."""
        self._draft.read(text, enough=lambda _: self._newest is not text)


_offers: OrderedDict[str, tuple[weakref.ref[Recording], ...]] = OrderedDict()
_writers: dict[str, Callable[[], Draft]] = {}
_drafts: OrderedDict[tuple[str, str], _Writing] = OrderedDict()
_names: weakref.WeakKeyDictionary[Recording, str] = weakref.WeakKeyDictionary()
_lock = Lock()


def offer(recording: Recording, *more: Recording, draft: Callable[[], Draft] | None = None) -> str:
    """Let the browser fetch from a recording, and return the address to fetch from.

    more : recordings of the same text that hold further signals.
    draft : makes what reads versions of the text that the reader writes; None where it cannot be written in.
    """
    with _lock:
        name = _names.setdefault(recording, secrets.token_urlsafe(16))
        _offers[name] = tuple(weakref.ref(one) for one in (recording, *more))
        _offers.move_to_end(name)
        if draft is not None:
            _writers[name] = draft
        for gone in [one for one, (first, *_) in _offers.items() if first() is None]:
            _withdraw(gone)
        while len(_offers) > _MOST_OFFERS:
            _withdraw(next(iter(_offers)))
    return f"{_base()}/charscope/{name}"


def _base() -> str:
    """What stands before every path where the program is served below another one, as behind a proxy."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def _withdraw(name: str) -> None:
    del _offers[name]
    _writers.pop(name, None)


def _offered(request: Request) -> list[Recording]:
    name = request.path_params["name"]
    with _lock:
        found = _offers.get(name, ())
        if found:
            _offers.move_to_end(name)
    alive = [recording for one in found if (recording := one()) is not None]
    if not found or found[0]() is None:
        raise InspectorError("This text is no longer in memory: the page will ask for it again.")
    return alive


def _answers(answer: Callable[[Request], bytes]) -> Callable[[Request], Response]:
    @wraps(answer)
    def respond(request: Request) -> Response:
        try:
            return _message(answer(request))
        except InspectorError as why:
            return _missing(why)

    return respond


def _message(body: bytes) -> Response:
    # "identity": the server would spend 100 ms on compressing what never leaves this machine
    headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
    return Response(body, media_type="application/octet-stream", headers=headers)


def _missing(why: InspectorError) -> Response:
    return _message(pack({"missing": str(why)}, []))


@_answers
def _text(request: Request) -> bytes:
    recording = _offered(request)[0]
    return pack({}, text_sections(utf8(recording.text), recording.text, recording.unknown))


@_answers
def _ready(request: Request) -> bytes:
    """The signals that are at hand: more of them once a text has been read again for its gates."""
    names = [signal for recording in _offered(request) for signal in recording.layers[0].signals]
    return pack({"ready": names}, [])


@_answers
def _trace(request: Request) -> bytes:
    neuron, signal = request.path_params["neuron"], request.path_params["signal"]
    header, section = _trace_of(_holding(_offered(request), neuron, signal), neuron, signal)
    return pack(header, [section])


def _trace_of(recording: Recording, neuron: str, signal: str) -> tuple[dict[str, object], Section]:
    """What the browser needs to colour a text by a neuron: its scale and reach, and a colour for each character."""
    trace = recording.trace(neuron, signal)
    scale = colours.scale_for(signal, trace)
    known = trace[np.isfinite(trace)]
    reach = [float(known.min()), float(known.max())] if known.size else None
    return {"scale": scale_json(scale), "reach": reach}, _painted(trace, scale)


def _painted(trace: np.ndarray, scale: colours.Scale) -> Section:
    """The colour of each character, one byte: a million of them come in a third of the time that values take.

    A diverging table has no use for entry 0, which stands for nan; elsewhere nan needs the values themselves.
    """
    if scale.kind != "diverging" and np.isnan(trace).any():
        return Section("trace", "float32", trace.astype("<f4", copy=False))
    painted = np.empty(trace.size, np.uint8)
    for start in range(0, trace.size, _PAINTED_AT_ONCE):
        entries = colours.colour_index(trace[start : start + _PAINTED_AT_ONCE], scale)
        np.maximum(entries, 0, out=painted[start : start + _PAINTED_AT_ONCE], casting="unsafe")
    return Section("trace", "uint8", painted)


@_answers
def _values(request: Request) -> bytes:
    """What one neuron computed over a stretch of the text: every signal that is at hand, exactly."""
    offered, found = _offered(request), []
    (layer, unit), _ = offered[0].check_neuron(request.path_params["neuron"])
    start = min(request.path_params["block"] * BLOCK, offered[0].n_chars)
    stop = min(start + BLOCK, offered[0].n_chars)
    for recording in offered:
        for signal in recording.layers[layer].signals:
            values = recording.window(layer, signal, start, stop)[unit]
            found.append(Section(signal, "float32", values.astype("<f4", copy=False)))
    return pack({}, found)


def _holding(recordings: list[Recording], neuron: str, signal: str) -> Recording:
    """The one of the recordings that has this signal; the first one says what is wrong where none has."""
    for recording in recordings:
        (layer, _), _ = recording.check_neuron(neuron)
        if signal in recording.layers[layer].signals:
            return recording
    recordings[0].check_neuron(neuron, signal)
    return recordings[0]


@_answers
def _loss(request: Request) -> bytes:
    return pack({}, [Section("loss", "float32", _offered(request)[0].loss.astype("<f4", copy=False))])


@_answers
def _guesses(request: Request) -> bytes:
    recording = _offered(request)[0]
    start = min(request.path_params["block"] * BLOCK, recording.n_chars)
    if not recording.has_guesses or recording.symbols is None:
        raise InspectorError("This recording keeps no guesses.")
    guesses = recording.guesses(start, min(start + BLOCK, recording.n_chars), k=GUESSES)
    number = {symbol: place for place, symbol in enumerate(recording.symbols)}
    ids = np.fromiter((number[symbol] for symbol in guesses.symbols.ravel()), np.uint16, guesses.symbols.size)
    width = guesses.symbols.shape[1]
    return pack({"guesses": width}, guess_sections(ids.reshape(-1, width), guesses.probabilities))


@_answers
def _similar(request: Request) -> bytes:
    neuron, signal = request.path_params["neuron"], request.path_params["signal"]
    return pack({"similar": similar(_holding(_offered(request), neuron, signal), neuron, signal)}, [])


def similar(recording: Recording, neuron: str, signal: str) -> list[dict[str, object]]:
    """The neurons whose signal goes most like this one's, either way up, likest first.

    Pearson's correlation over at most 16,384 characters in stretches spread over the text. A constant neuron is like
    none. Returns dicts with `neuron` ("1:42") and `correlation`.
    """
    (layer, unit), signal = recording.check_neuron(neuron, signal)
    n_stretches = max(1, min(8, recording.n_chars // 2048))
    length = min(recording.n_chars, _SAMPLED // n_stretches)
    starts = np.linspace(0, recording.n_chars - length, n_stretches).astype(int).tolist()

    def sample(one: int) -> np.ndarray:
        """Centred to mean 0 and length 1 over the sample: float64 (n_units, n_sampled)."""
        values = [recording.window(one, signal, start, start + length) for start in starts]
        whole = np.concatenate(values, axis=1).astype(np.float64)
        whole -= whole.mean(axis=1, keepdims=True)
        size = np.linalg.norm(whole, axis=1, keepdims=True)
        return np.divide(whole, size, out=np.zeros_like(whole), where=size > 1e-9)

    wanted, found = sample(layer)[unit], []
    for place, one in enumerate(recording.layers):
        if signal in one.signals:
            found += [(value, f"{place}:{number}") for number, value in enumerate((sample(place) @ wanted).tolist())]
    found = [one for one in found if one[1] != f"{layer}:{unit}" and abs(one[0]) > 0]
    found.sort(key=lambda pair: -abs(pair[0]))
    return [{"neuron": name, "correlation": round(value, 4)} for value, name in found[:_MOST_SIMILAR]]


async def _draft(request: Request) -> Response:
    body = bytearray()
    try:
        if not _is_writing(request.path_params["name"], request.path_params["editor"]):
            _offered(request)  # a stranger's bytes are not even read
        async for part in request.stream():
            body += part
            if len(body) > 4 * DRAFT_CHARS:  # four bytes are the most that UTF-8 has for a character
                raise InspectorError(f"Too long: up to {DRAFT_CHARS:,} characters are read while you write.")
    except InspectorError as why:
        return _missing(why)
    return await run_in_threadpool(_read_draft, request, body)


def _read_draft(request: Request, body: bytearray) -> Response:
    return _answers(lambda asked: _version(asked, body))(request)


def _version(request: Request, body: bytearray) -> bytes:
    """A version of a text that is being written: colours and loss at once, a name under which the rest is fetched.

    They may be those of its beginning alone, so that they come soon: the same version posted again brings more.
    """
    name, editor = request.path_params["name"], request.path_params["editor"]
    neuron, signal = request.path_params["neuron"], request.path_params["signal"]
    text = body.decode("utf-8", errors="replace")
    if len(text) > DRAFT_CHARS:
        raise InspectorError(f"{len(text):,} characters: up to {DRAFT_CHARS:,} are read while you write.")
    recording = _writing(name, editor).read(text)
    layer = recording.layers[recording.check_neuron(neuron)[0].layer]
    shown = signal if signal in layer.signals else layer.signals[0]
    header, section = _trace_of(recording, neuron, shown)
    loss = Section("loss", "float32", recording.loss.astype("<f4", copy=False))
    unknown = Section("unknown", "uint32", recording.unknown.astype("<u4"))
    said = {"source": offer(recording), "neuron": neuron, "signal": shown, "ready": list(layer.signals), **header}
    return pack(said, [section, loss, unknown])


def _is_writing(name: str, editor: str) -> bool:
    """Whether this editor has begun: it goes on, though what it began with be forgotten."""
    with _lock:
        return (name, editor) in _drafts


def _writing(name: str, editor: str) -> _Writing:
    with _lock:
        if (name, editor) not in _drafts:
            if name not in _writers:
                raise InspectorError("This recording is read without its network, so it stays as it is.")
            _drafts[name, editor] = _Writing(_writers[name]())
        _drafts.move_to_end((name, editor))
        while len(_drafts) > _MOST_DRAFTS:
            _drafts.popitem(last=False)
        return _drafts[name, editor]


_PATHS = {
    "text": _text,
    "ready": _ready,
    "trace/{neuron}/{signal}": _trace,
    "values/{neuron}/{block:int}": _values,
    "loss": _loss,
    "guesses/{block:int}": _guesses,
    "similar/{neuron}/{signal}": _similar,
}


def routes() -> list[Route]:
    """Every path that is answered, below `server.baseUrlPath`."""
    within = f"{_base()}/charscope/{{name}}"
    draft = Route(f"{within}/draft/{{editor}}/{{neuron}}/{{signal}}", _draft, methods=["POST"])
    return [draft, *(Route(f"{within}/{path}", answer) for path, answer in _PATHS.items())]


ROUTES = routes()
