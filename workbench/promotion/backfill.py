"""Runs past slots of a deployment in order: as a backtest or as a shadow, and never live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Literal

import pandas as pd

from workbench.errors import NotDeployed, SlotRefused, WorkbenchError
from workbench.headless.execute import Progress
from workbench.promotion.ingesting import IngestionResult
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.promotion.run_version import run_version
from workbench.promotion.what_runs import WhatRuns, what_runs
from workbench.runs.versions import DeploymentVersion
from workbench.schedules import schedule_from_json
from workbench.services.filters import Moment, as_moment
from workbench.session import Session
from workbench.spelling import did_you_mean, near_names

__all__ = ["Backfilled", "backfill"]

_MOST = 10_000

As = Literal["backtest", "shadow"]


@dataclass(frozen=True)
class Backfilled:
    """One run of a backfill.

    Attributes
    ----------
    slot : datetime
        UTC.
    status : str
        "completed" or "failed".
    run_id : str or None
    error : str or None
    """

    slot: datetime
    status: str
    run_id: str | None = None
    error: str | None = None


def backfill(
    session: Session,
    name: str,
    start: Moment,
    end: Moment,
    *,
    kind: As = "backtest",
    done: Callable[[Backfilled], None] | None = None,
    progress: Progress | None = None,
) -> list[Backfilled]:
    """Run the version in use for each slot in `[start, end)`, oldest first, here and now.

    Parameters
    ----------
    session : Session
    name : str
        The deployment's.
    start, end : str, date or Timestamp
        UTC. Slots that lie ahead are left out.
    kind : str
        "backtest": what a run saves is stored as a backtest's rows. "shadow": it is kept in the run's folder
        and its record, and undone in the database.
    done : callable, optional
        Called with each run.
    progress : callable, optional
        As `run_notebook` takes it.

    Returns
    -------
    list of Backfilled
        A run that fails stops no later one.

    Raises
    ------
    NotDeployed
        There is no such deployment, or it was promoted before there were versions.
    SlotRefused
        It had no slot there, more than 10,000, or it is an ingestion.
    """
    if kind not in ("backtest", "shadow"):
        raise SlotRefused(f'kind={kind!r}: a backfill runs as "backtest" or as "shadow", and never live')
    runs = _what(session, name)
    slots = _slots(session, name, start, end)
    found: list[Backfilled] = []

    def note(one: Backfilled) -> None:
        found.append(one)
        if done is not None:
            done(one)

    def completed(slot: datetime, result: NotebookRunResult | IngestionResult) -> None:
        note(Backfilled(slot, "completed", result.run_id))

    for slot in slots:
        origin = Origin(
            deployment=name,
            version=runs.version,
            slot=slot,
            purpose="backfill",
            environment=runs.environment,
            undone=kind == "shadow",
        )
        try:
            run_version(
                session,
                runs,
                origin,
                done=partial(completed, slot),
                tell=_quiet,
                progress=progress or _quiet,
            )
        except WorkbenchError as error:
            run_id = getattr(error, "run_id", None)
            note(Backfilled(slot, "failed", run_id, str(error)))
    return found


def _what(session: Session, name: str) -> WhatRuns:
    versions = session.runs.versions
    if versions.current(name) is None:
        there = [one.name for one in versions.states()]
        near = did_you_mean(near_names(name, there))
        raise NotDeployed(
            f"there are no versions of {name}{near}; wb.deployments.list() says what is deployed"
        )
    planned = WhatRuns("", None, {}, {})
    runs = what_runs(versions, name, planned, by_schedule=True)
    if runs.kind != "notebook":
        raise SlotRefused(f"{name} is an ingestion, which has no past slots to run; ingest with a start")
    return runs


def _slots(session: Session, name: str, start: Moment, end: Moment) -> list[datetime]:
    first, last = as_moment(start, "start"), as_moment(end, "end")
    assert first is not None
    assert last is not None
    until = min(last.to_pydatetime(), datetime.now(UTC))
    version: DeploymentVersion | None = session.runs.versions.current(name)
    schedule = None if version is None else schedule_from_json(version.schedule)
    if schedule is None:
        # Slots that events made are those that are known.
        listed = session.runs.slots.list(name, latest=_MOST)
        moments = sorted({slot.to_pydatetime() for slot in listed["slot"]})
    else:
        before = first.to_pydatetime() - pd.Timedelta(microseconds=1)
        moments = list(islice(schedule.moments(before, until), _MOST + 1))
    found = [moment for moment in moments if first <= moment < until]
    told = f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    if not found:
        raise SlotRefused(f"{name} was never due {told}, so there is nothing to run")
    if len(found) > _MOST:
        raise SlotRefused(f"{name} was due more than {_MOST:,} times {told}; give a shorter time")
    return found


def _quiet(*_: Any) -> None:
    """Ignore what is told."""
