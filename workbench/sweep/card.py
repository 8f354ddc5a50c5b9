"""A sweep at a glance, as a small HTML table without external parts, for light and dark pages."""

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
    told: str,
    objective: str,
    parameters: Sequence[str],
    differing: Collection[str],
    sharpe_deviation: float,
) -> str:
    """The five best variants, and how much all of them differ.

    Parameters
    ----------
    best : DataFrame
        The best variants, a row each.
    title, told : str
        The strategy's name; how many variants there are, in words.
    objective : str
        What they are ranked by.
    parameters : sequence of str
        Those that were searched.
    differing : collection of str
        Which of "symbol" and "period" differ from row to row.
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
    told += f"; the best by {objective}"
    if math.isfinite(sharpe_deviation):
        told += f"; Sharpe ratios differ by {ratio(sharpe_deviation)} (standard deviation)"
    return frame_html(escape(title), table_html(head, rows), note=escape(told))


def _shown(name: str, value: Any) -> str:
    if name in METRICS:
        return metric(name, value)
    if not isinstance(value, float):
        return str(value)
    # A parameter reads as it is typed.
    return NOTHING if math.isnan(value) else f"{value:.4g}"
