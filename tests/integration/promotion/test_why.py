"""Where a row comes from: its run, version, cell, parameters and bars, and whether it would differ today."""

from __future__ import annotations

import json
import sys
import uuid

import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from tests.integration.promotion.conftest import BEGIN, PARAMETERS, SLOT, STUDY, TEST, Project, revise
from workbench import Workbench
from workbench.cli import main
from workbench.errors import QueryError, RunError
from workbench.promotion.run import NotebookRunResult
from workbench.runs.versions import who
from workbench.runs.why import Why, Whys
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

# After the parameters, those that are given, and the two cells before it.
SAVED_IN = 5


def test_rows_of_each_kind_name_their_run_version_cell_parameters_and_bars(
    promoted_run: NotebookRunResult, stocked: Workbench
) -> None:
    engine = stocked.strategy_engine
    live = engine.load_strategy_signals("mine", kind="live")
    why = stocked.why(live)
    assert isinstance(why, Why)
    assert why.run is not None
    assert (why.run["run_id"], why.run["deployment"], why.run["slot"]) == (promoted_run.run_id, "mine", SLOT)
    assert (why.run["purpose"], why.run["status"]) == ("live", "completed")
    assert why.run["parameters"] == {"symbols": ["AAPL"], "fast": 3}
    assert why.version is not None
    assert (why.version["name"], why.version["sha256"]) == ("study.ipynb", live["version"].iloc[0])
    assert (why.version["version"], why.version["made_by"], why.version["note"]) == (1, who(), "the first")
    assert [(one.cell, one.code) for one in why.cells] == [(SAVED_IN, STUDY[-1])]
    assert why.series[["series", "revision", "revision_now", "changed"]].to_numpy().tolist() == [
        ["file/AAPL", 1, 1, 0]
    ]
    assert not why.changed
    told = str(why)
    for part in (
        promoted_run.run_id,
        "live for 2024-05-01",
        f"cell {SAVED_IN} (`wb.save(",
        "unchanged since",
        f"1, promoted by {who()}",
    ):
        assert part in told
    assert promoted_run.run_id in why._repr_html_()
    assert json.loads(json.dumps(why.to_dict()))["run"]["parameters"]["fast"] == 3

    rows = (
        engine.load_strategy_signals("mine").iloc[0],
        engine.load_strategy_performance("mine").tail(1),
        engine.load_strategies("mine").iloc[0],
        stocked.analytics.load_reports(strategy_id="mine").iloc[0],
        {"run_id": promoted_run.run_id},
        promoted_run.run_id[:8],
        live["signal_id"].iloc[0],
    )
    for row in rows:
        found = stocked.why(row)
        assert isinstance(found, Why)
        assert found.run is not None
        assert found.run["run_id"] == promoted_run.run_id
        assert [one.cell for one in found.cells] == [SAVED_IN], found


def test_a_revision_of_old_bars_shows_and_the_row_is_said_anew_on_todays(
    promoted_run: NotebookRunResult, stocked: Workbench
) -> None:
    revise(stocked)
    days = stocked.strategy_engine.load_strategy_performance("mine")
    why = stocked.why(days.tail(1))
    assert isinstance(why, Why)
    assert why.changed
    series = why.series.iloc[0]
    # Five corrected, one added between others; of the five that were appended there is one line.
    assert (series["revision"], series["revision_now"], series["changed"]) == (1, 4, 6)
    assert (series["bars"], series["bars_now"]) == (60, 66)
    assert series["first"] == pd.Timestamp("2024-01-05 12:00Z")
    assert "6 of its bars changed since (2024-01-05 12:00 to 2024-01-27), 6 more bars" in str(why)

    # A day in the market whose bar is another one now, and the first, on which there was no position.
    changed = stocked.why(days[days["date"] == pd.Timestamp("2024-01-11")], check=True)
    assert isinstance(changed, Why)
    assert changed.today is not None
    assert changed.today.differs
    assert set(changed.today.differences) >= {"returns"}
    stored = days.loc[days["date"] == pd.Timestamp("2024-01-11"), "returns"].iloc[0]
    assert float(changed.today.differences["returns"][0]) == stored
    assert "it would differ in" in changed.sentence() + str(changed)
    same = stocked.why(days.iloc[0], check=True)
    assert isinstance(same, Why)
    assert same.today is not None
    assert (same.today.differs, dict(same.today.differences)) == (False, {})
    # What it says is undone.
    pd.testing.assert_frame_equal(stocked.strategy_engine.load_strategy_performance("mine"), days)


def test_a_live_row_is_checked_by_what_a_rerun_contradicts(
    promoted_run: NotebookRunResult, stocked: Workbench
) -> None:
    live = stocked.strategy_engine.load_strategy_signals("mine", kind="live")
    same = stocked.why(live, check=True)
    assert isinstance(same, Why)
    assert same.today is not None
    assert same.today.differs is False
    # The last bars fall now, so that the strategy is out of the market.
    bars = stocked.data_ingestion.load_market_data("AAPL", source="file").reset_index()
    wrong = bars.tail(15).copy()
    wrong[["open", "high", "low", "close"]] = [[80.0 - n] * 4 for n in range(15)]
    stocked.data_ingestion.write_market_data(wrong, source="file")
    why = stocked.why(live, check=True)
    assert isinstance(why, Why)
    assert why.today is not None
    assert why.today.differs
    assert "AAPL: run" in why.today.reason
    assert "bars were revised" in str(why)


def test_of_two_cells_each_strategy_names_its_own_and_a_frame_is_a_table(
    stocked: Workbench, project: Project
) -> None:
    again = TEST + "wb.save(result, strategy_id='second', report=False)"
    first = "wb.save(result, strategy_id='first', report=False)"
    run = stocked.run(project.notebook(BEGIN, TEST, first, again, parameters=PARAMETERS))
    days = stocked.strategy_engine.load_strategy_performance(["first", "second"])
    outside = days.tail(1).assign(run_id=None, strategy_id="third")
    found = stocked.why(pd.concat([days, outside], ignore_index=True))
    assert isinstance(found, Whys)
    assert len(found) == len(days) + 1
    table = found.table
    cells = table.groupby(days["strategy_id"].reindex(table.index).fillna("third"))["cell"].unique()
    assert {name: list(one) for name, one in cells.items()} == {
        "first": ["5"],
        "second": ["6"],
        "third": [""],
    }
    assert set(table["run"].dropna()) == {run.run_id}
    assert "saved outside of any run" in found[-1].sentence()
    assert found[-1].run is None
    assert run.run_id[:8] in str(found._repr_html_())


def test_what_cannot_be_explained_is_refused_in_a_sentence(
    promoted_run: NotebookRunResult, stocked: Workbench, make_bars: MakeBars
) -> None:
    bars = stocked.data_ingestion.load_market_data("AAPL", source="file")
    with pytest.raises(QueryError, match=r"no column run_id.*bars are of no run: wb\.runs\.of"):
        stocked.why(bars)
    with pytest.raises(QueryError, match="the frame has no rows"):
        stocked.why(bars.head(0))
    with pytest.raises(QueryError, match="10,001 rows, and at most 10,000"):
        stocked.why(pd.DataFrame({"run_id": [None] * 10_001}))
    with pytest.raises(QueryError, match="int is nothing that can be explained"):
        stocked.why(7)  # type: ignore[call-overload]
    with pytest.raises(RunError, match="no run, signal, order, trade or report 'nothing/of/it'"):
        stocked.why("nothing/of/it")
    with pytest.raises(QueryError, match="check=True makes a run again to compare one row"):
        stocked.why(promoted_run.run_id, check=True)
    lost = stocked.why({"run_id": str(uuid.UUID(int=1))})
    assert "this database has no record" in lost.sentence()
    assert lost.lines() == []
    assert lost.to_dict()["run"] is None


def test_the_runs_that_read_a_series_are_listed_newest_first(
    stocked: Workbench, project: Project, make_bars: MakeBars
) -> None:
    stocked.data_ingestion.write_market_data(make_bars("IBM", days=5), source="file")
    load = "from workbench import Workbench\nbars = Workbench().data_ingestion.load_market_data(symbols)"
    notebook = project.notebook(load, parameters="symbols: list[str] = ['AAPL']")
    first = stocked.run(notebook)
    revise(stocked)
    second = stocked.run(notebook, {"symbols": ["AAPL", "IBM"]})
    found = stocked.runs.of(series="file/AAPL")
    assert found["run_id"].tolist() == [second.run_id, first.run_id]
    assert found[["revision", "revision_now", "changed"]].to_numpy().tolist() == [[4, 4, 0], [1, 4, 6]]
    assert found["is_whole"].all()
    assert stocked.runs.of("file/IBM")["run_id"].tolist() == [second.run_id]
    assert stocked.runs.of("file/AAPL", latest=1)["run_id"].tolist() == [second.run_id]
    assert stocked.runs.of("file/AAPL", since=found["started_at"].iloc[0])["run_id"].tolist() == [
        second.run_id
    ]
    stocked.data_ingestion.write_market_data(make_bars("MSFT", days=5), source="file")
    assert stocked.runs.of("file/MSFT").empty
    with pytest.raises(
        QueryError, match=r"no bars of yahoo/AAPL were ever stored \(did you mean file/AAPL\?\)"
    ):
        stocked.runs.of("yahoo/AAPL")
    with pytest.raises(QueryError, match="write the data source and the symbol"):
        stocked.runs.of("AAPL")


def test_a_bar_that_was_appended_and_then_corrected_was_not_read(
    promoted_run: NotebookRunResult, stocked: Workbench
) -> None:
    bars = stocked.data_ingestion.load_market_data("AAPL", source="file").reset_index()
    last = bars.tail(1).assign(timestamp=bars["timestamp"].iloc[-1:] + pd.Timedelta(days=1))
    stocked.data_ingestion.write_market_data(last, source="file")
    corrected = last.assign(volume=last["volume"] + 1)
    stocked.data_ingestion.write_market_data(corrected, source="file")
    why = stocked.why(promoted_run.run_id)
    assert not why.changed
    assert "now 3: none of its bars changed, 1 more bars" in str(why)


def test_the_commands_tell_the_same(
    promoted_run: NotebookRunResult,
    stocked: Workbench,
    database_settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    revise(stocked)
    for name, value in settings_environment(database_settings).items():
        monkeypatch.setenv(name, value)

    def command(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        out, err = capsys.readouterr()
        return out + err if "--json" not in words else out

    signal = stocked.strategy_engine.load_strategy_signals("mine", kind="live")["signal_id"].iloc[0]
    told = command("why", signal)
    assert f"cell {SAVED_IN}" in told
    assert "6 of its bars changed since" in told
    assert json.loads(command("why", promoted_run.run_id[:8], "--json"))["changed"] is True
    checked = json.loads(command("why", signal, "--check", "--json"))
    assert checked["today"]["rerun_id"] != promoted_run.run_id
    assert promoted_run.run_id[:8] in command("runs", "of", "file/AAPL")
    assert json.loads(command("runs", "of", "file/AAPL", "--json"))[-1]["changed"] == 6
