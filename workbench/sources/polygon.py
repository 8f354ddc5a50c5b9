"""Bars from Polygon.io, which is called Massive now: unadjusted prices, its splits and its dividends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import pandas as pd

from workbench.errors import SourceError, WorkbenchError
from workbench.sources.network import Action, NetworkSource, dates_as_utc, rows_frame
from workbench.sources.retry import NoReply, Reply
from workbench.sources.source import Span

__all__ = ["PolygonSource"]

NAMES = {field: field for field in ("open", "high", "low", "close", "volume")}
# Maximum page sizes of the endpoints.
BARS_A_PAGE, ACTIONS_A_PAGE = 50_000, 5_000
# Before the vendor's first bar; a plan with a shorter history returns what it covers.
EARLIEST = "1970-01-01"
SHORT_HISTORY = pd.Timedelta(days=30)


class PolygonSource(NetworkSource):
    """Bars of American shares from Polygon.io, through its successor's client `massive`.

    Prices are as traded (``adjusted=false``). Splits and stock dividends are returned as splits, cash
    dividends in dollars as dividends, none of them applied. Daily bars are stamped 00:00 UTC of the session's
    date, shorter ones with their start; those include trading before and after hours.

    Parameters
    ----------
    api_key : str, optional
        The key. Without it, an error explains where to create one.
    url : str, optional
        The API's base URL. Default: ``https://api.massive.com``.
    **common
        As for `NetworkSource`. Default of `per_minute`: 5, the limit of the free plan; a symbol takes three
        requests.
    """

    vendor = "polygon"
    intervals: ClassVar[Mapping[str, tuple[int, str]]] = {
        "1min": (1, "minute"),
        "5min": (5, "minute"),
        "15min": (15, "minute"),
        "30min": (30, "minute"),
        "1h": (1, "hour"),
        "1d": (1, "day"),
    }
    limit = 5
    where = (
        "create one at https://massive.com/dashboard/keys and set it in the environment as "
        "WORKBENCH_POLYGON_API_KEY"
    )

    def __init__(self, *, api_key: str | None, url: str | None = None, **common: Any) -> None:
        super().__init__(**common)
        (self._key,) = self._need(api_key=api_key)
        self._url = url
        self._client: Any = None

    def _bars(self, symbol: str, span: Span) -> tuple[pd.DataFrame, list[Action]]:
        try:
            return self._rows(symbol, span), list(self._actions(symbol, span))
        except WorkbenchError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unexpected(symbol, error) from error

    def _rows(self, symbol: str, span: Span) -> pd.DataFrame:
        multiplier, unit = self.intervals[self.interval]
        now = pd.Timestamp.now("UTC")
        end = now if span.end is None else span.end - pd.Timedelta(milliseconds=1)
        if self.daily:
            start, until = EARLIEST if span.start is None else f"{span.start.date()}", f"{end.date()}"
        else:
            begin = (now - SHORT_HISTORY) if span.start is None else span.start
            start, until = str(_millis(begin)), str(_millis(end))
        found = self._rest().list_aggs(
            quote(symbol, safe=""),
            multiplier,
            unit,
            start,
            until,
            adjusted=False,
            sort="asc",
            limit=BARS_A_PAGE,
        )
        raw = [{name: value for name, value in vars(bar).items() if value is not None} for bar in found]
        times = pd.Series([bar.get("timestamp") for bar in raw], dtype="Int64")
        moments = pd.to_datetime(times, unit="ms", utc=True)
        return rows_frame(raw, dates_as_utc(moments) if self.daily else moments, NAMES)

    def _actions(self, symbol: str, span: Span) -> Iterator[Action]:
        since = self._since(span, EARLIEST)
        until = f"{(pd.Timestamp.now('UTC') if span.end is None else span.end).date()}"
        for split in self._rest().list_stocks_splits(
            ticker=symbol,
            execution_date_gte=since,
            execution_date_lte=until,
            limit=ACTIONS_A_PAGE,
            sort="execution_date.asc",
        ):
            yield split.execution_date, "split", split.split_to / split.split_from
        foreign = set()
        for dividend in self._rest().list_stocks_dividends(
            ticker=symbol,
            ex_dividend_date_gte=since,
            ex_dividend_date_lte=until,
            limit=ACTIONS_A_PAGE,
            sort="ex_dividend_date.asc",
        ):
            if dividend.currency not in (None, "USD"):
                foreign.add(dividend.currency)
                continue
            yield dividend.ex_dividend_date, "dividend", dividend.cash_amount
        if foreign and self.on_wait is not None:
            self.on_wait(
                f"polygon: dividends of {symbol} in {', '.join(sorted(foreign))} are left out: "
                "its prices are in USD"
            )

    def _rest(self) -> Any:
        if self._client is None:
            try:
                from massive import RESTClient
            except ImportError as error:
                raise SourceError(
                    "polygon's bars come through the package massive, which is not installed: "
                    "pip install 'quant-workbench[sources]'"
                ) from error
            options = {"base": self._url.rstrip("/")} if self._url else {}
            # Its own retries ignore the rate limit and do not report waits, so they are replaced by ours.
            client = RESTClient(api_key=self._key, connection_pool_kw={"retries": False}, **options)
            client.client = _PatientPool(client.client, self)
            self._client = client
        return self._client


class _PatientPool:
    """The client's connections, with rate limit and retries; the client only calls `request`."""

    def __init__(self, pool: Any, source: PolygonSource) -> None:
        self._pool = pool
        self._source = source

    def request(self, method: str, url: str, **options: Any) -> Any:
        import urllib3

        def send() -> Reply:
            try:
                response = self._pool.request(method, url, **options)
            except urllib3.exceptions.HTTPError as error:
                raise NoReply(type(error).__name__) from error
            return Reply(response.status, response.headers, response.data, response)

        return self._source._judge(self._source.patience.ask(send)).original


def _millis(moment: pd.Timestamp) -> int:
    return int(moment.timestamp() * 1000)
