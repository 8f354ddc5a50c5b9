"""Validation: parameters chosen on training bars and traded on test bars, for several kinds of splits."""

from __future__ import annotations

from workbench.validation.engine import validate
from workbench.validation.result import ValidationResult
from workbench.validation.search import (
    Search,
    Searched,
    search_by_backtests,
    search_by_sweep,
)
from workbench.validation.splits import (
    Split,
    Splits,
    combinatorial_purged,
    purged_kfold,
    walk_forward,
)

__all__ = [
    "Search",
    "Searched",
    "Split",
    "Splits",
    "ValidationResult",
    "combinatorial_purged",
    "purged_kfold",
    "search_by_backtests",
    "search_by_sweep",
    "validate",
    "walk_forward",
]
