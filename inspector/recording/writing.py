"""The one door through which a recording is written: parts of any size go in, another thread brings them to disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.recording.coding import error_bound
from inspector.recording.filling import Filler, Sink
from inspector.recording.folder import START
from inspector.recording.header import Header
from inspector.recording.reading import Recording
from inspector.recording.replaying import Replay
from inspector.recording.sink import FolderSink
from inspector.recording.store import Stretches, StretchStore
from inspector.recording.stretch import (
    GUESS_IDS,
    GUESS_PROBABILITIES,
    LOSS,
    STATES,
    Array,
    Key,
    Snapshots,
)
from inspector.recording.words import Document, Layer, Progress

_PARTS_BEHIND = 2  # that may wait for the disk


class RecordingWriter:
    """Write a recording by appending what the network computed, any number of characters at a time.

    >>> writer = RecordingWriter(text=text, layers=[Layer("rnn.0", "lstm", 512, ("hidden", "cell"))])
    >>> writer.append([{"hidden": hidden, "cell": cell}], loss=loss)       # float32 (512, n), (512, n) and (n,)
    >>> recording = writer.finish()

    folder : where to write; None keeps the recording in memory. A recording that lies there is replaced, anything else
        is left alone with an `InspectorError`, and so is a folder that somebody is writing to. Every 4096 characters
        are safe on disk before the manifest names them: a writer that is killed leaves a shorter recording, or none.
        Another thread does it, two parts behind at most; what goes wrong there is raised by a later `append` or by
        `finish`. Until then, or `close`, or the end of a `with` block, nobody else can write there.
    documents : where the network started from zero; one document named `text` when left out.
    dtype : `float32`, or `float16` (half the size, 11 significant bits), or `int8` (a quarter, off by at most 0.4 % of
        the neuron's largest value within 4096 characters); a value it cannot hold is an `InspectorError`.
    symbols : the network's vocabulary. With it, guesses are part of every `append`.
    unknown : positions of characters outside the vocabulary.
    resume : go on with what a writer with the same arguments left in `folder`. `n_written` is then where to go on, and
        `state` is what was given to `append` up to there; from what is appended, characters that lie in the folder
        already are dropped. A folder without a recording is begun; another recording in it is an `InspectorError`.
    snapshots : keep states only, in place of the layers' values; `append` is then given no values but `states`.
    replay : how the recording's values are computed again from its snapshots.
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
        snapshots: Snapshots | None = None,
        replay: Replay | None = None,
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
            snapshots=snapshots,
        )
        self._replay = replay
        self._starts = np.array([document.start for document in self._header.documents])
        self._sink: Sink = _Memory()
        self._behind: _Behind | None = None
        if folder is not None:
            self._sink = (FolderSink.resume if resume else FolderSink.begin)(Path(folder).absolute(), self._header)
            self._behind = _Behind()
        self._n_written, self._state = self._sink.standstill
        self._filler = Filler(self._header, self._sink)

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_written(self) -> int:
        """Characters appended so far; the next one to append."""
        return self._n_written

    @property
    def state(self) -> bytes:
        """The last `state` that was appended; after a resume the one that belongs to `n_written`, b"" at its start."""
        return self._state

    def append(
        self,
        values: Sequence[Mapping[str, npt.ArrayLike]] = (),
        loss: npt.ArrayLike | None = None,
        guess_ids: npt.ArrayLike | None = None,
        guess_probabilities: npt.ArrayLike | None = None,
        state: bytes | None = None,
        states: npt.ArrayLike | None = None,
        *,
        is_given: bool = False,
    ) -> None:
        """Add the next `n` characters; nothing is added when an argument does not fit.

        values : `values[layer][signal]`, float (n_units, n). They are copied, unless `is_given` says that the caller
            will not touch them again: then a whole stretch is kept as it is.
        loss : float (n,) in nats, nan at each document's start; all nan when left out, which snapshots do not allow.
        guess_ids, guess_probabilities : (n, 10), likeliest first, ids into `symbols`; wanted exactly when there are
            symbols. A vocabulary of fewer than 10 symbols fills only the first columns.
        state : all that the caller needs to go on after these characters, for a later resume; without any, a resume
            must read the text from its start.
        states : uint8 (n_snapshots, bytes), wanted exactly when there are snapshots: the state before each of these
            characters whose position is a multiple of `snapshots.every`.
        """
        blocks = self._blocks(values, loss, guess_ids, guess_probabilities, states)
        self._n_written += blocks[LOSS].shape[1]
        if state is not None:
            self._state = state
        if self._behind is None:
            self._filler.add(blocks, state, is_given=is_given)
        else:
            safe = blocks if is_given else {key: block.copy(order="K") for key, block in blocks.items()}
            self._behind.do(partial(self._filler.add, is_given=is_given), safe, state)

    def finish(self) -> Recording:
        """The recording, once the text is covered exactly."""
        n_planned = len(self._header.text)
        if self.n_written != n_planned:
            raise ValueError(f"{self.n_written} characters were appended, the text has {n_planned}")
        if self._behind is not None:
            self._behind.catch_up()
        return Recording(self._header, self._filler.finish(), n_planned=n_planned, replay=self._replay)

    def close(self) -> None:
        """Bring what was appended to disk, as far as that goes, and let others have the folder."""
        if self._behind is not None:
            self._behind.close()
        self._sink.close()

    def _blocks(
        self,
        values: Sequence[Mapping[str, npt.ArrayLike]],
        loss: npt.ArrayLike | None,
        guess_ids: npt.ArrayLike | None,
        guess_probabilities: npt.ArrayLike | None,
        states: npt.ArrayLike | None,
    ) -> dict[Key, Array]:
        """Everything of one append as checked blocks `[rows, n]`."""
        layers = () if self._header.snapshots else self._header.layers
        if [set(signals) for signals in values] != [set(layer.signals) for layer in layers]:
            expected = [layer.signals for layer in layers]
            raise ValueError(f"values must be given for exactly these signals, layer by layer: {expected}")
        blocks = {
            (index, signal): np.asarray(values[index][signal])
            for index, layer in enumerate(layers)
            for signal in layer.signals
        }
        n_chars = next((block.shape[-1] for block in blocks.values()), 0 if loss is None else np.size(loss))
        if loss is None and self._header.snapshots:
            raise ValueError("beside snapshots the loss is wanted, if only nan")
        blocks[LOSS] = np.full((1, n_chars), np.nan, np.float32) if loss is None else np.atleast_2d(np.asarray(loss))
        blocks |= self._guess_blocks(guess_ids, guess_probabilities)
        if states is not None:
            blocks[STATES] = np.asarray(states)
        if blocks.keys() != self._header.layout.blocks.keys():
            raise ValueError("states are wanted exactly when the recording keeps snapshots")
        for key, block in blocks.items():
            shape = self._shape(key, n_chars)
            if block.shape != shape:
                raise ValueError(f"{key[1]} of layer {key[0]} has shape {block.shape}, not {shape}")
        if self.n_written + n_chars > len(self._header.text):
            raise ValueError(f"{self.n_written + n_chars} characters are more than the text has")
        self._check_starts(blocks[LOSS][0])
        return blocks

    def _shape(self, key: Key, n_chars: int) -> tuple[int, int]:
        """Of what is due for the next `n_chars`."""
        block = self._header.layout.blocks[key]
        before, after = block.shape(self.n_written), block.shape(self.n_written + n_chars)
        return (block.size, n_chars) if block.every is None else (after[0] - before[0], block.size)

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


class _Behind:
    """Work that another thread does in order, while whoever hands it over goes on; it may be a few pieces behind.

    The thread ends by itself: with `close`, when nobody holds this any more, or when the interpreter ends.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._waiting: deque[Future[None]] = deque()

    def do(self, work: Callable[..., None], *arguments: Any) -> None:
        """Hand a piece over; what an earlier one raised is raised here."""
        while len(self._waiting) >= _PARTS_BEHIND or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(work, *arguments))

    def catch_up(self) -> None:
        """Wait for all of it; what went wrong is raised here."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Wait for all of it and end the thread; what went wrong is nobody's concern any more."""
        self._thread.shutdown()


class _Memory(Stretches):
    """Stretches kept in memory: a sink while they come in, a store afterwards."""

    folder = None
    reached, standstill = 0, START

    def __init__(self) -> None:
        self._stretches: list[dict[Key, Array]] = []

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for stretch in self._stretches for block in stretch.values())

    def add(self, stretch: dict[Key, Array], standstill: tuple[int, bytes] | None = None) -> None:
        self._stretches.append(stretch)

    def finish(self) -> StretchStore:
        return self

    def close(self) -> None:
        """Memory is nobody else's."""

    def error_bound(self, key: Key) -> float:
        return max([0.0, *(error_bound(stretch[key]) for stretch in self._stretches)])

    def verify(self, progress: Progress | None = None) -> None:
        """Memory is taken to be sound."""

    def stretch(self, number: int) -> dict[Key, Array]:
        return self._stretches[number]

    def rows(self, stretch: int, key: Key, first: int, n_rows: int) -> Array:
        return self._stretches[stretch][key][first : first + n_rows]
