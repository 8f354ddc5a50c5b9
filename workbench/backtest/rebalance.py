"""Trading weights: at each fill what is held is brought to its share of equity, sales first."""

from __future__ import annotations

import math

import numpy as np

from workbench.backtest.account import REASONS, Account
from workbench.backtest.decisions import Targets
from workbench.backtest.entry import affordable, effective_price, spendable
from workbench.backtest.walk import Floor, Walk

__all__ = ["WeightWalk", "amount_to"]

_REBALANCE = REASONS.index("rebalance")
_DUST = 1e-12
"""A change smaller than this share of the position is rounding, not an order."""


class WeightWalk(Walk):
    """The common account's way through its target weights.

    Parameters
    ----------
    floor : Floor
    account : Account
        With its starting capital.
    targets : Targets
        At the bars that fill them.
    """

    def __init__(self, floor: Floor, account: Account, targets: Targets) -> None:
        super().__init__(floor, account)
        self.weights = targets.weights
        self._ordered = ~np.isnan(targets.weights)
        something = self._ordered.any(axis=1)
        if floor.dividends is not None:
            something |= (floor.dividends != 0.0).any(axis=1)
        rows = np.append(np.flatnonzero(something), self.never)
        # The next row with something, from each row on.
        self._following: list[int] = rows[rows.searchsorted(np.arange(self.never + 1))].tolist()

    def coming(self, row: int, /) -> int:
        """The first row after `row` with a weight to fill, or a dividend."""
        return self._following[row + 1]

    def forget(self, _row: int, /) -> None:
        """Weights that are still to be filled are seen to be of a ruined account when they come."""

    def visit(self, row: int) -> None:
        """Pay dividends, then sell down, then buy up."""
        account, rules = self.account, self.floor.rules
        self.pay(row, account.columns)
        prices = self.floor.prices[row]
        equity = account.equity(prices)
        if account.ruined or equity <= 0.0:
            return
        orders = []
        for column in np.flatnonzero(self._ordered[row]).tolist():
            weight, price = float(self.weights[row, column]), float(prices[column])
            amount = amount_to(weight * equity / price, account.units.get(column, 0.0))
            if amount:
                orders.append((column, amount, price, min(abs(weight), 1.0)))
        for column, amount, price, strength in orders:
            units = math.floor(-amount) if rules.whole_units else -amount
            if amount < 0.0 and units:
                account.order(row, column, -units, price, _REBALANCE, strength)
        for column, amount, price, strength in orders:
            if amount > 0.0:
                units = min(amount, self._most(row, column, price, equity))
                units = math.floor(units) if rules.whole_units else units
                if units:
                    account.order(row, column, units, price, _REBALANCE, strength)

    def _most(self, row: int, column: int, price: float, equity: float) -> float:
        """Units that may be bought: a short position, which frees cash, and what cash then pays for."""
        short = max(0.0, -self.account.units.get(column, 0.0))
        paid = effective_price(price, 1, self.floor.rules)
        freed = short * (2.0 * price - paid * (1.0 + self.floor.rules.fees))
        free_cash = self.account.free_cash(self.floor.prices[row]) + freed
        return short + affordable(spendable(free_cash, equity), paid, self.floor.rules)


def amount_to(target: float, held: float) -> float:
    """Units to buy, or to sell where negative; 0 where the difference is mere rounding."""
    amount = target - held
    return 0.0 if abs(amount) <= _DUST * max(abs(target), abs(held)) else amount
