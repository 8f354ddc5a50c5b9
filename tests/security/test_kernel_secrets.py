"""The environment of kernels names no password, and their code still finds every server."""

from __future__ import annotations

import psutil
import pytest
from sqlalchemy.engine import make_url

from tests.acceptance.conftest import Site, demo_site
from tests.acceptance.lab import open_kernel, running_lab
from tests.acceptance.notebooks import write_notebook
from tests.security.test_canaries import held
from workbench.db.roles import READONLY_ROLE, all_roles, role_url
from workbench.secrets_file import SECRETS_FILE
from workbench.stack import Stack

__all__ = ["demo_site"]

pytestmark = [pytest.mark.timeout(600)]

TELLS = """
import os
from pathlib import Path
from workbench import Workbench

told = [f"{name}={value}" for name, value in os.environ.items()]
# Also as it was when the process began, and that of the process that keeps it.
for pid in (os.getpid(), os.getppid()):
    told += Path(f"/proc/{pid}/environ").read_text().split("\\0")
print("\\n".join(told))
wb = Workbench()
print("asked:", wb.sql("SELECT current_user AS who").loc[0, "who"])
wb.events.publish_data_event("kernel.told", "kernel", {"by": "a kernel"})
"""


@pytest.fixture(scope="module")
def canaries(demo_site: Site) -> dict[str, str]:
    """Every password there is, by what it opens; all of them are known only when everything runs."""
    done = demo_site.run("up", "--detach")
    assert done.returncode == 0, done.stderr
    endpoints = Stack(demo_site.settings).endpoints()
    urls = {"administrator": endpoints.database_url, "redis": endpoints.redis_url}
    # Within its URL, too: that of Debian's Redis in the tests is a word that says little by itself.
    found = {f"{name}'s login": url.partition("//")[2].partition("@")[0] for name, url in urls.items()}
    found["administrator"] = str(make_url(endpoints.database_url).password)
    found["prefect's login"] = str(endpoints.prefect_auth_string)
    for role in all_roles():
        found[role] = str(role_url(demo_site.settings, endpoints.database_url, role).password)
    return found


@pytest.fixture(scope="module")
def notebook(demo_site: Site) -> str:
    return str(write_notebook(demo_site.folder / "tells.ipynb", parameters="n: int = 1", cells=[TELLS]))


def outputs(demo_site: Site) -> list[str]:
    return [path.read_text() for path in (demo_site.home / "runs").rglob("*.ipynb")]


def test_a_run_by_command(demo_site: Site, canaries: dict[str, str], notebook: str) -> None:
    done = demo_site.run("run", notebook)
    assert done.returncode == 0, done.stderr
    (said,) = outputs(demo_site)
    assert "WORKBENCH_RUN_ID=" in said
    assert f"asked: {READONLY_ROLE}" in said
    assert held(said, canaries) == set()


def test_a_run_of_a_deployment(demo_site: Site, canaries: dict[str, str], notebook: str) -> None:
    """Its flow has Prefect's login in its environment, which its kernel must not have."""
    before = len(outputs(demo_site))
    with demo_site.workbench() as wb:
        wb.deployments.trigger(wb.promote(notebook, name="tells", cron="0 6 1 1 *", timezone="UTC"))
    after = outputs(demo_site)
    assert len(after) == before + 1
    assert any("PREFECT_API_URL=" in said and f"asked: {READONLY_ROLE}" in said for said in after)
    for said in after:
        assert held(said, canaries) == set()


def test_a_kernel_in_jupyterlab(demo_site: Site, canaries: dict[str, str]) -> None:
    with running_lab(demo_site) as address:
        open_kernel(address)
        working = Stack(demo_site.settings).labs()
        assert len(working) == 2
        environments = [psutil.Process(one.pid).environ() for one in working]
    for environment in environments:
        assert held(str(environment), canaries) == set()
        assert (SECRETS_FILE in environment) == bool(demo_site.variables)
    # What it got by file is gone with it.
    assert list((demo_site.home / "run").glob("lab-*")) == []
