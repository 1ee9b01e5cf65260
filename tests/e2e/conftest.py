"""A real dashboard on a free port and a real Chromium; screenshots of what a test left go to artifacts/."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

ROOT = Path(__file__).resolve().parent.parent.parent
ARTIFACTS = ROOT / "artifacts"
expect.set_options(timeout=30_000)  # milliseconds; a page that is right a little later is right
WAIT = 60_000  # milliseconds; generous, because a loaded machine is slow and a test must not guess how slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(url: str, process: subprocess.Popen, seconds: float = 90) -> None:
    """Return once the server answers; fail with its exit code when it ended instead."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the dashboard ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the dashboard did not answer within {seconds} s")


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory) -> Iterator[str]:
    """The address of a running dashboard with the shipped network and an empty data folder of its own.

    Its loops are compiled beforehand, as by the installation; none may be missing, for a reader would wait for it.
    """
    subprocess.run([sys.executable, "-m", "inspector", "compile"], cwd=ROOT, check=True, capture_output=True)
    port, kept = free_port(), tmp_path_factory.mktemp("dashboard")
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    with (kept / "log").open("w") as log:
        environment = os.environ | {"CHARSCOPE_DATA": str(kept / "data"), "NUMBA_DEBUG_CACHE": "1"}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_healthy(url, server)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)
    log = (kept / "log").read_text()
    assert "Traceback" not in log
    assert re.findall(r"data saved to .*[/\\](.*)\.nbc", log) == []


def is_ours(message: ConsoleMessage) -> bool:
    """Whether a console message is an error of this program.

    A page opened by its own address (`/find`) makes Streamlit's client look for the server at `/find/_stcore/…` first,
    and the browser logs the 404.
    """
    probe = re.search(r"/\w+/_stcore/(health|host-config)$", message.location.get("url", ""))
    return message.type == "error" and probe is None


@pytest.fixture
def page(browser, request) -> Iterator[Page]:
    """A fresh page, 1400 x 900; the test fails when the console showed an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page, errors = context.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if is_ours(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    ARTIFACTS.mkdir(exist_ok=True)
    name = re.sub(r"[^\w.-]+", "_", request.node.name)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
    context.close()
    assert errors == []
