"""Bars from Yahoo Finance: prices adjusted for splits by Yahoo, with dividends as separate actions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import SourceError, SourceUnreachable, UnknownSymbol, WorkbenchError
from workbench.sources.network import NEW_YORK, Action, NetworkSource, dates_as_utc, rows_frame
from workbench.sources.retry import Reply
from workbench.sources.source import Span

__all__ = ["YahooSource"]

NAMES = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
PRICES = ("Open", "High", "Low", "Close", "Adj Close")
DECIMALS = 8
# Before Yahoo's first daily bar.
EARLIEST = pd.Timestamp("1900-01-01", tz="UTC")
DENIED = (401, 403)
NOTHING_THERE = "Data doesn't exist"


class YahooSource(NetworkSource):
    """Bars from Yahoo Finance, through `yfinance`.

    Yahoo divides all of a symbol's earlier prices and dividends by each split: splits are returned as actions
    that are already applied, dividends as actions that are not. Daily bars are stamped 00:00 UTC of the
    session's date, shorter ones with their start, regular hours only.

    Yahoo's prices are single precision, written as doubles (185.63999938964844): each is converted to the
    shortest decimal that is the same in single precision (185.64), rounded to eight decimals.

    Parameters
    ----------
    url : str, optional
        Base URL for all requests instead of Yahoo's hosts.
    cache : Path, optional
        The folder in which yfinance keeps cookies and time zones. Default: its own, in the user's home.
    **common
        As for `NetworkSource`. Yahoo states no limit, and answers 429 to too many requests.
    """

    vendor = "yahoo"
    # Yahoo's name, the maximum days per request, and the days of history.
    intervals: ClassVar[Mapping[str, tuple[str, int, int]]] = {
        "1min": ("1m", 7, 29),
        "5min": ("5m", 59, 59),
        "15min": ("15m", 59, 59),
        "30min": ("30m", 59, 59),
        "1h": ("1h", 729, 729),
        "1d": ("1d", 0, 0),
    }
    rescales = True

    def __init__(self, *, url: str | None = None, cache: Path | None = None, **common: Any) -> None:
        super().__init__(**common)
        self._url = url
        self._cache = cache
        self._session: Any = None
        self._status = 0

    def earliest(self) -> pd.Timestamp:
        """The start of Yahoo's history of such bars."""
        if self.daily:
            return EARLIEST
        back = self.intervals[self.interval][2]
        return pd.Timestamp.now("UTC").ceil("min") - pd.Timedelta(days=back)

    def _bars(self, symbol: str, span: Span) -> tuple[pd.DataFrame, list[Action]]:
        earliest = self.earliest()
        if not self.daily and span.start is not None and span.start < earliest - pd.Timedelta(days=1):
            raise SourceError(
                f"yahoo keeps bars of {self.interval} for {self.intervals[self.interval][2]} days: "
                f"start at {earliest:%Y-%m-%d} or later"
            )
        parts = [self._part(symbol, start, end) for start, end in self._windows(span, earliest)]
        frame = pd.concat(parts) if len(parts) > 1 else parts[0]
        frame = frame[~frame.index.duplicated(keep="last")]
        frame[list(PRICES)] = _as_meant(frame[list(PRICES)].to_numpy(dtype=np.float64))
        moments = pd.Series(pd.DatetimeIndex(frame.index))
        zone = str(moments.dt.tz)
        moments = moments.dt.tz_convert("UTC")
        dates = dates_as_utc(moments, zone)
        rows = rows_frame(_records(frame, moments), dates if self.daily else moments, NAMES)
        return rows, _actions(frame, dates)

    def _windows(
        self, span: Span, earliest: pd.Timestamp
    ) -> Iterator[tuple[pd.Timestamp, pd.Timestamp | None]]:
        """The ranges of the requests for the span, each within Yahoo's limit."""
        start = earliest if span.start is None else max(span.start, earliest)
        longest = self.intervals[self.interval][1]
        if self.daily or (span.end is not None and span.end <= start):
            yield start, span.end
            return
        end = pd.Timestamp.now("UTC") if span.end is None else span.end
        step = pd.Timedelta(days=longest)
        while start + step < end:
            yield start, start + step
            start += step
        yield start, span.end

    def _part(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp | None) -> pd.DataFrame:
        ticker, raising, errors = self._ticker(symbol)
        bounds: dict[str, Any] = {}
        if self.daily:
            bounds["start"] = f"{start.date()}"
            if end is not None:
                bounds["end"] = f"{end.ceil('D').date()}"
        else:
            bounds["start"] = start.to_pydatetime()
            if end is not None:
                bounds["end"] = end.to_pydatetime()
        try:
            with raising(), warnings.catch_warnings():
                # Its warnings are about its own use of pandas.
                warnings.simplefilter("ignore")
                found: pd.DataFrame = ticker.history(
                    interval=self.intervals[self.interval][0],
                    auto_adjust=False,
                    actions=True,
                    keepna=True,
                    **bounds,
                )
        except _NothingThere:
            return _no_bars()
        except errors.YFRateLimitError as error:
            raise SourceUnreachable("yahoo refuses because of too many requests: try again later") from error
        except errors.YFPricesMissingError as error:
            if self._status in DENIED:
                raise SourceError(
                    f"yahoo refuses to answer with status {self._status}: try again later, "
                    "or from another address"
                ) from error
            return _no_bars()
        except errors.YFException as error:
            raise SourceError(f"yahoo has no bars of {symbol}: {error}") from error
        except WorkbenchError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise self._unexpected(symbol, error) from error
        return found

    def _ticker(self, symbol: str) -> tuple[Any, Any, Any]:
        try:
            import yfinance
            from yfinance import exceptions

            from workbench.sources.yahoo_session import PatientSession, keep_caches_in, raising
        except ImportError as error:
            raise SourceError(
                "yahoo's bars come through the package yfinance, which is not installed: "
                "pip install 'quant-workbench[sources]'"
            ) from error
        if self._session is None:
            keep_caches_in(self._cache)
            self._session = PatientSession(self.patience, self._judge, self._url)
        return yfinance.Ticker(symbol, session=self._session), raising, exceptions

    def _judge(self, reply: Reply) -> Reply:
        from workbench.sources.yahoo_session import reason_in

        self._status = reply.status
        if reply.status in DENIED:
            # yfinance retries once with other cookies.
            return reply
        reason = reason_in(reply.body)
        if reply.status == 404:
            raise UnknownSymbol(f"yahoo does not have that symbol: {reason or 'not found'}")
        if reason.startswith(NOTHING_THERE):
            raise _NothingThere(reason)
        if reply.status >= 400 or reason:
            why = reason or "no reason given"
            raise SourceError(f"yahoo refuses the request with status {reply.status}: {why}")
        return reply


class _NothingThere(SourceError):
    """Yahoo has the symbol, but no bars of it in the range."""


def _no_bars() -> pd.DataFrame:
    columns = [*PRICES, "Volume", "Dividends", "Stock Splits"]
    return pd.DataFrame(columns=columns, index=pd.DatetimeIndex([], tz=NEW_YORK), dtype="float64")


def _as_meant(prices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Yahoo's single-precision prices as the decimals they mean; the shape and NaN are kept.

    A row is only converted if all of its prices are single precision: one rule for the whole bar keeps low,
    open, close and high in order.
    """
    with np.errstate(over="ignore"):
        single = prices.astype(np.float32)
    exact = ((single.astype(np.float64) == prices) | np.isnan(prices)).all(axis=1)
    meant = np.where(exact[:, None], single.astype(str).astype(np.float64), prices)
    return np.round(meant, DECIMALS).astype(np.float64)


def _records(frame: pd.DataFrame, moments: pd.Series[pd.Timestamp]) -> list[dict[str, Any]]:
    shown = frame[[*PRICES, "Volume"]].astype(object).where(frame[[*PRICES, "Volume"]].notna(), None)
    records = shown.to_dict("records")
    return [
        {"timestamp": moment.isoformat(), **{str(name): value for name, value in record.items()}}
        for moment, record in zip(moments, records, strict=True)
    ]


def _actions(frame: pd.DataFrame, dates: pd.Series[pd.Timestamp]) -> list[Action]:
    found: list[Action] = []
    for column, kind in (("Stock Splits", "split"), ("Dividends", "dividend")):
        for day, value in zip(dates, frame[column], strict=True):
            if value > 0:
                found.append((day.date(), kind, float(value)))
    return found
