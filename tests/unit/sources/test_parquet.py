"""Parquet: its own types are kept exactly, and wrong ones are refused in one sentence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import FileRefused
from workbench.sources.files import FileSource

UTC = pd.Timestamp("2017-01-03 14:30", tz="UTC")


def fetch(folder: Path, told: dict[str, Any] | None = None, **columns: Any) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    usual = {
        "date": pa.array([UTC] * length),
        **{name: pa.array([1.5] * length) for name in ("open", "high", "low", "close", "volume")},
    }
    path = folder / "bars.parquet"
    pq.write_table(pa.table({**usual, **columns}), path)
    (raw,) = FileSource(path, **(told or {})).fetch(["X"])
    return raw.rows


def test_float64_is_kept_to_the_last_bit(tmp_path: Path) -> None:
    values = np.array([0.1 + 0.2, 1e-300, 1.7976931348623157e308, np.nan, np.inf])
    rows = fetch(tmp_path, open=pa.array(values))
    np.testing.assert_array_equal(rows["open"].to_numpy(), values)
    assert rows["raw"].tolist()[0]["open"] == "0.30000000000000004"


def test_integers_decimals_and_float32_mean_what_they_say(tmp_path: Path) -> None:
    rows = fetch(
        tmp_path,
        open=pa.array([Decimal("0.00000001"), None], pa.decimal128(20, 8)),
        high=pa.array([0.1, 2.5], pa.float32()),
        volume=pa.array([100, 2**53 + 1], pa.int64()),
    )
    assert rows["open"].tolist()[0] == 1e-8
    assert rows["high"].tolist() == [0.1, 2.5]
    assert rows["rule"].tolist() == ["", "missing_value"]
    assert (
        rows["reason"].tolist()[1]
        == 'open is empty; volume: "9007199254740993" has more digits than a float64 holds'
    )


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([UTC.tz_convert("Asia/Tokyo")]),
        pa.array([UTC.value], pa.timestamp("ns", "UTC")),
        pa.array(["2017-01-03T14:30:00Z"]),
        pa.array([1483453800000], pa.int64()),
    ],
)
def test_instants_of_any_type_are_the_same_instant(tmp_path: Path, dates: Any) -> None:
    assert fetch(tmp_path, date=dates)["timestamp"].tolist() == [UTC]


def test_dates_are_midnight_utc_and_wall_clocks_need_a_zone(tmp_path: Path) -> None:
    midnight = pd.Timestamp("2017-01-03", tz="UTC")
    for kind in (pa.date32(), pa.date64(), pa.timestamp("us")):
        dates = pa.array([midnight.tz_localize(None).to_pydatetime()]).cast(kind)
        assert fetch(tmp_path, date=dates)["timestamp"].tolist() == [midnight]
    naive = pa.array([UTC.tz_localize(None)])
    assert fetch(tmp_path, date=naive)["rule"].tolist() == ["naive_timestamp"]
    told = fetch(tmp_path, {"timezone": "America/New_York"}, date=naive)
    assert told["timestamp"].tolist() == [pd.Timestamp("2017-01-03 19:30", tz="UTC")]


def test_null_and_too_fine_timestamps_are_rows_with_reasons(tmp_path: Path) -> None:
    rows = fetch(tmp_path, date=pa.array([None, UTC.value + 1, UTC.value], pa.timestamp("ns", "UTC")))
    assert rows["rule"].tolist() == ["missing_timestamp", "timestamp_too_fine", ""]
    assert rows["timestamp"].isna().tolist() == [True, True, False]


def test_wrong_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="the column open holds string, not numbers"):
        fetch(tmp_path, open=pa.array(["1.5"]))
    with pytest.raises(FileRefused, match="the column volume holds bool, not numbers"):
        fetch(tmp_path, volume=pa.array([True]))
    with pytest.raises(FileRefused, match="the column date holds double, not dates, times or texts"):
        fetch(tmp_path, date=pa.array([1.0]))
    with pytest.raises(FileRefused, match="has columns but no rows"):
        fetch(tmp_path, open=pa.array([], pa.float64()))


def test_many_symbols_as_pandas_writes_categories(tmp_path: Path) -> None:
    symbols = pa.array(["A", "B", "A"]).dictionary_encode()
    table = {name: pa.array([1.5] * 3) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(
        pa.table({"symbol": symbols, "date": pa.array([UTC] * 3), **table}), tmp_path / "many.parquet"
    )
    found = FileSource(tmp_path / "many.parquet").fetch(["B", "A"])
    assert [(raw.symbol, raw.rows["row"].tolist()) for raw in found] == [("B", [2]), ("A", [1, 3])]
