"""Compares what two runs wrote: by the digests of their writes, and by the kept rows where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.db.columns import NULL
from workbench.runs.written import Write, kept_rows

__all__ = ["MOST_DIFFERENCES", "WrittenCompared", "compare_writes"]

MOST_DIFFERENCES = 1_000
"""So many differences are told."""
COLUMNS = ["table", "key", "column", "before", "now"]

Side = tuple[Callable[[str], Path | None], Sequence[Write]]
"""What fetches a file of a run's folder, as `kept_rows` takes it, and the run's writes."""


@dataclass(frozen=True)
class WrittenCompared:
    """What differs between the writes of two runs.

    Attributes
    ----------
    same : bool
        Whether both wrote the same rows.
    differences : DataFrame
        table, key, column, before, now; the first 1,000. `column` is empty where one has no row of that key.
    notes : list of str
        Why some differences are not told.
    """

    same: bool
    differences: pd.DataFrame
    notes: list[str]


def compare_writes(before: Side, now: Side) -> WrittenCompared:
    """Compare the writes of two runs, by table.

    Parameters
    ----------
    before, now : (callable, sequence of Write)
        Each run's files and its writes in their order.
    """
    rows: list[tuple[str, str, str, str | None, str | None]] = []
    notes: list[str] = []
    for table, key in sorted({(write.table, write.key) for _, writes in (before, now) for write in writes}):
        sides = [
            (fetch, [one for one in writes if (one.table, one.key) == (table, key)])
            for fetch, writes in (before, now)
        ]
        if _digests(sides[0][1]) == _digests(sides[1][1]):
            continue
        frames = [kept_rows(fetch, writes) for fetch, writes in sides]
        if frames[0] is None or frames[1] is None:
            whose = "the repeated run's" if frames[0] is None else "the rerun's"
            notes.append(f"the rows of {table} differ, and {whose} are not kept (any more)")
            rows.append((table, "", "", None, None))
        else:
            rows += _differences(table, frames[0], frames[1], list(key))
    if len(rows) > MOST_DIFFERENCES:
        notes.append(f"{len(rows):,} differences in rows, of which the first {MOST_DIFFERENCES:,} are told")
    told = pd.DataFrame(rows[:MOST_DIFFERENCES], columns=COLUMNS, dtype="object")
    return WrittenCompared(not rows, told, notes)


def _digests(writes: Sequence[Write]) -> Counter[tuple[int, str]]:
    return Counter((write.rows, write.sha256) for write in writes)


def _differences(
    table: str, before: pd.DataFrame, now: pd.DataFrame, key: list[str]
) -> list[tuple[str, str, str, str | None, str | None]]:
    columns = sorted({*before.columns, *now.columns})
    key = [name for name in key if name in before.columns and name in now.columns] or columns
    sides = [_by_key(frame.reindex(columns=columns), key) for frame in (before, now)]
    rows: list[tuple[str, str, str, str | None, str | None]] = []
    for at in sorted({*sides[0], *sides[1]}):
        one, other = (side.get(at) for side in sides)
        told = ", ".join(f"{name}={value}" for name, value in zip(key, at, strict=False))
        if one is None or other is None:
            there, missing = "a row", None
            rows.append(
                (table, told, "", missing, there) if one is None else (table, told, "", there, missing)
            )
            continue
        rows += [
            (table, told, name, _told(old), _told(new))
            for name, old, new in zip(columns, one, other, strict=True)
            if old != new
        ]
    return rows


def _by_key(frame: pd.DataFrame, key: list[str]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The rows by their key; equal keys, as without one of the table's, are numbered."""
    places = [frame.columns.get_loc(name) for name in key]
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for row in frame.astype(object).where(frame.notna(), NULL).itertuples(index=False, name=None):
        at = tuple(str(row[place]) for place in places)
        seen[at] += 1
        found[(*at, f"{seen[at]:09d}")] = row
    return found


def _told(value: str) -> str | None:
    return None if value == NULL else value
