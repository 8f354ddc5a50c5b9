"""Tidy bars and their wide panels; other frames are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, panel, validate_bars

DAYS = pd.date_range("2024-01-01", periods=3, tz="UTC", unit="us")


def tidy(*keys: tuple[str, int]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples([(s, DAYS[d]) for s, d in keys], names=["symbol", "timestamp"])
    values = np.arange(len(keys) * 5, dtype=np.float64).reshape(-1, 5)
    return pd.DataFrame(values, index=index, columns=list(BAR_COLUMNS))


def test_a_panel_is_timestamp_by_symbol_with_nan_where_there_is_no_bar() -> None:
    wide = panel(tidy(("B", 2), ("A", 0), ("A", 2)), "close")
    expected = pd.DataFrame(
        [[8.0, np.nan], [13.0, 3.0]],
        index=pd.DatetimeIndex(DAYS[[0, 2]], name="timestamp"),
        columns=pd.Index(["A", "B"], name="symbol"),
    )
    pd.testing.assert_frame_equal(wide, expected, check_freq=False)


def test_no_bars_make_an_empty_panel() -> None:
    empty = panel(tidy(("A", 0)).iloc[:0])
    assert empty.shape == (0, 0)
    assert isinstance(empty.index.dtype, pd.DatetimeTZDtype)


def test_frames_that_are_not_tidy_bars_are_refused_with_advice() -> None:
    bars = tidy(("A", 0), ("A", 1))
    with pytest.raises(QueryError, match='no column "vwap"; they have open, high'):
        panel(bars, "vwap")
    with pytest.raises(QueryError, match=r"bars\.set_index\(\['symbol', 'timestamp'\]\)"):
        panel(bars.reset_index())
    with pytest.raises(QueryError, match=r"these \(timestamp, symbol\)"):
        panel(bars.swaplevel())
    with pytest.raises(QueryError, match=r"the bar of A at 2024-01-01 .* more than once"):
        panel(pd.concat([bars, bars]))
    with pytest.raises(QueryError, match="without a time zone"):
        panel(bars.tz_localize(None, level="timestamp"))
    with pytest.raises(QueryError, match="these bars have no volume"):
        validate_bars(bars.drop(columns="volume"))
    with pytest.raises(QueryError, match=r"column open holds .*, not numbers"):
        validate_bars(bars.astype({"open": "str"}))
    validate_bars(bars.assign(vwap=1.0))


WHOLE = [(symbol, day) for symbol in "ABC" for day in range(3)]


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "Float64", "str", "object"])
@pytest.mark.parametrize(
    "rows", [slice(None), slice(0, 3), slice(1, None), slice(None, None, -1), [0, 3, 1, 4], [2, 5], [4]]
)
def test_a_panel_is_what_unstacking_gives_whatever_rows_there_are(kind: str, rows: slice | list[int]) -> None:
    bars = tidy(*WHOLE).astype({"close": kind}).iloc[rows]
    expected = bars["close"].unstack("symbol").sort_index().sort_index(axis=1)
    pd.testing.assert_frame_equal(panel(bars), expected, check_freq=False)


def test_whoever_writes_into_a_panel_does_not_change_the_bars() -> None:
    bars = tidy(*WHOLE)
    wide = panel(bars)
    wide.iloc[0, 0] = -1.0
    wide["B"] += 1.0
    pd.testing.assert_frame_equal(bars, tidy(*WHOLE))
