"""`Execution`: the rules under which signals become fills, checked once; shared by backtests and sweeps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict, get_args

from workbench.errors import BacktestError
from workbench.fills.sizing import Size, largest_fraction
from workbench.signals.decisions import Fill

__all__ = ["Execution", "Fill", "Rules"]


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


@dataclass(frozen=True)
class Execution:
    """The rules of filling; `backtest` explains each of them.

    Raises
    ------
    BacktestError
        Capital, costs, stops or a year's length that no account could have.
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
        if not (math.isfinite(self.cash) and self.cash > 0):
            raise BacktestError(f"cash: {self.cash} is no starting capital; give a positive amount.")
        for name in ("fees", "slippage"):
            value = getattr(self, name)
            if not 0.0 <= value < 1.0:
                raise BacktestError(
                    f"{name}: {value} is no fraction of the traded value; "
                    "give one from 0 to below 1 (0.001 is 0.1 %)."
                )
        if not (math.isfinite(self.fixed_fees) and self.fixed_fees >= 0):
            raise BacktestError(f"fixed_fees: {self.fixed_fees} is no amount per order; give 0 or more.")
        if self.fill not in get_args(Fill):
            raise BacktestError(f"fill: {self.fill!r} is none of {', '.join(get_args(Fill))}.")
        if self.size is not None and not isinstance(self.size, Size):
            raise BacktestError(_no_size(self.size))
        for name in ("stop_loss", "take_profit", "trailing_stop"):
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

    @property
    def has_stops(self) -> bool:
        """Whether any stop is set."""
        return not (self.stop_loss is None and self.take_profit is None and self.trailing_stop is None)


def _no_size(given: Any) -> str:
    """What to give in place of something that is no size."""
    what = f"a {type(given).__name__}"
    if isinstance(given, int | float | str):
        what = repr(given)
    return (
        f"size: {what} is no size; give Percent(0.5), Fixed(100) or VolatilityTarget(0.10). For a size of "
        "your own give Percent(frame), the fraction of equity that an entry takes by bar and symbol, or "
        "trade Weights, which also change what is held."
    )
