"""Bars between the database and arrays: read through the cache, written where they are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from workbench.db.bar_range import BarRange
from workbench.db.bars import read_bars
from workbench.marketdata.cache import BarCache
from workbench.marketdata.cache_files import CachedSeries
from workbench.marketdata.series import Assembled, SeriesBars, assemble

__all__ = ["BarStore", "SeriesState"]

_DAY = 86_400_000_000
# Fewer bars are put together sooner than a file is mapped.
_WORTH_KEEPING = 50_000


@dataclass(frozen=True)
class SeriesState:
    """A series of bars as a snapshot of the database has it.

    Attributes
    ----------
    symbol, source : str
    bars : int
        How many.
    revision : int
    first, last : int
        The first and the last bar's time, microseconds since 1970, UTC.
    lineage : sequence of str
        The tags of the states that it grew from by appends alone, oldest first; the last one is its own.
    """

    symbol: str
    source: str
    bars: int
    revision: int
    first: int
    last: int
    lineage: Sequence[str]

    @property
    def tag(self) -> str:
        """What this state, and no other, is known by; empty where it cannot be told from others."""
        return self.lineage[-1] if self.lineage else ""


@dataclass(frozen=True)
class _Span:
    """What is asked of a series, `[start, end)`; None where it is asked up to the series' own end."""

    start: int | None
    end: int | None

    def of(self, state: SeriesState) -> _Span:
        """The same, with an open end where it lies beyond the series' first or last bar."""
        return _Span(
            None if self.start is None or self.start <= state.first else self.start,
            None if self.end is None or self.end > state.last else self.end,
        )


class BarStore:
    """Reads series of bars, from the cache what it has of them and from the database the rest.

    A cached series counts only if its tag is one of the lineage that the caller's snapshot shows: the last
    one, and it is as good as the table; an earlier one, and only bars after its last are missing.
    """

    def __init__(self, cache: BarCache) -> None:
        self.cache = cache

    def read(
        self,
        connection: sa.Connection,
        states: Sequence[SeriesState],
        start: int | None = None,
        end: int | None = None,
        *,
        keep: bool = True,
    ) -> list[SeriesBars]:
        """The bars in `[start, end)` of series of one data source, each symbol once.

        Parameters
        ----------
        connection : Connection
            In the snapshot that `states` were read in.
        states : sequence of SeriesState
        start, end : int, optional
            Microseconds since 1970, UTC.
        keep : bool
            Whether what is read goes to the cache; False where the connection has no such snapshot.
        """
        wanted = [
            (state, span)
            for state in states
            if state.bars
            and not (end is not None and end <= state.first)
            and not (start is not None and start > state.last)
            for span in [_Span(start, end).of(state)]
        ]
        held = {state.symbol: self._held(state) for state, _ in wanted}
        gaps = {state.symbol: _gaps(state, span, held[state.symbol]) for state, span in wanted}
        fetched = _fetch(connection, [(state, gap) for state, _ in wanted for gap in gaps[state.symbol]])
        done = []
        for state, span in wanted:
            cached = held[state.symbol]
            if gaps[state.symbol] or (cached is not None and cached.tag != state.tag):
                cached = _joined(state, span, cached, fetched.get(state.symbol, []))
                if keep and state.tag:
                    self.cache.put(state.source, cached)
            assert cached is not None
            done.append(cached.bars.between(start, end))
        return done

    def assembled(
        self,
        connection: sa.Connection,
        states: Sequence[SeriesState],
        start: int | None = None,
        end: int | None = None,
    ) -> Assembled:
        """The bars in `[start, end)` of series of one data source, put together.

        What is asked for a second time is kept as it was put together: a third time, it is mapped and no bar
        is moved.
        """
        name = _name_of(states, start, end)
        if name is not None:
            kept = self.cache.get_assembled(name)
            if kept is not None:
                return kept
        held = name is not None and all(self._is_held(state) for state in states if state.bars)
        whole = assemble(self.read(connection, states, start, end))
        if name is not None and held and len(whole) >= _WORTH_KEEPING:
            self.cache.put_assembled(name, whole)
        return whole

    def read_latest(
        self,
        connection: sa.Connection,
        states: Sequence[SeriesState],
        count: int,
        start: int | None = None,
        end: int | None = None,
    ) -> list[SeriesBars]:
        """The last `count` bars of each series in `[start, end)`.

        Looks back from each series' own end as far as its bars are likely to lie, and farther where they
        do not.
        """
        done = []
        for state in states:
            if not state.bars:
                continue
            until = state.last + 1 if end is None else min(end, state.last + 1)
            earliest = state.first if start is None else max(start, state.first)
            reach = max(_DAY, 2 * count * (state.last - state.first + 1) // state.bars)
            while True:
                since = max(earliest, until - reach)
                found = self.read(connection, [state], since, end) if since < until else []
                if since <= earliest or (found and len(found[0]) >= count):
                    done += [bars.last(count) for bars in found]
                    break
                reach *= 4
        return done

    def _is_held(self, state: SeriesState) -> bool:
        cached = self.cache.get(state.source, state.symbol)
        return cached is not None and cached.tag == state.tag

    def _held(self, state: SeriesState) -> CachedSeries | None:
        cached = self.cache.get(state.source, state.symbol)
        return cached if cached is not None and cached.tag in state.lineage else None


def _name_of(states: Sequence[SeriesState], start: int | None, end: int | None) -> str | None:
    """What a question is known by, as long as its answer stays the same; None where that cannot be told."""
    if len(states) < 2 or not all(state.tag for state in states if state.bars):
        return None
    said = [f"{state.symbol} {state.tag}" for state in states]
    return "\0".join([states[0].source, f"{start} {end}", *said])


def _gaps(state: SeriesState, span: _Span, cached: CachedSeries | None) -> list[_Span]:
    """What must be read to have the span: before, after, and what was appended since."""
    if cached is None or _apart(span, cached):
        return [span]
    gaps = []
    if cached.start is not None and (span.start is None or span.start < cached.start):
        gaps.append(_Span(span.start, cached.start))
    if cached.end is None:
        if state.tag != cached.tag:
            gaps.append(_Span(cached.last + 1, None))
    elif span.end is None or span.end > cached.end:
        gaps.append(_Span(cached.end, span.end))
    return gaps


def _apart(span: _Span, cached: CachedSeries) -> bool:
    """Whether bars that nobody asked for lie between the two: then the new replaces the old."""
    after = cached.end is not None and span.start is not None and span.start > cached.end
    before = cached.start is not None and span.end is not None and span.end < cached.start
    return after or before


def _fetch(
    connection: sa.Connection, gaps: Sequence[tuple[SeriesState, _Span]]
) -> dict[str, list[SeriesBars]]:
    """Read the gaps, each symbol's in the order of time."""
    found: dict[str, list[SeriesBars]] = {}
    # A symbol has at most two gaps, one at each end: two rounds, in each of which it comes once.
    for number in range(2):
        seen: dict[str, int] = {}
        ranges = []
        for state, gap in gaps:
            seen[state.symbol] = seen.get(state.symbol, -1) + 1
            if seen[state.symbol] == number:
                ranges.append(_range(state, gap))
        if ranges:
            for symbol, bars in read_bars(connection, gaps[0][0].source, ranges).items():
                found.setdefault(symbol, []).append(bars)
    return found


def _range(state: SeriesState, gap: _Span) -> BarRange:
    start = state.first if gap.start is None else gap.start
    end = state.last + 1 if gap.end is None else gap.end
    if gap.start is None and gap.end is None:
        return BarRange(state.symbol, start, end, state.bars, state.bars)
    # As if the bars were spread evenly; where they are not, twice as many and a few still find room.
    likely = int(state.bars * min(1.0, (end - start) / max(1, state.last + 1 - state.first)))
    return BarRange(state.symbol, start, end, likely, min(state.bars, 2 * likely + 5_000))


def _joined(
    state: SeriesState, span: _Span, cached: CachedSeries | None, pieces: Sequence[SeriesBars]
) -> CachedSeries:
    """The cached bars and the fetched ones as one, and what they cover."""
    if cached is None or _apart(span, cached):
        bars = pieces[0] if pieces else _nothing(state.symbol)
        return CachedSeries(bars, state.tag, state.last, span.start, span.end)
    parts = sorted([cached.bars, *pieces], key=lambda part: int(part.times[0]) if len(part) else 0)
    bars = parts[0]
    if len(parts) > 1:
        bars = SeriesBars(
            state.symbol,
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.values for part in parts], axis=1),
        )
    start = cached.start
    if cached.start is not None and (span.start is None or span.start < cached.start):
        start = span.start
    end = cached.end
    if cached.end is not None and (span.end is None or span.end > cached.end):
        end = span.end
    return CachedSeries(bars, state.tag, state.last, start, end)


def _nothing(symbol: str) -> SeriesBars:
    return SeriesBars(symbol, np.empty(0, dtype=np.int64), np.empty((5, 0)))
