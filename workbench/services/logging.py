"""LoggingService: what the system did, what was traded, and how long operations took."""

from __future__ import annotations

import pandas as pd

from workbench.db.frames import Written
from workbench.services.service import Moment, Service, Strings, one_of, span
from workbench.tables.logging import performance_logs, system_logs, trading_logs

__all__ = ["LoggingService"]


class LoggingService(Service):
    """Loads and writes the tables of schema `logging`; they are appended to, never updated."""

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
                *one_of(table.c.service, service, "service"),
                *one_of(table.c.level, level, "level"),
                *one_of(table.c.event_type, event_type, "event_type"),
                *one_of(table.c.correlation_id, correlation_id, "correlation_id"),
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
                *one_of(table.c.symbol, symbols, "symbols"),
                *one_of(table.c.strategy, strategy_id, "strategy_id"),
                *one_of(table.c.status, status, "status"),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_trading_logs(self, frame: pd.DataFrame) -> Written:
        """Append trading logs. Columns: symbol, side (buy, sell), quantity, status, and the rest at will."""
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
                *one_of(table.c.service, service, "service"),
                *one_of(table.c.operation, operation, "operation"),
            ],
            order_by=("timestamp", "id"),
            latest=latest,
        )

    def write_performance_logs(self, frame: pd.DataFrame) -> Written:
        """Append timings. Columns: service, operation, execution_time_ms, and the rest at will."""
        return self._write(performance_logs, frame)
