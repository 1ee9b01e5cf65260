"""The folder of a run: a checkpoint, `trainer.pt` (what a resume needs), `log.csv` (the curve), `snapshots/`.

Each file but the log, which grows by rows, is replaced whole or not at all, so that a run which is killed at any moment
can go on from the last save.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from inspector.model import CharModel, save_checkpoint
from inspector.recording import InspectorError, Lock

_LOG_COLUMNS = ("step", "characters", "train_nats", "choose_nats", "learning_rate", "seconds")
_COPIES = 8  # weights, best weights, two moments of the optimiser, and all of them once more while a file is replaced


class RunFolder:
    """Where a run keeps what it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept, self._log = path / "trainer.pt", path / "log.csv"
        self._partial = path / "trainer.pt.partial"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else trains in this folder meanwhile."""
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror
            raise InspectorError(f"No run can be kept in {self.path}: {reason}. Choose another --out.") from error
        lock = Lock(self.path, "training")
        try:
            yield
        finally:
            lock.release()
            if is_new:  # and stays so where nothing came of it
                with contextlib.suppress(OSError):
                    self.path.rmdir()

    @property
    def has_saved(self) -> bool:
        return self._kept.exists()

    @property
    def _was_begun(self) -> bool:
        """Whether what lies here is what a run left that ended before it was saved."""
        return self._log.is_file() and self._log.read_bytes().startswith(",".join(_LOG_COLUMNS).encode())

    def begin(self, n_bytes: int, n_snapshots: int) -> None:
        """Make a folder for a network of so many bytes. Raises InspectorError where a run lies, or has no room."""
        if self.has_saved:
            raise InspectorError(
                f"{self.path} already holds a run. Add --resume to go on with it, or choose another folder."
            )
        if (self.path / "model.safetensors").exists():
            raise InspectorError(f"{self.path} holds a finished network, which would be lost: choose another folder.")
        if not self._was_begun and (others := sorted(there.name for there in self.path.glob("[!.]*"))):
            raise InspectorError(
                f"{self.path} holds {others[0]}, which a run might overwrite: choose a new or empty folder."
            )
        needed = n_bytes * _COPIES + n_snapshots * n_bytes // 2  # snapshots are in half precision
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise InspectorError(
                f"A run in {self.path} needs up to {needed / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB. "
                "Choose an --out on another disk, or fewer --snapshots."
            )
        for left in (self.path / "snapshots").glob("step-*"):  # by a run that ended before it was saved
            shutil.rmtree(left)
        self._write_log([])

    def log(self, row: Sequence[object]) -> None:
        """One more look at held-out text: step, characters, nats on train and choose texts, learning rate, seconds."""
        with self._log.open("a", newline="") as file:
            csv.writer(file).writerow(row)

    def forget_after(self, step: int) -> None:
        """Drop rows of the log that a killed run wrote after its last save, one perhaps in part: they come again."""
        with self._log.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        whole = [row for row in rows if len(row) == len(_LOG_COLUMNS) and row[0].isdecimal()]
        self._write_log([row for row in whole if int(row[0]) <= step])

    def _write_log(self, rows: Sequence[Sequence[str]]) -> None:
        partial = self._log.with_suffix(".csv.partial")
        with partial.open("w", newline="") as file:
            csv.writer(file).writerows([_LOG_COLUMNS, *rows])
        partial.replace(self._log)

    def save(self, model: CharModel, facts: dict[str, Any], kept: dict[str, Any] | None = None) -> None:
        """The network, what its card says, and what a resume needs; without `kept` the run is over."""
        with self._disk_errors():
            if kept is not None:  # first: a network without it would be taken for a finished one
                torch.save(kept, self._partial)
                self._partial.replace(self._kept)
            save_checkpoint(model, self.path, training=facts)

    def save_snapshot(self, model: CharModel, step: int, facts: dict[str, Any]) -> None:
        """A copy of the weights as they are at this step."""
        with self._disk_errors():
            save_checkpoint(model, self.path / "snapshots" / f"step-{step:06d}", training=facts, dtype="float16")

    def load(self) -> dict[str, Any]:
        """What `save` kept for a resume."""
        if not self._kept.is_file():
            raise InspectorError(
                f"There is no run to resume in {self.path}: {self._kept.name} is missing. Start without --resume."
            )
        try:
            kept: dict[str, Any] = torch.load(self._kept, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise self.damaged(type(error).__name__) from error
        return kept

    def damaged(self, reason: str) -> InspectorError:
        return InspectorError(f"{self._kept} is damaged and cannot be resumed from ({reason}).")

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """A full disk is a sentence; what was saved before stays as it is."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch.save wraps what the disk says into a RuntimeError
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            if not full and not isinstance(error, RuntimeError):
                raise
            self._partial.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else "only a part of a file could be written"
            raise InspectorError(
                f"The run could not be saved in {self.path} ({reason}). What was saved before is whole: make room on "
                "the disk and go on with --resume."
            ) from error
