"""Where the browser for the tests is: one on the PATH, else Debian's package (as root), else Playwright's own.

python tests/find_chromium.py --install        installs one where none is found and prints its path
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str | None:
    """The path of a Chromium to drive, or None."""
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    return on_path or _playwright_path()


def _playwright_path() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Install a Chromium the way that fits this machine. Raises CalledProcessError when that fails."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    if "--install" in sys.argv and chromium_path() is None:
        install()
    found = chromium_path()
    sys.stdout.write(f"Chromium: {found}\n" if found else "No Chromium found: run with --install.\n")
    sys.exit(0 if found else 1)
