"""What a limit's row may leave out, events that get resolved, and position limits that are changed."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.integration.services.rows import ROWS
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import ValueRefused


def test_a_limit_of_few_words_has_defaults(wb: Workbench) -> None:
    wb.risk_management.write_risk_limits(
        pd.DataFrame({"limit_id": ["var"], "metric": ["var_95"], "threshold": [0.05]})
    )
    (made,) = wb.risk_management.load_risk_limits("var").to_dict("records")
    assert (made["breached"], made["action"], made["status"]) == ("above", "alert", "active")


def test_an_event_is_resolved_after_it_happened(wb: Workbench) -> None:
    wb.risk_management.write_risk_limits(ROWS["risk_management.risk_limits"])
    write, load = wb.risk_management.write_risk_events, wb.risk_management.load_risk_events
    write(ROWS["risk_management.risk_events"])
    assert load(resolved=False)["event_id"].tolist() == ["e-1"]
    assert load(resolved=True)["event_id"].tolist() == ["e-2"]
    early = pd.DataFrame({"event_id": ["e-1"], "resolved_at": [pd.Timestamp("2024-02-29", tz="UTC")]})
    # The frame has no timestamp to compare with: the database has.
    with pytest.raises(ValueRefused, match="resolved_at must not lie before timestamp"):
        write(early)
    assert write(early.assign(resolved_at=pd.Timestamp("2024-03-02", tz="UTC"))) == Written(0, 1, 0)
    assert load(resolved=False).empty


def test_a_position_limit_is_paused_without_its_limits_but_not_made_without_any(wb: Workbench) -> None:
    limits = ROWS["risk_management.position_limits"]
    write, load = wb.risk_management.write_position_limits, wb.risk_management.load_position_limits
    write(limits.drop(columns="status"))
    assert load("main", "AAPL")["status"].tolist() == ["active"]
    paused = limits[["account_id", "symbol"]].assign(status="paused")
    assert write(paused) == Written(0, 2, 0)
    assert load(status="paused")["max_quantity"].tolist() == [1_000.0, 0.00000001]
    with pytest.raises(ValueRefused, match="a position limit needs a max_quantity, a max_notional or"):
        write(paused.assign(account_id="hedge"))
