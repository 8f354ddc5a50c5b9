"""The events that tell of a write: one, or several where its symbols are many, so that none is left out."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.frames import Written

__all__ = ["MOST_NAMES", "announcements", "in_parts"]

MOST_NAMES = 90
"""Most names of a kind in one event: Prefect takes 100 related resources, and not only symbols are some."""

_NAMED = ("data_source", "strategy_id", "symbol")


def announcements(
    table: sa.Table, frame: pd.DataFrame, written: Written, run_id: uuid.UUID | None
) -> Iterator[dict[str, Any]]:
    """The data of the events that tell of a write.

    Each holds the table, how many rows the whole write inserted and updated, the run, the span of its bars,
    and at most 90 symbols, sources and strategies. Where there are more, the write is told in parts, each
    with its `part` of `parts`; each symbol stands with each source and strategy in one of them.
    """
    levels = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    facts: dict[str, Any] = {
        "table": str(table),
        "inserted": written.inserted,
        "updated": written.updated,
        "run_id": None if run_id is None else str(run_id),
    }
    for name in ("timestamp", "date"):
        if name in levels.columns and levels[name].notna().any():
            facts["first"] = str(levels[name].min())
            facts["last"] = str(levels[name].max())
            break
    named = {
        f"{name}s": in_parts(sorted(map(str, levels[name].dropna().unique())))
        for name in _NAMED
        if name in levels.columns
    }
    parts = list(itertools.product(*named.values()))
    for number, part in enumerate(parts, start=1):
        which = {"part": number, "parts": len(parts)} if len(parts) > 1 else {}
        yield {**facts, **dict(zip(named, part, strict=True)), **which}


def in_parts(names: Sequence[str]) -> list[list[str]]:
    """The names in lists of at most 90; one empty list without any."""
    return [list(names[start : start + MOST_NAMES]) for start in range(0, len(names), MOST_NAMES)] or [[]]
