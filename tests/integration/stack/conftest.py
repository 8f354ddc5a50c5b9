"""A real Prefect server, for what is asked of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.prefect_server import prefect_server
from workbench.stack.prefect_api import PrefectApi

POOL = "workbench"


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectApi]:
    """A Prefect server on SQLite, without its scheduler."""
    with prefect_server(tmp_path_factory.mktemp("prefect"), schedules=False) as (_, api):
        api.ask("/work_pools/", {"name": POOL, "type": "process"})
        yield api
