"""The connection budget: the maximum per process, the server's limit, and the connections in use."""

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
"""Connections that a load of many bars opens in one process, in addition to the pools."""

# Prefect's own pool (5, and 10 more), and its LISTEN connection.
_PREFECT = 16
# The relay's pool (2, and SQLAlchemy's 10 more), its LISTEN connection, one to look at slots, three to reap.
_RELAY = 14 + 3
# A notebook, and three headless runs at once, each with two processes: the flow's and the kernel's.
_PROCESSES = 7
# What the parents of these three open for them: a small pool each, and a connection that holds locks.
_OF_RUNS = 3 * 4
# The pools that a process may open: one per service, one for run records, and the read-only one.
_POOLS = len(SERVICES) + 2

# Of a process, or of a run: what the run's two processes open for it counts as one process, and what its
# parent opens otherwise as another.
_OURS = re.compile(r"workbench:(?P<service>\w+):(?P<owner>\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
# From a login that is not a superuser, PostgreSQL hides the type and address of other logins' sessions.
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
    """Connections to the server with the same database, application name and address.

    Attributes
    ----------
    database : str
    name : str
        The application's name, as `workbench:runs:4711` or with a run's id, or the login's if it has none.
    address : str
        The client's address; "" if PostgreSQL hides it.
    connections : int
    """

    database: str
    name: str
    address: str
    connections: int

    @property
    def process(self) -> tuple[str, str] | None:
        """Address, and process id or run of a process of workbench; None for other applications."""
        ours = _OURS.fullmatch(self.name)
        return (self.address, ours["owner"]) if ours else None

    @property
    def service(self) -> str:
        """The pool's service, or the application's name if it is not workbench."""
        ours = _OURS.fullmatch(self.name)
        return ours["service"] if ours else self.name


@dataclass(frozen=True)
class ConnectionBudget:
    """The server's limits, and the connections in use.

    Attributes
    ----------
    max_connections, reserved : int
        The server's settings; `reserved` are kept for superusers.
    per_process : int
        Maximum connections of one process of workbench with the current settings.
    holders : tuple of Holder
        Current connections to all databases of the server, without the one that runs this query.
    """

    max_connections: int
    reserved: int
    per_process: int
    holders: Sequence[Holder]

    @property
    def allowed(self) -> int:
        """How many connections the server allows to logins that are not superusers."""
        return self.max_connections - self.reserved

    @property
    def in_use(self) -> int:
        """How many connections there are now."""
        return sum(holder.connections for holder in self.holders)

    @property
    def processes(self) -> int:
        """How many processes of workbench have connections now."""
        return len({holder.process for holder in self.holders} - {None})

    @property
    def worst_case(self) -> int:
        """Connections if those processes, and one more, open their maximum, and the others stay."""
        others = sum(holder.connections for holder in self.holders if holder.process is None)
        return others + (self.processes + 1) * self.per_process

    @property
    def connections_that_fit(self) -> int:
        """How many connections (size plus overflow) a pool may have to keep `worst_case` within the limit.

        0 if not even one fits.
        """
        others = self.worst_case - (self.processes + 1) * self.per_process
        each = (self.allowed - others) // (self.processes + 1) - BAR_READER_CONNECTIONS
        return max(0, each // _POOLS)

    def told(self) -> str:
        """Connections by database, as text: `prefect: postgres 5; trading_system: runs 2, logging 1`."""
        by_database: dict[str, dict[str, int]] = {}
        for holder in self.holders:
            services = by_database.setdefault(holder.database, {})
            services[holder.service] = services.get(holder.service, 0) + holder.connections
        return "; ".join(
            f"{database}: {', '.join(f'{name} {count}' for name, count in services.items())}"
            for database, services in by_database.items()
        )


def most_of_a_process(settings: Settings) -> int:
    """Maximum connections of one process: every pool full, plus the bar reader's."""
    return _POOLS * (settings.pool_size + settings.pool_overflow) + BAR_READER_CONNECTIONS


def stated_budget(settings: Settings) -> int:
    """Connections of a notebook, three headless runs at once, Prefect's server and the relay together."""
    return _PROCESSES * most_of_a_process(settings) + _OF_RUNS + _PREFECT + _RELAY


def connection_budget(settings: Settings, server: str) -> ConnectionBudget:
    """Query the server's limits and connections; opens one connection, and closes it.

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
    # SQLAlchemy does not escape spaces in a password, and libpq refuses them.
    with (
        translated("counting connections"),
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
