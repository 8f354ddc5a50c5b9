"""Restores a backup: the embedded database as it was, with what is there now backed up before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from workbench.db.bootstrap import create_databases, create_scratch_database, put_in_place
from workbench.db.migrate import current
from workbench.db.roles import admin_url
from workbench.errors import ServerError
from workbench.home.folders import make_home
from workbench.home.locks import exclusive, is_held
from workbench.settings import Settings
from workbench.stack.backup import back_up, check_backup, reason_of, run_client
from workbench.stack.home_version import note_version
from workbench.stack.model import Progress
from workbench.stack.servers import Servers, setup_lock
from workbench.stack.state import supervisor_lock

__all__ = ["restore"]

_PATIENCE = 600.0


def restore(settings: Settings, file: Path, tell: Progress) -> tuple[str | None, Path | None]:
    """Put the database of a backup in the place of the embedded one; the next use brings it up to date.

    It works in a home of a newer version, too: that is how to go back to the version of before an update.

    Parameters
    ----------
    settings : Settings
    file : Path
        Made by `workbench.stack.backup.back_up`.
    tell : callable

    Returns
    -------
    (str or None, Path or None)
        The restored database's revision, and the backup of the one that was there.

    Raises
    ------
    ServerError
        The file is no backup, the server is not the embedded one, something uses it, or the backup cannot be
        read to its end; the database is as it was.
    """
    home = Path(os.path.realpath(settings.home))
    servers = Servers(settings)
    if servers.postgres is None:
        raise ServerError(
            f"{file} is restored into the embedded server only; into your own, with PostgreSQL's pg_restore"
        )
    check_backup(file)
    if is_held(supervisor_lock(home)):
        raise ServerError(f"the stack of {home} runs; stop it first: workbench down")
    make_home(home, entered=os.geteuid() == 0)
    server = servers.postgres.ensure(tell)
    if clients := servers.connections():
        what = "a client is" if clients == 1 else f"{clients} clients are"
        raise ServerError(f"{what} connected to the servers of {home}; end them first: workbench down")
    with exclusive(setup_lock(home), patience=_PATIENCE, doing="preparing the databases"):
        create_databases(settings, server)
        before = current(settings, server)
        saved = None if before is None else back_up(settings, server, before, tell)
        _replace(settings, server, file, tell)
        after = current(settings, server)
        with contextlib.suppress(FileNotFoundError):
            # So that the next use looks at the database.
            (home / "run" / "setup.stamp").unlink()
        note_version(home, after)
    return after, saved


def _replace(settings: Settings, server: str, file: Path, tell: Progress) -> None:
    """Read the backup into a database beside the trading one, then exchange them."""
    tell(f"Reading {file}")
    fresh = create_scratch_database(settings, server)
    url = admin_url(server, fresh)
    done = run_client("pg_restore", url, "--exit-on-error", "--single-transaction", str(file.absolute()))
    if done.returncode:
        raise ServerError(f"{file} cannot be restored ({reason_of(done)}); the database is as it was")
    put_in_place(settings, server, fresh)
