"""ExecutionService: orders, the trades that filled them, positions, and what happened on the way."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.service import Moment, Service, Strings, of_run, one_of, span
from workbench.tables.execution import execution_logs, orders, positions, trades

__all__ = ["ExecutionService"]


class ExecutionService(Service):
    """Loads and writes the tables of schema `execution`."""

    name = "execution"

    def load_orders(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        order_id: Strings | None = None,
        account_id: Strings | None = None,
        strategy_id: Strings | None = None,
        side: Strings | None = None,
        status: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Orders by the moment they were made, oldest first.

        Parameters
        ----------
        symbols : str or list of str, optional
        start, end : str, date or Timestamp, optional
            The range `[start, end)` of `created_at`, UTC.
        order_id, account_id, strategy_id : str or list of str, optional
        side : str or list of str, optional
            buy, sell.
        status : str or list of str, optional
            pending, submitted, filled, partially_filled, cancelled, rejected.
        run_id : str or UUID, optional
            The run that last changed them.
        latest : int, optional
            Only the last that many.

        Returns
        -------
        DataFrame
            One row an order, RangeIndex. `quantity` (above zero) in shares, contracts or coins; `price` in
            the instrument's currency: the limit, or a stop order's stop; NaN for a market order without one.

        Raises
        ------
        QueryError
            A side or a status that there is not, or a filter that cannot be understood.
        EmptyRange
            `end` does not lie after `start`.
        """
        table = orders
        return self._load(
            table,
            where=[
                *one_of(table.c.symbol, symbols, "symbols"),
                *span(table.c.created_at, start, end),
                *one_of(table.c.order_id, order_id, "order_id"),
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.strategy, strategy_id, "strategy_id"),
                *one_of(table.c.side, side, "side"),
                *one_of(table.c.status, status, "status"),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("created_at", "id"),
            latest=latest,
        )

    def write_orders(self, frame: pd.DataFrame) -> Written:
        """Write orders. Key: order_id.

        Orders that are all there already may be brought up to date by a few columns, as in order_id and
        status; `updated_at` is then kept by the database.

        Parameters
        ----------
        frame : DataFrame
            order_id, account_id, symbol, side (buy, sell), order_type (market, limit, stop, stop_limit),
            quantity (above zero), price (needed by all but market orders), status (default pending),
            strategy, created_at (default now).

        Raises
        ------
        FrameRefused
            ColumnMismatch also where columns were left out and an order is new; nothing was written.
        """
        return self._write(orders, frame, key=("order_id",), partial=True)

    def load_trades(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        trade_id: Strings | None = None,
        order_id: Strings | None = None,
        account_id: Strings | None = None,
        strategy_id: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Trades by the moment they were executed, oldest first; `[start, end)` bounds it, UTC.

        `quantity` is above zero: a trade's side is its order's. `price` and `commission` are in the
        instrument's currency; a commission below zero is a rebate.
        """
        table = trades
        return self._load(
            table,
            where=[
                *one_of(table.c.symbol, symbols, "symbols"),
                *span(table.c.executed_at, start, end),
                *one_of(table.c.trade_id, trade_id, "trade_id"),
                *one_of(table.c.order_id, order_id, "order_id"),
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.strategy, strategy_id, "strategy_id"),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("executed_at", "id"),
            latest=latest,
        )

    def write_trades(self, frame: pd.DataFrame) -> Written:
        """Write trades; their orders are there already. Key: trade_id.

        Columns: trade_id, order_id, account_id, symbol, quantity (above zero), price, executed_at
        (timezone-aware), and commission (default 0) and strategy at will.
        """
        return self._write(trades, frame, key=("trade_id",))

    def load_positions(
        self,
        account_id: Strings | None = None,
        symbols: Strings | None = None,
        *,
        run_id: str | uuid.UUID | None = None,
        flat: bool = True,
    ) -> pd.DataFrame:
        """Positions by account and symbol, as of `last_updated`; with `flat=False`, without those of zero.

        `quantity` is below zero where one is short. `avg_price` in the instrument's currency,
        `market_value` and `unrealized_pnl` in the account's; NaN where unknown.
        """
        table = positions
        return self._load(
            table,
            where=[
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.symbol, symbols, "symbols"),
                *of_run(table.c.run_id, run_id),
                *([] if flat else [table.c.quantity != 0]),
            ],
            order_by=("account_id", "symbol"),
        )

    def write_positions(self, frame: pd.DataFrame) -> Written:
        """Write positions. Key: (account_id, symbol). Columns: quantity, and the rest at will.

        Positions that are all there already may be marked to market by a few columns, as in account_id,
        symbol, market_value and unrealized_pnl; `last_updated`, where not given, is kept by the database.
        """
        return self._write(positions, frame, key=("account_id", "symbol"), partial=True)

    def load_execution_logs(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        symbols: Strings | None = None,
        order_id: Strings | None = None,
        account_id: Strings | None = None,
        event: Strings | None = None,
        level: Strings | None = None,
        correlation_id: str | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """What happened to orders, oldest first; `metadata` is a dict, `level` one of debug to critical."""
        table = execution_logs
        return self._load(
            table,
            where=[
                *span(table.c.timestamp, start, end),
                *one_of(table.c.symbol, symbols, "symbols"),
                *one_of(table.c.order_id, order_id, "order_id"),
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.event, event, "event"),
                *one_of(table.c.level, level, "level"),
                *one_of(table.c.correlation_id, correlation_id, "correlation_id"),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_execution_logs(self, frame: pd.DataFrame) -> Written:
        """Append what happened. Columns: event; timestamp (default now), order_id, message, metadata, …

        An order_id need not be among the orders: what became of one that was never stored is told too.
        """
        return self._write(execution_logs, frame)
