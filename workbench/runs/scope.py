"""On whose behalf a process reads and writes: a run that was given to it, an interactive one, or none."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError, SettingsError, WorkbenchError
from workbench.runs.code import code_version, shown_name
from workbench.runs.notebook import notebook_sha256
from workbench.runs.store import RunStore

__all__ = ["NO_RUN", "RUN_ID_VARIABLE", "InteractiveRun", "NoRun", "NotebookRun", "scope_of_process"]

RUN_ID_VARIABLE = "WORKBENCH_RUN_ID"
"""The environment variable in which a headless notebook's kernel finds its run's id."""

logger = logging.getLogger(__name__)


class NoRun:
    """Outside of any run: rows carry no run id."""

    def run_id(self) -> uuid.UUID | None:
        """None."""
        return None

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Nobody wants to know."""

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Nobody wants to know."""


NO_RUN = NoRun()


class NotebookRun:
    """A run that somebody else started and will end: this process is the notebook's kernel."""

    def __init__(self, store: RunStore, run_id: uuid.UUID) -> None:
        self._store = store
        self._run_id = run_id

    def run_id(self) -> uuid.UUID | None:
        """The id that was given."""
        return self._run_id

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Record what was read at once: a run that is killed has said what it saw."""
        if revisions:
            self._store.note_revisions(self._run_id, revisions)

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Record the headline figures at once."""
        self._store.note_headline(self._run_id, headline)


class InteractiveRun:
    """A notebook that somebody works in: a run begins with its first write and ends with its kernel."""

    def __init__(self, store: RunStore, notebook: str) -> None:
        self._store = store
        self._notebook = notebook
        self._run_id: uuid.UUID | None = None
        self._read: dict[str, int] = {}
        self._lock = threading.Lock()
        # Registered now, and so called after whatever is registered later and still writes for this run.
        atexit.register(self._end)

    def run_id(self) -> uuid.UUID | None:
        """The run's id; the first call records that it has begun."""
        with self._lock:
            if self._run_id is None:
                self._run_id = self._store.start(
                    notebook=shown_name(Path(self._notebook)),
                    trigger="interactive",
                    notebook_sha256=_sha256_if_readable(self._notebook),
                    code_version=code_version(),
                )
                self._store.note_revisions(self._run_id, self._read)
            return self._run_id

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Remember what was read; recorded as soon as something is written."""
        self._read |= revisions
        if self._run_id is not None and revisions:
            self._store.note_revisions(self._run_id, revisions)

    def note_headline(self, headline: Mapping[str, Any]) -> None:
        """Record the headline figures of what was saved."""
        run_id = self.run_id()
        if run_id is not None:
            self._store.note_headline(run_id, headline)

    def _end(self) -> None:
        if self._run_id is not None:
            try:
                self._store.finish(self._run_id, "completed")
            except WorkbenchError as error:
                # The kernel is going away: there is nobody left to raise to.
                logger.warning("the end of run %s was not recorded: %s", self._run_id, error)


def scope_of_process(store: RunStore) -> NoRun | NotebookRun | InteractiveRun:
    """The scope that this process's environment tells of.

    A run id in the environment: that run. A kernel of JupyterLab (or VS Code): an interactive run of its
    notebook. Anything else (a script, a shell, a test): none.
    """
    given = os.environ.get(RUN_ID_VARIABLE)
    if given:
        try:
            return NotebookRun(store, uuid.UUID(given))
        except ValueError as error:
            raise SettingsError(f"{RUN_ID_VARIABLE}: {given!r} is not a run's id") from error
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return InteractiveRun(store, notebook)
    return NO_RUN


def _sha256_if_readable(notebook: str) -> str | None:
    """The hash of the notebook as it was last saved; None for one that was never saved."""
    try:
        return notebook_sha256(Path(notebook))
    except NotebookError:
        return None
