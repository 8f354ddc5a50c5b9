"""The probability of backtest overfitting: does the variant that was best stay good on other bars?"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import as_matrix, as_whole
from workbench.display.card import card_html
from workbench.errors import BacktestError
from workbench.metrics.observations import deviation, only_rounding

__all__ = ["BacktestOverfitting", "probability_of_overfitting"]

_MOST_SPLITS = 20
_CHUNK = 1 << 18
"""Sharpe ratios that are held at a time: a few arrays of 2 MB, which stay in the processor's cache."""
_CANCELLED = 1e-12
"""The part of a sum of squares up to which a difference of such sums is rounding."""


@dataclass(frozen=True, eq=False)
class BacktestOverfitting:
    """What became, on one half of the bars, of the variant that was best on the other; all ways to halve.

    Sharpe ratios are per bar, not annualised.

    Attributes
    ----------
    pbo : float
        Share of the halvings in which the variant chosen on one half was no better than the median of all
        on the other: 0 is no overfitting, 0.5 is choosing at random.
    logits : ndarray of float64, shape (n_combinations,)
        ``log(ω / (1 - ω))`` of its relative rank ω on the other half; at or below 0 counts as overfit.
    in_sample, out_of_sample : ndarray of float64, shape (n_combinations,)
        The chosen variant's Sharpe ratio on the half that chose it and on the other.
    chosen : ndarray of int64, shape (n_combinations,)
        The column that was chosen.
    slope, intercept, r_squared : float
        Performance degradation: the least-squares line of `out_of_sample` on `in_sample`. What one half
        has of a variant's good bars the other lacks, so noise alone has a slope near -1, not 0. NaN where
        the Sharpe ratios in sample are all equal but for rounding.
    probability_of_loss : float
        Share of the halvings in which the chosen variant lost money on the other half.
    n_variants, n_bars, n_splits : int
        Size of what was judged; the bars are those used, a multiple of the splits.
    """

    pbo: float
    logits: npt.NDArray[np.float64]
    in_sample: npt.NDArray[np.float64]
    out_of_sample: npt.NDArray[np.float64]
    chosen: npt.NDArray[np.int64]
    slope: float
    intercept: float
    r_squared: float
    probability_of_loss: float
    n_variants: int
    n_bars: int
    n_splits: int

    def __repr__(self) -> str:
        return (
            f"<BacktestOverfitting: {self.pbo:.1%} of {len(self.logits):,} halvings of {self.n_bars:,} bars, "
            f"{self.n_variants:,} variants; loss out of sample in {self.probability_of_loss:.1%}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("no better than the median", f"in {self.pbo:.1%} of the halvings"),
            ("loss out of sample", f"in {self.probability_of_loss:.1%}"),
            ("judged", f"{self.n_variants:,} variants, {self.n_bars:,} bars, {len(self.logits):,} halvings"),
        ]
        return card_html("Probability of overfitting", rows)


def probability_of_overfitting(
    returns: pd.DataFrame | npt.NDArray[np.float64], *, n_splits: int = 16
) -> BacktestOverfitting:
    """Combinatorially symmetric cross-validation (CSCV) of the choice of the best Sharpe ratio.

    D. H. Bailey, J. M. Borwein, M. López de Prado and Q. J. Zhu, "The Probability of Backtest Overfitting",
    Journal of Computational Finance 20(4), 2017. The bars are cut into `n_splits` blocks in their order;
    each way to take half of them is once the sample and once the rest, 12,870 ways for 16. The best Sharpe
    ratio in the sample is chosen, and ranked among all variants on the rest.

    Conventions. The relative rank is rank / (N + 1), as in the paper; rank / N, as the R package `pbo` has
    it, is 1 for the best and has no logit. Of equal Sharpe ratios in the sample the first column is chosen;
    on the rest equal ones share the mean of their ranks. A logit of exactly 0, the median, counts as
    overfit. A variant without volatility on a half, such as one that never trades there, has a Sharpe ratio
    of 0 there; as in `workbench.metrics`, a deviation up to ``1e-12 * (1 + abs(mean))`` is none. Where the
    blocks do not come out even, the oldest bars are left out.

    It judges the way of choosing, not the variant: variants that are all good alike have a PBO near 0.5.

    Parameters
    ----------
    returns : DataFrame or ndarray of float64, shape (n_bars, n_variants)
        Simple returns as fractions, oldest first, of all variants that were tried, on the same bars.
    n_splits : int
        Blocks: even, from 2 to 20. Each should be long against whatever the returns depend on.

    Returns
    -------
    BacktestOverfitting

    Raises
    ------
    BacktestError
        When there are fewer than two variants or two bars a block, when the blocks are odd or too many, or
        when a return is NaN: variants are compared on the same bars only.
    """
    n_splits = as_whole(n_splits, "n_splits", "give an even number of blocks such as 16")
    matrix = _checked(returns, n_splits)
    n_variants = matrix.shape[1]
    n_used = matrix.shape[0] // n_splits * n_splits
    # Sums of squares lose digits where the mean is large: measured from each variant's own mean.
    centre = matrix[-n_used:].mean(axis=0)
    blocks = (matrix[-n_used:] - centre).reshape(n_splits, -1, n_variants)
    sums = blocks.sum(axis=1)
    squares = (blocks**2).sum(axis=1)

    # In lexicographic order the k-th half and the k-th from the end make up the whole.
    halves = np.array(list(itertools.combinations(range(n_splits), n_splits // 2)), dtype=np.intp)
    count = len(halves)
    logits, in_sample, out_of_sample = (np.empty(count) for _ in range(3))
    chosen = np.empty(count, dtype=np.int64)
    step = max(1, _CHUNK // n_variants)
    for start in range(0, count // 2, step):
        first = np.arange(start, min(start + step, count // 2))
        second = count - 1 - first
        ratios = [_sharpe(halves[own], sums, squares, centre, n_used // 2) for own in (first, second)]
        for own, sample, rest in ((first, *ratios), (second, *reversed(ratios))):
            best = sample.argmax(axis=1)
            rows = np.arange(len(own))
            chosen[own], in_sample[own], out_of_sample[own] = best, sample[rows, best], rest[rows, best]
            logits[own] = _logit(rest, out_of_sample[own])

    slope, intercept, r_squared = _line(in_sample, out_of_sample)
    return BacktestOverfitting(
        pbo=float((logits <= 0.0).mean()),
        logits=logits,
        in_sample=in_sample,
        out_of_sample=out_of_sample,
        chosen=chosen,
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        probability_of_loss=float((out_of_sample < 0.0).mean()),
        n_variants=n_variants,
        n_bars=n_used,
        n_splits=n_splits,
    )


def _checked(returns: pd.DataFrame | npt.NDArray[np.float64], n_splits: int) -> npt.NDArray[np.float64]:
    matrix = as_matrix(returns, "returns")
    if n_splits % 2 or not 2 <= n_splits <= _MOST_SPLITS:
        raise BacktestError(
            f"n_splits: {n_splits} blocks cannot be halved in every way; give an even number from 2 to "
            f"{_MOST_SPLITS}, such as 16."
        )
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise BacktestError("Overfitting is a matter of choice: give the returns of two variants or more.")
    if matrix.shape[0] < 2 * n_splits:
        raise BacktestError(
            f"{matrix.shape[0]} bars are too few for {n_splits} blocks of two bars or more; give more bars "
            "or a smaller n_splits."
        )
    if not np.isfinite(matrix).all():
        raise BacktestError(
            "The returns hold NaN or infinite values, and variants are compared on the same bars only: "
            "drop those bars or those variants."
        )
    return matrix


def _sharpe(
    halves: npt.NDArray[np.intp],
    sums: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    n_bars: int,
) -> npt.NDArray[np.float64]:
    """Sharpe ratio per bar of every variant on each half: shape (n_halves, n_variants)."""
    # Added block by block rather than as a matrix product: equal columns then have equal sums to the last
    # bit, and so equal ranks, wherever they stand.
    total = sums[halves[:, 0]]
    square = squares[halves[:, 0]]
    for block in halves.T[1:]:
        total += sums[block]
        square += squares[block]
    scatter = square - total**2 / n_bars
    mean = centre + total / n_bars
    spread = np.sqrt(np.maximum(scatter, 0.0) / (n_bars - 1))
    still = (scatter <= _CANCELLED * square) | only_rounding(spread, mean)
    return np.where(still, 0.0, mean / np.where(still, 1.0, spread))


def _logit(rest: npt.NDArray[np.float64], own: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logit of each own Sharpe ratio's relative rank among its row's: shape (n_halves,)."""
    below = (rest < own[:, None]).sum(axis=1)
    equal = (rest == own[:, None]).sum(axis=1)
    omega = (below + (equal + 1) / 2.0) / (rest.shape[1] + 1)
    return np.asarray(np.log(omega / (1.0 - omega)), dtype=np.float64)


def _line(
    horizontal: npt.NDArray[np.float64], vertical: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Slope, intercept and R² of the least-squares line; NaN where there is none."""
    if deviation(horizontal) == 0.0:
        return math.nan, math.nan, math.nan
    across, up = horizontal - horizontal.mean(), vertical - vertical.mean()
    slope = float(across @ up) / float(across @ across)
    intercept = float(vertical.mean()) - slope * float(horizontal.mean())
    if deviation(vertical) == 0.0:
        return slope, intercept, math.nan
    return slope, intercept, slope**2 * float(across @ across) / float(up @ up)
