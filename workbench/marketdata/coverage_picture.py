"""Displays of coverage: a figure with one row per symbol, and an HTML table with strips."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.display.card import HAIRLINE, frame_html, table_html
from workbench.drawing.notebook_style import CLEAR, GAIN, GRID, HOVER, LOSS, LOSS_FILL, TEXT
from workbench.errors import QueryError
from workbench.marketdata.calendar import is_daily

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["coverage_html", "coverage_picture", "summary"]

# Screen resolution: gaps closer together than one of these steps are drawn as one.
STEPS = 1200
# Maximum marks in a figure; with more, a browser becomes slow.
MARKS = 20_000
ROW, LOWEST, HIGHEST = 26, 190, 1000
# With up to this many rows, each is labelled with its share.
LABELLED = 40
# The rows of the table in a notebook, and the pixels of a strip.
ROWS, STRIP = 30, 260


def summary(table: pd.DataFrame, calendar: str) -> str:
    """One line about all symbols."""
    if table.empty:
        return "no bars"
    expected, missing = int(table["expected"].sum()), int(table["missing"].sum())
    share = f" ({_percent(1 - missing / expected)} of {calendar}'s)" if expected else ""
    incomplete = int((table["missing"] > 0).sum())
    lacking = "none with gaps" if incomplete == 0 else f"{incomplete:,} with gaps"
    symbols = f"{len(table):,} symbol{'s' * (len(table) != 1)}"
    return f"{symbols}, {table['bars'].sum():,} bars{share}, {lacking}"


def coverage_picture(table: pd.DataFrame, gaps: pd.DataFrame, calendar: str) -> go.Figure:
    """A figure with one row per symbol, from its first bar to its last: existing bars solid, gaps in red.

    Parameters
    ----------
    table, gaps : DataFrame
        As `Coverage` holds them.
    calendar : str
        The exchange's name, for the title.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    QueryError
        There are no bars.
    """
    import plotly.graph_objects as go

    if table.empty:
        raise QueryError("there are no bars to draw the coverage of: the frame is empty")
    there, missing = _spans(table, gaps, min(STEPS, max(20, MARKS // len(table))))
    height = min(max(110 + ROW * len(table), LOWEST), HIGHEST)
    thick = (height - 110) / len(table)
    edge = (table["last"].max() - table["first"].min()) * 0.01 + _width(table)
    reach = [(table["first"].min() - edge).isoformat(), (table["last"].max() + edge).isoformat()]
    fill = LOSS_FILL if thick > 4 else LOSS
    figure = go.Figure(
        [
            _bars(there, "there", GAIN, CLEAR, 0, "there"),
            # The outline keeps gaps narrower than a pixel visible.
            _bars(missing, "missing", fill, LOSS, 1.5 if thick > 4 else 0.8, "%{customdata:,} missing"),
        ]
    )
    figure.update_layout(
        title={
            "text": summary(table, calendar),
            "x": 0.01,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 16},
        },
        title_font_size=14,
        template="none",
        barmode="overlay",
        bargap=0.35 if thick > 8 else 0.1,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"color": TEXT, "family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 12},
        height=height,
        margin={"l": 8, "r": 64 if len(table) <= LABELLED else 16, "t": 62, "b": 36},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "font": {"size": 11},
        },
        hoverlabel=HOVER,
        modebar={"bgcolor": CLEAR, "color": TEXT, "activecolor": GAIN},
    )
    figure.update_xaxes(type="date", range=reach, gridcolor=GRID, linecolor=GRID)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(table.index),
        autorange="reversed",
        automargin=True,
        showgrid=False,
        ticks="",
    )
    if len(table) <= LABELLED:
        for symbol, share in table["share"].items():
            figure.add_annotation(
                x=1, xref="paper", xanchor="left", xshift=6, y=symbol, text=_percent(share), showarrow=False
            )
    return figure


def coverage_html(table: pd.DataFrame, gaps: pd.DataFrame, calendar: str) -> str:
    """The table as self-contained HTML for light and dark pages; a long table shows only its worst rows.

    Parameters
    ----------
    table, gaps, calendar
        As for `coverage_picture`.

    Returns
    -------
    str
        One `<div>`.
    """
    shown = table if len(table) <= ROWS else table.nlargest(ROWS, "missing", keep="first")
    cut = f"<div style='padding:6px 10px;opacity:.7'>the {ROWS} of {len(table):,} with most missing</div>"
    head = "".join(
        f'<th style="text-align:{"left" if name in ("symbol", "") else "right"};padding:4px 10px;opacity:.7;'
        f'font-weight:400;background:transparent">{name}</th>'
        for name in ("symbol", "", "first", "last", "bars", "expected", "missing", "share", "longest gap")
    )
    strips = _strips(table, shown, gaps)
    cells = {
        "first": [_moment(moment) for moment in shown["first"]],
        "last": [_moment(moment) for moment in shown["last"]],
        "bars": [f"{count:,}" for count in shown["bars"]],
        "expected": [f"{count:,}" for count in shown["expected"]],
        "missing": [f"{count:,}" if count else "–" for count in shown["missing"]],
        "share": [_percent(share) for share in shown["share"]],
        "longest_gap": [f"{count:,}" if count else "–" for count in shown["longest_gap"]],
    }
    rows = "".join(
        f'<tr style="background:transparent"><td style="text-align:left;padding:4px 10px;'
        f'border-top:{HAIRLINE};font-weight:600">{escape(str(symbol))}</td>'
        f'<td style="padding:4px 10px;border-top:{HAIRLINE}">{strips[str(symbol)]}</td>'
        + "".join(
            f'<td style="text-align:right;padding:4px 10px;border-top:{HAIRLINE};white-space:nowrap;'
            f'font-variant-numeric:tabular-nums">{value}</td>'
            for value in values
        )
        + "</tr>"
        for symbol, *values in zip(shown.index, *cells.values(), strict=True)
    )
    cut = cut if len(shown) < len(table) else ""
    return frame_html(escape(summary(table, calendar)), table_html(head, rows) + cut)


def _bars(spans: pd.DataFrame, name: str, colour: str, outline: str, width: float, label: str) -> go.Bar:
    import plotly.graph_objects as go

    shown = [_moment(moment) for moment in spans["start"]], [_moment(moment) for moment in spans["last"]]
    between = [first if first == last else f"{first} to {last}" for first, last in zip(*shown, strict=True)]
    return go.Bar(
        orientation="h",
        name=name,
        y=spans["symbol"].tolist(),
        base=[f"{moment:%Y-%m-%d %H:%M:%S}" for moment in spans["start"]],
        x=(_seconds(spans["end"] - spans["start"]) * 1000).tolist(),
        customdata=spans["bars"].tolist(),
        text=between,
        textposition="none",
        marker={"color": colour, "line": {"color": outline, "width": width}},
        hovertemplate=f"<b>%{{y}}</b> %{{text}}<br>{label}<extra></extra>",
    )


def _spans(table: pd.DataFrame, gaps: pd.DataFrame, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spans of existing and of missing bars, with gaps closer together than a step merged.

    Both have symbol, start, last (the last bar), end (the end of that bar), bars (missing ones, for gaps).
    """
    step = _width(table)
    reach = (table["last"].max() - table["first"].min()) / steps
    missing = gaps.assign(last=gaps["end"], end=gaps["end"] + step)
    new = (missing["symbol"] != missing["symbol"].shift()) | (
        missing["start"] - missing["end"].shift() > reach
    )
    grouped = missing.groupby(new.cumsum(), sort=False)
    missing = grouped.agg({"symbol": "first", "start": "first", "last": "last", "end": "last", "bars": "sum"})
    # Existing bars are between the gaps: each span starts at the first bar or at the end of a gap.
    opening = table.reset_index()[["symbol", "first"]].rename(columns={"first": "start"})
    starts = pd.concat([opening, missing[["symbol", "end"]].rename(columns={"end": "start"})])
    closing = table.reset_index()[["symbol", "last"]]
    closing["end"] = closing["last"] + step
    before = missing[["symbol", "start"]].rename(columns={"start": "end"})
    ends = pd.concat([before.assign(last=before["end"] - step), closing])
    by_time = [
        starts.sort_values(["symbol", "start"], ignore_index=True),
        ends.sort_values(["symbol", "end"], ignore_index=True)[["last", "end"]],
    ]
    return pd.concat(by_time, axis=1).assign(bars=0), missing


def _strips(table: pd.DataFrame, shown: pd.DataFrame, gaps: pd.DataFrame) -> dict[str, str]:
    """Each shown symbol's coverage as inline SVG, on the time axis of all symbols."""
    begin = table["first"].min()
    whole = (table["last"].max() + _width(table) - begin).total_seconds() if len(table) else 1.0
    own = gaps[gaps["symbol"].isin(shown.index)]
    there, missing = _spans(shown, own, STRIP)
    drawn: dict[str, list[str]] = {str(symbol): [] for symbol in shown.index}
    # Gaps are drawn last, over the existing bars, and at least a pixel wide.
    for spans, colour, least in ((there, GAIN, 0.0), (missing, LOSS, 1.0)):
        left = _seconds(spans["start"] - begin) / whole * STRIP
        width = (_seconds(spans["end"] - spans["start"]) / whole * STRIP).clip(least)
        for symbol, x, wide in zip(spans["symbol"], left, width, strict=True):
            drawn[symbol].append(f'<rect x="{x:.1f}" y="0" width="{wide:.1f}" height="10" fill="{colour}"/>')
    return {
        symbol:  # Without an aspect ratio: a narrow page squeezes it instead of cutting its end off.
        f'<svg width="{STRIP}" height="10" viewBox="0 0 {STRIP} 10" preserveAspectRatio="none" '
        'style="vertical-align:middle;display:inline-block">'
        f"{''.join(marks)}</svg>"
        for symbol, marks in drawn.items()
    }


def _width(table: pd.DataFrame) -> pd.Timedelta:
    """The width of a bar on the time axis: a day for daily bars, else a minute."""
    daily = is_daily(pd.DatetimeIndex(pd.concat([table["first"], table["last"]])))
    return pd.Timedelta(days=1) if daily else pd.Timedelta(minutes=1)


def _seconds(lengths: pd.Series[pd.Timedelta]) -> npt.NDArray[np.float64]:
    return np.asarray(lengths.dt.total_seconds(), dtype=np.float64)


def _moment(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def _percent(share: float) -> str:
    """The share as text, rounded down: 100 % only if nothing is missing."""
    if np.isnan(share):
        return "–"
    return "100 %" if share == 1 else f"{int(share * 1000 + 1e-9) / 10:.1f} %"
