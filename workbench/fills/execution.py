"""`Execution`: the rules under which signals become fills, checked once; shared by backtests and sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict, get_args

from workbench.arguments import as_flag, as_number, named
from workbench.errors import BacktestError
from workbench.fills.sizing import Size, largest_fraction
from workbench.signals.decisions import Fill
from workbench.spelling import did_you_mean, near_names

__all__ = ["Execution", "Fill", "Rules", "execution_of"]


class Rules(TypedDict, total=False):
    """`Execution`, as the keyword arguments of a function; each may be left out."""

    fees: float
    fixed_fees: float
    slippage: float
    cash: float
    cash_sharing: bool | None
    fill: Fill
    size: Size | None
    stop_loss: float | None
    take_profit: float | None
    trailing_stop: float | None
    whole_units: bool
    leverage: float
    periods_per_year: float


_LEAST_CASH, _MOST_CASH = 1e-6, 1e15
"""Starting capital in currency: less buys nothing that rounding leaves; of more a float holds no cents."""

_STOPS = ("stop_loss", "take_profit", "trailing_stop")
_ADVICE = {
    "cash": "give an amount such as 100_000",
    "fees": "give a fraction of the traded value such as 0.001",
    "slippage": "give a fraction of the price such as 0.0005",
    "fixed_fees": "give an amount per order such as 5.0",
    "leverage": "give a multiple of equity such as 1.0",
    "periods_per_year": "give the bars in a year, 252 for daily ones",
    "stop_loss": "give a fraction of the entry price such as 0.05, or None",
    "take_profit": "give a fraction of the entry price such as 0.05, or None",
    "trailing_stop": "give a fraction of the best price such as 0.05, or None",
}


@dataclass(frozen=True)
class Execution:
    """The rules of filling; `backtest` explains each of them.

    Numbers of any type (int, NumPy's, Decimal) are kept as floats, so that 1000 and 1000.0 are one rule.

    Raises
    ------
    BacktestError
        Something that is not a number, not True or False, or no size; or capital, costs, stops or a year's
        length that no account could have.
    """

    fees: float = 0.001
    fixed_fees: float = 0.0
    slippage: float = 0.0
    cash: float = 100_000.0
    cash_sharing: bool | None = None
    fill: Fill = "next_open"
    size: Size | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None
    whole_units: bool = False
    leverage: float = 1.0
    periods_per_year: float = 252.0

    def __post_init__(self) -> None:
        self._settle_types()
        if not _LEAST_CASH <= self.cash <= _MOST_CASH:
            raise BacktestError(
                f"cash: {self.cash} is no starting capital; give a positive amount from {_LEAST_CASH:g} to "
                f"{_MOST_CASH:g}."
            )
        for name in ("fees", "slippage"):
            value = getattr(self, name)
            if not 0.0 <= value < 1.0:
                raise BacktestError(
                    f"{name}: {value} is no fraction of the traded value; "
                    "give one from 0 to below 1 (0.001 is 0.1 %)."
                )
        if not (math.isfinite(self.fixed_fees) and self.fixed_fees >= 0):
            raise BacktestError(f"fixed_fees: {self.fixed_fees} is no amount per order; give 0 or more.")
        if not isinstance(self.fill, str) or self.fill not in get_args(Fill):
            raise BacktestError(f"fill: {named(self.fill)} is none of {', '.join(get_args(Fill))}.")
        if self.size is not None and not isinstance(self.size, Size):
            raise BacktestError(_no_size(self.size))
        for name in _STOPS:
            value = getattr(self, name)
            # A long position can gain more than it cost; it cannot lose more.
            most = math.inf if name == "take_profit" else 1.0
            if value is not None and not 0.0 < value < most:
                raise BacktestError(
                    f"{name}: {value} is no distance from the entry price; give a fraction such as 0.05."
                )
        if not (math.isfinite(self.leverage) and self.leverage > 0):
            raise BacktestError(
                f"leverage: {self.leverage} is no multiple of equity; give one above 0 (1 borrows nothing)."
            )
        if self.size is not None and largest_fraction(self.size) > max(self.leverage, 1.0):
            raise BacktestError(
                f"size: {largest_fraction(self.size):.10g} of equity is more than leverage={self.leverage:g} "
                "allows; give at most 1 (0.5 is 50 %), or more leverage."
            )
        if not (math.isfinite(self.periods_per_year) and self.periods_per_year > 0):
            raise BacktestError(
                f"periods_per_year: {self.periods_per_year} is no number of bars; "
                "give a positive one (252 for daily bars)."
            )

    def _settle_types(self) -> None:
        """Numbers as floats and switches as bool; `BacktestError` where something is neither."""
        for name, advice in _ADVICE.items():
            given = getattr(self, name)
            if given is None and name in _STOPS:
                continue
            object.__setattr__(self, name, as_number(given, name, advice))
        object.__setattr__(self, "whole_units", as_flag(self.whole_units, "whole_units"))
        if self.cash_sharing is not None:
            object.__setattr__(self, "cash_sharing", as_flag(self.cash_sharing, "cash_sharing"))

    @property
    def has_stops(self) -> bool:
        """Whether any stop is set."""
        return not (self.stop_loss is None and self.take_profit is None and self.trailing_stop is None)


def execution_of(rules: Mapping[str, Any]) -> Execution:
    """The rules of filling from keyword arguments.

    Raises
    ------
    BacktestError
        There is no rule of that name, or it has a value that it cannot have.
    """
    known = [rule.name for rule in fields(Execution)]
    for name in rules:
        if name not in known:
            raise BacktestError(
                f"there is no rule {name!r}{did_you_mean(near_names(name, known))}; the rules are "
                f"{', '.join(known)}."
            )
    return Execution(**rules)


def _no_size(given: Any) -> str:
    """What to give in place of something that is no size."""
    return (
        f"size: {named(given)} is no size; give Percent(0.5), Fixed(100) or VolatilityTarget(0.10). For a "
        "size of your own give Percent(frame), the fraction of equity that an entry takes by bar and symbol, "
        "or trade Weights, which also change what is held."
    )
