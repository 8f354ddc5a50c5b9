"""DataIngestionService: bars, corporate actions, what was refused, and how far each series reaches.

Longer than most files, for the docstrings of what researchers call most; the work is done in `bar_store.py`,
`bar_writer.py` and `bar_series.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.frames import Written
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.cache import BarCache
from workbench.marketdata.series import SeriesBars, assemble
from workbench.services.bar_series import bounds, chosen_source, series_states
from workbench.services.bar_store import BarStore, SeriesState
from workbench.services.bar_writer import write_bars
from workbench.services.no_bars import warn_of_none, warn_of_nothing
from workbench.services.service import Moment, RunScope, Service, Strings, as_list, as_moment, one_of, span
from workbench.tables.data_ingestion import (
    corporate_actions,
    data_quality_logs,
    ingestion_status,
    market_data,
)

if TYPE_CHECKING:
    from workbench.marketdata.coverage import Coverage

__all__ = ["DataIngestionService"]

_LOG_KEY = ("symbol", "data_source", "origin", "row_number", "rule")
_ACTION_KEY = ("symbol", "data_source", "ex_date", "kind")


class DataIngestionService(Service):
    """Loads and writes the tables of schema `data_ingestion`."""

    name = "data_ingestion"
    _inside = Service._inside | {"bars_before", "write_checked_bars"}

    def __init__(self, pool: ServiceConnectionPool, run: RunScope, cache: BarCache) -> None:
        super().__init__(pool, run)
        self._bars = BarStore(cache)

    @property
    def cache(self) -> BarCache:
        """The bars that lie on disk: `cache.clear()` removes them; they are read again when wanted."""
        return self._bars.cache

    def load_market_data(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        fields: Sequence[str] = BAR_COLUMNS,
        adjust: str | None = None,
        as_of: Moment | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Bars of one symbol or thousands, daily or minute.

        What was loaded before comes from a cache on disk, which every committed change of the bars, by
        whatever path, makes known to the next load.

        Parameters
        ----------
        symbols : str or list of str, optional
            Which symbols; all there are where left out.
        start, end : str, date or Timestamp, optional
            The range `[start, end)`, UTC.
        source : str, optional
            The data source: "yahoo" (raw prices), "yahoo_adjusted", "polygon", "alpaca", "file". Where left
            out, the only one there is for those symbols.
        fields : sequence of str
            Which of open, high, low, close, volume, in this order.
        adjust : str, optional
            Take splits and dividends of the same source's `corporate_actions` out of the prices, by the
            method "yahoo", "crsp" or "splits"; see `workbench.adjust`. Left out: prices as they came.
        as_of : str, date or Timestamp, optional
            With `adjust`: prices as one saw them on that day.
        latest : int, optional
            Only the last so many bars of each symbol.

        Returns
        -------
        DataFrame
            Indexed (symbol, timestamp), sorted; timestamps `datetime64[us, UTC]`; the fields as float64,
            prices in the instrument's currency, volume in shares, contracts or coins. Without NaN. Empty,
            with the same columns and dtypes, where the range holds nothing.

        Warns
        -----
        NoBarsWarning
            A symbol that was named has no bar in the range; the text says where its series begins and ends.
            Where no symbol was named: nothing was found at all.

        Raises
        ------
        UnknownSymbol
            A symbol that nobody ever ingested.
        AmbiguousSource
            Several sources hold the symbols; the message names them.
        EmptyRange
            `end` does not lie after `start`.
        QueryError
            A field, a moment or a method that cannot be understood.
        """
        wanted, chosen = as_list(symbols, "symbols"), _fields(fields)
        if latest is not None and latest < 1:
            raise QueryError(f"latest={latest}: ask for at least one bar")
        if as_of is not None and adjust is None:
            raise QueryError("as_of= says until when prices are adjusted; say how, too: adjust='yahoo'")
        first, last = bounds(start, end)
        with self.pool.snapshot("loading bars") as connection:
            states, source = self._states(connection, wanted, source)
            if adjust is None and latest is None:
                whole = self._bars.assembled(connection, states, first, last)
                found, frame = whole.symbols, whole.frame(chosen)
            else:
                if latest is not None:
                    read = self._bars.read_latest(connection, states, latest, first, last)
                else:
                    read = self._bars.read(connection, states, first, last)
                found = [one.symbol for one in read if len(one)]
                if adjust is not None:
                    frame = self._adjusted(connection, read, states, source, adjust, as_of)[chosen]
                else:
                    frame = assemble(read).frame(chosen)
            if wanted or not found:
                self._tell_of_none(connection, wanted, found, states, source, first, last)
        return frame

    def coverage(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        calendar: str = "XNYS",
    ) -> Coverage:
        """What bars there are per symbol and where the gaps are, against an exchange's calendar.

        Parameters
        ----------
        symbols, start, end, source
            As for `load_market_data`.
        calendar : str
            The exchange's name in `exchange_calendars`: "XNYS", "XLON", "24/7", …

        Returns
        -------
        Coverage
            `.table` (a row per symbol), `.gaps` (a row per gap), `.picture()`; a notebook shows both.
        """
        from workbench.marketdata.coverage import coverage

        return coverage(self.load_market_data(symbols, start, end, source=source, fields=["close"]), calendar)

    def write_market_data(self, frame: pd.DataFrame, *, source: str | None = None) -> Written:
        """Write bars; those there with other values are updated. Key: (symbol, timestamp, data_source).

        Parameters
        ----------
        frame : DataFrame
            symbol and timestamp (timezone-aware) as index levels or columns, open, high, low, close, volume
            with at most eight decimals; data_source as a column, unless `source` is given.
        source : str, optional
            The data source of all the rows.

        Returns
        -------
        Written
            How many rows were inserted, updated and left unchanged.

        Raises
        ------
        FrameRefused
            ColumnMismatch, DuplicateKeys, ValueRefused or NaiveTimestamp; nothing was written.
        """
        with self.pool.begin("writing bars") as connection:
            return self._write_bars(connection, _of_source(frame, source))

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

        `value` is new shares per old one of a split (4.0; 0.05 for one of twenty), and cash per share of a
        dividend, in the prices' currency; `applied` is True where the prices came with it taken out.
        """
        table = corporate_actions
        return self._load(
            table,
            where=[
                *one_of(table.c.symbol, symbols, "symbols"),
                *span(table.c.ex_date, start, end),
                *one_of(table.c.data_source, source, "source"),
                *one_of(table.c.kind, kind, "kind"),
            ],
            order_by=("data_source", "symbol", "ex_date", "kind"),
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
        """Rows that were refused, with rule, severity, reason, the row's number and the row as it came.

        `start` and `end` bound the refused row's own timestamp; rows without a readable one are left out
        then. One row per refused row of a source, RangeIndex; `timestamp` is NaT where it was unreadable.
        """
        table = data_quality_logs
        return self._load(
            table,
            where=[
                *one_of(table.c.symbol, symbols, "symbols"),
                *span(table.c.timestamp, start, end),
                *one_of(table.c.data_source, source, "source"),
                *one_of(table.c.rule, rule, "rule"),
                *one_of(table.c.severity, severity, "severity"),
            ],
            order_by=("id",),
            latest=latest,
        )

    def write_data_quality_logs(self, frame: pd.DataFrame) -> Written:
        """Write refusals. Key: (symbol, data_source, origin, row_number, rule)."""
        return self._write(data_quality_logs, frame, key=_LOG_KEY)

    def load_ingestion_status(
        self, symbols: Strings | None = None, *, source: str | None = None
    ) -> pd.DataFrame:
        """What there is: per symbol and data source the first and last bar, how many, and the revision.

        The revision grows with every committed change of the series, whoever made it.
        """
        table = ingestion_status
        return self._load(
            table,
            where=[
                *one_of(table.c.symbol, symbols, "symbols"),
                *one_of(table.c.data_source, source, "source"),
            ],
            order_by=("data_source", "symbol"),
            without=("lineage",),
        )

    def write_ingestion_status(self, frame: pd.DataFrame) -> Written:
        """Write how an ingestion went. Key: (symbol, data_source).

        Columns: last_success_at, last_error_at, last_error. Bars, bounds and revision follow the bars by
        themselves.
        """
        return self._write(ingestion_status, frame, key=("symbol", "data_source"))

    def write_checked_bars(
        self,
        bars: pd.DataFrame,
        refused: pd.DataFrame,
        *,
        source: str,
        actions: pd.DataFrame | None = None,
    ) -> Written:
        """Write good bars, the log of their check, their corporate actions and status, in one transaction.

        Parameters
        ----------
        bars : DataFrame
            As `write_market_data` takes them.
        refused : DataFrame
            As `write_data_quality_logs` takes them.
        source : str
            The data source of all of them.
        actions : DataFrame, optional
            symbol, ex_date, kind, value, applied.

        Returns
        -------
        Written
            Of the bars.
        """
        told = [bars, refused] if actions is None else [bars, refused, actions]
        names = dict.fromkeys(name for frame in told for name in frame["symbol"].unique())
        status = pd.DataFrame({"symbol": list(names), "data_source": source})
        status["last_success_at"] = pd.Timestamp.now("UTC").floor("us")
        with self.pool.begin("writing bars") as connection:
            # Bars change their status by a trigger: without this, a writer of the status could hold the row
            # that the trigger waits for, and wait for us.
            frames.take_turns(connection, market_data, data_quality_logs, corporate_actions, ingestion_status)
            written = self._write_bars(connection, bars.assign(data_source=source))
            self._write_within(connection, data_quality_logs, refused, key=_LOG_KEY)
            if actions is not None:
                self._write_within(
                    connection, corporate_actions, actions.assign(data_source=source), key=_ACTION_KEY
                )
            # A status changes with every ingestion, also with one that brought nothing: that is no news.
            frames.write(connection, ingestion_status, status, key=("symbol", "data_source"))
        return written

    def bars_before(
        self,
        symbol: str,
        moment: Moment,
        count: int | None = None,
        *,
        source: str,
        since: Moment | None = None,
    ) -> pd.DataFrame:
        """The last bars of a series before a moment, for those who bring more of them.

        Unlike `load_market_data`, it does not note that a run read the series: what a run brings in says
        nothing about what it was computed from. And a series that nobody knows has no bars.

        Parameters
        ----------
        symbol, source : str
        moment : str, date or Timestamp
            The first that is not wanted, UTC.
        count : int, optional
            How many bars; all where left out.
        since : str, date or Timestamp, optional
            No bar before that.

        Returns
        -------
        DataFrame
            As of `load_market_data`.
        """
        first, last = bounds(since, moment)
        with self.pool.snapshot("loading bars") as connection:
            states = series_states(connection, [symbol], source)
            if count is None:
                return assemble(self._bars.read(connection, states, first, last)).frame()
            return assemble(self._bars.read_latest(connection, states, count, first, last)).frame()

    # ------------------------------------------------------------------------------------------- inside

    def _states(
        self, connection: sa.Connection, symbols: list[str] | None, source: str | None
    ) -> tuple[list[SeriesState], str]:
        """The series that are meant, of one source; the run remembers that it read them."""
        found = series_states(connection, symbols, source)
        if source is not None and len(found) < (1 if symbols is None else len(symbols)):
            # Something is not there: what other sources have tells what is meant, or what is wrong.
            found = series_states(connection, symbols)
        source = chosen_source(connection, found, symbols, source)
        states = [state for state in found if state.source == source]
        self._run.note_read({f"{source}/{state.symbol}": state.revision for state in states})
        return states, source

    def _tell_of_none(
        self,
        connection: sa.Connection,
        wanted: list[str] | None,
        found: Sequence[str],
        states: Sequence[SeriesState],
        source: str,
        start: int | None,
        end: int | None,
    ) -> None:
        """Warn of symbols of which no bar was found: those that were named, or all where there is nothing."""
        if wanted is None and not any(state.bars for state in states):
            warn_of_nothing(source, {state.source for state in series_states(connection) if state.bars})
            return
        asked = [state.symbol for state in states if state.bars] if wanted is None else wanted
        missing = list(dict.fromkeys(asked))
        if len(found) < len(missing):
            there = set(found)
            missing = [symbol for symbol in missing if symbol not in there]
            warn_of_none(missing, series_states(connection, missing), source, start, end)

    def _write_bars(self, connection: sa.Connection, frame: pd.DataFrame) -> Written:
        return self._write_within(
            connection,
            market_data,
            frame,
            by=lambda connection, bars: write_bars(connection, self._bars, bars),
        )

    def _adjusted(
        self,
        connection: sa.Connection,
        read: Sequence[SeriesBars],
        states: Sequence[SeriesState],
        source: str,
        method: str,
        as_of: Moment | None,
    ) -> pd.DataFrame:
        """What was read, with the actions of its source taken out: also those after its last bar."""
        from workbench.marketdata.adjustment import adjust

        symbols = [one.symbol for one in read]
        table = corporate_actions
        actions = frames.read(
            connection,
            sa.select(table.c.symbol, table.c.ex_date, table.c.kind, table.c.value, table.c.applied)
            .where(table.c.data_source == source, table.c.symbol.in_(symbols))
            .order_by(table.c.symbol, table.c.ex_date),
        )
        earliest = min((int(one.times[0]) for one in read if len(one)), default=None)
        # The closes around each ex date, those after the range included: its bars carry them all.
        acting = set(actions["symbol"])
        around = self._bars.read(connection, [state for state in states if state.symbol in acting], earliest)
        return adjust(
            assemble(read).frame(),
            actions,
            method,
            as_of=None if as_of is None else as_moment(as_of, "as_of"),
            closes=assemble(around).frame(["close"]),
        )


def _fields(fields: Sequence[str]) -> list[str]:
    chosen = [fields] if isinstance(fields, str) else list(fields)
    for field in chosen:
        if field not in BAR_COLUMNS:
            raise QueryError(f"{field!r} is not a field of bars; there are {', '.join(BAR_COLUMNS)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise QueryError(f"fields={chosen!r}: name each field once, of {', '.join(BAR_COLUMNS)}")
    return chosen


def _of_source(frame: pd.DataFrame, source: str | None) -> pd.DataFrame:
    if source is None:
        if "data_source" in frame.columns or "data_source" in frame.index.names:
            return frame
        raise QueryError("say where the bars are from: write_market_data(frame, source='yahoo')")
    if "data_source" in frame.columns:
        raise QueryError("the frame has a column data_source and source= was given too; drop one")
    return frame.assign(data_source=source)
