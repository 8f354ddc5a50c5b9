"""ExecutionService: orders, the trades that filled them, positions, and the log of orders."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.filters import Moment, Strings, matching, of_run, span
from workbench.services.service import Service
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
        """Orders, oldest first by `created_at`.

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
            One row per order, RangeIndex. `quantity` (above zero) in shares, contracts or coins; `price` in
            the instrument's currency: the limit, or a stop order's stop; NaN for a market order without one.

        Raises
        ------
        QueryError
            A side or a status that does not exist, or a filter that is not of its type.
        EmptyRange
            `end` does not lie after `start`.
        """
        table = orders
        return self._load(
            table,
            where=[
                *matching(
                    table,
                    symbol=symbols,
                    order_id=order_id,
                    account_id=account_id,
                    strategy=strategy_id,
                    side=side,
                    status=status,
                ),
                *span(table.c.created_at, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("created_at", "id"),
            latest=latest,
        )

    def write_orders(self, frame: pd.DataFrame) -> Written:
        """Write orders. Key: order_id.

        A frame of some columns, such as order_id and status, updates these columns of orders that are stored
        already; the database then sets `updated_at`.

        Parameters
        ----------
        frame : DataFrame
            order_id, account_id, symbol, side (buy, sell), order_type (market, limit, stop, stop_limit),
            quantity (above zero), price (needed by all but market orders), status (default pending),
            strategy, created_at (default now).

        Raises
        ------
        FrameRefused
            Nothing was written. ColumnMismatch also where required columns are missing and an order is new.
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
        """Trades, oldest first by `executed_at`, which `[start, end)` bounds, UTC.

        `quantity` is above zero; the side is the order's. `price` and `commission` are in the
        instrument's currency; a commission below zero is a rebate.
        """
        table = trades
        return self._load(
            table,
            where=[
                *matching(
                    table,
                    symbol=symbols,
                    trade_id=trade_id,
                    order_id=order_id,
                    account_id=account_id,
                    strategy=strategy_id,
                ),
                *span(table.c.executed_at, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("executed_at", "id"),
            latest=latest,
        )

    def write_trades(self, frame: pd.DataFrame) -> Written:
        """Write trades; their orders must be stored first. Key: trade_id.

        Columns: trade_id, order_id, account_id, symbol, quantity (above zero), price, executed_at
        (timezone-aware); optional: commission (default 0), strategy.
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
        """Positions by account and symbol, as of `last_updated`; `flat=False` leaves out those of zero.

        `quantity` is below zero for a short position. `avg_price` in the instrument's currency,
        `market_value` and `unrealized_pnl` in the account's; NaN where unknown.
        """
        table = positions
        return self._load(
            table,
            where=[
                *matching(table, account_id=account_id, symbol=symbols),
                *of_run(table.c.run_id, run_id),
                *([] if flat else [table.c.quantity != 0]),
            ],
            order_by=("account_id", "symbol"),
        )

    def write_positions(self, frame: pd.DataFrame) -> Written:
        """Write positions. Key: (account_id, symbol). Columns: quantity; others are optional.

        A frame of the key and some columns, such as market_value and unrealized_pnl, updates these columns of
        positions that are stored already. `last_updated`, where not given, is set by the database.
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
        """The log of orders, oldest first; `metadata` is a dict, `level` one of debug to critical."""
        table = execution_logs
        return self._load(
            table,
            where=[
                *span(table.c.timestamp, start, end),
                *matching(
                    table,
                    symbol=symbols,
                    order_id=order_id,
                    account_id=account_id,
                    event=event,
                    level=level,
                    correlation_id=correlation_id,
                ),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_execution_logs(self, frame: pd.DataFrame) -> Written:
        """Append to the log. Columns: event; timestamp (default now), order_id, message, metadata, …

        An order_id need not be among the stored orders: an order that was never stored can be logged, too.
        """
        return self._write(execution_logs, frame)
