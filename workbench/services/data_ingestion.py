"""DataIngestionService: bars, corporate actions, refused rows, and the status of each series."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workbench.db import frames
from workbench.db.frames import Written
from workbench.marketdata.calendar import timezone_of
from workbench.services.bar_series import series_states
from workbench.services.filters import Moment, Strings, matching, span
from workbench.services.market_data import MarketData
from workbench.services.slot_clamp import SlotClamp, is_clamped, note_unclamped
from workbench.tables.data_ingestion import (
    corporate_actions,
    data_quality_logs,
    ingestion_status,
    market_data,
    market_data_history,
    series_revisions,
)

__all__ = ["DataIngestionService"]

_LOG_KEY = ("symbol", "data_source", "origin", "row_number", "rule")
_ACTION_KEY = ("symbol", "data_source", "ex_date", "kind")


class DataIngestionService(MarketData):
    """Loads and writes the tables of schema `data_ingestion`."""

    name = "data_ingestion"
    _inside = MarketData._inside | {"actions_stored", "status_stored", "write_checked_bars"}

    def load_corporate_actions(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        kind: Strings | None = None,
    ) -> pd.DataFrame:
        """Splits and dividends by symbol and ex date.

        `value` is the new shares per old share of a split (4.0 for 4:1, 0.05 for 1:20), or a dividend's cash
        per share in the prices' currency; `applied` is True where the prices were adjusted for it already.
        In a run for a slot: those with an ex date no later than the last bar that was complete then.
        """
        table = corporate_actions
        actions = self._load(
            table,
            where=[
                *matching(table, symbol=symbols, data_source=source, kind=kind),
                *span(table.c.ex_date, start, end),
            ],
            order_by=("data_source", "symbol", "ex_date", "kind"),
        )
        if actions.empty or not is_clamped(self._run):
            return actions
        with self.pool.snapshot("loading the series of corporate actions") as connection:
            clamp = SlotClamp.of(self._run, connection)
            if clamp is None:
                return actions
            states = series_states(connection, [str(symbol) for symbol in actions["symbol"].unique()])
        keys = {
            f"{source}/{symbol}"
            for source, symbol in zip(actions["data_source"], actions["symbol"], strict=True)
        }
        clamp.note([state for state in states if f"{state.source}/{state.symbol}" in keys])
        return clamp.seen(actions, states)

    def actions_stored(self, symbol: str, *, source: str) -> pd.DataFrame:
        """All corporate actions of a series, for an ingestion, which no slot clamps."""
        table = corporate_actions
        return self._load(
            table,
            where=matching(table, symbol=symbol, data_source=source),
            order_by=("ex_date", "kind"),
        )

    def write_corporate_actions(self, frame: pd.DataFrame) -> Written:
        """Write splits and dividends. Key: (symbol, data_source, ex_date, kind)."""
        return self._write(corporate_actions, frame, key=_ACTION_KEY)

    def load_data_quality_logs(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        rule: Strings | None = None,
        severity: Strings | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Refused rows: the rule, its severity, the reason, the row's number and the row as it came.

        `start` and `end` bound the refused row's own timestamp; with either, rows whose timestamp could not
        be read (NaT) are left out. RangeIndex. In a run for a slot not clamped, and listed in its evidence.
        """
        table = data_quality_logs
        logs = self._load(
            table,
            where=[
                *matching(table, symbol=symbols, data_source=source, rule=rule, severity=severity),
                *span(table.c.timestamp, start, end),
            ],
            order_by=("id",),
            latest=latest,
        )
        note_unclamped(self._run, _said("load_data_quality_logs", symbols, source))
        return logs

    def write_data_quality_logs(self, frame: pd.DataFrame) -> Written:
        """Write refused rows. Key: (symbol, data_source, origin, row_number, rule)."""
        return self._write(data_quality_logs, frame, key=_LOG_KEY)

    def load_ingestion_status(
        self, symbols: Strings | None = None, *, source: str | None = None
    ) -> pd.DataFrame:
        """Per symbol and data source: first and last bar, number of bars, revision, calendar and bar length.

        The revision grows with every committed change of the series, whoever made it. `calendar` (a name of
        exchange_calendars) and `bar_interval` ("1d", "30min") say when a bar is complete; None: unknown. In
        a run for a slot not clamped, and listed in its evidence.
        """
        status = self.status_stored(symbols, source=source)
        note_unclamped(self._run, _said("load_ingestion_status", symbols, source))
        return status

    def status_stored(self, symbols: Strings | None = None, *, source: str | None = None) -> pd.DataFrame:
        """As `load_ingestion_status`, for an ingestion, which no slot clamps."""
        table = ingestion_status
        return self._load(
            table,
            where=[
                *matching(table, symbol=symbols, data_source=source),
            ],
            order_by=("data_source", "symbol"),
            without=("lineage",),
        )

    def write_ingestion_status(self, frame: pd.DataFrame) -> Written:
        """Write the outcome of an ingestion, or what is known of a series. Key: (symbol, data_source).

        Columns: last_success_at, last_error_at, last_error; calendar and bar_interval, for bars from
        elsewhere of which no ingestion could tell. A trigger keeps the others (number of bars, first and
        last bar, revision).

        Raises
        ------
        QueryError
            There is no such calendar; nothing was written.
        FrameRefused
            As any write; nothing was written.

        Examples
        --------
        >>> known = {"symbol": ["BTC-USD"], "data_source": "file", "calendar": "24/7", "bar_interval": "1d"}
        >>> wb.data_ingestion.write_ingestion_status(pd.DataFrame(known))
        """
        if "calendar" in frame.columns:
            for name in frame["calendar"].dropna().unique():
                timezone_of(str(name))
        return self._write(ingestion_status, frame, key=("symbol", "data_source"))

    def load_series_revisions(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """The changes of each series, by their commits; `[start, end)` bounds `committed_at`, UTC.

        Columns: symbol, data_source, revision; `kind` ("inserted", "updated", "deleted", "truncated";
        "before" for the state that an upgrade found); first_changed, last_changed, changed (how many bars);
        first_bar, last_bar, bars (of the series afterwards); committed_at; trimmed_at (NaT unless older
        versions were removed). Triggers keep them, whoever wrote. In a run for a slot not clamped, and listed
        in its evidence.
        """
        table = series_revisions
        rows = self._load(
            table,
            where=[
                *matching(table, symbol=symbols, data_source=source),
                *span(table.c.committed_at, start, end),
            ],
            order_by=("committed_at", "data_source", "symbol", "revision"),
            latest=latest,
        )
        note_unclamped(self._run, _said("load_series_revisions", symbols, source))
        return rows

    def load_market_data_history(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Versions of bars that were replaced or removed; `[start, end)` bounds the bar's timestamp, UTC.

        Each held until the series' revision `until_revision`; NaN prices say that there was no bar before it.
        `load_market_data(as_known=…)` puts them together. In a run for a slot not clamped, and listed in its
        evidence.
        """
        table = market_data_history
        rows = self._load(
            table,
            where=[
                *matching(table, symbol=symbols, data_source=source),
                *span(table.c.timestamp, start, end),
            ],
            order_by=("data_source", "symbol", "timestamp", "until_revision"),
            latest=latest,
        )
        note_unclamped(self._run, _said("load_market_data_history", symbols, source))
        return rows

    def write_checked_bars(
        self,
        bars: pd.DataFrame,
        refused: pd.DataFrame,
        *,
        source: str,
        actions: pd.DataFrame | None = None,
        known: Mapping[str, str | None] | None = None,
    ) -> Written:
        """Write checked bars, the refused rows, corporate actions and the status, in one transaction.

        Parameters
        ----------
        bars : DataFrame
            As `write_market_data` takes them.
        refused : DataFrame
            As `write_data_quality_logs` takes them.
        source : str
            The data source of all frames.
        actions : DataFrame, optional
            symbol, ex_date, kind, value, applied.
        known : mapping of str to str, optional
            What is known of the series now: calendar, bar_interval; None for what turned out to be unknown.
            What is left out stays as it is stored.

        Returns
        -------
        Written
            The counts of the bars.
        """
        given = [bars, refused] if actions is None else [bars, refused, actions]
        names = dict.fromkeys(name for frame in given for name in frame["symbol"].unique())
        status = pd.DataFrame({"symbol": list(names), "data_source": source})
        status["last_success_at"] = pd.Timestamp.now("UTC").floor("us")
        status = status.assign(**(known or {}))
        with self.pool.begin("writing bars") as connection:
            # Writing bars updates their status by a trigger. Without these locks a writer of the status could
            # hold a row that the trigger waits for, while it waits for us.
            frames.take_turns(connection, market_data, data_quality_logs, corporate_actions, ingestion_status)
            written = self._write_bars(connection, bars.assign(data_source=source))
            self._write_within(connection, data_quality_logs, refused, key=_LOG_KEY)
            if actions is not None:
                self._write_within(
                    connection, corporate_actions, actions.assign(data_source=source), key=_ACTION_KEY
                )
            # Without an event: the status changes with every ingestion, also where no bar is new.
            frames.write(connection, ingestion_status, status, key=("symbol", "data_source"))
        return written


def _said(method: str, symbols: Strings | None, source: str | None) -> str:
    """The call, for a run's evidence."""
    given = [] if symbols is None else [repr(symbols)]
    given += [] if source is None else [f"source={source!r}"]
    return f"{method}({', '.join(given)})"
