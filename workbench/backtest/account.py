"""`Account`: the cash and units of the symbols that share them, and the lines its orders leave; no rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["BUY", "DIVIDEND", "LINE", "REASONS", "SELL", "Account", "Broker", "Line"]

Broker = Callable[[float, float, float, float], tuple[float, float, float, float, float] | None]
"""Executes an order: ``(cash, units, amount, price)`` of an account, with a negative amount to sell, become
``(cash, units, size, price, fees)`` after it; None where the order is too small to be filled."""

BUY, SELL, DIVIDEND = 0, 1, 2

REASONS = ("signal", "stop_loss", "trailing_stop", "take_profit", "rebalance", "ruin")
"""Why an order was given; a line holds the position in this tuple."""

Line = tuple[int, int, int, float, float, float, float, float, int, float]

LINE = np.dtype(
    [
        ("row", np.int64),
        ("column", np.int64),
        ("side", np.int64),
        ("size", np.float64),
        ("price", np.float64),
        ("fees", np.float64),
        ("cash", np.float64),
        ("units", np.float64),
        ("reason", np.int64),
        ("strength", np.float64),
    ]
)
"""An order that was filled, or a dividend: the bar's row, the symbol's column, BUY, SELL or DIVIDEND, units,
currency per unit, currency; the account's cash and its units of the symbol after it; the reason's place
in REASONS; the strength of its signal."""


@dataclass(eq=False)
class Account:
    """One purse.

    Attributes
    ----------
    columns : sequence of int
        The symbols that share it.
    cash : float
        In currency; below zero after a short position cost more than there was.
    broker : Broker
    lines : list of Line
        What happened, oldest first; may be shared by accounts.
    units : dict of int to float
        Units held by column, negative for short ones; nothing of what is not held.
    ruined : bool
        Whether it once lost everything: it then enters nothing any more.
    """

    columns: range
    cash: float
    broker: Broker
    lines: list[Line]
    units: dict[int, float] = field(default_factory=dict)
    ruined: bool = False

    def order(
        self, row: int, column: int, amount: float, price: float, reason: int, strength: float = 1.0
    ) -> float | None:
        """Buy units, or sell where `amount` is negative; the price with slippage, None where not filled."""
        done = self.broker(self.cash, self.units.get(column, 0.0), amount, price)
        if done is None:
            return None
        self.cash, units, size, paid, fees = done
        if units == 0.0:
            self.units.pop(column, None)
        else:
            self.units[column] = units
        side = BUY if amount > 0.0 else SELL
        self.lines.append((row, column, side, size, paid, fees, self.cash, units, reason, strength))
        return paid

    def pay(self, row: int, column: int, dividend: float) -> None:
        """Take a dividend per unit for what is held, or pay it for what was sold short."""
        units = self.units.get(column, 0.0)
        if units and dividend:
            self.cash += units * dividend
            self.lines.append((row, column, DIVIDEND, abs(units), dividend, 0.0, self.cash, units, 0, 1.0))

    def equity(self, prices: npt.NDArray[np.float64]) -> float:
        """Cash and what is held at one row's prices, of shape (n_symbols,)."""
        return self.cash + sum(units * float(prices[column]) for column, units in self.units.items())

    def free_cash(self, prices: npt.NDArray[np.float64]) -> float:
        """Cash without the proceeds of short sales, and without as much again to buy them back."""
        short = sum(units * float(prices[column]) for column, units in self.units.items() if units < 0.0)
        return self.cash + 2.0 * short

    @property
    def can_be_ruined(self) -> bool:
        """Whether prices can take all of its equity, which those of paid long positions cannot."""
        return bool(self.units) and (self.cash < 0.0 or min(self.units.values()) < 0.0)

    def first_ruin(
        self, closes: npt.NDArray[np.float64], present: npt.NDArray[np.bool_], first: int, end: int
    ) -> int | None:
        """The first row from `first` to before `end` at whose close no equity is left.

        Once ruined, only rows at which something that is still held can be closed are looked for.

        Parameters
        ----------
        closes : ndarray of float64, shape (n_bars, n_symbols)
            Last closes.
        present : ndarray of bool, shape (n_bars, n_symbols)
            Where a symbol has a bar.
        first, end : int
            The rows to look at; nothing is traded within them.
        """
        columns, units = list(self.units), np.array(list(self.units.values()))
        step = 64
        while first < end:
            stop = min(first + step, end)
            equity = self.cash + closes[first:stop, columns] @ units
            lost = equity <= 0.0
            if self.ruined:
                lost &= present[first:stop, columns].any(axis=1)
            if lost.any():
                return first + int(lost.argmax())
            first, step = stop, step * 4
        return None

    def close_all(self, row: int, closes: npt.NDArray[np.float64], present: npt.NDArray[np.bool_]) -> None:
        """Close at this row's close, ruined, whatever has a bar there."""
        self.ruined = True
        for column in sorted(self.units):
            if present[row, column]:
                self.order(row, column, -self.units[column], float(closes[row, column]), _RUIN)


_RUIN = REASONS.index("ruin")
