"""DataSyncEventBus: publishes events through the outbox, and reads them from Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.display.face import Face
from workbench.errors import EventError, ServerUnreachable
from workbench.events import outbox
from workbench.events.event import PREFIX, Event, channel, check_type, refuse_undeliverable, stream
from workbench.events.following import Following, read_entry
from workbench.events.outbox import PutAside

if TYPE_CHECKING:
    import redis

__all__ = ["DataSyncEventBus"]


class DataSyncEventBus(Face):
    """Publishes and reads events.

    Publishing writes a row of the outbox and does not need Redis; the relay moves it to the stream
    `data_sync:events` and the channel `data_sync:{type}`, at least once, in order per key. The channel is for
    current subscribers; the stream keeps the last 100,000 events for later readers.

    Parameters
    ----------
    pool : ServiceConnectionPool
        For events that are published without a connection of the caller.
    redis_url : Callable[[], str]
        Returns the URL; called once, at the first read.
    prefix : str
        What the names of the stream and the channels begin with (`Settings.event_prefix`): on a Redis that
        several databases use, `data_sync.<database>`.
    """

    _inside = frozenset({"close"})

    def __init__(
        self, pool: ServiceConnectionPool, redis_url: Callable[[], str], *, prefix: str = PREFIX
    ) -> None:
        self._prefix = prefix
        self._stream = stream(prefix)
        self._pool = pool
        self._redis_url = redis_url

    def publish_data_event(
        self,
        event_type: str,
        service: str,
        data: Mapping[str, Any],
        *,
        key: str = "",
        connection: sa.Connection | None = None,
    ) -> None:
        """Add an event to the outbox; it is delivered after the transaction is committed.

        Parameters
        ----------
        event_type : str
            "market_data.written"
        service : str
            The sender, as "research". The name of one of the seven services, as "data_ingestion", requires a
            `connection` of that service.
        data : mapping
            The event's data, JSON.
        key : str
            The subject; events with the same key arrive in order.
        connection : Connection, optional
            The transaction that the event belongs to. Default: a transaction of its own.

        Raises
        ------
        EventError
            The type is not lower-case words joined by dots; or the data is not JSON, nested deeper than 100
            levels or larger than a million bytes.
        PermissionRefused
            `service` is one of the seven services, and the transaction is not that service's.
        """
        check_type(event_type)
        refuse_undeliverable(event_type, data)
        if connection is not None:
            outbox.add(connection, event_type, service, data, key=key)
            return
        with self._pool.begin(f"publishing {event_type}") as own:
            outbox.add(own, event_type, service, data, key=key)

    def recent(self, count: int = 20) -> list[Event]:
        """The newest `count` events of the stream, oldest first."""
        entries = self._ask(lambda client: client.xrevrange(self._stream, count=count))
        return [read_entry(*entry) for entry in reversed(entries)]

    def counts(self) -> dict[str, int]:
        """How many events of each type are in the stream."""
        totals: dict[str, int] = {}
        position = "-"
        while True:
            start = position
            entries = self._ask(lambda client: client.xrange(self._stream, min=start, count=1000))  # noqa: B023
            for entry_id, fields in entries:
                event = Event.from_json(fields["event"])
                totals[event.type] = totals.get(event.type, 0) + 1
                position = f"({entry_id}"
            if len(entries) < 1000:
                return dict(sorted(totals.items()))

    def follow(self, event_type: str | None = None, *, after: str = "$") -> Iterator[Event]:
        """Yield events as they arrive, without end; those of one type, or all. Stop by leaving the loop.

        If Redis restarts, this waits for it. Events that Redis has lost or trimmed are read from the outbox,
        which keeps 30 days: nothing is skipped, and one `follow` never yields an event twice.

        Parameters
        ----------
        event_type : str, optional
        after : str
            Where to start: "$" for only new events, "0" for all in the stream, or the `position` of the last
            event seen, also by another process. If Redis has lost its stream since, events of the seconds
            before that position may come again: ignore an `event_id` that you have seen.

        Raises
        ------
        EventError
            `after` is none of these.
        ServerUnreachable
            Redis does not answer at the start; later this waits for it.
        """
        for event in Following(self._pool, self._ask, self.close, after, self._stream):
            if event_type is None or event.type == event_type:
                yield event

    def put_aside(self) -> list[PutAside]:
        """List events that Redis or Prefect refused several times and that are no longer delivered."""
        with self._pool.begin("looking for events that were put aside") as connection:
            return outbox.those_put_aside(connection)

    def retry(self, *event_ids: int) -> int:
        """Deliver events that were put aside again, all or the given ones; return how many."""
        with self._pool.begin("putting events back") as connection:
            return outbox.put_back(connection, event_ids or None)

    def subscribe(self, *event_types: str) -> redis.client.PubSub:
        """A redis-py subscription to this database's channels of those types, for direct use of Redis.

        Raises
        ------
        EventError
            No type is given.
        ServerUnreachable
            Redis does not answer.
        """
        if not event_types:
            raise EventError("give at least one event type to subscribe to, such as 'market_data.written'")

        def subscribed(server: Any) -> redis.client.PubSub:
            subscription: redis.client.PubSub = server.pubsub(ignore_subscribe_messages=True)
            subscription.subscribe(*(channel(event_type, self._prefix) for event_type in event_types))
            return subscription

        found: redis.client.PubSub = self._ask(subscribed)
        return found

    def close(self) -> None:
        """Close the connection to Redis, if there is one."""
        if "_redis" in self.__dict__:
            self._redis.close()
            del self.__dict__["_redis"]

    @cached_property
    def _redis(self) -> redis.Redis:
        import redis

        # No timeout on reads: `follow` blocks on purpose, and a server that ends closes the socket.
        return redis.Redis.from_url(self._redis_url(), decode_responses=True, socket_connect_timeout=5)

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        import redis

        try:
            return question(self._redis)
        except redis.RedisError as error:
            raise ServerUnreachable(
                f"Redis does not answer ({str(error).rstrip('.')}); see: workbench status"
            ) from error
