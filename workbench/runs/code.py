"""The version of workbench with the project's commit, and a notebook's name for display."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from workbench.project import find_project, notebooks_folder
from workbench.version import __version__

__all__ = ["code_version", "shown_name"]


# Notebooks have their own hash in the record, and running one in JupyterLab changes its file.
_NOT_NOTEBOOKS = (".", ":(exclude,glob)**/*.ipynb")


def code_version() -> str:
    """`0.1.0+g<commit>`, with `.dirty` if tracked files other than notebooks differ from the commit.

    The commit is the project's. Without git or a project, only the version.
    """
    root = find_project()
    return __version__ if root is None else _version_with_commit(root)


@cache
def _version_with_commit(root: Path) -> str:
    try:
        described = _git(root, "describe", "--always", "--exclude=*")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *_NOT_NOTEBOOKS)
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+g{described}{'.dirty' if changed else ''}"


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()


def shown_name(path: Path) -> str:
    """A notebook's name in records and messages: its path relative to `notebooks/`, else the whole path."""
    folder = notebooks_folder()
    return str(path.relative_to(folder)) if folder and path.is_relative_to(folder) else str(path)
