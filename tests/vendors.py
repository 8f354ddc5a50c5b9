"""The vendors, played by a server on loopback: it replays documented answers, errors and rate limits."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pandas as pd

__all__ = ["Answer", "Asked", "VendorServer", "aggregates", "chart", "document", "vendor_server"]

FOLDER = Path(__file__).parent / "vendors"
NEW_YORK = "America/New_York"


@dataclass(frozen=True)
class Asked:
    """A request as it came: its path, its query and its headers (names in lower case)."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What is answered: text as it is, anything else as JSON; `cut` ends the connection instead."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


Reply = Answer | Callable[[Asked], Answer]


def document(name: str) -> Any:
    """One of the documented answers, as `polygon/bars_page1`."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


class VendorServer:
    """What it answers to which path, and what it was asked.

    Attributes
    ----------
    url : str
        Its base URL.
    asked : list of Asked
        All requests, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._routes: list[tuple[re.Pattern[str], list[Reply]]] = []

    def answer(self, path: str, *replies: Reply) -> None:
        """Answer a path (a regular expression) with these, one after the other; the last one stays."""
        self._routes.insert(0, (re.compile(path), list(replies)))

    def reply(self, asked: Asked) -> Answer:
        """What to answer; 404 where nothing was said."""
        self.asked.append(asked)
        for path, replies in self._routes:
            if path.fullmatch(asked.path):
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                return reply if isinstance(reply, Answer) else reply(asked)
        return Answer(status=404)

    def of(self, path: str) -> list[Asked]:
        """The requests for a path (a regular expression)."""
        return [asked for asked in self.asked if re.fullmatch(path, asked.path)]


@contextmanager
def vendor_server() -> Iterator[VendorServer]:
    """A server on a free port of loopback, stopped at the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = vendors.reply(Asked(parts.path, dict(parse_qsl(parts.query)), headers))
            if answer.cut:
                self.close_connection = True
                self.connection.close()
                return
            body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Nothing: the tests look at `asked`."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: object) -> None:
            """Nothing: a connection that is cut off is what some tests want."""

    server = Server(("127.0.0.1", 0), Handler)
    vendors = VendorServer(f"http://127.0.0.1:{server.server_address[1]}")
    # What yfinance asks for before anything else; Yahoo's page that gives the cookie is a 404, too.
    vendors.answer("/v1/test/getcrumb", Answer("a.crumb"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield vendors
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chart(
    bars: pd.DataFrame, *, splits: dict[str, float] | None = None, dividends: dict[str, float] | None = None
) -> Callable[[Asked], Answer]:
    """Yahoo's chart of daily bars, cut to the range that is asked for.

    Parameters
    ----------
    bars : DataFrame
        Indexed by date (00:00 UTC), with open, high, low, close and volume.
    splits, dividends : dict
        Date to value; sent where the range has them.
    """
    template = document("yahoo/chart_daily")["chart"]["result"][0]

    def opening(dates: Any) -> pd.DatetimeIndex:
        days = pd.DatetimeIndex(pd.to_datetime(list(dates), utc=True)).tz_localize(None)
        return (days + pd.Timedelta(hours=9, minutes=30)).tz_localize(NEW_YORK)

    def answer(asked: Asked) -> Answer:
        first, last = int(asked.query.get("period1", 0)), int(asked.query.get("period2", 2**33))
        if "range" in asked.query:
            first = 0
        seconds = opening(bars.index).as_unit("s").asi8
        within = (seconds >= first) & (seconds < last)
        some = bars[within]
        if some.empty:
            return Answer(document("yahoo/no_such_range"), status=400)
        events: dict[str, Any] = {}
        for name, days in (("splits", splits or {}), ("dividends", dividends or {})):
            moments = zip(opening(days).as_unit("s").asi8.tolist(), days.values(), strict=True)
            sent = {f"{at}": _event(name, at, value) for at, value in moments if first <= at < last}
            if sent:
                events[name] = sent
        quote = {
            name: some[name].astype(float).tolist() for name in ("open", "high", "low", "close", "volume")
        }
        result = {
            "meta": template["meta"],
            "timestamp": seconds[within].tolist(),
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
        }
        if events:
            result["events"] = events
        return Answer({"chart": {"result": [result], "error": None}})

    return answer


def _event(name: str, at: int, value: float) -> dict[str, Any]:
    if name == "splits":
        return {"date": at, "numerator": value, "denominator": 1.0, "splitRatio": f"{value:g}:1"}
    return {"date": at, "amount": value}


def aggregates(bars: pd.DataFrame) -> Callable[[Asked], Answer]:
    """Polygon's daily bars, cut to the dates that are asked for; `bars` as for `chart`."""

    def answer(asked: Asked) -> Answer:
        *_, ticker, _, _, _, first, last = asked.path.split("/")
        dates = bars.index.strftime("%Y-%m-%d")  # type: ignore[attr-defined]
        some = bars[(dates >= first) & (dates <= last)]
        midnight = pd.DatetimeIndex(some.index).tz_localize(None).tz_localize(NEW_YORK).as_unit("ms")
        results = [
            {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": bar.volume, "t": at}
            for at, bar in zip(midnight.asi8.tolist(), some.itertuples(), strict=True)
        ]
        body = {**document("polygon/bars_none"), "ticker": ticker, "resultsCount": len(results)}
        return Answer({**body, "results": results} if results else body)

    return answer
