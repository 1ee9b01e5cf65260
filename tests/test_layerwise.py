"""A watched stack that is run layer by layer answers to the last bit as torch's own stack does, and keeps its gates."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from inspector.capture import gru, layerwise, watch
from inspector.recording import SIGNALS
from tests import oracle

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = {
    "lstm": partial(nn.LSTM, dtype=torch.float64),  # float32 with gradients is the kernel's
    "lstm without gradients": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": partial(nn.RNN, nonlinearity="relu"),
}


@pytest.fixture(autouse=True)
def nothing_proved_yet():
    """A proof that a test spoilt must not outlive it."""
    gru._is_same_for.cache_clear()
    yield
    gru._is_same_for.cache_clear()


def run(module, steps, state, *, with_gradients):
    """Everything that a caller can see of one run: answers, how they lie in memory, gradients, the random stream."""
    torch.manual_seed(1)
    module.zero_grad()
    given = [part.detach().clone().requires_grad_(with_gradients) for part in (steps, *state)]
    with torch.set_grad_enabled(with_gradients):
        hidden, end = module(given[0], tuple(given[1:]) if len(state) > 1 else given[1])
        answers = [hidden, *(end if isinstance(end, tuple) else (end,))]
    gradients = []
    if with_gradients:
        sum(part.square().sum() for part in answers).backward()
        gradients = [part.grad for part in (*given, *module.parameters())]
    layout = [(part.stride(), part.requires_grad, part._is_view()) for part in answers]
    return [*answers, *gradients, torch.get_rng_state()], layout


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("n_units", "batch"), [(33, 1), (100, 5), (64, 6)])
@pytest.mark.parametrize(
    ("kind", "with_gradients"),
    [*((kind, False) for kind in sorted(KINDS)), *((kind, True) for kind in sorted(KINDS) if "without" not in kind)],
)
def test_answers_gradients_and_draws_are_torchs_own(kind, n_units, batch, bidirectional, dropout, with_gradients):
    torch.manual_seed(2)
    options = {"num_layers": 2, "batch_first": True, "bidirectional": bidirectional, "dropout": dropout}
    module = KINDS[kind](3, n_units, **options)
    dtype = next(module.parameters()).dtype
    steps = torch.randn(batch, 20, 3, dtype=dtype)
    rows = 4 if bidirectional else 2
    state = [torch.randn(rows, batch, n_units, dtype=dtype) for _ in range(2 if kind.startswith("lstm") else 1)]

    with watch(module) as tape:
        watched, layout = run(module, steps, state, with_gradients=with_gradients)
    plain, expected_layout = run(module, steps, state, with_gradients=with_gradients)

    assert tape[""].calls[-1].engine == "layerwise"
    assert all(map(torch.equal, watched, plain))
    assert layout == expected_layout


@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize(("n_units", "batch"), [(16, 1), (33, 5), (64, 5)])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_values_are_the_oracles_as_of_the_call(kind, n_units, batch, with_gradients):
    torch.manual_seed(2)
    module = KINDS[kind](3, n_units, bidirectional=True)
    steps = torch.randn(300, batch, 3, dtype=next(module.parameters()).dtype)
    early, weights = steps.clone(), {name: weight.clone() for name, weight in module.state_dict().items()}
    with torch.set_grad_enabled(with_gradients), watch(module) as tape:
        hidden, end = module(steps)
        for values in (steps, hidden, *(end if isinstance(end, tuple) else (end,)), *module.parameters()):
            values.data.zero_()
    name = kind.split()[0]
    for b in range(batch):
        for direction, signals in zip(
            ("forward", "reverse"), oracle.run(name, weights, early[:, b], bidirectional=True)[0], strict=True
        ):
            for signal, values in signals.items():
                oracle.assert_close(tape[""].signal(signal, direction=direction)[b], values)


@pytest.mark.parametrize("with_gradients", [True, False])
def test_a_gru_is_left_to_torch_where_its_steps_are_not_proved(with_gradients, monkeypatch):
    """A torch whose loop does something else must get its own answer all the same."""
    module, steps = nn.GRU(3, 16), torch.randn(9, 5, 3)
    name = "_noted_steps" if with_gradients else "_plain_steps"
    right, seen = getattr(gru, name), []

    def almost(*given, **options):
        hidden, gates = right(*given, **options)
        seen.append(len(hidden))
        return hidden * (1 + 2**-23), gates

    monkeypatch.setattr(gru, name, almost)
    with torch.set_grad_enabled(with_gradients):
        with watch(module) as tape:
            watched = module(steps)
        assert seen == [gru._PROVED_STEPS]
        assert all(map(torch.equal, watched, module(steps)))
    oracle.assert_close(
        tape[""].signal("candidate")[2], oracle.run("gru", module.state_dict(), steps[:, 2])[0][0]["candidate"]
    )


def test_a_gru_side_by_side_is_run_once_and_its_gates_are_kept(monkeypatch):
    seen, right = [], gru._plain_steps
    monkeypatch.setattr(gru, "_plain_steps", lambda *given, **options: seen.append(1) or right(*given, **options))
    monkeypatch.setattr("inspector.capture.layerwise.gates_from_hidden", None)
    module = nn.GRU(3, 16, num_layers=2)
    with torch.no_grad(), watch(module) as tape:
        module(torch.randn(9, 5, 3))
    assert len(seen) == 1 + 2  # the proof and the layers
    for signal in SIGNALS["gru"]:
        assert np.isfinite(tape[""].view(signal, 1)).all()


def test_no_dispatching_onlooker_is_shown_other_operations():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counts(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            counted.append(str(operation))
            return operation(*args, **(kwargs or {}))

    module, steps, found = nn.GRU(3, 4), torch.randn(5, 2, 3), []
    for watched in (False, True):
        counted: list[str] = []
        with torch.no_grad(), watch(module) as tape, Counts():
            module(steps) if watched else nn.GRU.forward(module, steps)
        found.append([name for name in counted if "sigmoid" in name or "tanh" in name])
    assert found[0] == found[1] != []
    assert tape[""].calls[-1].engine == "copies"


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_watches_within_each_other_change_nothing(kind):
    module, inputs = kind(8, 32, num_layers=2), torch.randn(6, 4, 8)
    with torch.no_grad():
        expected, _ = module(inputs)
        with watch(module) as outer, watch(module) as inner:
            answer, _ = module(inputs)
    assert torch.equal(answer, expected)
    np.testing.assert_allclose(
        outer[""].signal("hidden", layer=0), inner[""].signal("hidden", layer=0), rtol=0, atol=1e-5
    )


def test_a_stack_within_the_forward_of_another_is_left_alone():
    class Doubled(nn.GRU):
        def __init__(self):
            super().__init__(8, 32, num_layers=2)
            self.first = nn.RNN(8, 8)

        def forward(self, inputs, hx=None):
            return super().forward(self.first(inputs)[0], hx)

    module, inputs = Doubled(), torch.randn(6, 4, 8)
    with torch.no_grad():
        expected, _ = module(inputs)
        with watch(module):
            answer, _ = module(inputs)
    assert torch.equal(answer, expected)


def test_threads_that_run_one_watched_module_at_the_same_time_leave_no_mode_behind():
    module, inputs, together = nn.GRU(8, 32, num_layers=2), torch.randn(6, 4, 8), threading.Barrier(2)
    left, answers = [], []

    def run():
        with torch.no_grad():
            answers.append(module(inputs)[0])
        left.append(torch.overrides._get_current_function_mode_stack())

    def meet(*_):
        together.wait(timeout=20)

    with watch(module) as tape:
        handle = module.register_forward_pre_hook(meet)
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handle.remove()
    assert left == [[], []] and len(tape[""].calls) == 2
    assert torch.equal(answers[0], answers[1])


def test_a_bias_alone_may_want_gradients():
    module, inputs = nn.GRU(8, 32), torch.randn(6, 4, 8)
    for name, part in module.named_parameters():
        part.requires_grad_(name == "bias_hh_l0")
    gradients = []
    for follow in (contextlib.nullcontext, partial(watch, module)):
        module.zero_grad()
        with follow():
            module(inputs)[0].square().sum().backward()
        gradients.append(module.bias_hh_l0.grad.clone())
    assert torch.equal(*gradients)


@pytest.mark.filterwarnings("ignore")  # of the tracer
def test_tangents_and_traces_pass_as_without_watching():
    module, inputs = nn.GRU(8, 32), torch.randn(6, 4, 8)
    tangents = []
    for follow in (contextlib.nullcontext, partial(watch, module)):
        with follow(), forward_ad.dual_level():
            answer, _ = module(forward_ad.make_dual(inputs, torch.ones_like(inputs)))
            tangents.append(forward_ad.unpack_dual(answer).tangent)
    assert torch.equal(*tangents)
    with watch(module):
        traced = torch.jit.trace(module, (torch.randn(6, 3, 8),), check_trace=False)
    assert torch.equal(traced(inputs[:, :3])[0], module(inputs[:, :3])[0])


def test_a_mode_that_makes_tensors_elsewhere_does_not_reach_the_proof():
    module, inputs = nn.GRU(8, 47), torch.randn(6, 4, 8)
    state = torch.zeros(1, 4, 47)
    with torch.no_grad(), watch(module):
        expected, _ = module(inputs, state)
        with torch.device("meta"):
            answer, _ = module(inputs, state)
    assert torch.equal(answer, expected)


def test_with_gradients_a_gate_is_brought_together_when_it_is_first_read(monkeypatch):
    made, right = [], gru.StepByStep.whole
    monkeypatch.setattr(gru.StepByStep, "whole", lambda gate: made.append(len(gate.steps)) or right(gate))
    module, steps = nn.GRU(3, 16, 2), torch.randn(9, 5, 3)
    with watch(module) as tape:
        module(steps)[0].sum().backward()
        module.weight_hh_l0.data.zero_()
    tape[""].view("hidden")
    assert made == []
    first = tape[""].view("candidate", 1)
    assert made == [9]
    assert np.shares_memory(first, tape[""].view("candidate", 1)) and made == [9]


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_gates_are_worked_out_layer_by_layer_when_one_of_a_layer_is_first_read(make, monkeypatch):
    made, right = [], layerwise.gates_from_hidden
    monkeypatch.setattr(layerwise, "gates_from_hidden", lambda *given: made.append(given) or right(*given))
    module = make(3, 16, 2)
    with torch.no_grad(), watch(module) as tape:
        module(torch.randn(9, 1, 3))
    for layer in range(2):
        tape[""].view("hidden", layer)
    assert not made
    for name in SIGNALS[tape[""].kind]:
        tape[""].view(name, 1)
    assert len(made) == 1


LONG = """
import torch
from inspector.capture import watch

module = torch.nn.GRU(2, 4)
with watch(module) as tape:
    answer, end = module(torch.randn(30_000, 1, 2))
tape[""].view("reset_gate")
del answer, end, tape
print("freed")
"""


def test_graph_of_a_long_call_is_freed_without_overflowing_the_stack():
    done = subprocess.run([sys.executable, "-c", LONG], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "freed\n", done.stderr
