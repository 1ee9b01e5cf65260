"""What a recurrent network computes, step by step, in float64 numpy: the plain equations and nothing else.

Written apart from the program, so that both can be wrong only in different ways. It knows torch's names and order of
parameters, and none of torch's mathematics. One sequence at a time; time is the first axis inside, the last outside.
"""

from __future__ import annotations

import numpy as np

Signals = dict[str, np.ndarray]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(p, x, h, c):
    """Hochreiter and Schmidhuber (1997) with forget gate; torch stacks input, forget, candidate, output."""
    i, f, g, o = np.split(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"], 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * np.tanh(c)
    if "weight_hr" in p:
        h = p["weight_hr"] @ h
    return h, c, {"hidden": h, "cell": c, "input_gate": i, "forget_gate": f, "candidate": g, "output_gate": o}


def gru_step(p, x, h, c):
    """Cho et al. (2014) as torch has it: the reset gate acts on the candidate's recurrent part, its bias included."""
    x_r, x_z, x_n = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
    h_r, h_z, h_n = np.split(p["weight_hh"] @ h + p["bias_hh"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    h = (1 - z) * n + z * h
    return h, c, {"hidden": h, "reset_gate": r, "update_gate": z, "candidate": n}


def tanh_step(p, x, h, c):
    h = np.tanh(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"])
    return h, c, {"hidden": h}


def relu_step(p, x, h, c):
    h = np.maximum(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"], 0)
    return h, c, {"hidden": h}


STEPS = {"lstm": lstm_step, "gru": gru_step, "tanh": tanh_step, "relu": relu_step}


def run_direction(kind: str, p: dict[str, np.ndarray], inputs: np.ndarray, h=None, c=None, reverse=False) -> Signals:
    """Signals (n_steps, n_units) of one layer in one direction; `p` as in `layer_parameters`."""
    units = p["weight_hh"].shape[0] // {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}[kind]
    h = np.zeros(p["weight_hh"].shape[1]) if h is None else h
    c = np.zeros(units) if c is None else c
    seen = {}
    for t in reversed(range(len(inputs))) if reverse else range(len(inputs)):
        h, c, seen[t] = STEPS[kind](p, inputs[t], h, c)
    return {name: np.stack([seen[t][name] for t in range(len(inputs))]) for name in seen[0]}


def layer_parameters(state_dict, layer: int, reverse: bool) -> dict[str, np.ndarray]:
    """Float64 parameters of one layer and direction out of a torch RNN's state dict; absent biases are zero."""
    suffix = f"_l{layer}" + ("_reverse" if reverse else "")
    found = {key[: -len(suffix)]: value for key, value in state_dict.items() if key.endswith(suffix)}
    p = {key: value.detach().cpu().double().numpy() for key, value in found.items()}
    rows = len(p["weight_ih"])
    return {"bias_ih": np.zeros(rows), "bias_hh": np.zeros(rows)} | p


def run(kind, state_dict, inputs, n_layers=1, bidirectional=False, h0=None, c0=None) -> list[list[Signals]]:
    """All layers over one sequence `inputs` (n_steps, n_in): by layer and direction, signals (n_units, n_steps).

    h0, c0 : None for zero, or (layers x directions, width), a layer's directions side by side.
    """
    inputs = np.asarray(inputs, dtype=np.float64)
    layers = []
    for layer in range(n_layers):
        runs = []
        for reverse in (False, True)[: 1 + bidirectional]:
            i = layer * (1 + bidirectional) + reverse
            p = layer_parameters(state_dict, layer, reverse)
            first = [None if state is None else np.asarray(state[i], dtype=np.float64) for state in (h0, c0)]
            runs.append(run_direction(kind, p, inputs, *first, reverse=reverse))
        inputs = np.concatenate([run["hidden"] for run in runs], axis=1)
        layers.append(runs)
    return [[{name: values.T for name, values in run.items()} for run in runs] for runs in layers]


def log_probabilities(head_weight, head_bias, hidden: np.ndarray) -> np.ndarray:
    """Log probabilities (n_chars, n_symbols) of the next character from the last layer's hidden (n_units, n_chars)."""
    logits = hidden.T @ np.asarray(head_weight, dtype=np.float64).T + np.asarray(head_bias, dtype=np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def assert_close(found: np.ndarray, reference: np.ndarray, tolerance: float = 1e-5) -> None:
    """|found - reference| <= tolerance * (1 + |reference|) everywhere, and both are nan at the same places."""
    found, reference = np.asarray(found, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    assert found.shape == reference.shape
    assert (np.isnan(found) == np.isnan(reference)).all()
    excess = np.nan_to_num(np.abs(found - reference) / (1 + np.abs(reference)))
    worst = excess.max(initial=0)
    assert worst <= tolerance, f"off by {worst:.3g} at {np.unravel_index(excess.argmax(), excess.shape)}"
