"""`RunRecorder`: writes the run records: a run's start, what it notes, its end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workbench.attempt import Attempt, Purpose
from workbench.db.pool import ServiceConnectionPool
from workbench.display.face import Face
from workbench.errors import DuplicateKeys, RunFenced, SlotTaken
from workbench.events import outbox
from workbench.runs.heartbeats import register
from workbench.runs.process import ProcessIdentity
from workbench.runs.slots import close_slot, open_slot
from workbench.tables.workbench import runs

__all__ = ["RunRecorder"]


class RunRecorder(Face):
    """What is written of runs; `RunStore` adds what is asked.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    """

    def __init__(self, pool: ServiceConnectionPool) -> None:
        self.pool = pool

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
        deployment_version: int | None = None,
        scheduled_for: datetime | None = None,
        slot: datetime | None = None,
        member: str = "",
        purpose: Purpose | None = None,
        flow_run_id: str | None = None,
        output_path: str | None = None,
        tell: bool = True,
        run_id: uuid.UUID | None = None,
        process: ProcessIdentity | None = None,
        process_group: int | None = None,
    ) -> uuid.UUID:
        """Record the start of a run, and return its id; a live one takes its slot.

        Without `tell` no event tells of it. `process` is the one that answers for the run and beats for it
        from now on; `process_group` the group that it leads, if that may be ended with it.

        Raises
        ------
        SlotTaken
            A live run of that deployment for that slot is running or has completed.
        """
        run_id = run_id or uuid.uuid4()
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
            "deployment_version": deployment_version,
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
                if process is not None:
                    register(connection, run_id, process, group=process_group)
                if purpose == "live" and deployment is not None and slot is not None:
                    open_slot(connection, Attempt(deployment, slot, member), run_id)
                if tell:
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

    def note_evidence(
        self, run_id: uuid.UUID, kind: str, items: Sequence[str], *, instead_of: Sequence[str] = ()
    ) -> None:
        """Add lines to the run's evidence of that kind, each once; does nothing if the run has ended.

        The lines `instead_of` are removed.
        """
        known = sa.func.coalesce(runs.c.evidence[kind], sa.cast([], runs.c.evidence.type))
        line = sa.func.jsonb_array_elements(
            known.concat(sa.cast(list(items), runs.c.evidence.type))
        ).column_valued("line")
        lines = sa.select(sa.func.jsonb_agg(line.distinct()))
        if instead_of:
            lines = lines.where(line.not_in([sa.cast(text, runs.c.evidence.type) for text in instead_of]))
        with self.pool.begin("recording a run's evidence") as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(
                    evidence=runs.c.evidence.concat(sa.func.jsonb_build_object(kind, lines.scalar_subquery()))
                )
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
        tell: bool = True,
        lock_seconds: float | None = None,
    ) -> None:
        """Record how a run ended ("completed", "failed", "crashed" or "cancelled"), and publish an event.

        Without `tell` there is no event, as of its start. It waits for a write of the run that is under way;
        with `lock_seconds` no longer than that.

        Raises
        ------
        RunFenced
            The run had ended already, or was declared dead.
        DatabaseError
            A write of the run holds its record for longer than `lock_seconds`.
        """
        values = {
            "status": status,
            "error": error,
            "ended_at": sa.func.clock_timestamp(),
            "output_path": sa.func.coalesce(output_path, runs.c.output_path),
            "html_path": html_path,
        }
        with self.pool.begin("recording a run's end") as connection:
            if lock_seconds is not None:
                wait = f"{lock_seconds * 1000:.0f}ms"
                connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, True)))
            ended = connection.execute(
                runs.update()
                .where(runs.c.run_id == run_id, runs.c.status == "running")
                .values(values)
                .returning(
                    runs.c.notebook,
                    runs.c.headline,
                    runs.c.deployment,
                    runs.c.slot,
                    runs.c.member,
                    runs.c.purpose,
                    runs.c.output_path,
                )
            ).one_or_none()
            if ended is None:
                raise RunFenced(
                    f"run {run_id} has ended already or was declared dead; its end was not recorded"
                )
            close_slot(connection, run_id, status, error)
            if not tell:
                return
            outbox.add(
                connection,
                f"notebook_run.{status}",
                "runs",
                {
                    "run_id": str(run_id),
                    "notebook": ended.notebook,
                    "deployment": ended.deployment,
                    "slot": None if ended.slot is None else ended.slot.isoformat(),
                    "member": ended.member,
                    "purpose": ended.purpose,
                    "headline": ended.headline,
                    "output": ended.output_path,
                    "html": html_path,
                    "error": error,
                },
                key=str(run_id),
            )
