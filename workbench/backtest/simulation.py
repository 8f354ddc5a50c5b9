"""From checked input to what happened: accounts are walked through the bars; nothing is read or booked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.backtest.account import LINE, Account, Line
from workbench.backtest.decisions import Decisions, Targets, holding
from workbench.backtest.execution import Execution
from workbench.backtest.follow import SignalWalk
from workbench.backtest.ledger import Ledger, keep_balances, keep_ledger
from workbench.backtest.rebalance import WeightWalk
from workbench.backtest.sizing import Percent
from workbench.backtest.walk import Floor, accounts
from workbench.errors import BacktestError

__all__ = ["Simulation", "buy_and_hold", "settle_rules", "simulate"]


@dataclass(frozen=True, eq=False)
class Simulation:
    """What became of the accounts, as they are after the last bar, and the books of how."""

    accounts: list[Account]
    ledger: Ledger


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


def simulate(floor: Floor, decided: Decisions | Targets) -> Simulation:
    """Fill what was decided.

    Parameters
    ----------
    floor : Floor
        Its rules say whether cash is shared.
    decided : Decisions or Targets
        At the bars at whose close it was decided.
    """
    shared = bool(floor.rules.cash_sharing)
    made, lines = _walked(floor, decided, shared=shared)
    return Simulation(made, keep_ledger(floor, lines, shared=shared))


def buy_and_hold(floor: Floor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Equity of buying and holding every symbol for an equal share: float64, shape (n_bars,).

    Fills, costs, dividends and whole units as the floor's rules say; sizes and stops are not applied.
    """
    rules = replace(
        floor.rules,
        size=Percent(1.0),
        cash_sharing=False,
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
    )
    plain = replace(floor, rules=rules, paths=None)
    _, lines = _walked(plain, holding(floor.market), shared=False)
    return keep_balances(plain, np.array(lines, dtype=LINE), shared=False).equity


def _walked(floor: Floor, decided: Decisions | Targets, *, shared: bool) -> tuple[list[Account], list[Line]]:
    lines: list[Line] = []
    made = accounts(floor, lines, shared=shared)
    at_fill = decided.at_fill(floor.market, floor.rules.fill)
    for account in made:
        if isinstance(at_fill, Targets):
            WeightWalk(floor, account, at_fill).run()
        else:
            SignalWalk(floor, account, at_fill).run()
    return made, lines
