"""The tour and the networks in a real browser: every stop is a view to go on from."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import WAIT

pytestmark = pytest.mark.browser


def test_each_of_the_five_stops_shows_text_and_leads_on(page, dashboard):
    page.goto(f"{dashboard}/tour")
    expect(page.get_by_text("Five things to see in a network that reads")).to_be_visible(timeout=WAIT)
    expect(page.locator(".cs-excerpt")).to_have_count(7, timeout=WAIT)  # one of the stops shows three gates
    links = page.get_by_role("link").filter(has_text="See it over the whole text")
    expect(links).to_have_count(2, timeout=WAIT)
    links.first.click()
    expect(page.locator("[data-at]").first).to_be_visible(timeout=WAIT)
    expect(page).to_have_url(re.compile(r"neuron=1(:|%3A)497.*&at=\d+"), timeout=WAIT)


def test_networks_lead_to_their_training(page, dashboard):
    page.goto(f"{dashboard}/networks")
    page.get_by_role("link").filter(has_text="How it was trained").first.click()
    expect(page.get_by_text("How python learned")).to_be_visible(timeout=WAIT)
