"""`VersionStore`: the deployments and their versions: what each runs now, and all that it has ever run."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import LockTimeout, NotDeployed
from workbench.runs.deployment_changes import Change, DeploymentChange, changes_of, note_change
from workbench.runs.packages import installed_packages, lock_hash
from workbench.tables.workbench import deployment_versions, deployments

__all__ = ["DeploymentState", "DeploymentVersion", "Kind", "Made", "VersionStore", "who"]

Made = Literal["promoted", "rolled_back", "cut_over"]
Kind = Literal["notebook", "ingest", "sweep"]
State = Literal["active", "paused", "retired"]
_CHANGE_TO: dict[State, Change] = {"active": "resumed", "paused": "paused", "retired": "retired"}
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class DeploymentVersion:
    """What a deployment runs, or ran once; never changed.

    Attributes
    ----------
    deployment : str
    version : int
        From 1. 0 for one that is not stored yet.
    notebook : str
        Its name for people.
    content : str or None
        The hash of what was promoted; None where no notebook runs.
    parameters : dict
        What every run gets.
    options : dict
        `timeout_seconds`, `memory_limit`, `retries`, `retry_on`, `locks`.
    schedule : dict
    code_version : str
    packages : dict of str to str
        The environment that it was promoted in.
    evidence : list of dict
        What its gates have found.
    forced, note : str or None
        Why a refusal was overruled; what whoever made it says of it.
    made : str
        "promoted", "rolled_back" (to `of_version`) or "cut_over" (from the shadow `of_version`).
    made_by : str
        As in "ann@research-1".
    made_at : datetime or None
        UTC.
    """

    deployment: str
    notebook: str
    content: str | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    schedule: Mapping[str, Any]
    code_version: str
    version: int = 0
    packages: Mapping[str, str] = field(default_factory=installed_packages)
    evidence: Sequence[Mapping[str, Any]] = ()
    forced: str | None = None
    note: str | None = None
    made: Made = "promoted"
    of_version: int | None = None
    made_by: str = field(default_factory=lambda: who())
    made_at: datetime | None = None

    @property
    def how(self) -> str:
        """How it came to be, in words: "promoted", "rolled back to 2", "cut over from 3"."""
        words = {"rolled_back": "rolled back to", "cut_over": "cut over from"}
        return f"{words[self.made]} {self.of_version}" if self.made in words else self.made

    @property
    def lock_sha256(self) -> str:
        """The hash of its environment."""
        return lock_hash(self.packages)


@dataclass(frozen=True)
class DeploymentState:
    """A deployment as it stands: which version it runs, and whether it runs at all.

    Attributes
    ----------
    name : str
    kind : str
        "notebook", "ingest" or "sweep".
    state : str
        "active", "paused" or "retired".
    version : int
        What a run gets when it starts.
    shadow, shadow_slots : int or None
        A version that runs beside it, and in how many slots more.
    reason : str or None
        Of the last change of its state.
    changed_by : str
    updated_at : datetime
        UTC.
    """

    name: str
    kind: Kind
    state: str
    version: int
    shadow: int | None
    shadow_slots: int | None
    reason: str | None
    changed_by: str
    updated_at: datetime


class VersionStore:
    """The rows of `workbench.deployments` and `workbench.deployment_versions`.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    """

    def __init__(self, pool: ServiceConnectionPool) -> None:
        self._pool = pool

    def add(self, new: DeploymentVersion) -> DeploymentVersion:
        """Store a version under the next number, and return it with that; nothing runs it yet."""
        with self._pool.begin("storing a version of a deployment") as connection:
            # One after the other, or two at once would get one number.
            connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(new.deployment, 14)))
            )
            table = deployment_versions
            last = sa.select(sa.func.coalesce(sa.func.max(table.c.version), 0)).where(
                table.c.deployment == new.deployment
            )
            number = connection.execute(last).scalar_one() + 1
            stored = connection.execute(
                table.insert()
                .values(
                    deployment=new.deployment,
                    version=number,
                    made=new.made,
                    of_version=new.of_version,
                    content=new.content,
                    notebook=new.notebook,
                    parameters=dict(new.parameters),
                    options=dict(new.options),
                    schedule=dict(new.schedule),
                    code_version=new.code_version,
                    packages=dict(new.packages),
                    lock_sha256=new.lock_sha256,
                    evidence=[dict(one) for one in new.evidence],
                    forced=new.forced,
                    note=new.note,
                    made_by=new.made_by,
                )
                .returning(table)
            ).one()
        return _version(stored)

    @contextmanager
    def alone(self, deployment: str, patience: float = 120.0) -> Iterator[None]:
        """Change a deployment while nobody else does: one promotion, rollback or pause after the other.

        Who is killed meanwhile lets the next one in.

        Raises
        ------
        LockTimeout
            Somebody else was at it for longer than `patience`, in seconds.
        """
        take = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(deployment, 15)))
        deadline = time.monotonic() + patience
        with self._pool.begin("changing a deployment") as connection:
            while not connection.execute(take).scalar_one():
                if time.monotonic() > deadline:
                    raise LockTimeout(
                        f"{deployment} has been changed by somebody else for {patience:.0f} s: another "
                        "promotion or rollback of it is under way; try again when it has ended"
                    )
                time.sleep(_LOOK_SECONDS)
            yield

    def use(self, deployment: str, version: int, *, kind: Kind = "notebook") -> None:
        """Have every run that starts from now on get this version, and be active if it was paused."""
        by = who()
        values = {
            "version": version,
            "kind": kind,
            "state": "active",
            "reason": None,
            "changed_by": by,
            "updated_at": sa.func.clock_timestamp(),
        }
        in_use = sa.select(deployments.c.version).where(deployments.c.name == deployment)
        with self._pool.begin("putting a version of a deployment to use") as connection:
            before = connection.execute(in_use).scalar_one_or_none()
            connection.execute(
                postgresql.insert(deployments)
                .values(name=deployment, **values)
                .on_conflict_do_update(index_elements=[deployments.c.name], set_=values)
            )
            if before != version:
                note_change(connection, deployment, "used", version, by=by)

    def set_state(self, deployment: str, state: State, reason: str | None = None) -> None:
        """Note that it is "active", "paused" or "retired", and why.

        Raises
        ------
        NotDeployed
            There is no such deployment, or it was promoted before there were versions.
        """
        by = who()
        changed = (
            sa.update(deployments)
            .where(deployments.c.name == deployment)
            .values(state=state, reason=reason, changed_by=by, updated_at=sa.func.clock_timestamp())
            .returning(deployments.c.version)
        )
        with self._pool.begin("changing the state of a deployment") as connection:
            version = connection.execute(changed).scalar_one_or_none()
            if version is None:
                raise NotDeployed(f"there are no versions of {deployment}; promote it again")
            note_change(connection, deployment, _CHANGE_TO[state], version, by=by, reason=reason)

    def set_shadow(self, deployment: str, version: int | None, slots: int = 0) -> None:
        """Have a version run as a shadow beside the one in use, in its next `slots` slots; None: no more.

        Raises
        ------
        NotDeployed
            There is no such deployment.
        """
        by = who()
        table = deployments
        values = {"shadow": version, "shadow_slots": None if version is None else slots}
        with self._pool.begin("changing the shadow of a deployment") as connection:
            before = connection.execute(
                sa.select(table.c.version, table.c.shadow).where(table.c.name == deployment).with_for_update()
            ).one_or_none()
            if before is None:
                raise NotDeployed(f"nothing runs as {deployment} that a shadow could run beside; promote it")
            connection.execute(sa.update(table).where(table.c.name == deployment).values(**values))
            if version is not None:
                note_change(connection, deployment, "shadowed", version, by=by)
            elif before.shadow is not None:
                note_change(connection, deployment, "shadow_dropped", before.shadow, by=by)

    def take_shadow_slot(self, deployment: str) -> int | None:
        """Use up one of the slots that the shadow has left; its version, or None where none is left."""
        table = deployments
        taken = (
            sa.update(table)
            .where(table.c.name == deployment, table.c.shadow.is_not(None), table.c.shadow_slots > 0)
            .values(shadow_slots=table.c.shadow_slots - 1)
            .returning(table.c.shadow)
        )
        with self._pool.begin("taking a slot of a shadow") as connection:
            version: int | None = connection.execute(taken).scalar_one_or_none()
        return version

    def changes(self, deployment: str) -> list[DeploymentChange]:
        """What was done with it: versions put to use, pauses and so on, newest first."""
        with self._pool.snapshot("reading changes of a deployment") as connection:
            return changes_of(connection, deployment)

    def state(self, deployment: str) -> DeploymentState | None:
        """How it stands; None if there are no versions of it."""
        return next(iter(self.states(deployment)), None)

    def states(self, deployment: str | None = None) -> list[DeploymentState]:
        """How each deployment stands, by name."""
        query = sa.select(deployments).order_by(deployments.c.name)
        if deployment is not None:
            query = query.where(deployments.c.name == deployment)
        with self._pool.snapshot("reading deployments") as connection:
            rows = connection.execute(query).all()
        return [
            DeploymentState(
                row.name,
                row.kind,
                row.state,
                row.version,
                row.shadow,
                row.shadow_slots,
                row.reason,
                row.changed_by,
                row.updated_at,
            )
            for row in rows
        ]

    def current(self, deployment: str) -> DeploymentVersion | None:
        """The version that a run gets which starts now; None if there are no versions of it."""
        table = deployment_versions
        query = (
            sa.select(table)
            .join(
                deployments,
                (deployments.c.name == table.c.deployment) & (deployments.c.version == table.c.version),
            )
            .where(table.c.deployment == deployment)
        )
        with self._pool.snapshot("reading a version of a deployment") as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _version(row)

    def get(self, deployment: str, version: int) -> DeploymentVersion:
        """A version by its number.

        Raises
        ------
        NotDeployed
            There is none of that number.
        """
        found = {one.version: one for one in self.list(deployment)}
        if version not in found:
            told = f"it has 1 to {max(found)}" if found else "there are no versions of it"
            raise NotDeployed(f"{deployment} has no version {version}; {told}")
        return found[version]

    def list(self, deployment: str) -> list[DeploymentVersion]:
        """All versions of a deployment, newest first."""
        table = deployment_versions
        query = sa.select(table).where(table.c.deployment == deployment).order_by(table.c.version.desc())
        with self._pool.snapshot("reading versions of a deployment") as connection:
            return [_version(row) for row in connection.execute(query).all()]


def who() -> str:
    """Whoever runs this process, as in "ann@research-1"."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as in containers.
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _version(row: Any) -> DeploymentVersion:
    return DeploymentVersion(
        deployment=row.deployment,
        version=row.version,
        made=row.made,
        of_version=row.of_version,
        content=row.content,
        notebook=row.notebook,
        parameters=row.parameters,
        options=row.options,
        schedule=row.schedule,
        code_version=row.code_version,
        packages=row.packages,
        evidence=row.evidence,
        forced=row.forced,
        note=row.note,
        made_by=row.made_by,
        made_at=row.made_at,
    )
