"""The list of deployments that people want each morning, from one statement; and the list of versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.promotion.versions.schedule_facts import moments_ahead, schedule_in_words
from workbench.runs.versions import DeploymentVersion
from workbench.stack.schedules import ScheduledDeployment

__all__ = ["LIST", "list_deployments", "list_versions"]

LIST = sa.text("""
SELECT d.name, d.state, d.version, d.shadow, v.schedule,
       coalesce(s.state, r.status) AS outcome, coalesce(s.slot, r.slot) AS last_slot,
       r.started_at AS last_run, r.run_id, said.buy, said.sell, said.hold
FROM workbench.deployments d
JOIN workbench.deployment_versions v ON v.deployment = d.name AND v.version = d.version
LEFT JOIN LATERAL (
    SELECT slot, state FROM workbench.slots WHERE deployment = d.name ORDER BY slot DESC LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT run_id, status, started_at, slot FROM workbench.runs
    WHERE deployment = d.name ORDER BY started_at DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE signal = 'buy') AS buy, count(*) FILTER (WHERE signal = 'sell') AS sell,
           count(*) FILTER (WHERE signal = 'hold') AS hold
    FROM strategy_engine.strategy_signals WHERE kind = 'live' AND deployment = d.name AND slot = s.slot
) said ON true
ORDER BY d.name
""")
"""One row a deployment: how it stands, its newest slot, its last run, and what was said for that slot."""

_DTYPES = {
    "name": "str",
    "state": "str",
    "version": "Int64",
    "outcome": "str",
    "last_slot": "datetime64[us, UTC]",
    "last_run": "datetime64[us, UTC]",
    "run_id": "str",
    "buy": "Int64",
    "sell": "Int64",
    "hold": "Int64",
    "next_run": "datetime64[us, UTC]",
    "schedules": "str",
    "shadow": "Int64",
    "late": "Int64",
    "problem": "str",
}


def list_deployments(
    pool: ServiceConnectionPool,
    scheduled: Sequence[ScheduledDeployment] | None,
    *,
    now: datetime | None = None,
) -> pd.DataFrame:
    """Every deployment, by name; `wb.deployments.list` has the help.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Of the role `workbench_runs`.
    scheduled : sequence of ScheduledDeployment, optional
        What Prefect has; None where it does not run: what only it knows is then missing.
    now : datetime, optional
        Timezone-aware. Default: now.
    """
    with pool.snapshot("listing deployments") as connection:
        found = [dict(row) for row in connection.execute(LIST).mappings()]
    in_prefect = None if scheduled is None else {one.name: one for one in scheduled}
    now = now or datetime.now(UTC)
    # Many deployments share a schedule.
    schedules = {_key(one["schedule"]): one["schedule"] for one in found}
    told = {
        key: (schedule_in_words(schedule), next(iter(moments_ahead(schedule, after=now)), None))
        for key, schedule in schedules.items()
    }
    rows = [_row(one, in_prefect, *told[_key(one["schedule"])]) for one in found]
    known = {one["name"] for one in found}
    rows += [_only_in_prefect(one) for one in scheduled or () if one.name not in known]
    rows.sort(key=lambda row: str(row["name"]))
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=dtype) for name, dtype in _DTYPES.items()}
    )


def _key(schedule: Mapping[str, Any]) -> str:
    return json.dumps(schedule, sort_keys=True)


def _row(
    facts: Mapping[str, Any],
    in_prefect: Mapping[str, ScheduledDeployment] | None,
    schedule: str,
    ahead: datetime | None,
) -> dict[str, Any]:
    run_id = None if facts["run_id"] is None else str(facts["run_id"])
    row = {**facts, "schedules": schedule, "run_id": run_id}
    if facts["state"] == "active":
        row["next_run"] = ahead
    if in_prefect is None:
        return row
    there = in_prefect.get(facts["name"])
    row["late"] = there.late if there else 0
    row["problem"] = there.problem if there else ""
    if there is None and facts["state"] == "active":
        row["problem"] = "Prefect has no deployment of that name; promote it again, or roll it back"
    elif there is not None and there.next_run is not None and facts["state"] == "active":
        row["next_run"] = there.next_run
    return row


def _only_in_prefect(one: ScheduledDeployment) -> dict[str, Any]:
    """One that was promoted before there were versions."""
    return {
        "name": one.name,
        "state": "active" if one.schedules else "paused",
        "next_run": one.next_run,
        "schedules": "; ".join(one.schedules),
        "late": one.late,
        "problem": one.problem,
    }


def list_versions(versions: Sequence[DeploymentVersion], in_use: int, shadow: int | None) -> pd.DataFrame:
    """The versions of a deployment, as they are given; `wb.deployments.versions` has the help."""
    columns: dict[str, tuple[list[Any], str]] = {
        "version": ([one.version for one in versions], "int64"),
        "use": (
            [{in_use: "in use", shadow: "shadow"}.get(one.version, "") for one in versions],
            "str",
        ),
        "made": ([one.how for one in versions], "str"),
        "made_at": ([one.made_at for one in versions], "datetime64[us, UTC]"),
        "made_by": ([one.made_by for one in versions], "str"),
        "note": ([one.note for one in versions], "str"),
        "forced": ([one.forced for one in versions], "str"),
        "notebook": ([one.notebook for one in versions], "str"),
        "content": ([one.content for one in versions], "str"),
        "schedule": ([schedule_in_words(one.schedule) for one in versions], "str"),
        "parameters": ([dict(one.parameters) for one in versions], "object"),
        "code_version": ([one.code_version for one in versions], "str"),
    }
    return pd.DataFrame({name: pd.Series(values, dtype=dtype) for name, (values, dtype) in columns.items()})
