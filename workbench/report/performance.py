"""The tearsheet's sections on equity and drawdown, the worst drawdowns, and rolling figures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from workbench.drawing.blocks import Block, Chart, Note, Section, Table, TableCell
from workbench.drawing.charts import (
    chart,
    is_wide,
    line,
    log_axis,
    number_axis,
    time_axis,
)
from workbench.drawing.colours import LIGHT
from workbench.drawing.thinning import drawn_rows
from workbench.drawing.wording import TimeFormat, bars_long, benchmark_name, count, percent
from workbench.report.periods import (
    drawdown_spells,
    rolling_figures,
    rolling_windows,
)

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["drawdown_section", "equity_section", "rolling_section"]

_ROLLED = (("sharpe", ".2f"), ("volatility", ".1%"), ("beta", ".2f"))
"""The rolling figures from the top, with their formats."""


def equity_section(result: BacktestRecord, time_format: TimeFormat) -> Section:
    """The section: equity and benchmark, with both drawdowns below; the deepest ones are numbered."""
    title = "Equity and drawdown"
    if len(result.equity) < 2:
        return Section("equity", title, [Note("A single bar cannot be drawn as a line.", "empty")])
    equity, rival = result.equity, result.benchmark
    rival_fall = rival / rival.cummax().clip(lower=result.initial_cash) - 1.0
    rows = drawn_rows(equity, rival, result.drawdown)
    times = time_format.texts(pd.DatetimeIndex(equity.index[rows]))
    figure = chart(height=540, rows=(0.7, 0.3))
    rival_name = escape(benchmark_name(result))
    figure.add_hline(y=result.initial_cash, line={"color": LIGHT.line, "width": 1}, row=1, col=1)
    line(
        figure,
        times,
        rival.to_numpy()[rows],
        rival_name,
        LIGHT.benchmark,
        row=1,
        width=1.4,
        hovertemplate="%{y:,.0f}",
        legendrank=2,
    )
    line(
        figure,
        times,
        equity.to_numpy()[rows],
        "strategy",
        LIGHT.strategy,
        row=1,
        width=2.0,
        hovertemplate="%{y:,.0f}",
        legendrank=1,
    )
    line(
        figure,
        times,
        rival_fall.to_numpy()[rows],
        f"{rival_name}, drawdown",
        LIGHT.benchmark,
        row=2,
        width=1.0,
        showlegend=False,
        hovertemplate="%{y:.1%}",
    )
    line(
        figure,
        times,
        result.drawdown.to_numpy()[rows],
        "strategy, drawdown",
        LIGHT.loss,
        row=2,
        width=1.2,
        showlegend=False,
        fill="tozeroy",
        fillcolor=LIGHT.loss_fill,
        hovertemplate="%{y:.1%}",
    )
    for number, spell in enumerate(drawdown_spells(result.drawdown).to_dict("records"), start=1):
        figure.add_annotation(
            x=time_format.texts(pd.DatetimeIndex([spell["trough"]]))[0],
            y=spell["depth"],
            text=str(number),
            showarrow=False,
            yshift=-10,
            font={"size": 11, "color": LIGHT.text},
            bgcolor=LIGHT.page,
            borderpad=1,
            opacity=0.85,
            row=2,
            col=1,
        )
    time_axis(figure, result.start, result.end, time_format.hover)
    scales = None
    number_axis(figure, 1, tickformat="~s")
    if is_wide(equity, rival):
        scales = "log"
        log_axis(figure, [equity, rival], 1)
    deepest = min(float(rival_fall.min()), float(result.drawdown.min()), -0.01)
    number_axis(
        figure, 2, tickformat=".0%" if deepest < -0.03 else ".1%", range=[1.12 * deepest, 0], nticks=4
    )
    shows = f"Equity of the strategy and of {benchmark_name(result)}, and the drawdown of each."
    blocks: list[Block] = [Chart("equity", figure, shows, scales=scales)]
    return Section("equity", title, blocks, _thinned(len(rows), len(equity)))


def drawdown_section(result: BacktestRecord, time_format: TimeFormat) -> Section:
    """The section: the five deepest drawdowns."""
    spells = drawdown_spells(result.drawdown)
    if spells.empty:
        return Section("drawdowns", "Worst drawdowns", [Note("There was no drawdown.", "empty")])
    deepest = abs(float(spells["depth"].min()))
    rows = [
        [
            TableCell(str(number), "muted"),
            TableCell(percent(spell["depth"]), "loss"),
            TableCell("", "loss", bar=abs(spell["depth"]) / deepest),
            TableCell(bars_long(spell["length"])),
            TableCell(time_format.text(spell["peak"])),
            TableCell(time_format.text(spell["trough"])),
            TableCell("not yet", "muted")
            if spell["under_way"]
            else TableCell(time_format.text(spell["recovery"])),
        ]
        for number, spell in enumerate(spells.to_dict("records"), start=1)
    ]
    table = Table(["", "Depth", "", "Length", "Peak", "Trough", "Recovered"], rows)
    note = "Numbered as in the figure above. Length: bars from the peak to the recovery."
    return Section("drawdowns", "Worst drawdowns", [table], note)


def rolling_section(result: BacktestRecord, time_format: TimeFormat) -> Section:
    """The section: Sharpe ratio, volatility and beta over rolling windows."""
    year = result.periods_per_year
    windows = rolling_windows(len(result.equity), year)
    if not windows:
        text = f"There are too few bars ({count(len(result.equity))}) for a window of a month or more."
        return Section("rolling", "Rolling figures", [Note(text, "empty")])
    figure = chart(height=520, rows=(1, 1, 1), titles=("Sharpe ratio", "Volatility per year", "Beta"))
    drawn = 0
    styles = [(LIGHT.strategy, 1.8), (LIGHT.strategy_soft, 1.2)][: len(windows)]
    for (name, bars), (colour, width) in reversed(list(zip(windows, styles, strict=True))):
        frame = rolling_figures(result.returns, result.benchmark_returns, bars, periods_per_year=year)
        rows = drawn_rows(*(frame[column] for column in frame.columns))
        drawn = max(drawn, len(rows))
        times = time_format.texts(pd.DatetimeIndex(frame.index[rows]))
        for panel, (column, form) in enumerate(_ROLLED, 1):
            line(
                figure,
                times,
                frame[column].to_numpy()[rows],
                name,
                colour,
                row=panel,
                width=width,
                showlegend=panel == 1,
                legendgroup=name,
                legendrank=1 if width > 1.5 else 2,
                hovertemplate=f"%{{y:{form}}}",
            )
    for panel, level in ((1, 0.0), (3, 1.0)):
        figure.add_hline(y=level, line={"color": LIGHT.muted, "width": 1, "dash": "dot"}, row=panel, col=1)
    number_axis(figure, 2, tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(nticks=4)
    figure.update_layout(margin={"t": 52}, legend={"y": 1.045})
    time_axis(figure, result.start, result.end, time_format.hover)
    sizes = " and ".join(f"{name} ({bars_long(bars)})" for name, bars in windows)
    shows = "Sharpe ratio, volatility and beta over rolling windows."
    return Section(
        "rolling",
        "Rolling figures",
        [Chart("rolling", figure, shows)],
        f"Windows: {sizes}. Beta is relative to the benchmark. {_thinned(drawn, len(result.equity))}".strip(),
    )


def _thinned(drawn: int, there: int) -> str:
    if drawn >= there:
        return ""
    return f"Shows {count(drawn)} of {count(there)} bars, including the high and low of each interval."
