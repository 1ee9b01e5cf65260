"""From the map of all neurons to one neuron's page, and from a passage there to its place in the text."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from dashboard import texts
from tests.e2e.conftest import WAIT

pytestmark = pytest.mark.browser

# Where on screen the point lies that is farthest from all others, and which neuron it is.
LONELIEST = """() => {
    const plot = document.querySelector('.js-plotly-plot');
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    const points = plot._fullData.flatMap((trace) => [...trace.customdata].map((neuron, i) => ({
        neuron: String(neuron), x: box.left + xaxis._offset + xaxis.d2p(trace.x[i]),
        y: box.top + yaxis._offset + yaxis.d2p(trace.y[i]) })));
    const room = (one) => Math.min(...points.filter((other) => other.neuron !== one.neuron)
        .map((other) => Math.hypot(one.x - other.x, one.y - other.y)));
    return points.map((one) => ({ ...one, room: room(one) })).reduce((a, b) => (a.room > b.room ? a : b));
}"""


def query(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlparse(page.url).query).items()}


def test_point_of_the_map_leads_to_the_neuron_and_its_passage_to_the_text(page, dashboard):
    page.goto(f"{dashboard}/neurons?network=python")
    expect(page.locator(".js-plotly-plot .plot-container")).to_be_visible(timeout=WAIT)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?._fullLayout?.xaxis?._offset > 0")
    page.wait_for_timeout(1_500)  # plotly draws points a moment after axes, and Streamlit widens the plot once
    point = page.evaluate(LONELIEST)
    page.mouse.move(point["x"], point["y"])
    page.mouse.click(point["x"], point["y"])

    expect(page).to_have_url(re.compile(r"/neuron\?"), timeout=WAIT)
    expect(page.locator(".cs-claim").first).to_contain_text(f"Neuron {point['neuron']} ", timeout=WAIT)
    assert query(page)["neuron"] == point["neuron"]

    passage = page.get_by_role("link", name=re.compile(r"\.py:\d+ →")).first
    expect(passage).to_be_visible(timeout=WAIT)
    file, line = passage.inner_text().removesuffix("→").strip().rsplit(":", 1)
    passage.click()

    expect(page.locator("[data-at]").first).to_be_visible(timeout=WAIT)
    there = query(page)
    assert (there["neuron"], there["text"]) == (point["neuron"], f"stdlib:{file}")
    content = texts.load_text(there["text"]).content
    assert content.count("\n", 0, int(there["at"])) + 1 == int(line)
    expect(page.locator(f"[data-at='{there['at']}']").first).to_be_visible(timeout=WAIT)


def test_filter_is_taken_away_by_its_cross(page, dashboard):
    page.goto(f"{dashboard}/neurons?network=python-rnn&layer=1")
    expect(page.get_by_role("heading", name=re.compile(r"neurons, .* clearly follow"))).to_be_visible(timeout=WAIT)

    page.locator(".st-key-only_layer").get_by_role("button", name=re.compile("clear", re.IGNORECASE)).click()

    expect(page).not_to_have_url(re.compile("layer="), timeout=WAIT)


def edges(page: Page, *headings: str) -> list[float]:
    """Where headings begin, from the left."""
    boxes = [page.get_by_role("heading", name=name, exact=True).bounding_box() for name in headings]
    return [box["x"] for box in boxes if box is not None]


def test_neuron_page_keeps_its_columns_in_line_and_its_controls_together(page, dashboard):
    page.set_viewport_size({"width": 2200, "height": 900})
    page.goto(f"{dashboard}/neuron?network=python&neuron=1:120")
    expect(page.get_by_role("heading", name="At random", exact=True)).to_be_visible(timeout=WAIT)
    upper, lower = edges(page, "Its memory", "Strongest negative")
    assert upper == pytest.approx(lower, abs=1)

    page.set_viewport_size({"width": 800, "height": 900})
    layer, unit = (page.get_by_label(name, exact=True) for name in ("layer", "unit"))
    expect(layer).to_be_visible(timeout=WAIT)
    assert layer.bounding_box()["y"] == pytest.approx(unit.bounding_box()["y"], abs=1)
