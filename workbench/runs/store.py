"""RunStore: writes and queries the run records in the database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.attempt import Attempt, Purpose
from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.display.face import Face
from workbench.errors import DuplicateKeys, QueryError, RunError, RunFenced, SlotTaken
from workbench.events import outbox
from workbench.runs.opened import OpenedRun
from workbench.runs.outputs import fetch
from workbench.runs.record import RunRecord
from workbench.runs.slot_store import SlotStore
from workbench.runs.slots import close_slot, open_slot
from workbench.services.contradictions import sentences_of
from workbench.services.filters import Moment, as_moment
from workbench.tables.workbench import runs

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
_STATUSES = ("running", "completed", "failed", "crashed", "cancelled")
_COMPARED = (
    "notebook",
    "notebook_sha256",
    "version_sha256",
    "code_version",
    "status",
    "trigger",
    "deployment",
    "slot",
    "purpose",
    "started_at",
)
# Groups that are compared item by item: name in the comparison to column of the record.
_GROUPS = {
    "parameters": "parameters",
    "modules": "modules",
    "files": "files",
    "data": "data_revisions",
    "headline": "headline",
}


class RunStore(Face):
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
        }
    )

    def __init__(self, pool: ServiceConnectionPool, folder: Path | None = None) -> None:
        self.pool = pool
        self.slots = SlotStore(pool)
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
            sa.select(*(runs.c[name] for name in _LISTED)).order_by(runs.c.started_at.desc()).limit(latest)
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
        prefix = str(run_id).lower()
        query = sa.select(runs).where(sa.cast(runs.c.run_id, sa.Text).startswith(prefix, autoescape=True))
        with self.pool.begin("showing a run") as connection:
            found = connection.execute(query.limit(2)).mappings().all()
            contradictions = sentences_of(connection, found[0]["run_id"]) if len(found) == 1 else []
        if not found:
            raise RunError(
                f"there is no run {run_id}; wb.runs.list() or `workbench runs list` shows all runs"
            )
        if len(found) > 1:
            raise RunError(f"several run ids begin with {run_id}; give more characters")
        return RunRecord({**found[0], "run_id": str(found[0]["run_id"]), "contradictions": contradictions})

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
        sides = {}
        for run_id in (one, other):
            run = self.show(run_id)
            facts = {name: run[name] for name in _COMPARED}
            for group, column in _GROUPS.items():
                facts |= {f"{group}.{name}": value for name, value in run[column].items()}
            sides[run["run_id"][:8]] = pd.Series(facts, dtype="object")
        table = pd.DataFrame(sides)
        table = table.loc[sorted(table.index, key=_place)]
        table["differs"] = [not _same(*row) for row in table.itertuples(index=False)]
        return table.sort_values("differs", ascending=False, kind="stable")

    # ---------------------------------------------------------------------------------------- recording

    def start(
        self,
        *,
        notebook: str,
        trigger: str,
        notebook_sha256: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        code_version: str | None = None,
        version_sha256: str | None = None,
        modules: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        deployment: str | None = None,
        scheduled_for: datetime | None = None,
        slot: datetime | None = None,
        member: str = "",
        purpose: Purpose | None = None,
        flow_run_id: str | None = None,
        output_path: str | None = None,
    ) -> uuid.UUID:
        """Record the start of a run, and return its id; a live one takes its slot.

        Raises
        ------
        SlotTaken
            A live run of that deployment for that slot is running or has completed.
        """
        run_id = uuid.uuid4()
        values = {
            "run_id": run_id,
            "notebook": notebook,
            "notebook_sha256": notebook_sha256,
            "parameters": dict(parameters or {}),
            "trigger": trigger,
            "code_version": code_version,
            "version_sha256": version_sha256,
            "modules": dict(modules or {}),
            "files": dict(files or {}),
            "deployment": deployment,
            "scheduled_for": scheduled_for,
            "slot": slot,
            "member": member,
            "purpose": purpose,
            "flow_run_id": None if flow_run_id is None else uuid.UUID(flow_run_id),
            "output_path": output_path,
        }
        try:
            with self.pool.begin("recording a run") as connection:
                connection.execute(runs.insert().values(values))
                if purpose == "live" and deployment is not None and slot is not None:
                    open_slot(connection, Attempt(deployment, slot, member), run_id)
                if purpose != "rerun":  # of which nobody is told: it changes nothing
                    outbox.add(
                        connection,
                        "notebook_run.started",
                        "runs",
                        {
                            "run_id": str(run_id),
                            "notebook": notebook,
                            "trigger": trigger,
                            "deployment": deployment,
                        },
                        key=str(run_id),
                    )
        except DuplicateKeys as error:
            raise SlotTaken(
                f"deployment {deployment} is running for {slot}, or has run for it: "
                "there is only one live run for each slot"
            ) from error
        return run_id

    def attempt(self, run_id: uuid.UUID) -> Attempt | None:
        """What a run is for; None for one that is for no slot."""
        query = sa.select(
            runs.c.deployment, runs.c.slot, runs.c.member, runs.c.purpose, runs.c.version_sha256
        ).where(runs.c.run_id == run_id, runs.c.slot.is_not(None), runs.c.purpose.is_not(None))
        with self.pool.begin("reading what a run is for") as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else Attempt(*found)

    def note_revisions(self, run_id: uuid.UUID, revisions: Mapping[str, int]) -> None:
        """Add the revisions of the data series that the run has read; does nothing if the run has ended."""
        with self.pool.begin("recording what a run read") as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(
                    data_revisions=runs.c.data_revisions.concat(
                        sa.cast(dict(revisions), runs.c.headline.type)
                    )
                )
            )

    def note_evidence(self, run_id: uuid.UUID, kind: str, items: Sequence[str]) -> None:
        """Add lines to the run's evidence of that kind, each once; does nothing if the run has ended."""
        known = sa.func.coalesce(runs.c.evidence[kind], sa.cast([], runs.c.evidence.type))
        line = sa.func.jsonb_array_elements(known.concat(sa.cast(list(items), runs.c.evidence.type)))
        lines = sa.select(sa.func.jsonb_agg(line.column_valued("line").distinct())).scalar_subquery()
        with self.pool.begin("recording a run's evidence") as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(evidence=runs.c.evidence.concat(sa.func.jsonb_build_object(kind, lines)))
            )

    def note_code(
        self, run_id: uuid.UUID, code_version: str, *, modules: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        """Record which modules and files a run has used, by hash; does nothing if the run has ended."""
        with self.pool.begin("recording what a run imported") as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(code_version=code_version, modules=dict(modules), files=dict(files))
            )

    def note_headline(self, run_id: uuid.UUID, headline: Mapping[str, Any]) -> None:
        """Add headline figures to the run's record; a figure of the same name is replaced.

        Raises
        ------
        RunFenced
            The run has ended already, or was declared dead.
        """
        with self.pool.begin("recording a run's headline") as connection:
            noted = connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(headline=runs.c.headline.concat(sa.cast(dict(headline), runs.c.headline.type)))
            )
            if not noted.rowcount:
                raise RunFenced(
                    f"run {run_id} has ended already or was declared dead; its headline was not recorded"
                )

    def finish(
        self,
        run_id: uuid.UUID,
        status: str,
        *,
        error: str | None = None,
        output_path: str | None = None,
        html_path: str | None = None,
    ) -> None:
        """Record how a run ended ("completed", "failed", "crashed" or "cancelled"), and publish an event.

        Raises
        ------
        RunFenced
            The run had ended already, or was declared dead.
        """
        values = {
            "status": status,
            "error": error,
            "ended_at": sa.func.clock_timestamp(),
            "output_path": sa.func.coalesce(output_path, runs.c.output_path),
            "html_path": html_path,
        }
        with self.pool.begin("recording a run's end") as connection:
            ended = connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(values)
                .returning(
                    runs.c.notebook, runs.c.headline, runs.c.deployment, runs.c.output_path, runs.c.purpose
                )
            ).one_or_none()
            if ended is None:
                raise RunFenced(
                    f"run {run_id} has ended already or was declared dead; its end was not recorded"
                )
            close_slot(connection, run_id, status, error)
            if ended.purpose == "rerun":
                return
            outbox.add(
                connection,
                f"notebook_run.{status}",
                "runs",
                {
                    "run_id": str(run_id),
                    "notebook": ended.notebook,
                    "deployment": ended.deployment,
                    "headline": ended.headline,
                    "output": ended.output_path,
                    "html": html_path,
                    "error": error,
                },
                key=str(run_id),
            )


def _place(fact: str) -> tuple[int, str]:
    """The sort key of a field; `started_at` is last, because it always differs."""
    if fact in _COMPARED:
        return (len(_COMPARED) + len(_GROUPS) if fact == "started_at" else _COMPARED.index(fact)), ""
    return len(_COMPARED) + list(_GROUPS).index(fact.partition(".")[0]), fact


def _same(one: Any, other: Any, *_rest: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and one != one and other != other:
        return True
    return bool(one == other)
