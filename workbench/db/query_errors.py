"""PostgreSQL's errors about a user-written statement, as one sentence with the position marked."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors as pg

from workbench import tables
from workbench.db.roles import SERVICES
from workbench.db.statement import Statement
from workbench.errors import DatabaseError, PermissionRefused, QueryError, WorkbenchError
from workbench.spelling import near_names
from workbench.tables.types import METADATA

__all__ = ["declared_columns", "explained", "only_reads"]

_WRITES = re.compile(
    r"\b(?:insert\s+into|update|delete\s+from|merge\s+into|truncate|copy)\s+(?:(?:only|table)\s+)?([\w.\"]+)",
    re.IGNORECASE,
)
# SQLSTATE classes not caused by the statement: connection, resources, operator, system, internal.
_NOT_THE_STATEMENT = ("08", "53", "57", "58", "XX")


@functools.cache
def declared_columns() -> Mapping[str, tuple[str, ...]]:
    """Full name of every declared table to its columns."""
    for module in pkgutil.iter_modules(tables.__path__):
        importlib.import_module(f"{tables.__name__}.{module.name}")
    return {str(table): tuple(table.columns.keys()) for table in METADATA.sorted_tables}


def only_reads(statement: Statement, message: str | None = None) -> PermissionRefused:
    """The error for a statement that would change something, with what to use instead."""
    found = _WRITES.search(statement.text)
    written = found[1].replace('"', "").lower() if found else ""
    names = [name for name in declared_columns() if written in {name, name.partition(".")[2]}]
    schema, _, table = names[0].partition(".") if len(names) == 1 else ("", "", "")
    method = f"{schema}.write_{table}" if schema in SERVICES else "<service>.write_<table>"
    what = message or f"{statement.first_word.upper()} is refused"
    return PermissionRefused(f"{what}: wb.sql and %%sql only read; to write, use wb.{method}(frame)")


def explained(
    error: psycopg.Error, statement: Statement, parameters: Mapping[str, Any], *, late: bool, timeout: float
) -> WorkbenchError | None:
    """The translated error; None if the statement is not the cause.

    Parameters
    ----------
    error : psycopg.Error
    statement : Statement
    parameters : mapping
        The bound values.
    late : bool
        Whether the statement reached its timeout.
    timeout : float
        The timeout in seconds.
    """
    state = error.sqlstate or ""
    if isinstance(error, pg.QueryCanceled):
        return DatabaseError(_cancelled(late, timeout))
    if isinstance(error, pg.LockNotAvailable):
        return DatabaseError(
            "the statement waited too long for a table that another session is changing, as an upgrade does; "
            "run it again in a moment"
        )
    if isinstance(error, pg.ConfigurationLimitExceeded):
        return DatabaseError(
            f"the statement needs too much space for temporary files ({error.diag.message_primary}): sort or "
            "join fewer rows or columns at once"
        )
    if isinstance(error, psycopg.OperationalError) and (not state or state.startswith(_NOT_THE_STATEMENT)):
        return None
    message = _named(error.diag.message_primary or str(error).strip(), statement)
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return only_reads(statement, message)
    if isinstance(error, pg.InsufficientPrivilege):
        return PermissionRefused(
            f"{message}: wb.sql and %%sql run as a role that only reads workbench's tables"
        )
    hint = _hint(error, statement, parameters)
    sentence = f"{message}; {hint}" if hint else message
    place = error.diag.statement_position
    if place is None:
        return QueryError(sentence)
    return QueryError(f"{sentence}\n\n{statement.marked(statement.position(int(place) - 1))}")


def _cancelled(late: bool, timeout: float) -> str:
    if not late:
        return "the statement was cancelled on the server by another session; run it again"
    return (
        f"the statement was cancelled: it ran longer than its {timeout:g} s. Select less, or allow more "
        "time: wb.sql(…, timeout=600), %%sql --timeout 600"
    )


def _named(message: str, statement: Statement) -> str:
    """The message with `$1` replaced by the parameter's name in the statement."""

    def name(number: re.Match[str]) -> str:
        position = int(number[1]) - 1
        return f":{statement.names[position]}" if position < len(statement.names) else number[0]

    return re.sub(r"\$(\d+)", name, message)


def _hint(error: psycopg.Error, statement: Statement, parameters: Mapping[str, Any]) -> str:
    message = error.diag.message_primary or str(error)
    theirs = _named(error.diag.message_hint or "", statement).rstrip(".")
    lists = [name for name, value in parameters.items() if isinstance(value, list)]
    match error:
        case pg.UndefinedTable():
            return _near_table(message) or "%sql alone lists the tables"
        case pg.UndefinedColumn():
            return _near_column(message, statement) or theirs
        case pg.IndeterminateDatatype():
            return "state the type: :name::text, :name::timestamptz"
        case pg.SyntaxError() if re.search(r"\$\d", message):
            return (
                "a parameter is one value: use a list with = ANY(:name); the name of a table or column "
                "cannot be a parameter"
            )
        case pg.UndefinedFunction() if lists and "[]" in message:
            return f"compare a list with = ANY(:{lists[0]})"
        case pg.UndefinedFunction() if "operator" in message:
            return "the two sides are of different types: cast one of them, as in :name::text"
        case pg.UndefinedFunction():
            return "there is no function of that name with these argument types"
        case psycopg.DataError():
            # Raised by the driver: Python's years are 1 to 9999.
            return "cast it to text" if re.search("year 1", message) else ""
    return theirs[:1].lower() + theirs[1:]


def _near_table(message: str) -> str:
    wanted = _quoted(message).lower()
    names = list(declared_columns())
    same = [name for name in names if name.partition(".")[2] == wanted]
    near = same or near_names(wanted, names, cutoff=0.7)
    if not near:
        tables_of = {name.partition(".")[2]: name for name in names}
        near = [tables_of[name] for name in near_names(wanted.rpartition(".")[2], tables_of, cutoff=0.7)]
    return f"did you mean {' or '.join(near)}?" if near else ""


def _near_column(message: str, statement: Statement) -> str:
    """A hint with a similar column of the tables in the statement, or else of any table."""
    wanted = _quoted(message).rpartition(".")[2]
    text = statement.text.lower()
    every = declared_columns()
    named = [columns for name, columns in every.items() if name.partition(".")[2] in text]
    known = {column for columns in (named or every.values()) for column in columns}
    near = near_names(wanted, sorted(known - {wanted}))
    return f"did you mean {near[0]}?" if near else ""


def _quoted(message: str) -> str:
    """The quoted name in the message, or else its second word: `column t.clse does not …`."""
    found = re.search(r'"([^"]+)"', message) or re.match(r"\w+ (\S+)", message)
    return found[1] if found else ""
