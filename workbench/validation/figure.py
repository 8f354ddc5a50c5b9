"""Plot of a validation: equity out of sample, and the objective in and out of sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.drawing.charts import is_wide, log_axis
from workbench.drawing.notebook_style import ACCENT, OTHER, TEXT, style_figure
from workbench.drawing.wording import percent, ratio, signed_percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.validation.record import ValidationRecord

__all__ = ["OBJECTIVE_NAMES", "SCHEMES", "validation_figure"]

SCHEMES = {
    "walk_forward": "walk-forward",
    "purged_kfold": "purged k-fold",
    "combinatorial_purged": "combinatorial purged",
}
"""Display names of the schemes."""
OBJECTIVE_NAMES = {
    "sharpe_ratio": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
    "cagr": "CAGR",
    "total_return": "return",
    "max_drawdown": "max drawdown",
}
"""Display names of the objectives."""

# Colours that are readable on white and on JupyterLab's dark grey; the background is transparent.
_SPAN = "rgba(139, 148, 158, 0.13)"
_PATH = "rgba(47, 129, 247, 0.5)"
_DOT: dict[str, Any] = {"color": ACCENT, "size": 9, "line": {"width": 0}, "opacity": 0.85}
_HOLLOW: dict[str, Any] = {"symbol": "circle-open", "color": OTHER, "size": 9, "line": {"width": 2}}


def validation_figure(result: ValidationRecord) -> Figure:
    """Equity out of sample, with the objective in and out of sample below it.

    Every other test span is shaded. With one path, the lower panel shows each split at the middle of its test
    span; with several, all splits and all paths as rows of dots.

    Parameters
    ----------
    result : ValidationRecord

    Returns
    -------
    plotly.graph_objects.Figure
        For light and dark pages; interactive in a notebook.
    """
    from plotly.subplots import make_subplots

    single = result.paths.shape[1] == 1
    figure: Figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=single,
        row_heights=[0.64, 0.36],
        vertical_spacing=0.05 if single else 0.1,
    )
    _draw_equity(figure, result)
    if single:
        _draw_splits(figure, result)
    else:
        _draw_rows(figure, result)
    _style(figure, result, single=single)
    return figure


def _draw_equity(figure: Figure, result: ValidationRecord) -> None:
    import plotly.graph_objects as go

    equity = result.equity
    for path in [*equity.columns.drop([result.path]), result.path]:
        main = path == result.path
        figure.add_trace(
            go.Scatter(
                x=equity.index,
                y=equity[path].to_numpy(),
                name="out of sample" if equity.shape[1] == 1 else "median path" if main else f"path {path}",
                line={"color": ACCENT if main else _PATH, "width": 2 if main else 1},
                hovertemplate="%{y:.3f}",
                showlegend=main,
            ),
            row=1,
            col=1,
        )
    # Spans count all bars, but the paths hold tested bars only.
    spans = sorted({(span.start, len(span)) for split in result.splits for span in split.test})
    ends = np.cumsum([length for _, length in spans])
    for number, ((_, length), end) in enumerate(zip(spans, ends.tolist(), strict=True)):
        if number % 2:
            figure.add_vrect(
                x0=equity.index[end - length],
                x1=equity.index[end - 1],
                fillcolor=_SPAN,
                line_width=0,
                layer="below",
                row=1,
                col=1,
            )


def _draw_splits(figure: Figure, result: ValidationRecord) -> None:
    """Each split's objective in and out of sample, joined by a line, at the middle of its test."""
    import plotly.graph_objects as go

    table = result.table
    middle = table["test_start"] + (table["test_end"] - table["test_start"]) / 2
    inside, outside = table["in_sample"].to_numpy(), table["out_of_sample"].to_numpy()
    figure.add_trace(
        go.Scatter(
            x=[time for at in middle for time in (at, at, None)],
            y=np.column_stack([inside, outside, np.full(len(table), np.nan)]).ravel(),
            mode="lines",
            line={"color": OTHER, "width": 1},
            hoverinfo="skip",
            showlegend=False,
        ),
        row=2,
        col=1,
    )
    for name, values, marker in (
        ("split, in sample", inside, _HOLLOW),
        ("split, out of sample", outside, _DOT),
    ):
        figure.add_trace(
            go.Scatter(
                x=middle,
                y=values,
                name=name,
                mode="markers",
                marker=marker,
                customdata=_choices(table),
                hovertemplate="%{y:.2f} (%{customdata})",
            ),
            row=2,
            col=1,
        )


def _draw_rows(figure: Figure, result: ValidationRecord) -> None:
    """The objective of all splits, and the Sharpe ratios of all paths, as rows of dots."""
    import plotly.graph_objects as go

    table, sharpes = result.table, result.sharpe_ratios
    choices = _choices(table)
    rows: list[tuple[str, npt.NDArray[Any], dict[str, Any], list[str]]] = [
        (f"{len(table)} splits, in sample", table["in_sample"].to_numpy(np.float64), _HOLLOW, choices),
        (f"{len(table)} splits, out of sample", table["out_of_sample"].to_numpy(np.float64), _DOT, choices),
        (
            f"{len(sharpes)} paths, Sharpe",
            sharpes.to_numpy(),
            _DOT,
            [f"path {path}" for path in sharpes.index],
        ),
    ]
    for place, (name, values, marker, notes) in enumerate(rows):
        # Shift the dots of one row a little, or equal ones would hide each other.
        apart = np.resize([0.0, 0.14, -0.14], len(values))
        figure.add_trace(
            go.Scatter(
                x=values,
                y=-place + apart,
                name=name,
                mode="markers",
                marker=marker,
                customdata=notes,
                hovertemplate="%{x:.2f} (%{customdata})",
                showlegend=False,
            ),
            row=2,
            col=1,
        )
        if np.isfinite(values).any():
            middle = float(np.nanmedian(values))
            figure.add_shape(
                type="line",
                x0=middle,
                x1=middle,
                y0=-place - 0.34,
                y1=-place + 0.34,
                line={"color": TEXT, "width": 2},
                row=2,
                col=1,
            )
    figure.update_yaxes(
        tickvals=[-place for place in range(len(rows))],
        ticktext=[row[0] for row in rows],
        range=[-len(rows) + 0.5, 0.5],
        row=2,
        col=1,
    )


def _style(figure: Figure, result: ValidationRecord, *, single: bool) -> None:
    m, objective = result.metrics, OBJECTIVE_NAMES[result.objective]
    times = result.paths.index
    headline = (
        f"Sharpe <b>{ratio(m['sharpe_ratio'])}</b>   return {signed_percent(m['total_return'])}   "
        f"CAGR {percent(m['cagr'])}   max drawdown {percent(m['max_drawdown'])}   "
        f"mean {objective} {ratio(m['in_sample'])} in, {ratio(m['out_of_sample'])} out of sample"
    )
    span = (
        f"{SCHEMES[result.kind]}, {len(result.splits)} splits · {times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}"
    )
    style_figure(
        figure,
        result.strategy,
        beside=span,
        below=headline,
        height=560,
        margin={"l": 84 if single else 168, "r": 24, "t": 100, "b": 44},
        hovermode="x unified" if single else "closest",
    )
    if times[0] < times[-1]:
        figure.update_xaxes(range=[times[0], times[-1]], row=1, col=1)
    figure.update_yaxes(title={"text": "growth of 1", "standoff": 8}, row=1, col=1)
    reach = pd.Series([result.equity.min(axis=None), result.equity.max(axis=None)])
    if is_wide(reach):
        log_axis(figure, [reach], row=1)
        figure.update_yaxes(tickformat="~g", title={"text": "growth of 1 (log)"}, row=1, col=1)
    zero = {"zeroline": True, "zerolinecolor": TEXT, "zerolinewidth": 1}
    if single:
        figure.update_yaxes(title={"text": objective, "standoff": 8}, **zero, row=2, col=1)
    else:
        figure.update_xaxes(title={"text": objective, "standoff": 6}, **zero, row=2, col=1)


def _choices(table: pd.DataFrame) -> list[str]:
    """The parameters chosen in each split, as text."""
    columns = list(table.columns)
    named = columns[columns.index("test_bars") + 1 : columns.index("in_sample")]
    return [", ".join(f"{name}={row[name]}" for name in named) for _, row in table[named].iterrows()]
