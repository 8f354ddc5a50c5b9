"""What every figure starts from: the returns that were observed, and whether they spread; no figure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import as_positive, as_series
from workbench.errors import BacktestError

__all__ = [
    "DAYS_PER_YEAR",
    "ROUNDING",
    "Observed",
    "Values",
    "as_observed",
    "as_paired",
    "compounded",
    "deviation",
    "observed",
    "only_rounding",
    "paired",
    "year_of",
]

DAYS_PER_YEAR = 252.0
"""Daily bars in a year, as the industry counts them."""

ROUNDING = 1e-12
"""The part of 1 + r up to which a spread of returns may be rounding; see `only_rounding`."""

_LARGEST = 1e100
"""No return and no profit is larger; squares of it can still be added up."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What `observed` or `paired` found, checked once; what several figures need of it is computed once.

    Attributes
    ----------
    values : ndarray of float64, shape (n_observed,)
        Without NaN.
    """

    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return self.values.size

    @cached_property
    def mean(self) -> float:
        """The mean; NaN of nothing."""
        return float(self.values.sum()) / len(self) if len(self) else math.nan

    @cached_property
    def residuals(self) -> npt.NDArray[np.float64]:
        """The values less their mean."""
        return self.values - self.mean

    @cached_property
    def spread(self) -> float:
        """Sample standard deviation; exactly 0 where it is `only_rounding`, NaN of fewer than two returns."""
        if len(self) < 2:
            return math.nan
        spread = math.sqrt(float(self.residuals @ self.residuals) / (len(self) - 1))
        return 0.0 if only_rounding(spread, self.mean) else spread

    @cached_property
    def ascending(self) -> npt.NDArray[np.float64]:
        """The values from the lowest to the highest."""
        return np.sort(self.values)

    @cached_property
    def wealth(self) -> npt.NDArray[np.float64]:
        """What 1 became after each return: ``cumprod(1 + r)``, float64, shape (n_observed,)."""
        # Growth that passes what a float holds is infinite.
        with np.errstate(over="ignore"):
            return np.asarray(np.cumprod(1.0 + self.values), dtype=np.float64)

    @cached_property
    def below_peak(self) -> npt.NDArray[np.float64]:
        """Wealth below its highest so far, the starting capital included: float64, shape (n_observed,)."""
        # Infinite wealth has no peak to fall from: NaN.
        with np.errstate(invalid="ignore"):
            return self.wealth / np.maximum(np.maximum.accumulate(self.wealth), 1.0) - 1.0

    @cached_property
    def centred(self) -> npt.NDArray[np.float64]:
        """The values less their mean, by the largest of those: powers of them stay within floats."""
        return np.asarray(self.residuals / np.abs(self.residuals).max())


Values: TypeAlias = "pd.Series[float] | Observed"
"""What a figure is computed of: a Series, which is checked, or values that were."""


def observed(values: Values, name: str = "returns") -> Observed:
    """The values without the NaN ones, in their order.

    Raises
    ------
    BacktestError
        They are no Series of real numbers, or one is infinite or beyond 1e100.
    """
    return values if isinstance(values, Observed) else as_observed(_floats(values, name))


def as_observed(values: npt.NDArray[np.float64]) -> Observed:
    """The same of an array, in which nothing is infinite."""
    missing = np.isnan(values)
    return Observed(values[~missing] if missing.any() else values)


def paired(returns: Values, benchmark: Values) -> tuple[Observed, Observed]:
    """Both returns of each period that both have, matched by index label.

    Of two `Observed`, which have no labels, the first value belongs to the first, and so on.

    Raises
    ------
    BacktestError
        One is no Series of real numbers or holds an infinite one, a label stands in one of them twice, or
        one has timestamps and the other none, or none with a time zone; or one is an `Observed` and the
        other is not, or is one of another length.
    """
    if isinstance(returns, Observed):
        if not isinstance(benchmark, Observed):
            raise _without_labels("returns", "benchmark")
        sizes = len(returns), len(benchmark)
        if sizes[0] != sizes[1]:
            raise BacktestError(
                f"benchmark: it has {sizes[1]} values and the returns have {sizes[0]}; give both of what "
                "`paired` returned."
            )
        return returns, benchmark
    if isinstance(benchmark, Observed):
        raise _without_labels("benchmark", "returns")
    own, other = _floats(returns, "returns"), _floats(benchmark, "benchmark")
    if not returns.index.equals(benchmark.index):
        _check_labels(returns.index, benchmark.index)
        common = returns.index.intersection(benchmark.index)
        own = own[returns.index.get_indexer(common)]
        other = other[benchmark.index.get_indexer(common)]
    return as_paired(own, other)


def as_paired(own: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> tuple[Observed, Observed]:
    """The same of two arrays, period by period, in which nothing is infinite."""
    missing = np.isnan(own) | np.isnan(other)
    if missing.any():
        own, other = own[~missing], other[~missing]
    return Observed(own), Observed(other)


def only_rounding(spread: Any, centre: Any = 0.0) -> Any:
    """Whether a spread of returns is no more than rounding leaves where there is none.

    ``spread <= 1e-12 * (1 + abs(centre))``. A return is the change of 1 + r, and equity, its predecessor
    and their quotient are each rounded to 1.1e-16 of themselves: steady growth has returns that differ by
    some 2e-16 · (1 + |r|), and the equity of a thousand positions, a sum, up to 1e-13. The bound is ten
    times that. A real spread this small is 1.6e-11 a year, less than any account can be read to. Where
    the spread is below the bound all returns are near the centre, so it stands for each |r|.

    Parameters
    ----------
    spread : float or ndarray of float64
        A standard deviation, a downside deviation, a depth of drawdown or another distance of returns from
        a centre, in returns (fractions); NaN is not rounding.
    centre : float or ndarray of float64
        What it is measured about: the mean, or the target.

    Returns
    -------
    bool or ndarray of bool
    """
    return spread <= ROUNDING * (1.0 + np.abs(centre))


def deviation(values: npt.NDArray[np.float64]) -> float:
    """Sample standard deviation; exactly 0 where it is `only_rounding`, NaN of fewer than two returns."""
    return Observed(values).spread


def compounded(returns: npt.NDArray[np.float64], periods: float) -> float:
    """Growth at the mean geometric rate over so many periods: ``prod(1 + r) ** (periods / n) - 1``.

    -1 where everything was lost; NaN without a return.
    """
    if not returns.size:
        return math.nan
    # Growth of one lucky bar to the power of 252 can pass what a float holds: infinity is then right.
    with np.errstate(over="ignore"):
        growth = float(np.prod(1.0 + returns))
        if growth <= 0.0:
            return -1.0
        return float(np.float64(growth) ** (periods / returns.size) - 1.0)


def year_of(periods_per_year: float) -> float:
    """The periods in a year as a float; `BacktestError` where they are not finite and above 0."""
    return as_positive(periods_per_year, "periods_per_year", "give the bars in a year, 252 for daily ones")


def _floats(values: pd.Series[float], name: str) -> npt.NDArray[np.float64]:
    if isinstance(values, pd.Series) and values.dtype == np.float64:
        array = np.asarray(values.to_numpy(), dtype=np.float64)
    else:
        array = np.asarray(as_series(values, name).to_numpy(np.float64, na_value=np.nan), dtype=np.float64)
    wrong = np.abs(array) > _LARGEST
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BacktestError(
            f"{name}: the value at {values.index[row]} is {array[row]}; look for a price of 0, or set it to "
            "NaN, which counts as not observed."
        )
    return array


def _without_labels(name: str, other: str) -> BacktestError:
    return BacktestError(
        f"{name}: an Observed has no labels to match with the {other}; give two Series, or both of what "
        "`paired` returned."
    )


def _check_labels(own: pd.Index, other: pd.Index) -> None:
    for name, index in (("returns", own), ("benchmark", other)):
        if not index.is_unique:
            raise BacktestError(
                f"{name}: the label {index[index.duplicated()][0]} stands there twice and cannot be matched; "
                f"drop one, as in {name}[~{name}.index.duplicated()]."
            )
    dates = [isinstance(index, pd.DatetimeIndex) for index in (own, other)]
    if dates[0] != dates[1] and len(own) and len(other):
        raise BacktestError(
            f"benchmark: its index is {other.dtype} and the returns' is {own.dtype}, so no label is in both; "
            "give both the same timestamps."
        )
    zones = [isinstance(index, pd.DatetimeIndex) and index.tz is not None for index in (own, other)]
    if all(dates) and zones[0] != zones[1]:
        naive = "benchmark" if zones[0] else "returns"
        raise BacktestError(
            f"{naive}: the timestamps have no time zone, and those of the other have one; "
            f"give them theirs, as in {naive}.tz_localize('UTC')."
        )
