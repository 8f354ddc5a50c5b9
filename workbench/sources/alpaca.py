"""Bars from Alpaca's market data API: raw prices, its splits and its dividends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pandas as pd

from workbench.errors import SourceError, WorkbenchError
from workbench.sources.network import Action, NetworkSource, dates_as_utc, rows_frame
from workbench.sources.retry import NoReply, Patience, Reply
from workbench.sources.source import Span

__all__ = ["AlpacaSource"]

NAMES = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
FEEDS = ("sip", "iex", "delayed_sip", "otc", "boats", "overnight")
# The date of the vendor's first bars, and the default range of intraday bars.
EARLIEST = "2016-01-01"
SHORT_HISTORY = pd.Timedelta(days=30)
# The free plan gives all exchanges' trades after 15 minutes, and refuses a range that ends later.
DELAY = pd.Timedelta(minutes=16)
SECONDS = 30.0


class AlpacaSource(NetworkSource):
    """Bars of American shares from Alpaca, through its client `alpaca-py`.

    Prices are as traded (``adjustment=raw``). Forward and reverse splits and stock dividends are returned as
    splits, cash dividends as dividends, none of them applied; spin-offs, unit splits and mergers are left
    out. Daily bars are stamped 00:00 UTC of the session's date, shorter ones with their start.

    Parameters
    ----------
    api_key, api_secret : str, optional
        The key. Without it, an error explains where to create one.
    feed : str, optional
        "sip" (all exchanges), "iex" or another of Alpaca's feeds. Default: the best that the plan has,
        up to 16 minutes ago.
    url : str, optional
        The API's base URL. Default: ``https://data.alpaca.markets``.
    **common
        As for `NetworkSource`. Default of `per_minute`: 200, the limit of the free plan.
    """

    vendor = "alpaca"
    intervals: ClassVar[Mapping[str, tuple[int, str]]] = {
        "1min": (1, "Min"),
        "5min": (5, "Min"),
        "15min": (15, "Min"),
        "30min": (30, "Min"),
        "1h": (1, "Hour"),
        "1d": (1, "Day"),
    }
    limit = 200
    where = (
        "create one on the right of https://app.alpaca.markets and set its two parts in the environment as "
        "WORKBENCH_ALPACA_API_KEY and WORKBENCH_ALPACA_API_SECRET"
    )

    def __init__(
        self,
        *,
        api_key: str | None,
        api_secret: str | None,
        feed: str | None = None,
        url: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self._keys = tuple(self._need(api_key=api_key, api_secret=api_secret))
        if feed is not None and feed not in FEEDS:
            raise SourceError(f'alpaca has no feed "{feed}"; it has {", ".join(FEEDS)}')
        self.feed = feed
        self._url = url
        self._clients: dict[str, Any] = {}

    def _bars(self, symbol: str, span: Span) -> tuple[pd.DataFrame, list[Action]]:
        try:
            return self._rows(symbol, span), list(self._actions(symbol, span))
        except WorkbenchError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unexpected(symbol, error) from error

    def _rows(self, symbol: str, span: Span) -> pd.DataFrame:
        client = self._client("StockHistoricalDataClient")
        from alpaca.data.enums import Adjustment, DataFeed
        from alpaca.data.requests import StockBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

        amount, unit = self.intervals[self.interval]
        now = pd.Timestamp.now("UTC")
        start = span.start
        if start is None:
            start = pd.Timestamp(EARLIEST, tz="UTC") if self.daily else now - SHORT_HISTORY
        # The vendor's range includes its end.
        end = now if span.end is None else span.end - pd.Timedelta(microseconds=1)
        if self.feed is None:
            end = min(end, now - DELAY)
        if start > end:
            return rows_frame([], pd.Series(pd.DatetimeIndex([], tz="UTC")), NAMES)
        found = client.get_stock_bars(
            StockBarsRequest(
                symbol_or_symbols=symbol,
                timeframe=TimeFrame(amount, TimeFrameUnit(unit)),
                start=start.to_pydatetime(),
                end=end.to_pydatetime(),
                adjustment=Adjustment.RAW,
                feed=None if self.feed is None else DataFeed(self.feed),
            )
        )
        raw = found.get(symbol, [])
        times = [bar.get("t") for bar in raw]
        moments = pd.Series(pd.to_datetime(pd.Series(times, dtype="str"), utc=True, errors="coerce"))
        moments = moments.dt.as_unit("us")
        return rows_frame(raw, dates_as_utc(moments) if self.daily else moments, NAMES)

    def _actions(self, symbol: str, span: Span) -> Iterator[Action]:
        client = self._client("CorporateActionsClient")
        from alpaca.data.enums import CorporateActionsType as Kind
        from alpaca.data.requests import CorporateActionsRequest

        until = pd.Timestamp.now("UTC") if span.end is None else span.end
        found = client.get_corporate_actions(
            CorporateActionsRequest(
                symbols=[symbol],
                types=[Kind.FORWARD_SPLIT, Kind.REVERSE_SPLIT, Kind.STOCK_DIVIDEND, Kind.CASH_DIVIDEND],
                start=pd.Timestamp(self._since(span, EARLIEST)).date(),
                end=until.date(),
            )
        )
        for split in [*found.get("forward_splits", []), *found.get("reverse_splits", [])]:
            yield split["ex_date"], "split", split["new_rate"] / split["old_rate"]
        for dividend in found.get("stock_dividends", []):
            yield dividend["ex_date"], "split", 1 + dividend["rate"]
        for dividend in found.get("cash_dividends", []):
            yield dividend["ex_date"], "dividend", dividend["rate"]

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            try:
                with warnings.catch_warnings():
                    # It also imports its streams, which use deprecated parts of websockets.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    from alpaca.data import historical
                    from alpaca.data.historical import corporate_actions
            except ImportError as error:
                raise SourceError(
                    "alpaca's bars come through the package alpaca-py, which is not installed: "
                    "pip install 'quant-workbench[sources]'"
                ) from error
            kinds = {
                "StockHistoricalDataClient": historical.StockHistoricalDataClient,
                "CorporateActionsClient": corporate_actions.CorporateActionsClient,
            }
            url = self._url.rstrip("/") if self._url else None
            client = kinds[name](*self._keys, raw_data=True, url_override=url)
            # Its own retries wait three seconds whatever Retry-After is: ours are used before them.
            for scheme in ("https://", "http://"):
                client._session.mount(scheme, _patient_adapter(self, self.patience))
            self._clients[name] = client
        return self._clients[name]


def _patient_adapter(source: AlpacaSource, patience: Patience) -> Any:
    import requests
    from requests.adapters import HTTPAdapter

    class PatientAdapter(HTTPAdapter):
        """The client's connections, with rate limit and retries."""

        def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
            options["timeout"] = options.get("timeout") or SECONDS

            def once() -> Reply:
                try:
                    response = super(PatientAdapter, self).send(request, **options)
                    return Reply(response.status_code, response.headers, response.content, response)
                except requests.RequestException as error:
                    raise NoReply(type(error).__name__) from error

            return source._judge(patience.ask(once)).original

    return PatientAdapter()
