"""What one knows about bars, frames in and frames out: quality rules, panels, a chart; no database."""

from __future__ import annotations

from workbench.marketdata.bars import BAR_COLUMNS, panel, validate_bars
from workbench.marketdata.quality import CheckedBars, check
from workbench.marketdata.rules import RULES

__all__ = ["BAR_COLUMNS", "RULES", "CheckedBars", "check", "panel", "validate_bars"]
