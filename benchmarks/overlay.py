"""How long a reader waits in a real Chromium: for coloured text, for another neuron, for a frame, for an edit.

    python -m benchmarks.overlay                            # 10,000, 100,000 and 1,000,000 characters, then edits
    python -m benchmarks.overlay --circuitsvis              # beside it CircuitsVis from PyPI, on the same text
    python -m benchmarks.overlay --sizes --edits 10 500     # edits alone

The texts are this Python's library, file after file, recorded first (hidden and cell, int8) by a shipped network, which
takes a minute for a million characters; `--keep FOLDER` keeps the recordings for another run, or for going on where
this one was cut off. Each size then takes another minute, as do the edits; stderr says what is under way. Times run
from the event in the browser to the frame after the one that holds the change. `n` steps to the next neuron, which the
page may have fetched beforehand; `g` goes to one it cannot have. An edit is one character typed so far from the end of
a text of 2,000: "seen" is when the text there has its new colours, "all coloured" when the last character has.
"""

from __future__ import annotations

import argparse
import importlib
import os
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from inspector.capture import record
from inspector.model import CharModel, load_checkpoint
from inspector.recording import Recording
from tests.find_chromium import chromium_path

ROOT = Path(__file__).resolve().parent.parent
EDITED = 2_000  # characters of the text that is written in
PAUSE_MS = 150  # between two presses of n: fast reading
SETTLED_MS = 700  # before a number is typed: Python has heard of the last switch by then
SLOW_MS = 33.4
VIEWPORT = {"width": 1400, "height": 900}

# The component says in its data set what is painted: the neuron, the text, how many characters have their new colours.
HELPERS = """() => {
  const find = (selector) => {
    for (const one of [document, ...[...document.querySelectorAll("*")].map((host) => host.shadowRoot)]) {
      const found = one?.querySelector(selector);
      if (found) return found;
    }
    return null;
  };
  const after = (isDone) => new Promise((resolve) => {
    const look = () => {
      if (!isDone()) return void requestAnimationFrame(look);
      setTimeout(() => resolve(performance.now()), 0); // a task after a frame's callbacks runs when it is painted
    };
    look();
  });
  const onEvent = (name, then) => new Promise((resolve) => addEventListener(name, async (event) => {
    resolve(await then(event.timeStamp));
  }, { capture: true, once: true }));
  window.switched = (wanted) => onEvent("keydown",
    async (start) => await after(() => find(".overlay")?.dataset.shown === wanted) - start);
  window.opened = () => {
    const overlay = () => find(".overlay[data-key]"), before = overlay()?.dataset.key;
    return onEvent("pointerdown", async (start) => await after(() => overlay()?.dataset.key !== before) - start);
  };
  window.edited = (length) => onEvent("keydown", async (start) => {
    const overlay = find(".overlay"), before = overlay.dataset.key;
    const seen = await after(() => overlay.dataset.key !== before) - start;
    return [seen, await after(() => overlay.dataset.known === String(length)) - start];
  });
  window.frames = (milliseconds) => new Promise((resolve) => {
    const gaps = [], begin = performance.now();
    let last = begin;
    const look = (now) => {
      gaps.push(now - last);
      last = now;
      if (now - begin < milliseconds) requestAnimationFrame(look);
      else resolve(gaps.slice(2));
    };
    requestAnimationFrame(look);
  });
}"""


def library_texts(n_chars: int) -> Iterator[tuple[str, str]]:
    """(name, content) of the library's files, the first n_chars characters of them together."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        content = path.read_text("utf-8", errors="replace")[:n_chars]
        if content and "site-packages" not in path.parts:
            n_chars -= len(content)
            yield path.relative_to(folder).as_posix(), content
        if n_chars == 0:
            return
    raise SystemExit(f"The Python library in {folder} is {n_chars:,} characters short: ask for fewer.")


def make_recording(model: CharModel, folder: Path, n_chars: int) -> Recording:
    """A stored recording of that many characters, in documents."""
    names, contents = zip(*library_texts(n_chars), strict=True)
    begun = time.monotonic()

    def tell(done: int, total: int) -> None:
        under_way(f"recording {folder.name}: {done:,} of {total:,} characters, {time.monotonic() - begun:.0f} s")

    kept = ["hidden", "cell"]
    return record(model, list(contents), kept, dtype="int8", out=folder, names=names, resume=True, progress=tell)


def under_way(words: str) -> None:
    """Say on stderr what is being done, over what was said there before; "" when it is done."""
    print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


@contextmanager
def dashboard(recordings: Path) -> Iterator[str]:
    """A running dashboard that lists these recordings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"CHARSCOPE_DATA": str(recordings / "data"), "CHARSCOPE_RECORDINGS": str(recordings)}
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()  # an interrupt would have Streamlit's command line say "Aborted!"
        server.wait(timeout=20)


def open_page(browser: Browser, url: str, query: str) -> Page:
    """A page that shows coloured text and has settled."""
    page = browser.new_page(viewport=VIEWPORT)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            break
        except OSError:
            page.wait_for_timeout(200)
    else:
        raise SystemExit("The dashboard did not start.")
    page.goto(f"{url}/?{query}")
    page.locator("[data-at='0']").first.wait_for(timeout=120_000)
    page.wait_for_timeout(1_000)
    page.evaluate(HELPERS)
    return page


def measure(browser: Browser, url: str, name: str, n_units: int, n_switches: int) -> list[str]:
    """One row of the table: the times on one recording."""
    page = open_page(browser, url, "text=recording:warm&neuron=0:0&signal=cell")
    first = choose(page, name)
    page.wait_for_timeout(3_000)  # what settles after the first sight is not a switch
    page.locator("[data-at='0']").first.click()
    steps = [step(page, ["n"], f"0:{unit}", PAUSE_MS) for unit in range(1, n_switches + 1)]
    units = [(37 * number) % n_units for number in range(n_switches)]  # all different, never next to each other
    far = [step(page, ["g", *f"1:{unit}", "Enter"], f"1:{unit}", SETTLED_MS) for unit in units]
    frames = scroll(page, ".scroller")
    page.close()
    return [f"{first:.0f} ms", p95(steps), p95(far), slow(frames)]


def choose(page: Page, name: str) -> float:
    """From the click on a text in the picker to its first coloured characters."""
    page.get_by_role("combobox", name="text").click()
    option = page.get_by_role("option", name=f"{name} (recording)")
    option.wait_for()
    page.evaluate("() => { window.waited = window.opened(); }")
    option.click()
    return float(page.evaluate("window.waited"))


def step(page: Page, keys: list[str], wanted: str, pause_ms: int) -> float:
    """Press keys; the time runs from the last one until that neuron is painted."""
    page.wait_for_timeout(pause_ms)
    for key in keys[:-1]:
        page.keyboard.press(key)
    page.evaluate("(wanted) => { window.waited = window.switched(wanted); }", wanted)
    page.keyboard.press(keys[-1])
    return float(page.evaluate("window.waited"))


def scroll(page: Page, selector: str) -> list[float]:
    """Gaps between frames while the wheel turns for two seconds and once more far below, in milliseconds."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, min(box["y"], 300) + 200)
    gaps: list[float] = []
    for _ in range(2):
        page.evaluate("() => { window.scrolling = window.frames(2000); }")
        for _ in range(60):
            page.mouse.wheel(0, 120)
            page.wait_for_timeout(25)
        gaps += page.evaluate("window.scrolling")
        page.locator(selector).evaluate("one => { one.scrollTop = one.scrollHeight / 2; }")
        page.wait_for_timeout(500)
    return gaps


def edits(
    browser: Browser, url: str, network: str, distances: list[int], n_edits: int
) -> Iterator[tuple[int, list[str]]]:
    """For each distance from the end of a text: the times until an edit there is seen, and until all is coloured."""
    page = open_page(browser, url, f"network={network}&neuron=1:42&signal=cell")
    written = "".join(content for _, content in library_texts(50_000))[-EDITED:]
    page.locator(".scroller").focus()
    page.keyboard.press("i")
    page.get_by_role("textbox", name="the text, to write in").fill(written)
    length = len(written)
    for distance in distances:
        seen, whole = [], []
        page.locator(f".overlay[data-known='{length}']").wait_for(timeout=120_000)
        page.locator("textarea").evaluate(
            "(one, back) => one.setSelectionRange(...Array(2).fill(one.value.length - back))", distance
        )
        for _ in range(n_edits):
            length += 1
            page.wait_for_timeout(SETTLED_MS)
            page.evaluate("(length) => { window.waited = window.edited(length); }", length)
            page.keyboard.press("x")
            first, last = page.evaluate("window.waited")
            seen.append(first)
            whole.append(last)
        yield distance, [p95(seen), p95(whole)]
    page.close()


def p95(milliseconds: list[float]) -> str:
    """Median and 95th percentile."""
    return f"{statistics.median(milliseconds):.0f} / {statistics.quantiles(milliseconds, n=20)[-1]:.0f} ms"


def slow(frames: list[float]) -> str:
    """How many frames came late."""
    return f"{sum(gap > SLOW_MS for gap in frames)} of {len(frames)} over 33 ms, longest {max(frames):.0f} ms"


def install_circuitsvis(folder: Path) -> Callable[..., object]:
    """CircuitsVis' text_neuron_activations, installed for this run alone. Raises what keeps it from being there."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "circuitsvis"]
    subprocess.run(
        [*command, "importlib-metadata", "zipp", "lazy_importer"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    sys.path.append(str(folder))
    show: Callable[..., object] = importlib.import_module("circuitsvis.activations").text_neuron_activations
    return show


def circuitsvis(browser: Browser, show: Callable[..., object], recording: Recording, n_switches: int) -> list[str]:
    """64 neurons of each layer of the same recording in CircuitsVis, which takes every value along."""
    values = [recording.window(layer, "cell", 0, recording.n_chars)[:64].T for layer in range(len(recording.layers))]
    stacked = torch.stack([torch.from_numpy(one.copy()) for one in values], dim=1)
    html = show(list(recording.text), stacked).local_src  # type: ignore[attr-defined]  # of its own class
    page = browser.new_page(viewport=VIEWPORT)
    page.set_default_timeout(170_000)
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(f"<meta charset=utf-8><body>{html}")
        file.flush()
        page.goto(f"file://{file.name}", wait_until="commit")
        page.wait_for_function(
            "document.querySelectorAll('select, input').length > 0 && document.querySelectorAll('span').length > 1000"
        )
        first = page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
        )
        page.evaluate(HELPERS)
        times = [page.evaluate(_CHOOSE_NEXT, number) for number in range(1, n_switches + 1)]
        frames = scroll(page, "html")
    page.close()
    return [f"{first:.0f} ms", p95(times), "-", slow(frames)]


_CHOOSE_NEXT = """(number) => new Promise((resolve) => {
  const select = document.querySelectorAll("select")[1] ?? document.querySelector("select");
  const set = Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set;
  const start = performance.now();
  set.call(select, select.options[number % select.options.length].value);
  select.dispatchEvent(new Event("change", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start), 0));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a reader waits for in a real Chromium.")
    parser.add_argument("--network", default="python", help="a folder in checkpoints/")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--edits", type=int, nargs="*", default=[10, 500, 1_000, 2_000], help="distances from the end")
    parser.add_argument("--each", type=int, default=20, help="edits at each distance")
    parser.add_argument("--keep", type=Path, help="a folder for the recordings, used again when they lie there")
    parser.add_argument("--circuitsvis", action="store_true", help="install it from PyPI for this run, and measure it")
    parser.add_argument("--circuitsvis-sizes", type=int, nargs="+", default=[10_000])
    options = parser.parse_args()
    model = load_checkpoint(ROOT / "checkpoints" / options.network)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = options.keep or Path(temporary)
        for name, n_chars in [("warm", 2_000), *((f"chars-{size}", size) for size in options.sizes)]:
            make_recording(model, folder / name, n_chars)
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        with dashboard(folder) as url:
            report_reading(browser, url, model, options)
            report_edits(browser, url, options)
        if options.circuitsvis:
            report_circuitsvis(browser, folder, options)
        browser.close()


def report_reading(browser: Browser, url: str, model: CharModel, options: argparse.Namespace) -> None:
    if not options.sizes:
        return
    print(f"{options.network}: {model.config}, hidden and cell in int8; {options.switches} switches, median / p95\n")
    report("characters", ["first text", "n: next neuron", "g: any neuron", "frames while scrolling"])
    for size in options.sizes:
        under_way(f"reading {size:,} characters in the browser")
        report(size, measure(browser, url, f"chars-{size}", model.config.n_units, options.switches))


def report_edits(browser: Browser, url: str, options: argparse.Namespace) -> None:
    if not options.edits:
        return
    print(f"\nOne character typed into a text of {EDITED:,}, {options.each} times, median / p95\n")
    report("from the end", ["", "seen", "all coloured", ""])
    under_way("writing")
    for distance, (seen, whole) in edits(browser, url, options.network, options.edits, options.each):
        report(distance, ["", seen, whole, ""])


def report_circuitsvis(browser: Browser, folder: Path, options: argparse.Namespace) -> None:
    print("\nCircuitsVis, 64 neurons of each layer\n")
    with tempfile.TemporaryDirectory() as place:
        try:
            show = install_circuitsvis(Path(place))
        except (ImportError, OSError, subprocess.SubprocessError) as error:
            print(f"not measured, it cannot be installed here: {getattr(error, 'stderr', None) or error}")
            return
        for size in options.circuitsvis_sizes:
            model = load_checkpoint(ROOT / "checkpoints" / options.network)
            recording = make_recording(model, folder / f"chars-{size}", size)
            report(size, circuitsvis(browser, show, recording, options.switches))


def report(label: object, row: list[str]) -> None:
    under_way("")
    shown = f"{label:,}" if isinstance(label, int) else str(label)
    print(f"{shown:>12s}  {row[0]:>10s}  {row[1]:>16s}  {row[2]:>16s}  {row[3]}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
