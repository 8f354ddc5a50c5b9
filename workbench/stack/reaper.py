"""The reaper: finds runs whose process, machine or heartbeat is gone, and says so everywhere.

One pass can be made by anyone at any time, also by several at once: each step is done by whoever comes first,
and what one could not do, because a server was away, the next pass does.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from workbench.attempt import Attempt
from workbench.errors import WorkbenchError
from workbench.runs import RunStore
from workbench.runs.crashed import ask_again, crashed_slots, note_never_began
from workbench.runs.fence import end_processes, fence
from workbench.runs.reaped import Reaped
from workbench.runs.vitals import LastRun, Vitals, death_of, last_run_of, vitals_of_all
from workbench.stack.flow_runs import (
    FlowRunSeen,
    ask_for_attempt,
    crash,
    crashed_lately,
    deployment_name,
    local_flow_runs,
    state_of,
    unfinished,
    works_as_process,
    works_only_here,
)
from workbench.stack.prefect_api import PrefectApi

__all__ = ["EVERY_SECONDS", "Reaper", "reap"]

EVERY_SECONDS = 10.0
"""Between two passes."""
_SECOND_LOOK_SECONDS = 9.0
# For a flow run without a record of ours. With a process of this machine it has longer; what other machines
# do, as fetching an image, cannot be seen.
_BEGIN_SECONDS = 60.0
_SLOW_SECONDS = 180.0
_FAR_SECONDS = 900.0

logger = logging.getLogger("workbench.reaper")


class Reaper:
    """Makes passes over the runs of one database.

    Parameters
    ----------
    runs : RunStore
    prefect : PrefectApi or None
        Prefect's server; None where there is none.
    work_pool : str
        The work pool whose flow runs are ours.
    """

    def __init__(self, runs: RunStore, prefect: PrefectApi | None, *, work_pool: str) -> None:
        self._runs = runs
        self._prefect = prefect
        self._work_pool = work_pool
        # Runs that have fallen silent: the beat that was last seen, and when that was.
        self._suspects: dict[uuid.UUID, tuple[datetime | None, float]] = {}
        self._failures: set[str] = set()
        self._failures_before: set[str] = set()

    @property
    def has_suspects(self) -> bool:
        """Whether another pass, some seconds later, may find more dead runs."""
        return bool(self._suspects)

    def work(self, stop: threading.Event) -> None:
        """Make a pass every ten seconds until `stop`; servers that are away are waited for."""
        while not stop.wait(EVERY_SECONDS):
            try:
                for done in self.pass_once():
                    logger.info("%s", done.what)
            except WorkbenchError as error:
                logger.warning("%s", error)
            except Exception:
                logger.exception("unexpected error; continuing")

    def pass_once(self) -> list[Reaped]:
        """Look at every run once; returns what was done.

        Raises
        ------
        ServerUnreachable
            PostgreSQL does not answer.
        """
        done: list[Reaped] = []
        self._failures_before, self._failures = self._failures, set()
        living = vitals_of_all(self._runs.pool)
        for run in living:
            done += self._attempted(partial(self._look_at, run, living))
        self._suspects = {
            run_id: seen
            for run_id, seen in self._suspects.items()
            if any(run_id == run.run_id for run in living)
        }
        if self._prefect is not None:
            done += self._attempted(partial(self._look_at_flow_runs, self._prefect))
            done += self._attempted(partial(self._try_again, self._prefect))
        return done

    def _attempted(self, step: Callable[[], list[Reaped] | None]) -> list[Reaped]:
        """Do one step; what it cannot do is logged, unless the pass before said it; the others are done."""
        try:
            done = step() or []
        except WorkbenchError as error:
            if str(error) not in self._failures | self._failures_before:
                logger.warning("%s", error)
            self._failures.add(str(error))
            return []
        return done

    # ------------------------------------------------------------------------------------------ our records

    def _look_at(self, run: Vitals, living: list[Vitals]) -> list[Reaped]:
        process = run.process
        is_gone = process is not None and process.is_near and not process.is_there()
        death = death_of(run, is_gone=is_gone)
        if death is None:
            self._suspects.pop(run.run_id, None)
            return []
        if not death.is_certain and not self._is_still_silent(run):
            return []
        status = "crashed"
        if _asked(partial(self._state, run)) in {"CANCELLED", "CANCELLING"}:
            status = "cancelled"
        others = {one.process for one in living if one is not run and one.process is not None}
        try:
            ended = fence(self._runs, run, status, death.reason)
        finally:
            end_processes(run, spared=others)
        self._suspects.pop(run.run_id, None)
        if not ended:
            return []
        if self._prefect is not None and run.flow_run_id is not None:
            # What fails here, the next pass does.
            message = f"Run {run.run_id}: {death.reason}."
            self._attempted(partial(crash, self._prefect, str(run.flow_run_id), message))
        what = f"run {run.run_id} is {status}: {death.reason}"
        return [Reaped(what, str(run.run_id), str(run.flow_run_id) if run.flow_run_id else None)]

    def _is_still_silent(self, run: Vitals) -> bool:
        """Whether it was silent some seconds ago as well: a machine that slept gives all of them a chance."""
        beat_at, since = self._suspects.get(run.run_id, (None, 0.0))
        if run.run_id in self._suspects and beat_at == run.beat_at:
            return time.monotonic() - since >= _SECOND_LOOK_SECONDS
        self._suspects[run.run_id] = (run.beat_at, time.monotonic())
        return False

    def _state(self, run: Vitals) -> str:
        if self._prefect is None or run.flow_run_id is None:
            return ""
        return state_of(self._prefect, str(run.flow_run_id))

    # ---------------------------------------------------------------------------------------- Prefect's runs

    def _look_at_flow_runs(self, prefect: PrefectApi) -> list[Reaped]:
        """Those that go on in Prefect alone: never begun, or ended without Prefect's being told."""
        done = []
        for one in unfinished(prefect, self._work_pool):
            last = last_run_of(self._runs.pool, one.flow_run_id)
            reason = self._why_lost(prefect, one) if last is None else _why_over(last)
            if reason:
                crash(prefect, one.flow_run_id, f"{reason}.")
                if last is None:
                    self._tell_slot(prefect, one, reason)
                what = f"flow run {one.name} ({one.flow_run_id}) is crashed: {reason}"
                done.append(Reaped(what, flow_run_id=one.flow_run_id))
        # Its worker tells Prefect of a process that was killed, but nobody us if it had not begun its run.
        for one in crashed_lately(prefect, self._work_pool):
            reason = "it crashed before it began its run"
            if last_run_of(self._runs.pool, one.flow_run_id) is None and self._tell_slot(
                prefect, one, reason
            ):
                done.append(Reaped(f"flow run {one.name}: {reason}", flow_run_id=one.flow_run_id))
        return done

    def _tell_slot(self, prefect: PrefectApi, one: FlowRunSeen, reason: str) -> bool:
        """Record at its slot that a flow run ended without a run; whether that was news."""
        name = deployment_name(prefect, one)
        if one.slot is None or not name:
            return False
        return note_never_began(
            self._runs.pool, Attempt(name, one.slot), one.flow_run_id, reason, seconds_ago=one.seconds
        )

    def _why_lost(self, prefect: PrefectApi, one: FlowRunSeen) -> str:
        """Why a flow run without a record of ours will never have one; empty if it may."""
        if one.seconds <= _BEGIN_SECONDS:
            return ""
        patience = _FAR_SECONDS
        if works_as_process(prefect, self._work_pool):
            if one.flow_run_id in local_flow_runs():
                patience = _SLOW_SECONDS
            elif works_only_here(prefect, self._work_pool):
                patience = _BEGIN_SECONDS
        if one.seconds <= patience:
            return ""
        did = (
            "was taken up by a worker, but did not begin"
            if one.state == "PENDING"
            else "began, but no run of it"
        )
        return f"it {did} within {one.seconds:.0f} s"

    # ------------------------------------------------------------------------------------------------ slots

    def _try_again(self, prefect: PrefectApi) -> list[Reaped]:
        done = []
        for slot in crashed_slots(self._runs.pool):
            like = None if slot.flow_run_id is None else str(slot.flow_run_id)
            if ask_for_attempt(prefect, slot.attempt, slot.attempts, like=like):
                ask_again(self._runs.pool, slot)
                which = f"{slot.attempt.deployment} for {slot.attempt.slot}"
                done.append(Reaped(f"attempt {slot.attempts + 1} of {which} is asked for"))
        return done


def reap(runs: RunStore, prefect: PrefectApi | None, *, work_pool: str) -> list[Reaped]:
    """Make one pass, and a second look some seconds later at runs that are silent; returns what was done."""
    reaper = Reaper(runs, prefect, work_pool=work_pool)
    done = reaper.pass_once()
    if reaper.has_suspects:
        time.sleep(_SECOND_LOOK_SECONDS + 0.5)
        done += reaper.pass_once()
    return done


def _why_over(last: LastRun) -> str:
    """Why a flow run, whose last run has ended or not, is over although Prefect says that it goes on."""
    if last.status == "running" or last.process is None:
        return ""
    process = last.process
    # Between two attempts nobody beats.
    is_gone = not process.is_there() if process.is_near else last.ended_seconds > _FAR_SECONDS
    return (
        f"its run is {last.status}, and its process {process.pid} on {process.host} is gone"
        if is_gone
        else ""
    )


def _asked(question: Callable[[], str]) -> str:
    try:
        return question()
    except WorkbenchError:
        return ""
