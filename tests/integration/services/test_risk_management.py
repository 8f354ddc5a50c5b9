"""Limits, position limits and what broke them: round trips, filters, keys, and events that get resolved."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import ColumnMismatch, FrameRefused, MissingReference, ValueRefused

LIMITS = pd.DataFrame(
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
)
EVENTS = pd.DataFrame(
    {
        "event_id": ["e-1", "e-2"],
        "limit_id": ["drawdown", None],
        "timestamp": pd.to_datetime(["2024-03-01 16:00", "2024-02-01 16:00"], utc=True),
        "account_id": ["main", None],
        "strategy": [None, "sma"],
        "symbol": [None, "AAPL"],
        "metric": ["max_drawdown", "stale_prices"],
        "observed": [-0.2345678901234567, None],
        "threshold": [-0.2, None],
        "severity": ["critical", "info"],
        "message": ["main lost 23 %", ""],
        "metadata": [{"peak": 1_000_000}, {}],
        "resolved_at": pd.to_datetime(pd.Series([None, "2024-02-02 09:30"]), utc=True),
        "resolution": [None, "feed restarted"],
    }
)
POSITION_LIMITS = pd.DataFrame(
    {
        "account_id": ["main", "main"],
        "symbol": ["AAPL", "BTC-USD"],
        "max_quantity": [1_000.0, 0.00000001],
        "max_notional": [1e15, None],
        "max_weight": [None, 0.1],
    }
)


@pytest.fixture
def risk(wb: Workbench) -> Any:
    """The service, with the limits and the events in it."""
    assert wb.risk_management.write_risk_limits(LIMITS).inserted == 3
    assert wb.risk_management.write_risk_events(EVENTS).inserted == 2
    return wb.risk_management


def _same(loaded: pd.DataFrame, given: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        loaded[list(given.columns)], given.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_limits_come_back_and_by_filter(risk: Any) -> None:
    _same(risk.load_risk_limits(), LIMITS)
    assert risk.write_risk_limits(LIMITS) == Written(0, 0, 3)
    assert risk.load_risk_limits(account_id="main")["limit_id"].tolist() == ["drawdown"]
    assert risk.load_risk_limits(strategy_id="sma", status="paused")["limit_id"].tolist() == ["exposure"]
    assert risk.load_risk_limits(symbols=["AAPL", "IBM"])["limit_id"].tolist() == ["liquidity"]
    assert risk.load_risk_limits(metric="max_drawdown")["action"].tolist() == ["halt"]
    assert risk.load_risk_limits("nothing").empty


def test_a_limit_of_few_words_has_sensible_defaults_and_is_changed_by_fewer(risk: Any) -> None:
    risk.write_risk_limits(pd.DataFrame({"limit_id": ["var"], "metric": ["var_95"], "threshold": [0.05]}))
    (made,) = risk.load_risk_limits("var").to_dict("records")
    assert (made["breached"], made["action"], made["status"]) == ("above", "alert", "active")
    change = pd.DataFrame({"limit_id": ["var", "drawdown"], "status": "inactive"})
    assert risk.write_risk_limits(change) == Written(0, 2, 0)
    assert risk.load_risk_limits("var")["threshold"].tolist() == [0.05]
    with pytest.raises(
        ColumnMismatch, match=r"'metric' for new rows, and 1 row is not in the table yet, first"
    ):
        risk.write_risk_limits(change.assign(limit_id=["new", "var"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": float("inf")}, "it is not finite"),
        ({"threshold": float("nan")}, "it is missing"),
        ({"breached": "beyond"}, "breached must be above or below"),
        ({"action": "pray"}, "action must be alert, block, reduce or halt"),
        ({"status": "on"}, "status must be active, inactive or paused"),
        ({"metric": ""}, "limit_id and metric must not be empty"),
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"risk_management.risk_limits.*{said}"):
        wb.risk_management.write_risk_limits(LIMITS.assign(**change))
    assert wb.risk_management.load_risk_limits().empty


def test_events_come_back_oldest_first_and_by_filter(risk: Any) -> None:
    _same(risk.load_risk_events(), EVENTS.iloc[::-1])
    assert risk.write_risk_events(EVENTS) == Written(0, 0, 2)
    assert risk.load_risk_events("2024-02-01", "2024-03-01")["event_id"].tolist() == ["e-2"]
    assert risk.load_risk_events(limit_id="drawdown", account_id="main")["event_id"].tolist() == ["e-1"]
    assert risk.load_risk_events(strategy_id="sma", symbols="AAPL")["event_id"].tolist() == ["e-2"]
    assert risk.load_risk_events(severity=["critical", "error"])["event_id"].tolist() == ["e-1"]
    assert risk.load_risk_events(resolved=False)["event_id"].tolist() == ["e-1"]
    assert risk.load_risk_events(resolved=True)["event_id"].tolist() == ["e-2"]
    assert risk.load_risk_events(latest=1)["event_id"].tolist() == ["e-1"]
    assert risk.load_risk_events(event_id="e-9").empty


def test_an_event_is_resolved_by_its_key_and_what_is_new(risk: Any) -> None:
    solved = pd.DataFrame(
        {"event_id": ["e-1"], "resolved_at": [pd.Timestamp("2024-03-02", tz="UTC")], "resolution": ["sold"]}
    )
    assert risk.write_risk_events(solved) == Written(0, 1, 0)
    assert risk.load_risk_events(resolved=False).empty
    assert risk.load_risk_events(event_id="e-1")["observed"].tolist() == [-0.2345678901234567]
    early = solved.assign(resolved_at=pd.Timestamp("2024-02-29", tz="UTC"))
    # The frame has no timestamp to compare with: the database has.
    with pytest.raises(ValueRefused, match="resolved_at must not lie before timestamp"):
        risk.write_risk_events(early)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"limit_id": "ghost"}, MissingReference, "ghost.*write that one first"),
        ({"severity": "fatal"}, ValueRefused, "severity must be info, warning, error or critical"),
        (
            {"resolved_at": pd.Timestamp("2024-02-15", tz="UTC")},
            ValueRefused,
            "row 0 is refused: resolved_at must not lie before timestamp",
        ),
    ],
    ids=str,
)
def test_an_event_that_cannot_be_is_refused(
    wb: Workbench, change: dict[str, Any], kind: type[FrameRefused], said: str
) -> None:
    wb.risk_management.write_risk_limits(LIMITS)
    with pytest.raises(kind, match=f"risk_management.risk_events.*{said}"):
        wb.risk_management.write_risk_events(EVENTS.assign(**change))
    assert wb.risk_management.load_risk_events().empty


def test_position_limits_come_back_and_are_changed_by_a_few_columns(wb: Workbench) -> None:
    write, load = wb.risk_management.write_position_limits, wb.risk_management.load_position_limits
    assert write(POSITION_LIMITS).inserted == 2
    _same(load(), POSITION_LIMITS)
    assert write(POSITION_LIMITS) == Written(0, 0, 2)
    assert load("main", "AAPL")["status"].tolist() == ["active"]
    # Without any limit, which a new row could not be.
    paused = POSITION_LIMITS[["account_id", "symbol"]].assign(status="paused")
    assert write(paused) == Written(0, 2, 0)
    assert load(status="paused")["max_quantity"].tolist() == [1_000.0, 0.00000001]
    with pytest.raises(ValueRefused, match="a position limit needs a max_quantity, a max_notional or"):
        write(paused.assign(account_id="hedge"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_quantity": -1.0}, "max_quantity must be finite and not below zero"),
        ({"max_notional": -0.01}, "max_notional must be finite and not below zero"),
        ({"max_weight": -0.1}, "max_weight must be finite and not below zero"),
        (
            {"max_quantity": None, "max_weight": None},
            "row 1 is refused: a position limit needs a max_quantity, a max_notional or a max_weight",
        ),
    ],
    ids=str,
)
def test_a_position_limit_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"risk_management.position_limits.*{said}"):
        wb.risk_management.write_position_limits(POSITION_LIMITS.assign(**change))
    assert wb.risk_management.load_position_limits().empty
