"""Requests as an intruder on this machine, or a web page in the user's browser, would make them."""

from __future__ import annotations

import base64
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Attempt", "basic", "hostile_requests", "hostile_websockets", "status_of"]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3

PATHS = [
    *(
        "/",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/ui-settings",
        "/dashboard",
        "/favicon.ico",
        "/docs/oauth2-redirect",
    ),
    *("/api/docs", "/api/redoc", "/api/openapi.json", "/api/ready", "/api/version", "/api/admin/version"),
    *("/api/health/", "//api/health", "/api//health", "/api/%68ealth", "/api/health?x=1", "/api/./health"),
    *(
        "/x/../api/health",
        "/API/HEALTH",
        "/api/health%00",
        "/api/health;x",
        "/api/health%2f",
        "/api/health#x",
    ),
    *(
        "/api/deployments/name/run/portfolio-health",
        "/api/variables/name/broker_health",
        "/api/flows/x/ready",
    ),
    *("/api/admin/settings", "/api/block_types/slug/health", "/api/work_pools/health", "/health", "/ready"),
]
POSTED = [
    "/api/events",
    "/api/events/filter",
    "/api/deployments/filter",
    "/api/flow_runs/filter",
    "/api/variables/filter",
    "/api/health",
    "/api/logs/",
    "/api/admin/database/clear",
]
SOCKETS = [
    "/api/events/in",
    "/api/events/out",
    "/api/logs/out",
    "/api/task_runs/subscriptions/scheduled",
    "//api/events/in",
    "/api/events/in?health",
]


@dataclass(frozen=True)
class Attempt:
    """One request, byte by byte."""

    name: str
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    host: str | None = None
    body: bytes = b""
    websocket: bool = False
    after: bytes = field(default=b"", repr=False)

    def raw(self, port: int) -> bytes:
        """What is sent to a server on that port."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host or f'127.0.0.1:{port}'}"]
        lines += [f"{name}: {value.format(port=port)}" for name, value in self.headers]
        if self.websocket:
            lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            lines.append(f"Sec-WebSocket-Key: {KEY}")
        else:
            lines.append("Connection: close")
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body + self.after


def basic(login: str) -> tuple[str, str]:
    """The header that shows a login."""
    return ("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")


def hostile_requests(login: str) -> Iterator[Attempt]:
    """Over HTTP, none of which may be served by a server with that login."""
    yield from _without_login(login)
    yield from _from_elsewhere(login)


def hostile_websockets(login: str) -> Iterator[Attempt]:
    """Handshakes, none of which may be taken by a server with that login."""
    for path in SOCKETS:
        for headers in (
            (),
            (basic("admin:guess"),),
            (basic(login), ("Origin", "http://evil.example")),
            (basic(login), ("Origin", "null")),
            (basic(login), ("Origin", "http://localhost:{port}")),
            (basic(login), ("Origin", "http://localhost:8888"), ("Sec-Fetch-Site", "same-site")),
            (basic(login), ("Sec-Fetch-Site", "cross-site")),
            (("Sec-WebSocket-Protocol", "prefect"),),
        ):
            yield Attempt("websocket", path, headers=headers, websocket=True)
        yield Attempt(
            "websocket, foreign host", path, headers=(basic(login),), host="evil.example", websocket=True
        )


def status_of(attempt: Attempt, port: int) -> tuple[int, bytes]:
    """The status with which the server on that port answers, and all that it says."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(attempt.raw(port))
        said = b""
        while b"\r\n\r\n" not in said or not attempt.websocket:
            try:
                part = connection.recv(65_536)
            except ConnectionResetError:
                break
            if not part:
                break
            said += part
    return (int(said.split(b" ", 2)[1]) if said else 0), said


def _without_login(login: str) -> Iterator[Attempt]:
    """By somebody on this machine."""
    user, _, password = login.partition(":")
    for path in PATHS:
        yield Attempt("no login", path)
    yield from (Attempt("no login", path, method="HEAD") for path in ("/", "/api/health", "/api/ready"))
    yield Attempt("no login", "*", method="OPTIONS")
    for path in POSTED:
        yield Attempt("no login, posted", path, method="POST", body=b"{}")
    for method, path in itertools.product(
        ("DELETE", "PATCH", "PUT", "TRACE"), ("/api/health", "/api/flows/x")
    ):
        yield Attempt("no login", path, method=method)
    wrong = [
        (basic(f"{user}:"),),
        (basic(f"{user}:{password}x"),),
        (basic(f"{user}:{password[:-1]}"),),
        (basic(f"{user.upper()}:{password}"),),
        (basic(f" {login}"),),
        (("Authorization", f"Basic {login}"),),
        (("Authorization", "Basic"),),
        (("Authorization", "Basic ====")),
        (("Authorization", f"Bearer {password}"),),
        (("Authorization", basic(login)[1].replace("Basic", "Digest")),),
        (basic(login), basic(login)),
        (basic(f"{user}:no"), basic(login)),
        (("X-Forwarded-For", "127.0.0.1"),),
        (("Proxy-Authorization", basic(login)[1]),),
        (("Cookie", f"auth={password}"),),
        (("X-Original-URL", "/api/health"),),
    ]
    for headers in wrong:
        pairs = (headers,) if isinstance(headers[0], str) else headers
        for path in ("/api/admin/version", "/ui-settings"):
            yield Attempt("wrong login", path, headers=pairs)  # type: ignore[arg-type]


def _from_elsewhere(login: str) -> Iterator[Attempt]:
    """With the login, which a browser attaches by itself, from another site's page or by another name."""
    for host in (
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:4200",
        "localhost.evil:80",
    ):
        for path in ("/", "/api/health", "/api/admin/version"):
            yield Attempt("foreign host", path, headers=(basic(login),), host=host)
    yield Attempt("two hosts", "/api/admin/version", headers=(basic(login), ("Host", "evil.example")))
    origins = [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://127.0.0.1",
    ]
    for origin, path in itertools.product(origins, ("/", "/api/health", "/api/admin/version")):
        yield Attempt("foreign page", path, headers=(basic(login), ("Origin", origin)))
    for origin in origins:
        headers = (basic(login), ("Origin", origin))
        yield Attempt("foreign page, posted", "/api/events", method="POST", headers=headers, body=b"[]")
    for origin, path in itertools.product(("http://evil.example", "null"), POSTED):
        headers = (basic(login), ("Origin", origin))
        yield Attempt("foreign page, posted", path, method="POST", headers=headers, body=b"{}")
    for site, mode, path in itertools.product(
        ("cross-site", "same-site"),
        ("cors", "no-cors", "navigate"),
        ("/api/admin/version", "/api/health", "/docs"),
    ):
        if mode == "navigate" and not path.startswith("/api"):
            continue  # by a link one may come to a page, and then only look
        fetched = (
            basic(login),
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", "document"),
        )
        yield Attempt("another site's page", path, headers=fetched)
    framed = (("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"))
    yield Attempt("in a frame", "/", headers=(basic(login), *framed))
    sent = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
    yield Attempt("a form", "/dashboard", method="POST", headers=(basic(login), *sent), body=b"a=b")
    huge = ("Content-Length", "99999999999")
    yield Attempt("a huge body", "/api/events", method="POST", headers=(basic(login), huge))
