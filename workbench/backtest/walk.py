"""The way through the bars: a walk stops only where something can happen, and sees what ruins an account."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.backtest.account import Account, Broker, Line
from workbench.backtest.execution import Execution
from workbench.backtest.fractions import read_fractions
from workbench.backtest.inputs import BarArrays
from workbench.backtest.stops import Path, paths

__all__ = ["Floor", "Walk", "accounts", "last_closes", "lay_floor"]


@dataclass(frozen=True, eq=False)
class Floor:
    """Where orders are filled.

    Attributes
    ----------
    market : BarArrays
    rules : Execution
    prices : ndarray of float64, shape (n_bars, n_symbols)
        What a unit is worth when a row's signals are filled: the price of the fill where the symbol has a
        bar, else its last close; NaN before its first bar.
    closes : ndarray of float64, shape (n_bars, n_symbols)
        The last close; NaN before a symbol's first bar.
    dividends : ndarray of float64, shape (n_bars, n_symbols), optional
        Cash per unit on the bar that goes ex.
    paths : list of Path, optional
        Each symbol's own bars, where there are stops.
    broker : Broker
    fractions : ndarray of float64, shape (n_bars, n_symbols), optional
        The share of equity of an entry that each bar's close decides, of a `Percent` of a frame.
    """

    market: BarArrays
    rules: Execution
    prices: npt.NDArray[np.float64]
    closes: npt.NDArray[np.float64]
    dividends: npt.NDArray[np.float64] | None
    paths: list[Path] | None
    broker: Broker
    fractions: npt.NDArray[np.float64] | None = None

    @property
    def fills_at_open(self) -> bool:
        """Whether orders are filled at the open of a bar, before its range; else at its close."""
        return self.rules.fill == "next_open"


def lay_floor(
    market: BarArrays, rules: Execution, dividends: npt.NDArray[np.float64] | None, broker: Broker
) -> Floor:
    """A floor for these bars and rules (`BacktestError` where these bars lack what the rules need)."""
    closes = last_closes(market)
    prices = closes
    if rules.fill == "next_open":
        prices = market.open.copy()
        prices[1:] = np.where(market.present[1:], market.open[1:], closes[:-1])
    ranges = paths(market) if rules.has_stops else None
    fractions = read_fractions(rules.size, market)
    return Floor(market, rules, prices, closes, dividends, ranges, broker, fractions)


def accounts(floor: Floor, lines: list[Line], *, shared: bool) -> list[Account]:
    """The accounts that the starting capital is put into: one for all symbols, or an equal one for each."""
    cash, n_symbols = floor.rules.cash, len(floor.market.symbols)
    if shared:
        return [Account(range(n_symbols), cash, floor.broker, lines)]
    return [
        Account(range(column, column + 1), cash / n_symbols, floor.broker, lines)
        for column in range(n_symbols)
    ]


def last_closes(market: BarArrays) -> npt.NDArray[np.float64]:
    """Each symbol's last close at each row: float64, shape (n_bars, n_symbols); NaN before its first."""
    if market.present.all():
        return market.close
    rows = np.arange(len(market.timestamps))[:, np.newaxis]
    seen = np.maximum.accumulate(np.where(market.present, rows, 0), axis=0)
    return np.take_along_axis(market.close, seen, axis=0)


class Walk(ABC):
    """One account's way from the first bar to the last."""

    def __init__(self, floor: Floor, account: Account) -> None:
        self.floor, self.account = floor, account
        self.never = len(floor.market.timestamps)
        """A row after the last one: what never comes."""

    @abstractmethod
    def coming(self, row: int, /) -> int:
        """The first row after `row` at which something can happen, or `never`."""

    @abstractmethod
    def visit(self, row: int) -> None:
        """Do what a row brings, in the order in which a day goes: dividends, open, range, close."""

    def run(self) -> None:
        """Walk; the account's lines say afterwards what happened."""
        account, closes, present = self.account, self.floor.closes, self.floor.market.present
        row = -1
        while True:
            coming = self.coming(row)
            # Between two events nothing changes but prices, and those take all only from whoever owes.
            ruin = account.first_ruin(closes, present, row + 1, coming) if account.can_be_ruined else None
            if ruin is None and coming >= self.never:
                return
            row = coming if ruin is None else ruin
            if ruin is None:
                self.visit(row)
                if account.can_be_ruined:
                    ruin = account.first_ruin(closes, present, row, row + 1)
            if ruin is not None:
                account.close_all(row, closes, present)
                self.forget(row)

    @abstractmethod
    def forget(self, row: int, /) -> None:
        """Everything was closed at this row, ruined: what was waited for does not come."""

    def pay(self, row: int, columns: range | list[int]) -> None:
        """Pay the row's dividends on what was held before it."""
        if self.floor.dividends is not None:
            for column in columns:
                self.account.pay(row, column, float(self.floor.dividends[row, column]))
