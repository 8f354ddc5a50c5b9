"""Backtesting, frames in and frames out: no database here, and vectorbt and plotly load only when used."""

from __future__ import annotations

from workbench.backtest.engine import backtest
from workbench.backtest.parameter import between
from workbench.backtest.result import BacktestResult
from workbench.backtest.rules_json import rules_from_json
from workbench.backtest.signals import Signals, Weights
from workbench.backtest.sizing import Fixed, Percent, VolatilityTarget
from workbench.backtest.strategy import Strategy, strategy
from workbench.backtest.sweep import Bayesian, Grid, Random, SweepResult, sweep
from workbench.backtest.vectorbt_portfolio import to_vectorbt as vectorbt_portfolio

__all__ = [
    "BacktestResult",
    "Bayesian",
    "Fixed",
    "Grid",
    "Percent",
    "Random",
    "Signals",
    "Strategy",
    "SweepResult",
    "VolatilityTarget",
    "Weights",
    "backtest",
    "between",
    "rules_from_json",
    "strategy",
    "sweep",
    "vectorbt_portfolio",
]


def __dir__() -> list[str]:
    """What completion offers; the modules that it is made of are found by who works on them."""
    return sorted(__all__)
