"""Which code ran: the version of workbench and the commit of the clone; what a notebook is called."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from workbench.paths import NOTEBOOKS, PROJECT_ROOT
from workbench.version import __version__

__all__ = ["code_version", "shown_name"]


@cache
def code_version() -> str:
    """`0.1.0+g<commit>`, with `.dirty` where tracked files differ from it; the plain version without git."""
    try:
        described = subprocess.run(
            ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty=.dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+g{described}"


def shown_name(path: Path) -> str:
    """A notebook's name in records and messages: below `notebooks/` relative to it, else the whole path."""
    return str(path.relative_to(NOTEBOOKS)) if path.is_relative_to(NOTEBOOKS) else str(path)
