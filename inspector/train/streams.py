"""The train texts as a network meets them: as symbols, in parallel streams, a stretch of each at every step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inspector.corpus import Corpus
from inspector.model import CharModel, Vocabulary
from inspector.recording import InspectorError
from inspector.train.options import TrainOptions

_MAX_SYMBOLS = 1000


def vocabulary_of(corpus: Corpus, begin_with: CharModel | None = None) -> tuple[Vocabulary, str]:
    """The characters a network learns from a corpus, and those of the train texts that are folded into the unknown one.

    Characters rarer than one in a million are folded, so that the unknown symbol is trained too, and of more than
    1,000 different ones the rarest.

    begin_with : the network that is started from: its characters are kept, all others folded.
    """
    text = "".join(text for _, text in corpus.splits["train"])
    if begin_with is not None:
        vocabulary = begin_with.vocabulary
    else:
        vocabulary = Vocabulary.from_text(text, min_count=max(1, len(text) // 1_000_000), max_symbols=_MAX_SYMBOLS)
    return vocabulary, "".join(sorted(set(text) - set(vocabulary.symbols)))


class Streams:
    """Parallel readers over all train texts, in an order that depends on (seed, epoch) alone."""

    def __init__(self, texts: list[np.ndarray], options: TrainOptions) -> None:
        self.texts, self.options = texts, options
        n_chars = sum(map(len, texts))
        self.steps_per_epoch = (n_chars // options.batch - 1) // options.stretch
        if self.steps_per_epoch < 1:
            raise InspectorError(
                f"The training text has {n_chars:,} characters; a batch of {options.batch} streams x {options.stretch} "
                f"needs at least {options.batch * (options.stretch + 1):,}. Use more text, or a smaller "
                "--batch or --stretch."
            )
        self._epoch, self._table = -1, np.zeros((0, 0), np.int64)

    def batch_of(self, step: int) -> tuple[Tensor, bool]:
        """Symbols (batch, stretch + 1) of a step, and whether an epoch starts with it."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._table = epoch, self._order(epoch)
        start = place * self.options.stretch
        return torch.from_numpy(self._table[:, start : start + self.options.stretch + 1]), place == 0

    def _order(self, epoch: int) -> np.ndarray:
        random = np.random.default_rng([self.options.seed, epoch])
        ids = np.concatenate([self.texts[i] for i in random.permutation(len(self.texts))])
        ids = np.roll(ids, int(random.integers(len(ids))))
        length = self.steps_per_epoch * self.options.stretch + 1
        return ids[: self.options.batch * length].reshape(self.options.batch, length)
