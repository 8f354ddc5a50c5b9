"""Orders, trades, positions and execution logs: round trips, filters, keys, and orders brought up to date."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import (
    ColumnMismatch,
    DuplicateKeys,
    FrameRefused,
    MissingReference,
    QueryError,
    ValueRefused,
)

ORDERS = pd.DataFrame(
    {
        "order_id": ["o-1", "o-2", "o-3"],
        "account_id": ["main", "main", "hedge"],
        "symbol": ["AAPL", "BTC-USD", "AAPL"],
        "side": ["buy", "buy", "sell"],
        "order_type": ["market", "limit", "stop_limit"],
        "quantity": [100.0, 0.00000001, 9_999_999_999_999_998.0],
        "price": [None, 65_000.12345678, -37.63],  # the close of WTI crude on 20 April 2020
        "status": ["filled", "pending", "submitted"],
        "strategy": ["sma", None, "sma"],
        "created_at": pd.to_datetime(["2024-01-02 14:30", "2024-01-03 00:00", "2024-01-04 00:00"], utc=True),
    }
)
TRADES = pd.DataFrame(
    {
        "trade_id": ["t-1", "t-2", "t-3"],
        "order_id": ["o-1", "o-1", "o-2"],
        "account_id": "main",
        "symbol": ["AAPL", "AAPL", "BTC-USD"],
        "quantity": [60.0, 40.0, 0.00000001],
        "price": [185.64, 185.65, 65_000.0],
        "commission": [1.0, -0.2, 0.0],
        "executed_at": pd.to_datetime(["2024-01-02 15:00", "2024-01-02 14:59", "2024-01-03 00:00"], utc=True),
        "strategy": ["sma", "sma", None],
    }
)
POSITIONS = pd.DataFrame(
    {
        "account_id": ["hedge", "main", "main"],
        "symbol": ["AAPL", "AAPL", "BTC-USD"],
        "quantity": [-100.0, 0.0, 0.5],
        "avg_price": [185.64, None, 65_000.0],
        "market_value": [-18_564.0, 0.0, None],
        "unrealized_pnl": [0.0, None, -12.34567891],
    }
)


@pytest.fixture
def execution(wb: Workbench) -> Any:
    """The service, with the orders and their trades in it."""
    assert wb.execution.write_orders(ORDERS).inserted == 3
    assert wb.execution.write_trades(TRADES).inserted == 3
    return wb.execution


def _same(loaded: pd.DataFrame, given: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        loaded[list(given.columns)], given.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_orders_come_back_as_they_were_given(execution: Any) -> None:
    loaded = execution.load_orders()
    _same(loaded, ORDERS)
    assert loaded["side"].dtype == loaded["status"].dtype == "str"
    assert execution.write_orders(ORDERS) == Written(0, 0, 3)


def test_orders_by_filter(execution: Any) -> None:
    def found(*args: Any, **filters: Any) -> list[str]:
        ids: list[str] = execution.load_orders(*args, **filters)["order_id"].tolist()
        return ids

    assert found("AAPL") == ["o-1", "o-3"]
    assert found(None, "2024-01-03", "2024-01-04") == ["o-2"]
    assert found(order_id=["o-3", "o-1"]) == ["o-1", "o-3"]
    assert found(account_id="hedge") == ["o-3"]
    assert found(strategy_id="sma", status=["filled", "rejected"]) == ["o-1"]
    assert found(side="sell") == ["o-3"]
    assert found(latest=2) == ["o-2", "o-3"]
    assert found("IBM") == []
    with pytest.raises(QueryError, match="status='done' is none of pending, submitted, filled, partially_"):
        execution.load_orders(status=["filled", "done"])
    with pytest.raises(QueryError, match="side='short' is none of buy, sell"):
        execution.load_orders(side="short")


def test_an_order_that_is_there_is_brought_up_to_date_by_its_key_and_what_is_new(execution: Any) -> None:
    before = execution.load_orders(order_id="o-2")
    change = pd.DataFrame({"order_id": ["o-2", "o-1"], "status": ["cancelled", "filled"]})
    assert execution.write_orders(change) == Written(inserted=0, updated=1, unchanged=1)
    after = execution.load_orders(order_id="o-2")
    assert after["status"].tolist() == ["cancelled"]
    assert after["updated_at"][0] > before["updated_at"][0]
    _same(after.drop(columns=["status", "updated_at"]), before.drop(columns=["status", "updated_at"]))
    # The limit order's price, which the table demands, is there already.
    whole = ORDERS.drop(columns=["price", "created_at"]).assign(status="rejected")
    assert execution.write_orders(whole).updated == 3
    assert execution.write_orders(change.iloc[:0]) == Written(0, 0, 0)


def test_an_order_that_is_new_needs_all_its_columns_and_its_row_is_named(execution: Any) -> None:
    change = pd.DataFrame({"order_id": ["o-2", "o-9", "o-8"], "status": "cancelled"})
    with pytest.raises(
        ColumnMismatch,
        match=r"execution.orders needs the column 'account_id' for new rows, and 2 rows are not in the "
        r"table yet, first row 1 \(order_id=o-9\); the frame has: order_id, status",
    ) as caught:
        execution.write_orders(change)
    assert (caught.value.table, caught.value.column, caught.value.rows) == (
        "execution.orders",
        "account_id",
        (1, 2),
    )
    assert execution.load_orders(order_id="o-2")["status"].tolist() == ["pending"]
    with pytest.raises(ColumnMismatch, match="needs the column 'order_id', which the frame does not have"):
        execution.write_orders(change.drop(columns="order_id"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": 0.0}, "row 0 is refused: quantity must be above zero and finite"),
        ({"quantity": -1.0}, "row 0 is refused: quantity must be above zero and finite"),
        ({"quantity": float("nan")}, "row 0 holds nan, .* it is missing"),
        ({"quantity": 0.000000001}, "it has 9 decimals and the column holds 8"),
        ({"price": float("inf")}, "it is not finite"),
        ({"price": None}, "row 1 is refused: every order but a market order needs a price"),
        ({"symbol": ""}, "order_id, account_id and symbol must not be empty"),
        ({"side": "short"}, "row 0 holds 'short', .* it is not one of buy, sell"),
        ({"order_type": "iceberg"}, "it is not one of market, limit, stop, stop_limit"),
        ({"status": "done"}, "it is not one of pending, submitted, filled, partially_filled, cancelled, rej"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_order_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"execution.orders.*{said}") as caught:
        wb.execution.write_orders(ORDERS.assign(**change))
    assert "\n" not in str(caught.value)
    assert wb.execution.load_orders().empty


def test_a_limit_without_its_column_of_prices_is_refused_by_the_database(wb: Workbench) -> None:
    with pytest.raises(ValueRefused, match="every order but a market order needs a price"):
        wb.execution.write_orders(ORDERS.drop(columns="price"))
    assert wb.execution.write_orders(ORDERS.drop(columns="price").iloc[:1]).inserted == 1


def test_trades_come_back_oldest_first_and_by_filter(execution: Any) -> None:
    _same(execution.load_trades(), TRADES.iloc[[1, 0, 2]])
    assert execution.write_trades(TRADES) == Written(0, 0, 3)
    assert execution.load_trades(order_id="o-1")["trade_id"].tolist() == ["t-2", "t-1"]
    assert execution.load_trades("BTC-USD", account_id="main")["trade_id"].tolist() == ["t-3"]
    assert execution.load_trades(start="2024-01-02 15:00", end="2024-01-03")["trade_id"].tolist() == ["t-1"]
    assert execution.load_trades(strategy_id="sma", latest=1)["trade_id"].tolist() == ["t-1"]
    assert execution.load_trades(trade_id="t-9").empty
    sides = execution.load_trades().merge(execution.load_orders()[["order_id", "side"]], on="order_id")
    assert sides["side"].tolist() == ["buy"] * 3


def test_a_trade_without_commission_cost_nothing(execution: Any) -> None:
    more = TRADES.assign(trade_id=["t-4", "t-5", "t-6"]).drop(columns=["commission", "strategy"])
    assert execution.write_trades(more).inserted == 3
    assert execution.load_trades(trade_id="t-4")["commission"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"order_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"quantity": -5.0}, ValueRefused, "quantity must be above zero and finite"),
        ({"commission": float("nan")}, ValueRefused, "commission: row 0 holds nan"),
        ({"price": float("inf")}, ValueRefused, "it is not finite"),
        ({"trade_id": "t"}, DuplicateKeys, "3 rows of the frame share their key .* trade_id=t"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_trade_that_cannot_be_is_refused(
    wb: Workbench, change: dict[str, Any], kind: type[FrameRefused], said: str
) -> None:
    wb.execution.write_orders(ORDERS)
    with pytest.raises(kind, match=f"execution.trades.*{said}"):
        wb.execution.write_trades(TRADES.assign(**change))
    assert wb.execution.load_trades().empty


def test_the_database_keeps_nan_out_whoever_writes(wb: Workbench) -> None:
    wb.execution.write_orders(ORDERS)
    for table, column in (("orders", "quantity"), ("orders", "price")):
        with (
            pytest.raises(ValueRefused, match=f"{column} must be .*finite"),
            wb.execution.pool.begin("writing by hand") as connection,
        ):
            connection.exec_driver_sql(f"UPDATE execution.{table} SET {column} = 'NaN'")


def test_positions_come_back_and_are_marked_to_market_by_a_few_columns(wb: Workbench) -> None:
    assert wb.execution.write_positions(POSITIONS).inserted == 3
    before = wb.execution.load_positions()
    _same(before, POSITIONS)
    assert wb.execution.write_positions(POSITIONS) == Written(0, 0, 3)
    marks = POSITIONS[["account_id", "symbol"]].assign(market_value=[-18_600.0, 0.0, 32_500.0])
    assert wb.execution.write_positions(marks) == Written(0, 2, 1)
    after = wb.execution.load_positions()
    assert after["quantity"].tolist() == [-100.0, 0.0, 0.5]
    assert after["market_value"].tolist() == [-18_600.0, 0.0, 32_500.0]
    assert (after["last_updated"] > before["last_updated"]).tolist() == [True, False, True]
    with pytest.raises(ColumnMismatch, match=r"'quantity' for new rows, .* first row 0 \(account_id=new, "):
        wb.execution.write_positions(marks.iloc[1:].assign(account_id="new"))


def test_positions_by_filter(wb: Workbench) -> None:
    wb.execution.write_positions(POSITIONS)
    assert wb.execution.load_positions("main")["symbol"].tolist() == ["AAPL", "BTC-USD"]
    assert wb.execution.load_positions("main", flat=False)["symbol"].tolist() == ["BTC-USD"]
    assert wb.execution.load_positions(symbols="AAPL")["account_id"].tolist() == ["hedge", "main"]
    with pytest.raises(DuplicateKeys, match="account_id=main, symbol=AAPL"):
        wb.execution.write_positions(POSITIONS.assign(account_id="main", symbol="AAPL"))


def test_execution_logs_are_appended_also_of_orders_that_nobody_stored(wb: Workbench) -> None:
    logs = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(["2024-01-02 15:00", "2024-01-02 14:00"], utc=True),
            "order_id": ["never-stored", None],
            "symbol": ["AAPL", None],
            "event": ["rejected", "connected"],
            "level": ["error", "info"],
            "message": ["no buying power\nsee broker", ""],
            "correlation_id": ["c-1", "c-2"],
            "metadata": [{"code": 201}, {}],
        }
    )
    assert wb.execution.write_execution_logs(logs).inserted == 2
    assert wb.execution.write_execution_logs(logs.drop(columns="timestamp")).inserted == 2
    loaded = wb.execution.load_execution_logs(end="2024-01-03")
    _same(loaded, logs.iloc[::-1])
    assert wb.execution.load_execution_logs(order_id="never-stored", latest=1)["metadata"].tolist() == [
        {"code": 201}
    ]
    assert len(wb.execution.load_execution_logs(event="connected", correlation_id="c-2")) == 2
    assert wb.execution.load_execution_logs(level="critical").empty
    with pytest.raises(ValueRefused, match="level must be debug, info, warning, error or critical"):
        wb.execution.write_execution_logs(logs.assign(level="fatal"))


def test_rows_carry_the_run_that_made_them(wb: Workbench) -> None:
    run_id = str(wb.runs.start(notebook="live.ipynb", trigger="command"))
    wb.execution.write_orders(ORDERS.assign(run_id=run_id))
    wb.execution.write_trades(TRADES.assign(run_id=pd.Series([run_id, None, None], dtype="object")))
    wb.execution.write_positions(POSITIONS)
    assert len(wb.execution.load_orders(run_id=run_id)) == 3
    assert wb.execution.load_trades(run_id=run_id)["trade_id"].tolist() == ["t-1"]
    assert wb.execution.load_positions(run_id=run_id).empty
