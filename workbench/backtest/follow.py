"""Trading signals: entries, exits and reversals at their fills, and positions that a stop ends before."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from workbench.backtest.account import REASONS, Account
from workbench.backtest.decisions import Decisions
from workbench.backtest.entry import default_size, entry_units, fraction_of
from workbench.backtest.stops import Touch, first_touch
from workbench.backtest.walk import Floor, Walk

__all__ = ["SignalWalk"]

_SIGNAL = REASONS.index("signal")


class SignalWalk(Walk):
    """One account's way through its signals.

    Parameters
    ----------
    floor : Floor
    account : Account
        With its starting capital.
    decisions : Decisions
        At the bars that fill them.
    """

    def __init__(self, floor: Floor, account: Account, decisions: Decisions) -> None:
        super().__init__(floor, account)
        self.decisions = decisions
        self.size = default_size(floor.rules, len(floor.market.symbols))
        self._acting = {column: _acting_rows(decisions, column) for column in account.columns}
        self._ex_dates: dict[int, list[int]] = {
            column: [] if floor.dividends is None else np.flatnonzero(floor.dividends[:, column]).tolist()
            for column in account.columns
        }
        self._touches: dict[int, Touch] = {}
        self._coming = {column: self._next(column, -1) for column in account.columns}

    def coming(self, _row: int, /) -> int:
        """The first row at which a symbol is filled, stopped or goes ex."""
        return min(self._coming.values())

    def visit(self, row: int) -> None:
        """Pay, fill at the open, stop, fill at the close."""
        due = [column for column, coming in self._coming.items() if coming == row]
        self.pay(row, due)
        if self.floor.fills_at_open:
            self._fill(row, due)
        for column in due:
            touch = self._touches.get(column)
            if touch is not None and touch.row == row:
                self.account.order(row, column, -self.account.units[column], touch.price, touch.reason)
                del self._touches[column]
        if not self.floor.fills_at_open:
            self._fill(row, due)
        for column in due:
            self._coming[column] = self._next(column, row)

    def forget(self, row: int, /) -> None:
        """Stops of positions that are closed now do not come."""
        self._touches = {
            column: touch for column, touch in self._touches.items() if column in self.account.units
        }
        self._coming = {column: self._next(column, row) for column in self.account.columns}

    def _fill(self, row: int, due: list[int]) -> None:
        """Fill the row's signals: all exits first, so that the entries share what there is then."""
        account, prices = self.account, self.floor.prices[row]
        enter, leave_long, leave_short = (
            flags[row]
            for flags in (self.decisions.enter, self.decisions.leave_long, self.decisions.leave_short)
        )
        for column in due:
            units = account.units.get(column, 0.0)
            leaves = leave_long[column] or enter[column] < 0
            if units < 0.0:
                leaves = leave_short[column] or enter[column] > 0
            if units and leaves:
                account.order(row, column, -units, float(prices[column]), _SIGNAL)
                self._touches.pop(column, None)
        entering = [column for column in due if enter[column] and column not in account.units]
        if entering and not account.ruined:
            equity = account.equity(prices)
            for column in entering:
                self._enter(row, column, int(enter[column]), prices, equity)

    def _enter(
        self, row: int, column: int, side: int, prices: npt.NDArray[np.float64], equity: float
    ) -> None:
        """Open a position, and look where its stops would end it."""
        floor, rules = self.floor, self.floor.rules
        decided = row if rules.fill == "same_close" else row - 1
        units = entry_units(
            self.size,
            fraction_of(self.size, floor.market, column, decided, rules, floor.fractions),
            side=side,
            price=float(prices[column]),
            equity=equity,
            free_cash=self.account.free_cash(prices),
            rules=rules,
        )
        if units <= 0.0:
            return
        paid = self.account.order(row, column, side * units, float(prices[column]), _SIGNAL)
        if paid is None or floor.paths is None:
            return
        leaving = self._next_signal(column, side, row)
        touch = first_touch(
            floor.paths[column],
            rules,
            price=paid,
            side=side,
            entered=row,
            at_open=floor.fills_at_open,
            # A signal that is filled at the close leaves that bar's range to the stops.
            until=leaving if floor.fills_at_open else leaving + 1,
        )
        if touch is not None:
            self._touches[column] = touch

    def _next_signal(self, column: int, side: int, row: int) -> int:
        rows = self._acting[column][side]
        place = bisect_right(rows, row)
        return rows[place] if place < len(rows) else self.never

    def _next(self, column: int, row: int) -> int:
        """The first row after `row` at which something can happen to a symbol."""
        units = self.account.units.get(column)
        if units is None:
            return self.never if self.account.ruined else self._next_signal(column, 0, row)
        coming = self._next_signal(column, 1 if units > 0.0 else -1, row)
        if column in self._touches:
            coming = min(coming, self._touches[column].row)
        ex_dates = self._ex_dates[column]
        place = bisect_right(ex_dates, row)
        return min(coming, ex_dates[place]) if place < len(ex_dates) else coming


def _acting_rows(decisions: Decisions, column: int) -> dict[int, list[int]]:
    """The rows at which a signal acts on no position (0), a long one (1) and a short one (-1)."""
    enter = decisions.enter[:, column]
    acting = {
        0: enter != 0,
        1: decisions.leave_long[:, column] | (enter < 0),
        -1: decisions.leave_short[:, column] | (enter > 0),
    }
    return {side: np.flatnonzero(acts).tolist() for side, acts in acting.items()}
