"""What is amiss with a deployment before it fails at night: said by `wb.deployments.show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import NotebookError, WorkbenchError
from workbench.headless.notebook_file import find_notebook
from workbench.marketdata.calendar import sessions
from workbench.marketdata.completeness import complete_before
from workbench.project import find_project
from workbench.promotion.store import NotebookStore
from workbench.runs.deployment_changes import DeploymentChange
from workbench.runs.locks import holders, resource_lock
from workbench.runs.versions import DeploymentState, DeploymentVersion
from workbench.tables.data_ingestion import ingestion_status
from workbench.tables.workbench import deployment_versions, deployments

__all__ = ["problems_of"]

_SHOWN_SERIES = 5


def problems_of(
    pool: ServiceConnectionPool,
    store: NotebookStore,
    state: DeploymentState,
    versions: list[DeploymentVersion],
    changes: list[DeploymentChange],
    last_run: Mapping[str, Any] | None,
    *,
    now: datetime | None = None,
) -> list[str]:
    """Each problem that the database and the project tell of, one sentence each.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Of the role `workbench_runs`.
    store : NotebookStore
    state : DeploymentState
    versions : list of DeploymentVersion
        All of the deployment's, newest first.
    changes : list of DeploymentChange
    last_run : mapping, optional
        The record of its last run, which tells what it reads.
    now : datetime, optional
        Timezone-aware. Default: now.
    """
    in_use = next(one for one in versions if one.version == state.version)
    found = [*_interrupted(state, versions, changes), *_gone(store, in_use)]
    with pool.snapshot("looking for problems of a deployment") as connection:
        if last_run is not None:
            found += _stale(connection, last_run["data_revisions"], now or datetime.now(UTC))
        locks = [str(name) for name in in_use.options.get("locks") or ()]
        found += [
            f"the lock {name} is held by {holder}"
            for name, holder in holders(connection, {name: resource_lock(name) for name in locks}).items()
        ]
    return found


def _interrupted(
    state: DeploymentState, versions: list[DeploymentVersion], changes: list[DeploymentChange]
) -> Iterator[str]:
    touched = {one.version for one in changes}
    for one in versions:
        if one.version > state.version and one.version not in touched:
            yield (
                f"version {one.version} is stored and was never put to use: its promotion is under way, "
                "or was ended halfway; then promote again"
            )


def _gone(store: NotebookStore, version: DeploymentVersion) -> Iterator[str]:
    if version.content is None:
        return
    try:
        store.open(version.content)
    except NotebookError as error:
        yield f"what was promoted cannot be run: {error}"
    if find_project() is not None:
        try:
            find_notebook(version.notebook)
        except NotebookError:
            yield f"{version.notebook} has gone from the project; what was promoted of it still runs"


def _stale(connection: sa.Connection, read: Mapping[str, int], now: datetime) -> Iterator[str]:
    """Series that the last run read, which nothing ingests by schedule, and which lack newer bars."""
    table = ingestion_status
    series = table.c.data_source + "/" + table.c.symbol
    query = sa.select(
        series.label("series"), table.c.symbol, table.c.last_bar, table.c.calendar, table.c.bar_interval
    ).where(series.in_(sorted(read)), table.c.last_bar.is_not(None))
    ingested = _ingested(connection)
    old = [
        f"{row.series} (last bar {row.last_bar:%Y-%m-%d %H:%M})"
        for row in connection.execute(query.order_by(series))
        if row.symbol not in ingested and _lacks_bars(row, now)
    ]
    if old:
        told = ", ".join(old[:_SHOWN_SERIES])
        more = f" and {len(old) - _SHOWN_SERIES:,} more" if len(old) > _SHOWN_SERIES else ""
        yield f"it reads series that no deployment ingests and that lack newer bars: {told}{more}"


def _ingested(connection: sa.Connection) -> set[str]:
    """The symbols of all active deployments that ingest."""
    query = (
        sa.select(deployment_versions.c.parameters)
        .join(
            deployments,
            (deployments.c.name == deployment_versions.c.deployment)
            & (deployments.c.version == deployment_versions.c.version),
        )
        .where(deployments.c.kind == "ingest", deployments.c.state == "active")
    )
    return {str(symbol) for row in connection.execute(query).scalars() for symbol in row.get("symbols") or ()}


def _lacks_bars(row: Any, now: datetime) -> bool:
    """Whether a bar after the last one has been complete for a day: vendors are late, too."""
    try:
        complete = complete_before(pd.Timestamp(now) - pd.Timedelta(days=1), row.calendar, row.bar_interval)
    except WorkbenchError:
        return False
    # Of a series without a calendar, holidays and weekends are not known.
    newest = pd.Timestamp(complete.before - 1, unit="us", tz="UTC")
    last = pd.Timestamp(row.last_bar)
    if not complete.known:
        return newest - last > pd.Timedelta(days=5)
    if row.bar_interval == "1d" and row.calendar:
        following = last + pd.Timedelta(days=1)
        return following <= newest and len(sessions(row.calendar, following, newest)) > 0
    return newest - last > pd.Timedelta(days=5)
