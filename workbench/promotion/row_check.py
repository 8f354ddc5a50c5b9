"""Whether a stored row would differ today: its run is made again on today's bars, and says the row anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.columns import NULL, encode
from workbench.promotion.rerun import files_of
from workbench.runs.given_rows import GivenRow
from workbench.runs.row_today import RowToday
from workbench.runs.written import kept_rows, writes_of
from workbench.settings import Settings
from workbench.tables.strategy_engine import strategy_signals

__all__ = ["row_today"]


def row_today(settings: Settings, row: GivenRow, rerun: Mapping[str, Any]) -> RowToday:
    """Compare a row with what a rerun of its run has written.

    Parameters
    ----------
    settings : Settings
    row : GivenRow
        Of a table.
    rerun : mapping
        The record of the rerun, on today's bars.
    """
    assert row.of is not None
    rerun_id, table = rerun["run_id"], row.of.table
    if row.is_live and table is strategy_signals:
        return _live_today(row, rerun)
    if row.is_live:
        return RowToday(rerun_id, None, {}, "what was said live is said once, and a rerun does not say it")
    writes = [write for write in writes_of(rerun["evidence"]) if write.table == str(table)]
    if not writes:
        return RowToday(rerun_id, True, {}, f"no rows of {table.name} would be saved")
    rows = kept_rows(files_of(settings, rerun), writes)
    if rows is None:
        return RowToday(rerun_id, None, {}, "the rerun's rows were too large to be kept")
    key = [name for name in writes[0].key if name in rows.columns]
    stored = _encoded(row, [name for name in rows.columns if name in row.facts])
    if not key or not set(key) <= stored.keys():
        return RowToday(
            rerun_id, None, {}, f"the row lacks what tells it from others: {', '.join(key) or 'a key'}"
        )
    found = rows[(rows[key] == pd.Series({name: stored[name] for name in key})).all(axis=1)]
    if found.empty:
        return RowToday(rerun_id, True, {}, "no such row would be saved")
    now = found.fillna(NULL).iloc[-1]
    differences = {
        name: (_told(before), _told(now[name]))
        for name, before in stored.items()
        if not _same(table.c[name], before, now[name])
    }
    return RowToday(rerun_id, bool(differences), differences)


def _live_today(row: GivenRow, rerun: Mapping[str, Any]) -> RowToday:
    """Of a live signal: what a rerun would say otherwise is a line of its evidence, for each symbol."""
    begin = f"{row.facts['symbol']}: "
    said = [line for line in rerun["evidence"].get("contradicts", ()) if line.startswith(begin)]
    return RowToday(rerun["run_id"], bool(said), {}, "; ".join(said))


def _encoded(row: GivenRow, names: list[str]) -> dict[str, str]:
    """The row's values as text, as rows are kept."""
    assert row.of is not None
    table = row.of.table
    return {
        name: encode(table.c[name], pd.Series([row.facts[name]], dtype=object).infer_objects(), str(table))[0]
        for name in names
    }


def _same(column: sa.Column[Any], one: str, other: str) -> bool:
    if one == other or NULL in (one, other):
        return one == other
    if isinstance(column.type, sa.Numeric | sa.Integer):
        return float(one) == float(other)
    if isinstance(column.type, sa.JSON):
        return bool(json.loads(one) == json.loads(other))
    return False


def _told(value: str) -> str:
    return "nothing" if value == NULL else value
