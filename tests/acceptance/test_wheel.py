"""Install, init, work: the wheel in an empty environment, outside of a clone, as root and as anyone else."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.distributions import CLONE, Environment, build, make_environment
from tests.servers import wait_for
from workbench.embedded.accounts import Account, run_as
from workbench.embedded.process import marked
from workbench.version import __version__

pytestmark = [pytest.mark.timeout(900)]

OWN = """
import os, sys
import workbench
from strategies.breakout import breakout
from workbench import Workbench
from workbench.backtest import backtest

wb = Workbench()
result = backtest(wb.data_ingestion.load_market_data(symbols, source="yahoo_adjusted"), breakout)
print("rule", sys.modules["strategies.breakout"].__file__)
print("package", workbench.__file__)
print("folder", os.getcwd())
print("project", os.environ["WORKBENCH_PROJECT"])
"""


@dataclass
class Person:
    """An account with a folder of its own, an environment with the wheel, and a project."""

    folder: Path
    environment: Environment
    account: pwd.struct_passwd | None

    @property
    def project(self) -> Path:
        return self.folder / "my project"

    def type(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`workbench WORDS` as that account, in the project."""
        return self.start(self.environment.program("workbench"), *words, cwd=cwd)

    def start(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        other = self.account
        return subprocess.run(
            command,
            cwd=cwd or self.project,
            env={
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "PATH": os.defpath,
                "LANG": "C.UTF-8",
                "COLUMNS": "200",
            },
            user=None if other is None else other.pw_uid,
            group=None if other is None else other.pw_gid,
            extra_groups=None if other is None else [],
            capture_output=True,
            text=True,
            timeout=500,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def ask(self, *words: str, cwd: Path | None = None) -> Any:
        """`workbench WORDS --json`, which must succeed."""
        done = self.type(*words, "--json", cwd=cwd)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def python_of(account: pwd.struct_passwd | None) -> str:
    """A Python that this account can run: this one, or the system's."""
    if account is None:
        return sys.executable
    check = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        other = Account(account.pw_name, account.pw_uid, account.pw_gid)
        if run_as(other, [python, "-c", check]).returncode == 0:
            return python
    pytest.skip("there is no Python here that another account can run")


@pytest.fixture(scope="module", params=["plain, an ordinary user", "constraints, whoever runs the tests"])
def person(request: pytest.FixtureRequest) -> Iterator[Person]:
    """Somebody who has installed the wheel with the newest releases, or with the tested set."""
    plain = request.param.startswith("plain")
    account = pwd.getpwnam("nobody") if plain and os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="workbench-wheel-"))
    try:
        folder.chmod(0o755)
        environment = make_environment(folder / "env", python_of(account))
        locks = [] if plain else ["-c", str(CLONE / "requirements" / "prefect-3.4.14.txt")]
        environment.install(f"{build().wheel}[all]", *locks)
        if account is not None:
            shutil.chown(folder, account.pw_uid, account.pw_gid)
        made = Person(folder, environment, account)
        done = made.type("init", "my project", cwd=folder)
        assert done.returncode == 0, done.stderr
        yield made
        made.type("down", "--yes")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def facts(person: Person) -> Any:
    return person.ask("demo")


@pytest.mark.parametrize("person", ["plain, an ordinary user"], indirect=True)
def test_the_demo_passes(facts: Any, person: Person) -> None:
    assert facts["bars"] == {"yahoo": 12_154, "yahoo_adjusted": 12_154}
    assert [run["status"] for run in facts["runs"]] == ["completed", "completed"]
    # Where the accident would be: with another SQLAlchemy no schedule ever fires, and nothing says so.
    assert facts["scheduled_run"]["status"] == "completed"
    for run in (*facts["runs"], facts["scheduled_run"]):
        assert Path(run["html"]).is_relative_to(person.project / ".workbench" / "runs")
        assert run["notebook"] == "strategies/sma_cross.ipynb"
    assert [" ".join(process.cmdline()) for process in marked(person.project / ".workbench")] == []


def test_nothing_of_the_clone_is_used(person: Person) -> None:
    assert person.type("up", "--detach").returncode == 0
    done = person.start(
        person.environment.program("python"),
        "-c",
        "import workbench, workbench.paths; print(workbench.__file__, workbench.paths.shipped('sql'))",
    )
    assert done.stdout.count(f"{person.environment.folder}/lib/") == 2, done.stderr
    assert person.type("--version").stdout == f"workbench {__version__}\n"
    for name in ("flows", "sql", "strategies", "notebooks", "tests", "benchmarks", "template"):
        tried = person.start(person.environment.program("python"), "-I", "-c", f"import {name}")
        assert "ModuleNotFoundError" in tried.stderr, name
    logs = (person.project / ".workbench" / "logs").glob("*.log")
    assert [log.name for log in logs if str(CLONE) in log.read_text(errors="replace")] == []


def write_own(path: Path, source: str) -> None:
    """A notebook with parameters and one cell."""
    parameters = nbformat.v4.new_code_cell('symbols: list[str] = ["AAPL"]')
    parameters.metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)]), path)


def text_of(output: str) -> str:
    """What the last cell of an output notebook has printed."""
    cell = nbformat.read(output, as_version=4).cells[-1]
    return "".join(one.get("text", "") for one in cell.outputs)


def test_a_rule_of_ones_own_is_imported_in_a_run(person: Person) -> None:
    assert person.type("ingest", "AAPL", "--source", "sample").returncode == 0
    write_own(person.project / "notebooks" / "own.ipynb", OWN)
    run = person.ask("run", "own")
    printed = dict(line.split(" ", 1) for line in text_of(run["output"]).splitlines())
    assert printed == {
        "rule": str(person.project / "strategies" / "breakout.py"),
        "package": printed["package"],
        "folder": str(person.project / "notebooks"),
        "project": str(person.project),
    }
    assert printed["package"].startswith(str(person.environment.folder))


@pytest.mark.parametrize("person", ["plain, an ordinary user"], indirect=True)
def test_two_projects_at_once_run_what_each_has_promoted(facts: Any, person: Person) -> None:
    """Each notebook imports its own project's rule, which is edited before the schedule fires by itself."""
    projects = {"my project": person.project, "other": person.folder / "other"}
    assert person.type("init", "other", cwd=person.folder).returncode == 0
    try:
        for name, root in projects.items():
            (root / "strategies" / "rule.py").write_text(f"SAID = {f'{name}, as promoted'!r}\n")
            write_own(root / "notebooks" / "says.ipynb", "from strategies.rule import SAID\nprint(SAID)")
            assert person.type("up", "--detach", cwd=root).returncode == 0
        listed = {one["root"]: one["state"] for one in person.ask("projects", cwd=person.folder)}
        assert [listed.get(str(root)) for root in projects.values()] == ["running", "running"]
        for root in projects.values():
            schedule = ("--name", "says", "--cron", "* * * * *", "--timezone", "UTC")
            promoted = person.ask("promote", "says", *schedule, cwd=root)
            assert "strategies/rule.py" in promoted["modules"]
            (root / "strategies" / "rule.py").write_text("SAID = 'as edited'\n")
        for name, root in projects.items():
            (run, *_) = wait_for(partial(scheduled, person, root), "the schedule has fired", seconds=150)
            shown = person.ask("runs", "show", run["run_id"], cwd=root)
            assert f"{name}, as promoted" in text_of(shown["output_path"])
        assert "as edited" in text_of(person.ask("run", "says")["output"])
    finally:
        for root in projects.values():
            person.type("down", "--yes", cwd=root)


def scheduled(person: Person, root: Path) -> list[Any]:
    """The records of a project's runs that came by schedule and have ended well."""
    runs = person.ask("runs", "list", cwd=root)
    return [run for run in runs if run["deployment"] == "says" and run["status"] == "completed"]


def test_outside_of_a_project_a_sentence_says_what_to_do(person: Person) -> None:
    done = person.type("status", cwd=person.folder)
    assert done.returncode == 1
    assert "is not in a project; make one with: workbench init" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_knows_of_no_other_package_of_that_name(person: Person) -> None:
    assert "installs a package workbench" not in person.type("doctor").stdout
