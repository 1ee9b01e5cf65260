"""From a mark in the text to the neurons that are on there, to the text again, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

MARKED = "network=python&text=sample:address_book.py&neuron=1:497&signal=cell&mark=3-60"


def test_a_mark_leads_to_its_neurons_and_back_to_the_text(page, dashboard):
    page.goto(f"{dashboard}/find?{MARKED}&ask=here")
    expect(page.get_by_text(re.compile("57 marked characters"))).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Back to the text").click()
    expect(page.locator("[data-at='0']").first).to_be_visible(timeout=60_000)
    assert "mark=3-60" in page.url and "ask" not in page.url


def test_a_neuron_that_is_on_here_opens_in_the_text(page, dashboard):
    page.goto(f"{dashboard}/find?{MARKED}&ask=here")
    link = page.get_by_role("link", name=re.compile(r"^\d:\d+ .* state")).first
    neuron = re.match(r"\d:\d+", link.inner_text()).group()
    link.click()
    expect(page.locator(".bar .neuron").first).to_have_text(neuron, timeout=60_000)


def test_places_elsewhere_open_in_the_text(page, dashboard):
    page.goto(f"{dashboard}/find?{MARKED}&ask=elsewhere")
    expect(page.get_by_text(re.compile("places? elsewhere"))).to_be_visible(timeout=60_000)
    page.get_by_role("link", name=re.compile("^line")).first.click()
    expect(page.locator("[data-at]").first).to_be_visible(timeout=60_000)
    assert "mark=3-60" not in page.url and "mark=" in page.url


def test_every_chosen_concept_is_in_sight(page, dashboard):
    page.goto(f"{dashboard}/find?concept=inside_string&also=indentation,inside_comment,bracket_depth,keyword")
    for name in ("inside a string", "indentation", "inside a comment", "bracket depth", "keyword"):
        expect(page.locator(f"[data-tag][aria-label^='{name} ·']")).to_be_in_viewport(ratio=1, timeout=60_000)
