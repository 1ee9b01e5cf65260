"""The signals of an LSTM layer for nothing: out of the workspace that torch's own CPU kernel fills as it learns.

On a CPU torch leaves LSTMs to oneDNN. Its kernel, run as if for training, keeps in a workspace of float32 what a
backward pass would want to know, among it all gates, activated, and all cell states:

    gates [time][batch][i f g o, and padding]    ...    cell states, from a page's start: [2][1 + time][batch][unit]

The end state's slot stays empty: it goes to the kernel's answer alone, and is put there by `signals_in`.

No document promises this layout. So it is proved by `is_proved` before it is used, on a random layer of the same
shape against the plain equations, and looked at again in every run; where it does not hold, `UnknownLayout` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from inspector.capture.arithmetic import precision
from inspector.capture.weights import LayerWeights, Signals, State
from inspector.recording import SIGNALS

_GATES = ("input_gate", "forget_gate", "candidate", "output_gate")  # as they lie in a row
_LINE = 16  # floats in the 64 bytes to which oneDNN rounds a row up
_PAGE = 1024  # floats in the 4096 bytes at which oneDNN starts a part of the workspace
_LSTM = 2  # torch's number for the mode of mkldnn_rnn_layer
_TOLERANCE = 1e-5  # of |difference| / (1 + |value|)
_PROVED_LENGTHS = (1, 2, 7)  # steps; where the cell states start depends on the length, so one would prove little
_SMALL = 2**16  # cell states, up to which all are looked at: there they begin at other places than in a large layer
_N_LOOKS = 16  # steps of every run, each in one row of the batch, at which its own equations are checked


class UnknownLayout(Exception):
    """The workspace does not hold what it was thought to."""


def is_proved(weights: LayerWeights, batch: int) -> bool:
    """Whether a run of this layer leaves a workspace that `signals_in` can read."""
    return (
        weights.kind == "lstm"
        and weights.projection is None
        and all((part.device.type, part.dtype) == ("cpu", torch.float32) for part in weights[1:] if part is not None)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        # What may choose another kernel, or other numbers, is part of the key.
        and _is_proved_for(*weights.input_weight.shape, batch, torch.get_num_threads(), precision())
    )


@cache
def _is_proved_for(n_rows: int, n_in: int, batch: int, *_settings: object) -> bool:
    """Whether the workspace of a random layer of this shape holds what the plain equations give."""
    n_units = n_rows // 4
    random = torch.Generator().manual_seed(n_units)  # of its own: the caller's random stream is not touched

    def normal(*shape: int, width: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float32, device="cpu").mul_(width)

    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        scale = n_units**-0.5
        kernels = normal(n_rows, n_in, width=n_in**-0.5), normal(n_rows, n_units, width=scale)
        weights = LayerWeights("lstm", *kernels, normal(n_rows), normal(n_rows))
        for length in _PROVED_LENGTHS:
            inputs, state = normal(length, batch, n_in), (normal(batch, n_units), normal(batch, n_units))
            try:
                found, end = _run(weights, inputs, state)
            except (UnknownLayout, RuntimeError):  # RuntimeError: torch has no such kernel here
                return False
            expected = _plain_equations(weights, inputs, state)
            last = (expected["hidden"][-1], expected["cell"][-1])
            if not all(map(_is_close, [*found.values(), *end], [*(expected[name] for name in found), *last])):
                return False
    return True


def _plain_equations(weights: LayerWeights, inputs: Tensor, state: State) -> Signals:
    """What a layer computes, step by step, in float64."""
    w, u, b, d = (part.double() for part in weights[1:5])  # type: ignore[union-attr]  # all are tensors here
    h, c = (part.double() for part in state)
    seen = []
    for x in inputs.double():
        i, f, g, o = (x @ w.t() + b + h @ u.t() + d).chunk(4, dim=-1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        seen.append((h, c, i, f, g, o))
    names = ("hidden", "cell", "input_gate", "forget_gate", "candidate", "output_gate")
    return dict(zip(names, map(torch.stack, zip(*seen, strict=True)), strict=True))


def _run(weights: LayerWeights, inputs: Tensor, state: State) -> tuple[Signals, State]:
    parts = [part.detach() for part in weights[1:5] if isinstance(part, Tensor)]
    if weights.input_bias is None:
        parts += [parts[0].new_zeros(len(parts[0]))] * 2
    first = [part[None].contiguous() for part in state]
    n_units = parts[1].shape[1]
    options: tuple[object, ...] = (
        False,
        [],
        _LSTM,
        n_units,
        1,
        True,
        False,
        False,
        True,
    )  # forwards, one layer, time first, training
    kernel: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor | None]] = torch.mkldnn_rnn_layer
    with torch.enable_grad():  # or there is no workspace; nothing here asks for a gradient, so no graph is kept
        hidden, *end, workspace = kernel(inputs.detach().contiguous(), *parts, *first, *options)
    last_hidden, last_cell = (part.reshape(-1, n_units) for part in end if part is not None)
    return signals_in(workspace, hidden, state[1], last_cell), (last_hidden, last_cell)


def signals_in(workspace: Tensor | None, hidden: Tensor, cell_before: Tensor, last_cell: Tensor) -> Signals:
    """All signals, (steps, batch, units), of a run that answered `hidden`, between these two cell states.

    Cell and gates are views of the workspace. Raises UnknownLayout where they are not what the equations say.
    """
    if workspace is None or workspace.nbytes % 4 or workspace.storage_offset():
        raise UnknownLayout
    floats = workspace.view(torch.float32)
    n_steps, batch, n_units = hidden.shape
    row = _row_length(4 * n_units)
    if len(floats) < n_steps * batch * row:
        raise UnknownLayout
    gates = floats.as_strided((n_steps, batch, 4, n_units), (batch * row, row, n_units, 1)).unbind(2)
    named = dict(zip(_GATES, gates, strict=True))
    if n_steps == 1:
        signals = {"hidden": hidden, "cell": last_cell[None]} | named
        if _holds(signals, cell_before):
            return signals
        raise UnknownLayout
    first_cell = named["forget_gate"][0] * cell_before + named["input_gate"][0] * named["candidate"][0]
    size, unit_row = batch * n_units, _row_length(n_units)
    first, n_behind = (n_steps + 2) * size, (n_steps - 1) * size
    # Gates, hidden states and a third part, each from a page on, lie in front where a layer is large.
    parts = (n_steps * row, 2 * (n_steps + 1) * unit_row, n_steps * unit_row)
    likely = first + sum(-(-batch * part // _PAGE) * _PAGE for part in parts)
    # More than one place may begin like the cell states: memory keeps what an earlier run left in it.
    for start in _places(floats, first_cell.flatten(), first, n_behind, likely):
        cell = floats[start : start + n_steps * size].view(n_steps, batch, n_units)
        behind = cell.numpy()[-1].copy()
        cell.numpy()[-1] = last_cell.numpy()  # through numpy: a graph that holds the workspace need not mind
        signals = {"hidden": hidden, "cell": cell} | named
        if _holds(signals, cell_before, everywhere=start != likely or cell.numel() <= _SMALL):
            return signals
        cell.numpy()[-1] = behind
    raise UnknownLayout


def _row_length(n: int) -> int:
    """Floats from row to row: whole cache lines, and not a multiple of 256, which would crowd the cache's sets."""
    rounded: int = -(-n // _LINE) * _LINE
    return rounded + _LINE if rounded % 256 == 0 else rounded


def _places(floats: Tensor, wanted: Tensor, first: int, n_behind: int, likely: int) -> Iterator[int]:
    """Those of the places `first`, `first` + a page, ... that hold `wanted`, with room for `n_behind` floats behind it.

    The `likely` one comes first: going through all of a large workspace takes longer than the rest together.
    """
    last = len(floats) - len(wanted) - n_behind
    if likely <= last and _is_close(floats[likely : likely + len(wanted)], wanted):
        yield likely
    heads = floats[first : max(last + 1, 0) : _PAGE]
    for page in ((heads - wanted[0]).abs() <= _TOLERANCE * (1 + wanted[0].abs())).nonzero().flatten().tolist():
        place = first + page * _PAGE
        if place != likely and _is_close(floats[place : place + len(wanted)], wanted):
            yield int(place)


def _holds(signals: Signals, cell_before: Tensor, *, everywhere: bool = False) -> bool:
    """h = o * tanh(c) and c_t = f * c_{t-1} + i * g must hold at the first step, the last, and some between, or all.

    Everywhere, where an earlier run may have left cell states that are the same but for what was written over since.
    """
    n_steps, batch, _ = signals["cell"].shape
    if everywhere:
        h, c, i, f, g, o = (signals[name] for name in SIGNALS["lstm"])
        return _is_close(h, o * c.tanh()) and _is_close(c, f * torch.cat([cell_before[None], c[:-1]]) + i * g)
    steps = torch.linspace(0, n_steps - 1, min(n_steps, _N_LOOKS)).long()
    rows = torch.arange(len(steps)) % batch
    h, c, i, f, g, o = (signals[name][steps, rows] for name in SIGNALS["lstm"])
    before = signals["cell"][(steps - 1).clamp_(min=0), rows]
    before[0] = cell_before[0]  # the first of `steps` and `rows` is 0
    return _is_close(h, o * c.tanh()) and _is_close(c, f * before + i * g)


def _is_close(found: Tensor, expected: Tensor) -> bool:
    """False also where either is not finite."""
    return bool(((found - expected).abs() <= _TOLERANCE * (1 + expected.abs())).all())
