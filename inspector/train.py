"""Teaches a network to predict the next character: batching, optimiser, schedule, precision, snapshots, resume.

    train texts ──► parallel streams ──► stretches of T characters, state carried over (truncated backpropagation)
                                             │ cross-entropy (+ penalties that make single neurons clean)
                                             ▼
                                       AdamW, clipped, warm-up then cosine

Owns: everything that happens while weights change. Knows nothing about recordings, concepts or neurons.
A run is a folder: a checkpoint, `trainer.pt` (what a resume needs), `log.csv` (the curve). While the run goes on the
checkpoint holds the latest weights; once it is done, those that were best on the choose texts.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import math
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from inspector.corpus import Corpus, Text
from inspector.model import CharModel, ModelConfig, State, Vocabulary, save_checkpoint
from inspector.recording import InspectorError

NATS_PER_BIT = math.log(2)
_LOG_COLUMNS = ("step", "characters", "train_nats", "choose_nats", "learning_rate", "seconds")
_EVALUATION_STREAMS, _EVALUATION_STRETCH = 64, 256
_MAX_SYMBOLS = 1000
_COPIES = 8  # weights, best weights, two moments of the optimiser, and all of them once more while a file is replaced


@dataclass(frozen=True)
class TrainOptions:
    """How to train. Counts are in characters or optimiser steps; penalties are weights in the loss.

    output_dropout : on the top layer's hidden state before the output layer.
    hidden_penalty : times mean |h| of the top layer; pushes neurons to be silent unless they have something to say.
    cell_penalty : times mean |tanh(c)| of all layers at the end of each stretch (LSTM); the same for the memory.
    restart : share of streams whose state is set to zero before a stretch, so that the network learns to begin.
    patience : stop after this many looks at the choose texts without a better one; 0 never stops early.
    snapshots : steps at which a copy of the weights is kept under `snapshots/`; `log_spaced` makes such steps.
    """

    n_chars: int = 60_000_000
    batch: int = 64
    stretch: int = 100
    learning_rate: float = 2e-3
    warmup: int = 200
    clip: float = 1.0
    weight_decay: float = 0.0
    output_dropout: float = 0.0
    hidden_penalty: float = 0.0
    cell_penalty: float = 0.0
    restart: float = 0.01
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    evaluate_every: int = 500
    patience: int = 0
    save_every: int = 500
    snapshots: tuple[int, ...] = ()

    @property
    def n_steps(self) -> int:
        return max(1, self.n_chars // (self.batch * self.stretch))


def log_spaced(n_snapshots: int, n_steps: int) -> tuple[int, ...]:
    """Steps for snapshots: 0, then evenly spaced in the logarithm from 1 up to `n_steps`, whole and all different.

    >>> log_spaced(5, 1000)
    (0, 1, 10, 100, 1000)
    """
    steps = {0} | {round(step) for step in np.geomspace(1, max(1, n_steps), max(1, n_snapshots - 1))}
    for step in range(n_steps + 1):  # the smallest powers round to the same steps: fill up from below
        if len(steps) >= n_snapshots:
            break
        steps.add(step)
    return tuple(sorted(steps))


class Progress(NamedTuple):
    """Where a run is: losses in nats a character, speed of the last step. choose_nats is nan before the first look."""

    step: int
    n_steps: int
    train_nats: float
    choose_nats: float
    chars_per_second: float


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
    no number any more (the folder then holds the last good weights).
    """
    folder = Path(folder)
    if resume:
        run = _Run.load(folder, corpus)
    else:
        if (folder / "trainer.pt").exists():
            raise InspectorError(
                f"{folder} already holds a run. Add --resume to go on with it, or choose another folder."
            )
        run = _Run.start(folder, corpus, config, options, begin_with)
    try:
        run.go(on_step)
    except KeyboardInterrupt:
        run.save()
        raise
    return run.finish()


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


def bits(nats: float) -> float:
    """Bits from nats."""
    return nats / NATS_PER_BIT


@torch.inference_mode()
def held_out_nats(model: CharModel, texts: tuple[Text, ...], *, max_chars: int | None = None) -> float:
    """Mean cross-entropy of the next character, nats per character, in float32; nan without text.

    The texts are read end to end in parallel streams, each from a zero state: the figure is a little above what one
    reader would pay who reads every text from its start.
    """
    ids = np.concatenate([model.vocabulary.encode(text) for _, text in texts] or [np.zeros(0, np.int64)])[:max_chars]
    n_streams = min(_EVALUATION_STREAMS, max(1, len(ids) // _EVALUATION_STRETCH))
    length = len(ids) // n_streams
    if length < 2:
        return math.nan
    device = model.head.weight.device
    streams = torch.from_numpy(ids[: n_streams * length].reshape(n_streams, length)).to(device)
    was_training, total, state = model.training, 0.0, None
    model.eval()
    for start in range(0, length - 1, _EVALUATION_STRETCH):
        piece = streams[:, start : min(start + _EVALUATION_STRETCH, length - 1) + 1]
        logits, state = model(piece[:, :-1], state)
        total += float(nn.functional.cross_entropy(logits.flatten(0, 1), piece[:, 1:].flatten(), reduction="sum"))
    model.train(was_training)
    return total / (n_streams * (length - 1))


class _Streams:
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


class _Run:
    """One training run: the network, the optimiser, the carried state and the step they stand at."""

    def __init__(self, folder: Path, corpus: Corpus, model: CharModel, options: TrainOptions) -> None:
        self.folder, self.corpus, self.options = folder, corpus, options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = _use_bf16(options.precision, self.device)
        self.model = model.to(self.device).train()
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.streams = _Streams([model.vocabulary.encode(text) for _, text in corpus.splits["train"]], options)
        self.state: State | None = None
        self.step, self.seconds, self.choose_nats = 0, 0.0, math.nan
        self.best: dict[str, Any] | None = None  # {"step", "choose_nats", "model"} of the best look
        self.begun_with: str | None = None  # the network whose weights the run started from

    @classmethod
    def start(
        cls, folder: Path, corpus: Corpus, config: ModelConfig, options: TrainOptions, begin_with: CharModel | None
    ) -> _Run:
        torch.manual_seed(options.seed)
        vocabulary, _ = vocabulary_of(corpus, begin_with)
        run = cls(folder, corpus, CharModel(config, vocabulary, name=folder.name), options)
        if begin_with:
            run.begin_with(begin_with)
        run.folder.mkdir(parents=True, exist_ok=True)
        run.check_room()
        with (folder / "log.csv").open("w", newline="") as file:
            csv.writer(file).writerow(_LOG_COLUMNS)
        return run

    def begin_with(self, model: CharModel) -> None:
        """Take the weights of a network that was trained before."""
        config = dataclasses.replace(model.config, dropout=self.model.config.dropout)
        if config != self.model.config:
            raise InspectorError(
                f"{model.name} is {_in_words(model.config)}; {_in_words(self.model.config)} cannot start from its "
                "weights. Leave the kind, layers, units and embedding as they are in the network to begin with."
            )
        self.model.load_state_dict(model.state_dict())
        seen = model.training_facts.get("characters", 0)
        self.begun_with = f"{model.name} ({model.hash[:16]}), after {seen:,} characters"

    @classmethod
    def load(cls, folder: Path, corpus: Corpus) -> _Run:
        path = folder / "trainer.pt"
        if not path.is_file():
            raise InspectorError(
                f"There is no run to resume in {folder}: trainer.pt is missing. Start without --resume."
            )
        try:
            kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise InspectorError(f"{path} is damaged and cannot be resumed from ({type(error).__name__}).") from error
        options = TrainOptions(**{**kept["options"], "snapshots": tuple(kept["options"]["snapshots"])})
        model = CharModel(ModelConfig(**kept["config"]), Vocabulary(kept["symbols"]), name=folder.name)
        model.load_state_dict(kept["model"])
        run = cls(folder, corpus, model, options)
        run.optimiser.load_state_dict(kept["optimiser"])
        run.step, run.seconds, run.choose_nats = kept["step"], kept["seconds"], kept["choose_nats"]
        run.best, run.begun_with = kept.get("best"), kept.get("begun_with")
        run.forget_later_looks()
        run.state = _to_device(kept["state"], run.device)
        torch.set_rng_state(kept["random"])
        return run

    def go(self, on_step: Callable[[Progress], None] | None) -> None:
        n_steps, options = self.options.n_steps, self.options
        train_nats = math.nan
        while self.step < n_steps and not self._is_out_of_patience():
            if self.step in options.snapshots:
                self._snapshot()
            began = time.perf_counter()
            nats = self.learn()
            took = time.perf_counter() - began
            self.seconds += took
            train_nats = nats if math.isnan(train_nats) else 0.98 * train_nats + 0.02 * nats
            self.step += 1
            if self.step % options.evaluate_every == 0 or self.step == n_steps:
                self._look(train_nats)
            if self.step % options.save_every == 0 or self.step == n_steps:
                self.save()
            if on_step:
                on_step(
                    Progress(self.step, n_steps, train_nats, self.choose_nats, options.batch * options.stretch / took)
                )
        if self.step in options.snapshots:
            self._snapshot()

    def _is_out_of_patience(self) -> bool:
        """Whether too many looks in a row brought nothing better."""
        options = self.options
        return bool(
            options.patience
            and self.best
            and self.step - self.best["step"] >= options.patience * options.evaluate_every
        )

    def learn(self) -> float:
        """One optimiser step; returns the cross-entropy in nats per character."""
        options = self.options
        symbols, new_epoch = self.streams.batch_of(self.step)
        symbols = symbols.to(self.device)
        state = self._begin(None if new_epoch else self.state)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            hidden, state = self.model.rnn(self.model.embed(symbols[:, :-1]), state)
            logits = self.model.head(nn.functional.dropout(hidden, options.output_dropout))
        entropy = nn.functional.cross_entropy(logits.float().flatten(0, 1), symbols[:, 1:].flatten())
        loss = entropy
        if options.hidden_penalty:
            loss = loss + options.hidden_penalty * hidden.float().abs().mean()
        if options.cell_penalty and isinstance(state, tuple):
            loss = loss + options.cell_penalty * state[1].float().tanh().abs().mean()
        if not math.isfinite(value := entropy.item()):
            raise InspectorError(
                f"The loss is {value} at step {self.step:,}: training went wrong. {self.folder} holds the last good "
                "weights; start again with a smaller --learning-rate."
            )
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), options.clip)
        self.optimiser.step()
        self.state = _map_state(state, lambda part: part.detach().float())
        return value

    def _begin(self, state: State | None) -> State | None:
        """The state a stretch starts from: carried over, but zero for the few streams that restart."""
        if state is None:
            return None
        random = np.random.default_rng([self.options.seed, 1, self.step])
        keep = torch.from_numpy(random.random((1, self.options.batch, 1)) >= self.options.restart).to(self.device)
        return _map_state(state, lambda part: part * keep)

    def _learning_rate(self) -> float:
        options = self.options
        if self.step < options.warmup:
            return options.learning_rate * (self.step + 1) / options.warmup
        done = (self.step - options.warmup) / max(1, options.n_steps - options.warmup)
        return options.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def _look(self, train_nats: float) -> None:
        self.choose_nats = held_out_nats(self.model, self.corpus.splits["choose"], max_chars=200_000)
        if self.best is None or self.choose_nats < self.best["choose_nats"]:
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
            self.best = {"step": self.step, "choose_nats": self.choose_nats, "model": weights}
        row = (self.step, self.step * self.options.batch * self.options.stretch, f"{train_nats:.5f}")
        with (self.folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow(
                (*row, f"{self.choose_nats:.5f}", f"{self._learning_rate():.3g}", f"{self.seconds:.1f}")
            )

    def forget_later_looks(self) -> None:
        """Drop rows of the log that a killed run wrote after its last save: they will be written again."""
        path = self.folder / "log.csv"
        with path.open(newline="") as file:
            head, *rows = csv.reader(file)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([head, *(row for row in rows if row and int(row[0]) <= self.step)])

    def check_room(self) -> None:
        """Refuse to start where the run could not be saved."""
        needed = _COPIES * sum(tensor.numel() * tensor.element_size() for tensor in self.model.parameters())
        needed += len(self.options.snapshots) * needed // (2 * _COPIES)  # snapshots are in half precision
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise InspectorError(
                f"A run in {self.folder} needs up to {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB. "
                "Choose an --out on another disk, or fewer --snapshots."
            )

    def save(self) -> None:
        with _disk_errors(self.folder):
            self._save()

    def _save(self) -> None:
        save_checkpoint(self.model, self.folder, training=self._facts())
        kept = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": self.state,
            "step": self.step,
            "seconds": self.seconds,
            "choose_nats": self.choose_nats,
            "best": self.best,
            "begun_with": self.begun_with,
            "random": torch.get_rng_state(),
            "options": dataclasses.asdict(self.options),
            "config": dataclasses.asdict(self.model.config),
            "symbols": list(self.model.vocabulary.symbols),
        }
        partial = self.folder / "trainer.pt.partial"
        torch.save(kept, partial)
        partial.replace(self.folder / "trainer.pt")

    def _snapshot(self) -> None:
        save_checkpoint(
            self.model, self.folder / "snapshots" / f"step-{self.step:06d}", training=self._facts(), dtype="float16"
        )

    def _facts(self) -> dict[str, Any]:
        """What the model card says about the run."""
        return {
            "corpus": str(self.corpus),
            "steps": self.step,
            "characters": self.step * self.options.batch * self.options.stretch,
            "minutes": round(self.seconds / 60, 1),
            "hardware": _hardware(self.device),
            "precision": "bf16 autocast" if self.bf16 else "fp32",
            "options": dataclasses.asdict(self.options),
            "choose_nats": None if math.isnan(self.choose_nats) else round(self.choose_nats, 4),
        } | ({"begun_with": self.begun_with} if self.begun_with else {})

    def finish(self) -> CharModel:
        """Measure the best weights on the report texts, once, and leave the finished checkpoint."""
        if self.best is not None and not math.isnan(self.best["choose_nats"]):
            self.model.load_state_dict(self.best["model"])
            self.choose_nats = self.best["choose_nats"]
        nats = held_out_nats(self.model, self.corpus.splits["report"])
        facts = self._facts() | {"report_nats": None if math.isnan(nats) else round(nats, 4)}
        facts["best_step"] = self.best["step"] if self.best else self.step
        self.model.training_facts = facts
        with _disk_errors(self.folder):
            save_checkpoint(self.model, self.folder, training=facts)
        return self.model.eval()


def _in_words(config: ModelConfig) -> str:
    """Everything that two networks must share for the one to start from the other's weights."""
    return f"{config}, {f'embedding {config.embedding}' if config.embedding else 'one-hot'}"


def _use_bf16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without the instructions bf16 is emulated and slower than float32.
    return platform.machine() == "x86_64" and bool(torch.cpu._is_avx512_bf16_supported())


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()})"


def _map_state(state: State, change: Callable[[Tensor], Tensor]) -> State:
    if isinstance(state, tuple):
        return change(state[0]), change(state[1])
    return change(state)


def _to_device(state: State | None, device: torch.device) -> State | None:
    return None if state is None else _map_state(state, lambda part: part.to(device))


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """A full disk is a sentence; what was saved before stays as it is."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save wraps what the disk says into a RuntimeError
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not full and not isinstance(error, RuntimeError):
            raise
        raise InspectorError(
            f"The run could not be saved in {folder} ({error}). What was saved before is whole: make room on the disk "
            "and go on with --resume."
        ) from error
