"""Rows to DataFrames and back: `read` and `write`, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg
import sqlalchemy as sa
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader

from workbench.db.columns import brief, dtype_of, encode
from workbench.db.copying import copying
from workbench.errors import ColumnMismatch, DuplicateKeys, ValueRefused
from workbench.spelling import near_names
from workbench.tables.constraints import rules_of

__all__ = ["Written", "read", "states_rows", "take_turns", "write"]

_SHOWN = 3
_LONG = 100
_COPY_ROWS = 20_000
# Columns with the time and the run of a row's creation; a row that differs only in these is unchanged.
_PROVENANCE = {"created_at", "run_id"}
# Columns with the time of the last change, set here if the frame does not have them.
_TOUCHED = ("updated_at", "last_updated")


@dataclass(frozen=True)
class Written:
    """The result of a write, in rows."""

    inserted: int
    updated: int
    unchanged: int

    @property
    def changed(self) -> int:
        """Rows inserted or updated."""
        return self.inserted + self.updated

    def __add__(self, other: Written) -> Written:
        return Written(
            self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged
        )

    def __str__(self) -> str:
        return f"{self.inserted:,} inserted, {self.updated:,} updated, {self.unchanged:,} unchanged"


def read(connection: sa.Connection, query: sa.Select[Any]) -> pd.DataFrame:
    """Run a query over table columns and return its rows, with the right dtypes even if there are none.

    Returns
    -------
    DataFrame
        One column per selected column, dtypes as in `workbench.db.columns.dtype_of`, RangeIndex.
    """
    columns = list(query.selected_columns)
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor:
        cursor.adapters.register_loader("numeric", FloatLoader)
        cursor.adapters.register_loader("uuid", TextLoader)
        cursor.execute(str(compiled).encode(), compiled.construct_params())
        rows = cursor.fetchall()
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return pd.DataFrame(
        {
            column.name: pd.Series(list(series), dtype=dtype_of(column))  # type: ignore[arg-type]
            for column, series in zip(columns, values, strict=True)
        }
    )


def write(
    connection: sa.Connection,
    table: sa.Table,
    frame: pd.DataFrame,
    *,
    key: Sequence[str] = (),
    partial: bool = False,
    among: Mapping[str, str] | None = None,
) -> Written:
    """Insert the frame's rows; a row whose key exists already is updated if its values differ.

    If the frame has a `run_id`, all of its rows have that one afterwards, unchanged rows too: they still
    count as unchanged, and keep the time of their last change.

    The frame is copied to a temporary table and from there into `table`, in the caller's transaction. Only
    one transaction at a time writes a table (an advisory lock until its end), so that two frames with the
    same keys neither deadlock nor lose a row.

    Parameters
    ----------
    connection : Connection
        In a transaction. Nothing is committed here.
    table : Table
    frame : DataFrame
        Columns named as the table's; named index levels count as columns. Columns that are left out get
        their defaults (new rows) or keep their values (existing rows).
    key : sequence of str
        The columns that identify a row; () for an append-only table. NULLs count as equal.
    partial : bool
        Whether a frame may leave out columns that a new row needs, if all its rows exist already: an order's
        id and its new status. If one row does not exist, the frame is refused.
    among : mapping, optional
        Values of columns that all rows of this write have, by default or in the frame: rows with other values
        are as if they were not there. The key is then that of a unique index of just these rows.

    Raises
    ------
    ColumnMismatch, DuplicateKeys, ValueRefused, NaiveTimestamp
        With the table, the column and the first rows; nothing was written.
    """
    name = str(table)
    frame = _flat(table, frame)
    columns = _match_columns(table, frame)
    lacking = _lacking(table, frame, key)
    if lacking and not (partial and not set(lacking) & set(key)):
        raise _incomplete(table, frame, lacking[0], ", which the frame does not have")
    if frame.empty:
        return Written(0, 0, 0)
    encoded = [encode(column, frame[column.name], name) for column in columns]
    given = [column.name for column in columns]
    _refuse_broken_rules(name, frame)
    _refuse_duplicates(name, dict(zip(given, encoded, strict=True)), key)
    stage = _stage(connection, table, columns, encoded)
    if not key:
        return Written(_insert(connection, table, stage, given, (), {}), 0, 0)
    take_turns(connection, table)
    if lacking:
        _refuse_new_rows(connection, table, stage, frame, key, lacking[0])
    kind = {} if among is None else among
    updated = _update(connection, table, stage, given, key, kind)
    if "run_id" in given and "run_id" not in key:
        _stamp(connection, table, stage, key, kind)
    # PostgreSQL checks NOT NULL and CHECK before ON CONFLICT: if the frame lacks columns that they need, only
    # new rows may be inserted.
    tried = all(set(rule.columns) <= set(given) for rule in rules_of(name)) and not lacking
    inserted = _insert(connection, table, stage, given, key, kind, only_new=not tried)
    return Written(inserted, updated, len(frame) - inserted - updated)


def states_rows(table: sa.Table, frame: pd.DataFrame, key: Sequence[str]) -> bool:
    """Whether the frame has all columns that a new row needs, rather than some columns to update."""
    return not _lacking(table, _flat(table, frame), key)


def take_turns(connection: sa.Connection, *tables: sa.Table) -> None:
    """Wait until no other transaction writes any of the tables, and lock them until this one ends.

    `write` does so for its own table. A transaction that writes several tables, of which one changes
    another by a trigger, must lock all of them first, or it may deadlock with another writer.
    """
    for table in tables:
        connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": str(table)}
        )


def _flat(table: sa.Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its named index levels as columns."""
    levels = [level for level in frame.index.names if level is not None]
    for level in levels:
        if level in frame.columns:
            raise ColumnMismatch(
                f"{table}: the frame has {level!r} as an index level and as a column; drop one of them",
                table=str(table),
                column=str(level),
            )
    return frame.reset_index() if levels else frame


def _match_columns(table: sa.Table, frame: pd.DataFrame) -> list[sa.Column[Any]]:
    repeated = [str(name) for name in frame.columns[frame.columns.duplicated()]]
    if repeated:
        raise ColumnMismatch(f"{table}: the frame has the column {repeated[0]!r} twice", table=str(table))
    for label in frame.columns:
        if not isinstance(label, str) or label not in table.columns:
            near = near_names(label, table.columns.keys())
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ColumnMismatch(
                f"{table} has no column {label!r}{hint} It has: {', '.join(_writable(table))}",
                table=str(table),
                column=str(label),
            )
        if _server_made(table.columns[label]):
            raise ColumnMismatch(
                f"{table}.{label} is made by the server; leave it out: frame.drop(columns={label!r})",
                table=str(table),
                column=str(label),
            )
    return [table.columns[label] for label in frame.columns]


def _lacking(table: sa.Table, frame: pd.DataFrame, key: Sequence[str]) -> list[str]:
    """The columns that a new row needs and the frame does not have, in the table's order."""
    return [
        column.name
        for column in table.columns
        if column.name not in frame.columns
        and (
            column.name in key
            or not (column.nullable or column.server_default is not None or _server_made(column))
        )
    ]


def _incomplete(
    table: sa.Table, frame: pd.DataFrame, column: str, why: str, rows: Sequence[int] = ()
) -> ColumnMismatch:
    return ColumnMismatch(
        f"{table} needs the column {column!r}{why}; "
        f"the frame has: {', '.join(map(str, frame.columns)) or 'no columns'}",
        table=str(table),
        column=column,
        rows=rows,
    )


def _refuse_new_rows(
    connection: sa.Connection,
    table: sa.Table,
    stage: str,
    frame: pd.DataFrame,
    key: Sequence[str],
    lacking: str,
) -> None:
    """Raise if a frame lacks a column that new rows need and one of its rows is new."""
    # One COPY into an empty table keeps the frame's order in ctid.
    statement = (
        f"SELECT place FROM (SELECT *, row_number() OVER (ORDER BY ctid) - 1 AS place FROM {stage}) AS s "
        f"WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE {_same_key(table, key)}) ORDER BY place"
    )
    new = connection.exec_driver_sql(statement).scalars().all()
    if new:
        first = ", ".join(f"{name}={frame[name].iloc[new[0]]}" for name in key)
        count = "1 row is" if len(new) == 1 else f"{len(new)} rows are"
        why = f" for new rows, and {count} not in the table yet, first row {new[0]} ({first})"
        raise _incomplete(table, frame, lacking, why, new[:_SHOWN])


def _same_key(table: sa.Table, key: Sequence[str], among: Mapping[str, str] | None = None) -> str:
    same = [
        f't."{name}" IS NOT DISTINCT FROM s."{name}"'
        # Without NULLs a plain equality, which PostgreSQL can hash.
        if table.columns[name].nullable
        else f't."{name}" = s."{name}"'
        for name in key
    ]
    return " AND ".join(same + ([_are(among, "t.")] if among else []))


def _are(among: Mapping[str, str], prefix: str = "") -> str:
    """The condition of a partial index; the values are our own constants."""
    return " AND ".join(f"{prefix}\"{name}\" = '{value}'" for name, value in among.items())


def _server_made(column: sa.Column[Any]) -> bool:
    return column.identity is not None or bool(column.info.get("server_made"))


def _writable(table: sa.Table) -> list[str]:
    return [column.name for column in table.columns if not _server_made(column)]


def _refuse_duplicates(table: str, encoded: Mapping[str, list[str]], key: Sequence[str]) -> None:
    """Raise on duplicate keys, compared as stored: a date and a midnight are the same key."""
    if not key:
        return
    keys = pd.DataFrame({name: pd.Series(encoded[name], dtype="str") for name in key})
    repeated = keys.duplicated(keep=False)
    if repeated.any():
        rows = [int(position) for position in repeated.to_numpy().nonzero()[0]]
        values = ", ".join(f"{name}={encoded[name][rows[0]]}" for name in key)
        raise DuplicateKeys(
            f"{table}: {len(rows)} rows of the frame share their key with another one, first {values} "
            f"(rows {', '.join(map(str, rows[:_SHOWN]))}); drop_duplicates({list(key)!r}) keeps the first",
            table=table,
            rows=rows[:_SHOWN],
        )


def _refuse_broken_rules(table: str, frame: pd.DataFrame) -> None:
    for rule in rules_of(table):
        if not set(rule.columns) <= set(frame.columns):
            continue
        broken = [int(position) for position in (~rule.holds(frame)).to_numpy().nonzero()[0]]
        if broken:
            values = ", ".join(f"{name}={_short(frame[name].iloc[broken[0]])}" for name in rule.columns)
            more = f" (and {len(broken) - 1} more rows)" if len(broken) > 1 else ""
            raise ValueRefused(
                f"{table}: row {broken[0]} is refused: {rule.sentence}; it has {values}{more}; "
                "nothing was written",
                table=table,
                column=rule.columns[0],
                rows=broken[:_SHOWN],
            )


def _short(value: Any) -> str:
    """A value as text, truncated if it is long."""
    return brief(value) if isinstance(value, str | bytes) and len(value) > _LONG else str(value)


def _stage(
    connection: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]], encoded: list[list[str]]
) -> str:
    """Copy the encoded columns into a temporary table, dropped with the transaction; return its name."""
    stage = f"pg_temp.stage_{table.name}"
    names = _list(column.name for column in columns)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {stage}")
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE stage_{table.name} ON COMMIT DROP "
        f"AS SELECT {names} FROM {table} WITH NO DATA"
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, copying(cursor, f"COPY {stage} ({names}) FROM STDIN") as copy:
        lines = ["\t".join(row) for row in zip(*encoded, strict=True)]
        for start in range(0, len(lines), _COPY_ROWS):
            copy.write("\n".join(lines[start : start + _COPY_ROWS]) + "\n")
    connection.exec_driver_sql(f"ANALYZE {stage}")
    return stage


def _update(
    connection: sa.Connection,
    table: sa.Table,
    stage: str,
    given: Sequence[str],
    key: Sequence[str],
    among: Mapping[str, str],
) -> int:
    values = [name for name in given if name not in key and name not in _PROVENANCE]
    if not values:
        return 0
    changed = [name for name in given if name not in key and name != "created_at"]
    assignments = [f'"{name}" = s."{name}"' for name in changed]
    assignments += [f"{name} = now()" for name in _TOUCHED if name in table.columns and name not in given]
    statement = (
        f"UPDATE {table} AS t SET {', '.join(assignments)} FROM {stage} AS s WHERE "
        + _same_key(table, key, among)
        + f" AND ({_list(values, 't')}) IS DISTINCT FROM ({_list(values, 's')})"
    )
    return connection.exec_driver_sql(statement).rowcount


def _stamp(
    connection: sa.Connection, table: sa.Table, stage: str, key: Sequence[str], among: Mapping[str, str]
) -> None:
    """Set the frame's run_id on unchanged rows too."""
    connection.exec_driver_sql(
        f"UPDATE {table} AS t SET run_id = s.run_id FROM {stage} AS s "
        f"WHERE {_same_key(table, key, among)} AND t.run_id IS DISTINCT FROM s.run_id"
    )


def _insert(
    connection: sa.Connection,
    table: sa.Table,
    stage: str,
    given: Sequence[str],
    key: Sequence[str],
    among: Mapping[str, str],
    *,
    only_new: bool = False,
) -> int:
    names = _list(given)
    there = f"SELECT FROM {table} AS t WHERE {_same_key(table, key, among)}"
    new = f" WHERE NOT EXISTS ({there})" if only_new else ""
    index = f"({_list(key)}){f' WHERE {_are(among)}' if among else ''}"
    conflict = f" ORDER BY {_list(key)} ON CONFLICT {index} DO NOTHING" if key else ""
    statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM {stage} AS s{new}{conflict}"
    return connection.exec_driver_sql(statement).rowcount


def _list(names: Any, prefix: str | None = None) -> str:
    return ", ".join(f'{prefix}."{name}"' if prefix else f'"{name}"' for name in names)
