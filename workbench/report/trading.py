"""The tearsheet's section on trades: statistics, distribution of returns, and a list of some trades."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.drawing.blocks import (
    Beside,
    Block,
    Chart,
    Choice,
    Facts,
    Item,
    Note,
    Section,
    Table,
    TableCell,
)
from workbench.drawing.charts import (
    chart,
    number_axis,
    tick_format,
)
from workbench.drawing.colours import LIGHT
from workbench.drawing.wording import (
    NOTHING,
    TimeFormat,
    amount,
    count,
    percent,
    ratio,
    signed_money,
    signed_percent,
    tone,
    words,
)

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["trades_section"]

_LISTED = 10


def trades_section(result: BacktestRecord, time_format: TimeFormat, currency: str) -> Section:
    """The section: statistics of the closed trades, their distribution, and the latest, best and worst."""
    title = "Trades"
    if result.trades.empty:
        return Section("trades", title, [Note("The strategy never traded.", "empty")])
    closed = result.trades[result.trades["status"] == "closed"]
    blocks: list[Block] = [
        Beside([[_statistics(result, closed, currency)], [_spread(closed)]], style="facts-left")
    ]
    several = len(result.symbols) > 1
    listings = {"Latest": result.trades.iloc[::-1].head(_LISTED)}
    if len(closed) > _LISTED // 2:
        ranked = closed.sort_values("return", ascending=False, kind="stable")
        listings |= {"Best": ranked.head(_LISTED), "Worst": ranked.iloc[::-1].head(_LISTED)}
    tables = {name: [_listing(frame, time_format, several, currency)] for name, frame in listings.items()}
    blocks += [Choice("Trades", tables)] if len(tables) > 1 else tables["Latest"]
    if len(result.trades) > _LISTED:
        blocks.append(Note(f"{_LISTED} of {count(len(result.trades))} trades are listed."))
    return Section("trades", title, blocks)


def _statistics(result: BacktestRecord, closed: pd.DataFrame, currency: str) -> Facts:
    m = result.metrics
    wins, losses = closed.loc[closed["pnl"] > 0.0, "return"], closed.loc[closed["pnl"] <= 0.0, "return"]
    days = (closed["exit_time"] - closed["entry_time"]).dt.total_seconds() / 86_400.0
    open_ones = f"+{count(m['open_trades'])} open" if m["open_trades"] else ""
    shorts = int((closed["direction"] == "short").sum())
    items = [
        Item("Closed trades", count(m["total_trades"]), note=open_ones),
        Item("Win rate", percent(m["win_rate"])),
        Item("Profit factor", ratio(m["profit_factor"]), hint="Money won / money lost"),
        Item(
            "Expectancy",
            signed_money(m["expectancy"], currency),
            tone(m["expectancy"]),
            hint="Mean profit of a trade",
        ),
        Item("SQN", ratio(m["sqn"]), hint="System quality number: mean profit / its standard error"),
        Item("Average win", signed_percent(_mean(wins), 2)),
        Item("Average loss", signed_percent(_mean(losses), 2)),
        Item("Time in a trade", _length(days.median()), note="median"),
    ]
    if shorts:
        items.insert(1, Item("Short trades", count(shorts)))
    if closed["exit_reason"].nunique() > 1:
        reasons = closed["exit_reason"].value_counts()
        items += [Item(f"Exits by {words(name)}", count(number)) for name, number in reasons.items()]
    return Facts(items, style="list")


def _spread(closed: pd.DataFrame) -> Block:
    """Histogram of the trades' returns."""
    import plotly.graph_objects as go

    made = closed["return"].dropna().to_numpy()
    if len(made) < 2:
        return Note("Fewer than two closed trades: there is no distribution to show.", "empty")
    reach = max(float(np.max(np.abs(made))), 1e-9)
    # A readable number of equal bins, with an edge at zero between wins and losses.
    width = max(float(np.ptp(made)), reach) / np.clip(2 * round(np.sqrt(len(made))), 8, 40)
    below, above = np.ceil(max(-made.min(), 0.0) / width), np.floor(max(made.max(), 0.0) / width) + 1
    edges = np.arange(-below, above + 1) * width
    counts, _ = np.histogram(made, bins=edges)
    centres = (edges[1:] + edges[:-1]) / 2.0
    figure = chart(height=300)
    figure.add_trace(
        go.Bar(
            x=centres,
            y=counts,
            marker={
                "color": [LIGHT.gain if centre > 0 else LIGHT.loss for centre in centres],
                "line": {"width": 0},
                "opacity": 0.85,
            },
            customdata=[f"{signed_percent(low)} to {signed_percent(high)}" for low, high in pairwise(edges)],
            hovertemplate="%{customdata}: %{y:,.0f} trades<extra></extra>",
        )
    )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=tick_format(reach), nticks=9)
    number_axis(figure, tickformat=",.0f", rangemode="tozero", nticks=5)
    return Chart(
        "trade returns", figure, "Histogram of the trades' returns.", title="Returns of the closed trades"
    )


def _listing(trades: pd.DataFrame, time_format: TimeFormat, several: bool, currency: str) -> Table:
    # The first columns are those that a phone shows without scrolling.
    names = ["Entered", "Exited", *["Symbol"] * several, "Side"]
    numbers = ["Return", f"Profit, {currency}" if currency else "Profit", "Units", "Entry", "Exit", "Exit by"]
    rows: list[Sequence[TableCell]] = []
    for trade in trades.to_dict("records"):
        still_open = trade["status"] == "open"
        made = trade["return"]
        rows.append(
            [
                TableCell(time_format.text(trade["entry_time"])),
                TableCell("open", "muted") if still_open else TableCell(time_format.text(trade["exit_time"])),
                *[TableCell(str(trade["symbol"]))] * several,
                TableCell(str(trade["direction"])),
                TableCell(signed_percent(made), tone(made)),
                TableCell(signed_money(trade["pnl"]), tone(trade["pnl"])),
                TableCell(amount(trade["size"])),
                TableCell(amount(trade["entry_price"])),
                TableCell(amount(trade["exit_price"])),
                TableCell(NOTHING if still_open else words(trade["exit_reason"]), "muted"),
            ]
        )
    return Table([*names, *numbers], rows, names=len(names), style="trades")


def _mean(values: pd.Series[float]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _length(days: float) -> str:
    if np.isnan(days):
        return NOTHING
    if days >= 2.0:
        return f"{count(days)} days"
    return f"{days * 24:.1f} hours" if days * 24 >= 2.0 else f"{days * 1440:.0f} minutes"
