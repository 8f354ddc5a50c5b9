"""The project as a candidate: the calls that people make in a notebook, and nothing beneath them."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import Timed
from benchmarks.data import Bars

__all__ = ["load", "universe", "write"]

Task = Mapping[str, Any]


@contextlib.contextmanager
def load(task: Task, *, home: str, cold: bool) -> Iterator[Timed]:
    """`load_market_data` of whole series or a range; with `cold`, through an emptied cache each time."""
    # The imports of a large load, made before anything is timed or weighed, as every peer's are.
    importlib.import_module("workbench.db.parallel")
    with _workbench(task, home) as wb:
        service = wb.data_ingestion

        def run(symbols: Sequence[str], start: str | None = None, end: str | None = None) -> pd.DataFrame:
            bars: pd.DataFrame = service.load_market_data(list(symbols), start, end, source="polygon")
            return bars

        def empty_cache() -> None:
            if cold:
                service.cache.clear()

        yield Timed(run, empty_cache)


@contextlib.contextmanager
def write(task: Task, *, home: str) -> Iterator[Timed]:
    """`write_market_data` of the bars that lie in a file; returns rows inserted, updated and unchanged."""
    frames: dict[str, pd.DataFrame] = {}
    with _workbench(task, home) as wb:

        def run(path: str, source: str = "polygon") -> list[int]:
            written = wb.data_ingestion.write_market_data(frames[path], source=source)
            return [written.inserted, written.updated, written.unchanged]

        for path in task["data"]:
            frames[path] = Bars.load(path).frame()
        yield Timed(run)


@contextlib.contextmanager
def universe(task: Task, *, home: str) -> Iterator[Timed]:
    """All symbols' daily bars from the database, weights monthly, their backtest and its figures."""
    from benchmarks.shapes import monthly_weights
    from workbench import panel
    from workbench.backtest import Weights, backtest

    with _workbench(task, home) as wb:

        def run(symbols: Sequence[str]) -> dict[str, int]:
            bars = wb.data_ingestion.load_market_data(list(symbols), source="yahoo")
            result = backtest(bars, Weights(monthly_weights(panel(bars, "close"))))
            return {"bars": len(bars), "orders": len(result.orders), "figures": len(result.metrics)}

        yield Timed(run)


@contextlib.contextmanager
def _workbench(task: Task, home: str) -> Iterator[Any]:
    from pydantic import SecretStr

    from workbench import Workbench
    from workbench.settings import Settings
    from workbench.stack.servers import Servers

    settings = Settings(
        home=Path(task["folder"]) / home,
        database_url=SecretStr(task["url"]),
        # Nobody listens there, and nobody asks: a write leaves its event in the outbox.
        redis_url=SecretStr("redis://127.0.0.1:1/0"),
    )
    # As the home of someone who has worked before: its first use looks for no servers.
    Servers(settings).set_up(task["url"], lambda _: None)
    with Workbench(settings) as wb:
        yield wb
