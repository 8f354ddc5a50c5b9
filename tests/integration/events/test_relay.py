"""The relay delivers each event of the outbox at least once and in order, also after a receiver was down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

import pandas as pd
import psycopg
import pytest
import redis

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.events.conftest import ONES_OWN, MakeRelay, redis_sink, wait_until_told
from tests.servers import ServerPark, wait_for
from workbench import Workbench
from workbench.db.bar_history import trim_bar_history
from workbench.errors import ServerUnreachable
from workbench.events import outbox, relay
from workbench.events.outbox import Row
from workbench.events.relay import PrefectSink, RedisSink, Relay
from workbench.settings import Settings

KEEPALIVES = ("idle", "interval", "count")
RunRelay = Callable[[Relay], threading.Event]


def _publish(wb: Workbench, count: int, kind: str = "thing.done") -> None:
    with wb.runs.pool.begin() as connection:
        for number in range(count):
            wb.events.publish_data_event(kind, "runs", {"n": number}, connection=connection)


def _unpublished(admin: Connection) -> int:
    row = admin.execute("SELECT count(*) FROM workbench.events WHERE published_at IS NULL").fetchone()
    assert row is not None
    return int(row[0])


def test_events_reach_the_stream_in_order_and_once(wb: Workbench, make_relay: MakeRelay) -> None:
    relay = make_relay()
    _publish(wb, 1_200)
    while relay.pass_on_once():
        pass
    events = wb.events.recent(2_000)
    assert [event.data["n"] for event in events] == list(range(1_200))
    assert [event.event_id for event in events] == sorted(event.event_id for event in events)
    assert relay.pass_on_once() == 0


def test_a_listener_on_the_channel_gets_the_documented_payload(
    wb: Workbench,
    make_bars: MakeBars,
    make_relay: MakeRelay,
    database_settings: Settings,
    redis_url: str,
) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as listener:
        listener.subscribe("data_sync:market_data.written")
        assert (listener.get_message(timeout=10) or {})["type"] == "subscribe"
        wb.data_ingestion.write_market_data(make_bars(), source="file")
        make_relay().pass_on_once()
        message = wait_for(lambda: listener.get_message(timeout=1), "a message arrives")
    assert message["channel"] == b"data_sync:market_data.written"
    payload = json.loads(message["data"])
    # Every database of a Redis publishes on this channel, and says which one it is.
    assert payload.pop("database") == database_settings.trading_database
    assert set(payload) == {"type", "service", "data", "timestamp", "event_id"}
    assert (payload["type"], payload["service"]) == ("market_data.written", "data_ingestion")
    assert payload["data"]["symbols"] == ["AAPL"]
    assert payload["timestamp"].endswith("+00:00")
    assert [json.loads(event.to_json()) for event in wb.events.recent()] == [payload]


def test_a_running_relay_passes_on_what_is_committed(
    wb: Workbench, make_bars: MakeBars, make_relay: MakeRelay, run_relay: RunRelay
) -> None:
    assert run_relay(make_relay()).wait(30)
    for symbol in ("AAPL", "IBM"):
        wb.data_ingestion.write_market_data(make_bars(symbol), source="file")
    wait_until_told(wb, 2)
    assert [event.data["symbols"] for event in wb.events.recent()] == [["AAPL"], ["IBM"]]


class DyingSink(RedisSink):
    """Delivers, and dies before that can be noted."""

    def deliver(self, batch: Sequence[Row]) -> str | None:
        super().deliver(batch)
        raise KeyboardInterrupt


def test_a_relay_that_dies_between_delivery_and_note_delivers_again(
    wb: Workbench, make_relay: MakeRelay, database_settings: Settings, admin: Connection
) -> None:
    _publish(wb, 2)
    with pytest.raises(KeyboardInterrupt):
        make_relay(redis_sink(database_settings, DyingSink)).pass_on_once()
    assert _unpublished(admin) == 2
    assert make_relay().pass_on_once() == 2
    ids = [event.event_id for event in wb.events.recent()]
    assert ids[:2] == ids[2:]
    assert _unpublished(admin) == 0


def test_of_two_relays_one_works_and_the_other_takes_over(
    wb: Workbench, make_relay: MakeRelay, run_relay: RunRelay
) -> None:
    first, second = make_relay(), make_relay()
    assert run_relay(first).wait(30)
    waiting = run_relay(second)
    _publish(wb, 100)
    wait_until_told(wb, 100)
    assert not waiting.is_set()
    first.stop()
    assert waiting.wait(30)
    _publish(wb, 100)
    wait_until_told(wb, 200)
    assert len({event.event_id for event in wb.events.recent(300)}) == 200


def test_a_server_soon_notices_that_the_machine_of_a_relay_is_gone(
    make_relay: MakeRelay, database_url: str
) -> None:
    """What holds the lock is then a connection without a peer, and PostgreSQL's default is two hours."""
    with psycopg.connect(database_url, autocommit=True) as listener:
        assert make_relay()._become_leader(listener)
        shown = [listener.execute(f"SHOW tcp_keepalives_{name}".encode()) for name in KEEPALIVES]
        idle, interval, count = (int(one.fetchone()[0]) for one in shown)  # type: ignore[index]
    assert idle + interval * count == 30


def test_a_relay_whose_connection_is_cut_comes_back(
    wb: Workbench, make_relay: MakeRelay, run_relay: RunRelay, admin: Connection
) -> None:
    assert run_relay(make_relay()).wait(30)
    _publish(wb, 1)
    wait_until_told(wb, 1)
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    _publish(wb, 1)
    wait_until_told(wb, 2)


@pytest.mark.parametrize("profile", [ONES_OWN], indirect=True)
def test_a_redis_that_is_down_stops_no_write_and_is_told_all_when_it_returns(
    wb: Workbench,
    make_bars: MakeBars,
    make_relay: MakeRelay,
    run_relay: RunRelay,
    servers: ServerPark,
    admin: Connection,
) -> None:
    assert run_relay(make_relay()).wait(30)
    servers.redis().stop()
    try:
        for symbol in ("AAPL", "IBM"):
            assert wb.data_ingestion.write_market_data(make_bars(symbol), source="file").inserted == 5
        with pytest.raises(ServerUnreachable, match=r"Redis does not answer.*see: workbench status"):
            wb.events.recent()
        assert _unpublished(admin) == 2
    finally:
        servers.redis().start()
    wait_until_told(wb, 2)
    assert [event.data["symbols"] for event in wb.events.recent()] == [["AAPL"], ["IBM"]]


@pytest.fixture
def prefect_api() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """An HTTP server that records what is posted: its URL, the requests, and the statuses to answer.

    As Prefect does with what is nested too deeply, it answers 500 where one of the events is poison.
    """
    requests: list[dict[str, Any]] = []
    statuses: list[int] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append({"path": self.path, "authorization": self.headers["Authorization"], "body": body})
            refused = any(event["payload"].get("poison") for event in body)
            self.send_response(statuses.pop(0) if statuses else 500 if refused else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api", requests, statuses
        server.shutdown()
        thread.join()


def test_prefect_is_told_in_its_own_terms(
    wb: Workbench,
    make_bars: MakeBars,
    make_relay: MakeRelay,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
) -> None:
    url, requests, _ = prefect_api
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    assert make_relay(PrefectSink(url, "user:pass:word")).pass_on_once() == 1
    (request,) = requests
    assert request["path"] == "/api/events"
    # base64 of "user:pass:word", by coreutils' base64
    assert request["authorization"] == "Basic dXNlcjpwYXNzOndvcmQ="
    (event,) = request["body"]
    assert event["event"] == "data_sync.market_data.written"
    assert event["resource"] == {
        "prefect.resource.id": "workbench.data_ingestion",
        "workbench.work_pool": "workbench",
    }
    assert event["payload"]["symbols"] == ["AAPL"]
    assert [(one["prefect.resource.id"], one["prefect.resource.role"]) for one in event["related"]] == [
        ("workbench.symbol.AAPL", "symbol"),
        ("workbench.data_source.file", "data_source"),
    ]
    assert event["occurred"].endswith("+00:00")


def test_a_bulk_write_reaches_prefect_in_parts_that_it_takes_and_drops_no_symbol(
    wb: Workbench,
    make_bars: MakeBars,
    make_relay: MakeRelay,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
) -> None:
    url, requests, _ = prefect_api
    symbols = [f"S{number:03}" for number in range(500)]
    wb.data_ingestion.write_market_data(
        pd.concat([make_bars(symbol, days=2) for symbol in symbols]), source="file"
    )
    # What people publish themselves may have anything under the same name.
    wb.events.publish_data_event("list.made", "research", {"symbols": "AAPL", "data_sources": 3})
    assert make_relay(PrefectSink(url, None)).pass_on_once() == 7
    *told, own = [event for request in requests for event in request["body"]]
    assert [event["payload"]["part"] for event in told] == [1, 2, 3, 4, 5, 6]
    assert {(event["payload"]["parts"], event["payload"]["inserted"]) for event in told} == {(6, 1_000)}
    assert [name for event in told for name in event["payload"]["symbols"]] == symbols
    # Prefect takes 100 related resources.
    assert max(len(event["related"]) for event in told) <= 100
    related = [one["prefect.resource.name"] for event in told for one in event["related"]]
    assert [name for name in related if name != "file"] == symbols
    assert own["related"] == []


def test_a_prefect_that_refuses_is_told_again_with_the_same_id_and_holds_up_no_redis(
    wb: Workbench,
    make_relay: MakeRelay,
    database_settings: Settings,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
    run_relay: RunRelay,
) -> None:
    url, requests, statuses = prefect_api
    statuses.extend([503])
    assert run_relay(make_relay(redis_sink(database_settings), PrefectSink(url, None))).wait(30)
    _publish(wb, 1)
    wait_until_told(wb, 1)
    wait_for(lambda: len(requests) >= 2, "Prefect is told again")
    assert requests[0]["body"][0]["id"] == requests[1]["body"][0]["id"]
    assert requests[0]["authorization"] is None
    assert len(wb.events.recent()) == 1


def test_an_event_that_prefect_will_never_take_is_put_aside_after_some_tries(
    wb: Workbench,
    make_relay: MakeRelay,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until then later events of the same key wait, in their order; those of other keys do not."""
    url, requests, _ = prefect_api
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.0)

    def accepted() -> list[tuple[str, int]]:
        whole = [r["body"] for r in requests if not any(e["payload"].get("poison") for e in r["body"])]
        told = [event for body in whole for event in body if "n" in event["payload"]]
        return [(event["event"], event["payload"]["n"]) for event in told]

    for number in range(4):
        poison = {"poison": True} if number == 1 else {}
        for key in ("a", "b", ""):
            data = {"n": number, **(poison if key != "b" else {})}
            wb.events.publish_data_event(f"of.{key or 'none'}", "runs", data, key=key)
    passing_on = make_relay(PrefectSink(url, None))
    passing_on.pass_on_once()
    assert accepted() == [
        *(("data_sync.of.a", 0), ("data_sync.of.b", 0), ("data_sync.of.none", 0), ("data_sync.of.b", 1)),
        *(("data_sync.of.b", 2), ("data_sync.of.none", 2), ("data_sync.of.b", 3), ("data_sync.of.none", 3)),
    ]
    for _ in range(10):
        passing_on.pass_on_once()
    assert [at for at in accepted() if at[0] == "data_sync.of.a"] == [
        ("data_sync.of.a", n) for n in (0, 2, 3)
    ]
    assert len(accepted()) == len(set(accepted())) == 10
    assert "is put aside: prefect refused it 5 times: it answers 500" in caplog.text
    aside = wb.events.put_aside()
    assert [(one.type, one.sink, one.tries) for one in aside] == [
        ("of.a", "prefect", 5),
        ("of.none", "prefect", 5),
    ]
    assert aside[0].reason.startswith("it answers 500")
    told = [event for request in requests for event in request["body"]]
    assert {e["payload"]["event_id"] for e in told if e["event"] == "data_sync.event.put_aside"} == {
        one.event_id for one in aside
    }


def test_an_event_that_was_put_aside_is_tried_again_when_somebody_says_so(
    wb: Workbench,
    make_relay: MakeRelay,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, requests, _ = prefect_api
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.0)
    wb.events.publish_data_event("thing.done", "runs", {"poison": True})
    wb.events.publish_data_event("thing.done", "runs", {"poison": True})
    passing_on = make_relay(PrefectSink(url, None))
    for _ in range(8):
        passing_on.pass_on_once()
    first, second = wb.events.put_aside()
    requests.clear()
    assert wb.events.retry(second.event_id) == 1
    assert wb.events.put_aside() == [first]
    passing_on.pass_on_once()
    assert [len(request["body"]) for request in requests] == [1, 1]  # it and the probe
    assert wb.events.retry() == 1
    for _ in range(8):
        passing_on.pass_on_once()
    assert [one.event_id for one in wb.events.put_aside()] == [second.event_id, first.event_id]


def test_what_follows_a_refusal_does_not_go_to_a_connection_that_prefect_is_closing(
    wb: Workbench, make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect answers 500, and closes the connection only when it has written its log."""
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.0)

    class ClosingLate(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refused = any(event["payload"].get("poison") for event in body)
            self.send_response(500 if refused else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if refused:
                time.sleep(0.2)
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    wb.events.publish_data_event("thing.done", "runs", {"poison": True})
    _publish(wb, 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), ClosingLate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        passing_on = make_relay(PrefectSink(f"http://127.0.0.1:{server.server_port}/api", None))
        # The other event at once; the refused one is marked after its last try, and then that is told.
        done = [passing_on.pass_on_once() for _ in range(6)]
        server.shutdown()
    assert done[:4] == [1, 0, 0, 0]
    assert sum(done) == 3
    assert [one.tries for one in wb.events.put_aside()] == [5]


def test_a_prefect_that_takes_no_event_at_all_puts_none_aside(
    wb: Workbench,
    make_relay: MakeRelay,
    prefect_api: tuple[str, list[dict[str, Any]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, _, statuses = prefect_api
    monkeypatch.setattr(relay, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.0)
    _publish(wb, 2)
    statuses.extend([500] * 40)
    passing_on = make_relay(PrefectSink(url, None))
    for _ in range(20):
        assert passing_on.pass_on_once() == 0
    assert wb.events.put_aside() == []
    assert statuses == []
    assert passing_on.pass_on_once() == 2


def test_what_cannot_even_be_read_does_not_end_the_relay(
    wb: Workbench,
    make_relay: MakeRelay,
    run_relay: RunRelay,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PostgreSQL takes JSON with a number of more digits than Python reads (4,300)."""
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.0)
    _publish(wb, 1)
    admin.execute(
        "INSERT INTO workbench.events (type, service, data) VALUES ('long.done', 'runs', "
        "('{\"n\": ' || repeat('9', 5000) || '}')::jsonb)"
    )
    assert run_relay(make_relay()).wait(30)
    _publish(wb, 1)
    wait_until_told(wb, 3)
    assert [event.type for event in wb.events.recent()][-1] == "event.put_aside"
    (aside,) = wb.events.put_aside()
    assert (aside.type, aside.sink) == ("long.done", "redis")


def test_events_that_redis_has_had_for_long_are_deleted(wb: Workbench, admin: Connection) -> None:
    _publish(wb, 3)
    admin.execute(
        "UPDATE workbench.events SET published_at = now() - interval '31 days' "
        "WHERE event_id = (SELECT min(event_id) FROM workbench.events)"
    )
    with wb.runs.pool.begin() as connection:
        assert outbox.delete_old(connection, days=30) == 1
    assert admin.execute("SELECT count(*) FROM workbench.events").fetchall() == [(2,)]


def test_old_versions_of_bars_are_removed_by_themselves_and_events_go_on_where_that_fails(
    wb: Workbench,
    make_bars: MakeBars,
    make_relay: MakeRelay,
    run_relay: RunRelay,
    admin: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bars = make_bars()
    wb.data_ingestion.write_market_data(bars, source="file")
    wb.data_ingestion.write_market_data(bars.assign(volume=7.0), source="file")
    admin.execute(
        "UPDATE data_ingestion.series_revisions SET committed_at = committed_at - interval '40 days'"
    )
    relay = make_relay(upkeep=lambda connection: trim_bar_history(connection, keep_days=30))
    assert run_relay(relay).wait(30)
    wait_for(lambda: wb.data_ingestion.load_market_data_history().empty, "old versions are removed", 30)
    assert wb.data_ingestion.load_series_revisions()["trimmed_at"].notna().tolist() == [True]
    relay.stop()
    failing = make_relay(upkeep=lambda connection: trim_bar_history(connection, keep_days=0))
    assert run_relay(failing).wait(30)
    _publish(wb, 1)
    wait_until_told(wb, 3)
    # The upkeep comes after the events.
    reason = "the hourly upkeep: old versions of bars are kept for at least a day"
    wait_for(lambda: reason in caplog.text, "it is logged why they are not removed", 30)
