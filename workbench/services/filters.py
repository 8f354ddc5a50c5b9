"""The arguments of `load_…` as conditions of a query: names, ranges of time and runs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from workbench.errors import EmptyRange, QueryError
from workbench.tables.workbench import runs

__all__ = [
    "Moment",
    "Strings",
    "as_list",
    "as_moment",
    "as_range",
    "beginning_with",
    "flagged",
    "matching",
    "of_run",
    "span",
]

Strings = str | Sequence[str]
"""One value, or several."""

Moment = str | date | pd.Timestamp
"""A moment in UTC; one without a time zone is taken as UTC, a date as its midnight."""

# What a loader calls a column, where it is not the column's own name; errors name the argument.
_ARGUMENTS = {"data_source": "source", "strategy": "strategy_id", "symbol": "symbols"}


def matching(table: sa.Table, **values: Strings | None) -> list[sa.ColumnElement[bool]]:
    """The conditions that each column has its value, or one of its values.

    Parameters
    ----------
    table : Table
    **values : str, list of str or None
        By column; None is no condition.

    Raises
    ------
    QueryError
        Not a name or a list of names, or a value that the column's enum does not have.
    KeyError
        The table has no such column: a mistake in the loader, not in its caller's arguments.
    """
    conditions: list[sa.ColumnElement[bool]] = []
    for name, value in values.items():
        column, what = table.c[name], _ARGUMENTS.get(name, name)
        found = as_list(value, what)
        if found is None:
            continue
        if isinstance(column.type, sa.Enum):
            for one in found:
                if one not in column.type.enums:
                    raise QueryError(f"{what}={one!r} is none of {', '.join(column.type.enums)}")
        conditions.append(column.in_(found))
    return conditions


def as_list(values: Strings | None, what: str) -> list[str] | None:
    """The values as a list; None stays None (no condition)."""
    if values is None:
        return None
    try:
        found = [values] if isinstance(values, str) else list(values)
    except TypeError as error:
        raise QueryError(f"{what}={values!r}: expected a name, or a list of names") from error
    for value in found:
        if not isinstance(value, str) or not value:
            raise QueryError(f"{what}={value!r}: expected a name, or a list of names")
        if not _is_storable(value):
            raise QueryError(
                f"{what}={value!r}: no row has this value; text in PostgreSQL has neither NUL nor half a "
                "surrogate pair"
            )
    return list(dict.fromkeys(found))


def _is_storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def flagged(condition: sa.ColumnElement[bool], value: bool | None, what: str) -> list[sa.ColumnElement[bool]]:
    """The condition for True, its opposite for False; none for None.

    Raises
    ------
    QueryError
        The value is something else.
    """
    if value is None:
        return []
    if not isinstance(value, bool | np.bool_):
        raise QueryError(f"{what}={value!r}: expected True or False")
    return [condition if value else sa.not_(condition)]


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


def as_range(start: Moment | None, end: Moment | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """`[start, end)` as UTC timestamps; None stays None (no bound).

    Raises
    ------
    EmptyRange
        `end` does not lie after `start`.
    """
    first, last = as_moment(start, "start"), as_moment(end, "end")
    if first is not None and last is not None and first >= last:
        raise EmptyRange(
            f"the range [{start}, {end}) is empty: its end must lie after its start (the end is excluded)"
        )
    return first, last


def span(column: sa.Column[Any], start: Moment | None, end: Moment | None) -> list[sa.ColumnElement[bool]]:
    """The conditions for `[start, end)` on a column of timestamps or dates; none for a bound that is None."""
    first, last = as_range(start, end)
    is_date = isinstance(column.type, sa.Date)
    conditions: list[sa.ColumnElement[bool]] = []
    if first is not None:
        conditions.append(column >= (first.date() if is_date else first.to_pydatetime()))
    if last is not None:
        conditions.append(column < (last.date() if is_date else last.to_pydatetime()))
    return conditions


def beginning_with(column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """The condition that an id begins with these characters, of which an index can make use."""
    digits = text.lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{0,32}", digits):
        return sa.false()
    return column.between(uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f")))


def of_run(column: sa.Column[Any], run_id: str | uuid.UUID | None) -> list[sa.ColumnElement[bool]]:
    """The condition for one run's rows; none for None. The first eight characters of its id are enough."""
    if run_id is None:
        return []
    digits = str(run_id).lower().replace("-", "")
    if re.fullmatch(r"[0-9a-f]{8,31}", digits):
        # Where two runs begin alike the subquery fails (see `db.translate`): never rows of both.
        return [
            column == sa.select(runs.c.run_id).where(beginning_with(runs.c.run_id, digits)).scalar_subquery()
        ]
    try:
        return [column == uuid.UUID(str(run_id))]
    except ValueError as error:
        raise QueryError(f"run_id={run_id!r} is not a run's id; see wb.runs.list()") from error
