"""The picture of a cell: what is sent to the browser, and the page around it."""

import base64
import json
import struct

import numpy as np
import pytest

from dashboard.cell import WINDOW, build_message, javascript
from inspector.recording import InspectorError

TEXT = 'x = "é日"\n'
TRACES = {name: np.linspace(-1, 1, len(TEXT), dtype=np.float32) for name in ("hidden", "cell")}


def unpacked(message: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    kinds = {"utf-8": np.uint8, "float32": np.float32, "uint8": np.uint8, "uint16": np.uint16}
    return header, {
        section["name"]: np.frombuffer(
            message, kinds[section["dtype"]], section["length"], 4 + length + section["offset"]
        )
        for section in header["sections"]
    }


def test_message_holds_every_signal_exactly():
    label = np.arange(len(TEXT)) > 3
    header, sections = unpacked(
        build_message(
            text=TEXT, kind="lstm", traces=TRACES, signal="cell", at=4, label=label, concept="inside a string"
        )
    )
    assert sections["text"].tobytes().decode() == TEXT and header["signals"] == ["hidden", "cell"]
    for name, values in TRACES.items():
        assert np.array_equal(sections[f"trace/{name}"], values)
    assert np.array_equal(sections["label"], label) and header["concept"] == "inside a string"
    assert header["at"] == 4 and header["offset"] == 0 and header["chars"] == len(TEXT)


def test_long_text_is_sent_in_part_around_the_position():
    text = "ab" * WINDOW
    trace = np.arange(len(text), dtype=np.float32)
    for at in (0, 9_999, len(text) - 1):
        header, sections = unpacked(
            build_message(text=text, kind="rnn", traces={"hidden": trace}, signal="hidden", at=at)
        )
        part = sections["trace/hidden"]
        assert len(part) == WINDOW == sections["text"].size and part[0] == header["offset"]
        assert part[0] <= at <= part[-1]


def test_parts_of_one_text_have_one_key():
    text = "".join(map(chr, range(0x4E00, 0x4E00 + WINDOW + 5_000)))
    trace = np.zeros(len(text), np.float32)

    def key(text: str, at: int) -> str:
        return unpacked(build_message(text=text, kind="rnn", traces={"hidden": trace}, signal="hidden", at=at))[0][
            "key"
        ]

    assert key(text, 0) == key(text, len(text) - 1) != key(text[::-1], 0)


MOUNT = """async ([javascript, css]) => {
  const parentElement = document.body.appendChild(document.createElement("div"));
  parentElement.innerHTML = "<div data-gates></div>";
  const url = URL.createObjectURL(new Blob([javascript], { type: "text/javascript" }));
  const { default: mount } = await import(url);
  window.said = [];
  window.receive = (base64) => {
    const data = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    window.leave = mount({ data, parentElement, setStateValue: (name, value) => window.said.push(value) });
  };
}"""


@pytest.fixture
def picture(browser):
    """The picture in a page of its own, with a clock that the test moves; messages go to its `receive`."""
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.evaluate(MOUNT, [javascript(), ""])
    yield page
    context.close()


def show(page, at: int) -> None:
    """A text twice as long as what is sent of it, around a position; the values count its characters."""
    traces = {"hidden": np.arange(2 * WINDOW, dtype=np.float32) / WINDOW}
    message = build_message(text="ab" * WINDOW, kind="rnn", traces=traces, signal="hidden", at=at)
    page.evaluate("(base64) => window.receive(base64)", base64.b64encode(message).decode())


@pytest.mark.browser
class TestInBrowser:
    def test_another_part_of_the_text_leaves_the_reader_where_they_are(self, picture):
        show(picture, 11_000)
        for _ in range(3):
            picture.locator("[data-gates]").press("ArrowRight")
        show(picture, 11_001)  # what Python says meanwhile is of an earlier step
        assert "character 11,003 " in picture.locator(".controls span").inner_text()

    def test_python_is_told_where_playing_ends_and_not_on_the_way(self, picture):
        show(picture, 5)
        picture.locator("[data-gates]").press(" ")
        picture.clock.run_for(420 * 4)
        assert picture.evaluate("window.said") == []
        picture.locator("[data-gates]").press(" ")
        picture.clock.run_for(400)
        assert picture.evaluate("window.said") == [9]

    def test_nothing_is_told_after_it_has_left_the_page(self, picture):
        show(picture, 5)
        picture.locator("[data-gates]").press("ArrowRight")
        picture.evaluate("window.leave()")
        picture.clock.run_for(2_000)
        assert picture.evaluate("window.said") == []


@pytest.mark.parametrize("wrong", [{"signal": "forget_gate"}, {"traces": {"cell": np.zeros(3)}}])
def test_what_does_not_fit_is_a_sentence(wrong):
    with pytest.raises(InspectorError):
        build_message(**({"text": TEXT, "kind": "lstm", "traces": TRACES, "signal": "cell"} | wrong))


def test_module_is_one_file_without_imports():
    source = javascript()
    assert "\nimport " not in source and source.count("export default") == 1 and "innerHTML" not in source
