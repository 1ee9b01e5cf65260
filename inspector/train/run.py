"""One training run: the steps, their loss and learning rate, looks at held-out text, and how it is taken up again."""

from __future__ import annotations

import dataclasses
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inspector.corpus import Corpus
from inspector.model import CharModel, ModelConfig, State, Vocabulary
from inspector.recording import InspectorError
from inspector.train.dropping import recurrent_weights, without_some
from inspector.train.folder import RunFolder
from inspector.train.held_out import held_out_nats
from inspector.train.options import Progress, TrainOptions
from inspector.train.streams import Streams, vocabulary_of

_LOOKED_AT = 200_000  # characters of the choose texts


class Run:
    """The network, the optimiser, the carried state and the step they stand at."""

    def __init__(self, folder: Path, corpus: Corpus, model: CharModel, options: TrainOptions) -> None:
        self.folder, self.corpus, self.options = RunFolder(folder), corpus, options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = _use_bf16(options.precision, self.device)
        self.model = model.to(self.device).train()
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.streams = Streams([model.vocabulary.encode(text) for _, text in corpus.splits["train"]], options)
        self.state: State | None = None
        self.step, self.seconds, self.choose_nats, self.train_nats = 0, 0.0, math.nan, math.nan
        self.best: dict[str, Any] | None = None  # {"step", "choose_nats", "model"} of the best look
        self.begun_with: str | None = None  # the network whose weights the run started from

    @classmethod
    def start(
        cls,
        folder: Path,
        corpus: Corpus,
        config: ModelConfig,
        options: TrainOptions,
        begin_with: CharModel | None = None,
    ) -> Run:
        """A run from its first step on, in a folder where there is none yet."""
        torch.manual_seed(options.seed)
        vocabulary, _ = vocabulary_of(corpus, begin_with)
        run = cls(folder, corpus, CharModel(config, vocabulary, name=folder.name), options)
        if begin_with:
            run._take_weights_of(begin_with)
        elif config.kind == "lstm" and options.forget_bias:
            run._begin_by_remembering(options.forget_bias)
        n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in run.model.parameters())
        run.folder.begin(n_bytes, len(options.snapshots))
        return run

    def _take_weights_of(self, model: CharModel) -> None:
        config = dataclasses.replace(model.config, dropout=self.model.config.dropout)
        if config != self.model.config:
            raise InspectorError(
                f"{model.name} is {_in_words(model.config)}; {_in_words(self.model.config)} cannot start from its "
                "weights. Leave the kind, layers, units and embedding as they are in the network to begin with."
            )
        self.model.load_state_dict(model.state_dict())
        seen = model.training_facts.get("characters", 0)
        self.begun_with = f"{model.name} ({model.hash[:16]}), after {seen:,} characters"

    def _begin_by_remembering(self, forget_bias: float) -> None:
        with torch.no_grad():
            for name, bias in self.model.rnn.named_parameters():
                if name.startswith("bias_"):
                    bias.chunk(4)[1].fill_(forget_bias / 2)  # i, f, g, o; the two biases of a gate are added

    @classmethod
    def load(cls, folder: Path, corpus: Corpus) -> Run:
        """A run as it was saved last."""
        kept = RunFolder(folder).load()
        if kept.get("corpus", str(corpus)) != str(corpus):
            raise InspectorError(
                f"The run in {folder} learns from {kept['corpus']}; this is {corpus}. Name the same text to go on "
                "(--corpus, --pattern, --also, --also-pattern), or begin another run."
            )
        try:
            options = TrainOptions(**{**kept["options"], "snapshots": tuple(kept["options"]["snapshots"])})
            model = CharModel(ModelConfig(**kept["config"]), Vocabulary(kept["symbols"]), name=folder.name)
            model.load_state_dict(kept["model"])
            run = cls(folder, corpus, model, options)
            run.optimiser.load_state_dict(kept["optimiser"])
            run.step, run.seconds, run.choose_nats = kept["step"], kept["seconds"], kept["choose_nats"]
            run.best, run.begun_with = kept.get("best"), kept.get("begun_with")
            run.train_nats = kept.get("train_nats", math.nan)
            state, random = kept["state"], kept["random"]
        except (KeyError, TypeError, RuntimeError) as error:
            raise RunFolder(folder).damaged(f"{type(error).__name__}: {error}") from error
        run.folder.forget_after(run.step)
        run.state = None if state is None else _map_state(state, lambda part: part.to(run.device))
        torch.set_rng_state(random)
        return run

    def save(self) -> None:
        """Everything that an uninterrupted run would go on with."""
        kept = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": self.state,
            "step": self.step,
            "seconds": self.seconds,
            "choose_nats": self.choose_nats,
            "train_nats": self.train_nats,
            "best": self.best,
            "begun_with": self.begun_with,
            "corpus": str(self.corpus),
            "random": torch.get_rng_state(),
            "options": dataclasses.asdict(self.options),
            "config": dataclasses.asdict(self.model.config),
            "symbols": list(self.model.vocabulary.symbols),
        }
        self.folder.save(self.model, self._facts(), kept)

    def go(self, on_step: Callable[[Progress], None] | None, is_interrupted: Callable[[], bool]) -> None:
        """Take all steps that are left; after one at which it is interrupted, save and raise KeyboardInterrupt."""
        n_steps, options = self.options.n_steps, self.options
        while self.step < n_steps and not self._is_out_of_patience():
            self._keep_snapshot()
            began = time.perf_counter()
            nats = self.learn()
            took = time.perf_counter() - began
            self.seconds += took
            self.train_nats = nats if math.isnan(self.train_nats) else 0.98 * self.train_nats + 0.02 * nats
            self.step += 1
            if self.step % options.evaluate_every == 0 or self.step == n_steps:
                self._look()
            if self.step % options.save_every == 0 or self.step == n_steps:
                self.save()
            try:
                if on_step:
                    n_chars = options.batch * options.stretch
                    losses = self.train_nats, self.choose_nats
                    on_step(Progress(self.step, n_steps, *losses, n_chars / took, n_chars))
                if is_interrupted():
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                self.save()
                raise
        self._keep_snapshot()

    def _is_out_of_patience(self) -> bool:
        """Whether too many looks in a row brought nothing better."""
        options = self.options
        return bool(
            options.patience
            and self.best
            and self.step - self.best["step"] >= options.patience * options.evaluate_every
        )

    def _keep_snapshot(self) -> None:
        if self.step in self.options.snapshots:
            self.folder.save_snapshot(self.model, self.step, self._facts())

    def learn(self) -> float:
        """One optimiser step; returns the cross-entropy in nats per character."""
        options = self.options
        symbols, new_epoch = self.streams.batch_of(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        with without_some(recurrent_weights(self.model.rnn), options.recurrent_dropout):
            entropy, loss, state = self._losses(symbols.to(self.device), self._begin(None if new_epoch else self.state))
            value = self._checked(entropy, "loss")
            loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self._checked(nn.utils.clip_grad_norm_(self.model.parameters(), options.clip), "gradient")
        self.optimiser.step()
        self.state = _map_state(state, lambda part: part.detach().float())
        return value

    def _checked(self, number: Tensor, what: str) -> float:
        """The number, before anything is done to the weights because of it."""
        if math.isfinite(value := float(number.item())):
            return value
        saved = f" {self.folder.path} holds what was saved last." if self.folder.has_saved else ""
        elsewhere = " and another --out" if self.folder.has_saved else ""
        raise InspectorError(
            f"The {what} is {value} at step {self.step:,}: training went wrong.{saved} Start again with a smaller "
            f"--learning-rate{elsewhere}."
        )

    def _losses(self, symbols: Tensor, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Cross-entropy of a stretch (batch, T + 1), the same with all penalties, and the state that it ends in."""
        options = self.options
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            hidden, after = self.model.rnn(self.model.embed(symbols[:, :-1]), state)
            logits = self.model.head(nn.functional.dropout(hidden, options.output_dropout))
        entropy = nn.functional.cross_entropy(logits.float().flatten(0, 1), symbols[:, 1:].flatten())
        loss = entropy
        if options.hidden_penalty:
            loss = loss + options.hidden_penalty * hidden.float().abs().mean()
        if options.cell_penalty and isinstance(after, tuple):
            loss = loss + options.cell_penalty * after[1].float().tanh().abs().mean()
        return entropy, loss, after

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

    def _look(self) -> None:
        """Measure the network on the choose texts, and keep its weights if they are the best so far."""
        self.choose_nats = held_out_nats(self.model, self.corpus.splits["choose"], max_chars=_LOOKED_AT)
        is_known = not math.isnan(self.choose_nats)  # else no text was held out to choose on
        if is_known and (self.best is None or self.choose_nats < self.best["choose_nats"]):
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
            self.best = {"step": self.step, "choose_nats": self.choose_nats, "model": weights}
        losses = f"{self.train_nats:.5f}", f"{self.choose_nats:.5f}"
        self.folder.log((self.step, self._n_seen, *losses, f"{self._learning_rate():.3g}", f"{self.seconds:.1f}"))

    @property
    def _n_seen(self) -> int:
        """Characters read so far."""
        return self.step * self.options.batch * self.options.stretch

    def _facts(self) -> dict[str, Any]:
        """What the model card says about the run."""
        return {
            "corpus": str(self.corpus),
            "steps": self.step,
            "characters": self._n_seen,
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
        self.folder.save(self.model, facts)
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
    n_threads = torch.get_num_threads()
    return f"{n_threads} CPU thread{'s' * (n_threads != 1)} ({platform.machine()})"


def _map_state(state: State, change: Callable[[Tensor], Tensor]) -> State:
    if isinstance(state, tuple):
        return change(state[0]), change(state[1])
    return change(state)
