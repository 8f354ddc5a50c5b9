"""What is old goes, and what anything needs stays: against a real PostgreSQL and a real Prefect server."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.acceptance.notebooks import write_notebook
from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from tests.integration.stack.conftest import POOL
from tests.servers import wait_for
from workbench import Workbench
from workbench.cli import main
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import DatabaseError, RunError, ServerError
from workbench.headless.notebook_file import NotebookFile
from workbench.home.locks import exclusive
from workbench.promotion.contents import Contents
from workbench.promotion.store import NotebookStore
from workbench.runs.versions import DeploymentVersion, VersionStore
from workbench.settings import Settings
from workbench.stack.cleaned import Cleaned
from workbench.stack.environment import settings_environment
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.retention import Cleaner, clean_old

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

OLD = timedelta(days=100)
OUTPUTS, NOTEBOOKS, BARS, EVENTS, FLOW_RUNS = (
    "outputs of runs",
    "promoted notebooks that nothing needs",
    "replaced versions of bars",
    "events that were told",
    "flow runs of Prefect",
)
DAY = pd.DataFrame({"strategy_id": ["s"], "date": [pd.Timestamp("2024-01-01")], "returns": [0.1]})


def clean(
    settings: Settings,
    wb: Workbench,
    prefect: PrefectApi | None = None,
    *,
    days: int = 90,
    dry_run: bool = False,
) -> dict[str, Cleaned]:
    done = clean_old(settings, wb.session.pool("runs"), prefect, days=days, dry_run=dry_run)
    return {one.what: one for one in done}


def a_run(
    wb: Workbench, admin: Connection, folder: Path, age: timedelta | None, *, version: str | None = None
) -> uuid.UUID:
    """A run with outputs; `age` is how long ago it ended, None for one that goes on."""
    run_id = wb.runs.start(notebook="a.ipynb", trigger="command", version_sha256=version)
    place = folder / str(run_id)
    place.mkdir(parents=True)
    for name in ("a.ipynb", "a.html", "rows-1-strategies.parquet"):
        (place / name).write_bytes(bytes(1_000))
    if age is not None:
        wb.runs.finish(
            run_id, "completed", output_path=str(place / "a.ipynb"), html_path=str(place / "a.html")
        )
        admin.execute(
            "UPDATE workbench.runs SET ended_at = clock_timestamp() - %s WHERE run_id = %s", [age, run_id]
        )
    return run_id


def test_outputs_of_old_runs_go_and_their_records_say_so(
    wb: Workbench, database_settings: Settings, admin: Connection
) -> None:
    folder = database_settings.runs_folder
    old, young = (a_run(wb, admin, folder, age) for age in (OLD, timedelta(days=89)))
    running = a_run(wb, admin, folder, None)
    stranger = folder / str(uuid.uuid4())
    stranger.mkdir()
    (folder / "mine").mkdir()

    counted = clean(database_settings, wb, dry_run=True)[OUTPUTS]
    assert (counted.count, counted.bytes, counted.days) == (1, 3_000, 90)
    assert (folder / str(old)).is_dir()
    assert wb.runs.show(old)["outputs_removed_at"] is None

    assert clean(database_settings, wb)[OUTPUTS] == counted
    there = {place.name for place in folder.iterdir()}
    assert there == {str(young), str(running), stranger.name, "mine"}
    record = wb.runs.show(old)
    assert (record["status"], record["outputs_removed_at"] is not None) == ("completed", True)
    assert "since they were old" in record._repr_html_()  # type: ignore[attr-defined]
    with pytest.raises(
        RunError, match=r"left was removed on .* since it was old; wb.runs.rerun runs it again"
    ):
        wb.runs.open(old)
    assert wb.runs.open(young).page is not None
    assert clean(database_settings, wb)[OUTPUTS].count == 0


def test_outputs_below_a_url_go_too_and_one_that_is_away_is_left(
    wb: Workbench, database_settings: Settings, admin: Connection, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    settings = database_settings.model_copy(update={"outputs": f"file://{share}"})
    old = a_run(wb, admin, share, OLD)
    share.rename(tmp_path / "away")
    left = clean(settings, wb)[OUTPUTS]
    assert "nothing can be removed below file://" in left.note
    assert wb.runs.show(old)["outputs_removed_at"] is None
    (tmp_path / "away").rename(share)
    assert clean(settings, wb, dry_run=True)[OUTPUTS].bytes == 3_000
    done = clean(settings, wb)[OUTPUTS]
    assert (done.count, done.bytes, done.note) == (1, 3_000, "")
    assert list(share.iterdir()) == []
    assert wb.runs.show(old)["outputs_removed_at"] is not None


def stored(store: NotebookStore, folder: Path, cell: str) -> str:
    path = write_notebook(folder / "study.ipynb", parameters="fast = 20", cells=[cell])
    return store.add(NotebookFile.read(path), {"rules/rule.py": b"FAST = 20\n"}).sha256


@pytest.fixture
def store(wb: Workbench, database_settings: Settings) -> NotebookStore:
    return NotebookStore(database_settings.store_folder, Contents(wb.session.pool("runs")))


def age_versions(admin: Connection) -> None:
    """As if all had been promoted long ago."""
    admin.execute("ALTER TABLE workbench.versions DISABLE TRIGGER versions_kept")
    admin.execute("UPDATE workbench.versions SET created_at = created_at - interval '100 days'")
    admin.execute("ALTER TABLE workbench.versions ENABLE ALWAYS TRIGGER versions_kept")


def versions_there(admin: Connection) -> set[str]:
    return {row[0] for row in admin.execute("SELECT sha256 FROM workbench.versions").fetchall()}


def test_promoted_notebooks_go_that_no_version_deployment_or_row_needs(
    wb: Workbench,
    database_settings: Settings,
    admin: Connection,
    store: NotebookStore,
    prefect: PrefectApi,
    tmp_path: Path,
) -> None:
    names = ("unneeded", "ran", "of a version", "of prefect", "of a row", "runs", "ran lately")
    shas = {name: stored(store, tmp_path, repr(name)) for name in names}
    versions = VersionStore(wb.session.pool("runs"))
    versions.add(DeploymentVersion("mine", "study.ipynb", shas["of a version"], {}, {}, {}, "1"))
    flow = prefect.ask("/flows/", {"name": "run-notebook"})
    body = {
        "name": f"d-{uuid.uuid4().hex}",
        "flow_id": flow["id"],
        "parameters": {"sha256": shas["of prefect"]},
    }
    prefect.ask("/deployments/", body)
    a_run(wb, admin, tmp_path, OLD, version=shas["ran"])
    a_run(wb, admin, tmp_path, None, version=shas["runs"])
    a_run(wb, admin, tmp_path, timedelta(days=5), version=shas["ran lately"])
    named = a_run(wb, admin, tmp_path, OLD, version=shas["of a row"])
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
    wb.strategy_engine.write_strategy_performance(DAY)
    admin.execute("UPDATE strategy_engine.strategy_performance SET run_id = %s", [named])

    assert clean(database_settings, wb, prefect)[NOTEBOOKS].count == 0  # they are new
    age_versions(admin)
    young = stored(store, tmp_path, "'young'")
    counted = clean(database_settings, wb, prefect, dry_run=True)[NOTEBOOKS]
    assert counted.count == 2
    assert counted.bytes == sum(
        path.stat().st_size
        for name in ("unneeded", "ran")
        for path in (database_settings.store_folder / shas[name][:2] / shas[name]).glob("*.ipynb")
    )
    assert versions_there(admin) == {*shas.values(), young}
    # Without Prefect, nobody says what deployments of earlier versions need.
    left = clean(database_settings, wb, None)[NOTEBOOKS]
    assert (left.count, "Prefect does not run" in left.note) == (0, True)

    assert clean(database_settings, wb, prefect)[NOTEBOOKS] == counted
    kept = {*shas.values(), young} - {shas["unneeded"], shas["ran"]}
    assert versions_there(admin) == kept
    for sha256 in kept:  # what it shares with those that went is whole
        other = NotebookStore(tmp_path / sha256, Contents(wb.session.pool("runs")))
        assert set(other.open(sha256).modules) == {"rules/rule.py"}
    assert not (database_settings.store_folder / shas["ran"][:2] / shas["ran"]).exists()


def test_a_promotion_and_a_cleaning_at_once_lose_nothing(
    wb: Workbench,
    admin: Connection,
    store: NotebookStore,
    tmp_path: Path,
) -> None:
    sha256 = stored(store, tmp_path, "'again'")
    age_versions(admin)
    pool = wb.session.pool("runs")
    forget = "SELECT workbench.forget_versions(interval '90 days', '{}')"
    with store.held(sha256):
        with pytest.raises(DatabaseError, match="lock timeout"), pool.begin("cleaning") as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '300ms'; {forget}")
        VersionStore(pool).add(DeploymentVersion("mine", "study.ipynb", sha256, {}, {}, {}, "1"))
    with pool.begin("cleaning") as connection:
        assert connection.exec_driver_sql(forget).scalar() == []

    # And the other way round: what went in between is stored again before it is needed.
    second = stored(store, tmp_path, "'second'")
    age_versions(admin)
    with pool.begin("cleaning") as connection:
        assert connection.exec_driver_sql(forget).scalar() == [second]
    with store.held(second):
        VersionStore(pool).add(DeploymentVersion("mine", "study.ipynb", second, {}, {}, {}, "1"))
    assert versions_there(admin) == {sha256, second}
    with pytest.raises(DatabaseError, match="at least a day"), pool.begin("cleaning") as connection:
        connection.exec_driver_sql("SELECT workbench.forget_versions(interval '1 hour', '{}')")


def test_versions_of_bars_go_as_their_own_setting_has_it_and_told_events_after_a_month(
    wb: Workbench, database_settings: Settings, admin: Connection, make_bars: MakeBars
) -> None:
    bars = make_bars("AAPL", days=20)
    wb.data_ingestion.write_market_data(bars, source="file")
    for _ in range(2):
        bars = bars.assign(volume=bars["volume"] + 1)
        wb.data_ingestion.write_market_data(bars, source="file")
    admin.execute(
        "UPDATE data_ingestion.series_revisions SET committed_at = committed_at - interval '100 days'"
    )
    admin.execute(
        "UPDATE workbench.events SET published_at = clock_timestamp() - interval '40 days' WHERE event_id = "
        "(SELECT min(event_id) FROM workbench.events)"
    )
    kept = clean(database_settings, wb, dry_run=True)
    assert (kept[BARS].count, kept[BARS].days) == (0, 730)
    settings = database_settings.model_copy(update={"history_keep_days": 30})
    counted = clean(settings, wb, dry_run=True)
    assert (counted[BARS].count, counted[BARS].days) == (40, 90)
    assert counted[BARS].bytes
    assert (counted[EVENTS].count, counted[EVENTS].days) == (1, 30)
    done = clean(settings, wb)
    assert [done[what].count for what in (BARS, EVENTS)] == [40, 1]
    assert [clean(settings, wb)[what].count for what in (BARS, EVENTS)] == [0, 0]
    assert wb.data_ingestion.load_market_data("AAPL", source="file")["volume"].tolist() == [102.0] * 20


def test_flow_runs_that_ended_long_ago_go_with_their_artifacts(
    wb: Workbench, database_settings: Settings, prefect: PrefectApi
) -> None:
    flow = prefect.ask("/flows/", {"name": "run-notebook"})

    def flow_run(state: str, age: timedelta, pool: str = POOL) -> str:
        if pool != POOL:
            prefect.ask("/work_pools/", {"name": pool, "type": "process"})
        body = {
            "name": f"d-{uuid.uuid4().hex}",
            "flow_id": flow["id"],
            "work_pool_name": pool,
            "enforce_parameter_schema": False,
        }
        deployment = prefect.ask("/deployments/", body)
        due = (datetime.now(UTC) - age).isoformat()
        made = prefect.ask(
            f"/deployments/{deployment['id']}/create_flow_run",
            {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}},
        )
        if state != "SCHEDULED":
            prefect.ask(f"/flow_runs/{made['id']}/set_state", {"state": {"type": state}, "force": True})
        return str(made["id"])

    old = [flow_run(state, OLD) for state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]
    kept = [flow_run("COMPLETED", timedelta(days=1)), flow_run("RUNNING", OLD), flow_run("SCHEDULED", OLD)]
    kept.append(flow_run("COMPLETED", OLD, pool=f"another-{uuid.uuid4().hex[:8]}"))
    for run_id in (old[0], kept[0]):
        prefect.ask("/artifacts/", {"key": f"run-{run_id[:8]}", "type": "markdown", "flow_run_id": run_id})
    assert clean(database_settings, wb, prefect, dry_run=True)[FLOW_RUNS].count == 4
    assert clean(database_settings, wb, prefect)[FLOW_RUNS].count == 4
    there = prefect.ask("/flow_runs/filter", {"flow_runs": {"id": {"any_": [*old, *kept]}}})
    assert {one["id"] for one in there} == set(kept)
    artifacts = prefect.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [old[0], kept[0]]}}})
    assert [one["flow_run_id"] for one in artifacts] == [kept[0]]
    assert clean(database_settings, wb, prefect)[FLOW_RUNS].count == 0


@pytest.fixture
def thread(wb: Workbench, database_settings: Settings) -> Iterator[tuple[threading.Thread, threading.Event]]:
    end = threading.Event()
    settings = database_settings.model_copy(update={"retention_keep_days": 90})
    pool: ServiceConnectionPool = wb.session.pool("runs")
    thread = threading.Thread(target=Cleaner(settings, pool, None).work, args=(end,))
    yield thread, end
    end.set()
    thread.join(30)


def test_it_is_done_by_itself_once_a_day(
    wb: Workbench,
    database_settings: Settings,
    admin: Connection,
    thread: tuple[threading.Thread, threading.Event],
) -> None:
    folder = database_settings.runs_folder
    old = a_run(wb, admin, folder, OLD)
    thread[0].start()
    wait_for(lambda: wb.runs.show(old)["outputs_removed_at"] is not None, "it was cleaned", seconds=60)
    wait_for((database_settings.home / "run" / "cleaned").exists, "that is noted", seconds=30)
    assert not (folder / str(old)).exists()
    # A start on the same day does nothing, one on another day does it again, and 0 days switch it off.
    cleaner = Cleaner(database_settings, wb.session.pool("runs"), None)
    assert not cleaner._is_due()
    os.utime(database_settings.home / "run" / "cleaned", (time.time() - 90_000,) * 2)
    assert cleaner._is_due()
    off = database_settings.model_copy(update={"retention_keep_days": 0})
    Cleaner(off, wb.session.pool("runs"), None).work(threading.Event())


def test_the_command_counts_first_and_then_removes(
    wb: Workbench,
    database_settings: Settings,
    admin: Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = a_run(wb, admin, database_settings.runs_folder, OLD)
    for name, value in settings_environment(database_settings).items():
        monkeypatch.setenv(name, value)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["workbench", "clean", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    code, _, err = command("--older-than", "3w")
    assert (code, "give a number of days, one or more, as in 90d" in err) == (1, True)
    _, out, _ = command("--dry-run", "--json")  # two years, as the setting has it
    assert {one["what"]: one["count"] for one in json.loads(out)}[OUTPUTS] == 0
    code, out, err = command("--older-than", "90d", "--dry-run")
    assert (code, "would go" in out, "nothing was removed" in err) == (0, True, True)
    assert (database_settings.runs_folder / str(old)).exists()
    code, out, err = command("--older-than", "90d")
    assert (code, "removed" in out) == (0, True), err
    assert not (database_settings.runs_folder / str(old)).exists()
    monkeypatch.setenv("WORKBENCH_RETENTION_KEEP_DAYS", "0")
    code, _, err = command("--dry-run")
    assert (code, "name an age: --older-than 90d" in err) == (1, True)


def test_two_of_one_home_do_not_clean_at_once(wb: Workbench, database_settings: Settings) -> None:
    lock = database_settings.home / "run" / "clean.lock"
    with (
        exclusive(lock, patience=0, doing="removing what is old"),
        pytest.raises(ServerError, match="Another process has been removing what is old"),
    ):
        clean(database_settings, wb)
