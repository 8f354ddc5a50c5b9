"""Prefect's own server behind the guard: nothing hostile is served, and everything of ours works on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error

from tests.acceptance.browser import open_page
from tests.acceptance.conftest import Site
from tests.acceptance.notebooks import write_notebook
from tests.security.hostile import Attempt, hostile_requests, hostile_websockets, status_of
from tests.servers import wait_for
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

pytestmark = [pytest.mark.timeout(600)]


class Prefect:
    """The server, as its owner knows it."""

    def __init__(self, site: Site) -> None:
        endpoints = Stack(site.settings).endpoints()
        self.login = str(endpoints.prefect_auth_string)
        self.pages = str(endpoints.prefect_ui_url)
        self.port = int(urlsplit(str(endpoints.prefect_api_url)).port or 0)
        self.api = PrefectApi(str(endpoints.prefect_api_url), self.login)

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.api.ask("/events/filter", {"filter": wanted, "limit": 50})["events"])


@pytest.fixture(scope="module")
def prefect(site: Site) -> Prefect:
    return Prefect(site)


def test_no_hostile_request_is_served(prefect: Prefect) -> None:
    """Some ask for what has a name that ends as that of the open door does."""
    prefect.api.ask("/variables/", {"name": "broker_health", "value": "canary-7361"})
    attempts = [*hostile_requests(prefect.login), *hostile_websockets(prefect.login)]
    assert len(attempts) > 200
    served = []
    for attempt in attempts:
        status, said = status_of(attempt, prefect.port)
        if status not in {400, 401, 403, 413, 421, 429} or b"canary" in said:
            served.append((attempt.name, attempt.method, attempt.target, status))
    assert served == []


def test_a_forged_event_reaches_no_automation(prefect: Prefect) -> None:
    forged = {
        "event": "data_sync.market_data.written",
        "resource": {"prefect.resource.id": "workbench.data_ingestion"},
        "occurred": "2026-01-01T00:00:00Z",
        "id": "6f1b0f0e-3a8c-4a6e-8b1d-0123456789ab",
        "payload": {},
    }
    body = json.dumps([forged]).encode()
    for headers in ((), (("Origin", "http://evil.example"),)):
        status, _ = status_of(
            Attempt("", "/api/events", method="POST", headers=headers, body=body), prefect.port
        )
        assert status in {401, 403, 429}
    assert prefect.events(event={"name": [forged["event"]]}) == []


def test_health_alone_is_there_for_everyone(prefect: Prefect) -> None:
    status, said = status_of(Attempt("", "/api/health"), prefect.port)
    assert (status, said.rpartition(b"\r\n\r\n")[2]) == (200, b"true")


def test_a_promoted_notebook_runs_and_none_of_its_events_and_logs_is_lost(
    site: Site, prefect: Prefect
) -> None:
    """They go over websockets, which show the login only by a header that the stack sets."""
    notebook = write_notebook(
        site.folder / "saying.ipynb", parameters="word: str = 'hello'", cells=["print('said', word)"]
    )
    with site.workbench() as wb:
        deployment = wb.promote(notebook, name="saying", cron="0 6 1 1 *", timezone="UTC")
        ended = wb.deployments.trigger("saying")
    assert ended.state == "COMPLETED"
    resource = f"prefect.flow-run.{ended.flow_run_id}"

    def told() -> set[str]:
        events = prefect.events(any_resource={"id": [resource]})
        return {event["event"] for event in events}

    states = {f"prefect.flow-run.{state}" for state in ("Pending", "Running", "Completed")}
    wait_for(
        lambda: states | {"prefect.worker.executed-flow-run"} <= told(), "every event of the run is there"
    )

    def logged() -> str:
        body = {"logs": {"flow_run_id": {"any_": [ended.flow_run_id]}}}
        return " ".join(entry["message"] for entry in prefect.api.ask("/logs/filter", body))

    wait_for(lambda: "said hello" in logged(), "what it printed is in its log")
    assert deployment.name == "saying"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_pages_work_in_a_browser_that_has_signed_in(prefect: Prefect, host: str) -> None:
    asked: list[str] = []
    refused: list[str] = []
    with open_page("about:blank", login=prefect.login) as page:
        page.on("requestfinished", lambda request: asked.append(request.url))
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        blocked: list[str] = []
        page.on("console", lambda said: blocked.append(said.text) if "Security Policy" in said.text else None)
        page.goto(f"http://{host}:{prefect.port}/")
        page.get_by_text("Event Feed").first.wait_for(timeout=30_000)
        page.goto(f"http://{host}:{prefect.port}/deployments")
        page.get_by_text("saying").first.wait_for(timeout=30_000)
        assert page.get_by_placeholder("admin:pass").count() == 0
    assert refused == []
    # The newer pages ask a service for a configuration, whatever is set; they are not let.
    assert [text for text in blocked if "sr-client-cfg.amplitude.com" not in text] == []
    hosts = {urlsplit(url).hostname for url in asked if url.startswith("http")}
    assert hosts == {host}


def test_a_browser_that_has_not_signed_in_sees_nothing(prefect: Prefect) -> None:
    # Where nobody can be asked, chromium shows its own page of this name.
    with open_page("about:blank") as page, pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        page.goto(f"{prefect.pages}/dashboard")


def test_a_page_of_another_port_can_neither_call_nor_frame_it(prefect: Prefect) -> None:
    """JupyterLab's pages are of the same site for a browser, which attaches the login by itself."""
    with open_page("about:blank", login=prefect.login) as page:
        page.goto(f"{prefect.pages}/dashboard")
        page.get_by_text("Event Feed").first.wait_for(timeout=30_000)
        page.route("http://localhost:1/*", lambda route: route.fulfill(body="<p>of another port</p>"))
        page.goto("http://localhost:1/page")
        ask = """url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '[]'})
            .then(() => null, () => null)"""
        before = len(prefect.events(event={"prefix": ["data_sync."]}))
        for address in (f"http://localhost:{prefect.port}", f"http://127.0.0.1:{prefect.port}"):
            page.evaluate(ask, f"{address}/api/events")
            opened = page.evaluate(
                """url => new Promise(done => {
                    const socket = new WebSocket(url);
                    socket.onopen = () => done(true);
                    socket.onerror = () => done(false);
                })""",
                f"{address.replace('http', 'ws')}/api/events/in",
            )
            assert opened is False
        assert len(prefect.events(event={"prefix": ["data_sync."]})) == before
