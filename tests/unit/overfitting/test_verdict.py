"""The verdict: its figures are those of the papers, and its one sentence says what they say."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from workbench.errors import BacktestError
from workbench.overfitting import (
    Honesty,
    deflated_sharpe,
    expected_maximum_sharpe,
    judge,
    minimum_track_record_length,
    probabilistic_sharpe,
)


def with_sharpe(annual: float, bars: int) -> pd.Series[float]:
    """Returns of exactly that Sharpe ratio a year of 252 bars: noise, without its own mean and deviation."""
    draws = np.random.default_rng(1).normal(size=bars)
    draws = (draws - draws.mean()) / draws.std(ddof=1)
    return pd.Series(0.01 * (draws + annual / math.sqrt(252)))


def test_figures_are_those_of_the_inference() -> None:
    returns = with_sharpe(1.0, 1000)
    verdict = judge(returns, trials=200, sharpe_variance=0.001, pbo=0.4, spa=0.2)
    ratio = 1.0 / math.sqrt(252)
    skewness = float(((returns - returns.mean()) ** 3).mean() / returns.std(ddof=0) ** 3)
    kurtosis = float(((returns - returns.mean()) ** 4).mean() / returns.std(ddof=0) ** 4)
    moments = (skewness, kurtosis)
    assert verdict.sharpe == pytest.approx(1.0)
    assert (verdict.n_bars, verdict.n_trials, verdict.pbo, verdict.spa) == (1000, 200, 0.4, 0.2)
    assert verdict.psr == pytest.approx(probabilistic_sharpe(ratio, 1000, *moments))
    assert verdict.dsr == pytest.approx(
        deflated_sharpe(ratio, 1000, *moments, n_trials=200, sharpe_variance=0.001)
    )
    assert verdict.luck == expected_maximum_sharpe(200, 0.001)
    assert verdict.luck_annual == pytest.approx(verdict.luck * math.sqrt(252))
    assert verdict.minimum_bars == pytest.approx(minimum_track_record_length(ratio, *moments))
    assert verdict.minimum_years == pytest.approx(verdict.minimum_bars / 252)


def test_the_sentence_of_many_variants_names_luck_and_the_chance() -> None:
    """Luck of 2,080 trials is 3.458 deviations, so 1.31 a year at a variance of (1.31 / 3.458)² / 252."""
    verdict = judge(with_sharpe(1.12, 2520), trials=2080, sharpe_variance=0.0005695)
    assert verdict.sentence == (
        "The best of 2,080 variants is expected to reach a Sharpe ratio of 1.31 a year by luck alone; "
        "this one has 1.12, and the chance that it is better than luck is 27 %."
    )


def test_the_sentence_of_one_variant_says_that_it_is_the_only_one() -> None:
    verdict = judge(with_sharpe(1.0, 1000))
    assert verdict.psr == verdict.dsr
    assert verdict.luck == 0.0
    assert verdict.sentence == (
        "This variant has a Sharpe ratio of 1.00 a year, and the chance that it is better than luck is "
        "98 %, if no other was tried."
    )


def test_a_record_that_is_too_short_is_told_with_the_length_that_would_do() -> None:
    """At a Sharpe ratio of 1 a year 95 % takes 1.645² = 2.7 years, as good as whatever the bars are."""
    assert judge(with_sharpe(1.0, 252)).sentence.endswith(
        "; to be 95 % sure of a single variant with this Sharpe ratio takes 2.7 years; these are 1.0 years."
    )
    assert judge(with_sharpe(1.0, 126)).sentence.endswith("; these are 6 months.")
    assert "95 % sure" not in judge(with_sharpe(1.0, 1000)).sentence
    assert "95 % sure" not in judge(with_sharpe(-1.0, 252)).sentence, "no length would do"


def test_a_handful_of_bars_is_not_judged() -> None:
    assert judge(with_sharpe(3.0, 29), trials=5).sentence == (
        "29 bars are too few to tell skill from luck, whatever the Sharpe ratio (3.00 a year); at least 30 "
        "are needed."
    )


def test_without_a_sharpe_ratio_there_is_nothing_to_judge() -> None:
    still = judge(pd.Series([0.0] * 100), trials=10)
    assert still.sentence == "There is no Sharpe ratio, since its returns never vary."
    assert math.isnan(still.psr)
    assert math.isnan(still.dsr)
    for few in ([], [0.01], [math.nan, 0.01]):
        sentence = judge(pd.Series(few, dtype="float64"), trials=10).sentence
        assert sentence == "There is no Sharpe ratio, since there are fewer than two returns."


def test_other_evidence_is_told_where_there_is_some() -> None:
    returns = with_sharpe(1.0, 1000)
    assert judge(returns, trials=10, pbo=0.62).sentence.endswith(
        "; the best variant on one half of the bars was no better than the median on the other in 62 % of "
        "all splits."
    )
    assert judge(returns, trials=10, spa=0.43).sentence.endswith(
        "; if no variant had any skill, the best would look this good with a chance of 43 %."
    )
    assert (
        judge(returns, trials=10, pbo=math.nan, spa=math.nan).sentence == judge(returns, trials=10).sentence
    )


def test_chances_are_never_told_as_certain() -> None:
    assert "is over 99 %" in judge(with_sharpe(4.0, 2520), trials=3).sentence
    assert "is under 1 %" in judge(with_sharpe(-4.0, 2520), trials=3).sentence


def test_trials_of_unknown_spread_are_taken_for_independent_ones_without_merit() -> None:
    """Whose Sharpe ratios differ by the error of the mean alone: a variance of 1 / (n - 1)."""
    returns = with_sharpe(1.0, 1000)
    for unknown in (None, math.nan):
        assert judge(returns, trials=50, sharpe_variance=unknown) == judge(
            returns, trials=50, sharpe_variance=1 / 999
        )


def test_the_sentence_is_one_line_in_text_and_page_alike() -> None:
    verdict = judge(with_sharpe(1.0, 252), trials=2080, pbo=0.62, spa=0.43)
    assert "\n" not in verdict.sentence
    assert verdict.sentence.count(".") == verdict.sentence.count(".", 0, -1) + 1
    assert repr(verdict) == f"<Honesty: {verdict.sentence}>"


def test_the_page_shows_the_sentence_and_every_figure_in_the_pages_own_colours() -> None:
    class Text(HTMLParser):
        said = ""

        def handle_data(self, data: str) -> None:
            self.said += data + "\n"

    verdict = judge(with_sharpe(1.0, 252), trials=2080, pbo=0.62, spa=0.043)
    page = verdict._repr_html_()
    reader = Text()
    reader.feed(page)
    for said in (verdict.sentence, "2,080", "252", "62 %", "0.043", "PSR", "DSR", "PBO", "SPA"):
        assert said in reader.said, said
    assert "color:inherit" in page
    assert "#" not in page, "no colour that only one of light and dark can show"
    assert "nan" not in judge(pd.Series([0.0] * 9))._repr_html_()
    assert "PBO" not in judge(with_sharpe(1.0, 252))._repr_html_()


def test_what_cannot_be_is_refused_with_advice() -> None:
    returns = with_sharpe(1.0, 252)
    with pytest.raises(BacktestError, match="n_trials"):
        judge(returns, trials=0)
    with pytest.raises(BacktestError, match="sharpe_variance"):
        judge(returns, trials=10, sharpe_variance=-1.0)
    with pytest.raises(BacktestError, match="periods_per_year"):
        judge(returns, periods_per_year=0.0)


def test_a_verdict_cannot_be_changed() -> None:
    verdict = judge(with_sharpe(1.0, 252))
    assert isinstance(verdict, Honesty)
    with pytest.raises(AttributeError):
        verdict.dsr = 1.0  # type: ignore[misc]
