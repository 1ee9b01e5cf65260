"""The picture of a cell: what is sent to the browser, and the page around it."""

import json
import struct

import numpy as np
import pytest

from dashboard.cell import WINDOW, build_message, javascript
from inspector.recording import InspectorError

TEXT = 'x = "é日"\n'
TRACES = {name: np.linspace(-1, 1, len(TEXT), dtype=np.float32) for name in ("hidden", "cell")}


def unpacked(message: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    kinds = {"utf-8": np.uint8, "float32": np.float32, "uint8": np.uint8, "uint16": np.uint16}
    return header, {
        section["name"]: np.frombuffer(
            message, kinds[section["dtype"]], section["length"], 4 + length + section["offset"]
        )
        for section in header["sections"]
    }


def test_message_holds_every_signal_exactly():
    label = np.arange(len(TEXT)) > 3
    header, sections = unpacked(
        build_message(
            text=TEXT, kind="lstm", traces=TRACES, signal="cell", at=4, label=label, concept="inside a string"
        )
    )
    assert sections["text"].tobytes().decode() == TEXT and header["signals"] == ["hidden", "cell"]
    for name, values in TRACES.items():
        assert np.array_equal(sections[f"trace/{name}"], values)
    assert np.array_equal(sections["label"], label) and header["concept"] == "inside a string"
    assert header["at"] == 4 and header["offset"] == 0 and header["chars"] == len(TEXT)


def test_long_text_is_sent_in_part_around_the_position():
    text = "ab" * WINDOW
    trace = np.arange(len(text), dtype=np.float32)
    for at in (0, 9_999, len(text) - 1):
        header, sections = unpacked(
            build_message(text=text, kind="rnn", traces={"hidden": trace}, signal="hidden", at=at)
        )
        part = sections["trace/hidden"]
        assert len(part) == WINDOW == sections["text"].size and part[0] == header["offset"]
        assert part[0] <= at <= part[-1]


@pytest.mark.parametrize("wrong", [{"signal": "forget_gate"}, {"traces": {"cell": np.zeros(3)}}])
def test_what_does_not_fit_is_a_sentence(wrong):
    with pytest.raises(InspectorError):
        build_message(**({"text": TEXT, "kind": "lstm", "traces": TRACES, "signal": "cell"} | wrong))


def test_module_is_one_file_without_imports():
    source = javascript()
    assert "\nimport " not in source and source.count("export default") == 1 and "innerHTML" not in source
