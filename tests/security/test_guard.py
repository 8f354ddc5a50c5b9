"""The guard before Prefect: a request without the login, or from another site's page, reaches nothing.

Here an app that notes what reaches it stands in Prefect's place.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from websockets.sync.client import connect

from tests.security.hostile import Attempt, basic, hostile_requests, hostile_websockets, status_of
from tests.servers import wait_for
from workbench.stack import guard
from workbench.stack.guard import Guard

LOGIN = "admin:b3f1 c0ffee:ü"
OWN = basic(LOGIN)


@dataclass
class Guarded:
    """A server behind the guard: its port, and what has come through."""

    port: int = 0
    reached: list[str] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The app behind the guard."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        self.reached.append(f"{scope['type']} {scope['path']}")
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                self.messages.append(len(message.get("text") or message.get("bytes") or ""))
            return
        size = 0
        while True:
            message = await receive()
            size += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        if message["type"] == "http.disconnect":
            return
        text = f"{size} bytes".encode()
        headers = [(b"content-type", b"text/html"), (b"x-frame-options", b"ALLOWALL")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def behind() -> Iterator[Guarded]:
    app = Guarded()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app.port = listening.getsockname()[1]
        config = uvicorn.Config(
            Guard(app, auth_string=LOGIN, port=app.port), log_level="error", lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        wait_for(lambda: server.started, "the server listens")
        yield app
        server.should_exit = True
        thread.join()


@pytest.fixture
def guarded(behind: Guarded) -> Guarded:
    behind.reached.clear()
    behind.messages.clear()
    return behind


def test_there_are_more_than_two_hundred_hostile_attempts() -> None:
    assert len([*hostile_requests(LOGIN), *hostile_websockets(LOGIN)]) > 200


@pytest.mark.parametrize(
    "attempt", [*hostile_requests(LOGIN)], ids=lambda one: f"{one.name} {one.method} {one.target}"
)
def test_a_hostile_request_reaches_nothing(guarded: Guarded, attempt: Attempt) -> None:
    status, _ = status_of(attempt, guarded.port)
    assert status in {400, 401, 403, 413, 421, 429}
    assert guarded.reached == []


@pytest.mark.parametrize("attempt", [*hostile_websockets(LOGIN)], ids=lambda one: f"{one.name} {one.target}")
def test_a_hostile_websocket_reaches_nothing(guarded: Guarded, attempt: Attempt) -> None:
    status, _ = status_of(attempt, guarded.port)
    assert status in {400, 401, 403, 421, 429}
    assert guarded.reached == []


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt("health", "/api/health"),
        Attempt("a client", "/api/flows/filter", method="POST", headers=(OWN,), body=b"{}"),
        Attempt("a page", "/dashboard", headers=(OWN, ("Sec-Fetch-Site", "none"))),
        Attempt("its script", "/x.js", headers=(OWN, ("Sec-Fetch-Site", "same-origin"))),
        Attempt("its call", "/api/flows", headers=(OWN, ("Origin", "http://127.0.0.1:{port}"))),
        Attempt("a path that ends so", "/api/variables/name/broker_health", headers=(OWN,)),
        Attempt(
            "a link in JupyterLab",
            "/deployments/deployment/1",
            headers=(
                OWN,
                ("Sec-Fetch-Site", "same-site"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ),
        ),
        Attempt(
            "small letters", "/api/flows", headers=(("authorization", OWN[1].replace("Basic", "basic")),)
        ),
    ],
    ids=lambda one: one.name,
)
def test_who_shows_the_login_is_served(guarded: Guarded, attempt: Attempt) -> None:
    status, said = status_of(attempt, guarded.port)
    assert status == 200
    assert guarded.reached == [f"http {attempt.target}"]
    assert f"{len(attempt.body)} bytes".encode() in said


def test_a_browser_is_asked_to_sign_in(guarded: Guarded) -> None:
    time.sleep(1.1)  # earlier tests have been refused, many at once
    status, said = status_of(Attempt("", "/dashboard"), guarded.port)
    assert status == 401
    assert b'\r\nwww-authenticate: Basic realm="workbench", charset="UTF-8"\r\n' in said


def test_no_page_is_framed_or_takes_anything_from_elsewhere(guarded: Guarded) -> None:
    _, said = status_of(Attempt("", "/dashboard", headers=(OWN,)), guarded.port)
    head = said.partition(b"\r\n\r\n")[0].lower()
    assert b"x-frame-options: deny" in head
    assert b"allowall" not in head
    assert b"frame-ancestors 'none'" in head
    assert b"default-src 'self'" in head
    assert b"http" not in head.partition(b"content-security-policy:")[2].partition(b"\r\n")[0]


def test_many_without_a_login_are_told_less_and_less_and_a_client_is_served_all_the_same(
    guarded: Guarded,
) -> None:
    statuses = [status_of(Attempt("", "/api/flows"), guarded.port)[0] for _ in range(60)]
    assert set(statuses) == {401, 429} or set(statuses) == {429}
    assert status_of(Attempt("", "/api/flows", headers=(OWN,)), guarded.port)[0] == 200


def test_a_body_that_tells_no_length_ends_at_the_limit(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_LIMIT", 1_000)
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    headers = (OWN, ("Transfer-Encoding", "chunked"))
    fits = Attempt("", "/api/x", method="POST", headers=headers, after=chunk + b"0\r\n\r\n")
    assert b"512 bytes" in status_of(fits, guarded.port)[1]
    too_much = Attempt("", "/api/x", method="POST", headers=headers, after=chunk * 4 + b"0\r\n\r\n")
    assert b"bytes" not in status_of(too_much, guarded.port)[1].partition(b"\r\n\r\n")[2]


def test_a_websocket_that_floods_waits_and_loses_nothing(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "SOCKET_BYTES_PER_SECOND", 50_000)
    header = dict([OWN])
    with connect(f"ws://127.0.0.1:{guarded.port}/api/events/in", additional_headers=header) as client:
        started = time.monotonic()
        for _ in range(30):
            client.send("x" * 5_000)
        wait_for(lambda: len(guarded.messages) == 30, "all of it has arrived")
        # 150,000 bytes at 50,000 a second, of which the first second's are free.
        assert time.monotonic() - started > 1.5
    assert guarded.messages == [5_000] * 30


def test_only_so_many_websockets_are_open_at_once(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SOCKETS", 1)
    address = f"ws://127.0.0.1:{guarded.port}/api/events/out"
    one_more = Attempt("", "/api/events/out", headers=(OWN,), websocket=True)
    with connect(address, additional_headers=dict([OWN])):
        assert status_of(one_more, guarded.port)[0] in {403, 503}
    with connect(address, additional_headers=dict([OWN])):
        pass
