"""Prefect's REST API, spoken without importing Prefect, which takes seconds."""

from __future__ import annotations

import base64
import http.client
import json
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
        """Whether the server answers that it is well."""
        try:
            return self.ask("/health", seconds=_HEALTH_SECONDS) is True
        except ServerError:
            return False

    def version(self) -> str:
        """The server's version; proves that the auth string is right, too."""
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

        Parameters
        ----------
        path : str
            Below the API's URL, as in "/deployments/filter".
        body : mapping or sequence, optional
            Sent as JSON.
        method : str, optional
            POST with a body and GET without, unless told otherwise.
        seconds : float
            How long to wait for the answer.

        Raises
        ------
        PrefectRefused
            The server answers with an HTTP error.
        ServerUnreachable
            It does not answer, or refuses our login.
        """
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
    """What the server says was wrong, whichever of its three forms it takes."""
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
    # No proxy stands between us and a server on loopback, whatever the environment says.
    local = url.startswith(("http://127.0.0.1", "http://localhost"))
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))


def _worker(row: dict[str, Any]) -> WorkerSeen:
    seen = row.get("last_heartbeat_time")
    return WorkerSeen(
        name=str(row["name"]),
        online=row.get("status") == "ONLINE",
        last_heartbeat=datetime.fromisoformat(seen) if seen else None,
    )
