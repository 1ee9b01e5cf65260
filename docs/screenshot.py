"""Make the pictures in README.md from the running program:  make screenshot"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.find_chromium import chromium_path  # noqa: E402 - the path comes first

VIEWS = {
    "read": "/?network=python&text=sample:address_book.py",
    "find": "/find?network=python&text=stdlib:textwrap.py&concept=indentation",
}


def main() -> None:
    """Start the dashboard on a free port, look at each view once it is painted, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)],
            cwd=ROOT, env=os.environ | {"CHARSCOPE_DATA": data}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            wait(page, f"http://127.0.0.1:{port}/_stcore/health")
            for name, address in VIEWS.items():
                page.goto(f"http://127.0.0.1:{port}{address}")
                page.locator("[data-at='0'], .st-key-found .cs-excerpt").first.wait_for(timeout=120_000)
                page.wait_for_function("() => document.querySelector('[data-testid=stSkeleton]') === null")
                page.wait_for_timeout(2_000)
                page.screenshot(path=ROOT / "docs" / f"{name}.png")
        finally:
            browser.close()
            server.terminate()
            server.wait()


def wait(page: Page, url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            page.wait_for_timeout(200)
    raise SystemExit("The dashboard did not start.")


if __name__ == "__main__":
    main()
