"""What every table of every service promises, for the 23 that the page of services tells of.

- Rows come back as they were given, in the order of their moment, and as text where the column is an enum.
- The same rows once more change nothing and cause no event; a table without a key is appended to.
- Each filter finds the rows that have its value or one of its values; a range takes its start in and leaves
  its end out; `latest` gives the last rows.
- A frame is refused in one sentence that names the table, and nothing of it is written, where it has an
  unknown column, a key twice, a value that the table cannot hold, or a row that points nowhere.
- Where rows can be brought up to date by their key and one more column, rows that are new need all columns.
- What a run writes carries its id, and is found by it; a run that was declared dead writes nothing more.

A new table must get an entry in `ROWS` (`rows.py`); a test fails until it has one. Bars, which are loaded and
stored in a way of their own, keep these promises in `test_bar_round_trip.py` and `test_load_market_data.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from tests.conftest import Connection
from tests.integration.services.rows import CHANGES, REFUSED, ROWS
from tests.unit.services.classes import told_of_tables
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import ColumnMismatch, DuplicateKeys, QueryError, RunFenced
from workbench.settings import Settings
from workbench.tables.types import METADATA

TOLD = told_of_tables()
# Filters that are no column's name; flags that no column holds are tested with their service.
COLUMNS = {"symbols": "symbol", "source": "data_source"}
NO_COLUMNS = {"run_id", "latest", "flat", "resolved", "content", "expired"}


class Table:
    """A service's table and the rows to write to it; the rows that those point to are written at once."""

    def __init__(self, wb: Workbench, name: str) -> None:
        self.wb, self.name, self.rows = wb, name, ROWS[name]
        self.table: sa.Table = METADATA.tables[name]
        for reference in self.table.foreign_keys:
            other = f"{reference.column.table}"
            if other in ROWS:
                Table(wb, other).write(ROWS[other])
        key, filters = TOLD[name]
        self.key = [] if key == "none" else [one for one in key.split(", ") if one != "run_id"]
        self.filters = re.sub(r"range \(\w+\), |range \(\w+\)", "", filters).split(", ")
        self.moment = (re.findall(r"range \((\w+)\)", filters) or [None])[0]
        # Refused rows come back in the order in which they were written.
        by_moment = self.moment and name != "data_ingestion.data_quality_logs"
        self.sorted = self.rows.sort_values(self.moment, kind="stable") if by_moment else self.rows

    def _verb(self, verb: str) -> Callable[..., Any]:
        service, table = self.name.split(".")
        method: Callable[..., Any] = getattr(getattr(self.wb, service), f"{verb}_{table}")
        return method

    def write(self, frame: pd.DataFrame) -> Written:
        written: Written = self._verb("write")(frame)
        return written

    def load(self, **filters: Any) -> pd.DataFrame:
        loaded: pd.DataFrame = self._verb("load")(**filters)
        return loaded

    def column_of(self, name: str) -> str:
        column = COLUMNS.get(name, name)
        return "strategy" if column == "strategy_id" and column not in self.rows else column

    def assert_finds(self, rows: pd.DataFrame, **filters: Any) -> None:
        loaded = self.load(**filters)
        pd.testing.assert_frame_equal(
            loaded[list(rows.columns)],
            rows.reset_index(drop=True),
            check_dtype=False,
            check_column_type=False,
        )


@pytest.fixture
def table(wb: Workbench, name: str) -> Table:
    return Table(wb, name)


@pytest.fixture
def events(admin: Connection) -> Callable[[str], int]:
    """How many events of a type there are."""

    def count(event_type: str) -> int:
        query = "SELECT count(*) FROM workbench.events WHERE type = %s"
        row = admin.execute(query, [event_type]).fetchone()
        assert row is not None
        return int(row[0])

    return count


every_table = pytest.mark.parametrize("name", ROWS)


def test_every_table_has_rows() -> None:
    assert {*ROWS, "data_ingestion.market_data"} == set(TOLD), "add the new table's rows to ROWS"


@every_table
def test_rows_come_back_and_the_same_once_more_change_nothing(
    table: Table, events: Callable[[str], int]
) -> None:
    written, number = f"{table.table.name}.written", len(table.rows)
    assert table.write(table.rows) == Written(number, 0, 0)
    table.assert_finds(table.sorted)
    for column in table.table.columns:
        if isinstance(column.type, sa.Enum):
            assert table.load()[column.name].dtype == "str"
    assert events(written) == 1
    if table.key:
        assert table.write(table.rows) == Written(0, 0, number)
        assert table.write(table.rows.set_index(table.key)) == Written(0, 0, number)
        assert table.write(table.rows.iloc[:0]) == Written(0, 0, 0)
        assert events(written) == 1
    else:
        # Without a moment it is the database's now.
        assert table.write(table.rows.drop(columns=table.moment)) == Written(number, 0, 0)
        table.assert_finds(table.sorted, end="2025-01-01")
        assert len(table.load(start="2025-01-01")) == number


@every_table
def test_each_filter_finds_the_rows_that_have_its_value(table: Table) -> None:
    table.write(table.rows)
    rows = table.sorted
    for name in set(table.filters) - NO_COLUMNS:
        if table.column_of(name) not in rows:
            continue  # such as of live rows, which are said by runs alone
        values = rows[table.column_of(name)]
        for value in values.dropna().unique():
            table.assert_finds(rows[values == value], **{name: value})
        if values.dtype == bool:
            with pytest.raises(QueryError, match=f"^{name}='yes': expected True or False$"):
                table.load(**{name: "yes"})
            continue
        if name != "source":
            table.assert_finds(rows[values.notna()], **{name: list(values.dropna())})
        if isinstance(table.table.c[table.column_of(name)].type, sa.Enum):
            with pytest.raises(QueryError, match=f"^{name}='nothing' is none of "):
                table.load(**{name: "nothing"})
        else:
            pd.testing.assert_frame_equal(table.load(**{name: "nothing"}), table.load().iloc[:0])
    if table.moment:
        first, *_, last = sorted(rows[table.moment])
        table.assert_finds(rows[rows[table.moment] < last], start=first, end=last)
        table.assert_finds(rows[rows[table.moment] >= last], start=last)
    if "latest" in table.filters:
        table.assert_finds(rows.tail(1), latest=1)
        with pytest.raises(QueryError, match="latest=0: ask for at least one row"):
            table.load(latest=0)


@every_table
def test_a_frame_that_is_refused_is_named_in_one_sentence_and_nothing_is_written(table: Table) -> None:
    for change, kind, words in REFUSED.get(table.name, []):
        with pytest.raises(kind, match=f"{table.name}.*{words}") as refused:
            table.write(table.rows.assign(**change))
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 1_000
    with pytest.raises(ColumnMismatch, match=f"{table.name}.*'nonsense'"):
        table.write(table.rows.assign(nonsense=1))
    if table.key:
        with pytest.raises(
            DuplicateKeys, match=f"{table.name}.*{table.key[0]}={table.rows[table.key[0]][0]}"
        ):
            table.write(pd.concat([table.rows, table.rows.iloc[:1]], ignore_index=True))
    assert table.load().empty


@pytest.mark.parametrize("name", CHANGES)
def test_rows_are_brought_up_to_date_by_their_key_and_one_more_column(table: Table) -> None:
    column, value = CHANGES[table.name]
    change = table.rows[table.key].assign(**{column: value})
    new = change.copy()
    new.loc[len(new) - 1, table.key[0]] = "new"
    required = "'[a-z_]+' for new rows, and 1 row is not in the table yet, first row"
    table.write(table.rows)
    with pytest.raises(
        ColumnMismatch, match=rf"{table.name} needs the column {required} \d \({table.key[0]}=new"
    ):
        table.write(new)
    with pytest.raises(ColumnMismatch, match=f"needs the column '{table.key[0]}', which the frame does not"):
        table.write(change.drop(columns=table.key[0]))
    table.assert_finds(table.sorted)
    assert table.write(change) == Written(0, len(change), 0)
    table.assert_finds(table.sorted.assign(**{column: value}))


@pytest.mark.parametrize("name", [name for name in ROWS if "run_id" in TOLD[name][1].split(", ")])
def test_what_a_run_writes_carries_its_id_until_the_run_is_declared_dead(
    table: Table, database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, other = (table.wb.runs.start(notebook="a.ipynb", trigger="command") for _ in range(2))
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    with Workbench(database_settings) as kernel:
        of_run = Table(kernel, table.name)
        assert of_run.write(table.rows).inserted == len(table.rows)
        table.wb.runs.finish(run_id, "crashed")
        with pytest.raises(RunFenced):
            of_run.write(table.rows)
    table.assert_finds(table.sorted.assign(run_id=str(run_id)), run_id=run_id)
    assert table.load(run_id=other).empty
    with pytest.raises(QueryError, match=r"run_id='x' is not a run's id; see wb.runs.list\(\)"):
        table.load(run_id="x")
