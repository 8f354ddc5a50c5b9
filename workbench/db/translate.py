"""The one place that translates driver errors into workbench's own.

Errors about user-written statements are in `query_errors`.
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
# What was said live is changed by nobody, and said by live runs alone.
_KEPT = "WB002"
# In the server's error if our roles and databases were never created, or were created again.
_NOT_SET_UP = ("password authentication failed", "does not exist")
# SQLSTATE 53300; for a failed login libpq gives no SQLSTATE, only the server's message.
_TOO_MANY = ("too many clients", "connection slots are reserved", "too many connections")
# While the server replays its log after a crash, or shuts down.
_RECOVERING = ("in recovery mode", "not yet accepting connections", "is starting up", "is shutting down")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Re-raise errors of SQLAlchemy and psycopg in the block as a `WorkbenchError`, chained.

    Parameters
    ----------
    doing : str
        The operation, for the message: "writing strategy_engine.strategies".
    """
    try:
        yield
    except exc.TimeoutError as error:
        raise DatabaseError(
            f"{doing}: every connection of the pool is in use; close open results, or run fewer at once"
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
            f"{doing}: {error.diag.message_primary}, so it must not write any more; start a new run"
        )
    if error.sqlstate == _KEPT:
        return PermissionRefused(f"{doing}: {error.diag.message_primary}")
    if isinstance(error, pg.IntegrityError | pg.DataError):
        return _refused_row(error, doing)
    return _unable(error, doing)


def _refused_row(error: psycopg.Error, doing: str) -> FrameRefused:
    """The error for a row that the table refuses."""
    message, detail = _message(error), error.diag.message_detail or ""
    table = f"{error.diag.schema_name}.{error.diag.table_name}" if error.diag.table_name else None
    match error:
        case pg.ForeignKeyViolation():
            return MissingReference(
                f"{doing}: a row refers to a missing one: {detail or message}; write that one first",
                table=table,
            )
        case pg.UniqueViolation():
            return DuplicateKeys(f"{doing}: {message}", table=table)
        case pg.CheckViolation():
            name = error.diag.constraint_name or ""
            rule = RULES.get(name)
            demand = rule.sentence if rule else f"it violates {name}"
            # PostgreSQL's error has the partition's name; ours has the table's.
            return ValueRefused(
                f"{doing}: a row was refused: {demand}. {detail}", table=rule.table if rule else table
            )
    return ValueRefused(f"{doing}: {message}", table=table, column=error.diag.column_name)


def _unable(error: psycopg.Error, doing: str) -> WorkbenchError:
    """The error for a statement that failed or was refused."""
    message = _message(error)
    match error:
        case pg.InsufficientPrivilege():
            return PermissionRefused(f"{doing}: {message}")
        case pg.UndefinedTable() | pg.InvalidSchemaName() | pg.UndefinedColumn() | pg.UndefinedFunction():
            return MigrationError(f"{doing}: {message}; run: workbench db upgrade")
        case pg.CardinalityViolation() if "subquery" in message:
            # The only subquery that could return two rows selects a run by the first characters of its id.
            return QueryError(f"{doing}: several runs begin with this run_id; give more of its characters")
        case pg.DiskFull():
            return DatabaseError(f"{doing}: PostgreSQL's disk is full; nothing was written ({message})")
        case pg.DeadlockDetected() | pg.SerializationFailure() | pg.LockNotAvailable():
            return DatabaseError(
                f"{doing}: it conflicted with another writer ({message}); nothing was written: try again"
            )
        case pg.QueryCanceled():
            return DatabaseError(f"{doing}: the statement was cancelled ({message}); nothing was written")
        case psycopg.OperationalError() if error.sqlstate == "53300" or any(
            words in message for words in _TOO_MANY
        ):
            refusal = message.splitlines()[-1].rpartition("FATAL:")[2].strip()
            return DatabaseError(
                f"{doing}: PostgreSQL has no connection left ({refusal}). "
                "Close notebooks that are no longer needed, set WORKBENCH_POOL_OVERFLOW lower, or raise the "
                "server's max_connections; see: workbench doctor"
            )
        case psycopg.OperationalError() | psycopg.InterfaceError() if any(
            words in message for words in _NOT_SET_UP
        ):
            return MigrationError(f"{doing}: {message.splitlines()[-1]}; run: workbench db upgrade")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            if any(words in message for words in _RECOVERING):
                return ServerUnreachable(
                    f"{doing}: PostgreSQL is starting or stopping ({_reason(message)}); nothing of this "
                    "transaction was written: try again in a moment; see: workbench status"
                )
            return ServerUnreachable(
                f"{doing}: PostgreSQL does not answer or went away ({_reason(message)}); nothing of "
                "this transaction was written; see: workbench status"
            )
    return DatabaseError(f"{doing}: {message}")


def _reason(message: str) -> str:
    """The line of the error with the cause: the server's own if there is one, else the first."""
    lines = [line.strip() for line in message.splitlines()]
    own = [line.rpartition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return (own or lines)[0]


def _message(error: psycopg.Error) -> str:
    detail = error.diag.message_detail
    return (error.diag.message_primary or str(error).strip()) + (f" ({detail})" if detail else "")
