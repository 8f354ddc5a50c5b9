"""Reads series of bars as arrays: from the cache on disk what it has, from the database the rest."""

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

__all__ = ["WORTH_KEEPING", "BarStore", "SeriesState"]

_DAY = 86_400_000_000
WORTH_KEEPING = 50_000
"""Fewer bars are assembled faster than a file is mapped."""


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
        The tags of the states that it grew from by appends only, oldest first; the last one is its own.
    calendar, interval : str, optional
        The exchange and the length of its bars, as `marketdata.completeness` takes them.
    """

    symbol: str
    source: str
    bars: int
    revision: int
    first: int
    last: int
    lineage: Sequence[str]
    calendar: str | None = None
    interval: str | None = None

    @property
    def tag(self) -> str:
        """The tag of this very state; empty where it has none, so that nothing is cached."""
        return self.lineage[-1] if self.lineage else ""


@dataclass(frozen=True)
class _Span:
    """The part of a series that is asked for, `[start, end)`; None for the series' own first or last bar."""

    start: int | None
    end: int | None

    def of(self, state: SeriesState) -> _Span:
        """The same, with None for a bound beyond the series' first or last bar."""
        return _Span(
            None if self.start is None or self.start <= state.first else self.start,
            None if self.end is None or self.end > state.last else self.end,
        )


class BarStore:
    """Reads series of bars, from the cache what it has of them and from the database the rest.

    A cached series is used only if its tag is in the lineage that the caller's snapshot shows. If it is the
    last tag there, the cached bars are those of the table; if an earlier one, only bars after its last one
    are missing.
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
        """The bars in `[start, end)` of some series of one data source.

        Parameters
        ----------
        connection : Connection
            In the snapshot that `states` were read in.
        states : sequence of SeriesState
        start, end : int, optional
            Microseconds since 1970, UTC.
        keep : bool
            Whether bars that were read go to the cache; False where the connection has no such snapshot.
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
        """The bars in `[start, end)` of some series of one data source, assembled as one.

        A second load of the same bars writes the whole to a file; the third maps that file and copies no
        bar.
        """
        name = _name_of(states, start, end)
        if name is not None:
            kept = self.cache.get_assembled(name)
            if kept is not None:
                return kept
        held = name is not None and all(self._is_held(state) for state in states if state.bars)
        whole = assemble(self.read(connection, states, start, end))
        if name is not None and held and len(whole) >= WORTH_KEEPING:
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

        Looks back from the end as far as that many bars are likely to reach, and farther if they do not.
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
    """A name for the bars of a load that changes when they do; None where a state has no tag."""
    if len(states) < 2 or not all(state.tag for state in states if state.bars):
        return None
    said = [f"{state.symbol} {state.tag}" for state in states]
    return "\0".join([states[0].source, f"{start} {end}", *said])


def _gaps(state: SeriesState, span: _Span, cached: CachedSeries | None) -> list[_Span]:
    """What the cache lacks of the span: bars before it, after it, and those appended since."""
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
    """Whether there is a gap between the two; the new bars then replace the cached ones."""
    after = cached.end is not None and span.start is not None and span.start > cached.end
    before = cached.start is not None and span.end is not None and span.end < cached.start
    return after or before


def _fetch(
    connection: sa.Connection, gaps: Sequence[tuple[SeriesState, _Span]]
) -> dict[str, list[SeriesBars]]:
    """Read the gaps, each symbol's in the order of time."""
    found: dict[str, list[SeriesBars]] = {}
    # A symbol has at most two gaps, one at each end, and `read_bars` takes each symbol once: two rounds.
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
    # Estimated as if bars were spread evenly, with room for twice as many and some more.
    likely = int(state.bars * min(1.0, (end - start) / max(1, state.last + 1 - state.first)))
    return BarRange(state.symbol, start, end, likely, min(state.bars, 2 * likely + 5_000))


def _joined(
    state: SeriesState, span: _Span, cached: CachedSeries | None, pieces: Sequence[SeriesBars]
) -> CachedSeries:
    """The cached and the fetched bars as one, and the range that they cover."""
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
