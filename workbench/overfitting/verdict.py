"""`Honesty`: how likely a result is luck, in figures and in one sentence, from the other modules' figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import pandas as pd

from workbench.arguments import as_number, as_whole
from workbench.display.card import HAIRLINE, frame_html, table_html
from workbench.errors import BacktestError
from workbench.metrics.observations import DAYS_PER_YEAR, year_of
from workbench.overfitting.sharpe_inference import (
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
    track_record,
)

__all__ = ["Honesty", "judge"]

CONFIDENCE = 0.95
"""Confidence of the minimum track record."""
FEWEST_BARS = 30
"""With fewer bars the limit theorems do not apply, see Bailey and López de Prado (2012)."""


@dataclass(frozen=True)
class Honesty:
    """A Sharpe ratio with its estimation error and the number of trials behind it.

    Attributes
    ----------
    sharpe : float
        The observed Sharpe ratio, annualised; NaN where undefined.
    n_bars : int
        Number of returns.
    n_trials : int
        Number of variants tried, this one included.
    psr : float
        Probability that the true Sharpe ratio is above 0, if this were the only variant.
    dsr : float
        Probability that it is above `luck`; equal to `psr` for one trial.
    luck : float
        The expected best Sharpe ratio per bar of `n_trials` trials by luck alone.
    luck_annual : float
        The same, annualised.
    minimum_bars : float
        Bars until `psr` reaches 95 % at this Sharpe ratio; NaN if it is not above 0.
    minimum_years : float
        The same in years.
    periods_per_year : float
        Bars per year.
    pbo : float or None
        Probability of backtest overfitting; None if not computed.
    spa : float or None
        p-value of Hansen's test of superior predictive ability; None if not computed.
    """

    sharpe: float
    n_bars: int
    n_trials: int
    psr: float
    dsr: float
    luck: float
    luck_annual: float
    minimum_bars: float
    minimum_years: float
    periods_per_year: float
    pbo: float | None = None
    spa: float | None = None

    @property
    def sentence(self) -> str:
        """How likely the result is luck, in one line.

        The chances are the probabilistic and the deflated Sharpe ratio: the confidence with which luck can be
        excluded, given the bars; they include no prior belief.
        """
        return self._core() + self._record() + self._evidence() + "."

    def _core(self) -> str:
        if math.isnan(self.sharpe):
            missing = "there are fewer than two returns" if self.n_bars < 2 else "its returns never vary"
            return f"There is no Sharpe ratio, since {missing}"
        if self.n_bars < FEWEST_BARS:
            return (
                f"{self.n_bars:,} bars are too few to tell skill from luck, whatever the Sharpe ratio "
                f"({self.sharpe:.2f} a year); at least {FEWEST_BARS} are needed"
            )
        if math.isnan(self.dsr):
            return f"The Sharpe ratio of {self.sharpe:.2f} a year has an undefined error"
        if self.n_trials == 1:
            return (
                f"This variant has a Sharpe ratio of {self.sharpe:.2f} a year, and the chance that it is "
                f"better than luck is {_chance(self.psr)}, if no other was tried"
            )
        return (
            f"The best of {self.n_trials:,} variants is expected to reach a Sharpe ratio of "
            f"{self.luck_annual:.2f} a year by luck alone; this one has {self.sharpe:.2f}, and the chance "
            f"that it is better than luck is {_chance(self.dsr)}"
        )

    def _record(self) -> str:
        """A note that the record is too short, if a longer one would be enough."""
        if self.n_bars < FEWEST_BARS or not self.minimum_bars > self.n_bars:
            return ""
        return (
            f"; to be {CONFIDENCE * 100:.0f} % sure of a single variant with this Sharpe ratio takes "
            f"{_years(self.minimum_years)}; these are {_years(self.n_bars / self.periods_per_year)}"
        )

    def _evidence(self) -> str:
        text = ""
        if self.pbo is not None and not math.isnan(self.pbo):
            text += (
                "; the best variant on one half of the bars was no better than the median on the other in "
                f"{_chance(self.pbo)} of all splits"
            )
        if self.spa is not None and not math.isnan(self.spa):
            text += (
                "; if no variant had any skill, the best would look this good with a chance of "
                f"{_chance(self.spa)}"
            )
        return text

    def __repr__(self) -> str:
        return f"<Honesty: {self.sentence}>"

    def _repr_html_(self) -> str:
        cells = [
            ("Sharpe ratio a year", _number(self.sharpe)),
            ("Variants tried", f"{self.n_trials:,}"),
            ("Expected from luck, a year", _number(self.luck_annual)),
            ("Better than zero (PSR)", _chance(self.psr)),
            ("Better than luck (DSR)", _chance(self.dsr)),
            ("Bars", f"{self.n_bars:,}"),
            ("Bars needed for 95 %", _number(self.minimum_bars, ",.0f")),
            ("Years needed for 95 %", _number(self.minimum_years, ",.1f")),
        ]
        if self.pbo is not None:
            cells.append(("Overfitting (PBO)", _chance(self.pbo)))
        if self.spa is not None:
            cells.append(("Superior ability (SPA), p", _number(self.spa, ".3f")))
        # Opacity instead of greys, so that the text is readable on light and dark pages.
        rows = "".join(
            f'<tr><td style="text-align:left;padding:4px 10px;opacity:.7;border-top:{HAIRLINE}">{label}</td>'
            f'<td style="text-align:right;padding:4px 10px;border-top:{HAIRLINE};'
            f'font-variant-numeric:tabular-nums;font-weight:600">{value}</td></tr>'
            for label, value in cells
        )
        title = f'<span style="font-weight:400">{escape(self.sentence)}</span>'
        return frame_html(title, table_html("", rows), width="min(100%,42em)")


def judge(
    returns: pd.Series[float],
    *,
    trials: int = 1,
    sharpe_variance: float | None = None,
    pbo: float | None = None,
    spa: float | None = None,
    periods_per_year: float = DAYS_PER_YEAR,
) -> Honesty:
    """How likely a strategy's returns are luck, given the number of variants tried.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns as fractions of the variant that was chosen; NaN ones are left out.
    trials : int
        Number of variants tried, this one included. Correlated variants count as fewer independent ones, so
        the verdict is stricter than necessary; see `expected_maximum_sharpe`.
    sharpe_variance : float, optional
        Variance of the Sharpe ratios *per bar* of all variants tried. Default, and if it is NaN: that of
        trials without any skill over as many bars, ``1 / (n - 1)``.
    pbo : float, optional
        `probability_of_overfitting(...).pbo`, to include in the verdict.
    spa : float, optional
        `reality_check(...).spa_p`, to include in the verdict.
    periods_per_year : float
        Bars per year.

    Returns
    -------
    Honesty

    Raises
    ------
    BacktestError
        `trials` is below 1, the variance is negative, or `periods_per_year` is not positive.
    """
    periods_per_year = year_of(periods_per_year)
    trials = as_whole(trials, "trials", "give how many variants were tried, this one included")
    if sharpe_variance is not None:
        sharpe_variance = as_number(sharpe_variance, "sharpe_variance", "give a variance of ratios per bar")
    pbo, spa = _probability(pbo, "pbo"), _probability(spa, "spa")
    record = track_record(returns)
    if sharpe_variance is None or math.isnan(sharpe_variance):
        sharpe_variance = 1.0 / (record.n - 1) if record.n > 1 else math.nan
    luck = expected_maximum_sharpe(trials, sharpe_variance)
    minimum_bars = minimum_track_record_length(
        record.sharpe, record.skewness, record.kurtosis, confidence=CONFIDENCE
    )
    return Honesty(
        sharpe=record.sharpe * math.sqrt(periods_per_year),
        n_bars=record.n,
        n_trials=trials,
        psr=probabilistic_sharpe(*record),
        dsr=deflated_sharpe(*record, n_trials=trials, sharpe_variance=sharpe_variance),
        luck=luck,
        luck_annual=luck * math.sqrt(periods_per_year),
        minimum_bars=minimum_bars,
        minimum_years=minimum_bars / periods_per_year,
        periods_per_year=periods_per_year,
        pbo=pbo,
        spa=spa,
    )


def _probability(value: float | None, name: str) -> float | None:
    """None and NaN as they are; `BacktestError` of what is no number from 0 to 1."""
    if value is None:
        return None
    number = as_number(value, name, "give a probability from 0 to 1, or None")
    if not (math.isnan(number) or 0.0 <= number <= 1.0):
        raise BacktestError(f"{name}: {number} is no probability; give one from 0 to 1, or None.")
    return number


def _chance(probability: float) -> str:
    if math.isnan(probability):
        return "–"
    if probability < 0.01:
        return "under 1 %"
    if probability > 0.99:
        return "over 99 %"
    return f"{probability * 100:.0f} %"


def _number(value: float, form: str = ".2f") -> str:
    return "–" if math.isnan(value) else format(value, form)


def _years(years: float) -> str:
    if years < 0.95:
        return f"{years * 12:.0f} months"
    return f"{years:,.1f} years" if years < 100.0 else f"{years:,.0f} years"
