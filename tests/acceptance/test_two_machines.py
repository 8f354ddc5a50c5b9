"""Two homes with a worker each, as on two machines, on one PostgreSQL, one Redis and one Prefect server.

What one promotes, the other runs; what it leaves, both open; and when one dies, the other goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from tests.acceptance.conftest import make_site
from tests.acceptance.notebooks import write_notebook
from tests.acceptance.projects import Project, _up
from tests.prefect_server import prefect_server
from tests.servers import BarePostgres, ServerPark, wait_for
from workbench.embedded.process import ManagedProcess, marked
from workbench.project.create import create_project
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.services import worker_name

pytestmark = [pytest.mark.timeout(1200)]

DATABASE = "trading_fund"
WHERE = 'print("ran in", wb.settings.home)'


@dataclass
class Pair:
    """Both up; `outputs` is the folder that they share."""

    prefect: PrefectApi
    postgres: BarePostgres
    redis_url: str
    a: Project
    b: Project
    outputs: Path

    def runs(self) -> list[dict[str, Any]]:
        """The records, as the database has them."""
        with self.postgres.connect(DATABASE) as connection:
            rows = connection.cursor(row_factory=psycopg.rows.dict_row)
            query = "SELECT * FROM workbench.runs WHERE deployment IS NOT NULL ORDER BY started_at"
            return [dict(row) for row in rows.execute(query).fetchall()]


@pytest.fixture(scope="module")
def pair(servers: ServerPark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    postgres = servers.bare_postgres("postgresql-15")
    postgres.make_bare()
    folder = make_site().folder
    outputs = folder / "shared outputs"
    outputs.mkdir()
    with prefect_server(tmp_path_factory.mktemp("prefect"), schedules=True) as (url, prefect):
        redis_url = servers.redis().url
        variables = {
            "WORKBENCH_DATABASE_URL": postgres.url,
            "WORKBENCH_REDIS_URL": redis_url,
            "PREFECT_API_URL": url,
            "WORKBENCH_POOL_SIZE": "2",
            "WORKBENCH_POOL_OVERFLOW": "2",
            "WORKBENCH_OUTPUTS": outputs.as_uri(),
        }
        projects = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            projects.append(Project(create_project(folder / name / "fund"), dict(variables), "AAPL"))
        try:
            with contextlib.ExitStack() as starting:
                # At the same moment: both want to set up the databases.
                started = [starting.enter_context(_up(project)) for project in projects]
                assert [one.wait(400) for one in started] == [0, 0]
            a, b = projects
            yield Pair(prefect, postgres, redis_url, a, b, outputs)
        finally:
            for project in projects:
                Stack(project.settings).down()
            shutil.rmtree(folder, ignore_errors=True)
    postgres.make_bare()


@contextmanager
def paused(home: Path) -> Iterator[None]:
    """While the block runs, the home's worker takes nothing up."""
    worker = psutil.Process(ManagedProcess("worker", home).pid())
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


def promoted(pair: Pair) -> None:
    """From home A alone: the notebook, a module of the project's and a file."""
    root = pair.a.folder
    (root / "rules").mkdir()
    (root / "rules" / "__init__.py").touch()
    (root / "rules" / "rule.py").write_text('SAID = "the rule of A"\n')
    (root / "universe.csv").write_text("AAPL\n")
    notebook = write_notebook(
        root / "notebooks" / "study.ipynb",
        parameters="fails: bool = False",
        cells=[
            "from rules.rule import SAID\nfrom workbench import Workbench, project_file\nwb = Workbench()",
            f"{WHERE}\nprint(SAID, project_file('universe.csv').read_text())",
            'if fails:\n    raise RuntimeError("told to fail")',
        ],
    )
    schedule = ("--name", "shared", "--cron", "0 0 1 1 *", "--timezone", "UTC")
    done = pair.a.run("promote", str(notebook), *schedule, "--file", "universe.csv")
    assert done.returncode == 0, done.stderr


def printed(project: Project, run_id: str) -> tuple[str, Path]:
    """What a run has printed, by the output notebook that `workbench runs open` fetches; and its page."""
    done = project.run("runs", "open", run_id)
    assert done.returncode == 0, done.stderr
    page, notebook = map(Path, done.stdout.splitlines())
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    return "".join("".join(one.get("text", "")) for one in outputs), page


def test_the_worker_of_another_home_runs_what_was_promoted_and_both_open_what_it_left(pair: Pair) -> None:
    promoted(pair)
    name = "/deployments/name/run-notebook/shared"
    assert str(pair.a.folder) not in json.dumps(pair.prefect.ask(name))
    workers = {worker.name for worker in pair.prefect.workers("workbench-fund") if worker.online}
    assert workers == {worker_name(pair.a.home), worker_name(pair.b.home)}
    assert not (pair.b.home / "store").exists()
    with paused(pair.a.home), pair.a.workbench() as wb:
        run = wb.deployments.trigger("shared", timeout_seconds=240)
        failed = wb.deployments.trigger("shared", {"fails": True}, timeout_seconds=240)
    assert run.state == "COMPLETED", run.message
    assert failed.state == "FAILED"
    good, bad = pair.runs()[-2:]
    assert (good["status"], bad["status"]) == ("completed", "failed")
    for record in (good, bad):
        run_id = str(record["run_id"])
        assert record["output_path"] == str(pair.outputs / run_id / "study.ipynb")
        assert record["html_path"] == str(pair.outputs / run_id / "study.html")
        for project in (pair.a, pair.b):
            said, page = printed(project, run_id)
            assert f"ran in {pair.b.home}" in said
            assert "the rule of A AAPL" in said
            assert page == Path(record["html_path"])
    assert "told to fail" in Path(bad["html_path"]).read_text()
    assert not list(pair.outputs.rglob(".*"))
    # Only fetched, not promoted there.
    assert not (pair.b.folder / "rules").exists()
    assert not (pair.b.folder / "notebooks" / "study.ipynb").exists()


def test_outputs_that_cannot_be_put_there_are_kept_where_the_run_was(pair: Pair) -> None:
    away = pair.outputs.with_name("away")
    pair.outputs.rename(away)
    try:
        assert "is the share mounted?" in pair.a.run("doctor").stdout
        notebook = str(pair.a.folder / "notebooks" / "study.ipynb")
        schedule = ("--name", "other", "--cron", "0 0 1 1 *", "--timezone", "UTC")
        assert "nothing can be put below file:///" in pair.a.refusal("promote", notebook, *schedule)
        with paused(pair.a.home), pair.a.workbench() as wb:
            assert wb.deployments.trigger("shared", timeout_seconds=240).state == "COMPLETED"
    finally:
        away.rename(pair.outputs)
    record = pair.runs()[-1]
    assert record["output_path"] == str(pair.b.home / "runs" / str(record["run_id"]) / "study.ipynb")
    assert "the rule of A" in Path(record["output_path"]).read_text()
    (kept,) = record["evidence"]["outputs_kept"]
    assert "is the share mounted?" in kept


def test_a_worker_alone_without_the_project_runs_it_too(pair: Pair) -> None:
    """As in a container: no project, no supervisor, all settings in the environment."""
    home = pair.outputs.parent / "alone"
    url = pair.postgres.url_of(DATABASE)
    environment = {
        **pair.a.environment(),
        "WORKBENCH_HOME": str(home),
        "WORKBENCH_DATABASE_URL": url,
        "WORKBENCH_WORK_POOL": "workbench-fund",
    }
    command = [sys.executable, "-m", "workbench.cli", "worker"]
    log = pair.outputs.parent / "alone.log"
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    try:

        def online() -> bool:
            assert worker.poll() is None, log.read_text()
            seen = pair.prefect.workers("workbench-fund")
            return any(one.name == worker_name(home) and one.online for one in seen)

        wait_for(online, "the worker alone polls", seconds=180)
        again = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=120
        )
        assert again.returncode == 1
        assert "has a worker already" in again.stderr
        with paused(pair.a.home), paused(pair.b.home), pair.a.workbench() as wb:
            run = wb.deployments.trigger("shared", timeout_seconds=240)
        assert run.state == "COMPLETED", run.message
        said, _page = printed(pair.a, str(pair.runs()[-1]["run_id"]))
        assert f"ran in {home}" in said
    finally:
        worker.send_signal(signal.SIGTERM)
        ended = worker.wait(60)
    assert ended == 0, log.read_text()


def test_one_is_killed_and_the_other_goes_on(pair: Pair) -> None:
    notebook = str(pair.a.folder / "notebooks" / "study.ipynb")
    schedule = ("--name", "shared", "--cron", "* * * * *", "--timezone", "UTC")
    done = pair.a.run("promote", notebook, *schedule, "--file", "universe.csv")
    assert done.returncode == 0, done.stderr
    began = datetime.now(UTC)

    def completed(since: datetime) -> list[dict[str, Any]]:
        return [
            one
            for one in pair.runs()
            if one["scheduled_for"] and one["scheduled_for"] > since and one["status"] == "completed"
        ]

    wait_for(lambda: completed(began), "a scheduled run has ended", seconds=240)
    for process in list(marked(pair.a.home)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    killed = datetime.now(UTC)
    wait_for(lambda: len(completed(killed)) > 1, "the other home has run for two slots", seconds=300)
    for record in completed(killed):
        said, _page = printed(pair.b, str(record["run_id"]))
        assert f"ran in {pair.b.home}" in said
    slots = Counter(one["scheduled_for"] for one in completed(began))
    assert set(slots.values()) == {1}
    told = {str(one["run_id"]) for one in completed(began)}

    def events() -> Counter[str]:
        with contextlib.closing(redis.Redis.from_url(pair.redis_url)) as client:
            found: Counter[str] = Counter()
            for stream in client.scan_iter("data_sync*", _type="stream"):
                entries: Any = client.xrange(stream)
                for _position, fields in entries:
                    text = b" ".join(fields.values()).decode()
                    if "notebook_run.completed" in text:
                        found.update(run_id for run_id in told if run_id in text)
            return found

    # Each once: one relay works at a time, and the other took over.
    wait_for(lambda: set(events()) == told, "every run was told of", seconds=60)
    assert set(events().values()) == {1}
