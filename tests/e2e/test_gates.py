"""The gates page in a real browser: the numbers are the recording's, and keys walk along the text."""

import re

from playwright.sync_api import Page, expect

from dashboard import texts
from inspector.capture import record
from inspector.model import load_checkpoint
from inspector.recording import Neuron
from tests.e2e.conftest import ROOT, WAIT


def shown(page: Page) -> list[str]:
    return page.locator("[data-gates] .cell .number").all_text_contents()


def written(value: float) -> str:
    number = f"{abs(value):.2f}"
    return f"−{number}" if value < 0 and number != "0.00" else number  # noqa: RUF001 - a minus sign


def test_picture_has_the_recorded_numbers_and_keys_walk_along(page, dashboard):
    model = load_checkpoint(ROOT / "checkpoints" / "python")
    text = texts.load_text("sample:address_book.py").content
    recording = record(model, text, dtype="float16")  # as the dashboard keeps them
    page.goto(f"{dashboard}/gates?network=python&text=sample:address_book.py&neuron=1:7&signal=cell&at=300")
    steps = page.locator("[data-gates] .steps div")
    expect(steps).to_have_count(4, timeout=WAIT)
    value = {signal: recording.trace(Neuron(1, 7), signal) for signal in recording.layers[1].signals}
    for at in (300, 301):
        expect(page.locator("[data-gates] .controls span")).to_contain_text(f"character {at} ", timeout=WAIT)
        for signal in ("forget_gate", "input_gate", "candidate", "output_gate", "cell", "hidden"):
            assert written(value[signal][at]) in shown(page), (signal, at)
        assert written(value["cell"][at - 1]) in shown(page)
        page.get_by_role("button", name="one character on").click()  # a triangle says nothing to who cannot see it
    expect(page).to_have_url(re.compile("at=302"), timeout=WAIT)
    page.locator("[data-gates]").press("n")
    expect(page.locator("[data-gates] .event")).to_contain_text("inside a string")
    page.locator("[data-gates]").press("r")  # Streamlit's own key for a rerun must not come through
    expect(steps).to_have_count(4, timeout=WAIT)


def test_picture_fits_a_narrow_window_and_its_words_fit_their_boxes(page, dashboard):
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(f"{dashboard}/gates?network=python&neuron=1:7&at=300")
    expect(page.locator("[data-gates] .steps div")).to_have_count(4, timeout=WAIT)

    width, room = page.locator("[data-gates]").evaluate("(root) => [root.scrollWidth, root.clientWidth]")
    assert width <= room
    boxes = page.locator("[data-gates] .cell").evaluate(
        """(cell) => [...cell.querySelectorAll(".tag, .box")].map((box) =>
            [box.nextSibling.getBBox().width, box.getBBox().width])"""
    )
    assert len(boxes) == 11 and all(words < box for words, box in boxes)
