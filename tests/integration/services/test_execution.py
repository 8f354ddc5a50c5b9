"""Orders and positions brought up to date, what a new row may leave out, and that NaN stays out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.integration.services.rows import ROWS
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import ColumnMismatch, ValueRefused

ORDERS, TRADES = ROWS["execution.orders"], ROWS["execution.trades"]
POSITIONS = ROWS["execution.positions"]


@pytest.fixture
def execution(wb: Workbench) -> Any:
    """The service, with the orders and their trades in it."""
    assert wb.execution.write_orders(ORDERS).inserted == 3
    assert wb.execution.write_trades(TRADES).inserted == 3
    return wb.execution


def test_what_changes_gets_a_new_moment_and_new_rows_say_which_they_are(execution: Any) -> None:
    before = execution.load_orders(order_id="o-2")
    change = pd.DataFrame({"order_id": ["o-2", "o-1"], "status": ["cancelled", "filled"]})
    assert execution.write_orders(change) == Written(inserted=0, updated=1, unchanged=1)
    assert execution.load_orders(order_id="o-2")["updated_at"][0] > before["updated_at"][0]
    # The limit order's price, which the table demands, is there already.
    whole = ORDERS.drop(columns=["price", "created_at"]).assign(status="rejected")
    assert execution.write_orders(whole).updated == 3
    with pytest.raises(
        ColumnMismatch,
        match=r"execution.orders needs the column 'account_id' for new rows, and 2 rows are not in the "
        r"table yet, first row 1 \(order_id=o-9\); the frame has: order_id, status",
    ) as caught:
        execution.write_orders(change.iloc[[0, 0, 0]].assign(order_id=["o-2", "o-9", "o-8"]))
    error = caught.value
    assert (error.table, error.column, error.rows) == ("execution.orders", "account_id", (1, 2))


def test_a_limit_without_its_column_of_prices_is_refused_by_the_database(wb: Workbench) -> None:
    with pytest.raises(ValueRefused, match="every order but a market order needs a price"):
        wb.execution.write_orders(ORDERS.drop(columns="price"))
    assert wb.execution.write_orders(ORDERS.drop(columns="price").iloc[:1]).inserted == 1


def test_a_trade_without_commission_cost_nothing(execution: Any) -> None:
    more = TRADES.assign(trade_id=["t-4", "t-5", "t-6"]).drop(columns=["commission", "strategy"])
    assert execution.write_trades(more).inserted == 3
    assert execution.load_trades(trade_id="t-4")["commission"].tolist() == [0.0]


def test_the_database_keeps_nan_out_whoever_writes(wb: Workbench) -> None:
    wb.execution.write_orders(ORDERS)
    for table, column in (("orders", "quantity"), ("orders", "price")):
        with (
            pytest.raises(ValueRefused, match=f"{column} must be .*finite"),
            wb.execution.pool.begin("writing by hand") as connection,
        ):
            connection.exec_driver_sql(f"UPDATE execution.{table} SET {column} = 'NaN'")


def test_positions_are_marked_to_market_and_flat_ones_can_be_left_out(wb: Workbench) -> None:
    wb.execution.write_positions(POSITIONS)
    before = wb.execution.load_positions()
    marks = POSITIONS[["account_id", "symbol"]].assign(market_value=[-18_600.0, 0.0, 32_500.0])
    assert wb.execution.write_positions(marks) == Written(0, 2, 1)
    after = wb.execution.load_positions()
    assert after["quantity"].tolist() == [-100.0, 0.0, 0.5]
    assert (after["last_updated"] > before["last_updated"]).tolist() == [True, False, True]
    assert wb.execution.load_positions("main", flat=False)["symbol"].tolist() == ["BTC-USD"]
