"""Parameter sweeps: every variant of a strategy streamed to its figures; Numba loads only when one runs."""

from __future__ import annotations

from workbench.sweep.bayesian import Bayesian
from workbench.sweep.estimate import Estimate
from workbench.sweep.result import SweepResult
from workbench.sweep.space import Grid, Random
from workbench.sweep.sweep import SweepInterrupted, estimate_sweep, sweep

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
