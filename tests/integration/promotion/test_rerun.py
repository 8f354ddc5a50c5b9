"""A run is run again on the bars that it knew, with the same rows; on today's, it is said which differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.promotion.conftest import PARAMETERS, SLOT, STUDY, Project, revise
from tests.integration.promotion.test_rehearsal import _counts
from workbench import Workbench
from workbench.cli import main
from workbench.errors import NotebookFailed, PromotionRefused, RunError
from workbench.promotion.run import NotebookRunResult
from workbench.runs.written import files_of_rows
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

REFUSED = """
signals = pd.DataFrame({'symbol': ['X'], 'timestamp': [pd.Timestamp('2024-01-01 00:00Z')],
                        'signal': ['buy'], 'strength': [1.0]})
performance = pd.DataFrame({'date': ['2024-01-01'], 'returns': [float('nan')]})
try:
    se.write_backtest(strategy_id='b', name='B', parameters={}, status='active', signals=signals,
                      performance=performance)
except ValueError:
    pass
else:
    raise AssertionError('it was written')
"""


def test_on_the_bars_that_it_knew_it_gives_the_same_and_leaves_nothing(
    promoted_run: NotebookRunResult, stocked: Workbench, project: Project, admin: Connection
) -> None:
    revise(stocked)
    project.write(rules__rule="SLOW = 9")  # what was promoted is what runs
    before = _counts(admin)
    kept = stocked.strategy_engine.load_strategy_signals("mine")
    assert len(stocked.strategy_engine.load_strategy_signals("mine", kind="live")) == 1
    result = stocked.runs.rerun(promoted_run.run_id[:8])
    assert result.same, result.differences
    assert result.differences.empty
    assert result.rows > 60
    assert result.revised[["series", "bars"]].to_numpy().tolist() == [["file/AAPL", 6]]
    added = {name: before[name] + 1 for name in ("workbench.runs", "workbench.heartbeats")}
    assert _counts(admin) == before | added
    pd.testing.assert_frame_equal(stocked.strategy_engine.load_strategy_signals("mine"), kept)
    record, original = stocked.runs.show(result.rerun_id), stocked.runs.show(promoted_run.run_id)
    assert (record["purpose"], record["trigger"], record["slot"]) == ("rerun", "command", SLOT)
    assert record["evidence"]["rerun_of"] == [promoted_run.run_id]
    assert record["version_sha256"] == original["version_sha256"]
    for name in ("data_revisions", "headline", "parameters", "modules"):
        assert record[name] == original[name]
    assert "the same rows and figures" in repr(result)
    assert promoted_run.run_id in result._repr_html_()
    # And again, without the rows of the first: their digests suffice.
    assert len(files_of_rows(promoted_run.output.parent)) == 5
    for path in files_of_rows(promoted_run.output.parent):
        path.unlink()
    assert stocked.runs.rerun(promoted_run.run_id).same


def test_on_todays_bars_it_says_which_rows_and_figures_differ(
    promoted_run: NotebookRunResult, stocked: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = stocked.strategy_engine.load_strategy_performance("mine").set_index("date")["returns"]
    revise(stocked)
    result = stocked.runs.rerun(promoted_run.run_id, exact=False)
    assert not result.same
    differ = result.differences
    assert {"headline", "strategy_engine.strategy_performance"} <= set(differ["table"])
    days = differ[
        (differ["table"] == "strategy_engine.strategy_performance") & (differ["column"] == "returns")
    ]
    assert len(days) > 0
    for day in days.to_dict("records"):
        date = dict(part.split("=") for part in day["key"].split(", "))["date"]
        assert float(day["before"]) == stored[date]
        assert float(day["now"]) != stored[date]
    # Days that there were not: of the bars appended since.
    added = differ[differ["column"].eq("") & differ["before"].isna()]
    assert "strategy_engine.strategy_performance" in set(added["table"])
    pd.testing.assert_series_equal(
        stocked.strategy_engine.load_strategy_performance("mine").set_index("date")["returns"], stored
    )
    for path in files_of_rows(promoted_run.output.parent):
        path.unlink()
    without = stocked.runs.rerun(promoted_run.run_id, exact=False)
    assert not without.same
    assert any("the repeated run's are not kept" in note for note in without.notes)


def test_a_notebook_of_the_working_tree_is_run_again_while_it_is_as_it_was(
    stocked: Workbench, project: Project
) -> None:
    path = project.notebook(*STUDY, parameters=PARAMETERS)
    run = stocked.run(path, {"fast": 3})
    revise(stocked)
    assert stocked.runs.rerun(run.run_id).same
    project.write(rules__rule="SLOW = 9")
    with pytest.raises(RunError, match=r"rules/rule.py changed since, and what ran was not promoted"):
        stocked.runs.rerun(run.run_id)
    project.write(rules__rule="SLOW = 5")
    project.notebook(*STUDY, "1", parameters=PARAMETERS)
    with pytest.raises(RunError, match=r"cannot be repeated: study.ipynb changed since"):
        stocked.runs.rerun(run.run_id)
    path.unlink()
    with pytest.raises(RunError, match=r"there is no notebook study.ipynb"):
        stocked.runs.rerun(run.run_id)


def test_a_series_that_the_run_did_not_read_is_refused_in_an_exact_rerun(
    stocked: Workbench, project: Project, make_bars: MakeBars, tmp_path: Path
) -> None:
    """As where what is read depends on something outside of the database."""
    which = tmp_path / "which"
    which.write_text("AAPL")
    load = "wb.data_ingestion.load_market_data(open(path).read(), source='file')"
    run = stocked.run(
        project.notebook(
            "from workbench import Workbench\nwb = Workbench()",
            load,
            parameters=f"path: str = {str(which)!r}",
        )
    )
    stocked.data_ingestion.write_market_data(make_bars("IBM"), source="file")
    which.write_text("IBM")
    with pytest.raises(NotebookFailed, match=f"run {run.run_id[:8]} did not read file/IBM"):
        stocked.runs.rerun(run.run_id)
    failed = stocked.runs.list(latest=1).iloc[0]
    assert (failed["purpose"], failed["status"]) == ("rerun", "failed")
    assert stocked.runs.rerun(run.run_id, exact=False).same  # it wrote nothing


def test_what_cannot_be_run_again_is_refused(stocked: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    running = stocked.runs.start(notebook="study.ipynb", trigger="command")
    with pytest.raises(RunError, match=f"run {str(running)[:8]} is still running"):
        stocked.runs.rerun(running)
    kernel = stocked.runs.start(notebook="study.ipynb", trigger="interactive")
    stocked.runs.finish(kernel, "completed")
    with pytest.raises(RunError, match="was a kernel of JupyterLab"):
        stocked.runs.rerun(kernel)
    with pytest.raises(RunError, match="there is no run 00000000"):
        stocked.runs.rerun("00000000")
    monkeypatch.setenv("WORKBENCH_RERUN_OF", str(kernel))
    with pytest.raises(PromotionRefused, match="the rerun of a run may not"):
        stocked.runs.rerun(kernel)


def test_what_a_rerun_tells_and_tries_is_undone_too(
    stocked: Workbench, project: Project, admin: Connection
) -> None:
    tell = "wb.events.publish_data_event('model.trained', 'research', {})"
    run = stocked.run(project.notebook(*STUDY, tell, parameters=PARAMETERS))
    admin.execute("TRUNCATE workbench.trials")
    before = _counts(admin)
    assert stocked.runs.rerun(run.run_id).same
    added = {name: before[name] + 1 for name in ("workbench.runs", "workbench.heartbeats")}
    assert _counts(admin) == before | added


def test_a_write_that_failed_is_not_said_to_be_written(stocked: Workbench, project: Project) -> None:
    cells = (
        "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()\nse = wb.strategy_engine",
        "se.write_strategies(pd.DataFrame({'strategy_id': ['a'], 'name': ['A']}))",
        REFUSED,
    )
    run = stocked.run(project.notebook(*cells))
    written = stocked.runs.show(run.run_id)["evidence"]["written"]
    assert len(written) == 1
    assert '"table": "strategy_engine.strategies"' in written[0]


def test_the_command_tells_the_same(
    promoted_run: NotebookRunResult,
    stocked: Workbench,
    database_settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    revise(stocked)
    for name, value in settings_environment(database_settings).items():
        monkeypatch.setenv(name, value)

    def command(*words: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["workbench", "runs", "rerun", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr()

    out, err = command(promoted_run.run_id[:8])
    assert "on the bars that it knew: the same rows and figures" in out + err
    out, _ = command(promoted_run.run_id[:8], "--today", "--json")
    assert json.loads(out)["same"] is False
