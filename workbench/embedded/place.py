"""The folder of a home's PostgreSQL cluster, the account that runs it, and its programs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.embedded.accounts import (
    Account,
    account_of,
    are_readable,
    is_writable,
    own,
    run_as,
    server_account,
)
from workbench.embedded.away import let_go, set_aside, shared_programs
from workbench.embedded.binaries import PostgresPrograms, find_postgres
from workbench.errors import ServerError

__all__ = ["AWAY", "CLUSTER_ID", "EARLIER_HOME", "Place", "away_folder", "existing_cluster", "find_place"]

AWAY = Path("/var/lib/workbench")
"""The folder of the clusters whose home PostgreSQL's account cannot enter, with a subfolder per home."""

CLUSTER_ID = "workbench.id"
"""A file in each cluster with an id that is also in its home's secrets."""

EARLIER_HOME = "An earlier home"
"""The start of a progress step that is important and must stay visible."""


@dataclass(frozen=True)
class Place:
    """A cluster's folder, its account (None: ourselves) and its programs."""

    data: Path
    account: Account | None
    programs: PostgresPrograms


def away_folder(home: Path) -> Path:
    """The folder for the cluster of `home` if PostgreSQL's account cannot enter the home itself."""
    return AWAY / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def existing_cluster(home: Path) -> Path | None:
    """The data folder of this home's cluster, or None.

    Raises
    ------
    ServerError
        There is one that this account cannot open.
    """
    for data in (home / "postgres", away_folder(home) / "postgres"):
        try:
            if (data / "PG_VERSION").exists():
                return data
        except PermissionError as error:
            raise ServerError(
                f"The PostgreSQL cluster in {data} belongs to another account ({_owner(data)}); start "
                "workbench as the account that created it (root, if root did), or set WORKBENCH_HOME to "
                "another folder."
            ) from error
    return None


def find_place(
    home: Path, postgres_user: str | None, cluster_id: str, tell: Callable[[str], None] = lambda _: None
) -> Place:
    """The place of the existing cluster, or of a new one, whose folders are created.

    As root, the cluster is in the home if PostgreSQL's account can use the home and the wheel; else it is in
    `/var/lib/workbench/<12 digits of the home's hash>`, and runs from a copy of the programs that all such
    homes share. No existing folder's permissions are changed.

    Parameters
    ----------
    home : Path
        Resolved; must exist.
    postgres_user : str or None
        `Settings.postgres_user`.
    cluster_id : str
        The id in the home's secrets: a cluster outside of the home with another id is of an earlier home.
    tell : callable, optional
        Called with a text if the data of an earlier home are set aside.
    """
    programs = find_postgres()
    data = existing_cluster(home)
    away = away_folder(home)
    if data is not None and data.parent == away and read_id(data) != cluster_id:
        _tell_aside(*set_aside(away, home), home, tell)
        data = None
    if data is not None:
        return _place_of(data, home, programs)
    in_home = home / "postgres"
    _refuse_foreign(in_home)
    account = server_account(postgres_user)
    if account is None or (can_run(account, programs) and _can_use(account, home)):
        return Place(in_home, account, programs)
    return Place(away / "postgres", account, _copied(programs, home, account))


def read_id(data: Path) -> str | None:
    """The id in a cluster's id file; None without the file."""
    try:
        return (data / CLUSTER_ID).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def can_run(account: Account, programs: PostgresPrograms) -> bool:
    """Whether that account can run PostgreSQL's programs and read their files, by trying it."""
    starts = (run_as(account, [programs.program(name), "--version"]) for name in ("initdb", "postgres"))
    return all(done.returncode == 0 for done in starts) and are_readable(account, programs.folders())


def _place_of(data: Path, home: Path, programs: PostgresPrograms) -> Place:
    """The place of an existing cluster, run by its owner, as PostgreSQL requires."""
    owner = account_of(data)
    if os.geteuid() != 0:
        if owner.uid != os.geteuid():
            raise ServerError(
                f"The PostgreSQL cluster in {data} belongs to the account {owner.name}; start workbench as "
                "that account, or set WORKBENCH_HOME to another folder."
            )
        return Place(data, None, programs)
    if owner.uid == 0:
        raise ServerError(
            f"{data} belongs to root, and PostgreSQL refuses to run as root; chown it to another account."
        )
    if not is_writable(owner, data):
        raise ServerError(
            f"The account {owner.name}, which runs PostgreSQL, can no longer enter {data}; give it back the "
            "permission to enter the folders above it, or move the cluster's folder."
        )
    away = away_folder(home)
    if data.parent != away and can_run(owner, programs):
        if away.is_dir():
            # From when the account could not read the wheel's programs.
            let_go(away)
        return Place(data, owner, programs)
    return Place(data, owner, _copied(programs, home, owner))


def _can_use(account: Account, folder: Path) -> bool:
    trial = folder / f"postgres.try-{secrets.token_hex(4)}"
    try:
        trial.mkdir(mode=0o700)
        own(trial, account, 0o700)
        return is_writable(account, trial)
    except OSError:
        # E.g. a network folder without chown.
        return False
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _make_away(away: Path) -> None:
    try:
        for folder in (AWAY, away):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o755)
    except OSError as error:
        raise ServerError(
            f"PostgreSQL's account cannot enter the home folder, and {away} cannot be created "
            f"({error.strerror}); set WORKBENCH_HOME to a folder that every account may enter, or "
            "WORKBENCH_DATABASE_URL to a server of your own."
        ) from error


def _copied(programs: PostgresPrograms, home: Path, account: Account) -> PostgresPrograms:
    away = away_folder(home)
    _make_away(away)
    copied = shared_programs(programs, away, home)
    if not can_run(account, copied):
        raise ServerError(
            f"The account {account.name} cannot run PostgreSQL's programs in {copied.root} either; set "
            "WORKBENCH_POSTGRES_USER to another account, or WORKBENCH_DATABASE_URL to a server of your own."
        )
    return copied


def _tell_aside(aside: Path, older: list[Path], home: Path, tell: Callable[[str], None]) -> None:
    gone = f"; {len(older)} older ones were removed" if older else ""
    tell(
        f"{EARLIER_HOME} at {home} was deleted: its PostgreSQL data are kept in {aside} "
        f"(workbench clean --orphans removes them){gone}"
    )


def _refuse_foreign(data: Path) -> None:
    if data.is_dir():
        with contextlib.suppress(OSError):
            data.rmdir()
    if os.path.lexists(data):
        raise ServerError(f"{data} is not a PostgreSQL cluster; move it away and try again.")


def _owner(path: Path) -> str:
    try:
        return account_of(path).name
    except OSError:
        return "unknown"
