"""How numbers, times and spans read in a report: short, and a dash where there is nothing to say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

if TYPE_CHECKING:
    from pandas.api.typing import NaTType

__all__ = [
    "NOTHING",
    "Clock",
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
"""Stands for a figure that is not defined."""
_MINUS = "−"
_ENDLESS = "∞"
_MANYFOLD = 10.0
_SIGNED_PERCENT = {"total_return", "benchmark_return", "alpha"}
_PERCENT = {"cagr", "volatility", "max_drawdown", "win_rate", "exposure", "turnover"}
_COUNT = {"total_trades", "open_trades", "n_bars"}


def percent(value: float, digits: int = 1) -> str:
    """A fraction as per cent: 0.1234 is "12.3%"; from 1,000 per cent on without decimals."""
    return _shown(value, f",.{digits if abs(value) < _MANYFOLD else 0}%")


def signed_percent(value: float, digits: int = 1) -> str:
    """As `percent`, with a plus before a gain."""
    return _shown(value, f"+,.{digits if abs(value) < _MANYFOLD else 0}%")


def ratio(value: float, digits: int = 2) -> str:
    """A ratio such as Sharpe's, with two decimals."""
    return _shown(value, f",.{digits}f")


def money(value: float) -> str:
    """An amount of currency without decimals; with two where it is below 100."""
    return _shown(value, ",.2f" if 0.0 < abs(value) < 100.0 else ",.0f")


def signed_money(value: float) -> str:
    """As `money`, with a plus before a gain."""
    return _shown(value, "+,.2f" if 0.0 < abs(value) < 100.0 else "+,.0f")


def amount(value: float) -> str:
    """A price or a number of units: five significant digits, and no zero behind them."""
    if not math.isfinite(value) or value == 0.0:
        return _shown(value, ".0f")
    digits = 0 if abs(value) >= 10_000.0 else 4 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{min(max(digits, 0), 8)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", _MINUS)


def count(value: float) -> str:
    """A whole number, thousands grouped."""
    return _shown(value, ",.0f")


def trades(closed: float, still_open: float) -> str:
    """How many trades: "48", and with one that is still open "48 (+1 open)"."""
    return count(closed) + (f" (+{count(still_open)} open)" if still_open else "")


def metric(name: str, value: float) -> str:
    """A metric of a variant as its name asks for: per cent, a count, or a ratio."""
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
    """A class of the page's style: "gain", "loss", or nothing for zero and what is not defined."""
    if math.isnan(value) or value == 0.0:
        return ""
    return "gain" if value > 0.0 else "loss"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The names with commas; of many the first, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


class Dated(Protocol):
    """What was traded, and when: a backtest's record."""

    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> pd.Timestamp: ...
    @property
    def end(self) -> pd.Timestamp: ...
    @property
    def benchmark(self) -> pd.Series[Any]: ...


def span(record: Dated) -> str:
    """What was traded and when: "AAPL, IBM · 2000-03-01 to 2013-03-01"."""
    return f"{listed(record.symbols)} · {dates(record)}"


def dates(record: Dated) -> str:
    """From when to when, in UTC."""
    return f"{record.start:%Y-%m-%d} to {record.end:%Y-%m-%d}"


def words(name: object) -> str:
    """A name as people write it: "stop_loss" is "stop loss"."""
    return str(name).replace("_", " ")


def benchmark_name(record: Dated) -> str:
    """What the benchmark is called: "buy and hold" unless another one was given."""
    return "benchmark" if record.benchmark.name is None else str(record.benchmark.name)


class Clock:
    """Writes this result's timestamps: dates where no date has two bars, otherwise to the minute (UTC)."""

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
        """Timestamps for an axis. As text, since Plotly takes numbers for the reader's local time."""
        index = pd.DatetimeIndex(times)
        if self.intraday and bool((index.second != 0).any()):
            return list(index.strftime("%Y-%m-%d %H:%M:%S"))
        return list(index.strftime(self._format))


def _shown(value: float, form: str) -> str:
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return _ENDLESS if value > 0 else _MINUS + _ENDLESS
    text = format(value, form)
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # what rounds to nothing has no sign
    return text.replace("-", _MINUS)
