"""The rows of `workbench.deployment_changes`: what was done with a deployment, by whom, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from workbench.tables.workbench import deployment_changes

__all__ = ["Change", "DeploymentChange", "changes_of", "note_change"]

Change = Literal["used", "paused", "resumed", "retired", "shadowed", "shadow_dropped"]


@dataclass(frozen=True)
class DeploymentChange:
    """One change of a deployment.

    Attributes
    ----------
    change : str
        "used" (a version was put to use), "paused", "resumed", "retired", "shadowed" or "shadow_dropped".
    version : int
        The version that was put to use or made a shadow; else the one that was in use.
    reason : str or None
    changed_by : str
        As in "ann@research-1".
    changed_at : datetime
        UTC.
    """

    change: str
    version: int
    reason: str | None
    changed_by: str
    changed_at: datetime


def note_change(
    connection: sa.Connection,
    deployment: str,
    change: Change,
    version: int,
    *,
    by: str,
    reason: str | None = None,
) -> None:
    """Note a change, in the transaction that makes it."""
    connection.execute(
        deployment_changes.insert().values(
            deployment=deployment, change=change, version=version, reason=reason, changed_by=by
        )
    )


def changes_of(connection: sa.Connection, deployment: str) -> list[DeploymentChange]:
    """The changes of a deployment, newest first."""
    table = deployment_changes
    columns = [table.c[name] for name in ("change", "version", "reason", "changed_by", "changed_at")]
    query = sa.select(*columns).where(table.c.deployment == deployment).order_by(table.c.id.desc())
    return [DeploymentChange(*row) for row in connection.execute(query)]
