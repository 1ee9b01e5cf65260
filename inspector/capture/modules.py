"""Reading a text with somebody else's character model, whatever it is made of, and keeping what its neurons did.

    text ──► encode ──► module, watched ──► its RNNs' signals, and its logits where they can be told ──► recording

Knows nothing about how the module works: only that one of its RNNs takes one step per character.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from inspector.capture.abreast import guesses
from inspector.capture.recorder import _check_texts
from inspector.capture.tape import Tape, WatchedRNN, watch
from inspector.recording import SIGNALS, InspectorError, Layer, Recording, RecordingWriter

_Values = dict[str, np.ndarray]  # by signal, float32 (n_units, n_chars)


def record_module(
    module: nn.Module,
    text: str | Sequence[str],
    encode: Callable[[str], Any],
    *,
    symbols: Sequence[str] | None = None,
    rnn: str | Sequence[str] | None = None,
    head: Callable[[Any], Tensor] | None = None,
    forward: Callable[..., Any] | None = None,
    signals: Sequence[str] | None = None,
    dtype: Literal["float32", "float16", "int8"] = "float32",
    out: str | Path | None = None,
    names: Sequence[str] | None = None,
) -> Recording:
    """Read `text` with any torch module that takes one step per character, and keep what its neurons did.

    >>> recording = record_module(model, text, encode=lambda text: torch.tensor([[stoi[c] for c in text]]))
    >>> recording.trace(Neuron(0, 7), "cell")      # the state after each character

    text : one text, or a list of texts. Each is read by a call of its own and becomes a document.
    encode : makes of a text what the module takes: a tensor, an array or a packed sequence for a batch of one, or a
        tuple of arguments.
    symbols : the characters that the module's logits stand for, in their order, each once. With them the recording
        knows the loss and the guesses; without, the loss is nan. A symbol "\\ufffd" stands for all characters that are
        not listed; where there is none, such a character's loss is nan. Either way they are in `recording.unknown`.
    rnn : name of the RNN or cell to keep, or a list of them; None keeps every one that took a step per character.
    head : finds the logits, n_chars rows of one value per symbol, in what the module answered. None takes the answer
        itself, or the first part of a tuple.
    forward : called with the encoded text in the module's place, for a module that must be called step by step.
    signals : to keep, None for all; an RNN keeps those that it has. dtype, out, names : as of `record`.

    Every layer becomes a layer of the recording, named like `lstm.0`. So does the reverse direction of a bidirectional
    one, as `lstm.0.reverse`: mind that it has read the text from its end. `hidden` of a projected LSTM is left out, as
    its values are no single neuron's. A whole document is read at once, so memory grows with the longest one.

    The module reads in eval mode and without gradients, on the device of its parameters; modes, hooks, gradients and
    the random stream are afterwards what they were. Raises InspectorError when no RNN took a step per character.
    """
    texts, documents = _check_texts(text, names)
    table = _table(() if symbols is None else symbols)
    readings = (_read(module, content, encode, forward) for content in texts if content)
    tape, answer, content = next(readings)
    kept = _kept(tape, rnn, len(content))
    layers, rnn = _layers(kept, signals), [each.name for each in kept]  # of every text the same
    whole = "".join(texts)
    writer = RecordingWriter(
        None if out is None else Path(out),
        text=whole,
        documents=documents,
        layers=[layer for layer, _ in layers],
        dtype=dtype,
        network=type(module).__name__,
        network_hash=_hash(module),
        symbols=tuple(table) or None,
        unknown=[i for i, character in enumerate(whole) if character not in table] if table else (),
        engine="watch",
    )
    with writer:
        while True:
            predictions = _predictions(module, answer, head, content, table) if table else ()
            writer.append([values for _, values in layers], *predictions)
            if (reading := next(readings, None)) is None:
                return writer.finish()
            tape, answer, content = reading
            layers = _layers(_kept(tape, rnn, len(content)), signals)


def _read(
    module: nn.Module, text: str, encode: Callable[[str], Any], forward: Callable[..., Any] | None
) -> tuple[Tape, Any, str]:
    """Have the module read one document."""
    with watch(module) as tape, _reading(module):
        return tape, (forward or module)(*_arguments(module, encode(text))), text


@contextmanager
def _reading(module: nn.Module) -> Iterator[None]:
    """Eval mode, no gradients; afterwards every part's mode and the random stream are what they were."""
    modes = [(part, part.training) for part in module.modules()]
    streams = sorted({part.device.index for part in module.parameters() if part.is_cuda})  # and that of the CPU
    try:
        with torch.random.fork_rng(devices=streams), torch.no_grad():
            module.eval()
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _arguments(module: nn.Module, encoded: Any) -> list[Any]:
    """What `encode` made, as arguments on the module's device."""
    device = next((weight.device for weight in module.parameters()), torch.device("cpu"))
    if isinstance(encoded, PackedSequence):  # a tuple too
        return [encoded.to(device)]  # type: ignore[arg-type]  # torch's own signature names the dtype alone
    arguments = encoded if isinstance(encoded, tuple) else (encoded,)
    arrays = [torch.as_tensor(part) if isinstance(part, np.ndarray) else part for part in arguments]
    return [part.to(device) if isinstance(part, Tensor) else part for part in arrays]


def _table(symbols: Sequence[str]) -> dict[str, int]:
    """The number of each symbol."""
    table = {symbol: i for i, symbol in enumerate(symbols)}
    odd = [symbol for i, symbol in enumerate(symbols) if not isinstance(symbol, str) or table[symbol] != i]
    if odd or isinstance(symbols, Mapping | Set):
        what = f"{odd[0]!r} is no str, or is there twice" if odd else f"a {type(symbols).__name__} has no such order"
        raise InspectorError(
            f"symbols must be the characters that the logits stand for, in their order and each once: {what}. "
            "Where ids is a dict from characters to numbers, give sorted(ids, key=ids.get)."
        )
    return table


def _kept(tape: Tape, rnn: str | Sequence[str] | None, n_chars: int) -> list[WatchedRNN]:
    """The RNNs whose neurons are kept: those that are named, or all that took a step for each character."""
    named = list(tape) if rnn is None else [rnn] if isinstance(rnn, str) else list(rnn)
    if not named:
        raise InspectorError(f"rnn= names no RNN: name some of {', '.join(map(repr, tape))}, or leave it out.")
    watched = list(dict.fromkeys(tape[name] for name in named))  # a shared RNN is kept once
    steps = {each: sum(call.n_steps for call in each.calls) for each in watched}
    fitting = [
        each for each in watched if steps[each] == n_chars and all(call.batch in (None, 1) for call in each.calls)
    ]
    if not fitting or (rnn is not None and fitting != watched):
        counted = "; ".join(f"{each.name!r} took {steps[each]} in {len(each.calls)} calls" for each in watched)
        raise InspectorError(
            f"The text has {n_chars} characters, and an RNN must take one step for each, in a batch of one: {counted}. "
            "Let encode give one step per character, or name another with rnn=."
        )
    return fitting


def _layers(kept: Sequence[WatchedRNN], signals: Sequence[str] | None) -> list[tuple[Layer, _Values]]:
    """The layers to keep and their values over one document."""
    known = list(dict.fromkeys(name for each in kept for name in SIGNALS[each.kind]))
    asked = known if signals is None else [signals] if isinstance(signals, str) else list(signals)
    found = [(layer, values) for each in kept for layer, values in _layers_of(each, asked) if values]
    if not found or not set(asked) <= set(known):
        raise InspectorError(
            f"No layer has signals {', '.join(asked) or 'without a name'}: choose from {', '.join(known)}."
        )
    return found


def _layers_of(watched: WatchedRNN, asked: Sequence[str]) -> Iterator[tuple[Layer, _Values]]:
    names = [name for name in SIGNALS[watched.kind] if name in asked]
    for layer in range(watched.n_layers):
        for direction in watched.directions:
            values = {}
            for name in names:
                runs = [watched.signal(name, layer, direction, call) for call in range(len(watched.calls))]
                values[name] = np.concatenate([run.reshape(run.shape[-2:]) for run in runs], axis=1)
            n_units = watched.signal(SIGNALS[watched.kind][-1], layer, direction).shape[-2]
            values = {name: part for name, part in values.items() if len(part) == n_units}  # hidden may be projected
            title = ".".join(filter(None, [watched.name, str(layer), "reverse" * (direction == "reverse")]))
            yield Layer(title, watched.kind, n_units, tuple(values)), values


def _predictions(
    module: nn.Module, answer: Any, head: Callable[[Any], Tensor] | None, text: str, table: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss (n,), guess ids and probabilities (n, k) out of what the module answered."""
    with _reading(module):  # of which the head may be a part
        logits = head(answer) if head else answer[0] if isinstance(answer, tuple) else answer
    if not isinstance(logits, Tensor) or logits.numel() != len(text) * len(table) or logits.shape[-1] != len(table):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InspectorError(
            f"The logits must be {len(text)} rows (characters) of {len(table)} values (symbols), not {shape}. Let "
            "head= pick them out of what the module answers, or leave symbols= out to do without loss and guesses."
        )
    log_probabilities = logits.detach().reshape(len(text), len(table)).float().log_softmax(-1)
    ids = np.array([table.get(character, table.get("\ufffd", -1)) for character in text])
    loss = np.full(len(text), np.nan, np.float32)
    told = np.flatnonzero(ids[1:] >= 0) + 1
    loss[told] = -log_probabilities.cpu().numpy()[told - 1, ids[told]]
    return loss, *guesses(log_probabilities)


def _hash(module: nn.Module) -> str:
    """SHA-256 (hex) over the weights and their names: the identity that the recording remembers."""
    digest = hashlib.sha256(type(module).__name__.encode())
    for key, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, Tensor):
            continue  # a module's own extra state
        digest.update(key.encode())
        for part in _dense_parts(tensor.detach()):
            digest.update(part.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _dense_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """What a tensor holds. A sparse one is where its values are and the values: filled up it might need any memory."""
    if tensor.layout != torch.strided:
        found: Tensor = tensor.to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
        return found.indices(), *_dense_parts(found.values())
    if tensor.is_quantized:
        return (tensor.dequantize(),)
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor,)
