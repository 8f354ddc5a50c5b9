"""A project with servers and defaults in its `workbench.toml`: commands, runs and schedules go by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.acceptance.conftest import Site, end_site, make_site
from tests.acceptance.notebooks import write_notebook
from tests.servers import ServerPark
from workbench import Settings, Workbench
from workbench.project.create import create_project

pytestmark = [pytest.mark.timeout(600)]

FILE = """
[project]
name = "fund"
outputs = "outputs"
[servers]
database = "FUND_DATABASE_URL"
redis = "FUND_REDIS_URL"
[defaults]
source = "{source}"
timezone = "Europe/Berlin"
"""
TELLS = """
import os
from pathlib import Path
from workbench import Workbench

told = [f"{name}={value}" for name, value in os.environ.items()]
for pid in (os.getpid(), os.getppid()):
    told += Path(f"/proc/{pid}/environ").read_text().split("\\0")
print("\\n".join(told))
wb = Workbench()
print("database:", wb.sql("SELECT current_database() AS name").loc[0, "name"])
print("default:", wb.settings.source)
"""


@pytest.fixture(scope="module")
def fund(servers: ServerPark) -> Iterator[Site]:
    """A project whose servers are named by variables, with everything up."""
    postgres = servers.bare_postgres("postgresql-18")
    site = make_site({"FUND_DATABASE_URL": postgres.url, "FUND_REDIS_URL": servers.redis().url})
    try:
        create_project(site.folder)
        (site.folder / "workbench.toml").write_text(FILE.format(source="yahoo"))
        write_notebook(site.folder / "notebooks" / "tells.ipynb", parameters="n: int = 1", cells=[TELLS])
        done = site.run("up", "--detach")
        assert done.returncode == 0, done.stderr
        yield site
    finally:
        end_site(site)


@pytest.fixture(scope="module")
def passwords(fund: Site) -> list[str]:
    # With the login, since Redis' password in the tests is a word that says little by itself.
    return [url.partition("//")[2].partition("@")[0] for url in fund.variables.values()]


def outputs(fund: Site) -> list[str]:
    found = sorted((fund.folder / "outputs").rglob("tells.ipynb"), key=lambda path: path.stat().st_mtime)
    return [path.read_text() for path in found]


def test_no_embedded_server_is_started_beside_those_that_the_file_names(fund: Site) -> None:
    assert not [path.name for path in fund.home.iterdir() if path.name in {"postgres", "valkey"}]
    services = {one["name"]: one for one in fund.ask("status")["services"]}
    assert services["PostgreSQL"]["running"]


def test_a_run_finds_the_servers_without_their_passwords_in_its_environment(
    fund: Site, passwords: list[str]
) -> None:
    done = fund.run("run", "tells")
    assert done.returncode == 0, done.stderr
    said = outputs(fund)[-1]
    assert "default: yahoo" in said
    assert "database: trading_fund" in said
    assert not any(variable in said for variable in fund.variables)
    assert not any(password in said for password in passwords)


def test_a_schedule_has_the_file_s_time_zone_and_its_runs_read_the_file_as_it_is_then(
    fund: Site, passwords: list[str]
) -> None:
    promoted = fund.ask("promote", "tells", "--name", "tells", "--cron", "0 6 1 1 *")
    assert promoted["timezone"] == "Europe/Berlin"
    (fund.folder / "workbench.toml").write_text(FILE.format(source="polygon"))
    settings = Settings(
        home=fund.home,
        database_url=SecretStr(fund.variables["FUND_DATABASE_URL"]),
        redis_url=SecretStr(fund.variables["FUND_REDIS_URL"]),
    )
    with Workbench(settings) as wb:
        assert wb.deployments.trigger("tells").state == "COMPLETED"
    said = outputs(fund)[-1]
    assert "default: polygon" in said
    assert not any(variable in said for variable in fund.variables)
    assert not any(password in said for password in passwords)


def test_a_variable_that_is_not_set_is_named_before_anything_starts(fund: Site) -> None:
    without = Site(fund.folder, {"FUND_REDIS_URL": fund.variables["FUND_REDIS_URL"]})
    for words in (["ingest", "AAPL"], ["status"], ["run", "tells"], ["config"]):
        said = without.refusal(*words)
        assert re.search(r"database \(line \d\) names the environment variable FUND_DATABASE_URL", said)


def test_a_mistyped_key_ends_every_command_with_the_one_that_was_meant(fund: Site, tmp_path: Path) -> None:
    elsewhere = Site(tmp_path)
    (tmp_path / "workbench.toml").write_text("[defaults]\ntimezon = 'UTC'\n")
    said = elsewhere.refusal("status")
    assert said.endswith(
        "[defaults] timezon (line 2): there is no such key (did you mean timezone?); "
        "[defaults] has: source, data_source, calendar, timezone, currency"
    )
