"""Teaches a network to predict the next character: batching, optimiser, schedule, precision, snapshots, resume.

    train texts ──► parallel streams ──► stretches of T characters, state carried over (truncated backpropagation)
                                             │ cross-entropy (+ penalties that make single neurons clean)
                                             ▼
                                       AdamW, clipped, warm-up then cosine

Owns: everything that happens while weights change. Knows nothing about recordings, concepts or neurons.
A run is a folder (folder.py). While it goes on, the checkpoint there holds the latest weights; once it is done, those
that were best on the choose texts.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.corpus import Corpus
from inspector.model import CharModel, ModelConfig
from inspector.train.folder import RunFolder
from inspector.train.held_out import bits, held_out_nats
from inspector.train.options import Progress, TrainOptions, log_spaced
from inspector.train.run import Run
from inspector.train.streams import Streams, vocabulary_of

__all__ = [
    "Progress",
    "Run",
    "Streams",
    "TrainOptions",
    "bits",
    "held_out_nats",
    "log_spaced",
    "train",
    "vocabulary_of",
]


def train(
    corpus: Corpus,
    config: ModelConfig,
    options: TrainOptions,
    folder: str | Path,
    *,
    begin_with: CharModel | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], None] | None = None,
) -> CharModel:
    """Train a network on a corpus and leave it in `folder`, with the weights that were best on the choose texts.

    >>> train(load_corpus("python-stdlib"), ModelConfig("lstm", 2, 512), TrainOptions(), "runs/python")

    begin_with : start from the weights and the vocabulary of this network, in place of random ones. `config` may differ
    from its own in the dropout alone. A run that is resumed goes on with its own weights: it is not looked at then.
    resume : go on from `trainer.pt` in the folder; on a CPU the result is the one of an uninterrupted run. Ctrl-C saves
    first. Of more than 1,000 different characters the rarest are read as the unknown symbol.
    Raises InspectorError for a corpus smaller than one batch, a folder in use, a disk without room, or a loss that is
    no number any more (what was saved before is whole).
    """
    folder = Path(folder)
    with RunFolder(folder).held():
        run = Run.load(folder, corpus) if resume else Run.start(folder, corpus, config, options, begin_with)
        with _between_steps() as is_interrupted:
            run.go(on_step, is_interrupted)
        return run.finish()


@contextmanager
def _between_steps() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits until a step is whole, for half of one cannot be gone on from; a second one does not wait."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)
