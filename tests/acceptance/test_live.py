"""A strategy runs each minute, the stack goes down and up between: what was said stays as it was said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from tests.acceptance.conftest import Site, end_site, make_site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import DatabaseError, WorkbenchError

pytestmark = [pytest.mark.timeout(1800)]

MINUTE = timedelta(minutes=1)
NAME, SOURCE, SYMBOLS = "each-minute", "file_1min", ["ONE", "TWO"]
SERVICES = [
    "data_ingestion",
    "strategy_engine",
    "execution",
    "risk_management",
    "analytics",
    "notification",
    "logging",
]
# Buys at a bar of each fourth minute, and sells two minutes later.
SAID = {0: "buy", 2: "sell"}
RULE = """
import pandas as pd
from workbench import Workbench
from workbench.backtest import backtest

wb = Workbench()
bars = wb.data_ingestion.load_market_data(symbols, source=source)
minute = bars.index.get_level_values("timestamp").minute
result = backtest(
    bars, entries=pd.Series(minute % 4 == 0, bars.index), exits=pd.Series(minute % 4 == 2, bars.index)
)
wb.save(result, strategy_id="each-minute", bars=bars)
"""


@dataclass
class Lived:
    """What was said before the stack went down, and in all; what became of each slot; when it was away."""

    site: Site
    before: pd.DataFrame
    said: pd.DataFrame
    slots: pd.DataFrame
    down: datetime
    up: datetime


@pytest.fixture(scope="module")
def lived() -> Iterator[Lived]:
    site = make_site()
    try:
        assert site.run("up", "--detach").returncode == 0
        notebook = write_notebook(
            site.folder / "rule.ipynb",
            parameters=f"symbols: list[str] = {SYMBOLS}\nsource: str = {SOURCE!r}",
            cells=[RULE],
        )
        with site.workbench() as wb:
            _write_bars(wb)
            wb.promote(notebook, name=NAME, cron="* * * * *", timezone="UTC")
            _await_completed(wb, 2)
            before = _said(wb)
        down = datetime.now(UTC)
        assert site.run("down").returncode == 0
        # Three slots pass; and back early in a minute, so that the newest is caught up before the next one.
        time.sleep((down.replace(second=4) + 4 * MINUTE - datetime.now(UTC)).total_seconds())
        up = datetime.now(UTC)
        assert site.run("up", "--detach").returncode == 0
        with site.workbench() as wb:
            _await_completed(wb, 2, after=up)
            yield Lived(site, before, _said(wb), wb.deployments.slots(NAME, latest=1_000), down, up)
    finally:
        end_site(site)


def _write_bars(wb: Workbench) -> None:
    """Bars of each minute from two hours ago to an hour ahead: those ahead are not known to any run yet."""
    now = pd.Timestamp.now("UTC").floor("min")
    times = pd.date_range(now - pd.Timedelta(hours=2), now + pd.Timedelta(hours=1), freq="min")
    price = 100 + np.round(5 * np.sin(np.arange(len(times)) / 7), 2)
    for symbol in SYMBOLS:
        frame = pd.DataFrame(
            {
                "symbol": symbol,
                "timestamp": times,
                **dict.fromkeys(("open", "high", "low", "close"), price),
                "volume": 1.0,
            }
        )
        wb.data_ingestion.write_market_data(frame, source=SOURCE)
    known = {"symbol": SYMBOLS, "data_source": SOURCE, "calendar": "24/7", "bar_interval": "1min"}
    wb.data_ingestion.write_ingestion_status(pd.DataFrame(known))


def _said(wb: Workbench) -> pd.DataFrame:
    return wb.strategy_engine.load_strategy_signals(kind="live", deployment=NAME)


def _completed(wb: Workbench, after: datetime | None = None) -> list[datetime]:
    listed = wb.deployments.slots(NAME, latest=1_000)
    done = listed[listed["state"] == "completed"]
    if after is not None:
        done = done[done["updated_at"] > after]
    return sorted(slot.to_pydatetime() for slot in done["slot"])


def _await_completed(wb: Workbench, count: int, after: datetime | None = None) -> None:
    def enough() -> bool:
        time.sleep(1)
        return len(_completed(wb, after)) >= count

    wait_for(enough, f"{count} slots are completed", seconds=420)


def test_each_slot_that_was_run_said_one_row_for_each_symbol(lived: Lived) -> None:
    done = set(lived.slots.loc[lived.slots["state"] == "completed", "slot"])
    assert len(done) >= 4
    assert set(lived.said["slot"]) == done
    assert (lived.said.groupby("slot")["symbol"].agg(sorted).map(tuple) == tuple(SYMBOLS)).all()
    # By schedule: the runs that said it are those that Prefect started by itself.
    with lived.site.workbench() as wb:
        runs = [wb.runs.show(run_id) for run_id in lived.said["run_id"].unique()]
    assert all(run["scheduled_for"] == run["slot"] for run in runs)


def test_it_is_of_the_newest_bar_that_was_complete_at_the_slot(lived: Lived) -> None:
    """Though the bars of the next hour lie in the table already."""
    said = lived.said
    assert (said["timestamp"] == said["slot"] - MINUTE).all()
    expected = [SAID.get(bar.minute % 4, "hold") for bar in said["timestamp"]]
    assert said["signal"].tolist() == expected
    assert (said["said_at"] > said["slot"]).all()


def test_nothing_was_said_with_hindsight_of_the_slots_that_were_missed(lived: Lived) -> None:
    slots = lived.slots.sort_values("slot")
    first, last = slots["slot"].iloc[0], slots["slot"].iloc[-1]
    # Each moment from the first slot to the last has a row, and says what became of it.
    assert slots["slot"].tolist() == list(pd.date_range(first, last, freq="min"))
    away = slots[(slots["slot"] > lived.down) & (slots["slot"] <= lived.up - MINUTE)]
    assert len(away) >= 2
    assert set(away["state"]) <= {"missed"}
    assert away["reason"].str.len().gt(0).all()
    assert not set(away["slot"]) & set(lived.said["slot"])
    missed = slots.loc[slots["state"] == "missed", "slot"]
    assert not set(missed) & set(lived.said["slot"])


def test_what_was_said_before_stands_after_all_later_runs(lived: Lived) -> None:
    """Each later run saved its whole backtest anew."""
    now = lived.said[lived.said["slot"].isin(lived.before["slot"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(now, lived.before)


def test_neither_a_run_by_hand_nor_sql_of_any_service_changes_it(lived: Lived) -> None:
    with lived.site.workbench() as wb:
        ran = wb.deployments.trigger(NAME)
        assert ran.state == "COMPLETED", ran.message
        table = "strategy_engine.strategy_signals"
        statements = [
            f"UPDATE {table} SET signal = 'buy', strength = 1 WHERE kind = 'live'",
            f"DELETE FROM {table} WHERE kind = 'live'",
            f"TRUNCATE {table} CASCADE",
            (
                f"INSERT INTO {table} (signal_id, strategy_id, symbol, timestamp, signal, kind, deployment, "
                "slot, said_at, run_id) SELECT 'mine', strategy_id, 'MINE', timestamp, 'buy', 'live', "
                f"deployment, slot, said_at, run_id FROM {table} WHERE kind = 'live' LIMIT 1"
            ),
        ]
        for service in SERVICES:
            for statement in statements:
                with (
                    pytest.raises(WorkbenchError) as refused,
                    getattr(wb, service).pool.begin() as connection,
                ):
                    connection.execute(sa.text(statement))
                assert isinstance(refused.value, DatabaseError), (service, statement)
        now = _said(wb)
    kept = now[now["slot"].isin(lived.said["slot"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, lived.said)


def test_parity_is_told_by_the_command(lived: Lived) -> None:
    """Of a market without a close each bar opens as the slot comes: what is said of it can only be late."""
    told = lived.site.run("deployments", "parity", NAME, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    states = {pd.Timestamp(row["slot"]): row["state"] for row in found["slots"]}
    # The run for the last slot has read no bar that opened after it, so that one is not known to be late.
    assert states.pop(max(states)) in ("matched", "missed")
    assert set(states.values()) == {"late", "missed"}
    for row in lived.slots.to_dict("records"):
        if row["state"] in ("completed", "missed") and row["slot"] in states:
            assert states[row["slot"]] == {"completed": "late", "missed": "missed"}[row["state"]]
    assert "kept" in found["source"], "no run was needed for it"
    causes = sum(row["returns"] for row in found["causes"])
    (account,) = found["returns"]
    assert causes == pytest.approx(account["difference"], abs=1e-9)
