"""Runs a notebook headless and records it; commands, flows and schedules all call this."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.attempt import Purpose
from workbench.display.card import card_html
from workbench.errors import NotebookError, NotebookFailed, OutputsUnreachable, WorkbenchError
from workbench.home.temporary import TemporaryFolder
from workbench.project import find_project
from workbench.project.imports import ImportRules
from workbench.project.modules import import_environment, import_rules, read_record
from workbench.promotion.contents import Contents
from workbench.promotion.execute import Progress, execute_notebook, output_paths
from workbench.promotion.notebook_file import open_notebook
from workbench.promotion.store import NotebookStore
from workbench.runs import RunStore
from workbench.runs.code import code_version, promoted_code_version
from workbench.runs.outputs import Outputs
from workbench.runs.record import about
from workbench.runs.scope import RUN_FOLDER_VARIABLE, RUN_ID_VARIABLE
from workbench.settings import Settings

__all__ = ["NotebookRunResult", "Origin", "check_timeout", "run_notebook"]

_ERROR_LENGTH = 4_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Who asked for a run: a command, or a deployment for a slot.

    `scheduled_for` is the moment for which a schedule started it, if one did; `slot` the one it works on;
    `rerun_of` the run that it repeats.
    """

    trigger: str = "command"
    deployment: str | None = None
    scheduled_for: datetime | None = None
    flow_run_id: str | None = None
    slot: datetime | None = None
    member: str = ""
    purpose: Purpose | None = None
    rerun_of: str | None = None


@dataclass(frozen=True, repr=False)
class NotebookRunResult:
    """A run that completed: its record's id, and where its output notebook and page lie."""

    run_id: str
    notebook: str
    output: Path
    html: Path
    seconds: float

    def __repr__(self) -> str:
        return f"<NotebookRunResult {self.notebook}: run {self.run_id[:8]}, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        rows = [("run", self.run_id), ("page", str(self.html)), ("notebook", str(self.output))]
        return card_html(f"{self.notebook} ran for {self.seconds:.1f} s", rows)


def check_timeout(timeout_seconds: float | None) -> None:
    """Refuse a time limit that no run could keep, with a `NotebookError`."""
    if timeout_seconds is not None and not timeout_seconds > 0:
        raise NotebookError(
            f"timeout_seconds={timeout_seconds!r}: give seconds above 0, or None for no limit"
        )


def run_notebook(
    settings: Settings,
    runs: RunStore,
    notebook: str | os.PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    *,
    sha256: str | None = None,
    origin: Origin | None = None,
    timeout_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> NotebookRunResult:
    """Run a notebook from a clean kernel and record how it went.

    Parameters
    ----------
    settings : Settings
    runs : RunStore
    notebook : path
        As `open_notebook` takes it; for a stored notebook only the name it goes by.
    parameters : mapping, optional
        Checked strictly against the "parameters" cell before anything runs.
    sha256 : str, optional
        Run the promoted version of that hash, whatever the notebook, its modules and files say now.
    origin : Origin, optional
        Who asked. Default: a command. A parameter `slot` of the notebook that has no value gets the slot's.
    timeout_seconds : float, optional
        The kernel is killed after that long.
    environment : mapping, optional
        Further variables for the kernel.
    progress : callable, optional
        `progress(cells done, cells in all, what runs now)`.

    Raises
    ------
    ParametersRefused
        Before anything ran; no record is left.
    NotebookFailed
        A cell raised, the kernel died, time ran out; the record says so, and the error names it.
    SlotTaken
        A live run works on that slot, or has completed it.
    """
    origin = origin or Origin()
    check_timeout(timeout_seconds)
    version = None if sha256 is None else _store(settings, runs).open(sha256)
    if version is None:
        file = open_notebook(notebook)
        name, folder = file.shown, file.path.parent
    else:
        file, name = version.file, os.fspath(notebook)
        folder = _folder_of(name, settings)
    promoted = version if version is not None and version.tree is not None else None
    values = file.parameters.complete(file.parameters.validate(dict(parameters or {})))
    if origin.slot is not None:
        values = file.parameters.with_slot(values, origin.slot)
    run_id = runs.start(
        notebook=name,
        notebook_sha256=file.sha256,
        parameters=values,
        trigger=origin.trigger,
        code_version=code_version() if promoted is None else promoted_code_version(promoted.commit),
        version_sha256=None if version is None else version.sha256,
        modules={} if promoted is None else promoted.modules,
        files={} if promoted is None else promoted.files,
        deployment=origin.deployment,
        scheduled_for=origin.scheduled_for,
        slot=origin.slot,
        member=origin.member,
        purpose=origin.purpose,
        flow_run_id=origin.flow_run_id,
    )
    output_folder = settings.runs_folder / str(run_id)
    try:
        if origin.rerun_of is not None:
            runs.note_evidence(run_id, "rerun_of", [origin.rerun_of])
        with TemporaryFolder("run", settings.home) as scratch:
            if promoted is None:
                rules = import_rules(folder, settings.home, record=scratch / "imports")
            else:
                rules = import_rules(folder, settings.home, tree=promoted.tree, paths=promoted.paths)
            try:
                executed = execute_notebook(
                    file,
                    values,
                    output_folder,
                    environment={
                        **import_environment(rules),
                        **(environment or {}),
                        RUN_ID_VARIABLE: str(run_id),
                        RUN_FOLDER_VARIABLE: str(output_folder),
                    },
                    cwd=folder,
                    timeout_seconds=timeout_seconds,
                    progress=progress,
                    about=lambda: _about(runs, run_id, rules),
                    home=settings.home,
                )
            finally:
                _note_code(runs, run_id, rules)
    except BaseException as error:
        left = [path for path in output_paths(file.path, output_folder) if path.exists()]
        # A run that is being ended has no time to put them elsewhere.
        placed = (
            _placed(settings, runs, run_id, left)
            if isinstance(error, Exception)
            else {path: str(path) for path in left}
        )
        _record_failure(runs, run_id, error, placed)
        raise
    placed = _placed(settings, runs, run_id, [executed.output, executed.html])
    runs.finish(run_id, "completed", output_path=placed[executed.output], html_path=placed[executed.html])
    return NotebookRunResult(str(run_id), name, executed.output, executed.html, executed.seconds)


def _store(settings: Settings, runs: RunStore) -> NotebookStore:
    return NotebookStore(settings.store_folder, Contents(runs.pool))


def _folder_of(name: str, settings: Settings) -> Path:
    """Where a stored notebook works: in the folder it was promoted from, if that is still there."""
    root = find_project() or settings.home
    wanted = [(root / "notebooks" / name).parent, root / "notebooks", root]
    return next((folder for folder in wanted if folder.is_dir()), settings.home)


def _note_code(runs: RunStore, run_id: uuid.UUID, rules: ImportRules) -> None:
    """Record which modules and files of the working tree were used; those promoted are recorded already."""
    if rules.record is not None:
        used = read_record(rules)[1]
        try:
            version = code_version([*used.modules, *used.files])
            runs.note_code(run_id, version, modules=used.modules, files=used.files)
        except WorkbenchError as error:
            logger.warning("what run %s imported was not recorded: %s", run_id, error)


def _about(runs: RunStore, run_id: uuid.UUID, rules: ImportRules) -> list[tuple[str, str]]:
    """The record's facts; only the run's id if the database does not answer."""
    _note_code(runs, run_id, rules)
    try:
        return about(runs.show(run_id))
    except WorkbenchError:
        return [("run", str(run_id))]


def _placed(settings: Settings, runs: RunStore, run_id: uuid.UUID, paths: Sequence[Path]) -> dict[Path, str]:
    """Where each of a run's outputs is for the record: put below the outputs' URL, or kept in the home."""
    here = {path: str(path) for path in paths}
    if settings.outputs_url is None or not paths:
        return here
    try:
        return dict(zip(paths, Outputs(settings.outputs_url).put(str(run_id), paths), strict=True))
    except OutputsUnreachable as error:
        logger.warning(
            "the outputs of run %s are kept in %s on %s: %s",
            *(run_id, paths[0].parent, socket.gethostname(), error),
        )
        try:
            runs.note_evidence(run_id, "outputs_kept", [f"on {socket.gethostname()}: {error}"])
        except WorkbenchError as second:
            logger.warning("that was not recorded: %s", second)
        return here


def _record_failure(
    runs: RunStore, run_id: uuid.UUID, error: BaseException, placed: Mapping[Path, str]
) -> None:
    output = next((path for path in placed if path.suffix == ".ipynb"), None)
    html = next((place for path, place in placed.items() if path.suffix == ".html"), None)
    said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
    if isinstance(error, NotebookFailed):
        error.run_id = str(run_id)
        error.output = output
        error.html = html
    try:
        runs.finish(
            run_id,
            "failed",
            error=said[:_ERROR_LENGTH],
            output_path=None if output is None else placed[output],
            html_path=html,
        )
    except WorkbenchError as second:
        # The run's own error matters more; this one is added to it as a note.
        error.add_note(f"the failure of run {run_id} could not be recorded: {second}")
