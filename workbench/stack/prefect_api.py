"""A client of Prefect's REST API that does not import Prefect, which takes seconds."""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from workbench.errors import PrefectRefused, ServerError, ServerUnreachable

__all__ = ["PrefectApi", "PrefectRefused", "WorkerSeen"]

_HEALTH_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
# What a server answers that is busy, as with a locked database: it has done nothing, and may be asked again.
_BUSY = {429, 503}
_BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class WorkerSeen:
    """A worker as the API knows it: its name, whether it is online, and its last sign of life."""

    name: str
    online: bool
    last_heartbeat: datetime | None


class PrefectApi:
    """A Prefect server.

    Parameters
    ----------
    url : str
        As in `http://127.0.0.1:4200/api`.
    auth_string : str or None
        `user:password`, where the server wants one.
    """

    def __init__(self, url: str, auth_string: str | None) -> None:
        self._url = url.rstrip("/")
        self._auth_string = auth_string

    def is_healthy(self) -> bool:
        """Whether the server reports that it is healthy."""
        try:
            return self.ask("/health", seconds=_HEALTH_SECONDS) is True
        except ServerError:
            return False

    def version(self) -> str:
        """The server's version; fails if the auth string is wrong."""
        return str(self.ask("/admin/version", seconds=_HEALTH_SECONDS))

    def workers(self, pool: str) -> list[WorkerSeen]:
        """The workers of a work pool; none where there is no such pool."""
        try:
            rows = self.ask(f"/work_pools/{quote(pool)}/workers/filter", {}, seconds=_HEALTH_SECONDS)
        except PrefectRefused as error:
            if error.status == 404:
                return []
            raise
        return [_worker(row) for row in rows]

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        method: str | None = None,
        seconds: float = _ANSWER_SECONDS,
    ) -> Any:
        """One request; the JSON that comes back, or None where nothing does.

        A server that says that it is busy is asked again, up to five times in a quarter of a minute.

        Parameters
        ----------
        path : str
            Below the API's URL, as in "/deployments/filter".
        body : mapping or sequence, optional
            Sent as JSON.
        method : str, optional
            Default: POST with a body, GET without.
        seconds : float
            How long to wait for the answer.

        Raises
        ------
        PrefectRefused
            The server answers with an HTTP error.
        ServerUnreachable
            It does not answer, or refuses our login.
        """
        until = time.monotonic() + seconds
        for pause in _BUSY_PAUSES:
            try:
                return self._ask_once(path, body, method, seconds)
            except PrefectRefused as error:
                if error.status not in _BUSY or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
        return self._ask_once(path, body, method, seconds)

    def _ask_once(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None,
        method: str | None,
        seconds: float,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", data=data, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        if self._auth_string is not None:
            token = base64.b64encode(self._auth_string.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with _opener(self._url).open(request, timeout=seconds) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(path, error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ServerUnreachable(
                f"Prefect does not answer at {self._url} ({reason}); see: workbench status"
            ) from error

    def _refusal(self, path: str, error: urllib.error.HTTPError) -> ServerError:
        if error.code in {401, 403}:
            return ServerUnreachable(
                f"Prefect at {self._url} refuses our login; set PREFECT_API_AUTH_STRING to its user:password."
            )
        reason = _reason(error.read()) or str(error.reason)
        message = f"Prefect at {self._url} answers {path} with {error.code}: {reason}"
        return PrefectRefused(message, status=error.code, reason=reason)


def _reason(body: bytes) -> str:
    """The reason in an error's body, which has one of three forms."""
    try:
        said = json.loads(body)
    except ValueError:
        return body.decode("utf-8", errors="replace")[:500]
    if not isinstance(said, dict):
        return str(said)
    told = said.get("detail") or said.get("exception_detail") or said.get("exception_message") or said
    if isinstance(told, list):
        return "; ".join(str(one.get("msg", one)) if isinstance(one, dict) else str(one) for one in told)
    return str(told)


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A server on loopback is reached without a proxy, whatever the environment says.
    local = url.startswith(("http://127.0.0.1", "http://localhost"))
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))


def _worker(row: dict[str, Any]) -> WorkerSeen:
    seen = row.get("last_heartbeat_time")
    return WorkerSeen(
        name=str(row["name"]),
        online=row.get("status") == "ONLINE",
        last_heartbeat=datetime.fromisoformat(seen) if seen else None,
    )
