"""The version of workbench with the project's commit, and a notebook's name for display."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from workbench.paths import PACKAGE
from workbench.project import find_project, notebooks_folder
from workbench.project.imports import BESIDE
from workbench.version import __version__

__all__ = ["code_version", "commit_of", "promoted_code_version", "shown_name"]


def code_version(used: Iterable[str] = ()) -> str:
    """`0.1.0+g<commit>`, with `.dirty` if a module or file that was used differs from the commit.

    The commit is the project's. Without git or a project, only the version. If the project is the clone that
    this package runs from, the package's own modules are used, too.

    Parameters
    ----------
    used : iterable of str
        Paths relative to the project's root. One that git does not track differs.
    """
    commit = commit_of(used)
    return __version__ if commit is None else f"{__version__}+{commit}"


def commit_of(used: Iterable[str]) -> str | None:
    """The second part of `code_version`: `g<commit>`, with `.dirty`; None without git or a project."""
    root = find_project()
    if root is None:
        return None
    try:
        described = _git(root, "describe", "--always", "--exclude=*")
        return f"g{described}{'.dirty' if _differs(root, list(used)) else ''}"
    except (OSError, subprocess.SubprocessError):
        return None


def promoted_code_version(commit: str | None) -> str:
    """The version of the code that a promoted notebook runs, whose project was at that commit."""
    if find_project() == PACKAGE.parent:
        return code_version()  # this package runs as it is in the clone now
    return __version__ if commit is None else f"{__version__}+{commit}"


def _differs(root: Path, used: list[str]) -> bool:
    status = ("status", "--porcelain")
    if root == PACKAGE.parent and _git(root, *status, "--untracked-files=no", "--", PACKAGE.name):
        return True
    outside = any(path.startswith(f"{BESIDE}/") for path in used)
    return outside or (
        bool(used) and bool(_git(root, *status, "--untracked-files=all", "--ignored=matching", "--", *used))
    )


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "--literal-pathspecs", "-C", str(root), *words],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    ).stdout.strip()


def shown_name(path: Path) -> str:
    """A notebook's name in records and messages: its path relative to `notebooks/`, else the whole path."""
    folder = notebooks_folder()
    return str(path.relative_to(folder)) if folder and path.is_relative_to(folder) else str(path)
