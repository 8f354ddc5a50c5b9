"""Whether a strategy knows the future, and how much of the past it needs; no simulation."""

from __future__ import annotations

from workbench.backtest.bias.findings import LookaheadFinding, LookaheadReport
from workbench.backtest.bias.history import RecursionReport
from workbench.backtest.bias.lookahead import check_lookahead
from workbench.backtest.bias.recursion import check_recursive

__all__ = [
    "LookaheadFinding",
    "LookaheadReport",
    "RecursionReport",
    "check_lookahead",
    "check_recursive",
]
