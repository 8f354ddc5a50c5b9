"""What a backtest looks like: a picture, a summary, and the tearsheet; no backtest is computed here."""

from __future__ import annotations

from workbench.report.equity import equity_figure
from workbench.report.summary import summary_html
from workbench.report.tearsheet import Tearsheet, tearsheet

__all__ = ["Tearsheet", "equity_figure", "summary_html", "tearsheet"]
