"""Functions on bars, frames in and frames out; no database.

Quality rules, panels, price adjustment, resampling, coverage against an exchange's calendar, a chart.
"""

from __future__ import annotations

from workbench.marketdata.adjustment import adjust
from workbench.marketdata.bars import BAR_COLUMNS, panel, validate_bars
from workbench.marketdata.coverage import Coverage, coverage
from workbench.marketdata.quality import CONTEXT_BARS, CheckedBars, check
from workbench.marketdata.refusals import RULES
from workbench.marketdata.resampling import resample
from workbench.marketdata.suspicions import SUSPICIONS

__all__ = [
    "BAR_COLUMNS",
    "CONTEXT_BARS",
    "RULES",
    "SUSPICIONS",
    "CheckedBars",
    "Coverage",
    "adjust",
    "check",
    "coverage",
    "panel",
    "resample",
    "validate_bars",
]
