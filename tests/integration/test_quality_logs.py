"""What is refused and what is noted stand in one log, each with rule, severity and row, and only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.servers import Postgres, ServerPark
from workbench import Workbench
from workbench.marketdata import CONTEXT_BARS, check
from workbench.sources.files import FileSource
from workbench.sources.source import RawBars


@pytest.fixture
def postgres(servers: ServerPark) -> Postgres:
    """PostgreSQL 18 alone: what 15 may do differently lies beneath the logs, and is tested there."""
    return servers.postgres("postgresql-18")


def read(path: Path) -> RawBars:
    (raw,) = FileSource(path).fetch(["X"])
    return raw


def write(wb: Workbench, raw: RawBars, *, first: int = 0, last: int | None = None) -> None:
    """Check some of the rows behind what is stored, and write bars and both kinds of log."""
    rows = raw.rows.iloc[first:last]
    before = None
    if first:
        before = wb.data_ingestion.load_market_data("X", source="file").tail(CONTEXT_BARS)
    checked = check(rows, symbol="X", data_source="file", origin=raw.origin, calendar="XNYS", before=before)
    logs = pd.concat([checked.refused, checked.noted], ignore_index=True)
    wb.data_ingestion.write_checked_bars(
        checked.good, logs.rename(columns={"row": "row_number"}), source="file"
    )


def everything(admin: Connection) -> list[tuple[Any, ...]]:
    return admin.execute("SELECT l.*, l.xmin FROM data_ingestion.data_quality_logs l ORDER BY id").fetchall()


def warnings(wb: Workbench) -> dict[str, list[int]]:
    logs = wb.data_ingestion.load_data_quality_logs("X", severity="warning")
    return {str(rule): sorted(own.tolist()) for rule, own in logs.groupby("rule")["row_number"]}


_DAYS = pd.bdate_range("2019-01-02", periods=100)

# As `tests/unit/marketdata/test_real_files.py` counts them by other means.
BAD_REFUSED = {
    "missing_timestamp": 50,
    "missing_value": 51,
    "non_positive_price": 54,
    "negative_volume": 1,
    "high_below_low": 2,
    "outside_range": 7,
    "too_many_decimals": 44,
}
BAD_NOTED = {"stale": [53], "jump": [101, 151, 301], "gap": [301]}


def test_both_severities_are_logged_with_rule_and_row_and_a_second_time_adds_none(
    wb: Workbench, shared_data: Path, admin: Connection
) -> None:
    raw = read(shared_data / "dirty" / "bad.csv")
    write(wb, raw)
    logs = wb.data_ingestion.load_data_quality_logs("X")
    errors = logs[logs["severity"] == "error"]
    assert errors["rule"].value_counts().to_dict() == BAD_REFUSED
    assert warnings(wb) == BAD_NOTED
    assert set(logs["severity"]) == {"error", "warning"}
    assert set(logs["origin"]) == {"bad.csv"}
    before = everything(admin)
    write(wb, raw)
    assert everything(admin) == before


def test_what_is_noted_is_stored_and_the_log_says_what_stood_there(wb: Workbench, shared_data: Path) -> None:
    write(wb, read(shared_data / "dirty" / "bad.csv"))
    logs = wb.data_ingestion.load_data_quality_logs("X", rule="jump")
    bars = wb.data_ingestion.load_market_data("X")
    for note in logs.to_dict("records"):
        bar = bars.loc[("X", note["timestamp"])]
        assert float(note["raw"]["open"]) == bar["open"]
        assert pd.to_datetime(note["raw"]["date"], utc=True) == note["timestamp"]
    assert logs["reason"].tolist()[0] == (
        "open 0.00022919 after a close of 225: 1.019e-06 times as much, and it stays there"
    )


def test_rows_that_come_in_parts_are_noted_as_those_that_come_at_once(
    wb: Workbench, shared_data: Path
) -> None:
    raw = read(shared_data / "dirty" / "bad.csv")
    for first, last in ((0, 90), (90, 160), (160, 330), (330, None)):
        write(wb, raw, first=first, last=last)
    assert warnings(wb) == BAD_NOTED


def test_an_ingestion_logs_both_severities_once(wb: Workbench, shared_data: Path, admin: Connection) -> None:
    """A file states no calendar, so that only the gap is not noted."""
    path = shared_data / "dirty" / "bad.csv"
    (series,) = wb.ingest("X", source="file", path=path)
    assert (series.refused, series.reasons) == (sum(BAD_REFUSED.values()), BAD_REFUSED)
    assert warnings(wb) == {rule: rows for rule, rows in BAD_NOTED.items() if rule != "gap"}
    assert series.noted == 4
    before = everything(admin)
    wb.ingest("X", source="file", path=path)
    assert everything(admin) == before


def test_a_file_that_goes_on_where_another_ended_is_judged_with_it(wb: Workbench, tmp_path: Path) -> None:
    """The step between the files is seen, and that the first one ended with a spike."""
    header = "date,open,high,low,close,volume\n"
    lines = [f"{day:%Y-%m-%d},100,101,99,100,{1000 + n}" for n, day in enumerate(_DAYS[:80])]
    lines[-1] = f"{_DAYS[79]:%Y-%m-%d},100,9900,99,9900,7"
    (tmp_path / "one.csv").write_text(header + "\n".join(lines))
    (tmp_path / "two.csv").write_text(
        header + "\n".join(f"{day:%Y-%m-%d},100,101,99,100,{n}" for n, day in enumerate(_DAYS[80:], 50))
    )
    wb.ingest("X", source="file", path=tmp_path / "one.csv")
    assert warnings(wb) == {}
    wb.ingest("X", source="file", path=tmp_path / "two.csv")
    (note,) = wb.data_ingestion.load_data_quality_logs("X").to_dict("records")
    assert (note["rule"], note["origin"], note["row_number"]) == ("spike", "two.csv", 1)
    assert note["reason"].startswith(f"the bar before, of {_DAYS[79]:%Y-%m-%d}: close 9900 is far off 100")
