"""The tearsheet's section on a sweep: its objective by the two parameters with the most values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from workbench.drawing.blocks import Block, Chart, Note, Section
from workbench.drawing.charts import FONT, MODEBAR, chart, line
from workbench.drawing.colours import LIGHT
from workbench.drawing.wording import count, words
from workbench.errors import SweepError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.fills.record import BacktestRecord

__all__ = ["SweptSurface", "surface_section"]

_TITLE = "Parameter surface"


class SweptSurface(Protocol):
    """The part of `SweepResult` that a report uses."""

    objective: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row per variant: its parameters, then its metrics."""

    @property
    def parameters(self) -> Sequence[str]:
        """The columns of `frame` that identify a variant."""

    def heatmap(self, x: str, y: str, metric: str | None = None) -> Figure:
        """A heat map of a metric by two parameters."""

    def require_same(self, result: BacktestRecord) -> None:
        """Raise `SweepDiffers` if the backtest does not match the sweep."""


def surface_section(result: BacktestRecord, sweep: SweptSurface) -> Section:
    """The section: the sweep's objective over its parameters, with this backtest marked."""
    frame, metric = sweep.frame, sweep.objective
    varied = _varied(sweep)
    name = words(metric).capitalize() if metric != "cagr" else "CAGR"
    note = f"{name} of {count(len(frame))} variants. Trust a wide good area more than a single good point."
    if len(varied) > 2 or frame["symbol"].nunique() > 1 or frame["period"].nunique() > 1:
        note += " A cell shows the median over everything that is not on the axes."
    try:
        blocks = _picture(result.parameters, sweep, varied[:2], metric, name)
    except SweepError as error:
        # The report is still useful if no variant has a value.
        blocks = [Note(str(error), "empty")]
    return Section("surface", _TITLE, blocks, note)


def _varied(sweep: SweptSurface) -> list[str]:
    """The parameters with several values, those with the most values first."""
    frame = sweep.frame
    values = {name: frame[name].nunique() for name in sweep.parameters if name not in ("symbol", "period")}
    return [name for name in sorted(values, key=lambda name: -values[name]) if values[name] > 1]


def _picture(
    chosen: Mapping[str, Any], sweep: SweptSurface, varied: list[str], metric: str, name: str
) -> list[Block]:
    if not varied:
        return [Note("The sweep varied no parameter.", "empty")]
    if len(varied) == 1:
        figure = _curve(sweep.frame, varied[0], metric, chosen)
        return [Chart("surface", figure, f"{name} by {varied[0]}.")]
    across, up = varied = sorted(varied, key=list(sweep.frame.columns).index)
    figure = sweep.heatmap(across, up, metric)
    figure.update_layout(
        title=None,
        height=460,
        modebar=MODEBAR,
        font={"family": FONT, "size": 12, "color": LIGHT.muted},
        margin={"l": 54, "r": 12, "t": 52, "b": 46},
        legend={"orientation": "h", "x": 0.0, "y": 1.0, "yanchor": "bottom", "font": {"color": LIGHT.muted}},
    )
    # Above the cells: a phone has no room beside them.
    bar = {"orientation": "h", "x": 1.0, "xanchor": "right", "y": 1.0, "yanchor": "bottom", "len": 0.42}
    figure.update_traces(
        colorbar=bar | {"thickness": 10, "ypad": 4, "title": None, "nticks": 3, "tickangle": 0},
        selector={"type": "heatmap"},
    )
    figure.update_traces(name="best", showlegend=True, selector=lambda trace: _symbol(trace) == "star")
    _mark(figure, varied, chosen)
    return [Chart("surface", figure, f"{name} by {across} and {up}.")]


def _mark(figure: Figure, varied: list[str], chosen: Mapping[str, Any]) -> None:
    """Mark this backtest with a ring, unless its values fall into a bin of several."""
    import plotly.graph_objects as go

    if not all(name in chosen for name in varied):
        return
    place = [_level(chosen[name]) for name in varied]
    axes = (figure.data[0].x, figure.data[0].y)
    if all(one in axis for one, axis in zip(place, axes, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=place[:1],
                y=place[1:],
                mode="markers",
                name="this backtest",
                showlegend=True,
                marker={
                    "symbol": "circle-open",
                    "size": 18,
                    "color": LIGHT.text,
                    "line": {"width": 3, "color": LIGHT.text},
                },
                hovertemplate="this backtest<extra></extra>",
            )
        )


def _curve(frame: pd.DataFrame, name: str, metric: str, chosen: Mapping[str, Any]) -> Figure:
    """The median metric by one parameter."""
    values = frame[metric].astype(np.float64)
    curve = values.where(np.isfinite(values)).groupby(frame[name]).median().dropna()
    if curve.empty:
        raise SweepError(f"No variant has a value of {metric}; choose another metric.")
    figure = chart(height=320)
    shown = curve.index if pd.api.types.is_numeric_dtype(curve.index) else [str(one) for one in curve.index]
    line(figure, list(shown), curve.to_numpy(), metric, LIGHT.strategy, hovertemplate="%{y:.2f}")
    figure.update_traces(mode="lines+markers", marker={"size": 6, "color": LIGHT.strategy})
    if name in chosen and not isinstance(chosen[name], str):
        figure.add_vline(x=chosen[name], line={"color": LIGHT.text, "width": 1, "dash": "dot"})
    figure.update_xaxes(title={"text": name, "standoff": 6})
    figure.update_layout(margin={"b": 46})
    return figure


def _symbol(trace: Any) -> str | None:
    return trace.marker.symbol if trace.type == "scatter" else None


def _level(value: Any) -> str:
    """A parameter's value as labelled on the heat map's axes."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.12g}" if numeric else str(value)
