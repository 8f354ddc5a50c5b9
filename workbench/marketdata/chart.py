"""An interactive price chart of one symbol: candlesticks, with volume below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.drawing.notebook_style import CLEAR, GAIN, GRID, HOVER, LOSS, TEXT
from workbench.errors import QueryError
from workbench.marketdata.bars import validate_bars

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["price_chart"]

BUTTON = "rgba(128,128,128,0.16)"
SPANS = (
    ("1M", pd.DateOffset(months=1)),
    ("6M", pd.DateOffset(months=6)),
    ("1Y", pd.DateOffset(years=1)),
)
MARGIN = 0.04


def price_chart(bars: pd.DataFrame, title: str | None = None, *, symbol: str | None = None) -> go.Figure:
    """Candlesticks with volume below, for a notebook or a page; it opens on the last year.

    The buttons 1M, 6M, 1Y and All fit both axes to that range. Weekends without bars are left out, and for
    intraday bars so are the hours of the night. Times are UTC.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars, indexed (symbol, timestamp).
    title : str, optional
        Default: the symbol.
    symbol : str, optional
        The symbol to draw; required if there are several.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    QueryError
        There are no bars, several symbols and none was chosen, or no bars of the chosen one.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    name, own = _one_symbol(bars, symbol)
    # Plotly has no time zones: it draws the times as given, so they are given in UTC.
    times = pd.DatetimeIndex(own.index).tz_convert("UTC").tz_localize(None)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.03)
    figure.add_trace(
        go.Candlestick(
            x=times,
            open=own["open"],
            high=own["high"],
            low=own["low"],
            close=own["close"],
            name=name,
            increasing={"line": {"color": GAIN, "width": 1}, "fillcolor": GAIN},
            decreasing={"line": {"color": LOSS, "width": 1}, "fillcolor": LOSS},
        ),
        row=1,
        col=1,
    )
    colours = np.where(own["close"] >= own["open"], GAIN, LOSS)
    volume = go.Bar(
        x=times,
        y=own["volume"],
        name="volume",
        marker={"color": colours, "line": {"width": 0}, "opacity": 0.6},
    )
    figure.add_trace(volume, row=2, col=1)
    views = _views(times, own)
    opening = next((view for view in views if view["label"] == "1Y"), views[-1])
    figure.update_layout(
        title={"text": title if title is not None else name, "x": 0.01, "xanchor": "left", "y": 0.96},
        template="none",
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"color": TEXT, "family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 12},
        height=560,
        margin={"l": 56, "r": 16, "t": 84, "b": 36},
        showlegend=False,
        hovermode="x unified",
        hoverlabel=HOVER,
        bargap=0.15,
        modebar={"bgcolor": CLEAR, "color": TEXT, "activecolor": GAIN},
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "buttons": views,
                # A pressed button would be white, which cannot be changed: too bright on a dark page.
                "showactive": False,
                "x": 1,
                "xanchor": "right",
                "y": 1.03,
                "yanchor": "bottom",
                "pad": {"r": 0, "t": 0},
                "bgcolor": BUTTON,
                "bordercolor": GRID,
                "font": {"size": 11, "color": TEXT},
            }
        ],
    )
    figure.update_xaxes(
        rangebreaks=_breaks(times),
        gridcolor=GRID,
        linecolor=GRID,
        showspikes=True,
        spikethickness=1,
        spikecolor=TEXT,
    )
    figure.update_xaxes(rangeslider_visible=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_yaxes(title_text="volume", nticks=4, row=2, col=1)
    figure.update_layout(
        {key.replace(".range", "_range"): value for key, value in opening["args"][0].items()}
    )
    return figure


def _one_symbol(bars: pd.DataFrame, symbol: str | None) -> tuple[str, pd.DataFrame]:
    validate_bars(bars)
    there = bars.index.get_level_values("symbol").unique().tolist()
    if not there:
        raise QueryError("there are no bars to draw: the frame is empty")
    if symbol is None and len(there) > 1:
        raise QueryError(
            f"a price chart shows one symbol, these bars hold {len(there)} ({', '.join(map(str, there[:8]))}"
            f"{', …' if len(there) > 8 else ''}); choose one, e.g. symbol={there[0]!r}"
        )
    chosen = there[0] if symbol is None else symbol
    if chosen not in there:
        raise QueryError(f"there are no bars of {chosen}; there are bars of {', '.join(map(str, there[:8]))}")
    own = bars[bars.index.get_level_values("symbol") == chosen].droplevel("symbol")
    return str(chosen), own.sort_index()


def _views(times: pd.DatetimeIndex, own: pd.DataFrame) -> list[dict[str, Any]]:
    """The buttons; each sets both axes, because Plotly does not fit prices to a range of dates."""
    first, last = times[0], times[-1]
    stretches = [(label, last - span) for label, span in SPANS if last - span > first]
    views = []
    for label, start in [*stretches, ("All", first)]:
        seen = own[np.asarray(times >= start)]
        low, high = float(seen["low"].min()), float(seen["high"].max())
        room = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
        edge = (last - max(start, first)) * 0.01 + pd.Timedelta(minutes=1)
        across = [(start - edge).isoformat(), (last + edge).isoformat()]
        relayout = {
            "xaxis.range": across,
            "xaxis2.range": across,
            "yaxis.range": [low - room, high + room],
            "yaxis2.range": [0, float(seen["volume"].max()) * (1 + MARGIN) or 1.0],
        }
        views.append({"label": label, "method": "relayout", "args": [relayout]})
    return views


def _breaks(times: pd.DatetimeIndex) -> list[dict[str, Any]]:
    """Ranges to leave out of the time axis: weekends and hours without bars."""
    breaks: list[dict[str, Any]] = []
    if not (times.day_of_week >= 5).any():
        breaks.append({"bounds": ["sat", "mon"]})
    hours = np.unique(times.hour)
    if len(hours) > 1:
        # The longest run of hours without a bar, around the clock.
        gaps = np.diff(np.append(hours, hours[0] + 24)) - 1
        longest = int(np.argmax(gaps))
        if gaps[longest] > 0:
            start = (int(hours[longest]) + 1) % 24
            breaks.append({"bounds": [start, int(hours[(longest + 1) % len(hours)])], "pattern": "hour"})
    return breaks
