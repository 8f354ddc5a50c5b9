"""Trades a strategy within a span of bars: it gets the bars before the span, but none after it."""

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
    """Result of trading a strategy within a span.

    Attributes
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns, one per bar of the span.
    trades : DataFrame
        As `BacktestResult.trades`; positions held at the span's end are "open".
    """

    returns: pd.Series[float]
    trades: pd.DataFrame


class BarSpans:
    """Tidy bars that can be cut by ranges of rows.

    Parameters
    ----------
    bars : DataFrame
        Indexed (symbol, timestamp); raises `BacktestError` if a backtest would.

    Attributes
    ----------
    bars : DataFrame
        As given.
    market : BarArrays
        The same bars as arrays; spans are ranges of its rows.
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
        """The bars of a span, without symbols that have no bar in it."""
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
        """Trade a strategy within a span; it gets earlier bars, but no later ones.

        The strategy gets all bars up to the span's last one, and volatility for sizing is measured on them.
        Decisions before the span's first bar are not traded: the account begins with cash only.

        Parameters
        ----------
        strategy : Strategy
        parameters : mapping
        span : range
            Rows.
        execution : Execution
        dividends : Series of float64, optional
            Of any symbols; those not in `bars` are ignored.
        """
        bars = self.cut(range(span.stop))
        times = self.market.timestamps[span.start : span.stop]
        made = only_from(times[0], strategy(bars, **parameters), read_bars(bars))
        mine = dividends_of(dividends, bars)
        result = backtest(bars, made, dividends=mine, count_trial=False, **vars(execution))
        # Rows whose only symbol was removed by `cut` are missing from the result: their return is 0.
        return Traded(result.returns.reindex(times, fill_value=0.0), result.trades)


def only_from(start: pd.Timestamp, made: Signals | Weights, market: BarArrays) -> Signals | Weights:
    """The signals or weights of a strategy from `start` on.

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
        Signals before `start` are removed. The last weights before `start` still apply: they move to each
        symbol's first bar from `start` on, unless it has new ones.
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
    """The dividends of these bars' symbols; None if there are none."""
    if dividends is None:
        return None
    symbols = bars.index.get_level_values(0).astype(str).unique()
    mine = dividends[dividends.index.get_level_values(0).astype(str).isin(symbols)]
    return mine if len(mine) else None


def _framed(values: npt.NDArray[Any], market: BarArrays) -> pd.DataFrame:
    return pd.DataFrame(values, index=market.timestamps, columns=list(market.symbols))
