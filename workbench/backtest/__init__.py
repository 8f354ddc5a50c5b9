"""Backtesting, frames in and frames out: no database here, and vectorbt and plotly load only when used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from workbench.backtest.engine import backtest
from workbench.backtest.result import BacktestResult
from workbench.backtest.rules_json import rules_from_json
from workbench.backtest.with_vectorbt import to_vectorbt as vectorbt_portfolio
from workbench.fills.sizing import Fixed, Percent, VolatilityTarget
from workbench.moved import find_moved
from workbench.signals.inputs import BarArrays
from workbench.signals.parameter import between
from workbench.signals.signals import SignalArrays, Signals, Weights
from workbench.signals.strategy import Strategy, strategy

if TYPE_CHECKING:
    from workbench.sweep.bayesian import Bayesian
    from workbench.sweep.result import SweepResult
    from workbench.sweep.space import Grid, Random
    from workbench.sweep.sweep import sweep

__all__ = [
    "BacktestResult",
    "BarArrays",
    "Bayesian",
    "Fixed",
    "Grid",
    "Percent",
    "Random",
    "SignalArrays",
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

find_moved()

# One import for a notebook, though sweeps are made of backtests and stand above them.
_OF_SWEEPS = {"Bayesian", "Grid", "Random", "SweepResult", "sweep"}


def __getattr__(name: str) -> Any:
    if name in _OF_SWEEPS:
        return getattr(importlib.import_module("workbench.sweep"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What completion offers; the modules that it is made of are found by who works on them."""
    return sorted(__all__)
