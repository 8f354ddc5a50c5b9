"""What has become of series of bars since the revisions that were read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

__all__ = ["SeriesRead", "series_changes"]

# `first_bar` and `last_bar`: a bar that was added outside of them later, and corrected since, was not read.
_QUERY = sa.text("""
SELECT asked.number, s.revision AS revision_now, k.bars AS bars, s.bars AS bars_now,
       k.revision IS NOT NULL AS is_whole, coalesce(h.changed, 0) AS changed, h.first, h.last
FROM unnest(:symbols, :sources, :revisions, :untils) WITH ORDINALITY
         AS asked (symbol, data_source, revision, until, number)
LEFT JOIN data_ingestion.ingestion_status s
    ON s.symbol = asked.symbol AND s.data_source = asked.data_source
LEFT JOIN data_ingestion.series_revisions k
    ON k.symbol = asked.symbol AND k.data_source = asked.data_source AND k.revision = asked.revision
LEFT JOIN LATERAL (
    SELECT count(DISTINCT o.timestamp) AS changed, min(o.timestamp) AS first, max(o.timestamp) AS last
    FROM data_ingestion.market_data_history o
    WHERE o.symbol = asked.symbol AND o.data_source = asked.data_source AND o.until_revision > asked.revision
          AND s.revision > asked.revision
          AND (k.revision IS NULL OR o.timestamp BETWEEN k.first_bar AND k.last_bar)
          AND o.timestamp <= coalesce(asked.until, 'infinity')
) h ON true
ORDER BY asked.number
""").bindparams(
    sa.bindparam("symbols", type_=sa.ARRAY(sa.Text)),
    sa.bindparam("sources", type_=sa.ARRAY(sa.Text)),
    sa.bindparam("revisions", type_=sa.ARRAY(sa.BigInteger)),
    sa.bindparam("untils", type_=sa.ARRAY(sa.TIMESTAMP(timezone=True))),
)


@dataclass(frozen=True)
class SeriesRead:
    """A series as it was read.

    Attributes
    ----------
    series : str
        "yahoo/AAPL".
    revision : int
    until : datetime, optional
        The slot of the run that read it: later bars were not read.
    """

    series: str
    revision: int
    until: datetime | None = None


def series_changes(connection: sa.Connection, read: Sequence[SeriesRead]) -> pd.DataFrame:
    """What has changed in each series since it was read.

    Parameters
    ----------
    connection : Connection
    read : sequence of SeriesRead

    Returns
    -------
    DataFrame
        A row for each of `read`, in its order: series, revision, revision_now (NA: there is no such series
        any more), bars (how many there were; NA where that is not kept), bars_now, changed (how many bars
        within what was read were corrected, removed, or added between others), first, last (the times of
        the first and last of these, UTC), is_whole (False: versions of bars were removed since, or the
        database is not the one that was read, so that `changed` is a lower bound).
    """
    rows: Sequence[sa.Row[tuple[object, ...]]] = ()
    if read:
        named = [one.series.partition("/") for one in read]
        asked = {
            "symbols": [symbol for _, _, symbol in named],
            "sources": [source for source, _, _ in named],
            "revisions": [one.revision for one in read],
            "untils": [one.until for one in read],
        }
        rows = connection.execute(_QUERY, asked).all()
    names = ["number", "revision_now", "bars", "bars_now", "is_whole", "changed", "first", "last"]
    found = pd.DataFrame(rows, columns=names).drop(columns="number")
    found.insert(0, "series", [one.series for one in read])
    found.insert(1, "revision", [one.revision for one in read])
    for name in ("first", "last"):
        found[name] = pd.to_datetime(found[name], utc=True).astype("datetime64[us, UTC]")
    whole = dict.fromkeys(("revision_now", "bars", "bars_now"), "Int64")
    return found.astype(
        {"series": "str", "revision": "int64", "changed": "int64", "is_whole": "bool", **whole}
    )
