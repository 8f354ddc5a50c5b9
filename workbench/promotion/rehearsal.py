"""Runs a notebook once before it is promoted: what it imports is noted, what it writes is undone.

The run has no record, and no row or event of it stays: each transaction is rolled back where it would commit.
What a notebook does outside of the database, as writing a file or sending a mail, happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.errors import NotebookFailed
from workbench.home.temporary import TemporaryFolder
from workbench.project.imports import ImportRules
from workbench.project.modules import Imported, import_environment, read_record
from workbench.promotion.execute import execute_notebook
from workbench.promotion.notebook_file import NotebookFile
from workbench.runs.rehearsing import REHEARSAL_VARIABLE
from workbench.stack.model import Progress

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
    wrote : bool
        Whether it had written before; what was undone may be why it failed.
    """

    imported: list[Imported]
    failure: NotebookFailed | None
    wrote: bool


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
    progress : callable, optional
        Called with a few words as it goes on.
    """
    with TemporaryFolder("run", home) as scratch:
        undone = scratch / "undone"
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
                    REHEARSAL_VARIABLE: str(undone),
                },
                cwd=file.path.parent,
                timeout_seconds=timeout_seconds,
                memory_limit=memory_limit,
                progress=None if progress is None else _in_words(progress),
                page=False,
                home=home,
            )
        except NotebookFailed as error:
            failure = error
        return Rehearsal(read_record(rules)[0], failure, undone.exists())


def _in_words(progress: Progress) -> Callable[[int, int, str], None]:
    def tell(done: int, total: int, what: str) -> None:
        progress(f"running it once, without its writes: {done} of {total} done; {what}")

    return tell
