"""What makes two sweeps the same: as rows in a store, and as trials; and searches that can be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, Strategy, between, strategy
from workbench.fills.execution import Execution
from workbench.sweep import Bayesian, Random, SweepResult, sweep
from workbench.sweep.job import Job, make_job


def laid_out(made: Strategy, bars: pd.DataFrame, grid: Any, **options: Any) -> Job:
    rules = {
        "symbols": "each", "periods": None, "dividends": None, "seed": None, "objective": None,
        "execution": Execution(), **options,
    }  # fmt: skip
    return make_job(made, bars, grid, **rules)


def code(threshold: int) -> Strategy:
    """Two rules of the same name; their source is the same text but for a number."""
    if threshold == 0:

        @strategy
        def rule(bars: pd.DataFrame, n: Annotated[int, between(1, 300)] = 5) -> Signals:
            close = bars["close"].unstack("symbol")
            return Signals(close > close.shift(n), close < close.shift(n))
    else:

        @strategy
        def rule(bars: pd.DataFrame, n: Annotated[int, between(1, 300)] = 5) -> Signals:
            close = bars["close"].unstack("symbol")
            return Signals(close > close.shift(n + 1), close < close.shift(n + 1))

    return rule


@pytest.fixture
def ibm(two_years: pd.DataFrame) -> pd.DataFrame:
    return two_years.loc[["IBM"]]


@pytest.mark.parametrize("symbols", ["each", "together"])
@pytest.mark.parametrize("names", [["IBM"], ["AAPL", "IBM"]])
def test_one_bar_more_is_other_rows_but_the_same_trials(
    two_years: pd.DataFrame, names: list[str], symbols: str
) -> None:
    bars = two_years.loc[names]
    shorter = bars[bars.index.get_level_values(1) < "2006-05-31"]
    assert 0 < len(bars) - len(shorter) <= 2
    before, after = (laid_out(code(0), part, {"n": [3, 5]}, symbols=symbols) for part in (shorter, bars))
    assert before.trial_key == after.trial_key
    assert before.key != after.key


@pytest.mark.parametrize("symbols", ["each", "together"])
def test_other_symbols_with_the_same_days_are_other_trials(two_years: pd.DataFrame, symbols: str) -> None:
    keys = {
        laid_out(code(0), two_years.loc[names], {"n": [3]}, symbols=symbols).trial_key
        for names in (["IBM"], ["AAPL"], ["AAPL", "IBM"], ["AAPL", "GOOG"])
    }
    assert len(keys) == 4


def test_other_code_costs_values_periods_and_dividends_are_other_trials(ibm: pd.DataFrame) -> None:
    paid = pd.Series([0.2], index=ibm.index[[40]])
    changes: list[tuple[Strategy, Any, dict[str, Any]]] = [
        (code(0), {"n": [3]}, {}),
        (code(1), {"n": [3]}, {}),
        (code(0), {"n": [4]}, {}),
        (code(0), Random(1, over={"n": [3, 4]}), {}),
        (code(0), Random(1, over={"n": [3, 4]}), {"seed": 5}),
        (code(0), {"n": [3]}, {"execution": Execution(fees=0.002)}),
        (code(0), {"n": [3]}, {"periods": {"a": ("2005-01-01", None)}}),
        (code(0), {"n": [3]}, {"dividends": paid}),
    ]
    jobs = [laid_out(made, ibm, grid, **options) for made, grid, options in changes]
    assert len({job.trial_key for job in jobs}) == len({job.key for job in jobs}) == len(changes)


def swept(made: Strategy, bars: pd.DataFrame, search: Any, **options: Any) -> SweepResult:
    return sweep(made, bars, search, **{"progress": False, "workers": 1, **options})


def test_another_price_other_code_and_one_bar_more_go_into_folders_of_their_own(
    ibm: pd.DataFrame, tmp_path: Path
) -> None:
    first = swept(code(0), ibm, {"n": [3, 5]}, store=tmp_path).frame
    changed = ibm.assign(close=ibm["close"].where(np.arange(len(ibm)) != 100, 70.0))
    for made, bars in ((code(0), changed), (code(1), ibm), (code(0), ibm.iloc[:-1])):
        found = swept(made, bars, {"n": [3, 5]}, store=tmp_path)
        assert found.estimate is not None
        assert found.estimate.variants == 2
    assert len(list(tmp_path.iterdir())) == 4
    again = swept(code(0), ibm, {"n": [3, 5]}, store=tmp_path)
    assert again.estimate is None
    pd.testing.assert_frame_equal(again.frame, first)


def test_the_order_of_the_bars_is_no_other_sweep(ibm: pd.DataFrame) -> None:
    mixed = ibm.sample(frac=1.0, random_state=1)
    assert laid_out(code(0), mixed, {"n": [3]}).key == laid_out(code(0), ibm, {"n": [3]}).key


def test_a_seed_decides_what_an_adaptive_search_finds(ibm: pd.DataFrame) -> None:
    search = Bayesian(20, objective="total_return", batch=5, over={"n": between(1, 200)})
    one, same, other = (swept(code(0), ibm, search, seed=seed).frame for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(one, same)
    assert one["n"].to_list() != other["n"].to_list()
    # Threads change who computes what, not what is asked.
    pd.testing.assert_frame_equal(swept(code(0), ibm, search, seed=4, workers=1, chunk=3).frame, one)


def test_an_adaptive_search_that_runs_out_of_variants_ends(ibm: pd.DataFrame, tmp_path: Path) -> None:
    search = Bayesian(50, over={"n": [2, 5, 7]}, batch=2)
    found = swept(code(0), ibm, search, store=tmp_path)
    assert sorted(found.frame["n"]) == [2, 5, 7]
    pd.testing.assert_frame_equal(swept(code(0), ibm, search, store=tmp_path).frame, found.frame)
