"""Reading in a real browser: any width, any order of keys, many readers, and a fast way that fails."""

import random
import re
import time
from io import BytesIO
from urllib.parse import parse_qs, urlparse

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from dashboard.overlay.payload import pack
from dashboard.palette import SURPRISE, colour_index, ink, lut, scale_for
from inspector.capture import record
from inspector.model import load_checkpoint
from inspector.recording import Neuron
from tests.e2e.conftest import ARTIFACTS, WAIT, is_ours
from tests.e2e.test_browser import ADDRESS_BOOK, CHECKPOINT, open_page, recording  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser

KEYS = ["n", "p", "[", "]", "1", "2", "e", "s", "w", "l", "t", "c", "b", ".", ",", "m", "Escape", "?", "r"]
MOVES = ["ArrowRight", "ArrowDown", "Shift+ArrowDown", "Shift+ArrowRight", "PageDown", "Home", "End", "ArrowUp"]


def sight(page: Page) -> dict:
    """What a reader sees: the chosen neuron, how it is shown, the cursor, the mark, and the colours in sight."""
    return page.locator(".overlay").evaluate(
        """(root) => ({
          shown: root.dataset.shown, signal: root.dataset.signal,
          pressed: [...root.querySelectorAll(".bar [aria-pressed=true]")].map((one) => one.textContent),
          pins: [...root.querySelectorAll(".pin .button:first-child")].map((one) => one.textContent),
          place: root.querySelector(".place").textContent,
          said: root.querySelector(".mark-bar").hidden ? "" : root.querySelector(".mark-bar .said").textContent,
          row: root.querySelector(".row").style.height || getComputedStyle(root.querySelector(".row")).height,
          first: [...root.querySelectorAll("[data-row='0'] .text span")]
            .map((one) => getComputedStyle(one).backgroundColor),
        })"""
    )


def begin_writing(page: Page) -> Locator:
    """The field that a text is written in, opened."""
    page.locator(".scroller").focus()
    page.keyboard.press("i")
    return page.get_by_role("textbox", name="the text, to write in")


def settle(page: Page) -> None:
    """Until the address says what the overlay shows, and nothing is under way."""
    page.wait_for_timeout(700)
    page.wait_for_function("() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'")
    page.wait_for_timeout(200)


@pytest.mark.parametrize("width", [800, 1400, 2200])
def test_every_part_fits_and_letters_have_the_palettes_colours(page, dashboard, width, recording):  # noqa: F811
    page.set_viewport_size({"width": width, "height": 1000})
    query = "neuron=1:42&signal=cell&palette=red-blue&expects=yes&pins=0:3,1:7&at=120"
    open_page(page, f"{dashboard}/?{query}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".bar").evaluate("(bar) => bar.scrollWidth <= bar.clientWidth")
    trace = recording.trace(Neuron(1, 42), "cell")
    scale = scale_for("cell", trace)
    for at in (0, 3, 17, 40):
        index = int(colour_index(trace[at], scale))
        span = page.locator(f"[data-at='{at}']")
        shown = span.evaluate("(one) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]")
        tables = lut("red-blue", scale.kind), ink("red-blue", scale.kind)
        assert shown == ["rgb({}, {}, {})".format(*table[index]) for table in tables]
    strips = page.locator("[data-row='0'] canvas").evaluate(
        "(one) => [one.width, one.height, ...one.getContext('2d').getImageData(0, 1, 1, 1).data.slice(0, 3)]"
    )
    pinned = recording.trace(Neuron(1, 7), "cell")
    expected = lut("red-blue", "diverging")[int(colour_index(pinned[0], scale_for("cell", pinned)))]
    assert strips == [page.locator("[data-row='0'] [data-at]").count(), 2, *expected.tolist()]


def test_surprise_colours_by_the_recorded_loss(page, dashboard, recording):  # noqa: F811
    open_page(page, f"{dashboard}/?colour=surprise")
    for at in (1, 9, 30):
        index = int(colour_index(recording.loss[at], SURPRISE))
        colour = page.locator(f"[data-at='{at}']").evaluate("(one) => getComputedStyle(one).backgroundColor")
        near = lut("teal-orange", "probability")[max(index - 1, 0) : index + 2]  # the dashboard keeps float16
        assert colour in ["rgb({}, {}, {})".format(*one) for one in near]


def test_two_hundred_random_steps_end_in_a_view_that_its_address_opens(page, dashboard):
    open_page(page, f"{dashboard}/?text=sample:ring_buffer.c")
    dice = random.Random(7)
    page.locator("[data-at='0']").click()
    box = page.locator(".scroller").bounding_box()
    for _ in range(200):
        choice = dice.random()
        if choice < 0.1:
            page.mouse.click(box["x"] + dice.randrange(60, 500), box["y"] + dice.randrange(10, 300))
        else:
            page.keyboard.press(dice.choice(KEYS if choice < 0.6 else MOVES))
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Home")
    settle(page)
    seen, address = sight(page), page.url
    page.goto("about:blank")
    open_page(page, address)
    settle(page)
    assert sight(page) == seen
    assert page.url == address


def test_a_marked_stretch_is_in_the_address_and_leads_to_find(page, dashboard):
    open_page(page, f"{dashboard}/?network=python&neuron=1:42&signal=cell")
    page.locator("[data-at='10']").click()
    page.keyboard.press("m")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("m")
    page.wait_for_function("() => new URL(location).searchParams.get('mark') === '10-16'")
    page.reload()
    expect(page.locator(".mark-bar .said")).to_have_text("6 characters marked")
    page.locator(".scroller").focus()
    page.keyboard.press("o")
    page.wait_for_url(re.compile("/find"))
    query = parse_qs(urlparse(page.url).query)
    assert (query["mark"], query["ask"], query["neuron"]) == (["10-16"], ["elsewhere"], ["1:42"])


def test_back_leads_to_the_neuron_before(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.locator("[data-at='5']").click()
    page.keyboard.press("n")
    page.wait_for_function("() => new URL(location).searchParams.get('neuron') === '1:43'")
    settle(page)
    page.go_back()
    expect(page.locator(".bar .neuron")).to_have_text("1:42")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:42")


UNDER_LETTERS = """(row) => {
  const canvas = row.querySelector("canvas"), context = canvas.getContext("2d");
  const { left } = canvas.getBoundingClientRect(), step = canvas.width / canvas.getBoundingClientRect().width;
  return Array.from(row.querySelector(".text").children, (one) => {
    const place = one.getBoundingClientRect(), x = Math.floor(((place.left + place.right) / 2 - left) * step);
    const [red, green, blue] = context.getImageData(x, 0, 1, 1).data;
    return [getComputedStyle(one).backgroundColor, `rgb(${red}, ${green}, ${blue})`];
  });
}"""


def test_strip_of_a_pinned_neuron_stands_under_its_letters_also_from_right_to_left(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&pins=1:42&expects=yes")
    page.locator(".scroller").focus()
    page.keyboard.press("i")
    page.get_by_role("textbox", name="the text, to write in").fill("x = שלום עולם + 12 # abc def")
    expect(page.locator(".overlay")).to_have_attribute("data-known", "28")
    page.wait_for_timeout(500)
    pairs = page.locator(".row").first.evaluate(UNDER_LETTERS)
    assert len(pairs) == 28 and len({letter for letter, _ in pairs}) > 5
    assert [below for _, below in pairs] == [letter for letter, _ in pairs]
    guess = page.locator(".guesses").first.locator("span").nth(20).bounding_box()
    letter = page.locator("[data-at='20']").bounding_box()
    assert guess["x"] == pytest.approx(letter["x"], abs=1.5)


def test_back_leads_through_the_pages_one_by_one(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    for name, part in (("Find", "concept"), ("Gates", "at"), ("Find", "concept")):
        page.get_by_test_id("stTopNavLink").get_by_text(name, exact=True).click()
        page.wait_for_url(re.compile(f"/{name.lower()}.*{part}="))
        settle(page)
    for path in ("/gates", "/find", "/"):
        page.go_back()
        page.wait_for_function("(path) => location.pathname === path", arg=path)
        settle(page)
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:42")
    page.go_forward()
    page.wait_for_url(re.compile("/find.*concept="))


def test_the_page_stays_correct_where_nothing_can_be_fetched(page, dashboard, recording):  # noqa: F811
    page.route("**/charscope/**", lambda route: route.fulfill(body="somebody else's answer"))
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.locator("[data-at='0']").click()
    page.keyboard.press("n")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:43")
    trace = recording.trace(Neuron(1, 43), "cell")
    colour = page.locator("[data-at='7']").evaluate("(one) => getComputedStyle(one).backgroundColor")
    index = int(colour_index(trace[7], scale_for("cell", trace)))
    assert colour == "rgb({}, {}, {})".format(*lut("teal-orange", "diverging")[index])


LONG = "text=stdlib:configparser.py&neuron=1:42&signal=cell"  # longer than what comes along with the page


def test_long_text_that_comes_before_its_colours_is_whole_and_opens_at_its_place(page, dashboard):
    def late(route):
        time.sleep(1)
        route.continue_()

    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    page.route("**/trace/**", late)
    page.goto(f"{dashboard}/?{LONG}&at=30010&mark=30000-30011")
    expect(page.locator("[data-at='30010']")).to_be_in_viewport(timeout=3 * WAIT)
    expect(page.locator(".marked")).to_have_count(11)
    assert page.locator(".scroller").evaluate("(one) => one.scrollHeight > 10 * one.clientHeight")
    page.unroute("**/trace/**")
    page.keyboard.press("n")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:43")
    assert any(url.endswith("/trace/1:43/cell") for url in fetched)  # the fast way was not given up


def test_text_that_is_no_longer_in_memory_is_sent_again(page, dashboard):
    gone = pack({"missing": "no longer in memory"}, [])
    page.route("**/charscope/*/text", lambda route: route.fulfill(body=gone), times=1)
    page.goto(f"{dashboard}/?{LONG}")
    expect(page.locator("[data-at='0']")).to_be_visible(timeout=3 * WAIT)


def test_neuron_chosen_while_a_version_is_read_has_its_own_colours(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    field = begin_writing(page)
    field.fill("x = 'abc'")
    expect(page.locator(".overlay[data-known='9']")).to_be_visible(timeout=WAIT)

    page.evaluate("""() => {
      const { fetch } = window;
      const late = (answer) => new Promise((done) => { setTimeout(() => done(answer), 2000); });
      window.fetch = (where, ...how) => fetch(where, ...how).then(String(where).includes("/draft/") ? late : undefined);
    }""")
    field.press("End")
    field.press("d")
    field.press("Escape")
    page.keyboard.press("n")  # before the answer
    expect(page.locator(".overlay[data-known='10'][data-shown='1:43']")).to_be_visible(timeout=WAIT)
    trace = record(load_checkpoint(CHECKPOINT), "x = 'abc'd", ["cell"]).trace(Neuron(1, 43), "cell")
    index = int(colour_index(trace[6], scale_for("cell", trace)))
    colour = page.locator("[data-at='6']").evaluate("(one) => getComputedStyle(one).backgroundColor")
    near = lut("teal-orange", "diverging")[max(index - 1, 0) : index + 2]
    assert colour in ["rgb({}, {}, {})".format(*one) for one in near]


def test_keys_work_at_first_sight_and_after_a_button_that_is_gone(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.keyboard.press("n")  # nothing was clicked yet
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:43")
    page.locator(".suggested .button", has_text="this one, ").click()
    expect(page.locator(".suggested .button", has_text="this one, ")).to_have_count(0)
    page.keyboard.press("n")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:44")


def test_rows_that_come_into_sight_after_a_switch_have_its_colours(page, dashboard, recording):  # noqa: F811
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.locator(".scroller").focus()
    page.keyboard.press("n")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    trace = recording.trace(Neuron(1, 43), "cell")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:43")
    line = sum(map(len, ADDRESS_BOOK.splitlines(keepends=True)[:33]))  # below what was in sight, among the spare rows
    expect(page.locator(f"[data-at='{line}']")).to_be_in_viewport()
    for at in range(line, line + 10):
        index = int(colour_index(trace[at], scale_for("cell", trace)))
        colour = page.locator(f"[data-at='{at}']").evaluate("(one) => getComputedStyle(one).backgroundColor")
        assert colour == "rgb({}, {}, {})".format(*lut("teal-orange", "diverging")[index])


@pytest.mark.parametrize("height", [700, 1300])
def test_the_text_fills_the_window(page, dashboard, height):
    page.set_viewport_size({"width": 1400, "height": height})
    open_page(page, dashboard)
    top = page.locator(".overlay").bounding_box()["y"]
    wait_for_height(page, height - 50 - top)
    assert page.locator(".scroller").bounding_box()["y"] < 180


def test_the_text_fills_the_window_again_when_something_above_it_goes(page, dashboard):
    open_page(page, dashboard)
    whole = page.locator(".overlay").bounding_box()["height"]
    page.evaluate(
        """() => {
            const bar = document.createElement("div");
            bar.id = "above";
            bar.style.cssText = "flex: none; height: 90px";
            document.querySelector("[data-testid=stMainBlockContainer]").prepend(bar);
        }"""
    )
    wait_for_height(page, whole - 90)
    page.evaluate("document.getElementById('above').remove()")
    wait_for_height(page, whole)


def wait_for_height(page, height):
    deadline = time.monotonic() + 10
    while abs(page.locator(".overlay").bounding_box()["height"] - height) > 2:
        assert time.monotonic() < deadline, page.locator(".overlay").bounding_box()
        page.wait_for_timeout(50)


def test_what_is_known_of_the_neuron_follows_it(page, dashboard):
    open_page(page, dashboard)
    neuron = page.locator(".bar .neuron").inner_text()
    expect(page.locator(".panel .title")).to_contain_text(f"“inside a string” neuron: {neuron}")
    expect(page.locator(".panel .evidence")).to_contain_text("held-out AUROC")
    page.locator(".scroller").press("n")
    expect(page.locator(".panel .title")).not_to_contain_text(neuron)
    layer, unit = map(int, neuron.split(":"))
    expect(page.locator(".panel .who")).to_contain_text(f"{layer}:{unit + 1}")


def test_search_and_go_take_what_is_typed_and_nothing_else_happens(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.locator("[data-at='0']").click()
    page.keyboard.press("/")
    page.keyboard.type("return")
    page.keyboard.press("Enter")
    expect(page.locator(".mark-bar .said")).to_have_text("6 characters marked")
    expect(page.locator(".prompt .said")).to_contain_text(f"1 of {ADDRESS_BOOK.lower().count('return')}")
    at = ADDRESS_BOOK.lower().index("return")
    page.wait_for_function("(mark) => new URL(location).searchParams.get('mark') === mark", arg=f"{at}-{at + 6}")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.type("9:9")
    page.keyboard.press("Enter")
    expect(page.locator(".prompt .said")).to_contain_text("there is 0:0 to 0:511")
    page.keyboard.press("Control+a")
    page.keyboard.type("0:7")
    page.keyboard.press("Enter")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "0:7")


def test_search_says_nothing_of_words_that_are_no_longer_in_its_field(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    said = page.locator(".prompt .said")
    page.locator("[data-at='0']").click()
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    expect(said).to_have_text("")
    page.keyboard.type("self")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("1 of ")
    page.keyboard.type("x")
    expect(said).to_have_text("")


def test_search_goes_back_by_the_key_that_the_card_says(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    page.locator("[data-at='0']").click()
    page.keyboard.press("/")
    page.keyboard.type("self")
    for key, number in (("Enter", 1), ("Enter", 2), ("Shift+Enter", 1)):
        page.keyboard.press(key)
        expect(page.locator(".prompt .said")).to_contain_text(f"{number} of ")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="keys")).to_contain_text("shift Enter: previous")


def test_more_pins_than_there_is_room_for_are_said(page, dashboard):
    pins = ",".join(f"0:{unit}" for unit in range(12))
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0&pins={pins}")
    page.get_by_role("button", name="the concept's best").click()
    expect(page.locator(".bar .waiting")).to_have_text("12 neurons are pinned: take one off first")
    expect(page.locator(".pin")).to_have_count(12)


def test_bars_and_curve_below_zero_are_seen_in_one_hue(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=120&palette=mono")
    seen = lut("mono", "diverging")[128].tolist()
    expect(page.locator(".value.shown .number")).to_have_text("\N{MINUS SIGN}0.738770")
    expect(page.locator(".value.shown .fill")).to_have_css("background-color", "rgb({}, {}, {})".format(*seen))
    below = page.locator(".plot canvas").evaluate(
        """(one) => {
          const { data } = one.getContext("2d").getImageData(0, one.height / 2 + 2, one.width, 1);
          return [...Array(one.width).keys()].map((x) => [...data.slice(4 * x, 4 * x + 4)]).find((rgba) => rgba[3] > 0);
        }"""
    )
    assert below == [*seen, 255]


def test_gates_come_to_the_cursor_by_themselves(page, dashboard):
    open_page(page, f"{dashboard}/?text=sample:ring_buffer.c&neuron=1:42&signal=cell&at=30")

    expect(page.locator("[data-signal='forget_gate'] .number")).to_have_text(re.compile(r"^0\.\d+$"), timeout=WAIT)


def test_gates_of_a_long_text_are_read_behind_the_page_and_can_be_cancelled(page, dashboard):
    page.goto(f"{dashboard}/?text=stdlib:argparse.py&neuron=1:42&signal=cell")
    overlay, cancel = page.locator(".overlay"), page.get_by_role("button", name="Cancel")
    expect(page.locator(".overlay[data-shown='1:42'] [data-at='0']")).to_be_visible(timeout=3 * WAIT)
    settle(page)

    overlay.locator("[data-signal=forget_gate]").first.click()
    cancel.click(timeout=WAIT)  # it is there while the text is read again

    page.locator(".scroller").press("n")  # what is at hand is shown meanwhile, of any neuron
    expect(page.locator(".overlay[data-shown='1:43'][data-signal='cell']")).to_be_visible()
    expect(overlay.locator(".waiting")).to_have_text("still showing 1:43 cell state")
    page.get_by_role("button", name="Read it after all").click()
    expect(page.locator(".overlay[data-shown='1:43'][data-signal='forget_gate']")).to_be_visible(timeout=3 * WAIT)
    expect(page).to_have_url(re.compile("signal=forget_gate"))


def test_what_is_written_is_coloured_as_the_network_reads_it_and_can_be_kept(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    field = begin_writing(page)
    field.press("Control+Home")
    page.keyboard.type("n = 12\n")  # n and 1 are no commands here
    written = "n = 12\n" + ADDRESS_BOOK
    expect(page.locator(".editor .said")).to_contain_text(f"{len(written):,} characters", timeout=WAIT)
    expect(page.locator("[data-at='5']")).to_have_text("2")

    trace = record(load_checkpoint(CHECKPOINT), written, ["cell"]).trace(Neuron(1, 42), "cell")
    scale = scale_for("cell", trace)
    for at in (2, 5, 30):
        index = int(colour_index(trace[at], scale))
        colour = page.locator(f"[data-at='{at}']").evaluate("(one) => getComputedStyle(one).backgroundColor")
        near = lut("teal-orange", scale.kind)[max(index - 1, 0) : index + 2]
        assert colour in ["rgb({}, {}, {})".format(*one) for one in near]

    field.press("Escape")
    page.keyboard.press("n")
    expect(page.locator(".overlay")).to_have_attribute("data-shown", "1:43")
    page.get_by_role("button", name="keep", exact=True).click()
    page.wait_for_function("() => new URL(location).searchParams.get('text')?.startsWith('mine:')")
    expect(page.locator(".editor")).to_be_hidden()
    expect(page.locator("[data-at='5']")).to_have_text("2")


ROWS = """() => [...document.querySelectorAll("*")].map((one) => one.shadowRoot?.querySelector(".sheet"))
  .find((one) => one).children"""
PAINTED = f"""() => [...({ROWS})()].map((row) => [row.dataset.row, row.dataset.line, row.style.transform,
  [...row.children[0].children].map((cell) => [cell.dataset.at, cell.textContent, cell.className])])"""


def test_lines_that_were_not_written_in_stay_the_elements_they_were_and_stand_where_they_should(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    field = begin_writing(page)
    length = len(ADDRESS_BOOK)
    expect(page.locator(f".overlay[data-known='{length}']")).to_be_visible(timeout=WAIT)
    settle(page)
    page.evaluate(f"() => {{ for (const row of ({ROWS})()) row.was = row.children[0].textContent; }}")
    field.press("Control+Home")
    field.press("ArrowDown")
    for key in ("x", "Enter", "y", "Backspace", "Delete"):  # a line more, and one joined with the next
        field.press(key)
    length += 1
    expect(page.locator(f".overlay[data-known='{length}']")).to_be_visible(timeout=WAIT)
    kept = page.evaluate(f"() => [...({ROWS})()].map((row) => [row.was, row.children[0].textContent])")
    assert sum(was is not None for was, _ in kept) > len(kept) / 2
    assert all(was in (None, now) for was, now in kept)

    settle(page)
    revised = page.evaluate(PAINTED)
    size = page.viewport_size
    for width in (size["width"] - 200, size["width"]):
        page.set_viewport_size({**size, "width": width})  # which lays everything out anew
        settle(page)
    assert revised == page.evaluate(PAINTED)

    for _ in range(18):  # where the rows in sight end
        field.press("ArrowDown")
    page.keyboard.insert_text("a\n\n\n")
    expect(page.locator(f".overlay[data-known='{length + 4}']")).to_be_visible(timeout=WAIT)
    settle(page)
    rows = [int(row) for row, *_ in page.evaluate(PAINTED)]
    assert rows == list(range(len(rows)))


def test_discarded_draft_leaves_the_text_as_it_was(page, dashboard):
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    begin_writing(page).fill("short")
    expect(page.locator(".editor .said")).to_contain_text("5 characters", timeout=WAIT)
    page.get_by_role("button", name="discard").click()
    expect(page.locator("[data-at='17']")).to_have_text(ADDRESS_BOOK[17])
    assert page.locator(".editor").is_hidden()


def test_writing_leaves_the_line_ends_of_other_systems_as_they_are(page, dashboard, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell")
    page.get_by_role("button", name="Add a text").click()
    page.get_by_label("or read a folder of sources: its path").fill(str(tmp_path / "src"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-at='6']")).to_have_attribute("data-mark", "↵")
    page.locator("[data-at='0']").click()
    page.keyboard.press("i")
    page.get_by_role("textbox", name="the text, to write in").press("Control+Home")
    page.keyboard.type("z")
    expect(page.locator(".editor .said")).to_contain_text("15 characters", timeout=WAIT)
    expect(page.locator(".overlay")).to_have_attribute("data-known", "15")
    expect(page.locator("[data-at='6']")).to_have_attribute("data-mark", "←")


def test_folder_of_sources_shows_its_files_and_keys_lead_through_them(page, dashboard, tmp_path):
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / "src" / name).write_text(f"def {name[0]}():\n    return '{name}'\n")
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell")
    page.get_by_role("button", name="Add a text").click()
    page.get_by_label("or read a folder of sources: its path").fill(str(tmp_path / "src"))
    page.keyboard.press("Enter")
    expect(page.locator(".file")).to_have_count(3)
    page.locator("[data-at='0']").click()
    page.keyboard.press("}")
    expect(page.locator(".place")).to_have_text("b.py:1")
    page.keyboard.press("{")
    page.keyboard.press("{")
    expect(page.locator(".place")).to_have_text("c.py:1")
    expect(page.locator(".file[aria-current]")).to_contain_text("c.py")
    page.locator(".file").first.click()
    expect(page.locator(".place")).to_contain_text("a.py:")


def test_second_reader_is_not_held_up_while_a_long_text_is_read(page, dashboard, browser):
    page.goto(f"{dashboard}/?text=stdlib:_pydecimal.py&neuron=1:42&signal=cell")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible(timeout=WAIT)
    context = browser.new_context()
    context.set_default_timeout(WAIT)
    second = context.new_page()
    open_page(second, f"{dashboard}/?text=sample:lighthouse.txt&neuron=1:42&signal=cell")
    context.close()
    expect(page.locator("[data-at='0']")).to_have_count(0)  # the long one is still being read
    cancel.click()
    expect(page.get_by_role("button", name="Read it after all")).to_be_visible(timeout=WAIT)


def test_screen_readers_are_told_what_the_cursor_is_on(page, dashboard, recording):  # noqa: F811
    open_page(page, f"{dashboard}/?neuron=1:42&signal=cell&at=0")
    text = page.get_by_role("group", name=re.compile("characters coloured by neuron 1:42, cell state"))
    text.focus()
    page.keyboard.press("ArrowRight")
    value = float(recording.trace(Neuron(1, 42), "cell")[1])
    for said in ("position 1,", "line 1, column 2", f"{abs(value):#.6g}"):
        expect(page.locator(".spoken[aria-live=polite]")).to_contain_text(said)


def test_ten_readers_at_once_each_see_their_own_neuron(browser, dashboard):
    contexts = [browser.new_context(viewport={"width": 1000, "height": 700}) for _ in range(10)]
    pages, errors = [one.new_page() for one in contexts], []
    for unit, page in enumerate(pages):
        page.on("console", lambda message: errors.append(message.text) if is_ours(message) else None)
        page.goto(f"{dashboard}/?text=sample:ring_buffer.c&neuron=0:{10 * unit}&signal=hidden", wait_until="commit")
    for unit, page in enumerate(pages):
        expect(page.locator(".overlay")).to_have_attribute("data-shown", f"0:{10 * unit}", timeout=60_000)
        page.locator(".scroller").focus()
        page.keyboard.press("n")
    for unit, page in enumerate(pages):
        expect(page.locator(".overlay")).to_have_attribute("data-shown", f"0:{10 * unit + 1}", timeout=30_000)
    ARTIFACTS.mkdir(exist_ok=True)
    pages[-1].screenshot(path=ARTIFACTS / "ten_readers.png")
    for context in contexts:
        context.close()
    assert errors == []


def test_the_logo_follows_the_theme_at_once(page, dashboard):
    def brightest_letter() -> int:
        page.wait_for_timeout(500)
        with Image.open(BytesIO(logo.screenshot())) as picture:
            by_count = sorted(picture.convert("L").getcolors(), reverse=True)
        return by_count[1][1] - by_count[0][1]  # the letters' most frequent shade, against the page's

    page.emulate_media(color_scheme="light")
    page.goto(f"{dashboard}/?neuron=1:42&signal=cell")
    logo = page.get_by_test_id("stHeaderLogo")
    expect(logo).to_be_visible()
    assert brightest_letter() < -100

    page.emulate_media(color_scheme="dark")  # the app follows the system; no page is run again for it

    assert brightest_letter() > 100
