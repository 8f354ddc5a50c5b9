"""Bookkeeping: from what happened to orders, trades, positions, cash and equity; no fill is decided here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.account import DIVIDEND, LINE, REASONS, Line
from workbench.backtest.trades import round_trips, sums, text
from workbench.backtest.walk import Floor

__all__ = ["Balances", "Ledger", "keep_balances", "keep_ledger"]

Floats = npt.NDArray[np.float64]

_SIDES = np.array(["buy", "sell"], dtype=object)
_REASONS = np.array(REASONS, dtype=object)
_DECIDED = [REASONS.index("signal"), REASONS.index("rebalance")]


@dataclass(frozen=True, eq=False)
class Balances:
    """What there was at each bar's close.

    Attributes
    ----------
    cash, equity, gross : ndarray of float64, shape (n_bars,)
        Cash, cash with all positions, and the positions' value with short ones counted as long; currency.
    units : ndarray of float64, shape (n_bars, n_symbols)
    """

    cash: Floats
    equity: Floats
    gross: Floats
    units: Floats


@dataclass(frozen=True, eq=False)
class Ledger:
    """What became of the accounts; `BacktestResult` describes the frames."""

    balances: Balances
    dividends: Floats
    orders: pd.DataFrame
    trades: pd.DataFrame


def keep_balances(floor: Floor, lines: npt.NDArray[np.void], *, shared: bool) -> Balances:
    """Cash, units and equity at every close.

    Parameters
    ----------
    floor : Floor
    lines : structured ndarray of dtype LINE
        Each account's in the order in which they happened.
    shared : bool
        Whether one account holds all symbols, or each symbol has one, with an equal share of the cash.
    """
    bars, symbols = floor.market.present.shape
    accounts = 1 if shared else symbols
    purse = np.zeros_like(lines["column"]) if shared else lines["column"]
    cash = _after_each(lines["row"], purse, lines["cash"], floor.rules.cash / accounts, (bars, accounts))
    units = _after_each(lines["row"], lines["column"], lines["units"], 0.0, (bars, symbols))
    # A symbol that has not begun has no close, and no units either.
    holdings = np.where(units == 0.0, 0.0, units * floor.closes)
    return Balances(
        cash=cash.sum(axis=1),
        equity=cash.sum(axis=1) + holdings.sum(axis=1),
        gross=np.abs(holdings).sum(axis=1),
        units=units,
    )


def keep_ledger(floor: Floor, happened: list[Line], *, shared: bool) -> Ledger:
    """Book what happened.

    Parameters
    ----------
    floor : Floor
    happened : list of Line
        Each account's in the order in which they happened.
    shared : bool
        See `keep_balances`.
    """
    market = floor.market
    lines = np.array(happened, dtype=LINE)
    paid = lines[lines["side"] == DIVIDEND]
    orders = lines[lines["side"] != DIVIDEND]
    orders = orders[np.lexsort((orders["column"], orders["row"]))]
    return Ledger(
        balances=keep_balances(floor, lines, shared=shared),
        dividends=sums(paid["row"], paid["units"] * paid["price"], len(market.timestamps)),
        orders=pd.DataFrame(
            {
                "symbol": text(np.array(market.symbols, dtype=object), orders["column"]),
                "signal_time": market.timestamps[_signal_rows(floor, orders)],
                "time": market.timestamps[orders["row"]],
                "side": text(_SIDES, orders["side"]),
                "size": orders["size"],
                "price": orders["price"],
                "fees": orders["fees"],
                "reason": text(_REASONS, orders["reason"]),
                "strength": orders["strength"],
            }
        ),
        trades=round_trips(lines, market, floor.closes[-1]),
    )


def _after_each(
    row: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
    value: Floats,
    initial: float,
    shape: tuple[int, int],
) -> Floats:
    """A value as it stands at each bar: `initial` before the first line, then the last line's so far."""
    known = np.full(shape, initial)
    latest = np.full(shape, -1)
    # Of several lines of one row the last one counts, and the last one has the highest number.
    np.maximum.at(latest, (row, column), np.arange(len(row)))
    latest = np.maximum.accumulate(latest, axis=0)
    seen = latest >= 0
    known[seen] = value[latest[seen]]
    return known


def _signal_rows(floor: Floor, orders: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """The bar whose close decided each order; of a stop, a target and a ruin the bar itself."""
    present = floor.market.present
    row, column = orders["row"], orders["column"]
    if floor.rules.fill == "same_close" or not len(row):
        return np.asarray(row)
    rows = np.arange(len(present))[:, np.newaxis]
    seen = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    return np.where(np.isin(orders["reason"], _DECIDED), seen[np.maximum(row - 1, 0), column], row)
