"""`Honesty`: how likely a result is luck, in figures and in one plain sentence; no figure is new here."""

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
"""The confidence that the minimum track record is for."""
FEWEST_BARS = 30
"""Below so many bars no limit theorem holds, as Bailey and López de Prado (2012) warn."""


@dataclass(frozen=True)
class Honesty:
    """What a Sharpe ratio is worth, after its error and after the trials that led to it.

    Attributes
    ----------
    sharpe : float
        The observed Sharpe ratio, annualised; NaN where it is not defined.
    n_bars : int
        Returns it comes from.
    n_trials : int
        Variants that were tried, this one included.
    psr : float
        Probability that the true Sharpe ratio is above 0, as if nothing else had been tried.
    dsr : float
        Probability that it is above what luck reaches in so many trials; with one trial the same as `psr`.
    luck : float
        The Sharpe ratio per bar that the best of so many trials is expected to reach by luck alone.
    luck_annual : float
        The same, annualised.
    minimum_bars : float
        Bars until `psr` reaches 95 % at this Sharpe ratio; NaN where it is not above 0.
    minimum_years : float
        The same in years.
    periods_per_year : float
        Bars in a year.
    pbo : float or None
        Probability of backtest overfitting, where it was computed.
    spa : float or None
        p-value of Hansen's test of superior predictive ability, where it was computed.
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

        The chances are those of the probabilistic and the deflated Sharpe ratio: the confidence with which
        luck can be excluded, given the bars; what one believed beforehand is not in them.
        """
        return self._core() + self._record() + self._evidence() + "."

    def _core(self) -> str:
        if math.isnan(self.sharpe):
            missing = "there are fewer than two returns" if self.n_bars < 2 else "its returns never vary"
            return f"There is no Sharpe ratio to judge, since {missing}"
        if self.n_bars < FEWEST_BARS:
            return (
                f"{self.n_bars:,} bars are too few to tell skill from luck, whatever their Sharpe ratio "
                f"({self.sharpe:.2f} a year); it takes {FEWEST_BARS} at the very least"
            )
        if math.isnan(self.dsr):
            return f"The Sharpe ratio of {self.sharpe:.2f} a year comes from returns that cannot be judged"
        if self.n_trials == 1:
            return (
                f"This one variant has a Sharpe ratio of {self.sharpe:.2f} a year, and the chance that it is "
                f"better than luck is {_chance(self.psr)}, provided that no other was tried"
            )
        return (
            f"Of {self.n_trials:,} variants tried, luck alone would be expected to reach a Sharpe ratio of "
            f"{self.luck_annual:.2f} a year; this one has {self.sharpe:.2f}, and the chance that it is "
            f"better than luck is {_chance(self.dsr)}"
        )

    def _record(self) -> str:
        """That the record is too short, where a longer one would do."""
        if self.n_bars < FEWEST_BARS or not self.minimum_bars > self.n_bars:
            return ""
        return (
            f"; at this rate it takes {_years(self.minimum_years)} to be {CONFIDENCE * 100:.0f} % sure of a "
            f"single variant, and these are {_years(self.n_bars / self.periods_per_year)}"
        )

    def _evidence(self) -> str:
        said = ""
        if self.pbo is not None and not math.isnan(self.pbo):
            said += (
                "; the variant that was best on one half of the bars was no better than the median on the "
                f"other in {_chance(self.pbo)} of all halvings"
            )
        if self.spa is not None and not math.isnan(self.spa):
            said += (
                "; if no variant had any merit, the best would look as good with a chance of "
                f"{_chance(self.spa)}"
            )
        return said

    def __repr__(self) -> str:
        return f"<Honesty: {self.sentence}>"

    def _repr_html_(self) -> str:
        cells = [
            ("Sharpe ratio a year", _number(self.sharpe)),
            ("Variants tried", f"{self.n_trials:,}"),
            ("Expected of luck a year", _number(self.luck_annual)),
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
        # Greys with an opacity and the page's own text colour: they read on white and on dark alike.
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
    """Judge a strategy's returns by how many variants were tried to get them.

    Parameters
    ----------
    returns : Series of float64, shape (n_bars,)
        Simple returns as fractions of the variant that was chosen; NaN ones are left out.
    trials : int
        How many variants were tried, this one included. Variants that resemble each other are fewer than
        they look, which makes the verdict stricter than it need be; see `expected_maximum_sharpe`.
    sharpe_variance : float, optional
        Variance of the Sharpe ratios *per bar* of all that were tried. Default, and where it is NaN: what
        trials without any merit would have over as many bars, ``1 / (n - 1)``.
    pbo : float, optional
        `probability_of_overfitting(...).pbo`, to be told with the rest.
    spa : float, optional
        `reality_check(...).spa_p`, to be told with the rest.
    periods_per_year : float
        Bars in a year.

    Returns
    -------
    Honesty

    Raises
    ------
    BacktestError
        When there are fewer trials than one, the variance is negative, or a year has no bars.
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
