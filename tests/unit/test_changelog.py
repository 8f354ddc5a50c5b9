"""The changelog: its newest entry is the version that the package says it is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from workbench.version import __version__

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
ENTRY = re.compile(r"^## \[(?P<version>\d+\.\d+\.\d+)\] - (?P<date>\S+)$", re.MULTILINE)
# Keep a Changelog 1.1.0, "Types of changes".
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def entries() -> list[tuple[str, date]]:
    text = CHANGELOG.read_text(encoding="utf-8")
    return [(entry["version"], date.fromisoformat(entry["date"])) for entry in ENTRY.finditer(text)]


def test_the_newest_entry_has_the_version_of_the_package() -> None:
    assert entries()[0][0] == __version__


def test_entries_are_dated_and_stand_newest_first() -> None:
    dates = [when for _, when in entries()]
    assert dates == sorted(dates, reverse=True)
    text = CHANGELOG.read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ") and line != "## [Unreleased]"]
    assert len(headings) == len(dates), "an entry's heading is not `## [1.2.3] - 2026-01-31`"


def test_changes_are_of_the_kinds_that_keep_a_changelog_names() -> None:
    found = re.findall(r"^### (.+)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found) <= KINDS
