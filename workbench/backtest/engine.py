"""`backtest()`: signals or weights on bars, filled by the compiled loop, and what became of the cash.

What is decided at each close (`decisions`), bars and rules as arrays (`layout`), the loop (`simulation`,
`loop`), and what it wrote down as orders and trades (`books`). Tests hold the outcome to
`vectorbt.Portfolio`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack, overload

import pandas as pd

from workbench.arguments import as_flag, named
from workbench.backtest.counting import count_backtest
from workbench.backtest.fingerprint import Fingerprint
from workbench.backtest.result import BacktestResult
from workbench.errors import BacktestError
from workbench.fills.at_each import Made
from workbench.fills.books import keep_books
from workbench.fills.execution import Execution, Rules
from workbench.fills.layout import lay_out
from workbench.fills.outside import read_dividends
from workbench.fills.pending import pending_signals
from workbench.fills.simulation import settle_rules, simulate
from workbench.fills.sizing import Size
from workbench.fills.wanted import wanted_fractions
from workbench.signals.decisions import Decisions, Fill, Targets, decide
from workbench.signals.gaps import warn_of_signals_in_gaps
from workbench.signals.inputs import read_bars
from workbench.signals.signals import Flags, Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = ["backtest"]


class Options(Rules, total=False):
    """What `backtest` takes besides what is traded."""

    dividends: pd.Series[float] | None
    benchmark: pd.Series[float] | None
    name: str | None
    count_trial: bool


@overload
def backtest(
    bars: pd.DataFrame,
    entries: Strategy,
    *,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> BacktestResult: ...
@overload
def backtest(
    bars: pd.DataFrame, entries: Signals | Weights, **options: Unpack[Options]
) -> BacktestResult: ...
@overload
def backtest(
    bars: pd.DataFrame,
    entries: Flags | None = None,
    exits: Flags | None = None,
    *,
    short_entries: Flags | None = None,
    short_exits: Flags | None = None,
    **options: Unpack[Options],
) -> BacktestResult: ...
def backtest(
    bars: pd.DataFrame,
    entries: Strategy | Signals | Weights | Flags | None = None,
    exits: Flags | None = None,
    *,
    short_entries: Flags | None = None,
    short_exits: Flags | None = None,
    parameters: Mapping[str, Any] | None = None,
    size: Size | None = None,
    fees: float = 0.001,
    fixed_fees: float = 0.0,
    slippage: float = 0.0,
    cash: float = 100_000.0,
    cash_sharing: bool | None = None,
    fill: Fill = "next_open",
    stop_loss: float | None = None,
    take_profit: float | None = None,
    trailing_stop: float | None = None,
    dividends: pd.Series[float] | None = None,
    whole_units: bool = False,
    leverage: float = 1.0,
    benchmark: pd.Series[float] | None = None,
    name: str | None = None,
    periods_per_year: float = 252.0,
    count_trial: bool = True,
) -> BacktestResult:
    """Trade a strategy, signals or weights on bars, and tell what became of the cash.

    The rules:

    - **Fills.** What is decided at a close is filled at the open of *that symbol's* next bar, and of several
      decisions since its last bar the newest: a share is filled on Monday by what a coin's Sunday decided.
      What is decided on a symbol's last bar is not filled; `signals(pending=True)` tells of it.
    - **Signals.** A long entry buys, a long exit sells; a short entry sells short, a short exit buys back.
      An entry against a position closes it and enters the other side: two orders at one price. An entry
      in the direction of the position, and an exit of what is not held, do nothing.
    - **Conflicts.** Entry and exit of one side on one bar cancel each other, and of what is left a long and
      a short entry do: the position stays as it is.
    - **Cash.** By default it is split equally once: each symbol gets ``cash / n_symbols`` for itself, and
      nothing is moved between symbols, so the result does not depend on their order, and it is the sum of
      one backtest a symbol. With `cash_sharing` they draw on one account: exits before entries, each entry
      of a share of the equity that there is after the exits.
    - **Leverage.** After any entry gross exposure (the value of all positions, short ones counted as long)
      is at most `leverage` times the account's equity, costs paid. Entries that would exceed it are cut, all
      of one bar by the same factor, so that the symbols' order does not matter. With 1 nothing is borrowed:
      the proceeds of a short sale, and as much again, are not spent on long positions. Closing a position is
      never refused: cash may fall below zero. Money and shares are lent at no cost.
    - **Weights.** One account; at each fill a symbol is brought to ``weight * equity / price`` units, all
      sales before all purchases. Weights that would exceed `leverage`, costs paid, are cut by one factor,
      all of one bar. NaN orders nothing.
    - **Costs.** A buy pays ``price * (1 + slippage)``, a sale gets ``price * (1 - slippage)``; both pay
      `fees` of that value and `fixed_fees`. A share of equity pays for the costs of its own entry.
    - **Stops** are looked for in each bar's range, after the entry. A bar that opens beyond one is left at
      its open. Where stop and target lie within one bar, the stop is taken to come first. A trailing stop
      follows the best price of the bars before. After a stop, an entry that still stands enters again.
    - **Dividends** are paid in cash on what was held before the ex-date's bar; short positions pay them.
    - **Ruin.** An account that has nothing left at a close is closed there for good.
    - **Gaps.** Where a symbol has no bar (before it starts, after it ends, a row with a NaN price), it does
      not trade, and a position is valued at its last close. A position in a symbol that ended stays open
      at that value.

    Every backtest counts as a trial of its strategy, or of its `name`: `workbench.backtest.trials`.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp), timestamps UTC; float64 columns open and close at least, in
        currency per unit, from 1e-12 to 1e15; high and low for stops. As `load_market_data` returns them;
        any order of rows.
    entries : Strategy, Signals, Weights, DataFrame or Series of bool
        What is traded. Of bool, whether the bar's close says "be long": a frame (timestamp × symbol) as
        computed on ``panel(bars, "close")``, a Series by timestamp for one symbol, or a tidy Series with
        the bars' own index.
    exits, short_entries, short_exits : DataFrame or Series of bool, optional
        Whether it says "close the long position", "be short" and "close the short position". `exits` may be
        left out only where a stop or a short entry ends a long position.
    parameters : mapping, optional
        Of a strategy; those left out take their defaults.
    size : Percent, Fixed or VolatilityTarget, optional
        How much an entry of a signal buys. Default: all of the symbol's own account; of a shared one
        ``Percent(1 / n_symbols)``. A size of your own is ``Percent(frame)``, a fraction for each bar and
        symbol.
    fees : float
        Fraction of the traded value, paid on every fill; 0.001 is 0.1 %.
    fixed_fees : float
        Currency, paid on every fill.
    slippage : float
        Fraction of the price by which every fill is worse.
    cash : float
        Starting capital, in currency; from 1e-6 to 1e15.
    cash_sharing : bool, optional
        Whether the symbols share one account. Default: of signals not; of weights always.
    fill : {"next_open", "next_close", "same_close"}
        Where an order is filled. "same_close" is optimistic: nobody trades at a close that they had to know
        before they could decide.
    stop_loss, take_profit, trailing_stop : float, optional
        Distances as fractions of the entry price, of the trailing stop of the best price since.
    dividends : Series of float64, optional
        Cash per unit by (symbol, ex-date), for bars whose prices are not adjusted for them.
    whole_units : bool
        Hold whole units only: entries and targets are rounded down.
    leverage : float
        The most that may be held, as a multiple of the account's equity, when something is entered.
    benchmark : Series of float64, optional
        Prices of something to compare with, by tz-aware timestamp. Default: buying and holding the same
        symbols, with the same costs and fills.
    name : str, optional
        What the result is called in pictures and tables. Default: the strategy's name.
    periods_per_year : float
        Bars in a year, for annualised figures; 252 for daily bars. It is never guessed.
    count_trial : bool
        Whether it is written down as a trial; a sweep counts its variants itself.

    Returns
    -------
    BacktestResult

    Warns
    -----
    SignalsInGapsWarning
        A signal is set in every row in which a symbol has no bar, as ``~(a > b)`` is where `a` is NaN.

    Raises
    ------
    BacktestError
        Bars, signals, weights, rules or costs cannot be used; the sentence says what to change.

    Examples
    --------
    >>> close = panel(bars, "close")                                        # doctest: +SKIP
    >>> above = close.rolling(50).mean() > close.rolling(200).mean()        # doctest: +SKIP
    >>> backtest(bars, entries=above, exits=~above, fees=0.001)             # doctest: +SKIP
    >>> backtest(bars, sma_cross, parameters={"fast": 20}, stop_loss=0.1)   # doctest: +SKIP
    """
    rules = Execution(
        fees=fees,
        fixed_fees=fixed_fees,
        slippage=slippage,
        cash=cash,
        cash_sharing=cash_sharing,
        fill=fill,
        size=size,
        stop_loss=stop_loss,
        take_profit=take_profit,
        trailing_stop=trailing_stop,
        whole_units=whole_units,
        leverage=leverage,
        periods_per_year=periods_per_year,
    )
    _check_labels(name, parameters, count_trial)
    market = read_bars(bars)
    strategy = entries if isinstance(entries, Strategy) else None
    flags = (exits, short_entries, short_exits)
    decided, chosen = decide(bars, market, entries, flags, parameters, stopped=rules.has_stops)
    if isinstance(decided, Decisions):
        warn_of_signals_in_gaps(decided, market)
    rules = settle_rules(rules, decided)
    paid = None if dividends is None else read_dividends(dividends, market)
    known = None
    if count_trial and strategy is None:
        known = Fingerprint(market, decided, ranges=rules.has_stops, dividends=paid)
    layout = lay_out(market, rules, paid)
    made = simulate(layout, decided)
    waiting = pending_signals(layout, made, decided)
    wanted = wanted_fractions(layout, made, decided, waiting)
    result = BacktestResult(
        name=name or (strategy.name if strategy else "backtest"),
        symbols=market.symbols,
        initial_cash=rules.cash,
        fees=rules.fees,
        slippage=rules.slippage,
        periods_per_year=rules.periods_per_year,
        books=keep_books(layout, made.lines, made.balances, benchmark, waiting, wanted),
        execution=rules,
        strategy=strategy.name if strategy else None,
        parameters=chosen,
        of_weights=isinstance(decided, Targets),
        made=Made(layout, made, decided),
    )
    if count_trial:
        count_backtest(strategy, result, known.hexdigest if known else str, dividends=paid is not None)
    return result


def _check_labels(name: object, parameters: object, count_trial: object) -> None:
    """Refuse a name that is no text, parameters without names, and a `count_trial` that is no bool."""
    if name is not None and not isinstance(name, str):
        raise BacktestError(f"name: {named(name)} is not text; give what the result is called, as a str.")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise BacktestError(
            f"parameters: {named(parameters)} is no mapping; give values by name, as in {{'fast': 20}}."
        )
    as_flag(count_trial, "count_trial")
