"""`BacktestRecord`: what became of the cash, and the figures that follow; no picture is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import pandas as pd

from workbench.errors import BacktestError
from workbench.fills.at_each import Made, said_at_each
from workbench.fills.books import Books
from workbench.fills.daily import by_date
from workbench.fills.execution import Execution, Rules
from workbench.fills.figures import all_figures, changes_of
from workbench.metrics.observations import Observed

__all__ = ["BacktestRecord"]


@dataclass(frozen=True, eq=False, repr=False)
class BacktestRecord:
    """What became of the cash.

    Money is in the currency of the bars, timestamps are UTC, fractions are fractions (0.01 is 1 %).

    Attributes
    ----------
    name : str
        What this backtest is called.
    symbols : tuple of str
        What was traded, in ascending order.
    initial_cash : float
        Starting capital.
    fees, slippage : float
        Costs of a fill, as fractions of its value and of its price.
    periods_per_year : float
        Bars in a year, for annualised figures.
    books : Books
        What became of the accounts, as arrays: the frames below are made of them when they are looked at.
    execution : Execution
        The rules of filling.
    strategy : str or None
        The strategy's name; None where signals were given by themselves.
    parameters : mapping
        What the strategy was run with, defaults included.
    of_weights : bool
        Whether weights were traded, and not signals.
    made : Made or None
        The simulation and what it was made of, for `newest_at_each`.
    """

    name: str
    symbols: tuple[str, ...]
    initial_cash: float
    fees: float
    slippage: float
    periods_per_year: float
    books: Books
    execution: Execution
    strategy: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    of_weights: bool = False
    made: Made | None = field(default=None, repr=False)

    @property
    def start(self) -> pd.Timestamp:
        """The first bar, UTC."""
        return pd.Timestamp(self.books.timestamps[0])

    @property
    def end(self) -> pd.Timestamp:
        """The last bar, UTC."""
        return pd.Timestamp(self.books.timestamps[-1])

    @cached_property
    def equity(self) -> pd.Series[float]:
        """Cash and positions at each bar's close: float64, shape (n_bars,).

        Of a short position what buying it back would cost is taken off, so that it can fall below zero.
        """
        return self.books.series(self.books.balances.equity, "equity")

    @cached_property
    def cash(self) -> pd.Series[float]:
        """Cash at each bar's close, proceeds of short sales included: float64, shape (n_bars,)."""
        return self.books.series(self.books.balances.cash, "cash")

    @cached_property
    def gross(self) -> pd.Series[float]:
        """Value of the positions at each bar's close, short ones counted like long ones: (n_bars,)."""
        return self.books.series(self.books.balances.gross, "gross")

    @cached_property
    def dividends(self) -> pd.Series[float]:
        """Dividends received in each bar, less those paid on short positions: float64, shape (n_bars,)."""
        return self.books.series(self.books.dividends, "dividends")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Units held at each bar's close, negative for short positions: float64, (n_bars, n_symbols)."""
        return self.books.positions()

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row a fill, by time.

        symbol, signal_time (the bar whose close decided it; of a stop, a target and a ruin the bar itself),
        time (the bar that filled it), side ("buy" or "sell"), size (units), price (with slippage), fees,
        reason ("signal", "stop_loss", "trailing_stop", "take_profit", "rebalance" or "ruin"), strength (of a
        rebalance the weight's size, at most 1, else 1).
        """
        return self.books.orders()

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a round trip, from nothing held to nothing held, by entry_time.

        symbol, direction ("long" or "short"), entry_time, exit_time, entry_price, exit_price (with slippage;
        means by units where there were several fills), size (units, all fills that added to it), pnl (after
        fees, with dividends), return (pnl by the value entered), fees, dividends (received, or paid where
        negative), status ("closed" or "open"), exit_reason (as in orders; "" while open). An open trade has
        neither exit_time nor exit_price (NaT, NaN), and its pnl is what it was worth at the last close.
        """
        return self.books.trades()

    @property
    def rules(self) -> Rules:
        """The rules of filling, as keyword arguments: ``wb.sweep(strategy, bars, grid, **result.rules)``.

        A new dict each time; `rules_to_json(result.execution)` of `workbench.backtest.rules_json` gives JSON.
        """
        return cast(Rules, dict(vars(self.execution)))

    @cached_property
    def pending(self) -> pd.DataFrame:
        """Decisions of each symbol's last bar that no bar has filled yet; columns as `signals()`."""
        return self.books.pending()

    @cached_property
    def benchmark(self) -> pd.Series[float]:
        """What the cash would have become in the benchmark at each bar: float64, shape (n_bars,).

        By default by buying and holding the same symbols, with the same costs and fills.
        """
        return self.books.series(self.books.benchmark, self.books.benchmark_name)

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Simple return of each bar, the first against the starting capital: float64, shape (n_bars,).

        0 where there was no equity before it. The first bar counts in every figure, so n bars are n periods;
        engines whose returns begin with the second bar have n - 1, and a CAGR and a Calmar ratio that are a
        little further from 0.
        """
        return self.books.series(self.observed_returns.values, "returns")

    @cached_property
    def benchmark_returns(self) -> pd.Series[float]:
        """Simple return of the benchmark in each bar: float64, shape (n_bars,)."""
        changes = changes_of(self.books.benchmark, self.initial_cash)
        return self.books.series(changes, "benchmark_returns")

    @cached_property
    def drawdown(self) -> pd.Series[float]:
        """Equity below its highest so far, starting capital included: fractions in [-1, 0], (n_bars,)."""
        return self.books.series(self.observed_returns.below_peak, "drawdown")

    @cached_property
    def exposure(self) -> pd.Series[float]:
        """Gross exposure: the positions' value by equity at each close, 0 or more; NaN without equity."""
        return self.books.series(self.books.by_equity(self.books.balances.gross), "exposure")

    @cached_property
    def net_exposure(self) -> pd.Series[float]:
        """Net exposure: long less short positions by equity at each close; NaN without equity."""
        net = self.books.balances.equity - self.books.balances.cash
        return self.books.series(self.books.by_equity(net), "net_exposure")

    @cached_property
    def turnover(self) -> pd.Series[float]:
        """The value of each bar's fills by its equity at the close, 0 or more; NaN without equity."""
        return self.books.series(self.books.by_equity(self.books.traded), "turnover")

    @cached_property
    def observed_returns(self) -> Observed:
        """The returns as the figures take them: what several figures need of them is computed once."""
        return Observed(changes_of(self.books.balances.equity, self.initial_cash))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures by name; conventions in `workbench.metrics`, undefined ones NaN.

        Of returns: total_return, cagr, volatility, sharpe_ratio, sortino, calmar, omega, stability,
        max_drawdown (≤ 0), max_drawdown_length (bars), value_at_risk, conditional_value_at_risk,
        tail_ratio, skewness, kurtosis. Against the benchmark: benchmark_return (its whole return), alpha,
        beta, information_ratio, up_capture, down_capture. Of trades: total_trades (closed), open_trades,
        and of closed ones win_rate, profit_factor, expectancy (currency), sqn. Of what was held: exposure
        (gross, mean over the bars), turnover (a year: bought and sold, by equity). Money: fees_paid,
        slippage_paid, final_equity.
        """
        return all_figures(
            self.books,
            self.observed_returns,
            initial_cash=self.initial_cash,
            slippage=self.slippage,
            periods_per_year=self.periods_per_year,
        )

    def signals(self, *, pending: bool = False) -> pd.DataFrame:
        """The signals that changed a position.

        Parameters
        ----------
        pending : bool
            Also those that the next bar will fill: what a live strategy acts on.

        Returns
        -------
        DataFrame
            symbol, timestamp (of the bar whose close gave the signal, UTC), signal ("buy" or "sell"),
            strength (in [0, 1]; of a rebalance the weight's size, else 1); by timestamp, then symbol, and
            one a symbol and bar: the last. To enter a short position is to sell. A stop, a target or a
            ruin stands at the bar in which it closed the position.
        """
        acted = self.orders[["symbol", "signal_time", "side", "strength"]].set_axis(
            ["symbol", "timestamp", "signal", "strength"], axis=1
        )
        if pending:
            acted = pd.concat([acted, self.pending], ignore_index=True)
        acted = acted.drop_duplicates(["symbol", "timestamp"], keep="last")
        return acted.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)

    def newest(self) -> pd.DataFrame:
        """What is said at each symbol's last bar: a decision that waits, what that bar did, or hold.

        `target` is the position that is wanted then, as a fraction of the equity of the whole backtest (cash
        and positions of all symbols) at the last closes; negative for a short one, 0 for none. Of a weight
        that waits it is the weight. Of an entry that waits: of `Percent` its share, which of a symbol's own
        account counts as much as that account is of the whole; of `VolatilityTarget` the share that it is
        worth at the deciding bar; of `Fixed` the units' value at the close. It is neither cut to what cash
        and leverage pay for nor rounded to whole units: that is up to the fill. Of an exit that waits it is
        0, of everything else what is held.

        Returns
        -------
        DataFrame
            One row a symbol, in ascending order: symbol, timestamp (of its last bar, UTC), signal ("buy",
            "sell" or "hold"), strength (in [0, 1]; of a hold 0), target (NaN without equity). A stop that
            the bar touched is a sale, of a short position a purchase.
        """
        return self.books.newest(self.signals(pending=True))

    def newest_at_each(self, last: int | None = None) -> pd.DataFrame:
        """What `newest` said at each bar, when it was the newest.

        A live run for a slot says the row of the bar that was complete then. Of symbols with a later first
        bar than others it is what is said with all of them sharing the cash from the start.

        Parameters
        ----------
        last : int, optional
            Of the last so many timestamps only. Default: all.

        Returns
        -------
        DataFrame
            One row a timestamp and symbol with a bar, by timestamp: symbol, timestamp (UTC), open, high, low,
            close, dividend (cash per unit, 0.0 for none), and signal, strength and target as `newest` has
            them.

        Raises
        ------
        BacktestError
            The record holds no simulation: it was not made by `backtest` or of a vectorbt portfolio.
        """
        if self.made is None:
            raise BacktestError(
                f"{self.name}: this record holds no simulation to tell each bar's newest decision from; run "
                "the backtest again."
            )
        return said_at_each(self.made, last)

    def performance(self) -> pd.DataFrame:
        """The figures as they stood at the end of each date; the last row is `metrics`.

        Returns
        -------
        DataFrame
            One row a date (UTC; of several bars on one date, the last): date (`datetime.date`), returns
            (of that date), sharpe_ratio (of all bars so far; NaN before two), max_drawdown (so far),
            total_trades (closed so far, int64), win_rate (so far; NaN before the first closed trade).
        """
        return by_date(self.returns, self.trades, periods_per_year=self.periods_per_year)
