"""Which version of workbench a home was set up by: noted in the home, and a newer one's home is refused."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NewerHome
from workbench.home.files import replace_file
from workbench.paths import shipped
from workbench.version import DISTRIBUTION, __version__

__all__ = ["HomeVersion", "note_version", "read_version", "refuse_newer"]

_FILE = "version.json"
_LAYOUT = 1
"""Raised when an older version can no longer work in a home as this one leaves it."""


@dataclass(frozen=True)
class HomeVersion:
    """What a home says about itself.

    Attributes
    ----------
    workbench : str
        The version that set it up last.
    layout : int
        Of its files and folders.
    revision : str or None
        Of the trading database, if that is the embedded one.
    """

    workbench: str
    layout: int
    revision: str | None


def read_version(home: Path) -> HomeVersion | None:
    """What is noted in a home; None if nothing is, as in those of workbench 0.4.0 and older."""
    try:
        facts: dict[str, Any] = json.loads((home / _FILE).read_text(encoding="utf-8"))
        revision = facts["revision"]
        return HomeVersion(
            str(facts["workbench"]), int(facts["layout"]), None if revision is None else str(revision)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_version(home: Path, revision: str | None) -> None:
    """Note this version, and the revision of the embedded database (None with a server of one's own)."""
    now = HomeVersion(__version__, _LAYOUT, revision)
    if read_version(home) != now:
        replace_file(home / _FILE, json.dumps(now.__dict__) + "\n", mode=0o600)


def refuse_newer(home: Path, *, embedded: bool) -> None:
    """Refuse a home that a newer version has set up; reads one file, and starts nothing.

    Parameters
    ----------
    home : Path
    embedded : bool
        Whether the trading database is the home's own; a server of one's own is asked by the migrations.

    Raises
    ------
    NewerHome
    """
    noted = read_version(home)
    if noted is None:
        return
    known = _revisions()
    if noted.layout > _LAYOUT or (embedded and noted.revision is not None and noted.revision not in known):
        revision = f", database revision {noted.revision}" if noted.revision else ""
        raise NewerHome(
            f"the home {home} was set up by workbench {noted.workbench}{revision}, and this is "
            f"{__version__}, which knows revisions up to {max(known)}; update it: pip install --upgrade "
            f"{DISTRIBUTION}; or go back to a backup in {home / 'backups'}: workbench db restore FILE"
        )


def _revisions() -> set[str]:
    """The revisions of this version, by the names of their files: without Alembic, which takes a while."""
    names = (path.name for path in (shipped("sql") / "versions").glob("*.py"))
    return {found[0] for name in names if (found := re.match(r"\d{4}", name))}
