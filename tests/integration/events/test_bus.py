"""Listening: the newest events, how many of each type, those to come, and the channels themselves."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.events.conftest import MakeRelay
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import EventError, ServerUnreachable
from workbench.events import DataSyncEventBus, Event


def _tell(wb: Workbench, make_relay: MakeRelay, counts: dict[str, int]) -> None:
    with wb.runs.pool.begin() as connection:
        for kind, count in counts.items():
            for number in range(count):
                wb.events.publish_data_event(kind, "runs", {"n": number}, connection=connection)
    relay = make_relay()
    while relay.pass_on_once():
        pass


def test_without_events_there_are_none(wb: Workbench) -> None:
    assert wb.events.recent() == []
    assert wb.events.counts() == {}


def test_the_newest_come_oldest_first(wb: Workbench, make_relay: MakeRelay) -> None:
    _tell(wb, make_relay, {"a.done": 30})
    assert [event.data["n"] for event in wb.events.recent(3)] == [27, 28, 29]
    assert len(wb.events.recent()) == 20


@pytest.mark.parametrize("many", [999, 1_000, 1_001, 2_345])
def test_counts_are_of_all_events(wb: Workbench, make_relay: MakeRelay, many: int) -> None:
    _tell(wb, make_relay, {"b.done": many - 1, "a.done": 1})
    assert wb.events.counts() == {"a.done": 1, "b.done": many - 1}


def test_follow_gives_what_comes_and_what_there_is(wb: Workbench, make_relay: MakeRelay) -> None:
    _tell(wb, make_relay, {"a.done": 2, "b.done": 1})
    assert [e.type for e in itertools.islice(wb.events.follow(after="0"), 3)] == ["a.done"] * 2 + ["b.done"]
    assert [e.type for e in itertools.islice(wb.events.follow("b.done", after="0"), 1)] == ["b.done"]
    with ThreadPoolExecutor(1) as threads:
        follower = wb.events.follow("a.done")
        following = threads.submit(next, follower)
        # Until the follower has looked where the stream ends, what comes is not new to it.
        told = itertools.count()
        while not following.done():
            _tell(wb, make_relay, {f"b.n{next(told)}": 1, "a.done": 1})
        assert following.result().type == "a.done"


def test_subscribe_gives_a_subscription_to_those_channels(wb: Workbench, make_relay: MakeRelay) -> None:
    with wb.events.subscribe("a.done", "b.done") as subscription:
        for _ in range(2):
            subscription.get_message(timeout=10)  # what says that one has subscribed
        _tell(wb, make_relay, {"a.done": 1, "c.done": 1, "b.done": 1})
        texts = [
            wait_for(lambda: subscription.get_message(timeout=1), "a message arrives")["data"]
            for _ in range(2)
        ]
    assert [Event.from_json(text).type for text in texts] == ["a.done", "b.done"]
    with pytest.raises(EventError, match="name at least one event type"):
        wb.events.subscribe()


def test_a_closed_bus_opens_again(wb: Workbench, make_relay: MakeRelay) -> None:
    _tell(wb, make_relay, {"a.done": 1})
    assert len(wb.events.recent()) == 1
    wb.events.close()
    assert len(wb.events.recent()) == 1


def test_a_redis_that_is_not_there_is_said_so(wb: Workbench) -> None:
    bus = DataSyncEventBus(wb.runs.pool, lambda: "redis://127.0.0.1:1/0")
    with pytest.raises(ServerUnreachable, match="Redis does not answer"):
        bus.recent()
    bus.close()
