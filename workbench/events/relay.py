"""The relay: moves events from the outbox to Redis and to Prefect, until it is told to end.

One relay works at a time (an advisory lock); further ones wait in its shadow and take over when it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from workbench.db.translate import translated
from workbench.errors import ServerUnreachable, WorkbenchError
from workbench.events import outbox
from workbench.events.event import STREAM, Event, channel
from workbench.tables.workbench import events

__all__ = ["PrefectSink", "RedisSink", "Relay"]

_LOCK = 0x72656C61
_BATCH = 500
_STREAM_LENGTH = 100_000
_KEEP_DAYS = 30
_IDLE_SECONDS = 1.0
_RETRY_SECONDS = 2.0
# What an HTTP server answers to content that it will never take.
_REFUSED = {400, 413, 422}

logger = logging.getLogger("workbench.relay")


class RedisSink:
    """Adds events to the stream and publishes them on their channels."""

    marker = events.c.published_at

    def __init__(self, url: str) -> None:
        import redis

        self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)

    def deliver(self, batch: Sequence[Event]) -> None:
        """All of the batch, in order, or a ServerUnreachable."""
        import redis

        try:
            pipeline = self._redis.pipeline(transaction=False)
            for event in batch:
                text = event.to_json()
                pipeline.xadd(STREAM, {"event": text}, maxlen=_STREAM_LENGTH, approximate=True)
                pipeline.publish(channel(event.type), text)
            pipeline.execute()
        except redis.RedisError as error:
            raise ServerUnreachable(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        """Close the connection to Redis."""
        self._redis.close()


class PrefectSink:
    """Hands events to Prefect's server, where they can trigger deployments.

    There an event is called `data_sync.<type>` and is about the resource `workbench.<service>`.
    """

    marker = events.c.prefect_at

    def __init__(self, api_url: str, auth_string: str | None) -> None:
        import httpx

        auth = None
        if auth_string:
            user, _, password = auth_string.partition(":")
            auth = httpx.BasicAuth(user, password)
        self._client = httpx.Client(base_url=api_url.rstrip("/"), auth=auth, timeout=10)

    def deliver(self, batch: Sequence[Event]) -> None:
        """All of the batch, in order, or a ServerUnreachable.

        An event that Prefect understands and refuses is told in the log and passed over: it would be
        refused for ever, and hold up all that come after it.
        """
        import httpx

        try:
            reply = self._client.post("/events", json=[self._as_prefect_event(event) for event in batch])
            if reply.status_code in _REFUSED and len(batch) > 1:
                for event in batch:
                    self.deliver([event])
            elif reply.status_code in _REFUSED:
                logger.error("Prefect refuses event %s: %s", batch[0].event_id, reply.text[:500])
            else:
                reply.raise_for_status()
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"Prefect does not take events: {error}") from error

    def close(self) -> None:
        """Close the connection to Prefect."""
        self._client.close()

    @staticmethod
    def _as_prefect_event(event: Event) -> dict[str, Any]:
        import uuid

        return {
            # The same event always has the same id, so that a second delivery is known as one.
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"workbench:{event.event_id}:{event.timestamp}")),
            "occurred": event.timestamp.isoformat(),
            "event": f"data_sync.{event.type}",
            "resource": {"prefect.resource.id": f"workbench.{event.service}"},
            "payload": dict(event.data),
        }


class Relay:
    """Passes the outbox on to its sinks, each at its own pace: one that is down holds up no other."""

    def __init__(self, url: sa.URL, sinks: Sequence[RedisSink | PrefectSink]) -> None:
        self._engine = sa.create_engine(url, pool_size=2, pool_pre_ping=True)
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._sinks = sinks
        self._stop = threading.Event()
        self._not_before = dict.fromkeys(range(len(sinks)), 0.0)

    def stop(self) -> None:
        """Let `run` return after what it is doing."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections to PostgreSQL and to the sinks' servers."""
        self._engine.dispose()
        for sink in self._sinks:
            sink.close()

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Pass events on until `stop`; a database that is away is waited for."""
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as listener:
                    if self._become_the_one(listener):
                        if ready is not None:
                            ready()
                        self._work(listener)
            except (psycopg.Error, WorkbenchError) as error:
                logger.warning("waiting for PostgreSQL: %s", str(error).strip())
                self._stop.wait(_RETRY_SECONDS)

    def pass_on_once(self) -> int:
        """One round over all sinks; return how many deliveries were made."""
        return sum(self._serve(number) for number in range(len(self._sinks)))

    def _become_the_one(self, listener: psycopg.Connection[Any]) -> bool:
        while not self._stop.is_set():
            row = listener.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            if row is not None and row[0]:
                listener.execute("LISTEN workbench_events")
                return True
            self._stop.wait(_IDLE_SECONDS)
        return False

    def _work(self, listener: psycopg.Connection[Any]) -> None:
        cleaned = 0.0
        while not self._stop.is_set():
            if not self.pass_on_once():
                for _ in listener.notifies(timeout=_IDLE_SECONDS, stop_after=1):
                    pass
            if time.monotonic() - cleaned > 3600 or not cleaned:
                with translated("the outbox"), self._engine.begin() as connection:
                    outbox.delete_old(connection, days=_KEEP_DAYS)
                cleaned = time.monotonic()

    def _serve(self, number: int) -> int:
        if time.monotonic() < self._not_before[number]:
            return 0
        sink = self._sinks[number]
        try:
            with translated("the outbox"), self._engine.begin() as connection:
                return outbox.pass_on(connection, sink.marker, sink.deliver, most=_BATCH)
        except ServerUnreachable as error:
            logger.warning("%s", error)
            self._not_before[number] = time.monotonic() + _RETRY_SECONDS
            return 0
