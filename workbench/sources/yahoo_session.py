"""How yfinance reaches Yahoo: a session that asks patiently. Only here yfinance's insides are known.

yfinance makes its requests with a `curl_cffi` session, which it takes from its caller; it keeps cookies and
time zones in a folder; and by default it hides errors and prints a line instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yfinance
from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import RequestException
from yfinance.config import YfConfig
from yfinance.data import YfData

from workbench.home.folders import private_folder
from workbench.sources.retry import NoReply, Patience, Reply

__all__ = ["PatientSession", "keep_caches_in", "raising"]

CHART = "/v8/finance/chart/"


class PatientSession(Session[Any]):
    """A browser's session whose requests for prices are asked patiently.

    Cookies and crumbs are left to yfinance, which goes on without them and has a second way to get them.

    Parameters
    ----------
    patience : Patience
    judge : callable
        Given the reply to a request for prices; raises what it means.
    base : str, optional
        Every request goes there, whichever of Yahoo's hosts it was meant for.
    """

    def __init__(self, patience: Patience, judge: Callable[[Reply], Reply], base: str | None = None) -> None:
        super().__init__(impersonate="chrome")
        self._patience = patience
        self._judge = judge
        self._base = None if base is None else base.rstrip("/")

    def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]
        """Send a request; see `curl_cffi.requests.Session.request`."""
        path = urlsplit(url).path
        if self._base is not None:
            url = f"{self._base}{path or '/'}"
        if not path.startswith(CHART):
            return super().request(method, url, **options)

        def send() -> Reply:
            try:
                response = super(PatientSession, self).request(method, url, **options)
            except RequestException as error:
                raise NoReply(type(error).__name__) from error
            return Reply(response.status_code, dict(response.headers.items()), response.content, response)

        return self._judge(self._patience.ask(send)).original


def keep_caches_in(folder: Path | None) -> None:
    """Have yfinance keep its cookies and time zones in `folder`, and forget the replies it remembers."""
    if folder is not None:
        private_folder(folder)
        yfinance.set_tz_cache_location(str(folder))
    # It would answer a range in the past from memory, without asking Yahoo.
    YfData.cache_get.cache_clear()


@contextmanager
def raising() -> Iterator[None]:
    """While the block runs, yfinance raises its errors instead of printing them."""
    before = YfConfig.debug.hide_exceptions
    YfConfig.debug.hide_exceptions = False
    try:
        yield
    finally:
        YfConfig.debug.hide_exceptions = before


def reason_in(body: bytes | str) -> str:
    """What a reply of the chart API gives as its error's description; empty where it has none."""
    try:
        return str(json.loads(body)["chart"]["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return ""
