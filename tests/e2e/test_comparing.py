"""Concepts beside each other, their neurons and passages, and the list of all neurons, in a real browser."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from dashboard import texts
from inspector.concepts import CONCEPTS
from tests.e2e.conftest import WAIT

pytestmark = pytest.mark.browser

TEXT = "sample:address_book.py"
SEVERAL = f"network=python&text={TEXT}&concept=inside_string&also=inside_comment,regex:book,indentation"


def query(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlparse(page.url).query).items()}


def click_row(page: Page, table: int, row: int) -> None:
    """Click the box before a row of a table, which is drawn on a canvas; wherever the page has been scrolled to."""
    drawn = page.locator("[data-testid='stDataFrame']").nth(table)
    drawn.click(position={"x": 16, "y": 35 + 35 * row + 17})


def test_row_of_what_a_neuron_follows_leads_to_its_concept_on_find(page, dashboard):
    page.goto(f"{dashboard}/neuron?network=python&neuron=1:178")
    expect(page.get_by_text("In address_book.py")).to_be_visible(timeout=WAIT)

    click_row(page, 0, 3)

    expect(page).to_have_url(re.compile("/find"), timeout=WAIT)
    expect(page.get_by_text(re.compile("“function name”: "))).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(re.compile("1:178, number|1:178, the best"))).to_be_visible(timeout=WAIT)
    asked = {"concept": "function_name", "within": "survey", "about": "1:178", "signal": "hidden"}
    assert asked.items() <= query(page).items()


def test_row_of_the_comparison_leads_to_its_concept_and_back_goes_back(page, dashboard):
    page.goto(f"{dashboard}/find?{SEVERAL}")
    expect(page.get_by_text("4 concepts, each with its best neuron")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(re.compile("“inside a string”: Inside"))).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("One neuron or many?")).to_be_visible(timeout=WAIT)

    click_row(page, 0, 0)

    expect(page).to_have_url(re.compile("concept=inside_comment"), timeout=WAIT)
    expect(page.get_by_text(re.compile("“inside a comment”: Inside a comment"))).to_be_visible(timeout=WAIT)
    assert set(query(page)["also"].split(",")) == {"inside_string", "regex:book", "indentation"}
    page.go_back()
    expect(page.get_by_text(re.compile("“inside a string”: Inside"))).to_be_visible(timeout=WAIT)


def test_row_of_the_ranking_is_looked_at_and_its_passage_opens_there_in_the_text(page, dashboard):
    page.goto(f"{dashboard}/find?network=python&text={TEXT}&concept=inside_string")
    expect(page.get_by_text(re.compile(r"^\d:\d+, the best"))).to_be_visible(timeout=WAIT)

    click_row(page, 0, 1)

    expect(page.get_by_text(re.compile(r"^\d:\d+, number 2"))).to_be_visible(timeout=WAIT)
    about = query(page)["about"]
    page.get_by_role("link", name=re.compile(r"^line \d+ →")).first.click()
    expect(page.locator(".bar .neuron").first).to_have_text(about, timeout=WAIT)
    at = int(query(page)["at"])
    assert CONCEPTS["inside_string"].label(texts.load_text(TEXT).content, language="python")[at]


def test_filter_of_the_neurons_stands_in_the_address_and_back_takes_it_away(page, dashboard):
    page.goto(f"{dashboard}/neurons?network=python&least=0.9")
    some = page.get_by_text(re.compile(r"^\d+ shown, best explained first"))
    expect(some).to_be_visible(timeout=WAIT)
    before = some.inner_text()

    page.get_by_role("combobox", name=re.compile("sort by")).click()
    page.get_by_role("option", name="most peaked").click()

    expect(page.get_by_text(re.compile("shown, most peaked first"))).to_be_visible(timeout=WAIT)
    assert (query(page)["order"], query(page)["least"]) == ("peaked", "0.9")
    page.go_back()
    expect(page.get_by_text(before)).to_be_visible(timeout=WAIT)
