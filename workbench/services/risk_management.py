"""RiskManagementService: risk limits, limits of positions, and the events of broken limits."""

from __future__ import annotations

import uuid

import pandas as pd

from workbench.db.frames import Written
from workbench.services.filters import Moment, Strings, flagged, matching, of_run, span
from workbench.services.service import Service
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
        """Limits; one is broken where `metric` is above (or below, see `breached`) the `threshold`.

        A limit without account_id, strategy or symbol holds for all of them; a filter by one of these finds
        only limits that name it. `action` is alert, block, reduce or halt; `status` is active,
        inactive or paused. The threshold is in the metric's own unit: 0.2 is a drawdown of 20 %.
        """
        table = risk_limits
        return self._load(
            table,
            where=[
                *matching(
                    table,
                    limit_id=limit_id,
                    account_id=account_id,
                    strategy=strategy_id,
                    symbol=symbols,
                    metric=metric,
                    status=status,
                ),
            ],
            order_by=("limit_id",),
        )

    def write_risk_limits(self, frame: pd.DataFrame) -> Written:
        """Write limits. Key: limit_id. Columns: limit_id, metric, threshold; others are optional.

        A frame of some columns, such as limit_id and status, updates these columns of limits that are stored
        already.
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
        """Events of limits that were broken or nearly so, oldest first; `[start, end)` bounds `timestamp`.

        `observed` is the measured value, `threshold` the limit's at that time; `resolved_at` is NaT until the
        event is resolved. `severity` is info, warning, error or critical.

        Parameters
        ----------
        resolved : bool, optional
            True: only resolved events; False: only open ones. Default: both.
        """
        table = risk_events
        where = [
            *span(table.c.timestamp, start, end),
            *matching(
                table,
                event_id=event_id,
                limit_id=limit_id,
                account_id=account_id,
                strategy=strategy_id,
                symbol=symbols,
                severity=severity,
            ),
            *of_run(table.c.run_id, run_id),
            *flagged(table.c.resolved_at.is_not(None), resolved, "resolved"),
        ]
        return self._load(table, where=where, order_by=("timestamp", "id"), latest=latest)

    def write_risk_events(self, frame: pd.DataFrame) -> Written:
        """Write events; their limits must be stored first. Key: event_id.

        Columns: event_id, metric; limit_id, timestamp (default now), observed, threshold, severity (default
        warning); others are optional. A frame of some columns, such as event_id, resolved_at and resolution,
        updates these columns of events that are stored already.
        """
        return self._write(risk_events, frame, key=("event_id",), partial=True)

    def load_position_limits(
        self,
        account_id: Strings | None = None,
        symbols: Strings | None = None,
        *,
        status: Strings | None = None,
    ) -> pd.DataFrame:
        """The largest position, long or short, by account and symbol; NaN is no limit.

        `max_quantity` in shares, contracts or coins, `max_notional` in the account's currency, `max_weight`
        as a share of the account's equity (0.1 is 10 %).
        """
        table = position_limits
        return self._load(
            table,
            where=[
                *matching(table, account_id=account_id, symbol=symbols, status=status),
            ],
            order_by=("account_id", "symbol"),
        )

    def write_position_limits(self, frame: pd.DataFrame) -> Written:
        """Write position limits. Key: (account_id, symbol).

        Columns: account_id, symbol, at least one of max_quantity, max_notional and max_weight; optional:
        status (active, inactive, paused; default active).
        """
        return self._write(position_limits, frame, key=("account_id", "symbol"))
