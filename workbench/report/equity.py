"""`equity_figure`: a notebook plot of equity and drawdown; nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.drawing.charts import is_wide
from workbench.drawing.notebook_style import ACCENT, GAIN, LOSS, LOSS_FILL, OTHER, style_figure
from workbench.drawing.wording import percent, ratio, signed_percent, span, trades
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

    from workbench.fills.record import BacktestRecord

__all__ = ["equity_figure"]

_MANY_FILLS = 120
"""With more fills than this, markers would hide the line: they are off until clicked in the legend."""


def equity_figure(result: BacktestRecord, benchmark: pd.Series[float] | None = None) -> Figure:
    """Plot equity above drawdown, with the fills marked and the headline figures on top.

    Parameters
    ----------
    result : BacktestRecord
    benchmark : Series of float64, optional
        Prices or values to compare with, indexed by tz-aware timestamps; scaled to the starting capital at
        its first value within the backtest. Default: buying and holding the same symbols.

    Returns
    -------
    plotly.graph_objects.Figure
        For light and dark pages; interactive in a notebook.

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
            line={"color": OTHER, "width": 1.3, "dash": "dot"},
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
            line={"color": ACCENT, "width": 2},
            legendrank=1,  # Drawn over the benchmark, named before it.
            hovertemplate="%{y:,.0f}",
        ),
        row=1,
        col=1,
    )
    for side, colour, symbol in (("buy", GAIN, "triangle-up"), ("sell", LOSS, "triangle-down")):
        figure.add_trace(_fill_markers(result, side, colour, symbol), row=1, col=1)
    figure.add_trace(
        go.Scatter(
            x=result.drawdown.index,
            y=result.drawdown.to_numpy(),
            name="drawdown",
            line={"color": LOSS, "width": 1},
            fill="tozeroy",
            fillcolor=LOSS_FILL,
            hovertemplate="%{y:.1%}",
            showlegend=False,
        ),
        row=2,
        col=1,
    )
    _style(figure, result)
    return figure


def _fill_markers(result: BacktestRecord, side: str, colour: str, symbol: str) -> Scatter:
    """Markers for the fills of one side, on the equity line."""
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


def _style(figure: Figure, result: BacktestRecord) -> None:
    m = result.metrics
    headline = (
        f"return <b>{signed_percent(m['total_return'])}</b>   CAGR {percent(m['cagr'])}   "
        f"Sharpe {ratio(m['sharpe_ratio'])}   "
        f"max drawdown {percent(m['max_drawdown'])}   "
        f"trades {trades(m['total_trades'], m['open_trades'])}   "
        f"buy and hold {signed_percent(m['benchmark_return'])}"
    )
    style_figure(figure, result.name, beside=span(result), below=headline, hovermode="x unified")
    if result.start < result.end:  # A fixed range, because Plotly would pad the axis around markers.
        figure.update_xaxes(range=[result.start, result.end])
    figure.update_yaxes(tickformat=",.0f", title={"text": "equity", "standoff": 8}, row=1, col=1)
    if is_wide(result.equity):
        # On a logarithmic axis the early years are more than a flat line.
        figure.update_yaxes(type="log", dtick="D2", title={"text": "equity (log)"}, row=1, col=1)
    figure.update_yaxes(
        tickformat=".0%", rangemode="tozero", title={"text": "drawdown", "standoff": 8}, row=2, col=1
    )


def _rebased(benchmark: pd.Series[float], result: BacktestRecord) -> pd.Series[float]:
    index = benchmark.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise BacktestError(
            "benchmark: the index does not hold timestamps with a time zone; "
            "set one, as in benchmark.tz_localize('UTC')."
        )
    inside = benchmark[(index >= result.start) & (index <= result.end)].dropna()
    if inside.empty:
        raise BacktestError(
            f"benchmark: it has no value from {result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}; "
            "load its prices for the backtest's dates."
        )
    return inside / inside.iloc[0] * result.initial_cash
