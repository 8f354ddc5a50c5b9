"""The probability of backtest overfitting: is the best variant on some bars also good on others?"""

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
"""Sharpe ratios held at a time: a few arrays of 2 MB, which fit into the processor's cache."""
_CANCELLED = 1e-12
"""The part of a sum of squares up to which a difference of such sums is rounding."""


@dataclass(frozen=True, eq=False)
class BacktestOverfitting:
    """How the best variant on one half of the bars does on the other half, for all ways to split the bars.

    Sharpe ratios are per bar, not annualised.

    Attributes
    ----------
    pbo : float
        Fraction of the splits in which the variant chosen on one half was no better than the median of all
        variants on the other: 0 means no overfitting, 0.5 a choice at random.
    logits : ndarray of float64, shape (n_combinations,)
        ``log(ω / (1 - ω))`` of its relative rank ω on the other half; at or below 0 counts as overfit.
    in_sample, out_of_sample : ndarray of float64, shape (n_combinations,)
        The chosen variant's Sharpe ratio on the half it was chosen on, and on the other.
    chosen : ndarray of int64, shape (n_combinations,)
        The chosen variant's column.
    slope, intercept, r_squared : float
        Performance degradation: the least-squares line of `out_of_sample` on `in_sample`. Good bars in one
        half are missing from the other, so pure noise has a slope near -1, not 0. NaN if all in-sample
        Sharpe ratios are equal but for rounding.
    probability_of_loss : float
        Fraction of the splits in which the chosen variant lost money on the other half.
    n_variants, n_bars, n_splits : int
        Size of the sample; the bars are those used, a multiple of the blocks.
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
            f"<BacktestOverfitting: {self.pbo:.1%} of {len(self.logits):,} splits of {self.n_bars:,} bars, "
            f"{self.n_variants:,} variants; loss out of sample in {self.probability_of_loss:.1%}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("no better than the median", f"in {self.pbo:.1%} of the splits"),
            ("loss out of sample", f"in {self.probability_of_loss:.1%}"),
            ("sample", f"{self.n_variants:,} variants, {self.n_bars:,} bars, {len(self.logits):,} splits"),
        ]
        return card_html("Probability of overfitting", rows)


def probability_of_overfitting(
    returns: pd.DataFrame | npt.NDArray[np.float64], *, n_splits: int = 16
) -> BacktestOverfitting:
    """Combinatorially symmetric cross-validation (CSCV) of the choice of the best Sharpe ratio.

    D. H. Bailey, J. M. Borwein, M. López de Prado and Q. J. Zhu, "The Probability of Backtest Overfitting",
    Journal of Computational Finance 20(4), 2017. The bars are cut into `n_splits` blocks in time order; each
    choice of half of the blocks is the sample once, with the other half as the rest (12,870 choices for 16).
    The variant with the best Sharpe ratio in the sample is chosen, and ranked among all variants on the rest.

    Conventions. The relative rank is rank / (N + 1), as in the paper; with rank / N, as in the R package
    `pbo`, the best has rank 1 and no logit. Of equal Sharpe ratios in the sample the first column is chosen;
    on the rest equal ones share the mean of their ranks. A logit of exactly 0, the median, counts as
    overfit. A variant without volatility on a half, such as one that never trades there, has a Sharpe ratio
    of 0 there; as in `workbench.metrics`, a deviation up to ``1e-12 * (1 + abs(mean))`` is none. If the bars
    do not divide evenly into blocks, the oldest bars are left out.

    The result describes the method of choosing, not the variant: if all variants are equally good, the PBO
    is near 0.5.

    Parameters
    ----------
    returns : DataFrame or ndarray of float64, shape (n_bars, n_variants)
        Simple returns as fractions, oldest first, of all variants that were tried, on the same bars.
    n_splits : int
        Blocks: even, from 2 to 20. Each should be longer than the time over which returns are correlated.

    Returns
    -------
    BacktestOverfitting

    Raises
    ------
    BacktestError
        There are fewer than two variants or two bars per block, the number of blocks is odd or too large, or
        a return is NaN: variants are compared on the same bars only.
    """
    n_splits = as_whole(n_splits, "n_splits", "give an even number of blocks such as 16")
    matrix = _checked(returns, n_splits)
    n_variants = matrix.shape[1]
    n_used = matrix.shape[0] // n_splits * n_splits
    # Subtract each variant's mean first: sums of squares lose digits if the mean is large.
    centre = matrix[-n_used:].mean(axis=0)
    blocks = (matrix[-n_used:] - centre).reshape(n_splits, -1, n_variants)
    sums = blocks.sum(axis=1)
    squares = (blocks**2).sum(axis=1)

    # In lexicographic order the k-th half and the k-th from the end are complements.
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
            f"n_splits: {n_splits} blocks cannot be split in halves; use an even number from 2 to "
            f"{_MOST_SPLITS}, such as 16."
        )
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise BacktestError("returns: overfitting needs a choice; pass two variants or more.")
    if matrix.shape[0] < 2 * n_splits:
        raise BacktestError(
            f"{matrix.shape[0]} bars are too few for {n_splits} blocks of two bars or more; pass more bars "
            "or a smaller n_splits."
        )
    if not np.isfinite(matrix).all():
        raise BacktestError(
            "The returns have NaN or infinite values, but variants are compared on the same bars only; drop "
            "those bars or those variants."
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
    # Added block by block, not as a matrix product, so that equal columns have exactly equal sums, and equal
    # ranks, at any position.
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
    """Slope, intercept and R² of the least-squares line; NaN where undefined."""
    if deviation(horizontal) == 0.0:
        return math.nan, math.nan, math.nan
    across, up = horizontal - horizontal.mean(), vertical - vertical.mean()
    slope = float(across @ up) / float(across @ across)
    intercept = float(vertical.mean()) - slope * float(horizontal.mean())
    if deviation(vertical) == 0.0:
        return slope, intercept, math.nan
    return slope, intercept, slope**2 * float(across @ across) / float(up @ up)
