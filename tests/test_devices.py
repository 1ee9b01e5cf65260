"""What a GPU would do, as far as it can be told without one; what takes one is skipped where there is none."""

import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from inspector.capture import BatchReader, engine, record, watch
from inspector.capture.lanes import Lanes
from inspector.capture.network import Network
from inspector.recording import SIGNALS
from tests.conftest import PYTHON_TEXT, tiny_model

KINDS = ("lstm", "gru", "rnn")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


@pytest.mark.parametrize("n_steps", [1, 2, 3, 64, 1000])
def test_the_scan_of_a_gpu_is_the_loop_of_a_cpu(n_steps):
    torch.manual_seed(n_steps)
    keep, add = torch.rand(n_steps, 3, 5).sigmoid(), torch.randn(n_steps, 3, 5)
    keep[n_steps // 2, 0], keep[:, 1, 0] = 0, 1  # forgotten all at once, and never
    first, given = torch.randn(3, 5), (keep.clone(), add.clone())
    found = engine._scan_by_doubling(keep, add, first)
    assert torch.equal(keep, given[0]) and torch.equal(add, given[1])
    expected = engine._scan(keep.double(), add.double(), first.double())
    assert ((found - expected).abs() <= 1e-6 * (1 + expected.abs())).all()


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_go_to_where_the_network_is(kind, monkeypatch):
    """A tensor on "meta" has a place but no values; two of different places do not mix, as between CPU and GPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which "meta" does not know
    model = tiny_model(kind=kind).to("meta")
    found = Lanes(Network(model), 2).read(torch.zeros(2, 7, dtype=torch.long), SIGNALS[kind])
    parts = [*found.signals[0].values(), found.loss, found.log_probabilities]
    assert {part.device.type for part in parts} == {"meta"}


@pytest.mark.parametrize(
    "switch",
    [
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.set_float32_matmul_precision('high')",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.cudnn.rnn.fp32_precision = 'ieee'",
    ],
)
def test_whoever_allows_tf32_getsall_bits_here_and_his_own_choice_back(switch):
    """In a process of its own: some of these switches cannot be undone."""
    script = f"""
import torch
from inspector.capture.arithmetic import all_bits, precision
{switch}
places = torch.backends.cudnn.rnn, torch.backends.cuda.matmul
before = [place.fp32_precision for place in places]
with all_bits():
    assert [place.fp32_precision for place in places] == ["ieee", "ieee"]
assert [place.fp32_precision for place in places] == before
print(len(precision()))
"""
    if not hasattr(torch.backends.cudnn, "rnn"):
        pytest.skip("this torch has the older switches only")
    subprocess.run([sys.executable, "-c", script], check=True)


@GPU
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_records_the_same(kind):
    model = tiny_model(kind=kind)
    texts = [PYTHON_TEXT[:300], PYTHON_TEXT[20:120], PYTHON_TEXT[:200]]
    for text in (texts[0], texts):
        expected = record(model.cpu(), text)
        found = record(model.cuda(), text)
        for layer, here in enumerate(expected.layers):
            for name in here.signals:
                ours, theirs = (one.window(layer, name, 0, expected.n_chars) for one in (found, expected))
                np.testing.assert_allclose(ours, theirs, atol=1e-4)


@GPU
@pytest.mark.parametrize("kind", KINDS)
def test_documents_read_on_a_gpu_go_on_where_they_were_left(kind):
    model = tiny_model(kind=kind)
    texts, signals = [PYTHON_TEXT[:300], PYTHON_TEXT[20:120]], SIGNALS[kind]
    expected = [stretch.loss for stretch in BatchReader(model.cpu(), texts, signals, lanes=2)]
    reader = BatchReader(model.cuda(), texts, signals, lanes=2)
    losses = [next(iter(reader)).loss]
    other = BatchReader(model, texts, signals, lanes=2)
    other.restore(reader.state())
    losses += [stretch.loss for stretch in other]
    np.testing.assert_allclose(np.concatenate(losses), np.concatenate(expected), atol=1e-4)


@GPU
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_watch_follows_a_module_on_a_gpu(make):
    module, steps = make(3, 16, 2, bidirectional=True), torch.randn(20, 4, 3)
    with torch.no_grad():
        with watch(module) as expected:
            module(steps)
        with watch(module.cuda()) as found:
            module(steps.cuda())
    for name in SIGNALS[found[""].kind]:
        for layer in range(2):
            np.testing.assert_allclose(found[""].signal(name, layer), expected[""].signal(name, layer), atol=1e-4)
