"""The moments before or after the opens or closes of an exchange's sessions: "close+15min"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from workbench.schedules.lengths import length_of

__all__ = ["moments_after", "moments_before", "offset_of"]

_AT = re.compile(r"(open|close)\s*(?:([+-])\s*(\S.*))?")
_WINDOW = timedelta(days=60)
# No exchange that goes on closes for longer: after that a calendar has ended, or not yet begun.
_PAUSE = timedelta(days=360)


def offset_of(at: str) -> tuple[str, timedelta] | None:
    """The edge of the session, "open" or "close", and how long after it; None of a text that cannot be read.

    Examples
    --------
    >>> offset_of("open-30min")
    ('open', datetime.timedelta(days=-1, seconds=84600))
    """
    found = _AT.fullmatch(at.strip())
    if found is None:
        return None
    if found[2] is None:
        return found[1], timedelta()
    length = length_of(found[3])
    if length is None:
        return None
    return found[1], -length if found[2] == "-" else length


def moments_after(calendar: str, at: str, after: datetime) -> Iterator[datetime]:
    """The moments after `after`, UTC, oldest first, until the calendar ends.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    first, last_seen = after, after
    while first - last_seen < _PAUSE:
        for moment in _between(calendar, at, first, first + _WINDOW):
            last_seen = moment
            yield moment
        first += _WINDOW


def moments_before(calendar: str, at: str, until: datetime) -> Iterator[datetime]:
    """The moments at or before `until`, UTC, newest first, until the calendar's beginning.

    Raises
    ------
    QueryError
        There is no such calendar.
    """
    last, last_seen = until, until
    while last_seen - last < _PAUSE:
        for moment in reversed(_between(calendar, at, last - _WINDOW, last)):
            last_seen = moment
            yield moment
        last -= _WINDOW


def _between(calendar: str, at: str, first: datetime, last: datetime) -> list[datetime]:
    """The moments in `(first, last]`."""
    import pandas as pd

    from workbench.marketdata.calendar import schedule

    found = offset_of(at)
    if found is None:
        return []
    edge, offset = found
    # A session may open on the day before its date, and the offset leads to another date as well.
    margin = pd.Timedelta(days=2)
    edges = schedule(calendar, pd.Timestamp(first) - margin, pd.Timestamp(last) + margin)[edge]
    moments = (moment.to_pydatetime().astimezone(UTC) + offset for moment in edges)
    return [moment for moment in moments if first < moment <= last]
