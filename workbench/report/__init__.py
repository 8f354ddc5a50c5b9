"""Reports of a backtest: a plot, a notebook card, and the tearsheet; no backtest is computed here."""

from __future__ import annotations

from workbench.report.backtest_card import summary_html
from workbench.report.equity import equity_figure
from workbench.report.tearsheet import Tearsheet, tearsheet

__all__ = ["Tearsheet", "equity_figure", "summary_html", "tearsheet"]
