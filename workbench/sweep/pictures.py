"""Plots of a sweep: a heat map of two parameters, and parallel coordinates of all.

Both suit light and dark pages: the background is transparent, and no colour is nearly white or black.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.drawing.notebook_style import CLEAR, MARK, TEXT, style_figure
from workbench.drawing.wording import metric as written
from workbench.errors import SweepError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["heatmap", "parallel_coordinates"]

_MARGIN = {"l": 84, "r": 24, "t": 84, "b": 56}
_HALO = ", ".join(["0 0 3px #ffffff"] * 8)
_TICKS = {"color": "#24292f", "size": 12, "weight": 600, "shadow": _HALO}
"""Dark text with a white halo: tick labels are drawn over lines of all colours, on light and dark pages."""
_DIVERGING = [
    [0.0, "#b3261e"],
    [0.25, "#dd6b5e"],
    [0.5, "#a3a9b0"],
    [0.75, "#4f94e8"],
    [1.0, "#1553b6"],
]
"""Losses red, gains blue (safe for the colour-blind); the grey between differs from the page."""
_SEQUENTIAL = [[0.0, "#a3a9b0"], [0.5, "#4f94e8"], [1.0, "#1553b6"]]
_LOSSES = [[0.0, "#b3261e"], [0.5, "#dd6b5e"], [1.0, "#a3a9b0"]]
"""The two halves of the diverging scale, for values that all lie on one side of zero."""
_SIGNED = {
    "total_return",
    "cagr",
    "sharpe_ratio",
    "sortino",
    "calmar",
    "skewness",
    "alpha",
    "expectancy",
    "sqn",
}
_PERCENT = {"total_return", "cagr", "volatility", "max_drawdown", "win_rate", "exposure", "turnover"}
_MOST_VALUES, _BINS = 60, 30
"""A parameter with more than `_MOST_VALUES` values is cut into `_BINS` bins."""
_DASH = "\u2009–\u2009"
"""Separates the ends of a bin; has thin spaces, so that no parameter's text contains it by chance."""
_MOST_TICKS = 12
_MOST_LINES = 2_000
_WIDE = 100.0
"""If the largest value is more than this many times the smallest, the axis is logarithmic."""


def heatmap(
    frame: pd.DataFrame,
    x: str,
    y: str,
    metric: str = "sharpe_ratio",
    *,
    aggregate: str = "median",
    neighbours: int = 0,
    lowest: bool = False,
    title: str | None = None,
) -> Figure:
    """A metric by two parameters, with the best cell marked.

    A single good cell among poor ones is luck; look for wide good areas, or use `neighbours`.

    Parameters
    ----------
    frame : DataFrame
        One row per variant: columns `x`, `y` and `metric`.
    x, y : str
        Parameters: numbers, text or flags. Numbers with more than 60 values are cut into 30 bins.
    metric : str
        NaN where undefined: a cross marks a cell that was tried and has no value; one that was never tried
        stays empty.
    aggregate : str
        "median", "mean", "min" or "max" of the variants that share a cell (other parameters, symbols,
        periods).
    neighbours : int
        Smooth over this many cells to each side: every cell shows the median of that window.
    lowest : bool
        Whether the lowest value is the best.
    title : str, optional
        Default: the metric's name.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    SweepError
        A column is missing, `x` and `y` are the same, or no cell has a value.
    """
    import plotly.graph_objects as go

    if x == y:
        raise SweepError(f"A heat map needs two parameters; {x!r} is given twice.")
    if aggregate not in ("median", "mean", "min", "max"):
        raise SweepError(f"aggregate={aggregate!r} must be one of median, mean, min, max.")
    _require(frame, (x, y, metric))
    columns, rows = _levels(frame[x]), _levels(frame[y])
    values = frame[metric].astype(np.float64)
    grouped = values.where(np.isfinite(values)).groupby([rows, columns])
    # Include every category, tried or not.
    grid = grouped.agg(aggregate).unstack().reindex(index=rows.cat.categories, columns=columns.cat.categories)
    shared = grouped.size().unstack().reindex(index=grid.index, columns=grid.columns).fillna(0).to_numpy()
    cells = _surroundings(grid.to_numpy(dtype=np.float64), neighbours)
    if not np.isfinite(cells).any():
        raise SweepError(f"No variant has a value of {metric}; choose another metric.")
    best = np.unravel_index(np.nanargmin(cells) if lowest else np.nanargmax(cells), cells.shape)
    across, up = [str(level) for level in grid.columns], [str(level) for level in grid.index]
    form, top = _format(metric), written(metric, float(cells[best]))
    figure = go.Figure()
    figure.add_trace(
        go.Heatmap(
            x=across,
            y=up,
            z=cells,
            customdata=shared,
            **_colours(cells, metric),
            colorbar={"title": {"text": metric}, "outlinewidth": 0, "thickness": 14, "tickformat": form},
            xgap=1 if len(across) <= _BINS else 0,
            ygap=1 if len(up) <= _BINS else 0,
            hoverongaps=False,
            hovertemplate=(
                f"{escape(x)} %{{x}}, {escape(y)} %{{y}}<br>{escape(metric)} <b>%{{z:{form}}}</b>"
                + (f"<br>{aggregate} of %{{customdata:.0f}} variants" if shared.max() > 1 else "")
                + "<extra></extra>"
            ),
        )
    )
    undefined = np.argwhere((shared > 0) & ~np.isfinite(cells))
    for places, symbol, size, colour, label in (
        (undefined, "x-thin", 7, TEXT, "not defined"),
        (np.array([best]), "star", 15, MARK, f"best: {top}"),
    ):
        figure.add_trace(
            go.Scatter(
                x=[across[column] for _, column in places],
                y=[up[row] for row, _ in places],
                mode="markers",
                marker={"symbol": symbol, "size": size, "color": colour, "line": _outline(symbol)},
                hovertemplate=f"{escape(x)} %{{x}}, {escape(y)} %{{y}}<br>{label}<extra></extra>",
                showlegend=False,
            )
        )
    notes = [f"best <b>{top}</b> at {x} {across[best[1]]}, {y} {up[best[0]]}"]
    if shared.max() > 1:
        notes.append(f"{aggregate} of up to {int(shared.max()):,} variants per cell")
    if neighbours:
        notes.append(f"median of {2 * neighbours + 1} × {2 * neighbours + 1} cells")
    style_figure(figure, title or metric, below="   ·   ".join(notes), margin=_MARGIN)
    figure.update_xaxes(**_axis(x, across), tickangle=0)
    figure.update_yaxes(**_axis(y, up), automargin=True)
    return figure


def parallel_coordinates(
    frame: pd.DataFrame,
    metric: str = "sharpe_ratio",
    *,
    parameters: Sequence[str] | None = None,
    top: int | None = None,
    lowest: bool = False,
    title: str | None = None,
) -> Figure:
    """One line per variant through all its parameters to its metric; drag along an axis to select lines.

    Parameters
    ----------
    frame : DataFrame
        One row per variant. Those without a finite value of `metric` are left out.
    metric : str
        Shown on the last axis and as the colour.
    parameters : sequence of str, optional
        The other axes. Default: every column before the first metric that has several values.
    top : int, optional
        Show only this many of the best. Default: all, thinned to 2,000 lines, with the best among them.
    lowest : bool
        Whether the lowest value is the best.
    title : str, optional

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    SweepError
        A column is missing, no parameter has several values, or no variant has a value.
    """
    import plotly.graph_objects as go

    if parameters is None:
        known = [name in _SIGNED | _PERCENT | {metric} for name in frame.columns]
        before = frame.columns[: known.index(True)] if True in known else frame.columns
        parameters = [str(name) for name in before if frame[name].nunique() > 1]
    _require(frame, (*parameters, metric))
    if not parameters:
        raise SweepError("No parameter has several values; name those to draw with parameters=[…].")
    defined = frame[np.isfinite(frame[metric].astype(np.float64))]
    if defined.empty:
        raise SweepError(f"No variant has a value of {metric}; choose another metric.")
    # The best come last, so that they are drawn over the others.
    ordered = defined.sort_values(metric, ascending=not lowest, kind="stable")
    shown = ordered.iloc[_kept(len(ordered), top)]
    values = shown[metric].to_numpy(dtype=np.float64)
    figure = go.Figure(
        go.Parcoords(
            dimensions=[
                *(_dimension(shown[name]) for name in parameters),
                {"label": metric, "values": values, "tickformat": _format(metric)},
            ],
            line={
                "color": values,
                **_colours(values, metric, prefix="c"),
                "showscale": True,
                "colorbar": {"outlinewidth": 0, "thickness": 14, "tickformat": _format(metric)},
            },
            unselected={"line": {"color": TEXT, "opacity": 0.08}},
            labelfont={"color": TEXT, "size": 13},
            tickfont=_TICKS,
            rangefont={"color": CLEAR, "size": 11},
        )
    )
    note = f"{len(shown):,} of {len(frame):,} variants"
    if top is not None:
        note = f"the best {note}"
    elif len(shown) < len(defined):
        note += ", including the best"
    if len(defined) < len(frame):
        note += f"   ·   {len(frame) - len(defined):,} have no {metric}"
    margin = {"t": 130, "l": 70, "r": 40, "b": 36}
    style_figure(figure, title or f"{metric} by parameters", below=note, margin=margin)
    return figure


def _require(frame: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in frame.columns:
            raise SweepError(
                f"The frame has no column {name!r}; it has {', '.join(map(str, frame.columns)) or 'none'}."
            )
    if frame.empty:
        raise SweepError("The frame has no variants to draw.")


def _levels(values: pd.Series[Any]) -> pd.Series[Any]:
    """A parameter's values as ordered categories, named by axis label; many numbers are binned."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    distinct = np.sort(values.unique()) if numeric else np.array(sorted(values.unique(), key=str))
    if numeric and len(distinct) > _MOST_VALUES:
        low, high = float(distinct[0]), float(distinct[-1])
        spaced = np.geomspace if low > 0 and high > _WIDE * low else np.linspace
        edges = np.unique(spaced(low, high, _BINS + 1))
        edges[0], edges[-1] = low, high
        places = np.clip(np.searchsorted(edges, values.to_numpy(), side="right") - 1, 0, len(edges) - 2)
        shown = [f"{edge:.3g}" for edge in edges]
        if len(set(shown)) < len(shown):
            shown = [f"{edge:.9g}" for edge in edges]
        names = [f"{one}{_DASH}{other}" for one, other in itertools.pairwise(shown)]
    else:
        places = pd.Index(distinct).get_indexer(pd.Index(values.to_numpy()))
        names = [f"{value:.12g}" if numeric else str(value) for value in distinct]
    coded = pd.Categorical.from_codes(places, categories=pd.Index(names, dtype=object), ordered=True)
    return pd.Series(coded, index=values.index)


def _axis(name: str, levels: Sequence[str]) -> dict[str, Any]:
    """A category axis with some of its labels; bins are labelled by their lower ends."""
    named = levels[:: -(-len(levels) // _MOST_TICKS)]
    binned = _DASH in levels[0]
    return {
        "title": {"text": f"{name} (from)" if binned else name, "standoff": 10},
        "type": "category",
        "categoryorder": "array",
        "categoryarray": levels,
        "tickvals": named,
        "ticktext": [level.split(_DASH)[0] for level in named] if binned else named,
        "showgrid": False,
    }


def _surroundings(cells: npt.NDArray[np.float64], reach: int) -> npt.NDArray[np.float64]:
    """The median of each cell and its neighbours, without NaN; a cell that is NaN stays NaN."""
    if reach < 1:
        return cells
    padded = np.pad(cells, reach, constant_values=np.nan)
    side = 2 * reach + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).reshape(*cells.shape, -1)
    smooth = np.full_like(cells, np.nan)
    defined = np.isfinite(cells)
    smooth[defined] = np.nanmedian(windows[defined], axis=-1)
    return smooth


def _kept(n: int, top: int | None) -> npt.NDArray[np.int64]:
    """Positions of the rows to draw, of `n` sorted from worst to best."""
    if top is not None:
        return np.arange(max(0, n - top), n)
    if n <= _MOST_LINES:
        return np.arange(n)
    best = _MOST_LINES // 4
    others = np.linspace(0, n - best - 1, _MOST_LINES - best).astype(np.int64)
    return np.concatenate([np.unique(others), np.arange(n - best, n)])


def _dimension(values: pd.Series[Any]) -> dict[str, Any]:
    """The axis of one parameter: numbers (log scale for a wide range), anything else by name."""
    label = str(values.name)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        names = sorted(map(str, values.unique()))
        places = [names.index(str(value)) for value in values]
        return {"label": label, "values": places, "tickvals": list(range(len(names))), "ticktext": names}
    numbers = values.to_numpy(dtype=np.float64)
    low, high = numbers.min(), numbers.max()
    if low > 0 and high > _WIDE * low:
        ticks = np.geomspace(low, high, 6)
        return {
            "label": f"{label} (log)",
            "values": np.log10(numbers),
            "tickvals": np.log10(ticks),
            "ticktext": [f"{tick:.3g}" for tick in ticks],
        }
    return {"label": label, "values": numbers}


def _colours(values: npt.NDArray[np.float64], metric: str, prefix: str = "z") -> dict[str, Any]:
    """The colour scale: red below zero and blue above; one colour if all values have the same sign."""
    finite = values[np.isfinite(values)]
    if not finite.min() < 0 < finite.max():
        # A scale centred on zero would hardly separate values of one sign. Losses stay red.
        lost = metric in _SIGNED and finite.min() < 0
        return {"colorscale": _LOSSES if lost else _SEQUENTIAL}
    # One outlier must not turn all other cells grey.
    reach = float(np.quantile(np.abs(finite), 0.98)) or float(np.abs(finite).max()) or 1.0
    return {"colorscale": _DIVERGING, f"{prefix}min": -reach, f"{prefix}max": reach}


def _format(metric: str) -> str:
    return ".1%" if metric in _PERCENT else ".3~g" if metric == "total_trades" else ".2f"


def _outline(symbol: str) -> dict[str, Any]:
    return {"width": 1.5, "color": "#24292f"} if symbol == "star" else {"width": 1.2, "color": TEXT}
