"""Which series of bars there are in a snapshot, and which data source a load means."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

import pandas as pd
import psycopg
import sqlalchemy as sa
from psycopg.rows import tuple_row

from workbench.errors import AmbiguousSource, QueryError, UnknownSymbol
from workbench.services.bar_store import SeriesState
from workbench.services.filters import Moment, as_range
from workbench.sources.sample import SYMBOLS as SAMPLE
from workbench.spelling import did_you_mean, near_names

__all__ = ["bounds", "chosen_source", "series_states", "way_to_ingest"]

_SHOWN = 20
# No trigger fires where a partition is attached or detached, so the list of partitions is a part of each tag.
# A failed ingestion leaves a status, too, but neither bars nor a success.
_STATES = """
SELECT symbol, data_source, bars, revision,
       (extract(epoch FROM first_bar) * 1000000)::bigint, (extract(epoch FROM last_bar) * 1000000)::bigint,
       array_to_string(lineage, ' '),
       (SELECT md5(string_agg(inhrelid::text, ' ' ORDER BY inhrelid)) FROM pg_inherits
        WHERE inhparent = 'data_ingestion.market_data'::regclass),
       calendar, bar_interval
FROM data_ingestion.ingestion_status
WHERE (revision > 0 OR last_success_at IS NOT NULL)
"""


def series_states(
    connection: sa.Connection, symbols: Sequence[str] | None = None, source: str | None = None
) -> list[SeriesState]:
    """Every series of those symbols and that source, by source and symbol; None for all.

    A series that was ingested without a single good bar is among them, with `bars` 0.
    """
    filters: list[str] = []
    values: dict[str, object] = {}
    if symbols is not None:
        filters.append("symbol = ANY(%(symbols)s)")
        values["symbols"] = list(symbols)
    if source is not None:
        filters.append("data_source = %(source)s")
        values["source"] = source
    where = "".join(f"AND {one} " for one in filters)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor(row_factory=tuple_row) as cursor:
        cursor.execute((_STATES + where).encode(), values)
        rows = cursor.fetchall()
    return sorted(
        (
            SeriesState(
                symbol,
                data_source,
                bars,
                revision,
                first or 0,
                last or 0,
                [f"{layout} {tag}" for tag in lineage.split()],
                calendar,
                interval,
            )
            for symbol, data_source, bars, revision, first, last, lineage, layout, calendar, interval in rows
        ),
        key=lambda state: (state.source, state.symbol),
    )


def chosen_source(
    connection: sa.Connection,
    states: Sequence[SeriesState],
    symbols: Sequence[str] | None,
    source: str | None,
) -> str:
    """The data source that was named, or else the only one that holds bars.

    Raises
    ------
    UnknownSymbol
        A symbol that was never ingested.
    AmbiguousSource
        No source was named and several hold bars.
    QueryError
        The source that was named holds no bar of the symbols, and another's name is like it.
    """
    if symbols is not None:
        _refuse_unknown(connection, states, symbols)
    holding = sorted({state.source for state in states if state.bars})
    if source is None:
        if len(holding) > 1:
            whose = "the symbols" if symbols is None else ", ".join(symbols[:5])
            raise AmbiguousSource(
                f"several sources hold bars of {whose}: {', '.join(holding)}; say which, "
                f"source={holding[-1]!r}",
                sources=holding,
            )
        return holding[0] if holding else ""
    if source not in holding and holding:
        near = near_names(source, holding)
        if near:
            raise QueryError(f"no bars are from {source!r}; did you mean {near[0]!r}?")
    return source


def _refuse_unknown(connection: sa.Connection, states: Sequence[SeriesState], symbols: Sequence[str]) -> None:
    found = {state.symbol for state in states}
    unknown = [symbol for symbol in symbols if symbol not in found]
    if not unknown:
        return
    known = sorted({state.symbol for state in series_states(connection) if state.bars})
    shown = ", ".join(known[:_SHOWN]) or "none yet"
    more = f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
    # Several, for a mistyped ticker may be like many others.
    near = dict.fromkeys(name for symbol in unknown[:_SHOWN] for name in near_names(symbol, known, n=3))
    raise UnknownSymbol(
        f"no bars of {', '.join(unknown[:_SHOWN])} were ever ingested{did_you_mean(list(near))}; "
        f"there are: {shown}{more}. "
        f"To get them: {_how_to_get(unknown[:_SHOWN])}",
        symbols=unknown,
        known=known,
    )


def _how_to_get(symbols: Sequence[str]) -> str:
    """The calls that ingest them: from the sample what it has, the others from elsewhere."""
    in_sample = [symbol for symbol in symbols if symbol in SAMPLE]
    elsewhere = [symbol for symbol in symbols if symbol not in SAMPLE]
    ways = []
    if in_sample:
        ways.append(f"{way_to_ingest(in_sample, 'sample')} (other sources: file, yahoo, …)")
    if elsewhere:
        ways.append(f"{way_to_ingest(elsewhere, 'yahoo')} (other sources: file, polygon, alpaca)")
    return "; and ".join(ways)


def way_to_ingest(symbols: Sequence[str], source: str) -> str:
    """The call that ingests `symbols`, in a notebook and in a shell."""
    asked = json.dumps(symbols[0] if len(symbols) == 1 else list(symbols), ensure_ascii=False)
    return (
        f'wb.ingest({asked}, source="{source}") or workbench ingest {shlex.join(symbols)} --source {source}'
    )


def bounds(start: Moment | None, end: Moment | None) -> tuple[int | None, int | None]:
    """`[start, end)` in microseconds since 1970, UTC; None stays None.

    Raises
    ------
    EmptyRange
        `end` does not lie after `start`.
    """
    first, last = as_range(start, end)
    return _microseconds(first), _microseconds(last)


def _microseconds(moment: pd.Timestamp | None) -> int | None:
    # Rounded up: a bar at the microsecond before a finer start lies before it.
    return None if moment is None else int(pd.DatetimeIndex([moment.ceil("us")]).as_unit("us").asi8[0])
