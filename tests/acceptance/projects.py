"""Projects made by `workbench init`, each with its own home, for tests in which several run at once."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Site, make_site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench.embedded.process import ManagedProcess
from workbench.project.create import create_project
from workbench.stack import RunningProject, Stack, running_projects

SERVICES = ("postgres", "valkey", "prefect-server", "relay", "worker", "supervisor")


@dataclass
class Project(Site):
    """A project made by `workbench init`, with its own home in it."""

    symbol: str = ""

    @property
    def home(self) -> Path:
        return self.folder / ".workbench"

    @property
    def user(self) -> Path:
        return self.folder.parent / "user"

    def environment(self) -> dict[str, str]:
        found = super().environment()
        del found["WORKBENCH_HOME"]
        return found

    def pids(self) -> dict[str, int | None]:
        return {name: ManagedProcess(name, self.home).pid() for name in SERVICES}

    def listed(self) -> RunningProject | None:
        return next((one for one in running_projects() if one.home == self.home), None)

    def scheduled(self) -> list[dict[str, Any]]:
        """The records of the runs that came by schedule and have ended well."""
        records = self.ask("runs", "list")
        return [one for one in records if one["trigger"] == "deployment" and one["status"] == "completed"]


@contextmanager
def running_pair(
    symbols: Mapping[str, str], variables: dict[str, str], deployments: Mapping[str, str]
) -> Iterator[list[Project]]:
    """Projects by name, started at the same moment; each has bars, a run, and a schedule that has fired.

    Parameters
    ----------
    symbols : mapping
        The symbol that each project loads, by the project's name.
    variables : dict
        The environment that names servers of one's own.
    deployments : mapping
        The name of each project's deployment, which comes every minute.
    """
    folder = make_site().folder
    projects = [Project(create_project(folder / name), variables, symbol) for name, symbol in symbols.items()]
    try:
        with contextlib.ExitStack() as starting:
            started = [starting.enter_context(_up(project)) for project in projects]
            assert [one.wait(400) for one in started] == [0] * len(projects)
        for project in projects:
            _work(project, deployments[project.folder.name])
        for project in projects:
            wait_for(project.scheduled, "a scheduled run has ended", seconds=180)
        yield projects
    finally:
        for project in projects:
            Stack(project.settings).down()
        shutil.rmtree(folder, ignore_errors=True)


def _up(project: Project) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "up", "--detach"],
        cwd=project.folder,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _work(project: Project, deployment: str) -> None:
    """Load bars, run a notebook, and promote it."""
    notebook = write_notebook(
        project.folder / "notebooks" / "naming.ipynb",
        parameters='strategy: str = "one"',
        cells=[
            "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()",
            (
                'symbols = set(wb.data_ingestion.load_ingestion_status()["symbol"])\n'
                f'assert symbols == {{"{project.symbol}"}}, symbols'
            ),
            (
                f'frame = pd.DataFrame({{"strategy_id": [strategy], "name": ["of {project.symbol}"]}})\n'
                "wb.strategy_engine.write_strategies(frame)"
            ),
        ],
    )
    schedule = ("--name", deployment, "--cron", "* * * * *", "--timezone", "UTC")
    for words in (
        ("ingest", project.symbol),
        ("run", str(notebook), "-p", "strategy=by-hand"),
        ("promote", str(notebook), *schedule, "-p", "strategy=by-schedule"),
    ):
        done = project.run(*words)
        assert done.returncode == 0, done.stderr
