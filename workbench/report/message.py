"""`message_png`: a backtest as one image, readable on a phone; drawn by matplotlib without a browser."""

from __future__ import annotations

import io
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.drawing.charts import is_wide, log_ticks
from workbench.drawing.colours import LIGHT
from workbench.drawing.thinning import drawn_rows
from workbench.drawing.wording import (
    benchmark_name,
    count,
    percent,
    ratio,
    signed_percent,
    span,
    tone,
)
from workbench.report.periods import monthly_returns, yearly_returns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.fills.record import BacktestRecord

__all__ = ["message_png"]

_WIDTH, _HEIGHT, _DOTS = 1200, 900, 100
_LEFT, _RIGHT = 0.035, 0.965
_LETTER = 0.0112
"""Width of a 20-pixel letter, as a fraction of the image's width."""
_ROOM = (_RIGHT - _LEFT) / _LETTER
_LINE = 106
_POINTS = 2_000
_YEARS = 4
"""Years in the table of months, the latest; more would be too small to read."""
_STRONGEST_MONTH = 0.10
_TICKS = 5
_FONT = "DejaVu Sans"
"""Included in matplotlib, so the image is the same on machines without fonts."""
_TONES = {"gain": LIGHT.gain, "loss": LIGHT.loss, "": LIGHT.text}


def message_png(result: BacktestRecord, *, title: str, verdict: str) -> bytes:
    """Draw the headline figures, equity and benchmark, drawdown and the latest years' months.

    Parameters
    ----------
    result : BacktestRecord
    title : str
        One line; longer ones are cut.
    verdict : str
        One sentence; at most two lines.

    Returns
    -------
    bytes
        A PNG of 1200 × 900 pixels on white; no text is smaller than 19 pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _DOTS, _HEIGHT / _DOTS), dpi=_DOTS, facecolor=LIGHT.page)
    FigureCanvasAgg(figure)
    _head(figure, result, title, verdict)
    months = monthly_returns(result.returns).tail(_YEARS)
    table = 0.046 * (len(months) + 1)
    base = 0.025 + table + 0.052
    drawdown = figure.add_axes((0.085, base, _RIGHT - 0.085, 0.105))
    equity = figure.add_axes((0.085, base + 0.12, _RIGHT - 0.085, 0.683 - base - 0.12))
    _lines(equity, drawdown, result)
    _months(figure.add_axes((_LEFT, 0.025, _RIGHT - _LEFT, table)), months, yearly_returns(result.returns))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Characters missing from the font are shown as boxes: better than no image.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=_DOTS, facecolor=LIGHT.page)
    return buffer.getvalue()


def _write(place: Any, x: float, y: float, text: str, pixels: float, **options: Any) -> None:
    """Text of a height in pixels; dollar signs (as in symbols) are not parsed as formulas."""
    options = {"color": LIGHT.text, "va": "baseline", **options}
    place.text(x, y, text, fontsize=pixels * 72 / _DOTS, family=_FONT, parse_math=False, **options)


def _head(figure: Figure, result: BacktestRecord, title: str, verdict: str) -> None:
    m = result.metrics
    _write(figure, _LEFT, 0.938, textwrap.shorten(title, 52, placeholder="…"), 36, weight="bold")
    _write(figure, _LEFT, 0.900, textwrap.shorten(span(result), 84, placeholder="…"), 21, color=LIGHT.muted)
    cells = [
        ("Return", signed_percent(m["total_return"]), tone(m["total_return"])),
        ("Benchmark", signed_percent(m["benchmark_return"]), ""),
        ("CAGR", percent(m["cagr"]), ""),
        ("Sharpe", ratio(m["sharpe_ratio"]), ""),
        ("Max drawdown", percent(m["max_drawdown"]), tone(m["max_drawdown"])),
        ("Trades", count(m["total_trades"]), ""),
    ]
    # Each column is as wide as its longer text; the rest is divided equally between them.
    widths = np.array([max(len(value) * 1.75, len(label)) for label, value, _ in cells])
    gaps = (_ROOM - widths.sum()) / (len(cells) - 1)
    places = _LEFT + np.concatenate([[0.0], np.cumsum(widths[:-1] + gaps)]) * _LETTER
    for place, (label, value, toned) in zip(places, cells, strict=True):
        _write(figure, place, 0.853, label, 20, color=LIGHT.muted)
        _write(figure, place, 0.804, value, 35, weight="bold", color=_TONES[toned])
    for number, text in enumerate(_two_lines(verdict)):
        _write(figure, _LEFT, 0.762 - 0.029 * number, text, 20)


def _two_lines(sentence: str) -> list[str]:
    """As many of the sentence's clauses as fit into two lines; the page has all of them."""
    clauses = sentence.rstrip(".").split("; ")
    while len(clauses) > 1 and len(textwrap.wrap("; ".join(clauses), _LINE)) > 2:
        clauses.pop()
    return textwrap.wrap("; ".join(clauses) + ".", _LINE, max_lines=2, placeholder=" …")


def _lines(equity: Axes, drawdown: Axes, result: BacktestRecord) -> None:
    rows = drawn_rows(result.equity, result.benchmark, result.drawdown, most=_POINTS)
    times = pd.DatetimeIndex(result.equity.index[rows]).tz_localize(None).to_numpy()
    benchmark, own = result.benchmark.to_numpy()[rows], result.equity.to_numpy()[rows]
    if len(times) < 2:
        _write(equity, 0.5, 0.5, "A single bar makes no line.", 24, ha="center", transform=equity.transAxes)
        equity.set_axis_off()
        drawdown.set_axis_off()
        return
    equity.plot(times, benchmark, color=LIGHT.benchmark, linewidth=1.8, label=benchmark_name(result))
    equity.plot(times, own, color=LIGHT.strategy, linewidth=2.6, label="strategy")
    fall = result.drawdown.to_numpy()[rows]
    drawdown.fill_between(times, fall, 0.0, color=LIGHT.loss, alpha=0.25, linewidth=0)
    drawdown.plot(times, fall, color=LIGHT.loss, linewidth=1.4)
    if is_wide(result.equity, result.benchmark):
        equity.set_yscale("log")
    _style(equity, drawdown)
    for axes in (equity, drawdown):
        axes.set_xlim(times[0], times[-1])
    handles, labels = equity.get_legend_handles_labels()
    legend = equity.legend(
        handles[::-1],
        labels[::-1],
        loc="lower left",
        bbox_to_anchor=(-0.008, 0.985),
        ncols=2,
        frameon=False,
        prop={"family": _FONT, "size": 20 * 72 / _DOTS},
        borderaxespad=0.1,
    )
    for text in legend.get_texts():
        text.set_color(LIGHT.text)
        text.set_parse_math(False)


def _style(equity: Axes, drawdown: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    if equity.get_yscale() == "log":
        equity.minorticks_off()
        equity.yaxis.set_major_locator(FixedLocator(log_ticks(*equity.get_ylim(), most=_TICKS)))
    else:
        equity.yaxis.set_major_locator(MaxNLocator(4))
    equity.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    drawdown.yaxis.set_major_locator(MaxNLocator(2))
    drawdown.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    locator = AutoDateLocator(minticks=3, maxticks=8)
    drawdown.xaxis.set_major_locator(locator)
    drawdown.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    equity.sharex(drawdown)
    equity.tick_params(labelbottom=False)
    for axes in (equity, drawdown):
        axes.set_facecolor(LIGHT.page)
        axes.grid(visible=True, axis="y", color=LIGHT.line, linewidth=1)
        axes.set_axisbelow(True)
        axes.tick_params(
            length=0, pad=6, colors=LIGHT.muted, labelsize=19 * 72 / _DOTS, labelfontfamily=_FONT
        )
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(LIGHT.line)


def _months(axes: Axes, months: pd.DataFrame, years: pd.Series[float]) -> None:
    """The table of months: one row per year, the latest first, with the year's return at the end."""
    from matplotlib.patches import Rectangle

    axes.set_xlim(0, 14.4)
    axes.set_ylim(len(months) + 1, 0)
    axes.set_axis_off()
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    for column, name in enumerate(names):
        _write(axes, column + 1.5, 0.68, name, 19, ha="center", color=LIGHT.muted)
    _write(axes, 14.35, 0.68, "Year", 19, ha="right", color=LIGHT.muted)
    for row, year in enumerate(reversed(months.index), start=1):
        _write(axes, 0, row + 0.66, str(year), 20)
        for column, value in enumerate(months.loc[year]):
            if np.isnan(value):
                continue
            strength = min(abs(float(value)) / _STRONGEST_MONTH, 1.0)
            axes.add_patch(
                Rectangle(
                    (column + 1.03, row + 0.06),
                    0.94,
                    0.88,
                    linewidth=0,
                    facecolor=_TONES[tone(float(value))] if value else LIGHT.neutral,
                    alpha=max(strength * 0.6, 0.08),
                )
            )
            _write(axes, column + 1.5, row + 0.66, percent(float(value)).rstrip("%"), 19, ha="center")
        total = float(years[year])
        shown = signed_percent(total)
        _write(axes, 14.35, row + 0.66, shown, 20, ha="right", weight="bold", color=_TONES[tone(total)])


def _short(value: float) -> str:
    for unit, name in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}".replace("-", "−")
    return f"{value:g}".replace("-", "−")
