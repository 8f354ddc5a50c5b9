"""Parts rows into bars that may be stored and rows that may not, and notes which of the bars look odd.

The rules that refuse a row stand in `rules.py`, those that only note it in `suspicions.py`.
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
    """The rows of one symbol, parted into `good` and `refused`; no row is in both, none is lost.

    Attributes
    ----------
    good : DataFrame
        symbol (str), timestamp (datetime64[us, UTC]), open, high, low, close, volume (float64), sorted
        by timestamp, each timestamp once, no NaN.
    refused : DataFrame
        symbol, data_source, origin (str), row (int64), timestamp (NaT where there is none), rule (the
        first that the row breaks), severity ("error"), reason (all that it breaks, joined by "; "),
        raw (object: dict, the row as it came), in the order of the rows.
    noted : DataFrame
        The same columns for bars that look odd, yet may be right: severity "warning"; they are in `good`
        too. At most one for each row and rule, in the order of the rows. For a gap the bar that follows it.
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
    """Part the rows of one symbol into bars that may be stored and rows that may not, with reasons.

    Bars that come in a little at a time are noted as if they had all come at once, if `before` holds the
    `CONTEXT_BARS` stored before them. Only that the very last bar is a spike, no one can tell until the
    next one comes, and the note then stands at that one. Of each rule at most a hundred notes are kept; one
    more says how many there would be.

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
    calendar : str, optional
        The exchange's calendar, by its exchange_calendars name ("XNYS"); without one, nothing is said
        about gaps and hours.
    before : DataFrame or callable, optional
        The bars stored just before the first good row: timestamp (UTC) as a column or an index level, open,
        high, low, close, volume. `CONTEXT_BARS` of them are used; one from that row's time on is not. Or
        what gives them, called with that row's time, and not at all where no row is good.
    actions : DataFrame, optional
        Corporate actions: symbol, ex_date, kind, value, applied. A split that is not applied to the
        prices explains the step that it makes.

    Returns
    -------
    CheckedBars
        ``len(good) + len(refused) == len(rows)``, always, whatever is noted.

    Raises
    ------
    QueryError
        When `rows`, `before` or `actions` lack a column, timestamps a time zone, or there is no such
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
            # A row that its source could not read goes by the rule that the source named.
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
    """Where the rows that stand are in the frame, the earliest first."""
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
    # An Arrow struct, as a file's rows come: ten times faster by columns than row by row.
    import pyarrow as pa

    structs = pa.table({"raw": raw})["raw"].combine_chunks()
    names = [field.name for field in structs.type]
    values = [column.to_pylist() for column in structs.flatten()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
