"""Backtesting, frames in and frames out: no database here, and vectorbt and plotly load only when used."""

from __future__ import annotations

from workbench.backtest.engine import backtest, vectorbt_portfolio
from workbench.backtest.result import BacktestResult

__all__ = ["BacktestResult", "backtest", "vectorbt_portfolio"]
