"""`backtest()`: signals on bars, each order executed by vectorbt's Rust engine; the only import of vectorbt.

`import vectorbt` takes several seconds (plotting, SciPy, Numba), and Numba then compiles for half a
minute; vectorbt's whole-portfolio kernels need that import too. Its order execution does not: prices,
fees, slippage, cash and rejections of each order are vectorbt's, from `vectorbt_rust`, which loads in
milliseconds, and only the walk from signal to signal is ours. A test holds the outcome to
`vectorbt.Portfolio.from_signals`.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.inputs import BarArrays, check_costs, read_bars, read_signals
from workbench.backtest.ledger import FILL, keep_ledger, next_bar, pending_signals
from workbench.backtest.result import BacktestResult
from workbench.errors import BacktestError

__all__ = ["backtest", "vectorbt_portfolio"]

# vectorbt's enums (vectorbt.portfolio.enums), by value: importing them would import all of vectorbt.
_LONG_ONLY = 0
_PERCENT = 2
_FILLED = 0


def backtest(
    bars: pd.DataFrame,
    entries: pd.Series[bool] | pd.DataFrame,
    exits: pd.Series[bool] | pd.DataFrame,
    *,
    fees: float = 0.001,
    slippage: float = 0.0,
    cash: float = 100_000.0,
    name: str | None = None,
    periods_per_year: float = 252.0,
) -> BacktestResult:
    """Trade entry and exit signals on bars, long only, and tell what became of the cash.

    The rules:

    - **Fills.** A signal is known at its bar's close and filled at the open of *that symbol's* next bar.
      A signal on a symbol's last bar is not filled; `signals(pending=True)` tells of it.
    - **Cash.** It is split equally once: each symbol gets ``cash / n_symbols`` for itself, and every entry
      puts all that its symbol then has (gains and losses included) into the position, in fractional units.
      Nothing is moved between symbols, so the result does not depend on their order, and it is the sum of
      one backtest a symbol. The share of a symbol that starts late waits as cash.
    - **Costs.** A buy pays ``open * (1 + slippage)``, a sale gets ``open * (1 - slippage)``; both pay `fees`
      of that traded value. An entry buys as much as leaves enough for its own fee.
    - **Conflicts.** Entry and exit on one bar cancel each other: the position stays as it is. An entry
      while invested and an exit while not do nothing.
    - **Gaps.** Where a symbol has no bar (before it starts, after it ends, a row with a NaN price), it does
      not trade, and a position is valued at its last close. A position in a symbol that ended stays open
      at that value.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp), timestamps UTC; float64 columns open and close at least, in
        currency per unit. As `load_market_data` returns them; any order of rows.
    entries, exits : DataFrame or Series of bool
        Whether the bar's close says "be in" or "get out": a frame (timestamp × symbol) as computed on
        ``panel(bars, "close")``, a Series by timestamp for one symbol, or a tidy Series with the bars'
        own index.
    fees : float
        Fraction of the traded value, paid on every fill; 0.001 is 0.1 %.
    slippage : float
        Fraction of the price by which every fill is worse than the open.
    cash : float
        Starting capital, in currency.
    name : str, optional
        What the result is called in pictures and tables.
    periods_per_year : float
        Bars in a year, for annualised figures; 252 for daily bars. It is never guessed.

    Returns
    -------
    BacktestResult

    Raises
    ------
    BacktestError
        The bars, signals or costs cannot be used; the sentence says what to change.

    Examples
    --------
    >>> close = panel(bars, "close")                                        # doctest: +SKIP
    >>> above = close.rolling(50).mean() > close.rolling(200).mean()        # doctest: +SKIP
    >>> backtest(bars, entries=above, exits=~above, fees=0.001)             # doctest: +SKIP
    """
    check_costs(cash=cash, fees=fees, slippage=slippage, periods_per_year=periods_per_year)
    market = read_bars(bars)
    enter = read_signals(entries, market, "entries")
    leave = read_signals(exits, market, "exits")
    enter, leave = enter & ~leave, leave & ~enter
    account = keep_ledger(market, _fill(market, enter, leave, fees=fees, slippage=slippage, cash=cash), cash)
    # Buying and holding the same symbols under the same rules: an entry on every bar, an exit on none.
    never = np.zeros_like(market.present)
    holding = _fill(market, market.present, never, fees=fees, slippage=slippage, cash=cash)
    benchmark = keep_ledger(market, holding, cash).equity.rename("buy and hold")
    return BacktestResult(
        name=name or "backtest",
        symbols=market.symbols,
        initial_cash=float(cash),
        fees=float(fees),
        slippage=float(slippage),
        periods_per_year=float(periods_per_year),
        equity=account.equity,
        cash=account.cash,
        positions=account.positions,
        orders=account.orders,
        trades=account.trades,
        pending=pending_signals(market, account.positions, enter, leave),
        benchmark=benchmark,
    )


def vectorbt_portfolio(result: BacktestResult, bars: pd.DataFrame) -> Any:
    """The same fills as a `vectorbt.Portfolio`, for vectorbt's own plots, records and statistics.

    Parameters
    ----------
    result : BacktestResult
        What was backtested.
    bars : DataFrame
        The bars that it was backtested on.

    Returns
    -------
    vectorbt.Portfolio
        A column a symbol, each with its equal share of the cash. Where vectorbt's statistics differ from
        `result.metrics`, the conventions do: its drawdown, for one, leaves out the starting capital.

    Raises
    ------
    BacktestError
        The bars are not those of the result.
    """
    import vectorbt

    market = read_bars(bars)
    if market.symbols != result.symbols or not market.timestamps.equals(result.equity.index):
        raise BacktestError("these bars are not the ones of the backtest; pass those that it was run on")
    close = pd.DataFrame(market.close, index=market.timestamps, columns=list(market.symbols)).ffill()
    orders = result.orders.assign(
        amount=np.where(result.orders["side"] == "buy", result.orders["size"], -result.orders["size"])
    )
    size, price = (
        orders.pivot(index="time", columns="symbol", values=column).reindex_like(close)
        for column in ("amount", "price")
    )
    return vectorbt.Portfolio.from_orders(
        close,
        size=size,
        price=price,
        fees=result.fees,
        init_cash=result.initial_cash / len(result.symbols),
        freq="1D",
    )


def _fill(
    market: BarArrays,
    enter: npt.NDArray[np.bool_],
    leave: npt.NDArray[np.bool_],
    *,
    fees: float,
    slippage: float,
    cash: float,
) -> npt.NDArray[np.void]:
    """Fills (`FILL` records, by symbol and time) of signals given at the close, at the next bar's open."""
    from vectorbt_rust import portfolio as rust

    buys, sells = next_bar(market, enter), next_bar(market, leave)
    fills: list[tuple[float, ...]] = []
    for column in range(len(market.symbols)):
        opens = market.open[:, column]
        rows = {
            True: np.flatnonzero(buys[:, column]).tolist(),
            False: np.flatnonzero(sells[:, column]).tolist(),
        }
        budget, units, row = cash / len(market.symbols), 0.0, -1
        while True:
            buying = units == 0.0
            upcoming = bisect_right(rows[buying], row)
            if upcoming == len(rows[buying]):
                break
            row = rows[buying][upcoming]
            price = float(opens[row])
            order = rust.order_rs(
                # All of the cash, or all of the position.
                size=1.0 if buying else -1.0,
                size_type=_PERCENT,
                price=price,
                direction=_LONG_ONLY,
                fees=fees,
                slippage=slippage,
            )
            before = rust.ProcessOrderState(budget, units, 0.0, budget, price, budget + units * price, 0, 0)
            after, fill = rust.execute_order_rs(before, order)
            # Costs near 100 % leave too little cash for another order; that one is then not filled.
            if fill.status == _FILLED:
                budget, units = after.cash, after.position
                fills.append((row, column, fill.side, fill.size, fill.price, fill.fees, budget, units))
    return np.array(fills, dtype=FILL)
