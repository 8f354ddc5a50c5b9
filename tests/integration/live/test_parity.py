"""Parity on real runs: what was missed, late, revised and said by another version shows, with its cause."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.acceptance.notebooks import write_notebook
from workbench import Workbench
from workbench.errors import NotDeployed, QueryError
from workbench.headless.notebook_file import open_notebook
from workbench.marketdata.calendar import schedule
from workbench.parity.brief import parity_of
from workbench.parity.result import Parity
from workbench.promotion.contents import Contents
from workbench.promotion.run import Origin, run_notebook
from workbench.promotion.store import NotebookStore
from workbench.runs.versions import DeploymentVersion
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True),
]

NAME, SOURCE = "rising-nightly", "file_1d"
RULE = """
from workbench import Workbench
from workbench.backtest import Signals, backtest

wb = Workbench()
bars = wb.data_ingestion.load_market_data(["AAPL"], source=source)
change = bars["close"].unstack("symbol").diff()
result = backtest(bars, Signals(change > least, change < 0.0), name="rising", fees=0.0)
wb.save(result, strategy_id="rising", bars=bars, report=False)
"""
# From four sessions before the next one on; each opens where the one before closed.
CLOSES = [100.0, 101.0, 102.0, 101.0, 102.0, 103.0, 102.0, 104.0, 106.0]


class Nightly:
    """A deployment without a schedule: its slots are those that the test runs and misses."""

    def __init__(self, wb: Workbench, folder: Path) -> None:
        self.wb = wb
        self.settings: Settings = wb.session.settings
        self.notebook = write_notebook(
            folder / "rising.ipynb", parameters=f"least: float = 0.0\nsource: str = {SOURCE!r}", cells=[RULE]
        )
        store = NotebookStore(self.settings.store_folder, Contents(wb.runs.pool))
        self.sha256 = store.add(open_notebook(self.notebook)).sha256
        now = pd.Timestamp.now("UTC")
        times = schedule("XNYS", now - pd.Timedelta(days=20), now + pd.Timedelta(days=20))["open"]
        coming = int((times <= now + pd.Timedelta(minutes=30)).sum())
        # The next session is number 0.
        self.sessions = {number: times.index[coming + number] for number in range(-4, 7)}

    def write(self, closes: list[float], first: int = -4) -> None:
        """Bars of the sessions from a number on."""
        rows = [
            (self.sessions[first + place], closes[place - 1] if place else close, close)
            for place, close in enumerate(closes)
        ]
        frame = pd.DataFrame(rows, columns=["timestamp", "open", "close"]).assign(symbol="AAPL", volume=1.0)
        frame["high"], frame["low"] = (
            frame[["open", "close"]].max(axis=1),
            frame[["open", "close"]].min(axis=1),
        )
        self.wb.data_ingestion.write_market_data(frame, source=SOURCE)

    def slot(self, number: int) -> datetime:
        """22:00 UTC of a session, after its close in New York."""
        moment: datetime = (self.sessions[number] + pd.Timedelta(hours=22)).to_pydatetime()
        return moment

    def promote(self, **parameters: Any) -> int:
        new = DeploymentVersion(
            NAME, "rising.ipynb", self.sha256, {"source": SOURCE, **parameters}, {}, {}, "test"
        )
        version = self.wb.runs.versions.add(new).version
        self.wb.runs.versions.use(NAME, version)
        return version

    def run(self, number: int, **parameters: Any) -> str:
        origin = Origin(
            trigger="deployment", deployment=NAME, version=1, slot=self.slot(number), purpose="live"
        )
        done = run_notebook(
            self.settings,
            self.wb.runs,
            "rising.ipynb",
            {"source": SOURCE, **parameters},
            sha256=self.sha256,
            origin=origin,
            environment=settings_environment(self.settings),
        )
        return done.run_id

    def miss(self, *numbers: int) -> None:
        reasons = {self.slot(number): "the stack was down" for number in numbers}
        self.wb.runs.slots.settle(NAME, reasons, "missed")

    def states(self, found: Parity) -> list[str]:
        return [self.row(found, number)["state"] for number in range(-3, 4)]

    def row(self, found: Parity, number: int) -> dict[Any, Any]:
        (row,) = found.table[found.table["slot"] == self.slot(number)].to_dict("records")
        return row


@pytest.fixture
def nightly(wb: Workbench, tmp_path: Path) -> Nightly:
    made = Nightly(wb, tmp_path)
    made.write(CLOSES)
    known = {"symbol": ["AAPL"], "data_source": SOURCE, "calendar": "XNYS", "bar_interval": "1d"}
    wb.data_ingestion.write_ingestion_status(pd.DataFrame(known))
    return made


def test_what_was_missed_late_revised_and_said_by_another_version_shows(nightly: Nightly) -> None:
    wb, compare = nightly.wb, nightly.wb.deployments.parity
    nightly.promote()
    # Of three sessions ago, said today: the bar that its backtest fills has opened long ago.
    late = nightly.run(-3)
    nightly.miss(-2, -1, 2)
    for number in (0, 1, 3):
        newest = nightly.run(number)
    runs = len(wb.runs.list(deployment=NAME))

    found = compare(NAME)
    assert (found.version, found.run_id) == (1, newest)
    assert nightly.states(found) == ["late", "missed", "missed", "matched", "matched", "missed", "matched"]
    assert found.counts == {"matched": 3, "late": 1, "missed": 3}
    assert found.notes == ()
    assert nightly.row(found, -3)["run_id"] == late
    missed = nightly.row(found, 2)
    assert (missed["signal"], missed["why"]) == ("sell", "missed: the stack was down")
    assert found.table["bars_revised"].isna().all()
    # The backtest holds sessions -2, -1, 1 and 2, and ends where it began; a run for session 3 reads no later
    # bar. What was said bought at session 0's open, late, and held on.
    (account,) = found.returns.to_dict("records")
    assert account["backtest"] == pytest.approx(0.0, abs=1e-12)
    assert account["live"] == pytest.approx(104 / 101 - 1)
    causes = dict(zip(found.causes["cause"], found.causes["returns"], strict=True))
    assert sum(causes.values()) == pytest.approx(account["difference"], abs=1e-9)
    assert causes["missed"] != 0.0
    assert causes["late"] != 0.0
    assert (causes["differed"], causes["revised"]) == (0.0, 0.0)
    assert len(wb.runs.list(deployment=NAME)) == runs, "what the newest run kept was enough"
    # As the newest run itself noted of the slots before its own.
    noted = "2 matched, 1 late, 3 missed"
    assert parity_of(wb.runs.pool, [NAME, "another"]) == {NAME: noted}

    # A bar is corrected, below the one before: nothing was to be bought of it.
    nightly.write([101.0, 100.5], first=-1)
    said: list[str] = []
    found = compare(NAME, progress=said.append)
    assert found.run_id != newest
    assert f"bars were revised since the newest run ({SOURCE}/AAPL)" in found.source
    assert any("on today's bars" in words for words in said)
    assert nightly.states(found) == ["late", "missed", "missed", "revised", "revised", "missed", "matched"]
    row = nightly.row(found, 0)
    assert (row["said_signal"], row["signal"]) == ("buy", "hold")
    assert row["why"] == f"bars were revised: {SOURCE}/AAPL"
    # It says the same of the last slot, though bars that it read were revised.
    assert nightly.row(found, 3)["bars_revised"] == f"{SOURCE}/AAPL"
    causes = dict(zip(found.causes["cause"], found.causes["returns"], strict=True))
    assert sum(causes.values()) == pytest.approx(float(found.returns["difference"].iloc[0]), abs=1e-9)
    assert causes["differed"] == 0.0
    assert len(wb.strategy_engine.load_strategy_signals(deployment=NAME)) == 4, "the run of now said nothing"
    # What that run kept is enough for the next time; a fresh one is made, and doubts are cleared, on request.
    assert compare(NAME).run_id == found.run_id
    fresh = compare(NAME, fresh=True)
    assert fresh.run_id != found.run_id
    assert nightly.states(fresh) == nightly.states(found), "on the bars that they knew they say the same"

    # The nights after, that is told by itself, once.
    nightly.run(4)
    last = nightly.run(5)
    broken = [pd.Timestamp(nightly.slot(number)).isoformat() for number in (0, 1)]
    assert wb.runs.show(last)["evidence"]["parity_broken"] == broken
    with wb.runs.pool.begin() as connection:
        events = connection.exec_driver_sql("SELECT data FROM workbench.events WHERE type = 'parity.broken'")
        assert [event.data["slots"] for event in events] == [broken]

    # Another version has other parameters: it buys after a rise of more than 1.5 only.
    nightly.promote(least=1.5)
    found = compare(NAME)
    assert found.version == 2
    assert "no run of this version" in found.source or "other parameters" in found.source
    bad = found.table[found.table["state"] == "differed"]
    assert len(bad)
    assert bad["why"].str.startswith("said with other parameters: least").all()
    assert set(bad["said_version"]) == {1}
    nightly.miss(6)
    assert parity_of(wb.runs.pool, [NAME])[NAME].endswith(" missed, 1 missed since")


def test_what_cannot_be_is_refused_and_an_empty_time_is_said(nightly: Nightly) -> None:
    compare = nightly.wb.deployments.parity
    with pytest.raises(NotDeployed, match="nothing is deployed as rising-nightly"):
        compare(NAME)
    nightly.promote()
    found = compare(NAME)
    assert (
        found.summary == "rising-nightly: no slot of this time is over, so that there is nothing to compare"
    )
    assert found.to_dict()["table"] == []
    assert "nothing to compare" in found._repr_html_()
    for options in ({"days": 0}, {"since": "not a day"}):
        with pytest.raises(QueryError):
            compare(NAME, **options)
