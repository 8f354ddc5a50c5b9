"""From what was decided to what happened, by the compiled loop; nothing is read or booked here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import BacktestError
from workbench.fills.execution import Execution
from workbench.fills.layout import NONE, Layout, lay_out
from workbench.fills.lines import FIELDS, as_lines
from workbench.fills.sizing import Percent
from workbench.signals.decisions import Decisions, Targets, holding

__all__ = ["Simulation", "buy_and_hold", "settle_rules", "simulate"]

Floats = npt.NDArray[np.float64]

# Room for so many lines is made at once; memory that is not written to costs nothing.
_ROOM = 65_536


@dataclass(frozen=True, eq=False)
class Simulation:
    """What became of the accounts.

    Attributes
    ----------
    cash, equity, gross : ndarray of float64, shape (n_bars,)
        At each close: cash, cash with all positions, and the positions' value with short ones counted as
        long; currency, of all accounts together.
    units : ndarray of float64, shape (n_bars, n_symbols)
        Held at each close, negative for short positions.
    ruined : ndarray of bool, shape (n_symbols,)
        Whether the account of the symbol lost everything: it enters nothing any more.
    lines : structured ndarray of dtype LINE
        What happened, each account's in the order in which it happened.
    """

    cash: Floats
    equity: Floats
    gross: Floats
    units: Floats
    ruined: npt.NDArray[np.bool_]
    lines: npt.NDArray[np.void]


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
    units = np.empty((bars, symbols))
    written = np.empty((_ROOM, FIELDS))
    count = _run(layout, decided, balances, ruined, units, written)
    if count > len(written):
        written = np.empty((count, FIELDS))
        _run(layout, decided, balances, ruined, units, written)
    cash, equity, gross = balances
    return Simulation(cash, equity, gross, units, ruined, as_lines(written[:count]))


def buy_and_hold(layout: Layout) -> Floats:
    """Equity of buying and holding every symbol for an equal share: float64, shape (n_bars,).

    Fills, costs, dividends and whole units as the layout's rules say; sizes and stops are not applied.
    """
    rules = replace(
        layout.execution,
        size=Percent(1.0),
        cash_sharing=False,
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
        leverage=1.0,
    )
    bars, symbols = layout.market.present.shape
    balances, ruined = np.empty((3, bars)), np.empty(symbols, dtype=np.bool_)
    plain = lay_out(layout.market, rules, layout.dividends if layout.dividends.size else None)
    _run(plain, holding(layout.market), balances, ruined, NONE, np.empty((0, FIELDS)))
    equity: Floats = balances[1]
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

    market = layout.market
    if isinstance(decided, Targets):
        return int(
            loop.log_weights(
                market.open,
                market.close,
                market.present,
                layout.dividends,
                decided.weights[np.newaxis],
                layout.rules,
                balances,
                ruined,
                units,
                written,
            )
        )
    short = decided.enter < 0
    has_shorts = bool(short.any())
    never = np.zeros((0, 0, 0), dtype=np.bool_)
    return int(
        loop.log_signals(
            market.open,
            layout.high,
            layout.low,
            market.close,
            market.present,
            layout.dividends,
            (decided.enter > 0)[np.newaxis],
            decided.leave_long[np.newaxis],
            short[np.newaxis] if has_shorts else never,
            decided.leave_short[np.newaxis] if has_shorts else never,
            layout.fractions,
            layout.rules,
            balances,
            ruined,
            units,
            written,
        )
    )
