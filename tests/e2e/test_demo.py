"""`make demo`, typed as the README says, on a free port."""

import os
import re
import signal
import subprocess

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import ROOT, free_port, wait_until_healthy

pytestmark = pytest.mark.browser


def test_make_demo_shows_coloured_text(page, tmp_path):
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        environment = os.environ | {"CHARSCOPE_DATA": str(tmp_path / "data")}
        demo = subprocess.Popen(
            ["make", "demo", f"PORT={port}"],
            cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", demo, seconds=600)  # the first call installs
            page.goto(f"http://127.0.0.1:{port}")
            expect(page.locator("[data-at='0']").first).to_be_visible(timeout=60_000)
            expect(page.get_by_text(re.compile("inside a string")).first).to_be_visible()
            page.goto("about:blank")  # a page whose server goes away would log that
        finally:
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait(timeout=30)
