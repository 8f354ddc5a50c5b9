"""`Captured`: what a rehearsal's kernel noted: what the notebook saved, by which cell, and what it read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.db.columns import NULL
from workbench.db.roles import SERVICES
from workbench.errors import PromotionRefused

__all__ = ["KEYS", "MARKET_DATA", "SIGNALS", "Captured"]

SIGNALS = "strategy_engine.strategy_signals"
MARKET_DATA = ("data_ingestion.market_data", "data_ingestion.corporate_actions")

KEYS: Mapping[str, Sequence[str]] = {
    SIGNALS: ("strategy_id", "symbol", "timestamp"),
    "strategy_engine.strategy_performance": ("strategy_id", "date"),
    "analytics.performance_metrics": ("strategy", "metric"),
}
"""The tables whose rows are compared, with the columns that tell one row from another."""


@dataclass(frozen=True, eq=False)
class Captured:
    """What a rehearsal saved, read and did.

    Attributes
    ----------
    rows : dict of str to DataFrame
        By table: the rows as text, NaN for NULL, with the number of the cell that saved them in `cell`. Of
        rows that one cell saved twice the last.
    revisions : dict of str to int
        The series that were loaded ("yahoo/AAPL"), each with the revision that was read last.
    unclamped : tuple of str
        Reads from which a gate could not hide the future.
    undone : int
        How many transactions had written something.
    outside : list of (int or None, str, str)
        Cell, service and what was done, of writes over a service's connections by no method of it.
    market_data : list of (int or None, str)
        Cell and table of market data that was inserted or updated.
    figures : list of dict
        Deflated Sharpe ratios and probabilities of overfitting that were computed.
    """

    rows: Mapping[str, pd.DataFrame]
    revisions: Mapping[str, int]
    unclamped: tuple[str, ...]
    undone: int
    outside: Sequence[tuple[int | None, str, str]]
    market_data: Sequence[tuple[int | None, str]]
    figures: Sequence[Mapping[str, float]]

    def changed_since(self, earlier: Captured) -> list[str]:
        """The series that both loaded, and that were written to in between."""
        then = earlier.revisions
        return sorted(name for name, number in self.revisions.items() if then.get(name, number) != number)

    @property
    def signals(self) -> pd.DataFrame:
        """The rows of `strategy_signals`, their `timestamp` as a moment (UTC)."""
        return self.rows[SIGNALS]

    @classmethod
    def of(cls, notes: Path) -> Captured:
        """Read the notes of a kernel, and the rows beside them.

        Raises
        ------
        PromotionRefused
            Rows could not be kept or read, as on a full disk.
        """
        facts = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        saved = [fact for fact in facts if "table" in fact]
        undone = [fact for fact in facts if "undone" in fact]
        return cls(
            rows={table: _rows(notes.parent / "rows", saved, table) for table in KEYS},
            revisions={name: number for fact in facts for name, number in fact.get("read", {}).items()},
            unclamped=_distinct(
                item for fact in facts if fact.get("evidence") == "unclamped" for item in fact["items"]
            ),
            undone=len(undone),
            outside=[
                (fact["cell"], fact["service"], fact["undone"])
                for fact in undone
                if fact["service"] in SERVICES and not fact["by_service"]
            ],
            market_data=[
                (fact["cell"], fact["table"])
                for fact in saved
                if fact["table"] in MARKET_DATA and fact["changed"]
            ],
            figures=[fact["figures"] for fact in facts if "figures" in fact],
        )


def _rows(folder: Path, saved: Sequence[Mapping[str, Any]], table: str) -> pd.DataFrame:
    frames = []
    for fact in saved:
        if fact["table"] != table or not fact["key"]:
            continue  # without a key: it had no rows
        try:
            if fact["file"] is None:
                raise OSError("they could not be written")
            frame = pd.read_parquet(folder / fact["file"])
        except (OSError, ValueError) as error:
            raise PromotionRefused(
                f"the rows of {table} that the notebook saved could not be kept to compare them: {error}; "
                "make room in the home's folder, and promote again"
            ) from error
        frames.append(frame.assign(cell=-1 if fact["cell"] is None else fact["cell"]))
    columns = ["cell", *KEYS[table]]
    if not frames:
        empty = pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
        rows = empty.assign(**dict.fromkeys(("signal", "strength", "pending"), empty["cell"]))
    else:
        rows = pd.concat(frames, ignore_index=True)
        rows = rows.where(rows != NULL)
    if table == SIGNALS:
        for name, value in (("strength", "1"), ("pending", "f")):
            rows[name] = rows[name].fillna(value) if name in rows else value
        rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True, format="ISO8601")
        rows = rows[rows["timestamp"].notna()]
    return rows.drop_duplicates(columns, keep="last", ignore_index=True)


def _distinct(names: Any) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
