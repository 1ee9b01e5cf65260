"""Work that takes a while, done behind the page: it goes on when the reader clicks elsewhere, tells how far it is, and
can be cancelled. Two windows that want the same thing wait for the same work. Knows nothing about what is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from copy import copy

from inspector.recording import InspectorError

Work = Callable[["Job"], object]


class Job:
    """One piece of work in a thread of its own.

    work : called with the job, which it tells how far it is (`job.share`, from 0 to 1) and asks whether it should stop
        (`job.is_cancelled()`). words : what is being done, for the reader.
    """

    def __init__(self, words: str, work: Work) -> None:
        self.words, self.share, self._started = words, 0.0, time.monotonic()
        self._cancelled, self._done = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._work: Work | None = work
        self._afterwards: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True, name=words).start()

    def _run(self) -> None:
        try:
            if self._work is not None:
                self._work(self)
        except InspectorError as error:
            self._error = copy(error)  # without its traceback, whose frames hold what was worked with
        except BaseException as error:
            self._error = error
        finally:
            self._work = None  # it may hold a recording, which would outlive its place in memory
            with self._lock:
                self._done.set()
                afterwards, self._afterwards = self._afterwards, []
        for do in afterwards if self._error is None else ():
            do()

    def then(self, do: Callable[[], object]) -> None:
        """Have this done once the work has ended well: in its thread, or here and now where it has."""
        with self._lock:
            if not self.is_done:
                self._afterwards.append(do)
                return
        if self._error is None:
            do()

    @property
    def is_done(self) -> bool:
        """Whether the work has ended, well or not."""
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        return self._done.wait(seconds)

    def check(self) -> None:
        """Raise what went wrong, here: an InspectorError where the reader can do something about it.

        That stays until it is asked for again; a crash is raised once and then forgotten.
        """
        error = self._error
        if isinstance(error, InspectorError):
            raise copy(error)  # each reader's own: a traceback would keep the page's values
        if error is not None:
            self._error = None
            raise error

    @property
    def has_failed(self) -> bool:
        """Whether it ended in a sentence for the reader, or in a crash that `check` has not raised yet."""
        return self._error is not None

    def cancel(self) -> None:
        """Have it stop soon."""
        self._cancelled.set()

    def is_cancelled(self) -> bool:
        """Whether it should stop."""
        return self._cancelled.is_set()

    def seconds_spent(self) -> float:
        """How long it has been at it."""
        return time.monotonic() - self._started

    def seconds_left(self) -> float | None:
        """How long it will take from here on at the pace so far; None while nobody can tell."""
        spent = self.seconds_spent()
        return spent * (1 - self.share) / self.share if spent > 1 and self.share > 0.01 else None


class Jobs:
    """The work under way, and what failed until somebody asks for it again."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, Job] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, words: str, work: Work) -> Job:
        """The job under that key, begun now where none is under way or has failed."""
        with self._lock:
            self._jobs = {at: job for at, job in self._jobs.items() if not job.is_done or job.has_failed}
            job = self._jobs.get(key)
            if job is None:
                job = self._jobs[key] = Job(words, work)
            return job

    def under(self, key: Hashable) -> Job | None:
        """The job under that key, which may have ended; None where none was begun."""
        with self._lock:
            return self._jobs.get(key)

    def forget(self, key: Hashable) -> None:
        """Let it be begun anew."""
        with self._lock:
            self._jobs.pop(key, None)
