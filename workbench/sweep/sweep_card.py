"""The notebook card of a sweep: a small self-contained HTML table, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from html import escape
from typing import Any

import pandas as pd

from workbench.display.card import HAIRLINE, frame_html, table_html
from workbench.drawing.wording import NOTHING, metric, ratio
from workbench.sweep.store import METRICS

__all__ = ["card_html"]

_CELL = f"padding:4px 10px;border-top:{HAIRLINE};text-align:right;font-variant-numeric:tabular-nums"


def card_html(
    best: pd.DataFrame,
    *,
    title: str,
    description: str,
    objective: str,
    parameters: Sequence[str],
    differing: Collection[str],
    sharpe_deviation: float,
) -> str:
    """The best variants, and how much the Sharpe ratios of all variants vary.

    Parameters
    ----------
    best : DataFrame
        The best variants, one per row.
    title, description : str
        The strategy's name; `SweepResult.description`.
    objective : str
        The metric they are ranked by.
    parameters : sequence of str
        The searched parameters.
    differing : collection of str
        Which of "symbol" and "period" vary between rows.
    sharpe_deviation : float
        The standard deviation of all annualised Sharpe ratios.

    Returns
    -------
    str
        One `<div>`.
    """
    names = [
        *(name for name in ("symbol", "period") if name in differing),
        *parameters,
        *dict.fromkeys([objective, "total_return", "max_drawdown", "total_trades"]),
    ]
    head = "".join(f'<th style="{_CELL};opacity:.7;font-weight:400">{escape(name)}</th>' for name in names)
    rows = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{escape(_shown(name, row[name]))}</td>' for name in names)
        + "</tr>"
        for row in best.to_dict("records")
    )
    note = f"{description}; the best by {objective}"
    if math.isfinite(sharpe_deviation):
        note += f"; standard deviation of Sharpe ratios {ratio(sharpe_deviation)}"
    return frame_html(escape(title), table_html(head, rows), note=escape(note))


def _shown(name: str, value: Any) -> str:
    if name in METRICS:
        return metric(name, value)
    if not isinstance(value, float):
        return str(value)
    # A parameter is shown as it would be typed.
    return NOTHING if math.isnan(value) else f"{value:.4g}"
