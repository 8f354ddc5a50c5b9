"""A Prefect that is busy is asked again; one that refuses is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from workbench.errors import PrefectRefused
from workbench.stack import prefect_api
from workbench.stack.prefect_api import PrefectApi


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PrefectApi, list[int], list[str]]]:
    """A server: its API, the statuses that it is to answer before it says 200, and the paths it was asked."""
    statuses: list[int] = []
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status = statuses.pop(0) if statuses else 200
            body = b"true" if status == 200 else b'{"exception_message": "Service Unavailable"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(prefect_api, "_BUSY_PAUSES", (0.001,) * 5)
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield PrefectApi(f"http://127.0.0.1:{server.server_port}/api", None), statuses, asked
        server.shutdown()
        thread.join()


def test_a_busy_server_is_asked_until_it_answers(
    answers: tuple[PrefectApi, list[int], list[str]],
) -> None:
    api, statuses, asked = answers
    statuses += [503, 429, 503]
    assert api.ask("/thing") is True
    assert asked == ["/api/thing"] * 4


def test_one_that_stays_busy_is_told_in_the_end(answers: tuple[PrefectApi, list[int], list[str]]) -> None:
    api, statuses, asked = answers
    statuses += [503] * 10
    with pytest.raises(PrefectRefused, match="503: Service Unavailable"):
        api.ask("/thing")
    assert len(asked) == 6


@pytest.mark.parametrize("status", [404, 409, 422, 500, 502])
def test_a_refusal_is_told_at_once(answers: tuple[PrefectApi, list[int], list[str]], status: int) -> None:
    """502 too: what is behind a proxy may have done what was asked."""
    api, statuses, asked = answers
    statuses += [status]
    with pytest.raises(PrefectRefused) as refused:
        api.ask("/thing")
    assert refused.value.status == status
    assert len(asked) == 1
