"""Following every RNN and RNN cell inside somebody's module, without that module noticing.

Hooks keep what torch's own kernel found out while an LSTM ran with gradients on (kernel.py), and what other stacks did
layer by layer (layerwise.py). Of packed sequences, half precision and other devices they copy what an RNN was given
(input, initial state, weights where they changed) and what it answered, and signals are worked out from these copies
when they are asked for (calls.py, cells.py). In each way the values are as of the call, whatever an optimiser does
later.
"""

from __future__ import annotations

import difflib
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from inspector.capture import cells
from inspector.capture.calls import (
    Call,
    Dropped,
    LostCall,
    RNNCall,
    SeenCall,
    holds_numbers,
    initial_state,
    is_same,
    is_sequence,
    is_state,
    is_unbatched,
    time_first,
)
from inspector.capture.kernel import KernelEye, kernel_call, may_leave_signals
from inspector.capture.layerwise import LayerEye, layered_call
from inspector.capture.weights import LayerWeights, flat_weights, rnn_kind, split_weights
from inspector.recording import SIGNALS, InspectorError

Direction = Literal["forward", "reverse"]

_DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse")
_RNNS = (nn.LSTM, nn.GRU, nn.RNN)
_CELLS = tuple(cells.CELL_KINDS)
_SEEN_BYTES = 2**30  # of what was seen that one RNN's calls may keep; later calls are kept as copies, which are smaller
_OPEN_SEQUENCES = 8  # a cell may be shared by this many sequences that take turns


@contextmanager
def watch(module: nn.Module) -> Iterator[Tape]:
    """Follow every nn.LSTM, nn.GRU and nn.RNN in `module`, and every cell of them, at any depth, while the block runs.

    >>> with watch(module) as tape:
    ...     module(batch)
    >>> tape["encoder.rnn"].signal("cell", layer=0)      # float32 (batch, n_units, n_steps)

    The tape can be read inside the block and after it. Hidden states are at hand; what torch's own run did not leave is
    worked out when a signal of its layer is first read, from copies of what the call was given: inputs, states and
    weights may be written to in between, by an optimiser or through `.data`, and the gates stay those of the call. The
    module's answers, gradients, modes and random stream are those of an unwatched run, and its hooks are gone when the
    block is left, also by an exception.

    An nn.LSTMCell, nn.GRUCell or nn.RNNCell is called once per step, so its steps are put together: a step that was
    given the state of the step before it (copied, detached, with some rows reset or one part of it altered) goes on
    with the same call; one without a state, with the zero state or with any other state begins a new call, as does
    one after the weights or the batch changed. Signals are those of the states actually given.

    What torch.compile made of a module runs as it was written while the block runs. Of what has no numbers, on the meta
    device or under torch.func, calls are counted and nothing can be told.

    Raises InspectorError when there is nothing in `module` that can be followed.
    """
    if not isinstance(module, nn.Module):
        raise InspectorError(f"watch follows a torch module; it was given a {type(module).__name__}.")
    tape = Tape(module)
    with ExitStack() as hooks:
        hooks.enter_context(_uncompiled)
        for rnn in {id(watched): watched for watched in tape.values()}.values():
            for hook in rnn._follow():
                hooks.callback(hook.remove)
        yield tape


class Tape(Mapping[str, "WatchedRNN"]):
    """What was seen, by the name an RNN or a cell has in the watched module; the module itself is ""."""

    def __init__(self, module: nn.Module) -> None:
        found: dict[int, WatchedRNN] = {}
        self._by_name: dict[str, WatchedRNN] = {}
        for name, part in module.named_modules(remove_duplicate=False):  # a shared RNN answers to each of its names
            if isinstance(part, _RNNS):
                self._by_name[name] = found.setdefault(id(part), _WatchedStack(name, part))
            elif isinstance(part, _CELLS):
                self._by_name[name] = found.setdefault(id(part), _WatchedCell(name, part))
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


class WatchedRNN(ABC):
    """One RNN or cell and every call that it answered.

    name : its name in the watched module. kind : "lstm", "gru" or "rnn". n_layers : how many layers it stacks.
    directions : ("forward",) or ("forward", "reverse"). calls : tuple of Call, oldest first.
    """

    def __init__(self, name: str, kind: str, n_layers: int, directions: tuple[Direction, ...]) -> None:
        self.name, self.kind, self.n_layers, self.directions = name, kind, n_layers, directions
        self._calls: list[Call] = []
        self._weights: list[Tensor] = []

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(self._calls)

    def signal(self, name: str, layer: int = 0, direction: Direction = "forward", call: int = -1) -> np.ndarray:
        """One signal of all neurons of a layer, float32: (n_units, n_steps), or (batch, n_units, n_steps) of a batch.

        The value at step t belongs to input t, in both directions: the reverse one has then read all inputs from the
        last down to t. Steps behind the end of a packed sequence are nan. `hidden` of an LSTM with a projection is
        the projected one, which may be narrower than its cell. call : which call, counted as in a list; of a cell
        which sequence, as `watch` puts steps together.

        What train mode dropped between layers is part of the values; where it must be drawn again, which takes the
        random stream as the call found it, a GPU cannot do it, and asking for a higher layer is an InspectorError, as
        is a signal, layer, direction or call that does not exist.
        """
        return np.array(self.view(name, layer, direction, call), order="C")

    def view(self, name: str, layer: int = 0, direction: Direction = "forward", call: int = -1) -> np.ndarray:
        """As `signal`, but read-only and not copied where the values lie somewhere in memory already.

        Its strides may be any. As long as it is kept, so is all that was kept of the call.
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
            values = self._calls[call]._values(name, layer, self.directions.index(direction))
        except InspectorError as error:
            raise InspectorError(f"{here}, call {call}: {error}") from error
        values = (values[0] if self._calls[call].batch is None else values).view()
        values.flags.writeable = False
        return values

    @abstractmethod
    def _follow(self) -> list[Any]:
        """Hook in; the handles know how to unhook."""

    def _weights_changed(self, weights: list[Tensor]) -> bool:
        """Keep copies of weights that are new. By value: an optimiser that writes through `.data` leaves no mark."""
        if len(weights) == len(self._weights) and all(map(is_same, weights, self._weights)):
            return False
        self._weights = [weight.clone() for weight in weights]
        return True


class _Uncompiled:
    """While anybody watches, what is compiled runs as it was written: else hooks are passed over, or compiled too.

    Torch has one switch for all threads, so who leaves last turns it back.
    """

    def __init__(self) -> None:
        self._turn, self._n_watching, self._stance = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._turn:
            if not self._n_watching and "torch._dynamo" in sys.modules:  # else nothing is compiled, and it loads slowly
                self._stance.enter_context(torch.compiler.set_stance("force_eager"))
            self._n_watching += 1

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._n_watching -= 1
            if not self._n_watching:
                self._stance.close()


_uncompiled = _Uncompiled()


class _Running(threading.local):
    """The call that runs now in this thread."""

    stream: Tensor | None = None  # the random stream as it found it
    eye: KernelEye | LayerEye | None = None

    def __init__(self) -> None:
        self._looking = ExitStack()

    def look(self, eye: KernelEye | LayerEye) -> None:
        self.stop()
        self.eye = self._looking.enter_context(eye)

    def look_away(self) -> None:
        """What was seen stays known. Twice is once; an exception may leave the eye open until then."""
        self._looking.close()

    def stop(self) -> None:
        self.look_away()
        self.eye = None


class _WatchedStack(WatchedRNN):
    """nn.LSTM, nn.GRU or nn.RNN: every forward is a call."""

    def __init__(self, name: str, module: nn.RNNBase) -> None:
        super().__init__(name, rnn_kind(module), module.num_layers, _DIRECTIONS[: 2 if module.bidirectional else 1])
        self._module = module
        self._running = _Running()
        self._seen_bytes = 0

    def _follow(self) -> list[Any]:
        # First in line, so that it sees the module's own answer before other hooks may replace it.
        return [
            self._module.register_forward_pre_hook(_Hook(self._before)),
            self._module.register_forward_hook(_Hook(self._keep), prepend=True, with_kwargs=True),
            self._module.register_forward_hook(_Hook(self._after), always_call=True),
            _Unhook(self._after),  # what is no Exception, a keyboard's interrupt, calls no hook
        ]

    def _drops(self) -> bool:
        return self._module.training and self._module.dropout > 0 and self.n_layers > 1

    def _before(self, module: nn.RNNBase, args: tuple[Any, ...]) -> None:
        self._running.stop()
        self._running.stream = torch.get_rng_state() if self._drops() else None
        if self._seen_bytes <= _SEEN_BYTES and holds_numbers(args[0] if args else None):
            self._running.look(KernelEye() if may_leave_signals(module) else LayerEye(module))

    def _after(self, *_: Any) -> None:
        """Also when the forward raised."""
        self._running.stop()  # what was seen is kept by the call, or not at all

    def _keep(self, module: nn.RNNBase, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        self._running.look_away()
        arguments = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        given, hx = arguments.get("input"), arguments.get("hx")
        if not (is_sequence(given) and holds_numbers(given) and isinstance(answer, tuple) and is_sequence(answer[0])):
            self._calls.append(LostCall.of(given))
            return
        if (seen := self._seen(given, answer[0])) is not None:
            self._seen_bytes += seen.nbytes
            self._calls.append(seen)
        elif is_state(hx, 2 if self.kind == "lstm" else 1):
            self._calls.append(self._copied(given, hx, answer[0]))
        else:  # a subclass that takes something else there
            self._calls.append(LostCall.of(given))

    def _seen(self, given: Tensor | PackedSequence, answer: Tensor | PackedSequence) -> SeenCall | None:
        eye, module = self._running.eye, self._module
        if eye is None or not eye.runs or isinstance(given, PackedSequence) or isinstance(answer, PackedSequence):
            return None
        if isinstance(eye, LayerEye):
            with torch.inference_mode():
                return layered_call(eye.runs, self._copied_weights, given, answer.detach())
        with torch.no_grad():
            return kernel_call(split_weights(module, flat_weights(module)), eye.runs, given, answer)

    def _copied_weights(self) -> list[list[LayerWeights]]:
        self._weights_changed(flat_weights(self._module))
        return split_weights(self._module, self._weights)

    def _copied(self, given: Tensor | PackedSequence, hx: Any, answer: Tensor | PackedSequence) -> RNNCall:
        module, dropped = self._module, None
        if self._drops():
            packed = given._replace(data=given.data.detach()) if isinstance(given, PackedSequence) else None
            before, after = self._running.stream, torch.get_rng_state()
            dropped = Dropped(module.dropout, after if before is None else before, after, packed)
        with torch.inference_mode():
            weights = self._copied_weights()
            inputs, lengths = time_first(given, batch_first=module.batch_first)
            return RNNCall(
                n_steps=len(inputs),
                batch=None if is_unbatched(given) else inputs.shape[1],
                lengths=lengths,
                _signals=SIGNALS[self.kind],
                _weights=weights,
                _inputs=inputs,
                _state=initial_state(hx),
                _output=time_first(answer, batch_first=module.batch_first)[0],
                _dropped=dropped,
            )


class _Hook:
    """What torch calls around a forward. In a copy of the module, or a pickled one, it does nothing: it is the original
    that is watched, and nobody takes hooks out of a copy.
    """

    def __init__(self, call: Callable[..., None] | None = None) -> None:
        self._call = call

    def __call__(self, *seen: Any) -> None:
        if self._call is not None:
            self._call(*seen)

    def __reduce__(self) -> tuple[type[_Hook], tuple[()]]:
        return _Hook, ()


class _Unhook(NamedTuple):
    """A handle like those of torch's hooks."""

    remove: Callable[[], None]


class _WatchedCell(WatchedRNN):
    """nn.LSTMCell, nn.GRUCell or nn.RNNCell: every forward is a step, and steps that follow one another are a call."""

    def __init__(self, name: str, module: nn.RNNCellBase) -> None:
        super().__init__(name, cells.cell_kind(module), 1, _DIRECTIONS[:1])
        self._module = module
        self._reads: LayerWeights | None = None
        self._open: list[cells.CellCall] = []  # sequences that a step may still go on with, oldest first

    def _follow(self) -> list[Any]:
        return [self._module.register_forward_hook(_Hook(self._keep), prepend=True, with_kwargs=True)]

    def _keep(self, module: nn.RNNCellBase, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        arguments = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        given, hx = arguments.get("input"), arguments.get("hx")
        with torch.inference_mode():
            step = cells.copy_step(given, hx, answer) if holds_numbers(given) else None
            if step is None:
                self._calls.append(LostCall.of(given))
                return
            if self._weights_changed(cells.cell_parameters(module)) or self._reads is None:
                self._reads, self._open = cells.cell_weights(module, self._weights), []
            continued = [call for call in self._open if call.is_continued_by(step)]
            call = continued[-1] if continued else self._begin(step, self._reads)
            call.add(step)

    def _begin(self, step: cells.Step, weights: LayerWeights) -> cells.CellCall:
        batch = None if step.is_unbatched else len(step.inputs)
        call = cells.CellCall(0, batch, (), SIGNALS[self.kind], weights)
        self._calls.append(call)
        self._open = [*self._open, call][-_OPEN_SEQUENCES:]
        return call


def _choice(name: object, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(map(repr, names))}."


def _nothing_to_follow(module: nn.Module) -> str:
    """Why this module cannot be watched, and what to watch instead."""
    parts, what = list(module.modules()), f"this {type(module).__name__}"
    if any(isinstance(part, torch.jit.ScriptModule) for part in parts):
        why = (
            "it was scripted or traced, so its layers are compiled and closed. Watch the module that it was made from."
        )
    elif any(type(part).__module__.startswith("torch.ao.") for part in parts):
        why = "it is quantised, so its layers compute in whole numbers. Watch the module that it was made from."
    else:
        why = "nn.LSTM, nn.GRU, nn.RNN and their cells are what can be watched, at any depth."
    return f"There is no RNN to follow in {what}: {why}"
