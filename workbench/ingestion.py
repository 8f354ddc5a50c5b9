"""Ingestion: source → quality rules → service; good bars are stored, the others logged with the reason.

From a vendor only missing bars are fetched, symbol by symbol; a symbol that fails does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workbench.db.frames import Written
from workbench.errors import (
    EmptyRange,
    FrameRefused,
    KeyRefused,
    QueryError,
    SourceError,
    SourceUnreachable,
    WorkbenchError,
)
from workbench.marketdata.calendar import is_daily, timezone_of
from workbench.marketdata.quality import CONTEXT_BARS, check
from workbench.marketdata.series_facts import known_of
from workbench.services.data_ingestion import DataIngestionService
from workbench.services.filters import Moment, as_moment
from workbench.sources.network import NetworkSource
from workbench.sources.source import RawBars, Source, Span

__all__ = ["IngestedSeries", "ingest"]

# From a vendor that rescales its history, some stored days are fetched again to check that they still agree.
_OVERLAP = pd.Timedelta(days=7)
_AGREES = 1e-4
# After a longer pause the whole history is fetched: it is one request either way, and always right.
_LONG_AGO = pd.Timedelta(days=365)
# After this many symbols in a row for which the vendor was unreachable, the rest are not requested.
_GIVE_UP_AFTER = 3
# How many of the last bars are read to determine the bar length, and below how many it is uncertain.
_LOOKED_AT, _FEW = 500, 50
_NOTHING = Written(0, 0, 0)


@dataclass(frozen=True, repr=False)
class IngestedSeries:
    """The result of ingesting one symbol from one data source.

    Attributes
    ----------
    symbol, data_source, origin : str
        The symbol, the name that its bars are stored under, and what they were read from.
    rows : int
        Rows in the source; each is counted in `written` or in `refused`.
    written : Written
        The good bars: inserted, updated, unchanged.
    refused : int
        Rows that broke a rule; each is in `data_quality_logs`.
    reasons : dict of str to int
        Rule to the number of rows for which it was the first rule broken.
    example : str
        One of the reasons as text; empty if no row was refused.
    noted : int
        Warnings about stored bars that look odd (spikes, gaps); each is in `data_quality_logs`.
    error : str
        Why the symbol failed; empty on success.
    unused : tuple of str
        Columns of a file that are not part of a bar, as named in the file: "Adj Close".
    unreachable : bool
        Whether it failed because the vendor did not answer.
    """

    symbol: str
    data_source: str
    origin: str
    rows: int
    written: Written
    refused: int
    reasons: dict[str, int]
    example: str
    noted: int = 0
    error: str = ""
    unused: tuple[str, ...] = ()
    unreachable: bool = False

    def __repr__(self) -> str:
        text = str(self.written)
        text += f", {self.refused:,} refused ({self.example})" if self.refused else ""
        text += f"; {self.error}" if self.error else ""
        return f"<IngestedSeries {self.symbol} ({self.data_source}): {text}>"


Progress = Callable[[IngestedSeries], None]


def ingest(
    service: DataIngestionService,
    source: Source,
    symbols: Sequence[str],
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    calendar: str | None = None,
    progress: Progress | None = None,
) -> list[IngestedSeries]:
    """Load the bars of `symbols` in `[start, end)` from a source into the database.

    Each series (symbol and data source) is one transaction: its bars, its refusals, its corporate actions
    and its status. Running it again does not change rows that are the same.

    From a vendor, without `start`, each series continues from its last stored bar, which is fetched again
    since it may have been incomplete. If the vendor rescales its history at a split and there was one
    since, the whole series is fetched again. A symbol that fails is recorded in `ingestion_status`, and the
    others continue.

    Parameters
    ----------
    service : DataIngestionService
    source : Source
    symbols : sequence of str
    start, end : str, date or Timestamp, optional
    calendar : str, optional
        The exchange calendar that bars are checked against, by its exchange_calendars name; "none" or "" for
        none. Default: the source's. It is stored as the series' own, which says when its bars are complete,
        unless its bars are also of other days.
    progress : callable, optional
        Called with each series when it is stored or has failed.

    Raises
    ------
    QueryError
        There is no such calendar; nothing was fetched.
    UnknownSymbol
        The source does not have a symbol; nothing was read or written. From a vendor: all symbols failed.
    EmptyRange
        The source has the symbols, but no row in the range.
    SourceError
        The source cannot be read; from a vendor: all symbols failed, or the key was refused.
    """
    span = Span(as_moment(start, "start"), as_moment(end, "end"))
    chosen_calendar = _calendar(source, calendar)
    if isinstance(source, NetworkSource):
        vendor = _VendorIngest(service, source, span, chosen_calendar, said=calendar is not None)
        return vendor.ingest(list(dict.fromkeys(symbols)), progress)
    done = []
    for raw in source.fetch(list(symbols), span.start, span.end):
        if raw.rows.empty:
            continue
        series = _store(service, raw, chosen_calendar, said=calendar is not None)
        done.append(series)
        if progress is not None:
            progress(series)
    if not done:
        bounds = "" if span.start is None else f" from {span.start:%Y-%m-%d}"
        bounds += "" if span.end is None else f" before {span.end:%Y-%m-%d}"
        raise EmptyRange(f"the source has no bars of {', '.join(symbols)}{bounds}; nothing was written")
    return done


@dataclass(frozen=True)
class _Stored:
    """The first and the last stored bar of a series."""

    first: pd.Timestamp
    last: pd.Timestamp


class _VendorIngest:
    """Ingests symbols from a vendor, each from its last stored bar on."""

    def __init__(
        self,
        service: DataIngestionService,
        source: NetworkSource,
        span: Span,
        calendar: str | None,
        *,
        said: bool,
    ) -> None:
        self._service = service
        self._source = source
        self._span = span
        self._calendar = calendar
        self._said = said

    def ingest(self, symbols: Sequence[str], progress: Progress | None) -> list[IngestedSeries]:
        """Ingest one symbol after the other; failures are recorded, and raised only if all symbols fail."""
        stored = self._stored(symbols)
        done: list[IngestedSeries] = []
        failures: list[WorkbenchError] = []
        unreachable = 0
        for symbol in symbols:
            try:
                if unreachable >= _GIVE_UP_AFTER:
                    raise SourceUnreachable(f"not requested any more: {failures[-1]}")
                series = self._one(symbol, stored.get(symbol))
                unreachable = 0
            except (SourceError, QueryError, FrameRefused) as error:
                series = self._failed(symbol, error)
                failures.append(error)
                unreachable += isinstance(error, SourceUnreachable)
                if isinstance(error, KeyRefused):
                    raise
            done.append(series)
            if progress is not None:
                progress(series)
        if done and len(failures) == len(done):
            if len(done) == 1:
                raise failures[0]
            examples = "; ".join(f"{one.symbol}: {one.error}" for one in done[:3])
            more = f"; and {len(done) - 3} more" if len(done) > 3 else ""
            kind = SourceUnreachable if any(one.unreachable for one in done) else SourceError
            raise kind(f"all {len(done)} symbols failed: {examples}{more}") from failures[0]
        return done

    def _one(self, symbol: str, stored: _Stored | None) -> IngestedSeries:
        self._refuse_to_mix(symbol, stored)
        start, end = self._span.start, self._span.end
        if stored is not None and start is None and end is not None and stored.first < end <= stored.last:
            # Everything before `end` is stored.
            return self._nothing_new(symbol, None)
        raw = self._fetch(symbol, stored)
        if not raw.rows.empty:
            return _store(self._service, raw, self._calendar, said=self._said)
        if stored is None:
            raise EmptyRange(f"{self._source.vendor} has no bars of {symbol} there; nothing was written")
        return self._nothing_new(symbol, raw.actions)

    def _fetch(self, symbol: str, stored: _Stored | None) -> RawBars:
        span = self._span
        if stored is None or (span.end is not None and span.end <= stored.first):
            return self._ask(symbol, span.start, span.end)
        if not self._source.rescales:
            return self._ask(symbol, stored.last if span.start is None else span.start, span.end)
        return self._rescaled(symbol, stored)

    def _rescaled(self, symbol: str, stored: _Stored) -> RawBars:
        """The missing bars if the vendor's history still agrees with the stored one; else all of it."""
        span = self._span
        overlap = stored.last - _OVERLAP
        start = overlap if span.start is None else min(overlap, span.start)
        if stored.last > pd.Timestamp.now("UTC") - _LONG_AGO:
            # Up to now, not only to `end`: a split after `end` has rescaled the bars before it.
            raw = self._ask(symbol, start, None)
            if self._agrees(raw, start, stored):
                rows = Span(stored.last if span.start is None else span.start, span.end).cut(raw.rows)
                return replace(raw, rows=rows)
        whole = self._ask(symbol, None, None)
        if whole.rows.empty or whole.rows["timestamp"].min() > stored.first:
            raise SourceError(
                f"{self._source.vendor} has rescaled {symbol} since it was stored, as it does at a split, "
                f"and no longer gives {self._source.interval} bars from {stored.first:%Y-%m-%d} on: delete "
                "the stored ones and ingest anew, or store the new ones under another name (data_source)"
            )
        return whole

    def _agrees(self, raw: RawBars, start: pd.Timestamp, stored: _Stored) -> bool:
        if raw.actions is not None:
            splits = raw.actions[raw.actions["kind"] == "split"]["ex_date"]
            if (splits > stored.last.tz_localize(None).floor("D")).any():
                return False
        # Without the last stored bar: it may have been incomplete.
        ours = self._service.bars_before(raw.symbol, stored.last, source=raw.data_source, since=start)
        ours = ours.droplevel("symbol")
        theirs = raw.rows.drop_duplicates("timestamp").set_index("timestamp")["close"].reindex(ours.index)
        off = np.abs(theirs.to_numpy() / ours["close"].to_numpy() - 1)
        return not (off > _AGREES).any()

    def _ask(self, symbol: str, start: pd.Timestamp | None, end: pd.Timestamp | None) -> RawBars:
        return next(iter(self._source.fetch([symbol], start, end)))

    def _refuse_to_mix(self, symbol: str, stored: _Stored | None) -> None:
        if stored is None:
            return
        name, usual = self._source.data_source, self._source.usual_name
        after = stored.last + pd.Timedelta(microseconds=1)
        latest = self._service.bars_before(symbol, after, _LOOKED_AT, source=name)
        times = pd.DatetimeIndex(latest.index.get_level_values("timestamp"))
        if is_daily(times) != self._source.daily or not self._fits(times):
            instead = "" if name == usual else f", or under {usual}, as without that"
            raise SourceError(
                f"{name} holds bars of {symbol} that are not of {self._source.interval}, and a series has "
                f"bars of one length: store these under another name (data_source){instead}"
            )

    def _fits(self, times: pd.DatetimeIndex) -> bool:
        """Whether bars at these times can have the source's length: all steps are multiples of it."""
        if self._source.daily or len(times) < 2:
            return True
        length = pd.Timedelta(self._source.interval)
        step = pd.Timedelta(int(np.gcd.reduce(np.diff(times.as_unit("us").asi8))), unit="us")
        # With few bars, a larger common step may be chance.
        return step == length or (step > length and len(times) < _FEW)

    def _nothing_new(self, symbol: str, actions: pd.DataFrame | None) -> IngestedSeries:
        name, origin = self._source.data_source, self._source.origin
        if actions is not None and not actions.empty:
            self._service.write_corporate_actions(actions.assign(data_source=name))
        self._note(symbol, last_success_at=_now())
        return IngestedSeries(symbol, name, origin, 0, _NOTHING, 0, {}, "")

    def _failed(self, symbol: str, error: WorkbenchError) -> IngestedSeries:
        self._note(symbol, last_error_at=_now(), last_error=str(error))
        name, origin = self._source.data_source, self._source.origin
        away = isinstance(error, SourceUnreachable)
        return IngestedSeries(
            symbol, name, origin, 0, _NOTHING, 0, {}, "", error=str(error), unreachable=away
        )

    def _note(self, symbol: str, **facts: object) -> None:
        frame = pd.DataFrame([{"symbol": symbol, "data_source": self._source.data_source, **facts}])
        self._service.write_ingestion_status(frame)

    def _stored(self, symbols: Sequence[str]) -> dict[str, _Stored]:
        status = self._service.status_stored(list(symbols), source=self._source.data_source)
        there = status[status["bars"] > 0]
        bounds = zip(there["symbol"], there["first_bar"], there["last_bar"], strict=True)
        return {symbol: _Stored(first, last) for symbol, first, last in bounds}


def _calendar(source: Source, given: str | None) -> str | None:
    """The calendar to use, or None; raises if it does not exist."""
    if given is None:
        return source.calendar
    if given.strip().lower() in {"", "none"}:
        return None
    timezone_of(given)
    return given


def _store(
    service: DataIngestionService, raw: RawBars, calendar: str | None, *, said: bool
) -> IngestedSeries:
    checked = check(
        raw.rows,
        symbol=raw.symbol,
        data_source=raw.data_source,
        origin=raw.origin,
        calendar=calendar,
        before=lambda moment: service.bars_before(raw.symbol, moment, CONTEXT_BARS, source=raw.data_source),
        actions=_actions(service, raw),
    )
    logged = pd.concat([checked.refused, checked.noted], ignore_index=True)
    refused = checked.refused
    written = service.write_checked_bars(
        checked.good,
        logged.rename(columns={"row": "row_number"}),
        source=raw.data_source,
        actions=raw.actions,
        known=_known(service, raw, checked.good, calendar, said=said),
    )
    return IngestedSeries(
        symbol=raw.symbol,
        data_source=raw.data_source,
        origin=raw.origin,
        rows=len(raw.rows),
        written=written,
        refused=len(refused),
        reasons={str(rule): int(count) for rule, count in refused["rule"].value_counts().items()},
        example="" if refused.empty else _example(refused),
        noted=len(checked.noted),
        unused=raw.unused,
    )


def _known(
    service: DataIngestionService, raw: RawBars, bars: pd.DataFrame, calendar: str | None, *, said: bool
) -> dict[str, str | None]:
    """What the new bars, and where they are few those before them, tell of the series."""
    if bars.empty:
        return {}
    times = pd.DatetimeIndex(bars["timestamp"])
    if len(times) < _LOOKED_AT and (calendar is not None or raw.interval is None):
        before = service.bars_before(raw.symbol, times.min(), _LOOKED_AT, source=raw.data_source)
        times = pd.DatetimeIndex(before.index.get_level_values("timestamp")).union(times)
    return known_of(times, calendar, raw.interval, said=said)


def _actions(service: DataIngestionService, raw: RawBars) -> pd.DataFrame:
    """The symbol's corporate actions: those just fetched, and the stored ones."""
    stored = service.actions_stored(raw.symbol, source=raw.data_source)
    if raw.actions is None or raw.actions.empty:
        return stored
    both = pd.concat([raw.actions, stored[list(raw.actions.columns)]], ignore_index=True)
    return both.drop_duplicates(["ex_date", "kind"], ignore_index=True)


def _example(refused: pd.DataFrame) -> str:
    row = refused.iloc[0]
    return f"row {row['row']}: {row['reason']}"


def _now() -> pd.Timestamp:
    return pd.Timestamp.now("UTC").floor("us")
