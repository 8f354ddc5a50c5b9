"""Backtesting, frames in and frames out: no database here, and vectorbt and plotly load only when used."""

from __future__ import annotations

from workbench.backtest.engine import backtest, vectorbt_portfolio
from workbench.backtest.parameter import between
from workbench.backtest.result import BacktestResult
from workbench.backtest.signals import Signals, Weights
from workbench.backtest.strategy import Strategy, strategy

__all__ = [
    "BacktestResult",
    "Signals",
    "Strategy",
    "Weights",
    "backtest",
    "between",
    "strategy",
    "vectorbt_portfolio",
]
