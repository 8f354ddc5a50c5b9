"""The account that runs PostgreSQL if we are root, and tests of its access to files."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ServerError, SettingsError

__all__ = [
    "Account",
    "account_of",
    "are_readable",
    "clean_environment",
    "is_writable",
    "own",
    "run_as",
    "server_account",
]


@dataclass(frozen=True)
class Account:
    """An account of this machine."""

    name: str
    uid: int
    gid: int


def server_account(name: str | None) -> Account | None:
    """The unprivileged account that PostgreSQL runs as, or None if we are not root.

    Parameters
    ----------
    name : str or None
        `Settings.postgres_user`; None means `postgres` if that account exists, else `nobody`.

    Raises
    ------
    SettingsError
        There is no such account, or it is root.
    """
    if os.geteuid() != 0:
        return None
    for candidate in [name] if name else ["postgres", "nobody"]:
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise SettingsError(
                "WORKBENCH_POSTGRES_USER: PostgreSQL refuses to run as root; name another account."
            )
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise SettingsError(
        f"WORKBENCH_POSTGRES_USER: there is no account named {name!r} on this machine."
        if name
        else "Running as root, and there is no account postgres or nobody; "
        "set WORKBENCH_POSTGRES_USER to an unprivileged account."
    )


def account_of(path: Path) -> Account:
    """The account that owns `path`."""
    status = path.stat()
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Account(f"user id {status.st_uid}", status.st_uid, status.st_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def clean_environment() -> dict[str, str]:
    """An environment for servers and their tools, without our PG* variables and locale."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}


def run_as(
    account: Account | None, command: list[str], *, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a command as that account (None: as ourselves), wait for its end and capture its output as text.

    Raises
    ------
    ServerError
        It took longer than `seconds`.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd="/",
            env=clean_environment(),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{command[0]} did not end within {seconds:.0f} s.") from error
    except OSError as error:
        # As a shell does for a program that it cannot run.
        return subprocess.CompletedProcess(command, 126, stdout=f"{command[0]}: {error.strerror}")


def are_readable(account: Account | None, folders: list[Path]) -> bool:
    """Whether that account can read every file and enter every folder below `folders`, by trying it."""
    unreadable = ["(", "-type", "d", "!", "-executable", "-o", "!", "-readable", ")", "-print", "-quit"]
    found = run_as(account, ["find", *(str(folder) for folder in folders), *unreadable])
    return found.returncode == 0 and not found.stdout


def is_writable(account: Account | None, folder: Path) -> bool:
    """Whether that account can create and remove a file in `folder`, by trying it."""
    script = 'cd "$1" && : > .reach && rm .reach'
    return run_as(account, ["/bin/sh", "-c", script, "sh", str(folder)]).returncode == 0


def own(path: Path, account: Account | None, mode: int) -> None:
    """Make `account` the owner of a file or folder that we have just created, and set its mode."""
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    path.chmod(mode)
