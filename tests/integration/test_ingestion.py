"""Ingestion of real, dirty files: every row is stored, or logged with its reason; none is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.servers import Postgres, ServerPark
from workbench import Settings, Workbench
from workbench.errors import EmptyRange, FileRefused, NoBarsWarning, QueryError, SourceError, UnknownSymbol


@pytest.fixture
def postgres(servers: ServerPark) -> Postgres:
    """PostgreSQL 18 alone: what 15 may do differently lies beneath ingestion, and is tested there."""
    return servers.postgres("postgresql-18")


# The rows of each file, as the README beside the files counts them.
ROWS = {
    "bad.csv": 502,
    "default.csv": 502,
    "intraday.csv": 1564,
    "mismatch.csv": 502,
    "orcl-2010-googlefinance-malformed.csv": 252,
    "penny.csv": 533,
    "toobig.csv": 1246,
    "zeros.csv": 200,
}


def _ingest(wb: Workbench, path: Path) -> None:
    # Only the intraday file has times of day; the others' dates need no zone.
    wb.ingest("X", source="file", path=path, timezone="America/New_York")


def test_the_project_s_source_and_calendar_are_those_of_an_ingestion(
    database_settings: Settings, tmp_path: Path
) -> None:
    """26 December is a holiday in London and no holiday in New York."""
    path = tmp_path / "two.csv"
    days = ["2023-12-22", "2023-12-26", "2023-12-27", "2023-12-28"]
    path.write_text("date,open,high,low,close,volume\n" + "".join(f"{day},5,5,5,5,1\n" for day in days))
    settings = database_settings.model_copy(update={"source": "file", "calendar": "XLON"})
    with Workbench(settings) as wb:
        wb.ingest("VOD", path=path)
        wb.ingest("SAME", path=path, calendar="none")
        # The sample's bars are New York's, wherever the project is.
        wb.ingest("AAPL", source="sample", start="2012-12-20", end="2012-12-31")
        notes = wb.data_ingestion.load_data_quality_logs(severity="warning")
    noted = notes[notes["reason"].str.contains("XLON")]
    assert set(noted["symbol"]) == {"VOD"}
    assert noted["timestamp"].dt.strftime("%Y-%m-%d").tolist() == ["2023-12-26"]


@pytest.fixture(params=sorted(ROWS))
def dirty(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    """One of the dirty files."""
    return shared_data / "dirty" / str(request.param)


def test_these_are_all_the_dirty_files(shared_data: Path) -> None:
    assert {path.name for path in (shared_data / "dirty").iterdir()} == set(ROWS)


@pytest.mark.filterwarnings("ignore::workbench.errors.NoBarsWarning")  # some files have no good row
def test_every_row_is_stored_or_logged_with_its_reason_exactly_once(wb: Workbench, dirty: Path) -> None:
    _ingest(wb, dirty)
    bars = wb.data_ingestion.load_market_data(["X"])
    logs = wb.data_ingestion.load_data_quality_logs(["X"], severity="error")
    assert len(bars) + len(logs) == ROWS[dirty.name]
    assert bars.index.is_unique
    assert logs["row_number"].is_unique
    assert (logs["reason"].str.len() > 0).all()
    assert (logs["rule"].str.len() > 0).all()
    assert set(logs["origin"]) <= {dirty.name}
    assert (wb.data_ingestion.load_ingestion_status("X")["bars"] == len(bars)).all()


def test_each_logged_row_says_what_stood_in_the_file(wb: Workbench, dirty: Path) -> None:
    """The file's own lines are the witness; JSONB keeps the values, but not the order of the columns."""
    _ingest(wb, dirty)
    header, *lines = (line for line in dirty.read_text("utf-8-sig").splitlines() if line.strip())
    logs = wb.data_ingestion.load_data_quality_logs(["X"], severity="error")
    for row, raw in zip(logs["row_number"], logs["raw"], strict=True):
        line = lines[row - 1]
        cells = dict(zip(header.split(","), line.split(","), strict=False))
        assert raw == {"line": line} if "line" in raw else {k: v or "" for k, v in raw.items()} == cells


def test_each_stored_bar_stands_in_the_file(wb: Workbench, shared_data: Path) -> None:
    """Pandas reads the clean file, too: that is the independent reading."""
    _ingest(wb, shared_data / "dirty" / "default.csv")
    bars = wb.data_ingestion.load_market_data("X").reset_index("symbol", drop=True)
    theirs = pd.read_csv(shared_data / "dirty" / "default.csv", parse_dates=["date"], index_col="date")
    assert len(bars) == 502
    assert bars.index.tz_convert(None).as_unit("ns").equals(theirs.index.as_unit("ns"))  # type: ignore[attr-defined]
    assert (bars.to_numpy() == theirs[bars.columns].to_numpy(dtype="float64")).all()


def test_again_changes_nothing(wb: Workbench, dirty: Path, admin: Connection) -> None:
    def all_rows() -> list[list[tuple[Any, ...]]]:
        return [
            admin.execute(f"SELECT t.*, t.xmin FROM data_ingestion.{table} t ORDER BY id".encode()).fetchall()
            for table in ("market_data", "data_quality_logs")
        ] + [
            admin.execute("SELECT symbol, bars, revision FROM data_ingestion.ingestion_status").fetchall(),
            admin.execute("SELECT count(*) FROM workbench.events").fetchall(),
        ]

    _ingest(wb, dirty)
    before = all_rows()
    _ingest(wb, dirty)
    assert all_rows() == before


def test_what_is_told_of_an_ingestion_is_what_happened(wb: Workbench, shared_data: Path) -> None:
    (series,) = wb.ingest("X", source="file", path=shared_data / "dirty" / "bad.csv")
    logs = wb.data_ingestion.load_data_quality_logs("X", severity="error")
    assert (series.rows, series.refused) == (502, len(logs))
    assert series.written.inserted == len(wb.data_ingestion.load_market_data("X"))
    assert series.reasons == Counter(logs["rule"])
    assert series.example.startswith(f"row {logs['row_number'].min()}: ")


def test_a_file_without_a_single_good_bar_is_all_reasons(wb: Workbench, shared_data: Path) -> None:
    _ingest(wb, shared_data / "dirty" / "zeros.csv")
    with pytest.warns(NoBarsWarning, match="X was ingested, but no bar of it is stored"):
        assert wb.data_ingestion.load_market_data("X").empty
    logs = wb.data_ingestion.load_data_quality_logs("X", severity="error")
    assert set(logs["rule"]) == {"non_positive_price"}
    assert len(wb.data_ingestion.load_data_quality_logs("X", rule="non_positive_price", latest=7)) == 7


def test_a_corrected_file_brings_its_rows_up_to_date(wb: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    header = "date,open,high,low,close,volume\n"
    path.write_text(header + "2024-01-02,1,1,1,1,5\n2024-01-03,2,1,3,2,5\n")
    _ingest(wb, path)
    assert len(wb.data_ingestion.load_market_data("X")) == 1
    path.write_text(header + "2024-01-02,1,1,1,1,6\n2024-01-03,2,3,1,2,5\n")
    _ingest(wb, path)
    assert wb.data_ingestion.load_market_data("X")["volume"].tolist() == [6.0, 5.0]


def test_a_range_is_half_open_and_an_empty_one_writes_nothing(wb: Workbench, shared_data: Path) -> None:
    path = shared_data / "dirty" / "default.csv"
    (series,) = wb.ingest("X", source="file", path=path, start="2017-01-04", end="2017-01-06")
    assert series.rows == 2
    with pytest.raises(EmptyRange, match="no bars of X from 2030-01-01; nothing was written"):
        wb.ingest("X", source="file", path=path, start="2030-01-01")
    assert len(wb.data_ingestion.load_market_data("X")) == 2


def test_what_cannot_be_ingested_is_said_before_anything_is_written(
    wb: Workbench, tmp_path: Path, admin: Connection
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("date,open,high,low,volume\n2024-01-02,1,1,1,5\n")
    with pytest.raises(FileRefused, match="close"):
        wb.ingest("X", source="file", path=path)
    with pytest.raises(SourceError, match="needs a path: --path FILE"):
        wb.ingest("X", source="file")
    with pytest.raises(SourceError, match="takes no path"):
        wb.ingest("AAPL", path=path)
    with pytest.raises(UnknownSymbol, match="NOPE"):
        wb.ingest(["AAPL", "NOPE"])
    assert admin.execute("SELECT count(*) FROM data_ingestion.ingestion_status").fetchall() == [(0,)]


def _gaps(wb: Workbench) -> list[str]:
    logs = wb.data_ingestion.load_data_quality_logs(severity="warning", rule="gap")
    return [f"{at.date()}" for at in logs["timestamp"]]


def test_a_file_is_held_against_the_calendar_that_is_named_and_else_against_none(
    wb: Workbench, tmp_path: Path
) -> None:
    """New York was closed on New Year's Day and at the weekends, and open on 2024-01-03."""
    path = tmp_path / "bars.csv"
    days = ("2023-12-29", "2024-01-02", "2024-01-04", "2024-01-05", "2024-01-08")
    path.write_text(
        "date,open,high,low,close,volume\n"
        + "".join(f"{day},10,12,9,10.{n},{100 + n}\n" for n, day in enumerate(days))
    )
    for calendar in (None, "none", ""):
        (series,) = wb.ingest("X", source="file", path=path, calendar=calendar)
        assert (series.noted, _gaps(wb)) == (0, [])
    (series,) = wb.ingest("X", source="file", path=path, calendar="XNYS")
    assert (series.noted, _gaps(wb)) == (1, ["2024-01-04"])
    wb.ingest("Y", source="file", path=path, calendar="24/7")
    assert sorted(_gaps(wb))[1:] == ["2024-01-04", "2024-01-04", "2024-01-08"]


def test_the_sample_is_held_against_new_york(wb: Workbench) -> None:
    """It has every session there was: there are gaps against a calendar without holidays alone."""
    wb.ingest("IBM", start="2012-01-01")
    assert _gaps(wb) == []
    wb.ingest("IBM", start="2012-01-01", end="2012-01-20", calendar="24/5")
    # New Year's Day is before the first bar; the 16th was Martin Luther King's.
    assert set(_gaps(wb)) == {"2012-01-17"}


def test_a_calendar_that_does_not_exist_is_refused_before_anything_is_read(wb: Workbench) -> None:
    with pytest.raises(QueryError, match=r'no exchange calendar "XNYSE" \(did you mean XNYS'):
        wb.ingest("X", source="file", path="/there/is/no/such.csv", calendar="XNYSE")


def test_one_row_with_an_impossible_date_does_not_hide_the_bars_stored_before(
    wb: Workbench, tmp_path: Path
) -> None:
    """The second file's good rows go on at a hundred times the first one's prices."""
    header, first, second = "date,open,high,low,close,volume\n", tmp_path / "1.csv", tmp_path / "2.csv"
    days = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2024-01-01", periods=6)]
    first.write_text(header + "".join(f"{day},1,1.2,0.9,1.{n},10{n}\n" for n, day in enumerate(days[:3])))
    second.write_text(
        header
        + "1492-10-12,1,1,1,1,1\n"
        + "".join(f"{day},100,120,90,11{n},10{n}\n" for n, day in enumerate(days[3:]))
    )
    for path in (first, second):
        (series,) = wb.ingest("X", source="file", path=path)
    assert series.reasons == {"implausible_past": 1}
    logs = wb.data_ingestion.load_data_quality_logs("X", severity="warning")
    assert [f"{at.date()}" for at in logs["timestamp"]] == [days[3]]


def test_a_split_that_is_stored_explains_the_step_of_a_file(wb: Workbench, tmp_path: Path) -> None:
    header = "date,open,high,low,close,volume\n"
    days = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2024-01-01", periods=20)]
    prices = zip(days, [80] * 10 + [40] * 10, strict=True)
    lines = [
        f"{day},{price},{price + 2},{price - 2},{price + n % 2},{100 + n}\n"
        for n, (day, price) in enumerate(prices)
    ]
    (tmp_path / "bars.csv").write_text(header + "".join(lines))
    split = pd.DataFrame({"symbol": ["X"], "ex_date": [days[10]], "kind": ["split"], "value": [2.0]})
    wb.data_ingestion.write_corporate_actions(
        split.assign(ex_date=pd.to_datetime(split["ex_date"]), data_source="file")
    )
    (known,) = wb.ingest("X", source="file", path=tmp_path / "bars.csv")
    (unknown,) = wb.ingest("Y", source="file", path=tmp_path / "bars.csv")
    assert (known.noted, unknown.noted) == (0, 1)
    (rule,) = wb.data_ingestion.load_data_quality_logs(["Y"])["rule"]
    assert rule == "possible_split"


def test_the_sample_is_12154_bars_of_each_series_however_often(wb: Workbench) -> None:
    """12,154: counted in bokeh_sampledata's own CSV files."""
    for _ in range(2):
        wb.ingest(["AAPL", "FB", "GOOG", "IBM", "MSFT"])
    for source in ("yahoo", "yahoo_adjusted"):
        assert len(wb.data_ingestion.load_market_data(source=source)) == 12_154
    assert wb.data_ingestion.load_data_quality_logs(severity="error").empty
    # Apple's two splits and Microsoft's one, which show in the raw prices.
    notes = wb.data_ingestion.load_data_quality_logs(severity="warning", rule="possible_split")
    noted = {(symbol, f"{at.date()}") for symbol, at in notes[["symbol", "timestamp"]].to_numpy()}
    assert noted == {("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")}
