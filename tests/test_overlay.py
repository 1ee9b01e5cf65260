"""The message to the browser, and the JavaScript that reads it (under node, where there is one).

The golden payload in tests/golden is what both sides agree on. After a deliberate change of the format, write it anew:

    python -m tests.test_overlay
"""

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import palette
from dashboard.overlay import _PARTS, build_payload, javascript, overlay
from inspector.recording import Document, InspectorError, Neuron

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
SIGNALS = ("hidden", "cell", "input_gate")
TEXT = "\ufeffif x:\r\n\tprint('<b>&amp;')\n😀e\u0301日\0"


def golden_arguments() -> dict:
    n_chars = len(TEXT)
    wave = np.sin(np.arange(n_chars, dtype=np.float64) * 1.7)
    symbols = ["\ufffd", "\n", "\t", " ", "a", "<", "😀"]
    cell = (3.0 * wave).astype(np.float32)
    cell[5] = np.nan
    loss = np.abs(wave).astype(np.float32)
    loss[0] = np.nan
    ids = np.arange(n_chars * 2).reshape(n_chars, 2) % len(symbols)
    probabilities = np.stack([0.5 + 0.4 * wave, 0.05 * (1 + wave)], axis=1).astype(np.float16)
    return {
        "text": TEXT,
        "traces": {
            (Neuron(1, 2), "cell"): cell,
            (Neuron(1, 2), "input_gate"): (0.5 + 0.5 * wave).astype(np.float32),
            (Neuron(1, 3), "hidden"): np.tanh(cell),
        },
        "neuron": Neuron(1, 2),
        "signal": "cell",
        "layers": [(4, SIGNALS), (5, SIGNALS)],
        "loss": loss,
        "guesses": (symbols, ids, probabilities),
        "unknown": [n_chars - 4, 0],
        "documents": [Document("a.py", 0, 8), Document("b.py", 8, n_chars)],
        "title": "On “inside” strings",
        "at": 3,
        "jump": "first",
        "tab_width": 8,
    }


def unpack(payload: bytes) -> tuple[dict, dict]:
    """Read a payload with nothing but the description of its format."""
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    sections = {}
    for one in header.pop("sections"):
        dtype = np.dtype("uint8" if one["dtype"] == "utf-8" else one["dtype"]).newbyteorder("<")
        sections[one["name"]] = np.frombuffer(payload, dtype, one["length"], 4 + length + one["offset"])
        assert (4 + length + one["offset"]) % 8 == 0
    return header, sections


def golden_expectation(payload: bytes) -> dict:
    arguments = golden_arguments()
    header, _ = unpack(payload)
    symbols, ids, probabilities = arguments["guesses"]
    traces = {f"{neuron}/{signal}": values for (neuron, signal), values in arguments["traces"].items()}
    scales = {name: palette.scale_for(name.split("/")[1], values) for name, values in traces.items()}
    return {
        "header": header,
        "text": arguments["text"],
        "n_chars": len(arguments["text"]),
        "traces": {name: [None if np.isnan(one) else float(one) for one in values] for name, values in traces.items()},
        "colours": {name: palette.colour_index(values, scales[name]).tolist() for name, values in traces.items()},
        "guesses": [
            [[symbols[i], float(p)] for i, p in zip(ids_here, p_here, strict=True)]
            for ids_here, p_here in zip(ids.tolist(), probabilities, strict=True)
        ],
    }


def small(**changes) -> bytes:
    trace = np.zeros(3, dtype=np.float32)
    arguments = {
        "text": "abc",
        "traces": {("0:1", "hidden"): trace},
        "neuron": "0:1",
        "signal": "hidden",
        "layers": [(2, ("hidden", "cell"))],
    }
    return build_payload(**{**arguments, **changes})


def test_payload_equals_the_golden_file():
    payload = build_payload(**golden_arguments())
    assert payload == (GOLDEN / "overlay.bin").read_bytes()
    expected = json.loads((GOLDEN / "overlay.json").read_text(encoding="utf-8"))
    assert golden_expectation(payload) == expected


def test_payload_carries_values_bit_for_bit():
    arguments = golden_arguments()
    _, sections = unpack(build_payload(**arguments))
    for (neuron, signal), trace in arguments["traces"].items():
        np.testing.assert_array_equal(sections[f"trace/{neuron}/{signal}"], trace)
    np.testing.assert_array_equal(sections["loss"], arguments["loss"])
    np.testing.assert_array_equal(sections["guess/probabilities"], arguments["guesses"][2].ravel())
    np.testing.assert_array_equal(sections["unknown"], sorted(arguments["unknown"]))


@given(st.text())
def test_payload_text_is_exact_for_any_unicode(text):
    payload = small(text=text, traces={("0:1", "hidden"): np.zeros(len(text), dtype=np.float32)})
    _, sections = unpack(payload)
    assert sections["text"].tobytes().decode("utf-8") == text


def test_payload_header_is_strict_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        small(scale=palette.Scale("diverging", float("nan"), 1.0))


def test_payload_scale_can_be_given():
    header, _ = unpack(small(scale=palette.Scale("diverging", -4.0, 4.0)))
    assert header["scales"]["0:1/hidden"] == {"kind": "diverging", "low": -4.0, "high": 4.0}


@pytest.mark.parametrize("name", palette.PALETTES)
def test_payload_colours_are_those_of_the_palette(name):
    _, sections = unpack(small(palette=name))
    for theme in palette.THEMES:
        for kind in palette.KINDS:
            np.testing.assert_array_equal(sections[f"lut/{kind}/{theme}"], palette.lut(name, kind, theme).ravel())
            np.testing.assert_array_equal(sections[f"ink/{kind}/{theme}"], palette.ink(name, kind, theme).ravel())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"neuron": "0:0"}, "There is no trace 0:0 hidden to show"),
        ({"signal": "cell"}, "There is no trace 0:1 cell to show"),
        ({"layers": [(1, ("hidden",))]}, "Neuron 0:1 does not exist: this network has 0:0 to 0:0."),
        ({"layers": [(2, ("cell",))]}, "Layer 0 has no signal 'hidden': choose cell."),
        ({"text": "abcd"}, r"The trace 0:1 hidden is float32 of shape \(3,\): it must be float32 of shape \(4,\)"),
        ({"loss": np.zeros(2, dtype=np.float32)}, "The loss is"),
        ({"loss": np.zeros(3, dtype=np.int64)}, "The loss is int64"),
        ({"at": 3}, "Position 3 is outside the text"),
        ({"unknown": [3]}, "`unknown` names position 3"),
        ({"palette": "rainbow"}, "There is no palette 'rainbow': choose teal-orange"),
        ({"guesses": (["a"], np.zeros((2, 1), int), np.zeros((2, 1)))}, r"both must be \(3, k\)"),
        ({"guesses": (["a"], np.ones((3, 1), int), np.zeros((3, 1)))}, "A guess has id 1: there are 1 symbols"),
        ({"text": "a\ud800c"}, "half of a character pair at position 1"),
    ],
)
def test_payload_error_is_one_clear_sentence(changes, sentence):
    with pytest.raises(InspectorError, match=sentence):
        small(**changes)


def test_payload_of_an_empty_text_is_possible():
    payload = small(text="", traces={("0:1", "hidden"): np.zeros(0, dtype=np.float32)})
    assert unpack(payload)[1]["text"].size == 0


@pytest.mark.parametrize("payload", [bytearray(b"x"), "x", {"payload": b"x"}, None])
def test_overlay_takes_bytes_only(payload):
    with pytest.raises(TypeError, match="the overlay takes the bytes of build_payload"):
        overlay(payload, key="read")


def test_javascript_names_every_part_once():
    folder = Path(build_payload.__code__.co_filename).parent
    assert sorted(_PARTS) == sorted(path.name for path in folder.glob("*.js"))
    assert len(re.findall(r"^export ", javascript(), re.MULTILINE)) == 1
    assert not re.search(r"^import ", javascript(), re.MULTILINE)


def test_javascript_never_makes_html_out_of_text():
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", javascript())


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on the PATH")


@needs_node
def test_javascript_joined_is_one_valid_module(tmp_path):
    joined = tmp_path / "overlay.mjs"
    joined.write_text(javascript(), encoding="utf-8")
    script = f"console.log(typeof (await import('{joined.as_uri()}')).default)"
    loaded = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert loaded.stdout.strip() == "function", loaded.stderr


@needs_node
def test_javascript_passes_its_own_tests():
    files = sorted(str(path) for path in (ROOT / "tests" / "js").glob("*.test.js"))
    ran = subprocess.run(["node", "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert files and ran.returncode == 0, ran.stdout[-6000:]


def write_golden() -> None:
    payload = build_payload(**golden_arguments())
    (GOLDEN / "overlay.bin").write_bytes(payload)
    expected = json.dumps(golden_expectation(payload), indent=1, ensure_ascii=True)
    (GOLDEN / "overlay.json").write_text(expected + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
