"""What PostgreSQL says of a statement that a person wrote, in one sentence and with the place marked."""

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
# Classes of SQLSTATE that say nothing of the statement: connection, resources, operator, system, internal.
_NOT_THE_STATEMENT = ("08", "53", "57", "58", "XX")


@functools.cache
def declared_columns() -> Mapping[str, tuple[str, ...]]:
    """The columns of every table that workbench declares, by the table's full name."""
    for module in pkgutil.iter_modules(tables.__path__):
        importlib.import_module(f"{tables.__name__}.{module.name}")
    return {str(table): tuple(table.columns.keys()) for table in METADATA.sorted_tables}


def only_reads(statement: Statement, said: str | None = None) -> PermissionRefused:
    """The refusal of a statement that would change something, with what to use instead."""
    found = _WRITES.search(statement.text)
    written = found[1].replace('"', "").lower() if found else ""
    names = [name for name in declared_columns() if written in {name, name.partition(".")[2]}]
    schema, _, table = names[0].partition(".") if len(names) == 1 else ("", "", "")
    method = f"{schema}.write_{table}" if schema in SERVICES else "<service>.write_<table>"
    what = said or f"{statement.first_word.upper()} is refused"
    return PermissionRefused(f"{what}: wb.sql and %%sql only read; to write, use wb.{method}(frame)")


def explained(
    error: psycopg.Error, statement: Statement, parameters: Mapping[str, Any], *, late: bool, timeout: float
) -> WorkbenchError | None:
    """The error in workbench's words; None where it does not say anything of the statement.

    Parameters
    ----------
    error : psycopg.Error
    statement : Statement
    parameters : mapping
        The values that were bound.
    late : bool
        Whether the statement ran as long as it may.
    timeout : float
        How long that is, in seconds.
    """
    state = error.sqlstate or ""
    if isinstance(error, pg.QueryCanceled):
        return DatabaseError(_cancelled(late, timeout))
    if isinstance(error, pg.LockNotAvailable):
        return DatabaseError(
            "the statement waited too long for a table that somebody else changes, as an upgrade does; run "
            "it again in a moment"
        )
    if isinstance(error, pg.ConfigurationLimitExceeded):
        return DatabaseError(
            f"the statement needs too much room for temporary files ({error.diag.message_primary}): sort or "
            "join fewer rows or columns at once"
        )
    if isinstance(error, psycopg.OperationalError) and (not state or state.startswith(_NOT_THE_STATEMENT)):
        return None
    said = _named(error.diag.message_primary or str(error).strip(), statement)
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return only_reads(statement, said)
    if isinstance(error, pg.InsufficientPrivilege):
        return PermissionRefused(f"{said}: wb.sql and %%sql run as a role that only reads workbench's tables")
    hint = _hint(error, statement, parameters)
    sentence = f"{said}; {hint}" if hint else said
    place = error.diag.statement_position
    if place is None:
        return QueryError(sentence)
    return QueryError(f"{sentence}\n\n{statement.marked(statement.position(int(place) - 1))}")


def _cancelled(late: bool, timeout: float) -> str:
    if not late:
        return "the statement was cancelled on the server, which somebody asked for; run it again"
    return (
        f"the statement was cancelled: it ran longer than its {timeout:g} s. Ask for less, or give it more "
        "time: wb.sql(…, timeout=600), %%sql --timeout 600"
    )


def _named(said: str, statement: Statement) -> str:
    """What PostgreSQL calls `$1`, by the name that it has in the statement."""

    def name(number: re.Match[str]) -> str:
        position = int(number[1]) - 1
        return f":{statement.names[position]}" if position < len(statement.names) else number[0]

    return re.sub(r"\$(\d+)", name, said)


def _hint(error: psycopg.Error, statement: Statement, parameters: Mapping[str, Any]) -> str:
    said = error.diag.message_primary or str(error)
    theirs = _named(error.diag.message_hint or "", statement).rstrip(".")
    lists = [name for name, value in parameters.items() if isinstance(value, list)]
    match error:
        case pg.UndefinedTable():
            return _near_table(said) or "%sql alone lists the tables"
        case pg.UndefinedColumn():
            return _near_column(said, statement) or theirs
        case pg.IndeterminateDatatype():
            return "state the type: :name::text, :name::timestamptz"
        case pg.SyntaxError() if re.search(r"\$\d", said):
            return (
                "a parameter is one value: a list goes with = ANY(:name), and the name of a table or column "
                "cannot be a parameter"
            )
        case pg.UndefinedFunction() if lists and "[]" in said:
            return f"a list is compared with = ANY(:{lists[0]})"
        case pg.UndefinedFunction() if "operator" in said:
            return "the two sides are of different types: cast one of them, as in :name::text"
        case pg.UndefinedFunction():
            return "there is none of that name that takes these types"
        case psycopg.DataError():
            # The driver's: Python knows the years 1 to 9999.
            return "cast it to text" if re.search("year 1", said) else ""
    return theirs[:1].lower() + theirs[1:]


def _near_table(said: str) -> str:
    wanted = _quoted(said).lower()
    names = list(declared_columns())
    same = [name for name in names if name.partition(".")[2] == wanted]
    near = same or near_names(wanted, names, cutoff=0.7)
    if not near:
        tables_of = {name.partition(".")[2]: name for name in names}
        near = [tables_of[name] for name in near_names(wanted.rpartition(".")[2], tables_of, cutoff=0.7)]
    return f"did you mean {' or '.join(near)}?" if near else ""


def _near_column(said: str, statement: Statement) -> str:
    """A column of the tables that the statement names, or else of any."""
    wanted = _quoted(said).rpartition(".")[2]
    text = statement.text.lower()
    every = declared_columns()
    named = [columns for name, columns in every.items() if name.partition(".")[2] in text]
    known = {column for columns in (named or every.values()) for column in columns}
    near = near_names(wanted, sorted(known - {wanted}))
    return f"did you mean {near[0]}?" if near else ""


def _quoted(said: str) -> str:
    """The name that the server quotes, or else the one behind the first word: `column t.clse does not …`."""
    found = re.search(r'"([^"]+)"', said) or re.match(r"\w+ (\S+)", said)
    return found[1] if found else ""
