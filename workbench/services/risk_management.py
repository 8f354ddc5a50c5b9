"""RiskManagementService: limits, how large a position may be, and what broke a limit."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.service import Moment, Service, Strings, of_run, one_of, span
from workbench.tables.risk_management import position_limits, risk_events, risk_limits

__all__ = ["RiskManagementService"]


class RiskManagementService(Service):
    """Loads and writes the tables of schema `risk_management`."""

    name = "risk_management"

    def load_risk_limits(
        self,
        limit_id: Strings | None = None,
        *,
        account_id: Strings | None = None,
        strategy_id: Strings | None = None,
        symbols: Strings | None = None,
        metric: Strings | None = None,
        status: Strings | None = None,
    ) -> pd.DataFrame:
        """Limits: `metric` is broken where it lies above (or below, see `breached`) the `threshold`.

        A limit whose account_id, strategy or symbol is missing holds for all of them; a filter by one of
        these finds only limits that name it. `action` is alert, block, reduce or halt; `status` is active,
        inactive or paused. The threshold is in the metric's own unit: 0.2 is a drawdown of 20 %.
        """
        table = risk_limits
        return self._load(
            table,
            where=[
                *one_of(table.c.limit_id, limit_id, "limit_id"),
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.strategy, strategy_id, "strategy_id"),
                *one_of(table.c.symbol, symbols, "symbols"),
                *one_of(table.c.metric, metric, "metric"),
                *one_of(table.c.status, status, "status"),
            ],
            order_by=("limit_id",),
        )

    def write_risk_limits(self, frame: pd.DataFrame) -> Written:
        """Write limits. Key: limit_id. Columns: limit_id, metric, threshold, and the rest at will.

        Limits that are all there already may be changed by a few columns, as in limit_id and status.
        """
        return self._write(risk_limits, frame, key=("limit_id",), partial=True)

    def load_risk_events(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        event_id: Strings | None = None,
        limit_id: Strings | None = None,
        account_id: Strings | None = None,
        strategy_id: Strings | None = None,
        symbols: Strings | None = None,
        severity: Strings | None = None,
        resolved: bool | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """What broke a limit, or came near, oldest first; `[start, end)` bounds `timestamp`, UTC.

        `observed` is what was measured, `threshold` the limit as it stood then; `resolved_at` is NaT while
        it lasts. `severity` is info, warning, error or critical. `resolved=False` leaves those that last.
        """
        table = risk_events
        where = [
            *span(table.c.timestamp, start, end),
            *one_of(table.c.event_id, event_id, "event_id"),
            *one_of(table.c.limit_id, limit_id, "limit_id"),
            *one_of(table.c.account_id, account_id, "account_id"),
            *one_of(table.c.strategy, strategy_id, "strategy_id"),
            *one_of(table.c.symbol, symbols, "symbols"),
            *one_of(table.c.severity, severity, "severity"),
            *of_run(table.c.run_id, run_id),
        ]
        if resolved is not None:
            where.append(table.c.resolved_at.is_not(None) if resolved else table.c.resolved_at.is_(None))
        return self._load(table, where=where, order_by=("timestamp", "id"), latest=latest)

    def write_risk_events(self, frame: pd.DataFrame) -> Written:
        """Write events; their limits are there already. Key: event_id.

        Columns: event_id, metric; limit_id, timestamp (default now), observed, threshold, severity (default
        warning), and the rest at will. Events that are all there already may be resolved by a few columns,
        as in event_id, resolved_at and resolution.
        """
        return self._write(risk_events, frame, key=("event_id",), partial=True)

    def load_position_limits(
        self,
        account_id: Strings | None = None,
        symbols: Strings | None = None,
        *,
        status: Strings | None = None,
    ) -> pd.DataFrame:
        """How large a position may be, long or short, by account and symbol; NaN is no such limit.

        `max_quantity` in shares, contracts or coins, `max_notional` in the account's currency, `max_weight`
        as a share of the account's equity (0.1 is 10 %).
        """
        table = position_limits
        return self._load(
            table,
            where=[
                *one_of(table.c.account_id, account_id, "account_id"),
                *one_of(table.c.symbol, symbols, "symbols"),
                *one_of(table.c.status, status, "status"),
            ],
            order_by=("account_id", "symbol"),
        )

    def write_position_limits(self, frame: pd.DataFrame) -> Written:
        """Write position limits. Key: (account_id, symbol).

        Columns: account_id, symbol, at least one of max_quantity, max_notional and max_weight, and status
        (active, inactive, paused; default active).
        """
        return self._write(position_limits, frame, key=("account_id", "symbol"))
