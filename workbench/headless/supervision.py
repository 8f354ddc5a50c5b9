"""The state of one run: its progress, its limits, and the error to raise when it fails.

It does not depend on papermill: the thread that runs the cells reports here, another thread watches.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from workbench.errors import NotebookFailed
from workbench.headless.failing_line import failing_line
from workbench.headless.memory import memory_in_words
from workbench.runs.heartbeats import Pulse
from workbench.runs.notebook import Notebook, cells_tagged, is_run
from workbench.runs.process import ProcessIdentity

__all__ = ["CellError", "Progress", "Supervision", "Watched"]

Cause = Literal["deadline", "outputs", "memory", "fence", "shutdown"]
"""Why a kernel is killed."""

Progress = Callable[[int, int, str], None]
"""Called as `progress(code cells done, code cells in all, what runs now)`."""

# How long a kernel may take to shut down after its last cell, and the runner to return after that.
_SHUTDOWN_SECONDS = 30.0
_SAMPLE_SECONDS = 1.0
_AFTERMATH_SECONDS = 15.0
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Killable(Protocol):
    """What is needed of a kernel to watch it."""

    def kill(self) -> None: ...

    def last_words(self) -> str: ...

    def identity(self) -> ProcessIdentity | None: ...

    def resident_bytes(self) -> int: ...


class Watched(Protocol):
    """What is asked whether the run is over, and told how far it is: as a rule its heartbeat."""

    @property
    def over(self) -> str:
        """Why the run is over; empty while it is not."""

    def update(self, pulse: Pulse) -> None:
        """Take in how far the run is."""


class _RunEnded(Exception):
    """The run was ended; its next cell does not begin."""


@dataclass(frozen=True, slots=True)
class CellError:
    """What a cell raised: the cell's index in the running notebook, the error's name, text and traceback."""

    index: int
    name: str
    text: str
    traceback: str


@dataclass
class Supervision:
    """The state of one run, shared by the thread that runs it and the thread that watches.

    Attributes
    ----------
    name : str
        The notebook's file name.
    document : dict
        The notebook as it was before the run.
    given : dict
        The parameters given; papermill adds them as a cell of its own, right after the declared ones.
    """

    name: str
    document: Notebook
    given: dict[str, Any]
    kernel: Killable
    memory_limit: int | None = None  # bytes
    heartbeat: Watched | None = None
    resident: int = 0  # bytes, at the last sample
    peak: int = 0
    executed: int = 0  # code cells that have run
    current: int = -1  # index of the cell that runs, in the running notebook; -1 before the first
    killed_for: Cause | Literal[""] = ""
    blamed: int = -1  # index of the cell because of which it was killed
    cell_error: CellError | None = None
    kernel_died: bool = False
    error: BaseException | None = None
    _events: queue.SimpleQueue[tuple[int, str]] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        tagged = cells_tagged(self.document, "parameters")
        self.injected = tagged[0][0] if tagged and self.given else None
        self._running = list(self.document["cells"])
        if self.injected is not None:
            given = {"cell_type": "code", "metadata": {"tags": []}, "source": "# Parameters"}
            self._running.insert(self.injected, given)
        self.cells = sum(map(is_run, self._running))

    def cell_starts(self, index: int) -> None:
        """Called by the runner before it runs the cell at `index`."""
        if self.killed_for:
            raise _RunEnded  # because of an earlier cell, whose outputs were read late
        self.current = index
        number, name = self.where(index)
        # Text cells and the cell of the given parameters take no time.
        if number is not None and index != self.injected:
            self._events.put((self.executed, name))

    def cell_ran(self) -> None:
        """Called by the runner after each code cell, also after one that raised."""
        self.executed += 1

    def kill(self, why: Cause, at: int | None = None) -> None:
        """Kill the kernel because of the cell at index `at`, by default the one that runs."""
        if not self.killed_for:
            self.killed_for = why
            self.blamed = self.current if at is None else at
        self.kernel.kill()

    def where(self, index: int) -> tuple[int | None, str]:
        """The number of the running notebook's cell at `index`, and its name.

        The number is the one that Jupyter, the output notebook and the page show, as in "In [3]": code cells
        in the order in which they run, that of the given parameters included. A cell that is not run has
        none.
        """
        number = sum(map(is_run, self._running[: index + 1]))
        if index == self.injected:
            return number, f"cell {number} (the parameters given)"
        if not is_run(self._running[index]):
            return None, f"the text behind cell {number}" if number else "the text before cell 1"
        source = self._running[index]["source"]
        first = next(line.strip() for line in source.splitlines() if line.strip())
        return number, f"cell {number} (`{first if len(first) <= 60 else first[:57] + '...'}`)"

    def watch(
        self, runner: threading.Thread, timeout_seconds: float | None, progress: Progress | None
    ) -> None:
        """Wait until `runner` has ended or is given up, then kill the kernel if it still runs."""
        begun = time.monotonic()
        sampled = 0.0
        ending: float | None = None
        try:
            while runner.is_alive():
                self._tell(progress, wait_seconds=0.1)
                now = time.monotonic()
                if now - sampled >= _SAMPLE_SECONDS and not self.killed_for:
                    sampled = now
                    self._sample()
                if self.executed == self.cells and ending is None:
                    ending = now  # every cell has run; only the kernel has to shut down
                elif timeout_seconds is not None and now - begun > timeout_seconds and ending is None:
                    self.kill("deadline")
                elif ending is None and self.memory_limit is not None and self.resident > self.memory_limit:
                    self.kill("memory")
                elif ending is None and self.heartbeat is not None and self.heartbeat.over:
                    self.kill("fence")
                if self.killed_for:
                    self.kernel.kill()  # again: the first time it may not have started yet
                    ending = ending or now
                    if now - ending > _AFTERMATH_SECONDS:
                        break
                elif ending is not None and now - ending > _SHUTDOWN_SECONDS:
                    ending = now
                    self.kill("shutdown")
        finally:
            self.kernel.kill()
            runner.join(_AFTERMATH_SECONDS)
        self._tell(progress, wait_seconds=0)

    def _sample(self) -> None:
        """Measure the kernel's memory, and tell the heartbeat how far the run is."""
        self.resident = self.kernel.resident_bytes()
        self.peak = max(self.peak, self.resident)
        if self.heartbeat is not None:
            number, doing = self.where(self.current) if self.current >= 0 else (None, "its kernel's start")
            pulse = Pulse(number, self.cells, doing, self.kernel.identity(), self.resident, self.peak)
            self.heartbeat.update(pulse)

    def failure(self, timeout_seconds: float | None) -> NotebookFailed | None:
        """The error that says what happened; None where every cell ran and none raised."""
        if self.cell_error is not None:
            return self._raised(self.cell_error)
        if self.executed == self.cells and self.killed_for not in {"outputs", "memory", "fence"}:
            return None  # an error after the last cell does not undo the work
        if self.current < 0 and not self.killed_for:
            words = self.kernel.last_words()
            reason = words.splitlines()[-1] if words else f"{type(self.error).__name__}: {self.error}"
            return NotebookFailed(
                f"{self.name} did not run: its kernel did not start ({reason}).",
                error_name="DeadKernelError",
                traceback=words,
            )
        place = self.blamed if self.killed_for else self.current
        number, where = self.where(place) if place >= 0 else (None, "its kernel's start")
        done = f"{self.executed} of {self.cells} code cells had run"
        words = ""
        if self.killed_for == "deadline":
            name = "TimeoutError"
            message = f"{self.name} was stopped after {timeout_seconds:g} s, in {where}; {done}."
        elif self.killed_for == "outputs":
            name = "OutputLimit"
            message = f"{self.name} was stopped in {where}: its outputs grew too large; show less. {done}."
        elif self.killed_for == "memory" and self.memory_limit is not None:
            name = "MemoryLimit"
            message = (
                f"{self.name} was stopped in {where}: it had {memory_in_words(self.resident)} of resident "
                f"memory, above its limit of {memory_in_words(self.memory_limit)}; its peak was "
                f"{memory_in_words(self.peak)}. {done}."
            )
        elif self.killed_for == "fence" and self.heartbeat is not None:
            name = "RunFenced"
            message = (
                f"{self.name} was stopped in {where}, because its run is over: {self.heartbeat.over}; {done}."
            )
        elif self.kernel_died:
            name, words = "DeadKernelError", self.kernel.last_words()
            reason = f" ({words.splitlines()[0]})" if words else ""
            message = f"{self.name}: the kernel died in {where}{reason}; {done}."
        elif self.error is not None:
            name = type(self.error).__name__
            message = f"{self.name} could not be run to its end, in {where}: {name}: {self.error}; {done}."
        else:
            name = "SystemExit"
            message = f"{self.name} left by sys.exit(), exit() or quit() in {where}; {done}."
        return NotebookFailed(message, cell=number, error_name=name, traceback=words)

    def _raised(self, error: CellError) -> NotebookFailed:
        number, where = self.where(error.index)
        traceback = _ANSI.sub("", error.traceback)
        # IPython names a cell's file by a number without meaning; the line is added below.
        text = re.sub(r" \(\d+\.py, line \d+\)$", "", _ANSI.sub("", error.text).strip())
        at = f"{where}{failing_line(traceback, number)}"
        message = f"{self.name} failed in {at}: {error.name}" + (f": {text}" if text else "")
        if not text and not traceback:
            # Of an exception group IPython reports only what it prints.
            message = f"{self.name} failed in {at}; the cell's output says more"
        return NotebookFailed(message, cell=number, error_name=error.name, traceback=traceback)

    def _tell(self, progress: Progress | None, *, wait_seconds: float) -> None:
        """Pass on what the runner reported, in this thread."""
        try:
            event = self._events.get(timeout=wait_seconds) if wait_seconds else self._events.get_nowait()
            while True:
                if progress is not None:
                    progress(event[0], self.cells, event[1])
                event = self._events.get_nowait()
        except queue.Empty:
            return
