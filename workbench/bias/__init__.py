"""Checks whether a strategy uses the future, and how much history it needs; no simulation."""

from __future__ import annotations

from workbench.bias.findings import LookaheadFinding, LookaheadReport
from workbench.bias.history import RecursionReport
from workbench.bias.lookahead import check_lookahead
from workbench.bias.recursion import check_recursive

__all__ = [
    "LookaheadFinding",
    "LookaheadReport",
    "RecursionReport",
    "check_lookahead",
    "check_recursive",
]
