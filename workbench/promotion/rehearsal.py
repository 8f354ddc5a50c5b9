"""Runs a notebook for a promotion: what it imports and saves is noted, what it writes is undone.

The run has no record, and no row or event of it stays: each transaction is rolled back where it would commit.
What a notebook does outside of the database, as writing a file or sending a mail, happens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.errors import NotebookFailed
from workbench.headless.execute import Progress, execute_notebook
from workbench.headless.notebook_file import NotebookFile
from workbench.headless.supervision import Watched
from workbench.home.temporary import TemporaryFolder
from workbench.project.imports import ImportRules
from workbench.project.modules import Imported, import_environment, read_record
from workbench.promotion.gates.capture import Captured
from workbench.runs.rehearsing import rehearsal_environment
from workbench.services.future import Future

__all__ = ["Rehearsal", "rehearse"]


@dataclass(frozen=True)
class Rehearsal:
    """How a rehearsal went.

    Attributes
    ----------
    imported : list of Imported
        The project's modules that were imported, also by the sweep's workers, as far as the run got.
    failure : NotebookFailed or None
        Why it did not run to its end.
    captured : Captured
        What it saved and read.
    seconds : float
    """

    imported: list[Imported]
    failure: NotebookFailed | None
    captured: Captured
    seconds: float

    @property
    def wrote(self) -> bool:
        """Whether it had written something: what was undone may be why it failed."""
        return self.captured.undone > 0


def rehearse(
    file: NotebookFile,
    values: Mapping[str, Any],
    rules: ImportRules,
    *,
    home: Path,
    environment: Mapping[str, str],
    timeout_seconds: float | None = None,
    memory_limit: int | None = None,
    progress: Progress | None = None,
    future: Future | None = None,
    stop: Watched | None = None,
) -> Rehearsal:
    """Run the notebook with these values in its own folder, and keep neither its outputs nor its writes.

    Parameters
    ----------
    file : NotebookFile
    values : mapping
        Its parameters.
    rules : ImportRules
        Which modules are the project's; imports are noted by a record of the rehearsal's own.
    home : Path
    environment : mapping
        The settings, for the kernel.
    timeout_seconds : float, optional
    memory_limit : int, optional
        Bytes.
    progress : callable, optional
        As `execute_notebook` takes it.
    future : Future, optional
        Bars that it does not see, or sees changed.
    stop : Watched, optional
        Asked again and again whether the run is over.
    """
    with TemporaryFolder("run", home) as scratch:
        begun = time.monotonic()
        notes = scratch / "notes"
        rules = replace(rules, record=str(scratch / "imports"))
        failure = None
        try:
            execute_notebook(
                file,
                values,
                scratch / "out",
                environment={
                    **import_environment(rules),
                    **environment,
                    **rehearsal_environment(notes),
                    **({} if future is None else future.environment()),
                },
                cwd=file.path.parent,
                timeout_seconds=timeout_seconds,
                memory_limit=memory_limit,
                heartbeat=stop,
                progress=progress,
                page=False,
                home=home,
            )
        except NotebookFailed as error:
            failure = error
        return Rehearsal(read_record(rules)[0], failure, Captured.of(notes), time.monotonic() - begun)
