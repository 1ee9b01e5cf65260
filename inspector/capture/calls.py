"""One call of an nn.LSTM, nn.GRU or nn.RNN: copies of what went in and came out, and the signals worked out from them.

    input, initial state, weights ──► layer by layer through the engine ──► last hidden state == the module's answer?

The answer is the proof: signals that do not reproduce it are never handed out. Knows nothing about hooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from inspector.capture.engine import recompute
from inspector.capture.engines import Engine, engine_for
from inspector.capture.weights import LayerWeights, Signals
from inspector.recording import InspectorError

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}  # of |difference| / (1 + |answer|), between us and the module
_HALF_TOLERANCE = 0.1
_REDRAWN_TOLERANCE = 1e-5  # the same where dropout was drawn again: a wrong mask may hide in small weights, this seldom
_OTHER = "it computes something else than torch's own class (a subclass with its own forward?) and cannot be followed."
_OTHERWISE = f"torch's own class is not called like this, so {_OTHER}"
_NO_NUMBERS = (
    "it ran where no numbers can be read: on the meta device, with fake tensors or under torch.func. Run it on plain "
    "tensors."
)

Reader = Callable[[str], np.ndarray]  # a signal's name ──► float32 (B, units, T)


@dataclass(eq=False)
class Call(ABC):
    """One call of a watched RNN: its number of steps, its batch (None when unbatched), the length of each sequence."""

    n_steps: int
    batch: int | None
    lengths: tuple[int, ...]

    @property
    def engine(self) -> str:
        """How its signals are come by: "copies" of what went in are run once more, or what was seen of it is enough."""
        return "copies"

    @abstractmethod
    def _values(self, name: str, layer: int, direction: int) -> np.ndarray:
        """Float32 (B, n_units, T), perhaps the very memory that this call keeps. WatchedRNN checks the arguments."""


@dataclass(eq=False)
class LostCall(Call):
    """A call of which nothing can be told, and why."""

    why: str = field(repr=False)

    @classmethod
    def of(cls, given: Any) -> LostCall:
        """given : as its input."""
        return cls(0, None, (), _OTHERWISE if holds_numbers(given) else _NO_NUMBERS)

    def _values(self, name: str, layer: int, direction: int) -> np.ndarray:
        raise InspectorError(self.why)


@dataclass(eq=False)
class SeenCall(Call):
    """A call of nn.LSTM, nn.GRU or nn.RNN of which enough was seen while it ran: nothing runs twice."""

    nbytes: int  # that it keeps alive
    _engine: str = field(repr=False)  # "kernel" or "layerwise": the file that saw it
    _runs: Sequence[Sequence[Reader]] = field(repr=False)  # by layer and direction

    @classmethod
    def of(cls, engine: str, runs: Sequence[Sequence[Reader]], answer: Tensor, hidden: Tensor, nbytes: int) -> SeenCall:
        """answer : of the module. hidden : of any layer, (T, B, units)."""
        n_steps, batch, _ = hidden.shape
        return cls(n_steps, None if is_unbatched(answer) else batch, (n_steps,) * batch, nbytes, engine, runs)

    @property
    def engine(self) -> str:
        return self._engine

    def _values(self, name: str, layer: int, direction: int) -> np.ndarray:
        return self._runs[layer][direction](name)


def is_answer(top: list[Tensor], answer: Tensor) -> bool:
    """Whether a module answered the last layer's hidden states, (T, B, units) by direction, and nothing else."""
    whole = top[0] if len(top) == 1 else torch.cat(top, dim=-1)
    shaped = answer[:, None] if answer.dim() == 2 else answer
    return any(torch.equal(whole, candidate) for candidate in (shaped, shaped.transpose(0, 1)))


@dataclass(eq=False)
class RNNCall(Call):
    """A call of nn.LSTM, nn.GRU or nn.RNN."""

    _signals: tuple[str, ...] = field(repr=False)
    _weights: list[list[LayerWeights]] = field(repr=False)
    _inputs: Tensor = field(repr=False)  # (T, B, n_in)
    _state: tuple[Tensor, ...] = field(repr=False)  # (layers x directions, B, units), once or twice; () is zero
    _output: Tensor = field(repr=False)  # (T, B, directions x units)
    _dropped: Dropped | None = field(repr=False)  # None: nothing was dropped between layers
    _found: list[list[Signals]] = field(default_factory=list, repr=False)  # by layer and direction

    def _values(self, name: str, layer: int, direction: int) -> np.ndarray:
        if not self._found:
            with torch.inference_mode(), torch.autocast(self._inputs.device.type, enabled=False):
                self._found.extend(self._run())
        if layer >= len(self._found):
            raise InspectorError(
                "it ran in train mode with dropout between its layers, and what was dropped cannot be drawn again "
                f"(it ran on {self._inputs.device.type}), so only layer 0 can be told exactly. Call module.eval() "
                "first, or set its dropout to 0."
            )
        array = by_unit(self._found[layer][direction][name])
        if min(self.lengths, default=self.n_steps) < self.n_steps:
            array = array.copy()
            for row, length in zip(array, self.lengths, strict=True):
                row[:, length:] = np.nan
        return array

    def _run(self) -> list[list[Signals]]:
        """Every signal of every layer; of the first only, where nobody can tell what was dropped behind it.

        In a network that makes much of last bits only torch's own kernel comes to the module's answer.
        """
        try:
            return self._run_by(engine_for)
        except InspectorError:
            return self._run_by(lambda layers: recompute)

    def _run_by(self, choose: Callable[[list[LayerWeights]], Engine]) -> list[list[Signals]]:
        dtype = engine_dtype(self._inputs)
        masks = self._dropped.draw_again(self._output, len(self._weights)) if self._dropped else []
        known = self._weights if masks is not None else self._weights[:1]
        inputs, found = self._inputs.to(dtype), []
        state = [part.to(dtype).unbind() for part in self._state]
        backwards = _backwards(self.n_steps, self.lengths, inputs.device)
        for layer, directions in enumerate(known):
            runs = []
            if layer and masks:
                inputs = inputs * masks[layer - 1].to(dtype)
            for i, stored in enumerate(directions):
                weights = stored.to(dtype)
                first = tuple(part[layer * len(directions) + i] for part in state)
                given = _reorder(inputs, backwards) if i else inputs
                engine = choose([weights])
                run, _ = engine(weights, given, first or weights.zero_state(inputs.shape[1]), self._signals)
                runs.append({name: _reorder(values, backwards) for name, values in run.items()} if i else run)
            found.append(runs)
            inputs = torch.cat([run["hidden"] for run in runs], dim=-1)
        if masks is not None:
            valid = torch.arange(self.n_steps)[:, None] < torch.tensor(self.lengths)
            check_answer(inputs, self._output, valid, closely=bool(masks))
        return found


@dataclass(eq=False)
class Dropped:
    """Dropout between the layers of one call: enough to draw the very same masks again.

    Torch draws one mask per layer but the last, in order, over the values as they lie in memory: (T, B, width), or the
    rows of a packed batch. Only CPU draws can be repeated; on other devices the kernel keeps its stream to itself.
    """

    p: float
    before: Tensor  # the random stream as the call found it
    after: Tensor  # and left it
    packed: PackedSequence | None  # how the rows of a packed batch lie in memory

    def draw_again(self, like: Tensor, n_layers: int) -> list[Tensor] | None:
        """Factors (T, B, width) on the inputs of layer 1 and up; None where the stream does not end as it did."""
        if like.device.type != "cpu":
            return None
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.before)
            ones = torch.ones((len(self.packed.data), like.shape[-1]) if self.packed else tuple(like.shape))
            masks = [dropout(ones, self.p, training=True) for _ in range(n_layers - 1)]
            if not torch.equal(torch.get_rng_state(), self.after):
                return None
        if self.packed:
            masks = [pad_packed_sequence(self.packed._replace(data=mask))[0] for mask in masks]
        return masks


def engine_dtype(values: Tensor) -> torch.dtype:
    """What to compute in: half precision is followed in float32."""
    return torch.float64 if values.dtype == torch.float64 else torch.float32


def by_unit(values: Tensor) -> np.ndarray:
    """(T, B, units) as float32 (B, units, T), without a copy where the values are that already."""
    array: np.ndarray = values.permute(1, 2, 0).float().cpu().numpy()
    return array


def check_answer(found: Tensor, answer: Tensor, valid: Tensor, *, closely: bool = False) -> None:
    """What we found must be what the module answered, wherever `valid` (the leading axes of both) says so."""
    tolerance = _TOLERANCE.get(answer.dtype, _HALF_TOLERANCE)
    if closely and answer.dtype in _TOLERANCE:
        tolerance = _REDRAWN_TOLERANCE
    if found.shape != answer.shape:
        raise InspectorError(f"its answer has another shape than its weights give, so {_OTHER}")
    valid = valid.to(found.device)
    ours, theirs = found[valid], answer.to(found.dtype)[valid]
    difference = ((ours - theirs).abs() / (1 + theirs.abs())).max().item() if ours.numel() else 0.0
    if not difference <= tolerance and theirs.isfinite().all():
        raise InspectorError(f"its answer differs by {difference:.2g} from what its weights give, so {_OTHER}")


def holds_numbers(given: Any) -> bool:
    """Whether what is given to a module can be copied and compared, if it is tensors at all."""
    data = given.data if isinstance(given, PackedSequence) else given
    if peek_interpreter_stack() is not None:  # torch.func transforms what runs now
        return False
    return not (isinstance(data, Tensor) and (data.is_meta or isinstance(data, FakeTensor)))


def is_sequence(given: Any) -> TypeGuard[Tensor | PackedSequence]:
    """Whether torch's RNNs could have taken it, or answered it."""
    return isinstance(given, PackedSequence) or (isinstance(given, Tensor) and given.dim() in (2, 3))


def is_unbatched(given: Tensor | PackedSequence) -> bool:
    return isinstance(given, Tensor) and given.dim() == 2


def time_first(given: Tensor | PackedSequence, *, batch_first: bool) -> tuple[Tensor, tuple[int, ...]]:
    """A copy of a sequence, a batch or a packed batch as (T, B, width), and the length of each sequence."""
    if isinstance(given, PackedSequence):
        padded, lengths = pad_packed_sequence(given)  # in the caller's order, and never a view
        return padded.detach(), tuple(lengths.tolist())
    copy = given.detach().clone()
    copy = copy[:, None] if copy.dim() == 2 else copy.transpose(0, 1) if batch_first else copy
    return copy, (len(copy),) * copy.shape[1]


def is_state(hx: Any, n_parts: int) -> bool:
    """Whether torch's own class could have taken it for the initial state, which has so many parts, or none."""
    parts = (hx,) if isinstance(hx, Tensor) else hx
    if parts is None:
        return True
    return isinstance(parts, tuple | list) and len(parts) == n_parts and all(map(is_sequence, parts))


def initial_state(hx: Any) -> tuple[Tensor, ...]:
    """Copies of a given state's parts, each (layers x directions, B, units); () where none was given."""
    parts = () if hx is None else (hx,) if isinstance(hx, Tensor) else hx
    return tuple((part[:, None] if part.dim() == 2 else part).detach().clone() for part in parts)


def is_same(weight: Tensor, kept: Tensor) -> bool:
    return weight.dtype == kept.dtype and weight.device == kept.device and torch.equal(weight, kept)


def _backwards(n_steps: int, lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """For each step and sequence the step it swaps with when every sequence is turned round within its own length."""
    step = torch.arange(n_steps, device=device)[:, None]
    mirrored = torch.tensor(lengths, device=device) - 1 - step
    return torch.where(mirrored >= 0, mirrored, step)  # (T, B)


def _reorder(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(0, order[:, :, None].expand(-1, -1, values.shape[2]))
