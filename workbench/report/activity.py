"""The tearsheet's sections on exposure and turnover, and on costs: fees and slippage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.drawing.blocks import Chart, Note, Section, Table, TableCell
from workbench.drawing.charts import chart, line, number_axis, time_axis
from workbench.drawing.colours import LIGHT
from workbench.drawing.thinning import MOST_POINTS
from workbench.drawing.wording import NOTHING, TimeFormat, bars_long, money, percent, signed_money, tone

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["costs_section", "exposure_section"]

_INTERVALS = 600
"""With more bars than points to draw, exposure jumps too often for a line: it is averaged over intervals."""
_SHORT_SPAN = pd.Timedelta(days=120)
"""Turnover is summed by month, or by day if the backtest is shorter than this."""


def exposure_section(result: BacktestRecord, time_format: TimeFormat) -> Section:
    """How much of the equity was invested, and how much was traded."""
    import plotly.graph_objects as go

    if result.orders.empty:
        return Section("exposure", "Exposure and turnover", [Note("There was never a position.", "empty")])
    gross, net = result.exposure, result.net_exposure
    long_only = np.allclose(gross, net, equal_nan=True)
    interval = -(-len(gross) // _INTERVALS) if len(gross) > MOST_POINTS else 1
    gross, net = _averaged(gross, interval), _averaged(net, interval)
    times = time_format.texts(pd.DatetimeIndex(gross.index))
    daily = result.end - result.start < _SHORT_SPAN
    every = "day" if daily else "month"
    figure = chart(height=400, rows=(0.6, 0.4), titles=("Exposure (of equity)", f"Turnover by {every}"))
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
    time_axis(figure, result.start, result.end, time_format.hover)
    note = "" if long_only else "Gross adds long and short positions; net subtracts the short ones. "
    note += "Turnover is the value bought and sold, divided by equity."
    if interval > 1:
        note += f" Exposure is averaged over {bars_long(interval)} at a time."
    shows = "Fraction of equity invested, and how much was traded."
    return Section("exposure", "Exposure and turnover", [Chart("exposure", figure, shows)], note)


def costs_section(result: BacktestRecord, currency: str) -> Section:
    """From the profit before costs to the net profit."""
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
            TableCell(name),
            TableCell(signed_money(value), tone(value)),
            TableCell("", tone(value), bar=abs(value) / longest),
            TableCell(percent(value / gross) if gross > 0.0 else NOTHING, "muted"),
            TableCell(percent(value / result.initial_cash), "muted"),
        ]
        for name, value in steps
    ]
    table = Table(
        ["", f"Amount, {currency}" if currency else "Amount", "", "Of gross profit", "Of capital"],
        rows,
        style="costs",
    )
    per_order = (fees + slippage) / len(result.orders) if len(result.orders) else float("nan")
    note = f"An order cost {money(per_order, currency)} on average. " if len(result.orders) else ""
    return Section("costs", "Costs", [table], note)


def _averaged(share: pd.Series[float], interval: int) -> pd.Series[float]:
    """Means over `interval` bars at a time, each at its first bar."""
    if interval == 1:
        return share
    means = share.groupby(np.arange(len(share)) // interval).mean()
    return means.set_axis(share.index[::interval])
