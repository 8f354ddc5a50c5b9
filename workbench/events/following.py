"""Reads the stream without gaps: across restarts of Redis, across processes, and after trimming.

Events are read from the stream; the outbox is the complete record. A position is an entry of the stream and
its event. While that entry exists, the entries after it are complete; if it is gone, the events published
since are read from the outbox.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import EventError, ServerError
from workbench.events import outbox
from workbench.events.event import Event
from workbench.tables.workbench import events

__all__ = ["Following", "read_entry"]

_START = "0-0"
# Maximum time between an event's delivery and its mark in the outbox; both clocks are PostgreSQL's.
_MARGIN_SECONDS = 5
_AT_ONCE = 1000
# More than the stream's length: it cannot repeat more of the events that were read from the outbox.
_REMEMBERED = 200_000
_WAIT_SECONDS = 1.0
_POSITION = re.compile(r"(\d+-\d+)(?::(\d+))?")

logger = logging.getLogger(__name__)


def read_entry(entry_id: str, fields: dict[str, str]) -> Event:
    """The event of a stream entry, with its position."""
    event = Event.from_json(fields["event"])
    return replace(event, position=f"{entry_id}:{event.event_id}")


class Following:
    """Iterates over the events after a position, without end.

    Parameters
    ----------
    pool : ServiceConnectionPool
        Reads the outbox.
    ask : callable
        Runs a command on Redis; raises ServerUnreachable.
    reconnect : callable
        Called after a failure: the server may have another port.
    after : str
        As for `DataSyncEventBus.follow`.
    stream : str
        The name of the stream.
    """

    def __init__(
        self,
        pool: ServiceConnectionPool,
        ask: Callable[[Callable[[Any], Any]], Any],
        reconnect: Callable[[], None],
        after: str,
        stream: str,
    ) -> None:
        self._stream = stream
        self._pool = pool
        self._ask = ask
        self._reconnect = reconnect
        # The id of the last entry read, and the number of its event.
        self._entry = _START
        self._event_id: int | None = None
        # Whether the stream may lack events without a sign of it.
        self._gap = False
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        if after == "$":
            self._start_at_the_end()
        elif after != "0":
            position = _POSITION.fullmatch(after)
            if position is None:
                raise EventError(
                    f"after={after!r} is not an event's position; use '$' for new ones only, '0' for all, "
                    "or the `position` of an event"
                )
            self._entry = position[1]
            if position[2]:
                self._event_id = int(position[2])
                self._is_new(self._event_id)
                self._gap = self._entry == _START

    def __iter__(self) -> Iterator[Event]:
        self._ask(lambda client: client.ping())
        failing = False
        while True:
            try:
                if self._gap or self._entry_is_gone():
                    yield from self._from_outbox()
                    self._gap = False
                yield from self._from_stream()
                failing = False
            except ServerError as error:
                if not failing:
                    logger.warning("following events: %s; waiting", error)
                failing = True
                self._gap = self._gap or (self._entry == _START and self._event_id is not None)
                time.sleep(_WAIT_SECONDS)
                self._reconnect()

    def _start_at_the_end(self) -> None:
        newest = self._ask(lambda client: client.xrevrange(self._stream, count=1))
        if newest:
            self._entry, self._event_id = newest[0][0], read_entry(*newest[0]).event_id
        else:
            with self._pool.begin("looking for the newest event") as connection:
                query = sa.select(sa.func.max(events.c.event_id)).where(events.c.published_at.is_not(None))
                self._event_id = connection.scalar(query) or 0
        self._is_new(self._event_id)

    def _entry_is_gone(self) -> bool:
        entry = self._entry
        return entry != _START and not self._ask(
            lambda client: client.xrange(self._stream, min=entry, max=entry, count=1)
        )

    def _from_stream(self) -> Iterator[Event]:
        entry = self._entry
        batches = self._ask(lambda client: client.xread({self._stream: entry}, count=100, block=1000))
        for _, entries in batches or []:
            for entry_id, fields in entries:
                self._entry = entry_id
                try:
                    event = read_entry(entry_id, fields)
                except EventError as error:
                    logger.warning("entry %s of the stream is skipped: %s", entry_id, error)
                    continue
                self._event_id = event.event_id
                if self._is_new(event.event_id):
                    yield event

    def _from_outbox(self) -> Iterator[Event]:
        """Yield the events published since the last one read, then resume after the last entry before it."""
        since, entry = self._since(), self._entry
        before = self._ask(lambda client: client.xrevrange(self._stream, max=entry, count=1))
        last: tuple[datetime, int] | None = None
        while True:
            query = outbox.rows().add_columns(events.c.published_at).where(since)
            if last is not None:
                query = query.where(sa.tuple_(events.c.published_at, events.c.event_id) > last)
            query = query.order_by(events.c.published_at, events.c.event_id).limit(_AT_ONCE)
            with self._pool.begin("reading events that Redis has lost") as connection:
                found = connection.execute(query).all()
            for *columns, published_at in found:
                row = outbox.Row(*columns)
                last = published_at, row.event_id
                self._event_id = row.event_id
                if self._is_new(row.event_id) and (event := _readable(row)) is not None:
                    yield event
            if len(found) < _AT_ONCE:
                break
        self._entry = before[0][0] if before else _START

    def _since(self) -> sa.ColumnElement[bool]:
        """The condition for rows published after the last event read, or shortly before."""
        published = events.c.published_at
        if self._event_id is None:
            start: Any = sa.func.to_timestamp(int(self._entry.partition("-")[0]) / 1000)
        else:
            known = events.alias()
            start = (
                sa.select(known.c.published_at).where(known.c.event_id == self._event_id).scalar_subquery()
            )
        margin = sa.func.make_interval(0, 0, 0, 0, 0, 0, _MARGIN_SECONDS)
        # If the event is no longer in the outbox, all remaining rows are later.
        start = sa.func.coalesce(start - margin, sa.text("'-infinity'::timestamptz"))
        return sa.and_(published.is_not(None), published >= start)

    def _is_new(self, event_id: int) -> bool:
        """Whether that event was not seen yet; marks it as seen."""
        if event_id in self._seen:
            return False
        self._seen.add(event_id)
        self._order.append(event_id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True


def _readable(row: outbox.Row) -> Event | None:
    try:
        return row.event(f"{_START}:{row.event_id}")
    except (ValueError, RecursionError) as error:
        logger.warning("event %s is skipped: it cannot be read: %s", row.event_id, error)
        return None
