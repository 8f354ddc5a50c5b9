"""A user's site: a home of its own, the command line, and the files and processes that it left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.servers import ServerPark
from workbench import Settings, Workbench
from workbench.embedded.process import marked
from workbench.stack import Stack

CLONE = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """One user's folder: `home` is WORKBENCH_HOME, `user` is HOME."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "workbench"

    @property
    def user(self) -> Path:
        return self.folder / "user"

    @property
    def settings(self) -> Settings:
        urls = {
            name: SecretStr(self.variables[variable])
            for name, variable in (
                ("database_url", "WORKBENCH_DATABASE_URL"),
                ("redis_url", "WORKBENCH_REDIS_URL"),
            )
            if variable in self.variables
        }
        prefect = self.variables.get("PREFECT_API_URL")
        return Settings(home=self.home, prefect_api_url=prefect, **urls)  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WORKBENCH_", "PREFECT_", "JUPYTER", "COLUMNS"))
        }
        self.user.mkdir(parents=True, exist_ok=True)
        return {**kept, "HOME": str(self.user), "WORKBENCH_HOME": str(self.home), **self.variables}

    def run(self, *words: str, seconds: float = 400) -> subprocess.CompletedProcess[str]:
        """Run `workbench WORDS`; it may fail."""
        return subprocess.run(
            [sys.executable, "-m", "workbench.cli", *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def ask(self, *words: str) -> Any:
        """`workbench WORDS --json`, which must succeed."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refusal(self, *words: str) -> str:
        """The one sentence with which `workbench WORDS` refuses."""
        done = self.run(*words)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        return errors[0].removeprefix("error: ")

    def processes(self) -> list[str]:
        """What runs for this site."""
        return [" ".join(process.cmdline()) for process in marked(self.home)]

    def workbench(self) -> Workbench:
        return Workbench(self.settings)


def make_site(variables: dict[str, str] | None = None) -> Site:
    folder = Path(tempfile.mkdtemp(prefix="workbench-site-"))
    # The account that runs PostgreSQL must be able to enter, as it can enter a clone.
    folder.chmod(0o755)
    return Site(folder, variables or {})


def end_site(site: Site) -> None:
    Stack(site.settings).down()
    shutil.rmtree(site.folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["embedded", "own servers"])
def demo_site(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[Site]:
    """A new user's place: with the embedded servers, then with a PostgreSQL 15 and a Redis 7 of their own."""
    variables = {}
    if request.param == "own servers":
        variables = {
            "WORKBENCH_DATABASE_URL": servers.bare_postgres("postgresql-15").url,
            "WORKBENCH_REDIS_URL": servers.redis().url,
        }
    site = make_site(variables)
    yield site
    end_site(site)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A place with everything up."""
    made = make_site()
    try:
        done = made.run("up", "--detach")
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        end_site(made)
