"""Rows of every table that services have: some to write, changes of them, and changes that are refused."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.errors import DuplicateKeys, FrameRefused, MissingReference, ValueRefused, WriteRefused

__all__ = ["CHANGES", "REFUSED", "ROWS"]


def _utc(*moments: str | None) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(pd.Series(moments), utc=True, format="ISO8601")


_MOMENTS = _utc("2024-01-02 10:00", "2024-01-01 10:00")

# Rows that loads sort by their moment are given in another order, others as they are loaded.
ROWS: dict[str, pd.DataFrame] = {
    "data_ingestion.data_quality_logs": pd.DataFrame(
        {
            "symbol": ["AAPL", "IBM"],
            "data_source": ["file", "yahoo"],
            "origin": ["bars.csv", ""],
            "row_number": [7, 2**53 + 1],
            "timestamp": _utc("2024-01-02", "2024-01-03"),
            "rule": ["jump", "high_below_low"],
            "severity": ["warning", "error"],
            "reason": ["the close is 9 times the last one", "high 1 < low 2"],
            "raw": [{"close": "9"}, {}],
        }
    ),
    "data_ingestion.ingestion_status": pd.DataFrame(
        {
            "symbol": ["AAPL", "IBM"],
            "data_source": ["file", "yahoo"],
            "last_success_at": _utc("2024-01-02", None),
            "last_error": [None, "timed out"],
        }
    ),
    "strategy_engine.strategies": pd.DataFrame(
        {
            "strategy_id": ["rsi", "sma"],
            "name": ["Reversal", "Crossing averages"],
            "parameters": [{}, {"fast": 20}],
            "status": ["inactive", "active"],
        }
    ),
    "strategy_engine.strategy_signals": pd.DataFrame(
        {
            "signal_id": ["s-1", "s-2", "s-3"],
            "strategy_id": ["sma", "sma", "rsi"],
            "symbol": ["AAPL", "AAPL", "IBM"],
            "timestamp": _utc("2024-01-02", "2024-01-05", "2024-01-03"),
            "signal": ["buy", "sell", "hold"],
            "strength": [1.0, 0.25, 0.0],
            "pending": [False, True, False],
            "kind": "backtest",
        }
    ),
    "strategy_engine.signal_contradictions": pd.DataFrame(
        {
            "deployment": ["nightly", "weekly"],
            "slot": _utc("2024-01-02 22:00", "2024-01-05 22:00"),
            "symbol": ["AAPL", "IBM"],
            "said_timestamp": _utc("2024-01-02", None),
            "said_signal": ["buy", "hold"],
            "said_strength": [1.0, 0.0],
            "said_target": [0.5, None],
            "timestamp": _utc("2024-01-02", "2024-01-05"),
            "signal": ["sell", "buy"],
            "strength": [1.0, 0.25],
            "target": [-0.5, 0.25],
            "cause": ["code", "bars_revised"],
            "details": [{"code": ["version_sha256"]}, {}],
            "created_at": _MOMENTS,
        }
    ),
    "strategy_engine.strategy_configs": pd.DataFrame(
        {"strategy_id": "sma", "version": [1, 2], "config": [{"a": 1}, {}], "active": [False, True]}
    ),
    "strategy_engine.strategy_performance": pd.DataFrame(
        {
            "strategy_id": ["sma", "rsi"],
            "date": pd.to_datetime(["2024-01-03", "2024-01-02"]),
            "returns": [0.01, -0.02],
            "sharpe_ratio": [None, -1.5],
            "max_drawdown": [0.0, -0.02],
            "total_trades": pd.array([None, 1], dtype="Int64"),
            "win_rate": [float("nan"), 0.0],
            "kind": "backtest",
        }
    ),
    "execution.orders": pd.DataFrame(
        {
            "order_id": ["o-1", "o-2", "o-3"],
            "account_id": ["main", "main", "hedge"],
            "symbol": ["AAPL", "BTC-USD", "AAPL"],
            "side": ["buy", "buy", "sell"],
            "order_type": ["market", "limit", "stop_limit"],
            "quantity": [100.0, 0.00000001, 9_999_999_999_999_998.0],
            "price": [None, 65_000.12345678, -37.63],  # the close of WTI crude on 20 April 2020
            "status": ["filled", "pending", "submitted"],
            "strategy": ["sma", None, "sma"],
            "created_at": _utc("2024-01-02 14:30", "2024-01-04", "2024-01-03"),
        }
    ),
    "execution.trades": pd.DataFrame(
        {
            "trade_id": ["t-1", "t-2", "t-3"],
            "order_id": ["o-1", "o-1", "o-2"],
            "account_id": ["main", "main", "hedge"],
            "symbol": ["AAPL", "AAPL", "BTC-USD"],
            "quantity": [60.0, 40.0, 0.00000001],
            "price": [185.64, 185.65, 65_000.0],
            "commission": [1.0, -0.2, 0.0],
            "executed_at": _utc("2024-01-02 15:00", "2024-01-02 14:59", "2024-01-03"),
            "strategy": ["sma", "sma", None],
        }
    ),
    "execution.positions": pd.DataFrame(
        {
            "account_id": ["hedge", "main", "main"],
            "symbol": ["AAPL", "AAPL", "BTC-USD"],
            "quantity": [-100.0, 0.0, 0.5],
            "avg_price": [185.64, None, 65_000.0],
            "market_value": [-18_564.0, 0.0, None],
            "unrealized_pnl": [0.0, None, -12.34567891],
        }
    ),
    # Of an order that nobody stored.
    "execution.execution_logs": pd.DataFrame(
        {
            "timestamp": _MOMENTS,
            "order_id": ["never-stored", None],
            "account_id": ["main", None],
            "symbol": ["AAPL", None],
            "event": ["rejected", "connected"],
            "level": ["error", "info"],
            "message": ["no buying power\nsee broker", ""],
            "correlation_id": ["c-1", "c-2"],
            "metadata": [{"code": 201}, {}],
        }
    ),
    "risk_management.risk_limits": pd.DataFrame(
        {
            "limit_id": ["drawdown", "exposure", "liquidity"],
            "account_id": ["main", None, None],
            "strategy": [None, "sma", None],
            "symbol": [None, None, "AAPL"],
            "metric": ["max_drawdown", "gross_exposure", "days_to_liquidate"],
            "breached": ["below", "above", "above"],
            "threshold": [-0.2, 0.1 + 0.2, 1e9],
            "action": ["halt", "reduce", "alert"],
            "status": ["active", "paused", "active"],
            "description": ["", "twice the capital", ""],
        }
    ),
    "risk_management.risk_events": pd.DataFrame(
        {
            "event_id": ["e-1", "e-2"],
            "limit_id": ["drawdown", None],
            "timestamp": _utc("2024-03-01 16:00", "2024-02-01 16:00"),
            "account_id": ["main", None],
            "strategy": [None, "sma"],
            "symbol": [None, "AAPL"],
            "metric": ["max_drawdown", "stale_prices"],
            "observed": [-0.2345678901234567, None],
            "threshold": [-0.2, None],
            "severity": ["critical", "info"],
            "message": ["main lost 23 %", ""],
            "metadata": [{"peak": 1_000_000}, {}],
            "resolved_at": _utc(None, "2024-02-02 09:30"),
            "resolution": [None, "feed restarted"],
        }
    ),
    "risk_management.position_limits": pd.DataFrame(
        {
            "account_id": ["main", "main"],
            "symbol": ["AAPL", "BTC-USD"],
            "max_quantity": [1_000.0, 0.00000001],
            "max_notional": [1e15, None],
            "max_weight": [None, 0.1],
            "status": ["active", "paused"],
        }
    ),
    "analytics.performance_metrics": pd.DataFrame(
        {
            "strategy": ["sma", "sma", "rsi"],
            "metric": ["sharpe_ratio", "win_rate", "sharpe_ratio"],
            "value": [0.1 + 0.2, None, -1.5],
            "period_start": _utc("2023-01-01", "2023-01-01", "2022-01-01"),
            "period_end": _utc("2024-01-01", "2024-01-01", "2023-01-01"),
            "metadata": [{"days": 250}, {}, {}],
        }
    ),
    "analytics.reports": pd.DataFrame(
        {
            "report_id": ["r-1", "r-2"],
            "strategy": ["sma", None],
            "kind": ["backtest", "daily"],
            "format": ["html", "pdf"],
            "title": ["Crossing averages", "Risk on 2 January"],
            "content": ["<p>ünïcode\t🚀\n\\N</p>", None],
            "file": [None, b"%PDF-1.7\r\n\x00\xff\\x41"],
            "metadata": [{"pages": 1}, {}],
            "created_at": _MOMENTS,
        }
    ),
    "analytics.analytics_cache": pd.DataFrame(
        {
            "cache_key": ["for ever", "long"],
            "value": [{"pairs": [[1, 2.5], None]}, [1]],
            "expires_at": _utc(None, "2999-01-01"),
        }
    ),
    "notification.alert_configs": pd.DataFrame(
        {
            "alert_id": ["drawdown", "late-bars"],
            "name": ["Drawdown of 20 %", "Bars are late"],
            "event_type": ["risk_events.written", "market_data.written"],
            "condition": [{"severity": ["error", "critical"]}, {}],
            "channel": ["email", "webhook"],
            "target": ["desk@example.com", "http://127.0.0.1:9/hook"],
            "severity": ["critical", "warning"],
            "cooldown_seconds": [3_600, 0],
            "enabled": [True, False],
        }
    ),
    "notification.notification_logs": pd.DataFrame(
        {
            "sent_at": _MOMENTS,
            "alert_id": ["drawdown", None],
            "event_id": pd.array([2**53 + 1, None], dtype="Int64"),
            "channel": ["email", "webhook"],
            "recipient": ["desk@example.com", "http://127.0.0.1:9/hook"],
            "status": ["sent", "failed"],
            "message": ["main lost 23 %\nsee the report", "x"],
            "error": [None, "connection refused"],
            "correlation_id": ["c-1", None],
            "metadata": [{"attempt": 1}, {}],
        }
    ),
    "logging.system_logs": pd.DataFrame(
        {
            "timestamp": _MOMENTS,
            "service": ["a", "b"],
            "level": ["info", "error"],
            "event_type": ["log", "start"],
            "message": ["line\nbreak", "ünïcode 🚀"],
            "correlation_id": ["c-1", None],
            "metadata": [{"n": 1}, {}],
        }
    ),
    "logging.trading_logs": pd.DataFrame(
        {
            "timestamp": _MOMENTS,
            "symbol": ["BTC", "AAPL"],
            "side": ["buy", "sell"],
            "quantity": [0.00000001, 100],
            "price": [65_000.12345678, None],
            "strategy": ["sma", None],
            "status": ["filled", "rejected"],
        }
    ),
    "logging.performance_logs": pd.DataFrame(
        {
            "timestamp": _MOMENTS,
            "service": ["a", "b"],
            "operation": ["x", "y"],
            "execution_time_ms": [1.5, 2.25],
            "memory_usage_mb": [None, 0.5],
        }
    ),
}

# Tables whose rows a frame of the key and one more column brings up to date.
CHANGES: dict[str, tuple[str, Any]] = {
    "strategy_engine.strategies": ("status", "paused"),
    "execution.orders": ("status", "rejected"),
    "execution.positions": ("market_value", 32_500.0),
    "risk_management.risk_limits": ("status", "inactive"),
    "risk_management.risk_events": ("resolution", "sold"),
    "notification.alert_configs": ("name", "Renamed"),
}

_NAN, _INF = float("nan"), float("inf")

# By table: what is changed in every row, the error, and its words.
REFUSED: dict[str, list[tuple[dict[str, Any], type[FrameRefused], str]]] = {
    "strategy_engine.strategy_signals": [
        ({"strength": 1.5}, ValueRefused, "strength must lie between 0 and 1"),
        ({"strength": -0.1}, ValueRefused, "strength must lie between 0 and 1"),
        ({"signal": "foo"}, ValueRefused, "signal must be buy, sell or hold"),
        ({"kind": "live"}, WriteRefused, "only a live run says live rows"),
        ({"target": _INF}, ValueRefused, "it is not finite"),
        ({"strategy_id": "ghost"}, MissingReference, "ghost.*write that one first"),
    ],
    "strategy_engine.signal_contradictions": [
        ({"cause": "mood"}, ValueRefused, "cause must be bars_revised, code, parameters or nondeterminism"),
        ({"said_signal": "foo"}, ValueRefused, "said_signal must be buy, sell or hold"),
    ],
    "strategy_engine.strategy_configs": [({"version": [0, 3]}, ValueRefused, "version must be 1 or more")],
    "execution.orders": [
        ({"quantity": 0.0}, ValueRefused, "row 0 is refused: quantity must be above zero and finite"),
        ({"quantity": -1.0}, ValueRefused, "row 0 is refused: quantity must be above zero and finite"),
        ({"quantity": _NAN}, ValueRefused, "row 0 holds nan, .* it is missing"),
        ({"quantity": 0.000000001}, ValueRefused, "it has 9 decimals and the column holds 8"),
        ({"price": _INF}, ValueRefused, "it is not finite"),
        ({"price": None}, ValueRefused, "row 1 is refused: every order but a market order needs a price"),
        ({"symbol": ""}, ValueRefused, "order_id, account_id and symbol must not be empty"),
        ({"side": "short"}, ValueRefused, "row 0 holds 'short', .* it is not one of buy, sell"),
        ({"order_type": "iceberg"}, ValueRefused, "it is not one of market, limit, stop, stop_limit"),
        (
            {"status": "done"},
            ValueRefused,
            "one of pending, submitted, filled, partially_filled, cancelled, rej",
        ),
    ],
    "execution.trades": [
        ({"order_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"quantity": -5.0}, ValueRefused, "quantity must be above zero and finite"),
        ({"commission": _NAN}, ValueRefused, "commission: row 0 holds nan"),
        ({"price": _INF}, ValueRefused, "it is not finite"),
        ({"trade_id": "t"}, DuplicateKeys, "3 rows of the frame share their key .* trade_id=t"),
    ],
    "execution.positions": [
        ({"account_id": "main", "symbol": "AAPL"}, DuplicateKeys, "account_id=main, symbol=AAPL"),
    ],
    "execution.execution_logs": [
        ({"level": "fatal"}, ValueRefused, "level must be debug, info, warning, error or critical"),
    ],
    "risk_management.risk_limits": [
        ({"threshold": _INF}, ValueRefused, "it is not finite"),
        ({"threshold": _NAN}, ValueRefused, "it is missing"),
        ({"breached": "beyond"}, ValueRefused, "breached must be above or below"),
        ({"action": "pray"}, ValueRefused, "action must be alert, block, reduce or halt"),
        ({"status": "on"}, ValueRefused, "status must be active, inactive or paused"),
        ({"metric": ""}, ValueRefused, "limit_id and metric must not be empty"),
    ],
    "risk_management.risk_events": [
        ({"limit_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"severity": "fatal"}, ValueRefused, "severity must be info, warning, error or critical"),
        (
            {"resolved_at": pd.Timestamp("2024-02-15", tz="UTC")},
            ValueRefused,
            "row 0 is refused: resolved_at must not lie before timestamp",
        ),
    ],
    "risk_management.position_limits": [
        ({"max_quantity": -1.0}, ValueRefused, "max_quantity must be finite and not below zero"),
        ({"max_notional": -0.01}, ValueRefused, "max_notional must be finite and not below zero"),
        ({"max_weight": -0.1}, ValueRefused, "max_weight must be finite and not below zero"),
        (
            {"max_quantity": None, "max_weight": None},
            ValueRefused,
            "row 1 is refused: a position limit needs a max_quantity, a max_notional or a max_weight",
        ),
    ],
    "analytics.performance_metrics": [
        ({"metric": ""}, ValueRefused, "strategy and metric must not be empty"),
        (
            {"period_end": pd.Timestamp("2021-06-01", tz="UTC")},
            ValueRefused,
            "row 0 is refused: period_end must not lie before period_start",
        ),
        ({"value": _INF}, ValueRefused, "it is not finite"),
        ({"run_id": "01234567-0000-4000-8000-000000000000"}, MissingReference, "run_id"),
    ],
    "analytics.reports": [
        (
            {"content": None},
            ValueRefused,
            "row 0 is refused: a report has either content .text. or a file .by",
        ),
        ({"content": "x" * 100_000}, ValueRefused, "row 1 is refused: a report has either content"),
        ({"kind": ""}, ValueRefused, "report_id, kind and format must not be empty"),
        ({"file": "text"}, ValueRefused, "row 0 holds 'text', .* it is not bytes but str"),
    ],
    "analytics.analytics_cache": [
        ({"cache_key": ["", "b"]}, ValueRefused, "cache_key must not be empty"),
        ({"value": None}, ValueRefused, "row 0 holds None, .* it is missing"),
        ({"value": [{"x": _NAN}, {}]}, ValueRefused, "it is not JSON"),
    ],
    "notification.alert_configs": [
        ({"severity": "fatal"}, ValueRefused, "severity must be info, warning, error or critical"),
        ({"cooldown_seconds": -1}, ValueRefused, "cooldown_seconds must be finite and not below zero"),
        ({"cooldown_seconds": 1.5}, ValueRefused, "it is not a whole number"),
        ({"target": ""}, ValueRefused, "alert_id, event_type, channel and target must not be empty"),
        ({"enabled": "yes"}, ValueRefused, "it is not True or False"),
    ],
    "notification.notification_logs": [
        ({"alert_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"status": "lost"}, ValueRefused, "status must be sent, failed or suppressed"),
        ({"message": None}, ValueRefused, "it is missing"),
    ],
    "logging.system_logs": [
        ({"level": "fatal"}, ValueRefused, "level must be debug, info, warning, error or critical"),
    ],
    "logging.trading_logs": [({"side": "short"}, ValueRefused, "side must be buy or sell")],
}
