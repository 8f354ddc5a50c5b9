"""How much an entry buys: `Percent`, `Fixed` or `VolatilityTarget`; how it is filled is the engine's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import BacktestError

__all__ = ["Fixed", "Percent", "Size", "VolatilityTarget"]


@dataclass(frozen=True)
class Percent:
    """A share of the account's equity at the moment of the fill, fees included.

    Attributes
    ----------
    fraction : float
        Above 0, at most 1; 1 puts all of it in.
    """

    fraction: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise BacktestError(
                f"Percent({self.fraction}): give a fraction above 0, at most 1 (0.5 is 50 %)."
            )


@dataclass(frozen=True)
class Fixed:
    """The same number of units at every entry; cut to what the cash pays for.

    Attributes
    ----------
    units : float
        Above 0; shares, contracts or coins.
    """

    units: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.units) and self.units > 0.0):
            raise BacktestError(f"Fixed({self.units}): give a number of units above 0.")


@dataclass(frozen=True)
class VolatilityTarget:
    """The share of equity at which the position's recent volatility would be `annual`.

    ``fraction = min(max_fraction, annual / (std(r, ddof=1) * sqrt(periods_per_year)))`` over the symbol's
    last `window` close-to-close returns up to the deciding bar. Without so many returns, or without any
    volatility, nothing is entered. A. Moreira and T. Muir, "Volatility-Managed Portfolios", Journal of
    Finance 72(4), 2017, scale by variance; practitioners scale by volatility, as here.

    Attributes
    ----------
    annual : float
        Volatility that is aimed at, as a fraction a year (0.10 is 10 %).
    window : int
        How many returns the volatility is measured on; 2 or more.
    max_fraction : float
        The most that is put in: above 0, at most 1.
    """

    annual: float = 0.10
    window: int = 20
    max_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.annual) and self.annual > 0.0):
            raise BacktestError(f"VolatilityTarget(annual={self.annual}): give a fraction a year above 0.")
        if self.window < 2:
            raise BacktestError(
                f"VolatilityTarget(window={self.window}): volatility needs 2 returns or more."
            )
        if not 0.0 < self.max_fraction <= 1.0:
            raise BacktestError(
                f"VolatilityTarget(max_fraction={self.max_fraction}): give a fraction above 0, at most 1."
            )


Size = Percent | Fixed | VolatilityTarget
"""What `backtest(size=…)` takes."""
