"""The figures of a backtest, by name and by date; each is computed in `workbench.backtest.metrics`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest import metrics as figures

if TYPE_CHECKING:
    from workbench.backtest.result import BacktestResult

__all__ = ["all_figures", "by_date"]


def all_figures(result: BacktestResult) -> dict[str, float]:
    """The figures that `BacktestResult.metrics` names; NaN where undefined."""
    returns, rival, year = result.returns, result.benchmark_returns, result.periods_per_year
    closed = result.trades.loc[result.trades["status"] == "closed", "pnl"]
    return {
        "total_return": figures.total_return(returns),
        "benchmark_return": float(result.benchmark.iloc[-1] / result.initial_cash - 1.0),
        "cagr": figures.cagr(returns, periods_per_year=year),
        "volatility": figures.volatility(returns, periods_per_year=year),
        "sharpe_ratio": figures.sharpe(returns, periods_per_year=year),
        "sortino": figures.sortino(returns, periods_per_year=year),
        "calmar": figures.calmar(returns, periods_per_year=year),
        "omega": figures.omega(returns),
        "stability": figures.stability(returns),
        "max_drawdown": figures.max_drawdown(returns),
        "max_drawdown_length": figures.max_drawdown_length(returns),
        "value_at_risk": figures.value_at_risk(returns),
        "conditional_value_at_risk": figures.conditional_value_at_risk(returns),
        "tail_ratio": figures.tail_ratio(returns),
        "skewness": figures.skewness(returns),
        "kurtosis": figures.kurtosis(returns),
        "alpha": figures.alpha(returns, rival, periods_per_year=year),
        "beta": figures.beta(returns, rival),
        "information_ratio": figures.information_ratio(returns, rival, periods_per_year=year),
        "up_capture": figures.up_capture(returns, rival),
        "down_capture": figures.down_capture(returns, rival),
        "total_trades": float(len(closed)),
        "open_trades": float(len(result.trades) - len(closed)),
        "win_rate": figures.win_rate(closed),
        "profit_factor": figures.profit_factor(closed),
        "expectancy": figures.expectancy(closed),
        "sqn": figures.sqn(closed),
        "exposure": figures.exposure(result.exposure),
        "turnover": figures.turnover(result.turnover) * year,
        "fees_paid": float(result.orders["fees"].sum()),
        "slippage_paid": _slippage_paid(result),
        "final_equity": float(result.equity.iloc[-1]),
    }


def by_date(returns: pd.Series[float], trades: pd.DataFrame, *, periods_per_year: float) -> pd.DataFrame:
    """What `BacktestResult.performance` returns, of any record of returns and trades.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns by timestamp, UTC.
    trades : DataFrame
        As `BacktestResult.trades`.
    periods_per_year : float
    """
    index = pd.DatetimeIndex(returns.index)
    closed = trades[trades["status"] == "closed"].sort_values("exit_time", kind="stable")
    wins = np.concatenate([[0.0], np.cumsum(closed["pnl"].to_numpy(dtype=np.float64) > 0.0)])
    count = np.asarray(pd.DatetimeIndex(closed["exit_time"]).searchsorted(index, side="right"))
    sharpe = figures.expanding_sharpe(returns, periods_per_year=periods_per_year)
    bars = pd.DataFrame(
        {
            "date": index.date,
            "returns": 1.0 + returns.to_numpy(),
            "sharpe_ratio": sharpe.to_numpy(),
            "max_drawdown": figures.drawdown(returns).cummin().to_numpy(),
            "total_trades": count.astype(np.int64),
            "win_rate": np.where(count > 0, wins[count] / np.maximum(count, 1), math.nan),
        }
    )
    dates_of = bars.groupby("date", sort=True)
    dates = dates_of.tail(1).assign(returns=dates_of["returns"].prod().to_numpy() - 1.0)
    return dates.reset_index(drop=True)


def _slippage_paid(result: BacktestResult) -> float:
    """By how much the fills together were worse than their prices without slippage, in currency."""
    orders, slippage = result.orders, result.slippage
    side = np.where(orders["side"] == "buy", 1.0, -1.0)
    value = orders["size"].to_numpy() * orders["price"].to_numpy()
    return float((value * slippage / (1.0 + side * slippage)).sum())
