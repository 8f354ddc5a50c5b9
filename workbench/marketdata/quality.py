"""Splits rows into bars to store and refused rows, and notes which of the bars look odd.

The rules that refuse a row are in `refusals.py`, those that only note it in `suspicions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.context import CONTEXT_BARS, with_context
from workbench.marketdata.refusals import RULES, RowsUnderCheck
from workbench.marketdata.suspicions import SUSPICIONS, notes

__all__ = ["CONTEXT_BARS", "CheckedBars", "check"]

NEEDED = ("row", "timestamp", *BAR_COLUMNS, "rule", "reason", "raw")
LOGGED = ("symbol", "data_source", "origin", "row", "timestamp", "rule", "severity", "reason", "raw")


@dataclass(frozen=True)
class CheckedBars:
    """The rows of one symbol, split into `good` and `refused`; every row is in exactly one of them.

    Attributes
    ----------
    good : DataFrame
        symbol (str), timestamp (datetime64[us, UTC]), open, high, low, close, volume (float64), sorted
        by timestamp, unique timestamps, no NaN.
    refused : DataFrame
        symbol, data_source, origin (str), row (int64), timestamp (NaT if missing), rule (the first that
        the row breaks), severity ("error"), reason (of all rules it breaks, joined by "; "), raw (object:
        dict, the row as read), in the order of the rows.
    noted : DataFrame
        The same columns for bars that look odd but may be right: severity "warning"; they are in `good`
        too. At most one per row and rule, in the order of the rows. A gap is noted at the bar after it.
    """

    good: pd.DataFrame
    refused: pd.DataFrame
    noted: pd.DataFrame


def check(
    rows: pd.DataFrame,
    *,
    symbol: str,
    data_source: str,
    origin: str,
    now: pd.Timestamp | None = None,
    calendar: str | None = None,
    before: pd.DataFrame | Callable[[pd.Timestamp], pd.DataFrame] | None = None,
    actions: pd.DataFrame | None = None,
) -> CheckedBars:
    """Split the rows of one symbol into bars to store and refused rows with reasons.

    Bars ingested in small parts get the same notes as if all had been ingested at once, if `before` has the
    `CONTEXT_BARS` bars stored before them. The exception: whether the last bar is a spike depends on the
    next one, so the note is then made at the next one. At most a hundred notes are kept per rule; one more
    gives the number of the others.

    Parameters
    ----------
    rows : DataFrame
        As `workbench.sources` returns them: row (int64), timestamp (datetime64, UTC, NaT allowed), open,
        high, low, close, volume (float64, NaN allowed), rule and reason (str, empty if the source could
        read the row), raw (dict).
    symbol, data_source, origin : str
        The symbol, the data source to store the bars under, and what they were read from.
    now : Timestamp, optional
        The present, for the rule "future". Default: the clock.
    calendar : str, optional
        The exchange's calendar, by its exchange_calendars name ("XNYS"); without one, gaps and trading
        hours are not checked.
    before : DataFrame or callable, optional
        The bars stored before the first good row: timestamp (UTC) as a column or an index level, open,
        high, low, close, volume. The last `CONTEXT_BARS` before that row's time are used. Or a callable
        that returns them, called with that row's time if there is a good row.
    actions : DataFrame, optional
        Corporate actions: symbol, ex_date, kind, value, applied. A split that is not applied to the
        prices explains the step in them.

    Returns
    -------
    CheckedBars
        ``len(good) + len(refused) == len(rows)`` always.

    Raises
    ------
    QueryError
        `rows`, `before` or `actions` has not all columns, timestamps have no time zone, or there is no such
        calendar.
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
            # For a row that the source could not read, the rule is the one that the source named.
            first.setdefault(position, str(named[position]) or name)
            reasons.setdefault(position, []).append(reason)
        standing[[position for position, _ in broken]] = False
    whose = (symbol, data_source, origin)
    broken_rows = sorted(first)
    kept = _in_time(frame, standing)
    good = _good(frame.iloc[kept], symbol)
    if callable(before):
        before = None if good.empty else before(good["timestamp"].iloc[0])
    series = with_context(
        pd.DatetimeIndex(good["timestamp"]),
        {column: good[column].to_numpy(np.float64) for column in BAR_COLUMNS},
        symbol=symbol,
        before=before,
        refused=pd.DatetimeIndex(_micros(frame.loc[broken_rows, "timestamp"].dropna())),
        actions=actions,
        calendar=calendar,
    )
    odd = [(int(kept[at - series.fresh]), rule, reason) for rule, at, reason in notes(series)]
    odd.sort(key=lambda note: (note[0], SUSPICIONS.index(note[1])))
    return CheckedBars(
        good=good,
        refused=_logged(
            frame, [(at, first[at], "; ".join(reasons[at])) for at in broken_rows], "error", whose
        ),
        noted=_logged(frame, odd, "warning", whose),
    )


def _in_time(frame: pd.DataFrame, standing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The positions of the good rows in the frame, in time order."""
    places = np.flatnonzero(standing)
    times = pd.DatetimeIndex(frame["timestamp"]).asi8[places]
    return places[np.argsort(times, kind="stable")]


def _good(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    good = pd.DataFrame({"symbol": symbol, "timestamp": _micros(frame["timestamp"])}, index=frame.index)
    for column in BAR_COLUMNS:
        good[column] = frame[column].astype(np.float64)
    return good.astype({"symbol": "str"}).reset_index(drop=True)


def _micros(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return times.dt.tz_convert("UTC").dt.as_unit("us")


def _logged(
    frame: pd.DataFrame,
    findings: Sequence[tuple[int, str, str]],
    severity: str,
    whose: tuple[str, str, str],
) -> pd.DataFrame:
    """One row for each finding: where in the frame, the rule, the reason."""
    own = frame.iloc[[at for at, _, _ in findings]].reset_index(drop=True)
    logged = own[["row"]].copy()
    logged["timestamp"] = _micros(own["timestamp"])
    for column, name in zip(("symbol", "data_source", "origin"), whose, strict=True):
        logged[column] = pd.Series([name] * len(own), dtype="str")
    logged["rule"] = pd.Series([rule for _, rule, _ in findings], dtype="str")
    logged["severity"] = pd.Series([severity] * len(own), dtype="str")
    logged["reason"] = pd.Series([reason for _, _, reason in findings], dtype="str")
    logged["raw"] = pd.Series(_as_dicts(own["raw"]), dtype=object)
    return logged[list(LOGGED)]


def _as_dicts(raw: pd.Series[Any]) -> list[Any]:
    if not isinstance(raw.dtype, pd.ArrowDtype):
        return raw.tolist()
    # An Arrow struct, from a file: ten times faster by columns than row by row.
    import pyarrow as pa

    structs = pa.table({"raw": raw})["raw"].combine_chunks()
    names = [field.name for field in structs.type]
    values = [column.to_pylist() for column in structs.flatten()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
