"""`BacktestResult`: what a backtest found, and the figures that follow from it; no simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest import metrics as figures

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["BacktestResult"]


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """What became of the cash.

    Money is in the currency of the bars, timestamps are UTC, fractions are fractions (0.01 is 1 %).

    Attributes
    ----------
    name : str
        What this backtest is called.
    symbols : tuple of str
        What was traded, in ascending order.
    initial_cash : float
        Starting capital.
    fees, slippage : float
        Costs of a fill, as fractions of its value and of its price.
    periods_per_year : float
        Bars in a year, for annualised figures.
    equity : Series of float64, shape (n_bars,)
        Cash and holdings at each bar's close.
    cash : Series of float64, shape (n_bars,)
        Uninvested cash at each bar's close.
    positions : DataFrame of float64, shape (n_bars, n_symbols)
        Units held at each bar's close; 0 where none.
    orders : DataFrame
        One row a fill, by time: symbol, signal_time (the bar whose close gave the signal), time (the
        bar whose open filled it), side ("buy" or "sell"), size (units), price (with slippage), fees.
    trades : DataFrame
        One row a round trip, by entry_time: symbol, entry_time, exit_time, entry_price, exit_price
        (both with slippage), size, pnl (after fees), return (pnl by the value bought), fees, status
        ("closed" or "open"). An open trade has neither exit_time nor exit_price (NaT, NaN), and its
        pnl is what it was worth at the last close.
    pending : DataFrame
        Signals of the last bar that no bar has filled yet; columns as `signals()`.
    benchmark : Series of float64, shape (n_bars,)
        Equity of buying and holding the same symbols, with the same cash, costs and fills.
    """

    name: str
    symbols: tuple[str, ...]
    initial_cash: float
    fees: float
    slippage: float
    periods_per_year: float
    equity: pd.Series[float]
    cash: pd.Series[float]
    positions: pd.DataFrame
    orders: pd.DataFrame
    trades: pd.DataFrame
    pending: pd.DataFrame
    benchmark: pd.Series[float]

    @property
    def start(self) -> pd.Timestamp:
        """The first bar, UTC."""
        return pd.Timestamp(self.equity.index[0])

    @property
    def end(self) -> pd.Timestamp:
        """The last bar, UTC."""
        return pd.Timestamp(self.equity.index[-1])

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Simple return of each bar, the first against the starting capital: float64, shape (n_bars,)."""
        before = self.equity.shift(1, fill_value=self.initial_cash)
        return (self.equity / before - 1.0).rename("returns")

    @cached_property
    def drawdown(self) -> pd.Series[float]:
        """Equity below its highest so far, starting capital included: fractions in [-1, 0], (n_bars,)."""
        return figures.drawdown(self.returns)

    @cached_property
    def exposure(self) -> pd.Series[float]:
        """The share of equity that was invested at each close: fractions in [0, 1], (n_bars,)."""
        return (1.0 - self.cash / self.equity).clip(0.0, 1.0).rename("exposure")

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Headline figures by name; conventions in `workbench.backtest.metrics`, undefined ones NaN.

        total_return, benchmark_return (of `benchmark`), cagr, volatility, sharpe_ratio, sortino,
        calmar, max_drawdown (≤ 0), total_trades (closed), open_trades, win_rate (of closed trades),
        exposure (mean over the bars), fees_paid (currency), final_equity (currency).
        """
        returns, year = self.returns, self.periods_per_year
        closed = self.trades.loc[self.trades["status"] == "closed", "pnl"]
        return {
            "total_return": figures.total_return(returns),
            "benchmark_return": float(self.benchmark.iloc[-1] / self.initial_cash - 1.0),
            "cagr": figures.cagr(returns, periods_per_year=year),
            "volatility": figures.volatility(returns, periods_per_year=year),
            "sharpe_ratio": figures.sharpe(returns, periods_per_year=year),
            "sortino": figures.sortino(returns, periods_per_year=year),
            "calmar": figures.calmar(returns, periods_per_year=year),
            "max_drawdown": figures.max_drawdown(returns),
            "total_trades": float(len(closed)),
            "open_trades": float(len(self.trades) - len(closed)),
            "win_rate": figures.win_rate(closed),
            "exposure": float(self.exposure.mean()),
            "fees_paid": float(self.orders["fees"].sum()),
            "final_equity": float(self.equity.iloc[-1]),
        }

    def signals(self, *, pending: bool = False) -> pd.DataFrame:
        """The signals that changed a position.

        Parameters
        ----------
        pending : bool
            Also those of the last bar, which the next bar will fill: what a live strategy acts on.

        Returns
        -------
        DataFrame
            symbol, timestamp (of the bar whose close gave the signal, UTC), signal ("buy" or "sell"),
            strength (1.0); by timestamp, then symbol.
        """
        acted = self.orders[["symbol", "signal_time", "side"]].set_axis(
            ["symbol", "timestamp", "signal"], axis=1
        )
        acted = acted.assign(strength=1.0)
        if pending:
            acted = pd.concat([acted, self.pending], ignore_index=True)
        return acted.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)

    def performance(self) -> pd.DataFrame:
        """The figures as they stood at the end of each date; the last row is `metrics`.

        Returns
        -------
        DataFrame
            One row a date (UTC; of several bars on one date, the last): date (`datetime.date`), returns
            (of that date), sharpe_ratio (of all bars so far; NaN before two), max_drawdown (so far),
            total_trades (closed so far, int64), win_rate (so far; NaN before the first closed trade).
        """
        index = pd.DatetimeIndex(self.equity.index)
        closed = self.trades[self.trades["status"] == "closed"].sort_values("exit_time", kind="stable")
        wins = np.concatenate([[0.0], np.cumsum(closed["pnl"].to_numpy() > 0.0)])
        count = np.searchsorted(closed["exit_time"].to_numpy(), index.to_numpy(), side="right")
        bars = pd.DataFrame(
            {
                "date": index.date,
                "returns": 1.0 + self.returns.to_numpy(),
                "sharpe_ratio": figures.expanding_sharpe(
                    self.returns, periods_per_year=self.periods_per_year
                ).to_numpy(),
                "max_drawdown": self.drawdown.cummin().to_numpy(),
                "total_trades": count.astype(np.int64),
                "win_rate": np.where(count > 0, wins[count] / np.maximum(count, 1), math.nan),
            }
        )
        by_date = bars.groupby("date", sort=True)
        dates = by_date.tail(1).assign(returns=by_date["returns"].prod().to_numpy() - 1.0)
        return dates.reset_index(drop=True)

    def plot(self, benchmark: pd.Series[float] | None = None) -> Figure:
        """Equity and drawdown as an interactive picture: `workbench.backtest.report.equity_figure`."""
        from workbench.backtest.report import equity_figure

        return equity_figure(self, benchmark)

    def __repr__(self) -> str:
        m = self.metrics
        return (
            f"<BacktestResult {self.name!r}: {', '.join(self.symbols[:5])}{', …' * (len(self.symbols) > 5)}, "
            f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}, return {m['total_return']:+.2%}, "
            f"Sharpe {m['sharpe_ratio']:.2f}, max drawdown {m['max_drawdown']:.2%}, "
            f"{m['total_trades']:.0f} trades>"
        )

    def _repr_html_(self) -> str:
        from workbench.backtest.report import summary_html

        return summary_html(self)
