"""The import table of docs/design.md: which room may know which. A second test proves that the first can fail."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
THIRD_PARTY = {"torch", "numpy", "pandas", "streamlit", "plotly", "safetensors", "tqdm", "platformdirs", "tree_sitter",
               "numba", "llvmlite"}  # fmt: skip

# room -> (rooms of this project, libraries of interest) that it may import
INSPECTOR = {
    "recording": (set(), {"numpy", "platformdirs"}),
    "corpus": ({"recording"}, set()),
    "concepts": ({"recording"}, {"numpy", "tree_sitter"}),
    "compiled": (set(), {"numba", "platformdirs"}),
    "products": ({"compiled"}, {"numpy", "numba", "llvmlite"}),
    "search": ({"recording", "compiled", "products"}, {"numpy", "pandas", "numba", "llvmlite"}),
    "model": ({"recording"}, {"torch", "numpy", "safetensors"}),
    "capture": ({"recording", "model", "compiled", "products"}, {"torch", "numpy", "numba", "llvmlite"}),
    "generate": ({"recording", "model", "capture"}, {"torch"}),
    "train": ({"recording", "model", "corpus"}, {"torch", "numpy"}),
    "survey": ({"recording", "model", "corpus", "capture", "concepts", "search", "compiled"}, {"numpy", "pandas"}),
    "formulas": ({"recording", "compiled"}, {"numpy"}),
    "explain": (
        {"recording", "model", "corpus", "capture", "concepts", "formulas", "search", "survey"},
        {"numpy", "pandas"},
    ),
    "emerge": ({"recording", "model", "corpus", "concepts", "survey", "train"}, {"numpy", "pandas"}),
    "ahead": (
        {"recording", "model", "corpus", "capture", "concepts", "search", "survey", "explain", "generate"},
        {"torch", "numpy"},
    ),
    "baselines": (set(), {"numpy"}),
    "notes": ({"recording"}, set()),
    "measure": ({"recording", "model", "corpus", "train", "generate", "baselines"}, {"numpy"}),
    "card": ({"model", "survey", "train", "measure"}, set()),
    "__init__": (set(), set()),
    "__main__": ({"recording", "commands"}, set()),
    "commands": (
        {
            "recording",
            "model",
            "corpus",
            "capture",
            "concepts",
            "search",
            "survey",
            "explain",
            "emerge",
            "train",
            "generate",
            "card",
            "measure",
            "ahead",
        },
        {"tqdm"},
    ),
}
# Parts of the dashboard that never import streamlit; the command line may draw with them, the library may not.
PURE_DASHBOARD = {"palette", "figures", "paper", "evidence", "export", "notebook", "overlay", "overlay.payload"}


def imported_names(source: str) -> set[str]:
    """Dotted names that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def offences(room: str, source: str) -> set[str]:
    """What the source of an inspector room imports although the table does not allow it."""
    rooms, libraries = INSPECTOR[room]
    found = set()
    for name in imported_names(source):
        first, _, rest = name.partition(".")
        is_drawing = room == "commands" and any(f"{name}.".startswith(f"dashboard.{part}.") for part in PURE_DASHBOARD)
        if (first == "dashboard" and not is_drawing) or (
            first == "inspector" and rest and rest.split(".")[0] not in rooms | {room}
        ):
            found.add(name)
        if first in THIRD_PARTY - libraries or (first.startswith("tree_sitter") and "tree_sitter" not in libraries):
            found.add(name)
    return found


def files_of(room: str) -> list[Path]:
    package = ROOT / "inspector" / room
    return sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]


def test_every_room_is_in_the_table():
    there = {
        path.stem for path in (ROOT / "inspector").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there == set(INSPECTOR)


@pytest.mark.parametrize("room", INSPECTOR)
def test_room_imports_only_what_the_table_allows(room):
    for path in files_of(room):
        assert offences(room, path.read_text()) == set(), path


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("search", "import torch"),
        ("search", "def f():\n    from inspector.concepts import CONCEPTS"),
        ("recording", "from inspector.model import load_checkpoint"),
        ("recording", "from inspector import capture"),
        ("concepts", "import streamlit as st"),
        ("model", "import dashboard.palette"),
        ("corpus", "from tree_sitter_c import language"),
        ("commands", "from dashboard.state import View"),
        ("commands", "import dashboard"),
        ("search", "from dashboard.paper import text_figure"),
    ],
)
def test_the_table_can_be_broken(room, source):
    assert offences(room, source)


def test_pure_rooms_of_the_dashboard_do_not_know_streamlit():
    rooms = [f"dashboard.{room}" for room in sorted(PURE_DASHBOARD)]
    loads = f"import sys, {', '.join(rooms)}; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], cwd=ROOT).returncode == 0


def test_dashboard_reaches_networks_through_the_library_alone():
    for path in (ROOT / "dashboard").rglob("*.py"):
        assert not any(name.split(".")[0] in {"torch", "safetensors"} for name in imported_names(path.read_text())), (
            path
        )


def test_nothing_is_called_utils():
    assert not [path for path in ROOT.glob("[id]*/**/*.py") if path.stem in {"utils", "helpers", "manager", "misc"}]
