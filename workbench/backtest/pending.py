"""Decisions of each symbol's last bar, which no bar has filled yet: what the bar to come would do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.backtest.account import Account
from workbench.backtest.decisions import Decisions, Targets
from workbench.backtest.entry import default_size, fraction_of
from workbench.backtest.rebalance import amount_to
from workbench.backtest.walk import Floor

__all__ = ["pending_signals"]


def pending_signals(floor: Floor, accounts: Sequence[Account], decided: Decisions | Targets) -> pd.DataFrame:
    """What was decided at each symbol's last bar and would change its position.

    Parameters
    ----------
    floor : Floor
    accounts : sequence of Account
        As they are after the last bar.
    decided : Decisions or Targets
        At the bars at whose close it was decided.

    Returns
    -------
    DataFrame
        Columns as `BacktestResult.signals()`, in the symbols' order. Whether a weight buys or sells is
        judged at the last closes, and a stop that the bar to come may touch is not foreseen.
    """
    market, found = floor.market, []
    present = market.present[::-1]
    last_bars = len(present) - 1 - present.argmax(axis=0)
    # What is filled at the deciding close itself waits for nothing.
    for account in accounts if floor.rules.fill != "same_close" else ():
        for column in account.columns:
            row = int(last_bars[column])
            if isinstance(decided, Targets):
                side, strength = _by_weight(floor, account, decided, row, column)
            else:
                side, strength = _by_signal(floor, account, decided, row, column), 1.0
            if side:
                found.append((column, row, "buy" if side > 0 else "sell", strength))
    columns, rows, sides, strengths = zip(*found, strict=True) if found else ((), (), (), ())
    return pd.DataFrame(
        {
            "symbol": pd.array([market.symbols[column] for column in columns], dtype="str"),
            "timestamp": market.timestamps[np.array(rows, dtype=np.int64)],
            "signal": pd.array(list(sides), dtype="str"),
            "strength": np.array(strengths, dtype=np.float64),
        }
    )


def _by_signal(floor: Floor, account: Account, decided: Decisions, row: int, column: int) -> int:
    """1 for a purchase, -1 for a sale, 0 for neither."""
    units, wanted = account.units.get(column, 0.0), int(decided.enter[row, column])
    if units > 0.0:
        return -1 if decided.leave_long[row, column] or wanted < 0 else 0
    if units < 0.0:
        return 1 if decided.leave_short[row, column] or wanted > 0 else 0
    size = default_size(floor.rules, len(floor.market.symbols))
    fraction = fraction_of(size, floor.market, column, row, floor.rules, floor.fractions)
    return wanted if fraction > 0.0 and not account.ruined else 0


def _by_weight(floor: Floor, account: Account, decided: Targets, row: int, column: int) -> tuple[int, float]:
    """Side and strength of the order that a weight would give at the last closes."""
    weight, closes = float(decided.weights[row, column]), floor.closes[-1]
    equity = account.equity(closes)
    if math.isnan(weight) or account.ruined or equity <= 0.0:
        return 0, 0.0
    amount = amount_to(weight * equity / float(closes[column]), account.units.get(column, 0.0))
    return (amount > 0.0) - (amount < 0.0), min(abs(weight), 1.0)
