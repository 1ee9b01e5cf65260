"""What the browser fetches by itself: the recording's own values and colours, and nothing that is not offered."""

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from starlette.applications import Starlette

from dashboard.overlay import serve
from dashboard.palette import colour_index, scale_for
from inspector.recording import Document, Layer, RecordingWriter
from tests.test_overlay import unpack

TEXT = "é😀\n" + "abc" * 2000
SYMBOLS = ("\ufffd", "a", "b", "c", "\n")


def made(text=TEXT, signals=("hidden", "cell"), seed=0):
    """A recording of two layers with random values; 0:1 goes against 0:0, 0:2 is constant."""
    rng, n = np.random.default_rng(seed), len(text)
    layers = [Layer("lstm.0", "lstm", 4, signals), Layer("lstm.1", "lstm", 3, signals)]
    writer = RecordingWriter(text=text, documents=[Document("text", 0, n)], layers=layers, symbols=SYMBOLS, unknown=[1])
    values = [{name: rng.normal(size=(one.n_units, n)).astype(np.float32) for name in signals} for one in layers]
    for name in signals:
        values[0][name][1] = -values[0][name][0]
        values[0][name][2] = 0.5
    loss = np.append(np.float32(np.nan), rng.random(n - 1, np.float32))
    ids = np.tile(np.arange(5), (n, 1))
    writer.append(values, loss=loss, guess_ids=ids, guess_probabilities=np.full((n, 5), 0.2, np.float32))
    return writer.finish()


def get(address, posted=None, read=None):
    """(status, headers, body) as a browser would have them. read : grows with each time a body is asked for."""
    read = [] if read is None else read
    said = []

    async def receive():
        read.append(True)
        return {"type": "http.request", "body": posted or b"", "more_body": False}

    async def send(message):
        said.append(message)

    method = "GET" if posted is None else "POST"
    scope = {"type": "http", "method": method, "path": address, "root_path": "", "query_string": b"", "headers": []}

    async def ask():
        await Starlette(routes=serve.ROUTES)(scope, receive, send)

    with ThreadPoolExecutor(1) as thread:  # this one may have a running loop: that of a browser of other tests
        thread.submit(asyncio.run, ask()).result()
    headers = {key.decode(): value.decode() for key, value in said[0]["headers"]}
    return said[0]["status"], headers, b"".join(message.get("body", b"") for message in said)


def fetched(address, posted=None):
    status, _, body = get(address, posted)
    assert status == 200
    return unpack(body)


def test_trace_comes_as_the_colours_of_the_recorded_values():
    recording = made()

    header, sections = fetched(f"{serve.offer(recording)}/trace/1:2/cell")

    trace = recording.trace("1:2", "cell")
    scale = scale_for("cell", trace)
    assert header["scale"] == {"kind": scale.kind, "low": scale.low, "high": scale.high}
    assert header["reach"] == [float(trace.min()), float(trace.max())]
    np.testing.assert_array_equal(sections["trace"], colour_index(trace, scale))


def test_signals_that_are_recorded_later_are_found():
    recording = made()
    address = serve.offer(recording)
    assert fetched(f"{address}/ready")[0]["ready"] == ["hidden", "cell"]

    gates = made(signals=("input_gate", "forget_gate"))
    serve.offer(recording, gates)

    assert fetched(f"{address}/ready")[0]["ready"] == ["hidden", "cell", "input_gate", "forget_gate"]


def test_values_come_exactly_and_of_every_signal():
    recording, gates = made(), made(signals=("input_gate",), seed=1)

    _, sections = fetched(f"{serve.offer(recording, gates)}/values/0:3/1")

    for source, signal in ((recording, "hidden"), (recording, "cell"), (gates, "input_gate")):
        np.testing.assert_array_equal(sections[signal], source.trace("0:3", signal)[serve.BLOCK : 2 * serve.BLOCK])


def test_text_loss_and_guesses_are_the_recordings():
    recording = made()
    address = serve.offer(recording)

    _, text = fetched(f"{address}/text")
    _, loss = fetched(f"{address}/loss")
    header, guesses = fetched(f"{address}/guesses/1")

    assert text["text"].tobytes().decode() == TEXT
    assert text["unknown"].tolist() == [1]
    np.testing.assert_array_equal(loss["loss"], recording.loss)
    expected = recording.guesses(serve.BLOCK, recording.n_chars, k=5)
    ids = guesses["guess/ids"].reshape(-1, header["guesses"])
    assert [[SYMBOLS[one] for one in row] for row in ids] == expected.symbols.tolist()


def test_gate_with_nan_comes_as_values():
    section = serve._painted(np.array([0.5, np.nan], np.float32), scale_for("input_gate", np.zeros(0)))

    assert (section.dtype, np.isnan(section.values).tolist()) == ("float32", [False, True])


def test_similar_finds_what_goes_against_it_too_and_no_constant_neuron():
    recording = made()
    header, _ = fetched(f"{serve.offer(recording)}/similar/0:0/cell")

    first, *rest = header["similar"]
    assert first == {"neuron": "0:1", "correlation": -1.0}
    assert {"0:0", "0:2"}.isdisjoint(one["neuron"] for one in rest)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/trace/9:0/cell", "9"),
        ("/trace/0:0/forget_gate", "forget_gate"),
        ("/trace/nonsense/cell", "nonsense"),
        ("/values/0:4/0", "0:4"),
    ],
)
def test_what_is_not_there_is_said(path, words):
    recording = made()

    header, sections = fetched(serve.offer(recording) + path)

    assert words in header["missing"] and sections == {}


def test_a_name_is_the_same_as_long_as_its_recording_lives_and_then_leads_nowhere():
    recording = made()
    address = serve.offer(recording)
    assert serve.offer(recording) == address != serve.offer(made())

    del recording
    gc.collect()

    assert "no longer in memory" in fetched(f"{address}/text")[0]["missing"]
    assert "no longer in memory" in fetched("/charscope/guessed/text")[0]["missing"]


def test_addresses_stand_below_the_path_that_the_program_is_served_at(monkeypatch):
    recording = made()
    plain = serve.offer(recording)
    monkeypatch.setattr(serve.st, "get_option", {"server.baseUrlPath": "class/"}.get)
    address = serve.offer(recording)
    monkeypatch.setattr(serve, "ROUTES", serve.routes())

    assert address == f"/class{plain}"
    assert fetched(f"{address}/ready")[0]["ready"] == ["hidden", "cell"]


def test_answers_are_not_compressed_and_not_kept():
    recording = made()
    _, headers, _ = get(f"{serve.offer(recording)}/loss")

    assert (headers["content-encoding"], headers["cache-control"]) == ("identity", "no-store")


class Typed:
    """A draft whose versions are the random recordings of `made`, read a character at a time."""

    n_read = 0

    def read(self, text, /, *, enough):
        self.n_read = next((n for n in range(self.n_read + 2, len(text)) if enough(n / len(text))), len(text))
        return made(text[: self.n_read])


def test_draft_comes_with_colours_loss_and_a_name_for_the_rest():
    recording = made()
    address = serve.offer(recording, draft=Typed)

    header, sections = fetched(f"{address}/draft/e1/1:2/cell", "aé\nb".encode())

    expected = made("aé\nb")
    trace = expected.trace("1:2", "cell")
    np.testing.assert_array_equal(sections["trace"], colour_index(trace, scale_for("cell", trace)))
    np.testing.assert_array_equal(sections["loss"], expected.loss)
    assert header["ready"] == ["hidden", "cell"]
    assert fetched(f"{header['source']}/text")[1]["text"].tobytes().decode() == "aé\nb"


def test_beginning_of_a_draft_comes_first_and_the_same_version_again_brings_the_rest(monkeypatch):
    recording, text = made(), "abcé\n" * 3
    address = serve.offer(recording, draft=Typed)
    monkeypatch.setattr(serve, "_WHOLE_SECONDS", 0.0)

    _, first = fetched(f"{address}/draft/e1/1:2/cell", text.encode())
    _, again = fetched(f"{address}/draft/e1/1:2/cell", text.encode())

    assert [len(one["trace"]) for one in (first, again)] == [2, len(text)]


def test_rest_of_a_draft_is_read_before_it_is_asked_for(monkeypatch):
    recording, typed = made(), Typed()
    address = serve.offer(recording, draft=lambda: typed)
    monkeypatch.setattr(serve, "_WHOLE_SECONDS", 0.0)

    _, first = fetched(f"{address}/draft/e1/1:2/cell", b"abcabcabc")

    assert len(first["trace"]) == 2
    assert any(typed.n_read == 9 or time.sleep(0.05) for _ in range(100))


def test_writing_goes_on_however_many_versions_there_were():
    recording, bystander = made(), made("another")
    address, other = serve.offer(recording, draft=Typed), serve.offer(bystander)
    for number in range(2 * serve._MOST_OFFERS):
        header, _ = fetched(f"{address}/draft/e1/1:2/cell", f"version {number}".encode())
        assert "missing" not in header
    gc.collect()
    assert "missing" not in fetched(f"{address}/text")[0]
    assert "missing" not in fetched(f"{other}/text")[0]


def test_a_draft_outlives_the_text_that_it_began_as():
    recording = made()
    address = serve.offer(recording, draft=Typed)
    fetched(f"{address}/draft/e1/1:2/cell", b"ab")
    del recording
    gc.collect()
    serve.offer(made("another"))

    header, sections = fetched(f"{address}/draft/e1/1:2/cell", b"abc")

    assert (header["neuron"], header["signal"], len(sections["trace"])) == ("1:2", "cell", 3)
    assert "no longer in memory" in fetched(f"{address}/draft/e2/1:2/cell", b"abc")[0]["missing"]


def test_newer_version_ends_the_reading_of_an_older_one():
    recording, typed = made(), []

    class Slow(Typed):
        def read(self, text, /, *, enough):
            if not typed:  # while the first version is read the next one comes
                typed.append(text)
                fetched(f"{address}/draft/e1/0:0/hidden", b"abcabc")
                typed.append(enough(1.0))
            return super().read(text, enough=enough)

    address = serve.offer(recording, draft=Slow)
    fetched(f"{address}/draft/e1/0:0/hidden", b"abc")

    assert typed == ["abc", True]


def test_each_editor_has_one_draft_and_the_last_version_stays():
    made_drafts = []

    def draft():
        made_drafts.append(Typed())
        return made_drafts[-1]

    recording = made()
    address = serve.offer(recording, draft=draft)
    for editor, text in (("e1", b"ab"), ("e1", b"abc"), ("e2", b"cb")):
        header, _ = fetched(f"{address}/draft/{editor}/0:0/hidden", text)
    gc.collect()

    assert len(made_drafts) == 2
    assert "missing" not in fetched(f"{header['source']}/loss")[0]


@pytest.mark.parametrize(
    ("draft", "posted", "words"),
    [
        (None, b"ab", "without its network"),
        (Typed, b"a" * (serve.DRAFT_CHARS + 1), "5,001 characters: up to 5,000"),
        (Typed, b"a" * (4 * serve.DRAFT_CHARS + 1), "Too long: up to 5,000"),
    ],
)
def test_draft_that_cannot_be_read_says_why(draft, posted, words):
    recording = made()

    header, _ = fetched(f"{serve.offer(recording, draft=draft)}/draft/e1/0:0/hidden", posted)

    assert words in header["missing"]


def test_nothing_is_read_of_what_is_posted_to_a_name_that_is_not_offered():
    read = []

    _, _, body = get("/charscope/nobody/draft/e1/0:0/hidden", b"ab", read)

    assert "no longer in memory" in unpack(body)[0]["missing"] and not read
