"""Writing a backtest down in the journal of trials, which stands in `workbench.backtest.trials`."""

from __future__ import annotations

from collections.abc import Callable

from workbench import metrics as figures
from workbench.backtest.trials import JOURNAL, TrialBatch, sharpe_moments, trial_key
from workbench.fills.record import BacktestRecord
from workbench.signals.strategy import Strategy

__all__ = ["count_backtest"]


def count_backtest(
    strategy: Strategy | None,
    result: BacktestRecord,
    fingerprint: Callable[[], str],
    *,
    dividends: bool,
) -> None:
    """Record one trial: of the strategy, or of whatever has the result's name.

    The same code with the same parameters on the same symbols from the same first bar on is one trial,
    however often it is run and however many bars have come since; of signals without a strategy nothing is
    known but themselves, so each other signal and each other bar is another trial.

    Parameters
    ----------
    strategy : Strategy or None
    result : BacktestRecord
    fingerprint : callable
        Gives a fingerprint of the decisions and bars in hex digits; called only where there is no strategy.
    dividends : bool
        Whether there were any.
    """
    counted_under = strategy.name if strategy else result.name
    mean, squares, count, best = sharpe_moments(
        [figures.sharpe(result.observed_returns, periods_per_year=1.0)]
    )
    if strategy is not None:
        facts = {"code": strategy.sha256, "start": result.start, "dividends": dividends}
    else:
        facts = {"code": fingerprint()}
    key = trial_key(
        strategy=counted_under,
        parameters=dict(result.parameters),
        symbols=result.symbols,
        execution=repr(result.execution),
        **facts,
    )
    JOURNAL.record(
        TrialBatch(
            strategy=counted_under,
            kind="backtest",
            key=key,
            variants=1,
            sharpe_mean=mean,
            sharpe_m2=squares,
            sharpe_count=count,
            best_sharpe=best,
            n_bars=len(result.observed_returns),
            symbols=result.symbols,
            start=result.start,
            end=result.end,
            parameters=dict(result.parameters),
        )
    )
