"""Bookkeeping: from fills to orders, trades, positions, cash and equity; no fill is decided here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.inputs import BarArrays

__all__ = ["FILL", "Ledger", "keep_ledger", "next_bar", "pending_signals"]

FILL = np.dtype(
    [
        ("row", np.int64),
        ("column", np.int64),
        ("side", np.int64),
        ("size", np.float64),
        ("price", np.float64),
        ("fees", np.float64),
        ("cash", np.float64),
        ("units", np.float64),
    ]
)
"""A fill: the bar's row, the symbol's column, 0 to buy or 1 to sell, units, currency per unit, currency,
and what the symbol's account then holds: cash and units."""

_SIDES = np.array(["buy", "sell"], dtype=object)


@dataclass(frozen=True, eq=False)
class Ledger:
    """What the fills made of the account; `BacktestResult` describes the frames."""

    equity: pd.Series[float]
    cash: pd.Series[float]
    positions: pd.DataFrame
    orders: pd.DataFrame
    trades: pd.DataFrame


def next_bar(market: BarArrays, signals: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Move each signal to its symbol's next bar, over the rows in which the symbol has none.

    Parameters
    ----------
    market : BarArrays
        The bars.
    signals : ndarray of bool, shape (n_bars, n_symbols)
        At the bar whose close gave them.

    Returns
    -------
    ndarray of bool, shape (n_bars, n_symbols)
        At the bar whose open fills them; a signal on a symbol's last bar is gone.
    """
    moved = np.zeros_like(signals)
    for column in range(signals.shape[1]):
        rows = np.flatnonzero(market.present[:, column])
        moved[rows[1:], column] = signals[rows[:-1], column]
    return moved


def keep_ledger(market: BarArrays, fills: npt.NDArray[np.void], cash: float) -> Ledger:
    """Book the fills.

    Parameters
    ----------
    market : BarArrays
        The bars.
    fills : structured ndarray of dtype FILL, by symbol and time
        At most one a bar and symbol. Buys and sales of a symbol alternate, beginning with a buy, and
        each sale sells all.
    cash : float
        Starting capital, in currency, split equally among the symbols.

    Returns
    -------
    Ledger
    """
    row, column = fills["row"], fills["column"]
    shape = market.present.shape
    cash_left = _after_each(fills, "cash", cash / len(market.symbols), shape)
    units = _after_each(fills, "units", 0.0, shape)
    last_close = pd.DataFrame(market.close).ffill().to_numpy()
    # A symbol that has not begun has no close, and no units either.
    holdings = np.where(units > 0.0, units * last_close, 0.0)

    index = market.timestamps
    orders = pd.DataFrame(
        {
            "symbol": np.array(market.symbols, dtype=object)[column],
            "signal_time": index[_signal_rows(market, row, column)],
            "time": index[row],
            "side": _SIDES[fills["side"]],
            "size": fills["size"],
            "price": fills["price"],
            "fees": fills["fees"],
        }
    ).astype({"symbol": "str", "side": "str"})
    return Ledger(
        equity=pd.Series((cash_left + holdings).sum(axis=1), index=index, name="equity"),
        cash=pd.Series(cash_left.sum(axis=1), index=index, name="cash"),
        positions=pd.DataFrame(units, index=index, columns=pd.Index(market.symbols, name="symbol")),
        orders=_in_time_order(orders, "time"),
        trades=_in_time_order(_pair(orders, last_close[-1][column]), "entry_time"),
    )


def pending_signals(
    market: BarArrays,
    positions: pd.DataFrame,
    enter: npt.NDArray[np.bool_],
    leave: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """Signals of the last bar, which the bar to come would fill; columns as `BacktestResult.signals()`."""
    invested = positions.to_numpy()[-1] > 0.0
    buys, sells = enter[-1] & ~invested, leave[-1] & invested
    acted = np.flatnonzero(buys | sells)
    return pd.DataFrame(
        {
            "symbol": pd.Series([market.symbols[column] for column in acted], dtype="str"),
            "timestamp": market.timestamps[np.full(len(acted), len(market.timestamps) - 1)],
            "signal": pd.Series(["buy" if buys[column] else "sell" for column in acted], dtype="str"),
            "strength": np.ones(len(acted)),
        }
    )


def _after_each(
    fills: npt.NDArray[np.void], field: str, initial: float, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """A fill's field as it stands at each bar (n_bars, n_symbols): `initial` before the first fill."""
    known = np.full(shape, np.nan)
    known[fills["row"], fills["column"]] = fills[field]
    return pd.DataFrame(known).ffill().fillna(initial).to_numpy()


def _signal_rows(
    market: BarArrays, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The row of each symbol's bar before the given one: the bar whose close gave the signal."""
    rows = np.arange(len(market.timestamps))[:, np.newaxis]
    seen = np.maximum.accumulate(np.where(market.present, rows, -1), axis=0)
    before: npt.NDArray[np.int64] = seen[row - 1, column]
    return before


def _pair(orders: pd.DataFrame, last_close: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Trades from orders sorted by symbol and time: each buy with the sale that follows it, if one does."""
    following = orders.shift(-1)
    bought = (orders["side"] == "buy").to_numpy()
    buy, sale = orders[bought], following[bought]
    closed = ((sale["side"] == "sell") & (sale["symbol"] == buy["symbol"])).to_numpy()
    # An open trade is valued at its symbol's last close, before the costs of selling it.
    exit_price = sale["price"].where(closed)
    worth = exit_price.fillna(pd.Series(last_close[bought], index=buy.index))
    fees = buy["fees"] + sale["fees"].where(closed, 0.0)
    pnl = buy["size"] * (worth - buy["price"]) - fees
    return pd.DataFrame(
        {
            "symbol": buy["symbol"],
            "entry_time": buy["time"],
            "exit_time": sale["time"].where(closed),
            "entry_price": buy["price"],
            "exit_price": exit_price,
            "size": buy["size"],
            "pnl": pnl,
            "return": pnl / (buy["size"] * buy["price"]),
            "fees": fees,
            "status": pd.Series(np.where(closed, "closed", "open"), index=buy.index, dtype="str"),
        }
    )


def _in_time_order(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    return frame.sort_values([by, "symbol"], kind="stable", ignore_index=True)
