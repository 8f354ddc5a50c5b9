"""Logs are appended to and come back oldest first."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench import Workbench
from workbench.errors import ValueRefused

MOMENTS = pd.to_datetime(["2024-01-02 10:00", "2024-01-01 10:00"], utc=True)


def test_system_logs(wb: Workbench) -> None:
    logs = pd.DataFrame(
        {
            "timestamp": MOMENTS,
            "service": ["a", "b"],
            "level": ["info", "error"],
            "message": ["line\nbreak", "ünïcode 🚀"],
            "metadata": [{"n": 1}, {}],
        }
    )
    assert wb.logging.write_system_logs(logs).inserted == 2
    assert wb.logging.write_system_logs(logs.drop(columns="timestamp")).inserted == 2
    loaded = wb.logging.load_system_logs(end="2025-01-01")
    assert loaded["message"].tolist() == ["ünïcode 🚀", "line\nbreak"]
    assert loaded["metadata"].tolist() == [{}, {"n": 1}]
    assert loaded["event_type"].tolist() == ["log", "log"]
    assert wb.logging.load_system_logs(level="error", latest=1)["service"].tolist() == ["b"]
    with pytest.raises(ValueRefused, match="level must be debug, info, warning, error or critical"):
        wb.logging.write_system_logs(logs.assign(level="fatal"))


def test_trading_logs(wb: Workbench) -> None:
    logs = pd.DataFrame(
        {
            "timestamp": MOMENTS,
            "symbol": ["BTC", "AAPL"],
            "side": ["buy", "sell"],
            "quantity": [0.00000001, 100],
            "price": [65_000.12345678, None],
            "status": "filled",
        }
    )
    assert wb.logging.write_trading_logs(logs).inserted == 2
    loaded = wb.logging.load_trading_logs()
    assert loaded["quantity"].tolist() == [100.0, 0.00000001]
    assert loaded["price"].isna().tolist() == [True, False]
    assert wb.logging.load_trading_logs(symbols="BTC")["price"].tolist() == [65_000.12345678]
    with pytest.raises(ValueRefused, match="side must be buy or sell"):
        wb.logging.write_trading_logs(logs.assign(side="short"))


def test_performance_logs(wb: Workbench) -> None:
    logs = pd.DataFrame(
        {"timestamp": MOMENTS, "service": "a", "operation": ["x", "y"], "execution_time_ms": [1.5, 2.25]}
    )
    assert wb.logging.write_performance_logs(logs).inserted == 2
    loaded = wb.logging.load_performance_logs(start="2024-01-01", end="2024-01-03")
    assert loaded["execution_time_ms"].tolist() == [2.25, 1.5]
    assert loaded["memory_usage_mb"].isna().all()
    assert wb.logging.load_performance_logs(operation="x")["execution_time_ms"].tolist() == [1.5]
