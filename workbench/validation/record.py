"""`ValidationRecord`: the out-of-sample returns, trades and metrics of a validation; no simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from workbench import metrics as figures
from workbench.fills.daily import by_date
from workbench.fills.execution import Execution
from workbench.validation.splits import Splits

__all__ = ["ValidationRecord", "joined", "ratio_of"]


@dataclass(frozen=True, eq=False, repr=False)
class ValidationRecord:
    """Out-of-sample results of parameters chosen on training bars, joined into one or more paths.

    Attributes
    ----------
    strategy : str
        The strategy's name.
    kind : str
        "walk_forward", "purged_kfold" or "combinatorial_purged".
    objective : str
        The metric that parameters were chosen by, named as in `BacktestResult.metrics`.
    splits : Splits
        The training and test rows.
    table : DataFrame
        One row per split: train_start, train_end, train_bars, test_start, test_end, test_bars (start and end
        are the first and the last bar, UTC; of several spans the outermost), the chosen parameters by name,
        in_sample and out_of_sample (the objective on the training and on the test bars), degradation
        (out_of_sample / in_sample; NaN where in_sample is not above 0), trades (entered in the test spans).
        A split without trades has 0 trades, and an out_of_sample of NaN where that is undefined.
    paths : DataFrame of float64, shape (n_tested_bars, n_paths)
        Simple returns out of sample, one column per path; each path has one return for each tested bar.
    trades : tuple of DataFrame, length n_paths
        Each path's trades, as `BacktestResult.trades`.
    variants : int
        Combinations of parameters searched in each split.
    periods_per_year : float
        Bars per year, for annualised figures.
    symbols : tuple of str
        Traded symbols, ascending.
    execution : Execution
        The execution rules.
    """

    strategy: str
    kind: str
    objective: str
    splits: Splits
    table: pd.DataFrame
    paths: pd.DataFrame
    trades: tuple[pd.DataFrame, ...]
    variants: int
    periods_per_year: float
    symbols: tuple[str, ...]
    execution: Execution

    @cached_property
    def sharpe_ratios(self) -> pd.Series[float]:
        """The annualised Sharpe ratio of each path: shape (n_paths,); NaN where undefined."""
        year = self.periods_per_year
        values = [figures.sharpe(self.paths[path], periods_per_year=year) for path in self.paths]
        return pd.Series(values, index=self.paths.columns, name="sharpe_ratio")

    @cached_property
    def path(self) -> int:
        """The number of the path with the median Sharpe ratio (the lower, of two in the middle)."""
        known = self.sharpe_ratios.dropna().sort_values(kind="stable")
        return int(known.index[(len(known) - 1) // 2]) if len(known) else 0

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Simple returns of the median path, `path`: float64, shape (n_tested_bars,)."""
        return self.paths[self.path].rename("returns")

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Growth of 1 invested at the beginning of each path: shape (n_tested_bars, n_paths)."""
        return (1.0 + self.paths).cumprod()

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Headline figures out of sample, by name; NaN where undefined.

        total_return, cagr, volatility, sharpe_ratio, sortino, calmar, max_drawdown, total_trades (closed),
        open_trades (held at the end of a test span) and win_rate of `returns`, as in
        `BacktestResult.metrics`; in_sample and out_of_sample (means over the splits) and degradation (their
        ratio).
        """
        returns, year = self.returns, self.periods_per_year
        closed = self._closed()
        return {
            "total_return": figures.total_return(returns),
            "cagr": figures.cagr(returns, periods_per_year=year),
            "volatility": figures.volatility(returns, periods_per_year=year),
            "sharpe_ratio": figures.sharpe(returns, periods_per_year=year),
            "sortino": figures.sortino(returns, periods_per_year=year),
            "calmar": figures.calmar(returns, periods_per_year=year),
            "max_drawdown": figures.max_drawdown(returns),
            "total_trades": float(len(closed)),
            "open_trades": float(len(self.trades[self.path]) - len(closed)),
            "win_rate": figures.win_rate(closed["pnl"]),
            "in_sample": float(self.table["in_sample"].mean()),
            "out_of_sample": float(self.table["out_of_sample"].mean()),
            "degradation": self.degradation,
        }

    @property
    def degradation(self) -> float:
        """Mean objective out of sample divided by that in sample, over the splits that have both.

        1 means as good as in training, 0 that nothing is left; NaN where the mean in sample is not above 0.
        """
        both = self.table[["in_sample", "out_of_sample"]].dropna()
        return ratio_of(float(both["out_of_sample"].mean()), float(both["in_sample"].mean()))

    def performance(self) -> pd.DataFrame:
        """The figures of `returns` up to the end of each date, as `BacktestResult.performance`.

        Returns
        -------
        DataFrame
            One row per date (UTC): date (`datetime.date`), returns (of that date), sharpe_ratio (of all bars
            so far; NaN before two), max_drawdown (so far), total_trades (closed so far, int64), win_rate
            (so far; NaN before the first closed trade).
        """
        return by_date(self.returns, self.trades[self.path], periods_per_year=self.periods_per_year)

    def _closed(self) -> pd.DataFrame:
        trades = self.trades[self.path]
        return trades[trades["status"] == "closed"]


def ratio_of(out_of_sample: float, in_sample: float) -> float:
    """``out_of_sample / in_sample``; NaN where `in_sample` is not above 0."""
    return out_of_sample / in_sample if in_sample > 0.0 else math.nan


def joined(trades: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The trades of several spans in one frame; if there are none, an empty one with the same columns."""
    some = [frame for frame in trades if len(frame)]
    return pd.concat(some, ignore_index=True) if some else trades[0].iloc[:0]
