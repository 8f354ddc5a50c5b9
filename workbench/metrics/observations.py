"""What every figure starts from: the returns that were observed, and how far they spread; no figure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["DAYS_PER_YEAR", "compounded", "deviation", "observed", "paired"]

DAYS_PER_YEAR = 252.0
"""Daily bars in a year, as the industry counts them."""


def observed(values: pd.Series[float]) -> npt.NDArray[np.float64]:
    """The values without the NaN ones, in their order: float64, shape (n_observed,)."""
    array = values.to_numpy(dtype=np.float64)
    return np.asarray(array[~np.isnan(array)], dtype=np.float64)


def paired(
    returns: pd.Series[float], benchmark: pd.Series[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both returns of each period that both have, matched by index label: float64, shape (n_pairs,) each."""
    if returns.index.equals(benchmark.index):
        own, other = returns.to_numpy(dtype=np.float64), benchmark.to_numpy(dtype=np.float64)
    else:
        both = pd.concat([returns, benchmark], axis=1, join="inner").to_numpy(dtype=np.float64)
        own, other = both[:, 0], both[:, 1]
    there = ~(np.isnan(own) | np.isnan(other))
    return np.asarray(own[there], dtype=np.float64), np.asarray(other[there], dtype=np.float64)


def deviation(values: npt.NDArray[np.float64]) -> float:
    """Sample standard deviation; exactly 0 where all are equal, which a mean's rounding would hide."""
    if values.size < 2:
        return math.nan
    return float(np.std(values, ddof=1)) if values.max() > values.min() else 0.0


def compounded(returns: npt.NDArray[np.float64], periods: float) -> float:
    """Growth at the mean geometric rate over so many periods: ``prod(1 + r) ** (periods / n) - 1``.

    -1 where everything was lost; NaN without a return.
    """
    if not returns.size:
        return math.nan
    growth = float(np.prod(1.0 + returns))
    if growth <= 0.0:
        return -1.0
    # Growth of one lucky bar to the power of 252 can pass what a float holds: infinity is then right.
    with np.errstate(over="ignore"):
        return float(np.float64(growth) ** (periods / returns.size) - 1.0)
