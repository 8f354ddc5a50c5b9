"""Bookkeeping: from what happened to orders, trades and dividends; no fill is decided here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.fills.layout import Layout
from workbench.fills.lines import DIVIDEND, REASONS, Lines
from workbench.fills.trades import round_trips, sums, text

__all__ = ["Ledger", "keep_ledger"]

_SIDES = ("buy", "sell")


@dataclass(frozen=True, eq=False)
class Ledger:
    """What became of the accounts; `BacktestRecord` describes the frames."""

    dividends: npt.NDArray[np.float64]
    orders: pd.DataFrame
    trades: pd.DataFrame


def keep_ledger(layout: Layout, lines: Lines) -> Ledger:
    """Book what happened.

    Parameters
    ----------
    layout : Layout
    lines : Lines
        Each account's in the order in which they happened.
    """
    market = layout.market
    orders, dividends = lines, np.zeros(len(market.timestamps))
    paid = lines.side == DIVIDEND
    if paid.any():
        dividends = sums(lines.row[paid], lines.units[paid] * lines.price[paid], len(dividends))
        orders = lines.take(~paid)
    orders = orders.take(np.argsort(orders.row * len(market.symbols) + orders.column, kind="stable"))
    return Ledger(
        dividends=dividends,
        orders=pd.DataFrame(
            {
                "symbol": text(market.symbols, orders.column),
                "signal_time": market.timestamps[orders.decided],
                "time": market.timestamps[orders.row],
                "side": text(_SIDES, orders.side),
                "size": orders.size,
                "price": orders.price,
                "fees": orders.fees,
                "reason": text(REASONS, orders.reason),
                "strength": orders.strength,
            },
            copy=False,
        ),
        trades=round_trips(lines, market, layout.last_closes[-1]),
    )
