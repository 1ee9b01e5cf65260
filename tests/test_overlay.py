"""The message to the browser, and the JavaScript that reads it (under node, where there is one).

The golden payload in tests/golden is what both sides agree on. After a deliberate change of the format, write it anew:

    python -m tests.test_overlay
"""

import base64
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from dashboard import palette
from dashboard.overlay import _PARTS, Look, build_payload, javascript
from dashboard.overlay.mount import overlay
from dashboard.overlay.payload import Section, pack
from inspector.recording import Document, InspectorError, Neuron

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
SIGNALS = ("hidden", "cell", "input_gate")
TEXT = "\ufeffif x:\r\n\tprint('<b>&amp;')\n😀e\u0301日\0!"  # an odd number of characters: sections need padding


def golden_arguments() -> dict:
    n_chars = len(TEXT)
    wave = np.sin(np.arange(n_chars, dtype=np.float64) * 1.7)
    symbols = ["\ufffd", "\n", "\t", " ", "a", "<", "😀"]
    cell = (3.0 * wave).astype(np.float32)
    cell[5] = np.nan
    loss = np.abs(wave).astype(np.float32)
    loss[0] = np.nan
    ids = np.arange(n_chars * 2).reshape(n_chars, 2) % len(symbols)
    probabilities = np.stack([0.5 + 0.4 * wave, 0.05 * (1 + wave)], axis=1).astype(np.float16)
    return {
        "text": TEXT,
        "traces": {
            (Neuron(1, 2), "cell"): cell,
            (Neuron(1, 2), "input_gate"): (0.5 + 0.5 * wave).astype(np.float32),
            (Neuron(1, 3), "hidden"): np.tanh(cell),
        },
        "neuron": Neuron(1, 2),
        "signal": "cell",
        "layers": [(4, SIGNALS), (5, SIGNALS)],
        "loss": loss,
        "guesses": (symbols, ids, probabilities),
        "unknown": [n_chars - 5, 0],
        "documents": [Document("a.py", 0, 8), Document("b.py", 8, n_chars)],
        "title": "On “inside” strings",
        "at": 3,
        "jump": "first",
        "look": Look(palette="red-blue", expects=True, tab=8, pins=("1:3",), mark=(1, 4)),
        "suggested": {"best for “x”": [Neuron(0, 1)]},
    }


def unpack(payload: bytes) -> tuple[dict, dict]:
    """Read a payload with nothing but the description of its format."""
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    sections = {}
    for one in header.pop("sections"):
        dtype = np.dtype("uint8" if one["dtype"] == "utf-8" else one["dtype"]).newbyteorder("<")
        sections[one["name"]] = np.frombuffer(payload, dtype, one["length"], 4 + length + one["offset"])
        assert (4 + length + one["offset"]) % 8 == 0
    return header, sections


def golden_expectation(payload: bytes) -> dict:
    arguments = golden_arguments()
    header, _ = unpack(payload)
    symbols, ids, probabilities = arguments["guesses"]
    traces = {f"{neuron}/{signal}": values for (neuron, signal), values in arguments["traces"].items()}
    scales = {name: palette.scale_for(name.split("/")[1], values) for name, values in traces.items()}
    return {
        "header": header,
        "text": arguments["text"],
        "n_chars": len(arguments["text"]),
        "traces": {name: [None if np.isnan(one) else float(one) for one in values] for name, values in traces.items()},
        "colours": {name: palette.colour_index(values, scales[name]).tolist() for name, values in traces.items()},
        "guesses": [
            [[symbols[i], float(p)] for i, p in zip(ids_here, p_here, strict=True)]
            for ids_here, p_here in zip(ids.tolist(), probabilities, strict=True)
        ],
    }


def small(**changes) -> bytes:
    trace = np.zeros(3, dtype=np.float32)
    arguments = {
        "text": "abc",
        "traces": {("0:1", "hidden"): trace},
        "neuron": "0:1",
        "signal": "hidden",
        "layers": [(2, ("hidden", "cell"))],
    }
    return build_payload(**{**arguments, **changes})


def test_payload_equals_the_golden_file():
    payload = build_payload(**golden_arguments())
    assert payload == (GOLDEN / "overlay.bin").read_bytes()
    expected = json.loads((GOLDEN / "overlay.json").read_text(encoding="utf-8"))
    assert golden_expectation(payload) == expected


def test_payload_carries_values_bit_for_bit():
    arguments = golden_arguments()
    _, sections = unpack(build_payload(**arguments))
    for (neuron, signal), trace in arguments["traces"].items():
        np.testing.assert_array_equal(sections[f"trace/{neuron}/{signal}"], trace)
    np.testing.assert_array_equal(sections["loss"], arguments["loss"])
    np.testing.assert_array_equal(sections["guess/probabilities"], arguments["guesses"][2].ravel())
    np.testing.assert_array_equal(sections["unknown"], sorted(arguments["unknown"]))


@given(st.text())
def test_payload_text_is_exact_for_any_unicode(text):
    payload = small(text=text, traces={("0:1", "hidden"): np.zeros(len(text), dtype=np.float32)})
    _, sections = unpack(payload)
    assert sections["text"].tobytes().decode("utf-8") == text


def test_payload_header_is_strict_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        small(scale=palette.Scale("diverging", float("nan"), 1.0))


def test_payload_scale_can_be_given():
    header, _ = unpack(small(scale=palette.Scale("diverging", -4.0, 4.0)))
    assert header["scales"]["0:1/hidden"] == {"kind": "diverging", "low": -4.0, "high": 4.0}


@pytest.mark.parametrize("name", palette.PALETTES)
def test_payload_colours_are_those_of_the_palette(name):
    _, sections = unpack(small())
    for theme in palette.THEMES:
        for kind in palette.KINDS:
            np.testing.assert_array_equal(
                sections[f"lut/{name}/{kind}/{theme}"], palette.lut(name, kind, theme).ravel()
            )
            np.testing.assert_array_equal(
                sections[f"ink/{name}/{kind}/{theme}"], palette.ink(name, kind, theme).ravel()
            )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"neuron": "0:0"}, "There is no trace 0:0 hidden to show"),
        ({"signal": "cell"}, "There is no trace 0:1 cell to show"),
        ({"layers": [(1, ("hidden",))]}, "Neuron 0:1 does not exist: this network has 0:0 to 0:0."),
        ({"layers": [(2, ("cell",))]}, "Layer 0 has no signal 'hidden': choose cell."),
        ({"text": "abcd"}, r"The trace 0:1 hidden is float32 of shape \(3,\): it must be float32 of shape \(4,\)"),
        ({"loss": np.zeros(2, dtype=np.float32)}, "The loss is"),
        ({"loss": np.zeros(3, dtype=np.int64)}, "The loss is int64"),
        ({"at": 3}, "Position 3 is outside the text"),
        ({"unknown": [3]}, "`unknown` names position 3"),
        ({"look": Look(pins=("5:0",))}, "Neuron 5:0 is pinned"),
        ({"traces": {}}, "There is no trace 0:1 hidden to show"),
        ({"look": Look(palette="rainbow")}, "There is no palette 'rainbow': choose teal-orange"),
        ({"guesses": (["a"], np.zeros((2, 1), int), np.zeros((2, 1)))}, r"both must be \(3, k\)"),
        ({"guesses": (["a"], np.ones((3, 1), int), np.zeros((3, 1)))}, "A guess has id 1: there are 1 symbols"),
        ({"text": "a\ud800c"}, "half of a character pair at position 1"),
    ],
)
def test_payload_error_is_one_clear_sentence(changes, sentence):
    with pytest.raises(InspectorError, match=sentence):
        small(**changes)


def test_payload_without_traces_leaves_the_text_to_be_fetched():
    header, sections = unpack(small(traces={}, source="/charscope/name", ready=["cell"], symbols=["a"]))
    assert (header["source"], header["ready"], header["chars"]) == ("/charscope/name", ["cell"], 3)
    assert header["symbols"] == ["a"]
    assert not any(name.startswith(("text", "trace", "loss", "guess")) for name in sections)


def test_payload_key_is_that_of_the_text_alone():
    keys = [unpack(one)[0]["key"] for one in (small(), small(at=1, neuron="0:1"), small(text="abd"))]
    assert keys[0] == keys[1] != keys[2]


def test_payload_of_an_empty_text_is_possible():
    payload = small(text="", traces={("0:1", "hidden"): np.zeros(0, dtype=np.float32)})
    assert unpack(payload)[1]["text"].size == 0


@pytest.mark.parametrize("payload", [bytearray(b"x"), "x", {"payload": b"x"}, None])
def test_overlay_takes_bytes_only(payload):
    with pytest.raises(TypeError, match="the overlay takes the bytes of build_payload"):
        overlay(payload, key="read")


def test_javascript_names_every_part_once():
    folder = Path(build_payload.__code__.co_filename).parent
    assert sorted(_PARTS) == sorted(path.name for path in folder.glob("*.js"))
    assert len(re.findall(r"^export ", javascript(), re.MULTILINE)) == 1
    assert not re.search(r"^import ", javascript(), re.MULTILINE)


def test_javascript_never_makes_html_out_of_text():
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", javascript())


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")


@needs_node
def test_joined_parts_are_one_module_in_which_no_name_is_used_twice(tmp_path):
    (tmp_path / "overlay.mjs").write_text(javascript())
    found = subprocess.run(["node", "--check", tmp_path / "overlay.mjs"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@needs_node
def test_javascript_joined_is_one_valid_module(tmp_path):
    joined = tmp_path / "overlay.mjs"
    joined.write_text(javascript(), encoding="utf-8")
    script = f"console.log(typeof (await import('{joined.as_uri()}')).default)"
    loaded = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert loaded.stdout.strip() == "function", loaded.stderr


@needs_node
def test_javascript_passes_its_own_tests():
    files = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.js"))
    ran = subprocess.run(["node", "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert files and ran.returncode == 0, ran.stdout[-6000:]


# In a real Chromium, without Streamlit: the default export is called as Streamlit calls it.

MOUNT = """async ([javascript, css]) => {
  const host = document.body.appendChild(document.createElement("div"));
  host.style.cssText = "display:block;height:600px;--st-background-color:#ffffff;--st-code-font:monospace";
  const parentElement = host.attachShadow({ mode: "open" });
  parentElement.appendChild(document.createElement("style")).textContent = css;
  const url = URL.createObjectURL(new Blob([javascript], { type: "text/javascript" }));
  const { default: show } = await import(url);
  window.said = [];
  window.escaped = [];
  addEventListener("keydown", (event) => window.escaped.push(event.key));
  window.receive = (base64) => {
    const data = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    show({ data, parentElement, setStateValue: (name, value) => window.said.push([name, value]) });
  };
}"""
LINES = "".join(f"line {number}\n" for number in range(600))


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 700})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.route(
        "http://overlay.test/**", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>")
    )
    page.goto("http://overlay.test/")  # an address of its own, for what stays with the window
    page.evaluate(MOUNT, [javascript(), (Path(build_payload.__code__.co_filename).parent / "overlay.css").read_text()])
    yield page
    context.close()
    assert errors == []


def send(page, **arguments) -> None:
    page.evaluate("(base64) => window.receive(base64)", base64.b64encode(build_payload(**arguments)).decode())


def serve(page, answers: dict[str, bytes]) -> None:
    """Answer what the browser fetches: by how the address ends, and only after `answer(page)`."""
    page.evaluate(
        """(answers) => {
          window.fetched = [];
          window.held = new Promise((done) => { window.answer = done; });
          window.fetch = async (address, { body } = {}) => {
            window.fetched.push([address, body ? new TextDecoder().decode(body) : null]);
            await window.held;
            const found = Object.entries(answers).find(([end]) => address.endsWith(end));
            if (found === undefined) return new Response("", { status: 404 });
            return new Response(Uint8Array.from(atob(found[1]), (char) => char.charCodeAt(0)));
          };
        }""",
        {end: base64.b64encode(answer).decode() for end, answer in answers.items()},
    )


def answer(page) -> None:
    page.evaluate("() => window.answer()")


def lines_of(unit: int, **changes) -> dict:
    trace = np.linspace(-1, 1, len(LINES), dtype=np.float32) * (1 if unit % 2 else -1)
    return {
        "text": LINES,
        "traces": {(f"0:{unit}", "hidden"): trace},
        "neuron": f"0:{unit}",
        "signal": "hidden",
        "layers": [(9, SIGNALS)],
        **changes,
    }


def wait_for_report(page, neuron: str) -> dict:
    page.wait_for_function("neuron => window.said.at(-1)?.[1].neuron === neuron", arg=neuron)
    name, view = page.evaluate("window.said.at(-1)")
    assert name == "view"
    return view


class TestInBrowser:
    pytestmark = pytest.mark.browser

    def test_browser_shows_the_exact_text_in_the_palettes_colours(self, page):
        arguments = golden_arguments()
        send(page, **arguments)
        rows = page.locator(".row .text").evaluate_all("rows => rows.map(row => row.textContent)")
        assert "".join(rows) == TEXT
        cell = arguments["traces"][Neuron(1, 2), "cell"]
        at = TEXT.index("p")
        index = int(palette.colour_index(cell[at], palette.scale_for("cell", cell)))
        span = page.locator(f'[data-at="{at}"]')
        shown = span.evaluate("one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]")
        tables = palette.lut("red-blue", "diverging"), palette.ink("red-blue", "diverging")
        assert shown == ["rgb({}, {}, {})".format(*table[index]) for table in tables]
        assert page.locator('[data-at="5"]').get_attribute("class") == "none"

    def test_words_written_from_right_to_left_stay_where_they_stand_in_the_line(self, page):
        text = 'a = "ש\u05b8לם עלם" + "עב" # ג d'
        send(page, **lines_of(0, text=text, traces={("0:0", "hidden"): np.zeros(len(text), np.float32)}))
        places = "spans => spans.map((one) => [one.getBoundingClientRect().left, one.textContent])"
        shown = sorted(page.locator(".row .text > span").evaluate_all(places))
        assert "".join(letter for _, letter in shown) == 'a = "םלע םלש\u05b8" + "בע" # ג d'

    def test_card_of_keys_opens_and_closes_by_mouse(self, page):
        page.set_viewport_size({"width": 800, "height": 700})
        send(page, **lines_of(0))
        sign, card = page.get_by_role("button", name="keys (?)"), page.get_by_role("dialog", name="keys")
        sign.click()
        expect(card).to_be_visible()
        sign.click(timeout=5_000)
        expect(card).to_be_hidden()
        sign.click()
        page.locator("[data-at='0']").click()
        expect(card).to_be_hidden()

    def test_long_names_of_files_stay_within_a_narrow_page(self, page):
        page.set_viewport_size({"width": 800, "height": 700})
        documents = [Document("a/long/way/down/to/" * 6 + "a.py", 0, 12), Document("b.py", 12, len(LINES))]
        send(page, **lines_of(0, documents=documents))
        expect(page.locator(".file")).to_have_count(2)
        assert page.locator(".panel").evaluate("(panel) => panel.scrollWidth <= panel.clientWidth")

    def test_browser_tells_the_value_under_the_mouse(self, page):
        arguments = golden_arguments()
        send(page, **arguments)
        at = TEXT.index("t")
        page.locator(f'[data-at="{at}"]').hover()
        said = page.locator(".value.shown .number").inner_text().replace("\N{MINUS SIGN}", "-")
        value = arguments["traces"][Neuron(1, 2), "cell"][at]
        assert float(said) == pytest.approx(float(value), rel=1e-5)
        assert page.locator(".guess").count() == 2
        assert page.evaluate("window.said") == []

    def test_browser_paints_only_the_rows_in_sight(self, page):
        send(page, **lines_of(0))
        assert page.locator(".row").count() < 100
        page.locator(".scroller").evaluate("scroller => scroller.scrollTop = 22 * 400")
        page.wait_for_selector('.row[data-row="405"]')
        assert page.locator(".row").count() < 100

    def test_browser_reports_once_and_lets_no_key_escape(self, page):
        send(page, **lines_of(0))
        page.locator(".scroller").evaluate("""scroller => {
          for (const key of ["ArrowRight", "ArrowRight", "n", "n", "p", "r", "c"]) {
            scroller.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
          }
        }""")
        assert page.evaluate("window.said") == []
        report = wait_for_report(page, "0:1")
        assert (report["signal"], report["at"], report["ask"]) == ("hidden", 2, None)
        page.wait_for_timeout(400)
        assert page.evaluate("[window.said.length, window.escaped]") == [1, []]

    def test_browser_keeps_neuron_scroll_and_cursor_when_an_older_answer_comes(self, page):
        send(page, **lines_of(0))
        page.locator('[data-at="3"]').click()
        page.keyboard.press("n")
        wait_for_report(page, "0:1")
        page.keyboard.press("n")
        page.locator(".scroller").evaluate("scroller => scroller.scrollTop = 4400")
        send(page, **lines_of(1))
        assert page.locator(".neuron").inner_text() == "0:2"
        assert page.locator(".waiting").inner_text() == "still showing 0:1 hidden state"
        assert page.locator(".scroller").evaluate("scroller => scroller.scrollTop") == 4400
        send(page, **lines_of(2))
        assert page.locator(".waiting").inner_text() == ""
        report = wait_for_report(page, "0:2")
        assert (report["signal"], report["at"]) == ("hidden", 3)

    def test_browser_goes_where_a_new_jump_says_and_only_then(self, page):
        send(page, **lines_of(0, at=5, jump="a"))
        there = LINES.index("line 500")
        send(page, **lines_of(3, at=there, jump="b"))
        assert page.locator(".place").inner_text() == "line 501, column 1"
        assert page.locator(".neuron").inner_text() == "0:3"
        page.locator(".scroller").evaluate("scroller => scroller.scrollTop = 0")
        send(page, **lines_of(3, at=there, jump="b", title="said again"))
        assert page.locator(".scroller").evaluate("scroller => scroller.scrollTop") == 0

    def test_browser_paints_a_neighbour_that_came_along_without_asking(self, page):
        traces = {**lines_of(0)["traces"], **lines_of(1)["traces"]}
        send(page, **lines_of(0, traces=traces))
        before = page.locator('[data-at="0"]').get_attribute("class")
        page.locator(".scroller").focus()
        page.keyboard.press("n")
        after = page.locator('[data-at="0"]').get_attribute("class")
        assert (before, after) == ("d255 cursor", "d1 cursor")

    def test_letters_are_painted_together(self, page):
        send(page, **lines_of(0))
        alone = "spans => spans.filter(one => getComputedStyle(one).position !== 'static').length"
        assert page.locator(".text > span").evaluate_all(alone) == 0
        page.locator(".scroller").press("w")
        marked = page.locator(".text > span[data-mark]")
        assert marked.evaluate_all(alone) == marked.count() > 0  # what stands for a space stands over it

    def test_a_mark_goes_on_beyond_what_is_in_sight(self, page):
        send(page, **lines_of(0))
        box = page.locator(".scroller").bounding_box()
        page.mouse.move(box["x"] + 60, box["y"] + 50)
        page.mouse.down()
        for up in (60, 12, 10):  # over the last rows, which what is said of the mark then covers
            page.mouse.move(box["x"] + 60, box["y"] + box["height"] - up)
        page.wait_for_timeout(200)
        assert page.locator(".scroller").evaluate("scroller => scroller.scrollTop") == 0
        page.mouse.move(box["x"] + 200, box["y"] + box["height"] + 20)
        page.locator("[data-row='60'] .marked").first.wait_for()
        page.mouse.up()
        page.wait_for_timeout(100)
        said = page.locator(".mark-bar .said").inner_text()
        page.mouse.move(box["x"] + 200, box["y"] + box["height"] + 30)
        page.wait_for_timeout(200)
        assert page.locator(".mark-bar .said").inner_text() == said  # it ends where the mouse was let go

    def test_marking_ends_with_the_text(self, page):
        send(page, **lines_of(0))
        page.locator(".scroller").press("m")
        other = LINES.replace("line", "word")
        send(page, **lines_of(0, text=other, jump="another"))
        page.locator(".scroller").press("ArrowRight")
        assert page.locator(".marked").count() == 0

    def test_browser_copies_exactly_what_is_marked(self, page):
        send(page, **golden_arguments())
        page.locator(".scroller").focus()
        page.keyboard.press("Control+a")
        copied = page.evaluate("""() => {
          const data = new DataTransfer();
          const event = new ClipboardEvent("copy", { clipboardData: data, bubbles: true, composed: true });
          document.body.lastElementChild.shadowRoot.querySelector(".scroller").dispatchEvent(event);
          return data.getData("text/plain");
        }""")
        assert copied == TEXT

    def test_mark_that_a_jump_takes_away_is_not_painted(self, page):
        send(page, **lines_of(0, at=3, jump="a", look=Look(mark=(3, 4))))
        assert page.locator(".marked").count() == 1
        send(page, **lines_of(0, jump="b"))
        assert page.locator(".marked").count() == 0

    def test_cursor_in_a_long_line_stays_in_sight(self, page):
        text = "x" * 300 + "\n" + "y\n" * 5
        zeros = {("0:0", "hidden"): np.zeros(len(text), np.float32)}
        send(page, **lines_of(0, text=text, traces=zeros, look=Look(wrap=False)))
        page.locator(".scroller").focus()
        for key, at in (("End", 300), ("Home", 0), ("End", 300)):
            page.keyboard.press(key)
            inside = page.locator(f'[data-at="{at}"]').evaluate("""(one) => {
              const box = one.getBoundingClientRect(), sight = one.closest(".scroller").getBoundingClientRect();
              return box.left >= sight.left && box.right <= sight.right;
            }""")
            assert inside, key

    def test_lists_are_left_alone_where_nothing_in_them_changed(self, page):
        documents = [Document("a.py", 0, 12), Document("b.py", 12, len(LINES))]
        arguments = lines_of(0, documents=documents, look=Look(pins=("0:3", "0:4")))
        send(page, **arguments)
        page.wait_for_selector(".file")
        page.evaluate("""() => {
          const { shadowRoot } = document.body.lastElementChild;
          for (const row of shadowRoot.querySelectorAll(".file, .pin, .suggested .button")) row.was = true;
        }""")
        send(page, **arguments, title="said again")
        expect(page.locator(".title")).to_have_text("said again")
        rows = page.locator(".file, .pin, .suggested .button")
        assert rows.evaluate_all("rows => rows.map(row => row.was)") == [True] * 5

    def test_nothing_is_marked_without_a_button_held(self, page):
        send(page, **lines_of(0))
        first, other = (page.locator(f'[data-at="{at}"]') for at in (0, 20))
        held = {"bubbles": True, "composed": True, "button": 0, "buttons": 1}
        for release in ({"type": "pointercancel", "buttons": 1}, {"type": None, "buttons": 0}):
            first.dispatch_event("pointerdown", held)
            if release["type"] is not None:
                first.dispatch_event(release["type"], held)
            other.dispatch_event("pointermove", {**held, "buttons": release["buttons"]})
            assert page.locator(".marked").count() == 0

    def test_finger_that_scrolls_moves_no_cursor_and_one_that_taps_does(self, page):
        send(page, **lines_of(0))
        touch = {"bubbles": True, "composed": True, "button": 0, "buttons": 1, "pointerType": "touch"}
        letter = page.locator('[data-at="20"]')
        letter.dispatch_event("pointerdown", touch)
        letter.dispatch_event("pointermove", touch)
        assert page.locator('[data-at="0"].cursor').count() == 1
        letter.dispatch_event("click", touch)
        assert page.locator('[data-at="20"].cursor').count() == 1

    def test_what_is_selected_beside_the_text_is_what_is_copied(self, page):
        send(page, **lines_of(0, title="what it is"))
        page.locator(".scroller").focus()
        page.keyboard.press("Shift+ArrowRight")
        page.locator(".title").click(click_count=3)
        assert page.evaluate("String(getSelection())").strip() == "what it is"
        copied = """(one) => {
          const data = new DataTransfer();
          one.dispatchEvent(new ClipboardEvent("copy", { clipboardData: data, bubbles: true, composed: true }));
          return data.getData("text/plain");
        }"""
        assert page.locator(".title").evaluate(copied) == ""  # left to the browser
        page.locator('[data-at="4"]').click()
        page.keyboard.press("Shift+ArrowRight")
        assert page.locator(".scroller").evaluate(copied) == LINES[4:6]

    def test_neurons_like_the_one_that_was_asked_about_are_pinned(self, page):
        alike = {f"similar/0:{unit}/hidden": pack({"similar": [{"neuron": f"0:{unit + 4}", "correlation": 1}]}, [])
                 for unit in (0, 1)}  # fmt: skip
        serve(page, alike)
        traces = {**lines_of(0)["traces"], **lines_of(1)["traces"]}
        send(page, **lines_of(0, traces=traces, source="/charscope/name", ready=SIGNALS))
        page.get_by_role("button", name="most like this one").click()
        page.keyboard.press("n")
        answer(page)
        expect(page.locator(".pin .button:first-child")).to_have_text(["0:0", "0:4"])

    def test_likeness_that_cannot_be_had_is_said(self, page):
        serve(page, {"similar/0:0/hidden": pack({"missing": "gone"}, []), "loss": pack({"missing": "gone"}, [])})
        send(page, **lines_of(0, source="/charscope/name", ready=SIGNALS))
        page.get_by_role("button", name="most like this one").click()
        answer(page)
        expect(page.locator(".waiting")).to_have_text("what is like 0:0 cannot be had now")

    def test_guesses_of_another_character_do_not_stay_where_none_can_be_had(self, page):
        n_chars = 2 * 4096
        guesses = [Section("guess/ids", "uint16", np.zeros(4096, "<u2")),
                   Section("guess/probabilities", "float32", np.full(4096, 0.5, "<f4"))]  # fmt: skip
        answers = {"guesses/0": pack({"guesses": 1}, guesses), "guesses/1": pack({"missing": "gone"}, [])}
        serve(page, {**answers, "ready": pack({"ready": []}, [])})
        answer(page)
        zeros = {("0:0", "hidden"): np.zeros(n_chars, np.float32)}
        text = ("x" * 31 + "\n") * (n_chars // 32)
        loss = np.zeros(n_chars, np.float32)
        more = {"text": text, "traces": zeros, "loss": loss, "symbols": ["a"], "source": "/charscope/name"}
        send(page, **lines_of(0, **more, jump="a"))
        expect(page.locator(".guess")).to_have_count(1)
        page.locator(".scroller").focus()
        page.keyboard.press("Control+End")
        expect(page.locator(".guess")).to_have_count(0)
        page.wait_for_function("() => window.said.at(-1)?.[1].lacks === 1")  # Python is asked, once

    def test_guesses_that_come_along_later_are_drawn_under_the_lines(self, page):
        send(page, **lines_of(0, symbols=["a"], source="/charscope/name", look=Look(expects=True)))
        assert page.locator(".guesses span").count() == 0
        ids, chances = np.zeros((len(LINES), 1), int), np.full((len(LINES), 1), 0.5, np.float32)
        send(page, **lines_of(0, guesses=(["a"], ids, chances), source="/charscope/name", look=Look(expects=True)))
        assert page.locator(".guesses span").first.inner_text() == "a"

    def test_screen_reader_is_told_the_neuron_once_it_is_there(self, page):
        send(page, **lines_of(0))
        spoken = page.locator(".spoken")
        expect(spoken).to_contain_text("line 1, column 1")
        page.locator(".scroller").press("n")
        assert "neuron" not in spoken.inner_text()
        send(page, **lines_of(1))
        assert spoken.inner_text() == "neuron 0:1, hidden state"
        page.keyboard.press("ArrowRight")
        expect(spoken).to_contain_text("hidden state \N{MINUS SIGN}")

    def test_buttons_are_called_what_they_read(self, page):
        send(page, **lines_of(0))
        for name in ("surprise", "search", "pin", "hidden state (1)", "next neuron (n)"):
            assert page.get_by_role("button", name=name, exact=True).count() == 1, name

    def test_prompt_leaves_keys_to_the_input_method(self, page):
        send(page, **lines_of(0))
        page.locator(".scroller").press("/")
        field, prompt = page.locator(".prompt input"), page.locator(".prompt")
        field.fill("line 3")
        for key in ("Escape", "Enter"):
            field.dispatch_event("keydown", {"key": key, "isComposing": True, "bubbles": True, "composed": True})
            assert prompt.is_visible() and prompt.locator(".said").inner_text() == ""
        field.press("Enter")
        assert "of" in prompt.locator(".said").inner_text()

    def test_keys_that_can_do_nothing_say_why(self, page):
        send(page, **lines_of(0, layers=[(20, SIGNALS)], look=Look(pins=tuple(f"0:{unit}" for unit in range(5, 17)))))
        waiting, row = page.locator(".waiting"), page.locator(".row").first
        page.locator(".scroller").press("b")
        assert waiting.inner_text() == "12 neurons are pinned: take one off first"
        height = row.evaluate("row => row.clientHeight")
        page.keyboard.press("e")
        assert waiting.inner_text() == "what the network expected is not kept with this text"
        assert row.evaluate("row => row.clientHeight") == height

    def test_peak_after_a_switch_is_one_of_the_new_neuron(self, page):
        traces = {
            ("0:0", "hidden"): np.zeros(len(LINES), np.float32),
            ("0:1", "hidden"): np.zeros(len(LINES), np.float32),
        }
        traces["0:0", "hidden"][50] = traces["0:1", "hidden"][4000] = 1
        send(page, **lines_of(0, traces=traces))
        page.wait_for_selector(".ticks i")
        page.locator(".scroller").evaluate("""scroller => {
          for (const key of ["n", "."]) {
            scroller.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
          }
        }""")
        assert page.locator('[data-at="4000"].cursor').count() == 1

    def test_places_where_the_neuron_goes_far_are_listed_and_lead_there(self, page):
        trace = np.zeros(len(LINES), np.float32)
        trace[LINES.index("57\n")], trace[LINES.index("line 400")] = 0.75, -1
        send(page, **lines_of(0, traces={("0:0", "hidden"): trace}))
        rows = page.locator(".spot")
        expect(rows).to_have_text(["↵line 56↵line 57↵line 5+0.750", " 398↵line 399↵line 400↵\N{MINUS SIGN}1"])
        rows.last.click()
        assert page.locator(".cursor").get_attribute("data-at") == str(LINES.index("line 400"))
        page.keyboard.press("n")
        send(page, **lines_of(1, traces={("0:1", "hidden"): np.zeros(len(LINES), np.float32)}))
        expect(page.locator(".spots")).to_be_hidden()

    def test_menu_closes_with_a_click_elsewhere(self, page):
        send(page, **lines_of(0))
        menu = page.locator("details.menu")
        menu.locator("summary").click()
        menu.get_by_role("button", name="white space").click()
        assert menu.evaluate("menu => menu.open")
        page.locator('[data-at="200"]').click()
        assert not menu.evaluate("menu => menu.open")

    def test_card_of_keys_has_the_focus_while_it_is_open(self, page):
        send(page, **lines_of(0))
        page.locator(".scroller").press("?")
        card = page.get_by_role("dialog", name="keys")
        expect(card).to_be_focused()
        page.keyboard.press("ArrowRight")  # as ever
        expect(page.locator(".cursor")).to_have_attribute("data-at", "1")
        page.keyboard.press("?")
        expect(card).to_be_hidden()
        expect(page.locator(".scroller")).to_be_focused()

    def test_search_opens_with_the_browsers_own_keys(self, page):
        send(page, **lines_of(0))
        page.locator(".scroller").press("Control+f")
        expect(page.locator(".prompt input")).to_be_focused()


class TestWriting:
    pytestmark = pytest.mark.browser

    @staticmethod
    def begin(page, text: str, **changes) -> dict:
        """Write a text over the lines and have it read; what was sent before."""
        arguments = lines_of(0, **{"source": "/charscope/name", "ready": SIGNALS, "editable": 9_000, **changes})
        read = {"source": "/charscope/draft", "neuron": "0:0", "signal": "hidden", "ready": SIGNALS, "reach": None,
                "scale": {"kind": "diverging", "low": -1, "high": 1}}  # fmt: skip
        sections = [Section("trace", "uint8", np.full(len(text), 200, np.uint8)),
                    Section("loss", "float32", np.zeros(len(text), "<f4")),
                    Section("unknown", "uint32", np.zeros(0, "<u4"))]  # fmt: skip
        serve(page, {"/0:0/hidden": pack(read, sections), "/0:1/hidden": pack({**read, "neuron": "0:1"}, sections)})
        answer(page)
        send(page, **arguments)
        page.locator(".scroller").press("i")
        page.locator("textarea").fill(text)
        expect(page.locator(".editor .said")).to_contain_text(f"{len(text):,} characters")
        return arguments

    def test_part_of_a_long_text_leaves_room_to_write(self, page):
        serve(page, {})
        send(page, **lines_of(0, source="/charscope/name", ready=SIGNALS, editable=3_000))
        page.locator(".scroller").press("i")
        before = page.locator("textarea").input_value()
        page.keyboard.type("x")
        assert LINES.startswith(before)
        assert page.locator("textarea").input_value() == "x" + before

    def test_field_that_takes_no_more_says_so(self, page):
        self.begin(page, LINES[:2_999], editable=3_000)
        expect(page.locator(".editor .said")).to_have_text("2,999 characters, not kept")
        self.begin(page, LINES[:3_000], editable=3_000)
        words = "3,000 characters, as many as are read while you write, not kept"
        expect(page.locator(".editor .said")).to_have_text(words)

    def test_what_is_written_goes_on_with_another_network_and_after_a_jump(self, page):
        arguments = self.begin(page, "abc", jump="a")
        other = {"source": "/charscope/other", "layers": [(9, ("hidden",))], "ready": ["hidden"]}
        chosen = {"neuron": "0:1", "traces": lines_of(1)["traces"]}
        for change in ({"jump": "b"}, {"jump": "c", **other, **chosen}):
            before = page.evaluate("window.fetched.length")
            send(page, **{**arguments, **change})
            page.wait_for_function("n => window.fetched.slice(n).some(([, body]) => body === 'abc')", arg=before)
            assert page.locator("textarea").input_value() == "abc"
            expect(page.locator(".row .text")).to_have_text(["abc"])
        posted = page.evaluate("window.fetched.filter(([, body]) => body === 'abc').map(([address]) => address)")
        assert posted[-1].startswith("/charscope/other/draft/")
        assert posted[-1].endswith("/0:1/hidden")

    def test_what_was_written_is_offered_again(self, page):
        arguments = self.begin(page, "abc")
        other = {"text": "zzz\n", "traces": {("0:0", "hidden"): np.zeros(4, np.float32)}, "jump": "b"}
        send(page, **{**arguments, **other})
        assert page.locator(".editor").is_hidden()
        page.locator(".scroller").press("i")
        assert page.locator("textarea").input_value() == "zzz\n"
        page.get_by_role("button", name="go on with what you wrote").click()
        assert page.locator("textarea").input_value() == "abc"
        expect(page.locator(".editor .said")).to_have_text("3 characters, not kept")
        assert page.get_by_role("button", name="go on with what you wrote").is_hidden()  # nothing else was written

    def test_what_is_kept_is_told_at_once_and_not_offered_again(self, page):
        arguments = self.begin(page, "abc", jump="a")
        page.get_by_role("button", name="keep", exact=True).click()
        assert page.evaluate("window.said.at(-1)[1].keep.text") == "abc"
        kept = {"text": "abc", "traces": {("0:0", "hidden"): np.zeros(3, np.float32)}, "jump": "b"}
        send(page, **{**arguments, **kept})
        page.locator(".scroller").press("i")
        assert page.get_by_role("button", name="go on with what you wrote").is_hidden()


def write_golden() -> None:
    payload = build_payload(**golden_arguments())
    (GOLDEN / "overlay.bin").write_bytes(payload)
    expected = json.dumps(golden_expectation(payload), indent=1, ensure_ascii=True)
    (GOLDEN / "overlay.json").write_text(expected + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
