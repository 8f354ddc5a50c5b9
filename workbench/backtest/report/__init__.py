"""What a backtest looks like: a picture, a summary, and the tearsheet; no backtest is computed here."""

from __future__ import annotations

from workbench.backtest.report.equity import equity_figure
from workbench.backtest.report.summary import summary_html
from workbench.backtest.report.tearsheet import Tearsheet, tearsheet

__all__ = ["Tearsheet", "equity_figure", "summary_html", "tearsheet"]
