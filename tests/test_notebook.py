"""What shows itself in a notebook: escaped, capped, in the overlay's colours; and the example notebook."""

import html
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.notebook import MOST_CHARS, MOST_ROWS, ranking, show
from dashboard.palette import colour_index, ink, lut, scale_for
from inspector.capture import record
from inspector.recording import Document, InspectorError, Layer, RecordingWriter
from tests.conftest import tiny_model

NOTEBOOK = Path(__file__).parent.parent / "examples" / "charscope.ipynb"
HOSTILE = "<script>alert(1)</script>\n\t'&quot;' 👩 \u202e\0"


def recorded(text: str):
    values = np.linspace(-1, 1, 2 * len(text)).astype(np.float32).reshape(2, -1)
    layers, documents = [Layer("<b>", "rnn", 2, ("hidden",))], [Document("<i>a</i>", 0, len(text))]
    writer = RecordingWriter(None, text=text, documents=documents, layers=layers, network="<u>net</u>", symbols=None)
    writer.append([{"hidden": values}])
    return writer.finish()


def test_letters_have_the_colours_of_their_values_and_stay_text():
    recording = recorded(HOSTILE)
    shown = show(recording, "0:1", "hidden")._repr_html_()
    spans = re.findall(r"<span style='background:rgb\((.*?)\);color:rgb\((.*?)\)'>(.*?)</span>", shown, re.DOTALL)
    trace = recording.trace("0:1", "hidden")
    entries = colour_index(trace, scale_for("hidden", trace))
    assert "".join(html.unescape(letters) for *_, letters in spans) == HOSTILE.replace("\n", "↵\n").replace("\0", "␀")
    expected = [entries[0]] + [two for one, two in itertools.pairwise(entries) if one != two]
    for table, column in ((lut, 0), (ink, 1)):
        colours = [[int(part) for part in span[column].split(",")] for span in spans]
        assert colours == table("teal-orange", "diverging")[expected].tolist()
    assert not any("<" in letters for *_, letters in spans)


def test_long_texts_are_cut_with_a_note():
    recording = recorded("ab" * MOST_CHARS)
    shown = show(recording, "0:0")._repr_html_()
    assert f"and {MOST_CHARS:,} more characters" in shown and shown.count("a") < 1.5 * MOST_CHARS * 2
    assert "more characters" not in show(recording, "0:0", start=5, stop=9)._repr_html_()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neuron": "0:2"}, "0:2"),
        ({"signal": "cell"}, "cell"),
        ({"palette": "pink"}, "teal-orange"),
        ({"stop": 99}, "nothing"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(options, words):
    with pytest.raises(InspectorError, match=words):
        show(recorded("abc"), **({"neuron": "0:0"} | options))


def test_recording_shows_itself_without_markup_from_outside():
    shown = recorded(HOSTILE)._repr_html_()
    assert "&lt;u&gt;net" in shown and "&lt;i&gt;a" in shown and f"{len(HOSTILE)} characters" in shown
    assert not re.search(r"<(?!/?(table|tr|th|td)\b)", shown)


def test_ranking_is_capped_and_escaped():
    row = {
        "layer": 1, "unit": 2, "signal": "<b>cell", "polarity": 1, "score": 0.9, "metric": "auroc", "choose_score": 0.9,
        "baseline": 0.5, "twin_score": 0.6, "q_value": 0.001, "threshold": 0.1, "f1": 0.8, "average_precision": 0.7,
    }  # fmt: skip
    shown = ranking(pd.DataFrame([row] * (MOST_ROWS + 3)))._repr_html_()
    assert shown.count("1:2") == MOST_ROWS and "and 3 more rows" in shown
    assert "&lt;b&gt;cell" in shown and "<b>" not in shown and "AUROC 0.90, chance 0.50" in shown


@pytest.mark.slow
def test_example_notebook_runs_from_top_to_bottom(monkeypatch, one_thread):
    """Its code cells in order, in one namespace: what a kernel does; the last value of a cell shows itself."""
    monkeypatch.chdir(NOTEBOOK.parent)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    namespace, shown = {}, []
    for cell in cells:
        *before, last = "".join(cell["source"]).rsplit("\n", 1)
        exec("\n".join(before), namespace)
        shown.append(eval(last, namespace))
    assert [hasattr(value, "_repr_html_") for value in shown] == [True, True, True, False]
    assert "inside" in NOTEBOOK.read_text("utf-8") and "AUROC" in shown[1]._repr_html_()
    assert "background:rgb" in shown[2]._repr_html_() and 20_000 < shown[3] < 5_000_000
    assert all(not cell["outputs"] for cell in cells)


def test_recordings_of_a_network_show_themselves(one_thread):
    assert "tiny-lstm" in record(tiny_model(), "def shout", names=["a.py"])._repr_html_()
