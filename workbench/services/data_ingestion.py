"""DataIngestionService: bars, why some were refused, and how far each series reaches."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.frames import Written
from workbench.errors import AmbiguousSource, QueryError, UnknownSymbol
from workbench.services.service import Moment, Service, Strings, as_list, one_of, span
from workbench.tables.data_ingestion import data_quality_logs, ingestion_status, market_data

__all__ = ["DataIngestionService"]

_FIELDS = ("open", "high", "low", "close", "volume")


class DataIngestionService(Service):
    """Loads and writes the tables of schema `data_ingestion`."""

    name = "data_ingestion"

    def load_market_data(
        self,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        source: str | None = None,
        fields: Sequence[str] = _FIELDS,
    ) -> pd.DataFrame:
        """Bars of one symbol or many.

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

        Returns
        -------
        DataFrame
            Indexed (symbol, timestamp), sorted; timestamps `datetime64[us, UTC]`; the fields as float64,
            prices in the instrument's currency, volume in shares, contracts or coins. Without NaN. Empty,
            with the same columns and dtypes, where the range holds nothing.

        Raises
        ------
        UnknownSymbol
            A symbol that nobody ever ingested.
        AmbiguousSource
            Several sources hold the symbols; the message names them.
        EmptyRange
            `end` does not lie after `start`.
        QueryError
            A field or a moment that cannot be understood.
        """
        wanted = as_list(symbols, "symbols")
        chosen = [fields] if isinstance(fields, str) else list(fields)
        for field in chosen:
            if field not in _FIELDS:
                raise QueryError(f"{field!r} is not a field of bars; there are {', '.join(_FIELDS)}")
        within = span(market_data.c.timestamp, start, end)
        with self.pool.snapshot("loading bars") as connection:
            series = self._series(connection, wanted)
            source = _one_source(series, wanted, source)
            query = (
                sa.select(
                    market_data.c.symbol, market_data.c.timestamp, *(market_data.c[name] for name in chosen)
                )
                .where(market_data.c.data_source == source, *within)
                .order_by(market_data.c.symbol, market_data.c.timestamp)
            )
            if wanted is not None:
                query = query.where(market_data.c.symbol.in_(wanted))
            bars = frames.read(connection, query)
        read = series[series["data_source"] == source]
        self._run.note_read(
            {
                f"{source}/{symbol}": int(revision)
                for symbol, revision in zip(read["symbol"], read["revision"], strict=True)
            }
        )
        return bars.set_index(["symbol", "timestamp"])

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
        if source is not None:
            if "data_source" in frame.columns:
                raise QueryError("the frame has a column data_source and source= was given too; drop one")
            frame = frame.assign(data_source=source)
        elif "data_source" not in frame.columns:
            raise QueryError("say where the bars are from: write_market_data(frame, source='yahoo')")
        return self._write(market_data, frame, key=("symbol", "timestamp", "data_source"))

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
        return self._write(
            data_quality_logs, frame, key=("symbol", "data_source", "origin", "row_number", "rule")
        )

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
        )

    def write_ingestion_status(self, frame: pd.DataFrame) -> Written:
        """Write how an ingestion went. Key: (symbol, data_source). Bars and revisions keep themselves."""
        return self._write(ingestion_status, frame, key=("symbol", "data_source"))

    def write_checked_bars(self, bars: pd.DataFrame, refused: pd.DataFrame, *, source: str) -> Written:
        """Write good bars, the refusals beside them and the status of both, in one transaction.

        Parameters
        ----------
        bars : DataFrame
            As `write_market_data` takes them.
        refused : DataFrame
            As `write_data_quality_logs` takes them.
        source : str
            The data source of all of them.
        """
        names = [*bars["symbol"].unique(), *refused["symbol"].unique()]
        status = pd.DataFrame({"symbol": list(dict.fromkeys(names)), "data_source": source})
        status["last_success_at"] = pd.Timestamp.now("UTC").floor("us")
        with self.pool.begin("writing bars") as connection:
            # Bars change their status by a trigger: without this, a writer of the status could hold the row
            # that the trigger waits for, and wait for us.
            frames.take_turns(connection, market_data, data_quality_logs, ingestion_status)
            written = self._write_within(
                connection,
                market_data,
                bars.assign(data_source=source),
                key=("symbol", "timestamp", "data_source"),
            )
            self._write_within(
                connection,
                data_quality_logs,
                refused,
                key=("symbol", "data_source", "origin", "row_number", "rule"),
            )
            # A status changes with every ingestion, also with one that brought nothing: that is no news.
            frames.write(connection, ingestion_status, status, key=("symbol", "data_source"))
        return written

    def _series(self, connection: sa.Connection, symbols: list[str] | None) -> pd.DataFrame:
        query = sa.select(
            ingestion_status.c.symbol,
            ingestion_status.c.data_source,
            ingestion_status.c.bars,
            ingestion_status.c.revision,
        ).order_by(ingestion_status.c.data_source, ingestion_status.c.symbol)
        found = frames.read(connection, query)
        if symbols is None:
            return found
        known = set(found["symbol"])
        unknown = [symbol for symbol in symbols if symbol not in known]
        if unknown:
            shown = ", ".join(sorted(known)[:20]) or "none yet"
            raise UnknownSymbol(
                f"no bars of {', '.join(unknown)} were ever ingested; there are: {shown}. "
                f"To get them: workbench ingest {' '.join(unknown)} --source sample (or file)",
                symbols=unknown,
                known=sorted(known),
            )
        return found[found["symbol"].isin(symbols)]


def _one_source(series: pd.DataFrame, symbols: list[str] | None, source: str | None) -> str:
    holding = sorted(series.loc[series["bars"] > 0, "data_source"].unique())
    if source is not None:
        return source
    if len(holding) > 1:
        whose = "the symbols" if symbols is None else ", ".join(symbols[:5])
        raise AmbiguousSource(
            f"several sources hold bars of {whose}: {', '.join(holding)}; say which, source={holding[-1]!r}",
            sources=holding,
        )
    return holding[0] if holding else ""
