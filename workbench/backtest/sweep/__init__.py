"""Parameter sweeps: every variant of a strategy streamed to its figures; Numba loads only when one runs."""

from __future__ import annotations

from workbench.backtest.sweep.bayesian import Bayesian
from workbench.backtest.sweep.estimate import Estimate
from workbench.backtest.sweep.result import SweepResult
from workbench.backtest.sweep.space import Grid, Random
from workbench.backtest.sweep.sweep import SweepInterrupted, estimate_sweep, sweep

__all__ = [
    "Bayesian",
    "Estimate",
    "Grid",
    "Random",
    "SweepInterrupted",
    "SweepResult",
    "estimate_sweep",
    "sweep",
]
