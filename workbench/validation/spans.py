"""Spans of bars, and a strategy traded within one of them: signals from before it, nothing from after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.engine import backtest
from workbench.fills.execution import Execution
from workbench.signals.decisions import Targets, read_decisions
from workbench.signals.inputs import BarArrays, read_bars, utc_index
from workbench.signals.signals import Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = ["BarSpans", "Traded", "dividends_of", "only_from"]


@dataclass(frozen=True, eq=False)
class Traded:
    """What a strategy did within a span.

    Attributes
    ----------
    returns : Series of float64, shape (n_bars,)
        Of each bar of the span.
    trades : DataFrame
        As `BacktestResult.trades`; what was still held at the span's end is "open".
    """

    returns: pd.Series[float]
    trades: pd.DataFrame


class BarSpans:
    """Tidy bars that can be cut by rows of time.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp); `BacktestError` where a backtest would refuse them.

    Attributes
    ----------
    bars : DataFrame
        As given.
    market : BarArrays
        The same as arrays; its rows are what spans count.
    """

    def __init__(self, bars: pd.DataFrame) -> None:
        self.market: BarArrays = read_bars(bars)
        self.bars = bars
        times = utc_index(bars.index.get_level_values(1), "bars")
        self._rows = self.market.timestamps.get_indexer(times)
        symbols = bars.index.get_level_values(0).astype(str)
        self._columns = pd.Index(self.market.symbols).get_indexer(symbols)

    def __len__(self) -> int:
        return len(self.market.timestamps)

    def cut(self, span: range) -> pd.DataFrame:
        """The bars of a span, without the symbols that have none in it."""
        alive = np.asarray(self.market.present[span.start : span.stop].any(axis=0))
        return self.bars[(self._rows >= span.start) & (self._rows < span.stop) & alive[self._columns]]

    def trade(
        self,
        strategy: Strategy,
        parameters: Mapping[str, Any],
        span: range,
        *,
        execution: Execution,
        dividends: pd.Series[float] | None,
    ) -> Traded:
        """Trade a strategy within a span, with what came before known and nothing of what comes after.

        The strategy sees all bars up to the span's last one, and volatility for sizing is measured on them.
        What it decided before the span's first bar is not traded: the account begins with cash alone.

        Parameters
        ----------
        strategy : Strategy
        parameters : mapping
        span : range
            Rows.
        execution : Execution
        dividends : Series of float64, optional
            Of any symbols.
        """
        bars = self.cut(range(span.stop))
        times = self.market.timestamps[span.start : span.stop]
        made = only_from(times[0], strategy(bars, **parameters), read_bars(bars))
        mine = dividends_of(dividends, bars)
        result = backtest(bars, made, dividends=mine, count_trial=False, **vars(execution))
        # A row in which only a symbol without any bar stood is not among the cut bars: nothing happened.
        return Traded(result.returns.reindex(times, fill_value=0.0), result.trades)


def only_from(start: pd.Timestamp, made: Signals | Weights, market: BarArrays) -> Signals | Weights:
    """What a strategy said, from `start` on.

    Parameters
    ----------
    start : Timestamp
        UTC.
    made : Signals or Weights
        On all of the market's bars.
    market : BarArrays

    Returns
    -------
    Signals or Weights
        Signals before `start` are taken out. The last weights before `start` are still in force: they stand
        at each symbol's first bar from there on, where no new ones do.
    """
    decided = read_decisions(made, market)
    before = np.arange(len(market.timestamps)) < int(market.timestamps.searchsorted(start))
    if isinstance(decided, Targets):
        in_force = pd.DataFrame(decided.weights).ffill().to_numpy()
        weights = np.where(before[:, np.newaxis], np.nan, decided.weights)
        for column in range(weights.shape[1]):
            rows = np.flatnonzero(market.present[:, column] & ~before)
            if rows.size:
                weights[rows[0], column] = in_force[rows[0], column]
        return Weights(_framed(weights, market))
    enter = np.where(before[:, np.newaxis], np.int8(0), decided.enter)
    return Signals(
        entries=_framed(enter == 1, market),
        exits=_framed(decided.leave_long, market),
        short_entries=_framed(enter == -1, market),
        short_exits=_framed(decided.leave_short, market),
    )


def dividends_of(dividends: pd.Series[float] | None, bars: pd.DataFrame) -> pd.Series[float] | None:
    """The dividends of these bars' symbols; None where there are none."""
    if dividends is None:
        return None
    symbols = bars.index.get_level_values(0).astype(str).unique()
    mine = dividends[dividends.index.get_level_values(0).astype(str).isin(symbols)]
    return mine if len(mine) else None


def _framed(values: npt.NDArray[Any], market: BarArrays) -> pd.DataFrame:
    return pd.DataFrame(values, index=market.timestamps, columns=list(market.symbols))
