"""Ingestion from vendors: only what is missing, symbols apart, and one basis of prices in a series."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.servers import Postgres, ServerPark
from tests.vendors import Answer, Asked, VendorServer, aggregates, chart, document, vendor_server
from workbench import Workbench
from workbench.errors import (
    EmptyRange,
    KeyRefused,
    QueryError,
    SourceError,
    SourceUnreachable,
    UnknownSymbol,
)
from workbench.ingestion import IngestedSeries, ingest
from workbench.marketdata.calendar import sessions
from workbench.settings import Settings
from workbench.sources.polygon import PolygonSource
from workbench.sources.yahoo import YahooSource
from workbench.stack.environment import settings_environment

BARS = "/v2/aggs/ticker/.*"


@pytest.fixture
def postgres(servers: ServerPark) -> Postgres:
    """PostgreSQL 18 alone: what 15 may do differently lies beneath ingestion, and is tested there."""
    return servers.postgres("postgresql-18")


@pytest.fixture
def vendors() -> Iterator[VendorServer]:
    """A local server that plays the vendors; nobody has any actions."""
    with vendor_server() as server:
        server.answer("/stocks/v1/(splits|dividends)", Answer(document("polygon/actions_none")))
        yield server


@pytest.fixture
def bars() -> pd.DataFrame:
    """Forty sessions up to the week before last, indexed by date: close 100.25, 100.5 and so on."""
    today = pd.Timestamp.now("UTC").floor("D")
    days = sessions("XNYS", today - pd.Timedelta(days=90), today - pd.Timedelta(days=10))[-40:]
    close = 100 + np.arange(1, 41) / 4
    frame = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close}, index=days)
    return frame.assign(volume=1000.0 + np.arange(40))


class Vendor:
    """A vendor's source, and a workbench to bring its bars into."""

    def __init__(self, wb: Workbench, server: VendorServer, cache: Any) -> None:
        self.wb, self.server, self.cache = wb, server, cache
        self.slept: list[float] = []

    def polygon(self, symbols: str, start: str | None = None, end: str | None = None, **options: Any) -> Any:
        """Bring symbols from Polygon."""
        calendar = options.pop("calendar", None)
        source = PolygonSource(
            api_key="k",
            url=self.server.url,
            sleep=self.slept.append,
            **{"per_minute": 0, "attempts": 2, **options},
        )
        return ingest(self.wb.data_ingestion, source, symbols.split(), start, end, calendar=calendar)

    def yahoo(self, symbols: str, start: Any = None, end: Any = None, **options: Any) -> Any:
        """Bring symbols from Yahoo."""
        source = YahooSource(url=self.server.url, sleep=self.slept.append, cache=self.cache, **options)
        return ingest(self.wb.data_ingestion, source, symbols.split(), start, end)

    def close(self, symbol: str, source: str) -> list[float]:
        """The closes that are stored."""
        closes: list[float] = self.wb.data_ingestion.load_market_data(symbol, source=source)["close"].tolist()
        return closes

    def asked_from(self) -> list[str]:
        """From which dates Polygon was asked for bars."""
        return [asked.path.split("/")[-2] for asked in self.server.of(BARS)]

    def error_of(self, symbol: str) -> Any:
        """What `ingestion_status` tells of a symbol's last failure."""
        status = self.wb.data_ingestion.load_ingestion_status(symbol)
        return status["last_error"].iloc[0]


@pytest.fixture
def vendor(wb: Workbench, vendors: VendorServer, tmp_path: Any) -> Vendor:
    return Vendor(wb, vendors, tmp_path / "yahoo")


# ------------------------------------------------------------------------------------- what is missing


def test_the_second_time_only_what_is_missing_is_fetched(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, aggregates(bars[:30]))
    (first,) = vendor.polygon("AAPL")
    assert (first.rows, first.written.inserted, first.error) == (30, 30, "")
    vendor.server.answer(BARS, aggregates(bars))
    (second,) = vendor.polygon("AAPL")
    assert (second.written.inserted, second.written.unchanged, second.rows) == (10, 1, 11)
    assert vendor.asked_from() == ["1970-01-01", f"{bars.index[29].date()}"]
    assert vendor.close("AAPL", "polygon") == bars["close"].tolist()


def test_a_last_bar_that_was_unfinished_is_brought_up_to_date(vendor: Vendor, bars: pd.DataFrame) -> None:
    half = bars[:30].copy()
    half.loc[bars.index[29], "close"] = 107.0
    vendor.server.answer(BARS, aggregates(half))
    vendor.polygon("AAPL")
    vendor.server.answer(BARS, aggregates(bars))
    (series,) = vendor.polygon("AAPL")
    assert (series.written.inserted, series.written.updated) == (10, 1)
    assert vendor.close("AAPL", "polygon") == bars["close"].tolist()


def test_nothing_new_is_a_success_and_writes_no_bar(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, aggregates(bars))
    vendor.polygon("AAPL")
    before = vendor.wb.data_ingestion.load_ingestion_status("AAPL").iloc[0]
    (series,) = vendor.polygon("AAPL")
    (none,) = vendor.polygon("AAPL", end=f"{bars.index[20].date()}")
    after = vendor.wb.data_ingestion.load_ingestion_status("AAPL").iloc[0]
    assert (series.written.changed, series.error) == (0, "")
    assert (none.rows, none.error) == (0, "")
    assert after["revision"] == before["revision"]
    assert after["last_success_at"] > before["last_success_at"]


def test_a_start_that_is_said_is_kept(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, aggregates(bars))
    vendor.polygon("AAPL", start=f"{bars.index[20].date()}")
    assert vendor.close("AAPL", "polygon") == bars["close"].tolist()[20:]
    vendor.polygon("AAPL", start=f"{bars.index[5].date()}", end=f"{bars.index[10].date()}")
    assert len(vendor.close("AAPL", "polygon")) == 25


def test_a_bad_bar_is_logged_once_however_often_it_is_fetched(vendor: Vendor, bars: pd.DataFrame) -> None:
    bars.loc[bars.index[-1], "high"] = 1.0
    vendor.server.answer(BARS, aggregates(bars))
    (series,) = vendor.polygon("AAPL")
    assert (series.refused, series.reasons) == (1, {"high_below_low": 1})
    vendor.polygon("AAPL")
    logs = vendor.wb.data_ingestion.load_data_quality_logs("AAPL", severity="error")
    assert logs["timestamp"].tolist() == [bars.index[-1]]
    assert logs["origin"].tolist() == ["polygon 1d"]


def test_a_gap_is_noted_and_the_bars_around_it_are_stored(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, aggregates(bars.drop(bars.index[20])))
    (series,) = vendor.polygon("AAPL")
    assert (series.noted, series.refused, series.written.inserted) == (1, 0, 39)
    logs = vendor.wb.data_ingestion.load_data_quality_logs("AAPL", severity="warning")
    assert len(logs) == 1


def test_a_gap_between_two_fetches_is_noted_too(vendor: Vendor, bars: pd.DataFrame) -> None:
    """The stored last bar is refused in the second answer, and the one after it is not there."""
    vendor.server.answer(BARS, aggregates(bars[:30]))
    vendor.polygon("AAPL")
    vendor.server.answer(BARS, aggregates(bars.drop(bars.index[29:31])))
    (series,) = vendor.polygon("AAPL")
    assert (series.noted, series.written.inserted) == (1, 9)


def test_a_vendors_bars_are_held_against_another_calendar_or_none(vendor: Vendor, bars: pd.DataFrame) -> None:
    """Forty sessions are eight weeks: against all days of the week, each of its weekends is a gap."""
    vendor.server.answer(BARS, aggregates(bars.drop(bars.index[20])))
    (none,) = vendor.polygon("AAPL", calendar="none")
    assert none.noted == 0
    (always,) = vendor.polygon("IBM", calendar="24/7")
    assert always.noted >= 7
    asked = len(vendor.server.asked)
    with pytest.raises(QueryError, match='no exchange calendar "nowhere"'):
        vendor.polygon("MSFT", calendar="nowhere")
    assert len(vendor.server.asked) == asked


def test_a_split_that_was_told_earlier_explains_the_step_in_a_later_answer(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    """A vendor tells of a split before the bars come that it changes, and not again."""
    halved = bars.copy()
    halved.loc[bars.index[30:], ["open", "high", "low", "close"]] /= 2
    vendor.server.answer(BARS, aggregates(halved[:30]))
    vendor.polygon("AAPL")
    vendor.polygon("IBM")
    split = pd.DataFrame(
        {"symbol": ["AAPL"], "ex_date": [bars.index[30].tz_localize(None)], "kind": ["split"], "value": [2.0]}
    )
    vendor.wb.data_ingestion.write_corporate_actions(split.assign(data_source="polygon"))
    vendor.server.answer(BARS, aggregates(halved))
    (known,) = vendor.polygon("AAPL")
    (unknown,) = vendor.polygon("IBM")
    assert (known.noted, unknown.noted) == (0, 1)


def test_what_ingestion_looks_at_is_not_what_a_run_has_read(
    vendor: Vendor, bars: pd.DataFrame, database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = vendor.wb.runs.start(notebook="daily.ipynb", trigger="command")
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run))
    with Workbench(database_settings) as within:
        vendor.wb = within
        for answer in (bars[:30], bars):
            vendor.server.answer("/v8/.*", chart(answer))
            vendor.yahoo("AAPL")
            vendor.server.answer(BARS, aggregates(answer))
            vendor.polygon("AAPL")
        assert within.runs.show(str(run))["data_revisions"] == {}
        vendor.close("AAPL", "yahoo")
        assert set(within.runs.show(str(run))["data_revisions"]) == {"yahoo/AAPL"}


# ------------------------------------------------------------------------------------------ symbols apart


def _but(symbol: str, failing: Answer, bars: pd.DataFrame) -> Any:
    well = aggregates(bars)

    def answer(asked: Asked) -> Answer:
        return failing if f"/{symbol}/" in asked.path else well(asked)

    return answer


def test_a_symbol_that_fails_does_not_lose_the_others(vendor: Vendor, bars: pd.DataFrame) -> None:
    plan = Answer(document("polygon/not_in_plan"), status=403)
    vendor.server.answer(BARS, _but("IBM", plan, bars))
    told: list[IngestedSeries] = []
    source = PolygonSource(api_key="k", url=vendor.server.url, per_minute=0)
    done = ingest(vendor.wb.data_ingestion, source, ["AAPL", "IBM", "MSFT"], progress=told.append)
    assert done == told
    assert [one.symbol for one in done if one.error] == ["IBM"]
    assert "Your plan doesn't include" in done[1].error
    assert len(vendor.close("MSFT", "polygon")) == 40
    assert vendor.error_of("IBM") == done[1].error
    # Next time it is there, and the error stays as the last one there was.
    vendor.server.answer(BARS, aggregates(bars))
    assert not any(one.error for one in vendor.polygon("AAPL IBM MSFT"))
    assert vendor.error_of("IBM") == done[1].error


def test_if_all_fail_it_is_an_error(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, Answer(document("polygon/not_in_plan"), status=403))
    with pytest.raises(SourceError, match=r"all 2 symbols failed: AAPL: .*; IBM: "):
        vendor.polygon("AAPL IBM")
    with pytest.raises(SourceError, match=r"^polygon refuses the request with status 403"):
        vendor.polygon("AAPL")
    vendor.server.answer(BARS, Answer(document("polygon/bars_none")))
    with pytest.raises(EmptyRange, match="polygon has no bars of NOPE there; nothing was written"):
        vendor.polygon("NOPE")


def test_a_refused_key_ends_it_at_once(vendor: Vendor) -> None:
    vendor.server.answer(BARS, Answer(document("polygon/unknown_key"), status=401))
    with pytest.raises(KeyRefused, match="Unknown API Key"):
        vendor.polygon("AAPL IBM MSFT")
    assert len(vendor.server.of(BARS)) == 1
    assert "Unknown API Key" in vendor.error_of("AAPL")


def test_who_is_unreachable_for_three_symbols_is_not_asked_for_the_rest(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    vendor.server.answer(BARS, aggregates(bars), Answer(status=503))
    done = vendor.polygon("A B C D E F")
    assert [bool(one.error) for one in done] == [False, True, True, True, True, True]
    # One good answer; two attempts for each of three.
    assert len(vendor.server.of(BARS)) == 7
    assert done[-1].error.startswith("not requested any more: ")
    with pytest.raises(SourceUnreachable):
        vendor.polygon("A")


def _environment(settings: Settings, server: VendorServer) -> dict[str, str]:
    polygon = {
        "WORKBENCH_POLYGON_API_KEY": "k",
        "WORKBENCH_POLYGON_URL": server.url,
        "WORKBENCH_POLYGON_PER_MINUTE": "0",
    }
    return {**os.environ, **settings_environment(settings), **polygon}


def test_killed_between_two_symbols_it_goes_on_from_there(
    vendor: Vendor, bars: pd.DataFrame, database_settings: Settings
) -> None:
    vendor.server.answer(BARS, aggregates(bars))
    script = textwrap.dedent(
        """
        import os, signal
        from workbench import Workbench

        def told(series):
            if series.symbol == "IBM":
                os.kill(os.getpid(), signal.SIGKILL)

        with Workbench() as wb:
            wb.ingest(["AAPL", "IBM", "MSFT"], source="polygon", progress=told)
        """
    )
    environment = _environment(database_settings, vendor.server)
    died = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    status = vendor.wb.data_ingestion.load_ingestion_status(source="polygon")
    assert status[["symbol", "bars"]].to_numpy().tolist() == [["AAPL", 40], ["IBM", 40]]
    assert [one.written.inserted for one in vendor.polygon("AAPL IBM MSFT")] == [0, 0, 40]


# --------------------------------------------------------------------------------------------- one basis


def test_a_new_split_at_yahoo_fetches_the_whole_series_again(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer("/v8/.*", chart(bars[:30], dividends={f"{bars.index[10].date()}": 0.8}))
    vendor.yahoo("AAPL")
    assert vendor.close("AAPL", "yahoo") == bars["close"].tolist()[:30]
    split = f"{bars.index[35].date()}"
    halved = bars.assign(**{name: bars[name] / 2 for name in ("open", "high", "low", "close")})
    vendor.server.answer(
        "/v8/.*", chart(halved, splits={split: 2.0}, dividends={f"{bars.index[10].date()}": 0.4})
    )
    (series,) = vendor.yahoo("AAPL")
    assert (series.written.inserted, series.written.updated) == (10, 30)
    assert vendor.close("AAPL", "yahoo") == halved["close"].tolist()
    actions = vendor.wb.data_ingestion.load_corporate_actions("AAPL", source="yahoo")
    told = actions[["kind", "value", "applied"]].to_numpy().tolist()
    assert sorted(told) == [["dividend", 0.4, False], ["split", 2.0, True]]


def test_a_history_that_was_rescaled_without_a_word_is_fetched_again(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    """Yahoo rescales late at times: the split lies before the last stored bar already."""
    vendor.server.answer("/v8/.*", chart(bars[:30]))
    vendor.yahoo("AAPL")
    halved = bars.assign(**{name: bars[name] / 2 for name in ("open", "high", "low", "close")})
    vendor.server.answer("/v8/.*", chart(halved))
    vendor.yahoo("AAPL")
    assert vendor.close("AAPL", "yahoo") == halved["close"].tolist()


def test_a_range_of_ones_own_cannot_mix_two_bases(vendor: Vendor, bars: pd.DataFrame) -> None:
    """What is asked for lies after the split, which then is in no answer; the overlap tells."""
    vendor.server.answer("/v8/.*", chart(bars[:20]))
    vendor.yahoo("AAPL")
    halved = bars.assign(**{name: bars[name] / 2 for name in ("open", "high", "low", "close")})
    vendor.server.answer("/v8/.*", chart(halved, splits={f"{bars.index[25].date()}": 2.0}))
    vendor.yahoo("AAPL", start=f"{bars.index[30].date()}", end=f"{bars.index[32].date()}")
    assert vendor.close("AAPL", "yahoo") == halved["close"].tolist()


def test_without_a_split_yahoo_is_asked_for_little_more_than_is_missing(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    vendor.server.answer("/v8/.*", chart(bars[:30]))
    vendor.yahoo("AAPL")
    vendor.server.answer("/v8/.*", chart(bars))
    asked = len(vendor.server.asked)
    (series,) = vendor.yahoo("AAPL")
    assert (series.rows, series.written.inserted, series.written.updated) == (11, 10, 0)
    (request,) = [one for one in vendor.server.asked[asked:] if "period1" in one.query]
    since = pd.Timestamp(int(request.query["period1"]), unit="s", tz="UTC")
    assert pd.Timedelta(days=6) < bars.index[29] - since < pd.Timedelta(days=8)


def test_what_the_sample_stored_as_yahoo_is_replaced_by_yahoos_own(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    """The sample ends in 2013, with prices of before all later splits."""
    vendor.wb.ingest("AAPL", start="2013-02-01")
    assert len(vendor.close("AAPL", "yahoo")) == 20
    old = vendor.wb.data_ingestion.load_market_data("AAPL", source="yahoo").droplevel("symbol")
    theirs = pd.concat([old / 28, bars])
    theirs["high"], theirs["low"] = theirs["high"] + 1, theirs["low"] - 1
    vendor.server.answer("/v8/.*", chart(theirs))
    (series,) = vendor.yahoo("AAPL")
    assert (series.written.inserted, series.written.updated) == (40, 20)


def test_a_delisted_symbol_is_told_and_its_bars_stay(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer("/v8/.*", chart(bars))
    vendor.yahoo("AAPL")
    vendor.server.answer("/v8/.*", Answer(document("yahoo/not_found"), status=404))
    with pytest.raises(UnknownSymbol, match="may be delisted"):
        vendor.yahoo("AAPL")
    assert len(vendor.close("AAPL", "yahoo")) == 40
    assert "may be delisted" in vendor.error_of("AAPL")


def _minutes(bars: pd.DataFrame) -> Answer:
    """The same bars as Polygon's, but of minutes, from 15:00 UTC of their last day on."""
    moments = pd.date_range(bars.index[-1] + pd.Timedelta(hours=15), periods=len(bars), freq="min")
    results = [
        {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": bar.volume, "t": at}
        for at, bar in zip(moments.as_unit("ms").asi8.tolist(), bars.itertuples(), strict=True)
    ]
    return Answer({**document("polygon/bars_none"), "resultsCount": len(results), "results": results})


def test_bars_of_another_length_are_a_series_of_their_own(vendor: Vendor, bars: pd.DataFrame) -> None:
    for interval, name in (("1d", "polygon"), ("1min", "polygon_1min")):
        vendor.server.answer(BARS, aggregates(bars) if interval == "1d" else _minutes(bars))
        (series,) = vendor.polygon("AAPL", interval=interval)
        (again,) = vendor.polygon("AAPL", interval=interval)
        assert (series.data_source, series.written.inserted, series.refused) == (name, 40, 0)
        assert (again.data_source, again.written.inserted) == (name, 0)
        assert vendor.close("AAPL", name) == bars["close"].tolist()
    status = vendor.wb.data_ingestion.load_ingestion_status("AAPL")
    assert status["data_source"].tolist() == ["polygon", "polygon_1min"]


def test_bars_of_two_lengths_are_not_mixed_in_a_series(vendor: Vendor, bars: pd.DataFrame) -> None:
    vendor.server.answer(BARS, aggregates(bars))
    vendor.polygon("AAPL")
    with pytest.raises(
        SourceError,
        match=r"polygon holds .* not of 1min.*under another name \(data_source\), or under polygon_1min",
    ):
        vendor.polygon("AAPL", interval="1min", data_source="polygon")
    vendor.polygon("AAPL", data_source="polygon_1min")
    with pytest.raises(SourceError, match=r"polygon_1min holds .* under another name \(data_source\)$"):
        vendor.polygon("AAPL", interval="1min")


def test_the_adjusted_series_is_one_of_daily_bars_whatever_stands_behind_its_name(
    vendor: Vendor, bars: pd.DataFrame
) -> None:
    vendor.server.answer("/v8/.*", chart(bars))
    vendor.yahoo("AAPL", data_source="yahoo_adjusted")
    assert vendor.close("AAPL", "yahoo_adjusted") == bars["close"].tolist()
    (series,) = vendor.yahoo("AAPL", data_source="yahoo_adjusted")
    assert series.written.unchanged == 1


# ------------------------------------------------------------------------------------------ the workbench


def test_keys_and_addresses_come_from_the_settings(
    database_settings: Settings, vendors: VendorServer, bars: pd.DataFrame
) -> None:
    with Workbench(database_settings) as wb:
        with pytest.raises(KeyRefused, match="WORKBENCH_POLYGON_API_KEY"):
            wb.ingest("AAPL", source="polygon")
        with pytest.raises(SourceError, match="the source yahoo takes no feed; that is for alpaca"):
            wb.ingest("AAPL", source="yahoo", feed="iex")
    vendors.answer("/v2/stocks/bars", Answer(document("alpaca/bars_page2")))
    vendors.answer("/v1/corporate-actions", Answer(document("alpaca/actions")))
    told = {"alpaca_api_key": "k", "alpaca_api_secret": "s", "alpaca_url": vendors.url}
    settings = Settings(**{**database_settings.model_dump(), **told})
    with Workbench(settings) as wb:
        (series,) = wb.ingest("AAPL", source="alpaca", feed="iex")
        assert (series.data_source, series.written.inserted) == ("alpaca", 1)
        assert len(wb.data_ingestion.load_corporate_actions("AAPL", source="alpaca")) == 4
    assert vendors.of("/v2/stocks/bars")[0].query["feed"] == "iex"


def test_the_command_shows_waits_and_failures_and_exits_1_if_one_failed(
    vendor: Vendor, bars: pd.DataFrame, database_settings: Settings
) -> None:
    plan = Answer(document("polygon/not_in_plan"), status=403)
    busy = Answer(document("polygon/too_many"), status=429, headers={"Retry-After": "2"})
    vendor.server.answer(BARS, busy, _but("IBM", plan, bars))
    command = [sys.executable, "-m", "workbench.cli", "ingest", "AAPL", "IBM", "--source", "polygon"]
    done = subprocess.run(
        command,
        env=_environment(database_settings, vendor.server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "polygon answers with status 429: trying again in " in done.stderr
    assert "✓ AAPL (polygon): 40 inserted, 0 updated, 0 unchanged" in done.stderr
    assert "error: IBM (polygon): polygon refuses the request with status 403" in done.stderr
    assert "Traceback" not in done.stderr
