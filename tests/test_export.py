"""The page that stands alone: small, closed to the network, the same overlay inside; and the commands that write it."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from dashboard.evidence import Finding, Survey
from dashboard.export import Known, page_html, what_is_known
from dashboard.overlay import Look
from inspector.__main__ import main
from inspector.recording import InspectorError, Neuron
from tests.test_overlay import unpack

HOSTILE = (
    "</script><script>window.hit=1</script>\u2028<!--<img src=x onerror=hit=1> 👩\u200d👧 שלום & \ufeff\0\r\n\t]]>"
)
NEURONS = [Neuron(1, 497), Neuron(0, 3), Neuron(1, 2)]


def arguments(text: str = HOSTILE * 4, neurons=NEURONS, n_guesses: int = 2) -> dict:
    random = np.random.default_rng(0)
    symbols = ["\ufffd", "</script>", "\u2028"]
    return {
        "text": text,
        "traces": {
            (n, s): random.normal(size=len(text)).astype(np.float32) for n in neurons for s in ("cell", "hidden")
        },
        "layers": [(512, ("hidden", "cell", "input_gate"))] * 2,
        "signal": "cell",
        "title": HOSTILE,
        "source": HOSTILE,
        "known": {neurons[0]: Known(HOSTILE, 'score 0.97 " onclick="window.hit = 1')},
        "loss": random.random(len(text)).astype(np.float32),
        "guesses": (symbols, np.ones((len(text), n_guesses), int), np.full((len(text), n_guesses), 0.25, np.float32)),
        "unknown": [3],
    }


def payload_of(page: str) -> bytes:
    return base64.b64decode(re.search(r'id="payload">([^<]*)<', page)[1])


def test_traces_come_within_half_a_step_and_nan_as_nan():
    said = arguments()
    trace = said["traces"][NEURONS[0], "cell"]
    trace[7] = np.nan
    payload, name = payload_of(page_html(**said)), f"trace/{NEURONS[0]}/cell"
    header = json.loads(payload[4 : 4 + int.from_bytes(payload[:4], "little")])
    (step,) = (one["step"] for one in header["sections"] if one["name"] == name)
    stored = unpack(payload)[1][name]
    back = stored.astype(np.float32) * step
    assert stored[7] == -128
    known = np.isfinite(trace)
    assert np.abs(back - trace)[known].max() <= np.abs(trace[known]).max() / 254 * 1.001


def test_twenty_neurons_over_twenty_thousand_characters_stay_under_five_megabytes():
    page = page_html(**arguments("def f(x): pass\n" * 1334, [Neuron(1, unit) for unit in range(20)], n_guesses=5))
    assert len(page.encode()) < 5e6


def test_page_of_a_quiz_holds_no_findings():
    said = arguments("a" * 50) | {"title": "t", "source": "s"}
    assert "score 0.97" in page_html(**said)
    said.pop("known")
    assert "score 0.97" not in page_html(**said)


def test_what_is_known_is_what_the_survey_says_first():
    finding = Finding("inside_string", NEURONS[0], "cell", -1, 0.97, "auroc", 0.5)
    known = what_is_known(Survey("", "", 1, {"inside_string": (finding,)}), NEURONS)
    assert list(known) == NEURONS[:1] and known[NEURONS[0]].words == "inside a string"
    assert "AUROC 0.97, chance 0.50" in known[NEURONS[0]].evidence


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"traces": {}}, "1 to 60"),
        ({"traces": {(NEURONS[0], "cell"): np.zeros(3, np.float32), (NEURONS[1], "hidden"): 0}}, "lacks"),
        ({"look": Look(palette="pink")}, "palette"),
    ],
)
def test_what_cannot_be_a_page_is_a_sentence(wrong, words):
    with pytest.raises(InspectorError, match=words):
        page_html(**(arguments("abc") | wrong))


def test_a_page_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("dashboard.export.MOST_BYTES", 100_000)
    with pytest.raises(InspectorError, match="shorter text"):
        page_html(**arguments("abc" * 30_000))


@pytest.fixture
def offline(browser, tmp_path):
    """Opens a page from its file in a browser that has no network; what it tried to load, and its errors, fail."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else wrong.append(request.url))

    def show(html: str, place: str = "") -> Page:
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        page.goto(f"file://{tmp_path / 'page.html'}{place}")
        expect(page.locator("[data-at]").first).to_be_visible()
        return page

    yield show
    context.close()
    assert wrong == []


@pytest.mark.browser
class TestOffline:
    def test_pointing_tells_the_value_and_what_was_expected(self, offline):
        said = arguments("def f(x):\n    return 'a string'\n" * 20)
        page = offline(page_html(**said))
        page.locator("[data-at='12']").hover()
        exact = float(said["traces"][NEURONS[0], "cell"][12])
        shown = page.locator(".value.shown .number").inner_text().replace("\u2212", "-").replace("+", "")
        assert float(shown) == pytest.approx(exact, abs=0.02)
        assert "0.250" in page.locator(".guess").first.inner_text()

    def test_buttons_and_keys_lead_to_the_neurons_of_the_page_and_to_no_other(self, offline):
        page = offline(page_html(**arguments("def f(x):\n    return 'a string'\n" * 20)))
        before = page.locator("[data-at='12']").get_attribute("class")
        page.locator("nav button").nth(1).click()
        expect(page.locator(".overlay")).to_have_attribute("data-shown", "0:3")
        assert page.locator("[data-at='12']").get_attribute("class") != before
        for neuron in ("1:2", "1:497"):
            page.locator(".scroller").press("n")
            expect(page.locator(".overlay")).to_have_attribute("data-shown", neuron)
            expect(page.locator("nav [aria-pressed=true] b")).to_have_text(neuron)
        page.wait_for_function("location.hash.includes('neuron=1:497')")

    def test_browser_that_knows_no_declarative_shadow_shows_it_too(self, offline):
        page = page_html(**arguments("def f(x): pass\n" * 20))
        shown = offline(page.replace("shadowrootmode", "shadowroot-of-tomorrow"))
        assert shown.locator(".overlay").evaluate("one => getComputedStyle(one).position") == "relative"

    def test_page_is_not_read_anew_for_a_step_of_the_cursor(self, offline):
        page = offline(page_html(**arguments("def f(x): pass\n" * 20)))
        page.evaluate(
            "() => { JSON.n = 0; const { parse } = JSON; JSON.parse = (...a) => { JSON.n += 1; return parse(...a); }; }"
        )
        page.locator(".scroller").press("ArrowRight")
        expect(page).to_have_url(re.compile("at=1$"))
        assert page.evaluate("JSON.n") == 0

    def test_a_link_into_the_page_leads_to_its_place(self, offline):
        page = offline(page_html(**arguments("line\n" * 400)), "#neuron=1:2&signal=hidden&at=1500")
        expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:2")
        expect(page.locator(".overlay")).to_have_attribute("data-signal", "hidden")
        expect(page.locator("[data-at='1500']")).to_be_visible()

    def test_hostile_texts_and_names_stay_text(self, offline):
        page = offline(page_html(**arguments()))
        assert page.evaluate("window.hit") is None
        assert page.locator("h1").text_content() == HOSTILE.replace("\0", "").replace("\r\n", "\n")
        page.locator(".scroller").press("Control+a")
        context = page.context
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator(".scroller").press("Control+c")
        assert page.evaluate("window.hit") is None and page.locator("script").count() == 2


def test_a_file_whose_name_is_no_text_makes_a_page(capsys, tmp_path, tiny_checkpoint, one_thread):
    text = tmp_path / "a\udcff.py"  # as Python has a byte of a name that is no UTF-8
    text.write_text("def shout(words):\n")
    out = tmp_path / "page.html"
    asked = ["page", "--network", str(tiny_checkpoint), "--text", str(text), "--neurons", "0:1", "--out", str(out)]
    assert main(asked) == 0 and "a?.py" in out.read_text("utf-8")


def test_page_and_figure_from_the_command_line(capsys, tmp_path, tiny_checkpoint, one_thread):
    (tmp_path / "text.py").write_text("def shout(words):\n    return 'hello'\n" * 10)
    both = ["--network", str(tiny_checkpoint), "--text", str(tmp_path / "text.py"), "--neurons", "1:3,0:1"]
    assert main(["page", *both, "--stop", "100", "--out", str(tmp_path / "page.html")]) == 0
    header, sections = unpack(payload_of((tmp_path / "page.html").read_text("utf-8")))
    assert header["only"] == ["1:3", "0:1"] and header["signal"] == "cell" and header["chars"] == 100
    assert "guess/ids" in sections and "loss" in sections
    assert main(["page", *both, "--bare", "--signals", "hidden", "--out", str(tmp_path / "bare.html")]) == 0
    header, sections = unpack(payload_of((tmp_path / "bare.html").read_text("utf-8")))
    assert not {"guess/ids", "loss"} & set(sections) and header["layers"][0]["signals"] == ["hidden"]
    assert main(["figure", *both, "--start", "5", "--stop", "60", "--out", str(tmp_path / "figure.svg")]) == 0
    assert "<svg" in (tmp_path / "figure.svg").read_text() and "84 x" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--neurons", "1:9", "--out", "x.html"], "Neuron 1:9 does not exist"),
        (["--out", "x.html"], "--neurons"),
        (["--neurons", "1:1", "--signals", "hiden", "--out", "x.html"], "hidden"),
        (["--neurons", "1:1", "--stop", "0", "--out", "x.html"], "nothing from 0 to 0"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(capsys, tiny_checkpoint, more, words):
    text = str(Path(__file__))
    assert main(["page", "--network", str(tiny_checkpoint), "--text", text, *more]) == 1
    assert words in capsys.readouterr().err
