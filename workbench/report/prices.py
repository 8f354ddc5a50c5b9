"""The tearsheet's price section: each symbol's closes with the entries and exits of its trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.drawing.blocks import Block, Chart, Choice, Note, Section
from workbench.drawing.charts import chart, is_wide, line, log_axis, number_axis, time_axis
from workbench.drawing.colours import LIGHT
from workbench.drawing.thinning import drawn_rows
from workbench.drawing.wording import TimeFormat, amount, count, signed_percent, words
from workbench.errors import BacktestError
from workbench.signals.inputs import BarArrays, read_bars

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.fills.record import BacktestRecord

__all__ = ["price_section"]

MOST_SYMBOLS = 6
MOST_MARKED = 400
"""Maximum number of trades marked per symbol; of more, the latest."""
_HEIGHT = 440
_BUTTONS = 28
"""Height of a figure's buttons at its top edge, in pixels."""


def price_section(result: BacktestRecord, bars: pd.DataFrame, time_format: TimeFormat) -> Section:
    """The section: prices of the most traded symbols, with entries and exits.

    Raises
    ------
    BacktestError
        The bars are not tidy, or have none of the symbols within the backtest's dates.
    """
    title = "Trades on the price"
    if result.trades.empty:
        return Section("price", title, [Note("There were no trades.", "empty")])
    busiest = result.trades["symbol"].value_counts(sort=False)
    order = busiest.sort_values(ascending=False, kind="stable").index[:MOST_SYMBOLS]
    held = bars[bars.index.isin(list(order), level=0)] if isinstance(bars.index, pd.MultiIndex) else bars
    if held.empty:
        raise BacktestError(f"bars: they have none of {', '.join(order)}; pass the bars of the backtest.")
    market = read_bars(held)
    charts = {
        str(symbol): [_price_chart(result, str(symbol), prices, time_format)]
        for symbol in order
        if (prices := _prices(market, str(symbol), result)) is not None
    }
    if not charts:
        raise BacktestError(
            f"bars: there are none from {result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}; "
            "pass the bars of the backtest."
        )
    blocks: list[Block] = (
        list(next(iter(charts.values()))) if len(charts) == 1 else [Choice("Symbol", charts)]
    )
    notes = [f"The {MOST_SYMBOLS} most traded of {count(len(busiest))} symbols."] * (
        len(busiest) > MOST_SYMBOLS
    )
    notes += [f"The latest {MOST_MARKED} trades of each symbol are marked."] * bool(
        (busiest > MOST_MARKED).any()
    )
    return Section("price", title, blocks, " ".join(notes))


def _prices(market: BarArrays, symbol: str, result: BacktestRecord) -> pd.Series[float] | None:
    if symbol not in market.symbols:
        return None
    column = market.symbols.index(symbol)
    close = pd.Series(market.close[:, column], index=market.timestamps).dropna()
    close = close[(close.index >= result.start) & (close.index <= result.end)]
    return None if close.empty else close


def _price_chart(
    result: BacktestRecord, symbol: str, close: pd.Series[float], time_format: TimeFormat
) -> Chart:
    trades = result.trades[result.trades["symbol"] == symbol].tail(MOST_MARKED)
    figure = chart(height=_HEIGHT)
    rows = drawn_rows(close)
    times = time_format.texts(pd.DatetimeIndex(close.index[rows]))
    line(
        figure,
        times,
        close.to_numpy()[rows],
        "close",
        LIGHT.benchmark,
        width=1.2,
        hovertemplate="%{y:,.2f}",
        legendrank=9,
    )
    closed = trades[trades["status"] == "closed"]
    for name, colour, mine in (
        ("won", LIGHT.gain, closed[closed["pnl"] > 0.0]),
        ("lost", LIGHT.loss, closed[closed["pnl"] <= 0.0]),
    ):
        _trade_lines(figure, mine, time_format, name, colour)
    for direction, shape, colour in (
        ("long", "triangle-up", LIGHT.strategy),
        ("short", "triangle-down", LIGHT.short),
    ):
        mine = trades[trades["direction"] == direction]
        _entries(figure, mine, time_format, direction, shape, colour)
    _exits(figure, closed, time_format)
    # Below the buttons at the top edge: on a phone the legend has several rows and would overlap them.
    below = {"yref": "container", "y": 1.0 - _BUTTONS / _HEIGHT, "yanchor": "top"}
    figure.update_layout(hovermode="closest", legend=below)
    scales = "log" if is_wide(close) else None
    number_axis(figure, tickformat="~g")
    if scales:
        log_axis(figure, [close])
    time_axis(figure, result.start, result.end, time_format.hover)
    shows = f"Price of {symbol} with the entries and exits of its trades."
    return Chart(f"price {symbol}", figure, shows, scales=scales)


def _trade_lines(
    figure: Figure, trades: pd.DataFrame, time_format: TimeFormat, name: str, colour: str
) -> None:
    """A line from each entry to its exit: one trace with gaps."""
    if trades.empty:
        return
    times: list[str | None] = []
    prices: list[float | None] = []
    pairs = zip(
        time_format.texts(trades["entry_time"]),
        time_format.texts(trades["exit_time"]),
        trades["entry_price"],
        trades["exit_price"],
        strict=True,
    )
    for entered, left, bought, sold in pairs:
        times += [entered, left, None]
        prices += [bought, sold, None]
    line(figure, times, prices, name, colour, width=2.2, hoverinfo="skip")


def _entries(
    figure: Figure, trades: pd.DataFrame, time_format: TimeFormat, direction: str, shape: str, colour: str
) -> None:
    import plotly.graph_objects as go

    if trades.empty:
        return
    figure.add_trace(
        go.Scatter(
            x=time_format.texts(trades["entry_time"]),
            y=trades["entry_price"].to_numpy(),
            name=f"{direction} entry",
            mode="markers",
            marker={"symbol": shape, "size": 9, "color": colour, "line": {"width": 1, "color": LIGHT.page}},
            customdata=[amount(units) for units in trades["size"]],
            hovertemplate=f"{direction} %{{customdata}} at %{{y:,.2f}}<br>%{{x}}<extra></extra>",
        )
    )


def _exits(figure: Figure, closed: pd.DataFrame, time_format: TimeFormat) -> None:
    import plotly.graph_objects as go

    if closed.empty:
        return
    labels = [
        f"{words(reason)}: {signed_percent(made)}"
        for reason, made in zip(closed["exit_reason"], closed["return"], strict=True)
    ]
    figure.add_trace(
        go.Scatter(
            x=time_format.texts(closed["exit_time"]),
            y=closed["exit_price"].to_numpy(),
            name="exit",
            mode="markers",
            marker={
                "symbol": "circle",
                "size": 6,
                "color": [LIGHT.gain if pnl > 0 else LIGHT.loss for pnl in closed["pnl"]],
                "line": {"width": 1, "color": LIGHT.page},
            },
            customdata=labels,
            hovertemplate="%{customdata}<br>at %{y:,.2f}, %{x}<extra></extra>",
        )
    )
