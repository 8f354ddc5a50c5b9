"""Trials are counted across processes, once each, under the run that made them, and never by a dead run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Connection
from workbench import Workbench
from workbench.backtest.trials import TrialBatch, TrialJournal, sharpe_moments
from workbench.errors import RunFenced
from workbench.runs import NO_RUN
from workbench.runs.scope import NoRun, NotebookRun
from workbench.runs.trials import TrialStore
from workbench.settings import Settings

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)


def batch(key: str, sharpes: list[float], *, strategy: str = "sma_cross") -> TrialBatch:
    mean, m2, count, best = sharpe_moments(sharpes)
    return TrialBatch(
        strategy=strategy,
        kind="sweep",
        key=key,
        variants=len(sharpes),
        sharpe_mean=mean,
        sharpe_m2=m2,
        sharpe_count=count,
        best_sharpe=best,
        n_bars=250,
        symbols=("AAPL", "IBM"),
        start=pd.Timestamp("2020-01-01", tz="UTC"),
        end=pd.Timestamp("2020-12-31", tz="UTC"),
        parameters={"fast": [5, 10], "odd": float("nan"), "path": Path("x")},
    )


def store_of(wb: Workbench, scope: NoRun | NotebookRun = NO_RUN) -> tuple[TrialStore, TrialJournal]:
    """A store with a journal of its own, as another process would have it."""
    journal = TrialJournal()
    return TrialStore(wb.runs.pool, lambda: scope, journal), journal


def test_the_moments_of_all_batches_are_those_of_all_variants(wb: Workbench) -> None:
    """Expected from `statistics`, over the Sharpe ratios of every variant in one list."""
    parts = [[0.01, 0.05, -0.02], [0.11], [0.03, float("nan"), 0.04, 0.09], [float("nan")]]
    for number, sharpes in enumerate(parts):
        store, journal = store_of(wb)
        journal.record(batch(str(number), sharpes))
        assert store.store() == len(sharpes)
    defined = [value for part in parts for value in part if value == value]
    counted = wb.trials.count("sma_cross")
    assert (counted.variants, counted.batches) == (9, 4)
    assert counted.sharpe_mean == pytest.approx(statistics.mean(defined), rel=1e-12)
    assert counted.sharpe_variance == pytest.approx(statistics.variance(defined), rel=1e-12)
    assert counted.best_sharpe == 0.11


def test_the_same_trial_counts_once_whoever_makes_it_again(wb: Workbench) -> None:
    for _process in range(2):
        store, journal = store_of(wb)
        for _again in range(2):
            journal.record(batch("a", [0.1, 0.2]))
            store.store()
    assert wb.trials.count("sma_cross").variants == 2
    assert wb.trials.count("another").variants == 0


def test_what_cannot_be_stored_stays_in_the_journal(wb: Workbench, admin: Connection) -> None:
    store, journal = store_of(wb)
    journal.record(batch("a", [0.1]))
    admin.execute("ALTER TABLE workbench.trials RENAME TO elsewhere")
    store.store_or_warn()
    assert len(journal.pending()) == 1
    admin.execute("ALTER TABLE workbench.elsewhere RENAME TO trials")
    store.store_or_warn()
    assert journal.pending() == []
    assert wb.trials.count("sma_cross").variants == 1


def test_trials_name_their_run_and_a_dead_run_counts_nothing(wb: Workbench) -> None:
    run_id = wb.runs.start(notebook="a.ipynb", trigger="command")
    store, journal = store_of(wb, NotebookRun(wb.runs, run_id))
    journal.record(batch("a", [0.1]))
    store.store()
    assert wb.trials.list("sma_cross")["run_id"].tolist() == [str(run_id)]
    wb.runs.finish(run_id, "crashed")
    journal.record(batch("b", [0.1]))
    with pytest.raises(RunFenced):
        store.store()
    assert wb.trials.count("sma_cross").variants == 1


PROCESS = """
import numpy as np, pandas as pd
from workbench import Workbench
from workbench.backtest import backtest

wb = Workbench()
wb.strategy_engine.load_strategies()
days = pd.date_range("2020-01-01", periods=500, tz="UTC")
index = pd.MultiIndex.from_product([["X"], days], names=["symbol", "timestamp"])
price = 100 + np.random.default_rng(3).normal(size=500).cumsum()
bars = pd.DataFrame({"open": price, "close": price}, index=index)
for window in range(2, 12):
    above = bars["close"] > bars["close"].rolling(window).mean()
    backtest(bars, above, ~above, name="tried in a script")
"""


def test_every_backtest_of_a_process_is_counted_when_it_ends(
    wb: Workbench, database_settings: Settings
) -> None:
    assert database_settings.database_url is not None
    assert database_settings.redis_url is not None
    environment = {
        **os.environ,
        "WORKBENCH_HOME": str(database_settings.home),
        "WORKBENCH_DATABASE_URL": database_settings.database_url.get_secret_value(),
        "WORKBENCH_REDIS_URL": database_settings.redis_url.get_secret_value(),
    }
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        # The same ten on the same bars, in another process: no new trials.
        assert wb.trials.count("tried in a script").variants == 10
