"""The style of figures in notebooks, for light and dark pages: one palette, and `style_figure`."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "ACCENT",
    "CLEAR",
    "GAIN",
    "GRID",
    "HOVER",
    "LOSS",
    "LOSS_FILL",
    "MARK",
    "OTHER",
    "TEXT",
    "style_figure",
]

# All are readable on white and on JupyterLab's dark grey; the background is transparent.
TEXT, GRID, CLEAR = "#8b949e", "rgba(139, 148, 158, 0.22)", "rgba(0,0,0,0)"
ACCENT, OTHER = "#2f81f7", "#9a8c7c"
"""The main line, and what it is compared with."""
GAIN, LOSS, LOSS_FILL = "#2da44e", "#e5534b", "rgba(229, 83, 75, 0.28)"
"""Bought, up, good; sold, down, missing."""
MARK = "#f2cc60"
"""Marks the best of many."""
HOVER = {"bgcolor": "rgba(32,38,46,0.94)", "font": {"color": "#f0f3f6"}, "bordercolor": GRID}


def style_figure(
    figure: Figure, title: str, *, beside: str = "", below: str = "", height: int = 520, **layout: Any
) -> None:
    """Set the title, colours and axes of a figure for a notebook.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Modified in place.
    title : str
        Shown in bold; escaped.
    beside : str
        Smaller text after the title; escaped.
    below : str
        The line below the title; may contain `<b>`.
    height : int
        In pixels.
    **layout
        Further settings of `figure.update_layout`; they override the others.
    """
    heading = f"<b>{escape(title)}</b>"
    if beside:
        heading += f"  <span style='font-size:13px'>{escape(beside)}</span>"
    figure.update_layout(
        template="none",
        title={
            "text": heading,
            "subtitle": {"text": below, "font": {"size": 13}},
            "x": 0.0,
            "xref": "paper",
            # The same distance from the top at any height.
            "y": 1.0 - 18.0 / height,
            "yanchor": "top",
            "font": {"size": 17},
        },
        font={"color": TEXT, "size": 12},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        height=height,
        margin={"l": 84, "r": 24, "t": 100 if below else 84, "b": 32},
        modebar={"bgcolor": CLEAR, "color": TEXT, "activecolor": ACCENT},
        hoverlabel=HOVER,
        legend={"orientation": "h", "x": 0.0, "y": 1.005, "yanchor": "bottom", "font": {"size": 12}},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=GRID, ticks="")
    figure.update_yaxes(gridcolor=GRID, zeroline=False, ticks="")
    figure.update_layout(**layout)
