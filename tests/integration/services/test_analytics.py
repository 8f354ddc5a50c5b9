"""Figures, reports and cached results: round trips, filters, keys by run, and results that expire."""

from __future__ import annotations

import uuid
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from workbench import Workbench
from workbench.db.frames import Written
from workbench.errors import DuplicateKeys, MissingReference, QueryError, RunFenced, ValueRefused
from workbench.settings import Settings
from workbench.tables.workbench import runs

METRICS = pd.DataFrame(
    {
        "strategy": "sma",
        "metric": ["sharpe_ratio", "win_rate", "sharpe_ratio"],
        "value": [0.1 + 0.2, None, -1.5],
        "period_start": pd.to_datetime(["2023-01-01", "2023-01-01", "2022-01-01"], utc=True),
        "period_end": pd.to_datetime(["2024-01-01", "2024-01-01", "2023-01-01"], utc=True),
        "metadata": [{"days": 250}, {}, {}],
    }
)
REPORTS = pd.DataFrame(
    {
        "report_id": ["r-1", "r-2"],
        "strategy": ["sma", None],
        "kind": ["backtest", "daily"],
        "format": ["html", "pdf"],
        "title": ["Crossing averages", "Risk on 2 January"],
        "content": ["<p>ünïcode\t🚀\n\\N</p>", None],
        "file": [None, b"%PDF-1.7\r\n\x00\xff\\x41"],
        "metadata": [{"pages": 1}, {}],
        "created_at": pd.to_datetime(["2024-01-02", "2024-01-03"], utc=True),
    }
)


def _same(loaded: pd.DataFrame, given: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        loaded[list(given.columns)], given.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_metrics_come_back_by_the_end_of_their_period_and_by_filter(wb: Workbench) -> None:
    write, load = wb.analytics.write_performance_metrics, wb.analytics.load_performance_metrics
    assert write(METRICS).inserted == 3
    _same(load(), METRICS.iloc[[2, 0, 1]])
    assert write(METRICS) == Written(0, 0, 3)
    assert write(METRICS.set_index(["strategy", "period_end"])) == Written(0, 0, 3)
    assert load("sma", metric="sharpe_ratio", latest=1)["value"].tolist() == [0.1 + 0.2]
    assert load(start="2023-01-01", end="2024-01-01")["value"].tolist() == [-1.5]
    assert load("other").empty


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


def test_what_a_run_writes_carries_its_id(
    database_settings: Settings, wb: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = wb.runs.start(notebook="a.ipynb", trigger="command")
    monkeypatch.setenv("WORKBENCH_RUN_ID", str(run_id))
    with Workbench(database_settings) as kernel:
        kernel.analytics.write_performance_metrics(METRICS)
        kernel.analytics.write_reports(REPORTS)
        wb.runs.finish(run_id, "crashed")
        with pytest.raises(RunFenced):
            kernel.analytics.write_performance_metrics(METRICS)
    assert wb.analytics.load_performance_metrics(run_id=run_id)["run_id"].tolist() == [str(run_id)] * 3
    assert len(wb.analytics.load_reports(run_id=run_id)) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": ""}, "strategy and metric must not be empty"),
        (
            {"period_end": pd.Timestamp("2022-06-01", tz="UTC")},
            "row 0 is refused: period_end must not lie before period_start",
        ),
        ({"value": float("inf")}, "it is not finite"),
    ],
    ids=str,
)
def test_a_figure_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"analytics.performance_metrics.*{said}"):
        wb.analytics.write_performance_metrics(METRICS.assign(**change))
    with pytest.raises(MissingReference, match="run_id"):
        wb.analytics.write_performance_metrics(METRICS.assign(run_id=str(uuid.uuid4())))
    assert wb.analytics.load_performance_metrics().empty


def test_reports_come_back_whole_be_they_text_or_bytes(wb: Workbench) -> None:
    assert wb.analytics.write_reports(REPORTS).inserted == 2
    _same(wb.analytics.load_reports(), REPORTS)
    assert wb.analytics.write_reports(REPORTS) == Written(0, 0, 2)
    # The content, which the table demands, is there already.
    renamed = REPORTS[["report_id", "kind", "format"]].assign(title="Renamed")
    assert wb.analytics.write_reports(renamed) == Written(0, 2, 0)
    _same(wb.analytics.load_reports(), REPORTS.assign(title="Renamed"))


def test_a_report_of_a_few_megabytes_is_kept(wb: Workbench) -> None:
    page, picture = "<p>🚀\\</p>\n" * 300_000, bytes(range(256)) * 16_384
    contents = {
        "content": pd.Series([page, None], dtype="str"),
        "file": pd.Series([None, picture], dtype="object"),
    }
    both = REPORTS.assign(**contents)
    wb.analytics.write_reports(both)
    _same(wb.analytics.load_reports(), both)


def test_reports_by_filter_and_without_their_content(wb: Workbench) -> None:
    wb.analytics.write_reports(REPORTS)
    load = wb.analytics.load_reports
    assert load("r-1")["title"].tolist() == ["Crossing averages"]
    assert load(start="2024-01-03")["report_id"].tolist() == ["r-2"]
    assert load(strategy_id="sma", kind="backtest", format="html", latest=1)["report_id"].tolist() == ["r-1"]
    assert load(format="png").empty
    listed = load(content=False)
    assert set(load().columns) - set(listed.columns) == {"content", "file"}
    assert listed["report_id"].tolist() == ["r-1", "r-2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"content": None}, "row 0 is refused: a report has either content .text. or a file .bytes."),
        ({"content": "x" * 100_000}, "row 1 is refused: a report has either content"),
        ({"kind": ""}, "report_id, kind and format must not be empty"),
        ({"file": "text"}, "row 0 holds 'text', .* it is not bytes but str"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_report_that_cannot_be_is_refused(wb: Workbench, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=f"analytics.reports.*{said}") as caught:
        wb.analytics.write_reports(REPORTS.assign(**change))
    assert len(str(caught.value)) < 1_000
    assert wb.analytics.load_reports().empty


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


def test_a_cached_result_that_cannot_be_is_refused(wb: Workbench) -> None:
    write = wb.analytics.write_analytics_cache
    with pytest.raises(ValueRefused, match="cache_key must not be empty"):
        write(pd.DataFrame({"cache_key": [""], "value": [{}]}))
    with pytest.raises(ValueRefused, match=r"row 0 holds None, .* it is missing"):
        write(pd.DataFrame({"cache_key": ["a"], "value": [None]}))
    with pytest.raises(ValueRefused, match="it is not JSON"):
        write(pd.DataFrame({"cache_key": ["a"], "value": [{"x": float("nan")}]}))
    assert wb.analytics.load_analytics_cache(expired=True).empty
