"""Bookkeeping: from what happened to orders, trades and dividends; no fill is decided here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.fills.layout import Layout
from workbench.fills.lines import DIVIDEND, REASONS
from workbench.fills.trades import round_trips, sums, text

__all__ = ["Ledger", "keep_ledger"]

Floats = npt.NDArray[np.float64]

_SIDES = np.array(["buy", "sell"], dtype=object)
_REASONS = np.array(REASONS, dtype=object)


@dataclass(frozen=True, eq=False)
class Ledger:
    """What became of the accounts; `BacktestRecord` describes the frames."""

    dividends: Floats
    orders: pd.DataFrame
    trades: pd.DataFrame


def keep_ledger(layout: Layout, lines: npt.NDArray[np.void]) -> Ledger:
    """Book what happened.

    Parameters
    ----------
    layout : Layout
    lines : structured ndarray of dtype LINE
        Each account's in the order in which they happened.
    """
    market = layout.market
    paid = lines[lines["side"] == DIVIDEND]
    orders = lines[lines["side"] != DIVIDEND]
    orders = orders[np.lexsort((orders["column"], orders["row"]))]
    return Ledger(
        dividends=sums(paid["row"], paid["units"] * paid["price"], len(market.timestamps)),
        orders=pd.DataFrame(
            {
                "symbol": text(np.array(market.symbols, dtype=object), orders["column"]),
                "signal_time": market.timestamps[orders["decided"]],
                "time": market.timestamps[orders["row"]],
                "side": text(_SIDES, orders["side"]),
                "size": orders["size"],
                "price": orders["price"],
                "fees": orders["fees"],
                "reason": text(_REASONS, orders["reason"]),
                "strength": orders["strength"],
            }
        ),
        trades=round_trips(lines, market, layout.last_closes[-1]),
    )
