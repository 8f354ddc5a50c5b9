"""A real notebook, run by papermill for slots of a deployment: what it says is kept."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench import Workbench
from workbench.promotion.run import Origin

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True),
]

NOTEBOOK = "strategies/sma_cross.ipynb"


def _ran_for(wb: Workbench, day: str, **parameters: object) -> str:
    slot = pd.Timestamp(f"{day} 22:00", tz="UTC").to_pydatetime()
    origin = Origin(trigger="deployment", deployment="sma-nightly", slot=slot, purpose="live")
    return wb.run(NOTEBOOK, {"symbols": ["AAPL", "IBM"], **parameters}, origin=origin).run_id


def test_a_week_of_slots_with_nights_that_were_missed(wb: Workbench) -> None:
    wb.ingest(["AAPL", "IBM"], source="sample", start="2012-01-01", end="2012-11-28")
    first = _ran_for(wb, "2012-11-27")
    # The nights of the 28th to the 30th are missed; the sample goes on to Monday.
    wb.ingest(["AAPL", "IBM"], source="sample", start="2012-11-28", end="2012-12-04")
    last = _ran_for(wb, "2012-12-03")
    again = _ran_for(wb, "2012-12-04")
    rows = wb.strategy_engine.load_strategy_signals(deployment="sma-nightly")
    assert rows["run_id"].tolist() == [first, first, last, last, again, again]
    assert rows["symbol"].tolist() == ["AAPL", "IBM"] * 3
    assert [f"{bar:%m-%d}" for bar in rows["timestamp"]] == ["11-27"] * 2 + ["12-03"] * 4
    assert rows["reason"].isna().tolist() == [True] * 4 + [False] * 2
    assert set(rows["strategy_id"]) == {"sma_cross-AAPL-IBM-20-50"}
    assert rows["target"].between(0.0, 1.0).all()
    # The backtest of the last save says all of its history, beside them.
    saved = wb.strategy_engine.load_strategy_signals("sma_cross-AAPL-IBM-20-50", run_id=again)
    assert set(saved["kind"]) == {"backtest"}
    assert len(saved) > 5
    newest = rows[rows["run_id"] == last].set_index("symbol")
    pending = saved[saved["pending"]].set_index("symbol")["signal"]
    for symbol in ("AAPL", "IBM"):
        expected = pending.get(symbol, "hold")
        assert newest.loc[symbol, "signal"] == expected


def test_a_slot_that_was_said_is_not_said_again_with_other_parameters(wb: Workbench) -> None:
    wb.ingest(["AAPL", "IBM"], source="sample", start="2012-01-01", end="2012-12-01")
    first = _ran_for(wb, "2012-11-30")
    _declare_dead(wb)
    before = wb.strategy_engine.load_strategy_signals(kind="live")
    _ran_for(wb, "2012-11-30")
    assert wb.strategy_engine.load_signal_contradictions().empty
    _declare_dead(wb)
    other = _ran_for(wb, "2012-11-30", fast=1, slow=2)
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(kind="live"), before)
    told = wb.strategy_engine.load_signal_contradictions()
    assert not told.empty, "averages of one and two bars say what those of 20 and 50 do not"
    assert set(told["cause"]) == {"parameters"}
    assert set(told["said_run_id"]) == {first}
    assert wb.runs.show(other)["contradictions"]


def _declare_dead(wb: Workbench) -> None:
    """All runs, as is done with those whose process is gone: their slots may be tried again."""
    with wb.runs.pool.begin() as connection:
        connection.exec_driver_sql("UPDATE workbench.runs SET status = 'crashed'")
