"""Which bars exist, by symbol, and their gaps against an exchange's calendar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS, validate_index
from workbench.marketdata.calendar import expected_bars, gaps_between

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Coverage", "coverage"]


@dataclass(frozen=True)
class Coverage:
    """Existing and missing bars by symbol; a notebook shows a table with a strip for each symbol.

    Attributes
    ----------
    calendar : str
        The exchange that the bars are compared with.
    table : DataFrame of shape (n_symbols, 7)
        Indexed `symbol`, alphabetically: first, last (datetime64[us, UTC]); bars (int64, all bars);
        expected (int64, by the calendar between the first and the last) and missing of these (int64);
        share (float64, of the expected bars that exist, 0 to 1; NaN if none is expected); longest_gap
        (int64, in bars).
    gaps : DataFrame
        One row per gap, by symbol and time: symbol (str), start and end (datetime64[us, UTC], the first
        and the last missing bar, both included), bars (int64).
    """

    calendar: str
    table: pd.DataFrame
    gaps: pd.DataFrame

    def picture(self) -> go.Figure:
        """A figure with one row per symbol: existing bars solid, gaps in red, each wide enough to be seen.

        Raises
        ------
        QueryError
            There are no bars.
        """
        from workbench.marketdata.coverage_picture import coverage_picture

        return coverage_picture(self.table, self.gaps, self.calendar)

    def __repr__(self) -> str:
        from workbench.marketdata.coverage_picture import summary

        return f"<Coverage: {summary(self.table, self.calendar)}>\n{self.table.to_string(max_rows=20)}"

    def _repr_html_(self) -> str:
        from workbench.marketdata.coverage_picture import coverage_html

        return coverage_html(self.table, self.gaps, self.calendar)


def coverage(bars: pd.DataFrame | pd.MultiIndex | pd.DatetimeIndex, calendar: str = "XNYS") -> Coverage:
    """Which of the bars expected by an exchange's calendar exist, and which are missing.

    Every symbol is compared with the sessions between its own first and last bar; nothing is expected
    before or after. Bars outside the sessions are counted in `bars` only. If all bars are stamped 00:00 UTC,
    one per session is expected; else one per usual interval of the symbol from open to close, so an
    illiquid share has many missing.

    Parameters
    ----------
    bars : DataFrame, MultiIndex or DatetimeIndex
        Tidy bars; or their index (symbol, timestamp) alone; or the timestamps of one symbol, with a time
        zone, in which case the symbol is "". Intraday bars are stamped with their start. A row with NaN in
        all columns of a bar does not count as a bar.
    calendar : str
        An exchange, by its name in exchange_calendars: "XNYS", "XLON", "24/7" and so on.

    Returns
    -------
    Coverage

    Raises
    ------
    QueryError
        The bars are not indexed like this, or there is no such calendar.
    """
    ordered = _index_of(bars).sort_values()
    symbols = ordered.levels[0]
    times = pd.DatetimeIndex(ordered.get_level_values("timestamp")).tz_convert("UTC").as_unit("us")
    codes = np.asarray(ordered.codes[0])
    changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    rows: list[dict[str, Any]] = []
    gaps: list[pd.DataFrame] = []
    for begin, end in zip([0, *changes], [*changes, len(codes)], strict=True) if len(codes) else ():
        symbol, own = symbols[codes[begin]], times[begin:end]
        expected, there = expected_bars(own, calendar)
        found = gaps_between(expected, there)
        found.insert(0, "symbol", str(symbol))
        gaps.append(found)
        rows.append(
            {
                "symbol": str(symbol),
                "first": own[0],
                "last": own[-1],
                "bars": len(own),
                "expected": len(expected),
                "missing": int((~there).sum()),
                "share": float(there.mean()) if len(expected) else np.nan,
                "longest_gap": int(found["bars"].max()) if len(found) else 0,
            }
        )
    return Coverage(calendar, _table(rows), _gaps(gaps))


def _index_of(bars: pd.DataFrame | pd.MultiIndex | pd.DatetimeIndex) -> pd.MultiIndex:
    if isinstance(bars, pd.DatetimeIndex):
        stamps = pd.MultiIndex.from_arrays([np.full(len(bars), ""), bars], names=["symbol", "timestamp"])
        bars = pd.DataFrame(index=stamps)
    elif isinstance(bars, pd.Index):
        bars = pd.DataFrame(index=bars)
    if not isinstance(bars, pd.DataFrame):
        raise QueryError(f"coverage needs bars, their index or their timestamps, not a {type(bars).__name__}")
    validate_index(bars)
    index = bars.index[_numbered(bars)]
    assert isinstance(index, pd.MultiIndex)
    return index


def _numbered(bars: pd.DataFrame) -> npt.NDArray[np.bool_]:
    columns = [column for column in BAR_COLUMNS if column in bars.columns]
    there = np.full(len(bars), not columns)
    for column in columns:
        there |= bars[column].notna().to_numpy()
    return there


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["symbol", "first", "last", "bars", "expected", "missing", "share", "longest_gap"]
    table = pd.DataFrame(rows, columns=columns).astype({"symbol": "str", "share": np.float64})
    for column in ("first", "last"):
        table[column] = pd.to_datetime(table[column], utc=True).dt.as_unit("us")
    counted = dict.fromkeys(("bars", "expected", "missing", "longest_gap"), np.int64)
    return table.astype(counted).set_index("symbol")


def _gaps(gaps: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [found for found in gaps if len(found)]
    if filled:
        return pd.concat(filled, ignore_index=True).astype({"symbol": "str"})
    stamps = pd.DatetimeIndex([], tz="UTC").as_unit("us")
    return pd.DataFrame(
        {"symbol": pd.Series([], dtype="str"), "start": stamps, "end": stamps, "bars": 0}
    ).astype({"bars": np.int64})
