"""Runs what a deployment runs: a notebook or an ingestion, once, or once for each member of a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from workbench.errors import NotebookFailed, SlotTaken, SourceError, WorkbenchError
from workbench.headless.execute import Progress
from workbench.promotion.ingesting import IngestionResult, run_ingestion
from workbench.promotion.members import members_of
from workbench.promotion.retrying import with_retries
from workbench.promotion.run import NotebookRunResult, Origin, run_notebook
from workbench.promotion.what_runs import WhatRuns
from workbench.session import Session
from workbench.stack.environment import settings_environment

__all__ = ["MemberDone", "run_version"]

_MOST_NAMED = 10

MemberDone = Callable[[NotebookRunResult | IngestionResult], None]


def run_version(
    session: Session,
    runs: WhatRuns,
    origin: Origin,
    *,
    done: MemberDone,
    tell: Callable[[str], None],
    progress: Progress,
    made: int = 0,
) -> None:
    """Run it, with its retries; of a grid one member after the other, whatever becomes of the others.

    A member that has completed for the slot is not run again, so that another attempt runs the others.

    Parameters
    ----------
    session : Session
    runs : WhatRuns
    origin : Origin
    done : callable
        Called with the result of each run that completed.
    tell : callable
        Called with a sentence on what is tried again, and on what has failed.
    progress : callable
        As `run_notebook` takes it.
    made : int
        How many attempts others made before.

    Raises
    ------
    NotebookFailed
        Of a grid: members failed, which are named; without a grid, as `run_notebook`.
    SourceError
        As `run_ingestion`.
    SlotTaken
        A live run works on the slot, or has completed it; of a grid on all of its members.
    """
    members = members_of(runs.options.get("each"))
    slot = origin.slot
    if members[0][0] and origin.purpose == "live" and origin.deployment is not None and slot is not None:
        session.runs.slots.open_members(origin.deployment, slot, [name for name, _ in members])
    failed: dict[str, WorkbenchError] = {}
    taken: list[SlotTaken] = []
    for name, values in members:

        def attempt(asked: Origin, values: dict[str, object] = values) -> NotebookRunResult | IngestionResult:
            return _run(session, replace(runs, parameters={**runs.parameters, **values}), asked, progress)

        try:
            done(
                with_retries(
                    attempt,
                    replace(origin, member=name),
                    tell=tell if not name else partial(_of_member, tell, name),
                    retries=runs.options["retries"],
                    retry_on=runs.options["retry_on"],
                    made=made,
                )
            )
        except SlotTaken as error:
            taken.append(error)
        except WorkbenchError as error:
            if not name:
                raise
            tell(f"{name} failed: {error}")
            failed[name] = error
    if failed:
        raise _failure(failed, len(members))
    if len(taken) == len(members):
        raise taken[-1]


def _run(
    session: Session, runs: WhatRuns, origin: Origin, progress: Progress
) -> NotebookRunResult | IngestionResult:
    if runs.kind == "ingest":
        return run_ingestion(
            session, runs.parameters, origin=origin, locks=runs.options["locks"], progress=progress
        )
    return run_notebook(
        session.settings,
        session.runs,
        runs.notebook,
        runs.parameters,
        sha256=runs.sha256,
        origin=origin,
        timeout_seconds=runs.options["timeout_seconds"],
        memory_limit=runs.options["memory_limit"],
        locks=runs.options["locks"],
        environment=settings_environment(session.settings),
        progress=progress,
    )


def _failure(failed: dict[str, WorkbenchError], total: int) -> WorkbenchError:
    named = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:_MOST_NAMED])
    more = f"; and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    message = f"{len(failed)} of {total} members failed: {named}{more}"
    last = list(failed.values())[-1]
    if isinstance(last, SourceError):
        return SourceError(message)
    error = NotebookFailed(message)
    if isinstance(last, NotebookFailed):
        # The page and the traceback of one of them say more than none.
        error.cell, error.error_name, error.traceback = last.cell, last.error_name, last.traceback
        error.run_id, error.output, error.html = last.run_id, last.output, last.html
    return error


def _of_member(tell: Callable[[str], None], name: str, words: str) -> None:
    tell(f"{name}: {words}")
