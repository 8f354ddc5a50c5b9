"""Statistical inference for a Sharpe ratio: its estimation error, and the number of trials behind it.

Every Sharpe ratio here is per bar, not annualised: mean / standard deviation (ddof=1). Skewness and kurtosis
are population moments, kurtosis 3 for the normal distribution, as in `workbench.metrics`.

Two conventions for the error of a Sharpe ratio have been published. This module uses that of 2012 and 2014:
the variance is taken at the *observed* ratio and divided by n - 1,
``(1 - skewness * SR + (kurtosis - 1) / 4 * SR²) / (n - 1)``. A. Lipton, M. López de Prado and V. Zoonekynd
(2025) take it at the ratio under the null hypothesis, divided by n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from workbench import metrics
from workbench.arguments import as_finite, as_number, as_whole
from workbench.errors import BacktestError
from workbench.metrics.observations import observed

__all__ = [
    "TrackRecord",
    "deflated_sharpe",
    "expected_maximum_sharpe",
    "minimum_track_record_length",
    "probabilistic_sharpe",
    "probabilistic_sharpe_of",
    "track_record",
]

_EULER_MASCHERONI = 0.5772156649015329
_LARGEST = 1e100
"""No Sharpe ratio is larger."""


class TrackRecord(NamedTuple):
    """Statistics of a series of returns that the inference needs.

    Attributes
    ----------
    sharpe : float
        Sharpe ratio per bar; NaN with fewer than two returns or without volatility.
    n : int
        Number of returns.
    skewness, kurtosis : float
        Population moments; NaN without volatility.
    """

    sharpe: float
    n: int
    skewness: float
    kurtosis: float


def track_record(returns: pd.Series[float]) -> TrackRecord:
    """Sharpe ratio per bar, number, skewness and kurtosis of returns: arguments of the functions below.

    ``probabilistic_sharpe(*track_record(returns))``.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns as fractions; NaN ones are left out and not counted.

    Returns
    -------
    TrackRecord
    """
    return TrackRecord(
        sharpe=metrics.sharpe(returns, periods_per_year=1.0),
        n=len(observed(returns)),
        skewness=metrics.skewness(returns),
        kurtosis=metrics.kurtosis(returns),
    )


def probabilistic_sharpe(
    sharpe: float, n: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Probability that the true Sharpe ratio is above a benchmark (PSR).

    ``Φ((SR - SR*) * sqrt(n - 1) / sqrt(1 - skewness * SR + (kurtosis - 1) / 4 * SR²))``: D. H. Bailey and
    M. López de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), 2012, eq. 11; the
    variance at the observed SR, with n - 1. Valid for many bars and independent returns; with autocorrelation
    the probability is too extreme.

    Parameters
    ----------
    sharpe : float
        The observed Sharpe ratio per bar.
    n : int
        Number of returns.
    skewness, kurtosis : float
        Population moments of the returns; default: those of the normal distribution.
    benchmark : float
        The benchmark's Sharpe ratio per bar, SR*.

    Returns
    -------
    float
        In [0, 1]; NaN if an argument is NaN, with fewer than two returns, or if the variance is not positive
        (impossible moments).
    """
    sharpe, benchmark = _ratio(sharpe, "sharpe"), _ratio(benchmark, "benchmark")
    n = as_whole(n, "n", "give how many returns there are")
    variance = _variance(sharpe, skewness, kurtosis)
    if n < 2 or math.isnan(variance):
        return math.nan
    return _normal_cdf((sharpe - benchmark) * math.sqrt((n - 1) / variance))


def probabilistic_sharpe_of(returns: pd.Series[float], *, benchmark: float = 0.0) -> float:
    """`probabilistic_sharpe` of a series of returns.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns as fractions; NaN ones are left out.
    benchmark : float
        The benchmark's Sharpe ratio per bar.

    Returns
    -------
    float
        In [0, 1]; NaN with fewer than two returns or without volatility.
    """
    return probabilistic_sharpe(*track_record(returns), benchmark=benchmark)


def minimum_track_record_length(
    sharpe: float,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """The number of bars at which `probabilistic_sharpe` reaches a given confidence (MinTRL).

    ``1 + (1 - skewness * SR + (kurtosis - 1) / 4 * SR²) * (Φ⁻¹(confidence) / (SR - SR*))²``: Bailey and
    López de Prado, 2012, eq. 13; the variance at the observed SR, with n - 1. One-sided.

    Parameters
    ----------
    sharpe : float
        The observed Sharpe ratio per bar.
    skewness, kurtosis : float
        Population moments of the returns; default: those of the normal distribution.
    benchmark : float
        The benchmark's Sharpe ratio per bar.
    confidence : float
        The probability to reach, from 0.5 to below 1.

    Returns
    -------
    float
        Bars, not rounded; NaN if the Sharpe ratio is undefined, or not above the benchmark (then no number of
        bars is enough).

    Raises
    ------
    BacktestError
        The confidence is not from 0.5 to below 1.
    """
    from scipy.special import ndtri

    sharpe, benchmark = _ratio(sharpe, "sharpe"), _ratio(benchmark, "benchmark")
    confidence = as_number(confidence, "confidence", "give a probability such as 0.95")
    if not 0.5 <= confidence < 1.0:
        raise BacktestError(f"confidence: {confidence} cannot be reached; use 0.5 to below 1, such as 0.95.")
    variance = _variance(sharpe, skewness, kurtosis)
    if math.isnan(variance) or not sharpe > benchmark:
        return math.nan
    return 1.0 + variance * (float(ndtri(confidence)) / (sharpe - benchmark)) ** 2


def expected_maximum_sharpe(n_trials: float, sharpe_variance: float, sharpe_mean: float = 0.0) -> float:
    """The expected best Sharpe ratio of `n_trials` trials by luck alone.

    ``mean + sqrt(variance) * ((1 - γ) * Φ⁻¹(1 - 1 / N) + γ * Φ⁻¹(1 - 1 / (N * e)))``, γ being the
    Euler–Mascheroni constant: the False Strategy theorem, D. H. Bailey and M. López de Prado, "The Deflated
    Sharpe Ratio", Journal of Portfolio Management 40(5), 2014, appendix A.1, for many independent trials.
    For one trial it is the mean.

    Correlated trials, such as neighbours in a sweep, count as fewer independent ones: counting each of them
    makes the result too high, hence conservative (a strategy that fails narrowly may still be good). The
    paper counts clusters of similar trials instead; pass that number if you have it; it may be fractional.

    Parameters
    ----------
    n_trials : float
        Number of independent trials, 1 or more.
    sharpe_variance : float
        Variance of the trials' Sharpe ratios; if these are per bar, so is the result.
    sharpe_mean : float
        Their mean if no trial has any skill.

    Returns
    -------
    float
        A Sharpe ratio in the trials' unit, never below the mean; NaN if the variance is NaN (ignored for a
        single trial).

    Raises
    ------
    BacktestError
        `n_trials` is below 1, or the variance is negative.
    """
    from scipy.special import ndtri

    n_trials = as_finite(n_trials, "n_trials", "give how many variants were tried")
    sharpe_variance = as_number(sharpe_variance, "sharpe_variance", "give a variance of ratios per bar")
    sharpe_mean = _ratio(sharpe_mean, "sharpe_mean")
    if not n_trials >= 1:
        raise BacktestError(f"n_trials: {n_trials} is below 1; count the evaluated variant itself as one.")
    if sharpe_variance < 0.0:
        raise BacktestError(f"sharpe_variance: {sharpe_variance} is negative; use 0 or more.")
    if n_trials == 1:
        return sharpe_mean
    quantile = (1.0 - _EULER_MASCHERONI) * ndtri(1.0 - 1.0 / n_trials) + _EULER_MASCHERONI * ndtri(
        1.0 - 1.0 / (n_trials * math.e)
    )
    # The theorem is for many trials; below about 1.3 (fractional clusters) the quantile is negative.
    return sharpe_mean + math.sqrt(sharpe_variance) * max(float(quantile), 0.0)


def deflated_sharpe(
    sharpe: float,
    n: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    *,
    n_trials: float,
    sharpe_variance: float,
    sharpe_mean: float = 0.0,
) -> float:
    """Probability that the true Sharpe ratio is above the best expected by luck in `n_trials` trials (DSR).

    `probabilistic_sharpe` with `expected_maximum_sharpe` as the benchmark: Bailey and López de Prado,
    2014, eq. 2; the variance of the estimate at the observed SR, with n - 1.

    Parameters
    ----------
    sharpe : float
        The observed Sharpe ratio per bar of the chosen variant.
    n : int
        Number of returns.
    skewness, kurtosis : float
        Population moments of those returns.
    n_trials : float
        Number of variants tried, the chosen one included; see `expected_maximum_sharpe` for correlated
        variants.
    sharpe_variance : float
        Variance of the Sharpe ratios per bar of all variants tried. Divide an annualised variance by the bars
        per year.
    sharpe_mean : float
        Mean Sharpe ratio per bar if no variant has any skill.

    Returns
    -------
    float
        In [0, 1]; NaN where `probabilistic_sharpe` is NaN.

    Raises
    ------
    BacktestError
        `n_trials` is below 1, or the variance is negative.
    """
    luck = expected_maximum_sharpe(n_trials, sharpe_variance, sharpe_mean)
    return probabilistic_sharpe(sharpe, n, skewness, kurtosis, benchmark=luck)


def _variance(sharpe: float, skewness: float, kurtosis: float) -> float:
    """Variance of the estimate times n - 1; NaN if it is not positive."""
    skewness = as_number(skewness, "skewness", "give a population moment, 0 for the normal distribution")
    kurtosis = as_number(kurtosis, "kurtosis", "give a population moment, 3 for the normal distribution")
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return variance if variance > 0.0 else math.nan


def _ratio(value: float, name: str) -> float:
    """A Sharpe ratio as a float; NaN passes, what is too large to be squared does not."""
    ratio = as_number(value, name, "give a Sharpe ratio per bar such as 0.05")
    if abs(ratio) > _LARGEST:
        raise BacktestError(f"{name}: {ratio} is no Sharpe ratio; give one per bar such as 0.05.")
    return ratio


def _normal_cdf(value: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(value))
