"""The common style of the tearsheet's figures: transparent background, light axes, one accent colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.drawing.colours import LIGHT

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "FONT",
    "MODEBAR",
    "chart",
    "is_wide",
    "line",
    "log_axis",
    "log_ticks",
    "number_axis",
    "tick_format",
    "time_axis",
]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
"""The reader's system font: the page works offline and includes no font."""

_STEPS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
_CLEAR = "rgba(0,0,0,0)"
MODEBAR = {"bgcolor": _CLEAR, "color": LIGHT.muted, "activecolor": LIGHT.strategy}
"""Colours of a figure's buttons; the page's script chooses the buttons."""
_WIDE = 3.0
"""If the highest value is more than this many times the lowest, the axis is logarithmic."""


def is_wide(*lines: pd.Series[float]) -> bool:
    """Whether to use a logarithmic axis, on which the early years are more than a flat line.

    False if any value is not above zero, which a logarithmic axis cannot show.
    """
    lowest, highest = min(float(one.min()) for one in lines), max(float(one.max()) for one in lines)
    return lowest > 0.0 and highest > _WIDE * lowest


def chart(*, height: int, rows: Sequence[float] = (1.0,), titles: Sequence[str] = ()) -> Figure:
    """An empty figure in the tearsheet's style.

    Parameters
    ----------
    height : int
        In pixels; the width is that of the page.
    rows : sequence of float
        Relative heights of the panels, from the top; they share the horizontal axis.
    titles : sequence of str, optional
        A short title over each panel.

    Returns
    -------
    plotly.graph_objects.Figure
        In the colours of `LIGHT`.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if len(rows) > 1:
        figure: Figure = make_subplots(
            rows=len(rows),
            cols=1,
            shared_xaxes=True,
            row_heights=list(rows),
            vertical_spacing=(44 if titles else 22) / height,
            subplot_titles=list(titles) or None,
        )
        figure.update_annotations(
            x=0.0, xanchor="left", font={"size": 12.5, "color": LIGHT.muted, "weight": 600}
        )
    else:
        figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 54, "r": 12, "t": 30, "b": 30},
        font={"family": FONT, "size": 12, "color": LIGHT.muted},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        hovermode="x unified",
        hoverlabel={
            "bgcolor": LIGHT.panel,
            "bordercolor": LIGHT.line,
            "font": {"family": FONT, "size": 12, "color": LIGHT.text},
        },
        legend={"orientation": "h", "x": 0.0, "y": 1.0, "yanchor": "bottom", "xanchor": "left"},
        modebar=MODEBAR,
        bargap=0.12,
    )
    axis = {"gridcolor": LIGHT.line, "linecolor": LIGHT.line, "zeroline": False, "ticks": ""}
    figure.update_xaxes(**axis, showgrid=False, showline=True)
    figure.update_xaxes(showspikes=True, spikecolor=LIGHT.muted, spikethickness=1, spikedash="dot")
    figure.update_yaxes(**axis, showline=False, nticks=6)
    return figure


def time_axis(figure: Figure, start: pd.Timestamp, end: pd.Timestamp, hover: str) -> None:
    """Make the horizontal axes run from the first to the last bar."""
    figure.update_xaxes(type="date", hoverformat=hover, nticks=9)
    if start < end:  # A fixed range, because Plotly would pad the axis around markers.
        shown = [time.strftime("%Y-%m-%d %H:%M:%S") for time in (start, end)]
        figure.update_xaxes(range=shown)


def number_axis(figure: Figure, row: int | None = None, **options: Any) -> None:
    """Set the vertical axis of a panel, or of a figure with a single panel."""
    figure.update_yaxes(**options, row=row, col=None if row is None else 1)


def log_axis(figure: Figure, values: Sequence[pd.Series[float]], row: int | None = None) -> None:
    """Make a panel's vertical axis logarithmic, with round ticks over the range of (positive) values."""
    low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    number_axis(figure, row, type="log", tickmode="array", tickvals=log_ticks(low, high, most=9))


def log_ticks(low: float, high: float, *, most: int) -> list[float]:
    """Round levels from `low` to `high`, both above zero: the densest usual series of at most `most`."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    inside: list[float] = []
    for steps in _STEPS:
        levels = np.outer(decades, steps).ravel()
        inside = [float(level) for level in levels if low <= level <= high]
        if len(inside) <= most:
            break
    return inside


def tick_format(reach: float) -> str:
    """Per cent format for ticks from 0 to `reach` (a fraction), so that no two ticks look the same."""
    return ".0%" if reach >= 0.05 else ".1%" if reach >= 0.005 else ".2%"


def line(
    figure: Figure,
    times: Any,
    values: Any,
    name: str,
    colour: str,
    *,
    row: int | None = None,
    **options: Any,
) -> None:
    """Add a line over times or other x values; `options` are those of `go.Scatter`."""
    import plotly.graph_objects as go

    style = {"color": colour, "width": options.pop("width", 1.8), "dash": options.pop("dash", None)}
    style["shape"] = options.pop("shape", None)
    place = {} if row is None else {"row": row, "col": 1}
    figure.add_trace(go.Scatter(x=times, y=values, name=name, mode="lines", line=style, **options), **place)
