"""The sdist and the wheel of this clone, built once per test process, and environments to install them in."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["CLONE", "Distributions", "Environment", "build", "make_environment"]

CLONE = Path(__file__).resolve().parents[1]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
# What uv and pip say when no index answers, as without a network.
_NO_INDEX = ("Failed to fetch", "dns error", "Could not connect", "error sending request")


@dataclass(frozen=True)
class Distributions:
    """What `make dist` builds, without the constraints."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    """A Python environment outside of the clone."""

    folder: Path

    def program(self, name: str) -> str:
        """The path of one of its commands."""
        return str(self.folder / "bin" / name)

    def install(self, *words: str) -> None:
        """Install, with uv where there is one, else with our pip; skips where no index answers."""
        uv, python = find_uv(), self.program("python")
        command = [uv, "pip", "install", "--python", python] if uv else [*_PIP, "--python", python, "install"]
        done = subprocess.run(
            [*command, "--quiet", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        if done.returncode and any(said in done.stderr for said in _NO_INDEX):
            pytest.skip(f"the package index does not answer: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr


@functools.cache
def build() -> Distributions:
    """Build both from the clone's files, as they are now."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-dist-"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=CLONE,
        capture_output=True,
        text=True,
        check=True,
    )
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, sdist)


def make_environment(folder: Path, python: str) -> Environment:
    """A new, empty environment of that Python."""
    # Debian's Python has no pip to put into it.
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return Environment(folder)


def find_uv() -> str | None:
    """The program uv, which Prefect 3.4.14 brings along and newer ones do not."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")
