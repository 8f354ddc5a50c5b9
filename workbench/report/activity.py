"""The tearsheet's sections on what was held and what it cost: exposure and turnover, fees and slippage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.drawing.blocks import Cell, Chart, Note, Section, Table
from workbench.drawing.charts import chart, line, number_axis, time_axis
from workbench.drawing.colours import LIGHT
from workbench.drawing.thinning import MOST_POINTS
from workbench.drawing.wording import NOTHING, Clock, bars_long, money, percent, signed_money, tone

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["costs_section", "exposure_section"]

_STRETCHES = 600
"""Exposure of more bars than are drawn jumps too often for a line: it is averaged over so many stretches."""
_SHORT_SPAN = pd.Timedelta(days=120)
"""Turnover is summed by month, of a shorter span than this by day."""


def exposure_section(result: BacktestRecord, clock: Clock) -> Section:
    """How much of the equity was invested, and how much was traded."""
    import plotly.graph_objects as go

    if result.orders.empty:
        return Section("exposure", "Exposure and turnover", [Note("Nothing was ever held.", "empty")])
    gross, net = result.exposure, result.net_exposure
    long_only = np.allclose(gross, net, equal_nan=True)
    stretch = -(-len(gross) // _STRETCHES) if len(gross) > MOST_POINTS else 1
    gross, net = _averaged(gross, stretch), _averaged(net, stretch)
    times = clock.texts(pd.DatetimeIndex(gross.index))
    daily = result.end - result.start < _SHORT_SPAN
    every = "day" if daily else "month"
    figure = chart(height=400, rows=(0.6, 0.4), titles=("Exposure, share of equity", f"Turnover, by {every}"))
    line(
        figure,
        times,
        gross.to_numpy(),
        "gross",
        LIGHT.strategy_soft,
        row=1,
        width=1.0,
        shape="hv",
        fill="tozeroy",
        fillcolor=LIGHT.strategy_fill,
        hovertemplate="%{y:.0%}",
        showlegend=not long_only,
    )
    if not long_only:
        line(
            figure,
            times,
            net.to_numpy(),
            "net",
            LIGHT.strategy,
            row=1,
            width=1.6,
            shape="hv",
            hovertemplate="%{y:.0%}",
        )
    traded = result.turnover.groupby(
        pd.DatetimeIndex(result.turnover.index).tz_localize(None).to_period("D" if daily else "M")
    ).sum()
    figure.add_trace(
        go.Bar(
            x=[period.start_time.strftime("%Y-%m-%d") for period in traded.index],
            y=traded.to_numpy(),
            name="turnover",
            marker={"color": LIGHT.strategy, "line": {"width": 0}},
            hovertemplate="%{y:.0%}",
            showlegend=False,
        ),
        row=2,
        col=1,
    )
    number_axis(figure, 1, tickformat=".0%", rangemode="tozero", nticks=5)
    number_axis(figure, 2, tickformat=",.0%", rangemode="tozero", nticks=4)
    figure.update_layout(margin={"t": 30 if long_only else 52}, legend={"y": 1.06})
    time_axis(figure, result.start, result.end, clock.hover)
    note = "" if long_only else "Gross counts long and short positions alike; net takes the short ones off. "
    note += "Turnover is the value bought and sold by the equity."
    if stretch > 1:
        note += f" Exposure is the mean of {bars_long(stretch)} at a time."
    says = "Share of the equity that was invested, and how much was traded."
    return Section("exposure", "Exposure and turnover", [Chart("exposure", figure, says)], note)


def costs_section(result: BacktestRecord) -> Section:
    """From the profit before costs to the profit that was left."""
    m = result.metrics
    net = m["final_equity"] - result.initial_cash
    fees, slippage, dividends = m["fees_paid"], m["slippage_paid"], float(result.dividends.sum())
    gross = net + fees + slippage - dividends
    before = "Profit before costs and dividends" if dividends else "Profit before costs"
    steps = [(before, gross), ("Fees", -fees), ("Slippage", -slippage)]
    if dividends:
        steps.append(("Dividends", dividends))
    steps.append(("Net profit", net))
    longest = max(abs(value) for _, value in steps) or 1.0
    rows = [
        [
            Cell(name),
            Cell(signed_money(value), tone(value)),
            Cell("", tone(value), bar=abs(value) / longest),
            Cell(percent(value / gross) if gross > 0.0 else NOTHING, "muted"),
            Cell(percent(value / result.initial_cash), "muted"),
        ]
        for name, value in steps
    ]
    table = Table(["", "Amount", "", "Of that profit", "Of the capital"], rows, style="costs")
    per_order = (fees + slippage) / len(result.orders) if len(result.orders) else float("nan")
    note = f"An order cost {money(per_order)} on average. " if len(result.orders) else ""
    return Section("costs", "Costs", [table], note)


def _averaged(share: pd.Series[float], stretch: int) -> pd.Series[float]:
    """Means of so many bars at a time, each at its first bar."""
    if stretch == 1:
        return share
    means = share.groupby(np.arange(len(share)) // stretch).mean()
    return means.set_axis(share.index[::stretch])
