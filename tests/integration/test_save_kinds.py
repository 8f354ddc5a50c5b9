"""One `save` stores every kind of result: by the facet alone, by `wb`, and by earlier names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.backtest import BacktestResult, backtest
from workbench.backtest.trials import JOURNAL
from workbench.research import Research
from workbench.session import Session
from workbench.settings import Settings
from workbench.strategies import sma_cross
from workbench.validation import validate, walk_forward

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

GRID = {"fast": [5, 10], "slow": [30, 60]}


@pytest.fixture(autouse=True)
def nobody_else_counts() -> None:
    """A Workbench that an earlier test of this process left open would store these trials in its database."""
    JOURNAL._listeners.clear()


@pytest.fixture
def research(database_settings: Settings) -> Iterator[Research]:
    """The facet, on a session of its own: no Workbench has a part in it."""
    session = Session(database_settings)
    yield Research(session)
    session.close()


@pytest.fixture
def bars(wb: Workbench) -> pd.DataFrame:
    """Real adjusted prices of AAPL, 2008 to 2010."""
    wb.ingest("AAPL", source="sample", start="2008-01-01", end="2011-01-01")
    return wb.data_ingestion.load_market_data("AAPL", source="yahoo_adjusted")


@pytest.fixture
def portfolio(bars: pd.DataFrame) -> Any:
    with warnings.catch_warnings():
        # vectorbt's own imports warn of what they will have to change.
        warnings.simplefilter("ignore")
        import vectorbt as vbt

        close = bars["close"].droplevel("symbol")
        above = close > close.rolling(50).mean()
        return vbt.Portfolio.from_signals(close, above, ~above, fees=0.001, init_cash=10_000.0)


def test_the_facet_saves_each_kind_without_a_workbench(
    research: Research, wb: Workbench, bars: pd.DataFrame, portfolio: Any
) -> None:
    result = backtest(bars, sma_cross)
    found = research.sweep(sma_cross, bars, GRID, progress=False)
    walked = validate(sma_cross, bars, GRID, walk_forward(bars, train=300, test=200))
    assert research.save(result, strategy_id="one", report=False)["strategies"] == 1
    assert research.save(found, strategy_id="two", report=False) == {"analytics_cache": 1}
    assert research.save(walked, strategy_id="three")["strategies"] == 1
    assert research.save(portfolio, strategy_id="four", bars=bars, report=False)["strategies"] == 1
    assert sorted(wb.strategy_engine.load_strategies()["strategy_id"]) == ["four", "one", "three"]
    assert research.honesty(result).n_trials >= 4


def test_a_portfolio_is_stored_as_the_backtest_that_is_made_of_it(
    wb: Workbench, bars: pd.DataFrame, portfolio: Any
) -> None:
    kept: dict[str, Any] = {"parameters": {"window": 50}, "status": "active", "periods_per_year": 365.0}
    wb.save(portfolio, strategy_id="above-mean", bars=bars, **kept)
    same = BacktestResult.from_vectorbt(
        portfolio, bars, name="above-mean", periods_per_year=365.0, count_trial=False
    )
    strategy = wb.strategy_engine.load_strategies("above-mean").iloc[0]
    assert (strategy["name"], strategy["status"], strategy["parameters"]) == (
        "above-mean",
        "active",
        {"window": 50},
    )
    figures = wb.analytics.load_performance_metrics("above-mean").set_index("metric")["value"]
    assert figures.to_dict() == pytest.approx(same.metrics, nan_ok=True)
    reports = wb.analytics.load_reports(strategy_id="above-mean", content=False)
    assert sorted(reports["format"]) == ["html", "png"]
    assert wb.trials.count("above-mean").variants == 1
    wb.save(portfolio, strategy_id="above-mean", bars=bars, report=False, **kept)
    assert wb.trials.count("above-mean").variants == 1, "the same portfolio again is no other trial"


def test_the_name_of_a_portfolio_is_what_its_trial_is_counted_under(
    wb: Workbench, bars: pd.DataFrame, portfolio: Any
) -> None:
    wb.save(portfolio, strategy_id="id", name="averages", bars=bars, report=False)
    assert wb.strategy_engine.load_strategies("id")["name"].tolist() == ["averages"]
    assert (wb.trials.count("averages").variants, wb.trials.count("id").variants) == (1, 0)


def test_a_result_saves_itself_and_earlier_names_store_the_same(wb: Workbench, bars: pd.DataFrame) -> None:
    result = backtest(bars, sma_cross)
    found = wb.sweep(sma_cross, bars, GRID, progress=False)
    assert result.save(wb, "one", report=False)["strategies"] == 1
    again = wb.save_backtest(result, strategy_id="one", report=False)
    assert set(again.values()) == {0}, "nothing differs from what `save` stored"
    wb.save(found, strategy_id="two", bars=bars)
    assert wb.save_sweep(found, strategy_id="two", bars=bars)["analytics_cache"] == 0
