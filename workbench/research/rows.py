"""Results of research as rows of two services: backtests, sweeps and validations, with their reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.db.frames import Written
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from workbench.backtest import BacktestResult
    from workbench.overfitting import Honesty
    from workbench.report import Tearsheet
    from workbench.runs.trials import TrialCount
    from workbench.services.analytics import AnalyticsService
    from workbench.services.live_signals import Said
    from workbench.services.strategy_engine import StrategyEngineService
    from workbench.sweep import SweepResult
    from workbench.validation import ValidationResult

__all__ = [
    "as_json",
    "chosen_id",
    "counted_under",
    "honesty_of",
    "save_backtest",
    "save_sweep",
    "save_validation",
    "strategy_id_of",
]

_KEPT_VARIANTS = 50
"""How many of a sweep's best variants are stored; its own files keep all of them."""


def honesty_of(
    result: BacktestResult | ValidationResult,
    count: TrialCount,
    *,
    pbo: float | None = None,
    spa: float | None = None,
) -> Honesty:
    """How likely a result is luck, given everything that was tried of its strategy.

    Parameters
    ----------
    result : BacktestResult or ValidationResult
    count : TrialCount
        Of the same strategy; what `result` came from is among its trials.
    pbo, spa : float, optional
        Results of `probability_of_overfitting` and `reality_check`; they join the sentence.
    """
    from workbench.overfitting import judge

    return judge(
        result.returns,
        trials=max(count.variants, 1),
        sharpe_variance=count.sharpe_variance,
        pbo=pbo,
        spa=spa,
        periods_per_year=result.periods_per_year,
    )


def counted_under(result: BacktestResult | ValidationResult) -> str:
    """What a result's trials are counted under: its strategy, or the name of signals that have none."""
    from workbench.backtest import BacktestResult

    if isinstance(result, BacktestResult):
        return result.strategy or result.name
    return result.strategy


def chosen_id(strategy_id: str | None, default: Callable[[], str]) -> str:
    """The id to store a result under: the one that was given, or else the default, computed only then.

    Raises
    ------
    BacktestError
        The given one is empty: to take the default then would store under another name than was meant.
    """
    if strategy_id is None:
        return default()
    if not str(strategy_id).strip():
        raise BacktestError(
            f"strategy_id={strategy_id!r} is empty; give the name to store under, or leave it out"
        )
    return strategy_id


def strategy_id_of(result: BacktestResult) -> str:
    """The default id of a backtest: its strategy's name and its symbols."""
    if result.strategy is None:
        raise BacktestError(
            "this backtest is of signals that have no name; say under which one it is stored: strategy_id=…"
        )
    symbols = "-".join(result.symbols[:5]) + ("-…" if len(result.symbols) > 5 else "")
    return f"{result.strategy}-{symbols}"


def save_backtest(
    strategy_engine: StrategyEngineService,
    analytics: AnalyticsService,
    result: BacktestResult,
    *,
    strategy_id: str,
    name: str,
    parameters: Mapping[str, Any],
    status: str,
    tearsheet: Tearsheet | None,
    said: Said | None = None,
) -> dict[str, Written]:
    """Store signals, what is said live and daily performance, then the figures, then the report.

    Three transactions, of two services: each is whole or not there, and saving again completes what a crash
    between them left out. All rows of a save bear the run that saved them, unchanged ones too.
    """
    from workbench.backtest.rules_json import rules_to_json

    written = strategy_engine.write_backtest(
        strategy_id=strategy_id,
        name=name,
        parameters=as_json(parameters),
        status=status,
        signals=_signals(result),
        performance=result.performance(),
        rules=rules_to_json(result.execution),
        inputs=_inputs(result),
        said=said,
    )
    figures = _figures(strategy_id, result.metrics, result.start, result.end, {"parameters": parameters})
    written["performance_metrics"] = analytics.write_performance_metrics(figures)
    if tearsheet is not None:
        written["reports"] = _write_report(analytics, strategy_id, "tearsheet", name, tearsheet)
    return written


def save_sweep(
    analytics: AnalyticsService, sweep: SweepResult, *, strategy_id: str, tearsheet: Tearsheet | None
) -> dict[str, Written]:
    """Store what a sweep searched and its best variants in `analytics_cache`, and the report of the best."""
    from workbench.backtest.rules_json import rules_to_json

    value = as_json(
        {
            **sweep.facts,
            "rules": rules_to_json(sweep.execution),
            "variants": len(sweep),
            "objective": sweep.objective,
            "sharpe_variance": sweep.sharpe_variance,
            "best": sweep.best(_KEPT_VARIANTS).to_dict("records"),
        }
    )
    cached = pd.DataFrame({"cache_key": [f"sweep/{strategy_id}"], "value": [value]})
    written = {"analytics_cache": analytics.write_analytics_cache(cached)}
    if tearsheet is not None:
        written["reports"] = _write_report(analytics, strategy_id, "sweep", strategy_id, tearsheet)
    return written


def save_validation(
    strategy_engine: StrategyEngineService,
    analytics: AnalyticsService,
    validation: ValidationResult,
    *,
    strategy_id: str,
) -> dict[str, Written]:
    """Store the out-of-sample record as a strategy of its own: daily performance and figures."""
    from workbench.backtest.rules_json import rules_to_json

    table = validation.table
    written = strategy_engine.write_backtest(
        strategy_id=strategy_id,
        name=f"{validation.strategy}, out of sample ({validation.kind})",
        parameters=as_json({"splits": table.to_dict("records")}),
        status="inactive",
        signals=pd.DataFrame(columns=["symbol", "timestamp", "signal", "strength"]),
        performance=validation.performance(),
        rules=rules_to_json(validation.execution),
        inputs=as_json(
            {
                "strategy": validation.strategy,
                "symbols": validation.symbols,
                "first_bar": min(table["train_start"].min(), table["test_start"].min()),
                "last_bar": max(table["train_end"].max(), table["test_end"].max()),
                "n_bars": validation.splits.n_bars,
                "kind": validation.kind,
                "objective": validation.objective,
            }
        ),
    )
    returns = validation.returns
    figures = _figures(
        strategy_id,
        validation.metrics,
        pd.Timestamp(returns.index[0]),
        pd.Timestamp(returns.index[-1]),
        {"kind": validation.kind, "splits": len(validation.table)},
    )
    written["performance_metrics"] = analytics.write_performance_metrics(figures)
    return written


def as_json(value: Any) -> Any:
    """What JSON can say of a value: NaN and infinity are null, times are ISO text, tuples are lists."""
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [as_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if value is pd.NaT:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _signals(result: BacktestResult) -> pd.DataFrame:
    """Signals as they are stored: one a symbol and bar, `pending` where they wait for the bar to come."""
    signals = result.signals(pending=True)
    keys = ["symbol", "timestamp"]
    waiting = pd.MultiIndex.from_frame(result.pending[keys])
    return signals.assign(pending=pd.MultiIndex.from_frame(signals[keys]).isin(waiting))


def _inputs(result: BacktestResult) -> dict[str, Any]:
    """What was traded, beside the rules: enough to load the bars again and to know which code to call."""
    inputs: dict[str, Any] = as_json(
        {
            "strategy": result.strategy,
            "parameters": result.parameters,
            "symbols": result.symbols,
            "first_bar": result.start,
            "last_bar": result.end,
            "n_bars": len(result.equity),
            # Whether any were paid; the amounts themselves are not kept.
            "dividends": bool((result.dividends != 0.0).any()),
            "benchmark": str(result.benchmark.name),
        }
    )
    return inputs


def _figures(
    strategy_id: str,
    metrics: Mapping[str, float],
    start: pd.Timestamp,
    end: pd.Timestamp,
    metadata: Mapping[str, Any],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strategy": strategy_id,
            "metric": list(metrics),
            "value": [value if math.isfinite(value) else math.nan for value in metrics.values()],
            "period_start": start,
            "period_end": end,
            "metadata": [as_json(metadata) for _ in metrics],
        }
    )


def _write_report(
    analytics: AnalyticsService, strategy_id: str, kind: str, title: str, tearsheet: Tearsheet
) -> Written:
    """The page and the picture; those of an earlier run under the same id are replaced."""
    reports = pd.DataFrame(
        {
            "report_id": [f"{strategy_id}/{kind}.html", f"{strategy_id}/{kind}.png"],
            "strategy": strategy_id,
            "kind": kind,
            "format": ["html", "png"],
            "title": title,
            "content": [tearsheet.html, None],
            "file": [None, tearsheet.png()],
        }
    )
    return analytics.write_reports(reports)
