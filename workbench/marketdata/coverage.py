"""Which bars there are, symbol by symbol, and where they have gaps against an exchange's calendar."""

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
    """What there is of some symbols' bars, and what is missing; a notebook shows it as a table with strips.

    Attributes
    ----------
    calendar : str
        The exchange that the bars are held against.
    table : DataFrame of shape (n_symbols, 7)
        Indexed `symbol`, alphabetically: first, last (datetime64[us, UTC]); bars (int64, all that there
        are); expected (int64: the exchange's between the first and the last) and missing of these
        (int64); share (float64, of those expected that there are, 0 to 1; NaN where none is);
        longest_gap (int64, in bars).
    gaps : DataFrame
        One row a gap, by symbol and time: symbol (str), start and end (datetime64[us, UTC], the first and
        the last missing bar, both included), bars (int64).
    """

    calendar: str
    table: pd.DataFrame
    gaps: pd.DataFrame

    def picture(self) -> go.Figure:
        """One row a symbol: what there is solid, gaps in red, each wide enough to be seen.

        Raises
        ------
        QueryError
            When there are no bars.
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
    """What there is of these bars, and what an exchange's calendar says is missing.

    Every symbol is held against the sessions between its own first and last bar: what it lacks before
    the one and after the other is not counted. Bars outside the sessions count as bars and are expected
    by nobody. Of bars that are all stamped 00:00 UTC one a session is expected, of others one every
    usual interval of the symbol from open to close; a share that trades seldom lacks many.

    Parameters
    ----------
    bars : DataFrame, MultiIndex or DatetimeIndex
        Tidy bars; or their index (symbol, timestamp) alone; or the stamps of one symbol's, with a time
        zone, which then goes by the name "". Intraday bars are stamped with their start. A row without
        a number, NaN in all columns of a bar that there are, is no bar.
    calendar : str
        An exchange, by its name in exchange_calendars: "XNYS", "XLON", "24/7" and so on.

    Returns
    -------
    Coverage

    Raises
    ------
    QueryError
        When the bars are not so indexed, or there is no such calendar.
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
        raise QueryError(
            f"coverage is that of bars, their index or their stamps, not of a {type(bars).__name__}"
        )
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
