"""Schedules fire by themselves, with a PostgreSQL 15 and a Redis 7 of the user's own."""

from __future__ import annotations

import pytest

from tests.acceptance.schedules import SchedulesFire
from tests.servers import ServerPark

pytestmark = [pytest.mark.timeout(900)]


class TestOwnServers(SchedulesFire):
    """PostgreSQL 15 and Redis 7."""

    @pytest.fixture(scope="class")
    @classmethod
    def variables(cls, servers: ServerPark) -> dict[str, str]:
        postgres = servers.bare_postgres("postgresql-15")
        postgres.make_bare()
        return {
            "WORKBENCH_DATABASE_URL": postgres.url,
            "WORKBENCH_REDIS_URL": servers.redis().url,
        }
