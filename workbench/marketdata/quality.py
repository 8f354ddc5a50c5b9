"""Parts rows into bars that may be stored and rows that may not, by the rules of `rules.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.rules import RULES, RowsUnderCheck

__all__ = ["CheckedBars", "check"]

NEEDED = ("row", "timestamp", *BAR_COLUMNS, "rule", "reason", "raw")
REFUSED = ("symbol", "data_source", "origin", "row", "timestamp", "rule", "severity", "reason", "raw")


@dataclass(frozen=True)
class CheckedBars:
    """The rows of one symbol, parted; no row is in both, none is lost.

    Attributes
    ----------
    good : DataFrame
        symbol (str), timestamp (datetime64[us, UTC]), open, high, low, close, volume (float64), sorted
        by timestamp, each timestamp once, no NaN.
    refused : DataFrame
        symbol, data_source, origin (str), row (int64), timestamp (NaT where there is none), rule (the
        first that the row breaks), severity ("error"), reason (all that it breaks, joined by "; "),
        raw (object: dict, the row as it came), in the order of the rows.
    """

    good: pd.DataFrame
    refused: pd.DataFrame


def check(
    rows: pd.DataFrame, *, symbol: str, data_source: str, origin: str, now: pd.Timestamp | None = None
) -> CheckedBars:
    """Part the rows of one symbol into bars that may be stored and rows that may not, with reasons.

    Parameters
    ----------
    rows : DataFrame
        As `workbench.sources` gives them: row (int64), timestamp (datetime64, UTC, NaT allowed), open,
        high, low, close, volume (float64, NaN allowed), rule and reason (str, empty when the source
        could read the row), raw (dict).
    symbol, data_source, origin : str
        Whose they are, the name they are to be stored under, what they were read from.
    now : Timestamp, optional
        What counts as the present. Default: the clock.

    Returns
    -------
    CheckedBars
        ``len(good) + len(refused) == len(rows)``, always.

    Raises
    ------
    QueryError
        When `rows` has not those columns, or its timestamps no time zone.
    """
    missing = [column for column in NEEDED if column not in rows.columns]
    if missing:
        raise QueryError(f"rows to check need the column {missing[0]}; these have {', '.join(rows.columns)}")
    if not isinstance(rows["timestamp"].dtype, pd.DatetimeTZDtype):
        raise QueryError(
            f"the timestamps to check are {rows['timestamp'].dtype}; give them the time zone UTC"
        )
    frame = rows.reset_index(drop=True)
    standing = np.ones(len(frame), dtype=bool)
    under_check = RowsUnderCheck(frame, standing, now if now is not None else pd.Timestamp.now("UTC"))
    named = frame["rule"].to_numpy(dtype=object)
    first: dict[int, str] = {}
    reasons: dict[int, list[str]] = {}
    for name, rule in RULES.items():
        broken = list(rule(under_check))
        for position, reason in broken:
            # A row that its source could not read goes by the rule that the source named.
            first.setdefault(position, str(named[position]) or name)
            reasons.setdefault(position, []).append(reason)
        standing[[position for position, _ in broken]] = False
    return CheckedBars(
        good=_good(frame[standing], symbol),
        refused=_refused(frame, sorted(first), first, reasons, (symbol, data_source, origin)),
    )


def _good(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    good = pd.DataFrame({"symbol": symbol, "timestamp": _micros(frame["timestamp"])}, index=frame.index)
    for column in BAR_COLUMNS:
        good[column] = frame[column].astype(np.float64)
    return good.astype({"symbol": "str"}).sort_values("timestamp", ignore_index=True)


def _micros(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return times.dt.tz_convert("UTC").dt.as_unit("us")


def _refused(
    frame: pd.DataFrame,
    positions: list[int],
    first: Mapping[int, str],
    reasons: Mapping[int, list[str]],
    names: tuple[str, str, str],
) -> pd.DataFrame:
    own = frame.iloc[positions].reset_index(drop=True)
    refused = own[["row"]].copy()
    refused["timestamp"] = _micros(own["timestamp"])
    for column, name in zip(("symbol", "data_source", "origin"), names, strict=True):
        refused[column] = pd.Series([name] * len(own), dtype="str")
    refused["rule"] = pd.Series([first[position] for position in positions], dtype="str")
    refused["severity"] = pd.Series(["error"] * len(own), dtype="str")
    refused["reason"] = pd.Series(["; ".join(reasons[position]) for position in positions], dtype="str")
    refused["raw"] = pd.Series(_as_dicts(own["raw"]), dtype=object)
    return refused[list(REFUSED)]


def _as_dicts(raw: pd.Series[Any]) -> list[Any]:
    if not isinstance(raw.dtype, pd.ArrowDtype):
        return raw.tolist()
    # An Arrow struct, as a file's rows come: ten times faster by columns than row by row.
    import pyarrow as pa

    structs = pa.table({"raw": raw})["raw"].combine_chunks()
    names = [field.name for field in structs.type]
    values = [column.to_pylist() for column in structs.flatten()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
