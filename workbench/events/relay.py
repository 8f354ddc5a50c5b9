"""The relay: moves events from the outbox to Redis and to Prefect, until it is told to end.

One relay works at a time (an advisory lock); further ones wait in its shadow and take over when it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from workbench.db.translate import translated
from workbench.errors import ServerUnreachable, WorkbenchError
from workbench.events import outbox
from workbench.events.outbox import Row
from workbench.events.sinks import PrefectSink, RedisSink, Sink

__all__ = ["PrefectSink", "RedisSink", "Relay"]

_LOCK = 0x72656C61
_BATCH = 500
_KEEP_DAYS = 30
_IDLE_SECONDS = 1.0
_RETRY_SECONDS = 2.0
# An event that is refused is tried so often, with pauses that double.
_TRIES = 5
_PAUSE_SECONDS = 1.0

logger = logging.getLogger("workbench.relay")


@dataclass
class _Refused:
    """An event that a sink refuses, until it is taken or put aside."""

    key: str
    tries: int = 0
    not_before: float = 0.0


class Relay:
    """Passes the outbox on to its sinks, each at its own pace: one that is down holds up no other.

    An event that a sink refuses, though it takes others, is tried again with pauses that grow, and then put
    aside. Until then it holds up the events of its key, whose order is promised, and no others; an event
    without a key holds up none.
    """

    def __init__(self, url: sa.URL, sinks: Sequence[Sink]) -> None:
        self._engine = sa.create_engine(url, pool_size=2, pool_pre_ping=True)
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._sinks = sinks
        self._stop = threading.Event()
        self._not_before = dict.fromkeys(range(len(sinks)), 0.0)
        self._refused: list[dict[int, _Refused]] = [{} for _ in sinks]

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
            except Exception:
                logger.exception("unforeseen; going on")
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
        sink, refused = self._sinks[number], self._refused[number]
        due = [event_id for event_id, one in refused.items() if time.monotonic() >= one.not_before]
        try:
            done = sum(self._pass_on(sink, refused, most=1, only=event_id) for event_id in due)
            waiting = {one.key for one in refused.values()} - {""}
            return done + self._pass_on(
                sink, refused, most=_BATCH, without=list(refused), without_keys=waiting
            )
        except ServerUnreachable as error:
            logger.warning("%s", error)
            self._not_before[number] = time.monotonic() + _RETRY_SECONDS
            return 0

    def _pass_on(self, sink: Sink, refused: dict[int, _Refused], **which: Any) -> int:
        """Pass on some events, in a transaction of their own: what is done stays done."""
        with translated("the outbox"), self._engine.begin() as connection:

            def deliver(batch: Sequence[Row]) -> set[int]:
                return self._deliver(connection, sink, refused, batch)

            return outbox.pass_on(connection, outbox.SINKS[sink.name], deliver, **which)

    def _deliver(
        self, connection: sa.Connection, sink: Sink, refused: dict[int, _Refused], batch: Sequence[Row]
    ) -> set[int]:
        """Deliver what the sink takes; return the ids of the others, which are tried again."""
        taken, reasons = _bisected(sink, batch)
        for event_id in taken:
            refused.pop(event_id, None)
        left = {row.event_id for row in batch} - taken
        for row in batch:
            if row.event_id not in reasons:
                continue
            reason = reasons[row.event_id]
            one = refused.setdefault(row.event_id, _Refused(row.key))
            one.tries += 1
            if one.tries < _TRIES:
                one.not_before = time.monotonic() + _PAUSE_SECONDS * 2.0 ** (one.tries - 1)
                logger.warning("%s refuses event %s (%s): %s", sink.name, row.event_id, row.type, reason)
                continue
            outbox.put_aside(connection, row, sink.name, reason, one.tries)
            del refused[row.event_id]
            left.discard(row.event_id)
            logger.error(
                "event %s (%s) is put aside: %s refused it %s times: %s; see wb.events.put_aside()",
                *(row.event_id, row.type, sink.name, one.tries, reason),
            )
        return left


def _bisected(sink: Sink, batch: Sequence[Row]) -> tuple[set[int], dict[int, str]]:
    """The ids of those that the sink takes, and of those that it refuses, with its reasons.

    What has the key of one that is refused is not offered after it.

    Raises
    ------
    ServerUnreachable
        Nobody answers, or not even an event that cannot be refused is taken.
    """
    taken: set[int] = set()
    reasons: dict[int, str] = {}
    keys: set[str] = set()
    waiting = [list(batch)]
    while waiting:
        rows = [row for row in waiting.pop() if row.key not in keys]
        if not rows:
            continue
        reason = sink.deliver(rows)
        if reason is None:
            taken.update(row.event_id for row in rows)
        elif not reasons and not taken and not sink.is_well():
            raise ServerUnreachable(f"{sink.name} does not take events: {reason}")
        elif len(rows) == 1:
            reasons[rows[0].event_id] = reason
            keys |= {rows[0].key} - {""}
        else:
            middle = len(rows) // 2
            waiting += [rows[middle:], rows[:middle]]
    return taken, reasons
