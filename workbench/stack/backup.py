"""Backups of the embedded trading database, made before migrations and restored by `workbench db restore`.

A backup is a file of pg_dump in the home's `backups/`. Prefect's own database is not in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import URL

from workbench.db.roles import admin_url
from workbench.embedded import postgres_program
from workbench.errors import ServerError
from workbench.home.folders import private_folder
from workbench.settings import Settings
from workbench.stack.model import Progress

__all__ = ["back_up", "check_backup", "reason_of", "run_client"]

_VERSION_TABLE = "workbench_meta schema_version"


def back_up(settings: Settings, server: str, revision: str | None, tell: Progress) -> Path:
    """Dump the trading database of an embedded server, which may be in use.

    Parameters
    ----------
    settings : Settings
    server : str
        The administrator's URL.
    revision : str or None
        The database's, for the file's name.
    tell : callable

    Returns
    -------
    Path
        The file, for `workbench db restore`.

    Raises
    ------
    ServerError
        The dump failed, as on a full disk; no file is left.
    """
    folder = settings.home / "backups"
    name = f"{settings.trading_database}-{revision or 'empty'}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    file, part = folder / f"{name}.dump", folder / f".{secrets.token_hex(6)}.partial"
    tell(f"Backing up the database to {file}")
    url = admin_url(server, settings.trading_database)
    try:
        private_folder(folder)
        # Made by us, so that it never has other permissions.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        done = run_client("pg_dump", url, "--format=custom", "--compress=gzip:1", f"--file={part}")
        if done.returncode:
            raise ServerError(
                f"the database cannot be backed up to {file}: {reason_of(done)}; nothing was changed. Make "
                "room there, and try again"
            )
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, file)
    except OSError as error:
        raise ServerError(
            f"the database cannot be backed up to {file}: {error.strerror}; nothing was changed"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return file


def check_backup(file: Path) -> None:
    """Refuse a file that is no backup of workbench's database, before anything is started.

    Raises
    ------
    ServerError
    """
    if not file.is_file():
        raise ServerError(f"there is no file {file}")
    done = run_client("pg_restore", None, "--list", str(file))
    if done.returncode or _VERSION_TABLE not in done.stdout:
        why = reason_of(done) if done.returncode else "it is a dump of another database"
        raise ServerError(f"{file} is no backup of workbench: {why}")


def run_client(program: str, url: URL | None, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's client programs, with the login of `url` in its environment, to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if url is not None:
        # Not as arguments, which every account of the machine can read.
        environment |= {
            "PGHOST": url.host or "",
            "PGPORT": str(url.port or 5432),
            "PGUSER": url.username or "",
            "PGPASSWORD": str(url.password or ""),
        }
        words = (f"--dbname={url.database}", "--no-password", *words)
    try:
        return subprocess.run(
            [postgres_program(program), *words],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ServerError(f"PostgreSQL's {program} cannot be run: {error.strerror}") from error


def reason_of(done: subprocess.CompletedProcess[str]) -> str:
    """The cause in what a client program has written."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return (errors or lines or [f"exit code {done.returncode}"])[0].rpartition("error: ")[2]
