"""Each symbol's newest decision that no bar has filled yet: what the bar to come would do."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.fills.layout import Layout
from workbench.fills.simulation import Simulation
from workbench.signals.decisions import Decisions, Targets

__all__ = ["nothing_pending", "pending_signals"]

_DUST = 1e-12
"""A change smaller than this share of the position is rounding, not an order."""


def pending_signals(layout: Layout, made: Simulation, decided: Decisions | Targets) -> pd.DataFrame:
    """What was decided since each symbol's last bar, that included, and would change its position.

    Parameters
    ----------
    layout : Layout
    made : Simulation
    decided : Decisions or Targets
        By the rows at whose close it was decided.

    Returns
    -------
    DataFrame
        Columns as `BacktestRecord.signals()`, in the symbols' order. Whether a weight buys or sells is
        judged at the last closes, and a stop that the bar to come may touch is not foreseen.
    """
    market, found = layout.market, []
    present = market.present[::-1]
    last_bars = len(present) - 1 - present.argmax(axis=0)
    # What is filled at the deciding close itself waits for nothing.
    first_rows = last_bars + (1 if layout.execution.fill == "same_close" else 0)
    for column in range(len(market.symbols)):
        row = _newest(decided, int(first_rows[column]), column)
        if row is None:
            continue
        if isinstance(decided, Targets):
            side, strength = _by_weight(layout, made, decided, row, column)
        else:
            side, strength = _by_signal(layout, made, decided, row, column), 1.0
        if side:
            found.append((column, row, "buy" if side > 0 else "sell", strength))
    columns, rows, sides, strengths = zip(*found, strict=True) if found else ((), (), (), ())
    return _frame(
        [market.symbols[column] for column in columns],
        market.timestamps[np.array(rows, dtype=np.int64)],
        list(sides),
        list(strengths),
    )


def _newest(decided: Decisions | Targets, first: int, column: int) -> int | None:
    """The last row from `first` on in which something was decided of a symbol."""
    if isinstance(decided, Targets):
        made = ~np.isnan(decided.weights[first:, column])
    else:
        leaves = decided.leave_long[first:, column] | decided.leave_short[first:, column]
        made = (decided.enter[first:, column] != 0) | leaves
    rows = np.flatnonzero(made)
    return first + int(rows[-1]) if len(rows) else None


def nothing_pending() -> pd.DataFrame:
    """The same where nothing waits for a bar."""
    return _frame([], pd.DatetimeIndex([], tz="UTC"), [], [])


def _frame(
    symbols: list[str], times: pd.DatetimeIndex, sides: list[str], strengths: list[float]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": pd.array(symbols, dtype="str"),
            "timestamp": times,
            "signal": pd.array(sides, dtype="str"),
            "strength": np.array(strengths, dtype=np.float64),
        }
    )


def _by_signal(layout: Layout, made: Simulation, decided: Decisions, row: int, column: int) -> int:
    """1 for a purchase, -1 for a sale, 0 for neither."""
    units, wanted = float(made.units[-1, column]), int(decided.enter[row, column])
    if units > 0.0:
        return -1 if decided.leave_long[row, column] or wanted < 0 else 0
    if units < 0.0:
        return 1 if decided.leave_short[row, column] or wanted > 0 else 0
    # NaN is not above zero either.
    enters = not layout.fractions.size or layout.fractions[row, column] > 0.0
    return wanted if enters and not made.ruined[column] else 0


def _by_weight(
    layout: Layout, made: Simulation, decided: Targets, row: int, column: int
) -> tuple[int, float]:
    """Side and strength of the order that a weight would give at the last closes."""
    weight, close = float(decided.weights[row, column]), float(layout.last_closes[-1, column])
    equity, held = float(made.equity[-1]), float(made.units[-1, column])
    if math.isnan(weight) or made.ruined[column] or equity <= 0.0:
        return 0, 0.0
    target = weight * equity / close
    if abs(target - held) <= _DUST * max(abs(target), abs(held)):
        return 0, 0.0
    return (1 if target > held else -1), min(abs(weight), 1.0)
