"""The figures of a record of returns and trades as they stood at the end of each date."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench import metrics as figures

__all__ = ["by_date"]


def by_date(returns: pd.Series[float], trades: pd.DataFrame, *, periods_per_year: float) -> pd.DataFrame:
    """What `BacktestRecord.performance` returns, of any record of returns and trades.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns by timestamp, UTC.
    trades : DataFrame
        As `BacktestRecord.trades`.
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
