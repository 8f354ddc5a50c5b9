"""`KnownBars`: bars as they were known: today's within the extent of then, and replaced versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
import sqlalchemy as sa
from psycopg.rows import tuple_row

from workbench.db.bar_history import ReplacedBars, read_replaced
from workbench.marketdata.cache_files import CachedSeries
from workbench.marketdata.series import Assembled, SeriesBars, assemble
from workbench.services.bar_store import WORTH_KEEPING, BarStore, SeriesState

__all__ = ["KnownBars"]

_NEVER = 2**62
# The extent then, and each later one that leaves some of it out; those of appends do not.
_EXTENTS = """
SELECT r.symbol, r.revision, r.bars,
       (extract(epoch FROM r.first_bar) * 1000000)::bigint, (extract(epoch FROM r.last_bar) * 1000000)::bigint
FROM unnest(%(symbols)s::text[], %(revisions)s::bigint[]) AS asked (symbol, revision)
JOIN data_ingestion.series_revisions k
    ON k.symbol = asked.symbol AND k.data_source = %(source)s AND k.revision = asked.revision
JOIN data_ingestion.series_revisions r
    ON r.symbol = k.symbol AND r.data_source = k.data_source AND r.revision >= k.revision
WHERE r.revision = k.revision OR r.bars = 0 OR r.first_bar > k.first_bar OR r.last_bar < k.last_bar
ORDER BY r.symbol, r.revision
"""


@dataclass(frozen=True)
class _Extents:
    """Where bars of then can lie, by how far one looks: a bar that is there throughout lies in every extent.

    Attributes
    ----------
    revisions : ndarray of int64, shape (n,)
        Ascending; the first is the one that is asked for.
    first, last : ndarray of int64, shape (n,)
        The intersection of all extents up to that revision, microseconds since 1970, UTC.
    """

    revisions: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]

    def hold(self, replaced: ReplacedBars) -> npt.NDArray[np.bool_]:
        """Whether each version held from the asked revision on: else it was added by an append after it."""
        place = np.searchsorted(self.revisions, replaced.until - 1, side="right") - 1
        return (self.first[place] <= replaced.times) & (replaced.times <= self.last[place])


class KnownBars(BarStore):
    """Reads series as an earlier revision of each had them; the cache gets and gives only today's bars.

    A bar that is in the table now, in no row of the history since then, and within every extent since then,
    was there then, as it is. Any other that was there then is in the history, in its first row since then.

    Parameters
    ----------
    store : BarStore
    now : sequence of SeriesState
        Series of one source as they are, in the snapshot in which they are read as they were.
    """

    def __init__(
        self,
        store: BarStore,
        now: Sequence[SeriesState],
    ) -> None:
        super().__init__(store.cache)
        self._store = store
        self._now = {state.symbol: state for state in now}
        self._extents: dict[str, _Extents] = {}

    def read(
        self,
        connection: sa.Connection,
        states: Sequence[SeriesState],
        start: int | None = None,
        end: int | None = None,
        *,
        keep: bool = True,
    ) -> list[SeriesBars]:
        """As `BarStore.read`, of the states of then."""
        current = [self._now[state.symbol] for state in states if state.bars]
        read = {bars.symbol: bars for bars in self._store.read(connection, current, start, end, keep=keep)}
        asked = {state.symbol: state.revision for state in states if state.bars and self._differs(state)}
        new = [state for state in states if state.symbol in asked and state.symbol not in self._extents]
        self._extents |= _extents(connection, new)
        replaced = read_replaced(connection, states[0].source, asked, start, end) if asked else {}
        done = []
        for state in states:
            bars = read.get(state.symbol)
            if state.symbol in asked:
                bars = _as_then(state.symbol, bars, replaced.get(state.symbol), self._extents[state.symbol])
            if state.bars and bars is not None and len(bars):
                done.append(bars)
        return done

    def assembled(
        self,
        connection: sa.Connection,
        states: Sequence[SeriesState],
        start: int | None = None,
        end: int | None = None,
    ) -> Assembled:
        """As `BarStore.assembled`; a file's name has today's tags and the revisions of then.

        Of one series its bars are kept: they are mapped once in a process, and each load copies out of them.
        """
        name = self._name_of(states, start, end)
        kept = None if name is None else self._kept(states, name)
        if kept is not None:
            return kept
        held = name is not None and all(self._is_held(self._now[state.symbol]) for state in states)
        read = self.read(connection, states, start, end)
        whole = assemble(read)
        if name is not None and held and len(whole) >= WORTH_KEEPING:
            self._keep(states, name, read, whole)
        return whole

    def _kept(self, states: Sequence[SeriesState], name: str) -> Assembled | None:
        if len(states) > 1:
            return self.cache.get_assembled(name)
        series = self.cache.get(states[0].source, states[0].symbol, name)
        return None if series is None else assemble([series.bars])

    def _keep(
        self, states: Sequence[SeriesState], name: str, read: Sequence[SeriesBars], whole: Assembled
    ) -> None:
        if len(states) > 1:
            self.cache.put_assembled(name, whole)
        else:
            (then,), (bars,) = states, read
            self.cache.put(then.source, CachedSeries(bars, then.tag, then.last, None, None), name)

    def _name_of(self, states: Sequence[SeriesState], start: int | None, end: int | None) -> str | None:
        """None where a series has no tag. A tag stands for one state of the table, and so for its history."""
        now = [self._now[state.symbol] for state in states]
        if not now or not all(state.tag for state in now):
            return None
        said = [f"{one.symbol} {one.tag} {then.revision}" for one, then in zip(now, states, strict=True)]
        return "\0".join(["known", states[0].source, f"{start} {end}", *said])

    def _differs(self, state: SeriesState) -> bool:
        return state.revision != self._now[state.symbol].revision


def _extents(connection: sa.Connection, states: Sequence[SeriesState]) -> dict[str, _Extents]:
    if not states:
        return {}
    given = {
        "symbols": [state.symbol for state in states],
        "revisions": [state.revision for state in states],
        "source": states[0].source,
    }
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_EXTENTS.encode(), given)
        rows = cursor.fetchall()
    found: dict[str, list[tuple[int, int, int]]] = {}
    for symbol, revision, bars, first, last in rows:
        found.setdefault(symbol, []).append((revision, first if bars else _NEVER, last if bars else -_NEVER))
    extents = {}
    for symbol, told in found.items():
        revisions, first, last = np.array(told, dtype=np.int64).T
        extents[symbol] = _Extents(revisions, np.maximum.accumulate(first), np.minimum.accumulate(last))
    return extents


def _as_then(
    symbol: str, now: SeriesBars | None, replaced: ReplacedBars | None, extents: _Extents
) -> SeriesBars:
    now = SeriesBars(symbol, np.empty(0, dtype=np.int64), np.empty((5, 0))) if now is None else now
    now = now.between(int(extents.first[-1]), int(extents.last[-1]) + 1)
    if replaced is None or not len(replaced):
        return now
    held = extents.hold(replaced) & ~np.isnan(replaced.values[0])
    places = np.searchsorted(now.times, replaced.times)
    there = places < len(now)
    there[there] = now.times[places[there]] == replaced.times[there]
    if (there == held).all():
        # Corrected values alone, the usual case.
        values = now.values.copy()
        values[:, places[held]] = replaced.values[:, held]
        return SeriesBars(symbol, now.times, values)
    kept = np.ones(len(now), dtype=bool)
    kept[places[there]] = False
    times = np.concatenate([now.times[kept], replaced.times[held]])
    values = np.concatenate([now.values[:, kept], replaced.values[:, held]], axis=1)
    order = np.argsort(times, kind="stable")
    return SeriesBars(symbol, times[order], np.ascontiguousarray(values[:, order]))
