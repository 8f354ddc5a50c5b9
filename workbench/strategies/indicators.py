"""The indicators of the strategies here: causal, on each symbol's own bars, NaN until there are enough bars.

Where a symbol has no bar (NaN) an indicator has no value, and its window extends over the gap: 20 bars are
the symbol's own last 20. Recursive averages (EMA, Wilder's) begin with the mean of the first n values, as on
trading platforms; pandas' ``ewm`` begins with the first value, and differs for some hundred bars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import StrategyError
from workbench.metrics.observations import ROUNDING, only_rounding

__all__ = [
    "atr",
    "deviation",
    "ema",
    "ewm_volatility",
    "highest",
    "lowest",
    "moving_averages",
    "past_return",
    "previous",
    "rsi",
    "sma",
    "stands_still",
    "volatility",
    "zscore",
]

Prices = TypeVar("Prices", "pd.Series[float]", pd.DataFrame)
"""A Series by timestamp, or a wide frame (timestamp × symbol); results have the same shape."""

Values = npt.NDArray[np.float64]


def sma(prices: Prices, n: int) -> Prices:
    """Simple moving average of the last `n` bars; see `moving_averages` for the arithmetic.

    Parameters
    ----------
    prices : Series or DataFrame of float64
        NaN where there is no bar.
    n : int
        Bars, 1 or more.

    Returns
    -------
    Series or DataFrame of float64
        Shaped as `prices`; NaN before the symbol's n-th bar.
    """
    _check(n, 1)
    return _by_symbol(prices, lambda values: moving_averages(values, [n])[0])


def moving_averages(values: Values, windows: Sequence[int]) -> Values:
    """Simple moving averages over several windows, by differences of one cumulative sum.

    The sum is of differences from the first value, which keeps it small. Over a window of equal values the
    average is exactly that value: otherwise rounding could make averages of a constant price cross each
    other. All averages here use this function, so a strategy and its batch form agree to the last bit;
    pandas' ``rolling().mean()`` may differ in the last digits.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Without NaN.
    windows : sequence of int
        Bars of each average, 1 or more.

    Returns
    -------
    ndarray of float64, shape (n_windows, n)
        NaN before a window is full.
    """
    averages = np.full((len(windows), len(values)), np.nan)
    if not len(values):
        return averages
    sums = np.concatenate([[0.0], np.cumsum(values - values[0])])
    # How many values up to each one are equal to it.
    places = np.arange(len(values))
    changed = np.where(np.concatenate([[True], values[1:] != values[:-1]]), places, 0)
    still = places - np.maximum.accumulate(changed) + 1
    longest = int(still.max())
    for row, n in zip(averages, windows, strict=True):
        if n <= len(values):
            np.subtract(sums[n:], sums[:-n], out=row[n - 1 :])
            row[n - 1 :] /= n
            row[n - 1 :] += values[0]
            if n <= longest:
                row[still >= n] = values[still >= n]
    return averages


def ema(prices: Prices, n: int) -> Prices:
    """Exponential moving average, ``a = 2 / (n + 1)``, starting with the mean of the first `n` bars.

    Parameters
    ----------
    prices : Series or DataFrame of float64
        NaN where there is no bar.
    n : int
        Bars, 1 or more.

    Returns
    -------
    Series or DataFrame of float64
        Shaped as `prices`; NaN before the symbol's n-th bar.
    """
    _check(n, 1)
    return _by_symbol(prices, lambda values: _smoothed(values, n, 2.0 / (n + 1.0)))


def rsi(prices: Prices, n: int) -> Prices:
    """Relative strength index: ``100 * gains / (gains + losses)``, Wilder's averages over `n` changes.

    J. W. Wilder, New Concepts in Technical Trading Systems, 1978: the first averages are means of the first
    n changes, each later one is ``(before * (n - 1) + now) / n``.

    Parameters
    ----------
    prices : Series or DataFrame of float64
        NaN where there is no bar.
    n : int
        Changes, 1 or more.

    Returns
    -------
    Series or DataFrame of float64
        0 to 100, shaped as `prices`; NaN up to the symbol's n-th bar, and until the price first changes by
        more than rounding (see `stands_still`).
    """
    _check(n, 1)

    def of_symbol(values: Values) -> Values:
        change = np.diff(values)
        change[np.abs(change) <= ROUNDING * np.maximum(np.abs(values[1:]), np.abs(values[:-1]))] = 0.0
        gains = _smoothed(np.maximum(change, 0.0), n, 1.0 / n)
        moves = gains + _smoothed(np.maximum(-change, 0.0), n, 1.0 / n)
        known = np.divide(100.0 * gains, moves, out=np.full_like(moves, np.nan), where=moves > 0.0)
        return np.concatenate([[np.nan], known])

    return _by_symbol(prices, of_symbol)


def atr(high: Prices, low: Prices, close: Prices, n: int) -> Prices:
    """Average true range: Wilder's average of ``max(high, close before) - min(low, close before)``.

    Wilder, 1978. The first bar, which has no previous close, is left out, as in TA-Lib.

    Parameters
    ----------
    high, low, close : Series or DataFrame of float64
        Of the same shape; a row that lacks one of the three is not a bar.
    n : int
        Bars, 1 or more.

    Returns
    -------
    Series or DataFrame of float64
        In units of the price; NaN up to the symbol's n-th bar.
    """
    _check(n, 1)
    whole = high.notna() & low.notna() & close.notna()
    before = previous(close.where(whole))
    top = np.fmax(high.to_numpy(np.float64), before.to_numpy(np.float64))
    bottom = np.fmin(low.to_numpy(np.float64), before.to_numpy(np.float64))
    # `before` is defined on complete bars only: elsewhere there is no range.
    ranges = close.copy()
    ranges[:] = np.where(before.notna().to_numpy(), top - bottom, np.nan)
    return _by_symbol(ranges, lambda values: _smoothed(values, n, 1.0 / n))


def deviation(prices: Prices, n: int, *, ddof: int = 0) -> Prices:
    """Standard deviation of the last `n` bars: ddof=0 for a population (Bollinger bands), 1 for a sample.

    Returns
    -------
    Series or DataFrame of float64
        Shaped as `prices`; NaN before the symbol's n-th bar, exactly 0 where the price `stands_still`.
    """
    _check(n, 2)
    return _by_symbol(prices, lambda values: _deviation(values, n, ddof, unit=0.0))


def stands_still(prices: Prices, n: int) -> Prices:
    """1 where the last `n` prices differ by no more than rounding: ``max - min <= 1e-12 * max(abs)``.

    An adjusted price is a product, and rounded to 1.1e-16 of itself: one that stands still differs by some
    2e-16 of its level. The range is compared, and not the deviation: a sliding deviation keeps a residue of
    earlier moves, a range does not, and no deviation is larger.

    Parameters
    ----------
    prices : Series or DataFrame of float64
        NaN where there is no bar.
    n : int
        Bars, 1 or more.

    Returns
    -------
    Series or DataFrame of float64
        1 or 0, shaped as `prices`; NaN before the symbol's n-th bar.
    """
    _check(n, 1)

    def of_symbol(values: Values) -> Values:
        still = _still(values, n, unit=0.0).astype(np.float64)
        still[: n - 1] = np.nan
        return still

    return _by_symbol(prices, of_symbol)


def zscore(prices: Prices, n: int, *, ddof: int = 0) -> Prices:
    """Distance of a price from the mean of the last `n` bars, in their standard deviations.

    Returns
    -------
    Series or DataFrame of float64
        Shaped as `prices`; NaN before the symbol's n-th bar, and where the price `stands_still`.
    """
    spread = deviation(prices, n, ddof=ddof)
    return (prices - sma(prices, n)) / spread.where(spread > 0.0)


def highest(prices: Prices, n: int) -> Prices:
    """The highest of the last `n` bars; NaN before the symbol's n-th bar."""
    _check(n, 1)
    return _by_symbol(prices, lambda values: pd.Series(values).rolling(n).max().to_numpy())


def lowest(prices: Prices, n: int) -> Prices:
    """The lowest of the last `n` bars; NaN before the symbol's n-th bar."""
    _check(n, 1)
    return _by_symbol(prices, lambda values: pd.Series(values).rolling(n).min().to_numpy())


def past_return(prices: Prices, n: int, *, skip: int = 0) -> Prices:
    """Simple return from `n` bars ago to `skip` bars ago: a fraction; NaN up to the symbol's n-th bar."""
    _check(n, skip + 1)
    return _by_symbol(prices, lambda values: _shifted(skip)(values) / _shifted(n)(values) - 1.0)


def previous(prices: Prices) -> Prices:
    """The value at the symbol's previous bar; NaN at its first."""
    return _by_symbol(prices, _shifted(1))


def volatility(prices: Prices, n: int) -> Prices:
    """Sample standard deviation (ddof=1) of the last `n` simple returns: a fraction per bar.

    Returns
    -------
    Series or DataFrame of float64
        Shaped as `prices`; NaN up to the symbol's n-th bar, exactly 0 where the returns differ by no more
        than rounding: ``max - min <= 1e-12 * (1 + max(abs))``.
    """
    _check(n, 2)
    return _by_symbol(past_return(prices, 1), lambda returns: _deviation(returns, n, ddof=1, unit=1.0))


def ewm_volatility(prices: Prices, center: float, n: int) -> Prices:
    """Exponentially weighted standard deviation of simple returns, about their weighted mean.

    Moskowitz, Ooi and Pedersen (2012), eq. 1, per bar: weights ``(1 - d) * d**i`` with ``d / (1 - d)``
    equal to `center`, scaled to add up to 1 over the available returns.

    Parameters
    ----------
    prices : Series or DataFrame of float64
        NaN where there is no bar.
    center : float
        The weights' centre of mass, in bars.
    n : int
        Minimum number of returns.

    Returns
    -------
    Series or DataFrame of float64
        A fraction per bar, shaped as `prices`; NaN up to the symbol's n-th bar, exactly 0 up to
        ``1e-12 * (1 + abs(mean))``, which rounding alone leaves.
    """
    _check(n, 2)

    def of_symbol(values: Values) -> Values:
        weighted = pd.Series(values).ewm(com=center, min_periods=n)
        spread = weighted.std(bias=True)
        return spread.mask(only_rounding(spread, weighted.mean()), 0.0).to_numpy()

    return _by_symbol(past_return(prices, 1), of_symbol)


def _by_symbol(prices: Prices, rule: Callable[[Values], Values]) -> Prices:
    """Apply `rule` to each column's own bars; results go to the same rows."""
    values = prices.to_numpy(dtype=np.float64)
    columns = values if values.ndim == 2 else values[:, np.newaxis]
    found = np.full(columns.shape, np.nan)
    for column in range(columns.shape[1]):
        known = ~np.isnan(columns[:, column])
        if known.any():
            found[known, column] = rule(columns[known, column])
    shaped = found.reshape(values.shape)
    if isinstance(prices, pd.DataFrame):
        return pd.DataFrame(shaped, index=prices.index, columns=prices.columns)
    return pd.Series(shaped, index=prices.index, name=prices.name)


def _deviation(values: Values, n: int, ddof: int, *, unit: float) -> Values:
    """Standard deviation of the last `n` values, exactly 0 where they are `_still`."""
    spread = pd.Series(values).rolling(n).std(ddof=ddof)
    return spread.mask(_still(values, n, unit=unit), 0.0).to_numpy()


def _still(values: Values, n: int, *, unit: float) -> npt.NDArray[np.bool_]:
    """Whether the last `n` values differ by rounding alone, that of ``unit + value``; False before the n-th.

    `unit` is 0 for prices and 1 for returns, which are changes of 1 + r.
    """
    rolling = pd.Series(values).rolling(n)
    high, low = rolling.max().to_numpy(), rolling.min().to_numpy()
    return np.asarray(high - low <= ROUNDING * (unit + np.maximum(np.abs(high), np.abs(low))))


def _smoothed(values: Values, n: int, weight: float) -> Values:
    """``before + weight * (now - before)``, starting at the n-th value with the mean of the first n."""
    smoothed = np.full(len(values), np.nan)
    if len(values) >= n:
        begun = np.concatenate([[values[:n].mean()], values[n:]])
        smoothed[n - 1 :] = pd.Series(begun).ewm(alpha=weight, adjust=False).mean().to_numpy()
    return smoothed


def _shifted(bars: int) -> Callable[[Values], Values]:
    """The values of `bars` bars ago; NaN where there are none."""

    def of_symbol(values: Values) -> Values:
        return np.concatenate([np.full(min(bars, len(values)), np.nan), values[: max(len(values) - bars, 0)]])

    return of_symbol


def _check(n: int, least: int) -> None:
    if n < least:
        raise StrategyError(f"an indicator over {n} bars: use {least} or more.")
