"""The one place that turns driver errors into workbench's own.

What the server says of a statement that a person wrote is worded in `query_errors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from sqlalchemy import exc

from workbench.errors import (
    DatabaseError,
    DuplicateKeys,
    FrameRefused,
    MigrationError,
    MissingReference,
    PermissionRefused,
    QueryError,
    RunFenced,
    ServerUnreachable,
    ValueRefused,
    WorkbenchError,
)
from workbench.tables.constraints import RULES

__all__ = ["translated"]

_FENCED = "WB001"
# What a login of ours is told where the roles and databases were never made, or made anew.
_NOT_SET_UP = ("password authentication failed", "does not exist")
# SQLSTATE 53300; libpq passes on no SQLSTATE of a login that failed, only what the server said.
_TOO_MANY = ("too many clients", "connection slots are reserved", "too many connections")
# As it replays its log after a crash, or shuts down.
_RECOVERING = ("in recovery mode", "not yet accepting connections", "is starting up", "is shutting down")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Re-raise what SQLAlchemy and psycopg raise within as a `WorkbenchError`, chained.

    Parameters
    ----------
    doing : str
        What was being done or used, for the sentence: "writing strategy_engine.strategies".
    """
    try:
        yield
    except exc.TimeoutError as error:
        raise DatabaseError(
            f"{doing}: every connection of the pool is in use; close results you hold, or run fewer at once"
        ) from error
    except exc.DBAPIError as error:
        raise _own(error.orig, doing) from error
    except psycopg.Error as error:
        raise _own(error, doing) from error


def _own(error: BaseException | None, doing: str) -> WorkbenchError:
    if not isinstance(error, psycopg.Error):
        return DatabaseError(f"{doing}: {error}")
    if error.sqlstate == _FENCED:
        return RunFenced(
            f"{doing}: {error.diag.message_primary}, so it may write nothing more; start a new run"
        )
    if isinstance(error, pg.IntegrityError | pg.DataError):
        return _refused_row(error, doing)
    return _unable(error, doing)


def _refused_row(error: psycopg.Error, doing: str) -> FrameRefused:
    """A row that the table does not take."""
    said, detail = _said(error), error.diag.message_detail or ""
    table = f"{error.diag.schema_name}.{error.diag.table_name}" if error.diag.table_name else None
    match error:
        case pg.ForeignKeyViolation():
            return MissingReference(
                f"{doing}: a row points to one that does not exist: {detail or said}; write that one first",
                table=table,
            )
        case pg.UniqueViolation():
            return DuplicateKeys(f"{doing}: {said}", table=table)
        case pg.CheckViolation():
            name = error.diag.constraint_name or ""
            rule = RULES.get(name)
            demand = rule.sentence if rule else f"it breaks {name}"
            # The error names the partition where a table has some; people know the table.
            return ValueRefused(
                f"{doing}: a row was refused: {demand}. {detail}", table=rule.table if rule else table
            )
    return ValueRefused(f"{doing}: {said}", table=table, column=error.diag.column_name)


def _unable(error: psycopg.Error, doing: str) -> WorkbenchError:
    """A statement that the server could not or would not do."""
    said = _said(error)
    match error:
        case pg.InsufficientPrivilege():
            return PermissionRefused(f"{doing}: {said}")
        case pg.UndefinedTable() | pg.InvalidSchemaName() | pg.UndefinedColumn() | pg.UndefinedFunction():
            return MigrationError(f"{doing}: {said}; run: workbench db upgrade")
        case pg.CardinalityViolation() if "subquery" in said:
            # The only subquery that could give two rows names a run by the first characters of its id.
            return QueryError(f"{doing}: several runs begin with this run_id; give more of its characters")
        case pg.DiskFull():
            return DatabaseError(f"{doing}: PostgreSQL's disk is full; nothing was written ({said})")
        case pg.DeadlockDetected() | pg.SerializationFailure() | pg.LockNotAvailable():
            return DatabaseError(
                f"{doing}: another writer was in the way ({said}); nothing was written: again"
            )
        case pg.QueryCanceled():
            return DatabaseError(f"{doing}: the statement was cancelled ({said}); nothing was written")
        case psycopg.OperationalError() if error.sqlstate == "53300" or any(
            words in said for words in _TOO_MANY
        ):
            refusal = said.splitlines()[-1].rpartition("FATAL:")[2].strip()
            return DatabaseError(
                f"{doing}: PostgreSQL has no connection left ({refusal}). "
                "Close notebooks that are no longer needed, set WORKBENCH_POOL_OVERFLOW lower, or raise the "
                "server's max_connections; see: workbench doctor"
            )
        case psycopg.OperationalError() | psycopg.InterfaceError() if any(
            words in said for words in _NOT_SET_UP
        ):
            return MigrationError(f"{doing}: {said.splitlines()[-1]}; run: workbench db upgrade")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            if any(words in said for words in _RECOVERING):
                return ServerUnreachable(
                    f"{doing}: PostgreSQL is starting or stopping ({_reason(said)}); nothing of this "
                    "transaction was written: again in a moment; see: workbench status"
                )
            return ServerUnreachable(
                f"{doing}: PostgreSQL does not answer or went away ({_reason(said)}); nothing of "
                "this transaction was written; see: workbench status"
            )
    return DatabaseError(f"{doing}: {said}")


def _reason(said: str) -> str:
    """Of the lines of an error the one that says why: the server's own, if there is one."""
    lines = [line.strip() for line in said.splitlines()]
    own = [line.rpartition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return (own or lines)[0]


def _said(error: psycopg.Error) -> str:
    detail = error.diag.message_detail
    return (error.diag.message_primary or str(error).strip()) + (f" ({detail})" if detail else "")
