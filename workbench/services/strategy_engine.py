"""StrategyEngineService: strategies, their configurations, signals and daily performance."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.frames import Written
from workbench.services.filters import Moment, Strings, flagged, matching, of_run, span
from workbench.services.service import Service
from workbench.tables.strategy_engine import (
    strategies,
    strategy_configs,
    strategy_performance,
    strategy_signals,
)

__all__ = ["StrategyEngineService"]


class StrategyEngineService(Service):
    """Loads and writes the tables of schema `strategy_engine`."""

    name = "strategy_engine"
    _inside = Service._inside | {"write_backtest"}

    def load_strategies(
        self,
        strategy_id: Strings | None = None,
        *,
        status: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
    ) -> pd.DataFrame:
        """Strategies with name, parameters (dict) and status (active, inactive, paused).

        Of a saved backtest, `rules` (dict) holds the rules of filling, which `rules_from_json` of
        `workbench.backtest` turns into arguments of `backtest`, and `inputs` (dict) what was traded:
        strategy, parameters, symbols, first_bar, last_bar, n_bars, dividends, benchmark. Both are empty for a
        strategy without a saved backtest. `run_id` is the run that saved it last.
        """
        return self._load(
            strategies,
            where=[
                *matching(strategies, strategy_id=strategy_id, status=status),
                *of_run(strategies.c.run_id, run_id),
            ],
            order_by=("strategy_id",),
        )

    def write_strategies(self, frame: pd.DataFrame) -> Written:
        """Write strategies. Key: strategy_id. Columns: strategy_id, name, parameters (dict), status.

        A frame of some columns, such as strategy_id and status, updates these columns of strategies that are
        stored already; their `run_id` stays.
        """
        return self._write(strategies, frame, key=("strategy_id",), partial=True)

    def load_strategy_signals(
        self,
        strategy_id: Strings | None = None,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        run_id: str | uuid.UUID | None = None,
        pending: bool | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Signals, oldest first.

        `timestamp` is the bar at whose close the signal was known, UTC; `signal` is buy, sell or hold;
        `strength` lies between 0 and 1; `run_id` is the run that wrote it last; `pending` is True for a
        decision at a symbol's last bar, to be filled at the next bar.

        Parameters
        ----------
        pending : bool, optional
            True: only decisions that wait for the next bar; False: only filled ones. Default: both.
        """
        table = strategy_signals
        where = [
            *matching(table, strategy_id=strategy_id, symbol=symbols),
            *span(table.c.timestamp, start, end),
            *of_run(table.c.run_id, run_id),
            *flagged(table.c.pending, pending, "pending"),
        ]
        return self._load(
            table,
            where=where,
            order_by=("timestamp", "strategy_id", "symbol", "id"),
            latest=latest,
        )

    def write_strategy_signals(self, frame: pd.DataFrame) -> Written:
        """Write signals. Key: signal_id (default: made of strategy, symbol and timestamp).

        Columns: strategy_id, symbol, timestamp (timezone-aware), signal; optional: strength (default 1),
        pending (default false).
        """
        if any(level is not None for level in frame.index.names):
            frame = frame.reset_index()
        parts = ["strategy_id", "symbol", "timestamp"]
        if "signal_id" not in frame.columns and set(parts) <= set(frame.columns):
            frame = frame.assign(signal_id=_signal_ids(frame))
        return self._write(strategy_signals, frame, key=("signal_id",))

    def load_strategy_configs(
        self, strategy_id: Strings | None = None, *, active: bool | None = None
    ) -> pd.DataFrame:
        """Configurations by strategy and version; `config` is a dict."""
        table = strategy_configs
        where = [*matching(table, strategy_id=strategy_id), *flagged(table.c.active, active, "active")]
        return self._load(table, where=where, order_by=("strategy_id", "version"))

    def write_strategy_configs(self, frame: pd.DataFrame) -> Written:
        """Write configurations. Key: (strategy_id, version)."""
        return self._write(strategy_configs, frame, key=("strategy_id", "version"))

    def load_strategy_performance(
        self,
        strategy_id: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Daily performance, oldest first.

        `returns` is the day's simple return (0.01 is 1 %); sharpe_ratio, max_drawdown (≤ 0), total_trades
        and win_rate are those from the start to that day; NaN or NA where not yet defined.
        """
        table = strategy_performance
        return self._load(
            table,
            where=[
                *matching(table, strategy_id=strategy_id),
                *span(table.c.date, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("date", "strategy_id"),
            latest=latest,
        )

    def write_strategy_performance(self, frame: pd.DataFrame) -> Written:
        """Write daily performance. Key: (strategy_id, date)."""
        return self._write(strategy_performance, frame, key=("strategy_id", "date"))

    def write_backtest(
        self,
        *,
        strategy_id: str,
        name: str,
        parameters: Mapping[str, Any],
        status: str,
        signals: pd.DataFrame,
        performance: pd.DataFrame,
        rules: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> dict[str, Written]:
        """Write a strategy with its signals and its daily performance in one transaction.

        All rows get the run's id, unchanged ones, too; outside of a run they get none. Signals and days of
        an earlier backtest of the strategy that this one does not have are deleted, so that what is stored is
        the last backtest.

        Parameters
        ----------
        strategy_id, name, parameters, status
            The row of `strategies`.
        signals : DataFrame
            symbol, timestamp, signal, strength; optional: pending (default false).
        performance : DataFrame
            date, returns, sharpe_ratio, max_drawdown, total_trades, win_rate.
        rules, inputs : mapping, optional
            The rules of filling and what was traded, JSON; see `load_strategies`.

        Returns
        -------
        dict of str to Written
            The counts by table.
        """
        strategy = pd.DataFrame(
            {
                "strategy_id": [strategy_id],
                "name": [name],
                "parameters": [dict(parameters)],
                "status": [status],
                "rules": [dict(rules or {})],
                "inputs": [dict(inputs or {})],
            }
        )
        signals = signals.assign(strategy_id=strategy_id)
        if "pending" not in signals.columns:
            # Without the column, rows that are stored as pending would stay so.
            signals = signals.assign(pending=False)
        signals = signals.assign(signal_id=_signal_ids(signals))
        performance = performance.assign(strategy_id=strategy_id)
        with self.pool.begin(f"writing the backtest of {strategy_id}") as connection:
            written = {
                "strategies": self._write_within(connection, strategies, strategy, key=("strategy_id",)),
                "strategy_signals": self._write_within(
                    connection, strategy_signals, signals, key=("signal_id",)
                ),
                "strategy_performance": self._write_within(
                    connection, strategy_performance, performance, key=("strategy_id", "date")
                ),
            }
            for column, kept in (
                (strategy_signals.c.signal_id, list(signals["signal_id"])),
                (strategy_performance.c.date, list(performance["date"])),
            ):
                table = column.table
                connection.execute(
                    sa.delete(table).where(
                        table.c.strategy_id == strategy_id,
                        sa.not_(column == sa.any_(sa.literal(kept, sa.ARRAY(column.type)))),
                    )
                )
        return written


def _signal_ids(frame: pd.DataFrame) -> list[str]:
    return [
        f"{strategy}/{symbol}/{pd.Timestamp(moment).isoformat()}"
        for strategy, symbol, moment in zip(
            frame["strategy_id"], frame["symbol"], frame["timestamp"], strict=True
        )
    ]
