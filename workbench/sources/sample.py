"""Real daily prices from the package `bokeh_sampledata`: five American shares, 2000 to 2013."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import SourceError, UnknownSymbol
from workbench.sources.source import ROW_COLUMNS, RawBars, Span

__all__ = ["ADJUSTED_DECIMALS", "SYMBOLS", "SampleSource"]

SYMBOLS = ("AAPL", "IBM", "MSFT", "GOOG", "FB")
"""The symbols in the package: 12,154 daily bars, all ending on 2013-03-01."""

ADJUSTED_DECIMALS = 8
"""Decimals that adjusted prices are rounded to, those of a stored price."""

UNIT = Decimal(1).scaleb(-ADJUSTED_DECIMALS)
ORIGIN = "bokeh_sampledata"
PRICES = ("open", "high", "low", "close")


class SampleSource:
    """AAPL, IBM, MSFT (from 2000-03-01), GOOG (from 2004-08-19) and FB (from 2012-05-18), daily.

    Each symbol has two series: raw as ``yahoo`` (splits are visible as jumps), and adjusted for splits
    and dividends as ``yahoo_adjusted``. Adjusted prices are the raw ones times ``adj_close / close``
    of the same day, rounded to 8 decimals (half to even); volume is the same in both. The bars are stamped
    00:00 UTC of the session's date.
    """

    calendar: ClassVar[str] = "XNYS"

    def fetch(
        self,
        symbols: Sequence[str],
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> Iterator[RawBars]:
        """Two `RawBars` per symbol, ``yahoo`` and ``yahoo_adjusted``, in [start, end), UTC.

        Raises
        ------
        UnknownSymbol
            A symbol is not one of the five; raised before anything is yielded.
        EmptyRange
            start is not before end.
        SourceError
            The package `bokeh_sampledata` is not installed.
        """
        span = Span(start, end)
        unknown = [symbol for symbol in symbols if symbol not in SYMBOLS]
        if unknown:
            raise UnknownSymbol(
                f"the sample does not have {', '.join(unknown)}; it has {', '.join(SYMBOLS)}",
                symbols=unknown,
                known=SYMBOLS,
            )
        return _bars(dict.fromkeys(symbols), _package(), span)


def _package() -> Any:
    try:
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise SourceError(
            "the sample's prices are in the package bokeh_sampledata, which is not installed: "
            "pip install 'quant-workbench[sources]'"
        ) from error
    return stocks


def _bars(symbols: dict[str, None], stocks: Any, span: Span) -> Iterator[RawBars]:
    for symbol in symbols:
        series = getattr(stocks, symbol)
        raw = {name: np.asarray(series[name], dtype=np.float64) for name in PRICES}
        adjusted = {name: _adjusted(series, name) for name in PRICES}
        yield RawBars(symbol, "yahoo", ORIGIN, span.cut(_rows(series, raw)), interval="1d")
        yield RawBars(symbol, "yahoo_adjusted", ORIGIN, span.cut(_rows(series, adjusted)), interval="1d")


def _adjusted(series: dict[str, list[Any]], name: str) -> npt.NDArray[np.float64]:
    # All four prices, the close too, are scaled and rounded alike, which keeps low <= open, close <= high.
    # Using adj_close itself, unrounded, with a rounded high and low breaks the order in 175 bars.
    # Decimal, because adj_close has up to 15 decimals, and floats round some ties the other way.
    days = zip(series[name], series["adj_close"], series["close"], strict=True)
    exact = (
        Decimal(repr(price)) * Decimal(repr(scaled)) / Decimal(repr(close)) for price, scaled, close in days
    )
    return np.array([float(price.quantize(UNIT, ROUND_HALF_EVEN)) for price in exact], dtype=np.float64)


def _rows(series: dict[str, list[Any]], prices: dict[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    dates = pd.to_datetime(pd.Series(series["date"]), format="%Y-%m-%d")
    rows = pd.DataFrame(
        {
            "row": np.arange(1, len(dates) + 1, dtype=np.int64),
            "timestamp": dates.dt.tz_localize("UTC").dt.as_unit("us"),
            **prices,
            "volume": np.asarray(series["volume"], dtype=np.float64),
            "rule": "",
            "reason": "",
        }
    )
    names = list(series)
    as_they_came = zip(*(series[name] for name in names), strict=True)
    rows["raw"] = pd.Series([dict(zip(names, values, strict=True)) for values in as_they_came], dtype=object)
    return rows[list(ROW_COLUMNS)]
