"""A character-level recurrent network, its vocabulary, and the folder it is kept in.

    characters ──► one-hot (or embedding) ──► stacked LSTM | GRU | RNN ──► linear ──► logits of the next character

Owns: the architecture, the unknown symbol, the checkpoint folder and every check on loading one.
Knows nothing about: training schedules, recordings, concepts.

A checkpoint is a folder with `config.json`, `model.safetensors`, `vocab.json` and `README.md`. Nothing in it is
ever run: weights come through safetensors, which holds numbers only.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inspector.recording import InspectorError

FORMAT_VERSION = 1
UNKNOWN = "\ufffd"
Kind = Literal["lstm", "gru", "rnn"]
State = Tensor | tuple[Tensor, Tensor]  # (layers, batch, units), twice for an LSTM

_RNN_CLASSES: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Vocabulary:
    """The characters a network knows. Symbol 0 stands for every character it does not know.

    >>> Vocabulary.from_text("hello").encode("hex").tolist()
    [2, 1, 0]

    symbols : the unknown symbol first, then one string of one code point each, all different.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        if not self.symbols or self.symbols[0] != UNKNOWN:
            raise InspectorError("A vocabulary starts with the unknown symbol U+FFFD; this one does not.")
        odd = [symbol for symbol in self.symbols if not isinstance(symbol, str) or len(symbol) != 1]
        if odd:
            raise InspectorError(f"A vocabulary holds single characters; {odd[0]!r} is not one.")
        if len(set(self.symbols)) != len(self.symbols):
            raise InspectorError("A vocabulary names each character once; this one repeats some.")
        code_points = np.array([ord(symbol) for symbol in self.symbols], dtype=np.int64)
        self._order = np.argsort(code_points)
        self._sorted = code_points[self._order]

    @classmethod
    def from_text(cls, text: str, *, min_count: int = 1, max_symbols: int | None = None) -> Vocabulary:
        """Every character that occurs at least `min_count` times, in code point order, after the unknown symbol.

        max_symbols : with the unknown symbol; when there are more, the rarest are left out.
        """
        points, counts = np.unique(_code_points(text), return_counts=True)
        wanted = (counts >= min_count) & (points != ord(UNKNOWN))
        points, counts = points[wanted], counts[wanted]
        commonest = np.argsort(-counts, kind="stable")[: None if max_symbols is None else max_symbols - 1]
        return cls([UNKNOWN, *map(chr, np.sort(points[commonest]))])

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def encode(self, text: str) -> np.ndarray:
        """Symbol numbers, int64 of shape (n_chars,); 0 where the character is not in the vocabulary."""
        points = _code_points(text)
        place = np.minimum(np.searchsorted(self._sorted, points), len(self) - 1)
        return np.where(self._sorted[place] == points, self._order[place], 0)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these symbol numbers; the unknown symbol reads U+FFFD."""
        return "".join(self.symbols[int(i)] for i in ids)

    def unknown(self, text: str) -> np.ndarray:
        """Positions of characters that are not in the vocabulary, int64, ascending."""
        return np.flatnonzero(self.encode(text) == 0)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a network. `embedding=None` feeds one-hot characters; a number learns vectors of that width."""

    kind: Kind
    n_layers: int
    n_units: int
    embedding: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in _RNN_CLASSES:
            raise InspectorError(f"kind is {self.kind!r}; it must be one of lstm, gru, rnn.")
        for name, low, high in (("n_layers", 1, 64), ("n_units", 1, 65536)):
            _check_whole_number(name, getattr(self, name), low, high)
        if self.embedding is not None:
            _check_whole_number("embedding", self.embedding, 1, 65536)
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise InspectorError(f"dropout is {self.dropout!r}; it must be a number from 0 up to, not including, 1.")

    def __str__(self) -> str:
        return f"{self.kind.upper()} {self.n_layers}×{self.n_units}"  # noqa: RUF001 - the multiplication sign is meant


def _check_whole_number(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InspectorError(f"{name} is {value!r}; it must be a whole number from {low} to {high}.")


class CharModel(nn.Module):
    """A network that reads characters and predicts the next one.

    >>> model = load_checkpoint("checkpoints/python")
    >>> logits, state = model(torch.from_numpy(model.vocabulary.encode("def "))[None])

    name : what people call it; the checkpoint folder's name.
    training : facts about how it was made (text, steps, held-out bits per character); {} for a fresh one.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        *,
        name: str = "unnamed",
        training: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary, self.name = config, vocabulary, name
        self.training_facts = training or {}
        n_in = config.embedding or len(vocabulary)
        self.embedding = nn.Embedding(len(vocabulary), config.embedding) if config.embedding else None
        self.rnn = _RNN_CLASSES[config.kind](
            n_in,
            config.n_units,
            config.n_layers,
            batch_first=True,
            dropout=config.dropout if config.n_layers > 1 else 0.0,
        )
        self.head = nn.Linear(config.n_units, len(vocabulary))

    def embed(self, ids: Tensor) -> Tensor:
        """What the first layer reads: float (batch, time, n_in) from symbol numbers (batch, time)."""
        if self.embedding is not None:
            return cast(Tensor, self.embedding(ids))
        return nn.functional.one_hot(ids, len(self.vocabulary)).to(self.head.weight.dtype)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the next character (batch, time, n_symbols) and the state after the last one."""
        hidden, state = self.rnn(self.embed(ids), state)
        return self.head(hidden), state

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over architecture, vocabulary and weights: the identity that recordings remember."""
        digest = hashlib.sha256(
            json.dumps([self.config.kind, self.config.n_layers, self.config.n_units, self.config.embedding]).encode()
        )
        digest.update("".join(self.vocabulary.symbols).encode("utf-8", "surrogatepass"))
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def untrained_twin(model: CharModel, seed: int = 0) -> CharModel:
    """The same architecture and vocabulary with torch's initial weights; the global random stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = CharModel(model.config, model.vocabulary, name=f"{model.name} (untrained)")
    return twin.eval()


# ------------------------------------------------------------------------------------------------ checkpoint folder


def save_checkpoint(
    model: CharModel,
    folder: str | Path,
    *,
    training: dict[str, Any] | None = None,
    dtype: Literal["float16", "float32"] = "float32",
) -> None:
    """Write config, vocabulary and weights. The weights are replaced in one step, so a kill leaves old or new, whole.

    dtype : of the stored weights. float16 halves the folder and is what a shipped network uses; weights that it cannot
        hold are an InspectorError, as is a folder that cannot be written to.
    """
    folder = Path(folder)
    tensors = {key: _as_stored(key, value, dtype) for key, value in model.state_dict().items()}
    config = {
        "format": FORMAT_VERSION,
        **dataclasses.asdict(model.config),
        "n_symbols": len(model.vocabulary),
        "training": model.training_facts if training is None else training,
    }
    partial = folder / "model.safetensors.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial)  # the largest first: a full disk shows while nothing is replaced yet
        _write(folder / "vocab.json", json.dumps(list(model.vocabulary.symbols), indent=0) + "\n")
        _write(folder / "config.json", json.dumps(config, indent=2) + "\n")
        partial.replace(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink()
        raise InspectorError(
            f"The weights could not be written to {folder} ({_cause(error)}); what was there before is whole. "
            "Make room, or choose another folder."
        ) from error


def _cause(error: Exception) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)


def _as_stored(key: str, value: Tensor, dtype: Literal["float16", "float32"]) -> Tensor:
    stored = value.detach().to("cpu", getattr(torch, dtype)).contiguous()
    if (stored.isinf() & value.detach().cpu().isfinite()).any():
        raise InspectorError(f'{key} has weights that {dtype} cannot hold: save the network with dtype="float32".')
    return stored


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def load_checkpoint(folder: str | Path) -> CharModel:
    """Read a checkpoint folder, check all of it, and return the network in float32, ready to read (eval mode).

    Raises InspectorError in one sentence when the folder, its configuration, its vocabulary or its weights are
    missing, damaged, not to be read, of another shape than the configuration says, or not finite.
    """
    try:
        return _load_checkpoint(Path(folder))
    except OSError as error:
        raise InspectorError(
            f"The checkpoint {folder} cannot be read: {error.strerror}. Ask who owns it, or fetch it again."
        ) from error


def _load_checkpoint(folder: Path) -> CharModel:
    if not folder.is_dir():
        raise InspectorError(_no_such_checkpoint(folder))
    missing = [name for name in ("config.json", "vocab.json", "model.safetensors") if not (folder / name).is_file()]
    if missing:
        raise InspectorError(
            f"{folder} is not a checkpoint: {' and '.join(missing)} missing. A checkpoint folder holds config.json, "
            "vocab.json and model.safetensors; train one with `python -m inspector train`."
        )
    try:
        stored = _read_config(folder / "config.json")
        vocabulary = Vocabulary(_read_json(folder / "vocab.json", list))
        fields = {field.name for field in dataclasses.fields(ModelConfig)}
        config = ModelConfig(**{key: value for key, value in stored.items() if key in fields})
        if stored["n_symbols"] != len(vocabulary):
            raise InspectorError(f"config.json says {stored['n_symbols']} symbols, vocab.json has {len(vocabulary)}.")
        with torch.device("meta"):  # takes no memory, however large it says it is
            weights = _read_weights(folder / "model.safetensors", CharModel(config, vocabulary))
        with torch.random.fork_rng(devices=[]):
            model = CharModel(config, vocabulary, name=folder.resolve().name, training=stored.get("training"))
        model.load_state_dict(weights)
    except InspectorError as error:
        raise InspectorError(
            f"The checkpoint {folder} cannot be used: {error} Fetch it again or train a new one."
        ) from error
    return model.eval()


def _no_such_checkpoint(folder: Path) -> str:
    siblings = [path.parent.name for path in folder.parent.glob("*/config.json")]
    near = difflib.get_close_matches(folder.name, siblings, n=1)
    hint = (
        f"; did you mean {folder.parent / near[0]}?"
        if near
        else f"; there are: {', '.join(sorted(siblings)) or 'none'}."
    )
    return f"There is no checkpoint folder {folder}{hint}"


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InspectorError(f"{path.name} is not JSON ({error}).") from error
    if not isinstance(value, kind):
        raise InspectorError(f"{path.name} holds a {type(value).__name__} where a {kind.__name__} is expected.")
    return value


def _read_config(path: Path) -> dict[str, Any]:
    stored: dict[str, Any] = _read_json(path, dict)
    absent = [key for key in ("format", "kind", "n_layers", "n_units", "n_symbols") if key not in stored]
    if absent:
        raise InspectorError(f"config.json lacks {', '.join(absent)}.")
    if not isinstance(stored["format"], int) or stored["format"] > FORMAT_VERSION:
        raise InspectorError(
            f"its format is {stored['format']!r}, this program reads up to {FORMAT_VERSION}: update Charscope."
        )
    return stored


def _read_weights(path: Path, model: CharModel) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InspectorError(f"model.safetensors is damaged or cut off ({error}).") from error
    expected = model.state_dict()
    for words, names in (
        ("lacks", expected.keys() - tensors.keys()),
        ("has unexpected", tensors.keys() - expected.keys()),
    ):
        if names:
            raise InspectorError(f"model.safetensors {words} {', '.join(sorted(names))}.")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InspectorError(
                f"{name} in model.safetensors has shape {tuple(tensor.shape)}, "
                f"config.json calls for {tuple(expected[name].shape)}."
            )
        if not tensor.is_floating_point():
            raise InspectorError(f"{name} in model.safetensors holds {tensor.dtype}, floating point is expected.")
        if not torch.isfinite(tensor.float()).all():
            raise InspectorError(f"{name} in model.safetensors has values that are not finite.")
    return {name: tensor.float() for name, tensor in tensors.items()}
