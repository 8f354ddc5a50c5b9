"""`equity_figure`: equity over drawdown, as a notebook shows them; no figure is computed here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.drawing.charts import is_wide
from workbench.drawing.wording import percent, ratio, signed_percent, span, trades
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

    from workbench.fills.record import BacktestRecord

__all__ = ["equity_figure"]

# Colours that read on white and on JupyterLab's dark grey alike; the paper itself stays transparent.
_EQUITY, _BENCHMARK = "#2f81f7", "#9a8c7c"
_LOSS, _LOSS_FILL = "#e5534b", "rgba(229, 83, 75, 0.28)"
_BUY, _SELL = "#2da44e", "#e5534b"
_TEXT, _GRID = "#8b949e", "rgba(139, 148, 158, 0.22)"
_MANY_FILLS = 120
"""More markers than this hide the line: they start switched off, one click in the legend away."""


def equity_figure(result: BacktestRecord, benchmark: pd.Series[float] | None = None) -> Figure:
    """Equity over drawdown, on one time axis, with the fills marked and the headline figures on top.

    Parameters
    ----------
    result : BacktestRecord
        What to draw.
    benchmark : Series of float64, optional
        Prices or values of something to compare with, indexed by tz-aware timestamps; drawn from the
        starting capital on, at its first value within the span. Default: buying and holding the same symbols.

    Returns
    -------
    plotly.graph_objects.Figure
        For light and dark pages alike; interactive in a notebook.

    Raises
    ------
    BacktestError
        The benchmark has no value within the backtest's span, or its timestamps have no time zone.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rival = result.benchmark if benchmark is None else _rebased(benchmark, result)
    figure: Figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.035
    )
    figure.add_trace(
        go.Scatter(
            x=rival.index,
            y=rival.to_numpy(),
            name="benchmark" if rival.name is None else str(rival.name),
            line={"color": _BENCHMARK, "width": 1.3, "dash": "dot"},
            hovertemplate="%{y:,.0f}",
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=result.equity.index,
            y=result.equity.to_numpy(),
            name=result.name,
            line={"color": _EQUITY, "width": 2},
            legendrank=1,  # Drawn over the benchmark, named before it.
            hovertemplate="%{y:,.0f}",
        ),
        row=1,
        col=1,
    )
    for side, colour, symbol in (("buy", _BUY, "triangle-up"), ("sell", _SELL, "triangle-down")):
        figure.add_trace(_fill_markers(result, side, colour, symbol), row=1, col=1)
    figure.add_trace(
        go.Scatter(
            x=result.drawdown.index,
            y=result.drawdown.to_numpy(),
            name="drawdown",
            line={"color": _LOSS, "width": 1},
            fill="tozeroy",
            fillcolor=_LOSS_FILL,
            hovertemplate="%{y:.1%}",
            showlegend=False,
        ),
        row=2,
        col=1,
    )
    _dress(figure, result)
    return figure


def _fill_markers(result: BacktestRecord, side: str, colour: str, symbol: str) -> Scatter:
    """The fills of one side, standing on the equity line."""
    import plotly.graph_objects as go

    fills = result.orders[result.orders["side"] == side]
    return go.Scatter(
        x=fills["time"],
        y=result.equity.loc[fills["time"]].to_numpy(),
        name=side,
        mode="markers",
        marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 0}, "opacity": 0.9},
        customdata=np.column_stack([fills["symbol"], fills["size"], fills["price"]]),
        hovertemplate="%{customdata[0]}: %{customdata[1]:,.2f} at %{customdata[2]:,.2f}",
        visible="legendonly" if len(result.orders) > _MANY_FILLS else True,
    )


def _dress(figure: Figure, result: BacktestRecord) -> None:
    m = result.metrics
    headline = (
        f"return <b>{signed_percent(m['total_return'])}</b>   CAGR {percent(m['cagr'])}   "
        f"Sharpe {ratio(m['sharpe_ratio'])}   "
        f"max drawdown {percent(m['max_drawdown'])}   "
        f"trades {trades(m['total_trades'], m['open_trades'])}   "
        f"buy and hold {signed_percent(m['benchmark_return'])}"
    )
    figure.update_layout(
        template="none",
        title={
            "text": f"<b>{escape(result.name)}</b>  "
            f"<span style='font-size:13px'>{escape(span(result))}</span>",
            "subtitle": {"text": headline, "font": {"size": 13}},
            "x": 0.0,
            "xref": "paper",
            "y": 0.965,
            "yanchor": "top",
            "font": {"size": 17},
        },
        font={"color": _TEXT, "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=520,
        margin={"l": 84, "r": 24, "t": 100, "b": 32},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": _TEXT, "activecolor": _EQUITY},
        hovermode="x unified",
        hoverlabel={"bgcolor": "rgba(32,38,46,0.94)", "font": {"color": "#f0f3f6"}, "bordercolor": _GRID},
        legend={"orientation": "h", "x": 0.0, "y": 1.005, "yanchor": "bottom", "font": {"size": 12}},
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, linecolor=_GRID, ticks="")
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, ticks="")
    if result.start < result.end:  # Markers would otherwise pad the axis, and only where there are some.
        figure.update_xaxes(range=[result.start, result.end])
    figure.update_yaxes(tickformat=",.0f", title={"text": "equity", "standoff": 8}, row=1, col=1)
    if is_wide(result.equity):
        # Equal steps are then equal returns, and the early years are more than a flat line.
        figure.update_yaxes(type="log", dtick="D2", title={"text": "equity (log)"}, row=1, col=1)
    figure.update_yaxes(
        tickformat=".0%", rangemode="tozero", title={"text": "drawdown", "standoff": 8}, row=2, col=1
    )


def _rebased(benchmark: pd.Series[float], result: BacktestRecord) -> pd.Series[float]:
    index = benchmark.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise BacktestError(
            "benchmark: the index holds no timestamps with a time zone; "
            "give it one, as in benchmark.tz_localize('UTC')."
        )
    inside = benchmark[(index >= result.start) & (index <= result.end)].dropna()
    if inside.empty:
        raise BacktestError(
            f"benchmark: it has no value from {result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}; "
            "load its prices for the backtest's span."
        )
    return inside / inside.iloc[0] * result.initial_cash
