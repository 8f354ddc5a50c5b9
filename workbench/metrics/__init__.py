"""Performance figures as pure functions of returns, trades or positions; nothing here knows an engine.

Conventions, the same for every function of the package:

- `returns` are simple returns, one per period: 0.01 is +1 %. Float64, oldest first, any index.
- A NaN return is a period that was not observed: it is left out, as if it were not there.
- Annualised figures use `periods_per_year`: 252 for daily bars, so a year is 252 bars, whatever the
  calendar says.
- Volatility is the sample standard deviation (ddof=1); skewness and kurtosis are population moments.
- The starting capital is the first peak, so a loss in the very first period is a drawdown.
- The risk-free rate is zero per period unless `risk_free` says otherwise.
- A figure that is not defined (no returns, one return where two are needed, no volatility, no loss or
  drawdown to divide by) is NaN: never infinity, never zero.
- A deviation up to ``1e-12 * (1 + abs(mean))`` is rounding and counts as no volatility, for every figure
  that divides by a spread of returns; `only_rounding` of `observations` gives the reasons.
- What is no Series of numbers, an infinite value, and an argument that is no number are refused
  (`BacktestError`).
- A figure of trades counts closed trades after costs; a trade whose profit is NaN is left out.
"""

from __future__ import annotations

from workbench.metrics.activity import exposure, turnover
from workbench.metrics.drawdowns import calmar, drawdown, max_drawdown, max_drawdown_length
from workbench.metrics.relative import alpha, beta, down_capture, information_ratio, up_capture
from workbench.metrics.returns import (
    cagr,
    expanding_sharpe,
    omega,
    sharpe,
    sortino,
    stability,
    total_return,
    volatility,
)
from workbench.metrics.tails import (
    conditional_value_at_risk,
    kurtosis,
    skewness,
    tail_ratio,
    value_at_risk,
)
from workbench.metrics.trades import expectancy, profit_factor, sqn, win_rate

__all__ = [
    "alpha",
    "beta",
    "cagr",
    "calmar",
    "conditional_value_at_risk",
    "down_capture",
    "drawdown",
    "expanding_sharpe",
    "expectancy",
    "exposure",
    "information_ratio",
    "kurtosis",
    "max_drawdown",
    "max_drawdown_length",
    "omega",
    "profit_factor",
    "sharpe",
    "skewness",
    "sortino",
    "sqn",
    "stability",
    "tail_ratio",
    "total_return",
    "turnover",
    "up_capture",
    "value_at_risk",
    "volatility",
    "win_rate",
]
