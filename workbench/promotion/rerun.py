"""Runs a run again: the same content, parameters and slot, on the bars that it knew or on today's.

What the rerun writes is kept in its folder, and undone in the database: else old rows would replace newer
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.db.series_changes import SeriesRead, series_changes
from workbench.errors import NotebookError, NotebookFailed, OutputsUnreachable, RunError
from workbench.headless.execute import Progress
from workbench.headless.notebook_file import NotebookFile, open_notebook
from workbench.project import find_project
from workbench.project.files_used import file_sha256
from workbench.project.imports import BESIDE
from workbench.promotion.rerun_result import RerunResult
from workbench.promotion.run import Origin, run_notebook
from workbench.runs import RunStore
from workbench.runs.outputs import fetch
from workbench.runs.repeating import rerun_environment
from workbench.runs.written import writes_of
from workbench.runs.written_compared import compare_writes
from workbench.settings import Settings

__all__ = ["files_of", "rerun"]


def rerun(
    settings: Settings,
    runs: RunStore,
    run_id: str,
    *,
    exact: bool,
    environment: Mapping[str, str],
    timeout_seconds: float | None = None,
    progress: Progress | None = None,
) -> RerunResult:
    """Run it again, and compare what both wrote; `wb.runs.rerun` has the help."""
    before = runs.show(run_id)
    _refuse_unrepeatable(before)
    sha256 = before["version_sha256"]
    file = before["notebook"] if sha256 is not None else _unchanged(before)
    origin = Origin(
        deployment=before["deployment"],
        slot=before["slot"],
        member=before["member"],
        purpose="rerun",
        rerun_of=before["run_id"],
        version=before["deployment_version"],
    )
    try:
        done = run_notebook(
            settings,
            runs,
            file,
            before["parameters"],
            sha256=sha256,
            origin=origin,
            timeout_seconds=timeout_seconds,
            environment={**environment, **rerun_environment(before["run_id"], exact=exact)},
            progress=progress,
        )
    except NotebookFailed as error:
        if error.run_id is not None and writes_of(runs.show(error.run_id)["evidence"]):
            error.add_note("What a rerun writes is undone; a cell that reads it again does not find it.")
        raise
    now = runs.show(done.run_id)
    written = compare_writes(
        *((files_of(settings, run), writes_of(run["evidence"])) for run in (before, now))
    )
    figures = _figures(before["headline"], now["headline"])
    notes = list(written.notes)
    if before["status"] != "completed":
        notes.append(f"the run that was repeated is {before['status']}, so it may not have written all")
    with runs.pool.begin("counting revised bars") as connection:
        read = [SeriesRead(name, at, before["slot"]) for name, at in sorted(before["data_revisions"].items())]
        changes = series_changes(connection, read)
    revised = changes.loc[changes["changed"] > 0, ["series", "changed", "first", "last"]]
    return RerunResult(
        run_id=before["run_id"],
        rerun_id=done.run_id,
        notebook=done.notebook,
        exact=exact,
        same=written.same and figures.empty,
        rows=sum(write.rows for write in writes_of(now["evidence"])),
        differences=pd.concat([figures, written.differences], ignore_index=True),
        revised=revised.rename(columns={"changed": "bars"}).reset_index(drop=True),
        notes=tuple(notes),
        html=done.html,
    )


def _refuse_unrepeatable(run: Mapping[str, Any]) -> None:
    short = run["run_id"][:8]
    if run["status"] == "running":
        raise RunError(f"run {short} is still running; it can be repeated when it has ended")
    if run["trigger"] == "interactive":
        raise RunError(
            f"run {short} was a kernel of JupyterLab, whose cells ran in any order; only headless runs "
            "(workbench run, deployments) can be repeated"
        )


def _unchanged(run: Mapping[str, Any]) -> NotebookFile:
    """The notebook of the working tree, if it and all that the run used of the project are as they were.

    Raises
    ------
    RunError
        Something is gone or has changed; it names what.
    """
    short = run["run_id"][:8]
    try:
        file = open_notebook(run["notebook"])
    except NotebookError as error:
        raise RunError(f"run {short} cannot be repeated: {error}") from error
    changed = [] if file.sha256 == run["notebook_sha256"] else [run["notebook"]]
    for path, sha256 in {**run["modules"], **run["files"]}.items():
        if _sha256_now(path, file.path.parent) != sha256:
            changed.append(path)
    if changed:
        told = ", ".join(changed[:10]) + (f" and {len(changed) - 10} more" if len(changed) > 10 else "")
        raise RunError(
            f"run {short} cannot be repeated: {told} changed since, and what ran was not promoted; a "
            "deployment keeps what it runs"
        )
    return file


def _sha256_now(path: str, beside: Path) -> str | None:
    """The hash of a file of the project, or of one beside the notebook; None if it is gone."""
    root = find_project() or beside
    place = beside / path.removeprefix(f"{BESIDE}/") if path.startswith(f"{BESIDE}/") else root / path
    try:
        return file_sha256(place)
    except OSError:
        return None


def files_of(settings: Settings, run: Mapping[str, Any]) -> Callable[[str], Path | None]:
    """What gives a file that lies beside the run's output notebook, fetched from wherever that is."""
    folder = settings.runs_folder / run["run_id"]
    place = str(run["output_path"] or folder / "output.ipynb").rpartition("/")[0]

    def get(name: str) -> Path | None:
        try:
            return fetch(f"{place}/{name}", folder)
        except (RunError, OutputsUnreachable):
            return None

    return get


def _figures(before: Mapping[str, Any], now: Mapping[str, Any]) -> pd.DataFrame:
    """The headline figures that differ, as rows of `RerunResult.differences`."""
    rows = [
        ("headline", "", name, _text(before.get(name)), _text(now.get(name)))
        for name in sorted({*before, *now})
        if _text(before.get(name)) != _text(now.get(name))
    ]
    return pd.DataFrame(rows, columns=["table", "key", "column", "before", "now"], dtype="object")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
