"""Watching over one run from outside: how far it is, when it must end, and what to say when it failed.

Knows nothing of papermill: whoever runs the cells reports here, and this decides.
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
from workbench.promotion.failing_line import failing_line
from workbench.runs.notebook import Notebook, cells_tagged, is_run

__all__ = ["CellError", "Progress", "Supervision"]

Progress = Callable[[int, int, str], None]
"""Called as `progress(code cells done, code cells in all, what runs now)`."""

# What a kernel may take to end by itself after its last cell, and its runner after the kernel's end.
_SHUTDOWN_SECONDS = 30.0
_AFTERMATH_SECONDS = 15.0
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Killable(Protocol):
    """The kernel, as far as it is watched."""

    def kill(self) -> None: ...

    def last_words(self) -> str: ...


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
    executed: int = 0  # code cells that have run
    current: int = -1  # index of the cell that runs, in the running notebook; -1 before the first
    killed_for: Literal["", "deadline", "outputs", "shutdown"] = ""
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
        """To be called by the runner as it comes to the cell at `index`."""
        if self.killed_for:
            raise _RunEnded  # by an earlier cell, which had gone on until its outputs were read
        self.current = index
        number, name = self.where(index)
        # Text cells, and the cell of the given parameters, are nothing that people wait for.
        if number is not None and index != self.injected:
            self._events.put((self.executed, name))

    def cell_ran(self) -> None:
        """To be called by the runner when a code cell has run, whether it raised or not."""
        self.executed += 1

    def kill(self, why: Literal["deadline", "outputs", "shutdown"], at: int | None = None) -> None:
        """End the run's kernel, because of the cell at `at` or the one that runs; its runner will notice."""
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
        """Stay until `runner` has ended, or must be given up; afterwards no kernel is left."""
        begun = time.monotonic()
        ending: float | None = None
        try:
            while runner.is_alive():
                self._tell(progress, wait_seconds=0.1)
                now = time.monotonic()
                if self.executed == self.cells and ending is None:
                    ending = now  # nothing left to do but for the kernel to go
                elif timeout_seconds is not None and now - begun > timeout_seconds and ending is None:
                    self.kill("deadline")
                if self.killed_for:
                    self.kernel.kill()  # again: it may have been about to start
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

    def failure(self, timeout_seconds: float | None) -> NotebookFailed | None:
        """The error that says what happened; None where every cell ran and none raised."""
        if self.cell_error is not None:
            return self._raised(self.cell_error)
        if self.executed == self.cells and self.killed_for != "outputs":
            return None  # whatever went wrong after the last cell, the work is done
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
        # IPython's name for the cell is a number that says nothing; the line is told below.
        text = re.sub(r" \(\d+\.py, line \d+\)$", "", _ANSI.sub("", error.text).strip())
        at = f"{where}{failing_line(traceback, number)}"
        message = f"{self.name} failed in {at}: {error.name}" + (f": {text}" if text else "")
        if not text and not traceback:
            # Of a group of errors IPython tells nothing but what it prints.
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
