"""How long a reader waits in a real Chromium: for another neuron, for the first coloured text, for a frame.

    python -m benchmarks.overlay                        # 10,000, 100,000 and 1,000,000 characters
    python -m benchmarks.overlay --circuitsvis FOLDER   # beside it, on the same text; FOLDER is where it was installed

The texts are this Python's library, end to end. They are recorded first (hidden and cell, int8) by an untrained
network: how long painting takes does not depend on its weights. Times run from the event in the browser to the frame
after the one that holds the change. `n` steps to the next neuron, which the page may have fetched beforehand; `g` goes
to one it cannot have.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from inspector.capture import record
from inspector.model import CharModel, ModelConfig, Vocabulary
from inspector.recording import Recording
from tests.find_chromium import chromium_path

ROOT = Path(__file__).resolve().parent.parent
N_UNITS, N_LAYERS = 128, 2
PAUSE_MS = 150  # between two presses of n: fast reading
SETTLED_MS = 700  # before a number is typed: Python has heard of the last switch by then

# Each answers with milliseconds. The component's data-shown says which neuron it has painted.
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
  window.switched = (selector, wanted) => new Promise((resolve) => {
    addEventListener("keydown", async (event) => {
      resolve(await after(() => find(selector)?.dataset.shown === wanted) - event.timeStamp);
    }, { capture: true, once: true });
  });
  window.frames = (milliseconds) => new Promise((resolve) => {
    const gaps = [];
    const begin = performance.now();
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


def library_text(n_chars: int) -> str:
    """The first n_chars characters of this Python's library, file after file."""
    parts, length = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        part = path.read_text("utf-8", errors="replace")
        parts.append(part)
        length += len(part)
        if length >= n_chars:
            return "".join(parts)[:n_chars]
    folder = Path(sysconfig.get_path("stdlib"))
    raise SystemExit(f"The Python library in {folder} has only {length:,} characters: ask for fewer.")


def make_recording(folder: Path, n_chars: int) -> Recording:
    """A stored recording of that many characters by an untrained network."""
    text = library_text(n_chars)
    torch.manual_seed(0)
    model = CharModel(ModelConfig("lstm", N_LAYERS, N_UNITS), Vocabulary.from_text(text), name="untrained").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)  # an untrained network is pale: with larger weights every colour comes up
    return record(model, text, ["hidden", "cell"], dtype="int8", out=folder, names=["library.py"])


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
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)


def wait_for(page: Page, url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            page.wait_for_timeout(200)
    raise SystemExit("The dashboard did not start.")


def measure(browser: Browser, url: str, name: str, n_switches: int) -> list[str]:
    """One row of the table: the times on one recording."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    wait_for(page, url)
    page.goto(f"{url}/?text=recording:warm&neuron=0:0&signal=cell")
    page.locator("[data-at='0']").first.wait_for(timeout=120_000)
    page.wait_for_timeout(1_000)
    page.evaluate(HELPERS)
    first = choose(page, name)
    page.wait_for_timeout(3_000)  # what settles after the first sight is not a switch
    page.locator("[data-at='0']").first.click()
    steps = [step(page, ["n"], f"0:{unit}", PAUSE_MS) for unit in range(1, n_switches + 1)]
    units = [(37 * number) % N_UNITS for number in range(n_switches)]  # all different, never next to each other
    far = [step(page, ["g", *f"1:{unit}", "Enter"], f"1:{unit}", SETTLED_MS) for unit in units]
    frames = scroll(page)
    page.close()
    slow = sum(gap > 33.4 for gap in frames)
    return [
        f"{first:.0f} ms", p95(steps), p95(far),
        f"{slow} of {len(frames)} over 33 ms, longest {max(frames):.0f} ms",
    ]  # fmt: skip


def choose(page: Page, name: str) -> float:
    """From the click on a text in the picker to its first coloured characters."""
    page.get_by_role("combobox", name="text").click()
    option = page.get_by_role("option", name=f"{name} (recording)")
    option.wait_for()
    page.evaluate(
        """() => {
          const overlays = () => [...document.querySelectorAll("*")].map((one) => one.shadowRoot?.querySelector(".overlay"));
          const shown = () => overlays().find((one) => one?.dataset.key)?.dataset.key;
          const before = shown();
          window.first = new Promise((resolve) => addEventListener("click", (event) => {
            const look = () => {
              if (shown() === before) return void requestAnimationFrame(look);
              setTimeout(() => resolve(performance.now() - event.timeStamp), 0);
            };
            look();
          }, { capture: true, once: true }));
        }"""
    )
    option.click()
    return float(page.evaluate("window.first"))


def step(page: Page, keys: list[str], wanted: str, pause_ms: int) -> float:
    """Press keys; the time runs from the last one until that neuron is painted."""
    page.wait_for_timeout(pause_ms)
    for key in keys[:-1]:
        page.keyboard.press(key)
    page.evaluate("(wanted) => { window.waited = window.switched('.overlay', wanted); }", wanted)
    page.keyboard.press(keys[-1])
    return float(page.evaluate("window.waited"))


def scroll(page: Page) -> list[float]:
    """Gaps between frames while the wheel turns for two seconds and once more far below, in milliseconds."""
    box = page.locator(".scroller").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    gaps: list[float] = []
    for _ in range(2):
        page.evaluate("() => { window.scrolling = window.frames(2000); }")
        for _ in range(60):
            page.mouse.wheel(0, 120)
            page.wait_for_timeout(25)
        gaps += page.evaluate("window.scrolling")
        page.locator(".scroller").evaluate("one => { one.scrollTop = one.scrollHeight / 2; }")
        page.wait_for_timeout(500)
    return gaps


def p95(milliseconds: list[float]) -> str:
    """Median and 95th percentile."""
    return f"{statistics.median(milliseconds):.0f} / {statistics.quantiles(milliseconds, n=20)[-1]:.0f} ms"


def circuitsvis(browser: Browser, folder: Path, recording: Recording, n_switches: int) -> list[str]:
    """The same recording shown by CircuitsVis' text_neuron_activations, which takes every value along."""
    sys.path.append(str(folder))
    from circuitsvis.activations import text_neuron_activations  # type: ignore[import-not-found]

    values = [recording.window(layer, "cell", 0, recording.n_chars).T for layer in range(N_LAYERS)]
    stacked = torch.stack([torch.from_numpy(one[:, :64].copy()) for one in values], dim=1)
    html = text_neuron_activations(list(recording.text), stacked).local_src
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(170_000)
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(f"<meta charset=utf-8><body>{html}")
        file.flush()
        page.goto("about:blank")
        page.goto(f"file://{file.name}", wait_until="commit")
        page.wait_for_function(
            "document.querySelectorAll('select, input').length > 0 && document.querySelectorAll('span').length > 1000"
        )
        first = page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
        )
        times = []
        for number in range(1, n_switches + 1):
            times.append(page.evaluate(
                """(number) => new Promise((resolve) => {
                  const select = document.querySelectorAll("select")[1] ?? document.querySelector("select");
                  const set = Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set;
                  const start = performance.now();
                  set.call(select, select.options[number % select.options.length].value);
                  select.dispatchEvent(new Event("change", { bubbles: true }));
                  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start), 0));
                })""", number))  # fmt: skip
    page.close()
    return [f"{first:.0f} ms", p95(times), p95(times), "every character stands in the page"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a reader waits for in a real Chromium.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="a folder for the recordings, used again when they lie there")
    parser.add_argument("--circuitsvis", type=Path, help="where `pip install --target` put CircuitsVis")
    parser.add_argument("--circuitsvis-sizes", type=int, nargs="+", default=[10_000])
    options = parser.parse_args()
    print(f"LSTM {N_LAYERS}x{N_UNITS}, untrained, hidden and cell in int8; {options.switches} switches, median / p95\n")
    print(
        f"{'characters':>12s}  {'first text':>10s}  {'n: next neuron':>16s}  {'g: any neuron':>16s}  frames while scrolling"
    )
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = options.keep or Path(temporary)
        for name, n_chars in [("warm", 2_000), *((f"chars-{size}", size) for size in options.sizes)]:
            if not (folder / name).exists():
                make_recording(folder / name, n_chars)
        launch = playwright.chromium.launch
        browser = launch(executable_path=chromium_path(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        with dashboard(folder) as url:
            for size in options.sizes:
                report(size, measure(browser, url, f"chars-{size}", options.switches))
        browser.close()


def report(label: object, row: list[str]) -> None:
    shown = f"{label:,}" if isinstance(label, int) else str(label)
    print(f"{shown:>12s}  {row[0]:>10s}  {row[1]:>16s}  {row[2]:>16s}  {row[3]}", flush=True)


if __name__ == "__main__":
    main()
