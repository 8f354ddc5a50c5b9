"""The methods for bars of DataIngestionService; the work is done in `bar_loading.py` and `bar_writer.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from workbench.db.frames import Written
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import WriteRefused
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.cache import BarCache
from workbench.marketdata.series import assemble
from workbench.services.bar_loading import BarRequest, load_bars
from workbench.services.bar_series import bounds, series_states
from workbench.services.bar_store import BarStore
from workbench.services.bar_writer import write_bars
from workbench.services.filters import Moment, Strings
from workbench.services.known_revisions import AsKnown
from workbench.services.service import RunScope, Service
from workbench.tables.data_ingestion import market_data

if TYPE_CHECKING:
    from workbench.marketdata.coverage import Coverage

__all__ = ["MarketData"]


class MarketData(Service):
    """Loads and writes the table `market_data`; DataIngestionService adds the other tables."""

    _inside = Service._inside | {"bars_before"}

    def __init__(
        self,
        pool: ServiceConnectionPool,
        run: RunScope,
        cache: BarCache,
        *,
        source: str | None = None,
        calendar: str | None = None,
    ) -> None:
        super().__init__(pool, run)
        self._bars = BarStore(cache)
        # The defaults of a load: settings of the project.
        self._source = source
        self._calendar = calendar or "XNYS"

    @property
    def cache(self) -> BarCache:
        """The cache of bars on disk; after `cache.clear()` the next load reads from the database."""
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
        as_known: AsKnown | None = None,
    ) -> pd.DataFrame:
        """Bars of one symbol or thousands, daily or minute.

        Bars that were loaded before come from a cache on disk. A load after a committed change sees the
        change, whoever made it. A run for a slot gets no bar that was not complete at the slot: a share's
        daily bar from its session's close, a coin's from the next midnight UTC, any other from its start
        plus its length.

        Parameters
        ----------
        symbols : str or list of str, optional
            Default: all of the source.
        start, end : str, date or Timestamp, optional
            The range `[start, end)`, UTC.
        source : str, optional
            The data source: "yahoo" (raw prices), "yahoo_adjusted", "polygon", "alpaca", "file". Default: the
            setting `data_source`, whatever others hold; without it the only one that holds those symbols.
        fields : sequence of str
            Which of open, high, low, close, volume, in this order.
        adjust : str, optional
            Adjust prices for the splits and dividends in the same source's `corporate_actions`, by the
            method "yahoo", "crsp" or "splits"; see `workbench.adjust`. Default: prices as they came.
        as_of : str, date or Timestamp, optional
            With `adjust`: prices as they were shown on that day; in a run for a slot not later than at the
            slot.
        latest : int, optional
            Only the last that many bars of each symbol.
        as_known : str, datetime, Timestamp or UUID, optional
            Bars as they were known, whatever was corrected, added or deleted since: at a moment with its
            time zone ("2026-11-20 22:00Z"), by the time at which each change was committed; or to a run, by
            its id, of which the first characters are enough, at the revisions in its record. `latest` counts
            the bars of then. `adjust` takes the splits and dividends of now: of those no old versions are
            kept. Default: as they are now; in an exact rerun, as they were known to the run that it repeats.

        Returns
        -------
        DataFrame
            Indexed (symbol, timestamp), sorted; timestamps `datetime64[us, UTC]`; the fields as float64,
            prices in the instrument's currency, volume in shares, contracts or coins; no NaN. Empty, with
            the same columns and dtypes, where there are no bars in the range.

        Warns
        -----
        NoBarsWarning
            A symbol that was named has no bar in the range; the text says where its series begins and ends.
            Without `symbols`: no bar was found at all. In a run for a slot it says so.

        Raises
        ------
        UnknownSymbol
            A symbol that was never ingested.
        AmbiguousSource
            Several sources hold the symbols; the message names them.
        EmptyRange
            `end` does not lie after `start`.
        NotKnown
            `as_known` lies before a series' first bar, or in a time of which versions are not kept, or no
            longer; or the run has not read the series, or is still running.
        QueryError
            A field, a moment or a method that does not exist or cannot be read; an `as_known` without a time
            zone, or in the future.

        Examples
        --------
        >>> load = wb.data_ingestion.load_market_data
        >>> load("AAPL", source="yahoo", as_known="2026-11-20 22:00Z")
        >>> load("AAPL", source="yahoo", as_known=run["run_id"])
        """
        if as_known is None:
            as_known = self._run.known_to()
        chosen = self._source if source is None else source
        request = BarRequest.of(
            symbols,
            start,
            end,
            source=chosen,
            fields=fields,
            adjust=adjust,
            as_of=as_of,
            latest=latest,
            known=as_known,
        )
        with self.pool.snapshot("loading bars") as connection:
            return load_bars(connection, self._bars, request, self._run)

    def coverage(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        calendar: str | None = None,
        as_known: AsKnown | None = None,
    ) -> Coverage:
        """Which bars each symbol has and which are missing, by an exchange's calendar.

        Parameters
        ----------
        symbols, start, end, source, as_known
            As for `load_market_data`.
        calendar : str, optional
            The exchange's name in `exchange_calendars`: "XNYS", "XLON", "24/7", … Default: the setting
            `calendar`, else "XNYS".

        Returns
        -------
        Coverage
            `.table` (a row per symbol), `.gaps` (a row per gap), `.picture()`; a notebook shows both.
        """
        from workbench.marketdata.coverage import coverage

        bars = self.load_market_data(symbols, start, end, source=source, fields=["close"], as_known=as_known)
        return coverage(bars, calendar or self._calendar)

    def write_market_data(self, frame: pd.DataFrame, *, source: str | None = None) -> Written:
        """Insert bars, and update those with other values. Key: (symbol, timestamp, data_source).

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
        WriteRefused
            `source` is missing, or given twice; nothing was written.
        """
        with self.pool.begin("writing bars") as connection:
            return self._write_bars(connection, _of_source(frame, source))

    def bars_before(
        self,
        symbol: str,
        moment: Moment,
        count: int | None = None,
        *,
        source: str,
        since: Moment | None = None,
    ) -> pd.DataFrame:
        """The last bars of a series before a moment, for an ingestion that appends to it.

        Unlike `load_market_data`, it does not record that the run read the series, for no result is computed
        from these bars; and an unknown series is no error, but has no bars.

        Parameters
        ----------
        symbol, source : str
        moment : str, date or Timestamp
            Only bars before it, UTC.
        count : int, optional
            At most that many bars. Default: all.
        since : str, date or Timestamp, optional
            Only bars from it on, UTC.

        Returns
        -------
        DataFrame
            As `load_market_data` returns it.
        """
        first, last = bounds(since, moment)
        with self.pool.snapshot("loading bars") as connection:
            states = series_states(connection, [symbol], source)
            if count is None:
                return assemble(self._bars.read(connection, states, first, last)).frame()
            return assemble(self._bars.read_latest(connection, states, count, first, last)).frame()

    def _write_bars(self, connection: sa.Connection, frame: pd.DataFrame) -> Written:
        return self._write_within(
            connection,
            market_data,
            frame,
            by=lambda connection, bars: write_bars(connection, self._bars, bars),
        )


def _of_source(frame: pd.DataFrame, source: str | None) -> pd.DataFrame:
    if source is None:
        if "data_source" in frame.columns or "data_source" in frame.index.names:
            return frame
        raise WriteRefused(
            "say where the bars are from: write_market_data(frame, source='yahoo')", table=str(market_data)
        )
    if "data_source" in frame.columns:
        raise WriteRefused(
            "the frame has a column data_source, and source= was given, too; drop one", table=str(market_data)
        )
    return frame.assign(data_source=source)
