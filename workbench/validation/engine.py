"""`validate()`: choose parameters on training bars, trade them on test bars, and join the returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from workbench.arguments import named
from workbench.backtest.trials import JOURNAL, TrialBatch, sharpe_moments
from workbench.errors import BacktestError
from workbench.fills.execution import Execution, Rules, execution_of
from workbench.fills.outside import read_dividends
from workbench.signals.strategy import Strategy
from workbench.sweep.chunk import values_of
from workbench.sweep.job import Job, make_job
from workbench.sweep.space import Grid, Random
from workbench.validation.objectives import check_objective, objective_of
from workbench.validation.record import joined, ratio_of
from workbench.validation.result import ValidationResult
from workbench.validation.search import Search, Searched, search_by_sweep, search_on_rows
from workbench.validation.spans import BarSpans, Traded, dividends_of
from workbench.validation.splits import Split, Splits

__all__ = ["validate"]


def validate(
    strategy: Strategy,
    bars: pd.DataFrame,
    grid: Mapping[str, Any] | Grid | Random,
    splits: Splits,
    *,
    objective: str = "sharpe_ratio",
    search: Search = search_by_sweep,
    dividends: pd.Series[float] | None = None,
    **rules: Unpack[Rules],
) -> ValidationResult:
    """Choose a strategy's parameters on each split's training bars, and trade them on its test bars.

    The rules:

    - **Training.** Of all combinations in `grid` that the strategy's `where` allows, the one with the highest
      objective is chosen (the first, if tied). If every split trains on one span before its test (as in
      `walk_forward`), the variants get and trade that span only, without earlier bars. Otherwise each variant
      is run over all bars once and evaluated by its returns in the training rows: it also trades through the
      test, and its positions may extend across a border; purge and embargo leave out the rows around it.
    - **Testing.** The strategy gets all bars up to the test span's last one, so its averages are warmed up,
      and no bar after it. It trades within the span only: it begins with cash, decides on bars of the span,
      and positions at the end are valued at the last close, without the costs of a sale. Weights that applied
      when the span began are traded at its first bar.
    - **Paths.** Returns of the test spans are joined in time order, one series per path. If there are several
      paths, figures are those of the path with the median Sharpe ratio.
    - **Trials.** Every training search is recorded in the trial journal; out-of-sample trading is not, since
      it is not used for any choice.

    Parameters
    ----------
    strategy : Strategy
    bars : DataFrame
        Tidy bars, as for `backtest`.
    grid : mapping of str to sequence, Grid or Random
        What to search, as in `sweep`.
    splits : Splits
        From `walk_forward`, `purged_kfold` or `combinatorial_purged`, on the same bars.
    objective : str
        sharpe_ratio, sortino, calmar, cagr, total_return or max_drawdown; higher is better.
    search : Search
        How to search one training span, if every split trains on one span before its test. Default: a sweep;
        `search_by_backtests` gives the same result, slowly.
    dividends : Series of float64, optional
        As for `backtest`.
    **rules
        Costs, sizes, stops and fills, with the names and defaults of `backtest`.

    Returns
    -------
    ValidationResult

    Raises
    ------
    BacktestError
        The splits were made for other bars, the rules are invalid, `search` returns no `Searched`, or the
        objective is undefined for every variant on the training bars of a split.
    StrategyError
        The grid does not fit the strategy, or the strategy raised it for every variant.

    Examples
    --------
    >>> splits = walk_forward(bars, train=756, test=126)                     # doctest: +SKIP
    >>> grid = {"fast": range(5, 50, 5), "slow": range(50, 200, 10)}         # doctest: +SKIP
    >>> validate(sma_cross, bars, grid, splits)                              # doctest: +SKIP
    """
    check_objective(objective)
    if not isinstance(grid, Mapping | Grid | Random):
        raise BacktestError(f"grid: {named(grid)} is not supported; pass lists of values, Grid or Random.")
    execution = execution_of(rules)
    if not isinstance(splits, Splits):
        raise BacktestError(
            f"splits: {named(splits)} is not Splits; make them with walk_forward(bars, …), "
            "purged_kfold(bars, …) or combinatorial_purged(bars, …)."
        )
    if not callable(search):
        raise BacktestError(
            f"search: {named(search)} is not a function; leave it out, or pass search_by_backtests."
        )
    spans = BarSpans(bars)
    if splits.n_bars != len(spans):
        raise BacktestError(
            f"these splits are of {splits.n_bars} bars, but there are {len(spans)}; "
            "make them from the same bars, as in walk_forward(bars, …)."
        )
    if dividends is not None:
        read_dividends(dividends, spans.market)

    def job_on(bars: pd.DataFrame) -> Job:
        return make_job(
            strategy,
            bars,
            grid,
            symbols="together",
            periods=None,
            dividends=dividends_of(dividends, bars),
            seed=None,
            objective=objective,
            execution=execution,
        )

    if splits.forward:
        found = _search_before_tests(job_on, spans, splits, search)
    else:
        found = _search_around_tests(job_on(bars), splits)
    traded: dict[tuple[Any, range], Traded] = {}
    rows: list[dict[str, Any]] = []
    tested: list[list[Traded]] = []
    for split, choice in zip(splits, found, strict=True):
        made = []
        for span in split.test:
            known = (tuple(choice.parameters.items()), span)
            if known not in traded:
                traded[known] = spans.trade(
                    strategy, choice.parameters, span, execution=execution, dividends=dividends
                )
            made.append(traded[known])
        tested.append(made)
        rows.append(_row(split, choice, made, spans.market.timestamps, objective, execution))
    records = [[tested[split][place] for split, place in path] for path in splits.paths]
    return ValidationResult(
        strategy=strategy.name,
        kind=splits.scheme,
        objective=objective,
        splits=splits,
        table=pd.DataFrame(rows).rename_axis("split"),
        paths=pd.DataFrame(
            {path: pd.concat([part.returns for part in parts]) for path, parts in enumerate(records)}
        ).rename_axis("timestamp"),
        trades=tuple(joined([part.trades for part in parts]) for parts in records),
        variants=len(found[0].sharpes),
        periods_per_year=execution.periods_per_year,
        symbols=spans.market.symbols,
        execution=execution,
    )


def _search_before_tests(
    job_on: Callable[[pd.DataFrame], Job], spans: BarSpans, splits: Splits, search: Search
) -> list[Searched]:
    """The parameters chosen by a separate search on each split's training bars."""
    found = []
    for number, split in enumerate(splits):
        job = job_on(spans.cut(split.train[0]))
        searched = search(job)
        if not isinstance(searched, Searched):
            raise BacktestError(
                f"search: it returned {named(searched)} for split {number}; let it return "
                "Searched(parameters, objective, sharpes)."
            )
        _record("walk_forward", job, searched)
        found.append(_chosen(job, searched, number))
    return found


def _search_around_tests(job: Job, splits: Splits) -> list[Searched]:
    """The parameters chosen by each split's training rows, from one run of the variants over all bars."""
    everything = np.arange(len(job.market.timestamps))
    whole, *found = search_on_rows(job, [everything, *(split.train_rows for split in splits)])
    # Each variant was run once, regardless of the number of splits: it is one trial.
    _record("cross_validation", job, whole)
    return [_chosen(job, searched, number) for number, searched in enumerate(found)]


def _chosen(job: Job, searched: Searched, number: int) -> Searched:
    if searched.parameters:
        return searched
    first, last = job.market.timestamps[[0, -1]]
    # If the strategy itself failed, this call raises its error.
    job.plan.strategy(job.plan.bars, **values_of(job.plan.variants(0, 1), 0))
    raise BacktestError(
        f"split {number}: none of the {len(searched.sharpes):,} variants has a {job.objective} on the "
        f"training bars (from {first:%Y-%m-%d} to {last:%Y-%m-%d}), so none can be chosen: most likely "
        "none traded; train on more bars, or search shorter windows."
    )


def _row(
    split: Split,
    choice: Searched,
    made: list[Traded],
    timestamps: pd.DatetimeIndex,
    objective: str,
    execution: Execution,
) -> dict[str, Any]:
    """One row of `ValidationResult.table`."""
    returns = pd.concat([part.returns for part in made])
    outside = objective_of(objective, returns, execution.periods_per_year)
    facts: dict[str, Any] = {
        "train_start": timestamps[split.train[0].start],
        "train_end": timestamps[split.train[-1].stop - 1],
        "train_bars": sum(map(len, split.train)),
        "test_start": timestamps[split.test[0].start],
        "test_end": timestamps[split.test[-1].stop - 1],
        "test_bars": len(returns),
        "in_sample": choice.objective,
        "out_of_sample": outside,
        "degradation": ratio_of(outside, choice.objective),
        "trades": sum(len(part.trades) for part in made),
    }
    # A parameter of the same name as one of these keeps its own column.
    named = {f"{name}_" if name in facts else name: value for name, value in choice.parameters.items()}
    spans = {name: facts.pop(name) for name in list(facts)[:6]}
    return {**spans, **named, **facts}


def _record(kind: str, job: Job, searched: Searched) -> None:
    """Record a search as trials, under the same key as a sweep of the same variants on the same bars."""
    mean, squares, count, best = sharpe_moments(searched.sharpes)
    JOURNAL.record(
        TrialBatch(
            strategy=job.plan.strategy.name,
            kind=kind,
            key=job.trial_key,
            variants=len(searched.sharpes),
            sharpe_mean=mean,
            sharpe_m2=squares,
            sharpe_count=count,
            best_sharpe=best,
            n_bars=len(job.market.timestamps),
            symbols=job.market.symbols,
            start=job.market.timestamps[0],
            end=job.market.timestamps[-1],
            parameters={"search": job.facts["search"]},
        )
    )
