"""RunStore: queries the run records in the database; what it writes is in `recording`."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import QueryError, RunError
from workbench.runs.comparing import compared
from workbench.runs.heartbeats import heartbeat_of
from workbench.runs.opened import OpenedRun
from workbench.runs.outputs import fetch
from workbench.runs.readers import readers_of
from workbench.runs.record import RunRecord, moment_told
from workbench.runs.recording import RunRecorder
from workbench.runs.slot_store import SlotStore
from workbench.runs.versions import VersionStore
from workbench.services.contradictions import sentences_of
from workbench.services.filters import Moment, as_moment, beginning_with
from workbench.tables.workbench import heartbeats, runs

__all__ = ["RunStore"]

_LISTED = (
    "run_id",
    "notebook",
    "status",
    "trigger",
    "deployment",
    "slot",
    "purpose",
    "started_at",
    "ended_at",
    "headline",
    "parameters",
    "error",
    "output_path",
    "html_path",
)
_OF_HEARTBEATS = ("cell", "cells", "doing", "memory_bytes", "peak_bytes")
_STATUSES = ("running", "completed", "failed", "crashed", "cancelled")


class RunStore(RunRecorder):
    """Reads and writes run records.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    folder : Path, optional
        Where `open` puts what it fetches: the home's `runs/`.
    """

    _inside = frozenset(
        {
            "attempt",
            "finish",
            "note_code",
            "note_evidence",
            "note_headline",
            "note_revisions",
            "pool",
            "slots",
            "start",
            "versions",
        }
    )

    def __init__(self, pool: ServiceConnectionPool, folder: Path | None = None) -> None:
        super().__init__(pool)
        self.slots = SlotStore(pool)
        self.versions = VersionStore(pool)
        self._folder = folder

    # ------------------------------------------------------------------------------------------ queries

    def list(
        self,
        *,
        latest: int = 20,
        notebook: str | None = None,
        status: str | None = None,
        deployment: str | None = None,
        slot: Moment | None = None,
    ) -> pd.DataFrame:
        """List the newest runs, newest first.

        Parameters
        ----------
        latest : int
        notebook : str, optional
            A part of the notebook's path.
        status : str, optional
        deployment : str, optional
            The deployment's whole name.
        slot : str or timestamp, optional
            The moment at which the run was due, UTC: "2026-11-27 22:30".

        Of a run that goes on, `cell` of `cells` is what runs now, and `doing` says it; `memory_bytes` and
        `peak_bytes` are what its kernel has and had of resident memory.

        Raises
        ------
        QueryError
            `latest` is less than 1, there is no such status, or `slot` is no moment.
        """
        if latest < 1:
            raise QueryError(f"latest={latest}: expected 1 or more")
        if status is not None and status not in _STATUSES:
            raise QueryError(f'there is no status "{status}"; use one of {", ".join(_STATUSES)}')
        query = (
            sa.select(*(runs.c[name] for name in _LISTED), *(heartbeats.c[name] for name in _OF_HEARTBEATS))
            .select_from(runs.outerjoin(heartbeats, heartbeats.c.run_id == runs.c.run_id))
            .order_by(runs.c.started_at.desc())
            .limit(latest)
        )
        if notebook is not None:
            query = query.where(runs.c.notebook.contains(notebook, autoescape=True))
        if status is not None:
            query = query.where(runs.c.status == status)
        if deployment is not None:
            query = query.where(runs.c.deployment == deployment)
        if (moment := as_moment(slot, "slot")) is not None:
            query = query.where(runs.c.slot == moment.to_pydatetime())
        with self.pool.begin("listing runs") as connection:
            return frames.read(connection, query)

    def show(self, run_id: str | uuid.UUID | float | None) -> dict[str, Any]:
        """Show the whole record of one run; the first characters of its id are enough.

        Its `heartbeat` is a dict, or None: the process that answers for the run, the cell that it was last
        at, resident memory of the kernel with its peak in bytes, and when that was told (`beat_at`).

        `contradictions` holds a sentence for each live signal of which it said something else than another
        run for the same slot.

        Raises
        ------
        RunError
            There is no such run, or several ids begin with `run_id`; or it is None or NaN, as in a row that
            was saved outside of any run.
        """
        if run_id is None or isinstance(run_id, float):
            raise RunError(
                f"run_id is {run_id}: its row was saved outside of any run, e.g. by a script, so there is no "
                "record of it; wb.runs.list() or `workbench runs list` shows all runs"
            )
        query = sa.select(runs).where(beginning_with(runs.c.run_id, str(run_id)))
        with self.pool.begin("showing a run") as connection:
            found = connection.execute(query.limit(2)).mappings().all()
            heartbeat = heartbeat_of(connection, found[0]["run_id"]) if found else None
            contradictions = sentences_of(connection, found[0]["run_id"]) if len(found) == 1 else []
        if not found:
            raise RunError(
                f"there is no run {run_id}; wb.runs.list() or `workbench runs list` shows all runs"
            )
        if len(found) > 1:
            raise RunError(f"several run ids begin with {run_id}; give more characters")
        facts = {"run_id": str(found[0]["run_id"]), "heartbeat": heartbeat, "contradictions": contradictions}
        return RunRecord({**found[0], **facts})

    def open(self, run_id: str | uuid.UUID) -> OpenedRun:
        """Fetch the page and the output notebook of a run, of any machine; in a notebook, show links to them.

        Parameters
        ----------
        run_id : str
            The first characters are enough.

        Returns
        -------
        OpenedRun
            `page` and `notebook`, their paths on this machine.

        Raises
        ------
        RunError
            There is no such run, it left no output, or that is on another machine.
        OutputsUnreachable
            The place of the outputs does not answer.

        Examples
        --------
        >>> wb.runs.open("4f3c").page
        """
        run = self.show(run_id)
        output, page = run["output_path"], run["html_path"]
        if run["outputs_removed_at"] is not None:
            raise RunError(
                f"what run {run['run_id']} left was removed on {moment_told(run['outputs_removed_at'])}, "
                "since it was old; wb.runs.rerun runs it again"
            )
        if output is None:
            raise RunError(f"run {run['run_id']} has left no output notebook: it is {run['status']}")
        folder = (self._folder or Path.cwd() / "runs") / run["run_id"]
        notebook = fetch(output, folder)
        return OpenedRun(run["run_id"], None if page is None else fetch(page, folder), notebook)

    def compare(self, one: str | uuid.UUID, other: str | uuid.UUID) -> pd.DataFrame:
        """Compare two runs, differences first: notebook, code, parameters, modules, files, data, figures.

        Returns
        -------
        DataFrame
            Indexed by field ("parameters.fast", "modules.strategies/breakout.py", "data.yahoo/AAPL",
            "headline.sharpe_ratio"), a column for each run, and `differs`. Rows that differ come before those
            that do not. Of modules and files the values are the SHA-256 of their contents.
        """
        return compared(self.show(one), self.show(other))

    def of(self, series: str, *, since: Moment | None = None, latest: int = 20) -> pd.DataFrame:
        """List the runs that read a series of bars, newest first, with the revision that each has read.

        Parameters
        ----------
        series : str
            "yahoo/AAPL": the data source and the symbol.
        since : str or timestamp, optional
            Only runs that began at that moment or later, UTC.
        latest : int
            At most so many.

        Returns
        -------
        DataFrame
            run_id, notebook, status, trigger, deployment, slot, purpose, started_at (UTC), revision (that the
            run read), revision_now, changed: how many of the bars that it read were corrected or removed
            since, or added between them. `is_whole` is False where older versions are not kept, so that these
            were at least `changed`.

        Raises
        ------
        QueryError
            No bars of `series` were ever stored; `latest` is less than 1; `since` is no moment.

        Examples
        --------
        >>> wb.runs.of(series="yahoo/AAPL").query("changed > 0")
        """
        return readers_of(self.pool, series, since=since, latest=latest)
