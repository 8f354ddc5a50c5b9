"""The version of workbench with the clone's commit, and a notebook's name for display."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from workbench.paths import NOTEBOOKS, PROJECT_ROOT
from workbench.version import __version__

__all__ = ["code_version", "shown_name"]


# Notebooks have their own hash in the record, and running one in JupyterLab changes its file.
_NOT_NOTEBOOKS = (".", ":(exclude,glob)**/*.ipynb")


@cache
def code_version() -> str:
    """`0.1.0+g<commit>`, with `.dirty` if tracked files other than notebooks differ from the commit.

    Without git, only the version.
    """
    try:
        described = _git("describe", "--always", "--exclude=*")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *_NOT_NOTEBOOKS)
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+g{described}{'.dirty' if changed else ''}"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(PROJECT_ROOT), *words], capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()


def shown_name(path: Path) -> str:
    """A notebook's name in records and messages: its path relative to `notebooks/`, else the whole path."""
    return str(path.relative_to(NOTEBOOKS)) if path.is_relative_to(NOTEBOOKS) else str(path)
