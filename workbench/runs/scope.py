"""The run that a process reads and writes for: one given in the environment, an interactive one, or none."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.attempt import RUN_ID_VARIABLE, Attempt
from workbench.errors import NotebookError, SettingsError, WorkbenchError, WorkbenchWarning
from workbench.project.modules import Used, used_by_process
from workbench.runs.cell import running_cell
from workbench.runs.code import code_version, shown_name
from workbench.runs.heartbeat import Heartbeat
from workbench.runs.notebook import notebook_sha256
from workbench.runs.process import this_process
from workbench.runs.rehearsing import RehearsalRun, rehearses
from workbench.runs.repeating import known_to
from workbench.runs.saved_in import SAVED_IN, SavedIn
from workbench.runs.store import RunStore

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

    from workbench.runs.decisions_kept import KeptDecisions

__all__ = [
    "NO_RUN",
    "RUN_FOLDER_VARIABLE",
    "RUN_ID_VARIABLE",
    "InteractiveRun",
    "NoRun",
    "NotebookRun",
    "scope_of_process",
]

_BEAT_SECONDS = 30.0

RUN_FOLDER_VARIABLE = "WORKBENCH_RUN_FOLDER"
"""The environment variable with the run's folder, for the same kernel: what it writes is kept there."""

logger = logging.getLogger(__name__)


class NoRun:
    """No run: rows have no run id."""

    def run_id(self) -> uuid.UUID | None:
        """None."""
        return None

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Does nothing: there is no run."""

    def attempt(self) -> Attempt | None:
        """None: what is read is not bound to a slot."""
        return None

    def note_evidence(self, kind: str, items: Sequence[str]) -> None:
        """Does nothing: there is no run."""

    def known_to(self) -> uuid.UUID | None:
        """None: bars are read as they are."""
        return None

    def note_written(self, table: sa.Table, frame: pd.DataFrame, key: Sequence[str], changed: int) -> None:
        """Does nothing: there is no run."""

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Does nothing: there is no run."""

    def note_decided(self, kept: KeptDecisions) -> None:
        """Does nothing: there is no run."""


NO_RUN = NoRun()


class NotebookRun:
    """A run that another process started and will end: this process is the notebook's kernel."""

    def __init__(self, store: RunStore, run_id: uuid.UUID) -> None:
        self._store = store
        self._run_id = run_id
        self._attempts: list[Attempt | None] = []
        self._noted: set[tuple[str, str]] = set()
        self._writes = itertools.count(1)
        self._lock = threading.Lock()

    def run_id(self) -> uuid.UUID | None:
        """The given id."""
        return self._run_id

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Record immediately what was read, so that the record of a killed run has it too."""
        if revisions:
            self._store.note_revisions(self._run_id, revisions)

    def attempt(self) -> Attempt | None:
        """What the run is for, from its record, which is read once; None if it is for no slot."""
        with self._lock:
            if not self._attempts:
                self._attempts.append(self._store.attempt(self._run_id))
        return self._attempts[0]

    def note_evidence(self, kind: str, items: Sequence[str]) -> None:
        """Record immediately, each line once."""
        with self._lock:
            new = [item for item in items if (kind, item) not in self._noted]
            self._noted.update((kind, item) for item in new)
        if new:
            self._store.note_evidence(self._run_id, kind, new)

    def known_to(self) -> uuid.UUID | None:
        """In an exact rerun, the run that it repeats."""
        return known_to()

    def note_written(self, table: sa.Table, frame: pd.DataFrame, key: Sequence[str], changed: int) -> None:  # noqa: ARG002
        """Note the cell, keep the rows in the run's folder, and their digest in its evidence (`written`)."""
        saved = _saved_in(table, frame)
        if saved is not None:
            self.note_evidence(SAVED_IN, [saved.to_line()])
        folder = os.environ.get(RUN_FOLDER_VARIABLE)
        if not folder:
            return
        from workbench.runs.written import keep_rows

        write = keep_rows(Path(folder), next(self._writes), table, frame, key)
        if write is not None:
            self._store.note_evidence(self._run_id, "written", [write.to_line()])

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Record the headline figures immediately."""
        self._store.note_headline(self._run_id, headline)

    def note_decided(self, kept: KeptDecisions) -> None:
        """Keep what a save says at each bar in the run's folder, and name the file in its evidence."""
        folder = os.environ.get(RUN_FOLDER_VARIABLE)
        if not folder:
            return
        from workbench.runs.decisions_kept import EVIDENCE, keep_decisions

        line = keep_decisions(Path(folder), kept)
        if line is not None:
            self._store.note_evidence(self._run_id, EVIDENCE, [line])


class InteractiveRun:
    """The run of an interactive notebook: it begins with the first write and ends with the kernel.

    Between the two its process says every half minute that it is alive. If it is declared dead all the same,
    as after a night of a machine that slept, the next write begins another run.
    """

    def __init__(self, store: RunStore, notebook: str, home: Path) -> None:
        self._store = store
        self._notebook = notebook
        self._home = home
        self._run_id: uuid.UUID | None = None
        self._heartbeat: Heartbeat | None = None
        self._owner = os.getpid()
        self._read: dict[str, int] = {}
        self._saved_in: dict[tuple[object, ...], str] = {}
        self._lock = threading.Lock()
        # Registered now, so that it is called after later handlers, which may still write for this run.
        atexit.register(self._end)

    def run_id(self) -> uuid.UUID | None:
        """The run's id; the first call records the start of the run."""
        with self._lock:
            self._notice_end()
            if self._run_id is None:
                used = self._used()
                self._run_id = self._store.start(
                    notebook=shown_name(Path(self._notebook)),
                    trigger="interactive",
                    notebook_sha256=_sha256_if_readable(self._notebook),
                    code_version=code_version([*used.modules, *used.files]),
                    modules=used.modules,
                    files=used.files,
                    process=this_process(),
                )
                self._owner = os.getpid()
                self._heartbeat = Heartbeat(self._store.pool, self._run_id, every=_BEAT_SECONDS)
                self._heartbeat.start()
                self._store.note_revisions(self._run_id, self._read)
            return self._run_id

    def _notice_end(self) -> None:
        """Forget a run that was declared dead; it can only have been while no beat arrived."""
        heartbeat = self._heartbeat
        # A forked child writes for its parent's run, and leaves its end to the parent.
        if heartbeat is None or os.getpid() != self._owner:
            return
        if heartbeat.silent_seconds > 2 * _BEAT_SECONDS:
            heartbeat.beat()
        if heartbeat.over:
            text = (
                f"run {self._run_id} of this notebook was ended by others ({heartbeat.over}); "
                "what is written from here on is another run's"
            )
            warnings.warn(text, WorkbenchWarning, stacklevel=2)
            self._run_id = self._heartbeat = None

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Keep what was read; recorded when the run begins with the first write."""
        self._read |= revisions
        if self._run_id is not None and revisions:
            self._store.note_revisions(self._run_id, revisions)

    def attempt(self) -> Attempt | None:
        """None: an interactive notebook works on no slot."""
        return None

    def note_evidence(self, kind: str, items: Sequence[str]) -> None:
        """Does nothing: whoever sits before an interactive notebook sees what it reads."""

    def known_to(self) -> uuid.UUID | None:
        """None: an interactive notebook reads bars as they are."""
        return None

    def note_written(self, table: sa.Table, frame: pd.DataFrame, key: Sequence[str], changed: int) -> None:  # noqa: ARG002
        """Note the cell; not the rows, since cells that run in any order are not repeated."""
        run_id, saved = self._run_id, _saved_in(table, frame)
        if run_id is None or saved is None:
            return
        # A cell that is run over and over has another number each time; the last one is on the screen.
        same = (run_id, saved.table, saved.owners, saved.code)
        line, before = saved.to_line(), self._saved_in.get(same)
        if line != before:
            self._store.note_evidence(run_id, SAVED_IN, [line], instead_of=[before] if before else [])
            self._saved_in[same] = line

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Record the headline figures of a saved result."""
        run_id = self.run_id()
        if run_id is not None:
            self._store.note_headline(run_id, headline)

    def note_decided(self, kept: KeptDecisions) -> None:
        """Does nothing: an interactive notebook says nothing live."""

    def _end(self) -> None:
        if self._run_id is not None and os.getpid() == self._owner:
            try:
                if self._heartbeat is not None:
                    self._heartbeat.stop()
                used = self._used()
                version = code_version([*used.modules, *used.files])
                self._store.note_code(self._run_id, version, modules=used.modules, files=used.files)
                self._store.finish(self._run_id, "completed")
            except WorkbenchError as error:
                # The kernel is shutting down, so the error can only be logged.
                logger.warning("the end of run %s was not recorded: %s", self._run_id, error)

    def _used(self) -> Used:
        return used_by_process(Path(self._notebook).parent, self._home)


def scope_of_process(store: RunStore, home: Path) -> NoRun | NotebookRun | InteractiveRun | RehearsalRun:
    """The scope of this process, from its environment.

    In a rehearsal: that. With a run id in the environment: that run. In a kernel of JupyterLab (or VS Code):
    an interactive run of its notebook. Otherwise (a script, a shell, a test): none.
    """
    if rehearses():
        return RehearsalRun()
    given = os.environ.get(RUN_ID_VARIABLE)
    if given:
        try:
            return NotebookRun(store, uuid.UUID(given))
        except ValueError as error:
            raise SettingsError(f"{RUN_ID_VARIABLE}: {given!r} is not a run's id") from error
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return InteractiveRun(store, notebook, home)
    return NO_RUN


def _saved_in(table: sa.Table, frame: pd.DataFrame) -> SavedIn | None:
    """The cell that wrote rows; None for no rows, and where no cell runs."""
    cell = None if frame.empty else running_cell()
    return None if cell is None else SavedIn.of(cell, table, frame)


def _sha256_if_readable(notebook: str) -> str | None:
    """The hash of the notebook as last saved; None if it was never saved."""
    try:
        return notebook_sha256(Path(notebook))
    except NotebookError:
        return None
