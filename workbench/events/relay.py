"""The relay: moves events from the outbox to Redis and to Prefect, until it is stopped.

One relay works at a time (an advisory lock); others wait and take over when it ends.
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
_KEEPALIVES = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4"
_KEEP_DAYS = 30
_UPKEEP_SECONDS = 3600
_IDLE_SECONDS = 1.0
_RETRY_SECONDS = 2.0
# Attempts for a refused event, with pauses that double.
_TRIES = 5
_PAUSE_SECONDS = 1.0

logger = logging.getLogger("workbench.relay")


@dataclass
class _Refused:
    """An event that a sink refuses, until it is accepted or put aside."""

    key: str
    tries: int = 0
    not_before: float = 0.0


class Relay:
    """Delivers the outbox to its sinks, independently: one that is down does not delay the others.

    An event that a sink refuses, although it accepts others, is retried with growing pauses, and then put
    aside. Until then it delays the events with its key, which must stay in order, and no others; an event
    without a key delays none.

    Parameters
    ----------
    url : URL
        With the role `workbench_runs`.
    sinks : sequence of Sink
    upkeep : callable, optional
        What else is to be done every hour in the database, in a transaction of its own. If it fails, that is
        logged, and events are delivered as before.
    note : callable, optional
        Given each event once, in the transaction that marks it: what it writes there is written once.
    """

    def __init__(
        self,
        url: sa.URL,
        sinks: Sequence[Sink],
        *,
        upkeep: Callable[[sa.Connection], object] | None = None,
        note: Callable[[sa.Connection, Sequence[Row]], None] | None = None,
    ) -> None:
        self._engine = sa.create_engine(url, pool_size=2, pool_pre_ping=True)
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._sinks = sinks
        self._upkeep = upkeep
        self._note = note
        self._not_noted_before = 0.0
        self._stop = threading.Event()
        self._not_before = dict.fromkeys(range(len(sinks)), 0.0)
        self._refused: list[dict[int, _Refused]] = [{} for _ in sinks]

    def stop(self) -> None:
        """Make `run` return after the current step."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections to PostgreSQL and to the sinks' servers."""
        self._engine.dispose()
        for sink in self._sinks:
            sink.close()

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Deliver events until `stop`; waits for a database that does not answer."""
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as listener:
                    if self._become_leader(listener):
                        if ready is not None:
                            ready()
                        self._work(listener)
            except (psycopg.Error, WorkbenchError) as error:
                logger.warning("waiting for PostgreSQL: %s", str(error).strip())
                self._stop.wait(_RETRY_SECONDS)
            except Exception:
                logger.exception("unexpected error; continuing")
                self._stop.wait(_RETRY_SECONDS)

    def pass_on_once(self) -> int:
        """Serve all sinks once, and note what was not noted; return the number of deliveries and notes."""
        return sum(self._serve(number) for number in range(len(self._sinks))) + self._note_new()

    def _become_leader(self, listener: psycopg.Connection[Any]) -> bool:
        while not self._stop.is_set():
            row = listener.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            if row is not None and row[0]:
                # Else the server may hold the lock for hours for a machine that is gone, and nobody relays.
                listener.execute(_KEEPALIVES)
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
            if time.monotonic() - cleaned > _UPKEEP_SECONDS or not cleaned:
                with translated("the outbox"), self._engine.begin() as connection:
                    outbox.delete_old(connection, days=_KEEP_DAYS)
                self._keep_up()
                cleaned = time.monotonic()

    def _keep_up(self) -> None:
        if self._upkeep is None:
            return
        try:
            with translated("the hourly upkeep"), self._engine.begin() as connection:
                self._upkeep(connection)
        except WorkbenchError as error:
            logger.warning("%s; it is tried again in an hour", error)

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

    def _note_new(self) -> int:
        note = self._note
        if note is None or time.monotonic() < self._not_noted_before:
            return 0
        try:
            with translated("the outbox"), self._engine.begin() as connection:

                def noted(batch: Sequence[Row]) -> set[int]:
                    note(connection, batch)
                    return set()

                return outbox.pass_on(connection, outbox.AWAITED, noted, most=_BATCH)
        except ServerUnreachable:
            raise
        except WorkbenchError as error:
            # Others are told all the same.
            logger.warning("events are not held against what deployments await: %s", error)
            self._not_noted_before = time.monotonic() + _RETRY_SECONDS
            return 0

    def _pass_on(self, sink: Sink, refused: dict[int, _Refused], **which: Any) -> int:
        """Deliver some events in their own transaction."""
        with translated("the outbox"), self._engine.begin() as connection:

            def deliver(batch: Sequence[Row]) -> set[int]:
                return self._deliver(connection, sink, refused, batch)

            return outbox.pass_on(connection, outbox.SINKS[sink.name], deliver, **which)

    def _deliver(
        self, connection: sa.Connection, sink: Sink, refused: dict[int, _Refused], batch: Sequence[Row]
    ) -> set[int]:
        """Deliver the events that the sink accepts; return the ids of the others, which are retried."""
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
    """Deliver a batch; return the accepted ids, and the refused ids with reasons, found by bisection.

    Events with the key of a refused one are not delivered after it.

    Raises
    ------
    ServerUnreachable
        The sink does not answer, or does not even accept a probe event.
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
            raise ServerUnreachable(f"{sink.name} does not accept events: {reason}")
        elif len(rows) == 1:
            reasons[rows[0].event_id] = reason
            keys |= {rows[0].key} - {""}
        else:
            middle = len(rows) // 2
            waiting += [rows[middle:], rows[:middle]]
    return taken, reasons
