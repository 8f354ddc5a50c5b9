"""Makes a project: all of it, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.errors import ProjectRefused
from workbench.paths import shipped
from workbench.project.find import MARKER
from workbench.project.starters import record_starters

__all__ = ["create_project"]

# The hook ends the commit where this Python is gone, and says how to get another one.
_HOOK = """#!/bin/sh
# Made by `workbench init --git`: notebooks are committed without outputs; your files keep theirs.
python={python}
[ -x "$python" ] || {{ echo "$python is gone: name another Python with workbench in $0" >&2; exit 1; }}
exec "$python" -m workbench.project.without_outputs
"""


# What Python and Jupyter leave in folders.
_LEFT = {"__pycache__", ".ipynb_checkpoints"}


def create_project(folder: Path, *, git: bool = False) -> Path:
    """Make `folder` a project: notebooks, a package `strategies`, `workbench.toml`, and a few words on them.

    Parameters
    ----------
    folder : Path
        Made where it is missing, with its parents; what it holds already is left alone.
    git : bool
        Make it a repository, if it is in none, with a hook that commits notebooks without outputs.

    Returns
    -------
    Path
        Its absolute path.

    Raises
    ------
    ProjectRefused
        It is a project already, something is in the way, or it cannot be written; nothing was left.
    """
    root = Path(os.path.abspath(folder.expanduser()))
    hook = _look(root, git)
    above = next(one for one in (root, *root.parents) if one.is_dir())
    made: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".workbench-init-", dir=above) as scratch:
            fresh = Path(scratch)
            _fill(fresh, root.name)
            missing = [one for one in (root, *root.parents) if not one.exists()]
            for one in reversed(missing):
                one.mkdir()
                made.append(one)
            # The marker last: what has it is whole.
            for entry in sorted(fresh.iterdir(), key=lambda entry: entry.name == MARKER):
                entry.rename(root / entry.name)
                made.append(root / entry.name)
        if git:
            _start_repository(root, hook, made)
    except (OSError, subprocess.SubprocessError) as error:
        _remove(made)
        reason = getattr(error, "strerror", None) or getattr(error, "stderr", None) or error
        raise ProjectRefused(f"{root} cannot be made a project: {str(reason).strip()}") from error
    except BaseException:
        _remove(made)
        raise
    return root


def _look(root: Path, git: bool) -> Path | None:
    """Refuse where something is in the way; the path of the hook, if there is to be one."""
    if os.path.lexists(root) and not root.is_dir():
        raise ProjectRefused(f"{root} is a file; name a folder")
    if (root / MARKER).is_file():
        raise ProjectRefused(f"{root} is a project already: work in it, or name another folder")
    names = {_name(entry) for entry in shipped("template").iterdir() if entry.name not in _LEFT} | {
        "notebooks"
    }
    there = sorted(name for name in names if os.path.lexists(root / name))
    if there:
        raise ProjectRefused(
            f"{root} has {', '.join(there)} already, which would be in the way; name another folder"
        )
    if not git:
        return None
    if shutil.which("git") is None:
        raise ProjectRefused("git is not installed; without --git the project needs none")
    existing = next((one for one in (root, *root.parents) if one.is_dir()), root)
    asked = _git(
        existing, "rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-commit", check=False
    )
    if asked.returncode:
        if os.path.lexists(root / ".git"):
            raise ProjectRefused(f"git cannot use the repository in {root}: {asked.stderr.strip()}")
        return None
    hook = Path(asked.stdout.strip())
    if os.path.lexists(hook):
        raise ProjectRefused(
            f"{hook} is there already; leave out --git, and see docs/projects.md for the hook's line"
        )
    return hook


def _name(entry: Path) -> str:
    """The name that a file of the template gets in a project."""
    return ".gitignore" if entry.name == "gitignore" else entry.name


def _fill(folder: Path, name: str) -> None:
    for entry in shipped("template").iterdir():
        _copy(entry, folder / _name(entry))
    _copy(shipped("notebooks"), folder / "notebooks")
    record_starters(folder / "notebooks")
    known = os.fsencode(name).decode(errors="replace")
    for file, said in (("README.md", known), (MARKER, json.dumps(known, ensure_ascii=False)[1:-1])):
        text = (folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(text.replace("{name}", said), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    """Copy what is in files, and not their modes: what is shipped may be root's, and read-only."""
    if source.is_file():
        shutil.copyfile(source, target)
    elif source.name not in _LEFT:
        target.mkdir()
        for entry in source.iterdir():
            _copy(entry, target / entry.name)


def _start_repository(root: Path, hook: Path | None, made: list[Path]) -> None:
    if hook is None:
        made.append(root / ".git")
        _git(root, "init", "--quiet")
        path = _git(root, "rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-commit").stdout
        hook = Path(path.strip())
    hook.parent.mkdir(parents=True, exist_ok=True)
    made.append(hook)
    hook.write_text(_HOOK.format(python=_quoted(sys.executable)), encoding="utf-8")
    hook.chmod(0o755)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _git(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=60, check=check
    )


def _remove(made: list[Path]) -> None:
    """Remove what was made, the newest first; a folder that was there before stays."""
    for path in reversed(made):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
