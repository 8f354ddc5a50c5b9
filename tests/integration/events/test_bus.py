"""Listening: the newest events, how many of each type, those to come, and the channels themselves."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.integration.events.conftest import ONES_OWN, MakeRelay
from tests.servers import ServerPark, wait_for
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


def test_whoever_saw_an_event_goes_on_behind_it(wb: Workbench, make_relay: MakeRelay) -> None:
    _tell(wb, make_relay, {"a.done": 3, "b.done": 3})
    seen = list(itertools.islice(wb.events.follow("a.done", after="0"), 2))
    position = seen[-1].position
    assert position is not None
    assert position == wb.events.recent(5)[0].position
    assert [e.data["n"] for e in itertools.islice(wb.events.follow("a.done", after=position), 1)] == [2]
    # An entry's own id, as Redis has it, does as well.
    entry = position.partition(":")[0]
    assert [e.type for e in itertools.islice(wb.events.follow(after=entry), 4)] == ["a.done"] + ["b.done"] * 3


@pytest.mark.parametrize("after", ["yesterday", "", "1", "1-2:x"])
def test_what_is_no_position_is_refused(wb: Workbench, make_relay: MakeRelay, after: str) -> None:
    with pytest.raises(EventError, match="is not an event's position"):
        next(wb.events.follow(after=after))


@pytest.mark.parametrize("profile", [ONES_OWN], indirect=True)
def test_a_follower_waits_for_redis_and_misses_nothing_that_redis_lost(
    wb: Workbench, another_wb: Workbench, make_relay: MakeRelay, servers: ServerPark
) -> None:
    _tell(wb, make_relay, {"a.done": 3})
    follower = wb.events.follow(after="0")
    first = [next(follower) for _ in range(2)]
    # Published, and lost before either of the followers comes to it, but for the first two.
    _tell(wb, make_relay, {"b.done": 2})
    servers.redis().stop()
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(lambda: [next(follower) for _ in range(5)])
        servers.redis().start()
        _tell(wb, make_relay, {"c.done": 2})
        rest = following.result(60)
    assert [(e.type, e.data["n"]) for e in first + rest] == [
        *(("a.done", 0), ("a.done", 1), ("a.done", 2), ("b.done", 0), ("b.done", 1)),
        *(("c.done", 0), ("c.done", 1)),
    ]
    # Another process, later: from a position in the stream that is gone, and from one read meanwhile.
    for last in (first[-1], rest[1]):
        assert last.position is not None
        again = []
        for event in another_wb.events.follow(after=last.position):
            again.append(event.event_id)
            if event.event_id == rest[-1].event_id:
                break
        later = [e.event_id for e in rest if e.event_id > last.event_id]
        assert [event_id for event_id in again if event_id in later] == later
        assert last.event_id not in again


@pytest.mark.parametrize("profile", [ONES_OWN], indirect=True)
def test_a_follower_of_new_events_has_those_that_come_while_redis_is_away(
    wb: Workbench, make_relay: MakeRelay, servers: ServerPark
) -> None:
    """Also where there was no event before, and so no place in the stream."""
    with ThreadPoolExecutor(1) as threads:
        follower = wb.events.follow()
        following = threads.submit(lambda: [next(follower).data["n"] for _ in range(3)])
        wait_for(lambda: _is_followed(servers), "it listens")
        servers.redis().stop()
        with wb.runs.pool.begin() as connection:
            for number in range(3):
                wb.events.publish_data_event("a.done", "runs", {"n": number}, connection=connection)
        servers.redis().start()
        make_relay().pass_on_once()
        assert following.result(60) == [0, 1, 2]


def _is_followed(servers: ServerPark) -> bool:
    with redis.Redis.from_url(servers.redis().url) as client:
        return any(one["cmd"] == "xread" for one in client.client_list())


def test_a_follower_that_fell_behind_what_was_trimmed_misses_nothing(
    wb: Workbench, make_relay: MakeRelay, redis_url: str
) -> None:
    _tell(wb, make_relay, {"a.done": 5})
    follower = wb.events.follow(after="0")
    assert next(follower).data["n"] == 0
    _tell(wb, make_relay, {"b.done": 200})
    with redis.Redis.from_url(redis_url) as client:
        client.xtrim(f"{wb.settings.event_prefix}:events", maxlen=3, approximate=False)
    seen = [next(follower) for _ in range(204)]
    assert [e.data["n"] for e in seen] == [1, 2, 3, 4, *range(200)]


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
    with pytest.raises(EventError, match="give at least one event type"):
        wb.events.subscribe()


def test_a_closed_bus_opens_again(wb: Workbench, make_relay: MakeRelay) -> None:
    _tell(wb, make_relay, {"a.done": 1})
    assert len(wb.events.recent()) == 1
    wb.events.close()
    assert len(wb.events.recent()) == 1


def test_a_redis_that_is_not_there_is_said_so(wb: Workbench) -> None:
    bus = DataSyncEventBus(wb.runs.pool, lambda: "redis://127.0.0.1:1/0")
    for ask in (bus.recent, lambda: bus.subscribe("a.done")):
        with pytest.raises(ServerUnreachable, match="Redis does not answer"):
            ask()
    bus.close()
