"""The training page in a real browser: curves are drawn, a line leads to its neuron, a snapshot opens in Read."""

import re

from playwright.sync_api import expect

from inspector.emerge import open_emergence
from tests.e2e.conftest import WAIT
from tests.e2e.test_browser import CHECKPOINT

SMALL = CHECKPOINT.parent / "python-small"


def test_neurons_are_seen_to_come_to_be_and_a_snapshot_is_read(page, dashboard):
    page.goto(f"{dashboard}/training?network=python-small&concept=bracket_depth")
    expect(page.get_by_text("How python-small learned")).to_be_visible(timeout=WAIT)
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=WAIT)
    *_, best = open_emergence(SMALL / "emergence.parquet").best("bracket_depth").itertuples()  # at the last snapshot
    expect(page.get_by_text(f"{best.layer}:{best.unit} at each snapshot")).to_be_visible(timeout=WAIT)
    page.get_by_role("link").filter(has_text=f"step {best.step:,}").first.click()
    expect(page).to_have_url(re.compile(r"network=python-small(@|%40)\d+"), timeout=WAIT)
    expect(page.locator("[data-at]").first).to_be_visible(timeout=WAIT)


def test_concept_that_was_not_followed_is_said(page, dashboard):
    page.goto(f"{dashboard}/training?network=python-small&concept=speaker_line")
    expect(page.get_by_text("was not followed over the training")).to_be_visible(timeout=WAIT)
