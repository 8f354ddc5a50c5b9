"""What every source of bars promises, and what every vendor's source promises in addition.

Every source (the sample, files, Yahoo, Polygon, Alpaca)

- yields rows with the columns and types of `RawBars`, for a symbol that is given twice only once;
- takes the start of a range in and leaves its end out; of a range without bars it yields empty rows;
- refuses an empty range and a bound without a time zone, and says which package is to be installed.

Every vendor

- stamps a daily bar with 00:00 UTC of its date, and numbers it by that moment;
- stores bars under its name, shorter ones under its name and their length;
- yields actions as a frame, and says of each whether the prices have it applied;
- keeps its rate limit, tries again what may pass, waits as the vendor asks, and gives up with an error;
- tells a refusal at once, in the vendor's words, and asks for nothing that it cannot have.

A new source must get an entry in `MEMBERS` (`members.py`), a new vendor one with answers in `VENDORS`; a test
fails until it has one.
"""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from tests.unit.sources.conftest import Open
from tests.unit.sources.members import MEMBERS, VENDORS, Opened, day
from tests.vendors import Answer, document
from workbench.errors import EmptyRange, KeyRefused, SourceError, SourceUnreachable, UnknownSymbol
from workbench.marketdata.calendar import sessions
from workbench.sources import SOURCES, source_class
from workbench.sources.network import NetworkSource
from workbench.sources.opening import OPTIONS
from workbench.sources.source import ROW_COLUMNS, VALUE_COLUMNS


@pytest.fixture
def opened(request: pytest.FixtureRequest, open_member: Open) -> Opened:
    return open_member(request.param)


every_source = pytest.mark.parametrize("opened", MEMBERS, indirect=True)
every_vendor = pytest.mark.parametrize("opened", VENDORS, indirect=True)


def test_every_source_is_a_member_and_every_vendor_has_answers() -> None:
    assert list(SOURCES) == list(OPTIONS)
    assert set(SOURCES) == set(MEMBERS), "add the new source to MEMBERS"
    vendors = {name for name in SOURCES if NetworkSource in getattr(source_class(name), "__mro__", ())}
    assert vendors == set(VENDORS), "add the new vendor to VENDORS"


@every_source
class TestEverySource:
    def test_yields_rows_of_the_declared_columns_and_types_and_a_symbol_once(self, opened: Opened) -> None:
        series = opened.fetch_all("AAPL", "AAPL")
        assert len({(raw.symbol, raw.data_source) for raw in series}) == len(series)
        for raw in series:
            assert raw.symbol == "AAPL"
            assert tuple(raw.rows.columns) == ROW_COLUMNS
            types = {name: str(kind) for name, kind in raw.rows.dtypes.items()}
            assert (types["row"], types["timestamp"]) == ("int64", "datetime64[us, UTC]")
            assert {types[name] for name in VALUE_COLUMNS} == {"float64"}
            assert raw.rows["timestamp"].tolist() == [day(date) for date in opened.member.days]
            assert json.dumps(raw.rows["raw"].tolist())

    def test_takes_the_start_of_a_range_in_and_leaves_its_end_out(self, opened: Opened) -> None:
        for raw in opened.fetch_all("AAPL", start=opened.member.days[1], end=opened.member.days[2]):
            assert raw.rows["timestamp"].tolist() == [day(opened.member.days[1])]

    def test_refuses_an_empty_range_and_a_bound_without_a_time_zone(self, opened: Opened) -> None:
        moment, source = day(opened.member.days[0]), opened.make()
        for end in (moment, moment - pd.Timedelta(days=1)):
            with pytest.raises(EmptyRange, match="start must be before end"):
                source.fetch(["AAPL"], moment, end)
        for bounds in ((moment.tz_localize(None), None), (None, moment.tz_localize(None))):
            with pytest.raises(SourceError, match="no time zone; localise it"):
                source.fetch(["AAPL"], *bounds)

    def test_names_the_exchange_of_its_bars_or_none(self, opened: Opened) -> None:
        calendar = opened.make().calendar
        assert calendar is None or len(sessions(calendar, "2020-01-01", "2020-01-10"))

    def test_says_which_package_to_install(self, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
        if opened.member.package:
            monkeypatch.setitem(sys.modules, opened.member.package, None)
            with pytest.raises(SourceError, match=r"pip install 'quant-workbench\[sources\]'"):
                opened.fetch()


@pytest.mark.parametrize("opened", [name for name in MEMBERS if name not in VENDORS], indirect=True)
def test_a_source_that_knows_its_symbols_refuses_others_before_it_yields_anything(opened: Opened) -> None:
    with pytest.raises(UnknownSymbol, match=r"does not have TSLA; it has AAPL") as refused:
        opened.make().fetch(["AAPL", "TSLA"])
    assert refused.value.symbols == ("TSLA",)


@every_vendor
class TestEveryVendor:
    def test_names_a_series_by_the_length_of_its_bars_and_numbers_a_bar_by_its_moment(
        self, opened: Opened
    ) -> None:
        raw = opened.fetch()
        assert (raw.symbol, raw.data_source, raw.origin) == ("AAPL", opened.name, f"{opened.name} 1d")
        assert raw.rows["row"].tolist() == [day(date).timestamp() for date in opened.member.days]
        with pytest.raises(SourceError, match='no bars of "2d"; it has 1min, 5min, 15min, 30min, 1h, 1d'):
            opened.make(interval="2d")
        minutes = opened.make(interval="1min")
        assert (minutes.data_source, minutes.origin) == (f"{opened.name}_1min", f"{opened.name} 1min")
        assert opened.make(data_source="mine").data_source == "mine"
        assert opened.slept == []

    def test_yields_actions_that_say_whether_they_are_applied(self, opened: Opened) -> None:
        opened.answer_actions()
        raw = opened.fetch()
        assert raw.actions is not None
        assert list(raw.actions.columns) == ["symbol", "ex_date", "kind", "value", "applied"]
        assert " ".join(map(str, raw.actions.dtypes)) == "str datetime64[s] str float64 bool"
        assert set(raw.actions["kind"]) == {"split", "dividend"}
        applied = (raw.actions["kind"] == "split") & opened.vendor.splits_applied
        assert raw.actions["applied"].tolist() == applied.tolist()

    def test_yields_empty_rows_for_a_range_without_bars(self, opened: Opened) -> None:
        for none in opened.vendor.without_bars:
            opened.answer(none)
            raw = opened.fetch()
            assert raw.rows.empty
            assert tuple(raw.rows.columns) == ROW_COLUMNS

    @pytest.mark.parametrize(
        "fault",
        [
            Answer(status=500),
            Answer("<html>Bad Gateway</html>", status=502),
            Answer("<html>Will be right back"),
            Answer('{"results": [{"o": 1'),
            Answer(cut=True),
        ],
        ids=["500", "502", "not JSON", "malformed", "cut off"],
    )
    def test_tries_again_what_may_pass_with_growing_pauses(self, opened: Opened, fault: Answer) -> None:
        opened.answer(fault, fault, fault, Answer(document(opened.vendor.pages[-1])))
        assert not opened.fetch().rows.empty
        # curl, which yfinance uses, itself asks once more where a connection that it had open was cut.
        assert len(opened.slept) in ({2, 3} if fault.cut and opened.name == "yahoo" else {3})
        # 1, 2, 4 seconds, and up to one more.
        assert {int(wait // base) for wait, base in zip(opened.slept, (1, 2, 4), strict=False)} == {1}

    def test_waits_as_long_as_the_vendor_asks_and_says_so(self, opened: Opened) -> None:
        busy = Answer("Too Many Requests", status=429, headers={"Retry-After": "17"})
        opened.answer(busy, busy, Answer(document(opened.vendor.pages[-1])))
        assert not opened.fetch().rows.empty
        assert [17 <= wait <= 18 for wait in opened.slept] == [True, True]
        assert opened.told[0].startswith(f"{opened.name} answers with status 429: trying again in ")
        assert opened.told[0].endswith(" (1 of 6)")

    def test_does_not_wait_for_an_hour(self, opened: Opened) -> None:
        opened.answer(Answer(status=429, headers={"Retry-After": "3600"}))
        with pytest.raises(SourceUnreachable, match="asks to wait 3,600 s"):
            opened.fetch()
        assert opened.slept == []

    @pytest.mark.parametrize("status", [429, 503])
    def test_gives_up_after_the_last_attempt(self, opened: Opened, status: int) -> None:
        opened.answer(Answer("Not now", status=status))
        words = f"{opened.name} answers with status {status}, 6 times in a row"
        with pytest.raises(SourceUnreachable, match=words):
            opened.fetch()
        assert len(opened.asked()) == 6

    def test_is_unreachable_where_nobody_answers(self, opened: Opened) -> None:
        with pytest.raises(SourceUnreachable, match=f"{opened.name} does not answer"):
            opened.fetch(url="http://127.0.0.1:9", attempts=2)

    def test_keeps_its_rate_limit(self, opened: Opened) -> None:
        assert opened.make(per_minute=None).patience.per_minute == opened.vendor.limit
        opened.fetch_all("AAPL", "IBM", per_minute=1)
        asked = opened.server.of("|".join([opened.vendor.bars, *opened.vendor.actions]))
        assert len(opened.slept) == len(asked) - 1 > 0
        assert all(0 < wait <= 60 for wait in opened.slept)
        assert opened.told[0].startswith(f"{opened.name} allows 1 requests a minute: waiting ")

    def test_tells_a_refusal_at_once_in_the_vendors_words(self, opened: Opened) -> None:
        for number, (answer, error, words) in enumerate(opened.vendor.refusals, 1):
            opened.answer(answer)
            with pytest.raises(error, match=words):
                opened.fetch()
            assert len(opened.asked()) == number
        assert opened.slept == []

    @pytest.mark.parametrize("symbol", ["../v3/x", "a/b", "", "A B", "x" * 40])
    def test_does_not_ask_for_a_symbol_that_no_vendor_has(self, opened: Opened, symbol: str) -> None:
        with pytest.raises(UnknownSymbol, match=f"{opened.name} cannot have the symbol"):
            opened.fetch_all(symbol)
        assert opened.server.asked == []

    def test_says_where_to_get_and_put_its_key(self, opened: Opened) -> None:
        for key in opened.vendor.keys:
            with pytest.raises(KeyRefused, match=opened.vendor.settings):
                opened.make(**{key: None})
