"""A project's name, and what is made of it for servers that several projects use."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from hashlib import sha256
from pathlib import Path

from workbench.errors import SettingsError
from workbench.project.find import MARKER

__all__ = ["CLONE_NAME", "project_key", "project_name"]

CLONE_NAME = "workbench"
"""The name of the clone's project, which keeps the names that everything had before there were projects."""

# With `trading_` before it and `_prefect` after it, it fits into PostgreSQL's 63 bytes.
_LONGEST = 47
_DIGITS = 8
# Dashes become underscores. A name with underscores of its own would be one of these with dashes.
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# `trading_system` is the clone's, and `trading_x_prefect` belongs to the project `x`.
_TAKEN = re.compile(r"system|(.*-)?prefect")


def project_name(root: Path) -> str:
    """The name in a project's `workbench.toml`, `[project] name`; without one, the folder's.

    Raises
    ------
    SettingsError
        The file cannot be read, or the name is not a text.
    """
    file = root / MARKER
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    section = facts.get("project", {})
    name = section.get("name", root.name) if isinstance(section, dict) else None
    if not isinstance(name, str):
        raise SettingsError(f'{file}: the name is not a text; write [project] and below it name = "my-fund"')
    return name.strip() or root.name


def project_key(name: str) -> str:
    """A short form of a project's name: lower-case letters, digits and underscores, at most 47.

    Different names have different forms. A name of lower-case words joined by dashes keeps them, as `my_fund`
    for `my-fund`. Of any other name the form ends in eight digits of its hash, as `my_fund_dea6b6ee` for
    `my_fund`.
    """
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST and not _TAKEN.fullmatch(name):
        return name.replace("-", "_")
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")[: _LONGEST - _DIGITS - 1].rstrip("_")
    digits = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]
    return f"{words}_{digits}" if words else f"project_{digits}"
