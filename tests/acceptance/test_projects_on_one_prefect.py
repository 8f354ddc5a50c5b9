"""Two projects use one PostgreSQL, one Redis and one Prefect server; each runs its own notebooks only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.projects import Project, running_pair
from tests.prefect_server import prefect_server
from tests.servers import ServerPark, wait_for
from workbench.stack import running_projects
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.services import worker_name

pytestmark = [pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shared(
    servers: ServerPark, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrefectApi, list[Project]]]:
    """Both up, each with a schedule that comes every minute."""
    postgres = servers.bare_postgres("postgresql-15")
    postgres.make_bare()
    with prefect_server(tmp_path_factory.mktemp("prefect"), schedules=True) as (url, prefect):
        variables = {
            "WORKBENCH_DATABASE_URL": postgres.url,
            "WORKBENCH_REDIS_URL": servers.redis().url,
            "PREFECT_API_URL": url,
            "WORKBENCH_POOL_SIZE": "2",
            "WORKBENCH_POOL_OVERFLOW": "2",
        }
        symbols, deployments = {"alpha": "AAPL", "beta": "MSFT"}, {"alpha": "of-alpha", "beta": "of-beta"}
        with running_pair(symbols, variables, deployments) as projects:
            yield prefect, projects
    postgres.make_bare()


def test_each_worker_runs_what_its_project_has_scheduled(shared: tuple[PrefectApi, list[Project]]) -> None:
    prefect, projects = shared
    for project in projects:
        name = project.folder.name
        records = project.scheduled()
        assert {record["deployment"] for record in records} == {f"of-{name}"}
        (deployment,) = project.ask("status")["deployments"]
        assert deployment["name"] == f"of-{name}"
        assert [worker.name for worker in prefect.workers(f"workbench-{name}")] == [worker_name(project.home)]
        with project.workbench() as wb:
            assert list(wb.deployments.list()["name"]) == [f"of-{name}"]


def test_an_event_in_prefect_says_of_which_project_it_is(shared: tuple[PrefectApi, list[Project]]) -> None:
    prefect, projects = shared

    def told() -> dict[str, set[str]]:
        wanted = {"event": {"name": ["data_sync.market_data.written"]}, "order": "ASC"}
        found: dict[str, set[str]] = {}
        for event in prefect.ask("/events/filter", {"filter": wanted})["events"]:
            pool = event["resource"]["workbench.work_pool"]
            found.setdefault(pool, set()).update(event["payload"]["symbols"])
        return found

    expected = {f"workbench-{project.folder.name}": {project.symbol} for project in projects}
    wait_for(lambda: told() == expected, "Prefect has each project's events")


def test_the_others_deployment_is_not_replaced(shared: tuple[PrefectApi, list[Project]]) -> None:
    _, (alpha, beta) = shared
    schedule = ("--name", "of-alpha", "--cron", "0 0 1 1 *", "--timezone", "UTC")
    notebook = str(beta.folder / "notebooks" / "naming.ipynb")
    said = beta.refusal("promote", notebook, *schedule)
    assert "a deployment of-alpha of another project already, alpha with the database trading_alpha " in said
    assert alpha.ask("status")["problems"] == []


def test_both_are_listed_with_the_pages_of_the_server_that_they_share(
    shared: tuple[PrefectApi, list[Project]],
) -> None:
    _, projects = shared
    found = {one.home: one for one in running_projects()}
    pages = projects[0].variables["PREFECT_API_URL"].removesuffix("/api")
    for project in projects:
        one = found[Path(project.home)]
        assert (one.name, one.state, one.prefect_url) == (project.folder.name, "running", pages)
        assert one.running == ("relay", "worker", "supervisor")
