"""An ingestion as a run: its record, its figures, and the symbols that fail without stopping the others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.conftest import Connection
from tests.vendors import Answer, aggregates, document, vendor_server
from workbench import Workbench
from workbench.errors import ParametersRefused, QueryError, SlotTaken, SourceError
from workbench.promotion.ingesting import check_ingestion, run_ingestion
from workbench.promotion.run import Origin
from workbench.promotion.run_version import run_version
from workbench.promotion.what_runs import WhatRuns
from workbench.settings import Settings

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

SLOT = datetime(2026, 11, 27, 21, 10, tzinfo=UTC)
LIVE = Origin(trigger="deployment", deployment="prices", version=1, slot=SLOT, purpose="live")


def quiet(*_: object) -> None:
    """Ignore what is told."""


def test_it_is_recorded_as_a_run_for_its_slot_and_its_bars_name_it(wb: Workbench, admin: Connection) -> None:
    given = {"symbols": ["AAPL", "IBM", "AAPL"], "start": "2012-01-01"}
    result = run_ingestion(wb.session, given, origin=LIVE)
    run = wb.runs.show(result.run_id)
    assert (run["notebook"], run["status"], run["deployment"], run["slot"]) == (
        "ingestion",
        "completed",
        "prices",
        SLOT,
    )
    assert run["parameters"]["symbols"] == ["AAPL", "IBM"]
    assert run["headline"]["inserted"] == 4 * 291  # sessions of New York from 2012-01-03 to 2013-03-01
    assert (run["headline"]["series"], run["headline"]["failed"]) == (4, 0)
    assert run["heartbeat"]["cells"] == 2
    told = admin.execute(
        "SELECT DISTINCT data->>'run_id' FROM workbench.events WHERE type = 'market_data.written'"
    ).fetchall()
    assert told == [(result.run_id,)]
    assert wb.deployments.slots("prices")["state"].tolist() == ["completed"]
    with pytest.raises(SlotTaken):
        run_ingestion(wb.session, given, origin=LIVE)
    again = run_ingestion(wb.session, given, origin=Origin(deployment="prices", slot=SLOT, purpose="rerun"))
    assert wb.runs.show(again.run_id)["headline"]["unchanged"] == 4 * 291


def test_a_symbol_that_fails_stops_no_other_and_is_named_by_the_run_that_fails(
    database_settings: Settings,
) -> None:
    days = pd.date_range("2026-01-05", periods=5, tz="UTC")
    bars = pd.DataFrame({"open": 5.0, "high": 6.0, "low": 4.0, "close": 5.0, "volume": 10.0}, index=days)
    with vendor_server() as server:
        server.answer("/stocks/v1/(splits|dividends)", Answer(document("polygon/actions_none")))
        server.answer("/v2/aggs/ticker/(AAPL|IBM)/.*", aggregates(bars))
        server.answer("/v2/aggs/ticker/GONE/.*", Answer(document("polygon/bars_none")))
        keys = {"polygon_api_key": SecretStr("k"), "polygon_url": server.url, "polygon_per_minute": 0}
        runs = WhatRuns(
            "ingestion",
            None,
            {"symbols": ["GONE", "AAPL", "IBM"], "source": "polygon"},
            {"retries": 2, "retry_on": "away", "locks": []},
            kind="ingest",
        )
        with Workbench(database_settings.model_copy(update=keys)) as wb:
            with pytest.raises(SourceError, match="1 of 3 symbols failed, the others are stored: GONE: "):
                run_version(wb.session, runs, LIVE, done=quiet, tell=quiet, progress=quiet)
            # Another attempt would not have it either, so there was one.
            (run_id,) = wb.runs.list(deployment="prices")["run_id"]
            run = wb.runs.show(run_id)
            assert run["status"] == "failed"
            assert "GONE: " in run["error"]
            assert [line.partition(":")[0] for line in run["evidence"]["failed"]] == ["GONE"]
            assert (run["headline"]["inserted"], run["headline"]["failed"]) == (10, 1)
            stored = wb.data_ingestion.status_stored(source="polygon").query("bars > 0")
            assert sorted(stored["symbol"]) == ["AAPL", "IBM"]
            slots = wb.deployments.slots("prices")
            assert slots[["state", "attempts"]].to_numpy().tolist() == [["failed", 1]]


def test_what_no_run_could_fetch_is_refused(wb: Workbench) -> None:
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"symbols": []}, SourceError, "needs its symbols"),
        ({"symbols": ["AAPL", " "]}, SourceError, "none of them may be empty"),
        ({"symbols": "AAPL"}, ParametersRefused, "symbols must be list"),
        ({"symbols": ["AAPL"], "sources": "yahoo"}, ParametersRefused, "did you mean source"),
        ({"symbols": ["AAPL"], "source": "yaho"}, SourceError, "yahoo"),
        ({"symbols": ["AAPL"], "feed": "sip"}, SourceError, "takes no feed"),
        ({"symbols": ["AAPL"], "source": "file"}, SourceError, "needs a path"),
        ({"symbols": ["AAPL"], "bars_calendar": "XNYSE"}, QueryError, "XNYS"),
        ({"symbols": ["AAPL"], "start": "yesterday"}, QueryError, "start"),
    ]
    for given, kind, said in cases:
        with pytest.raises(kind, match=said):
            check_ingestion(wb.settings, given)
