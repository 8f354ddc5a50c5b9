"""The flow that sweeps a strategy's parameters on a Dask cluster."""

from __future__ import annotations

import argparse
import importlib
import json
import math
from pathlib import Path
from typing import Any, cast

import pandas as pd
from prefect import flow, get_run_logger
from prefect_dask import DaskTaskRunner

from workbench import Workbench
from workbench.backtest import Strategy
from workbench.errors import StrategyError, WorkbenchError
from workbench.home.temporary import temporaries_in
from workbench.settings import Settings
from workbench.sweep import SweepResult, sweep
from workbench.sweep.executors.dask_cluster import private_cluster
from workbench.sweep.store import METRICS


@flow(name="sweep-strategy", flow_run_name="{strategy}")
def sweep_strategy(
    strategy: str,
    symbols: list[str],
    grid: dict[str, list[Any]],
    source: str | None = None,
    start: str | None = None,
    end: str | None = None,
    rules: dict[str, Any] | None = None,
    store: str | None = None,
    best: int = 10,
    scheduler: str | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Backtest every combination of a strategy's parameters on each symbol, and store the best ones' metrics.

    Parameters
    ----------
    strategy : str
        Module and name, as in "workbench.strategies:sma_cross"; Dask's workers must be able to import it.
    symbols : list of str
    grid : dict
        The values to try, by parameter.
    source : str, optional
        The bars' data source, if the symbols have several.
    start, end : str, optional
        The bars in [start, end), UTC.
    rules : dict, optional
        Execution rules as in `sweep`: fees, slippage, …
    store : str, optional
        A folder. A killed run that is started again resumes from it.
    best : int
        Number of best variants to store.
    scheduler : str, optional
        The Dask scheduler's address, as in "tls://10.0.0.5:8786", with the certificates from Dask's
        configuration; a tcp:// scheduler runs code from anyone who can connect. Default: a private cluster on
        this machine while the flow runs.
    workers : int
        Number of workers of the private cluster.

    Returns
    -------
    dict
        Number of variants tried and failed, and the best one's row.
    """
    tried = _find(strategy)
    logger = get_run_logger()
    home = Settings.load().home
    with Workbench() as wb, temporaries_in(home), _on_dask(scheduler, workers, home) as dask:
        bars = wb.data_ingestion.load_market_data(symbols, start, end, source=source)
        found = sweep(tried, bars, grid, cluster=dask.client, store=store, progress=False, **(rules or {}))
        logger.info("%s", found)
        top = found.best(best)
        if len(top):
            wb.analytics.write_performance_metrics(_figures(found, top, bars))
    return {
        "variants": found.n_variants,
        "failed": found.n_failed,
        "best": _described(found, top.iloc[0]) if len(top) else None,
    }


def _find(strategy: str) -> Strategy:
    module, _, name = strategy.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except WorkbenchError:
        raise  # the module's own, which says what is wrong in it
    except (ImportError, AttributeError, ValueError) as error:
        raise StrategyError(
            f"There is no strategy {strategy!r} ({error}); give its module and name, as in "
            "workbench.strategies:sma_cross."
        ) from error
    if not isinstance(found, Strategy):
        raise StrategyError(f"{strategy} is a {type(found).__name__}; put @strategy above the function.")
    return found


def _on_dask(scheduler: str | None, workers: int, home: Path) -> DaskTaskRunner:
    if scheduler is not None:
        return DaskTaskRunner(address=scheduler)
    return DaskTaskRunner(cluster_class=private_cluster, cluster_kwargs={"workers": workers, "home": home})


def _figures(found: SweepResult, top: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """The best variants' metrics as rows of `performance_metrics`, each variant under its own name."""
    times = bars.index.get_level_values("timestamp")
    figures = pd.concat(
        pd.DataFrame(
            {
                "strategy": _variant_name(found, row),
                "metric": list(METRICS),
                "value": row[list(METRICS)].to_numpy(dtype="float64"),
                "metadata": [{**_described(found, row), "rank": rank, "tried": found.n_variants}]
                * len(METRICS),
            }
        )
        for rank, (_, row) in enumerate(top.iterrows(), start=1)
    )
    # A profit factor without a loss is infinite, which is stored as NaN, as elsewhere.
    figures = figures.replace([math.inf, -math.inf], math.nan)
    return figures.assign(period_start=times.min(), period_end=times.max())


def _variant_name(found: SweepResult, row: pd.Series[Any]) -> str:
    """A name such as "sma_cross(fast=20, slow=50) AAPL"."""
    shown = ", ".join(f"{name}={value}" for name, value in found.variant(cast(int, row.name)).items())
    return f"{found.strategy}({shown}) {row['symbol']}"


def _described(found: SweepResult, row: pd.Series[Any]) -> dict[str, Any]:
    value = float(row[found.objective])
    return {
        "strategy": found.strategy,
        "symbol": row["symbol"],
        "parameters": found.variant(cast(int, row.name)),
        found.objective: value if math.isfinite(value) else None,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sweep a strategy inside a Prefect flow, in this process.")
    parser.add_argument("strategy", help="as in workbench.strategies:sma_cross")
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--grid", type=json.loads, required=True, help="as in '{\"fast\": [10, 20]}'")
    parser.add_argument("--rules", type=json.loads, help="as in '{\"fees\": 0.002}'")
    parser.add_argument("--source")
    parser.add_argument("--scheduler", help="a Dask scheduler's address")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    sweep_strategy(
        arguments.strategy,
        arguments.symbols,
        arguments.grid,
        source=arguments.source,
        rules=arguments.rules,
        scheduler=arguments.scheduler,
        workers=arguments.workers,
    )
