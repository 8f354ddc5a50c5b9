"""`Totals`: aggregates over all rows of a sweep, read part by part; and their entry in the trial journal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.backtest.trials import JOURNAL, Moments, TrialBatch, joined_moments, sharpe_moments
from workbench.sweep.job import Job
from workbench.sweep.store import ERROR, PartStore

__all__ = ["Totals", "count_sweep", "total_up"]


@dataclass(frozen=True)
class Totals:
    """Aggregates over all rows.

    Attributes
    ----------
    rows, failed : int
        Number of rows, and of rows for which the strategy raised.
    sharpe_mean, sharpe_m2, sharpe_count, best_sharpe : float, float, int, float
        Of the defined Sharpe ratios per bar; see `TrialBatch`.
    n_bars : int
        The largest number of bars in a row.
    """

    rows: int
    failed: int
    sharpe_mean: float
    sharpe_m2: float
    sharpe_count: int
    best_sharpe: float
    n_bars: int

    @property
    def sharpe_variance(self) -> float:
        """Variance (ddof=1) of the Sharpe ratios per bar; NaN with fewer than two."""
        return self.sharpe_m2 / (self.sharpe_count - 1) if self.sharpe_count > 1 else math.nan


def total_up(store: PartStore, periods_per_year: float) -> Totals:
    """Aggregate all parts, reading one after the other."""
    rows = failed = n_bars = 0
    moments: Moments = (math.nan, 0.0, 0, math.nan)
    for _, table in store.tables(["sharpe_ratio", "n_bars", ERROR]):
        rows += table.num_rows
        failed += table.num_rows - table[ERROR].null_count
        bars = table["n_bars"].to_numpy()
        n_bars = max(n_bars, int(np.nanmax(bars, initial=0.0)))
        sharpes = table["sharpe_ratio"].to_numpy() / math.sqrt(periods_per_year)
        moments = joined_moments(moments, sharpe_moments(sharpes))
    return Totals(rows, failed, *moments, n_bars)


def count_sweep(job: Job, totals: Totals) -> None:
    """Record the sweep's rows as trials of its strategy; repeating the sweep adds no new trials."""
    JOURNAL.record(
        TrialBatch(
            strategy=job.plan.strategy.name,
            kind="sweep",
            key=job.trial_key,
            variants=totals.rows,
            sharpe_mean=totals.sharpe_mean,
            sharpe_m2=totals.sharpe_m2,
            sharpe_count=totals.sharpe_count,
            best_sharpe=totals.best_sharpe,
            n_bars=totals.n_bars,
            symbols=job.market.symbols,
            start=job.market.timestamps[0],
            end=job.market.timestamps[-1],
            parameters={"search": job.facts["search"], "cells": job.facts["cells"]},
        )
    )
