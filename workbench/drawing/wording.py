"""Formats numbers, times and spans for reports: short, with a dash for undefined values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

if TYPE_CHECKING:
    from pandas.api.typing import NaTType

__all__ = [
    "NOTHING",
    "TimeFormat",
    "amount",
    "bars_long",
    "benchmark_name",
    "count",
    "dates",
    "listed",
    "metric",
    "money",
    "percent",
    "ratio",
    "signed_money",
    "signed_percent",
    "span",
    "tone",
    "trades",
    "words",
]

NOTHING = "–"
"""Shown for an undefined value."""
_MINUS = "−"
_INFINITY = "∞"
_NO_DECIMALS_FROM = 10.0
_SIGNED_PERCENT = {"total_return", "benchmark_return", "alpha"}
_PERCENT = {"cagr", "volatility", "max_drawdown", "win_rate", "exposure", "turnover"}
_COUNT = {"total_trades", "open_trades", "n_bars"}


def percent(value: float, digits: int = 1) -> str:
    """A fraction as per cent: 0.1234 is "12.3%"; without decimals from 1,000 per cent on."""
    return _shown(value, f",.{digits if abs(value) < _NO_DECIMALS_FROM else 0}%")


def signed_percent(value: float, digits: int = 1) -> str:
    """Like `percent`, with a plus sign for gains."""
    return _shown(value, f"+,.{digits if abs(value) < _NO_DECIMALS_FROM else 0}%")


def ratio(value: float, digits: int = 2) -> str:
    """A ratio, such as the Sharpe ratio, with two decimals."""
    return _shown(value, f",.{digits}f")


def money(value: float, currency: str = "") -> str:
    """An amount without decimals, with two below 100; the currency's code behind it, if there is one."""
    return _in_currency(_shown(value, ",.2f" if 0.0 < abs(value) < 100.0 else ",.0f"), currency)


def signed_money(value: float, currency: str = "") -> str:
    """Like `money`, with a plus sign for gains."""
    return _in_currency(_shown(value, "+,.2f" if 0.0 < abs(value) < 100.0 else "+,.0f"), currency)


def amount(value: float) -> str:
    """A price or a number of units: five significant digits, no trailing zeros."""
    if not math.isfinite(value) or value == 0.0:
        return _shown(value, ".0f")
    digits = 0 if abs(value) >= 10_000.0 else 4 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{min(max(digits, 0), 8)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", _MINUS)


def count(value: float) -> str:
    """A whole number, thousands grouped."""
    return _shown(value, ",.0f")


def trades(closed: float, still_open: float) -> str:
    """Number of trades: "48", or "48 (+1 open)" with one that is still open."""
    return count(closed) + (f" (+{count(still_open)} open)" if still_open else "")


def metric(name: str, value: float) -> str:
    """A metric, formatted by its name: as per cent, a count, or a ratio."""
    if name in _SIGNED_PERCENT:
        return signed_percent(value)
    if name in _PERCENT:
        return percent(value)
    return count(value) if name in _COUNT else ratio(value)


def bars_long(value: float) -> str:
    """A length in bars: "1 bar", "1,200 bars"."""
    shown = count(value)
    return shown if shown == NOTHING else f"{shown} bar{'' if shown == '1' else 's'}"


def tone(value: float) -> str:
    """A CSS class of the page: "gain", "loss", or "" for zero and NaN."""
    if math.isnan(value) or value == 0.0:
        return ""
    return "gain" if value > 0.0 else "loss"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The names joined by commas; of many, the first `most` and the number of the others."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


class Dated(Protocol):
    """The attributes of a backtest's record used here."""

    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> pd.Timestamp: ...
    @property
    def end(self) -> pd.Timestamp: ...
    @property
    def benchmark(self) -> pd.Series[Any]: ...


def span(record: Dated) -> str:
    """Symbols and dates: "AAPL, IBM · 2000-03-01 to 2013-03-01"."""
    return f"{listed(record.symbols)} · {dates(record)}"


def dates(record: Dated) -> str:
    """Start and end dates, in UTC."""
    return f"{record.start:%Y-%m-%d} to {record.end:%Y-%m-%d}"


def words(name: object) -> str:
    """A name with spaces for underscores: "stop_loss" is "stop loss"."""
    return str(name).replace("_", " ")


def benchmark_name(record: Dated) -> str:
    """The benchmark's name: "buy and hold" by default."""
    return "benchmark" if record.benchmark.name is None else str(record.benchmark.name)


class TimeFormat:
    """Formats a result's timestamps: as dates if no date has two bars, otherwise to the minute (UTC)."""

    def __init__(self, index: pd.DatetimeIndex) -> None:
        self.intraday = bool(index.normalize().has_duplicates)
        self._format = "%Y-%m-%d %H:%M" if self.intraday else "%Y-%m-%d"

    @property
    def hover(self) -> str:
        """The same format for Plotly's axes."""
        return self._format

    def text(self, time: pd.Timestamp | NaTType) -> str:
        """One timestamp; a dash for NaT."""
        return NOTHING if pd.isna(time) else str(time.strftime(self._format))

    def texts(self, times: pd.Series[pd.Timestamp] | pd.DatetimeIndex) -> list[str]:
        """Timestamps for an axis, as text: Plotly would show numbers in the reader's local time."""
        index = pd.DatetimeIndex(times)
        if self.intraday and bool((index.second != 0).any()):
            return list(index.strftime("%Y-%m-%d %H:%M:%S"))
        return list(index.strftime(self._format))


def _in_currency(amount: str, currency: str) -> str:
    return f"{amount} {currency}" if currency and amount != NOTHING else amount


def _shown(value: float, form: str) -> str:
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return _INFINITY if value > 0 else _MINUS + _INFINITY
    text = format(value, form)
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # a value that rounds to zero has no sign
    return text.replace("-", _MINUS)
