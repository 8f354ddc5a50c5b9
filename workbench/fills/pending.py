"""Each symbol's newest decision that no bar has filled yet: what the bar to come would do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.fills.accounts import by_symbol
from workbench.fills.layout import Layout
from workbench.fills.simulation import Simulation
from workbench.signals.decisions import Decisions, Targets

__all__ = ["Waiting", "pending_frame", "pending_signals"]

_DUST = 1e-12
"""A change smaller than this share of the position is rounding, not an order."""


Waiting: TypeAlias = tuple[int, int, str, float]
"""A decision that no bar has filled yet: the symbol's column, the deciding row, "buy" or "sell", strength."""


def pending_signals(layout: Layout, made: Simulation, decided: Decisions | Targets) -> list[Waiting]:
    """What was decided since each symbol's last bar, that included, and would change its position.

    Parameters
    ----------
    layout : Layout
    made : Simulation
    decided : Decisions or Targets
        By the rows at whose close it was decided.

    Returns
    -------
    list of Waiting
        In the symbols' order. Whether a weight buys or sells is
        judged at the last closes, and a stop that the bar to come may touch is not foreseen.
    """
    market = layout.market
    found: list[Waiting] = []
    present = market.present[::-1]
    last_bars = len(present) - 1 - present.argmax(axis=0)
    # What is filled at the deciding close itself waits for nothing.
    first_rows = last_bars + (1 if layout.execution.fill == "same_close" else 0)
    rows = _newest(decided, first_rows)
    for column in np.flatnonzero(rows >= first_rows).tolist():
        row = int(rows[column])
        if isinstance(decided, Targets):
            side, strength = _by_weight(layout, made, decided, row, column)
        else:
            rows_due = range(int(first_rows[column]), row + 1)
            (side, row), strength = _by_signal(layout, made, decided, rows_due, column), 1.0
        if side:
            found.append((column, row, "buy" if side > 0 else "sell", strength))
    return found


def pending_frame(
    waiting: Sequence[Waiting], timestamps: pd.DatetimeIndex, symbols: tuple[str, ...]
) -> pd.DataFrame:
    """The same as a frame: columns as `BacktestRecord.signals()`."""
    rows = np.array([row for _, row, _, _ in waiting], dtype=np.int64)
    return pd.DataFrame(
        {
            "symbol": pd.array([symbols[column] for column, _, _, _ in waiting], dtype="str"),
            "timestamp": timestamps[rows],
            "signal": pd.array([side for _, _, side, _ in waiting], dtype="str"),
            "strength": np.array([strength for _, _, _, strength in waiting], dtype=np.float64),
        }
    )


def _newest(decided: Decisions | Targets, first_rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The last row in which something was decided of each symbol; -1 for none since `first_rows`."""
    since = int(first_rows.min())
    if isinstance(decided, Targets):
        made = ~np.isnan(decided.weights[since:])
    else:
        leaves = decided.leave_long[since:] | decided.leave_short[since:]
        made = (decided.enter[since:] != 0) | leaves
    if not len(made):
        return np.full(len(first_rows), -1)
    return np.where(made.any(axis=0), since + len(made) - 1 - made[::-1].argmax(axis=0), -1)


def _by_signal(
    layout: Layout, made: Simulation, decided: Decisions, rows: range, column: int
) -> tuple[int, int]:
    """1 for a purchase, -1 for a sale, 0 for neither; and the row that decided it."""
    units = float(made.balances.units[-1, column])
    wanted, leave_long, leave_short, row = _due(decided, rows, column)
    if units > 0.0:
        return (-1 if leave_long or wanted < 0 else 0), row
    if units < 0.0:
        return (1 if leave_short or wanted > 0 else 0), row
    # NaN is not above zero either.
    enters = not len(layout.fractions) or by_symbol(layout.fractions)[row, column] > 0.0
    return (wanted if enters and not made.ruined[column] else 0), row


def _due(decided: Decisions, rows: range, column: int) -> tuple[int, bool, bool, int]:
    """The side to enter, the exits and the row that decided, after all that these rows said one by one.

    An entry takes back the exit of its side and the other side's entry, an exit the entry of its side. An
    entry that stands is of its own row, whatever exit was said after it.
    """
    wanted, leave_long, leave_short, since = 0, False, False, rows[-1]
    for row in rows:
        enter = int(decided.enter[row, column])
        leaves_long, leaves_short = (
            bool(decided.leave_long[row, column]),
            bool(decided.leave_short[row, column]),
        )
        if (leaves_long and wanted > 0) or (leaves_short and wanted < 0):
            wanted = 0
        leave_long = leaves_long or (leave_long and enter <= 0)
        leave_short = leaves_short or (leave_short and enter >= 0)
        wanted = enter or wanted
        if enter or not wanted:
            since = row
    return wanted, leave_long, leave_short, since


def _by_weight(
    layout: Layout, made: Simulation, decided: Targets, row: int, column: int
) -> tuple[int, float]:
    """Side and strength of the order that a weight would give at the last closes."""
    weight, close = float(decided.weights[row, column]), float(layout.last_closes[-1, column])
    equity, held = float(made.balances.equity[-1]), float(made.balances.units[-1, column])
    if math.isnan(weight) or made.ruined[column] or equity <= 0.0:
        return 0, 0.0
    target = weight * equity / close
    if abs(target - held) <= _DUST * max(abs(target), abs(held)):
        return 0, 0.0
    return (1 if target > held else -1), min(abs(weight), 1.0)
