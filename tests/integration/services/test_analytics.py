"""Figures that each run has of its own, reports with and without their content, and results that expire."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.services.rows import ROWS
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import DuplicateKeys, QueryError
from workbench.tables.workbench import runs

METRICS, REPORTS = ROWS["analytics.performance_metrics"], ROWS["analytics.reports"]


def _same(loaded: pd.DataFrame, given: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        loaded[list(given.columns)], given.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_each_run_has_figures_of_its_own_and_so_has_no_run_at_all(wb: Workbench) -> None:
    write, load = wb.analytics.write_performance_metrics, wb.analytics.load_performance_metrics
    first, second = (str(wb.runs.start(notebook="a.ipynb", trigger="command")) for _ in range(2))
    for run_id in (None, first, second):
        of_run = METRICS.assign(run_id=pd.Series([run_id] * 3, dtype="object"))
        assert write(of_run) == Written(3, 0, 0)
        assert write(of_run) == Written(0, 0, 3)
    assert write(METRICS.assign(value=1.0, run_id=first)) == Written(0, 3, 0)
    assert write(METRICS.assign(value=2.0)) == Written(0, 3, 0)
    assert len(load()) == 9
    assert load(run_id=first)["value"].tolist() == [1.0] * 3
    assert load(run_id=second)["value"].isna().sum() == 1
    with pytest.raises(DuplicateKeys, match="metric=sharpe_ratio"):
        write(pd.concat([METRICS, METRICS.iloc[:1]]))


def test_the_first_characters_of_a_run_s_id_are_enough_unless_two_runs_have_them(wb: Workbench) -> None:
    write, load = wb.analytics.write_performance_metrics, wb.analytics.load_performance_metrics
    alike = [f"0a1b2c3d-0000-4000-8000-00000000000{number}" for number in range(2)]
    with wb.runs.pool.begin() as connection:
        rows = [{"run_id": one, "notebook": "a.ipynb", "trigger": "command"} for one in alike]
        connection.execute(runs.insert(), rows)
    write(METRICS.assign(run_id=alike[0]))
    assert len(load(run_id="0a1b2c3d-0000-4000-8000-000000000000")) == 3
    with pytest.raises(QueryError, match="several runs begin with this run_id; give more of its characters"):
        load(run_id="0a1b2c3d")
    assert load(run_id="0a1b2c3e").empty


def test_a_report_is_renamed_without_its_content_and_listed_without_it(wb: Workbench) -> None:
    wb.analytics.write_reports(REPORTS)
    # The content, which the table demands, is there already.
    renamed = REPORTS[["report_id", "kind", "format"]].assign(title="Renamed")
    assert wb.analytics.write_reports(renamed) == Written(0, 2, 0)
    load = wb.analytics.load_reports
    _same(load(), REPORTS.iloc[::-1].assign(title="Renamed"))
    listed = load(content=False)
    assert set(load().columns) - set(listed.columns) == {"content", "file"}
    assert listed["report_id"].tolist() == ["r-2", "r-1"]


def test_a_report_of_a_few_megabytes_is_kept(wb: Workbench) -> None:
    page, picture = "<p>🚀\\</p>\n" * 300_000, bytes(range(256)) * 16_384
    contents = {
        "content": pd.Series([page, None], dtype="str"),
        "file": pd.Series([None, picture], dtype="object"),
    }
    both = REPORTS.assign(**contents)
    wb.analytics.write_reports(both)
    _same(wb.analytics.load_reports(), both.iloc[::-1])


def _cached(**expires_at: pd.Timestamp | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cache_key": list(expires_at),
            "value": [{"key": key, "pairs": [[1, 2.5], None]} for key in expires_at],
            "expires_at": pd.Series(list(expires_at.values()), dtype="datetime64[us, UTC]"),
        }
    )


def test_cached_results_come_back_until_they_expire(wb: Workbench, admin: Connection) -> None:
    write, load = wb.analytics.write_analytics_cache, wb.analytics.load_analytics_cache
    now = pd.Timestamp.now("UTC").floor("us")
    day = pd.Timedelta(days=1)
    results = _cached(expired=now - day, for_ever=None, later=now + day)
    assert write(results).inserted == 3
    assert load()["cache_key"].tolist() == ["for_ever", "later"]
    assert load("expired").empty
    _same(load(expired=True), results)
    assert write(results) == Written(0, 0, 3)
    assert write(_cached(expired=now + day)) == Written(0, 1, 0)
    assert load("expired")["value"].tolist() == [{"key": "expired", "pairs": [[1, 2.5], None]}]
    admin.execute("UPDATE analytics.analytics_cache SET expires_at = now() WHERE cache_key = 'later'")
    assert load(["expired", "later"])["cache_key"].tolist() == ["expired"]
    assert wb.analytics.prune_analytics_cache() == 1
    assert load(expired=True)["cache_key"].tolist() == ["expired", "for_ever"]
