"""How many live signals were contradicted lately, for a status; asks the database only where it runs."""

from __future__ import annotations

import psycopg

from workbench.db.roles import READONLY_ROLE, role_url
from workbench.errors import ServerError
from workbench.settings import Settings
from workbench.stack.stack import Stack

__all__ = ["DAYS", "contradicted_lately"]

DAYS = 7
"""How far back a status looks."""

_COUNT = (
    "SELECT count(*) FROM strategy_engine.signal_contradictions "
    "WHERE created_at > now() - make_interval(days => %s)"
)


def contradicted_lately(settings: Settings, stack: Stack) -> int:
    """How many contradictions there were in the last `DAYS`; 0 where the database cannot be asked.

    Why it cannot, the status of the servers tells.
    """
    try:
        url = role_url(settings, stack.endpoints().database_url, READONLY_ROLE).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=5) as connection:
            row = connection.execute(_COUNT, [DAYS]).fetchone()
    except (ServerError, psycopg.Error):
        return 0
    return int(row[0]) if row else 0
