"""The sinks of events: Redis, for listeners, and Prefect, where events can trigger deployments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from workbench.errors import ServerUnreachable
from workbench.events.event import PREFIX, Event, channel, stream
from workbench.events.outbox import Row
from workbench.project.server_names import WORK_POOL

__all__ = ["PrefectSink", "RedisSink", "Sink"]

_STREAM_LENGTH = 100_000
# What Prefect takes in one event; symbols come first, of which an event names at most 90.
_MOST_RELATED = 100
_ROLES = {"symbol": "symbols", "data_source": "data_sources", "strategy": "strategy_ids"}
# HTTP status codes of a server that is unavailable or refuses our login; not caused by an event.
_AWAY = {401, 403, 404, 407, 408, 425, 429, 502, 503, 504}


class Sink(Protocol):
    """A receiver of events; `name` is one of `outbox.SINKS`."""

    name: str

    def deliver(self, batch: Sequence[Row]) -> str | None:
        """Deliver the batch in order; returns the reason if all or part of it is refused, else None.

        Raises
        ------
        ServerUnreachable
            The server does not answer, which is not caused by the events.
        """

    def is_well(self) -> bool:
        """Whether the sink accepts a probe event now."""

    def close(self) -> None:
        """Close the connection."""


class RedisSink:
    """Adds events to the stream and publishes them on their channels.

    Parameters
    ----------
    url : str
    prefix : str
        What the names of the stream and the channels begin with (`Settings.event_prefix`). With another than
        the default, events are published on the channel `data_sync:<type>` as well, which all databases of
        one Redis share.
    database : str, optional
        The name that then tells in an event's JSON which database it is of.
    """

    name = "redis"

    def __init__(self, url: str, *, prefix: str = PREFIX, database: str | None = None) -> None:
        import redis

        self._stream = stream(prefix)
        self._prefixes = list(dict.fromkeys([PREFIX, prefix]))
        self._database = database if prefix != PREFIX else None
        self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)

    def deliver(self, batch: Sequence[Row]) -> str | None:
        """Deliver the batch in order; returns the reason if an event cannot be read."""
        import redis

        try:
            texts = [(row.type, row.event().to_json(self._database)) for row in batch]
        except (ValueError, RecursionError) as error:
            return f"it cannot be read: {error}"
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for event_type, text in texts:
                pipeline.xadd(self._stream, {"event": text}, maxlen=_STREAM_LENGTH, approximate=True)
                for prefix in self._prefixes:
                    # A channel is the whole server's, whatever the number of the database in the URL.
                    pipeline.publish(channel(event_type, prefix), text)
            pipeline.execute()
        except redis.RedisError as error:
            raise ServerUnreachable(f"Redis does not answer: {error}") from error
        return None

    def is_well(self) -> bool:
        """Always True: Redis never refuses an event."""
        return True

    def close(self) -> None:
        """Close the connection to Redis."""
        self._redis.close()


class PrefectSink:
    """Sends events to Prefect's server, where they can trigger deployments.

    There the event's name is `data_sync.<type>` and its resource is `workbench.<service>`, with the label
    `workbench.work_pool`, which tells the projects of one Prefect server apart. Each symbol, data source and
    strategy that it names is a related resource, such as `workbench.symbol.AAPL`, since automations match
    resources and not payloads.
    """

    name = "prefect"

    def __init__(self, api_url: str, auth_string: str | None, *, work_pool: str = WORK_POOL) -> None:
        import httpx

        self._work_pool = work_pool

        auth = None
        if auth_string:
            user, _, password = auth_string.partition(":")
            auth = httpx.BasicAuth(user, password)
        # No connection is reused: after a status 500 Prefect closes the connection a moment later, and a
        # request sent in between is lost, with an error as if the server were down.
        once = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=api_url.rstrip("/"), auth=auth, timeout=10, limits=once)

    def deliver(self, batch: Sequence[Row]) -> str | None:
        """Deliver the batch in order; returns the reason if Prefect refuses it."""
        try:
            return self._post([_as_prefect_event(row.event(), self._work_pool) for row in batch])
        except (ValueError, RecursionError) as error:
            return f"it cannot be read: {error}"

    def is_well(self) -> bool:
        """Whether Prefect accepts a plain event, `data_sync.relay.probe`."""
        probe = Event("relay.probe", "relay", {}, datetime.now(UTC), 0)
        return self._post([_as_prefect_event(probe, self._work_pool)]) is None

    def close(self) -> None:
        """Close the connection to Prefect."""
        self._client.close()

    def _post(self, events: list[dict[str, Any]]) -> str | None:
        import httpx

        try:
            reply = self._client.post("/events", json=events)
            if reply.status_code in _AWAY:
                reply.raise_for_status()
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"Prefect does not accept events: {error}") from error
        return None if reply.is_success else f"it answers {reply.status_code}: {reply.text[:500]}"


def _as_prefect_event(event: Event, work_pool: str) -> dict[str, Any]:
    # The same event always has the same id, so that Prefect recognises a second delivery.
    name = f"{work_pool}:{event.event_id}:{event.timestamp}"
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "occurred": event.timestamp.isoformat(),
        "event": f"data_sync.{event.type}",
        "resource": {
            "prefect.resource.id": f"workbench.{event.service}",
            "workbench.work_pool": work_pool,
        },
        "related": _related(event),
        "payload": dict(event.data),
    }


def _related(event: Event) -> list[dict[str, Any]]:
    # People's own events may hold anything under these names.
    lists = {role: event.data.get(key) for role, key in _ROLES.items()}
    named = [
        (role, name)
        for role, names in lists.items()
        if isinstance(names, list)
        for name in names
        if isinstance(name, str) and name
    ]
    return [
        {
            "prefect.resource.id": f"workbench.{role}.{name}",
            "prefect.resource.role": role,
            "prefect.resource.name": name,
        }
        for role, name in named[:_MOST_RELATED]
    ]
