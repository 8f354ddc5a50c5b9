"""What a sweep's result tells: the best, any variant, its returns and pictures; read from disk when asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Strategy, backtest
from workbench.errors import SweepError
from workbench.sweep import SweepResult, store, sweep
from workbench.sweep.store import METRICS

PERIODS = {"first": ("2004-09-01", "2005-03-31"), "second": ("2005-04-01", "2006-01-31")}


@pytest.fixture
def found(crossing: Strategy, two_years: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> SweepResult:
    """72 variants in parts of five or six: every reading goes over several."""
    monkeypatch.setattr(store, "_PART_ROWS", 5)
    return sweep(
        crossing, two_years, {"n": range(2, 14)}, periods=PERIODS, chunk=5, workers=1, progress=False
    )


def test_the_frame_has_a_row_for_each_variant_and_says_what_it_is(found: SweepResult) -> None:
    frame = found.frame
    assert list(frame.columns) == ["symbol", "period", "n", *METRICS, "error"]
    assert frame.index.to_list() == list(range(72))
    assert frame.index.name == "variant"
    assert frame["n"].to_list() == list(range(2, 14)) * 6
    assert frame["n"].dtype == np.int64
    assert {str(frame[name].dtype) for name in METRICS} == {"float64"}
    assert len(found) == found.n_variants == 72


@pytest.mark.parametrize("by", ["sharpe_ratio", "max_drawdown", "total_trades"])
@pytest.mark.parametrize("lowest", [False, True])
def test_the_best_are_those_of_the_sorted_frame(found: SweepResult, by: str, lowest: bool) -> None:
    expected = found.frame.sort_values(by, ascending=lowest, kind="stable").head(7)
    pd.testing.assert_frame_equal(found.best(7, by, lowest=lowest), expected)


def test_the_best_are_ranked_by_the_objective(crossing: Strategy, two_years: pd.DataFrame) -> None:
    found = sweep(crossing, two_years, {"n": [5, 50]}, objective="cagr", progress=False, workers=1)
    assert found.best(1)["cagr"].iloc[0] == found.frame["cagr"].max()
    with pytest.raises(SweepError, match="'luck' is not a metric of a sweep"):
        found.best(by="luck")


def test_a_variant_is_parameters_that_the_strategy_takes(
    found: SweepResult, crossing: Strategy, two_years: pd.DataFrame
) -> None:
    assert found.variant(3) == {"n": 5}
    assert type(found.variant(3)["n"]) is int
    crossing(two_years, **found.variant(71))
    with pytest.raises(SweepError, match="There is no variant 72"):
        found.variant(72)


def test_a_backtest_of_a_variant_names_its_strategy_and_parameters(
    found: SweepResult, two_years: pd.DataFrame
) -> None:
    whole = found.backtest(20)
    assert (whole.strategy, whole.name, dict(whole.parameters)) == ("crossing", "crossing", {"n": 10})
    assert whole.symbols == ("AAPL",)
    assert (whole.start, whole.end) == (
        pd.Timestamp("2005-04-01", tz="UTC"),
        pd.Timestamp("2006-01-31", tz="UTC"),
    )


def test_returns_are_those_of_the_backtests(found: SweepResult) -> None:
    returns = found.returns([30, 3, 71])
    assert returns.columns.equals(pd.Index([30, 3, 71]))
    for number in (30, 3, 71):
        own = returns[number].dropna()
        pd.testing.assert_series_equal(
            own, found.backtest(number).returns, rtol=1e-9, atol=1e-12, check_names=False, check_freq=False
        )
    # GOOG's second period has bars that AAPL's first has not.
    assert returns[3].isna().any()


def test_returns_of_all_variants_are_one_frame(crossing: Strategy, two_years: pd.DataFrame) -> None:
    found = sweep(crossing, two_years, {"n": range(2, 9)}, symbols="together", progress=False, workers=1)
    returns = found.returns()
    assert returns.shape == (len(two_years.loc["IBM"]), 7)
    assert not returns.isna().any(axis=None)
    whole = backtest(two_years, crossing, parameters={"n": 4}, count_trial=False).returns
    pd.testing.assert_series_equal(
        returns[2], whole, rtol=1e-9, atol=1e-12, check_names=False, check_freq=False
    )
    pd.testing.assert_frame_equal(found.returns(slice(2, 4)), returns[[2, 3]])


def test_the_frame_stays_when_the_result_goes(crossing: Strategy, two_years: pd.DataFrame) -> None:
    found = sweep(crossing, two_years, {"n": [2, 3]}, progress=False, workers=1)
    frame, copy = found.frame, found.frame.copy()
    del found
    pd.testing.assert_frame_equal(frame, copy)


def test_pictures_are_drawn_from_the_frame(found: SweepResult) -> None:
    heat = found.heatmap("n", "symbol", "cagr", aggregate="max")
    assert np.nanmax(np.asarray(heat.data[0].z, dtype=float)) == found.frame["cagr"].max()
    lines = found.parallel_coordinates()
    assert [axis.label for axis in lines.data[0].dimensions] == ["symbol", "period", "n", "sharpe_ratio"]
    with pytest.raises(SweepError, match="is not a metric"):
        found.heatmap("n", "symbol", "luck")


def test_the_card_names_the_strategy_and_its_best_variants_on_any_background(found: SweepResult) -> None:
    card = found._repr_html_()
    assert "crossing" in card
    assert "72 variants" in card
    best = found.best(1)
    assert f">{best['symbol'].iloc[0]}<" in card
    for name, form in (("sharpe_ratio", ",.2f"), ("total_return", "+,.1%"), ("max_drawdown", ",.1%")):
        assert f">{best[name].iloc[0]:{form}}<".replace("-", "−") in card, "worded as on a backtest's card"
    # Colours are the page's own.
    assert "color:inherit" in card
    assert "#" not in card
    assert repr(found).startswith("<SweepResult 'crossing': 72 variants, in ")
