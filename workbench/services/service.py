"""What the services share: a pool, an outbox, a run on whose behalf they write, and typed filters."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.frames import Written
from workbench.db.pool import ServiceConnectionPool
from workbench.display.face import Face
from workbench.errors import EmptyRange, QueryError
from workbench.events import outbox
from workbench.tables.workbench import runs

__all__ = ["Moment", "RunScope", "Service", "Strings", "as_list", "as_moment"]

Strings = str | Sequence[str]
"""One value, or several."""

Moment = str | date | pd.Timestamp
"""A moment in UTC; one without a time zone is taken as UTC, a date as its midnight."""

_SHOWN_SYMBOLS = 50


class RunScope(Protocol):
    """The run on whose behalf a service reads and writes; `workbench.runs` provides it."""

    def run_id(self) -> uuid.UUID | None:
        """The run's id, registered before its first row; None outside of any run."""

    def note_read(self, revisions: Mapping[str, int]) -> None:
        """Remember which revision of which data series ("yahoo/AAPL") was read."""


class Service(Face):
    """The base of the seven services.

    A subclass states its `name`, which is its schema's, and its load and write methods by hand, so that
    help and completion work; the generic ways to move rows are here.
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

        The columns `without` stay where they are.
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
    ) -> Written:
        """Write a frame in one transaction: the fence, the rows, `also`, and the event that tells of it."""
        with self.pool.begin(f"writing {table}") as connection:
            return self._write_within(connection, table, frame, key=key, partial=partial, also=also)

    def _write_within(
        self,
        connection: sa.Connection,
        table: sa.Table,
        frame: pd.DataFrame,
        *,
        key: Sequence[str] = (),
        partial: bool = False,
        also: Callable[[sa.Connection, Written], None] | None = None,
        by: Callable[[sa.Connection, pd.DataFrame], Written] | None = None,
    ) -> Written:
        run_id = self._run.run_id()
        if run_id is not None:
            connection.execute(sa.select(sa.func.workbench.require_live_run(run_id)))
        given = {*frame.columns, *frame.index.names}
        # The rows of a frame are one whole: all of them bear the run that wrote them last. A few columns that
        # are brought up to date, as an order's status, do not make it another run's row.
        if "run_id" in table.columns and "run_id" not in given and frames.states_rows(table, frame, key):
            frame = frame.assign(run_id=None if run_id is None else str(run_id))
        if by is None:
            written = frames.write(connection, table, frame, key=key, partial=partial)
        else:
            written = by(connection, frame)
        if also is not None:
            also(connection, written)
        if written.changed:
            # Nothing new is no news: a write that changed no row is not announced.
            outbox.add(
                connection,
                f"{table.name}.written",
                self.name,
                _facts(table, frame, written, run_id),
                key=str(table),
            )
        return written


def as_list(values: Strings | None, what: str) -> list[str] | None:
    """The values as a list; None stays None (no filter)."""
    if values is None:
        return None
    try:
        found = [values] if isinstance(values, str) else list(values)
    except TypeError as error:
        raise QueryError(f"{what}={values!r}: expected a name, or a list of names") from error
    for value in found:
        if not isinstance(value, str) or not value:
            raise QueryError(f"{what}={value!r}: expected a name, or a list of names")
    return list(dict.fromkeys(found))


def as_moment(value: Moment | None, what: str) -> pd.Timestamp | None:
    """The moment as a UTC timestamp; None stays None (no bound)."""
    if value is None:
        return None
    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise QueryError(f"{what}={value!r} is not a date or time; write it as '2024-01-31'") from error
    if pd.isna(moment):
        raise QueryError(f"{what}={value!r} is not a date or time; write it as '2024-01-31'")
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")


def span(column: sa.Column[Any], start: Moment | None, end: Moment | None) -> list[sa.ColumnElement[bool]]:
    """The filters for `[start, end)` on a column of timestamps or dates."""
    first, last = as_moment(start, "start"), as_moment(end, "end")
    if first is not None and last is not None and first >= last:
        raise EmptyRange(
            f"the range [{start}, {end}) is empty: its end must lie after its start (the end is excluded)"
        )
    is_date = isinstance(column.type, sa.Date)
    filters: list[sa.ColumnElement[bool]] = []
    if first is not None:
        filters.append(column >= (first.date() if is_date else first.to_pydatetime()))
    if last is not None:
        filters.append(column < (last.date() if is_date else last.to_pydatetime()))
    return filters


def one_of(column: sa.Column[Any], values: Strings | None, what: str) -> list[sa.ColumnElement[bool]]:
    """The filter for any of the values; none for None. What an enum does not have is a `QueryError`."""
    found = as_list(values, what)
    if found is None:
        return []
    if isinstance(column.type, sa.Enum):
        for value in found:
            if value not in column.type.enums:
                raise QueryError(f"{what}={value!r} is none of {', '.join(column.type.enums)}")
    return [column.in_(found)]


def of_run(column: sa.Column[Any], run_id: str | uuid.UUID | None) -> list[sa.ColumnElement[bool]]:
    """The filter for one run's rows; none for None. The first eight characters of its id are enough."""
    if run_id is None:
        return []
    digits = str(run_id).lower().replace("-", "")
    if re.fullmatch(r"[0-9a-f]{8,31}", digits):
        first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
        # Two runs that begin alike are an error (see `db.translate`), never rows of both.
        return [
            column == sa.select(runs.c.run_id).where(runs.c.run_id.between(first, last)).scalar_subquery()
        ]
    try:
        return [column == uuid.UUID(str(run_id))]
    except ValueError as error:
        raise QueryError(f"run_id={run_id!r} is not a run's id; see wb.runs.list()") from error


def _facts(
    table: sa.Table, frame: pd.DataFrame, written: Written, run_id: uuid.UUID | None
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "table": str(table),
        "inserted": written.inserted,
        "updated": written.updated,
        "run_id": None if run_id is None else str(run_id),
    }
    levels = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    for name in ("data_source", "strategy_id", "symbol"):
        if name in levels.columns:
            distinct = sorted(map(str, levels[name].dropna().unique()))
            facts[f"{name}s"] = distinct[:_SHOWN_SYMBOLS]
    for name in ("timestamp", "date"):
        if name in levels.columns and levels[name].notna().any():
            facts["first"] = str(levels[name].min())
            facts["last"] = str(levels[name].max())
            break
    return facts
