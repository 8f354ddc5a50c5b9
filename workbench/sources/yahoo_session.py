"""The session for yfinance, with rate limit and retries. The only module that uses yfinance's internals.

yfinance makes its requests with a `curl_cffi` session given by its caller, keeps cookies and time zones in a
folder, and by default prints errors instead of raising them.
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
    """A browser's session with rate limit and retries for requests for prices.

    Requests for cookies and crumbs are not retried: yfinance continues without them and has another way to
    get them.

    Parameters
    ----------
    patience : Patience
    judge : callable
        Called with the reply to a request for prices; raises if it is an error.
    base : str, optional
        Base URL for all requests, instead of Yahoo's hosts.
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
    """Make yfinance keep its cookies and time zones in `folder`, and clear its cache of replies."""
    if folder is not None:
        private_folder(folder)
        yfinance.set_tz_cache_location(str(folder))
    # Otherwise it would answer for a past range from its cache, without a request.
    YfData.cache_get.cache_clear()


@contextmanager
def raising() -> Iterator[None]:
    """Make yfinance raise its errors instead of printing them while the block runs."""
    before = YfConfig.debug.hide_exceptions
    YfConfig.debug.hide_exceptions = False
    try:
        yield
    finally:
        YfConfig.debug.hide_exceptions = before


def reason_in(body: bytes | str) -> str:
    """The error description in a reply of the chart API; empty if there is none."""
    try:
        return str(json.loads(body)["chart"]["error"]["description"])
    except (ValueError, KeyError, TypeError):
        return ""
