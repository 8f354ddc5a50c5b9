"""What a column's refusal says; that values come back exactly is proved against real servers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from workbench.db.columns import encode
from workbench.errors import NaiveTimestamp, ValueRefused
from workbench.tables.analytics import reports
from workbench.tables.data_ingestion import data_quality_logs, market_data


def _close(values: list[Any], dtype: Any = "object") -> list[str]:
    return encode(market_data.c.close, pd.Series(values, dtype=dtype), "data_ingestion.market_data")


def test_floats_are_written_in_their_shortest_form() -> None:
    assert _close([0.1, 1e-8, 123456.789], "float64") == ["0.1", "1e-08", "123456.789"]
    assert _close([0.1, 5, 1e-8]) == ["0.1", "5", "0.00000001"]


def test_a_refusal_names_table_column_first_rows_the_value_and_the_reason() -> None:
    with pytest.raises(ValueRefused) as caught:
        _close([1.0, "x", 2.0, None, "y", "z"])
    assert str(caught.value) == (
        "data_ingestion.market_data.close: row 1 holds 'x', which cannot be stored: it is not a number "
        "(and 3 more rows); nothing was written"
    )
    assert caught.value.table == "data_ingestion.market_data"
    assert caught.value.column == "close"
    assert caught.value.rows == (1, 3, 4)


def test_a_refusal_does_not_repeat_a_whole_report() -> None:
    with pytest.raises(ValueRefused, match="NUL character") as caught:
        encode(reports.c.content, pd.Series(["x" * 1_000_000 + "\x00"]), "analytics.reports")
    assert len(str(caught.value)) < 500


def test_a_file_that_no_copy_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.db.columns._LARGEST_FILE", 3)
    assert encode(reports.c.file, pd.Series([b"abc"], dtype="object"), "t") == ["\\\\x616263"]
    with pytest.raises(ValueRefused, match="it has 4 bytes and the column holds 3"):
        encode(reports.c.file, pd.Series([b"abcd"], dtype="object"), "t")


def test_rows_are_positions_whatever_the_index() -> None:
    values = pd.Series([1.0, None], index=["a", "b"])
    with pytest.raises(ValueRefused, match="row 1 ") as caught:
        encode(market_data.c.close, values, "t")
    assert caught.value.rows == (1,)


def test_a_naive_timestamp_is_told_how_to_localise_it() -> None:
    moments = pd.Series(pd.date_range("2024-01-01", periods=5))
    with pytest.raises(NaiveTimestamp) as caught:
        encode(market_data.c.timestamp, moments, "data_ingestion.market_data")
    assert str(caught.value) == (
        "data_ingestion.market_data.timestamp: rows 0, 1, 2 and 2 more are without a time zone; localise it "
        "first: frame['timestamp'] = frame['timestamp'].dt.tz_localize('America/New_York'), or 'UTC'"
    )


def test_missing_values_go_where_they_may_and_nowhere_else() -> None:
    nothing = pd.Series([None, float("nan"), pd.NaT, pd.NA], dtype="object")
    assert encode(data_quality_logs.c.timestamp, nothing, "t") == ["\\N"] * 4
    with pytest.raises(ValueRefused, match="it is missing") as caught:
        encode(data_quality_logs.c.reason, nothing, "t")
    assert caught.value.rows == (0, 1, 2)
