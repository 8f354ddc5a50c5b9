"""Runs a notebook headless and records it; commands, flows and schedules all call this."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.attempt import RUN_ID_VARIABLE, UNDONE_PURPOSES, Attempt, Purpose
from workbench.display.card import card_html
from workbench.errors import NotebookError, NotebookFailed, OutputsUnreachable, WorkbenchError
from workbench.headless.execute import Progress, execute_notebook, output_paths
from workbench.headless.memory import memory_limit_bytes
from workbench.headless.notebook_file import open_notebook
from workbench.home.temporary import TemporaryFolder
from workbench.project import find_project
from workbench.project.imports import ImportRules
from workbench.project.modules import import_environment, import_rules, read_record
from workbench.promotion.contents import Contents
from workbench.promotion.held import HeldRun
from workbench.promotion.store import NotebookStore
from workbench.runs import RunStore
from workbench.runs.code import code_version, promoted_code_version
from workbench.runs.decisions_kept import files_of_decisions
from workbench.runs.outputs import Outputs
from workbench.runs.record import about
from workbench.runs.repeating import undone_environment
from workbench.runs.scope import RUN_FOLDER_VARIABLE
from workbench.runs.written import files_of_rows
from workbench.settings import Settings

__all__ = ["NotebookRunResult", "Origin", "check_timeout", "run_notebook"]

_ERROR_LENGTH = 4_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Who asked for a run: a command, or a deployment for a slot.

    `version` is the number of the deployment's version; `scheduled_for` the moment for which a schedule
    started it, if one did; `slot` the one it works on; `rerun_of` the run that it repeats; `environment` what
    differs from the environment that the version was promoted in; `undone` whether what it writes is undone
    (default: as its purpose has it); `in_turn` that the slot waits, rather than being skipped, if another run
    is under way. Of a rerun, and of a run that is undone, no event tells.
    """

    trigger: str = "command"
    deployment: str | None = None
    version: int | None = None
    scheduled_for: datetime | None = None
    flow_run_id: str | None = None
    slot: datetime | None = None
    member: str = ""
    purpose: Purpose | None = None
    rerun_of: str | None = None
    environment: Sequence[str] = ()
    undone: bool | None = None
    in_turn: bool = False

    @property
    def is_undone(self) -> bool:
        """Whether what it writes is undone, by what is set here; a rerun sets the same for its kernel."""
        return self.purpose in UNDONE_PURPOSES if self.undone is None else self.undone

    @property
    def tells(self) -> bool:
        """Whether events tell of it."""
        return self.rerun_of is None and not self.is_undone


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
    memory_limit: str | int | None = None,
    locks: Sequence[str] = (),
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
    memory_limit : str or int, optional
        As `memory_limit_bytes` takes it; beyond it the kernel is killed.
    locks : sequence of str
        Names of resources that no two runs have at once; each is waited for, as long as `timeout_seconds`, or
        an hour.
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
    DeploymentBusy
        Another live run of the deployment is under way; the slot is skipped.
    LockTimeout
        A named resource was not free in time; the record says so.
    """
    origin = origin or Origin()
    check_timeout(timeout_seconds)
    memory_bytes = memory_limit_bytes(memory_limit)
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
    with HeldRun(runs) as run:
        if origin.purpose == "live" and origin.deployment is not None and origin.slot is not None:
            attempt = Attempt(origin.deployment, origin.slot, origin.member)
            run.reserve(attempt, is_retry=origin.trigger == "retry", in_turn=origin.in_turn)
        run.start(
            notebook=name,
            notebook_sha256=file.sha256,
            parameters=values,
            trigger=origin.trigger,
            code_version=code_version() if promoted is None else promoted_code_version(promoted.commit),
            version_sha256=None if version is None else version.sha256,
            modules={} if promoted is None else promoted.modules,
            files={} if promoted is None else promoted.files,
            deployment=origin.deployment,
            deployment_version=origin.version,
            scheduled_for=origin.scheduled_for,
            slot=origin.slot,
            member=origin.member,
            purpose=origin.purpose,
            flow_run_id=origin.flow_run_id,
            tell=origin.tells,
        )
        output_folder = settings.runs_folder / str(run.run_id)
        try:
            if origin.rerun_of is not None:
                run.store.note_evidence(run.run_id, "rerun_of", [origin.rerun_of])
            if origin.environment:
                run.store.note_evidence(run.run_id, "environment", list(origin.environment))
            run.await_resources(locks, timeout_seconds, _teller(progress))
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
                            **(undone_environment(str(origin.purpose)) if origin.is_undone else {}),
                            RUN_ID_VARIABLE: str(run.run_id),
                            RUN_FOLDER_VARIABLE: str(output_folder),
                        },
                        cwd=folder,
                        timeout_seconds=timeout_seconds,
                        memory_limit=memory_bytes,
                        heartbeat=run.heartbeat,
                        progress=progress,
                        about=lambda: _about(run, rules),
                        home=settings.home,
                    )
                finally:
                    _note_code(run, rules)
        except BaseException as error:
            left = [path for path in output_paths(file.path, output_folder) if path.exists()]
            left += [*files_of_rows(output_folder), *files_of_decisions(output_folder)]
            # A run that is being ended has no time to put them elsewhere.
            placed = (
                _placed(settings, run, left)
                if isinstance(error, Exception)
                else {path: str(path) for path in left}
            )
            _record_failure(run, error, placed, tell=origin.tells)
            raise
        if origin.purpose == "live":
            _note_parity(run, output_folder)
        left = [executed.output, executed.html]
        left += [*files_of_rows(output_folder), *files_of_decisions(output_folder)]
        placed = _placed(settings, run, left)
        run.finish(
            "completed",
            output_path=placed[executed.output],
            html_path=placed[executed.html],
            tell=origin.tells,
        )
    return NotebookRunResult(str(run.run_id), name, executed.output, executed.html, executed.seconds)


def _teller(progress: Progress | None) -> Callable[[str], None]:
    """Says what is waited for before the first cell."""

    def tell(words: str) -> None:
        if progress is not None:
            progress(0, 0, words)

    return tell


def _store(settings: Settings, runs: RunStore) -> NotebookStore:
    return NotebookStore(settings.store_folder, Contents(runs.pool))


def _folder_of(name: str, settings: Settings) -> Path:
    """Where a stored notebook works: in the folder it was promoted from, if that is still there."""
    root = find_project() or settings.home
    wanted = [(root / "notebooks" / name).parent, root / "notebooks", root]
    return next((folder for folder in wanted if folder.is_dir()), settings.home)


def _note_code(run: HeldRun, rules: ImportRules) -> None:
    """Record which modules and files of the working tree were used; those promoted are recorded already."""
    if rules.record is not None:
        used = read_record(rules)[1]
        try:
            version = code_version([*used.modules, *used.files])
            run.store.note_code(run.run_id, version, modules=used.modules, files=used.files)
        except WorkbenchError as error:
            logger.warning("what run %s imported was not recorded: %s", run.run_id, error)


def _note_parity(run: HeldRun, folder: Path) -> None:
    """Note how what was said before compares; a run that has done its work does not fail of it."""
    from workbench.parity.noting import note_parity

    try:
        attempt = run.store.attempt(run.run_id)
        if attempt is not None:
            note_parity(run.store, run.run_id, attempt, lambda name: folder / name)
    except Exception:
        logger.exception("the parity of run %s was not noted", run.run_id)


def _about(run: HeldRun, rules: ImportRules) -> list[tuple[str, str]]:
    """The record's facts; only the run's id if the database does not answer."""
    _note_code(run, rules)
    try:
        return about(run.store.show(run.run_id))
    except WorkbenchError:
        return [("run", str(run.run_id))]


def _placed(settings: Settings, run: HeldRun, paths: Sequence[Path]) -> dict[Path, str]:
    """Where each of a run's outputs is for the record: put below the outputs' URL, or kept in the home."""
    here = {path: str(path) for path in paths}
    if settings.outputs_url is None or not paths:
        return here
    try:
        return dict(zip(paths, Outputs(settings.outputs_url).put(str(run.run_id), paths), strict=True))
    except OutputsUnreachable as error:
        logger.warning(
            "the outputs of run %s are kept in %s on %s: %s",
            *(run.run_id, paths[0].parent, socket.gethostname(), error),
        )
        try:
            run.store.note_evidence(run.run_id, "outputs_kept", [f"on {socket.gethostname()}: {error}"])
        except WorkbenchError as second:
            logger.warning("that was not recorded: %s", second)
        return here


def _record_failure(run: HeldRun, error: BaseException, placed: Mapping[Path, str], *, tell: bool) -> None:
    output = next((path for path in placed if path.suffix == ".ipynb"), None)
    html = next((place for path, place in placed.items() if path.suffix == ".html"), None)
    said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
    if isinstance(error, NotebookFailed):
        error.run_id = str(run.run_id)
        error.output = output
        error.html = html
    try:
        run.finish(
            "failed",
            error=said[:_ERROR_LENGTH],
            output_path=None if output is None else placed[output],
            html_path=html,
            tell=tell,
        )
    except WorkbenchError as second:
        # The run's own error matters more; this one is added to it as a note.
        error.add_note(f"the failure of run {run.run_id} could not be recorded: {second}")
