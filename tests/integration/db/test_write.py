"""A frame is written whole or not at all; the same frame again changes nothing; rows are counted."""

from __future__ import annotations

import uuid
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import (
    ColumnMismatch,
    DuplicateKeys,
    FrameRefused,
    MissingReference,
    NaiveTimestamp,
    QueryError,
    ValueRefused,
    WriteRefused,
)


def _bars_stored(admin: Connection) -> int:
    row = admin.execute("SELECT count(*) FROM data_ingestion.market_data").fetchone()
    assert row is not None
    return int(row[0])


def test_counts_say_what_happened_and_twice_the_same_changes_nothing(
    wb: Workbench, make_bars: MakeBars
) -> None:
    write = wb.data_ingestion.write_market_data
    bars = make_bars(days=5)
    assert write(bars, source="file") == Written(inserted=5, updated=0, unchanged=0)
    assert write(bars, source="file") == Written(inserted=0, updated=0, unchanged=5)
    longer = make_bars(days=7)
    longer.loc[0, "volume"] = 101.0
    assert write(longer, source="file") == Written(inserted=2, updated=1, unchanged=4)
    assert wb.data_ingestion.load_market_data("AAPL")["volume"].tolist() == [101.0, *[100.0] * 6]


def test_unchanged_rows_are_not_even_touched(wb: Workbench, make_bars: MakeBars, admin: Connection) -> None:
    rows = "SELECT ctid, xmin, id, created_at FROM data_ingestion.market_data ORDER BY timestamp"
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    before = admin.execute(rows).fetchall()
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    assert admin.execute(rows).fetchall() == before


def test_index_levels_are_columns(wb: Workbench, make_bars: MakeBars) -> None:
    write = wb.data_ingestion.write_market_data
    bars = make_bars()
    assert write(bars.set_index(["symbol", "timestamp"]), source="file").inserted == 5
    assert write(bars.set_index("timestamp"), source="file").unchanged == 5
    with pytest.raises(ColumnMismatch, match="'symbol' as an index level and as a column"):
        write(bars.set_index("symbol", drop=False), source="file")


def test_what_was_loaded_can_be_written_back(wb: Workbench, make_bars: MakeBars) -> None:
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    loaded = wb.data_ingestion.load_market_data("AAPL")
    assert wb.data_ingestion.write_market_data(loaded, source="file").unchanged == 5


def test_an_empty_frame_writes_nothing_but_its_columns_are_checked(
    wb: Workbench, make_bars: MakeBars
) -> None:
    assert wb.data_ingestion.write_market_data(make_bars(days=0), source="file") == Written(0, 0, 0)
    with pytest.raises(ColumnMismatch, match="needs the column 'symbol'"):
        wb.data_ingestion.write_market_data(pd.DataFrame(), source="file")


def test_a_missing_column_is_named(wb: Workbench, make_bars: MakeBars) -> None:
    with pytest.raises(
        ColumnMismatch, match=r"data_ingestion.market_data needs the column 'close', .* has: symbol, timest"
    ) as caught:
        wb.data_ingestion.write_market_data(make_bars().drop(columns="close"), source="file")
    assert (caught.value.table, caught.value.column) == ("data_ingestion.market_data", "close")


@pytest.mark.parametrize(
    ("unknown", "said"),
    [
        ("symbl", "has no column 'symbl'; did you mean 'symbol'"),
        ("xyzzy", "has no column 'xyzzy'. It has: symbol, timestamp, open"),
        (7, "has no column 7"),
        (("a", "b"), r"has no column \('a', 'b'\)"),
        ("id", "id is made by the server; leave it out"),
    ],
)
def test_an_unknown_column_is_named_with_what_may_have_been_meant(
    wb: Workbench, make_bars: MakeBars, unknown: object, said: str
) -> None:
    bars = make_bars()
    bars[unknown] = "x"
    with pytest.raises(ColumnMismatch, match=said):
        wb.data_ingestion.write_market_data(bars, source="file")


def test_a_column_twice_is_refused(wb: Workbench, make_bars: MakeBars) -> None:
    bars = make_bars()
    with pytest.raises(ColumnMismatch, match="has the column 'close' twice"):
        wb.data_ingestion.write_market_data(pd.concat([bars, bars[["close"]]], axis=1), source="file")


def test_two_rows_of_one_key_are_refused_and_named(
    wb: Workbench, make_bars: MakeBars, admin: Connection
) -> None:
    bars = pd.concat([make_bars(), make_bars(days=1)], ignore_index=True)
    with pytest.raises(DuplicateKeys, match=r"2 rows .* symbol=AAPL, timestamp=2024-01-01") as caught:
        wb.data_ingestion.write_market_data(bars, source="file")
    assert caught.value.rows == (0, 5)
    assert _bars_stored(admin) == 0


def test_keys_are_compared_as_they_are_stored_not_as_they_are_spelt(wb: Workbench) -> None:
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
    days = [pd.Timestamp("2024-01-01").date(), pd.Timestamp("2024-01-01")]
    same_day = pd.DataFrame({"strategy_id": "s", "date": pd.Series(days, dtype="object"), "returns": 0.1})
    with pytest.raises(DuplicateKeys, match="date=2024-01-01"):
        wb.strategy_engine.write_strategy_performance(same_day)
    moments = [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2023-12-31 19:00", tz="America/New_York")]
    same_moment = pd.DataFrame(
        {"symbol": "A", "timestamp": pd.Series(moments, dtype="object")}
        | dict.fromkeys(["open", "high", "low", "close", "volume"], 1.0)
    )
    with pytest.raises(DuplicateKeys):
        wb.data_ingestion.write_market_data(same_moment, source="file")


@pytest.mark.parametrize(
    ("column", "value", "said", "kind"),
    [
        ("close", float("nan"), "row 4 holds nan, .* it is missing", ValueRefused),
        ("close", float("inf"), "row 4 holds inf, .* it is not finite", ValueRefused),
        ("close", 1e13, "row 4 .* below 1e12", ValueRefused),
        ("close", 14.000000001, "it has 9 decimals and the column holds 8: round it first", ValueRefused),
        ("close", "14", "it is not a number", ValueRefused),
        ("symbol", None, "row 4 .* it is missing", ValueRefused),
        ("symbol", "a\x00", "NUL character", ValueRefused),
        (
            "timestamp",
            pd.Timestamp("2024-01-05"),
            "row 4 is without a time zone; localise it",
            NaiveTimestamp,
        ),
    ],
)
def test_one_bad_row_at_the_end_and_nothing_is_written(
    wb: Workbench,
    make_bars: MakeBars,
    admin: Connection,
    column: str,
    value: Any,
    said: str,
    kind: type[FrameRefused],
) -> None:
    bars = make_bars(days=5).astype({column: "object"})
    bars.at[4, column] = value
    with pytest.raises(kind, match=said) as caught:
        wb.data_ingestion.write_market_data(bars, source="file")
    assert (caught.value.column, caught.value.rows) == (column, (4,))
    assert "\n" not in str(caught.value)
    assert _bars_stored(admin) == 0


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("low", 1_000.0, "prices must be above zero, with open and close between low and high"),
        ("volume", -1.0, "volume must be finite and not below zero"),
        ("symbol", "", "symbol must not be empty"),
        ("data_source", "elsewhere", "data_source must be polygon, yahoo, yahoo_adjusted, alpaca or file"),
    ],
)
def test_a_broken_rule_of_the_table_names_the_column_and_the_rows_and_nothing_is_written(
    wb: Workbench, make_bars: MakeBars, admin: Connection, column: str, value: Any, said: str
) -> None:
    bars = make_bars(days=5).assign(data_source="file")
    bars.loc[4, column] = value
    sentence = f"data_ingestion.market_data: row 4 is refused: {said}"
    with pytest.raises(ValueRefused, match=sentence) as caught:
        wb.data_ingestion.write_market_data(bars)
    assert (caught.value.table, caught.value.column, caught.value.rows) == (
        "data_ingestion.market_data",
        column,
        (4,),
    )
    assert _bars_stored(admin) == 0


def test_the_database_checks_again_whoever_writes(wb: Workbench, admin: Connection) -> None:
    """Plain SQL gets the same words, and the table's name, not the partition's."""
    with (
        pytest.raises(ValueRefused, match="prices must be above zero") as caught,
        wb.data_ingestion.pool.begin("writing by hand") as connection,
    ):
        connection.exec_driver_sql(
            "INSERT INTO data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume) "
            "VALUES ('X', '2024-01-02 00:00+00', 10, 9, 11, 10, 100)"
        )
    assert caught.value.table == "data_ingestion.market_data"
    assert _bars_stored(admin) == 0


def test_a_writer_says_where_bars_are_from_once(wb: Workbench, make_bars: MakeBars) -> None:
    with pytest.raises(WriteRefused, match="say where the bars are from") as caught:
        wb.data_ingestion.write_market_data(make_bars())
    assert caught.value.table == "data_ingestion.market_data"
    assert isinstance(caught.value, QueryError), "as which it was caught before"
    with pytest.raises(WriteRefused, match="drop one"):
        wb.data_ingestion.write_market_data(make_bars().assign(data_source="file"), source="file")


def test_who_wrote_a_row_and_when_does_not_make_it_another_row(wb: Workbench, admin: Connection) -> None:
    """The run that wrote it last is named; the time of its making stays, and nothing counts as changed."""
    first, second = (str(wb.runs.start(notebook="a.ipynb", trigger="command")) for _ in range(2))
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
    day = pd.DataFrame({"strategy_id": ["s"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})
    write, load = wb.strategy_engine.write_strategy_performance, wb.strategy_engine.load_strategy_performance
    assert write(day.assign(run_id=first)).inserted == 1
    created = load("s")["created_at"].tolist()
    assert write(day.assign(run_id=second)).unchanged == 1
    assert write(day.assign(created_at=pd.Timestamp("2020-01-01", tz="UTC"))).unchanged == 1
    assert load("s")["run_id"].isna().all(), "written outside of any run"
    assert write(day.assign(run_id=first)).unchanged == 1
    assert load("s")["run_id"].tolist() == [first]
    assert write(day.assign(returns=0.2, run_id=second)).updated == 1
    assert load("s")["run_id"].tolist() == [second]
    assert load("s")["created_at"].tolist() == created


def test_rows_that_did_not_change_bear_the_frames_run_and_others_keep_theirs(wb: Workbench) -> None:
    first, second = (str(wb.runs.start(notebook="a.ipynb", trigger="command")) for _ in range(2))
    names = pd.DataFrame({"strategy_id": ["a", "b", "c"], "name": ["A", "B", "C"]})
    write = wb.strategy_engine.write_strategies
    write(names.assign(run_id=first))
    before = wb.strategy_engine.load_strategies()
    written = write(names.iloc[:2].assign(name=["A", "B2"], run_id=second))
    assert (written.updated, written.unchanged) == (1, 1)
    after = wb.strategy_engine.load_strategies()
    assert after["run_id"].tolist() == [second, second, first]
    assert (after["updated_at"] > before["updated_at"]).tolist() == [False, True, False]


def test_a_few_columns_that_are_brought_up_to_date_leave_the_row_to_its_run(wb: Workbench) -> None:
    run_id = str(wb.runs.start(notebook="a.ipynb", trigger="command"))
    order = {"order_id": "o", "account_id": "a", "symbol": "X", "side": "buy", "order_type": "market"}
    wb.execution.write_orders(pd.DataFrame([order | {"quantity": 1.0, "run_id": run_id}]))
    assert wb.execution.write_orders(pd.DataFrame({"order_id": ["o"], "status": ["filled"]})).updated == 1
    assert wb.execution.load_orders(run_id=run_id)["status"].tolist() == ["filled"]
    wb.execution.write_orders(pd.DataFrame([order | {"quantity": 1.0}]))
    assert wb.execution.load_orders("X")["run_id"].isna().all(), "stated as a whole, outside of any run"


def test_columns_left_out_keep_their_defaults_and_then_their_values(wb: Workbench) -> None:
    write, load = wb.strategy_engine.write_strategies, wb.strategy_engine.load_strategies
    write(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
    (made,) = load("s").to_dict("records")
    assert (made["status"], made["parameters"]) == ("inactive", {})
    write(pd.DataFrame({"strategy_id": ["s"], "name": ["S"], "status": ["active"], "parameters": [{"a": 1}]}))
    (before,) = load("s").to_dict("records")
    assert write(pd.DataFrame({"strategy_id": ["s"], "name": ["T"]})).updated == 1
    (after,) = load("s").to_dict("records")
    assert (after["name"], after["status"], after["parameters"]) == ("T", "active", {"a": 1})
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


def test_a_row_that_points_nowhere_is_refused(wb: Workbench) -> None:
    day = pd.DataFrame({"strategy_id": ["ghost"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})
    with pytest.raises(MissingReference, match=r"strategy_id\)=\(ghost\).*write that one first"):
        wb.strategy_engine.write_strategy_performance(day)
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["ghost"], "name": ["G"]}))
    with pytest.raises(MissingReference, match="run_id"):
        wb.strategy_engine.write_strategy_performance(day.assign(run_id=str(uuid.uuid4())))
