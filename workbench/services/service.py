"""What the services share: a pool, an outbox and the run on whose behalf they read and write."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pandas as pd
import sqlalchemy as sa

from workbench.attempt import Attempt
from workbench.db import frames
from workbench.db.frames import Written
from workbench.db.pool import ServiceConnectionPool, afterwards, by_service
from workbench.display.face import Face
from workbench.errors import QueryError
from workbench.events import outbox
from workbench.services.announcing import announcements

__all__ = ["RunScope", "Service"]


class RunScope(Protocol):
    """The run for which a service reads and writes; `workbench.runs` implements it."""

    def run_id(self) -> uuid.UUID | None:
        """The run's id, registered before its first row; None outside of any run."""

    def attempt(self) -> Attempt | None:
        """What the run is for; None where it is for no slot, or outside of any run."""

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Remember which revision of which data series ("yahoo/AAPL") was read."""

    def known_to(self) -> uuid.UUID | None:
        """The run as to which bars are read where a load does not say it; None for those of now."""

    def note_written(self, table: sa.Table, frame: pd.DataFrame, key: Sequence[str], changed: int) -> None:
        """Keep rows that a transaction wrote, to compare them with those of another run.

        `changed` is how many of them the table did not have so before.
        """

    def note_evidence(self, kind: str, items: Sequence[str]) -> None:
        """Add lines of a kind to what a reader of the run's record should know, such as unclamped reads."""


class Service(Face):
    """The base of the seven services.

    A subclass gives its `name`, which is its schema's, and writes its load and write methods out by hand, so
    that help and completion work; they call `_load` and `_write`.
    """

    name: str
    _inside = frozenset({"name", "pool"})

    def __init__(self, pool: ServiceConnectionPool, run: RunScope) -> None:
        self.pool = pool
        self._run = run

    def __repr__(self) -> str:
        tables = [name.removeprefix("load_") for name in self._verbs() if name.startswith("load_")]
        return f"<{type(self).__name__}: {', '.join(tables)}>"

    def _load(
        self,
        table: sa.Table,
        *,
        where: Sequence[sa.ColumnElement[bool]] = (),
        order_by: Sequence[str],
        latest: int | None = None,
        without: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Rows of a table in the order of `order_by`; with `latest`, only the last that many.

        The columns `without` are not read.
        """
        query = sa.select(*(column for column in table.columns if column.name not in without)).where(*where)
        columns = [table.c[name] for name in order_by]
        if latest is not None:
            if latest < 1:
                raise QueryError(f"latest={latest}: ask for at least one row")
            query = query.order_by(*(column.desc() for column in columns)).limit(latest)
        else:
            query = query.order_by(*columns)
        with self.pool.begin(f"loading {table}") as connection:
            frame = frames.read(connection, query)
        return frame.iloc[::-1].reset_index(drop=True) if latest is not None else frame

    def _write(
        self,
        table: sa.Table,
        frame: pd.DataFrame,
        *,
        key: Sequence[str] = (),
        partial: bool = False,
        also: Callable[[sa.Connection, Written], None] | None = None,
        among: Mapping[str, str] | None = None,
    ) -> Written:
        """Write a frame in one transaction: check the fence, write rows, call `also`, add the event."""
        with self.pool.begin(f"writing {table}") as connection:
            return self._write_within(
                connection, table, frame, key=key, partial=partial, also=also, among=among
            )

    def _write_within(
        self,
        connection: sa.Connection,
        table: sa.Table,
        frame: pd.DataFrame,
        *,
        key: Sequence[str] = (),
        partial: bool = False,
        also: Callable[[sa.Connection, Written], None] | None = None,
        among: Mapping[str, str] | None = None,
        by: Callable[[sa.Connection, pd.DataFrame], Written] | None = None,
    ) -> Written:
        by_service(connection)
        run_id = self._run.run_id()
        if run_id is not None:
            connection.execute(sa.select(sa.func.workbench.require_live_run(run_id)))
        given = {*frame.columns, *frame.index.names}
        # Whole rows get the id of the run that wrote them last. An update of a few columns, as of an order's
        # status, leaves the id as it is.
        if "run_id" in table.columns and "run_id" not in given and frames.states_rows(table, frame, key):
            frame = frame.assign(run_id=None if run_id is None else str(run_id))
        if by is None:
            written = frames.write(connection, table, frame, key=key, partial=partial, among=among)
        else:
            written = by(connection, frame)
        if also is not None:
            also(connection, written)
        afterwards(connection, lambda: self._run.note_written(table, frame, key, written.changed))
        if written.changed:
            # A write that changed no row adds no event.
            for facts in announcements(table, frame, written, run_id):
                outbox.add(connection, f"{table.name}.written", self.name, facts, key=str(table))
        return written
