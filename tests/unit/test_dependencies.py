"""The table of Prefect's dependencies says what the locks say, and what is held back stays so."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {"3.4.14 lock": "prefect-3.4.14.txt", "newest lock": "prefect-latest.txt"}
ROW = re.compile(
    r"^\| (?P<name>[a-z0-9-]+) \| [^|]* \| (?P<first>[^|]+) \| (?P<second>[^|]+) \|$", re.MULTILINE
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^ ;\n]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return {found["name"]: found["version"] for found in PIN.finditer(text)}


def table() -> dict[str, tuple[str, str]]:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed = page.partition("## What Prefect requires")[2]
    rows = ROW.finditer(listed.partition("| --- |")[2])
    return {row["name"]: (row["first"].split()[0], row["second"].split()[0]) for row in rows}


@pytest.mark.parametrize(("place", "lock"), list(enumerate(LOCKS.values())), ids=list(LOCKS))
def test_the_table_has_the_versions_of_the_lock(place: int, lock: str) -> None:
    locked = pins(lock)
    told = {name: row[place] for name, row in table().items() if row[place] != "–"}
    assert told == {name: locked[name] for name in told}


def test_the_table_lists_what_the_installed_prefect_asks_for() -> None:
    asked = [Requirement(text) for text in requires("prefect") or []]
    here = {one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert here <= set(table())


@pytest.mark.parametrize("lock", list(LOCKS.values()))
def test_sqlalchemy_stays_below_the_version_on_which_no_schedule_fires(lock: str) -> None:
    assert Version(pins(lock)["sqlalchemy"]) < Version("2.1")
