"""What the sources of bars are tested with: for each one, a source on recorded answers of its vendor's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tests.vendors import Answer, Asked, VendorServer, document
from workbench.errors import KeyRefused, SourceError
from workbench.sources import source_class
from workbench.sources.source import RawBars

__all__ = ["MEMBERS", "VENDORS", "Opened", "Vendor", "day"]

FILE = "symbol,date,open,high,low,close,volume\n" + "".join(
    f"AAPL,2020-01-0{day},1,2,0.5,1.5,100\n" for day in (2, 3, 6)
)


def day(date: str) -> pd.Timestamp:
    return pd.Timestamp(date, tz="UTC")


@dataclass(frozen=True)
class Member:
    """The dates of three bars of AAPL's that a source has, and the module that it cannot do without."""

    days: tuple[str, str, str]
    package: str = ""


def _recorded(name: str, status: int = 200) -> Answer:
    return Answer(document(name), status=status)


@dataclass(frozen=True)
class Vendor(Member):
    """A vendor's paths, as regular expressions, and its recorded answers by their names."""

    bars: str = ""
    # The answers to requests for actions by path: none at first, these after `Opened.answer_actions`.
    actions: dict[str, str] = field(default_factory=dict)
    splits_applied: bool = False
    pages: tuple[str, ...] = ()
    without_bars: tuple[Answer, ...] = ()
    limit: int = 0
    keys: tuple[str, ...] = ()
    # How an error names the settings for keys; and answers with their errors and the vendor's words in them.
    settings: str = ""
    refusals: tuple[tuple[Answer, type[SourceError], str], ...] = ()


VENDORS = {
    "yahoo": Vendor(
        ("2020-08-28", "2020-08-31", "2020-09-01"),
        package="yfinance",
        bars="/v8/finance/chart/.*",
        splits_applied=True,
        pages=("yahoo/chart_daily",),
        without_bars=(_recorded("yahoo/chart_empty"), _recorded("yahoo/no_such_range", 400)),
        refusals=(
            (Answer({"chart": {"result": [{"rows": []}]}}), SourceError, "for AAPL is not as documented"),
        ),
    ),
    "polygon": Vendor(
        ("2020-01-02", "2020-01-03", "2020-01-06"),
        package="massive",
        bars="/v2/aggs/ticker/.*",
        actions={"/stocks/v1/splits": "polygon/splits", "/stocks/v1/dividends": "polygon/dividends"},
        pages=("polygon/bars_page1", "polygon/bars_page2"),
        # So Polygon answers to a delisted symbol, to an unknown one and to an empty range alike.
        without_bars=(_recorded("polygon/bars_none"),),
        limit=5,
        keys=("api_key",),
        settings="massive.com/dashboard/keys.*WORKBENCH_POLYGON_API_KEY",
        refusals=(
            (_recorded("polygon/unknown_key", 401), KeyRefused, "Unknown API Key.*massive.com/dash"),
            (_recorded("polygon/not_in_plan", 403), SourceError, "403: Your plan doesn't include"),
            (Answer("<h1>Not here</h1>", status=404), SourceError, "404: Not here"),
        ),
    ),
    "alpaca": Vendor(
        ("2022-01-03", "2022-01-04", "2022-01-05"),
        package="alpaca.data",
        bars="/v2/stocks/bars",
        actions={"/v1/corporate-actions": "alpaca/actions"},
        pages=("alpaca/bars_page1", "alpaca/bars_page2"),
        without_bars=(_recorded("alpaca/bars_none"),),
        limit=200,
        keys=("api_key", "api_secret"),
        settings="WORKBENCH_ALPACA_API_KEY and WORKBENCH_ALPACA_API_SECRET",
        refusals=(
            (_recorded("alpaca/forbidden", 403), KeyRefused, "forbidden.*WORKBENCH_ALPACA_API_SECRET"),
            (_recorded("alpaca/recent_sip", 403), SourceError, "403: subscription does not permit"),
            (Answer({"message": "invalid symbol: A=B"}, status=400), SourceError, "400: invalid symbol"),
            (Answer({"rows": []}), SourceError, "for AAPL is not as documented"),
        ),
    ),
}
MEMBERS: dict[str, Member] = {
    "sample": Member(("2013-02-27", "2013-02-28", "2013-03-01"), package="bokeh_sampledata"),
    "file": Member(("2020-01-02", "2020-01-03", "2020-01-06")),
    **VENDORS,
}


class Opened:
    """A source on recorded answers: its member's three bars, and no actions but Yahoo's, which are with them.

    Attributes
    ----------
    server : VendorServer
    slept : list of float
        The waits, in seconds; none is waited for.
    told : list of str
        What was told of waits, and of data that had to be left out.
    """

    def __init__(self, name: str, folder: Path, server: VendorServer) -> None:
        self.name, self.member, self.server = name, MEMBERS[name], server
        self.slept: list[float] = []
        self.told: list[str] = []
        self.options: dict[str, Any] = {}
        if isinstance(self.member, Vendor):
            self.options = {"url": server.url, "sleep": self.slept.append, "on_wait": self.told.append}
            self.options |= {"per_minute": 0, **dict.fromkeys(self.member.keys, "a-key")}
            if name == "yahoo":
                self.options["cache"] = folder
            self.answer(*map(_recorded, self.member.pages))
            for path in self.member.actions:
                server.answer(path, _recorded(f"{name}/actions_none"))
        elif name == "file":
            self.options["path"] = folder / "bars.csv"
            self.options["path"].write_text(FILE)

    @property
    def vendor(self) -> Vendor:
        assert isinstance(self.member, Vendor)
        return self.member

    def make(self, **options: Any) -> Any:
        return source_class(self.name)(**{**self.options, **options})

    def fetch(self, start: str = "", end: str = "", **options: Any) -> RawBars:
        """AAPL's first series, from the first of the three days to the day after the last one by default."""
        return self.fetch_all("AAPL", start=start, end=end, **options)[0]

    def fetch_all(self, *symbols: str, start: str = "", end: str = "", **options: Any) -> list[RawBars]:
        until = day(end) if end else day(self.member.days[-1]) + pd.Timedelta(days=1)
        return list(self.make(**options).fetch(symbols, day(start or self.member.days[0]), until))

    def answer(self, *replies: Answer) -> None:
        """Answer requests for bars; yfinance's question for a symbol's time zone is answered beside them."""
        left = list(replies)

        def reply(asked: Asked) -> Answer:
            if "range" in asked.query:
                return Answer(document("yahoo/chart_daily"))
            return left.pop(0) if len(left) > 1 else left[0]

        self.server.answer(self.vendor.bars, reply)

    def answer_actions(self) -> None:
        """Answer requests for actions with those that the vendor documents."""
        for path, name in self.vendor.actions.items():
            self.server.answer(path, _recorded(name))

    def asked(self) -> list[Asked]:
        """The requests for bars."""
        return [asked for asked in self.server.of(self.vendor.bars) if "range" not in asked.query]
