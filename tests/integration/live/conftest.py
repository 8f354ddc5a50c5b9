"""Kernels of runs for slots, and small results that they save."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.attempt import Purpose
from workbench.backtest import BacktestResult, Signals, backtest
from workbench.settings import Settings

DEPLOYMENT = "nightly"
Kernel = Callable[..., Workbench]


def slot(day: str) -> datetime:
    """22:00 UTC of a day."""
    return pd.Timestamp(f"{day} 22:00", tz="UTC").to_pydatetime()


def bars_of(closes: Mapping[str, Sequence[float]], first: str = "2026-11-23") -> pd.DataFrame:
    """Daily bars from a Monday on, open as close."""
    rows = [
        (symbol, time, close, close, close, close, 1.0)
        for symbol, values in closes.items()
        for time, close in zip(pd.bdate_range(first, periods=len(values), tz="UTC"), values, strict=True)
    ]
    names = ["symbol", "timestamp", "open", "high", "low", "close", "volume"]
    return pd.DataFrame(rows, columns=names).set_index(["symbol", "timestamp"])


def rising(bars: pd.DataFrame, **rules: Any) -> BacktestResult:
    """Long after a close above the one before, out after one below it."""
    change = bars["close"].unstack("symbol").diff()
    return backtest(bars, Signals(change > 0.0, change < 0.0), name="rising", **rules)


@pytest.fixture
def kernel(wb: Workbench, database_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """`kernel("2026-11-25")`: the Workbench of the kernel of a run for that day's slot, begun just now."""
    with contextlib.ExitStack() as opened:

        def begin(
            day: str, *, purpose: Purpose = "live", deployment: str = DEPLOYMENT, **facts: Any
        ) -> Workbench:
            run_id = wb.runs.start(
                notebook="rising.ipynb",
                trigger="deployment",
                deployment=deployment,
                slot=slot(day),
                purpose=purpose,
                **facts,
            )
            with monkeypatch.context() as environment:
                environment.setenv("WORKBENCH_RUN_ID", str(run_id))
                found = opened.enter_context(Workbench(database_settings))
                assert found.run_id == run_id
            return found

        yield begin


def say(kernel: Workbench, bars: pd.DataFrame, *, end: str = "completed", **options: Any) -> dict[str, int]:
    """Save what the rule says of the bars in a kernel, and end its run; with "" it goes on."""
    written = kernel.save(rising(bars), strategy_id="rising", bars=bars, report=False, **options)
    kernel.session.store_trials()
    if end:
        kernel.runs.finish(run_of(kernel), end)
    return written


def run_of(kernel: Workbench) -> uuid.UUID:
    """The id of the kernel's run."""
    assert kernel.run_id is not None
    return kernel.run_id
