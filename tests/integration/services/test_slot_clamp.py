"""A run for a slot sees no bar that was not complete at the slot; anything else is listed in its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.acceptance.notebooks import write_notebook
from tests.conftest import Connection
from workbench import Workbench
from workbench.errors import EmptyRange, NoBarsWarning
from workbench.marketdata.calendar import sessions
from workbench.promotion.run import Origin
from workbench.runs.record import about
from workbench.services import bar_store
from workbench.settings import Settings

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

# New York closes at 13:00, the day before a holiday.
SLOT = pd.Timestamp("2024-07-03 17:00", tz="UTC")
EVERYTHING = ["AAPL", "BTC-USD", "HOURS", "WHO"]
# The last bar of each that was complete then: today's share, yesterday's coin, the hour that began at 16:00;
# and of the unknown one that of the day before.
LAST = {"AAPL": "2024-07-03", "BTC-USD": "2024-07-02", "HOURS": "2024-07-03 16:00", "WHO": "2024-07-02"}

Kernel = Callable[..., Workbench]


def _bars(symbol: str, times: pd.DatetimeIndex) -> pd.DataFrame:
    close = np.arange(100.0, 100.0 + len(times))
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return pd.DataFrame({"symbol": symbol, "timestamp": times, **prices, "volume": 10.0})


@pytest.fixture
def stocked(wb: Workbench) -> Workbench:
    """A share, a coin, hourly bars and a series of which nothing is known, all going on after the slot."""
    days = pd.date_range("2024-06-24", "2024-07-09", tz="UTC", unit="us")
    times = {
        "AAPL": sessions("XNYS", days[0], days[-1]),
        "BTC-USD": days,
        "HOURS": pd.date_range("2024-07-01", "2024-07-04", freq="h", tz="UTC", unit="us"),
        "WHO": sessions("XNYS", days[0], days[-1]),
    }
    for symbol, stamps in times.items():
        wb.data_ingestion.write_market_data(_bars(symbol, stamps), source="file")
    known = pd.DataFrame(
        {
            "symbol": ["AAPL", "BTC-USD", "HOURS"],
            "calendar": ["XNYS", "24/7", None],
            "bar_interval": ["1d", "1d", "1h"],
        }
    )
    wb.data_ingestion.write_ingestion_status(known.assign(data_source="file"))
    return wb


@pytest.fixture
def kernel(
    stocked: Workbench, database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kernel]:
    """`kernel(slot)`: the Workbench of a notebook that runs for that slot; or for none."""
    made: list[Workbench] = []

    def kernel(slot: pd.Timestamp | None = SLOT, purpose: Any = "shadow") -> Workbench:
        facts: dict[str, Any] = {} if slot is None else {"deployment": "d", "slot": slot, "purpose": purpose}
        run_id = stocked.runs.start(notebook="a.ipynb", trigger="command", **facts)
        with monkeypatch.context() as context:
            context.setenv("WORKBENCH_RUN_ID", str(run_id))
            made.append(Workbench(database_settings))
            assert made[-1].run_id == run_id
        return made[-1]

    yield kernel
    for one in made:
        one.close()


def _last(bars: pd.DataFrame) -> dict[str, str]:
    last = bars.reset_index().groupby("symbol")["timestamp"].max()
    return {
        str(symbol): f"{at:%Y-%m-%d}" if at == at.normalize() else f"{at:%Y-%m-%d %H:%M}"
        for symbol, at in last.items()
    }


def _evidence(wb: Workbench) -> dict[str, list[str]]:
    evidence: dict[str, list[str]] = wb.runs.show(str(wb.run_id))["evidence"]
    return evidence


@pytest.mark.parametrize("purpose", ["live", "rehearsal", "shadow", "backfill", "rerun"])
def test_each_symbol_is_clamped_by_its_own_sessions(stocked: Workbench, kernel: Kernel, purpose: str) -> None:
    everything = stocked.data_ingestion.load_market_data(EVERYTHING)
    seen = kernel(purpose=purpose).data_ingestion.load_market_data(EVERYTHING)
    assert _last(seen) == LAST
    cut = [everything.loc[[name]].loc[: (name, pd.Timestamp(end, tz="UTC"))] for name, end in LAST.items()]
    pd.testing.assert_frame_equal(seen.reset_index(), pd.concat(cut).reset_index(), check_index_type=False)


@pytest.mark.parametrize(
    ("slot", "last"),
    [
        ("2024-07-03 16:59:59.999999", "2024-07-02"),
        ("2024-07-03 17:00", "2024-07-03"),
        ("2024-07-05 19:59", "2024-07-03"),
        ("2024-07-05 20:00", "2024-07-05"),
    ],
)
def test_a_slot_at_the_very_close_sees_the_bar(kernel: Kernel, slot: str, last: str) -> None:
    bars = kernel(pd.Timestamp(slot, tz="UTC")).data_ingestion.load_market_data("AAPL")
    assert _last(bars) == {"AAPL": last}


def test_a_run_for_no_slot_sees_everything(stocked: Workbench, kernel: Kernel) -> None:
    whole = stocked.data_ingestion.load_market_data(EVERYTHING)
    command = kernel(None)
    pd.testing.assert_frame_equal(command.data_ingestion.load_market_data(EVERYTHING), whole)
    command.sql("SELECT 1 AS one")
    assert _evidence(command) == {}


def test_ranges_and_the_latest_bars_are_of_what_is_seen(kernel: Kernel) -> None:
    load = kernel().data_ingestion.load_market_data
    latest = load(EVERYTHING, latest=2)
    assert _last(latest) == LAST
    assert (latest.groupby("symbol").size() == 2).all()
    assert _last(load(EVERYTHING, "2024-07-01", "2024-07-08")) == LAST
    before = load(EVERYTHING, "2024-07-01", "2024-07-02")
    assert {day[:10] for day in _last(before).values()} == {"2024-07-01"}
    # From here on only the share and the hours have a complete bar.
    with pytest.warns(NoBarsWarning, match="this run is for the slot 2024-07-03 17:00 UTC") as caught:
        later = load(EVERYTHING, "2024-07-03")
    assert set(_last(later)) == {"AAPL", "HOURS"}
    [warning] = [one.message for one in caught if isinstance(one.message, NoBarsWarning)]
    assert warning.symbols == ("BTC-USD", "WHO")
    assert "of which the slot shows those before 2024-07-02 17:00 UTC;" in str(warning)
    # A text that named the last bar would tell of what comes.
    assert "2024-07-09" not in str(warning)
    with pytest.warns(NoBarsWarning, match="slot"):
        assert load("AAPL", "2024-07-04", latest=1).empty
    with pytest.raises(EmptyRange):
        load("AAPL", "2024-07-04", "2024-07-04")


def test_a_series_that_begins_after_the_slot_has_no_bars(stocked: Workbench, kernel: Kernel) -> None:
    early = kernel(pd.Timestamp("2024-01-01", tz="UTC"))
    with pytest.warns(NoBarsWarning, match="of which the slot shows none"):
        bars = early.data_ingestion.load_market_data(["AAPL", "BTC-USD"])
    assert bars.empty
    pd.testing.assert_series_equal(bars.dtypes, stocked.data_ingestion.load_market_data("AAPL").dtypes)
    with pytest.warns(NoBarsWarning, match="slot"):
        assert early.data_ingestion.load_market_data(source="file").empty


def test_prices_are_adjusted_for_what_had_happened(stocked: Workbench, kernel: Kernel) -> None:
    """A dividend of the slot's day, and a split and a dividend after it."""
    paid = pd.DataFrame(
        {
            "symbol": "AAPL",
            "data_source": "file",
            "ex_date": pd.to_datetime(["2024-07-03", "2024-07-05", "2024-07-08"]),
            "kind": ["dividend", "split", "dividend"],
            "value": [1.0, 2.0, 3.0],
        }
    )
    stocked.data_ingestion.write_corporate_actions(paid)
    service = stocked.data_ingestion
    shown = service.load_market_data("AAPL", end="2024-07-04", adjust="yahoo", as_of="2024-07-03")
    assert shown["close"].iloc[-2] < service.load_market_data("AAPL", end="2024-07-04")["close"].iloc[-2]
    run = kernel().data_ingestion
    for as_of in (None, "2024-07-03", "2024-07-09", "2030-01-01"):
        found = run.load_market_data("AAPL", adjust="yahoo", as_of=as_of)
        pd.testing.assert_frame_equal(found, shown)
    pd.testing.assert_frame_equal(run.load_market_data("AAPL", adjust="yahoo", latest=3), shown.iloc[-3:])
    assert run.load_corporate_actions("AAPL")["kind"].tolist() == ["dividend"]
    assert run.load_corporate_actions("AAPL", "2024-07-04").empty
    # An instant earlier the session of the dividend's day is not over, and all that is seen is cum.
    just_before = kernel(SLOT - pd.Timedelta(seconds=1)).data_ingestion
    assert just_before.load_corporate_actions().empty
    raw = just_before.load_market_data("AAPL")
    pd.testing.assert_frame_equal(just_before.load_market_data("AAPL", adjust="yahoo"), raw)
    assert len(service.load_corporate_actions()) == 3


def test_bars_as_they_were_known_are_clamped_alike(stocked: Workbench, kernel: Kernel) -> None:
    """Before bars of the share and the coin were corrected: by the same sessions as those of today."""
    before = pd.Timestamp.now("UTC")
    corrected = stocked.data_ingestion.load_market_data(["AAPL", "BTC-USD"]) + 1000
    stocked.data_ingestion.write_market_data(corrected.reset_index(), source="file")
    load = kernel().data_ingestion.load_market_data
    known = load(EVERYTHING, as_known=before)
    assert _last(known) == LAST
    assert known["close"].max() < 1000
    assert _last(load(["AAPL", "BTC-USD"], latest=1, as_known=before)) == {
        name: LAST[name] for name in ("AAPL", "BTC-USD")
    }
    today = load(EVERYTHING)
    assert _last(today) == LAST
    assert today["close"].loc["AAPL"].min() > 1000


def test_coverage_ends_with_what_is_seen(kernel: Kernel) -> None:
    table = kernel().data_ingestion.coverage(["AAPL", "BTC-USD"]).table
    assert table["last"].dt.strftime("%Y-%m-%d").to_dict() == {"AAPL": "2024-07-03", "BTC-USD": "2024-07-02"}


@pytest.mark.parametrize("clamped_first", [True, False])
def test_the_cache_serves_both_whoever_comes_first(
    stocked: Workbench,
    kernel: Kernel,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
    clamped_first: bool,
) -> None:
    """Cold, from cached series, and from the file of the whole that a third load maps."""
    monkeypatch.setattr(bar_store, "WORTH_KEEPING", 1)
    run = kernel()
    later = kernel(pd.Timestamp("2024-07-05 20:00", tz="UTC"))
    kernels = [run, later, stocked] if clamped_first else [stocked, later, run]
    last = {
        id(run): {"AAPL": "2024-07-03", "WHO": "2024-07-02"},
        id(later): {"AAPL": "2024-07-05", "WHO": "2024-07-03"},
        id(stocked): {"AAPL": "2024-07-09", "WHO": "2024-07-09"},
    }
    for _ in range(3):
        for one in kernels:
            assert _last(one.data_ingestion.load_market_data(["AAPL", "WHO"])) == last[id(one)]
            assert _last(one.data_ingestion.load_market_data("AAPL", latest=1)) == {
                "AAPL": last[id(one)]["AAPL"]
            }
    # All of it is in the cache now: nobody reads a bar.
    admin.execute("REVOKE SELECT ON data_ingestion.market_data FROM workbench_data_ingestion")
    for one in kernels:
        assert _last(one.data_ingestion.load_market_data(["AAPL", "WHO"])) == last[id(one)]


def test_what_is_not_clamped_is_listed(stocked: Workbench, kernel: Kernel) -> None:
    run = kernel()
    statement = "SELECT max(timestamp)\n  FROM data_ingestion.market_data -- " + "long " * 60
    assert str(run.sql(statement)["max"].iloc[0])[:10] == "2024-07-09"
    run.sql(statement)
    run.data_ingestion.load_ingestion_status("AAPL")
    run.data_ingestion.load_data_quality_logs(source="file")
    run.data_ingestion.load_series_revisions("AAPL")
    run.data_ingestion.load_market_data_history()
    listed = _evidence(run)["unclamped"]
    assert len(listed) == 5
    [said] = [line for line in listed if line.startswith("SELECT")]
    assert said.startswith("SELECT max(timestamp) FROM data_ingestion.market_data -- long")
    assert len(said) == 200
    assert set(listed) == {
        said,
        "load_ingestion_status('AAPL')",
        "load_data_quality_logs(source='file')",
        "load_series_revisions('AAPL')",
        "load_market_data_history()",
    }


def test_a_guessed_close_is_listed_and_shown(stocked: Workbench, kernel: Kernel) -> None:
    run = kernel()
    run.data_ingestion.load_market_data(["AAPL", "BTC-USD", "HOURS"])
    assert _evidence(run) == {}
    run.data_ingestion.load_market_data(EVERYTHING)
    run.sql("SELECT 1 AS one")
    assert _evidence(run) == {"unknown_close": ["file/WHO"], "unclamped": ["SELECT 1 AS one"]}
    record = stocked.runs.show(str(run.run_id))
    told = dict(about(record))
    assert (told["unknown close"], told["read unclamped"]) == ("file/WHO", "SELECT 1 AS one")
    assert "unknown close" in record._repr_html_()  # type: ignore[attr-defined]


def test_ingestion_in_such_a_run_reads_all_that_is_stored(
    stocked: Workbench, kernel: Kernel, tmp_path: Path
) -> None:
    """What it appends to and checks against is what is there, and no result comes from it."""
    run = kernel()
    path = tmp_path / "AAPL.csv"
    path.write_text("date,open,high,low,close,volume\n2024-07-10,110,110,110,110,10\n")
    [series] = run.ingest("AAPL", source="file", path=path)
    assert series.written.inserted == 1
    assert _evidence(run) == {}
    assert _last(stocked.data_ingestion.load_market_data("AAPL")) == {"AAPL": "2024-07-10"}
    assert _last(run.data_ingestion.load_market_data("AAPL")) == {"AAPL": "2024-07-03"}


def test_a_real_notebook_for_a_slot(stocked: Workbench, tmp_path: Path) -> None:
    """Run by papermill for the slot, with a `%%sql` beside its loads; by hand it sees everything."""
    cells = [
        "from workbench import Workbench\nwb = Workbench()",
        "%load_ext workbench.jupyter",
        "bars = wb.data_ingestion.load_market_data(['AAPL', 'BTC-USD', 'HOURS', 'WHO'])",
        "last = bars.reset_index().groupby('symbol')['timestamp'].max()",
        "print(*(f'{name} {at:%m-%d %H:%M}' for name, at in last.items()), sep=', ')",
        "%%sql newest\nSELECT max(timestamp) AS at FROM data_ingestion.market_data",
    ]
    notebook = write_notebook(tmp_path / "study.ipynb", parameters="fast = 10", cells=cells)
    origin = Origin(trigger="deployment", deployment="d", slot=SLOT.to_pydatetime(), purpose="live")
    ran = stocked.run(notebook, origin=origin)
    seen = "AAPL 07-03 00:00, BTC-USD 07-02 00:00, HOURS 07-03 16:00, WHO 07-02 00:00"
    assert seen in ran.output.read_text()
    evidence = stocked.runs.show(ran.run_id)["evidence"]
    assert evidence["unknown_close"] == ["file/WHO"]
    assert "SELECT max(timestamp) AS at FROM data_ingestion.market_data" in evidence["unclamped"]
    page = ran.html.read_text()
    assert "unknown close" in page
    assert "read unclamped" in page
    by_hand = stocked.run(notebook)
    assert "AAPL 07-09 00:00" in by_hand.output.read_text()
    assert stocked.runs.show(by_hand.run_id)["evidence"] == {}
