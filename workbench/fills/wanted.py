"""The position that is wanted at each symbol's newest bar, as a fraction of equity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.fills.accounts import by_symbol
from workbench.fills.layout import Layout
from workbench.fills.lines import Lines
from workbench.fills.pending import Waiting
from workbench.fills.simulation import Simulation
from workbench.fills.sizing import Fixed, Percent, Size, default_size
from workbench.signals.decisions import Decisions, Targets

__all__ = ["held_fractions", "newest_rows", "wanted_fractions"]

Floats = npt.NDArray[np.float64]


def newest_rows(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The row of each symbol's last bar: int64, shape (n_symbols,)."""
    if present[-1].all():
        return np.full(present.shape[1], len(present) - 1)
    rows: npt.NDArray[np.int64] = len(present) - 1 - present[::-1].argmax(axis=0)
    return rows


def held_fractions(units: Floats, closes: Floats, equity: float) -> Floats:
    """What is held at the last closes, by the equity of all accounts: float64, shape (n_symbols,).

    NaN where there is no equity.
    """
    return units * closes / equity if equity > 0.0 else np.full(len(units), math.nan)


def wanted_fractions(
    layout: Layout, made: Simulation, decided: Decisions | Targets, waiting: Sequence[Waiting]
) -> Floats:
    """The position that is wanted after the newest decision, by the equity of all accounts.

    Parameters
    ----------
    layout : Layout
    made : Simulation
    decided : Decisions or Targets
    waiting : sequence of Waiting
        Of `pending_signals`.

    Returns
    -------
    ndarray of float64, shape (n_symbols,)
        As `BacktestRecord.newest` states it.
    """
    closes, equity = layout.last_closes[-1], float(made.balances.equity[-1])
    wanted = held_fractions(made.balances.units[-1], closes, equity)
    if not waiting or not equity > 0.0:
        return wanted
    if isinstance(decided, Targets):
        for column, row, _, _ in waiting:
            wanted[column] = decided.weights[row, column]
        return wanted
    accounts = None if layout.shared else _account_equity(layout, made, closes)
    size = default_size(layout.execution.size, len(layout.market.symbols), shared=layout.shared)
    for column, row, side, _ in waiting:
        sign = 1.0 if side == "buy" else -1.0
        share = 1.0 if accounts is None else float(accounts[column]) / equity
        # An order against a position ends it, and enters the other side only where that was decided.
        enters = int(decided.enter[row, column]) == sign and not made.ruined[column]
        entry = _entry(layout, size, row, column, share, float(closes[column]) / equity)
        wanted[column] = sign * entry if enters else 0.0
    return wanted


def _entry(layout: Layout, size: Size, row: int, column: int, share: float, of_a_unit: float) -> float:
    """How much an entry takes, before it is cut to what the cash and the leverage allow."""
    if len(layout.fractions):
        fraction = float(by_symbol(layout.fractions)[row, column])
        return fraction * share if fraction > 0.0 else 0.0
    if isinstance(size, Fixed):
        return size.units * of_a_unit
    assert isinstance(size, Percent)
    return size.fraction * share if isinstance(size.fraction, float) else 0.0


def _account_equity(layout: Layout, made: Simulation, closes: Floats) -> Floats:
    """The equity of each symbol's own account at the last closes: float64, shape (n_symbols,)."""
    lines: Lines = made.lines
    symbols = len(layout.market.symbols)
    newest = np.full(symbols, -1)
    # Of one symbol's lines, which stand in the order in which they happened, the last one stays.
    newest[lines.column] = np.arange(len(lines))
    cash = np.full(symbols, layout.execution.cash / symbols)
    traded = newest >= 0
    cash[traded] = lines.cash[newest[traded]]
    equity: Floats = cash + made.balances.units[-1] * closes
    return equity
