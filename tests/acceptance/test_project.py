"""A project of one's own, made by a clone's command: what works in it sees it, and its packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Site, end_site, make_site
from tests.acceptance.lab import open_kernel, running_lab
from workbench.project.create import create_project

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project() -> Iterator[Site]:
    """A site whose folder is a project."""
    site = make_site()
    create_project(site.folder)
    try:
        yield site
    finally:
        end_site(site)


def test_kernels_of_the_lab_work_in_its_notebooks_and_import_its_packages(project: Site) -> None:
    with running_lab(project) as address:
        open_kernel(address)
        ours = [one for one in psutil.process_iter() if is_of(one, project)]
        kernels = [one for one in ours if "ipykernel_launcher" in one.cmdline()]
        (kernel,) = kernels
        environment = kernel.environ()
        assert environment["WORKBENCH_PROJECT"] == str(project.folder)
        assert str(project.folder) in environment["PYTHONPATH"].split(":")
        assert Path(kernel.cwd()) == project.folder / "notebooks"


def test_the_stack_belongs_to_the_project(project: Site) -> None:
    assert project.run("up", "--detach").returncode == 0
    running = [one for one in psutil.process_iter() if is_of(one, project)]
    named = {one.environ()["WORKBENCH_PROJECT"] for one in running}
    assert len(running) >= 3
    assert named == {str(project.folder)}
    assert project.run("down").returncode == 0


def is_of(process: psutil.Process, site: Site) -> bool:
    """Whether it is a Python process that was given this site's home."""
    try:
        environment = process.environ()
    except psutil.Error:
        return False
    return environment.get("WORKBENCH_HOME") == str(site.home) and "python" in process.name()
