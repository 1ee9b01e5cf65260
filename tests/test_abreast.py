"""Values of texts that are read side by side land where a recording keeps them, rounded as numpy rounds them."""

import numpy as np
import pytest
import torch

from inspector.capture.abreast import Columns
from inspector.recording import STRETCH, InspectorError, Layer, RecordingWriter

SPANS = np.array([[0, 0, STRETCH - 20, 40], [2, 5, STRETCH + 20, 33]])  # the first lies across two stretches


def values_of(n_units=37):
    """(steps, lanes, units), a part of rows that are longer, as in a kernel's workspace."""
    random = torch.Generator().manual_seed(1)
    values = torch.randn(40, 3, n_units + 5, generator=random) * 10.0 ** torch.randint(-9, 4, (40, 1, 1))
    return values[..., 2 : 2 + n_units]


def put(values, dtype):
    columns = Columns(STRETCH - 20, STRETCH + 53, [values.shape[-1]], ["hidden"], dtype)
    for start in (0, 16, 32):  # as a kernel's workspaces come
        columns.put(SPANS, 0, start, {"hidden": values[start : start + 16]})
    return columns


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("as_given", [torch.Tensor.float, torch.Tensor.double])
@pytest.mark.parametrize("n_units", [37, 5])
def test_each_value_is_put_at_its_neuron_and_its_character(dtype, as_given, n_units):
    values = values_of(n_units)
    columns = put(as_given(values), dtype)
    assert [(piece.start, piece.stop) for piece in columns.pieces] == [
        (STRETCH - 20, STRETCH),
        (STRETCH, STRETCH + 53),
    ]
    found = np.concatenate([piece.values[0]["hidden"] for piece in columns.pieces], axis=1)
    expected = torch.cat([values[:40, 0], values[5:38, 2]]).numpy().T.astype(dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_a_value_that_float16_cannot_hold_is_a_sentence():
    values = values_of()
    values[3, 0, 7] = 65520.0  # which would be rounded to infinity
    with pytest.raises(InspectorError, match=r"hidden in layer 0 is too large for float16: record with"):
        put(values, "float16")


def test_what_is_infinite_stays_so_and_what_lies_behind_a_text_is_nobodys():
    values = values_of()
    values[3, 0, 7], values[4, 0, 8], values[2, 1, 0], values[1, 2, 0] = np.inf, np.nan, 1e9, 1e9
    found = put(values, "float16").pieces[0].values[0]["hidden"]
    assert found[7, 3] == np.inf and np.isnan(found[8, 4])


@pytest.mark.parametrize("start", [0, 100])
def test_a_given_stretch_is_kept_as_it_is_and_any_other_is_copied(start):
    writer = RecordingWriter(text="a" * (STRETCH + start), layers=[Layer("rnn.0", "rnn", 3, ("hidden",))])
    if start:
        writer.append([{"hidden": np.zeros((3, start), np.float32)}])
    values = np.arange(3 * STRETCH, dtype=np.float32).reshape(3, STRETCH)
    writer.append([{"hidden": values}], is_given=True)
    recording = writer.finish()
    np.testing.assert_array_equal(recording.trace("0:1")[start:], values[1])
    assert np.shares_memory(recording._store.rows(0, (0, "hidden"), 0, 3), values) == (start == 0)
