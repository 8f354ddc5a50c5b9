"""The tearsheet's section on returns: months, years and the distribution of the bars' returns."""

from __future__ import annotations

import calendar
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from workbench.drawing.blocks import Beside, Block, Chart, Note, Section, Table, TableCell
from workbench.drawing.charts import chart, line, number_axis, tick_format
from workbench.drawing.colours import LIGHT
from workbench.drawing.wording import benchmark_name, percent, tone
from workbench.report.periods import monthly_returns, yearly_returns

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["returns_section"]

_STRONGEST_MONTH = 0.10
"""From this monthly return on, a cell has the full colour."""
_BINS = 61


def returns_section(result: BacktestRecord) -> Section:
    """The section: the calendar of months and years, and the distribution of the bars' returns."""
    return Section(
        "returns",
        "Returns",
        [_calendar(result), *_spread(result)],
        "Compound returns of calendar months and years, in UTC.",
    )


def _spread(result: BacktestRecord) -> list[Block]:
    """The distribution, with the years beside it if there are several."""
    spread = _distribution(result)
    several = result.start.year < result.end.year
    return [Beside([[spread], [_years(result)]])] if several else [spread]


def _calendar(result: BacktestRecord) -> Table:
    months, years = monthly_returns(result.returns), yearly_returns(result.returns)
    rows = []
    for year in reversed(months.index):
        cells = [_heated(value, _STRONGEST_MONTH) for value in months.loc[year]]
        total = float(years[year])
        rows.append([TableCell(str(year)), TableCell(percent(total), tone(total)), *cells])
    return Table(["", "Year", *calendar.month_abbr[1:]], rows, style="calendar")


def _heated(value: float, strongest: float) -> TableCell:
    if np.isnan(value):
        return TableCell("")
    if value == 0.0:
        return TableCell(percent(0.0), "muted")
    return TableCell(percent(value), tone(value), heat=max(min(abs(value) / strongest, 1.0), 0.06))


def _distribution(result: BacktestRecord) -> Block:
    """Histogram of the bars' returns while there was a position."""
    import plotly.graph_objects as go

    title = "Distribution of the bars' returns"
    moved = result.returns[result.returns != 0.0].dropna().to_numpy()
    if len(moved) < 2:
        return Note("Fewer than two bars had a return: there is no distribution to show.", "empty")
    low, high = np.quantile(moved, [0.002, 0.998])
    reach = max(abs(low), abs(high), 1e-9)
    counts, edges = np.histogram(np.clip(moved, -reach, reach), bins=_BINS, range=(-reach, reach))
    centres = (edges[1:] + edges[:-1]) / 2.0
    rival = result.benchmark_returns[result.benchmark_returns != 0.0].dropna().to_numpy()
    figure = chart(height=300)
    figure.add_trace(
        go.Bar(
            x=centres,
            y=counts / len(moved),
            name="strategy",
            marker={"color": LIGHT.strategy, "line": {"width": 0}},
            hovertemplate="%{y:.1%}",
        )
    )
    if len(rival) > 1:
        rivals, _ = np.histogram(np.clip(rival, -reach, reach), bins=_BINS, range=(-reach, reach))
        line(
            figure,
            centres,
            rivals / len(rival),
            escape(benchmark_name(result)),
            LIGHT.benchmark,
            shape="hvh",
            width=1.4,
            hovertemplate="%{y:.1%}",
        )
    figure.update_xaxes(tickformat=tick_format(reach), hoverformat=".2%", nticks=9)
    number_axis(figure, tickformat=".0%", rangemode="tozero", nticks=5)
    return Chart("distribution", figure, "Histogram of the bars' returns.", title=title)


def _years(result: BacktestRecord) -> Block:
    """Returns of each year, with the benchmark's."""
    import plotly.graph_objects as go

    mine, rival = yearly_returns(result.returns), yearly_returns(result.benchmark_returns)
    figure = chart(height=300)
    for name, values, colour in (
        ("strategy", mine, LIGHT.strategy),
        (escape(benchmark_name(result)), rival, LIGHT.benchmark),
    ):
        figure.add_trace(
            go.Bar(
                x=[str(year) for year in values.index],
                y=values.to_numpy(),
                name=name,
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate="%{y:+.1%}",
            )
        )
    figure.update_layout(bargap=0.3, bargroupgap=0.06)
    figure.update_xaxes(type="category", nticks=8, tickangle=0)
    number_axis(figure, tickformat=".0%", zeroline=True, zerolinecolor=LIGHT.muted, zerolinewidth=1)
    return Chart("years", figure, "Return of each calendar year.", title="Calendar years")
