"""What research found becomes rows: backtests, sweeps and validations, their figures, reports and trials."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from workbench import Workbench
from workbench.backtest import Percent, Signals, Strategy, backtest, between, strategy
from workbench.errors import BacktestError, RunFenced, SweepDiffers
from workbench.runs.scope import NotebookRun
from workbench.settings import Settings
from workbench.validation import validate, walk_forward

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)


def _above_mean(bars: pd.DataFrame, window: Annotated[int, between(2, 60)] = 5) -> Signals:
    """In while the close is above its mean."""
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(window).mean()
    return Signals(above, ~above)


@pytest.fixture
def above_mean() -> Strategy:
    """The rule under a name of its own: trials of one test are none of another's."""
    return strategy(name=f"above-mean-{uuid.uuid4()}")(_above_mean)


@pytest.fixture
def bars() -> pd.DataFrame:
    """Two symbols, 400 days."""
    rng = np.random.default_rng(11)
    days = pd.date_range("2021-01-04", periods=400, tz="UTC")
    index = pd.MultiIndex.from_product([["QA", "QB"], days], names=["symbol", "timestamp"])
    close = np.exp(np.cumsum(rng.normal(0.0005, 0.02, (2, 400)), axis=1)).ravel() * 50
    opened = close * np.exp(rng.normal(0, 0.005, close.size))
    spread = {"high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99}
    return pd.DataFrame({"open": opened, **spread, "close": close, "volume": 1e6}, index=index)


def test_amounts_of_a_stored_report_have_the_project_s_currency(
    database_settings: Settings, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    result = backtest(bars, above_mean, parameters={"window": 20}, cash=5000.0)
    with Workbench(database_settings.model_copy(update={"currency": "EUR"})) as wb:
        wb.save(result, strategy_id="in-euros", bars=bars)
        (page,) = wb.analytics.load_reports("in-euros/tearsheet.html")["content"]
    assert "5,000 EUR" in page
    assert "Amount, EUR" in page


def test_a_backtest_is_stored_with_every_figure_and_its_report(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    result = backtest(bars, above_mean, parameters={"window": 20})
    written = wb.save_backtest(result, bars=bars)
    assert written == {
        "strategies": 1,
        "strategy_signals": len(result.signals()),
        "strategy_performance": 400,
        "performance_metrics": len(result.metrics),
        "reports": 2,
    }
    name = f"{above_mean.name}-QA-QB"
    stored = wb.analytics.load_performance_metrics(name).set_index("metric")["value"]
    assert stored.to_dict() == pytest.approx(result.metrics, nan_ok=True)
    assert wb.strategy_engine.load_strategies(name)["parameters"].tolist() == [{"window": 20}]
    reports = wb.analytics.load_reports(strategy_id=name).set_index("format")
    page: Any = reports["content"]["html"]
    picture: Any = reports["file"]["png"]
    assert page.startswith("<!DOCTYPE html>")
    assert bytes(picture).startswith(b"\x89PNG")


def test_saved_again_nothing_changes(wb: Workbench, bars: pd.DataFrame, above_mean: Strategy) -> None:
    result = backtest(bars, above_mean)
    wb.save_backtest(result, report=False)
    again = wb.save_backtest(backtest(bars, above_mean), report=False)
    assert again == dict.fromkeys(
        ("strategies", "strategy_signals", "strategy_performance", "performance_metrics"), 0
    )


@pytest.mark.parametrize("blank", ["", " \t"])
def test_an_empty_id_is_refused_and_not_taken_for_the_default(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy, blank: str
) -> None:
    result = backtest(bars, above_mean)
    found = wb.sweep(above_mean, bars, {"window": [5, 10]}, progress=False)
    walked = validate(above_mean, bars, {"window": [5, 10]}, walk_forward(bars, train=200, test=100))
    refused = r"strategy_id='.*' is empty; give the name"
    with pytest.raises(BacktestError, match=refused):
        wb.save_backtest(result, strategy_id=blank, report=False)
    with pytest.raises(BacktestError, match=refused):
        wb.save_sweep(found, strategy_id=blank)
    with pytest.raises(BacktestError, match=refused):
        wb.save_validation(walked, strategy_id=blank)
    assert wb.strategy_engine.load_strategies().empty


def test_a_sweep_by_other_rules_is_refused_before_anything_is_stored(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    one = bars.loc[["QA"]]
    result = backtest(one, above_mean, size=Percent(0.5), fees=0.002)
    found = wb.sweep(above_mean, one, {"window": [5, 10]}, progress=False)
    for report in (True, False):
        with pytest.raises(SweepDiffers, match=r"size=Percent\(fraction=0\.5\).*; the sweep has fees=0\.001"):
            wb.save_backtest(result, sweep=found, report=report)
    with pytest.raises(SweepDiffers, match=r"\*\*result\.rules"):
        wb.tearsheet(result, sweep=found)
    assert wb.strategy_engine.load_strategies(f"{above_mean.name}-QA").empty
    again = wb.sweep(above_mean, one, {"window": [5, 10]}, progress=False, **result.rules)
    wb.save_backtest(result, sweep=again)
    pages = wb.analytics.load_reports(strategy_id=f"{above_mean.name}-QA")
    assert "Parameter surface" in str(pages.set_index("format")["content"]["html"])


def test_signals_without_a_name_are_asked_for_one(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    said = above_mean(bars)
    assert isinstance(said, Signals)
    with pytest.raises(BacktestError, match="say under which one it is stored: strategy_id="):
        wb.save_backtest(backtest(bars, said))


def test_rows_carry_the_run_and_a_dead_run_writes_none(
    wb: Workbench,
    bars: pd.DataFrame,
    above_mean: Strategy,
    database_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = wb.runs.start(notebook="a.ipynb", trigger="command")
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    result = backtest(bars, above_mean, parameters={"window": 7})
    with Workbench(database_settings) as kernel:
        assert isinstance(kernel.session.run, NotebookRun)
        kernel.save_backtest(result)
        for loaded in (
            wb.strategy_engine.load_strategy_signals(run_id=run_id),
            wb.strategy_engine.load_strategy_performance(run_id=run_id),
            wb.analytics.load_performance_metrics(run_id=run_id),
            wb.analytics.load_reports(run_id=run_id, content=False),
        ):
            assert len(loaded) > 0
        assert wb.runs.show(run_id)["headline"]["sharpe_ratio"] == result.metrics["sharpe_ratio"]
        wb.runs.finish(run_id, "crashed")
        with pytest.raises(RunFenced):
            kernel.save_backtest(result, strategy_id="too-late")
    assert wb.strategy_engine.load_strategies("too-late").empty


def test_a_sweep_goes_on_where_it_was_and_counts_its_variants_once(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    wb.strategy_engine.load_strategies()
    grid = {"window": range(2, 42)}
    found = wb.sweep(above_mean, bars, grid, progress=False)
    assert len(list((wb.settings.home / "sweeps").iterdir())) == 1
    again = wb.sweep(above_mean, bars, grid, progress=False)
    assert again.estimate is None, "every row was stored already"
    pd.testing.assert_frame_equal(found.frame, again.frame)
    counted = wb.trials.count(above_mean.name)
    swept = wb.trials.list(above_mean.name)
    assert swept.loc[swept["kind"] == "sweep", "variants"].tolist() == [80]
    assert counted.variants >= 80


def test_the_more_was_tried_the_less_it_is_worth(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    wb.strategy_engine.load_strategies()
    result = backtest(bars, above_mean)
    before = wb.honesty(result)
    wb.sweep(above_mean, bars, {"window": range(2, 60)}, progress=False)
    after = wb.honesty(result)
    assert (before.n_trials, after.n_trials) == (1, 1 + 2 * 58)
    assert after.luck > before.luck == 0.0
    assert after.dsr < before.dsr
    assert "The best of 117 variants tried" in after.sentence


def test_a_sweeps_best_variants_and_report_are_stored(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    found = wb.sweep(above_mean, bars, {"window": range(2, 12)}, progress=False)
    assert wb.save_sweep(found, bars=bars) == {"analytics_cache": 1, "reports": 2}
    value: Any = wb.analytics.load_analytics_cache(f"sweep/{above_mean.name}")["value"].iloc[0]
    assert value["variants"] == 20
    best = found.best(1).iloc[0]
    assert value["best"][0]["window"] == best["window"]
    assert value["best"][0]["sharpe_ratio"] == pytest.approx(best["sharpe_ratio"])


def test_a_validation_is_stored_as_a_strategy_of_its_own(
    wb: Workbench, bars: pd.DataFrame, above_mean: Strategy
) -> None:
    validation = validate(above_mean, bars, {"window": [5, 10, 20]}, walk_forward(bars, train=150, test=50))
    written = wb.save_validation(validation)
    name = f"{above_mean.name}-walk_forward"
    days = wb.strategy_engine.load_strategy_performance(name)
    assert len(days) == written["strategy_performance"] == len(validation.returns)
    assert days["returns"].to_numpy() == pytest.approx(validation.returns.to_numpy())
    parameters: Any = wb.strategy_engine.load_strategies(name)["parameters"].iloc[0]
    assert [split["window"] for split in parameters["splits"]] == validation.table["window"].tolist()
    assert wb.honesty(validation, pbo=0.4).pbo == 0.4
