"""Alerts and what people were told: round trips, filters, keys, and alerts switched off by a few columns."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import ColumnMismatch, FrameRefused, MissingReference, ValueRefused

ALERTS = pd.DataFrame(
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
)
LOGS = pd.DataFrame(
    {
        "sent_at": pd.to_datetime(["2024-01-02 16:00:01", "2024-01-02 16:00:00"], utc=True),
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
)


def _same(loaded: pd.DataFrame, given: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        loaded[list(given.columns)], given.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_alerts_come_back_and_by_filter(wb: Workbench) -> None:
    write, load = wb.notification.write_alert_configs, wb.notification.load_alert_configs
    assert write(ALERTS).inserted == 2
    _same(load(), ALERTS)
    assert write(ALERTS) == Written(0, 0, 2)
    assert load("drawdown")["condition"].tolist() == [{"severity": ["error", "critical"]}]
    assert load(event_type="market_data.written", channel="webhook")["alert_id"].tolist() == ["late-bars"]
    assert load(enabled=True)["alert_id"].tolist() == ["drawdown"]
    assert load(enabled=False, severity="warning")["alert_id"].tolist() == ["late-bars"]
    assert load(severity="info").empty


def test_an_alert_is_switched_by_its_key_and_what_is_new(wb: Workbench) -> None:
    write, load = wb.notification.write_alert_configs, wb.notification.load_alert_configs
    write(ALERTS.drop(columns=["condition", "severity", "cooldown_seconds", "enabled"]))
    assert load()[["severity", "cooldown_seconds", "enabled"]].to_numpy().tolist() == [
        ["warning", 0, True],
        ["warning", 0, True],
    ]
    off = pd.DataFrame({"alert_id": ["late-bars"], "enabled": [False]})
    assert write(off) == Written(0, 1, 0)
    assert load(enabled=True)["alert_id"].tolist() == ["drawdown"]
    with pytest.raises(ColumnMismatch, match=r"'name' for new rows, .* first row 0 \(alert_id=other\)"):
        write(off.assign(alert_id="other"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity": "fatal"}, "severity must be info, warning, error or critical"),
        ({"cooldown_seconds": -1}, "cooldown_seconds must be finite and not below zero"),
        ({"cooldown_seconds": 1.5}, "it is not a whole number"),
        ({"target": ""}, "alert_id, event_type, channel and target must not be empty"),
        ({"enabled": "yes"}, "it is not True or False"),
    ],
    ids=str,
)
def test_an_alert_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"notification.alert_configs.*{said}"):
        wb.notification.write_alert_configs(ALERTS.assign(**change))
    assert wb.notification.load_alert_configs().empty


def test_what_people_were_told_is_appended_and_comes_back_oldest_first(wb: Workbench) -> None:
    write, load = wb.notification.write_notification_logs, wb.notification.load_notification_logs
    wb.notification.write_alert_configs(ALERTS)
    assert write(LOGS).inserted == 2
    assert write(LOGS.drop(columns="sent_at")).inserted == 2
    _same(load(end="2024-01-03"), LOGS.iloc[::-1])
    assert len(load("2024-01-03")) == 2
    assert load(alert_id="drawdown", latest=1)["event_id"].tolist() == [2**53 + 1]
    assert load(status="failed", channel="webhook")["error"].tolist() == ["connection refused"] * 2
    assert len(load(recipient="desk@example.com", correlation_id="c-1")) == 2
    assert load(status="suppressed").empty


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"alert_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"status": "lost"}, ValueRefused, "status must be sent, failed or suppressed"),
        ({"message": None}, ValueRefused, "it is missing"),
    ],
    ids=str,
)
def test_what_cannot_have_been_told_is_refused(
    wb: Workbench, change: dict[str, Any], kind: type[FrameRefused], said: str
) -> None:
    wb.notification.write_alert_configs(ALERTS)
    with pytest.raises(kind, match=f"notification.notification_logs.*{said}"):
        wb.notification.write_notification_logs(LOGS.assign(**change))
    assert wb.notification.load_notification_logs().empty
