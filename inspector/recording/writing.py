"""The one door through which a recording is written: stretches of any size go in, whole stretches go to the sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inspector.recording.coding import error_bound
from inspector.recording.folder import START, FolderSink, Standstill
from inspector.recording.header import Header
from inspector.recording.reading import Recording, Store
from inspector.recording.stretch import GUESS_IDS, GUESS_PROBABILITIES, LOSS, STRETCH, Array, Key
from inspector.recording.words import Document, InspectorError, Layer, Progress


class RecordingWriter:
    """Write a recording by appending what the network computed, any number of characters at a time.

    >>> writer = RecordingWriter(text=text, layers=[Layer("rnn.0", "lstm", 512, ("hidden", "cell"))])
    >>> writer.append([{"hidden": hidden, "cell": cell}], loss=loss)       # float32 (512, n), (512, n) and (n,)
    >>> recording = writer.finish()

    folder : where to write; None keeps the recording in memory. A recording that lies there is replaced, anything else
        is left alone with an `InspectorError`. Every 4096 characters are safe on disk before the next ones are taken:
        a writer that is killed leaves a shorter recording, or none.
    documents : where the network started from zero; one document named `text` when left out.
    dtype : `float32`, or `float16` (half the size, 11 significant bits), or `int8` (a quarter, off by at most 0.4 % of
        the neuron's largest value within 4096 characters); a value it cannot hold is an `InspectorError`.
    symbols : the network's vocabulary. With it, guesses are part of every `append`.
    unknown : positions of characters outside the vocabulary.
    resume : go on with what a writer with the same arguments left in `folder`. `n_written` is then where to go on, and
        `state` is what was given to `append` up to there; from what is appended, characters that lie in the folder
        already are dropped. A folder without a recording is begun; another recording in it is an `InspectorError`.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        text: str,
        layers: Sequence[Layer],
        documents: Sequence[Document] = (),
        dtype: str = "float32",
        network: str | None = None,
        network_hash: str | None = None,
        symbols: Sequence[str] | None = None,
        unknown: npt.ArrayLike = (),
        engine: str = "recompute",
        resume: bool = False,
    ) -> None:
        self._header = Header(
            text=text,
            documents=tuple(documents) or (Document("text", 0, len(text)),),
            layers=tuple(layers),
            dtype=dtype,
            network=network,
            network_hash=network_hash,
            symbols=None if symbols is None else tuple(symbols),
            unknown=np.sort(np.array(unknown, np.int64)),
            engine=engine,
        )
        self._starts = np.array([document.start for document in self._header.documents])
        self._sink: _Sink = _Memory()
        if folder is not None:
            self._sink = (FolderSink.resume if resume else FolderSink.begin)(Path(folder), self._header)
        self._n_written = self._sink.reached
        self._standstills = [self._sink.standstill]  # where a writer could go on, ascending
        self._repeated = self._n_written - self._standstills[0][0]  # characters to come that are safe already
        self._filled = 0
        self._stretch = self._next_stretch()

    @property
    def n_written(self) -> int:
        """Characters appended so far; the next one to append."""
        return self._n_written + self._filled - self._repeated

    @property
    def state(self) -> bytes:
        """The last `state` that was appended; after a resume the one that belongs to `n_written`, b"" at its start."""
        return self._standstills[-1][1]

    def append(
        self,
        values: Sequence[Mapping[str, npt.ArrayLike]],
        loss: npt.ArrayLike | None = None,
        guess_ids: npt.ArrayLike | None = None,
        guess_probabilities: npt.ArrayLike | None = None,
        state: bytes | None = None,
    ) -> None:
        """Add the next `n` characters; nothing is added when an argument does not fit.

        values : `values[layer][signal]`, float (n_units, n).
        loss : float (n,) in nats, nan at each document's start; all nan when left out.
        guess_ids, guess_probabilities : (n, 10), likeliest first, ids into `symbols`; wanted exactly when there are
            symbols. A vocabulary of fewer than 10 symbols fills only the first columns.
        state : all that the caller needs to go on after these characters, for a later resume; without any, a resume
            must read the text from its start.
        """
        blocks = self._blocks(values, loss, guess_ids, guess_probabilities)
        n_chars = blocks[LOSS].shape[1]
        if state is not None:
            self._standstills.append((self.n_written + n_chars, state))
        taken = min(self._repeated, n_chars)
        self._repeated -= taken
        while taken < n_chars:
            n = min(n_chars - taken, len(self._stretch[LOSS][0]) - self._filled)
            self._copy({key: block[:, taken : taken + n] for key, block in blocks.items()}, n)
            taken += n

    def finish(self) -> Recording:
        """The recording, once the text is covered exactly."""
        n_planned = len(self._header.text)
        if self.n_written != n_planned:
            raise ValueError(f"{self.n_written} characters were appended, the text has {n_planned}")
        return Recording(self._header, self._sink.finish(), n_planned=n_planned)

    def _next_stretch(self) -> dict[Key, Array]:
        return self._header.layout.empty(min(STRETCH, len(self._header.text) - self._n_written))

    def _copy(self, blocks: Mapping[Key, Array], n: int) -> None:
        """Copy what fits into the stretch at hand, and hand a full stretch on."""
        for key, block in blocks.items():
            try:
                with np.errstate(over="raise"):
                    self._stretch[key][:, self._filled : self._filled + n] = block
            except FloatingPointError as error:
                raise InspectorError(
                    f"A value of {key[1]} in layer {key[0]} is too large for {self._header.dtype}: "
                    'record with dtype="float32".'
                ) from error
        self._filled += n
        if self._filled == len(self._stretch[LOSS][0]):
            self._n_written += self._filled
            while len(self._standstills) > 1 and self._standstills[1][0] <= self._n_written:
                del self._standstills[0]
            self._sink.add(self._as_stored(self._stretch), self._standstills[0])
            self._filled = 0
            self._stretch = self._next_stretch()

    def _as_stored(self, stretch: dict[Key, Array]) -> dict[Key, Array]:
        try:
            return {key: self._header.layout.stored(key, values) for key, values in stretch.items()}
        except FloatingPointError as error:
            raise InspectorError(
                f'A value before character {self._n_written} does not fit, as {error}: record with dtype="float32".'
            ) from error

    def _blocks(
        self,
        values: Sequence[Mapping[str, npt.ArrayLike]],
        loss: npt.ArrayLike | None,
        guess_ids: npt.ArrayLike | None,
        guess_probabilities: npt.ArrayLike | None,
    ) -> dict[Key, Array]:
        """Everything of one append as checked blocks `[rows, n]`."""
        layers = self._header.layers
        if [set(signals) for signals in values] != [set(layer.signals) for layer in layers]:
            expected = [layer.signals for layer in layers]
            raise ValueError(f"values must be given for exactly these signals, layer by layer: {expected}")
        blocks = {
            (index, signal): np.asarray(values[index][signal])
            for index, layer in enumerate(layers)
            for signal in layer.signals
        }
        n_chars = next(iter(blocks.values())).shape[-1]
        blocks[LOSS] = np.full((1, n_chars), np.nan, np.float32) if loss is None else np.atleast_2d(np.asarray(loss))
        blocks |= self._guess_blocks(guess_ids, guess_probabilities)
        for key, block in blocks.items():
            shape = (self._header.layout.blocks[key].n_rows, n_chars)
            if block.shape != shape:
                raise ValueError(f"{key[1]} of layer {key[0]} has shape {block.shape}, not {shape}")
        if self.n_written + n_chars > len(self._header.text):
            raise ValueError(f"{self.n_written + n_chars} characters are more than the text has")
        self._check_starts(blocks[LOSS][0])
        return blocks

    def _guess_blocks(self, ids: npt.ArrayLike | None, probabilities: npt.ArrayLike | None) -> dict[Key, Array]:
        wanted = self._header.layout.n_guesses
        if (ids is None or probabilities is None) != (wanted == 0) or (ids is None) != (probabilities is None):
            raise ValueError("guess_ids and guess_probabilities are wanted exactly when the recording has symbols")
        if ids is None or probabilities is None:
            return {}
        ids = np.asarray(ids)[:, :wanted].T
        if ids.size and not (ids.min() >= 0 and ids.max() < len(self._header.symbols or ())):
            raise ValueError("guess_ids must point into symbols")
        return {GUESS_IDS: ids, GUESS_PROBABILITIES: np.asarray(probabilities)[:, :wanted].T}

    def _check_starts(self, loss: Array) -> None:
        """Contract 3: nothing predicts a document's first character."""
        here = self._starts[(self._starts >= self.n_written) & (self._starts < self.n_written + len(loss))]
        if not np.isnan(loss[here - self.n_written]).all():
            raise ValueError("loss must be nan at the first character of each document")


class _Sink(Protocol):
    """Takes whole stretches, in order."""

    reached: int
    standstill: Standstill

    def add(self, stretch: dict[Key, Array], standstill: Standstill | None = None) -> None:
        """Keep a stretch, which belongs to the sink from now on, and where a writer could go on after it."""

    def finish(self) -> Store:
        """Everything that was kept."""


class _Memory:
    """Stretches kept in memory: a sink while they come in, a store afterwards."""

    folder = None
    reached, standstill = 0, START

    def __init__(self) -> None:
        self._stretches: list[dict[Key, Array]] = []

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for stretch in self._stretches for block in stretch.values())

    def add(self, stretch: dict[Key, Array], standstill: Standstill | None = None) -> None:
        self._stretches.append(stretch)

    def finish(self) -> Store:
        return self

    def error_bound(self, key: Key) -> float:
        return max([0.0, *(error_bound(stretch[key]) for stretch in self._stretches)])

    def verify(self, progress: Progress | None = None) -> None:
        """Memory is taken to be sound."""

    def rows(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        return self._stretches[stretch][key][first : first + n_rows]
