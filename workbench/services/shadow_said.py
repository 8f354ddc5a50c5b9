"""What a shadow would have said live, as lines of its run's evidence, since it says nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["SHADOW_SAID", "shadow_frame", "shadow_lines"]

SHADOW_SAID = "shadow_said"
"""The kind of evidence."""

_COLUMNS = {
    "symbol": "str",
    "timestamp": "datetime64[us, UTC]",
    "signal": "str",
    "strength": "float64",
    "target": "float64",
}


def shadow_lines(rows: pd.DataFrame) -> list[str]:
    """A line for each symbol: symbol, timestamp of its bar, signal, strength and target, as JSON."""
    return [
        json.dumps({name: _plain(row[name]) for name in _COLUMNS})
        for row in rows[list(_COLUMNS)].to_dict("records")
    ]


def shadow_frame(evidence: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The rows in a run's evidence; of a symbol the last ones, as it was saved last."""
    rows = {row["symbol"]: row for row in map(json.loads, evidence.get(SHADOW_SAID, ()))}
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows.values()], dtype=dtype)
            for name, dtype in _COLUMNS.items()
        }
    )


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
