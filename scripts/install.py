"""Make .venv beside this project and install a requirements file into it.

    python3 scripts/install.py requirements.txt        (or requirements-dev.txt)

Runs on a bare Python 3.11 or newer. On Linux without an NVIDIA GPU the CPU build of torch is taken when its index
answers within two seconds, so that nobody downloads gigabytes of GPU libraries for a demo; otherwise pip decides.
At the end the loops are compiled that reading and searching need: the first reader of the dashboard would wait for that
otherwise.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CPU_REQUIREMENTS = ROOT / "requirements-cpu.txt"


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything has checked the version
        found = platform.python_version()
        sys.stderr.write(f"Charscope needs Python 3.11 or newer; this is {found}. Try: make PYTHON=python3.11\n")
        return 1
    requirements = ROOT / sys.argv[1]
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(VENV, with_pip=True)
    if _wants_cpu_torch(python):
        # Only torch comes from this index, so a slow or missing index never touches the other packages.
        subprocess.call([python, "-m", "pip", "install", "-r", CPU_REQUIREMENTS])
    failed = subprocess.call([python, "-m", "pip", "install", "-r", requirements])
    if not failed:
        subprocess.call([python, "-m", "inspector", "compile"], cwd=ROOT)
    return failed


def _wants_cpu_torch(python: Path) -> bool:
    if platform.system() != "Linux" or shutil.which("nvidia-smi"):
        return False
    if subprocess.call([python, "-c", "import torch"], stderr=subprocess.DEVNULL) == 0:
        return False
    index = next(
        line.split()[1] for line in CPU_REQUIREMENTS.read_text().splitlines() if line.startswith("--index-url")
    )
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
