"""Following every nn.LSTM, nn.GRU and nn.RNN inside somebody's module, without that module noticing.

A forward hook copies what an RNN was given (input, initial state, weights where they changed) and what it answered.
Signals are worked out from these copies when they are asked for, so watching costs little and the values are as of the
call, whatever an optimiser does later. The answer is the proof: signals that do not reproduce it are never handed out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from inspector.capture.engine import LayerWeights, Signals, flat_weights, rnn_kind, split_weights
from inspector.capture.fused import engine_for
from inspector.recording import SIGNALS, InspectorError

Direction = Literal["forward", "reverse"]

_DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse")
_FOLLOWED = (nn.LSTM, nn.GRU, nn.RNN)
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}  # of |difference| / (1 + |answer|), between us and the module
_HALF_TOLERANCE = 0.1


@contextmanager
def watch(module: nn.Module) -> Iterator[Tape]:
    """Follow every nn.LSTM, nn.GRU and nn.RNN in `module`, at any depth, while the block runs.

    >>> with watch(module) as tape:
    ...     module(batch)
    >>> tape["encoder.rnn"].signal("cell", layer=0)      # float32 (batch, n_units, n_steps)

    The tape can be read inside the block and after it. The module's answers, gradients, modes and random stream are
    those of an unwatched run, and its hooks are gone when the block is left, also by an exception.
    Raises InspectorError when there is nothing in `module` that can be followed.
    """
    if not isinstance(module, nn.Module):
        raise InspectorError(f"watch follows a torch module; it was given a {type(module).__name__}.")
    if isinstance(module, torch.jit.ScriptModule):
        raise InspectorError(
            "A scripted module cannot be watched: its layers are compiled. Watch the plain module it was scripted from."
        )
    tape = Tape(module)
    with ExitStack() as hooks:
        for rnn in {id(watched): watched for watched in tape.values()}.values():
            hooks.callback(rnn._follow().remove)
        yield tape


class Tape(Mapping[str, "WatchedRNN"]):
    """What was seen, by the name an RNN has in the watched module; the module itself is ""."""

    def __init__(self, module: nn.Module) -> None:
        found: dict[nn.Module, WatchedRNN] = {}
        self._by_name: dict[str, WatchedRNN] = {}
        for name, part in module.named_modules(remove_duplicate=False):  # a shared RNN answers to each of its names
            if isinstance(part, _FOLLOWED):
                self._by_name[name] = found.setdefault(part, WatchedRNN(name, part))
        if not self._by_name:
            raise InspectorError(_nothing_to_follow(module))

    def __getitem__(self, name: str) -> WatchedRNN:
        if name not in self._by_name:
            raise InspectorError(f"The watched module has no RNN called {name!r}; {_choice(name, self._by_name)}")
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


class WatchedRNN:
    """One nn.LSTM, nn.GRU or nn.RNN and every call that it answered.

    name : its name in the watched module. kind : "lstm", "gru" or "rnn". n_layers : how many layers it stacks.
    directions : ("forward",) or ("forward", "reverse"). calls : tuple of Call, oldest first.
    """

    def __init__(self, name: str, module: nn.RNNBase) -> None:
        self.name, self.kind, self.n_layers = name, rnn_kind(module), module.num_layers
        self.directions = _DIRECTIONS[: 2 if module.bidirectional else 1]
        self._module = module
        self._calls: list[Call] = []
        self._weights: list[Tensor] = []

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls)

    def signal(self, name: str, layer: int = 0, direction: Direction = "forward", call: int = -1) -> np.ndarray:
        """One signal of all neurons of a layer, float32: (n_units, n_steps), or (batch, n_units, n_steps) of a batch.

        The value at step t belongs to input t, in both directions: the reverse one has then read all inputs from the
        last down to t. Steps behind the end of a packed sequence are nan. `hidden` of an LSTM with a projection is
        the projected one, which may be narrower than its cell. call : which call, counted as in a list.

        In train mode torch drops outputs between layers at random; only layer 0 can then be told exactly, and asking
        for a higher one is an InspectorError, as is a signal, layer, direction or call that does not exist.
        """
        here = f"The {self.kind.upper()} {self.name!r}"
        known = SIGNALS[self.kind]
        if name not in known:
            raise InspectorError(f"{here} has no signal {name!r}; {_choice(name, known)}")
        if not 0 <= layer < self.n_layers:
            raise InspectorError(f"{here} has no layer {layer}: it has {self.n_layers}, counted from 0.")
        if direction not in self.directions:
            raise InspectorError(f"{here} has no direction {direction!r}; {_choice(direction, self.directions)}")
        if not -len(self._calls) <= call < len(self._calls):
            raise InspectorError(f"{here} has no call {call}: it was called {len(self._calls)} times in the block.")
        try:
            return self._calls[call]._signal(name, layer, self.directions.index(direction))
        except InspectorError as error:
            raise InspectorError(f"{here}, call {call}: {error}") from error

    def _follow(self) -> Any:
        # First in line, so that it sees the module's own answer before other hooks may replace it.
        return self._module.register_forward_hook(partial(self._keep), prepend=True, with_kwargs=True)

    def _keep(self, module: nn.RNNBase, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        with torch.inference_mode():
            weights = flat_weights(module)
            # Compared by value: an optimiser that writes through `.data` leaves no other mark.
            if len(weights) != len(self._weights) or not all(map(_is_same, weights, self._weights)):
                self._weights = [weight.clone() for weight in weights]
            inputs, lengths = _time_first(given["input"], module.batch_first)
            output, _ = _time_first(answer[0], module.batch_first)
            self._calls.append(
                Call(
                    n_steps=len(inputs),
                    batch=None if _is_unbatched(given["input"]) else inputs.shape[1],
                    lengths=lengths,
                    _signals=SIGNALS[self.kind],
                    _weights=split_weights(module, self._weights),
                    _inputs=inputs,
                    _state=_initial_state(given.get("hx")),
                    _output=output,
                    _dropped=module.training and module.dropout > 0 and module.num_layers > 1,
                )
            )


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a watched RNN: its number of steps, its batch (None when unbatched), the length of each sequence."""

    n_steps: int
    batch: int | None
    lengths: tuple[int, ...]
    _signals: tuple[str, ...] = field(repr=False)
    _weights: list[list[LayerWeights]] = field(repr=False)
    _inputs: Tensor = field(repr=False)  # (T, B, n_in)
    _state: tuple[Tensor, ...] = field(repr=False)  # (layers x directions, B, units), once or twice; () is zero
    _output: Tensor = field(repr=False)  # (T, B, directions x units)
    _dropped: bool = field(repr=False)
    _found: list[list[Signals]] = field(default_factory=list, repr=False)  # by layer and direction

    def _signal(self, name: str, layer: int, direction: int) -> np.ndarray:
        if self._dropped and layer > 0:
            raise InspectorError(
                "it ran in train mode with dropout between its layers, so only layer 0 can be told exactly. Call "
                "module.eval() first, or set its dropout to 0."
            )
        if not self._found:
            with torch.inference_mode(), torch.autocast(self._inputs.device.type, enabled=False):
                self._found.extend(self._run())
        values = self._found[layer][direction][name]  # (T, B, units)
        array = np.array(values.permute(1, 2, 0).float().cpu().numpy(), order="C")  # a copy for the caller
        for row, length in zip(array, self.lengths, strict=True):
            row[:, length:] = np.nan
        return array[0] if self.batch is None else array

    def _run(self) -> list[list[Signals]]:
        """Every signal of every layer; of the first only, where dropout hides what the others were given."""
        dtype = torch.float64 if self._inputs.dtype == torch.float64 else torch.float32
        inputs, found = self._inputs.to(dtype), []
        state = [part.to(dtype).unbind() for part in self._state]
        backwards = _backwards(self.n_steps, self.lengths, inputs.device)
        for layer, directions in enumerate(self._weights[:1] if self._dropped else self._weights):
            runs = []
            for i, stored in enumerate(directions):
                weights = stored.to(dtype)
                first = tuple(part[layer * len(directions) + i] for part in state)
                given = _reorder(inputs, backwards) if i else inputs
                engine = engine_for([weights], inputs.shape[1])
                run, _ = engine(weights, given, first or weights.zero_state(inputs.shape[1]), self._signals)
                runs.append({name: _reorder(values, backwards) for name, values in run.items()} if i else run)
            found.append(runs)
            inputs = torch.cat([run["hidden"] for run in runs], dim=-1)
        if not self._dropped:
            self._check(inputs)
        return found

    def _check(self, hidden: Tensor) -> None:
        """The last layer's hidden states must be what the module answered."""
        valid = torch.arange(self.n_steps)[:, None] < torch.tensor(self.lengths)
        ours, answer = hidden[valid], self._output.to(hidden.dtype)[valid]
        difference = ((ours - answer).abs() / (1 + answer.abs())).max().item() if ours.numel() else 0.0
        if not difference <= _TOLERANCE.get(self._output.dtype, _HALF_TOLERANCE) and answer.isfinite().all():
            raise InspectorError(
                f"its answer differs by {difference:.2g} from what its weights give, so it computes something else "
                "than torch's own nn.LSTM, nn.GRU or nn.RNN (a subclass with its own forward?) and cannot be followed."
            )


def _is_unbatched(given: Tensor | PackedSequence) -> bool:
    return isinstance(given, Tensor) and given.dim() == 2


def _time_first(given: Tensor | PackedSequence, batch_first: bool) -> tuple[Tensor, tuple[int, ...]]:
    """A copy of a sequence, a batch or a packed batch as (T, B, width), and the length of each sequence."""
    if isinstance(given, PackedSequence):
        padded, lengths = pad_packed_sequence(given)  # in the caller's order, and never a view
        return padded.detach(), tuple(lengths.tolist())
    copy = given.detach().clone()
    copy = copy[:, None] if copy.dim() == 2 else copy.transpose(0, 1) if batch_first else copy
    return copy, (len(copy),) * copy.shape[1]


def _initial_state(hx: Any) -> tuple[Tensor, ...]:
    parts = () if hx is None else (hx,) if isinstance(hx, Tensor) else hx
    return tuple((part[:, None] if part.dim() == 2 else part).detach().clone() for part in parts)


def _is_same(weight: Tensor, kept: Tensor) -> bool:
    return weight.dtype == kept.dtype and weight.device == kept.device and torch.equal(weight, kept)


def _backwards(n_steps: int, lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """For each step and sequence the step it swaps with when every sequence is turned round within its own length."""
    step = torch.arange(n_steps, device=device)[:, None]
    mirrored = torch.tensor(lengths, device=device) - 1 - step
    return torch.where(mirrored >= 0, mirrored, step)  # (T, B)


def _reorder(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(0, order[:, :, None].expand(-1, -1, values.shape[2]))


def _choice(name: object, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(map(repr, names))}."


def _nothing_to_follow(module: nn.Module) -> str:
    cells = sorted({type(part).__name__ for part in module.modules() if isinstance(part, nn.RNNCellBase)})
    scripted = any(isinstance(part, torch.jit.ScriptModule) for part in module.modules())
    why = "nn.LSTM, nn.GRU and nn.RNN are what can be watched"
    if cells:
        why += f"; single cells ({', '.join(cells)}) called in a loop are not"
    elif scripted:
        why += "; scripted parts are compiled and closed, so watch the plain module they were scripted from"
    return f"There is no RNN to follow in this {type(module).__name__}: {why}."
