"""The connection budget: how many one process may open, how many the server allows, and who has them now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from workbench.db.bar_range import READERS
from workbench.db.roles import SERVICES, admin_url
from workbench.db.translate import translated
from workbench.settings import Settings

__all__ = [
    "BAR_READER_CONNECTIONS",
    "ConnectionBudget",
    "Holder",
    "connection_budget",
    "most_of_a_process",
    "stated_budget",
]

BAR_READER_CONNECTIONS = READERS
"""What a load of many bars opens beside the pools, while it lasts, in one process."""

# Prefect's own pool (5, and 10 more), and the connection that listens.
_PREFECT = 16
# The relay's pool (2, and SQLAlchemy's 10 more), and the connection that listens.
_RELAY = 13
# A notebook, and three headless runs at once: each is a flow's process and a kernel's.
_PROCESSES = 7
# The pools that a process may open: one a service, the run records', and the read-only one.
_POOLS = len(SERVICES) + 2

_OURS = re.compile(r"workbench:(?P<service>\w+):(?P<pid>\d+)")
# Of a login that is no superuser, PostgreSQL hides the kind and the address of other logins' sessions.
_SESSIONS = """
    SELECT coalesce(datname, ''), coalesce(nullif(application_name, ''), usename, ''),
           coalesce(client_addr::text, ''), count(*)
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid()
      AND coalesce(backend_type = 'client backend', datid IS NOT NULL)
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
"""
_LIMITS = """
    SELECT current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0)
"""


@dataclass(frozen=True)
class Holder:
    """Who has connections to the server.

    Attributes
    ----------
    database : str
    name : str
        The application's name, or that of the login where it gave none: `workbench:runs:4711`.
    address : str
        From where; "" where PostgreSQL does not tell.
    connections : int
    """

    database: str
    name: str
    address: str
    connections: int

    @property
    def process(self) -> tuple[str, str] | None:
        """What tells one process of workbench from another; None for everybody else's."""
        ours = _OURS.fullmatch(self.name)
        return (self.address, ours["pid"]) if ours else None

    @property
    def service(self) -> str:
        """Whose the connections are, for people: the pool's service, or the application's name."""
        ours = _OURS.fullmatch(self.name)
        return ours["service"] if ours else self.name


@dataclass(frozen=True)
class ConnectionBudget:
    """What the server allows, and what could be asked of it.

    Attributes
    ----------
    max_connections, reserved : int
        The server's own settings; `reserved` are kept for superusers.
    per_process : int
        The most that one process of workbench may open with the settings at hand.
    holders : tuple of Holder
        Who is connected now, all databases of the server, the asking session left out.
    """

    max_connections: int
    reserved: int
    per_process: int
    holders: Sequence[Holder]

    @property
    def allowed(self) -> int:
        """How many connections the server gives to logins that are no superusers."""
        return self.max_connections - self.reserved

    @property
    def in_use(self) -> int:
        """How many there are now."""
        return sum(holder.connections for holder in self.holders)

    @property
    def processes(self) -> int:
        """How many processes of workbench hold connections of their pools now."""
        return len({holder.process for holder in self.holders} - {None})

    @property
    def worst_case(self) -> int:
        """What it comes to if those processes, and one more, open all they may, and the others stay."""
        others = sum(holder.connections for holder in self.holders if holder.process is None)
        return others + (self.processes + 1) * self.per_process

    @property
    def connections_that_fit(self) -> int:
        """How many connections (size and overflow together) a pool may have for `worst_case` to be allowed.

        0 where not even one fits.
        """
        others = self.worst_case - (self.processes + 1) * self.per_process
        each = (self.allowed - others) // (self.processes + 1) - BAR_READER_CONNECTIONS
        return max(0, each // _POOLS)

    def told(self) -> str:
        """Who holds how many, by database: `prefect: postgres 5; trading_system: runs 2, logging 1`."""
        by_database: dict[str, dict[str, int]] = {}
        for holder in self.holders:
            services = by_database.setdefault(holder.database, {})
            services[holder.service] = services.get(holder.service, 0) + holder.connections
        return "; ".join(
            f"{database}: {', '.join(f'{name} {count}' for name, count in services.items())}"
            for database, services in by_database.items()
        )


def most_of_a_process(settings: Settings) -> int:
    """The most connections that one process opens: every pool full, and the bar reader beside them."""
    return _POOLS * (settings.pool_size + settings.pool_overflow) + BAR_READER_CONNECTIONS


def stated_budget(settings: Settings) -> int:
    """What a notebook, three headless runs at once, Prefect's server and the relay may open together."""
    return _PROCESSES * most_of_a_process(settings) + _PREFECT + _RELAY


def connection_budget(settings: Settings, server: str) -> ConnectionBudget:
    """Ask the server for its limits and for who is connected; opens one connection, and closes it.

    Parameters
    ----------
    settings : Settings
    server : str
        The administrator's URL.

    Raises
    ------
    ServerUnreachable
        It does not answer.
    DatabaseError
        It has no connection left even for its administrator.
    """
    url = admin_url(server, "postgres").set(drivername="postgresql").render_as_string(hide_password=False)
    # SQLAlchemy leaves a password's spaces as they are, which libpq refuses.
    with (
        translated("asking who is connected"),
        psycopg.connect(url.replace(" ", "%20"), connect_timeout=10) as connection,
    ):
        limits = connection.execute(_LIMITS).fetchone()
        sessions = connection.execute(_SESSIONS).fetchall()
    assert limits is not None
    return ConnectionBudget(
        max_connections=int(limits[0]),
        reserved=int(limits[1]),
        per_process=most_of_a_process(settings),
        holders=tuple(Holder(str(row[0]), str(row[1]), str(row[2]), int(row[3])) for row in sessions),
    )
