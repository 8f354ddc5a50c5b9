"""`Books`: what became of the accounts, as arrays; orders and trades become frames when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.fills.balances import Balances
from workbench.fills.layout import Layout
from workbench.fills.lines import DIVIDEND, REASONS, Lines
from workbench.fills.outside import read_benchmark
from workbench.fills.pending import Waiting, pending_frame
from workbench.fills.simulation import buy_and_hold
from workbench.fills.trades import RoundTrips, round_trips, sums, text, trades_frame
from workbench.fills.wanted import held_fractions, newest_rows

__all__ = ["Books", "keep_books"]

Floats = npt.NDArray[np.float64]
_SIDES = ("buy", "sell")


@dataclass(frozen=True, eq=False)
class Books:
    """What a `BacktestRecord` is made of, without a frame.

    Attributes
    ----------
    timestamps : DatetimeIndex of shape (n_bars,)
        UTC.
    symbols : tuple of str, length n_symbols
    balances : Balances
    dividends : ndarray of float64, shape (n_bars,)
        Received in each bar, less those paid on short positions; currency.
    fills : Lines
        The orders, by bar and then by symbol.
    trips : RoundTrips
        The trades, by entry.
    waiting : sequence of Waiting
        Decisions that no bar has filled yet, by symbol.
    last_rows : ndarray of int64, shape (n_symbols,)
        The row of each symbol's last bar.
    wanted : ndarray of float64, shape (n_symbols,)
        The positions that are wanted then, as fractions of equity; see `BacktestRecord.newest`.
    benchmark : ndarray of float64, shape (n_bars,)
        What the cash would have become in it.
    benchmark_name : str
    """

    timestamps: pd.DatetimeIndex
    symbols: tuple[str, ...]
    balances: Balances
    dividends: Floats
    fills: Lines
    trips: RoundTrips
    waiting: Sequence[Waiting]
    last_rows: npt.NDArray[np.int64]
    wanted: Floats
    benchmark: Floats
    benchmark_name: str

    def series(self, values: Floats, name: str) -> pd.Series[float]:
        """A value for each bar, by timestamp."""
        return pd.Series(values, index=self.timestamps, name=name)

    def positions(self) -> pd.DataFrame:
        """`BacktestRecord.positions`."""
        columns = pd.Index(self.symbols, name="symbol")
        return pd.DataFrame(self.balances.units, index=self.timestamps, columns=columns)

    def orders(self) -> pd.DataFrame:
        """`BacktestRecord.orders`."""
        fills = self.fills
        return pd.DataFrame(
            {
                "symbol": text(self.symbols, fills.column),
                "signal_time": self.timestamps[fills.decided],
                "time": self.timestamps[fills.row],
                "side": text(_SIDES, fills.side),
                "size": fills.size,
                "price": fills.price,
                "fees": fills.fees,
                "reason": text(REASONS, fills.reason),
                "strength": fills.strength,
            },
            copy=False,
        )

    def trades(self) -> pd.DataFrame:
        """`BacktestRecord.trades`."""
        return trades_frame(self.trips, self.timestamps, self.symbols)

    def newest(self, signals: pd.DataFrame) -> pd.DataFrame:
        """`BacktestRecord.newest`, of its signals, pending ones included."""
        times = self.timestamps[self.last_rows]
        said = {
            (symbol, time): place
            for place, (symbol, time) in enumerate(zip(self.symbols, times, strict=True))
        }
        sides, strengths = ["hold"] * len(self.symbols), np.zeros(len(self.symbols))
        places = [said.get(key) for key in zip(signals["symbol"], signals["timestamp"], strict=True)]
        for place, side, strength in zip(places, signals["signal"], signals["strength"], strict=True):
            if place is not None:
                sides[place], strengths[place] = side, strength
        for column, _, side, strength in self.waiting:
            sides[column], strengths[column] = side, strength
        return pd.DataFrame(
            {
                "symbol": pd.array(self.symbols, dtype="str"),
                "timestamp": times,
                "signal": pd.array(sides, dtype="str"),
                "strength": strengths,
                "target": self.wanted,
            }
        )

    def pending(self) -> pd.DataFrame:
        """`BacktestRecord.pending`."""
        return pending_frame(self.waiting, self.timestamps, self.symbols)

    @cached_property
    def traded(self) -> Floats:
        """The value of each bar's fills, bought and sold alike: float64, shape (n_bars,); currency."""
        return sums(self.fills.row, self.fills.size * self.fills.price, len(self.timestamps))

    def by_equity(self, values: Floats) -> Floats:
        """Values of each bar by the equity at its close: float64, shape (n_bars,); NaN without equity."""
        equity = self.balances.equity
        shares = np.full(len(equity), np.nan)
        np.divide(values, equity, out=shares, where=equity > 0.0)
        return shares


def keep_books(
    layout: Layout,
    lines: Lines,
    balances: Balances,
    benchmark: pd.Series[float] | None,
    waiting: Sequence[Waiting] = (),
    wanted: Floats | None = None,
) -> Books:
    """Book what happened; no fill is decided here.

    Parameters
    ----------
    layout : Layout
    lines : Lines
        Each account's in the order in which they happened.
    balances : Balances
    benchmark : Series of float64, optional
        Prices to compare with, as `read_benchmark` takes them. Default: buying and holding the same symbols.
    waiting : sequence of Waiting
    wanted : ndarray of float64, shape (n_symbols,), optional
        Of `wanted_fractions`. Default: what is held.

    Raises
    ------
    BacktestError
        The benchmark cannot be read.
    """
    market = layout.market
    fills, dividends = lines, np.zeros(len(market.timestamps))
    paid = lines.side == DIVIDEND
    if paid.any():
        dividends = sums(lines.row[paid], lines.units[paid] * lines.price[paid], len(dividends))
        fills = lines.take(~paid)
    if len(market.symbols) > 1:
        fills = fills.by_bar()
    if benchmark is None:
        rival, rival_name = buy_and_hold(layout), "buy and hold"
    else:
        read = read_benchmark(benchmark, market, layout.execution.cash)
        rival, rival_name = np.asarray(read.to_numpy()), str(read.name)
    if wanted is None:
        wanted = held_fractions(balances.units[-1], layout.last_closes[-1], float(balances.equity[-1]))
    return Books(
        timestamps=market.timestamps,
        symbols=market.symbols,
        balances=balances,
        dividends=dividends,
        fills=fills,
        trips=round_trips(lines, layout.last_closes[-1]),
        waiting=waiting,
        last_rows=newest_rows(market.present),
        wanted=wanted,
        benchmark=rival,
        benchmark_name=rival_name,
    )
