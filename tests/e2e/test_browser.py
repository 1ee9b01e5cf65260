"""What a person does, done in a real browser on the shipped network."""

import re
import sysconfig
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from dashboard.palette import colour_index, lut, scale_for
from inspector.capture import record
from inspector.model import load_checkpoint
from inspector.recording import Neuron
from inspector.survey import load_survey
from tests.e2e.conftest import WAIT

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKPOINT = ROOT / "checkpoints" / "python"
ADDRESS_BOOK = (ROOT / "dashboard" / "samples" / "address_book.py").read_text()

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def recording():
    return record(load_checkpoint(CHECKPOINT), ADDRESS_BOOK, ["hidden", "cell"], dtype="float16")


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("[data-at='0']").first).to_be_visible(timeout=60_000)


def shown(page: Page) -> tuple[str, str]:
    """Neuron and signal that the overlay names."""
    neuron = page.locator(".bar .neuron").first.inner_text()
    signal = page.locator("[role=group][aria-label=signal] [aria-pressed=true]").get_attribute("data-signal")
    return neuron, signal


def colours(page: Page) -> list[str]:
    """Background of the first 300 characters on screen."""
    return page.evaluate(
        """() => {
            const host = [...document.querySelectorAll('*')].find((one) => one.shadowRoot?.querySelector('[data-at]'));
            const spans = (host?.shadowRoot ?? document).querySelectorAll('[data-at]');
            return [...spans].slice(0, 300).map((span) => getComputedStyle(span).backgroundColor);
        }"""
    )


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", colour)[:3])


def test_first_screen_is_source_code_coloured_by_the_best_string_neuron(page, dashboard, recording):
    open_page(page, dashboard)
    best = load_survey(CHECKPOINT)["concepts"]["inside_string"][0]
    neuron, signal = Neuron(best["layer"], best["unit"]), best["signal"]
    assert shown(page) == (str(neuron), signal)
    expect(page.get_by_text(re.compile("inside a string"))).to_be_visible()
    trace = recording.trace(neuron, signal)
    scale = scale_for(signal, trace)
    seen = [rgb(colour) for colour in colours(page)]
    expected = lut("teal-orange", scale.kind)[colour_index(trace[: len(seen)], scale)]
    np.testing.assert_array_equal(seen, expected)
    assert len(set(seen)) > 10


def test_text_on_screen_is_the_file_to_the_letter(page, dashboard):
    open_page(page, dashboard)
    text = page.locator("[data-at]").evaluate_all("(spans) => spans.map((span) => span.textContent).join('')")
    assert len(text) > 500 and ADDRESS_BOOK.startswith(text)


def test_hover_tells_the_recorded_value_and_what_is_expected(page, dashboard, recording):
    open_page(page, dashboard)
    neuron, signal = shown(page)
    at = ADDRESS_BOOK.index("json")
    page.locator(f"[data-at='{at}']").hover()
    number = page.locator(f"[data-signal={signal}].value .number")
    value = recording.trace(Neuron.parse(neuron), signal)[at]
    expect(number).to_have_text(f"{abs(float(value)):#.6g}" if value >= 0 else f"\N{MINUS SIGN}{-float(value):#.6g}")
    guess = recording.guesses(at, at + 1, k=5)
    for probability in guess.probabilities[0]:
        expect(page.get_by_text(f"{probability:.3f}").first).to_be_visible()


def test_keys_change_neuron_and_signal_and_the_address_follows(page, dashboard):
    open_page(page, dashboard)
    before, (neuron, _) = colours(page), shown(page)
    page.locator("[data-at='5']").click()
    page.keyboard.press("n")
    layer, unit = map(int, neuron.split(":"))
    following = f"{layer}:{unit + 1}"
    expect(page.locator(".bar .neuron").first).to_have_text(following)
    page.wait_for_function("(unit) => new URL(location).searchParams.get('neuron') === unit", arg=following)
    assert colours(page) != before
    page.keyboard.press("1")
    page.wait_for_function("() => new URL(location).searchParams.get('signal') === 'hidden'")
    assert shown(page) == (following, "hidden")
    page.keyboard.press("p")
    page.wait_for_function("(unit) => new URL(location).searchParams.get('neuron') === unit", arg=neuron)
    assert shown(page) == (neuron, "hidden")


def test_an_address_opens_the_same_sight(page, dashboard):
    open_page(page, f"{dashboard}/?network=python&text=sample:ring_buffer.c&neuron=0:7&signal=hidden&at=40")
    assert shown(page) == ("0:7", "hidden")
    expect(page.locator("[data-at='40']")).to_have_class(re.compile("cursor"))


HOSTILE = (
    "<b>bold</b>\n\tx = '\U0001f600 é'\r\n# <script>alert(1)</script> &amp; [link](x) **stars**\n    return \u4e16\n"
)


def upload(page: Page, name: str, content: bytes) -> None:
    page.get_by_role("button", name="Add a text").click()
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/plain", "buffer": content})


def test_uploaded_text_appears_exactly_as_it_is(page, dashboard):
    open_page(page, dashboard)
    upload(page, "hostile.py", HOSTILE.encode())
    expect(page.locator("[data-at='0']").first).to_have_text("<")
    text = page.locator("[data-at]").evaluate_all("(spans) => spans.map((span) => span.textContent).join('')")
    assert text == HOSTILE
    assert page.locator("b", has_text="bold").count() == 0


HEADER = Path(sysconfig.get_path("include")) / "unicodeobject.h"
C_FILE = HEADER if HEADER.exists() else ROOT / "dashboard" / "samples" / "ring_buffer.c"


def test_uploaded_file_is_coloured_end_to_end(page, dashboard):
    path, content = C_FILE, C_FILE.read_bytes()
    open_page(page, dashboard)
    upload(page, path.name, content)
    first = content.decode()[:20].split("\n")[0]
    row = page.locator("[data-row='0']")
    expect(row).to_contain_text(first, timeout=120_000)
    assert len(set(colours(page))) > 5
    page.locator("[data-at='0']").first.click()
    page.keyboard.press("Control+End")
    last = len(content.decode()) - 1
    expect(page.locator("p", has_text=f"position {last:,}").first).to_be_visible()


def test_find_leads_to_the_text_with_that_neuron(page, dashboard):
    page.goto(f"{dashboard}/find?concept=inside_string")
    link = page.get_by_role("link").filter(has_text=re.compile(r"^Read with \d+:\d+ ")).first
    expect(link).to_be_visible(timeout=120_000)
    neuron = link.inner_text().split()[2]
    link.click()
    expect(page.locator("[data-at]").first).to_be_visible()
    page.wait_for_function("(unit) => new URL(location).searchParams.get('neuron') === unit", arg=neuron)
    assert shown(page)[0] == neuron
    assert parse_qs(urlparse(page.url).query)["text"] == ["sample:address_book.py"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/?neuron=9:9999", "does not exist"),
        ("/?neuron=banana", "names no neuron"),
        ("/?text=stdlib:../../etc/passwd", "passwd"),
        ("/?network=nowhere", "no network called"),
        ("/?signal=smell", "has no signal smell"),
        ("/find?concept=regex:(", "("),
    ],
)
def test_nonsense_in_the_address_is_said_and_does_no_harm(page, dashboard, address, words):
    page.goto(dashboard + address)
    expect(page.get_by_text(words, exact=False).first).to_be_visible(timeout=120_000)
    assert page.get_by_text("Traceback").count() == 0


@pytest.mark.parametrize("width", [800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_narrow_and_wide_light_and_dark(page, dashboard, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    open_page(page, dashboard)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(set(colours(page))) > 10


def test_nothing_moves_when_the_controls_of_a_page_have_loaded(page, dashboard):
    held = []
    page.route(re.compile(r"/static/js/Selectbox\."), lambda route: held.append(route))  # it comes late
    page.goto(f"{dashboard}/training?network=python")
    heading, gap = page.get_by_role("heading", name="How python learned"), page.get_by_test_id("stSkeleton")
    expect(heading).to_be_visible(timeout=WAIT)
    expect(gap).to_have_count(1, timeout=WAIT)
    before = heading.bounding_box()

    for route in held:
        route.continue_()
    expect(gap).to_have_count(0, timeout=WAIT)

    assert heading.bounding_box() == before
