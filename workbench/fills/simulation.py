"""From what was decided to what happened, by the compiled loop; nothing is read or booked here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import BacktestError
from workbench.fills.accounts import by_account, by_symbol, frozen
from workbench.fills.balances import Balances
from workbench.fills.execution import Execution
from workbench.fills.layout import Layout
from workbench.fills.lines import FIELDS, Lines, as_lines
from workbench.signals.decisions import Decisions, Targets

__all__ = ["Simulation", "buy_and_hold", "settle_rules", "simulate"]

Floats = npt.NDArray[np.float64]

_ROOM = 4_000_000
"""Most lines that room is made for at once, 350 MB; memory that is not written to is not taken."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """What became of the accounts.

    Attributes
    ----------
    balances : Balances
    ruined : ndarray of bool, shape (n_symbols,)
        Whether the account of the symbol lost everything: it enters nothing any more.
    lines : Lines
        What happened, each account's in the order in which it happened.
    """

    balances: Balances
    ruined: npt.NDArray[np.bool_]
    lines: Lines


def settle_rules(rules: Execution, decided: Decisions | Targets) -> Execution:
    """The rules with `cash_sharing` decided.

    Raises
    ------
    BacktestError
        A rule says something that weights already say, or cannot have.
    """
    if isinstance(decided, Decisions):
        return replace(rules, cash_sharing=bool(rules.cash_sharing))
    if rules.has_stops:
        raise BacktestError(
            "stops: weights say at every rebalancing what is held, and a stop in between would contradict "
            "them; leave the stops out, or trade Signals."
        )
    if rules.size is not None:
        raise BacktestError("size: weights say how much is held themselves; leave the size out.")
    if rules.cash_sharing is False:
        raise BacktestError(
            "cash_sharing: weights are shares of one account; leave it out, or set it to True."
        )
    return replace(rules, cash_sharing=True)


def simulate(layout: Layout, decided: Decisions | Targets) -> Simulation:
    """Fill what was decided.

    Parameters
    ----------
    layout : Layout
        Its rules say whether cash is shared.
    decided : Decisions or Targets
        At the bars at whose close it was decided.
    """
    bars, symbols = layout.market.present.shape
    balances, ruined = np.empty((3, bars)), np.empty(symbols, dtype=np.bool_)
    units = np.empty(layout.close.shape)
    written = np.empty((FIELDS, min(_most_lines(layout, decided), _ROOM)))
    count = _run(layout, decided, balances, ruined, units, written)
    if count > written.shape[1]:
        written = np.empty((FIELDS, count))
        _run(layout, decided, balances, ruined, units, written)
    cash, equity, gross = balances
    return Simulation(Balances(equity, cash, gross, by_symbol(units)), ruined, as_lines(written[:, :count]))


def _most_lines(layout: Layout, decided: Decisions | Targets) -> int:
    """The most lines that there can be: each entry is decided, and closed once; each weight is filled."""
    symbols = len(layout.market.symbols)
    if isinstance(decided, Targets):
        orders = int(np.count_nonzero(~np.isnan(decided.weights)))
    else:
        orders = 2 * int(np.count_nonzero(decided.enter))
    return orders + int(np.count_nonzero(layout.dividends)) + symbols


def buy_and_hold(layout: Layout) -> Floats:
    """Equity of buying and holding every symbol for an equal share: float64, shape (n_bars,).

    Fills, costs, dividends and whole units as the layout's rules say; sizes, leverage and stops are not
    applied.
    """
    from workbench.fills import loop

    market = layout.market
    equity = np.zeros(len(market.timestamps))
    dividends = layout.dividends
    if len(dividends):
        dividends = by_account(by_symbol(dividends), shared=False)
    opens, close, present = (
        by_account(values, shared=False) for values in (market.open, market.close, market.present)
    )
    loop.log_holding(opens, close, present, dividends, layout.rules, equity)
    return equity


def _run(
    layout: Layout,
    decided: Decisions | Targets,
    balances: Floats,
    ruined: npt.NDArray[np.bool_],
    units: Floats,
    written: Floats,
) -> int:
    """Run the compiled loop; how many lines there are."""
    from workbench.fills import loop

    if isinstance(decided, Targets):
        return int(
            loop.log_weights(
                *layout.common,
                frozen(decided.weights[np.newaxis]),
                layout.rules,
                balances,
                ruined,
                units[0],
                written,
            )
        )
    shared = layout.shared
    short = decided.enter < 0
    short_entries = short_exits = frozen(np.zeros((0, 0, 0), dtype=np.bool_))
    if short.any():
        short_entries, short_exits = (by_account(of, shared=shared) for of in (short, decided.leave_short))
    return int(
        loop.log_signals(
            layout.open,
            layout.high,
            layout.low,
            layout.close,
            layout.present,
            layout.dividends,
            by_account(decided.enter > 0, shared=shared),
            by_account(decided.leave_long, shared=shared),
            short_entries,
            short_exits,
            layout.fractions,
            layout.rules,
            balances,
            ruined,
            units,
            written,
        )
    )
