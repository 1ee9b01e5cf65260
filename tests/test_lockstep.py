"""Threads that each keep to their own neurons give what the equations give, however many they are, and never hang."""

import os
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from inspector.capture import lockstep as room
from inspector.capture import record, steps
from inspector.capture.engine import recompute
from inspector.capture.lockstep import lockstep, runs_in_lockstep
from inspector.capture.weights import flat_weights, split_weights
from tests import oracle
from tests.conftest import PYTHON_TEXT, tiny_model

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": partial(nn.RNN, nonlinearity="relu")}


def layer_of(module):
    return split_weights(module, [weight.detach() for weight in flat_weights(module)])[0][0]


@pytest.fixture
def threads(monkeypatch):
    """So many threads, whatever the machine has and however small the layer is."""

    def set_number(n):
        monkeypatch.setattr(room, "_SHARE_BYTES", 1)
        monkeypatch.setattr(room.os, "sched_getaffinity", lambda _: range(n), raising=False)
        monkeypatch.setattr(torch, "get_num_threads", lambda: n)

    return set_number


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("bias", "page"), [(True, room._PAGE), (False, 1)])  # sequences lie closely, or apart
@pytest.mark.parametrize("n_units", [1, 8, 45])  # less than a block, a block, blocks and a rest
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 13])  # alone, a few, and a group of rows and more than one
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_lockstep_equals_the_oracle(kind, batch, n_units, bias, page, n_threads, threads, monkeypatch):
    torch.manual_seed(n_units)
    threads(n_threads)
    monkeypatch.setattr(room, "_PAGE", page)
    module = KINDS[kind](3, n_units, bias=bias)
    inputs, state = torch.randn(150, batch, 3), torch.randn(2 if kind == "lstm" else 1, batch, n_units).unbind()
    given = inputs.clone(), *(part.clone() for part in state)
    found, end = lockstep(layer_of(module), inputs, state, ())
    for row in {0, batch // 2, batch - 1}:
        first = {name: part[row][None] for name, part in zip(("h0", "c0"), state, strict=False)}
        reference = oracle.run(kind, module.state_dict(), inputs[:, row], **first)[0][0]
        assert found.keys() == reference.keys()
        for name, values in reference.items():
            assert found[name].shape == (150, batch, n_units)
            oracle.assert_close(found[name][:, row].T, values)
    for name, part in zip(("hidden", "cell"), end, strict=False):
        assert torch.equal(part, found[name][-1])
    assert all(map(torch.equal, given, (inputs, *state)))


@pytest.mark.parametrize("batch", [1, 4, 9])
@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_number_of_threads_changes_no_bit(kind, is_half, batch, threads, monkeypatch):
    module, inputs = KINDS[kind](20, 170), torch.randn(400, batch, 20)
    if is_half:
        monkeypatch.setattr(room, "_LARGE", 0)
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(weight.half())
    weights, results = layer_of(module), []
    for n_threads in (1, 2, 5):
        threads(n_threads)
        assert len(room._shares(170, 1000)) == n_threads
        results.append(lockstep(weights, inputs, weights.zero_state(batch), ())[0])
    for other in results[1:]:
        for name, values in results[0].items():
            assert torch.equal(values, other[name])


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_number_of_sequences_side_by_side_changes_no_bit(kind, is_half, monkeypatch):
    module, inputs = KINDS[kind](20, 70), torch.randn(50, 13, 20)
    if is_half:
        monkeypatch.setattr(room, "_LARGE", 0)
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(weight.half())
    weights = layer_of(module)
    whole, _ = lockstep(weights, inputs, weights.zero_state(13), ())
    for rows in (slice(0, 2), slice(3, 8), slice(4, 13), slice(5, 6), slice(6, 9), slice(2, 6)):
        some = inputs[:, rows]
        found, _ = lockstep(weights, some, weights.zero_state(some.shape[1]), ())
        for name, values in whole.items():
            assert torch.equal(found[name], values[:, rows])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_panels_of_float16_numbers_are_half_as_large_and_change_no_bit(kind, batch, monkeypatch):
    if not room._widens_fast():
        pytest.skip("this processor has no instruction for it")
    monkeypatch.setattr(room, "_LARGE", 0)
    monkeypatch.setattr(room, "_many", lambda: 4)
    module, inputs = KINDS[kind](5, 45), torch.randn(60, batch, 5)
    assert room.Layout(layer_of(module)).recurrent_panels(batch).dtype == np.float32
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(weight.half())
    weights = layer_of(module)
    assert room.Layout(weights).recurrent_panels(batch).dtype == np.uint16
    small, _ = lockstep(weights, inputs, weights.zero_state(batch), ())
    monkeypatch.setattr(room, "_many", lambda: 1)  # rows are many
    assert room.Layout(weights).recurrent_panels(batch).dtype == np.float32
    large, _ = lockstep(weights, inputs, weights.zero_state(batch), ())
    for name, values in large.items():
        assert torch.equal(small[name], values)


def test_what_the_input_gives_does_not_depend_on_where_the_text_ends():
    weights, inputs = layer_of(nn.LSTM(19, 13)), torch.randn(40, 1, 19)
    whole, _ = lockstep(weights, inputs, weights.zero_state(1), ())
    for n in range(1, 40):
        part, _ = lockstep(weights, inputs[:n], weights.zero_state(1), ())
        assert torch.equal(part["cell"], whole["cell"][:n])


def test_activations_are_right_to_the_last_digits():
    x = np.concatenate([np.linspace(-100, 100, 20_001), np.geomspace(1e-30, 1, 2_000)]).astype(np.float32)
    zero, sigmoid, tanh = np.zeros_like(x), np.empty_like(x), np.empty_like(x)
    steps._sigmoids(x, 0, zero, 0, sigmoid, 0, len(x))
    steps._tanhs(x, 0, zero, 0, tanh, 0, len(x))
    exact = x.astype(float)
    assert np.abs(sigmoid - 1 / (1 + np.exp(-exact))).max() < 2e-7
    assert np.abs(tanh / np.where(x == 0, 1, np.tanh(exact)) - (x != 0)).max() < 5e-7
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    steps._sigmoids(odd, 0, zero, 0, out := np.empty(3, np.float32), 0, 3)
    np.testing.assert_allclose(out, [np.nan, 1, 0], atol=1e-30)
    steps._tanhs(odd, 0, zero, 0, out, 0, 3)
    np.testing.assert_allclose(out, [np.nan, 1, -1])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_no_number_stays_none_from_there_on(kind):
    weights, inputs = layer_of(KINDS[kind](3, 9)), torch.randn(12, 1, 3)
    inputs[5, 0, 1] = torch.nan
    found, _ = lockstep(weights, inputs, weights.zero_state(1), ())
    expected, _ = recompute(weights, inputs, weights.zero_state(1), tuple(found))
    for name, values in found.items():
        assert torch.equal(values.isnan(), expected[name].isnan())
        assert values.isnan().any(dim=-1)[:, 0].tolist() == [False] * 5 + [True] * 7


def test_what_has_no_place_in_lockstep_is_left_to_other_engines():
    assert runs_in_lockstep(layer_of(nn.GRU(3, 4)))
    for module in (nn.LSTM(3, 4, proj_size=2), nn.LSTM(3, 4).double(), nn.GRU(3, 4).half()):
        assert not runs_in_lockstep(layer_of(module))


def test_an_interrupt_leaves_no_thread_at_work(threads, monkeypatch):
    threads(2)
    weights, at_work, take_steps = layer_of(nn.LSTM(3, 32)), [], steps.take_steps

    def interrupted(*given):
        if given[-1] == 0:  # the caller's own thread
            raise KeyboardInterrupt
        at_work.append(1)
        take_steps(*given)
        at_work.pop()

    monkeypatch.setattr(steps, "take_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lockstep(weights, torch.randn(2_000, 1, 3), weights.zero_state(1), ())
    assert not at_work
    monkeypatch.undo()
    found, _ = lockstep(weights, torch.randn(20, 1, 3), weights.zero_state(1), ())  # and the next one has its turn
    assert len(found["cell"]) == 20


@pytest.mark.parametrize("batch", [1, 3])
def test_a_thread_that_comes_late_finds_its_work_done(batch, threads, monkeypatch):
    weights, inputs = layer_of(nn.LSTM(3, 64)), torch.randn(50, batch, 3)
    expected, _ = lockstep(weights, inputs, weights.zero_state(batch), ())
    threads(2)
    take_steps, is_done, in_time = steps.take_steps, threading.Event(), []

    def late(*given):
        if given[-1] == 1:
            in_time.append(is_done.wait(timeout=20))
        take_steps(*given)
        is_done.set()

    monkeypatch.setattr(steps, "take_steps", late)
    found, _ = lockstep(weights, inputs, weights.zero_state(batch), ())
    assert in_time == [True]
    assert torch.equal(found["cell"], expected["cell"])


def test_what_goes_wrong_in_one_thread_ends_them_all_and_is_raised(threads, monkeypatch):
    threads(2)
    take_steps = steps.take_steps

    def failing(*given):
        if given[-1] == 1:  # the second thread
            raise MemoryError("no room")
        take_steps(*given)

    monkeypatch.setattr(steps, "take_steps", failing)
    weights = layer_of(nn.LSTM(3, 64))
    with pytest.raises(MemoryError, match="no room"):
        lockstep(weights, torch.randn(500, 1, 3), weights.zero_state(1), ())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_in_the_middle_of_a_call_can_read_too():
    weights = layer_of(nn.LSTM(3, 8))
    lockstep(weights, torch.randn(5, 1, 3), weights.zero_state(1), ())
    with room._turn:  # somebody else's thread has it
        child = os.fork()
        if child == 0:
            lockstep(weights, torch.randn(5, 1, 3), weights.zero_state(1), ())
            os._exit(7)
    for _ in range(300):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
    assert done and os.waitstatus_to_exitcode(status) == 7


@pytest.mark.parametrize("kept", ["input_bias", "hidden_bias"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_one_bias_alone_is_added(kind, kept):
    both = layer_of(KINDS[kind](3, 9))
    zero = torch.zeros_like(both.input_bias)
    gone = "hidden_bias" if kept == "input_bias" else "input_bias"
    inputs = torch.randn(20, 1, 3)
    one, _ = lockstep(both._replace(**{gone: None}), inputs, both.zero_state(1), ())
    same, _ = lockstep(both._replace(**{gone: zero}), inputs, both.zero_state(1), ())
    for name, values in same.items():
        oracle.assert_close(one[name], values, 1e-6)


def test_autocast_around_it_changes_nothing():
    weights, inputs = layer_of(nn.LSTM(3, 9)), torch.randn(20, 1, 3)
    expected, _ = lockstep(weights, inputs, weights.zero_state(1), ())
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = lockstep(weights, inputs, weights.zero_state(1), ())
    assert torch.equal(found["cell"], expected["cell"])


def test_two_recordings_at_once_are_those_of_one(threads):
    threads(2)
    model, text = tiny_model(), PYTHON_TEXT * 3
    alone, found = record(model, text), {}

    def read(number):
        found[number] = record(model, text)

    readers = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=60)
        assert not reader.is_alive()
    for recording in found.values():
        np.testing.assert_array_equal(recording.window(1, "cell", 0, len(text)), alone.window(1, "cell", 0, len(text)))
    assert len(found) == 3 and alone.engine == "lockstep"
