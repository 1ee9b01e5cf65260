"""Sharing, done in a real browser: the address is copied and leads back; the exported page is what was on screen."""

import re
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import WAIT

pytestmark = pytest.mark.browser


def test_copied_link_leads_to_the_same_view(page, dashboard):
    page.goto(f"{dashboard}/?neuron=1:7&at=12")  # short, typed by hand: all other parts are filled in
    expect(page.locator(".overlay[data-shown='1:7']")).to_be_visible(timeout=WAIT)
    page.locator(".scroller").press("n")
    page.wait_for_url("**neuron=1%3A8**")
    page.get_by_role("button", name="copy link").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible(timeout=WAIT)
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url and parse_qs(urlparse(link).query)["neuron"] == ["1:8"]

    page.goto(link)
    expect(page.locator(".overlay[data-shown='1:8']")).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize("place", ["/find?concept=digit", "/networks"])
def test_the_button_is_on_other_pages_and_shows_the_link_where_it_cannot_copy(page, dashboard, place):
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    page.goto(f"{dashboard}{place}")
    page.get_by_role("button", name="copy link").click()
    field = page.get_by_label("address of this view")
    expect(field).to_be_focused()
    assert field.input_value() == page.url
    assert page.evaluate("getSelection().toString() || 'in a field'")


def test_page_downloaded_from_read_opens_alone(page, dashboard, tmp_path):
    page.goto(f"{dashboard}/?neuron=1:497&signal=cell&text=sample:address_book.py")
    expect(page.locator(".overlay[data-shown='1:497']")).to_be_visible(timeout=WAIT)
    colours = "[...document.querySelectorAll('*')].map((one) => one.shadowRoot?.querySelectorAll('.text [data-at]'))"
    colours += ".find((some) => some?.length > 0)"
    paint = f"() => [...({colours})].slice(0, 300).map((span) => getComputedStyle(span).backgroundColor)"
    before = page.evaluate(paint)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the page").click()
    download.value.save_as(tmp_path / "page.html")
    page.context.set_offline(True)
    page.goto(f"file://{tmp_path / 'page.html'}")
    expect(page.locator(".overlay[data-shown='1:497']")).to_be_visible(timeout=WAIT)
    after = page.evaluate(paint)
    assert len(after) == 300
    numbers = [[int(part) for part in re.findall(r"\d+", colour)] for colour in before + after]
    off = np.abs(np.array(numbers[:300]) - np.array(numbers[300:]))
    assert off.max() <= 4  # of 255: traces travel in 8 bits
