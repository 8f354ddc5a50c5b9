"""An ASGI app in front of Prefect's server that refuses every request without the login.

Prefect 3.4.14 accepts events over a websocket from any client and any web page, and serves every GET whose
path ends in `health` or `ready`. Newer versions have fixed some of this. The guard blocks it for all
versions, before Prefect gets a request, and does not import Prefect.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

__all__ = ["BODY_LIMIT", "Guard"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_LIMIT = 16_000_000
"""Maximum bytes of a request's body: a batch of logs has 4 million, one of our pictures two."""
SOCKET_BYTES_PER_SECOND = 2_000_000
"""Maximum rate of one websocket; faster messages are delayed, not lost."""
SOCKETS = 200
"""Maximum websockets open at once."""
REFUSALS_PER_SECOND = 20
"""Refusals per second that give the reason; beyond that the answer is only 429."""

_SAFE_METHODS = {"GET", "HEAD"}
_OPEN = ("GET", b"/api/health", b"")
# Prefect's pages need inline scripts and styles. Nothing is loaded from or sent to another site.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """An ASGI app in front of another one.

    Every request and every websocket must have this server as its host (against DNS rebinding), must not
    come from another site's page, and must have the login. Only `GET /api/health` is open to everyone.

    Parameters
    ----------
    app : ASGI app
    auth_string : str
        `user:password` that every client must send by HTTP basic authentication.
    port : int
        The port on 127.0.0.1.
    """

    def __init__(self, app: App, *, auth_string: str, port: int) -> None:
        self._app = app
        self._login = auth_string.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._sockets = 0
        self._refusals = _Allowance(REFUSALS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one websocket, or the lifespan messages."""
        match scope["type"]:
            case "lifespan":
                await self._app(scope, receive, send)
            case "http" | "websocket" as kind:
                refused = self._refusal(scope)
                if refused is not None:
                    await _refuse(scope, send, *self._bounded(refused))
                elif kind == "http":
                    await self._http(scope, receive, send)
                else:
                    await self._websocket(scope, receive, send)
            case other:
                raise ValueError(f"scopes of type {other} are not served")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the message of a refusal; None if the scope may pass."""
        headers = _Headers(scope["headers"])
        host = headers.only(b"host")
        if host is None or host.lower() not in self._hosts:
            return 421, "the host of this server is 127.0.0.1 or localhost only"
        origin = headers.all(b"origin")
        if origin and origin != [b"http://" + host.lower()]:
            return 403, "a page of another site may not call this server"
        if not _from_here(scope, headers):
            return 403, "a page of another site may not call this server"
        if scope["type"] == "http" and _is_open(scope):
            return None
        if not self._shows_login(headers):
            return 401, "sign in; workbench up and workbench lab print the login"
        return None

    def _bounded(self, refused: tuple[int, str]) -> tuple[int, str]:
        return refused if self._refusals.take() else (429, "too many requests without a login; wait a second")

    def _shows_login(self, headers: _Headers) -> bool:
        shown = headers.only(b"authorization")
        if shown is None:
            return False
        scheme, _, encoded = shown.partition(b" ")
        try:
            login = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(login, self._login) and scheme.lower() == b"basic"

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = _Headers(scope["headers"]).only(b"content-length") or b"0"
        if not length.isdigit() or int(length) > BODY_LIMIT:
            await _refuse(scope, send, 413, f"a body may have at most {BODY_LIMIT:,} bytes")
            return
        taken = 0

        async def bounded_receive() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_LIMIT:
                # As if the client had disconnected, so that the partial body is not used.
                return {"type": "http.disconnect"}
            return message

        async def hardened_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in _HEADERS}
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        await self._app(scope, bounded_receive, hardened_send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._sockets >= SOCKETS:
            await _refuse(scope, send, 503, f"{SOCKETS} websockets are open, the maximum")
            return
        self._sockets += 1
        try:
            await self._app(scope, _slowed(receive), send)
        finally:
            self._sockets -= 1


class _Allowance:
    """A token bucket: an average rate per second, with a burst of up to one second's worth."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = time.monotonic()

    def take(self, amount: float = 1.0) -> bool:
        """Take the amount if it is available; returns whether it was."""
        self._refill()
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def owe(self, amount: float) -> float:
        """Take the amount in any case; return the seconds to wait until the balance is zero again."""
        self._refill()
        self._left -= amount
        return max(0.0, -self._left / self._per_second)

    def _refill(self) -> None:
        now = time.monotonic()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now


class _Headers:
    """A scope's headers, whose names are bytes in lower case."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = list(pairs)

    def all(self, name: bytes) -> list[bytes]:
        """Every value of this header."""
        return [value for given, value in self._pairs if given.lower() == name]

    def only(self, name: bytes) -> bytes | None:
        """The value of a header that was sent exactly once; else None."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


def _is_open(scope: Scope) -> bool:
    """Whether it is exactly the one request that needs no login."""
    return (scope["method"], scope.get("raw_path"), scope["query_string"]) == _OPEN


def _from_here(scope: Scope, headers: _Headers) -> bool:
    """Whether the request comes from a page of this server, or from no page, by the browser's headers.

    A page of another site, or of another port, may only link to a page here.
    """
    sites = headers.all(b"sec-fetch-site")
    if all(site in (b"same-origin", b"none") for site in sites):
        return True
    return (
        scope["type"] == "http"
        and scope["method"] in _SAFE_METHODS
        and headers.only(b"sec-fetch-mode") == b"navigate"
        and headers.only(b"sec-fetch-dest") == b"document"
        and not scope["path"].lstrip("/").startswith("api")
    )


def _slowed(receive: Receive) -> Receive:
    allowance = _Allowance(SOCKET_BYTES_PER_SECOND)

    async def slowed_receive() -> Message:
        message = await receive()
        size = len(message.get("bytes") or b"") or len(message.get("text") or "")
        seconds = allowance.owe(size)
        if seconds:
            await asyncio.sleep(seconds)
        return message

    return slowed_receive


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    body = f'{{"detail": "{sentence}"}}\n'.encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # The connection is closed, because a request body may not have been read.
        (b"connection", b"close"),
        (b"cache-control", b"no-store"),
        *_HEADERS,
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="workbench", charset="UTF-8"'))
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": sentence})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
