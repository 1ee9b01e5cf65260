"""Memory that is used again is never that of somebody who still looks at it."""

import gc

import pytest
import torch

from inspector.capture import lending
from inspector.capture.lending import lent


@pytest.fixture(autouse=True)
def nothing_waits():
    lending._free.clear()


def test_memory_is_used_again_once_the_last_view_is_gone():
    array = lent((40, 50))
    place = array.ctypes.data
    view = torch.from_numpy(array[3:, ::2]).t()
    view.fill_(7)
    del array
    other = lent((2_000,))
    assert other.ctypes.data != place
    other[:] = 1
    assert (view == 7).all()
    del view
    gc.collect()
    assert lent((20, 100)).ctypes.data == place
    assert place % 64 == 0


def test_no_more_waits_than_is_worth_keeping(monkeypatch):
    monkeypatch.setattr(lending, "_MOST_BYTES", 10_000)
    arrays = [lent((1_000 + number,)) for number in range(5)]
    newest = arrays[-1].ctypes.data
    while arrays:
        arrays.pop(0)
    gc.collect()
    assert sum(one.nbytes for one in lending._free) <= 10_000
    assert lent((1_004,)).ctypes.data == newest


def test_a_few_numbers_more_get_the_same_memory():
    array = lent((1_000,))
    place = array.ctypes.data
    del array
    gc.collect()
    other = lent((5, 202))
    assert other.ctypes.data == place
    assert other.shape == (5, 202)
    assert other.flags.c_contiguous
