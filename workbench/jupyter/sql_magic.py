"""`%sql` and `%%sql`: run a statement as the read-only role, into a DataFrame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand

from workbench.errors import QueryError, WorkbenchError
from workbench.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["SqlMagics"]

_OPTION = re.compile(r"\s*--(?P<name>timeout|max-rows|max-bytes)(?:\s+|=)(?P<value>\S+)")
_INTO = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s*<<\s*")
_NAME = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s*")
# A first line of one word is a variable's name, unless a statement can begin with it.
_BEGINNINGS = {"select", "with", "table", "values", "explain", "show"}
_MAGIC = re.compile(r"\s*(?:%%sql\b|(?:[\w., ]+=\s*)?%sql\b)")
_TABLES = """
    SELECT n.nspname AS schema, c.relname AS "table",
           CASE c.relkind
               WHEN 'p' THEN (SELECT sum(greatest(p.reltuples, pg_stat_get_live_tuples(p.oid), 0))::bigint
                              FROM pg_partition_tree(c.oid) AS t JOIN pg_class AS p ON p.oid = t.relid
                              WHERE t.isleaf)
               WHEN 'v' THEN NULL
               ELSE greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::bigint
           END AS rows_about
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1, 2
"""


@magics_class
class SqlMagics(Magics):  # type: ignore[misc]
    """The `%sql` and `%%sql` magics of one notebook."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._own: Workbench | None = None

    @no_var_expand  # type: ignore[untyped-decorator]
    @needs_local_scope  # type: ignore[untyped-decorator]
    @line_cell_magic  # type: ignore[untyped-decorator]
    def sql(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> pd.DataFrame | None:
        """Run one SQL statement that only reads; the result is a DataFrame.

        `%sql` alone lists the tables, with their approximate numbers of rows.

        `%sql SELECT …` and `%%sql` with the statement below show the result; `%%sql name`, or `name <<`
        before the statement, assigns it to the variable `name` instead. `:symbol` in the statement is
        replaced by the notebook's variable `symbol`: it is bound on the server, never inserted into the
        statement. Use a list with `= ANY(:symbols)`.

        Options, before anything else: `--timeout SECONDS` (60), `--max-rows ROWS` (1000000),
        `--max-bytes BYTES` (500000000).
        """
        try:
            return self._run(line, cell, local_ns or {})
        except WorkbenchError as error:
            # IPython shows this instead of the frames of workbench and SQLAlchemy.
            text = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: text.splitlines()  # type: ignore[attr-defined]
            raise

    def _run(self, line: str, cell: str | None, local_ns: Mapping[str, Any]) -> pd.DataFrame | None:
        from workbench.db.statement import parse

        options, line = _options(line)
        name, statement = _target(line, cell)
        statement = statement if statement.strip() else _TABLES
        variables = {**self.shell.user_ns, **local_ns}
        wanted = parse(statement).names
        reserved = [one for one in wanted if one in {"timeout", "max_rows", "max_bytes"}]
        if reserved:
            raise QueryError(f"a parameter cannot be called :{reserved[0]}; give the variable another name")
        missing = [one for one in wanted if one not in variables]
        if missing:
            raise QueryError(f"the statement uses :{missing[0]}, which is not a variable of the notebook")
        parameters = {one: variables[one] for one in wanted}
        frame = self._workbench(local_ns).sql(statement, **options, **parameters)
        if name is None:
            return frame
        self.shell.user_ns[name] = frame
        return None

    @context_matcher()  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete declared tables and columns in `%sql` and `%%sql`; does not query the server."""
        before = context.full_text.splitlines()[: context.cursor_line + 1]
        first, current = (before[0], before[-1][: context.cursor_position]) if before else ("", "")
        if not (first.lstrip().startswith("%%sql") or _MAGIC.match(current)):
            return {"completions": []}
        found = re.search(r"[\w.]*$", current)
        typed = found[0] if found else ""
        return {
            "completions": [SimpleCompletion(name, type="sql") for name in _names(typed, context.full_text)],
            "matched_fragment": typed,
            "suppress": True,
        }

    def close(self) -> None:
        """Close the Workbench that was created here; the notebook's own stay open."""
        if self._own is not None:
            self._own.close()

    def _workbench(self, local_ns: Mapping[str, Any]) -> Workbench:
        """The notebook's `wb`, or else its last Workbench, or else one of our own."""
        variables = {**self.shell.user_ns, **local_ns}
        made = [value for value in variables.values() if isinstance(value, Workbench)]
        wb = variables.get("wb")
        if isinstance(wb, Workbench):
            return wb
        if made:
            return made[-1]
        if self._own is None:
            self._own = Workbench()
        return self._own


def _options(line: str) -> tuple[dict[str, Any], str]:
    """The options before a statement, and the rest of the line."""
    options: dict[str, Any] = {}
    while (option := _OPTION.match(line)) is not None:
        kind = float if option["name"] == "timeout" else int
        try:
            options[option["name"].replace("-", "_")] = kind(option["value"].replace("_", ""))
        except ValueError as error:
            raise QueryError(f"--{option['name']} {option['value']}: expected a number") from error
        line = line[option.end() :]
    return options, line


def _target(line: str, cell: str | None) -> tuple[str | None, str]:
    """The variable for the result, if any, and the statement."""
    if into := _INTO.match(line):
        return into["name"], line[into.end() :] + (f"\n{cell}" if cell else "")
    if cell is None:
        return None, line
    name = _NAME.fullmatch(line)
    if name and name["name"].lower() not in _BEGINNINGS:
        return name["name"], cell
    if into := _INTO.match(cell):
        return into["name"], cell[into.end() :]
    return None, f"{line}\n{cell}" if line.strip() else cell


def _names(typed: str, text: str) -> list[str]:
    """Completions of `typed`: `schema.table`, a table's columns, or columns of the tables in the text."""
    from workbench.db.query_errors import declared_columns

    every = declared_columns()
    owner, dot, _ = typed.rpartition(".")
    if dot and owner in every:
        offered = [f"{owner}.{column}" for column in every[owner]]
    else:
        named = [columns for table, columns in every.items() if table in text]
        offered = [*every, *dict.fromkeys(column for columns in named for column in columns)]
    return [name for name in offered if name.startswith(typed)]
