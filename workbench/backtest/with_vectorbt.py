"""vectorbt both ways: a result of a `vectorbt.Portfolio`, and a `Portfolio` of a result; its only import."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.counting import count_backtest
from workbench.errors import BacktestError
from workbench.fills.at_each import Made
from workbench.fills.balances import Balances
from workbench.fills.books import keep_books
from workbench.fills.execution import Execution
from workbench.fills.layout import lay_out
from workbench.fills.lines import BUY, REASONS, SELL, Lines
from workbench.fills.record import BacktestRecord
from workbench.fills.simulation import Simulation
from workbench.signals.bars_hash import bars_sha256
from workbench.signals.inputs import BarArrays, read_bars

if TYPE_CHECKING:
    import vectorbt

__all__ = ["from_vectorbt", "to_vectorbt"]

Floats = npt.NDArray[np.float64]
Record = TypeVar("Record", bound=BacktestRecord)

# So small a share of what was traded is what rounding leaves of a position that was closed.
_ROUNDING = 1e-9


def from_vectorbt(
    kind: type[Record],
    portfolio: vectorbt.Portfolio,
    bars: pd.DataFrame,
    *,
    name: str = "vectorbt",
    benchmark: pd.Series[float] | None = None,
    periods_per_year: float = 252.0,
    count_trial: bool = True,
) -> Record:
    """What became of the cash of a `vectorbt.Portfolio`, with the figures, reports and records of a backtest.

    Parameters
    ----------
    kind : type
        Of the record to make: `BacktestResult`, whose `from_vectorbt` this is.
    portfolio : vectorbt.Portfolio
        However it was made (`from_signals`, `from_orders`, `from_order_func`): with one column or many, in
        one group or several, sharing cash or not. Each column is a symbol of the bars, by its name or by the
        level "symbol" of its columns; of a single column the name does not matter where the bars have one
        symbol. Of many variants choose one first, as in ``portfolio[(20, 50)]``.
    bars : DataFrame
        Indexed (symbol, timestamp): the bars that it was made on, or more of them.
    name : str
        What the result is called; also what its trial is counted under.
    benchmark : Series of float64, optional
        As `backtest` takes it. Default: buying and holding the same symbols, at the mean fees of the orders.
    periods_per_year : float
        Bars in a year, for annualised figures. vectorbt's own are by calendar time (`freq`).
    count_trial : bool
        Whether it is written down as a trial.

    Returns
    -------
    BacktestRecord of that kind
        On the portfolio's timestamps. Its `fees` are the mean of what the orders paid, as a fraction of their
        value; its `slippage` is 0, since vectorbt's prices hold it and do not tell it. Each order's
        `signal_time` is the bar that filled it, for a portfolio does not know when it was decided; nothing is
        pending.

    Raises
    ------
    BacktestError
        The columns are no symbols of the bars, one stands there twice, or a timestamp is no bar's.
    """
    wrapper = portfolio.wrapper
    symbols = _symbols_of(wrapper.columns, bars)
    times = _times_of(wrapper.index)
    chosen = bars[np.asarray(bars.index.get_level_values(0).astype(str).isin(symbols))]
    inside = np.asarray(chosen.index.get_level_values(1).isin(times))
    market = read_bars(chosen[inside])
    if not market.timestamps.equals(times):
        strange = times.difference(market.timestamps)
        raise BacktestError(
            f"bars: {len(strange)} of the portfolio's {len(times)} timestamps are no bar's (the first is "
            f"{strange[0] if len(strange) else times[0]}); pass the bars that it was made on."
        )
    shared = bool(portfolio.cash_sharing)
    # Symbols of one account have one number; without sharing each has an account of its own.
    accounts = np.asarray(wrapper.grouper.get_groups() if shared else np.arange(len(symbols)))
    cash = np.atleast_1d(np.asarray(portfolio.get_init_cash(group_by=None if shared else False), dtype=float))
    columns = np.array([market.symbols.index(symbol) for symbol in symbols])
    lines = _lines_of(portfolio.orders.values, columns, accounts, cash)
    traded = float((lines.size * lines.price).sum())
    rules = Execution(
        fees=min(float(lines.fees.sum()) / traded, 0.999) if traded > 0.0 else 0.0,
        cash=float(cash.sum()),
        cash_sharing=shared,
        periods_per_year=float(periods_per_year),
    )
    layout = lay_out(market, rules, None)
    units, spent = _balances(lines, market)
    worth = np.where(units == 0.0, 0.0, units * layout.last_closes)
    balances = Balances(
        equity=rules.cash - spent + worth.sum(axis=1),
        cash=rules.cash - spent,
        gross=np.abs(worth).sum(axis=1),
        units=units,
    )
    result = kind(
        name=name,
        symbols=market.symbols,
        initial_cash=rules.cash,
        fees=rules.fees,
        slippage=0.0,
        periods_per_year=rules.periods_per_year,
        books=keep_books(layout, lines, balances, benchmark),
        execution=rules,
        made=Made(layout, Simulation(balances, np.zeros(len(market.symbols), dtype=np.bool_), lines)),
    )
    if count_trial:
        count_backtest(None, result, lambda: lines.sha256() + bars_sha256(market), dividends=False)
    return result


def to_vectorbt(result: BacktestRecord, bars: pd.DataFrame) -> vectorbt.Portfolio:
    """The same fills as a `vectorbt.Portfolio`, for vectorbt's own plots, records and statistics.

    Parameters
    ----------
    result : BacktestRecord
        What was backtested.
    bars : DataFrame
        The bars that it was backtested on.

    Returns
    -------
    vectorbt.Portfolio
        A column a symbol, each with its equal share of the cash, or one group where they share it. Where
        vectorbt's statistics differ from `result.metrics`, the conventions do: its drawdown, for one, leaves
        out the starting capital. It knows no dividends: its cash is without them.

    Raises
    ------
    BacktestError
        The bars are not those of the result.
    """
    import vectorbt
    from vectorbt.portfolio.enums import log_dt, order_dt

    market = read_bars(bars)
    if market.symbols != result.symbols or not market.timestamps.equals(result.equity.index):
        raise BacktestError("these bars are not the ones of the backtest; pass those that it was run on")
    close = pd.DataFrame(market.close, index=market.timestamps, columns=list(market.symbols)).ffill()
    columns = pd.Index(market.symbols).get_indexer(pd.Index(result.orders["symbol"]))
    order = np.argsort(columns, kind="stable")
    fills = result.orders.iloc[order]
    records = np.zeros(len(fills), dtype=order_dt)
    records["id"] = np.arange(len(fills))
    records["col"] = columns[order]
    records["idx"] = market.timestamps.get_indexer(pd.DatetimeIndex(fills["time"]))
    for field in ("size", "price", "fees"):
        records[field] = fills[field]
    records["side"] = fills["side"] == "sell"
    shared = bool(result.execution.cash_sharing)
    accounts = 1 if shared else len(market.symbols)
    return vectorbt.Portfolio(
        vectorbt.ArrayWrapper.from_obj(close, freq="1D", group_by=True if shared else None),
        close,
        records,
        np.zeros(0, dtype=log_dt),
        np.full(accounts, result.initial_cash / accounts),
        shared,
    )


def _symbols_of(columns: pd.Index, bars: pd.DataFrame) -> list[str]:
    """The symbol of each column."""
    known = {str(symbol) for symbol in bars.index.get_level_values(0).unique()}
    names = columns.get_level_values("symbol") if "symbol" in columns.names else columns
    symbols = [str(name[-1] if isinstance(name, tuple) else name) for name in names]
    if len(symbols) == 1 and len(known) == 1:
        return list(known)
    strange = [symbol for symbol in symbols if symbol not in known]
    if strange:
        raise BacktestError(
            f"portfolio: its column {strange[0]!r} is no symbol of the bars ({', '.join(sorted(known)[:5])}"
            f"{', …' * (len(known) > 5)}); name the columns after the symbols, as panel(bars, 'close') does."
        )
    twice = [symbol for symbol in symbols if symbols.count(symbol) > 1]
    if twice:
        raise BacktestError(
            f"portfolio: {symbols.count(twice[0])} of its {len(symbols)} columns are of {twice[0]}; choose "
            f"one variant, as in portfolio[{columns[symbols.index(twice[0])]!r}]."
        )
    return symbols


def _times_of(index: pd.Index) -> pd.DatetimeIndex:
    """The portfolio's timestamps in UTC; naive ones count as UTC, as vectorbt's users have them."""
    if not isinstance(index, pd.DatetimeIndex):
        raise BacktestError(
            f"portfolio: its index is {index.dtype}, and not timestamps; make it on panel(bars, 'close')."
        )
    times = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return times.as_unit("ns")


def _lines_of(
    records: npt.NDArray[np.void],
    columns: npt.NDArray[np.int64],
    accounts: npt.NDArray[np.int64],
    cash: Floats,
) -> Lines:
    """Vectorbt's orders as lines, in the order in which they happened."""
    records = records[np.lexsort((records["id"], records["idx"]))]
    row, column = records["idx"].astype(np.int32), columns[records["col"]].astype(np.int32)
    buys = records["side"] == 0
    size, price, fees = (records[field].astype(np.float64) for field in ("size", "price", "fees"))
    units, left = np.zeros(len(records)), np.zeros(len(records))
    bought = np.where(buys, size, -size)
    flow = -bought * price - fees
    for symbol in np.unique(column):
        mine = column == symbol
        held = np.cumsum(bought[mine])
        # What is left of all that was ever bought and sold, where it is next to nothing, is rounding.
        held[np.abs(held) <= _ROUNDING * np.maximum.accumulate(np.abs(held))] = 0.0
        units[mine] = held
    account = accounts[records["col"]]
    for number in np.unique(account):
        mine = account == number
        left[mine] = cash[number] + np.cumsum(flow[mine])
    return Lines(
        row=row,
        column=column,
        side=np.where(buys, BUY, SELL).astype(np.int8),
        size=size,
        price=price,
        fees=fees,
        cash=left,
        units=units,
        reason=np.full(len(records), REASONS.index("signal"), dtype=np.int8),
        strength=np.ones(len(records)),
        decided=row,
    )


def _balances(lines: Lines, market: BarArrays) -> tuple[Floats, Floats]:
    """Units of each symbol, and what all orders together cost, at each close."""
    units = np.zeros(market.close.shape)
    for column in np.unique(lines.column):
        mine = lines.take(lines.column == column)
        last = np.searchsorted(mine.row, np.arange(len(units)), side="right") - 1
        units[:, column] = np.where(last >= 0, mine.units[np.maximum(last, 0)], 0.0)
    sign = np.where(lines.side == BUY, 1.0, -1.0)
    paid = sign * lines.size * lines.price + lines.fees
    return units, np.cumsum(np.bincount(lines.row, weights=paid, minlength=len(units)))
