"""Documented strategies, each with its source; copy one to start your own."""

from __future__ import annotations

from workbench.signals.strategy import Strategy
from workbench.strategies.mean_reversion import bollinger_reversal, rsi_reversal
from workbench.strategies.momentum import cross_sectional_momentum
from workbench.strategies.pairs import pairs_zscore
from workbench.strategies.trend import donchian_breakout, macd_cross, sma_cross, time_series_momentum
from workbench.strategies.volatility import volatility_target

__all__ = [
    "LIBRARY",
    "bollinger_reversal",
    "cross_sectional_momentum",
    "donchian_breakout",
    "macd_cross",
    "pairs_zscore",
    "rsi_reversal",
    "sma_cross",
    "time_series_momentum",
    "volatility_target",
]

LIBRARY: dict[str, Strategy] = {
    "sma_cross": sma_cross,
    "macd_cross": macd_cross,
    "donchian_breakout": donchian_breakout,
    "time_series_momentum": time_series_momentum,
    "rsi_reversal": rsi_reversal,
    "bollinger_reversal": bollinger_reversal,
    "cross_sectional_momentum": cross_sectional_momentum,
    "pairs_zscore": pairs_zscore,
    "volatility_target": volatility_target,
}
"""All strategies of this package by name."""
