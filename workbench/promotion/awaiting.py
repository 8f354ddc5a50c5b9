"""Checks what a deployment is to await: that there is such an event, and that no circle arises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import SERVICES
from workbench.errors import NotDeployed, ScheduleRefused
from workbench.runs.versions import VersionStore
from workbench.schedules.on_event import After, Awaited, OnEvent, awaited_from_json, settle_seconds
from workbench.spelling import did_you_mean, near_names
from workbench.tables.constraints import RULES
from workbench.tables.types import METADATA
from workbench.tables.workbench import events

__all__ = ["awaited_of", "check_awaited"]

_NAMED = ("symbol", "data_source", "strategy_id")
_RUN = ("deployment", "member", "notebook", "purpose", "slot")
_OWN: Mapping[str, tuple[str, ...]] = {
    "event.put_aside": ("service", "sink", "type"),
    "notebook_run.cancelled": _RUN,
    "notebook_run.completed": _RUN,
    "notebook_run.crashed": _RUN,
    "notebook_run.failed": _RUN,
    "notebook_run.started": ("deployment", "notebook", "trigger"),
    "signals.contradicted": ("deployment", "member", "strategy_id", "symbol"),
    "signals.said": ("deployment", "member", "strategy_id", "symbol"),
    "slot.missed": ("deployment", "member"),
}


def awaited_of(
    *,
    on: str | None,
    where: Mapping[str, str | Sequence[str]] | None,
    settle: str | float | None,
    after: str | None,
) -> Awaited | None:
    """What `on` or `after` gives; None without either.

    Raises
    ------
    ScheduleRefused
        Both are given, something that goes with `on` only is given without it, or a settling time or a
        condition that cannot be.
    """
    if on is not None and after is not None:
        raise ScheduleRefused("on and after are both given; a deployment awaits one of them")
    if on is None:
        loose = [name for name, value in (("where", where), ("settle", settle)) if value]
        if loose:
            raise ScheduleRefused(f"{loose[0]} says which events are awaited; it goes with on only")
        return None if after is None else After(after)
    asked = {
        name: [value] if isinstance(value, str) else [str(one) for one in value]
        for name, value in (where or {}).items()
    }
    if empty := [name for name, values in asked.items() if not all(values) or not values]:
        raise ScheduleRefused(f"where {empty[0]}: no value is given, so that no event could match")
    return OnEvent(on, asked) if settle is None else OnEvent(on, asked, settle_seconds(settle))


def check_awaited(
    pool: ServiceConnectionPool, versions: VersionStore, name: str, awaited: Awaited, *, kind: str
) -> None:
    """Refuse what a deployment could await for ever, or what would start itself.

    Parameters
    ----------
    pool : ServiceConnectionPool
    versions : VersionStore
    name : str
        The deployment's.
    awaited : Awaited
    kind : str
        "notebook" or "ingest".

    Raises
    ------
    ScheduleRefused
        There is no such type of event, it never names what `where` asks for, or deployments would start each
        other in a circle.
    NotDeployed
        There is no such deployment to come after.
    """
    if isinstance(awaited, OnEvent):
        _check_event(pool, awaited)
        if kind == "ingest" and awaited.on in {"market_data.written", "ingestion_status.written"}:
            raise ScheduleRefused(
                f"an ingestion on {awaited.on} would start itself by what it writes; give it a schedule, or "
                "after"
            )
        if awaited.on.startswith("notebook_run.") and "deployment" not in awaited.where:
            raise ScheduleRefused(
                f"{awaited.on} comes of every run; say of which deployment: where deployment=NAME"
            )
    for before in _before(awaited):
        state = versions.state(before)
        if before != name and (state is None or state.state == "retired"):
            there = [one.name for one in versions.states() if one.state != "retired"]
            raise NotDeployed(
                f"there is no deployment {before} to come after{did_you_mean(near_names(before, there))}; "
                f"there are: {', '.join(there) or 'none'}"
            )
    if circle := _circle(versions, name, awaited):
        raise ScheduleRefused(f"these would start each other without end: {' after '.join(circle)}")


def _check_event(pool: ServiceConnectionPool, awaited: OnEvent) -> None:
    known = _types()
    if awaited.on not in known:
        query = sa.select(events.c.type).distinct()
        with pool.begin("looking for types of events") as connection:
            told = set(connection.execute(query).scalars())
        if awaited.on not in told:
            there = sorted({*known, *told})
            raise ScheduleRefused(
                f"there is no event {awaited.on!r}{did_you_mean(near_names(awaited.on, there))}; "
                "one of your own can be awaited once it has been published"
            )
        return
    names = known[awaited.on]
    if foreign := [name for name in awaited.where if name not in names]:
        can = f"it can be asked for: {', '.join(names)}" if names else "it names nothing to ask for"
        near = did_you_mean(near_names(foreign[0], names))
        raise ScheduleRefused(f"where {foreign[0]}: {awaited.on} never names that{near}; {can}")
    sources = awaited.where.get("data_source", [])
    rule = RULES["market_data_source_check"]
    wrong = [one for one in sources if not rule.holds(pd.DataFrame({"data_source": [one]})).all()]
    if wrong:
        raise ScheduleRefused(f"where data_source={wrong[0]}: no data source can have that name")


def _types() -> dict[str, tuple[str, ...]]:
    """The types of events that workbench itself tells, each with what it can be asked for."""
    written = {
        f"{table.name}.written": tuple(name for name in _NAMED if name in table.columns)
        for table in METADATA.tables.values()
        if table.schema in SERVICES
    }
    return {**written, **_OWN}


def _before(awaited: Awaited | None) -> list[str]:
    """The deployments whose runs start it."""
    if isinstance(awaited, After):
        return [awaited.after]
    if isinstance(awaited, OnEvent):
        return list(awaited.where.get("deployment", []))
    return []


def _circle(versions: VersionStore, name: str, awaited: Awaited) -> list[str]:
    """The deployments from `name` back to `name`, each after the next one; empty without a circle."""
    paths = [[name, before] for before in _before(awaited)]
    seen = set()
    while paths:
        path = paths.pop()
        if path[-1] == name:
            return path
        if path[-1] in seen:
            continue
        seen.add(path[-1])
        version = versions.current(path[-1])
        following = None if version is None else awaited_from_json(version.schedule)
        paths += [[*path, before] for before in _before(following)]
    return []
