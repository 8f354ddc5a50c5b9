"""Ingestion: source → quality rules → service; good bars are stored, the others logged with their reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from workbench.db.frames import Written
from workbench.errors import EmptyRange
from workbench.marketdata.quality import check
from workbench.services.data_ingestion import DataIngestionService
from workbench.services.service import Moment, as_moment
from workbench.sources.source import RawBars, Source

__all__ = ["IngestedSeries", "ingest"]


@dataclass(frozen=True)
class IngestedSeries:
    """What became of one symbol's rows of one data source.

    Attributes
    ----------
    symbol, data_source, origin : str
        Whose rows, stored under which name, read from what.
    rows : int
        How many rows the source had; every one is counted in `written` or in `refused`.
    written : Written
        The good bars: inserted, updated, unchanged.
    refused : int
        Rows that broke a rule; each stands in `data_quality_logs`.
    reasons : dict of str to int
        How many rows broke which rule first.
    example : str
        One of the reasons in words; empty where no row was refused.
    """

    symbol: str
    data_source: str
    origin: str
    rows: int
    written: Written
    refused: int
    reasons: dict[str, int]
    example: str


def ingest(
    service: DataIngestionService,
    source: Source,
    symbols: Sequence[str],
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    progress: Callable[[IngestedSeries], None] | None = None,
) -> list[IngestedSeries]:
    """Bring the bars of `symbols` in `[start, end)` from a source into the database.

    Each series (symbol and data source) is one transaction: its bars, its refusals and its status. Run
    again, it changes nothing that is the same.

    Raises
    ------
    UnknownSymbol
        The source does not have a symbol; nothing was read or written.
    EmptyRange
        The source has the symbols, but no row in the range.
    SourceError
        The source cannot be read.
    """
    first, last = as_moment(start, "start"), as_moment(end, "end")
    done = []
    for raw in source.fetch(list(symbols), first, last):
        if raw.rows.empty:
            continue
        series = _store(service, raw)
        done.append(series)
        if progress is not None:
            progress(series)
    if not done:
        bounds = "" if first is None else f" from {first:%Y-%m-%d}"
        bounds += "" if last is None else f" before {last:%Y-%m-%d}"
        raise EmptyRange(f"the source has no bars of {', '.join(symbols)}{bounds}; nothing was written")
    return done


def _store(service: DataIngestionService, raw: RawBars) -> IngestedSeries:
    checked = check(raw.rows, symbol=raw.symbol, data_source=raw.data_source, origin=raw.origin)
    refused = checked.refused.rename(columns={"row": "row_number"})
    written = service.write_checked_bars(checked.good, refused, source=raw.data_source)
    return IngestedSeries(
        symbol=raw.symbol,
        data_source=raw.data_source,
        origin=raw.origin,
        rows=len(raw.rows),
        written=written,
        refused=len(refused),
        reasons={str(rule): int(count) for rule, count in refused["rule"].value_counts().items()},
        example="" if refused.empty else _example(refused),
    )


def _example(refused: pd.DataFrame) -> str:
    row = refused.iloc[0]
    return f"row {row['row_number']}: {row['reason']}"
