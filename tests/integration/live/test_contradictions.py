"""What was said stays; a run that would say something else leaves a contradiction, with its cause."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.conftest import Connection
from tests.integration.live.conftest import DEPLOYMENT, Kernel, bars_of, run_of, say, slot
from workbench import Workbench
from workbench.promotion.artifact import completed_markdown
from workbench.runs.record import RunRecord, about

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

UP = bars_of({"AAPL": [100.0, 101.0], "IBM": [50.0, 51.0]})
DOWN = bars_of({"AAPL": [100.0, 101.0], "IBM": [50.0, 49.0]})


def crashed(kernel: Workbench, bars: pd.DataFrame = UP, **options: Any) -> None:
    """A run that says something and dies."""
    say(kernel, bars, end="crashed", **options)


def test_a_retry_that_says_the_same_adds_nothing(wb: Workbench, kernel: Kernel, admin: Connection) -> None:
    crashed(kernel("2026-11-24"))
    before = wb.strategy_engine.load_strategy_signals(kind="live")
    say(kernel("2026-11-24"), UP)
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(kind="live"), before)
    assert wb.strategy_engine.load_signal_contradictions().empty
    events = admin.execute("SELECT count(*) FROM workbench.events WHERE type LIKE 'signals.%'").fetchone()
    assert events == (1,)


def test_a_retry_that_says_something_else_leaves_what_was_said(
    wb: Workbench, kernel: Kernel, admin: Connection
) -> None:
    first = kernel("2026-11-24")
    crashed(first)
    before = wb.strategy_engine.load_strategy_signals(kind="live")
    second = kernel("2026-11-24")
    say(second, DOWN, end="")
    say(second, DOWN)  # the same save twice is one contradiction
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(kind="live"), before)
    (row,) = wb.strategy_engine.load_signal_contradictions(DEPLOYMENT).to_dict("records")
    assert (row["symbol"], row["said_signal"], row["signal"]) == ("IBM", "buy", "hold")
    assert (row["said_target"], row["target"]) == (pytest.approx(0.5), 0.0)
    assert (row["said_strength"], row["strength"]) == (1.0, 0.0)
    assert row["said_timestamp"] == row["timestamp"] == pd.Timestamp("2026-11-24", tz="UTC")
    assert (row["said_run_id"], row["run_id"]) == (str(first.run_id), str(second.run_id))
    assert row["slot"] == slot("2026-11-24")
    assert (row["cause"], row["details"]) == ("nondeterminism", {})
    events = admin.execute("SELECT data FROM workbench.events WHERE type = 'signals.contradicted'").fetchall()
    assert [(event["deployment"], event["symbols"]) for (event,) in events] == [(DEPLOYMENT, ["IBM"])]


def _retry(kernel: Kernel, series: dict[str, int], **facts: Any) -> None:
    run = kernel("2026-11-24", **facts)
    run.session.run.note_read(series)
    say(run, DOWN)


@pytest.mark.parametrize(
    ("revision", "facts", "cause", "details"),
    [
        (3, {}, "bars_revised", {"bars_revised": ["yahoo/IBM: revision 2, then 3"]}),
        (2, {"version_sha256": "b" * 64}, "code", {"code": ["version_sha256"]}),
        (2, {"modules": {"rules.py": "1"}}, "code", {"code": ["modules.rules.py"]}),
        (2, {"parameters": {"fast": 5}}, "parameters", {"parameters": ["fast"]}),
        (
            3,
            {"code_version": "x", "parameters": {"slow": 5}},
            "bars_revised",
            {
                "bars_revised": ["yahoo/IBM: revision 2, then 3"],
                "code": ["code_version"],
                "parameters": ["slow"],
            },
        ),
    ],
)
def test_the_cause_is_told_from_both_records(
    wb: Workbench,
    kernel: Kernel,
    revision: int,
    facts: dict[str, Any],
    cause: str,
    details: dict[str, list[str]],
    admin: Connection,
) -> None:
    _revise(admin, changed="2026-11-23")
    first = kernel("2026-11-24")
    first.session.run.note_read({"yahoo/IBM": 2, "yahoo/AAPL": 1})
    crashed(first)
    _retry(kernel, {"yahoo/IBM": revision, "yahoo/AAPL": 1}, **facts)
    (row,) = wb.strategy_engine.load_signal_contradictions(cause=cause).to_dict("records")
    assert row["details"] == details


def _revise(admin: Connection, *, changed: str) -> None:
    """Bars of IBM, of which one is changed by the revision after the second."""
    for day in ("2026-11-20", "2026-11-23"):
        admin.execute(
            "INSERT INTO data_ingestion.market_data "
            "(symbol, timestamp, open, high, low, close, volume, data_source) "
            "VALUES ('IBM', %s, 1, 1, 1, 1, 0, 'yahoo')",
            [f"{day} 00:00Z"],
        )
    admin.execute(
        "UPDATE data_ingestion.market_data SET volume = 1 WHERE symbol = 'IBM' AND timestamp = %s",
        [f"{changed} 00:00Z"],
    )


def test_a_rerun_is_compared_and_says_nothing(wb: Workbench, kernel: Kernel) -> None:
    say(kernel("2026-11-24"), UP)
    before = wb.strategy_engine.load_strategy_signals(kind="live")
    say(kernel("2026-11-24", purpose="rerun"), UP)
    assert wb.strategy_engine.load_signal_contradictions().empty
    say(kernel("2026-11-24", purpose="rerun"), DOWN)
    say(kernel("2026-11-23", purpose="rerun"), UP.loc[:, :].groupby("symbol").head(1))
    assert wb.strategy_engine.load_signal_contradictions()["symbol"].tolist() == ["IBM"]
    pd.testing.assert_frame_equal(wb.strategy_engine.load_strategy_signals(kind="live"), before)


def test_a_rehearsal_and_a_shadow_are_not_compared(wb: Workbench, kernel: Kernel) -> None:
    say(kernel("2026-11-24"), UP)
    for purpose in ("rehearsal", "shadow", "backfill"):
        say(kernel("2026-11-24", purpose=purpose), DOWN)
    assert wb.strategy_engine.load_signal_contradictions().empty


def test_it_is_shown_with_both_runs(wb: Workbench, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kernel("2026-11-24")
    crashed(first)
    retry = kernel("2026-11-24")
    say(retry, DOWN)
    sentence = (
        f"IBM: run {str(first.run_id)[:8]} said buy (target 0.5, bar 2026-11-24), "
        f"run {str(retry.run_id)[:8]} says hold (target 0, bar 2026-11-24): "
        "nothing that is recorded differs, so the notebook is not deterministic"
    )
    for run_id in (run_of(first), run_of(retry)):
        run = wb.runs.show(run_id)
        assert run["contradictions"] == [sentence]
        assert ("contradicted", sentence) in about(run)
        assert "contradicted" in RunRecord(run)._repr_html_()
        assert "Contradicted" in completed_markdown({**run, "html_path": None}, None, seconds=1.0)
    assert wb.runs.show(run_of(kernel("2026-11-25")))["contradictions"] == []
    _told_by_commands(wb, monkeypatch, sentence, str(retry.run_id))


def _told_by_commands(wb: Workbench, monkeypatch: pytest.MonkeyPatch, sentence: str, run_id: str) -> None:
    from workbench.cli import app

    settings = wb.settings
    assert settings.database_url is not None
    assert settings.redis_url is not None
    monkeypatch.setenv("WORKBENCH_HOME", str(settings.home))
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WORKBENCH_REDIS_URL", settings.redis_url.get_secret_value())
    shown = CliRunner().invoke(app, ["runs", "show", run_id])
    assert shown.exit_code == 0, shown.output
    assert sentence in shown.output
    status = CliRunner().invoke(app, ["status"])
    assert "live signals contradicted in the last 7 days: 1" in status.output
