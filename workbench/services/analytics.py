"""AnalyticsService: performance figures of periods, reports, and a cache of computed results."""

from __future__ import annotations

import uuid

import pandas as pd
import sqlalchemy as sa

from workbench.db.frames import Written
from workbench.db.pool import by_service
from workbench.services.filters import Moment, Strings, matching, of_run, span
from workbench.services.service import Service
from workbench.tables.analytics import analytics_cache, performance_metrics, reports

__all__ = ["AnalyticsService"]


class AnalyticsService(Service):
    """Loads and writes the tables of schema `analytics`."""

    name = "analytics"

    def load_performance_metrics(
        self,
        strategy_id: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        metric: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Performance figures, oldest first; `[start, end)` bounds `period_end`, UTC.

        `value` is in the metric's own unit (0.01 is 1 %), NaN where it is not defined.
        """
        table = performance_metrics
        return self._load(
            table,
            where=[
                *matching(table, strategy=strategy_id, metric=metric),
                *span(table.c.period_end, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("period_end", "strategy", "metric", "id"),
            latest=latest,
        )

    def write_performance_metrics(self, frame: pd.DataFrame) -> Written:
        """Write performance figures. Key: (strategy, metric, period_start, period_end, run_id).

        Columns: strategy, metric, value, period_start and period_end (timezone-aware), metadata (dict).
        Each run's figures are rows of their own; those written outside of a run replace earlier ones.
        """
        if "run_id" not in {*frame.columns, *frame.index.names}:
            run_id = self._run.run_id()
            frame = frame.assign(run_id=None if run_id is None else str(run_id))
        key = ("strategy", "metric", "period_start", "period_end", "run_id")
        return self._write(performance_metrics, frame, key=key)

    def load_reports(
        self,
        report_id: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        strategy_id: Strings | None = None,
        kind: Strings | None = None,
        format: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
        content: bool = True,
    ) -> pd.DataFrame:
        """Reports, oldest first; `[start, end)` bounds `created_at`, UTC.

        `content` is the report where it is text (HTML, Markdown, CSV, …), `file` where it is bytes (PDF,
        PNG, …). `content=False` leaves both out, so that a long list loads fast.
        """
        table = reports
        return self._load(
            table,
            where=[
                *matching(table, report_id=report_id, strategy=strategy_id, kind=kind, format=format),
                *span(table.c.created_at, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("created_at", "id"),
            latest=latest,
            without=() if content else ("content", "file"),
        )

    def write_reports(self, frame: pd.DataFrame) -> Written:
        """Write reports. Key: report_id.

        Columns: report_id, kind ("daily", "backtest", …), format ("html", "pdf", …), title, either content
        (text) or file (bytes, at most 256 MB); optional: strategy, metadata (dict).
        """
        return self._write(reports, frame, key=("report_id",))

    def load_analytics_cache(
        self, cache_key: Strings | None = None, *, expired: bool = False
    ) -> pd.DataFrame:
        """Cached results by key; `value` is read from JSON. Expired ones only with `expired=True`.

        `expires_at` is NaT for a result that never expires.
        """
        table = analytics_cache
        where = matching(table, cache_key=cache_key)
        if not expired:
            where.append(sa.or_(table.c.expires_at.is_(None), table.c.expires_at > sa.func.now()))
        return self._load(table, where=where, order_by=("cache_key",))

    def write_analytics_cache(self, frame: pd.DataFrame) -> Written:
        """Write results. Key: cache_key. Columns: cache_key, value (JSON), expires_at (default: never)."""
        return self._write(analytics_cache, frame, key=("cache_key",))

    def prune_analytics_cache(self) -> int:
        """Delete expired results; return how many."""
        table = analytics_cache
        with self.pool.begin(f"pruning {table}") as connection:
            by_service(connection)
            return connection.execute(sa.delete(table).where(table.c.expires_at <= sa.func.now())).rowcount
