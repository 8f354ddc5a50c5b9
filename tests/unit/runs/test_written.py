"""The rows that a run wrote: what their digest is of, when they are kept, and how two runs' are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.runs import written
from workbench.runs.written import Write, files_of_rows, keep_rows, kept_rows, writes_of
from workbench.runs.written_compared import MOST_DIFFERENCES, compare_writes
from workbench.tables.analytics import reports
from workbench.tables.data_ingestion import market_data
from workbench.tables.logging import system_logs
from workbench.tables.strategy_engine import strategy_performance

KEY = ("strategy_id", "date")


def days(*returns: float, **more: Any) -> pd.DataFrame:
    dates = pd.date_range("2024-01-01", periods=len(returns))
    return pd.DataFrame({"strategy_id": "mine", "date": dates, "returns": returns, **more})


def keep(folder: Path, frame: pd.DataFrame, number: int = 1, key: tuple[str, ...] = KEY) -> Write:
    write = keep_rows(folder, number, strategy_performance, frame, key)
    assert write is not None
    return write


def files(folder: Path) -> Callable[[str], Path | None]:
    return lambda name: folder / name if (folder / name).exists() else None


def test_the_digest_is_of_the_rows_and_not_of_their_order_or_their_run(tmp_path: Path) -> None:
    empty = {"sharpe_ratio": [0.5, np.nan]}
    first = keep(tmp_path, days(0.1, 0.2, **empty))
    for same in (
        days(0.1, 0.2, **empty).iloc[::-1],
        days(0.1, 0.2, run_id="6f1c7b1e-6a50-4a0c-9a37-6a9f4c0a7c11", **empty),
        days(0.1, 0.2, **empty)[["returns", "date", "sharpe_ratio", "strategy_id"]],
        days(0.1, 0.2, **empty).set_index("date"),
    ):
        assert keep(tmp_path, same).sha256 == first.sha256
    for other in (days(0.1, 0.3, **empty), days(0.1, 0.2), days(0.1, 0.2, sharpe_ratio=[np.nan, 0.5])):
        assert keep(tmp_path, other).sha256 != first.sha256
    assert Write.from_line(first.to_line()) == first
    assert writes_of({"written": [keep(tmp_path, days(1.0), 12).to_line(), first.to_line()]})[0] == first


def test_bars_log_lines_and_nothing_are_not_kept_and_of_a_report_not_its_page(tmp_path: Path) -> None:
    for table in (market_data, system_logs):
        assert keep_rows(tmp_path, 1, table, pd.DataFrame({"symbol": ["AAPL"]}), ()) is None
    assert keep_rows(tmp_path, 1, strategy_performance, days(), KEY) is None
    assert keep_rows(tmp_path, 1, strategy_performance, days(0.1, kind="live"), KEY) is None
    assert files_of_rows(tmp_path) == []
    pages = [
        pd.DataFrame(
            {"report_id": ["r"], "kind": ["k"], "format": ["html"], "title": ["T"], "content": [page]}
        )
        for page in ("of run 1", "of run 2")
    ]
    one, other = (keep_rows(tmp_path, n, reports, page, ["report_id"]) for n, page in enumerate(pages, 1))
    assert one is not None
    assert other is not None
    assert one.sha256 == other.sha256


def test_a_number_that_another_process_took_is_left_to_it(tmp_path: Path) -> None:
    assert keep(tmp_path, days(0.1)).file == "rows-1-strategy_performance.parquet"
    assert keep(tmp_path, days(0.2)).file == "rows-2-strategy_performance.parquet"
    assert [path.name for path in files_of_rows(tmp_path)] == [
        "rows-1-strategy_performance.parquet",
        "rows-2-strategy_performance.parquet",
    ]


def test_what_is_too_large_or_cannot_be_written_has_its_digest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(tmp_path, days(0.1))
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setattr(written, "MOST_BYTES", 10)
    large = keep(tmp_path, days(0.1))
    monkeypatch.undo()
    assert (large.file, large.sha256) == (None, kept.sha256)
    full = keep(blocked, days(0.1))
    assert (full.file, full.sha256) == (None, kept.sha256)
    told = compare_writes((files(tmp_path), [kept]), (files(tmp_path), [full]))
    assert told.same
    differs = compare_writes((files(tmp_path), [large]), (files(tmp_path), [keep(tmp_path, days(0.5))]))
    assert not differs.same
    (note,) = differs.notes
    assert note.endswith("strategy_performance differ, and the repeated run's are not kept (any more)")


def test_each_difference_is_told_by_its_key(tmp_path: Path) -> None:
    before = [keep(tmp_path, days(0.1, 0.2, 0.3)), keep(tmp_path, days(0.15), 2)]  # which overwrites one
    now = [keep(tmp_path, days(0.15, 0.25, 0.3, 0.4), 3)]
    told = compare_writes((files(tmp_path), before), (files(tmp_path), now))
    at = "strategy_id=mine, date=2024-01-0"
    assert told.differences[["key", "column", "before", "now"]].to_numpy().tolist() == [
        [f"{at}2", "returns", "0.2", "0.25"],
        [f"{at}4", "", None, "a row"],
    ]
    damaged = files_of_rows(tmp_path)[0]
    damaged.write_bytes(b"PAR1")
    assert kept_rows(files(tmp_path), before) is None


def test_rows_without_a_key_are_told_one_by_one_and_not_more_than_a_thousand(tmp_path: Path) -> None:
    before = keep(tmp_path, days(*[0.1] * 3), key=())
    now = keep(tmp_path, days(*[0.1] * 3, *np.arange(2_000)), key=())
    told = compare_writes((files(tmp_path), [before]), (files(tmp_path), [now]))
    assert len(told.differences) == MOST_DIFFERENCES
    assert told.differences["before"].isna().all()
    assert told.notes == ["2,000 differences in rows, of which the first 1,000 are told"]
    nothing = compare_writes((files(tmp_path), []), (files(tmp_path), [before]))
    assert (nothing.same, len(nothing.differences)) == (False, 3)
