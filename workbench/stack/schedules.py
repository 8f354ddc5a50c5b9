"""The deployments' schedules: each one's next run, and problems that prevent it; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from workbench.errors import ScheduleRefused
from workbench.schedules import Schedule
from workbench.schedules.moments import next_slot
from workbench.stack.carried import calendar_of
from workbench.stack.prefect_api import PrefectApi

__all__ = [
    "ScheduledDeployment",
    "Schedules",
    "deployments_in",
    "in_words",
    "in_zone",
    "next_run_of",
    "problem_of",
    "schedules_in",
]

LATE_AFTER = timedelta(seconds=30)
"""A run is late if it has not started this long after its time: a worker polls every two seconds."""
PLANNED_WITHIN = timedelta(seconds=90)
"""Prefect's scheduler plans every minute: a schedule changed more recently may still have no runs."""
PLANNED_AHEAD = timedelta(days=99)
"""Prefect plans at most 100 days ahead: a yearly schedule has no planned run for most of the year."""

POLLED_WITHIN = timedelta(seconds=60)
"""A worker that has not polled for this long hangs, or has ended."""

_ENDS_SOON = timedelta(days=14)
_PAGE = 200


@dataclass(frozen=True)
class ScheduledDeployment:
    """A deployment in our work pool, with its next run.

    Attributes
    ----------
    name : str
    deployment_id : str
        Prefect's id.
    schedules : tuple of str
        The active ones, as in "30 17 * * mon-fri (America/New_York)"; empty if there are none.
    timezone : str
        For displaying the next run: the first active schedule's, else UTC.
    next_run : datetime or None
        Start of the next run, UTC: from Prefect's plan, or from the schedule if that is further ahead.
    late : int
        How many runs are waiting past their time.
    problem : str
        Why it does not run as scheduled, in one sentence; empty if it does.
    scheduler : str
        The address of the Dask scheduler in its parameters; empty if there is none.
    """

    name: str
    deployment_id: str
    schedules: tuple[str, ...]
    timezone: str
    next_run: datetime | None
    late: int
    problem: str
    scheduler: str = ""


@dataclass(frozen=True)
class Schedules:
    """The deployments in our work pool.

    Attributes
    ----------
    deployments : tuple of ScheduledDeployment
        By name.
    worker_problem : str
        Why no worker runs this pool, in one sentence; empty if one does, or nothing is scheduled.
    """

    deployments: tuple[ScheduledDeployment, ...]
    worker_problem: str

    @property
    def problems(self) -> list[str]:
        """All problems that prevent scheduled runs, one sentence each."""
        own = [f"{one.name}: {one.problem}" for one in self.deployments if one.problem]
        return [*filter(None, [self.worker_problem]), *own]


def schedules_in(prefect: PrefectApi, pool: str, *, now: datetime | None = None) -> Schedules:
    """Every deployment in the work pool `pool`, and whether a worker polls it.

    Parameters
    ----------
    prefect : PrefectApi
    pool : str
    now : datetime, optional
        The time, timezone-aware, used to decide which runs are late and polls are old. Default: now.

    Raises
    ------
    ServerError
        Prefect does not answer.
    """
    now = now or datetime.now(UTC)
    deployments = tuple(_deployment(prefect, facts, now) for facts in deployments_in(prefect, pool))
    scheduled = any(one.schedules for one in deployments)
    return Schedules(deployments, _worker_problem(prefect, pool, now) if scheduled else "")


def problem_of(prefect: PrefectApi, pool: str, facts: Mapping[str, Any]) -> list[str]:
    """Why a deployment does not run as scheduled, one sentence each; from what Prefect's API has of it."""
    now = datetime.now(UTC)
    found = _deployment(prefect, facts, now)
    worker = _worker_problem(prefect, pool, now) if found.schedules else ""
    return [text for text in (worker, found.problem) if text]


def next_run_of(prefect: PrefectApi, deployment_id: str) -> datetime | None:
    """Start of the next planned run of a deployment, UTC; None if none is planned."""
    return _first_planned(prefect, deployment_id, {"after_": datetime.now(UTC).isoformat()})


def in_zone(moment: datetime, timezone: str) -> str:
    """The time as text, e.g. "Mon 2026-11-30 17:30 America/New_York"."""
    return f"{moment.astimezone(ZoneInfo(timezone)):%a %Y-%m-%d %H:%M} {timezone}"


def deployments_in(prefect: PrefectApi, pool: str) -> Iterator[Mapping[str, Any]]:
    """What Prefect holds of each deployment in the work pool `pool`, by name."""
    offset = 0
    while True:
        body = {
            "work_pools": {"name": {"any_": [pool]}},
            "sort": "NAME_ASC",
            "limit": _PAGE,
            "offset": offset,
        }
        page = prefect.ask("/deployments/filter", body)
        yield from page
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _deployment(prefect: PrefectApi, facts: Mapping[str, Any], now: datetime) -> ScheduledDeployment:
    deployment_id = str(facts["id"])
    paused = bool(facts.get("paused"))
    active = [] if paused else [entry for entry in facts["schedules"] if entry["active"]]
    schedules = [entry["schedule"] for entry in active]
    calendar, unusable = _calendar(facts)
    next_run = next_run_of(prefect, deployment_id) if schedules or calendar else None
    if next_run is None:
        slots = filter(None, (next_slot(schedule, now) for schedule in schedules))
        next_run = min((slot for slot in slots if slot - now >= PLANNED_AHEAD), default=None)
    late = _late(prefect, deployment_id, now)
    problem = ""
    if late:
        waits = "1 run is late and waits" if late == 1 else f"{late} runs are late and wait"
        problem = f"{waits} for a worker"
    elif schedules and next_run is None and _should_be_planned(active, facts, now):
        problem = "its schedule is active, but Prefect has not planned a run of it"
    elif calendar is not None and next_run is None:
        problem = "no run of its calendar's next session was made ahead; see logs/relay.log of this home"
    problem = problem or unusable or ("" if calendar is None else calendar.warning(now, within=_ENDS_SOON))
    return ScheduledDeployment(
        name=str(facts["name"]),
        deployment_id=deployment_id,
        schedules=(*map(in_words, schedules), *([] if calendar is None else [calendar.in_words()])),
        timezone=_zone(schedules, calendar),
        next_run=next_run,
        late=late,
        problem=problem,
        scheduler=str((facts.get("parameters") or {}).get("scheduler") or ""),
    )


def _calendar(facts: Mapping[str, Any]) -> tuple[Schedule | None, str]:
    """The calendar of a deployment that is not paused, and why it cannot be used."""
    try:
        return calendar_of(facts), ""
    except ScheduleRefused as error:
        return None, str(error)


def _zone(schedules: Sequence[Mapping[str, Any]], calendar: Schedule | None) -> str:
    if schedules or calendar is None:
        return str(schedules[0].get("timezone") or "UTC") if schedules else "UTC"
    return calendar.timezone


def _worker_problem(prefect: PrefectApi, pool: str, now: datetime) -> str:
    if prefect.ask(f"/work_pools/{pool}").get("is_paused"):
        return f"the work pool {pool} is paused, so that no run starts; resume it in Prefect's pages"
    queues = prefect.ask(f"/work_pools/{pool}/queues/filter", {})
    polls = [datetime.fromisoformat(queue["last_polled"]) for queue in queues if queue.get("last_polled")]
    if not polls:
        return f"no worker has ever polled the work pool {pool}"
    ago = now - max(polls)
    if ago > POLLED_WITHIN:
        return f"no worker has polled Prefect for {ago.total_seconds():.0f} s"
    return ""


def _late(prefect: PrefectApi, deployment_id: str, now: datetime) -> int:
    waiting = {"next_scheduled_start_time": {"before_": (now - LATE_AFTER).isoformat()}}
    body = _of(deployment_id, waiting)
    return int(prefect.ask("/flow_runs/count", {name: body[name] for name in ("deployments", "flow_runs")}))


def _first_planned(prefect: PrefectApi, deployment_id: str, within: Mapping[str, str]) -> datetime | None:
    found = prefect.ask("/flow_runs/filter", _of(deployment_id, {"next_scheduled_start_time": within}))
    return datetime.fromisoformat(found[0]["next_scheduled_start_time"]) if found else None


def _of(deployment_id: str, further: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}, **further},
        "sort": "NEXT_SCHEDULED_START_TIME_ASC",
        "limit": 1,
    }


def _should_be_planned(
    entries: list[Mapping[str, Any]], deployment: Mapping[str, Any], now: datetime
) -> bool:
    """Whether Prefect must have planned a run by now: its time is soon, and its schedule is not new."""
    settled = [entry for entry in entries if now - _changed(entry, deployment) > PLANNED_WITHIN]
    slots = [next_slot(entry["schedule"], now) for entry in settled]
    return any(slot is not None and slot - now < PLANNED_AHEAD for slot in slots)


def _changed(entry: Mapping[str, Any], deployment: Mapping[str, Any]) -> datetime:
    # Not the deployment's own `updated`: each poll of a worker sets it.
    return datetime.fromisoformat(entry.get("updated") or deployment["created"])


def in_words(schedule: Mapping[str, Any]) -> str:
    """A schedule as Prefect gives it, as text: "30 17 * * mon-fri (America/New_York)"."""
    zone = schedule.get("timezone") or "UTC"
    if "cron" in schedule:
        return f"{schedule['cron']} ({zone})"
    if "interval" in schedule:
        return f"every {timedelta(seconds=float(schedule['interval']))} ({zone})"
    return f"{' '.join(str(schedule['rrule']).split())} ({zone})"
