"""LoggingService: logs of the system, of trading, and of how long operations took."""

from __future__ import annotations

import pandas as pd

from workbench.db.frames import Written
from workbench.services.filters import Moment, Strings, matching, span
from workbench.services.service import Service
from workbench.tables.logging import performance_logs, system_logs, trading_logs

__all__ = ["LoggingService"]


class LoggingService(Service):
    """Loads and writes the tables of schema `logging`; rows are appended, never updated."""

    name = "logging"

    def load_system_logs(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        service: Strings | None = None,
        level: Strings | None = None,
        event_type: Strings | None = None,
        correlation_id: str | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """System logs, oldest first; `metadata` is a dict, `level` one of debug to critical."""
        table = system_logs
        return self._load(
            table,
            where=[
                *span(table.c.timestamp, start, end),
                *matching(
                    table, service=service, level=level, event_type=event_type, correlation_id=correlation_id
                ),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_system_logs(self, frame: pd.DataFrame) -> Written:
        """Append system logs. Columns: service, level, message; timestamp (default now), event_type, …"""
        return self._write(system_logs, frame)

    def load_trading_logs(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        symbols: Strings | None = None,
        strategy_id: Strings | None = None,
        status: Strings | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Trading logs, oldest first; quantity and price as float64, execution_time_ms in milliseconds."""
        table = trading_logs
        return self._load(
            table,
            where=[
                *span(table.c.timestamp, start, end),
                *matching(table, symbol=symbols, strategy=strategy_id, status=status),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_trading_logs(self, frame: pd.DataFrame) -> Written:
        """Append trading logs. Columns: symbol, side (buy, sell), quantity, status, …."""
        return self._write(trading_logs, frame)

    def load_performance_logs(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        service: Strings | None = None,
        operation: Strings | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """How long operations took (milliseconds), with memory (MB) and CPU (%), oldest first."""
        table = performance_logs
        return self._load(
            table,
            where=[
                *span(table.c.timestamp, start, end),
                *matching(table, service=service, operation=operation),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_performance_logs(self, frame: pd.DataFrame) -> Written:
        """Append timings. Columns: service, operation, execution_time_ms, …."""
        return self._write(performance_logs, frame)
