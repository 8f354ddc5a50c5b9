"""`Kernels`: runs a notebook again and again for its gates, a few at a time, all of them ended at once."""

from __future__ import annotations

import os
import queue
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from concurrent.futures import Future as Job
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench.headless.notebook_file import NotebookFile
from workbench.project.imports import ImportRules
from workbench.promotion.rehearsal import Rehearsal, rehearse
from workbench.runs.heartbeats import Pulse
from workbench.services.future import Future
from workbench.stack.model import Progress

__all__ = ["Kernels", "Subject"]

_AT_ONCE = 2
_TELL_SECONDS = 0.2


@dataclass(frozen=True)
class Subject:
    """What is run: a notebook with its parameters, and how.

    Attributes
    ----------
    file : NotebookFile
    values : mapping
        Its parameters.
    rules : ImportRules
    home : Path
    environment : mapping
        The settings, for the kernels.
    timeout_seconds : float or None
        Of each run.
    memory_limit : int or None
        Bytes, of each run.
    alone : bool
        Whether no two of its runs may be under way at once.
    """

    file: NotebookFile
    values: Mapping[str, Any]
    rules: ImportRules
    home: Path
    environment: Mapping[str, str]
    timeout_seconds: float | None = None
    memory_limit: int | None = None
    alone: bool = False


class _Stop:
    """Ends runs: they ask again and again whether they are over."""

    def __init__(self) -> None:
        self.over = ""

    def update(self, pulse: Pulse) -> None:
        """How far a run is does not matter."""


class Kernels:
    """Runs of one notebook, two at once where there are processors for them; leave its block to end them all.

    Whatever ends the block (an error, Ctrl-C) also ends the kernels that run, at once.

    Parameters
    ----------
    subject : Subject
    progress : callable
        Called in the caller's thread, with a few words, while `result` waits.
    """

    def __init__(self, subject: Subject, progress: Progress) -> None:
        self._subject = subject
        self._progress = progress
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = _Stop()
        spare = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._runners = ThreadPoolExecutor(
            1 if subject.alone else min(_AT_ONCE, spare), thread_name_prefix="gate"
        )
        # Each run puts Python's warnings back as it found them, and of two at once not in that order.
        self._warnings = warnings.catch_warnings()

    def __enter__(self) -> Kernels:
        self._warnings.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.over = "the promotion was ended"
        try:
            self._runners.shutdown(wait=True, cancel_futures=True)
        finally:
            self._warnings.__exit__(kind, error, trace)

    def start(self, words: str, future: Future | None = None) -> Job[Rehearsal]:
        """Have a run begin when its turn comes; `words` go before what progress tells of it."""
        return self._runners.submit(self._run, words, future)

    def result(self, job: Job[Rehearsal]) -> Rehearsal:
        """Wait for a run's end, and tell what runs meanwhile."""
        while not wait([job], timeout=_TELL_SECONDS, return_when=FIRST_COMPLETED).done:
            self._tell()
        self._tell()
        return job.result()

    def _run(self, words: str, future: Future | None) -> Rehearsal:
        subject = self._subject
        return rehearse(
            subject.file,
            subject.values,
            subject.rules,
            home=subject.home,
            environment=subject.environment,
            timeout_seconds=subject.timeout_seconds,
            memory_limit=subject.memory_limit,
            progress=self._teller(words),
            future=future,
            stop=self._stop,
        )

    def _teller(self, words: str) -> Callable[[int, int, str], None]:
        return lambda done, total, what: self._told.put(f"{words}: {done} of {total} cells done; {what}")

    def _tell(self) -> None:
        while not self._told.empty():
            self._progress(self._told.get())
